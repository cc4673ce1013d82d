import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestRegressor

from _log import UserError
from cross_validate import fits_of, main
from split_samples import split


@pytest.fixture
def study(tmp_path):
    return make(tmp_path)


def make(tmp_path):
    """Places with their own level that no predictor tells, except a name-like random number."""
    rng = np.random.default_rng(7)
    months = [f"{year}-0{month}" for year in range(2012, 2018) for month in (5, 6, 7)]
    rows = []
    for place in range(30):
        level, key = rng.normal(), rng.normal()
        rows += [(f"g{place}", m, level + 0.05 * rng.normal(), key) for m in months]
    table = pd.DataFrame(rows, columns=["group", "month", "target", "key"])
    table = table.assign(
        sample=range(len(table)),
        source="smci",
        site=table["group"],
        x=table["group"].str[1:].astype(float),
        y=0.0,
    )
    table.to_parquet(tmp_path / "samples.parquet")
    folds, *_ = split(table, np.zeros((4, 2)), ["2016", "2017"], 5, 1)
    # Folds of whole places, of another shape than those of leave_location_out.
    folds["knndm"] = table["group"].str[1:].astype(int) // 10
    folds.to_parquet(tmp_path / "folds.parquet")
    pd.DataFrame(
        {
            "rank": [1],
            "n_estimators": [30],
            "max_depth": [None],
            "max_features": [1.0],
            "min_samples_leaf": [1],
        }
    ).to_csv(tmp_path / "search.csv", index=False)
    return tmp_path


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """The predictions of the study as it is, for tests that only read them."""
    return run(make(tmp_path_factory.mktemp("plain")), 1)


def run(folder, threads, **changed):
    main(
        samples=folder / "samples.parquet",
        folds=folder / "folds.parquet",
        search=folder / "search.csv",
        predictions=folder / f"predictions{threads}.parquet",
        **dict(predictors=["key"], weights="equal", level=0.9, seed=1, threads=threads) | changed,
    )
    return pd.read_parquet(folder / f"predictions{threads}.parquet")


def test_the_temporal_split_rewards_memory_and_places_left_out_do_not(plain):
    """One random number per place scores near 1 on years unseen, near 0 on places."""
    score = {
        protocol: np.corrcoef(part["target"], part["prediction"])[0, 1]
        for protocol, part in plain.groupby("protocol")
    }
    assert score["temporal"] > 0.95 and score["random_cv"] > 0.95
    for protocol in ("leave_location_out", "leave_location_time_out", "knndm"):
        assert score[protocol] < 0.5


def test_every_sample_is_predicted_once_by_each_design_of_all_samples(plain):
    counts = plain.groupby("protocol")["sample"].agg(["size", "nunique"])
    assert counts.loc[["random_cv", "leave_location_out"]].eq(30 * 18).all(axis=None)
    assert counts.loc[["temporal", "leave_location_time_out", "knndm"]].eq(30 * 6).all(axis=None)
    assert counts.loc["train"].eq(30 * 12).all()


def test_the_same_bytes_with_one_thread_and_two(study):
    run(study, 1), run(study, 2)
    one, two = ((study / f"predictions{n}.parquet").read_bytes() for n in (1, 2))
    assert one == two


def places(**changed):
    """Places a, b and c; c has no row in the test years."""
    table = {
        "split": ["train", "test", "train", "test", "train"],
        "random_cv": [0, 0, 1, 1, 0],
        "leave_location_out": [0, 0, 1, 1, 1],
        "knndm": [0, 0, 1, 1, 2],
        "group": ["a", "a", "b", "b", "c"],
    }
    return pd.DataFrame(table | changed)


@pytest.mark.parametrize("design", ["leave_location_out", "knndm"])
def test_a_design_without_any_prediction_is_refused(design):
    """All training rows in the one fold that has test rows."""
    table = places(split=["train", "test", "train", "test", "train"])
    table[design] = 0
    with pytest.raises(UserError, match=rf"fold of {design} .* none in 1 folds.*model\.folds"):
        fits_of(table)


def test_bounds_are_narrow_at_places_seen_and_miss_places_unseen(plain):
    """The number that names a place gives away its level: at unseen places that is memory."""
    assert (plain["lower"] <= plain["upper"]).all()
    held = plain["target"].between(plain["lower"], plain["upper"])
    coverage = held.groupby(plain["protocol"]).mean()
    assert coverage["temporal"] > 0.75
    assert (coverage[["leave_location_out", "leave_location_time_out", "knndm"]] < 0.5).all()


def test_the_level_sets_the_bounds(study, plain):
    narrow, wide = run(study, 1, level=0.5), plain
    pd.testing.assert_series_equal(narrow["prediction"], wide["prediction"], check_exact=True)
    assert (wide["lower"] <= narrow["lower"]).all() and (narrow["upper"] <= wide["upper"]).all()
    assert (wide["upper"] - wide["lower"]).mean() > 1.5 * (narrow["upper"] - narrow["lower"]).mean()


def test_predictions_are_those_of_a_forest_fitted_by_hand_with_weights(study, plain):
    table = pd.read_parquet(study / "samples.parquet")
    table.loc[table["group"].isin(["g0", "g1", "g2"]), "source"] = "insitu"
    table.to_parquet(study / "samples.parquet")
    found = run(study, 1, weights="sources")
    found = found[found["protocol"] == "temporal"].set_index("sample")["prediction"]
    late = (table["month"] >= "2016").to_numpy()
    few = (table["source"] == "insitu")[~late].to_numpy()
    weight = np.where(few, 0.5 / few.sum(), 0.5 / (~few).sum()) * len(few)
    x = table[["key"]].to_numpy("float32")
    reference = RandomForestRegressor(30, random_state=1).fit(
        x[~late], table["target"][~late], sample_weight=weight
    )
    np.testing.assert_array_equal(found, reference.predict(x[late]))
    equal = plain[plain["protocol"] == "temporal"].set_index("sample")["prediction"]
    assert (equal != found).any()


def test_a_predictor_without_any_value_is_named(study):
    table = pd.read_parquet(study / "samples.parquet").assign(SMC=np.nan)
    table.to_parquet(study / "samples.parquet")
    with pytest.raises(UserError, match=r"samples\.parquet: .*none of SMC in 540 rows"):
        run(study, 1, predictors=["key", "SMC"])
