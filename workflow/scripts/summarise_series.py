"""Mean series of the study area: the map, the products and rain, and how they go together (S26).

Each is averaged by area over its own cells: those of the map, or cells in longitude and latitude
whose centre lies in the study area. Gaps differ, so `share` says how much of the area a value is
of. Soil moisture and rain share a season, and two series that share one are correlated for that
alone (N28): what remains without it is the deseasonalised correlation, and p compares with years in
random order, their months kept. Intervals are of years drawn again. Months of one year are not
independent: p of the deseasonalised trend, which takes them so, is too small.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from _area import weights
from _log import UserError, log, log_to
from _metrics import r
from _raster import Grid, inside_of, read
from _season import season_of
from _table import write_table
from _trend import mann_kendall, theil_sen

MAP = "soil_moisture"
COLUMNS = ("quantity", "of", "scale", "value", "low", "high", "p", "n")
NONE = (np.nan, np.nan, np.nan)
DRAWS = 1000


def area_mean(path: str, area: Callable) -> tuple[float, float]:
    """Return the mean by area of a raster and the share of the area that has a value.

    `area` returns True for the cells of a window that lie in the study area.
    """
    cells, total, known, whole = Grid.of(path), 0.0, 0.0, 0.0
    for window in cells.blocks():
        here = area(window)
        layer = read(path, window=window)[here]
        share = weights(cells.crs, cells.centres(window)[1][here])
        given = np.isfinite(layer)
        total += float((layer[given] * share[given]).sum())
        known += float(share[given].sum())
        whole += float(share.sum())
    return (total / known if known else np.nan), (known / whole if whole else 0.0)


def monthly(paths: list[str], grid: str) -> pd.DataFrame:
    """Return period, value and share of the rasters of one quantity, each named YYYY-MM.tif."""
    area = inside_of(Grid.shared(*paths), grid)
    rows = [(Path(path).stem, *area_mean(path, area)) for path in paths]
    return pd.DataFrame(rows, columns=["period", "value", "share"])


def by_year(months: pd.DataFrame, begins: int = 1) -> pd.DataFrame:
    """Return monthly values shaped (years, calendar months), NaN where there is none.

    Years begin in the month `begins` and are named as `_season.season_of` names them.
    """
    year = [season_of(period, begins) for period in months["period"]]
    keys = months.assign(year=year, month=months["period"].str[5:7])
    table = keys.pivot(index="year", columns="month", values="value").sort_index()
    return table[sorted(table, key=lambda month: (int(month) - begins) % 12)]


def season_means(months: pd.DataFrame, years: list[str], begins: int = 1) -> pd.DataFrame:
    """Return period (YYYY), value and share of `years`: the mean of the months, if half of them
    have one."""
    table = by_year(months, begins).reindex(years)
    shares = by_year(months.assign(value=months["share"]), begins).reindex(years)
    enough = 2 * table.notna().sum(axis=1) >= table.shape[1]
    value = table.mean(axis=1).where(enough)
    share = shares.sum(axis=1) / table.shape[1]
    return pd.DataFrame({"period": table.index, "value": value.values, "share": share.values})


def without_season(values: np.ndarray) -> np.ndarray:
    """Return (years, months) minus the mean of each calendar month; one year alone has none."""
    given = np.isfinite(values).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.nansum(values, axis=0) / given
    return np.where(given > 1, values - mean, np.nan)


def correlations(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return R of each draw of arrays (draws, years, months), over the pairs both have.

    NaN as in `_metrics.r`: fewer than three pairs, or one side constant but for rounding.
    """
    both = np.isfinite(a) & np.isfinite(b)
    n = both.sum(axis=(1, 2))
    sums = []
    for side in (a, b):
        mean = np.where(both, side, 0).sum(axis=(1, 2)) / np.maximum(n, 1)
        sums.append(np.where(both, side - mean[:, None, None], 0))
    a, b = sums
    spread = np.sqrt((a**2).sum(axis=(1, 2)) * (b**2).sum(axis=(1, 2)))
    known = (n > 2) & (spread > 1e-15)
    return np.where(known, (a * b).sum(axis=(1, 2)) / np.where(known, spread, 1), np.nan)


