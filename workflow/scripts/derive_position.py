"""Topographic position: how high a cell lies above the mean of what surrounds it (Weiss 2001).

Hollows gather water and crests shed it, whatever their elevation. The mean is over the cells whose
centres lie within a radius; around the edge of the study area it counts the cells inside.
"""

import numpy as np

from _log import UserError, log, log_to
from _predictors import radius
from _raster import Grid, Window, created, read

Disc = list[tuple[int, int, int]]
SKEW = 0.02  # share by which a cell may differ from a square that counts as one


def steps_of(grid: Grid, window: Window, crs: str) -> np.ndarray:
    """Return how far the next cell to the right and the next below lie in the middle of a window.

    Shape (2, 2): a row each, x and y in metres of `crs`. Squares, turned or not, come back as
    squares of the grid, so that a projection's last digit does not move the edge of a disc.
    """
    row = window.row_off + window.height // 2
    col = window.col_off + window.width // 2
    x, y = grid.centres_in(crs, Window(col, row, 2, 2))
    found = np.array(
        [[x[0, 1] - x[0, 0], y[0, 1] - y[0, 0]], [x[1, 0] - x[0, 0], y[1, 0] - y[0, 0]]]
    )
    size = abs(grid.transform.a)
    if np.allclose(found @ found.T / size**2, np.eye(2), rtol=0, atol=2 * SKEW):
        return np.array([[size, 0.0], [0.0, -size]])
    return found


def disc(steps: np.ndarray, reach: float) -> Disc:
    """Return (down, left, right), offsets of the cells whose centres lie within `reach` metres.

    `steps` are those of `steps_of`. The rows of a sheared lattice, as that of MODIS far from its
    meridian, lie beside each other: their share of a disc is shifted.
    """
    right, down = steps
    size2, shift, deep2 = right @ right, right @ down, down @ down
    rows = int(reach * np.sqrt(size2) / abs(np.linalg.det(steps)) + 1e-9)
    found = []
    for row in range(-rows, rows + 1):
        left_over = (shift * row) ** 2 - size2 * (deep2 * row**2 - reach**2)
        half, middle = np.sqrt(max(left_over, 0.0)) / size2, -shift * row / size2
        ends = int(np.ceil(middle - half - 1e-9)), int(np.floor(middle + half + 1e-9))
        if ends[0] <= ends[1]:
            found.append((row, *ends))
    return found


def mean_around(layer: np.ndarray, around: Disc) -> np.ndarray:
    """Return the mean of the finite values in the disc around each cell, itself included.

    Row sums come from differences of cumulative sums, so a cell costs as many steps as the disc
    has rows, however wide. NaN where there is no value around.
    """
    here = np.isfinite(layer)
    total, count = np.zeros(layer.shape), np.zeros(layer.shape)
    high = max(abs(down) for down, _, _ in around)
    wide = max(abs(end) for _, *ends in around for end in ends)
    height, width = layer.shape
    edges = [(high, high), (wide + 1, wide)]
    offset = np.nanmean(layer) if here.any() else 0.0  # small numbers keep their digits in sums
    sums = np.cumsum(np.pad(np.where(here, layer - offset, 0.0), edges), axis=1)
    counts = np.cumsum(np.pad(here.astype("float64"), edges), axis=1)
    for down, first, last in around:
        rows = slice(high + down, high + down + height)
        right = slice(wide + 1 + last, wide + 1 + last + width)
        left = slice(wide + first, wide + first + width)
        total += sums[rows, right] - sums[rows, left]
        count += counts[rows, right] - counts[rows, left]
    return np.where(count > 0, total / np.maximum(count, 1) + offset, np.nan)


def position(terrain: str, grid: Grid, window: Window, around: Disc) -> np.ndarray:
    """Return elevation minus the mean around (m) for a window of a raster with a band DEM."""
    rim = max(abs(down) for down, _, _ in around)
    top = max(0, window.row_off - rim)
    bottom = min(grid.height, window.row_off + window.height + rim)
    layer = read(terrain, "DEM", Window(0, top, grid.width, bottom - top))
    mine = slice(window.row_off - top, window.row_off - top + window.height)
    return (layer - mean_around(layer, around))[mine]


def main(terrain, position_file, predictors, crs):
    grid = Grid.of(terrain)
    size = abs(grid.transform.a)
    for name in predictors:
        if radius(name) < size:
            raise UserError(
                f"{name}: expected a radius of at least one cell ({size:g} m), found "
                f"{radius(name)} m. Correct predictors in the config."
            )
    with created(position_file, grid, dict.fromkeys(predictors, "m")) as target:
        for window in grid.blocks():
            steps = steps_of(grid, window, crs)
            for number, name in enumerate(predictors, 1):
                layer = position(terrain, grid, window, disc(steps, radius(name)))
                target.write(layer.astype("float32"), number, window=window)
                log.info("%s: rows to %d of %d", name, window.row_off + window.height, grid.height)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        terrain=snakemake.input.terrain,
        position_file=snakemake.output.position,
        predictors=snakemake.params.predictors,
        crs=snakemake.params.crs,
    )
