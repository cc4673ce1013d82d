import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from _log import UserError
from split_samples import group_folds, held_out, main, random_folds, split


def samples(places=20, months=("2015-08", "2016-05", "2017-10")):
    rows = [(f"g{p}", m) for p in range(places) for m in months]
    table = pd.DataFrame(rows, columns=["group", "month"])
    return table.assign(sample=range(len(table)))


def test_years_and_beginnings_of_dates_are_held_out():
    months = pd.Series(["2015-10", "2016-05", "2012-03-25", "2012-09-01"])
    assert held_out(months, ["2016"]).tolist() == [False, True, False, False]
    assert held_out(months, ["2012-09"]).tolist() == [False, False, False, True]


@given(st.integers(1, 300), st.integers(2, 12), st.integers(0, 99))
def test_random_folds_differ_by_one_sample_at_most(n, folds, seed):
    sizes = np.bincount(random_folds(n, folds, np.random.default_rng(seed)), minlength=folds)
    assert sizes.sum() == n and np.ptp(sizes) <= 1


@given(st.lists(st.integers(0, 40), min_size=5, max_size=200), st.integers(2, 5))
def test_no_place_is_in_two_folds_and_folds_hold_equally_many_places(places, folds):
    groups = pd.Series([f"g{p}" for p in places])
    fold = group_folds(groups, folds, np.random.default_rng(1))
    table = pd.DataFrame({"group": groups, "fold": fold})
    assert (table.groupby("group")["fold"].nunique() == 1).all()
    assert np.ptp(np.bincount(table.drop_duplicates()["fold"], minlength=folds)) <= 1


def test_split_keeps_every_sample_once_and_is_repeatable():
    table = samples()
    first, again = split(table, ["2016", "2017"], 10, 3), split(table, ["2016", "2017"], 10, 3)
    pd.testing.assert_frame_equal(first, again)
    assert first["sample"].tolist() == table["sample"].tolist()
    assert (first["split"] == "test").sum() == 40
    assert sorted(first["leave_location_out"].unique()) == list(range(10))


def test_sites_of_one_group_are_left_out_together():
    table = samples().assign(site=[f"s{k}" for k in range(60)])
    fold = split(table, ["2016", "2017"], 10, 3)["leave_location_out"]
    assert (fold.groupby(table["group"]).nunique() == 1).all()


@pytest.mark.parametrize("test", [["2020"], ["20"]])
def test_an_empty_side_names_the_period_and_the_key(test):
    with pytest.raises(UserError, match=r"2015-08 to 2017-10.*Change split\.test"):
        split(samples(), test, 10, 1)


def test_fewer_places_than_folds_names_both_numbers():
    with pytest.raises(UserError, match=r"folds \(10\), found 4. Lower model\.folds"):
        split(samples(places=4), ["2016"], 10, 1)


def test_main_writes_the_same_bytes_twice(tmp_path):
    samples().to_parquet(tmp_path / "samples.parquet")
    for name in ("a", "b"):
        main(
            samples=tmp_path / "samples.parquet",
            folds=tmp_path / f"{name}.parquet",
            test=["2016"],
            number=10,
            seed=1,
        )
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
