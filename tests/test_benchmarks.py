"""The arithmetic of the benchmarks on tables whose answers are known."""

import sys

import numpy as np
import pandas as pd
import pytest

from _correction import CURVES
from conftest import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))

from cookfarm import (
    area,
    chosen,
    corrected,
    described,
    difference,
    kriged,
    nested,
    options_of,
    places_or_dates,
    verdict,
    wide_and_narrow,
)

quarter = np.repeat(np.arange(4), 3)


def mean_fit(x, y):
    """Fit the mean of what is learned, so that a prediction tells which rows were seen."""
    return lambda rows: np.full(len(rows), y.mean())


def test_the_difference_is_of_pooled_rmse_and_its_draws_are_of_places():
    place = np.array(["a", "a", "b"])
    first, second = (np.array([1.0, 3.0, 5.0]), place), (np.array([4.0, 4.0, 10.0]), place)
    one, two, apart, low, high = difference(first, second)
    assert (one, two) == pytest.approx((np.sqrt(3), np.sqrt(6)))
    assert apart == pytest.approx(np.sqrt(6) - np.sqrt(3))
    # Two places: a draw is a twice, b twice, or both. The outer draws bound the interval.
    assert low == pytest.approx(2 - np.sqrt(2)) and high == pytest.approx(np.sqrt(10) - np.sqrt(5))


def test_different_rows_of_the_same_places_may_be_compared():
    inside, outside = (np.array([1.0, 1.0]), np.array([0, 1])), (np.array([4.0]), np.array([1]))
    found = difference(inside, outside)
    assert found[:3] == pytest.approx((1, 2, 1)) and found[3:] == pytest.approx((1, 1))


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [(-2, -1, "helps"), (-1, 1, "neutral"), (1, 2, "harms"), (0, 0, "neutral")],
)
def test_verdict(low, high, said):
    assert verdict(low, high) == said


def test_the_range_by_hand():
    target = np.arange(1.0, 12.0)  # a tenth reaches to 2, and from 10
    found = described(target, 6 + (target - 6) / 2)
    assert found["R"] == pytest.approx(1) and found["SD ratio"] == pytest.approx(0.5)
    assert found["bias, driest tenth"] == pytest.approx(np.mean([2.5, 2.0]))
    assert found["bias, wettest tenth"] == pytest.approx(-np.mean([2.5, 2.0]))


@pytest.mark.parametrize("threads", [1, 2])
def test_nested_predictions_saw_neither_of_two_folds(threads):
    y = np.arange(12.0) ** 2
    outer, inner = nested(mean_fit, np.zeros((12, 1)), y, quarter, threads)
    for k in range(4):
        assert outer[quarter == k] == pytest.approx(y[quarter != k].mean())
        assert np.isnan(inner[k, quarter == k]).all()
        for j in set(range(4)) - {k}:
            assert inner[k, quarter == j] == pytest.approx(
                y[(quarter != k) & (quarter != j)].mean()
            )


def test_a_fold_has_no_say_in_what_is_chosen_for_it():
    y, good = np.zeros(12), np.full((4, 12), 0.1)
    bad = np.full((4, 12), 0.2)
    bad[:, quarter == 3] = 0.0  # the second is perfect in fold 3, for whoever may look at it
    good[:, quarter == 3] = 0.9
    assert chosen([good, bad], y, quarter)[3] == 0
    assert chosen([good, bad], y, quarter).tolist() == [1, 1, 1, 0]


def test_a_curve_is_fitted_to_other_folds_only():
    outer = np.tile([0.1, 0.2, 0.3], 4)
    inner, y = np.tile(outer, (4, 1)), 2 * outer + 0.05
    assert corrected(outer, inner, y, quarter, CURVES["linear"]) == pytest.approx(y)
    assert corrected(outer, inner, y, quarter, CURVES["none"]) == pytest.approx(outer)
    other = np.where(quarter == 2, 9.0, y)
    found = corrected(outer, inner, other, quarter, CURVES["linear"])
    assert found[quarter == 2] == pytest.approx(y[quarter == 2])
    assert found[quarter == 1] != pytest.approx(y[quarter == 1])


