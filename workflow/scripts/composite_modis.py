"""Months of one MODIS variable on the map's grid (S4-S8, U4-U8): NDVI by its maximum, LST, ET and
albedo by their mean, each composite counting for the days it shares with the month.
"""

from datetime import date, timedelta
from functools import partial
from pathlib import Path

import numpy as np

from _calendar import calendar
from _calendar import composites as composites_of
from _composite import BANDS, UNITS, Cut, Piece, check_months, cut, layers
from _granule import (
    CELLS,
    PRODUCTS,
    Product,
    check,
    header,
    judged,
    layers_of,
    physical,
    stored,
)  # fmt: skip
from _log import UserError, log, log_to
from _raster import Grid, inside, read, write


def cuts(row: np.ndarray, col: np.ndarray, area: np.ndarray, size: int) -> dict[str, Cut]:
    """Return the cut of each tile (hHHvVV) that the study area touches.

    `row` and `col` are the global 250 m pixel of each map cell, `area` is True inside, `size` the
    number of 250 m cells along the edge of a pixel of the product.
    """
    cells = np.flatnonzero(area)
    row, col = row.ravel()[cells], col.ravel()[cells]
    tile = row // CELLS * 100 + col // CELLS
    found = {}
    for number in np.unique(tile).tolist():
        here = tile == number
        name = f"h{number % 100:02d}v{number // 100:02d}"
        found[name] = cut(row[here] % CELLS, col[here] % CELLS, cells[here], size)
    return found


def plan(
    paths: list[str],
    product: Product,
    sources: dict[str, Cut],
    periods: dict[str, dict[date, tuple[date, int]]],
    qa: str,
) -> list[Piece]:
    """Check every granule before anything is computed, and return them in the order of dates.

    `periods` maps each month to {first day: (last day, weight)}. Granules of tiles or dates that
    the area or the months do not use are left out.
    """
    planned = []
    for path in sorted(paths, key=lambda path: (Path(path).parent.name, Path(path).stem)):
        tile, day = Path(path).stem, date.fromisoformat(Path(path).parent.name)
        weights = {m: found[day][1] for m, found in periods.items() if day in found}
        if tile not in sources or not weights:
            continue
        head = header(path, *layers_of(product, qa))
        row, col = check(head, product)
        source = sources[tile]
        rows = slice(source.rows.start - row, source.rows.stop - row)
        cols = slice(source.cols.start - col, source.cols.stop - col)
        if rows.start < 0 or cols.start < 0 or rows.stop > head.height or cols.stop > head.width:
            raise UserError(
                f"{path}: expected pixels that cover the study area (rows {source.rows.start} to "
                f"{source.rows.stop - 1}, columns {source.cols.start} to {source.cols.stop - 1} "
                f"of {tile}), found rows {row} to {row + head.height - 1}, columns {col} to "
                f"{col + head.width - 1}. Cut granules to area.box and a margin, or not at all."
            )
        last = next(found[day][0] for found in periods.values() if day in found)
        length = head.days or (last - day + timedelta(1)).days
        planned.append(Piece(str(path), tile, day, rows, cols, weights, length))
    check_months(planned, product.name, periods)
    return planned


def values_of(
    granule: Piece, product: Product, qa: str
) -> tuple[np.ndarray, np.ndarray, dict[str, int]]:
    """Return stored numbers, where they may be used, and how many pixels each rule removed."""
    layers = layers_of(product, qa)
    numbers, *quality = stored(granule.path, layers, granule.rows, granule.cols)
    return numbers, *judged(granule.path, product, numbers, quality)


def main(granules, grid, index, composites, variable, year, assign, albedo_every, qa):
    product, cells, area = PRODUCTS[variable], Grid.of(grid), inside(grid)
    row, col = (read(index, band).astype("int32") for band in ("row", "col"))
    sources = cuts(row, col, area, product.cells)
    files = {Path(path).stem: path for path in composites}
    rule = calendar(variable, assign, albedo_every)
    planned = plan(granules, product, sources, {m: composites_of(m, **rule) for m in files}, qa)
    log.info("%s %s: %d granules for %d months", product.name, year, len(planned), len(files))
    values = partial(values_of, product=product, qa=qa)
    for month, numbers in layers(planned, values, sources, area, variable):
        layer = {BANDS[variable]: physical(numbers, variable)}
        write(files[month], cells, layer, UNITS, source=product.name)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        granules=snakemake.input.granules,
        grid=snakemake.input.grid,
        index=snakemake.input.index,
        composites=snakemake.output.composites,
        variable=snakemake.wildcards.variable,
        year=snakemake.wildcards.year,
        assign=snakemake.params.assign,
        albedo_every=snakemake.params.albedo_every,
        qa=snakemake.params.qa,
    )
