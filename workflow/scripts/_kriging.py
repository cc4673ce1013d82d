"""Ordinary kriging with one variogram for all months, and kriging with a drift (S11, U25).

Kriging is written in its dual form: the estimate is a sum of semivariances to the gauges plus a
constant, so the small system of the gauges is solved once a month and a cell costs one product.
A factor on the variogram cancels: totals may be kriged with the variogram of relative totals.

A drift is a column known at the gauges and everywhere else, such as elevation: the constant
becomes a line of it that the gauges themselves decide (Hudson & Wackernagel 1994,
doi:10.1002/joc.3370140107). Its unit and origin cancel; near 1 they keep the system well posed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

from _log import UserError

# Shapes over distance / range. Exponential and gaussian use PyKrige's practical range.
SHAPES = {
    "spherical": lambda u: np.where(u < 1, 1.5 * u - 0.5 * u**3, 1.0),
    "exponential": lambda u: 1 - np.exp(-3 * u),
    "gaussian": lambda u: 1 - np.exp(-((1.75 * u) ** 2)),
}
CHUNK = 65536  # points at once, and
PAIRS = 2**22  # pairs of a point and a station at once: what bounds the memory of `estimate`


@dataclass(frozen=True)
class Variogram:
    """Semivariance over distance (m): 0 at zero, then nugget + psill * shape(distance / range)."""

    model: str
    nugget: float
    psill: float
    range: float

    def __call__(self, distance: np.ndarray) -> np.ndarray:
        rise = self.nugget + self.psill * SHAPES[self.model](distance / self.range)
        return np.where(distance > 0, rise, 0.0)


def distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the distances between points (n, 2) and points (m, 2), shape (n, m)."""
    return np.hypot(*(first[:, None, k] - second[None, :, k] for k in (0, 1)))


def check_apart(stations: np.ndarray, names, source: str) -> None:
    """Refuse two gauges at one place, which no kriging system can tell apart.

    `stations` are (n, 2) metres, `names` their ids, `source` the file they come from.
    """
    apart = distances(stations, stations) + np.diag(np.full(len(stations), np.inf))
    if len(stations) > 1 and apart.min() == 0:
        first, second = (names[i] for i in np.argwhere(apart == 0)[0])
        raise UserError(
            f"{source}: expected gauges at different places, found {first} and {second} at the "
            "same one. Correct LATITUDE and LONGITUDE in their files or leave one gauge out."
        )


