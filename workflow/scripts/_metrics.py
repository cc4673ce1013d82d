"""Scores: metric(truth, prediction) -> float. Pairs with a missing value are dropped."""

from __future__ import annotations

import numpy as np


def paired(truth, prediction) -> tuple[np.ndarray, np.ndarray]:
    """Return both as float64 without the pairs in which either is not finite."""
    truth, prediction = (np.asarray(v, dtype="float64").ravel() for v in (truth, prediction))
    both = np.isfinite(truth) & np.isfinite(prediction)
    return truth[both], prediction[both]


def r(truth, prediction) -> float:
    """Pearson correlation (E5); NaN for fewer than three pairs (two give ±1) or a constant side."""
    truth, prediction = paired(truth, prediction)
    if len(truth) < 3 or np.ptp(truth) == 0 or np.ptp(prediction) == 0:
        return float("nan")
    return float(np.corrcoef(truth, prediction)[0, 1])


def rmse(truth, prediction) -> float:
    """Root mean square error with N in the denominator (E6)."""
    truth, prediction = paired(truth, prediction)
    return float(np.sqrt(np.mean((prediction - truth) ** 2))) if len(truth) else float("nan")


def bias(truth, prediction) -> float:
    """Mean of prediction minus truth (E7): negative when the prediction is too dry."""
    truth, prediction = paired(truth, prediction)
    return float(np.mean(prediction - truth)) if len(truth) else float("nan")


def ubrmse(truth, prediction) -> float:
    """Unbiased (centred) RMSE: sqrt(RMSE^2 - bias^2), computed on centred values."""
    truth, prediction = paired(truth, prediction)
    if not len(truth):
        return float("nan")
    return float(np.std(prediction - truth))


def r2(truth, prediction) -> float:
    """Share of the truth's variance explained: 1 - MSE / variance; may be negative."""
    truth, prediction = paired(truth, prediction)
    if len(truth) < 2 or np.ptp(truth) == 0:
        return float("nan")
    return float(1 - np.mean((prediction - truth) ** 2) / np.var(truth))


METRICS = {"R": r, "RMSE": rmse, "bias": bias, "ubRMSE": ubrmse, "R2": r2}
