import pickle

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression

from _forest import load, predict, save
from _log import UserError
from train_forest import main


def test_the_forest_learns_from_training_years_with_the_best_options(tmp_path):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(60, 2))
    table = pd.DataFrame(x, columns=["NDVI", "LST"]).assign(
        target=x[:, 0], sample=range(60), group=np.arange(60).astype(str)
    )
    table.to_parquet(tmp_path / "samples.parquet")
    split = np.where(np.arange(60) < 40, "train", "test")
    pd.DataFrame({"sample": range(60), "split": split}).to_parquet(tmp_path / "folds.parquet")
    (tmp_path / "search.csv").write_text(
        "rank,rmse,n_estimators,max_depth,max_features,min_samples_leaf\n"
        "2,0.2,3,,1,1\n1,0.1,7,4,0.5,2\n"
    )
    main(
        samples=tmp_path / "samples.parquet",
        folds=tmp_path / "folds.parquet",
        search=tmp_path / "search.csv",
        forest_file=tmp_path / "forest.skops",
        predictors=["NDVI", "LST"],
        seed=3,
        threads=2,
    )
    found, predictors = load(tmp_path / "forest.skops")
    reference = RandomForestRegressor(
        7, max_depth=4, max_features=0.5, min_samples_leaf=2, random_state=3
    ).fit(x[:40].astype("float32"), x[:40, 0])
    assert predictors == ["NDVI", "LST"]
    np.testing.assert_array_equal(predict(found, x), reference.predict(x))
    assert [p.name for p in tmp_path.iterdir() if "part" in p.name or p.name.startswith(".")] == []


def test_a_file_with_anything_but_a_forest_is_refused(tmp_path):
    skops.io.dump({"forest": np.polynomial.Polynomial([1]), "predictors": []}, tmp_path / "a.skops")
    with pytest.raises(UserError, match=r"a\.skops: expected a scikit-learn forest, found .*Poly"):
        load(tmp_path / "a.skops")


@pytest.mark.parametrize("content", [b"", b"<html>", pickle.dumps(LinearRegression())])
def test_an_unreadable_file_is_named_with_the_mend(tmp_path, content):
    (tmp_path / "b.skops").write_bytes(content)
    with pytest.raises(UserError, match=r"b\.skops: expected a forest .* Delete it and run again"):
        load(tmp_path / "b.skops")


def test_a_truncated_forest_is_named_with_the_mend(tmp_path):
    model = RandomForestRegressor(5).fit(np.arange(20.0)[:, None], np.arange(20.0))
    save(tmp_path / "c.skops", model, ["a"])
    whole = (tmp_path / "c.skops").read_bytes()
    (tmp_path / "c.skops").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"c\.skops: expected a forest .* Delete it and run again"):
        load(tmp_path / "c.skops")
