"""The random forest: how it is made from the search, and what it predicts."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestRegressor

from _log import UserError

OPTIONS = ("n_estimators", "max_depth", "max_features", "min_samples_leaf")


def forest(options: dict, seed: int, threads: int = 1) -> RandomForestRegressor:
    """Return an unfitted forest (E2-E4). The fit does not depend on the number of threads."""
    return RandomForestRegressor(**options, random_state=seed, n_jobs=threads)


def predict(model: RandomForestRegressor, rows: np.ndarray) -> np.ndarray:
    """Return the mean of the trees, float64, one value a row.

    One thread: with more, the order of the sum and so its last bits change from run to run.
    """
    model.set_params(n_jobs=1)
    return model.predict(rows)


def learnable(table: pd.DataFrame, predictors: list[str], path: str) -> np.ndarray:
    """Return the predictors of `table`, (samples, predictors) float32; refuse an empty one.

    `path`: the file of the samples, for the message.
    """
    empty = [name for name in predictors if table[name].isna().all()]
    if empty:
        raise UserError(
            f"{path}: expected values of every predictor, found none of {', '.join(empty)} in "
            f"{len(table)} rows. See the log of the rule that makes it, or leave it out of the "
            "predictors."
        )
    return table[predictors].to_numpy("float32")


def source_weights(source: np.ndarray, weights: str) -> np.ndarray | None:
    """Return a weight for each sample, mean 1, or None where all weigh the same.

    `equal`: every sample counts the same. `sources`: every source counts the same in total,
    however many rows it has. scikit-learn draws the samples of a tree in proportion to them.
    """
    _, number, count = np.unique(source, return_inverse=True, return_counts=True)
    if weights == "equal" or len(count) == 1:
        return None
    return len(source) / (len(count) * count[number])


def best(search: str) -> dict:
    """Return the options of the row with rank 1 in search.csv."""
    row = pd.read_csv(search).query("rank == 1").iloc[0]
    depth = row["max_depth"]
    return dict(
        n_estimators=int(row["n_estimators"]),
        max_depth=None if pd.isna(depth) else int(depth),
        max_features=float(row["max_features"]),
        min_samples_leaf=int(row["min_samples_leaf"]),
    )
