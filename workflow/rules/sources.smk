# Where each file of the archive comes from: lists and input functions. No rules here.


def in_folder(function, *arguments):
    """Return what a function of `_folder` finds; its complaint is Snakemake's."""
    try:
        return function(*arguments)
    except UserError as error:
        raise WorkflowError(str(error))


def passing(paths):
    """Return granules as Snakemake shall treat them: kept, or deleted once composited."""
    return paths if KEEP else [temp(path) for path in paths]


def there(paths, source):
    """Return `paths` if they exist; where nothing fetches them, say which is missing."""
    missing = [path for path in paths if not Path(path).exists()]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise WorkflowError(
            f"{missing[0]}{more}: expected a file, found none. "
            f"{_sources.mend(source, missing[0])} All that is missing: snakemake inputs"
        )
    return paths


# Finals are paths in resources/raw; candidates are files of a folder that the user has.


def in_folder_of(source, finals):
    """Return {final: files of the user's folder that can be it, best first}."""
    folder = config["sources"][source]
    if not Path(folder).exists():
        return dict.fromkeys(finals, [])
    if source == "smci":
        pairs = [pair for year in YEARS for pair in smci_candidates(year)]
        return {
            final: [file for name, file in pairs if name == final] for final in finals
        }
    if source == "insitu" and STATION_FORMAT != "csv":
        pairs = station_candidates()
        return {
            final: [file for name, file in pairs if name == final] for final in finals
        }
    # Readings of format csv lie as YEAR/SITE.csv, as those of gauges do.
    kind = "rain" if source == "insitu" else source
    return in_folder(_folder.found, kind, folder, finals)


def candidates(source, finals):
    """Return {final: its candidates in the user's folder}; name what has none."""
    folder = config["sources"][source]
    found = in_folder_of(source, finals)
    missing = [final for final in finals if not found[final]]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        how = _folder.how_to_get(source, YEARS, SMCI_DEPTH, folder)
        raise WorkflowError(
            f"sources.{source}: expected a file for {missing[0]}{more} below {folder}, found "
            f"none. {how}"
        )
    return found


def smci_candidates(year):
    """Return (final, file) of the pieces of SMCI of `year` in the user's folder."""
    folder = f"resources/raw/smci/SMCI_1km_{year}_{SMCI_DEPTH}cm"
    found = in_folder(_folder.pieces, config["sources"]["smci"], year, SMCI_DEPTH)
    return [(f"{folder}/{Path(piece).stem.lower()}.nc", piece) for piece in found]


def smci_pieces(year):
    """Return the pieces of SMCI of `year`: its producer does not say how many there are."""
    folder = f"resources/raw/smci/SMCI_1km_{year}_{SMCI_DEPTH}cm"
    if SIMULATED:
        return [f"{folder}/north.nc", f"{folder}/south.nc"]
    if ROADS["smci"] == "raw":
        raw = "resources/raw/smci"
        found = (
            in_folder(_folder.pieces, raw, year, SMCI_DEPTH, True)
            if Path(raw).exists()
            else []
        )
    elif Path(config["sources"]["smci"]).exists():
        found = sorted({final for final, _ in smci_candidates(year)})
    else:
        found = []
    return found or [f"{folder}/*.nc"]


def smci_of_year(wildcards):
    """Return the pieces of SMCI that one job reads."""
    pieces = smci_pieces(wildcards.year)
    return there(pieces, "smci") if ROADS["smci"] == "raw" else pieces


def station_candidates():
    """Return (final, file) of the delivered files of stations in the user's folder or zip."""
    files = in_folder(_folder.station_files, config["sources"]["insitu"])
    return [(f"resources/raw/insitu/{Path(file).name}", file) for file in files]


def station_files():
    """Return the delivered files of stations, where a site and year is not a file of its own."""
    raw = "resources/raw/insitu"
    if ROADS["insitu"] == "raw":
        found = (
            in_folder(_folder.station_files, raw, True) if Path(raw).exists() else []
        )
    elif Path(config["sources"]["insitu"]).exists():
        found = sorted({final for final, _ in station_candidates()})
    else:
        found = []
    return found or [f"{raw}/*"]


def archive_of_stations(wildcards):
    """Return the delivered files of stations that one job reads."""
    return there(STATION_FILES, "insitu") if ROADS["insitu"] == "raw" else STATION_FILES


def mapping_of_tables(wildcards):
    """Return `insitu.table` as JSON; a function, because it has braces of its own."""
    return json.dumps(config["insitu"]["table"], sort_keys=True)


def granules_of_year(wildcards):
    """Return the granules that one variable needs in one year; name those that are not there."""
    needed = granules(wildcards.variable, dates(wildcards.variable, wildcards.year))
    return there(needed, "modis") if ROADS["modis"] == "raw" else needed


