"""A predictor that the user brings, on the grid of the maps: any CRS, one raster a month or one.

The nearest pixel for classes, between pixel centres for coarser rasters, and for finer ones the
mean of the pixels in a cell, so that nothing of them is skipped.
"""

from pathlib import Path

import numpy as np
import rasterio
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform
from rasterio.windows import Window

from _log import UserError, log, log_to
from _raster import Grid, bilinear, created, inside, lonlat, nearest, read

RIM = 2  # pixels around those that a strip of cells needs


def taken(path: str, longitude: np.ndarray, latitude: np.ndarray, how) -> np.ndarray:
    """Return the raster's first band at positions (degrees); `how` is `nearest` or `bilinear`."""
    source = Grid.of(path)
    x, y = transform("OGC:CRS84", source.crs, longitude.ravel(), latitude.ravel())
    rows, cols = source.positions(np.reshape(x, longitude.shape), np.reshape(y, longitude.shape))
    edges = []
    for place, size in ((rows, source.height), (cols, source.width)):
        here = place[np.isfinite(place)]
        if not here.size:
            return np.full(longitude.shape, np.nan)
        low, high = int(np.floor(here.min())) - RIM, int(np.ceil(here.max())) + RIM
        edges.append((min(max(low, 0), size), min(max(high, 0), size)))
    (top, bottom), (left, right) = edges
    if top >= bottom or left >= right:
        return np.full(longitude.shape, np.nan)
    part = read(path, window=Window(left, top, right - left, bottom - top))
    off = np.where(np.isfinite(rows), rows - top, -1), np.where(np.isfinite(cols), cols - left, -1)
    return how(part, *off)


def averaged(path: str, cells: Grid, window: Window) -> np.ndarray:
    """Return the mean of the raster's pixels in each cell of a window of the grid."""
    with (
        rasterio.open(path) as source,
        WarpedVRT(
            source,
            crs=cells.crs,
            transform=cells.transform,
            width=cells.width,
            height=cells.height,
            resampling=Resampling.average,
            dtype="float64",
            nodata=np.nan,
        ) as warped,
    ):
        return warped.read(1, window=window)


def check(path: str) -> None:
    """Refuse a raster without a place on earth or with several bands."""
    with rasterio.open(path) as source:
        if source.crs is None:
            raise UserError(
                f"{path}: expected a raster with a coordinate reference system, found none. "
                "Assign it: gdal_edit.py -a_srs EPSG:... FILE"
            )
        if source.count != 1:
            raise UserError(
                f"{path}: expected one band, found {source.count}. Write the band you mean into a "
                "file of its own: gdal_translate -b 1 IN OUT"
            )


def main(rasters, layers, grid, lonlat_file, name, unit, resampling):
    cells = Grid.of(grid)
    for path in rasters:
        check(path)
    how = {"nearest": nearest, "bilinear": bilinear}.get(resampling)
    for path, target_path in zip(rasters, layers, strict=True):
        area, present = 0, 0
        with created(target_path, cells, {name: unit}) as target:
            for window in cells.blocks():
                within = inside(grid, window)
                if how:
                    value = taken(path, *lonlat(lonlat_file, window), how)
                else:
                    value = averaged(path, cells, window)
                block = np.where(within, value, np.nan)
                target.write(block.astype("float32"), 1, window=window)
                area += int(within.sum())
                present += int(np.isfinite(block).sum())
            if not present:
                raise UserError(
                    f"{path}: expected values in the study area, found none. Does the raster cover "
                    "area.box, and is its CRS right?"
                )
        log.info("%s: %d of %d cells have a value", Path(path).name, present, area)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        rasters=snakemake.input.rasters,
        layers=snakemake.output.layers,
        grid=snakemake.input.grid,
        lonlat_file=snakemake.input.lonlat,
        name=snakemake.params.name,
        unit=snakemake.params.unit,
        resampling=snakemake.params.resampling,
    )
