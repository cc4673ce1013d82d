"""Is the soil getting wetter? Trends of one calendar month over the years, cell by cell (S29, E8).

Neighbouring cells share their weather, so that nine tenths of an area may rise by chance (D7): the
share that rises is judged against years in random order, one order for all cells. Where all rise
together a share of 1 is no rarer than one of 0, so a common trend shows in the slope of the area's
mean, not in the share. Single cells are judged by Mann-Kendall's test, exact where it can be, and
all together by the false discovery rate.
A trend of the predictors themselves (a sensor that ages, gauges that come and go) is a trend of the
map too: no test here can tell it from one of the soil.
"""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from time import monotonic

import numpy as np
import pandas as pd
import rasterio

from _area import weights
from _log import UserError, log, log_to, notice
from _raster import Grid, cloud_optimized, inside, lonlat
from _table import write_table
from _trend import LEAST, field_limit, least_squares, mann_kendall, theil_sen

COLUMNS = ("month", "quantity", "part", "value", "low", "high", "p", "n")
BANDS = ("slope", "p_slope", "sen", "sen_low", "sen_high", "p_kendall", "significant")
QUARTERS = ("NW", "NE", "SW", "SE")  # by longitude and latitude, about the centre of the area
PERCENTILES = {"min": 0, "p0.1": 0.1, "p50": 50, "p99.9": 99.9, "max": 100}
AT_ONCE = 2**15  # cells whose pairs of years are held in memory at once
FITTING = 512  # cells whose slopes under all orders of the years fit into the cache
STEPS = 2**14
ROUNDING = 1e-12  # a slope this small beside what its years add up to is 0
REDRAWN = 1000


def years_of(maps: list[str], calendar: str) -> np.ndarray:
    """Return the years of maps named YYYY-MM.tif; refuse another month and years out of order."""
    names = [Path(path).stem for path in maps]
    years = [int(name[:4]) for name in names if re.fullmatch(rf"\d{{4}}-{calendar}", name)]
    if len(years) < len(names) or sorted(set(years)) != years:
        raise UserError(
            f"{maps[0]}: expected maps YYYY-{calendar}.tif, one a year in their order, found "
            f"{', '.join(names)}. Run the step that makes the maps again."
        )
    return np.array(years)


def centre(grid: str, lonlat_file: str) -> tuple[float, float]:
    """Return the mean longitude and latitude (degrees) of the cells of the study area.

    A hair less, so that cells on it are east and north of it however the sums were rounded.
    """
    total, cells = np.zeros(3), Grid.of(grid)
    for window in cells.blocks():
        here = inside(grid, window)
        share = weights(cells.crs, cells.centres(window)[1][here])
        longitude, latitude = (degrees[here] for degrees in lonlat(lonlat_file, window))
        total += share.sum(), (share * longitude).sum(), (share * latitude).sum()
    if not total[0]:
        raise UserError(f"{grid}: expected cells inside the study area, found none.")
    return total[1] / total[0] - 1e-9, total[2] / total[0] - 1e-9


def deviations(values: np.ndarray) -> np.ndarray:
    """Return values (years, cells) minus each cell's mean; 0 where a year is missing."""
    given = np.isfinite(values)
    mean = np.where(given, values, 0).sum(axis=0) / np.maximum(given.sum(axis=0), 1)
    return np.where(given, values - mean, 0)


def direction(deviation: np.ndarray, years: np.ndarray) -> np.ndarray:
    """Return the sign of the slope of least squares (E8) of each cell, 0 beside its rounding."""
    parts = (years - years.mean())[:, None] * deviation
    sums = parts.sum(axis=0)
    return np.where(np.abs(sums) > ROUNDING * np.abs(parts).sum(axis=0), np.sign(sums), 0)