def field(seed=0):
    """Return 60 places whose residual is a smooth field, in 4 folds of neighbours mixed."""
    xy = np.random.default_rng(seed).uniform(0, 1000, (60, 2))
    residual = 0.05 * np.sin(xy[:, 0] / 200) + 0.05 * np.cos(xy[:, 1] / 200)
    table = pd.DataFrame({"group": np.arange(60), "x": xy[:, 0], "y": xy[:, 1]})
    return table.assign(target=0.3 + residual), residual, np.arange(60) % 4


def test_residuals_that_neighbours_share_are_kriged_from_other_folds_only():
    table, residual, fold = field()
    outer, inner = np.full(60, 0.3), np.full((4, 60), 0.3)
    found, used = kriged(outer, inner, table, fold, tested=True)
    assert used == 4
    assert np.std(found - table["target"]) < 0.3 * np.std(residual)
    other = table.assign(target=np.where(fold == 1, 9.0, table["target"]))
    assert kriged(outer, inner, other, fold, tested=True)[0][fold == 1] == pytest.approx(
        found[fold == 1]
    )


def test_residuals_of_noise_are_kriged_only_without_the_test():
    table, _, fold = field()
    noise = np.random.default_rng(3).normal(0, 0.05, 60)
    outer, inner, table = np.full(60, 0.3), np.full((4, 60), 0.3), table.assign(target=0.3 + noise)
    found, used = kriged(outer, inner, table, fold, tested=True)
    assert used == 0 and (found == outer).all()
    assert kriged(outer, inner, table, fold, tested=False)[1] == 4


def test_many_and_few_places_give_equally_many_rows_and_none_judges():
    group = np.repeat(np.arange(20), [12] * 19 + [5])  # the last has too few dates
    for seed in range(5):
        judge, wide, narrow = wide_and_narrow(group, 7, 4, 3, seed)
        assert len(wide) == len(narrow) == len(set(wide)) == len(set(narrow)) == 48
        assert np.unique(group[wide], return_counts=True)[1].tolist() == [4] * 12
        assert np.unique(group[narrow], return_counts=True)[1].tolist() == [12] * 4
        assert len(judge) == 7 * 12
        assert not set(group[judge]) & (set(group[wide]) | set(group[narrow]))
        assert set(group[narrow]) < set(group[wide]) and 19 not in group[wide]


def test_many_places_help_where_places_differ():
    """The mean of places is known better from twelve of them than from four."""
    rng = np.random.default_rng(1)
    group = np.repeat(np.arange(20), 12)
    y = rng.normal(size=20)[group]
    few, many, n = places_or_dates(mean_fit, y[:, None], y, group, 4, judged=8, ratio=3, seeds=40)
    assert n == 48 and len(few[0]) == len(many[0]) == 40 * 8 * 12
    assert difference(few, many)[2] < 0


def test_the_area_is_compared_or_said_to_hold_all():
    di, square, group = np.array([0.1, 0.2, 0.9]), np.array([1.0, 1.0, 4.0]), np.arange(3)
    said = area(di, 0.5, square, group)
    assert "inside 1.0000 (2 rows of 2 places), outside 2.0000 (1 rows of 1 places)" in said[1]
    assert "outside minus inside +1.0000" in said[2]
    assert area(di, 1.0, square, group)[1].endswith(
        "100.0% of the rows lie inside: nothing to compare"
    )


def test_options_are_read_best_first(tmp_path):
    (tmp_path / "search.csv").write_text(
        "rank,rmse,n_estimators,max_depth,max_features,min_samples_leaf\n2,2,5,,1,1\n1,1,5,3,0.5,9\n"
    )
    common = dict(n_estimators=5)
    assert options_of(tmp_path / "search.csv") == [
        common | dict(max_depth=3, max_features=0.5, min_samples_leaf=9),
        common | dict(max_depth=None, max_features=1.0, min_samples_leaf=1),
    ]
