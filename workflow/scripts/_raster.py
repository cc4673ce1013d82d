"""The grid as one value, and the one way in which rasters lie on disk.

Every raster is float32 with NaN as nodata unless said otherwise, tiled, compressed, with the
name and the unit of each band. Files appear under their final name only when they are whole.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import rasterio
import rasterio.shutil
from rasterio.crs import CRS
from rasterio.errors import RasterioIOError
from rasterio.transform import Affine
from rasterio.warp import transform
from rasterio.windows import Window

from _log import UserError
from _whole import whole

BLOCK = 512
# MB. GDAL keeps blocks in a twentieth of the machine's memory otherwise, so that a job that walks
# through a raster once would need gigabytes on a large server; a value of the user's is kept.
os.environ.setdefault("GDAL_CACHEMAX", "128")


@dataclass(frozen=True)
class Grid:
    """Where cells lie: `height` rows from north to south, `width` columns from west to east."""

    crs: CRS
    transform: Affine
    width: int
    height: int

    @classmethod
    def of(cls, path: str) -> Grid:
        """Return the grid of a raster file."""
        with rasterio.open(path) as source:
            return cls(source.crs, source.transform, source.width, source.height)

    @classmethod
    def shared(cls, first: str, *others: str) -> Grid:
        """Return the grid of a raster file, or raise UserError if another one has other cells."""
        cells = cls.of(first)
        for path in others:
            if cls.of(path) != cells:
                raise UserError(
                    f"{path}: expected the cells of {first}, found others. Delete it and run again."
                )
        return cells

    @property
    def shape(self) -> tuple[int, int]:
        return self.height, self.width

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """Left, right, bottom and top edge in CRS units."""
        t = self.transform
        return t.c, t.c + t.a * self.width, t.f + t.e * self.height, t.f

    def centres(self, window: Window | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return x and y (CRS units) of the cell centres, each shaped as the window."""
        window = window or Window(0, 0, self.width, self.height)
        rows = np.arange(window.row_off, window.row_off + window.height) + 0.5
        cols = np.arange(window.col_off, window.col_off + window.width) + 0.5
        cols, rows = np.meshgrid(cols, rows)
        t = self.transform
        return t.c + t.a * cols + t.b * rows, t.f + t.d * cols + t.e * rows

    def centres_in(self, crs: str, window: Window | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return x and y of the cell centres in another CRS, its own if "", as the window."""
        return in_crs(*self.centres(window), self.crs, crs)

    def positions(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return fractional row and column of points in the grid's CRS; cell 0 spans 0 to 1."""
        x, y, inverse = np.asarray(x), np.asarray(y), ~self.transform
        rows = inverse.d * x + inverse.e * y + inverse.f
        return rows, inverse.a * x + inverse.b * y + inverse.c

    def blocks(self, rows: int = BLOCK) -> Iterator[Window]:
        """Yield full-width strips of at most `rows` rows: what is held in memory at once."""
        for top in range(0, self.height, rows):
            yield Window(0, top, self.width, min(rows, self.height - top))


@contextmanager
def proven(path: str) -> Iterator[Path]:
    """Yield a temporary path of a GeoTIFF that becomes `path` once all its blocks can be read.

    On a disk that fills up GDAL may close a file without a word and leave one that ends early or
    lacks a block, which would be read as cells without data. Raises OSError then.
    """
    with whole(path) as part:
        yield part
        try:
            with rasterio.open(part) as written:
                for number in written.indexes:
                    for (row, col), window in written.block_windows(number):
                        place = f"BLOCK_OFFSET_{col}_{row}"
                        if written.get_tag_item(place, "TIFF", bidx=number) is None:
                            raise OSError(f"{path}: block {row}, {col} was not written")
                        written.read(number, window=window)
        except RasterioIOError as error:
            raise OSError(f"{path}: cannot be read after writing it ({error})") from error


@contextmanager
def created(
    path: str,
    grid: Grid,
    bands: dict[str, str],
    dtype: str = "float32",
    nodata: float | None = np.nan,
    **tags: str,
) -> Iterator[rasterio.io.DatasetWriter]:
    """Yield a raster open for writing; `bands` maps each band's name to its unit."""
    profile = dict(
        driver="GTiff",
        dtype=dtype,
        nodata=nodata,
        count=len(bands),
        crs=grid.crs,
        transform=grid.transform,
        width=grid.width,
        height=grid.height,
        tiled=True,
        blockxsize=BLOCK,
        blockysize=BLOCK,
        compress="deflate",
        predictor=3 if dtype.startswith("float") else 2,
        zlevel=4,
        bigtiff="if_safer",
    )
    with proven(path) as part, rasterio.open(part, "w", **profile) as target:
        target.descriptions = tuple(bands)
        target.units = tuple(bands.values())
        target.update_tags(**tags)
        for number, unit in enumerate(bands.values(), 1):
            target.update_tags(number, units=unit)
        yield target


@contextmanager
def cloud_optimized(
    path: str, grid: Grid, bands: dict[str, str], **tags: str
) -> Iterator[rasterio.io.DatasetWriter]:
    """Yield a raster open for writing that becomes a Cloud-Optimized GeoTIFF with overviews.

    The driver can only copy a finished raster, so the cells go to a temporary one first.
    """
    folder = Path(path).parent
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder, prefix=".") as aside:
        cells = Path(aside) / "cells.tif"
        with created(str(cells), grid, bands, **tags) as target:
            yield target
        with proven(path) as part:
            rasterio.shutil.copy(
                cells,
                part,
                driver="COG",
                blocksize=BLOCK,
                compress="deflate",
                predictor="floating_point",
                overview_resampling="average",
                bigtiff="if_safer",
            )


