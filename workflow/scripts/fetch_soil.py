"""Fetch the study's window of sand, silt and clay from SoilGrids 2.0 (S9).

SoilGrids is one mosaic of the world for each fraction, 0-5 cm mean, in g/kg, on 250 m cells of the
interrupted Goode homolosine: a VRT that names thousands of small tiles. The tiles under the area
are fetched whole and the window is cut from them as it is stored: nothing is warped, scaled or
filled. They are not read over the network by GDAL, which after a failed request takes a tile for
an empty one and delivers its cells as missing without an error.

The mosaic is updated in place under one address, so the record of each window keeps the day and the
version that the mosaic says it has, and the tiles go when the window is made.
"""

import re
import shutil
import time
from functools import partial
from pathlib import Path, PurePosixPath
from xml.etree import ElementTree

import numpy as np
import rasterio
import requests
from pyproj import Transformer
from rasterio.crs import CRS
from rasterio.errors import RasterioIOError
from rasterio.io import DatasetReader
from rasterio.windows import Window

import _archive
import _download
from _log import UserError, log, log_to, scrubbed
from _raster import Grid, created

STORE = Path("resources/store/soil")
FRACTIONS = ("sand", "silt", "clay")
# SoilGrids calls it EPSG:152160, a number that is not in EPSG and that PROJ does not know.
HOMOLOSINE = "+proj=igh +lon_0=0 +datum=WGS84 +units=m +no_defs"
CELL = 250.0  # m
NODATA = -32768
MARGIN = 8  # cells beyond the box: the nearest cell of a point on its edge, and some
EDGE = 401  # points along each side of the box: its sides are curves in the homolosine
DAY = 86_400  # s; tiles that an interrupted run left longer ago may be of another version
UNEQUAL = 0.02  # share of cells that may have a value in one fraction and none in another
LOOK = "Look whether addresses.soilgrids is where SoilGrids 2.0 lies now."
SERVICE = _download.Service("SoilGrids", account=LOOK, licence=LOOK, absent=LOOK)


def check_box(box: list[float]) -> None:
    """Stop unless a box is west, south, east, north in degrees and does not cross the dateline."""
    west, south, east, north = box
    if not (-180 <= west < east <= 180 and -90 <= south < north <= 90):
        raise UserError(
            f"area.box: expected west < east within -180 to 180 and south < north within -90 to "
            f"90 degrees, found {list(box)}. An area across the dateline has to be two studies."
        )


def window_of(grid: Grid, box: list[float], address: str) -> Window:
    """Return the window of `grid` (homolosine) that holds a box of degrees and MARGIN cells more.

    In rows of equal latitude the homolosine keeps the order of longitudes, also across its
    interruptions, so the sides of the box bound its inside. Clipped to the grid.
    """
    west, south, east, north = box
    # Just inside: a meridian on which the projection is cut belongs to one of its two sides.
    west, east = west + 1e-9, east - 1e-9
    along, up = np.linspace(west, east, EDGE), np.linspace(south, north, EDGE)
    lon = np.concatenate([along, along, np.full(EDGE, west), np.full(EDGE, east)])
    lat = np.concatenate([np.full(EDGE, south), np.full(EDGE, north), up, up])
    to_metres = Transformer.from_crs(4326, HOMOLOSINE, always_xy=True)
    rows, cols = grid.positions(*to_metres.transform(lon, lat))
    left, top = (max(0, int(np.floor(part.min())) - MARGIN) for part in (cols, rows))
    right = min(grid.width, int(np.ceil(cols.max())) + MARGIN)
    bottom = min(grid.height, int(np.ceil(rows.max())) + MARGIN)
    if right <= left or bottom <= top:
        raise UserError(
            f"area.box: expected a box within {address}, found {list(box)} outside of it. "
            "SoilGrids reaches from 56 S to 84 N."
        )
    return Window(left, top, right - left, bottom - top)


