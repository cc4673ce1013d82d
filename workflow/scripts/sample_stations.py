"""Predictors at the sites: those of the 250 m cell in which each site stands (S15)."""

import numpy as np
import pandas as pd

from _log import UserError, log, log_to
from _raster import Grid, Window, inside, read
from _samples import KEYS, layers
from _stations import projected, read_sites
from _table import write_table


def cell_of(xy: np.ndarray, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Return row and column of the cell that contains each position (n, 2) in the grid's CRS."""
    row, col = grid.positions(*xy.T)
    return np.floor(row).astype(int), np.floor(col).astype(int)


def in_area(row: np.ndarray, col: np.ndarray, area: np.ndarray) -> np.ndarray:
    """Return which cells lie on the grid and in the study area (`area`: True inside)."""
    on = (row >= 0) & (row < area.shape[0]) & (col >= 0) & (col < area.shape[1])
    return on & area[np.where(on, row, 0), np.where(on, col, 0)]


def around(row: np.ndarray, col: np.ndarray) -> Window:
    """Return the smallest window that holds these cells."""
    return Window(col.min(), row.min(), np.ptp(col) + 1, np.ptp(row) + 1)


def main(rasters, grid, sites, samples, months, predictors, crs):
    paths = layers(rasters, predictors, months, grid)
    table, cells = read_sites(sites), Grid.of(grid)
    xy = projected(table["lon"], table["lat"], crs)
    row, col = cell_of(projected(table["lon"], table["lat"], cells.crs), cells)
    kept = in_area(row, col, inside(grid))
    log.info(
        "%d of %d sites lie in the study area%s",
        *(kept.sum(), len(table)),
        "" if kept.all() else f"; dropped: {', '.join(table['site'][~kept])}",
    )
    if not kept.any():
        raise UserError(
            f"{sites}: expected sites in the study area, found none of {len(table)} there. "
            "Are lat and lon exchanged, or is area.box another region?"
        )
    table, xy, row, col = table[kept], xy[kept], row[kept], col[kept]
    window = around(row, col)
    near = (row - window.row_off, col - window.col_off)
    memory, parts = {}, []
    for month in months:
        part = table[["site", "lon", "lat"]].assign(
            source="insitu", month=month, x=xy[:, 0], y=xy[:, 1]
        )[list(KEYS)]
        for name in predictors:
            key = (paths[month][name], name)
            if key not in memory:
                memory[key] = read(*key, window)[near]
            part[name] = memory[key]
        parts.append(part)
    result = pd.concat(parts, ignore_index=True)
    write_table(result, samples)
    log.info("%d rows of %d sites in %d months", len(result), len(table), len(months))


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        rasters=snakemake.input.rasters,
        grid=snakemake.input.grid,
        sites=snakemake.input.sites,
        samples=snakemake.output.samples,
        months=snakemake.params.months,
        predictors=snakemake.params.predictors,
        crs=snakemake.params.crs,
    )
