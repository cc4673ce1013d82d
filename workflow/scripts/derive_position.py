"""Topographic position: how high a cell lies above the mean of what surrounds it (Weiss 2001).

Hollows gather water and crests shed it, whatever their elevation. The mean is over the cells whose
centres lie within a radius; around the edge of the study area it counts the cells inside.
"""

import numpy as np

from _log import UserError, log, log_to
from _predictors import radius
from _raster import Grid, Window, created, read


def half_widths(reach: float) -> np.ndarray:
    """Return for each row of a disc, from top to bottom, how many cells it has left and right.

    `reach` is the radius in cells.
    """
    rows = np.arange(-int(reach), int(reach) + 1)
    return np.sqrt(reach**2 - rows**2).astype(int)


def mean_around(layer: np.ndarray, reach: float) -> np.ndarray:
    """Return the mean of the finite values within `reach` cells of each cell, itself included.

    Row sums come from differences of cumulative sums, so a cell costs as many steps as the disc
    has rows, however wide. NaN where there is no value around.
    """
    here = np.isfinite(layer)
    total, count = np.zeros(layer.shape), np.zeros(layer.shape)
    widths = half_widths(reach)
    most, height, width = int(reach), *layer.shape
    edges = [(most + 1, most), (most + 1, most)]
    offset = np.nanmean(layer) if here.any() else 0.0  # small numbers keep their digits in sums
    sums = np.cumsum(np.pad(np.where(here, layer - offset, 0.0), edges), axis=1)
    counts = np.cumsum(np.pad(here.astype("float64"), edges), axis=1)
    for down, half in enumerate(widths):
        rows = slice(down + 1, down + 1 + height)
        right = slice(most + 1 + half, most + 1 + half + width)
        left = slice(most - half, most - half + width)
        total += sums[rows, right] - sums[rows, left]
        count += counts[rows, right] - counts[rows, left]
    return np.where(count > 0, total / np.maximum(count, 1) + offset, np.nan)


def position(terrain: str, grid: Grid, window: Window, reach: float) -> np.ndarray:
    """Return elevation minus the mean around (m) for a window of a raster with a band DEM."""
    rim = int(np.ceil(reach))
    top = max(0, window.row_off - rim)
    bottom = min(grid.height, window.row_off + window.height + rim)
    layer = read(terrain, "DEM", Window(0, top, grid.width, bottom - top))
    mine = slice(window.row_off - top, window.row_off - top + window.height)
    return (layer - mean_around(layer, reach))[mine]


def main(terrain, position_file, predictors):
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
            for number, name in enumerate(predictors, 1):
                layer = position(terrain, grid, window, radius(name) / size)
                target.write(layer.astype("float32"), number, window=window)
                log.info("%s: rows to %d of %d", name, window.row_off + window.height, grid.height)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        terrain=snakemake.input.terrain,
        position_file=snakemake.output.position,
        predictors=snakemake.params.predictors,
    )
