"""Where a forest may be applied: dissimilarity index, area of applicability, local point density.

Meyer & Pebesma 2021 (doi:10.1111/2041-210X.13650) and, for the local point density, Schumacher et
al. 2025 (doi:10.5194/gmd-18-10185-2025), number for number as in their R package CAST. Distances
are Euclidean, between rows of predictors that were standardised and multiplied by importance.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial.distance import cdist, pdist

from _log import UserError, log

CHUNK = 512  # points in one product: what lies between its passes stays in the cache
FAR = 1e15  # beyond it squares approach the end of float32
EPSILON = 2.0**-24  # half of float32's last place


def complete(rows: np.ndarray, predictors: list[str]) -> np.ndarray:
    """Return True for the rows (n, predictors) in which every predictor is finite.

    The log counts what is missing. A predictor without any value is refused by name.
    """
    here = np.isfinite(rows)
    missing = dict(zip(predictors, (~here).sum(axis=0), strict=True))
    empty = [name for name, count in missing.items() if count == len(rows)]
    if empty:
        raise UserError(
            f"training rows: expected values in every predictor, found none in "
            f"{', '.join(empty)} in {len(rows)} rows. Mend its raster or drop the predictor."
        )
    whole = here.all(axis=1)
    if not whole.any():
        raise UserError(
            f"training rows: expected rows with all {len(predictors)} predictors, found none in "
            f"{len(rows)} rows. Missing: {_counted(missing)}."
        )
    if not whole.all():
        dropped = int((~whole).sum())
        log.info("%d of %d rows dropped: %s missing", dropped, len(rows), _counted(missing))
    return whole


def _counted(missing: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in missing.items() if count)


def standard(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation (ddof 1) of each column of finite rows, float64.

    The deviation of a constant column is 0: `weights_of` leaves it out.
    """
    # The mean of equal numbers may miss them by a last digit, and so their deviation zero.
    varies = np.ptp(rows, axis=0) > 0
    return rows.mean(axis=0), np.where(varies, rows.std(axis=0, ddof=1), 0.0)


def weights_of(importance: np.ndarray, scale: np.ndarray, predictors: list[str]) -> np.ndarray:
    """Return the weight of each predictor: its importance, 0 where that is negative.

    A constant predictor (scale 0) tells no two rows apart: weight 0. Where no weight is left
    all predictors that vary weigh 1. Both are logged.
    """
    varies = scale > 0
    if not varies.any():
        raise UserError(
            "training rows: expected predictors that differ between rows, found every one "
            f"constant ({', '.join(predictors)}). Check the samples."
        )
    constant = [name for name, here in zip(predictors, varies, strict=True) if not here]
    if constant:
        log.info("constant in the training rows, so of weight 0: %s", ", ".join(constant))
    weights = np.where(varies, np.maximum(importance, 0.0), 0.0)
    if not weights.any():
        log.warning("no predictor has an importance above 0: all that vary weigh the same")
        weights = varies.astype("float64")
    return weights


def weighted(
    rows: np.ndarray, mean: np.ndarray, scale: np.ndarray, weight: np.ndarray
) -> np.ndarray:
    """Return rows (n, predictors) standardised and weighted, float64: where distances are taken."""
    return (rows - mean) / np.where(scale > 0, scale, 1.0) * weight


def mean_distance(rows: np.ndarray) -> float:
    """Return the mean distance over all pairs of two different rows."""
    return float(pdist(rows).mean())


def _left_out(points, point_folds, rows, row_folds, measure) -> np.ndarray:
    result = np.empty(len(points))
    for fold in np.unique(point_folds):
        here = point_folds == fold
        result[here] = measure(cdist(points[here], rows[row_folds != fold]))
    return result


def left_out_di(
    points: np.ndarray,
    point_folds: np.ndarray,
    rows: np.ndarray,
    row_folds: np.ndarray,
    dbar: float,
) -> np.ndarray:
    """Return each point's distance to the nearest row of another fold, in mean distances.

    points: (n, predictors), rows: (m, predictors), folds: (n,) and (m,). With the training rows
    as both it is their DI; where each row is its own fold, the DI without cross-validation.
    """
    return _left_out(points, point_folds, rows, row_folds, lambda d: (d / dbar).min(axis=1))


