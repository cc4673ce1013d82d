"""Months of one MODIS variable from clips of AppEEARS (S4-S8, U4-U8): the same values as from
whole granules, because clips hold the granules' own pixels and numbers.

A clip spans tiles, so pixels count from the upper left corner of the whole sinusoidal grid.
"""

from datetime import date, timedelta
from functools import partial
from pathlib import Path

import numpy as np

import _appeears
from _calendar import calendar
from _calendar import composites as composites_of
from _composite import BANDS, UNITS, Cut, Piece, check_months, cut, layers
from _granule import PRODUCTS, Product, judged, layers_of, physical
from _log import UserError, log, log_to
from _raster import Grid, inside, read, write

PLACE = "clip"  # the one source of all cells


def plan(
    paths: list[str],
    product: Product,
    source: Cut,
    periods: dict[str, dict[date, tuple[date, int]]],
    days: set[date],
    qa: str,
) -> list[Piece]:
    """Check every clip before anything is computed; return the composites in the order of dates.

    `source` is the part of the whole grid that the map uses, `periods` maps each month to
    {first day: (last day, weight)}, `days` are the first days that the archive has: others are
    known to be absent. A date that lies in two clips is taken from the first one.
    """
    clips = []
    for path in map(str, paths):
        head = _appeears.header(path, *layers_of(product, qa))
        corner = _appeears.place(head, product)
        clips.append((head, *_appeears.window(head, corner, source.rows, source.cols)))
    planned = []
    needed = {day: last for found in periods.values() for day, (last, _) in found.items()}
    for day, last in sorted(needed.items()):
        if day not in days:
            continue
        clip = next((clip for clip in clips if day in clip[0].steps), None)
        if clip is None:
            raise UserError(
                f"{', '.join(map(str, paths))}: expected {product.name} of {day}, found none. "
                f"{_appeears.absent(product.name, [day])}"
            )
        head, rows, cols = clip
        weights = {m: found[day][1] for m, found in periods.items() if day in found}
        length = (last - day + timedelta(1)).days
        planned.append(Piece(head.path, PLACE, day, rows, cols, weights, length, head.steps[day]))
    check_months(planned, product.name, periods)
    return planned


def values_of(
    piece: Piece, product: Product, qa: str
) -> tuple[np.ndarray, np.ndarray, dict[str, int]]:
    """Return stored numbers, where they may be used, and how many pixels each rule removed."""
    numbers, *quality = _appeears.stored(
        piece.path, layers_of(product, qa), piece.step, piece.rows, piece.cols
    )
    return numbers, *judged(f"{piece.path} {piece.day}", product, numbers, quality)


def main(clips, grid, index, composites, variable, year, assign, albedo_every, qa, days):
    product, area = PRODUCTS[variable], inside(grid)
    cells = np.flatnonzero(area)
    row, col = (read(index, band).ravel()[cells].astype("int32") for band in ("row", "col"))
    source = cut(row, col, cells, product.cells)
    files = {Path(path).stem: path for path in composites}
    rule = calendar(variable, assign, albedo_every)
    periods = {month: composites_of(month, **rule) for month in files}
    planned = plan(clips, product, source, periods, {date.fromisoformat(d) for d in days}, qa)
    log.info("%s %s: %d dates for %d months", product.name, year, len(planned), len(files))
    values = partial(values_of, product=product, qa=qa)
    for month, numbers in layers(planned, values, {PLACE: source}, area, variable):
        layer = {BANDS[variable]: physical(numbers, variable)}
        write(files[month], Grid.of(grid), layer, UNITS, source=product.name)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        clips=snakemake.input.clips,
        grid=snakemake.input.grid,
        index=snakemake.input.index,
        composites=snakemake.output.composites,
        variable=snakemake.wildcards.variable,
        year=snakemake.wildcards.year,
        assign=snakemake.params.assign,
        albedo_every=snakemake.params.albedo_every,
        qa=snakemake.params.qa,
        days=snakemake.params.days,
    )
