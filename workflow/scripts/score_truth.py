"""Score the map and the products it competes with against the true soil moisture (A8).

Only a simulated study has a truth, and only this step reads it. All products are judged on the
same cells and months. The fine-scale R, of deviations from the mean of the 1 km SMCI cell, is
the one number that shows the 250 m detail is real: the cells of SMCI have none. A second table
says whether the map's own statements hold: its intervals, its area of applicability, its error.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd
from rasterio.warp import transform
from scipy.stats import spearmanr

from _log import UserError, log, log_to
from _metrics import METRICS, bias, r
from _raster import Grid, bilinear, inside, nearest, read
from _table import write_table


def mean_over(values: np.ndarray, axis) -> np.ndarray:
    """Return the mean of the finite values, NaN where there is none; keeps the axis."""
    here = np.isfinite(values)
    count = here.sum(axis=axis, keepdims=True)
    total = np.where(here, values, 0).sum(axis=axis, keepdims=True, dtype="float64")
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def r_along(truth: np.ndarray, product: np.ndarray, axis: int, least: int) -> np.ndarray:
    """Return R along one axis of arrays with the same gaps, where >= `least` pairs remain."""
    t, p = truth - mean_over(truth, axis), product - mean_over(product, axis)
    enough = np.isfinite(t).sum(axis=axis) >= max(3, least)
    t, p = np.nan_to_num(t), np.nan_to_num(p)
    spread = np.sqrt((t * t).sum(axis=axis) * (p * p).sum(axis=axis))
    found = enough & (spread > 1e-12)
    return (t * p).sum(axis=axis)[found] / spread[found]


def anomalies(values: np.ndarray, season: np.ndarray) -> np.ndarray:
    """Return values (months, cells) minus each cell's mean of the same calendar month.

    A calendar month that a cell has only once has no anomaly (NaN).
    """
    result = np.full(values.shape, np.nan)
    for month in np.unique(season):
        here = season == month
        part = values[here]
        several = np.isfinite(part).sum(axis=0) > 1
        result[here] = np.where(several, part - mean_over(part, 0), np.nan)
    return result


def fine_scale(values: np.ndarray, coarse: np.ndarray) -> np.ndarray:
    """Return values (months, cells) minus the mean of the 1 km cell that each cell is in.

    `coarse` numbers the 1 km cells; one with fewer than two values has no fine scale (NaN).
    """
    number = np.unique(coarse, return_inverse=True)[1]
    result = np.full(values.shape, np.nan)
    for month, layer in enumerate(values):
        here = np.isfinite(layer)
        count = np.bincount(number[here], minlength=number.max() + 1)
        total = np.bincount(number[here], weights=layer[here], minlength=number.max() + 1)
        mean = np.where(count > 1, total / np.maximum(count, 1), np.nan)
        result[month] = layer - mean[number]
    return result


def scores(
    truth: np.ndarray, product: np.ndarray, season: np.ndarray, coarse: np.ndarray
) -> list[tuple[str, float, int]]:
    """Return (metric, value, n) of one product.

    truth and product: (months, cells), m3/m3, with the same gaps; season: calendar month of
    each; coarse: number of the 1 km cell of each cell. n counts what was averaged: pairs,
    months for the spatial R, cells for the temporal R.
    """
    here = np.isfinite(truth)
    t, p = truth[here].astype("float64"), product[here].astype("float64")
    rows = [(name, metric(t, p), len(t)) for name, metric in METRICS.items()]
    for name, axis, least in (("spatial R", 1, 10), ("temporal R", 0, len(truth) / 2)):
        found = r_along(truth, product, axis, least)
        rows.append((name, float(found.mean()) if len(found) else float("nan"), len(found)))
    for name, deviation, by in (
        ("anomaly R", anomalies, season),
        ("fine-scale R", fine_scale, coarse),
    ):
        a, b = deviation(truth, by), deviation(product, by)
        rows.append((name, _r_beyond_rounding(a, b), int(np.isfinite(a).sum())))
    rows.append(("SD ratio", float(p.std() / t.std()) if t.std() else float("nan"), len(t)))
    dry, wet = np.quantile(t, [0.1, 0.9])
    for name, part in (("bias, driest tenth", t <= dry), ("bias, wettest tenth", t >= wet)):
        rows.append((name, bias(t[part], p[part]), int(part.sum())))
    return rows


def _r_beyond_rounding(truth: np.ndarray, product: np.ndarray) -> float:
    # Deviations of a product without detail are rounding errors of float32, not zeros.
    here = np.isfinite(product)
    flat = not here.any() or product[here].std() < 1e-7
    return float("nan") if flat else r(truth, product)


def trusted(
    truth: np.ndarray,
    maps: np.ndarray,
    lower: np.ndarray,
    upper: np.ndarray,
    di: np.ndarray,
    threshold: float,
) -> list[tuple[str, float, int]]:
    """Return (quantity, value, n): do the intervals hold, and is the error larger outside?

    All arrays are (months, cells) in m3/m3 and DI; only pairs that have all of them count.
    """
    use = np.isfinite(truth) & np.isfinite(maps) & np.isfinite(di)
    t, p, low, high, d = (v[use].astype("float64") for v in (truth, maps, lower, upper, di))
    error, inside_area, n = p - t, d <= threshold, int(use.sum())
    if not n:
        return []

    def rmse(part):
        return float(np.sqrt(np.mean(error[part] ** 2))) if part.any() else float("nan")

    rows = [
        ("coverage of the interval", float(np.mean((low <= t) & (t <= high))), n),
        ("width of the interval", float(np.mean(high - low)), n),
        ("share inside", float(inside_area.mean()), n),
        ("RMSE inside", rmse(inside_area), int(inside_area.sum())),
        ("RMSE outside", rmse(~inside_area), int((~inside_area).sum())),
    ]
    quarter = np.searchsorted(np.quantile(d, [0.25, 0.5, 0.75]), d)
    rows += [
        (f"RMSE, quarter {k + 1} of DI", rmse(quarter == k), int((quarter == k).sum()))
        for k in range(4)
    ]
    rank = spearmanr(d, np.abs(error)).statistic if np.ptp(d) else float("nan")
    return [*rows, ("rank correlation of DI and error", float(rank), n)]


def table_of(
    truth: np.ndarray,
    products: dict[str, np.ndarray],
    months: list[str],
    test: list[str],
    coarse: np.ndarray,
) -> pd.DataFrame:
    """Return product, period, metric, value, n; every product on the pairs that all have.

    A product that has values in the test months only is judged in these only.
    """
    unseen = np.array([month.startswith(tuple(test)) for month in months])
    season = np.array([month[5:7] for month in months])
    only_test = {
        name
        for name, product in products.items()
        if np.isfinite(product[unseen]).any() and not np.isfinite(product[~unseen]).any()
    }
    rows = []
    for period, chosen in (("all", np.ones(len(months), bool)), ("test", unseen)):
        left_out = only_test if period == "all" and not unseen.all() else ()
        there = {name: v for name, v in products.items() if name not in left_out}
        common = np.isfinite(truth)
        for product in there.values():
            common &= np.isfinite(product)
        if not common[chosen].any():
            continue
        gaps = np.where(common[chosen], 0, np.nan).astype("float32")
        t = truth[chosen] + gaps
        for name, product in there.items():
            found = scores(t, product[chosen] + gaps, season[chosen], coarse)
            rows += [(name, period, *row) for row in found]
    return pd.DataFrame(rows, columns=["product", "period", "metric", "value", "n"])


def main(
    truth,
    maps,
    lower,
    upper,
    di,
    applicability,
    forest,
    baseline,
    smci,
    smc,
    era5land,
    grid,
    score,
    trust,
    months,
    test,
):
    cells, fine = Grid.of(grid), Grid.of(truth[0])
    x, y = (centre.ravel() for centre in fine.centres())
    on_map = cells.positions(*transform(fine.crs, cells.crs, x, y))
    use = nearest(inside(grid).astype("float64"), *on_map) == 1
    if not use.any():
        raise UserError(
            f"{truth[0]}: expected cells inside the study area of {grid}, found none. "
            "Was the truth simulated for another area.box? Delete resources/ and run again."
        )
    x, y = x[use], y[use]
    on_map = cells.positions(*transform(fine.crs, cells.crs, x, y))
    degrees = transform(fine.crs, "EPSG:4326", x, y)
    on_smci, on_era = (
        Grid.of(files[0]).positions(*degrees) if files else () for files in (smci, era5land)
    )
    empty = np.full(len(x), np.nan, "float32")

    def stack(files, take, at):
        of_month = {Path(path).stem: path for path in files}
        return np.stack(
            [
                take(read(of_month[month]), *at).astype("float32") if month in of_month else empty
                for month in months
            ]
        )

    sources = {
        "map": (maps, nearest, on_map),
        "forest alone": (forest, nearest, on_map),
        "paper's protocol": (baseline, nearest, on_map),
        "SMCI, nearest": (smci, nearest, on_smci),
        "SMCI, bilinear": (smci, bilinear, on_smci),
        "SMC": (smc, nearest, on_map),
        "ERA5-Land": (era5land, nearest, on_era),
    }
    stacks = {name: stack(*source) for name, source in sources.items() if source[0]}
    true = np.stack([read(path, "soil_moisture").ravel()[use].astype("float32") for path in truth])
    if smci:
        coarse = np.floor(on_smci[0]) * Grid.of(smci[0]).width + np.floor(on_smci[1])
    else:  # cells of the same 30 arc seconds
        east, south = np.floor((np.array(degrees) + [[180], [90]]) * 120)
        coarse = south * 360 * 120 + east
    table = table_of(true, stacks, months, test, coarse)
    if table.empty:
        counts = ", ".join(f"{n} {np.isfinite(s).sum()}" for n, s in stacks.items())
        raise UserError(
            f"{score}: expected cells and months that all products have, found none. "
            f"Values by product: {counts}. See the log of the one that has none."
        )
    write_table(table, score)
    unseen = np.array([month.startswith(tuple(test)) for month in months])
    named = [stacks["map"], *(stack(files, nearest, on_map) for files in (lower, upper, di))]
    threshold = json.loads(Path(applicability).read_text(encoding="utf-8"))["threshold"]
    told = trusted(true[unseen], *(values[unseen] for values in named), threshold)
    write_table(pd.DataFrame(told, columns=["quantity", "value", "n"]), trust)
    for name, values in stacks.items():
        log.info("%s: %d of %d pairs have a value", name, np.isfinite(values).sum(), values.size)
    for row in told:
        log.info("%s: %.4f (%d)", *row)
    for row in table[table["metric"].isin(["R", "RMSE"])].itertuples():
        log.info("%s, %s: %s %.3f (%d)", row.product, row.period, row.metric, row.value, row.n)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        truth=snakemake.input.truth,
        maps=snakemake.input.maps,
        lower=snakemake.input.lower,
        upper=snakemake.input.upper,
        di=snakemake.input.di,
        applicability=snakemake.input.applicability,
        forest=snakemake.input.forest,
        baseline=snakemake.input.baseline,
        smci=snakemake.input.smci,
        smc=snakemake.input.smc,
        era5land=snakemake.input.era5land,
        grid=snakemake.input.grid,
        score=snakemake.output.score,
        trust=snakemake.output.trust,
        months=snakemake.params.months,
        test=snakemake.params.test,
    )