def clips_of_year(wildcards):
    """Return the AppEEARS clips that one variable needs in one year."""
    years = {str(day.year) for day in dates(wildcards.variable, wildcards.year)}
    return [
        f"resources/raw/appeears/{wildcards.variable}/{year}.nc"
        for year in sorted(years)
    ]


def with_tiles(variable, days):
    """Return the days, as YYYY-MM-DD, of which the archive has the granule of any tile."""
    return [str(day) for day in days if granules(variable, [day])]


def days_of_clip(wildcards):
    """Return the first days of the composites that a clip holds."""
    variable = wildcards.variable
    return with_tiles(variable, start_days(variable, wildcards.year))


def days_of_months(wildcards):
    """Return the first days of the composites that the months of a year are made of."""
    variable = wildcards.variable
    return with_tiles(variable, dates(variable, wildcards.year))


def rain_files(year):
    """Return the gauges' files of `year`, without those that do not exist."""
    absent = config["rain"]["absent"]
    return [
        f"resources/raw/rain/{year}/{gauge}.csv"
        for gauge in GAUGES
        if f"{gauge}/{year}" not in absent
    ]


def rain_of_year(wildcards):
    """Return the gauges' files that one job reads."""
    return rain_files(wildcards.year)


def raw_of(source, *years):
    """Return the files that a source contributes to resources/raw, in all or some years."""
    years = years or YEARS
    if ROADS[source] == "none":
        return []
    if source == "modis":
        reads = clips_of_year if ROADS["modis"] == "appeears" else needed_granules
        jobs = [
            SimpleNamespace(variable=variable, year=year)
            for variable in MODIS
            for year in years
        ]
        return sorted({path for job in jobs for path in reads(job)})
    if source == "elevation":
        return expand(
            "resources/raw/dem/{cell}{ending}", cell=CELLS, ending=CELL_ENDING
        )
    if source == "soil":
        return list(SOIL.values())
    if source == "rain":
        return [path for year in years for path in rain_files(year)]
    if source == "insitu" and STATION_FORMAT != "csv":
        return list(STATION_FILES)
    if source == "insitu":
        return expand("resources/raw/insitu/{year}/{site}.csv", year=years, site=SITES)
    if source == "smci":
        return [path for year in years for path in smci_pieces(year)]
    if source == "smc":
        return expand(
            "resources/raw/smc/SMC_{year}{month}.tif", year=years, month=SEASON
        )
    return expand("resources/raw/era5land/{year}.nc", year=years)


def needed_granules(job):
    """Return the granules that one variable needs in one year, whether they are there or not."""
    return granules(job.variable, dates(job.variable, job.year))


def linked():
    """Return {label: (source, finals)} of the jobs that link files of the user's folders."""
    found = {}
    for source in [name for name, road in ROADS.items() if road == "folder"]:
        if source == "modis":
            for variable in MODIS:
                for year in start_years(variable):
                    finals = granules_starting_in(year, variable)
                    found[f"modis_{variable}_{year}"] = source, finals
        elif source in ("elevation", "soil") or (
            source == "insitu" and STATION_FORMAT != "csv"
        ):
            found[source] = source, raw_of(source)
        else:
            for year in YEARS:
                found[f"{source}_{year}"] = source, raw_of(source, year)
    return found


def files_to_link(source, finals, wildcards):
    """Return the user's files that `finals` may link to, so that a change of one is noticed."""
    found = candidates(source, finals)
    return _folder.inputs(found)


def choice_of_links(source, finals, wildcards):
    """Return which file can be which input, as JSON."""
    return json.dumps(candidates(source, finals), sort_keys=True)


def inputs_of(wildcards):
    """Return the files of the archive that the jobs behind one batch of `check_inputs` read."""
    source, _, year = wildcards.batch.partition("_")
    if source in MODIS:
        reads = clips_of_year if ROADS["modis"] == "appeears" else granules_of_year
        return reads(SimpleNamespace(variable=source, year=year))
    if source == "smci":
        return smci_of_year(SimpleNamespace(year=year))
    if source == "insitu" and STATION_FORMAT != "csv":
        return archive_of_stations(wildcards)
    finals = raw_of(source, *([year] if year else []))
    return there(finals, source) if ROADS[source] == "raw" else finals


def batches():
    """Return the batches of `check_inputs`: one for each job that reads the archive."""
    once = ["elevation", "soil", *([] if STATION_FORMAT == "csv" else ["insitu"])]
    used = [name for name, road in ROADS.items() if road != "none" and name != "modis"]
    yearly = [*MODIS, *(name for name in used if name not in once)]
    once = [name for name in used if name in once]
    return expand("{source}_{year}", source=yearly, year=YEARS) + once


