"""What the archive is made of: who delivers each part, under which account, and how large it is.

Standard library only: the Snakefile imports it at every start. Sizes are approximate and known
beforehand, so that a total can be said before anything is fetched.
"""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from datetime import date
from functools import cache
from math import cos, radians
from netrc import NetrcParseError, netrc
from pathlib import Path

from _log import human

OPTIONAL = ("insitu", "smci", "smc")  # a study has one of the first two, or both
EARTHDATA = "urs.earthdata.nasa.gov"


@dataclass(frozen=True)
class Part:
    """One part of the archive, as Table 1 lists it (T1)."""

    title: str
    services: dict[str, str]  # keyword of the config: what it is
    form: str = ""  # where to ask for it, if no service gives it to a program


SOURCES = {
    "modis": Part(
        "MODIS NDVI, LST, ET, albedo",
        {"earthdata": "whole granules", "appeears": "layers clipped to the area"},
    ),
    "elevation": Part("elevation", {"srtm": "SRTMGL3", "copernicus": "Copernicus GLO-90"}),
    "soil": Part("soil texture", {"soilgrids": "SoilGrids 2.0"}),
    "rain": Part("rain gauges", {"gsod": "NOAA GSOD"}),
    "insitu": Part("station soil moisture", {}, "ismn.earth, or Tibet-Obs"),
    "smci": Part("SMCI 1.0", {}, "data.tpdc.ac.cn"),
    "smc": Part("SMC", {"zenodo": "Zenodo"}),
    "era5land": Part("ERA5-Land", {"cds": "Climate Data Store"}),
}

# (variable, product, collection, layer, native grid, every): the rows of Table 1.
TABLE_1 = {
    "ndvi": ("MOD13Q1", "061", "250m 16 days NDVI", "250 m sinusoidal", "16 days"),
    "lst": ("MOD11A2", "061", "LST_Day_1km", "1 km sinusoidal", "8 days"),
    "et": ("MOD16A2GF", "061", "ET_500m", "500 m sinusoidal", "8 days"),
    "albedo": ("MCD43A3", "061", "Albedo_WSA_shortwave", "500 m sinusoidal", "daily"),
    "elevation": ("elevation", "", "height", "3 arc-seconds", "once"),
    "soil": ("SoilGrids", "2.0", "sand, silt, clay 0-5 cm", "250 m homolosine", "once"),
    "rain": ("GSOD", "", "PRCP", "gauges", "daily"),
    "insitu": ("station soil moisture", "", "soil moisture", "stations", "sub-daily"),
    "smci": ("SMCI", "1.0", "SMCI", "30 arc-seconds", "daily"),
    "smc": ("SMC", "", "soil moisture", "0.05 degree", "monthly"),
    "era5land": ("ERA5-Land", "", "swvl1", "0.1 degree", "monthly"),
}

MB = 1_000_000
# Bytes of a whole granule over vegetated land.
GRANULE = {"MOD13Q1": 232 * MB, "MOD11A2": 7 * MB, "MOD16A2GF": 15 * MB, "MCD43A3": 70 * MB}
# What AppEEARS sends of a layer set: bytes of a cell before compression, cell edge (m), composites
# of a year's season of six months.
CLIP = {
    "ndvi": (5, 231.66, 13),
    "lst": (3, 926.6, 24),
    "et": (3, 463.3, 24),
    "albedo": (3, 463.3, 23),
}
FILE = {".hgt": int(2.9 * MB), ".tif": 5 * MB, "gsod": 60_000, "smc": MB, "era5land": MB}


def road(source: str, value: str) -> str | None:
    """Return how a source is reached: a service's keyword, "raw", "folder" or, where the study
    does without it, "none"; None if unclear.
    """
    if value == "raw" or value in SOURCES[source].services:
        return value
    if value == "none" and source in OPTIONAL:
        return value
    looks_like_a_path = any(sign in value for sign in "/\\.~ ")
    return "folder" if looks_like_a_path or Path(value).exists() else None


def unknown(source: str, value: str) -> str:
    """Return the message for a value of `sources` that is neither a service nor a folder."""
    known = [*SOURCES[source].services, "raw", *(["none"] if source in OPTIONAL else [])]
    return (
        f"sources.{source}: expected {', '.join(known)} or a folder, found {value!r}. A folder "
        "that does not exist yet is written with a slash, as in ./archive."
    )


def mend(source: str, path: str) -> str:
    """Return what to do about a file in resources/raw that nothing fetches."""
    if source == "modis":
        name = path.removeprefix("resources/raw/modis/").removesuffix(".hdf")
        return (
            "Put it there, or let it be fetched (sources.modis: earthdata); if the archive truly "
            f"lacks it, add {name} to modis.absent in the config."
        )
    services = SOURCES[source].services
    ways = f"let it be fetched (sources.{source}: {next(iter(services))}), " if services else ""
    form = SOURCES[source].form
    ways += f"get it from {form}, " if form else ""
    absent = ""
    if source == "elevation":
        absent = f" If the cell is sea, add {Path(path).stem} to terrain.absent."
    if source == "rain":
        name = f"{Path(path).stem}/{Path(path).parent.name}"
        absent = f" If the gauge was silent that year, add {name} to rain.absent."
    return f"Put it there, {ways}or name a folder that has it in sources.{source}.{absent}"


