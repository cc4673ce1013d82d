import pickle

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression

from _forest import predict
from _log import UserError
from _quantiles import leaf_values, load_leaves, spread
from _stored import load, save
from train_forest import main


@pytest.fixture
def study(tmp_path):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(60, 2))
    table = pd.DataFrame(x, columns=["NDVI", "LST"]).assign(
        target=x[:, 0], sample=range(60), group=np.arange(60).astype(str)
    )
    table["source"] = np.where(np.arange(60) % 4 == 0, "insitu", "smci")
    table.to_parquet(tmp_path / "samples.parquet")
    split = np.where(np.arange(60) < 40, "train", "test")
    pd.DataFrame({"sample": range(60), "split": split}).to_parquet(tmp_path / "folds.parquet")
    (tmp_path / "search.csv").write_text(
        "rank,rmse,n_estimators,max_depth,max_features,min_samples_leaf\n"
        "2,0.2,3,,1,1\n1,0.1,7,4,0.5,2\n"
    )
    return tmp_path


def train(folder, predictors=("NDVI", "LST"), weights="equal"):
    main(
        samples=folder / "samples.parquet",
        folds=folder / "folds.parquet",
        search=folder / "search.csv",
        forest_file=folder / "forest.skops",
        leaves_file=folder / "leaves.npz",
        predictors=list(predictors),
        weights=weights,
        seed=3,
        threads=2,
    )
    return load(folder / "forest.skops")


@pytest.mark.parametrize("weights", ["equal", "sources"])
def test_the_forest_learns_from_training_years_with_the_best_options(study, weights):
    found, predictors = train(study, weights=weights)
    x = pd.read_parquet(study / "samples.parquet")[["NDVI", "LST"]].to_numpy()
    # 10 of the 40 training rows are of stations, 30 of SMCI: 20 each in total.
    weight = None if weights == "equal" else np.where(np.arange(40) % 4 == 0, 2.0, 2 / 3)
    reference = RandomForestRegressor(
        7, max_depth=4, max_features=0.5, min_samples_leaf=2, random_state=3
    ).fit(x[:40].astype("float32"), x[:40, 0], sample_weight=weight)
    assert predictors == ["NDVI", "LST"]
    np.testing.assert_array_equal(predict(found, x), reference.predict(x))
    assert [p.name for p in study.iterdir() if "part" in p.name or p.name.startswith(".")] == []


def test_the_leaves_beside_the_forest_are_its_own(study):
    model, _ = train(study)
    table = pd.read_parquet(study / "samples.parquet")
    x, y = table[["NDVI", "LST"]].to_numpy("float32")[:40], table["target"].to_numpy()[:40]
    found, expected = load_leaves(study / "leaves.npz", model), leaf_values(model, x, y, 3)
    mean, bounds = spread(model, found, x, [0.05, 0.95])
    np.testing.assert_array_equal(mean, predict(model, x))
    np.testing.assert_array_equal(bounds, spread(model, expected, x, [0.05, 0.95])[1])


def test_the_leaves_are_the_same_bytes_every_time(study):
    files = []
    for _ in range(2):
        train(study)
        files.append((study / "leaves.npz").read_bytes())
    assert files[0] == files[1]


def test_one_source_alone_gives_the_same_forest_with_either_weights(study):
    table = pd.read_parquet(study / "samples.parquet").assign(source="smci")
    table.to_parquet(study / "samples.parquet")
    x = table[["NDVI", "LST"]].to_numpy()
    one, two = (predict(train(study, weights=w)[0], x) for w in ("equal", "sources"))
    np.testing.assert_array_equal(one, two)


def test_a_predictor_without_a_value_in_the_training_years_is_refused(study):
    table = pd.read_parquet(study / "samples.parquet").assign(SMC=np.nan, ET=np.nan)
    table.loc[40:, "SMC"] = 0.3
    table.to_parquet(study / "samples.parquet")
    with pytest.raises(UserError, match=r"samples\.parquet: .*none of SMC, ET in 40 rows.*leave"):
        train(study, ["NDVI", "SMC", "ET"])
    assert not (study / "forest.skops").exists()


def test_a_constant_predictor_is_allowed_and_said(study, caplog):
    table = pd.read_parquet(study / "samples.parquet").assign(AWC=12.5)
    table.to_parquet(study / "samples.parquet")
    train(study, ["NDVI", "AWC"])
    assert [r.getMessage() for r in caplog.records if r.levelname == "WARNING"] == [
        "AWC is 12.5 in every training sample: it teaches nothing"
    ]


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
