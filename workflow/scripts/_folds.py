"""Folds of places that are as far from their training places as the map is from the samples.

k-fold nearest neighbour distance matching (kNNDM): Linnenbrink et al. 2024, Geosci. Model Dev. 17,
5897, doi:10.5194/gmd-17-5897-2024, as its authors' R package CAST computes it. All positions are
arrays (n, 2) in metres, all distances are in metres, folds are numbered from 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.cluster.hierarchy import linkage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree
from scipy.stats import ks_2samp, wasserstein_distance

ALPHA = 0.05  # below this p the places are clustered for the area
TRIED = 100  # numbers of clusters, more closely spaced among the low ones


@dataclass(frozen=True)
class Matched:
    """Folds that kNNDM chose: `clusters` is 0 where the plain folds were kept, `reason` says why.

    `p` is that of the test for clustering; `w` and `w_plain` are the Wasserstein distances (m) of
    the chosen and of the plain random folds to the prediction distances.
    """

    folds: np.ndarray
    clusters: int
    p: float
    w: float
    w_plain: float
    reason: str


def distances_to(points: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return the distance from each point to the nearest place (Gij), shape (points,)."""
    return cKDTree(places, balanced_tree=False).query(points)[0]


def distances_among(places: np.ndarray) -> np.ndarray:
    """Return the distance from each place to the nearest other one (Gj), shape (places,)."""
    return cKDTree(places).query(places, k=2)[0][:, 1]


def distances_across(places: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """Return the distance from each place to the nearest one of another fold (Gj*)."""
    result = np.empty(len(places))
    for fold in np.unique(folds):
        here = folds == fold
        result[here] = distances_to(places[here], places[~here])
    return result


def nearer(first: np.ndarray, second: np.ndarray) -> float:
    """Return p of the one-sided Kolmogorov-Smirnov test that `first` is smaller than `second`.

    Exact for small samples as in R, where the exact p of large ones fails for want of digits.
    """
    method = "exact" if len(first) * len(second) < 10_000 else "asymp"
    return float(ks_2samp(first, second, alternative="greater", method=method).pvalue)


def cut(merges: np.ndarray, clusters: int) -> np.ndarray:
    """Return the cluster of each place when a tree of merges is cut into exactly `clusters`.

    Clusters are numbered in the order of their first place. Equal heights, as places at one point
    have, still give the number asked for, unlike a cut at a height.
    """
    n = len(merges) + 1
    kept = merges[: n - clusters, :2].astype(int)
    parents = np.repeat(n + np.arange(len(kept)), 2)
    edges = coo_array((np.ones(kept.size), (kept.ravel(), parents)), shape=(2 * n, 2 * n))
    return np.unique(connected_components(edges, directed=False)[1][:n], return_inverse=True)[1]


def along_main_axis(places: np.ndarray) -> np.ndarray:
    """Return the first principal component of the places, growing to the east (or the north).

    A direction is fixed because clusters are dealt out in this order and it decides the folds.
    """
    centred = places - places.mean(axis=0)
    axis = np.linalg.eigh(centred.T @ centred)[1][:, -1]
    return centred @ (axis * np.sign(axis[np.flatnonzero(np.abs(axis) > 1e-12)[0]]))


def dealt(clusters: np.ndarray, along: np.ndarray, k: int) -> np.ndarray:
    """Return the fold of each place from its cluster and its position along the main axis.

    A cluster of an equal share (n / k) or more is a fold of its own, the others are dealt in turn
    to the folds that are left, so that a fold is made of clusters far apart.
    """
    sizes = np.bincount(clusters)
    order = np.argsort(np.bincount(clusters, along) / sizes, kind="stable")
    large = sizes[order] >= len(clusters) / k
    fold = np.empty(len(sizes), int)
    fold[order[large]] = np.arange(large.sum())
    fold[order[~large]] = np.resize(np.arange(large.sum(), k), (~large).sum())
    return fold[clusters]


def knndm(
    places: np.ndarray, points: np.ndarray, k: int, plain: np.ndarray, maxp: float = 0.5
) -> Matched:
    """Return the `k` folds of places whose distances (Gj*) are most like those of the map (Gij).

    `points` are cells to predict, `plain` random folds of the places: these are kept where a
    one-sided Kolmogorov-Smirnov test finds the places no nearer to each other than the area is to
    them. Otherwise places are clustered (Ward) and the number of clusters from `k` to n - 2 with
    the smallest W is chosen, even where the plain folds have a smaller one (`w_plain`). No fold
    may hold more than `maxp` of the places, or than an equal share where that is more; where no
    number of clusters allows it the plain folds are kept. Needs 2 <= k <= n, and 8 n^2 bytes.
    """
    n = len(places)
    wanted = distances_to(points, places)
    p = nearer(distances_among(places), wanted)
    w_plain = float(wasserstein_distance(distances_across(places, plain), wanted))
    if p >= ALPHA:
        reason = f"places are no nearer to each other than the area is to them, p = {p:.3g}"
        return Matched(plain, 0, p, w_plain, w_plain, reason)
    if not np.ptp(places, axis=0).any():
        return Matched(plain, 0, p, w_plain, w_plain, "all places lie at one point")
    merges, along = linkage(places, "ward"), along_main_axis(places)
    limit = max(maxp * n, np.ceil(n / k))
    best = None
    numbers = np.exp(np.linspace(np.log(k), np.log(max(k, n - 2)), TRIED))
    for clusters in np.unique(np.round(numbers).astype(int)):
        folds = dealt(cut(merges, clusters), along, k)
        if np.bincount(folds).max() > limit:
            continue
        w = float(wasserstein_distance(distances_across(places, folds), wanted))
        if best is None or w < best.w:
            best = Matched(folds, int(clusters), p, w, w_plain, f"{clusters} clusters, p = {p:.3g}")
    if best is None:
        reason = f"places are clustered, but no clusters make folds of at most {limit:.0f} places"
        return Matched(plain, 0, p, w_plain, w_plain, reason)
    return best
