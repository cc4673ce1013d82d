"""Fetch elevations, one file for each degree of latitude and longitude (S10).

Two roads: `srtm` (SRTMGL3, void-filled by NASA, 3 arc-seconds, Earthdata account), unpacked to
.hgt, and `copernicus` (GLO-90, the same spacing, no account), GeoTIFFs as they are. SRTM saw the
ground of February 2000 above the geoid EGM96, Copernicus tops of vegetation of 2011-2015 above
EGM2008: an area takes all its cells from one of them.
"""

import json
import re
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import numpy as np
import rasterio
import requests
from rasterio.errors import RasterioError

import _archive
import _earthdata
import _zip
from _download import (
    Refused,
    Service,
    Wanted,
    check_room,
    digest,
    fetch_all,
    host,
    looks_like_page,
    record_of,
)
from _log import UserError, log, log_to
from _whole import whole

PRODUCT, VERSION = "SRTMGL3", "003"
SIDE = 1201  # samples along a degree in an .hgt file; neighbours share their border
SIZE = 2 * SIDE**2  # bytes
VOID = -32768
PLAUSIBLE = -500, 9000  # m
KIND = "1 band of float32 in EPSG:4326"
AGAIN = "Run the same command again; if it stays so, set sources.elevation to the other road."


def absent(service: str, cells: list[str], why: str) -> UserError:
    """Return the error that names cells which do not exist, with the lines for the config."""
    lines = "".join(f"\n    - {cell}" for cell in cells)
    return UserError(
        f"{service}: expected elevation of every one-degree cell, found none of "
        f"{', '.join(cells)}. {why} If they are sea, say so in the config (only the lines with a "
        f"dash if they have company there):\nterrain:\n  absent:{lines}"
    )


def _not_kept(want: Wanted, part: Path, error: UserError | str) -> UserError:
    # The mend in `error` is for a file that lies there; this one is gone.
    why = str(error).removeprefix(f"{part}: ").partition(". ")[0]
    return UserError(f"{want.address}: {why}. The file was not kept. {AGAIN}")


# --- SRTM ---


def zip_of(cell: str) -> str:
    """Return the name under which NASA delivers a cell."""
    return f"{cell}.{PRODUCT}.hgt.zip"


def srtm(cells, store, cmr, earthdata, parallel, tries, timeout) -> None:
    """Bring the zips of `cells` into the store; the catalogue is asked for what it lacks."""
    missing = [cell for cell in cells if not record_of(store / zip_of(cell))]
    if not missing:
        return
    names = [f"{cell}.{PRODUCT}.*" for cell in missing]
    listed = {
        file.name: file for file in _earthdata.search(cmr, PRODUCT, VERSION, names, tries, timeout)
    }
    lacking = [cell for cell in missing if zip_of(cell) not in listed]
    if lacking:
        beyond = "SRTM ends at 60 degrees north and 56 south; farther, take `copernicus`."
        raise absent(host(cmr), lacking, beyond)
    files = [listed[zip_of(cell)] for cell in missing]
    if not all(file.size for file in files):
        check_room(store, sum(file.about or 0 for file in files), "elevation")
    service = _earthdata.service(earthdata, f"The catalogue lists it. {AGAIN}")

    def check(part: Path, want: Wanted) -> None:
        try:
            with TemporaryDirectory() as folder:
                unpacked(part, want.path.name.split(".")[0], Path(folder) / "heights")
        except UserError as error:
            raise _not_kept(want, part, error) from None

    fetch_all(
        [file.wanted(store) for file in files],
        "elevation",
        _earthdata.session(earthdata),
        service,
        check,
        parallel,
        tries,
        timeout,
    )


def unpacked(archive: Path, cell: str, target: Path) -> None:
    """Write the heights in a delivered zip to `target` after comparing them with a cell's."""
    members = [name for name in _zip.names(archive) if name.lower() == f"{cell.lower()}.hgt"]
    if not members:
        there = ", ".join(_zip.names(archive)[:5]) or "nothing"
        raise UserError(f"{archive}: expected {cell}.hgt in it, found {there}. {AGAIN}")
    _zip.extract(archive, members[0], target, SIZE)
    check_heights(target.read_bytes(), archive)


def check_heights(content: bytes, path: Path) -> None:
    """Raise UserError unless `content` is 1201 x 1201 big-endian heights (m) of this planet."""
    if len(content) != SIZE:
        raise UserError(
            f"{path}: expected {SIZE} bytes of heights ({SIDE} x {SIDE} samples), found "
            f"{len(content)}. {AGAIN}"
        )
    samples = np.frombuffer(content, ">i2")
    known = samples[samples != VOID]
    low, high = PLAUSIBLE
    if not known.size or known.min() < low or known.max() > high:
        found = f"{known.min()} to {known.max()}" if known.size else "only voids"
        raise UserError(
            f"{path}: expected heights of {low} to {high} m in big-endian integers, found "
            f"{found}. {AGAIN}"
        )


