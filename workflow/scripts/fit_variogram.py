"""How rain differs over distance, and how well gauges predict a gauge left out (S11, U25, A9).

One variogram for all months: twelve gauges make 66 pairs, too few for a month of their own. The
scores are the evaluation of interpolation methods that the paper mentions and does not show.
"""

import json
from dataclasses import asdict

import numpy as np
import pandas as pd
from pykrige.ok import OrdinaryKriging

from _kriging import Variogram, check_apart, distances, fit, lags
from _log import log, log_to
from _metrics import bias, paired, r, rmse
from _stations import projected
from _table import write_table, write_text


def by_month(totals: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return positions (index station; lat, lon) and totals (stations x months, mm, NaN missing).

    Months without rain anywhere say nothing about how rain differs and are left out, as are
    stations that never have a total.
    """
    given = totals.dropna(subset=["total", "lat", "lon"])
    places = given.groupby("station")[["lat", "lon"]].median()
    values = given.pivot(index="station", columns="month", values="total")
    return places, values.loc[:, values.mean() > 0]


def relative(values: np.ndarray) -> np.ndarray:
    """Return the totals (stations, months) over each month's mean."""
    return values / np.nanmean(values, axis=0)


def fitted(stations: np.ndarray, values: np.ndarray, model: str) -> tuple[Variogram, np.ndarray]:
    """Return the variogram of relative totals and its lag table; a stand-in for < 3 stations."""
    if len(stations) >= 3 and values.shape[1]:
        table = lags(stations, relative(values))
        if len(table):
            return fit(table, model), table
    reach = float(distances(stations, stations).max(initial=0.0)) or 1e5
    log.warning(
        "Only %d gauges and %d months with rain: no variogram can be fitted. A %s one without "
        "nugget and a range of %.0f km stands in.",
        len(stations),
        values.shape[1],
        model,
        reach / 1e3,
    )
    return Variogram(model, 0.0, 1.0, reach), np.empty((0, 3))


def left_out(stations: np.ndarray, values: np.ndarray, variogram: Variogram) -> pd.DataFrame:
    """Return a row for each station and month left out: observed, and predicted by each method.

    `stations` (n, 2) in metres, `values` (n, months) in mm. Months with fewer than three gauges
    cannot spare one. PyKrige predicts here and `_kriging` makes the maps: each checks the other.
    """
    parameters = {"psill": variogram.psill, "nugget": variogram.nugget, "range": variogram.range}
    rows = []
    for column in values.T:
        there = np.flatnonzero(np.isfinite(column))
        for station in there if len(there) >= 3 else []:
            others = there[there != station]
            x, y = stations[station]
            kriging = OrdinaryKriging(
                *stations[others].T,
                column[others],
                variogram_model=variogram.model,
                variogram_parameters=parameters,
            )
            kriged, _ = kriging.execute("points", [x], [y])
            near = distances(stations[[station]], stations[others])[0] ** -2.0
            rows.append(
                {
                    "observed": column[station],
                    "ordinary kriging": max(float(kriged[0]), 0.0),
                    "inverse distance squared": near @ column[others] / near.sum(),
                    "mean of the gauges": column[others].mean(),
                }
            )
    return pd.DataFrame(rows)


def scored(predicted: pd.DataFrame) -> pd.DataFrame:
    """Return one row a method: R, RMSE (mm), bias (mm), n, RMSE over the mean total."""
    rows = []
    for method in predicted.columns.drop("observed", errors="ignore"):
        truth, guess = paired(predicted["observed"], predicted[method])
        error = rmse(truth, guess)
        rows.append((method, r(truth, guess), error, bias(truth, guess), len(truth)))
        rows[-1] += (error / truth.mean(),)
    return pd.DataFrame(rows, columns=["method", "R", "RMSE", "bias", "n", "relative_RMSE"])


def main(totals, variogram, scores, months, crs, model):
    table = pd.concat([pd.read_csv(path, dtype={"station": str}) for path in totals])
    # A year may hold test months beside training months: they must not shape the variogram (A12).
    table = table[table["month"].isin(months)]
    places, wet = by_month(table)
    stations, values = projected(places["lon"], places["lat"], crs), wet.to_numpy()
    check_apart(stations, places.index, totals[0])
    curve, points = fitted(stations, values, model)
    names = ["distance", "semivariance", "pairs"]
    result = {
        **asdict(curve),
        "pairs": int(points[:, 2].sum()),
        "months": values.shape[1],
        "stations": len(stations),
        "lags": [dict(zip(names, map(float, row), strict=True)) for row in points],
    }
    write_text(json.dumps(result, indent=1) + "\n", variogram)
    log.info(
        "%s variogram of %d gauges in %d months with rain (%d pairs): nugget %.4f, psill %.4f of "
        "the squared mean, range %.1f km",
        *(model, len(stations), values.shape[1], result["pairs"]),
        *(curve.nugget, curve.psill, curve.range / 1e3),
    )
    comparison = scored(left_out(stations, values, curve))
    for row in comparison.itertuples():
        log.info("%s: R %.3f, RMSE %.1f mm, n %d", row.method, row.R, row.RMSE, row.n)
    write_table(comparison, scores)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        totals=snakemake.input.totals,
        variogram=snakemake.output.variogram,
        scores=snakemake.output.scores,
        months=snakemake.params.months,
        crs=snakemake.params.crs,
        model=snakemake.params.model,
    )
