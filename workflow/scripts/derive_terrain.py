"""Elevation, slope and aspect at every map cell, from SRTM or Copernicus tiles (S10, U10, U10b).

Slope and aspect are computed in metres at about the resolution of the elevations, and only then
brought to the map: a slope of 250 m cells would be too gentle, one in degrees of arc wrong. SRTM
tiles are `N33E102.hgt`, tiles of the Copernicus DEM (GLO-90, GLO-30) `N33E102.tif`: a surface that
includes canopies and roofs.
"""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from math import ceil, floor
from pathlib import Path
from typing import Self

import numpy as np
import rasterio
from pyproj import Transformer
from rasterio.errors import RasterioIOError
from rasterio.transform import Affine
from rasterio.windows import Window, bounds

from _log import UserError, log, log_to
from _projection import check_true
from _raster import Grid, created, inside

BANDS = {"DEM": "m", "slope": "degree", "aspect": "degree"}
VOID = -32768
SIDES = {2_884_802: 1201, 25_934_402: 3601}  # bytes of a tile of 3 or 1 arc-seconds: its side
ROWS_OF_TILE = (1200, 3600)  # of a Copernicus tile of 3 or 1 arc-seconds
WIDENED = (1, 1.5, 2, 3, 5, 10)  # its columns lie that much further apart towards the poles
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
    check_heights(samples, path, "The samples must be big-endian integers in metres")
    return samples


def copernicus(path: str) -> np.ndarray:
    """Return the samples (float32, m, north to south) of a Copernicus tile; voids are -32768.

    1200 rows (GLO-90) or 3600 (GLO-30) and as many columns or, beyond 50 degrees of latitude,
    fewer. The first sample lies on the upper left corner of the degree; the samples on its lower
    and right edge belong to the neighbours.
    """
    lat, lon = corner(path)
    try:
        with rasterio.open(path) as file:
            height, width = file.shape
            sizes = [(rows, round(rows / wide)) for rows in ROWS_OF_TILE for wide in WIDENED]
            if (height, width) not in sizes or file.count != 1:
                raise UserError(
                    f"{path}: expected one band of 1200 x 1200 samples, or of 3600 x 3600, with "
                    f"fewer columns beyond 50 degrees of latitude, found {file.count} of "
                    f"{height} x {width}. Deliver the tile as Copernicus does, uncut."
                )
            # Samples are centres of pixels: the corner of the first lies half a pixel outside.
            first = Affine(1 / width, 0, lon - 0.5 / width, 0, -1 / height, lat + 1 + 0.5 / height)
            if not (
                file.crs
                and file.crs.to_epsg() == 4326
                and file.transform.almost_equals(first, 0.01 / width)
            ):
                raise UserError(
                    f"{path}: expected the degree of its name, with the centre of the first pixel "
                    f"on {lon} E, {lat + 1} N in EPSG:4326, found {file.crs} and "
                    f"{tuple(file.bounds)}. Rename the tile to its corner, or fetch it again."
                )
            samples = file.read(1).astype("float32")
            missing = ~np.isfinite(samples) | np.isin(
                samples, (VOID, VOID + 1, file.nodata or VOID)
            )
    except RasterioIOError:
        with Path(path).open("rb") as file:
            page = file.read(512).lstrip().startswith(b"<")
        raise UserError(
            f"{path}: expected a GeoTIFF of the Copernicus DEM, found "
            f"{'a web page (a log-in or an error)' if page else 'a damaged or incomplete file'}. "
            "Fetch the tile again."
        ) from None
    samples[missing] = VOID
    check_heights(samples, path, "The samples must be in metres")
    return samples


def check_heights(samples: np.ndarray, path: str, mend: str) -> None:
    """Stop if a sample that is not void is no elevation on Earth in metres."""
    known = samples[samples != VOID]
    if known.size and not (known.min() >= -500 and known.max() <= 9000):
        raise UserError(
            f"{path}: expected elevations of -500 to 9000 m, found {known.min():g} to "
            f"{known.max():g}. {mend}: fetch the tile again."
        )


READERS = {
    ".hgt": lambda path: heights(Path(path).read_bytes(), path),
    ".tif": copernicus,
}


def kind(paths: list[str]) -> str:
    """Return the ending that all tiles have: .hgt or .tif."""
    if not paths:
        raise UserError(
            "terrain.absent: expected an area with land, found every elevation cell of area.box "
            "among the absent ones. Name only cells that are all sea."
        )
    endings = {Path(path).suffix: path for path in paths}
    for ending, path in endings.items():
        if ending not in READERS:
            raise UserError(
                f"{path}: expected a tile that ends in .hgt (SRTM) or .tif (Copernicus), found "
                f"{ending or 'no ending'!r}. Unpack it, or rename it to its corner and kind."
            )
    if len(endings) != 1:
        raise UserError(
            f"{' and '.join(sorted(endings.values()))}: expected elevation from one source, found "
            "both. SRTM and Copernicus differ in datum and surface: deliver all tiles of one."
        )
    return endings.popitem()[0]


