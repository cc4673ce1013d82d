"""Elevation, slope and aspect at every map cell, from SRTM tiles (S10, U10, U10b).

Slope and aspect are computed in metres at about the resolution of the elevations, and only then
brought to the map: a slope of 250 m cells would be too gentle, one in degrees of arc wrong.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from pyproj import Transformer
from rasterio.windows import Window, bounds

from _log import UserError, log, log_to
from _projection import check_true
from _raster import Grid, created, inside

BANDS = {"DEM": "m", "slope": "degree", "aspect": "degree"}
VOID = -32768
SIDES = {2_884_802: 1201, 25_934_402: 3601}  # bytes of a tile of 3 or 1 arc-seconds: its side
FLAT = 0.5  # slope (degrees) below which a direction is noise (U10b)
BEYOND = 3  # samples by which the plane of the last two is continued past the last tile
ROWS = 64  # of the map, in memory at once


def heights(content: bytes, path: str) -> np.ndarray:
    """Return the samples (int16, m, north to south) of an .hgt file; voids are -32768."""
    if len(content) not in SIDES:
        raise UserError(
            f"{path}: expected 2884802 bytes (1201 x 1201 samples) or 25934402 (3601 x 3601), "
            f"found {len(content)}. Unpack the delivered zip, or fetch the tile again."
        )
    side = SIDES[len(content)]
    samples = np.frombuffer(content, ">i2").reshape(side, side).astype("int16")
    known = samples[samples != VOID]
    if known.size and not (known.min() >= -500 and known.max() <= 9000):
        raise UserError(
            f"{path}: expected elevations of -500 to 9000 m, found {known.min()} to {known.max()}. "
            "The samples must be big-endian integers in metres: fetch the tile again."
        )
    return samples


def corner(path: str) -> tuple[int, int]:
    """Return latitude and longitude of the lower left sample of a tile, from its name (N33E102)."""
    found = re.fullmatch(r"([NS])(\d{2})([EW])(\d{3}).*", Path(path).stem)
    if not found:
        raise UserError(f"{path}: expected a name like N33E102.hgt. Rename the tile to its corner.")
    south, lat, west, lon = found.groups()
    return int(lat) * (-1 if south == "S" else 1), int(lon) * (-1 if west == "W" else 1)


@dataclass(frozen=True)
class Mosaic:
    """Joined tiles: samples (int16, m) and where the first one lies, in degrees."""

    samples: np.ndarray
    north: float
    west: float
    per_degree: int

    @classmethod
    def of(cls, tiles: dict[tuple[int, int], np.ndarray]) -> Self:
        """Join tiles, given by (latitude, longitude) of their lower left sample.

        Neighbours share their border samples, which therefore appear once.
        """
        sides = {tile.shape[0] for tile in tiles.values()}
        if len(sides) > 1:
            raise UserError(
                f"resources/raw/dem: expected tiles of one resolution, found sides of "
                f"{sorted(sides)} samples. Deliver all of 3 arc-seconds, or all of 1."
            )
        step = sides.pop() - 1
        lats, lons = zip(*tiles, strict=True)
        north, west = max(lats) + 1, min(lons)
        shape = (north - min(lats)) * step + 1, (max(lons) + 1 - west) * step + 1
        samples = np.full(shape, VOID, dtype="int16")
        for (lat, lon), tile in tiles.items():
            top, left = (north - lat - 1) * step, (lon - west) * step
            part = samples[top : top + step + 1, left : left + step + 1]
            np.copyto(part, tile, where=tile != VOID)
        return cls(samples, float(north), float(west), step)

    def at(self, longitude: np.ndarray, latitude: np.ndarray) -> np.ndarray:
        """Return elevations (m) at points in degrees, NaN next to a void."""
        row, col = (self.north - latitude), (longitude - self.west)
        return bilinear(self.samples, row * self.per_degree, col * self.per_degree)


def bilinear(samples: np.ndarray, row: np.ndarray, col: np.ndarray) -> np.ndarray:
    """Return elevations (m) between samples, at fractional rows and columns.

    NaN next to a void. Just past the border the last plane continues (`BEYOND`), so that an area
    that ends on a whole degree keeps its outermost slopes.
    """
    top = np.clip(np.floor(row), 0, samples.shape[0] - 2).astype("int32")
    left = np.clip(np.floor(col), 0, samples.shape[1] - 2).astype("int32")
    down, right = row - top, col - left
    known = (down >= -BEYOND) & (down <= 1 + BEYOND) & (right >= -BEYOND) & (right <= 1 + BEYOND)
    height = np.zeros(row.shape)
    for i, share_down in enumerate((1 - down, down)):
        for j, share_right in enumerate((1 - right, right)):
            sample = samples[top + i, left + j]
            known &= sample != VOID
            height += share_down * share_right * sample
    return np.where(known, height, np.nan)


def gradient(height: np.ndarray, size: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the rise to the east and to the north (m per m) by Horn's 3 x 3 weights.

    `height` has one more row and column on each side than the result; cells of `size` metres.
    """
    across = height[:, 2:] - height[:, :-2]
    along = height[:-2] - height[2:]
    east = across[:-2] + 2 * across[1:-1] + across[2:]
    north = along[:, :-2] + 2 * along[:, 1:-1] + along[:, 2:]
    return east / (8 * size), north / (8 * size)


def slope_of(east: np.ndarray, north: np.ndarray) -> np.ndarray:
    """Return the slope in degrees."""
    return np.degrees(np.arctan(np.hypot(east, north)))


