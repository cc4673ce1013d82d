# What all rules share: the checked config and the lists that follow from it. No rules here.
import csv
import hashlib
import json
import math
import os
import re
import subprocess
import sys
from functools import partial
from types import SimpleNamespace
from itertools import product as pairs

from snakemake.exceptions import WorkflowError

ROOT = Path(str(workflow.current_basedir)).parents[1]
SCRIPTS = ROOT / "workflow" / "scripts"
sys.path.insert(0, str(SCRIPTS))

import _calendar
import _clock
import _config
import _folder
import _lock
import _predictors
import _season
import _sources
from _log import UserError

SCHEMA = ROOT / "workflow" / "schemas" / "config.schema.yaml"
try:
    GIVEN, config = config, _config.checked(config, SCHEMA)
    # The paper's sampling, search and forest run beside another method as the baseline.
    STUDIES = {"": config}
    if config["method"] != "paper":
        STUDIES["_paper"] = _config.checked({**GIVEN, "method": "paper"}, SCHEMA)
except _config.ConfigError as error:
    raise WorkflowError(str(error))


def lib(*modules):
    """Return a hash of shared modules, because Snakemake does not watch imports."""
    code = b"".join((SCRIPTS / f"{name}.py").read_bytes() for name in sorted(modules))
    return hashlib.sha256(code).hexdigest()[:8]


def stations(path):
    """Return the ids in the first column of a station table of the config."""
    table = Path(_config.located(path, ROOT))
    if not table.exists():
        raise WorkflowError(
            f"{path}: expected a table of stations (config/README.md, rain.gauges and "
            f"insitu.sites), found no file in {Path.cwd()} nor in {ROOT}."
        )
    with open(table, newline="", encoding="utf-8-sig") as lines:
        ids = [row[0] for row in csv.reader(lines) if any(row)][1:]
    wrong = sorted({name for name in ids if not re.fullmatch(r"[\w.-]+", name)})
    twice = sorted({name for name in ids if ids.count(name) > 1})
    if not ids or wrong or twice:
        found = f"{wrong} as an id" if wrong else f"{twice} twice" if twice else "none"
        raise WorkflowError(
            f"{path}: expected stations with ids of their own in the first column, of letters, "
            f"digits, dot, dash and underscore (their files are named so), found {found}."
        )
    return ids


# A study of a ready table starts at the model stage: see `table` in config/README.md.
TABLE = config["table"]
SIMULATED = config["archive"] == "simulated" and not TABLE
SEASON = [f"{month:02d}" for month in config["months"]]
YEARS = [str(year) for year in config["years"]]
MONTHS = list(TABLE["maps"]) if TABLE else [f"{y}-{m}" for y, m in pairs(YEARS, SEASON)]
TEST = [str(prefix) for prefix in config["split"]["test"]]
TEST_MONTHS = [month for month in MONTHS if month.startswith(tuple(TEST))]
TRAIN_MONTHS = [month for month in MONTHS if not month.startswith(tuple(TEST))]
TRAIN_YEARS = sorted({month[:4] for month in TRAIN_MONTHS})
YEAR_BEGINS = config["year_begins"]
# The years of annual means: those that lie wholly in the study.
ANNUAL = [] if TABLE else _season.seasons(MONTHS, config["months"], YEAR_BEGINS)
if not TABLE and not ANNUAL:
    raise WorkflowError(
        f"year_begins: expected a year from month {YEAR_BEGINS} on that has all of months "
        f"{config['months']} in years {config['years']}, found none. Add a year, or begin in 1."
    )
YEAR = str(config["report"]["year"] or max(ANNUAL or YEARS))
if YEAR not in (ANNUAL or YEARS):
    raise WorkflowError(
        f"report.year: expected one of {', '.join(ANNUAL or YEARS)}, found {YEAR}."
    )
MONTHS_SHOWN = sorted(
    month
    for month in MONTHS
    if not TABLE and _season.season_of(month, YEAR_BEGINS) == YEAR
)
PREDICTORS = TABLE["predictors"] if TABLE else config["predictors"]
POSITION = sorted(filter(_predictors.radius, PREDICTORS), key=_predictors.radius)
TERRAIN = [n for n in ("slope", "aspect", "northness", "eastness") if n in PREDICTORS]
RESIDUALS = config["maps"]["residuals"]
LAYERS = {
    name: config["layers"][name] for name in PREDICTORS if name in config["layers"]
}
SCREEN = ["LST", "albedo"]  # what the screen of the samples and maps reads (S17)

AREA = dict(
    box=config["area"]["box"],
    polygon=_config.located(config["area"]["polygon"], ROOT),
)
if AREA["polygon"] and not Path(AREA["polygon"]).exists():
    raise WorkflowError(
        f"area.polygon: expected a vector file, found no {config['area']['polygon']} in "
        f"{Path.cwd()} nor in {ROOT}. Correct the path; null maps the whole box."
    )
