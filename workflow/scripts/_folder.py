"""Find the files of an archive that a user already has, in whatever order they keep it.

Files are found by the names their producers gave them, in any layout and any case of letters.
Nothing is opened here but a rain table whose name says no year; `link_files` checks what is found
before anything uses it. Standard library only: the Snakefile imports this module on every start.
"""

from __future__ import annotations

import csv
import os
import re
import unicodedata
from collections.abc import Iterator
from datetime import date, timedelta
from functools import cache
from itertools import combinations_with_replacement, groupby
from pathlib import Path

from _log import UserError

# Folders that systems make beside people's files; some may not be read, none holds data.
SYSTEM = {"__macosx", "@eadir", "lost+found", "$recycle.bin", "system volume information"}
GRANULE = re.compile(
    r"(?P<product>[a-z0-9]+)\.a(?P<year>\d{4})(?P<day>\d{3})\.(?P<tile>h\d{2}v\d{2})"
    r"\.(?P<collection>\d{3})\.(?P<made>\d{13})\.hdf"
)
HGT = re.compile(r"(?P<cell>[ns]\d{2}[ew]\d{3})(?P<edition>(?:[._-]|v\d)[\w.-]*?)?\.hgt(?:\.zip)?")
TIF = re.compile(
    r"copernicus_dsm_(?:cog_)?(?P<step>[13]0)_(?P<lat>[ns]\d{2})_00_(?P<lon>[ew]\d{3})_00_dem\.tiff?"
    r"|(?P<cell>[ns]\d{2}[ew]\d{3})\.tiff?"
)
SOIL = re.compile(r"(?<![a-z])(?P<part>sand|silt|clay)(?![a-z])")
TOP = re.compile(r"(?<!\d)0[-_]5[-_ ]?cm(?![a-z])")
MONTH = re.compile(r"(?<!\d)((?:19|20)\d{2})[-_]?(0[1-9]|1[0-2])(?!\d)")
# A year, or the year of a month or a day written with or without dashes.
YEAR = re.compile(r"(?<!\d)((?:19|20)\d{2})(?:[-_]?(?:0[1-9]|1[0-2])(?:[-_]?\d{2})?)?(?!\d)")
WORD = re.compile(r"[^\W_]+")
RAW = os.path.join("resources", "raw")
COLLECTIONS = ("061", "006")  # the preferred one first
READINGS = (".stm", ".csv", ".tsv", ".txt", ".dat", ".xlsx", ".xls", ".zip")
ABOUT = re.compile(r"readme|licen[cs]e|static_variables|qualityflags|metadata")


def listing(folder: str, own: bool = False) -> list[str]:
    """Return every file below a folder, sorted; paths begin with `folder` as it is given.

    Linked folders are followed once, real ones before links to them. Hidden files, those that
    systems make, and the workflow's own results are skipped; links to nothing are kept, so that
    they can be named. Read once in a process. Raises UserError if there is no such folder, it
    cannot be read, or it is resources/raw, unless the user's `own` files lie there.
    """
    return list(_walked(os.path.expanduser(folder), os.getcwd(), own))


@cache
def _walked(folder: str, cwd: str, own: bool) -> tuple[str, ...]:
    if not os.path.isdir(folder):
        found = "a file" if os.path.exists(folder) else f"none in {cwd}"
        raise UserError(
            f"{folder}: expected a folder of files you have, found {found}. "
            "Correct the path under `sources` in the config."
        )
    raw = os.path.join(cwd, RAW)
    if not own and Path(os.path.realpath(folder)).is_relative_to(os.path.realpath(raw)):
        raise UserError(
            f"{folder}: expected a folder of files you have, found the one in which the workflow "
            "puts its links. For files that you put there yourself, say `raw` under `sources`."
        )
    skipped = {_identity(os.path.join(cwd, name)) for name in ("resources", "results")}
    seen = (skipped - {_identity(folder)}) | {_identity(raw)}
    files, real, linked = [], [folder], []
    while real or linked:
        here = real.pop() if real else linked.pop(0)
        if _identity(here) in seen:
            continue
        seen.add(_identity(here))
        try:
            with os.scandir(here) as entries:
                for entry in entries:
                    if entry.name.startswith(".") or entry.name.lower() in SYSTEM:
                        continue
                    link = entry.is_symlink()
                    folders = linked if link else real
                    is_folder = os.path.isdir(entry.path) if link else entry.is_dir()
                    (folders if is_folder else files).append(entry.path)
        except OSError as error:
            raise UserError(
                f"{here}: expected a folder that can be read, found: {error.strerror}. "
                "Ask for the right to read it, or move it out of the folder in the config."
            ) from None
        linked.sort()
    return tuple(sorted(files))