def orders(years: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Return (count, years): the years, centred, in random orders."""
    rows = np.tile(years - years.mean(), (count, 1))
    return np.random.default_rng(seed).permuted(rows, axis=1).astype("float32")


def rising(deviation: np.ndarray, parts: np.ndarray, shuffled: np.ndarray) -> np.ndarray:
    """Return (orders, parts): the area whose slope is positive under each order of the years.

    deviation: (years, cells), from `deviations`; parts: (cells, parts), the area of each cell in
    each; shuffled: (orders, years), from `orders`. A cell's deviations sum to 0, so their product
    with the years has the sign of the slope whatever years are missing.
    """
    deviation, parts = deviation.astype("float32"), parts.astype("float32")
    found = np.zeros((len(shuffled), parts.shape[1]))
    for start in range(0, len(parts), FITTING):
        slopes = shuffled @ deviation[:, start : start + FITTING]
        np.greater(slopes, 0, out=slopes)
        found += slopes @ parts[start : start + FITTING]
    return found


def against(null: np.ndarray, value: float) -> tuple[float, float, float]:
    """Return the 5 and 95 % points of shares under no trend, and the two-sided p of `value`.

    Reversed years turn a share s into 1 - s, so the null is symmetric about one half.
    """
    if not np.isfinite(null).any() or not np.isfinite(value):
        return (np.nan,) * 3
    low, high = np.percentile(null, [5, 95])
    beyond = np.abs(null - 0.5) >= abs(value - 0.5) - 1e-6  # its sums are in single precision
    return float(low), float(high), (1 + int(beyond.sum())) / (1 + len(null))


def redrawn(series: np.ndarray, years: np.ndarray, seed: int) -> tuple[float, float]:
    """Return the 2.5 and 97.5 % points of the Sen slope over years drawn again.

    One draw of years is taken for the whole area, so that what neighbours share is kept.
    """
    known = np.isfinite(series)
    if known.sum() < LEAST:
        return np.nan, np.nan
    y, t = series[known], years[known]
    drawn = np.random.default_rng(seed).integers(len(t), size=(REDRAWN, len(t)))
    earlier, later = np.triu_indices(len(t), 1)
    apart = (t[drawn][:, later] - t[drawn][:, earlier]).astype("float64")
    with np.errstate(invalid="ignore"):  # a year drawn twice has no slope with itself
        slopes = (y[drawn][:, later] - y[drawn][:, earlier]) / np.where(apart == 0, np.nan, apart)
    slopes = slopes[np.isfinite(slopes).any(axis=1)]
    return tuple(np.percentile(np.nanmedian(slopes, axis=1), [2.5, 97.5]))


def tested(values: np.ndarray, years: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return Mann-Kendall's S and p of each cell: exact where it exists, else normal."""
    found = mann_kendall(values, years)
    return found["S"], np.where(np.isfinite(found["p_exact"]), found["p_exact"], found["p"])


class Domain:
    """The mean series of the area and the list of p, gathered chunk by chunk.

    A year's value is the mean deviation from each cell's own mean, so that a dry cell that is
    missing in one year does not make this year wet; without gaps it is the series of means.
    """

    def __init__(self, years: np.ndarray):
        self.years = years
        self.area, self.total = np.zeros(len(years)), np.zeros(len(years))
        self.p = np.zeros(0)
        self.counts = np.zeros(0, "int64")
        self.any = self.few = 0

    def add(self, values: np.ndarray, area: np.ndarray) -> None:
        given = np.isfinite(values)
        years = given.sum(axis=0)
        enough = years >= LEAST
        self.any += int((years > 0).sum())
        self.few += int(((years > 0) & ~enough).sum())
        if not enough.any():
            return
        values, area = values[:, enough], area[enough]
        # Products of matrices would be added up in an order that depends on the number of cores.
        self.area += (given[:, enough] * area).sum(axis=1)
        self.total += (deviations(values) * area).sum(axis=1)
        p, counts = np.unique(tested(values, self.years)[1], return_counts=True)
        self.p, place = np.unique(np.concatenate([self.p, p]), return_inverse=True)
        both = np.concatenate([self.counts, counts])
        self.counts = np.bincount(place, both).astype("int64")

    def series(self) -> np.ndarray:
        return np.where(self.area > 0, self.total / np.where(self.area > 0, self.area, 1), np.nan)


class Shares:
    """Areas, by quarter, of what the table tells; `summed` gives the rows of the table."""

    def __init__(self, shuffled: np.ndarray):
        self.shuffled = shuffled
        self.null = np.zeros((len(shuffled), len(QUARTERS)))
        # Of each: the area that has it, the area that counts, and the cells that count.
        names = ("increasing", "increasing_sen", "significant", "significant_increasing")
        self.sums = {name: np.zeros((3, len(QUARTERS))) for name in (*names, "slope")}

    def add(self, values, found: dict[str, np.ndarray], years, parts: np.ndarray) -> None:
        """Take cells with a trend: values (years, cells), the maps, area by quarter."""
        deviation = deviations(values)
        sign = direction(deviation, years)
        moved = sign != 0
        self.null += rising(deviation[:, moved], parts[moved], self.shuffled)
        marked, all_cells = found["significant"] == 1, np.ones(len(parts), bool)
        for name, has, counts in (
            ("increasing", sign > 0, moved),
            ("increasing_sen", found["sen"] > 0, found["sen"] != 0),
            ("significant", marked, all_cells),
            ("significant_increasing", marked & (found["S"] > 0), all_cells),
            ("slope", found["slope"], all_cells),
        ):
            has, counts = has[:, None], counts[:, None]
            terms = has * parts, counts * parts, counts & (parts > 0)
            self.sums[name] += [term.sum(axis=0) for term in terms]

    def summed(self) -> list[tuple]:
        """Return (quantity, part, value, low, high, p, n), the parts `all` and QUARTERS of each."""
        rows = []
        picks = {"all": slice(None)} | {name: [k] for k, name in enumerate(QUARTERS)}
        for name, sums in self.sums.items():
            quantity = "mean_slope" if name == "slope" else f"share_{name}"
            for part, pick in picks.items():
                has, counted, n = sums[:, pick].sum(axis=1)
                value = has / counted if counted else np.nan
                rest = (np.nan,) * 3
                if name == "increasing" and counted:
                    rest = against(self.null[:, pick].sum(axis=1) / counted, value)
                rows.append((quantity, part, value, *rest, int(n)))
        return rows


def strips(maps: list[str], grid: str) -> Iterator[tuple]:
    """Yield a window, the flat numbers of its cells that count, and their values (years, cells).

    Cells count that lie in the study area and have a value in any year; the values are float32.
    """
    with ExitStack() as opened:
        sources = [opened.enter_context(rasterio.open(path)) for path in maps]
        for window in Grid.of(grid).blocks():
            stack = np.stack([source.read(1, window=window).ravel() for source in sources])
            here = inside(grid, window).ravel() & np.isfinite(stack).any(axis=0)
            numbers = np.flatnonzero(here)
            yield window, numbers, stack[:, numbers]


def pieces(count: int) -> list[slice]:
    """Return slices of at most AT_ONCE that make up `count`."""
    return [slice(start, start + AT_ONCE) for start in range(0, count, AT_ONCE)]


def ground(cells: Grid, window) -> np.ndarray:
    """Return the area of the cells of a window, flat, in steps of 1/STEPS.

    So the sums of FITTING cells are exact in single precision, and the same on any number of cores.
    """
    return np.round(weights(cells.crs, cells.centres(window)[1]).ravel() * STEPS) / STEPS


def maps_of(values: np.ndarray, years: np.ndarray, limit: float) -> dict[str, np.ndarray]:
    """Return the layers BANDS and S of cells (years, cells); `limit` is the largest p marked."""
    slope, p_slope = least_squares(values, years)
    sen, low, high = theil_sen(values, years)
    s, p = tested(values, years)
    marked = np.where(np.isfinite(p), p <= limit, np.nan)
    return dict(zip((*BANDS, "S"), (slope, p_slope, sen, low, high, p, marked, s), strict=True))


def main(
    maps, grid, lonlat_file, trend, table, calendar, rate, permutations, seed, unit, note
) -> None:
    years, cells = years_of(maps, calendar), Grid.shared(grid, *maps)
    middle = centre(grid, lonlat_file)
    domain = Domain(years)
    for window, numbers, stack in strips(maps, grid):
        area = ground(cells, window)[numbers]
        for piece in pieces(len(numbers)):
            domain.add(stack[:, piece].astype("float64"), area[piece])
    limit = field_limit(domain.p, domain.counts, rate)
    if len(years) < LEAST:
        notice(
            "month %s: %d years; a trend needs %d, because no order of fewer is rarer than one "
            "in twenty. Maps and table are empty.",
            *(calendar, len(years), LEAST),
        )
    log.info(
        "month %s: %d years, %d cells with a value, %d of them in fewer than %d years: no trend",
        *(calendar, len(years), domain.any, domain.few, LEAST),
    )

    shares, slopes = Shares(orders(years, permutations, seed)), []
    units = {name: "1" if name[0] == "p" else f"{unit} per year" for name in BANDS}
    tags = dict(
        description=f"trend of month {calendar}, {years[0]} to {years[-1]}",
        significant=f"Benjamini-Hochberg at rate {rate:g}: p_kendall <= {limit:.6g}",
    ) | (dict(note=note) if note else {})
    began, done = monotonic(), 0
    with cloud_optimized(trend, cells, units | {"significant": "1"}, **tags) as target:
        for window, numbers, stack in strips(maps, grid):
            area = ground(cells, window)[numbers]
            longitude, latitude = (v.ravel()[numbers] for v in lonlat(lonlat_file, window))
            quarter = (longitude >= middle[0]) + 2 * (latitude < middle[1])
            layers = np.full((len(BANDS), window.height * window.width), np.nan, "float32")
            for piece in pieces(len(numbers)):
                values = stack[:, piece].astype("float64")
                found = maps_of(values, years, limit)
                layers[:, numbers[piece]] = [found[name] for name in BANDS]
                enough = np.isfinite(found["slope"])
                found = {name: layer[enough] for name, layer in found.items()}
                parts = quarter[piece, None] == np.arange(len(QUARTERS))
                parts = (parts * area[piece, None])[enough]
                shares.add(values[:, enough], found, years, parts)
                # Four bytes a cell, all that grows with the area: percentiles need every slope.
                slopes.append(found["slope"].astype("float32"))
            target.write(layers.reshape(len(BANDS), window.height, window.width), window=window)
            done += len(numbers)
            left = (monotonic() - began) * (domain.any - done) / max(done, 1)
            log.info("month %s: %d of %d cells, %.0f s left", calendar, done, domain.any, left)

    rows = shares.summed()
    rows.append(domain_row(domain, seed))
    rows += extremes(np.concatenate([*slopes, np.zeros(0, "float32")]))
    found = pd.DataFrame([(calendar, *row) for row in rows], columns=list(COLUMNS))
    write_table(found, table)
    told = found.set_index(["quantity", "part"])
    log.info(
        "month %s: share increasing %.3f (5 to 95 %% without a trend %.3f to %.3f, p %.3f)",
        calendar,
        *told.loc[("share_increasing", "all"), ["value", "low", "high", "p"]],
    )
    log.info(
        "month %s: share significant at rate %g %.4f; slope of the area's mean %.5f "
        "(%.5f to %.5f, p %.3f)",
        *(calendar, rate, told.loc[("share_significant", "all"), "value"]),
        *told.loc[("domain_slope", "all"), ["value", "low", "high", "p"]],
    )


def domain_row(domain: Domain, seed: int) -> tuple:
    """Return the row of the area's own series: Sen slope, interval, exact p and years."""
    series = domain.series()
    value = float(theil_sen(series, domain.years)[0])
    low, high = redrawn(series, domain.years, seed)
    p = float(tested(series, domain.years)[1])
    return ("domain_slope", "all", value, low, high, p, int(np.isfinite(series).sum()))


def extremes(slopes: np.ndarray) -> list[tuple]:
    """Return the rows of the percentiles of the slopes of all cells (N32)."""
    nothing = (np.nan,) * 3
    marks = np.percentile(slopes, list(PERCENTILES.values())) if len(slopes) else [np.nan] * 5
    return [
        ("slope_percentile", part, float(value), *nothing, len(slopes))
        for part, value in zip(PERCENTILES, marks, strict=True)
    ]


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        maps=snakemake.input.maps,
        grid=snakemake.input.grid,
        lonlat_file=snakemake.input.lonlat,
        trend=snakemake.output.trend,
        table=snakemake.output.table,
        calendar=snakemake.wildcards.calendar,
        rate=snakemake.params.rate,
        permutations=snakemake.params.permutations,
        seed=snakemake.params.seed,
        unit=snakemake.params.unit,
        note=snakemake.params.note,
    )