def check_cells(file: DatasetReader, address: str) -> None:
    """Stop unless a mosaic is on SoilGrids' cells; it may lack a CRS, see HOMOLOSINE."""
    t = file.transform
    goode = file.crs is None or file.crs.to_dict().get("proj") == "igh"
    square = np.allclose((t.a, t.b, t.d, t.e), (CELL, 0, 0, -CELL), rtol=0, atol=1e-6)
    kind = file.count, file.dtypes[0], file.nodata
    if not (goode and square and kind == (1, "int16", NODATA)):
        raise UserError(
            f"{address}: expected one band of int16 with nodata {NODATA} on {CELL:g} m cells of "
            f"the interrupted Goode homolosine, found {file.count} of {file.dtypes[0]} with nodata "
            f"{file.nodata} on cells of {t.a:g} x {-t.e:g} in {file.crs}. Set addresses.soilgrids "
            "to SoilGrids 2.0 or a copy of it."
        )


def check_file(part: Path, want: _download.Wanted) -> None:
    """Stop unless a file that arrived is a mosaic on SoilGrids' cells, or a tile that opens."""
    address = scrubbed(want.address)
    try:
        with rasterio.open(part) as file:
            if want.path.suffix == ".vrt":
                check_cells(file, address)
            else:
                file.read(1)
    except RasterioIOError:
        page = _download.looks_like_page(part)
        raise UserError(
            f"{address}: expected {want.path.name}, found "
            f"{'a web page (a log-in or an error)' if page else 'a damaged file'}. Open the "
            "address in a browser, or run the same command again later."
        ) from None


def tiles_under(mosaic: Path, window: Window) -> list[str]:
    """Return the tiles (paths beside the mosaic) that lie under a window of it."""
    names = set()
    right, bottom = window.col_off + window.width, window.row_off + window.height
    for _, element in ElementTree.iterparse(mosaic):
        if element.tag not in ("SimpleSource", "ComplexSource"):
            continue
        file, at = element.find("SourceFilename"), element.find("DstRect").attrib
        left, top, width, height = (float(at[key]) for key in ("xOff", "yOff", "xSize", "ySize"))
        name = PurePosixPath(file.text)
        if file.get("relativeToVRT") != "1" or name.is_absolute() or ".." in name.parts:
            raise UserError(
                f"{mosaic}: expected tiles beside the mosaic, found {name}. Set "
                "addresses.soilgrids to SoilGrids 2.0 or a copy of it."
            )
        if (
            left < right
            and left + width > window.col_off
            and top < bottom
            and top + height > window.row_off
        ):
            names.add(str(name))
        element.clear()
    return sorted(names)


def check_values(values: np.ndarray, address: str) -> None:
    """Stop if a window holds nothing or one number; log its median and how much is missing."""
    known = values[values != NODATA]
    if not known.size or known.min() == known.max():
        found = f"{known[0]} in every cell" if known.size else "no cell with a value"
        raise UserError(
            f"{address}: expected the soil of area.box, found {found}. Look whether "
            "area.box is on land; if it is, run the same command again later."
        )
    log.info(
        "%s: median %g g/kg, %.2f %% of %d cells missing",
        address,
        np.median(known),
        100 * (1 - known.size / values.size),
        values.size,
    )


def check_together(paths: list[Path], address: str) -> None:
    """Stop unless the fractions have one grid, one mask and a median sum of about 1000 g/kg."""
    mend = "Set addresses.soilgrids to SoilGrids 2.0 or a copy of it, or run again later."
    grids = {(grid.transform, grid.shape) for grid in map(Grid.of, paths)}
    if len(grids) > 1:
        raise UserError(
            f"{address}: expected sand, silt and clay on one grid, found {len(grids)} grids. {mend}"
        )
    total, count = 0, 0
    for path in paths:
        with rasterio.open(path) as file:
            values = file.read(1)
        total = total + np.where(values == NODATA, 0, values).astype("int32")
        count = count + (values != NODATA).astype("int8")
    unequal, known = (np.count_nonzero(part) for part in (count % len(paths), count))
    if unequal > UNEQUAL * known:
        raise UserError(
            f"{address}: expected cells with sand, silt and clay or with none of them, found "
            f"{unequal} of {known} with a part of them. {mend}"
        )
    sums = total[(count == len(paths)) & (total > 0)]
    median = float(np.median(sums)) if sums.size else np.nan
    if not 950 <= median <= 1050:
        raise UserError(
            f"{address}: expected a median of sand + silt + clay of 950 to 1050 g/kg, found "
            f"{median:g}. {mend}"
        )
    log.info("sand + silt + clay: median %g g/kg; %d cells have a part of them", median, unequal)


