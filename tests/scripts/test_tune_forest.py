import json

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestRegressor
from sklearn.model_selection import GridSearchCV, PredefinedSplit

from _forest import best
from tune_forest import main, search

GRID = {
    "n_estimators": [8],
    "max_depth": [1, None],
    "max_features": [1.0],
    "min_samples_leaf": [1, 30],
}


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 3)).astype("float32")
    y = np.sin(2 * x[:, 0]) + 0.1 * rng.normal(size=120)
    return x, y, np.arange(120) % 4


SOURCE = np.repeat(["insitu", "smci"], [20, 100])


def searched(x, y, fold, grid=GRID, weights="equal", threads=1):
    return search(x, y, fold, SOURCE, grid, weights, seed=5, threads=threads)


def test_search_agrees_with_scikit_learns_grid_search(data):
    """Folds of equal size: the pooled RMSE is the root of the mean of the folds' MSE."""
    x, y, fold = data
    ours = searched(x, y, fold)
    reference = GridSearchCV(
        RandomForestRegressor(random_state=5),
        GRID,
        cv=PredefinedSplit(fold),
        scoring="neg_mean_squared_error",
        refit=False,
    ).fit(x, y)
    expected = np.sort(np.sqrt(-reference.cv_results_["mean_test_score"]))
    np.testing.assert_allclose(ours["rmse"], expected, rtol=1e-12)
    splits = [reference.cv_results_[f"split{k}_test_score"] for k in range(4)]
    spread = np.sqrt(-np.stack(splits)).std(axis=0, ddof=1)
    order = np.argsort(-reference.cv_results_["mean_test_score"])
    np.testing.assert_allclose(ours["rmse_sd"], spread[order], rtol=1e-9)
    assert ours["rank"].tolist() == [1, 2, 3, 4]
    assert ours.loc[0, "min_samples_leaf"] == 1 and np.isnan(ours.loc[0, "max_depth"])


def test_folds_of_unequal_size_are_pooled_before_the_root(data):
    x, y, _ = data
    fold = np.repeat([0, 1], [100, 20])
    options = {**GRID, "max_depth": [None], "min_samples_leaf": [1]}
    square = np.empty(120)
    for k in (0, 1):
        forest = RandomForestRegressor(8, random_state=5).fit(x[fold != k], y[fold != k])
        square[fold == k] = (forest.predict(x[fold == k]) - y[fold == k]) ** 2
    found = searched(x, y, fold, options)
    assert found.loc[0, "rmse"] == pytest.approx(np.sqrt(square.mean()))


def test_the_number_of_threads_changes_nothing(data):
    x, y, fold = data
    one, two = (searched(x, y, fold, threads=n) for n in (1, 2))
    pd.testing.assert_frame_equal(one, two, check_exact=True)


def test_weights_are_of_the_samples_that_a_fit_learns_from(data):
    """Fold 0 holds half of the stations: in the fit without it the other half weighs as much."""
    x, y, _ = data
    fold = np.r_[np.repeat([0, 1], 10), np.ones(70, int), np.zeros(30, int)]
    options = {**GRID, "max_depth": [None], "min_samples_leaf": [1]}
    square = np.empty(120)
    for k, few, many in ((0, 10, 70), (1, 10, 30)):
        learn = fold != k
        weight = np.where(SOURCE[learn] == "insitu", 1 / few, 1 / many) * learn.sum() / 2
        forest = RandomForestRegressor(8, random_state=5).fit(x[learn], y[learn], weight)
        square[~learn] = (forest.predict(x[~learn]) - y[~learn]) ** 2
    found = searched(x, y, fold, options, weights="sources")
    assert found.loc[0, "rmse"] == pytest.approx(np.sqrt(square.mean()), rel=1e-12)


@pytest.mark.parametrize("design", ["random_cv", "leave_location_out", "knndm"])
def test_test_years_never_enter_the_search(tmp_path, data, design):
    x, y, fold = data
    table = pd.DataFrame(x, columns=list("abc")).assign(target=y, sample=range(120), source=SOURCE)
    folds = pd.DataFrame({"sample": range(120), "split": "train", design: fold})
    folds.loc[100:, "split"] = "test"
    found = []
    for spoiled in (False, True):
        if spoiled:
            table.loc[100:, "target"] += 100
        table.to_parquet(tmp_path / "samples.parquet")
        folds.to_parquet(tmp_path / "folds.parquet")
        main(
            samples=tmp_path / "samples.parquet",
            folds=tmp_path / "folds.parquet",
            search_file=tmp_path / "search.csv",
            predictors=list("abc"),
            grid=json.dumps(GRID),
            design=design,
            weights="equal",
            seed=1,
            threads=1,
        )
        found.append((tmp_path / "search.csv").read_bytes())
    assert found[0] == found[1]
    assert best(tmp_path / "search.csv") == {
        "n_estimators": 8,
        "max_depth": None,
        "max_features": 1.0,
        "min_samples_leaf": 1,
    }