def lags(stations: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return rows of mean distance (m), semivariance and number of pairs, one a lag bin.

    `stations` is (n, 2) in metres, `values` (n, months) with NaN where missing. The pairs of all
    months are pooled (per-month variograms of 12 gauges are unstable). Bins are equally wide up
    to 70 % of the largest distance: beyond it few and only marginal gauges make the pairs.
    """
    first, second = np.triu_indices(len(stations), 1)
    distance = distances(stations, stations)[first, second]
    half = 0.5 * (values[first] - values[second]) ** 2
    count = np.isfinite(half).sum(axis=1)
    total = np.nansum(half, axis=1)
    used = (count > 0) & (distance <= 0.7 * distance.max(initial=0.0))
    if not used.any():
        return np.empty((0, 3))
    distance, total, count = distance[used], total[used], count[used]
    bins = int(np.clip(len(distance) // 5, 1, 15))
    number = np.minimum((distance / distance.max() * bins).astype(int), bins - 1)
    sums = np.stack(
        [np.bincount(number, w, minlength=bins) for w in (distance * count, total, count)]
    )
    farness, summed, pairs = sums[:, sums[2] > 0]
    return np.stack([farness / pairs, summed / pairs, pairs], axis=1)


def fit(table: np.ndarray, model: str) -> Variogram:
    """Return the variogram nearest to a table of `lags`, weighted by pairs.

    For a given range nugget and psill are linear, so non-negative least squares gives them and
    only the range is searched: from the shortest lag to three times the longest.
    """
    distance, semivariance, pairs = table.T
    if not semivariance.any():
        return Variogram(model, 0.0, 1.0, float(distance.max()))
    weight = np.sqrt(pairs)
    best = (np.inf, None)
    for reach in np.geomspace(distance.min(), 3 * distance.max(), 400):
        design = np.stack([np.ones_like(distance), SHAPES[model](distance / reach)], 1)
        (nugget, psill), misfit = nnls(design * weight[:, None], semivariance * weight)
        if misfit < best[0]:
            best = (misfit, Variogram(model, float(nugget), float(psill), float(reach)))
    return best[1]


def system(
    stations: np.ndarray, variogram: Variogram, drift: np.ndarray | None = None
) -> np.ndarray:
    """Return the kriging matrix: semivariances, bordered by ones and by the columns of `drift`."""
    n = len(stations)
    trend = np.column_stack([np.ones(n), *([] if drift is None else drift.T)])
    matrix = np.zeros((n + trend.shape[1],) * 2)
    matrix[:n, :n] = variogram(distances(stations, stations))
    matrix[:n, n:], matrix[n:, :n] = trend, trend.T
    return matrix


def dual(
    stations: np.ndarray,
    values: np.ndarray,
    variogram: Variogram,
    drift: np.ndarray | None = None,
) -> np.ndarray:
    """Return the dual weights (n + 1 + k, months): of stations, constant and k drift columns.

    `values` is (n, months), `drift` (n, k). A station without a value in a month has weight 0
    there and takes no part in its system.
    """
    n = len(stations)
    matrix = system(stations, variogram, drift)
    weights = np.zeros((len(matrix), values.shape[1]))
    for month, value in enumerate(values.T):
        there = np.flatnonzero(np.isfinite(value))
        rows = np.append(there, np.arange(n, len(matrix)))
        given = np.append(value[there], np.zeros(len(matrix) - n))
        weights[rows, month] = np.linalg.solve(matrix[np.ix_(rows, rows)], given)
    return weights


def parts(points: np.ndarray, stations: np.ndarray) -> Iterator[slice]:
    """Yield slices of the points small enough to hold their semivariances to all stations."""
    step = min(CHUNK, max(1, PAIRS // len(stations)))
    for start in range(0, len(points), step):
        yield slice(start, start + step)


def estimate(
    points: np.ndarray,
    stations: np.ndarray,
    weights: np.ndarray,
    variogram: Variogram,
    drift: np.ndarray | None = None,
) -> np.ndarray:
    """Return the kriged values (points, months) at `points` (m, 2) from `dual` weights.

    `drift` (m, k) are the drift columns at the points, where `dual` had them at the stations.
    """
    n = len(stations)
    kriged = np.empty((len(points), weights.shape[1]))
    for part in parts(points, stations):
        near = variogram(distances(points[part], stations))
        kriged[part] = near @ weights[:n] + weights[n]
        if drift is not None:
            kriged[part] += drift[part] @ weights[n + 1 :]
    return kriged


def variance(
    points: np.ndarray,
    stations: np.ndarray,
    variogram: Variogram,
    drift: np.ndarray | None = None,
    drift_at: np.ndarray | None = None,
) -> np.ndarray:
    """Return the kriging variance (m,) at `points`, in the unit of the variogram.

    `drift` (n, k) at the stations, `drift_at` (m, k) at the points. Here a factor on the variogram
    does not cancel.
    """
    inverse = np.linalg.inv(system(stations, variogram, drift))
    found = np.empty(len(points))
    for part in parts(points, stations):
        near = variogram(distances(points[part], stations))
        known = [np.ones(len(near)), *([] if drift_at is None else drift_at[part].T)]
        near = np.column_stack([near, *known])
        found[part] = np.einsum("ij,jk,ik->i", near, inverse, near, optimize=True)
    return found


def leave_one_out(
    stations: np.ndarray, values: np.ndarray, variogram: Variogram
) -> tuple[np.ndarray, np.ndarray]:
    """Return prediction and kriging variance (n,) at each station from all the others.

    `values` is (n,) without gaps. One inverse serves all stations (Dubrule 1983,
    doi:10.1007/BF01033232): what a station lacks of its prediction is its dual weight over its
    element of the inverse's diagonal.
    """
    n = len(stations)
    inverse = np.linalg.inv(system(stations, variogram))
    own = np.diag(inverse)[:n]
    return values - inverse[:n, :n] @ values / own, -1 / own
