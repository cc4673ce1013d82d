"""The native MODIS pixel of every map cell, computed exactly and once (S8).

The warpers' approximate transforms move 7 % of the cells by one pixel. The 250 m, 500 m and
1 km grids nest 1:2:4, so one index of 250 m rows and columns serves all products.
"""

import numpy as np

import _raster
from _log import log, log_to
from _raster import Grid, created

RADIUS = 6371007.181  # of the sphere of the sinusoidal grid (m)
PIXELS = 4800  # of 250 m along a tile's edge
PIXEL = 2 * np.pi * RADIUS / 36 / PIXELS


def nearest_pixel(longitude: np.ndarray, latitude: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return row and column (int32, from the upper left of h00v00) of the 250 m pixel of points.

    `longitude` and `latitude` in degrees, any shape. Tile and row in it are `divmod(row, 4800)`.
    """
    y = RADIUS * np.radians(latitude)
    x = RADIUS * np.radians(longitude) * np.cos(np.radians(latitude))
    row = np.floor(9 * PIXELS - y / PIXEL)
    col = np.floor(18 * PIXELS + x / PIXEL)
    return row.astype("int32"), col.astype("int32")


def tiles_of(row: np.ndarray, col: np.ndarray) -> set[str]:
    """Return the names (hHHvVV) of the tiles in which pixels lie."""
    numbers = np.unique(row // PIXELS * 100 + col // PIXELS).tolist()
    return {f"h{number % 100:02d}v{number // 100:02d}" for number in numbers}


def main(lonlat, index):
    grid = Grid.of(lonlat)
    tiles = set()
    with created(index, grid, {"row": "1", "col": "1"}, dtype="int32", nodata=None) as target:
        for window in grid.blocks():
            row, col = nearest_pixel(*_raster.lonlat(lonlat, window))
            target.write(np.stack([row, col]), window=window)
            tiles |= tiles_of(row, col)
    log.info("%d cells lie in tiles %s", grid.width * grid.height, ", ".join(sorted(tiles)))


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        lonlat=snakemake.input.lonlat,
        index=snakemake.output.index,
    )