def association(a: np.ndarray, b: np.ndarray, permutations: int, seed: int) -> tuple:
    """Return R, its 95 % interval, p and the pairs of two arrays (years, months).

    Interval: whole years drawn again, of both. p, two-sided: whole years of `b` in random order.
    """
    value, n = r(a, b), int((np.isfinite(a) & np.isfinite(b)).sum())
    years = len(a)
    if not np.isfinite(value) or years < 3:
        return value, *NONE, n
    random = np.random.default_rng(seed)
    drawn = random.integers(years, size=(DRAWS, years))
    again = correlations(a[drawn], b[drawn])
    again = again[np.isfinite(again)]
    low, high = np.percentile(again, [2.5, 97.5]) if len(again) else (np.nan, np.nan)
    order = random.permuted(np.tile(np.arange(years), (permutations, 1)), axis=1)
    null = correlations(np.broadcast_to(a, (permutations, *a.shape)), b[order])
    null = null[np.isfinite(null)]
    # The season that both keep shifts the null away from 0: each tail for itself, doubled.
    tail = min((null >= value - 1e-12).sum(), (null <= value + 1e-12).sum())
    return value, float(low), float(high), min(1.0, 2 * (1 + int(tail)) / (1 + len(null))), n


def trend(values: np.ndarray, time: np.ndarray) -> tuple:
    """Return the Sen slope per year, its 95 % interval, Mann-Kendall's p (exact or normal), n."""
    slope, low, high = (float(part) for part in theil_sen(values, time))
    found = mann_kendall(values, time)
    p = found["p_exact"] if np.isfinite(found["p_exact"]) else found["p"]
    return slope, low, high, float(p), int(found["n"])


def of_one(name: str, table: pd.DataFrame, whole: np.ndarray, begins: int = 1) -> list[tuple]:
    """Return rows of COLUMNS of one quantity; `table` is from `by_year`.

    `whole`: True for the rows of years that lie wholly in the study, which have an annual mean.
    """
    values = table.to_numpy()
    years, calendar = table.index.astype(int).to_numpy(), table.columns.astype(int).to_numpy()
    enough = whole & (2 * np.isfinite(values).sum(axis=1) >= values.shape[1])
    annual = np.where(enough, _mean(values, 1), np.nan)
    usual = _mean(values, 0)
    anomaly = without_season(values)
    early = (begins > 1) & (begins <= calendar)  # in the calendar year before
    time = (years[:, None] - early + (calendar - 0.5) / 12).ravel()
    rows = [
        ("sen_slope", name, "annual", *trend(annual, years)),
        ("sen_slope", name, "deseasonalised", *trend(anomaly.ravel(), time)),
    ]
    if np.isfinite(usual).any():
        peak = calendar[np.nanargmax(usual)]
        rows.append(("month_of_maximum", name, "monthly", float(peak), *NONE, len(years)))
    for scale, series in (("monthly", values), ("annual", annual)):
        given = series[np.isfinite(series)]
        for quantity, of in (("minimum", np.min), ("maximum", np.max), ("mean", np.mean)):
            found = float(of(given)) if len(given) else np.nan
            rows.append((quantity, name, scale, found, *NONE, len(given)))
    for month, value, column in zip(calendar, usual, values.T, strict=True):
        n = int(np.isfinite(column).sum())
        rows.append(("mean_of_month", name, f"{month:02d}", float(value), *NONE, n))
    return rows


def _mean(values: np.ndarray, axis: int) -> np.ndarray:
    given = np.isfinite(values).sum(axis=axis)
    return np.where(given > 0, np.nansum(values, axis=axis) / np.maximum(given, 1), np.nan)


def month_before(table: pd.DataFrame, begins: int = 1) -> pd.DataFrame:
    """Return each month's value of the month before it, NaN where that is not in the year."""
    numbers = [int(month) for month in table.columns]
    earlier = ["" if n == begins else f"{(n - 2) % 12 + 1:02d}" for n in numbers]
    return table.reindex(columns=earlier).set_axis(table.columns, axis=1)


