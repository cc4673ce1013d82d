"""Months of one MODIS variable on the map's grid (S4-S8, U4-U8): NDVI by its maximum, LST, ET and
albedo by their mean, each composite counting for the days it shares with the month.
"""

from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from time import monotonic

import numpy as np

from _calendar import calendar
from _calendar import composites as composites_of
from _granule import CELLS, PRODUCTS, STRAY, Product, check, header, implausible, stored, usable
from _log import UserError, log, log_to
from _raster import Grid, inside, read, write

BANDS = {"ndvi": "NDVI", "lst": "LST", "et": "ET", "albedo": "albedo"}
UNITS = {"NDVI": "1", "LST": "degC", "ET": "mm/day", "albedo": "1"}
ZERO_CELSIUS = 273.15  # K


@dataclass(frozen=True)
class Cut:
    """The part of a tile that the map uses, in pixels of a product, and where it goes.

    Map cell `cells[i]` takes pixel `pixels[i]` of the cut; both count along the rows.
    """

    rows: slice
    cols: slice
    cells: np.ndarray
    pixels: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        return self.rows.stop - self.rows.start, self.cols.stop - self.cols.start


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
        r, c = row[here] % CELLS // size, col[here] % CELLS // size
        rows = slice(int(r.min()), int(r.max()) + 1)
        cols = slice(int(c.min()), int(c.max()) + 1)
        pixels = (r - rows.start) * (cols.stop - cols.start) + (c - cols.start)
        name = f"h{number % 100:02d}v{number // 100:02d}"
        found[name] = Cut(rows, cols, cells[here], pixels)
    return found


@dataclass
class Month:
    """A month being composited: for each tile a running sum (or maximum) and the days in it.

    Sums are of stored numbers times days, which float32 holds exactly: the order of granules
    does not matter.
    """

    maximum: bool
    total: dict[str, np.ndarray] = field(default_factory=dict)
    days: dict[str, np.ndarray] = field(default_factory=dict)

    def add(
        self, tile: str, numbers: np.ndarray, ok: np.ndarray, weight: int, length: int = 1
    ) -> None:
        """Add one composite with `weight` days; `length` > 1 turns its total into one a day."""
        if tile not in self.total:
            self.total[tile] = np.full(numbers.shape, -np.inf if self.maximum else 0, "float32")
            self.days[tile] = np.zeros(numbers.shape, dtype="int16")
        total, days = self.total[tile], self.days[tile]
        if self.maximum:
            np.maximum(total, numbers, out=total, where=ok)
        else:
            np.add(total, numbers * np.float32(weight / length), out=total, where=ok)
        np.add(days, np.int16(weight), out=days, where=ok)

    def value(self, tile: str, pixels: np.ndarray) -> np.ndarray:
        """Return the daily mean (or the maximum) of the stored numbers (float64), NaN if none."""
        total = self.total[tile].ravel()[pixels].astype("float64")
        days = self.days[tile].ravel()[pixels].astype("float64")
        return np.where(days > 0, total / (1 if self.maximum else np.maximum(days, 1)), np.nan)


def physical(numbers: np.ndarray, variable: str) -> np.ndarray:
    """Return stored numbers in the unit of the map: LST in degC, the others scaled only."""
    scaled = numbers.astype("float64") * PRODUCTS[variable].scale
    return scaled - ZERO_CELSIUS if variable == "lst" else scaled


def on_grid(month: Month, sources: dict[str, Cut], shape: tuple[int, int]) -> np.ndarray:
    """Return the stored numbers of a month on the map (nearest pixel), NaN outside the area."""
    layer = np.full(shape, np.nan, dtype="float64").ravel()
    for tile, cut in sources.items():
        if tile in month.total:
            layer[cut.cells] = month.value(tile, cut.pixels)
    return layer.reshape(shape)


def layers_of(product: Product, qa: str) -> tuple[str, ...]:
    """Return the layers that are read: the values and, unless `qa` is `paper`, their quality."""
    return product.layer, *(product.quality if qa == "recommended" else ())


@dataclass(frozen=True)
class Granule:
    """A granule that passed its checks: what to read of it, and for which months it counts."""

    path: str
    tile: str
    rows: slice
    cols: slice
    weights: dict[str, int]
    length: int


