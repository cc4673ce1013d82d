"""Quantiles of a random forest: the spread of the training targets in the leaves a row falls into.

Meinshausen 2006 (J. Mach. Learn. Res. 7, 983-999): a training sample counts for a row by the
mean over trees of 1 / (samples in the leaf) where the two share a leaf. Here every leaf is
represented by a few of its samples, as quantregForest and quantile-forest represent it by one:
bounds and mean together then cost about one and a half times the mean. Where leaves hold
several samples, one of them gives noisy bounds (pinball loss 2 to 5 % above that of all
samples); four, drawn from the quarters of the leaf, come within about 1 %.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from zipfile import BadZipFile

import numpy as np
from sklearn.ensemble import RandomForestRegressor

from _log import UserError
from _whole import whole

PER_LEAF = 4
BLOCK = 2**23  # values that are sorted at once: 32 MB
FIELDS = ("values", "ranks", "first")


@dataclass(frozen=True)
class Leaves:
    """Training targets in the leaves of a forest, as places in the sorted list of all targets.

    values: (distinct targets,) float64, ascending. ranks: (nodes of all trees, per leaf) int32,
    -1 at inner nodes; integers, because they sort five times faster than float64 and stay exact.
    first: (trees + 1,) the row of `ranks` where each tree begins.
    """

    values: np.ndarray
    ranks: np.ndarray
    first: np.ndarray


def leaf_values(
    model: RandomForestRegressor, x: np.ndarray, y: np.ndarray, seed: int, per_leaf: int = PER_LEAF
) -> Leaves:
    """Return `per_leaf` in-bag targets of every leaf, one drawn from each equal part of its order.

    x: (samples, predictors) and y: (samples,), exactly what `model` was fitted to. In-bag as in
    Meinshausen 2006: a sample drawn twice for a tree counts twice there, one not drawn is absent.
    """
    values, rank = np.unique(y, return_inverse=True)
    x, rng = np.asarray(x, dtype="float32"), np.random.default_rng(seed)
    ranks = []
    for estimator, drawn in zip(model.estimators_, model.estimators_samples_, strict=True):
        tree = estimator.tree_
        leaf, found = tree.apply(x)[drawn], rank[drawn]
        found = found[np.lexsort((found, leaf))]
        count = np.bincount(leaf, minlength=tree.node_count)[:, None]
        begin = np.cumsum(count, axis=0) - count
        part = np.arange(per_leaf) + rng.random((tree.node_count, per_leaf))
        place = begin + np.minimum((part / per_leaf * count).astype(int), count - 1)
        ranks.append(np.where(count > 0, found[place], -1).astype("int32"))
    first = np.cumsum([0, *map(len, ranks)])
    return Leaves(values, np.concatenate(ranks), first)


def spread(
    model: RandomForestRegressor,
    leaves: Leaves,
    rows: np.ndarray,
    quantiles: list[float],
    block: int = BLOCK,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean of the trees (rows,), as `_forest.predict`, and quantiles (rows, quantiles).

    Quantiles are interpolated linearly between order statistics (type 7, as both packages do).
    rows: (rows, predictors) without missing values. Each tree is walked once; `block` bounds the
    number of values held at a time.
    """
    rows = np.asarray(rows, dtype="float32")
    mean, bounds = np.zeros(len(rows)), np.empty((len(rows), len(quantiles)))
    trees = [estimator.tree_ for estimator in model.estimators_]
    parts = [leaves.ranks[a:b] for a, b in zip(leaves.first, leaves.first[1:], strict=False)]
    width = len(trees) * leaves.ranks.shape[1]
    place = np.asarray(quantiles) * (width - 1)
    below = np.floor(place).astype(int)
    above = np.minimum(below + 1, width - 1)
    step = max(1, block // width)
    for start in range(0, len(rows), step):
        here = slice(start, start + step)
        found = np.empty((len(rows[here]), len(trees), leaves.ranks.shape[1]), dtype="int32")
        for number, (tree, part) in enumerate(zip(trees, parts, strict=True)):
            leaf = tree.apply(rows[here])
            mean[here] += tree.value[:, 0, 0].take(leaf)
            found[:, number] = part.take(leaf, axis=0)
        found = found.reshape(len(found), width)
        found.sort(axis=1)
        low, high = leaves.values[found[:, below]], leaves.values[found[:, above]]
        bounds[here] = low + (place - below) * (high - low)
    return mean / len(trees), bounds


def moved(lower: np.ndarray, upper: np.ndarray, shift: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the bounds moved outwards by `shift` (inwards if negative).

    Where they would pass each other, both become the middle: an interval of width 0.
    """
    middle = (lower + upper) / 2
    return np.minimum(lower - shift, middle), np.maximum(upper + shift, middle)


def save_leaves(path: str, leaves: Leaves) -> None:
    """Write the leaves as compressed NumPy arrays; loading them runs no code."""
    with whole(path) as part:
        np.savez_compressed(part, **asdict(leaves))


def load_leaves(path: str, model: RandomForestRegressor) -> Leaves:
    """Return the leaves of `model`; refuse a file that does not belong to it."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            leaves = Leaves(**{name: stored[name] for name in FIELDS})
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise UserError(
            f"{path}: expected the leaves of a forest written by this workflow, found an "
            f"unreadable file ({error}). Delete it and run again."
        ) from error
    nodes = np.cumsum([0, *(tree.tree_.node_count for tree in model.estimators_)])
    if not np.array_equal(nodes, leaves.first):
        raise UserError(
            f"{path}: expected the leaves of the forest beside it ({len(nodes) - 1} trees, "
            f"{nodes[-1]} nodes), found {len(leaves.first) - 1} trees, {leaves.first[-1]} nodes. "
            "Delete both and run again."
        )
    return leaves
