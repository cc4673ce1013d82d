"""How rain differs over distance, and how well gauges predict a gauge left out (S11, U25, A9).

One variogram for all months: twelve gauges make 66 pairs, too few for a month of their own. The
scores are the evaluation of interpolation methods that the paper mentions and does not show: one
row for each method that can be tried, whichever of them makes the maps.
"""

import json
from dataclasses import asdict
from functools import partial

import numpy as np
import pandas as pd
from pykrige.ok import OrdinaryKriging

from _kriging import Variogram, check_apart, distances, dual, estimate, fit, lags
from _log import UserError, log, log_to
from _metrics import bias, paired, r, rmse
from _rain import GAUGES, RELIEF, around, check_heights, check_usual, heights, tells
from _raster import bilinear
from _stations import projected
from _table import write_table, write_text

NAMES = {
    "kriging": "ordinary kriging",
    "drift": "kriging with drift of elevation",
    "climatology": "kriging of ratio to climatology",
}
APART = 4.0  # total over climatology, beyond which the climatology is not in mm/month


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


def beside_elevation(values: np.ndarray, elevation: np.ndarray) -> np.ndarray:
    """Return what a line of elevation (km) leaves of the relative totals, month by month.

    NaN in months whose gauges cannot tell the line.
    """
    rest = np.full(values.shape, np.nan)
    for month, column in enumerate(relative(values).T):
        there = np.isfinite(column)
        if tells(elevation[there]):
            line = np.polyfit(elevation[there], column[there], 1)
            rest[there, month] = column[there] - np.polyval(line, elevation[there])
    return rest


def fitted(
    stations: np.ndarray, values: np.ndarray, model: str, of=relative
) -> tuple[Variogram, np.ndarray]:
    """Return the variogram of relative totals and its lag table; a stand-in for < 3 stations.

    `of` says what differs between stations: a function of the totals.
    """
    if len(stations) >= 3 and values.shape[1]:
        table = lags(stations, of(values))
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


def left_out(
    stations: np.ndarray,
    values: np.ndarray,
    variogram: Variogram,
    elevation: tuple[Variogram, np.ndarray] | None = None,
    usual: tuple[Variogram, np.ndarray] | None = None,
) -> pd.DataFrame:
    """Return a row for each station and month left out: observed, and predicted by each method.

    `stations` (n, 2) in metres, `values` (n, months) in mm. Months with fewer than three gauges
    cannot spare one. PyKrige predicts here and `_kriging` makes the maps: each checks the other.
    `elevation` and `usual` are each a variogram with elevations (n,) in km or with usual rain
    (n, months) in mm: given, the method that needs them has a column, NaN where it cannot be.
    """
    parameters = {"psill": variogram.psill, "nugget": variogram.nugget, "range": variogram.range}
    rows = []
    for month, column in enumerate(values.T):
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
            row = {
                "observed": column[station],
                NAMES["kriging"]: max(float(kriged[0]), 0.0),
                "inverse distance squared": near @ column[others] / near.sum(),
                "mean of the gauges": column[others].mean(),
            }
            places = stations[[station]], stations[others]
            if elevation:
                curve, height = elevation
                row[NAMES["drift"]] = np.nan
                if tells(height[others]):
                    drift = height[:, None]
                    weights = dual(places[1], column[others, None], curve, drift[others])
                    guess = estimate(*places, weights, curve, drift[[station]])
                    row[NAMES["drift"]] = max(guess[0, 0], 0.0)
            if usual:
                curve, rain = usual
                weights = dual(places[1], (column / rain[:, month])[others, None], curve)
                guess = estimate(*places, weights, curve)[0, 0] * rain[station, month]
                row[NAMES["climatology"]] = max(guess, 0.0)
            rows.append(row)
    return pd.DataFrame(rows)


def scored(predicted: pd.DataFrame) -> pd.DataFrame:
    """Return one row a method: R, RMSE (mm), bias (mm), n, RMSE over the mean total."""
    rows = []
    for method in predicted.columns.drop("observed", errors="ignore"):
        truth, guess = paired(predicted["observed"], predicted[method])
        error = rmse(truth, guess)
        rows.append((method, r(truth, guess), error, bias(truth, guess), len(truth)))
        rows[-1] += (error / truth.mean() if len(truth) else np.nan,)
    return pd.DataFrame(rows, columns=["method", "R", "RMSE", "bias", "n", "relative_RMSE"])


def usual_at(stations, names, months, climatology: dict[str, str], crs: str) -> np.ndarray:
    """Return the usual rain (stations, months) in mm: of the calendar month of each month.

    `climatology` is {calendar month as MM: path}, `months` are YYYY-MM.
    """
    found = {}
    for number in sorted({month[-2:] for month in months}):
        found[number] = bilinear(*around(climatology[number], stations, crs))
        check_usual(found[number], names, climatology[number])
    return np.stack([found[month[-2:]] for month in months], axis=1)


def check_unit(values: np.ndarray, usual: np.ndarray, path: str) -> None:
    """Refuse a climatology in another unit than mm/month: rain of whole years lies near it."""
    there = np.isfinite(values)
    ratio = values[there].sum() / usual[there].sum()
    log.info("The gauges had %.2f times the rain of the climatology", ratio)
    if not 1 / APART <= ratio <= APART:
        raise UserError(
            f"{path}: expected mm/month, found a climatology of which the gauges had {ratio:.3g} "
            "times over all months. Convert it, or write its scale into the file (gdal_edit.py "
            "-scale)."
        )


def main(
    totals,
    variogram,
    scores,
    months,
    crs,
    model,
    method="kriging",
    static=None,
    climatology=None,
    season=None,
):
    table = pd.concat([pd.read_csv(path, dtype={"station": str}) for path in totals])
    # A year may hold test months beside training months: they must not shape the variogram (A12).
    table = table[table["month"].isin(months)]
    places, wet = by_month(table)
    stations, values = projected(places["lon"], places["lat"], crs), wet.to_numpy()
    check_apart(stations, places.index, totals[0])
    curves, others = {"kriging": fitted(stations, values, model)}, {}
    ground = bilinear(*around(static, stations, crs, "DEM")) if static else None
    height = heights(table, places.index, ground)
    if method == "drift":
        check_heights(height, places.index, totals[0])
    if any(tells(height[np.isfinite(column)]) for column in values.T):
        rest = partial(beside_elevation, elevation=height)
        curves["drift"] = fitted(stations, values, model, rest)
        others["elevation"] = curves["drift"][0], height
    elif method == "drift":
        raise UserError(
            f"{totals[0]}: expected {GAUGES} gauges in a month with elevations at least "
            f"{RELIEF:.0f} m apart, found none such. Add gauges or set rain.method to kriging."
        )
    if climatology and values.size:
        files = dict(zip(season, climatology, strict=True))
        usual = usual_at(stations, places.index, list(wet.columns), files, crs)
        check_unit(values, usual, climatology[0])
        curves["climatology"] = fitted(stations, values / usual, model)
        others["usual"] = curves["climatology"][0], usual
    curve, points = curves.get(method, curves["kriging"])
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
    comparison = scored(left_out(stations, values, curves["kriging"][0], **others))
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
        method=snakemake.params.method,
        static=snakemake.input.static,
        climatology=snakemake.input.climatology,
        season=snakemake.params.season,
    )