def corner(path: str) -> tuple[int, int]:
    """Return latitude and longitude of the lower left sample of a tile, from its name (N33E102)."""
    found = re.fullmatch(r"([NS])(\d{2})([EW])(\d{3}).*", Path(path).stem)
    if not found:
        raise UserError(f"{path}: expected a name like N33E102. Rename the tile to its corner.")
    south, lat, west, lon = found.groups()
    return int(lat) * (-1 if south == "S" else 1), int(lon) * (-1 if west == "W" else 1)


@dataclass(frozen=True)
class Mosaic:
    """Joined tiles: samples (int16 or float32, m) and where the first one lies, in degrees."""

    samples: np.ndarray
    north: float
    west: float
    per_degree: int

    @classmethod
    def of(
        cls,
        corners: Collection[tuple[int, int]],
        tiles: Iterable[np.ndarray],
        sea: Collection[tuple[int, int]] = (),
    ) -> Self:
        """Join tiles, given by (latitude, longitude) of their lower left sample.

        One tile is held at a time. Neighbours share their border samples, which therefore appear
        once. Tiles without their lower and right edge take it from the neighbours to the south and
        to the east, which must come before them. Cells of the `sea` are 0 m; others are void.
        """
        lats, lons = zip(*corners, *sea, strict=True)
        north, west = max(lats) + 1, min(lons)
        mosaic, sides = None, set()
        for (lat, lon), tile in zip(corners, tiles, strict=True):
            sides.add(tile.shape[0])
            if len(sides) > 1:
                raise UserError(
                    f"resources/raw/dem: expected tiles of one resolution, found sides of "
                    f"{sorted(sides)} samples. Deliver all of 3 arc-seconds, or all of 1."
                )
            if mosaic is None:
                step = tile.shape[0] // 1200 * 1200
                shape = (north - min(lats)) * step + 1, (max(lons) + 1 - west) * step + 1
                mosaic = cls(
                    np.full(shape, VOID, dtype=tile.dtype), float(north), float(west), step
                )
                for cell in sea:
                    mosaic.part(*cell)[:] = 0
            part = mosaic.part(lat, lon)
            if tile.shape != part.shape:
                tile = edged(tile, part)
            np.copyto(part, tile, where=tile != VOID)
        return mosaic

    def part(self, lat: int, lon: int) -> np.ndarray:
        """Return the samples of one cell, its four edges included."""
        step = self.per_degree
        top, left = round(self.north - lat - 1) * step, round(lon - self.west) * step
        return self.samples[top : top + step + 1, left : left + step + 1]

    def at(self, longitude: np.ndarray, latitude: np.ndarray) -> np.ndarray:
        """Return elevations (m) at points in degrees, NaN next to a void."""
        row, col = (self.north - latitude), (longitude - self.west)
        return bilinear(self.samples, row * self.per_degree, col * self.per_degree)


def edged(tile: np.ndarray, part: np.ndarray) -> np.ndarray:
    """Return a Copernicus tile (n rows, n or fewer columns) with all n + 1 rows and columns.

    The lower and the right edge come from `part`, the same cell of the mosaic, into which the
    neighbours have been put. Where these are missing the plane of the last two samples goes on.
    """

    def continued(last, before, known):
        end = np.where((last == VOID) | (before == VOID), VOID, 2 * last - before)
        return np.where(known == VOID, end, known)

    right = continued(tile[:, -1], tile[:, -2], part[:-1, -1])
    tile = widened(np.column_stack([tile, right]), part.shape[1])
    return np.vstack([tile, continued(tile[-1], tile[-2], part[-1])])


def widened(tile: np.ndarray, count: int) -> np.ndarray:
    """Return `count` columns between the first and the last of a tile, linear in longitude."""
    if tile.shape[1] == count:
        return tile
    at = np.arange(count) * (tile.shape[1] - 1) / (count - 1)
    left = np.minimum(at.astype(int), tile.shape[1] - 2)
    share = (at - left).astype("float32")
    before, after = tile[:, left], tile[:, left + 1]
    # A sample that counts for nothing may be void.
    void = ((before == VOID) & (share < 1)) | ((after == VOID) & (share > 0))
    return np.where(void, np.float32(VOID), (1 - share) * before + share * after)


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


def cells_of(box: list[float], names: list[str]) -> list[tuple[int, int]]:
    """Return the corners of those named one-degree cells that a box (degrees) touches."""
    west, south, east, north = box
    return [
        (lat, lon)
        for lat, lon in map(corner, names)
        if floor(south) <= lat < ceil(north) and floor(west) <= lon < ceil(east)
    ]


def main(elevation, grid, terrain, crs, resolution, aggregate, absent):
    cells = Grid.of(grid)
    left, right, bottom, top = cells.extent
    degrees = Transformer.from_crs(cells.crs, 4326, always_xy=True)
    box = [round(v, 4) for v in degrees.transform_bounds(left, bottom, right, top)]
    check_true("terrain.crs", crs, box, directions=True)
    read = READERS[kind(elevation)]
    corners = {path: corner(path) for path in elevation}
    if read is copernicus:
        elevation = sorted(elevation, key=lambda path: (corners[path][0], -corners[path][1]))
    tiles = {corners[path]: path for path in elevation}
    mosaic = Mosaic.of(tiles, map(read, tiles.values()), cells_of(box, absent))
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
        absent=snakemake.params.absent,
    )