def cut(mosaic: Path, window: Window, part: Path, address: str) -> dict:
    """Cut a window out of a mosaic whose tiles are there; return the version the mosaic says.

    The GeoTIFF `part` is compared with what was read.
    """
    with rasterio.open(mosaic) as file:
        values, version = file.read(1, window=window), file.tags()
        corner = file.window_transform(window)
    check_values(values, address)
    grid = Grid(CRS.from_string(HOMOLOSINE), corner, window.width, window.height)
    with created(str(part), grid, {part.name.partition("_")[0]: "g/kg"}, "int16", NODATA) as target:
        target.write(values, 1)
    with rasterio.open(part) as file:
        same = np.array_equal(file.read(1), values)
    if not same:
        raise UserError(
            f"{part}: expected what was read from {mosaic}, found something else on the disk. Look "
            "whether it is full, and run the same command again."
        )
    return version


def arrived(base: str, names: list[str], box: list[float], aside: Path, **how) -> dict:
    """Fetch mosaics and their tiles under a box into `aside`; return {name: (mosaic, window)}."""
    mosaics = {name: aside / mosaic_of(name) for name in names}
    with requests.Session() as session:
        fetch = partial(
            _download.fetch_all, session=session, service=SERVICE, check=check_file, **how
        )
        fetch(
            [_download.Wanted(base + mosaic_of(name), path) for name, path in mosaics.items()],
            "soil, mosaics",
        )
        found, tiles = {}, []
        for name, mosaic in mosaics.items():
            window = window_of(Grid.of(mosaic), box, scrubbed(base + mosaic_of(name)))
            found[name] = mosaic, window
            tiles += [
                _download.Wanted(f"{base}{name}/{tile}", mosaic.parent / tile)
                for tile in tiles_under(mosaic, window)
            ]
        fetch(tiles, "soil, tiles under the area")
    return found


def mosaic_of(name: str) -> str:
    """Return where SoilGrids keeps the mosaic of a fraction, below its address."""
    return f"{name}/{name}_0-5cm_mean.vrt"


def main(sand, silt, clay, box, address, parallel, tries, timeout):
    check_box(box)
    base = f"{address.rstrip('/')}/"
    place = "_".join(str(float(edge)) for edge in box)
    paths = {name: STORE / f"{name}_0-5cm_mean_{place}.tif" for name in FRACTIONS}
    records = {name: _download.record_of(path) or {} for name, path in paths.items()}
    sources = {name: scrubbed(base + mosaic_of(name)) for name in FRACTIONS}
    missing = [name for name in FRACTIONS if records[name].get("address") != sources[name]]
    if missing:
        aside = STORE / re.sub(r"\W+", "_", scrubbed(base).partition("://")[2]).strip("_")
        if aside.exists() and time.time() - aside.stat().st_mtime > DAY:
            shutil.rmtree(aside)
        found = arrived(base, missing, box, aside, parallel=parallel, tries=tries, timeout=timeout)
        try:
            parts, versions = {name: aside / paths[name].name for name in missing}, {}
            for name, (mosaic, window) in found.items():
                versions[name] = cut(mosaic, window, parts[name], sources[name])
            check_together([*(paths | parts).values()], scrubbed(base))
            for name, (mosaic, window) in found.items():
                records[name] = _download.keep(
                    parts[name],
                    paths[name],
                    sources[name],
                    delivered=mosaic.name,
                    window=[window.col_off, window.row_off, window.width, window.height],
                    box=list(box),
                    version=versions[name],
                )
        finally:
            shutil.rmtree(aside)
    for name, final in zip(FRACTIONS, (sand, silt, clay), strict=True):
        _archive.link(paths[name], Path(final), records[name])


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        sand=snakemake.output.sand,
        silt=snakemake.output.silt,
        clay=snakemake.output.clay,
        box=snakemake.params.box,
        address=snakemake.resources.address,
        parallel=snakemake.resources.parallel,
        tries=snakemake.resources.tries,
        timeout=snakemake.resources.timeout,
    )
