"""Score each validation design: R, RMSE, bias, ubRMSE (E5-E7) with intervals over places.

Predictions of all folds are pooled before they are scored. Months of one place are not
independent, so the intervals come from drawing whole places anew.
"""

import numpy as np
import pandas as pd

from _log import log, log_to
from _metrics import METRICS
from _table import write_table

PROTOCOLS = ("train", "temporal", "random_cv", "leave_location_out", "leave_location_time_out")


def sums(truth: np.ndarray, prediction: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Return (places, 6): n and the sums of t, p, t^2, p^2 and tp of every place."""
    _, place = np.unique(group, return_inverse=True)
    terms = (np.ones_like(truth), truth, prediction, truth**2, prediction**2, truth * prediction)
    return np.stack([np.bincount(place, weights=term) for term in terms], axis=1)


def scores_of(total: np.ndarray) -> dict[str, np.ndarray]:
    """Return every metric from total sums shaped (..., 6); what cannot be computed is NaN."""
    n, t, p, tt, pp, tp = np.moveaxis(total, -1, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        bias = (p - t) / n
        mse = (pp - 2 * tp + tt) / n
        var_t, var_p = tt / n - (t / n) ** 2, pp / n - (p / n) ** 2
        return {
            "R": (tp / n - t * p / n**2) / np.sqrt(var_t * var_p),
            "RMSE": np.sqrt(mse),
            "bias": bias,
            "ubRMSE": np.sqrt(np.maximum(mse - bias**2, 0)),
            "R2": 1 - mse / var_t,
        }


def intervals(
    truth: np.ndarray, prediction: np.ndarray, group: np.ndarray, resamples: int, seed: int
) -> dict[str, tuple[float, float]]:
    """Return the 2.5 and 97.5 % points of each metric over `resamples` draws of places.

    NaN where there are fewer than two places or no resamples.
    """
    centre = truth.mean()  # sums of squares of small deviations keep their digits
    per_place = sums(truth - centre, prediction - centre, group)
    places = len(per_place)
    if places < 2 or not resamples:
        return dict.fromkeys(METRICS, (float("nan"), float("nan")))
    rng = np.random.default_rng(seed)
    draws = rng.multinomial(places, np.full(places, 1 / places), size=resamples)
    drawn = scores_of(draws @ per_place)
    return {name: tuple(np.nanpercentile(drawn[name], [2.5, 97.5])) for name in METRICS}


def score(predictions: pd.DataFrame, resamples: int, seed: int) -> pd.DataFrame:
    """Return the long table protocol, subset, metric, value, n, low, high."""
    rows = []
    for protocol in PROTOCOLS:
        pooled = predictions[predictions["protocol"] == protocol]
        subsets = {"all": pooled} | dict(list(pooled.groupby("source")))
        for subset, part in subsets.items():
            if part.empty or (subset != "all" and len(subsets) == 2):
                continue
            truth, prediction = part["target"].to_numpy(), part["prediction"].to_numpy()
            ranges = intervals(truth, prediction, part["group"].to_numpy(), resamples, seed)
            for name, metric in METRICS.items():
                value = metric(truth, prediction)
                rows.append((protocol, subset, name, value, len(part), *ranges[name]))
    return pd.DataFrame(rows, columns=["protocol", "subset", "metric", "value", "n", "low", "high"])


def main(predictions: str, metrics: str, bootstrap: int, seed: int) -> None:
    table = pd.read_parquet(predictions)
    result = score(table, bootstrap, seed)
    shown = result[(result["subset"] == "all") & result["metric"].isin(["R", "RMSE"])]
    for row in shown.itertuples():
        log.info(
            "%s %s %.3f [%.3f, %.3f] n %d",
            row.protocol,
            row.metric,
            row.value,
            row.low,
            row.high,
            row.n,
        )
    write_table(result, metrics)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        predictions=snakemake.input.predictions,
        metrics=snakemake.output.metrics,
        bootstrap=snakemake.params.bootstrap,
        seed=snakemake.params.seed,
    )
