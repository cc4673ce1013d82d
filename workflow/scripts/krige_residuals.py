"""What the forest misses at places it has never seen, and whether kriging can tell it (S21).

The mean residual of a place, over its months, is what target and prediction of leave_location_out
differ by: residuals of training rows would be shrunk. Where neighbours miss alike, the kriged
residual is worth adding to every month (regression kriging: Hengl et al. 2007,
doi:10.1016/j.cageo.2007.05.001). That is tested first, by kriging each place from the others; a
variogram fitted to noise beats the mean by chance in about one of three, so it must do so clearly.
"""

import json
from dataclasses import asdict

import numpy as np
import pandas as pd

from _correction import load, restored
from _kriging import distances, fit, lags, leave_one_out
from _log import UserError, log, log_to
from _table import write_table, write_text

PROTOCOL = "leave_location_out"
FEWEST = 20  # places: with fewer neither a variogram nor a test of it means anything
MOST = 2000  # places: the system of all of them is solved at once
CLEARLY = 1.645  # standard errors: chance comes so far once in twenty


def mean_residuals(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return place, x, y (m), n (months) and residual (target minus prediction, m3/m3), by place.

    Rows of the same place and month count one by one; x and y are the means of its rows.
    """
    rows = predictions.assign(residual=predictions["target"] - predictions["prediction"])
    places = rows.groupby("group").agg(
        x=("x", "mean"), y=("y", "mean"), n=("residual", "size"), residual=("residual", "mean")
    )
    return places.rename_axis("place").reset_index()


def thinned(places: pd.DataFrame, most: int) -> pd.DataFrame:
    """Return at most `most` rows, evenly from the first to the last."""
    if len(places) <= most:
        return places
    kept = np.linspace(0, len(places) - 1, most).round().astype(int)
    return places.iloc[kept].reset_index(drop=True)


def judged(residual: np.ndarray, guess: np.ndarray) -> dict[str, float | bool]:
    """Return sd, RMSE of the mean and of kriging without each place, the gain, and whether to use.

    `gain` is the mean fall of the squared error over its standard error.
    """
    n = len(residual)
    others = (residual.sum() - residual) / (n - 1)
    fall = (residual - others) ** 2 - (residual - guess) ** 2
    error = fall.std(ddof=1) / np.sqrt(n)
    gain = fall.mean() / error if error > 0 else 0.0
    return {
        "sd": float(residual.std(ddof=1)),
        "rmse_mean": float(np.sqrt(np.mean((residual - others) ** 2))),
        "rmse_kriging": float(np.sqrt(np.mean((residual - guess) ** 2))),
        "gain": float(gain),
        "use": bool(gain > CLEARLY),
    }


def at_one_point(places: pd.DataFrame) -> str:
    """Return which two places lie at one point, where no kriging system is solvable; else ""."""
    stations = places[["x", "y"]].to_numpy(float)
    first, second = np.nonzero(np.triu(distances(stations, stations) == 0, 1))
    if not len(first):
        return ""
    names = places["place"].iloc[[first[0], second[0]]]
    return f"{' and '.join(map(str, names))} lie at one point, kriging cannot tell them apart"


def summary(places: pd.DataFrame) -> dict:
    """Return the variogram of the residuals and how well it predicts a place from the others."""
    few = f"{len(places)} places, of {FEWEST} needed" if len(places) < FEWEST else ""
    if reason := few or at_one_point(places):
        return {"places": len(places), "use": False, "reason": reason}
    stations, residual = places[["x", "y"]].to_numpy(float), places["residual"].to_numpy(float)
    table = lags(stations, residual[:, None])
    curve = fit(table, "exponential")
    guess, _ = leave_one_out(stations, residual, curve)
    found = judged(residual, guess)
    names = ["distance", "semivariance", "pairs"]
    return {
        **asdict(curve),
        "places": len(places),
        **found,
        "reason": "" if found["use"] else "kriging does not clearly beat the mean of the others",
        "lags": [dict(zip(names, map(float, row), strict=True)) for row in table],
    }


def main(predictions, correction, residuals, variogram, sources):
    table = pd.read_parquet(predictions)
    curve = load(correction)["curve"]
    table = table.assign(prediction=restored(table["prediction"], curve))
    rows = table[(table["protocol"] == PROTOCOL) & table["source"].isin(sources)]
    if rows.empty:
        raise UserError(
            f"{predictions}: expected rows of {PROTOCOL} from {', '.join(sources)}, found none (it "
            f"has {', '.join(sorted(set(table['source'])))}). Correct maps.residual_sources."
        )
    every = mean_residuals(rows)
    places = thinned(every, MOST)
    if len(places) < len(every):
        log.info("Of %d places %d are used, evenly", len(every), len(places))
    found = summary(places)
    if "sd" in found:
        log.info(
            "%d places: mean residual %.4f, SD %.4f m3/m3; exponential variogram with nugget %.3g, "
            "psill %.3g, range %.1f km; a place left out is missed by %.4f with kriging and %.4f "
            "with the mean of the others (gain of %.1f standard errors)",
            *(len(places), places["residual"].mean(), found["sd"]),
            *(found["nugget"], found["psill"], found["range"] / 1e3),
            *(found["rmse_kriging"], found["rmse_mean"], found["gain"]),
        )
    if not found["use"]:
        log.warning("The residuals are not kriged onto the maps: %s", found["reason"])
    write_table(places, residuals)
    write_text(json.dumps(found, indent=1) + "\n", variogram)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        predictions=snakemake.input.predictions,
        correction=snakemake.input.correction,
        residuals=snakemake.output.residuals,
        variogram=snakemake.output.variogram,
        sources=snakemake.params.sources,
    )
