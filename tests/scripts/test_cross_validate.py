import numpy as np
import pandas as pd
import pytest

from cross_validate import designs, main
from split_samples import split


@pytest.fixture
def study(tmp_path):
    """Places with their own level that no predictor tells, except a name-like random number."""
    rng = np.random.default_rng(7)
    months = [f"{year}-0{month}" for year in range(2012, 2018) for month in (5, 6, 7)]
    rows = []
    for place in range(30):
        level, key = rng.normal(), rng.normal()
        rows += [(f"g{place}", m, level + 0.05 * rng.normal(), key) for m in months]
    table = pd.DataFrame(rows, columns=["group", "month", "target", "key"])
    table = table.assign(sample=range(len(table)), source="smci", site=table["group"], x=0.0, y=0.0)
    table.to_parquet(tmp_path / "samples.parquet")
    split(table, ["2016", "2017"], 5, 1).to_parquet(tmp_path / "folds.parquet")
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


def run(folder, threads):
    main(
        samples=folder / "samples.parquet",
        folds=folder / "folds.parquet",
        search=folder / "search.csv",
        predictions=folder / f"predictions{threads}.parquet",
        predictors=["key"],
        seed=1,
        threads=threads,
    )
    return pd.read_parquet(folder / f"predictions{threads}.parquet")


def test_the_temporal_split_rewards_memory_and_places_left_out_do_not(study):
    """beyond.md A1: one random number per place scores near 1 on years unseen, near 0 on places."""
    found = run(study, 1)
    score = {
        protocol: np.corrcoef(part["target"], part["prediction"])[0, 1]
        for protocol, part in found.groupby("protocol")
    }
    assert score["temporal"] > 0.95 and score["random_cv"] > 0.95
    assert score["leave_location_out"] < 0.5 and score["leave_location_time_out"] < 0.5


def test_every_sample_is_predicted_once_by_each_design_of_all_samples(study):
    found = run(study, 1)
    counts = found.groupby("protocol")["sample"].agg(["size", "nunique"])
    assert counts.loc[["random_cv", "leave_location_out"]].eq(30 * 18).all(axis=None)
    assert counts.loc[["temporal", "leave_location_time_out"]].eq(30 * 6).all(axis=None)
    assert counts.loc["train"].eq(30 * 12).all()


def test_the_same_bytes_with_one_thread_and_two(study):
    run(study, 1), run(study, 2)
    one, two = ((study / f"predictions{n}.parquet").read_bytes() for n in (1, 2))
    assert one == two


def test_what_each_design_learns_from_by_hand():
    """Two places, a and b, each with a training row (0, 2) and a test row (1, 3)."""
    table = pd.DataFrame(
        {
            "split": ["train", "test", "train", "test"],
            "random_cv": [0, 0, 1, 1],
            "leave_location_out": [0, 0, 1, 1],
            "group": ["a", "a", "b", "b"],
        }
    )
    found = [(p, *(np.flatnonzero(m).tolist() for m in masks)) for p, *masks in designs(table)]
    assert sorted(found) == [
        ("leave_location_out", [0, 1], [2, 3]),
        ("leave_location_out", [2, 3], [0, 1]),
        ("leave_location_time_out", [0], [3]),
        ("leave_location_time_out", [2], [1]),
        ("random_cv", [0, 1], [2, 3]),
        ("random_cv", [2, 3], [0, 1]),
        ("temporal", [0, 2], [1, 3]),
        ("train", [0, 2], [0, 2]),
    ]


def test_a_place_on_both_sides_is_never_let_through():
    table = pd.DataFrame(
        {
            "split": ["train", "train", "test", "test"],
            "random_cv": [0, 1, 0, 1],
            "leave_location_out": [0, 1, 0, 1],
            "group": ["a", "a", "b", "b"],
        }
    )
    with pytest.raises(AssertionError, match="places on both sides"):
        designs(table)
