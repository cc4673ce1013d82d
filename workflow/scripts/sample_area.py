"""A regular sample of the study area with the predictors of a month: what the map asks of them.

It stands for the map where distances and predictors of the samples are compared with its own. A
cell belongs to the area where the grid holds 1; a study of a ready table has no grid, and its area
are the cells with all predictors in the first month.
"""

import math
import time

import numpy as np
import pandas as pd
import rasterio
import rasterio.transform

from _log import UserError, log, log_to, notice
from _raster import Grid, in_crs, inside
from _samples import layers
from _table import write_table

SAY = 20  # seconds between two lines about how far the reading is


def of_month(rasters: list[str], month: str, months: list[str]) -> list[str]:
    """Return the rasters whose path names `month` last, and those that name none of `months`."""

    def owner(path):
        named = [m for m in months if m in path]
        return max(named, key=lambda m: (path.rfind(m), len(m)), default=month)

    return [path for path in rasters if owner(path) == month]


def values(path: str, names: list[str], window) -> np.ndarray:
    """Return bands by their names, (bands, rows, columns) float32 with NaN where missing."""
    with rasterio.open(path) as source:
        bands = [source.descriptions.index(name) + 1 for name in names]
        return source.read(bands, window=window, out_dtype="float32", masked=True).filled(np.nan)


def held_by(paths: dict[str, str]) -> dict[str, list[str]]:
    """Return {raster: predictors to read there} from {predictor: raster}."""
    held = {}
    for name, path in paths.items():
        held.setdefault(path, []).append(name)
    return held


def complete(paths: dict[str, str], cells: Grid) -> np.ndarray:
    """Return True for the cells that have every predictor of a month, {predictor: raster}."""
    area, lost = np.ones(cells.shape, bool), dict.fromkeys(paths, 0)
    for path, names in held_by(paths).items():
        for window in cells.blocks():
            found = np.isfinite(values(path, names, window))
            area[window.toslices()] &= found.all(axis=0)
            for name, band in zip(names, found, strict=True):
                lost[name] += int((~band).sum())
    if not area.any():
        raise UserError(
            f"{', '.join(held_by(paths))}: expected cells with all predictors, found none of "
            f"{area.size}. Cells without: {', '.join(f'{n} {c}' for n, c in lost.items() if c)}."
            " Complete the rasters or remove these from table.predictors."
        )
    return area


def lattice(area: np.ndarray, points: int) -> tuple[np.ndarray, np.ndarray]:
    """Return row and column of about `points` cells of the area (True inside), evenly spaced.

    All cells are taken where there are fewer. A narrow area may slip between the lines of the
    lattice, which therefore close up until half of `points` is reached.
    """
    step = max(1.0, math.sqrt(area.sum() / points))
    while True:
        lines = [np.floor((np.arange(n // step) + 0.5) * step).astype(int) for n in area.shape]
        row, col = np.nonzero(area[np.ix_(*lines)])
        if len(row) >= points / 2 or step == 1:
            return lines[0][row], lines[1][col]
        step = max(1.0, 0.9 * step)


def gathered(
    paths: dict[str, dict[str, str]], months: np.ndarray, row: np.ndarray, col: np.ndarray
) -> dict[str, np.ndarray]:
    """Return {predictor: float32 value of each cell in its month}; `paths` as `_samples.layers`.

    Every raster is read at most once, only where a strip of its rows holds a cell.
    """
    wanted = {}
    for month in np.unique(months):
        for path, names in held_by(paths[month]).items():
            wanted.setdefault((path, *names), []).append(month)
    result = {name: np.full(len(row), np.nan, "float32") for name in paths[months[0]]}
    start = said = time.monotonic()
    for number, ((path, *names), needed) in enumerate(wanted.items(), 1):
        for window in Grid.of(path).blocks():
            top = row - window.row_off
            here = np.isin(months, needed) & (top >= 0) & (top < window.height)
            if here.any():
                found = values(path, names, window)[:, top[here], col[here]]
                for name, value in zip(names, found, strict=True):
                    result[name][here] = value
        now = time.monotonic()
        if now - said > SAY:
            said, left = now, (now - start) / number * (len(wanted) - number)
            notice("%d of %d rasters read, %.0f s left", number, len(wanted), left)
    return result


def main(rasters, grid, area, months, predictors, points, seed, crs) -> None:
    cells = Grid.of(grid or rasters[0])
    paths = {}
    for month in months:
        # Of two rasters with a band the first counts, as for the maps.
        own = of_month(rasters, month, months)[::-1]
        paths |= layers(own, tuple(predictors), [month], grid or rasters[0])
    within = inside(grid) if grid else complete(paths[months[0]], cells)
    if not within.any():
        raise UserError(
            f"{grid}: expected cells inside the study area (1), found none of {within.size}. "
            "Does area.polygon lie in area.box?"
        )
    row, col = lattice(within, points)
    order = np.random.default_rng(seed).permutation(np.arange(len(row)) % len(months))
    drawn = np.array(months)[order]
    x, y = in_crs(*rasterio.transform.xy(cells.transform, row, col), cells.crs, crs)
    table = pd.DataFrame({"x": x, "y": y, "month": drawn, **gathered(paths, drawn, row, col)})
    table = table[["x", "y", "month", *predictors]]
    gaps = table[predictors].isna().sum()
    log.info(
        "%d of %d cells of the study area, in %d months; without a predictor: %d (%s)",
        len(table),
        within.sum(),
        len(np.unique(drawn)),
        table[predictors].isna().any(axis=1).sum(),
        ", ".join(f"{name} {count}" for name, count in gaps[gaps > 0].items()) or "none missing",
    )
    write_table(table, area)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        rasters=snakemake.input.rasters,
        grid=snakemake.input.grid,
        area=snakemake.output.area,
        months=snakemake.params.months,
        predictors=snakemake.params.predictors,
        points=snakemake.params.points,
        seed=snakemake.params.seed,
        crs=snakemake.params.crs,
    )
