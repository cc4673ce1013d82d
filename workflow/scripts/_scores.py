"""Scores of pooled predictions with intervals over places: the same for every model.

Predictions of all folds are pooled before they are scored. Months of one place are not
independent, so the intervals come from drawing whole places anew.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

PROTOCOLS = (
    "train",
    "temporal",
    "random_cv",
    "leave_location_out",
    "leave_location_time_out",
    "knndm",
)
COLUMNS = ("protocol", "subset", "metric", "value", "n", "low", "high")
ROUNDING = 1e-12  # a variance below this share of the mean square is a rounding error
NONE = (float("nan"), float("nan"))


def sums(truth: np.ndarray, prediction: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Return (places, 6): n and the sums of t, p, t^2, p^2 and tp of every place."""
    _, place = np.unique(group, return_inverse=True)
    terms = (np.ones_like(truth), truth, prediction, truth**2, prediction**2, truth * prediction)
    return np.stack([np.bincount(place, weights=term) for term in terms], axis=1)


def scores_of(total: np.ndarray) -> dict[str, np.ndarray]:
    """Return R, RMSE, bias, ubRMSE and R2 (E5-E7) from total sums shaped (..., 6).

    What cannot be computed is NaN, such as R of values that are all the same.
    """
    n, t, p, tt, pp, tp = np.moveaxis(total, -1, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        bias = (p - t) / n
        mse = (pp - 2 * tp + tt) / n
        var_t, var_p = _variance(n, t, tt), _variance(n, p, pp)
        return {
            "R": (tp / n - t * p / n**2) / np.sqrt(var_t * var_p),
            "RMSE": np.sqrt(mse),
            "bias": bias,
            "ubRMSE": np.sqrt(np.maximum(mse - bias**2, 0)),
            "R2": 1 - mse / var_t,
        }


def _variance(n: np.ndarray, total: np.ndarray, squares: np.ndarray) -> np.ndarray:
    variance = squares / n - (total / n) ** 2
    return np.where(variance > ROUNDING * squares / n, variance, np.nan)


def intervals(
    truth: np.ndarray, prediction: np.ndarray, group: np.ndarray, resamples: int, seed: int
) -> dict[str, tuple[float, float]]:
    """Return the 2.5 and 97.5 % points of each metric over `resamples` draws of places.

    NaN where there are fewer than two places, no resamples or no draw with a value.
    """
    centre = truth.mean()  # sums of squares of small deviations keep their digits
    per_place = sums(truth - centre, prediction - centre, group)
    places = len(per_place)
    if places < 2 or not resamples:
        return dict.fromkeys(scores_of(per_place), NONE)
    rng = np.random.default_rng(seed)
    draws = rng.multinomial(places, np.full(places, 1 / places), size=resamples)
    return {
        name: tuple(np.nanpercentile(drawn, [2.5, 97.5])) if np.isfinite(drawn).any() else NONE
        for name, drawn in scores_of(draws @ per_place).items()
    }


def score(
    predictions: pd.DataFrame, metrics: dict[str, Callable], resamples: int, seed: int
) -> pd.DataFrame:
    """Return the long table COLUMNS: every metric of each design, of all rows and by source.

    predictions: protocol, source, group, target, prediction; a row without a prediction is not
    counted in `n`. metrics: {name: metric(truth, prediction)}, names as in `scores_of`. A study
    with one source has the subset "all" alone. An interval of a metric without a value is NaN.
    """
    rows = []
    for protocol in PROTOCOLS:
        pooled = predictions[predictions["protocol"] == protocol]
        sources = dict(list(pooled.groupby("source")))
        for subset, part in ({"all": pooled} | (sources if len(sources) > 1 else {})).items():
            part = part[np.isfinite(part["prediction"])]
            if part.empty:
                continue
            truth, prediction = part["target"].to_numpy(), part["prediction"].to_numpy()
            ranges = intervals(truth, prediction, part["group"].to_numpy(), resamples, seed)
            for name, metric in metrics.items():
                value = metric(truth, prediction)
                low, high = ranges[name] if np.isfinite(value) else NONE
                rows.append((protocol, subset, name, value, len(part), low, high))
    return pd.DataFrame(rows, columns=list(COLUMNS))