def needs(wildcards):
    """Return, as JSON, what `snakemake inputs` counts: every file the study takes, by source."""
    found = {}
    for source in [name for name, road in ROADS.items() if road != "none"]:
        value, finals = config["sources"][source], raw_of(source)
        folder = ROADS[source] == "folder" and Path(value).exists()
        there = [
            final for final, files in in_folder_of(source, finals).items() if files
        ]
        found[source] = dict(
            road=ROADS[source],
            value=value,
            files=finals,
            folder=there if folder else [],
            how=_folder.how_to_get(source, YEARS, SMCI_DEPTH, value),
        )
    return json.dumps(found)


def daily_albedo():
    """Return the number of granules of albedo if every day were taken."""
    return sum(len(granules("albedo", dates("albedo", year, 1))) for year in YEARS)


def fetchable():
    """Return what a service delivers or an existing folder holds."""
    return [
        path
        for source, road in ROADS.items()
        if road in _sources.SOURCES[source].services
        or (road == "folder" and Path(config["sources"][source]).exists())
        for path in raw_of(source)
    ]


def check_own(outputs):
    """Stop before Snakemake, which deletes what a job is to make, deletes a file of the user."""
    for output in outputs:
        path = Path(output)
        if path.parts[:2] != ("resources", "raw") or not path.is_file():
            continue
        made = path.with_suffix(".json").exists() or path.is_symlink()
        if not made and not workflow.persistence.metadata(output):
            raise WorkflowError(
                f"{path}: expected no file, or one that this workflow made, found one of yours, "
                "which this run would replace. Run in another folder (--directory), or move your "
                "files elsewhere and name their folder under `sources` in the config."
            )


def before_start(dag):
    """Compare what was read with the lock; say what is fetched; stop if the disk has no room.

    Before all that: files from the future would make every run start them again.
    """
    future = _clock.complaint(
        _clock.ahead(path for job in dag.jobs for path in (*job.input, *job.output))
    )
    if future:
        raise WorkflowError(future)
    if LOCK:
        tables = list(Path("results/interim/inputs").glob("*.csv"))
        in_folder(_lock.compare_tables, tables, LOCK)
    if ROADS["modis"] == "folder":
        # Each job links one year: that all years are of one collection shows only here.
        mixed = _folder.mixed(in_folder_of("modis", raw_of("modis")))
        if mixed:
            raise WorkflowError(mixed)
    jobs = {}
    for job in dag.needrun_jobs():
        check_own(job.output)
        source = _sources.fetched_by(job.rule.name)
        if source:
            files = [
                str(path) for path in job.output if not _sources.held(source, path)
            ]
            jobs[job] = [(source, path) for path in files]
    text, needed = _sources.announcement(
        list(jobs.values()), AREA["box"], config["downloads"]["keep_raw"]
    )
    if text:
        sys.stderr.write(text)
    short = _sources.no_room(needed, Path.cwd())
    if short:
        raise WorkflowError(short)


ROADS = {
    source: (
        "simulated" if SIMULATED else _sources.road(source, config["sources"][source])
    )
    for source in _sources.SOURCES
} | {
    source: "none"
    for source in _sources.OPTIONAL
    if config["sources"][source] == "none"
}
unknown = [source for source, road in ROADS.items() if road is None]
if unknown and not TABLE:
    raise WorkflowError(_sources.unknown(unknown[0], config["sources"][unknown[0]]))
KEEP = config["downloads"]["keep_raw"]
SMCI_DEPTH = config["smci"]["depth"]
LOCK = _config.located(config["lock"], ROOT)
CELL_ENDING = ".tif" if ROADS["elevation"] == "copernicus" else ".hgt"
if ROADS["elevation"] == "folder" and Path(config["sources"]["elevation"]).exists():
    CELL_ENDING = in_folder(_folder.elevation_ending, config["sources"]["elevation"])
if ROADS["elevation"] == "raw" and Path(f"resources/raw/dem/{CELLS[0]}.tif").exists():
    CELL_ENDING = ".tif"
SOIL = {
    fraction: f"resources/raw/soil/{fraction}_0-5cm_mean.tif"
    for fraction in ("sand", "silt", "clay")
}
# Station readings and positions as average_insitu and what follows take them.
STATION_FORMAT = "csv" if SIMULATED or not STATIONS else config["insitu"]["format"]
STATION_FILES = [] if TABLE or STATION_FORMAT == "csv" else station_files()
READINGS = "resources/raw/insitu/{{year}}/{site}.csv"
SITE_TABLE = _config.located(config["insitu"]["sites"], ROOT) if STATIONS else []
CHECKED_READINGS = "results/interim/inputs/insitu_{year}.csv"
if STATION_FORMAT != "csv":
    CHECKED_READINGS = "results/interim/inputs/insitu.csv"
    READINGS = "results/interim/readings/{{year}}/{site}.csv"
    SITE_TABLE = "results/interim/sites.csv"