def training_lpd(rows: np.ndarray, folds: np.ndarray, dbar: float, limit: float) -> np.ndarray:
    """Return how many rows of other folds lie nearer than `limit` (DI) to each row, int64."""
    counts = _left_out(rows, folds, rows, folds, lambda d: (d / dbar < limit).sum(axis=1))
    return counts.astype("int64")


def threshold(di: np.ndarray) -> float:
    """Return the largest DI inside the area of applicability.

    The upper whisker of the training DI: 75 % quantile + 1.5 interquartile ranges (type 7, as R
    and numpy), and never beyond the largest training DI.
    """
    low, high = np.quantile(di, [0.25, 0.75])
    return float(min(high + 1.5 * (high - low), di.max()))


def dissimilarity(
    points: np.ndarray, rows: np.ndarray, dbar: float, limit: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return DI (float64) and LPD (int64) of new points: (n, predictors), float64, finite.

    DI is the distance to the nearest row in mean distances, LPD the number of rows whose DI is
    below `limit`. Products of float32 matrices only choose the pairs that can matter, with
    a bound on their rounding; those are computed again in float64 as differences. The result
    is that of the plain computation and does not depend on how a product was summed.
    """
    di, lpd = np.empty(len(points)), np.empty(len(points), "int64")
    # In mean distances, so that no unit of the importance comes near the ends of float32.
    scaled, others = points / dbar, rows / dbar
    length = np.sqrt(np.einsum("ij,ij->i", scaled, scaled))
    squares = np.einsum("ij,ij->i", others, others)
    reach = length + np.sqrt(squares.max())
    right = np.vstack([others.T, squares]).astype("float32")
    # One rounding for each term, some for the inputs and the limits, and all of it twice.
    slack = 2 * (rows.shape[1] + 8) * EPSILON * reach**2
    near = np.flatnonzero(reach < FAR)
    products = np.empty((CHUNK, len(rows)), "float32")
    chosen = np.zeros((CHUNK, -(-len(rows) // 8) * 8), bool)
    for start in range(0, len(near), CHUNK):
        at = near[start : start + CHUNK]
        left = np.column_stack([-2 * scaled[at], np.ones(len(at))]).astype("float32")
        # Squared distances less the square of the point, which is the same for all its rows.
        product = np.matmul(left, right, out=products[: len(at)])
        mask = chosen[: len(at)]
        lowest = product.min(axis=1)
        np.less_equal(product, _bound(lowest, 2 * slack[at]), out=mask[:, : len(rows)])
        which, row = np.divmod(np.flatnonzero(mask), mask.shape[1])
        exact = _distances(points[at[which]], rows[row]) / dbar
        first = np.searchsorted(which, np.arange(len(at)))
        di[at] = np.minimum.reduceat(exact, first)

        edge = limit**2 - length[at] ** 2
        np.less(product, _bound(edge, -slack[at]), out=mask[:, : len(rows)])
        sure = _counts(mask)
        np.less_equal(product, _bound(edge, slack[at]), out=mask[:, : len(rows)])
        unsure = np.flatnonzero(_counts(mask) > sure)
        band = mask[unsure, : len(rows)]
        band &= product[unsure] >= _bound(edge, -slack[at])[unsure]
        which, row = np.nonzero(band)
        exact = _distances(points[at[unsure[which]]], rows[row]) / dbar
        lpd[at] = sure
        lpd[at[unsure]] += np.bincount(which[exact < limit], minlength=len(unsure))
    for number in np.flatnonzero(~(reach < FAR)):
        exact = cdist(points[number : number + 1], rows)[0] / dbar
        di[number], lpd[number] = exact.min(), (exact < limit).sum()
    return di, lpd


def _bound(values: np.ndarray, by: np.ndarray) -> np.ndarray:
    return (values + by).astype("float32")[:, None]


def _distances(points: np.ndarray, rows: np.ndarray) -> np.ndarray:
    apart = points - rows
    return np.sqrt(np.einsum("ij,ij->i", apart, apart))


def _counts(mask: np.ndarray) -> np.ndarray:
    # Eight booleans at a time: summing them one by one takes longer than the product.
    return np.bitwise_count(mask.view("uint64")).sum(axis=1, dtype="int64")
