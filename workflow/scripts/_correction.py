"""What is done to a forest's prediction after it: the range, and the pull to the 1 km product.

Both are described by one small file, so that what is tested on left-out places is what the maps
get: `x`, `y` (a monotone curve), `conserve` (weight of the 1 km product) and `added_error`.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

IDENTITY = ([0.0, 1.0], [0.0, 1.0], [1.0, 1.0])
ROUNDING = 1e-9  # predictions nearer to each other, as shares of themselves, are all the same
SHARES = np.linspace(0.005, 0.995, 100)


def linear(prediction: np.ndarray, target: np.ndarray) -> tuple[list, list, list]:
    """Return the curve target = a + b * prediction by least squares, on predictions left out.

    A forest averages, so its left-out predictions vary too little: b is above 1 (Zhang and Lu
    2012, doi:10.1080/02664763.2011.578621). By construction it does not raise the error.
    """
    if np.ptp(prediction) <= ROUNDING * np.abs(prediction).max():
        return IDENTITY
    b, a = np.polyfit(prediction, target, 1)
    if b <= 0:  # predictions that know nothing are not turned round
        return IDENTITY
    x = [float(prediction.min()), float(prediction.max())]
    return x, [float(a + b * v) for v in x], [float(b), float(b)]


def quantile(prediction: np.ndarray, target: np.ndarray) -> tuple[list, list, list]:
    """Return the curve that gives left-out predictions the target's distribution."""
    x, y = np.quantile(prediction, SHARES), np.quantile(target, SHARES)
    x, kept = np.unique(x, return_index=True)
    if len(x) < 2:
        return IDENTITY
    return x.tolist(), y[kept].tolist(), [1.0, 1.0]


def none(prediction: np.ndarray, target: np.ndarray) -> tuple[list, list, list]:
    """Return the curve that changes nothing."""
    return IDENTITY


CURVES = {"none": none, "linear": linear, "quantile": quantile}


def restored(values: np.ndarray, curve: tuple[list, list, list]) -> np.ndarray:
    """Return values along a curve (x, y, slopes below and above); NaN stays NaN, dtype float64."""
    x, y, (below, above) = (np.asarray(part, dtype="float64") for part in curve)
    values = np.asarray(values, dtype="float64")
    found = np.interp(values, x, y)
    found = np.where(values < x[0], y[0] + below * (values - x[0]), found)
    return np.where(values > x[-1], y[-1] + above * (values - x[-1]), found)


def load(path: str) -> dict:
    """Return a correction file: curve, conserve, added_error, shift, z."""
    return json.loads(Path(path).read_text(encoding="utf-8"))