def unpack(archive: Path, cell: str, final: Path) -> None:
    """Let `final` be the heights in a zip of the store, read-only, its record beside it."""
    source = record_of(archive)
    with whole(str(final)) as part:
        unpacked(archive, cell, part)
        part.chmod(0o444)
        record = {
            "address": source["address"],
            "delivered": archive.name,
            "bytes": part.stat().st_size,
            "sha256": digest(part),
            "fetched": source["fetched"],
            "simulated": False,
        }
        with whole(str(final.with_suffix(".json"))) as beside:
            beside.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


# --- Copernicus ---


def tif_of(cell: str) -> str:
    """Return the name of a cell (N33E102) in the bucket; COG_30 is the 90 m edition."""
    return f"Copernicus_DSM_COG_30_{cell[:3]}_00_{cell[3:]}_00_DEM.tif"


def copernicus_dem(cells, store, copernicus, parallel, tries, timeout) -> None:
    """Bring the GeoTIFFs of `cells` into the store."""
    files = {
        cell: Wanted(
            f"{copernicus.rstrip('/')}/{tif_of(cell).removesuffix('.tif')}/{tif_of(cell)}",
            store / tif_of(cell),
        )
        for cell in cells
    }
    service = Service(
        name="Copernicus DEM",
        account="It asks for no log-in: look at addresses.copernicus in the config.",
        licence="It asks for no log-in: look at addresses.copernicus in the config.",
        absent="If it is sea, add the cell to terrain.absent in the config.",
    )
    lacking: set[str] = set()

    def note(answer: requests.Response, **ignored) -> None:
        if answer.status_code in (404, 410):
            lacking.add(urlsplit(answer.url).path.rsplit("/", 1)[-1])

    session = requests.Session()
    session.hooks["response"].append(note)
    try:
        fetch_all(
            list(files.values()), "elevation", session, service, check_tif, parallel, tries, timeout
        )
    except Refused:
        raise
    except UserError:
        nowhere = sorted(cell for cell in files if tif_of(cell) in lacking)
        if nowhere:
            why = "Copernicus has no cells without land; if there is land, take `srtm`."
            raise absent(host(copernicus), nowhere, why) from None
        raise


def check_tif(part: Path, want: Wanted) -> None:
    """Open a GeoTIFF under its temporary name, read it whole, compare it with its name's cell."""
    cell = "".join(re.search(r"_([NS]\d\d)_00_([EW]\d{3})_00_", want.path.name).groups())
    lat, lon = corner(cell)
    try:
        with rasterio.open(part, driver="GTiff") as file:
            heights = file.read(1)
            kind = f"{file.count} band of {file.dtypes[0]} in {file.crs}"
            box, pixels = file.bounds, file.res
    except RasterioError:
        page = looks_like_page(part)
        found = "a web page" if page else f"{part.stat().st_size} bytes that cannot be read"
        raise _not_kept(want, part, f"expected a whole GeoTIFF, found {found}") from None
    known = heights[np.isfinite(heights)]
    lowest, highest = (known.min(), known.max()) if known.size else (np.nan, np.nan)
    # The edges are half a pixel off the degree, because the samples lie on it.
    off = np.abs(np.subtract(box, (lon, lat, lon + 1, lat + 1))) / (pixels * 2)
    edges = ", ".join(f"{edge:.4f}" for edge in box)
    low, high = PLAUSIBLE
    for good, expected, found in [
        (kind == KIND, KIND, kind),
        (off.max() < 1, f"a cell from {lon}, {lat} to {lon + 1}, {lat + 1}", f"one of {edges}"),
        (lowest >= low and highest <= high, f"{low} to {high} m", f"{lowest:g} to {highest:g}"),
    ]:
        if not good:
            raise _not_kept(want, part, f"expected {expected}, found {found}")


def corner(cell: str) -> tuple[int, int]:
    """Return latitude and longitude (degrees) of the south-west corner of a cell (N33E102)."""
    lat, lon = int(cell[1:3]), int(cell[4:7])
    return -lat if cell[0] == "S" else lat, -lon if cell[3] == "W" else lon


def main(elevation, road, store, cmr, earthdata, copernicus, parallel, tries, timeout):
    store = Path(store)
    finals = {Path(path).stem: Path(path) for path in elevation}
    store.mkdir(parents=True, exist_ok=True)
    if road == "srtm":
        srtm(finals, store, cmr, earthdata, parallel, tries, timeout)
        for cell, final in finals.items():
            unpack(store / zip_of(cell), cell, final)
    else:
        copernicus_dem(finals, store, copernicus, parallel, tries, timeout)
        for cell, final in finals.items():
            record = record_of(store / tif_of(cell))
            _archive.link(store / tif_of(cell), final, {**record, "simulated": False})
    log.info("%d cells of elevation from %s", len(finals), road)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        elevation=snakemake.output.elevation,
        road=snakemake.params.road,
        store=snakemake.params.store,
        cmr=snakemake.resources.cmr,
        earthdata=snakemake.resources.earthdata,
        copernicus=snakemake.resources.copernicus,
        parallel=snakemake.resources.parallel,
        tries=snakemake.resources.tries,
        timeout=snakemake.resources.timeout,
    )