# Where distances are measured: a ready table brings its own coordinates.
METRES = "" if TABLE else config["terrain"]["crs"]
GAUGES = [] if TABLE else stations(config["rain"]["gauges"])
RAIN = config["rain"]["method"]
CLIMATOLOGY = []
if config["rain"]["climatology"] and not TABLE:
    CLIMATOLOGY = [
        _config.located(config["rain"]["climatology"].replace("{month}", month), ROOT)
        for month in SEASON
    ]
    absent = [path for path in CLIMATOLOGY if not Path(path).exists()]
    if absent:
        raise WorkflowError(
            "rain.climatology: expected a raster in mm/month for each month of the study, "
            f"found no {', '.join(absent)} in {Path.cwd()} nor in {ROOT}. Correct the path; "
            "{month} stands for 01 to 12."
        )
elif RAIN == "climatology" and not TABLE:
    raise WorkflowError(
        "rain.method: climatology needs rain.climatology, a path with {month} in it, found none."
    )
# A study does with stations, with SMCI, or with both; SMC is a predictor that may be left out.
STATIONS, SMCI, SMC = (
    not TABLE and config["sources"][name] != "none"
    for name in ("insitu", "smci", "smc")
)
TARGETS = [name for name, has in (("insitu", STATIONS), ("smci", SMCI)) if has] or [
    "table"
]
RESIDUAL_SOURCES = [
    name for name in config["maps"]["residual_sources"] if name in TARGETS
] or TARGETS
COLLOCATION = "results/model/collocation.csv" if STATIONS and SMCI and SMC else []
SITES = stations(config["insitu"]["sites"]) if STATIONS else []
TILES = [] if TABLE else _calendar.tiles(*config["area"]["box"])
CELLS = [
    cell
    for cell in _config.degree_cells(AREA["box"])
    if cell not in config["terrain"]["absent"]
]

MODIS = {"ndvi": "MOD13Q1", "lst": "MOD11A2", "et": "MOD16A2GF", "albedo": "MCD43A3"}


def dates(variable, year, albedo_every=config["modis"]["albedo_every"]):
    """Return the first days of the composites that the months of `year` need."""
    rules_of_time = _calendar.calendar(
        variable, config["modis"]["assign"], albedo_every
    )
    needed = set()
    for month in SEASON:
        needed |= set(_calendar.composites(f"{year}-{month}", **rules_of_time))
    return sorted(needed)


def granules(variable, days):
    """Return the paths of the granules of `days`, without those that the archive lacks."""
    product = MODIS[variable]
    names = [f"{product}/{day}/{tile}" for day, tile in pairs(days, TILES)]
    absent = config["modis"]["absent"]
    return [f"resources/raw/modis/{name}.hdf" for name in names if name not in absent]


def start_days(variable, year):
    """Return the needed first days of composites that lie in `year`, for whichever month."""
    needed = {day for studied in YEARS for day in dates(variable, studied)}
    return sorted(day for day in needed if str(day.year) == year)


def start_years(variable):
    """Return the years in which the needed composites of a product start."""
    return sorted({str(day.year) for year in YEARS for day in dates(variable, year)})


def granules_starting_in(year, *variables):
    """Return every granule of some (or all) products whose first day lies in `year`."""
    return [
        path
        for variable in variables or MODIS
        for path in granules(variable, start_days(variable, year))
    ]


def learned(wildcards=None):
    """Return the predictors of the study, or of its baseline."""
    if TABLE:
        return PREDICTORS
    return STUDIES[getattr(wildcards, "variant", "")]["predictors"]


def sampled(wildcards=None):
    """Return the predictors that are sampled: those of the forest and those of the screen."""
    names = learned(wildcards)
    return [*names, *(name for name in SCREEN if name not in names)]


def monthly_layers():
    """Return the layers of the user's that change from month to month."""
    return [name for name, layer in LAYERS.items() if "{month}" in layer["path"]]


def files_of_layer(name):
    """Return the user's rasters of one layer, or say which is not there."""
    path = LAYERS[name]["path"]
    given = (
        [path.replace("{month}", month) for month in MONTHS]
        if name in monthly_layers()
        else [path]
    )
    files = [_config.located(one, ROOT) for one in given]
    absent = [one for one, file in zip(given, files) if not Path(file).exists()]
    if absent:
        more = f" and {len(absent) - 1} more" if len(absent) > 1 else ""
        raise WorkflowError(
            f"layers.{name}: expected a raster, found no {absent[0]}{more} in {Path.cwd()} nor in "
            f"{ROOT}. Correct the path; {{month}} stands for YYYY-MM."
        )
    return files


def predictor_rasters(months, names=None):
    """Return the rasters in which the predictors of `months` are found by band name."""
    if TABLE:
        return expand(TABLE["rasters"], month=months)
    names = [*(names or sampled()), *(["SMC"] if SMC else [])]
    folders = [folder for name, folder in _predictors.DYNAMIC.items() if name in names]
    folders += [f"layers/{name}" for name in monthly_layers() if name in names]
    still = ["results/interim/static.tif"]
    still += expand(
        "results/interim/layers/{layer}/all.tif",
        layer=[
            name for name in LAYERS if name in names and name not in monthly_layers()
        ],
    )
    if any(_predictors.radius(name) for name in names):
        still.append("results/interim/position.tif")
    return still + expand(
        "results/interim/{folder}/{month}.tif", folder=folders, month=months
    )