def of_pair(name, a: pd.DataFrame, b: pd.DataFrame, whole, scales, permutations, seed) -> list:
    """Return rows of COLUMNS: R of two tables from `by_year` at some of three scales.

    `whole` as for `of_one`.
    """
    b = b.reindex(index=a.index, columns=a.columns)
    first, second = a.to_numpy(), b.to_numpy()
    # The annual means are of the months that both have.
    gaps = np.where(np.isfinite(first + second), 0, np.nan)
    views = {
        "monthly": lambda v: v,
        "annual": lambda v: np.where(
            whole & (2 * np.isfinite(v + gaps).sum(axis=1) >= v.shape[1]),
            _mean(v + gaps, 1),
            np.nan,
        )[:, None],
        "deseasonalised": lambda v: without_season(v + gaps),
    }
    return [
        (
            *("correlation", name, scale),
            *association(views[scale](first), views[scale](second), permutations, seed),
        )
        for scale in scales
    ]


def main(
    maps,
    smci,
    smc,
    era5land,
    rain,
    grid,
    series,
    statistics,
    permutations,
    seed,
    unit,
    years,
    year_begins,
):
    sources = {
        MAP: (maps, unit),
        "SMCI": (smci, "m3/m3"),
        "SMC": (smc, "m3/m3"),
        "ERA5-Land": (era5land, "m3/m3"),
        "rain": (rain, "mm/month"),
    }
    long, tables = [], {}
    for name, (paths, of_value) in sources.items():
        if not paths:
            continue
        months = monthly(paths, grid)
        tables[name] = by_year(months, year_begins)
        for part in (months, season_means(months, years, year_begins)):
            long.append(part.assign(quantity=name, unit=of_value))
        few = months.loc[months["share"] < 0.5, "period"]
        log.info(
            "%s: %d months, a value in %.3f of the area (least %.3f), below half in %d months%s",
            *(name, len(months), months["share"].mean(), months["share"].min(), len(few)),
            f" ({', '.join(few)})" if len(few) else "",
        )
    table = pd.concat(long)[["period", "quantity", "value", "unit", "share"]]
    if not np.isfinite(tables[MAP].to_numpy()).any():
        raise UserError(
            f"{maps[0]}: expected maps with values in the study area, found none in "
            f"{len(maps)}. See the logs of the rules that make them."
        )
    write_table(table, series)

    rows, whole = [], tables[MAP].index.isin(years)
    for name in ("rain", *(name for name in tables if name not in (MAP, "rain"))):
        scales = ("monthly", "annual", "deseasonalised")
        pair = tables[MAP], tables[name]
        rows += of_pair(f"{MAP}~{name}", *pair, whole, scales, permutations, seed)
    before = tables[MAP], month_before(tables["rain"], year_begins)
    scales = ("monthly", "deseasonalised")
    rows += of_pair(f"{MAP}~rain of the month before", *before, whole, scales, permutations, seed)
    for name, values in tables.items():
        rows += of_one(name, values.reindex(tables[MAP].index), whole, year_begins)
    write_table(pd.DataFrame(rows, columns=list(COLUMNS)), statistics)
    for row in rows:
        if row[0] in ("correlation", "sen_slope"):
            log.info("%s of %s, %s: %.4g (%.4g to %.4g), p %.3g, n %d", *row)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        maps=snakemake.input.maps,
        smci=snakemake.input.smci,
        smc=snakemake.input.smc,
        era5land=snakemake.input.era5land,
        rain=snakemake.input.rain,
        grid=snakemake.input.grid,
        series=snakemake.output.series,
        statistics=snakemake.output.statistics,
        permutations=snakemake.params.permutations,
        seed=snakemake.params.seed,
        unit=snakemake.params.unit,
        years=snakemake.params.years,
        year_begins=snakemake.params.year_begins,
    )