def plan(
    paths: list[str],
    product: Product,
    sources: dict[str, Cut],
    periods: dict[str, dict[date, tuple[date, int]]],
    qa: str,
) -> list[Granule]:
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
        cut = sources[tile]
        rows = slice(cut.rows.start - row, cut.rows.stop - row)
        cols = slice(cut.cols.start - col, cut.cols.stop - col)
        if rows.start < 0 or cols.start < 0 or rows.stop > head.height or cols.stop > head.width:
            raise UserError(
                f"{path}: expected pixels that cover the study area (rows {cut.rows.start} to "
                f"{cut.rows.stop - 1}, columns {cut.cols.start} to {cut.cols.stop - 1} of {tile}), "
                f"found rows {row} to {row + head.height - 1}, columns {col} to "
                f"{col + head.width - 1}. Cut granules to area.box and a margin, or not at all."
            )
        last = next(found[day][0] for found in periods.values() if day in found)
        length = head.days or (last - day + timedelta(1)).days
        planned.append(Granule(str(path), tile, rows, cols, weights, length))
    for month in periods:
        if not any(month in granule.weights for granule in planned):
            raise UserError(
                f"{product.name} {month}: expected granules, found none. Fetch those of "
                f"{', '.join(map(str, periods[month]))}, or take the month out of the study."
            )
    return planned


def values_of(granule: Granule, product: Product, qa: str) -> tuple[np.ndarray, np.ndarray, dict]:
    """Return stored numbers, where they may be used, and how many pixels each rule removed."""
    layers = layers_of(product, qa)
    numbers, *quality = stored(granule.path, layers, granule.rows, granule.cols)
    stray = implausible(product, numbers)
    if stray > STRAY:
        low, high = product.plausible
        raise UserError(
            f"{granule.path}: expected {product.layer!r} times {product.scale:g} between {low:g} "
            f"and {high:g}, found {stray:.0%} of the values outside. Its scale is not the "
            "producer's: fetch the granule again."
        )
    return numbers, *usable(product, numbers, quality)


def progress(done: int, of: int, seconds: float) -> str:
    return f"{done} of {of}, about {seconds / done * (of - done):.0f} s left"


def composited(planned: list[Granule], product: Product, qa: str, maximum: bool, per_day: bool):
    """Yield (month, its `Month`) as soon as its last granule is in; each granule is read once."""
    last = {month: k for k, granule in enumerate(planned) for month in granule.weights}
    open_months, start = {}, monotonic()
    for k, granule in enumerate(planned):
        numbers, ok, lost = values_of(granule, product, qa)
        for month, weight in granule.weights.items():
            running = open_months.setdefault(month, Month(maximum))
            running.add(granule.tile, numbers, ok, weight, granule.length if per_day else 1)
        log.info(
            "%s/%s: %d of %d pixels used; removed: %s (%s)",
            Path(granule.path).parent.name,
            granule.tile,
            np.count_nonzero(ok),
            ok.size,
            ", ".join(f"{count} {why}" for why, count in lost.items() if count) or "none",
            progress(k + 1, len(planned), monotonic() - start),
        )
        for month in [m for m in open_months if last[m] == k]:
            yield month, open_months.pop(month)


def main(granules, grid, index, composites, variable, year, assign, albedo_every, qa):
    product, cells, area = PRODUCTS[variable], Grid.of(grid), inside(grid)
    row, col = (read(index, band).astype("int32") for band in ("row", "col"))
    sources = cuts(row, col, area, product.cells)
    files = {Path(path).stem: path for path in composites}
    rule = calendar(variable, assign, albedo_every)
    planned = plan(granules, product, sources, {m: composites_of(m, **rule) for m in files}, qa)
    log.info("%s %s: %d granules for %d months", product.name, year, len(planned), len(files))
    running = composited(planned, product, qa, variable == "ndvi", variable == "et")
    for month, sums in running:
        layer = physical(on_grid(sums, sources, cells.shape), variable)
        present = np.count_nonzero(np.isfinite(layer))
        if not present:
            used = [granule.path for granule in planned if month in granule.weights]
            raise UserError(
                f"{variable} {month}: expected values inside the study area, found none in "
                f"{len(used)} granules from {used[0]} to {used[-1]}. All is cloud or fill, or the "
                "files are of another place: look at the counts in the log, or try qa: paper."
            )
        band = BANDS[variable]
        write(files[month], cells, {band: layer}, UNITS, source=product.name)
        log.info("%s: %d of %d cells of the area have a value", month, present, area.sum())


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