def account(keyword: str) -> str:
    """Return the account that a service asks for, and where it is made; "" for none."""
    if keyword in ("earthdata", "appeears", "srtm"):
        return f"Earthdata Login, https://{EARTHDATA}"
    if keyword == "cds":
        return "Climate Data Store, https://cds.climate.copernicus.eu"
    return ""


def credentials(keyword: str) -> str | None:
    """Return where credentials for a service were found, never what they are; None if nowhere."""
    if keyword in ("earthdata", "srtm") and os.environ.get("EARTHDATA_TOKEN"):
        return "EARTHDATA_TOKEN"
    if keyword in ("earthdata", "appeears", "srtm"):
        if os.environ.get("EARTHDATA_USERNAME") and os.environ.get("EARTHDATA_PASSWORD"):
            return "EARTHDATA_USERNAME and EARTHDATA_PASSWORD"
        file = Path(os.environ.get("NETRC") or Path.home() / ".netrc")
        try:
            login, _, password = netrc(file).authenticators(EARTHDATA) or ("", "", "")
        except (OSError, NetrcParseError):
            return None
        return str(file) if login and password else None
    if keyword == "cds":
        if os.environ.get("CDSAPI_KEY"):
            return "CDSAPI_KEY"
        file = Path(os.environ.get("CDSAPI_RC") or Path.home() / ".cdsapirc")
        return str(file) if file.is_file() else None
    return None


def about(source: str, path: str, box: list[float]) -> int:
    """Return the approximate size in bytes of a file of resources/raw."""
    if source == "modis" and "/appeears/" in path:
        size, edge, composites = CLIP[Path(path).parent.name]
        return int(area(box) / edge**2 * size * composites * 1.5)
    if source == "modis":
        return GRANULE[Path(path).parent.parent.name]
    if source == "soil":
        return int(area(box) / 250**2 * 2)
    if source == "rain":
        return FILE["gsod"]
    return FILE.get(source) or FILE.get(Path(path).suffix, 0)


def area(box: list[float]) -> float:
    """Return the area (m2) of a box in degrees, on a sphere."""
    west, south, east, north = box
    degree = 111_195.0
    return (east - west) * cos(radians((north + south) / 2)) * (north - south) * degree**2


FETCHERS = {
    "fetch_modis": "modis",
    "fetch_appeears": "modis",
    "fetch_elevation": "elevation",
    "fetch_soil": "soil",
    "fetch_rain": "rain",
    "fetch_smc": "smc",
    "fetch_era5land": "era5land",
}


def fetched_by(rule: str) -> str | None:
    """Return the source that a rule fetches, None if it fetches nothing."""
    return next((source for name, source in FETCHERS.items() if rule.startswith(name)), None)


@cache
def stored(store: str) -> list[str]:
    """Return the names of the whole files in the store, lower case, with their folders."""
    return sorted(
        str(path.relative_to(store)).lower()
        for path in Path(store).rglob("[!.]*")
        if path.with_name(f"{path.name}.json").is_file()
    )


def held(source: str, path: str, store: str = "resources/store") -> bool:
    """Return whether the store already has a file of resources/raw, though it is not linked."""
    path = Path(path)
    if source == "modis" and path.suffix == ".hdf":
        day = date.fromisoformat(path.parent.name)
        pattern = rf"modis/{path.parent.parent.name}\.A{day:%Y%j}\.{path.stem}\..*"
    elif source == "elevation":
        lat, lon = path.stem[:3], path.stem[3:]
        pattern = rf".*({path.stem}|{lat}_00_{lon}_00).*"
    elif source == "rain":
        pattern = rf"gsod/{path.parent.name}/{path.name}"
    else:
        return False
    return any(re.fullmatch(pattern, name, re.IGNORECASE) for name in stored(store))


def announcement(
    jobs: list[list[tuple[str, str]]], box: list[float], keep: bool
) -> tuple[str, int]:
    """Return what a run is going to fetch, in words, and the bytes of disk that it needs.

    `jobs` are the (source, path) of each job. Granules that are not kept are there two product
    years at a time: one that is fetched while the one before is composited, and one waiting.
    """
    sizes = [[(source, about(source, path, box)) for source, path in job] for job in jobs]
    by_source: dict[str, list[int]] = {}
    for job in sizes:
        for source, size in job:
            by_source.setdefault(source, []).append(size)
    total = sum(map(sum, by_source.values()))
    if not by_source:
        return "", 0
    parts = ", ".join(
        f"{SOURCES[source].title} {len(found)} files {human(sum(found))}"
        for source, found in by_source.items()
    )
    count = sum(map(len, by_source.values()))
    text = f"To fetch: {count} files, about {human(total)} ({parts}).\n"
    if keep or "modis" not in by_source:
        return text, total
    largest = max(sum(size for source, size in job if source == "modis") for job in sizes)
    needed = min(total, total - sum(by_source["modis"]) + 3 * largest)
    return f"{text}Granules are deleted once composited: about {human(needed)} of disk.\n", needed


def no_room(needed: int, folder: Path) -> str:
    """Return what to say if `folder`'s disk has less free than `needed` bytes, else ""."""
    free = shutil.disk_usage(folder).free
    if needed <= free:
        return ""
    return (
        f"{folder}: expected about {human(needed)} free for what this run fetches, found "
        f"{human(free)}. Make room, run in a folder on a larger disk (--directory), set "
        "downloads.keep_raw: false, or take sources.modis: appeears (clipped to the area)."
    )