def direction(east: np.ndarray, north: np.ndarray) -> np.ndarray:
    """Return the compass direction (degrees in [0, 360), clockwise from north) of vectors.

    A vector of length zero has none; 0 stands for it, so that a plain is not a missing value.
    """
    degrees = (np.degrees(np.arctan2(east, north)) % 360).astype("float32")
    return np.where(degrees == 360, np.float32(0), degrees)


def aggregated(
    cell: np.ndarray, count: int, height: np.ndarray, east: np.ndarray, north: np.ndarray
) -> np.ndarray:
    """Return mean elevation, mean slope and slope-weighted mean aspect of each map cell.

    `cell` tells for every fine cell the map cell (0 to count - 1; `count` is none) in which its
    centre lies. Flat fine cells give no direction unless all are flat; fine cells without a
    value count for nothing. Result (3, count), NaN where no fine cell has a value.
    """

    def total(weights, where):
        return np.bincount(cell[where], weights[where], minlength=count + 1)[:count]

    ones, slope = np.ones(cell.shape), slope_of(east, north)
    known, sloping = np.isfinite(height), np.isfinite(slope)
    steep = sloping & (slope >= FLAT)
    # The unit vector that points down, times the slope.
    with np.errstate(invalid="ignore", divide="ignore"):
        weight = np.where(slope > 0, -slope / np.hypot(east, north), 0)
        has_steep = total(ones, steep) > 0
        downs = [
            np.where(has_steep, total(weight * rise, steep), total(weight * rise, sloping))
            for rise in (east, north)
        ]
        mean_slope = total(slope, sloping) / total(ones, sloping)
        mean_height = total(height, known) / total(ones, known)
    aspect = np.where(np.isfinite(mean_slope), direction(*downs), np.nan)
    return np.stack([mean_height, mean_slope, aspect])


def at_centres(
    row: np.ndarray, col: np.ndarray, height: np.ndarray, east: np.ndarray, north: np.ndarray
) -> np.ndarray:
    """Return elevation, slope and aspect of the fine cell (row, col) under each map cell."""
    height, east, north = (layer[row, col] for layer in (height, east, north))
    slope = slope_of(east, north)
    return np.stack([height, slope, np.where(np.isfinite(slope), direction(-east, -north), np.nan)])


def block(
    mosaic: Mosaic, grid: Grid, window: Window, crs: str, size: float, aggregate: str
) -> np.ndarray:
    """Return elevation, slope and aspect (3, rows, columns) of one block of the map.

    The fine cells lie on multiples of `size` metres in `crs`, whatever the block.
    """
    there = Transformer.from_crs(grid.crs, crs, always_xy=True)
    west, south, east, north = there.transform_bounds(*bounds(window, grid.transform))
    left, top = int(np.floor(west / size)) - 1, int(np.ceil(north / size)) + 1
    right, bottom = int(np.ceil(east / size)) + 1, int(np.floor(south / size)) - 1
    x, y = np.meshgrid(
        (np.arange(left - 1, right + 1) + 0.5) * size,
        (np.arange(top, bottom - 2, -1) + 0.5) * size,
    )
    height = mosaic.at(*Transformer.from_crs(crs, 4326, always_xy=True).transform(x, y))
    rises = gradient(height, size)
    height, x, y = (layer[1:-1, 1:-1] for layer in (height, x, y))

    if aggregate == "nearest":
        x, y = there.transform(*grid.centres(window))
        row, col = np.floor(top - y / size).astype(int), np.floor(x / size).astype(int) - left
        return at_centres(row, col, height, *rises)
    col, row = ~grid.transform @ there.transform(x, y, direction="INVERSE")
    row, col = np.floor(row).astype(int) - window.row_off, np.floor(col).astype(int)
    within = (row >= 0) & (row < window.height) & (col >= 0) & (col < window.width)
    count = window.height * window.width
    cell = np.where(within, row * window.width + col, count)
    return aggregated(cell.ravel(), count, *(layer.ravel() for layer in (height, *rises))).reshape(
        3, window.height, window.width
    )


def main(elevation, grid, terrain, crs, resolution, aggregate):
    cells = Grid.of(grid)
    left, right, bottom, top = cells.extent
    degrees = Transformer.from_crs(cells.crs, 4326, always_xy=True)
    box = [round(v, 4) for v in degrees.transform_bounds(left, bottom, right, top)]
    check_true("terrain.crs", crs, box, directions=True)
    tiles = {corner(path): heights(Path(path).read_bytes(), path) for path in elevation}
    mosaic = Mosaic.of(tiles)
    voids = np.count_nonzero(mosaic.samples == VOID)
    log.info("%d of %d elevation samples are void", voids, mosaic.samples.size)
    missing, flat = 0, 0
    with created(terrain, cells, BANDS) as target:
        for window in cells.blocks(ROWS):
            area = inside(grid, window)
            layers = np.full((3, *area.shape), np.nan)
            if area.any():
                layers = block(mosaic, cells, window, crs, resolution, aggregate)
                layers[:, ~area] = np.nan
            target.write(layers.astype("float32"), window=window)
            missing += np.count_nonzero(area & ~np.isfinite(layers).all(axis=0))
            flat += np.count_nonzero(layers[1] < FLAT)
    log.info("%d cells of the area have no elevation, slope or aspect (voids)", missing)
    log.info("%d cells are flatter than %g degree: their aspect is weak", flat, FLAT)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        elevation=snakemake.input.elevation,
        grid=snakemake.input.grid,
        terrain=snakemake.output.terrain,
        crs=snakemake.params.crs,
        resolution=snakemake.params.resolution,
        aggregate=snakemake.params.aggregate,
    )