def rasters_of(wildcards):
    """Return the predictor rasters of all months, of the study or of its baseline."""
    return predictor_rasters(MONTHS, sampled(wildcards))


def smci_of(months):
    """Return the rasters of SMCI, none where the study does without it."""
    return expand("results/interim/smci/{month}.tif", month=months if SMCI else [])


def smc_of(months):
    """Return the rasters of SMC on the grid, none where the study does without it."""
    return expand("results/interim/smc/{month}.tif", month=months if SMC else [])


def samples_of(wildcards):
    """Return the table of samples of the study, or of its baseline; a ready table serves both."""
    return f"results/features/samples{'' if TABLE else wildcards.variant}.parquet"


def of_study(section, key):
    """Return a function of wildcards that gives a value of the config of study or baseline."""

    def value(wildcards):
        found = STUDIES[wildcards.variant][section][key]
        return json.dumps(found, sort_keys=True) if isinstance(found, dict) else found

    return value


def figures():
    """Return the figures of the page, in its order: the maps, the claims, all others."""
    model = ["fig06_correlation", "fig07_importance"]
    sites = ["fig03_scatter", "fig04_timeseries", "fig05_taylor"]
    if TABLE:
        return ["fig08_maps", "fig13_claims", "fig02_flowchart", *sites, *model]
    return [
        f"fig08b_months_{YEAR}",
        "fig13_claims",
        "fig01_study_area",
        "fig02_flowchart",
        *sites,
        *model,
        f"fig08_products_{YEAR}",
        "fig09_interannual",
        "fig10_annual_maps",
        "fig11_monthly_climatology",
        "fig12_trends",
    ]


# Relative, so that a study that is moved together with its code is not stale.
REPORT = Path(os.path.relpath(ROOT / "workflow" / "report"))


def figure(stem):
    """Return the picture of a figure, with its caption for Snakemake's own report."""
    caption = ROOT / "workflow" / "report" / f"{re.sub(r'_[0-9]{4}$', '', stem)}.rst"
    return report(
        f"results/report/{stem}.png", caption=str(caption), category="Figures"
    )


def table(path):
    """Return a table that Snakemake's own report shows."""
    return report(path, category="Tables")


# How files arrive and what they are compared with: another value leaves all results as they are.
ARRIVING = {"downloads", "lock"}


def given(wildcards):
    """Return the config that the jobs depend on, as JSON; a function, because it has braces."""
    plans = {key: GIVEN[key] for key in GIVEN if key not in {*ARRIVING, "title"}}
    return json.dumps(plans, sort_keys=True)


def settings(wildcards):
    """Return the config that the study reads, with its defaults, as JSON."""
    unread = (
        {"archive", "area", "insitu", "rain", "simulation", "sources"}
        if TABLE
        else set()
    )
    used = {key: config[key] for key in config if key not in unread | ARRIVING}
    return json.dumps(used, indent=1, sort_keys=True)


def title(wildcards):
    """Return the title of the study; a function, because it may have braces."""
    return config["title"]


def captions():
    """Return the captions of the page's figures that there are."""
    return sorted(str(path) for path in REPORT.glob("fig*.rst"))


def commit():
    """Return the commit of this code, "" if it is not under version control."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return ended.stdout.strip()


def targets():
    """Return what a plain `snakemake` makes."""
    made = ["results/report/index.html", "results/report/headline.txt"]
    made += ["results/maps/maps.qgs", "results/ro-crate-metadata.json"]
    if not TABLE:
        made += ["results/interim/rain.csv", "results/report/inputs.csv"]
        made += ["results/maps/collection.json", "results/maps/netcdf/qa4sm.nc"]
    if COLLOCATION:
        made.append(COLLOCATION)
    if SIMULATED:
        made += ["results/score/score.csv"]
    made += expand(
        "results/model/{table}.csv",
        table=["bars", "sites", "samples", "importance", "intervals", "errors"],
    )
    return made + expand(
        "results/maps/{kind}/{month}.tif",
        kind=["monthly", "lower", "upper", "di"],
        month=MONTHS,
    )


def millions():
    """Return the cells of the grid over the box, in millions, roughly."""
    if TABLE:
        return 1.0
    west, south, east, north = AREA["box"]
    cells_in_degree = 111_200 / config["grid"]["resolution"]
    narrow = math.cos(math.radians((south + north) / 2))
    return (east - west) * narrow * (north - south) * cells_in_degree**2 / 1e6


def growing(base, per_million):
    """Return a resource that grows with the area, and with each attempt of a job that failed."""

    def value(wildcards, attempt):
        return math.ceil((base + per_million * millions()) * attempt)

    return value


wildcard_constraints:
    year=r"\d{4}",
    month=r"\d{4}-\d{2}(-\d{2})?",
    calendar=r"\d{2}",
    variant="|_paper",
    variable="|".join(MODIS),