def write(path: str, grid: Grid, layers: dict[str, np.ndarray], units: dict[str, str], **tags):
    """Write whole float32 layers, one band each, in the order of `layers`."""
    with created(path, grid, {name: units[name] for name in layers}, **tags) as target:
        for number, layer in enumerate(layers.values(), 1):
            target.write(layer.astype("float32"), number)


def read(path: str, band: str | int = 1, window: Window | None = None) -> np.ndarray:
    """Return one band, by number or by name, float64 with NaN where nodata; shape of the window."""
    with rasterio.open(path) as source:
        number = band if isinstance(band, int) else source.descriptions.index(band) + 1
        layer = source.read(number, window=window).astype("float64")
        nodata = source.nodata
    if nodata is not None:
        layer[layer == nodata] = np.nan
    return layer


def nearest(layer: np.ndarray, rows: np.ndarray, cols: np.ndarray) -> np.ndarray:
    """Return the value of the cell that contains each fractional position, NaN off the layer."""
    row, col = np.floor(rows).astype("int64"), np.floor(cols).astype("int64")
    on = (row >= 0) & (row < layer.shape[0]) & (col >= 0) & (col < layer.shape[1])
    return np.where(on, layer[np.where(on, row, 0), np.where(on, col, 0)], np.nan)


def bilinear(layer: np.ndarray, rows: np.ndarray, cols: np.ndarray) -> np.ndarray:
    """Return the mean of the four nearest cell centres, weighted by nearness.

    Missing neighbours pass their weight to the others, so a gap does not grow; a position whose
    own cell is missing stays missing, so it does not shrink either.
    """
    total, weights = np.zeros(rows.shape), np.zeros(rows.shape)
    top, left = np.floor(rows - 0.5), np.floor(cols - 0.5)
    down, right = rows - 0.5 - top, cols - 0.5 - left
    for lower in (0, 1):
        for further in (0, 1):
            value = nearest(layer, top + lower, left + further)
            weight = (down if lower else 1 - down) * (right if further else 1 - right)
            weight = np.where(np.isfinite(value), weight, 0.0)
            total += weight * np.where(np.isfinite(value), value, 0.0)
            weights += weight
    own = np.isfinite(nearest(layer, rows, cols)) & (weights > 0)
    return np.where(own, total / np.where(own, weights, 1.0), np.nan)


def inside(grid_file: str, window: Window | None = None) -> np.ndarray:
    """Return True for the cells of the study area (1 in grid.tif), shaped as the window."""
    with rasterio.open(grid_file) as source:
        return source.read(1, window=window) == 1


def in_crs(
    x: np.ndarray, y: np.ndarray, source: CRS, target: CRS | str
) -> tuple[np.ndarray, np.ndarray]:
    """Return points of one CRS in another, in their shape; untouched if it is the same or ""."""
    if not target or CRS.from_user_input(target) == source:
        return x, y
    found = transform(source, target, np.ravel(x), np.ravel(y))
    return tuple(np.array(axis).reshape(np.shape(x)) for axis in found)


def inside_of(cells: Grid, grid_file: str) -> Callable[[Window], np.ndarray]:
    """Return a function of a window of `cells`: True where the centre lies in the study area.

    `cells` are those of the study or of a product on another grid, which should be coarser.
    """
    own = Grid.of(grid_file)
    if cells == own:
        return lambda window: inside(grid_file, window)
    x, y = (centre.ravel() for centre in cells.centres())
    rows, cols = own.positions(*in_crs(x, y, cells.crs, own.crs))
    found = np.zeros(rows.shape, bool)
    for window in own.blocks():
        within = inside(grid_file, window).astype("float64")
        found |= nearest(within, rows - window.row_off, cols - window.col_off) == 1
    found = found.reshape(cells.shape)
    return lambda window: found[window.toslices()]


def lonlat(lonlat_file: str, window: Window | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return longitude and latitude (degrees, float64) of the cell centres."""
    with rasterio.open(lonlat_file) as source:
        longitude, latitude = source.read(window=window)
    return longitude, latitude