def _identity(path: str) -> tuple[int, int] | None:
    """Return what tells one folder from all others, whatever it is called; None if not there."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def found(source: str, folder: str, needed: list[str]) -> dict[str, list[str]]:
    """Return {path in resources/raw: the files in `folder` that may be it, the best first}.

    `source` is modis, elevation, soil, rain, smc or era5land. Files of equal `rank` stand in the
    order of their paths: `link_files` takes the first if they are the same, and refuses them if
    they differ. Granules of collection 061 come before those of 006, and the latest production
    before older ones; collections are not mixed silently: where a granule is there only in
    another collection than the others of its product, `link_files` refuses it.
    """
    _check_own(needed)
    files = {final: [] for final in needed}
    for final, path in MATCHES[source](listing(folder), needed):
        files[final].append(path)
    for final, paths in files.items():
        there = [path for path in paths if os.path.exists(path)]
        files[final] = sorted(there or paths, key=lambda path: (*rank(source, path), path))
    return files


def _check_own(needed: list[str]) -> None:
    """Refuse to put links where they would lie in, or take the place of, files of the user."""
    folders = {Path(final).parent for final in needed}
    for folder in sorted(folders.union(*(folder.parents for folder in folders))):
        if RAW in str(folder.parent) and folder.is_symlink():
            raise UserError(
                f"{folder}: expected a folder of the workflow's own, found a link to "
                f"{os.path.realpath(folder)}. What the workflow makes would be written there: "
                "delete the link, not what it leads to."
            )
    for final in needed:
        own = os.path.islink(final) or os.path.exists(os.path.splitext(final)[0] + ".json")
        if not own and os.path.isfile(final):
            raise UserError(
                f"{final}: expected a link that the workflow makes, found a file of yours, which "
                "it would replace. Move the file into your folder, or say `raw` under `sources`."
            )


def inputs(candidates: dict[str, list[str]]) -> list[str]:
    """Return the files that `found` found and that are there: what a rule takes as its input."""
    files = {path for paths in candidates.values() for path in paths}
    return sorted(path for path in files if os.path.exists(path))


def rank(source: str, path: str) -> tuple:
    """Return what puts one file before another that may be the same thing; smaller is better."""
    name = os.path.basename(path).lower()
    if source == "modis":
        parts = GRANULE.fullmatch(name)
        number = parts["collection"]
        return (*COLLECTIONS, number).index(number), number, -int(parts["made"])
    if source == "elevation":
        # 3 arc-seconds before 1: both are read, but not together. Unpacked before zipped.
        hgt, tif = HGT.fullmatch(name), TIF.fullmatch(name)
        steps = {"30": "srtmgl3", "10": "srtmgl1", None: ""}
        edition = (hgt["edition"] or "") if hgt else steps[tif["step"]]
        order = 0 if "srtmgl3" in edition else 3 if "srtmgl1" in edition else 2 if edition else 1
        return order, name.endswith(".zip")
    if source == "soil":
        return (not re.fullmatch(r"(sand|silt|clay)_0-5cm_mean\.tiff?", name),)
    if source == "smc":
        return ("smc" not in name,)
    if source == "era5land":
        return ((1, 0, 2)[min(len(set(YEAR.findall(os.path.splitext(name)[0]))), 2)],)
    return (0,)


def collection(path: str) -> str:
    """Return the collection (three digits) in the name of a granule."""
    return GRANULE.fullmatch(os.path.basename(path).lower())["collection"]


def mixed(candidates: dict[str, list[str]]) -> str:
    """Return what is wrong if the best granules of a product are of several collections, or "".

    `candidates` is what `found` returned. Collections differ in calibration and algorithm: a map
    of both would show a step that is none of the land's.
    """
    chosen: dict[str, dict[str, list[str]]] = {}
    for final, paths in candidates.items():
        if paths:
            of_product = chosen.setdefault(Path(final).parts[-3], {})
            of_product.setdefault(collection(paths[0]), []).append(final)
    for product, by_collection in chosen.items():
        if len(by_collection) > 1:
            best, *others = sorted(by_collection, key=lambda c: (*COLLECTIONS, c).index(c))
            rest = [final for other in others for final in by_collection[other]]
            path = candidates[rest[0]][0]
            return (
                f"{path}: expected collection {best} as for {len(by_collection[best])} other "
                f"granules of {product}, found only {collection(path)} for "
                f"{len(rest)} of its granules. Collections are not mixed: fetch these in {best}, "
                f"add them to modis.absent, or take those of {best} out of the folder."
            )
    return ""


def elevation_ending(folder: str) -> str:
    """Return .hgt or .tif: the form in which the folder has more elevation cells."""
    names = [os.path.basename(path).lower() for path in listing(folder)]
    hgt = {parts["cell"] for parts in map(HGT.fullmatch, names) if parts}
    tif = {_cell(parts) for parts in map(TIF.fullmatch, names) if parts}
    return ".tif" if len(tif) > len(hgt) else ".hgt"


def pieces(folder: str, year: str | int, depth: int, own: bool = False) -> list[str]:
    """Return the .nc files of one year and depth (lower end, cm) of SMCI's 1 km edition, sorted.

    They lie in folders named SMCI_1km_{year}_{depth}cm, are named so themselves, or lie in
    folders named SMCI_1km_{depth}cm with the year in their name or in a folder's below.
    """
    exact = re.compile(rf"smci_1km_{year}_{depth}cm(?![a-z0-9])")
    layer, root = f"smci_1km_{depth}cm", os.path.dirname(os.path.abspath(folder))
    chosen = []
    for path in listing(folder, own):
        if path.lower().endswith(".nc"):
            parts = os.path.relpath(path, root).lower().split(os.sep)
            below = parts[parts.index(layer) + 1 :] if layer in parts else []
            if any(map(exact.match, parts)) or any(str(year) in YEAR.findall(p) for p in below):
                chosen.append(path)
    return chosen


def station_files(path: str, own: bool = False) -> list[str]:
    """Return a zip (or any file) itself, or the files of a folder that may hold readings.

    What describes the readings is left out: readme files, ISMN's static variables and flags, and
    folders of metadata.
    """
    path = os.path.expanduser(path)
    if os.path.isfile(path):
        return [path]
    chosen = []
    for file in listing(path, own):
        *folders, name = os.path.relpath(file, path).lower().split(os.sep)
        about = ABOUT.search(name) or any("metadata" in part for part in folders)
        if name.endswith(READINGS) and not about:
            chosen.append(file)
    return chosen


HOW = {
    "modis": "Set sources.modis: earthdata to fetch the granules of {span}, or put them, under the "
    "names with which NASA delivers them,",
    "elevation": "Set sources.elevation: copernicus (no account) or srtm (Earthdata account) to "
    "fetch the cells, or put tiles named as N33E102.SRTMGL3.hgt.zip, N33E102.hgt or "
    "Copernicus_DSM_COG_30_N33_00_E102_00_DEM.tif",
    "soil": "Set sources.soil: soilgrids to fetch a window of SoilGrids 2.0, or put "
    "sand_0-5cm_mean.tif, silt_0-5cm_mean.tif and clay_0-5cm_mean.tif",
    "rain": "Set sources.rain: gsod to fetch the gauges' files of {span}, or put NOAA's files, "
    "named as YEAR/STATION.csv,",
    "smc": "Set sources.smc: zenodo to fetch the monthly maps of {span}, or put .tif files with "
    "the month (YYYYMM) in their names",
    "era5land": "Set sources.era5land: cds to fetch the months of {span} (free token), or put .nc "
    "files of reanalysis-era5-land-monthly-means, volumetric_soil_water_layer_1, named by year,",
    "smci": "SMCI 1.0 is given out after a form; no program can fetch it. Register at "
    "https://data.tpdc.ac.cn (free), open data set 49b22de9-5d85-44f2-a7d5-a1ccd17086d2 (doi "
    "10.11888/Terre.tpdc.272415) and apply for it. Of the daily 1 km edition (not 9 km), put "
    "{folders}, each with all its .nc files,",
    "insitu": "Station readings are given out after a form. ISMN: register at https://ismn.earth "
    "(free), choose the network (MAQU), {span} and the format header+values; set insitu.format: "
    "ismn. Tibet-Obs: 4TU.ResearchData (doi 10.4121/12763700, unverified; the paper, doi "
    "10.5194/essd-13-3075-2021, names the right one) or TPDC (doi 10.11888/Soil.tpdc.270028); set "
    "insitu.format: table and insitu.table. Put the zip or the tables",
}


def how_to_get(source: str, years: list, depth: int, folder: str) -> str:
    """Return where a source is to be had, which files to take, and where they go.

    `years` are those of the study, `depth` the lower end (cm) of SMCI's layer, `folder` what the
    config has under `sources`.
    """
    span = _span(years)
    folders = f"the folders SMCI_1km_YEAR_{depth}cm of {span}"
    text = HOW[source].format(span=span, folders=folders)
    return f"{text} anywhere below {folder} (in any layout; nothing there is changed)."


def _modis(files: list[str], needed: list[str]) -> Iterator[tuple[str, str]]:
    finals = {tuple(os.path.splitext(f)[0].lower().split("/")[-3:]): f for f in needed}
    for path in files:
        parts = GRANULE.fullmatch(os.path.basename(path).lower())
        if parts and 1 <= int(parts["day"]) <= 366:
            day = date(int(parts["year"]), 1, 1) + timedelta(int(parts["day"]) - 1)
            key = parts["product"], day.isoformat(), parts["tile"]
            if key in finals and day.year == int(parts["year"]):
                yield finals[key], path


def _elevation(files: list[str], needed: list[str]) -> Iterator[tuple[str, str]]:
    finals = {os.path.basename(final).lower(): final for final in needed}
    for path in files:
        name = os.path.basename(path).lower()
        hgt, tif = HGT.fullmatch(name), TIF.fullmatch(name)
        key = f"{hgt['cell']}.hgt" if hgt else f"{_cell(tif)}.tif" if tif else ""
        if key in finals:
            yield finals[key], path


def _cell(parts: re.Match) -> str:
    return parts["cell"] or parts["lat"] + parts["lon"]


def _soil(files: list[str], needed: list[str]) -> Iterator[tuple[str, str]]:
    finals = {os.path.basename(final).split("_")[0]: final for final in needed}
    for path in files:
        stem, ending = os.path.splitext(os.path.basename(path).lower())
        parts = {match["part"] for match in SOIL.finditer(stem)}
        if ending in (".tif", ".tiff") and len(parts) == 1 and TOP.search(stem) and "mean" in stem:
            for part in parts & set(finals):
                yield finals[part], path


def _rain(files: list[str], needed: list[str]) -> Iterator[tuple[str, str]]:
    finals = {(Path(f).parent.name, _folded(Path(f).stem)): f for f in needed}
    stations = {station for _, station in finals}
    for path in files:
        folder, name = os.path.split(path)
        stem, ending = os.path.splitext(name)
        stem = _folded(stem)
        if ending.lower() != ".csv":
            continue
        if stem in stations:
            year = os.path.basename(folder)
            if not re.fullmatch(r"(19|20)\d{2}", year):
                year = _first_year(path)
            if (year, stem) in finals:
                yield finals[year, stem], path
            continue
        # Whole words, the longest: a file of station 12 or 1_a is none of station 1.
        keys, words = [], list(WORD.finditer(stem))
        for first, last in combinations_with_replacement(words, 2):
            station = stem[first.start() : last.end()]
            if station in stations:
                others = stem[: first.start()] + " " + stem[last.end() :]
                keys += [(year, station) for year in set(YEAR.findall(others))]
        for key in keys:
            if key in finals and len(key[1]) == max(len(station) for _, station in keys):
                yield finals[key], path


def _folded(text: str) -> str:
    """Return a name as it compares: macOS stores letters and their accents apart."""
    return unicodedata.normalize("NFC", text).lower()


def _first_year(path: str) -> str:
    """Return the year of the first day in a table, "" if it has none or cannot be read."""
    try:
        with open(path, newline="", encoding="utf-8-sig", errors="replace") as lines:
            rows = csv.reader(lines)
            next(rows, None)
            text = " ".join(next(rows, []))
    except (OSError, csv.Error):
        return ""
    day = re.search(r"(?<!\d)((?:19|20)\d{2})-\d{2}-\d{2}(?!\d)", text)
    return day[1] if day else ""


def _smc(files: list[str], needed: list[str]) -> Iterator[tuple[str, str]]:
    finals = {"".join(MONTH.search(Path(final).stem).groups()): final for final in needed}
    for path in files:
        stem, ending = os.path.splitext(os.path.basename(path))
        month = MONTH.search(stem)
        if month and ending.lower() in (".tif", ".tiff") and "".join(month.groups()) in finals:
            yield finals["".join(month.groups())], path


def _era5land(files: list[str], needed: list[str]) -> Iterator[tuple[str, str]]:
    files = [path for path in files if path.lower().endswith((".nc", ".zip"))]
    for path in files:
        years = [int(y) for y in YEAR.findall(os.path.splitext(os.path.basename(path))[0])]
        for final in needed:
            year = int(Path(final).stem)
            # Two years are the ends of a range; more are a list.
            within = len(years) == 2 and years[0] <= year <= years[1]
            if within or year in years or (len(files) == 1 and not years):
                yield final, path


MATCHES = {
    "modis": _modis,
    "elevation": _elevation,
    "soil": _soil,
    "rain": _rain,
    "smc": _smc,
    "era5land": _era5land,
}


def _span(years: list) -> str:
    """Return years as people write them: 2009-2012, 2015."""
    numbered = enumerate(sorted(map(int, years)))
    runs = [[y for _, y in run] for _, run in groupby(numbered, lambda pair: pair[1] - pair[0])]
    return ", ".join(f"{r[0]}-{r[-1]}" if len(r) > 1 else f"{r[0]}" for r in runs)
