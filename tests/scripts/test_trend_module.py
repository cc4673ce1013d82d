"""Trends against reference numbers, scipy, pymannkendall and all permutations."""

from itertools import permutations

import numpy as np
import pymannkendall
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from _trend import (
    field_limit,
    field_significant,
    kendall_null,
    least_squares,
    mann_kendall,
    theil_sen,
)

SERIES = np.array([0.372, 0.381, 0.379, 0.384, 0.377, 0.390, 0.386, 0.392, 0.388, 0.394])
YEARS = np.arange(2009, 2019)
GAPPED = np.array([2001, 2002, 2004, 2007, 2008, 2009, 2013, 2014])


def cells(seed=1, tied=False):
    """Return (8 years, 6, 5 cells) with gaps in some."""
    random = np.random.default_rng(seed)
    values = random.normal(size=(8, 6, 5)) + 0.3 * np.arange(8)[:, None, None]
    if tied:
        values = np.round(values)
    values[random.random(values.shape) < 0.15] = np.nan
    return values


def each(values):
    """Yield index, years and values of every cell, without its gaps."""
    for index in np.ndindex(values.shape[1:]):
        series = values[(slice(None), *index)]
        there = np.isfinite(series)
        yield index, GAPPED[there], series[there]


def test_the_null_distribution_counts_all_orders():
    s = [
        sum(np.sign(b - a) for i, a in enumerate(order) for b in order[i + 1 :])
        for order in permutations(range(5))
    ]
    counted = [s.count(value) / 120 for value in range(-10, 11, 2)]
    assert kendall_null(5) == pytest.approx(counted, abs=1e-15)
    assert kendall_null(50).sum() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("tied", [False, True])
def test_every_cell_is_tested_as_scipy_tests_its_own_years(tied):
    values = cells(tied=tied)
    found = mann_kendall(values, GAPPED)
    sen, low, high = theil_sen(values, GAPPED)
    slope, p = least_squares(values, GAPPED)
    tested = 0
    for index, years, series in each(values):
        assert found["n"][index] == len(years)
        if len(years) < 5:
            for array in (found["S"], found["z"], found["p"], found["p_exact"], sen, low, slope, p):
                assert np.isnan(array[index])
            continue
        tested += 1
        ties = len(set(series)) < len(series)
        assert np.isnan(found["p_exact"][index]) == ties
        if not ties:
            exact = stats.kendalltau(years, series, method="exact").pvalue
            assert found["p_exact"][index] == pytest.approx(exact, rel=1e-12)
        other = stats.theilslopes(series, years, 0.95)
        assert sen[index] == pytest.approx(other.slope, rel=1e-12, abs=1e-15)
        assert (low[index], high[index]) == pytest.approx(
            (other.low_slope, other.high_slope), rel=1e-12, abs=1e-15
        )
        line = stats.linregress(years, series)
        assert slope[index] == pytest.approx(line.slope, rel=1e-9)
        assert p[index] == pytest.approx(line.pvalue, rel=1e-9)
    assert 20 <= tested < 30


@pytest.mark.parametrize("tied", [False, True])
def test_every_cell_is_tested_as_pymannkendall_tests_it(tied):
    values = cells(tied=tied)
    found = mann_kendall(values, GAPPED)
    for index, years, series in each(values):
        if len(years) >= 5:
            other = pymannkendall.original_test(series)
            assert found["S"][index] == other.s
            assert found["z"][index] == pytest.approx(other.z, rel=1e-12)
            assert found["p"][index] == pytest.approx(other.p, rel=1e-9)


def test_ties_shrink_the_variance_by_hand():
    # 1 1 2 3 3 3: 11 of the 15 pairs rise, 4 are tied. Variance (6*5*17 - 2*9 - 3*2*11)/18.
    found = mann_kendall(np.array([1.0, 1, 2, 3, 3, 3]), np.arange(6))
    assert found["S"] == 11
    assert found["z"] == pytest.approx(10 / np.sqrt((510 - 18 - 66) / 18))


@given(st.lists(st.integers(-50, 50), min_size=5, max_size=12), st.floats(0.5, 4))
@settings(max_examples=60, deadline=None)
def test_a_mirrored_series_has_the_mirrored_trend(numbers, factor):
    values, years = np.array(numbers, float), np.arange(len(numbers))
    up, down = (mann_kendall(sign * factor * values, years) for sign in (1, -1))
    assert up["S"] == -down["S"] and up["z"] == pytest.approx(-down["z"])
    assert up["p"] == pytest.approx(down["p"])
    if not np.isnan(up["p_exact"]):
        assert up["p_exact"] == pytest.approx(down["p_exact"]) and 0 < up["p_exact"] <= 1
    sen = theil_sen(values, years)
    scaled = theil_sen(-factor * values + 3, years)
    assert scaled == pytest.approx([-factor * part for part in (sen[0], sen[2], sen[1])], abs=1e-9)


def test_without_any_trend_five_in_a_hundred_are_found_at_most():
    noise = np.random.default_rng(7).normal(size=(10, 20000))
    found = mann_kendall(noise, YEARS)
    # The largest p that the 10-year null can take below 0.05 is 0.0466: no more may be found.
    assert (found["p_exact"] < 0.05).mean() == pytest.approx(0.0466, abs=0.005)


def test_a_series_that_never_changes_has_no_trend():
    flat = np.full(10, 0.3)
    found = mann_kendall(flat, YEARS)
    assert (found["S"], found["z"], found["p"]) == (0, 0, 1)
    assert [float(part) for part in theil_sen(flat, YEARS)] == [0, 0, 0]
    assert [float(part) for part in least_squares(flat, YEARS)] == [0, 1]


def test_a_cell_that_is_missing_throughout_is_missing():
    gone = np.full((10, 2), np.nan)
    assert np.isnan(mann_kendall(gone, YEARS)["p"]).all()
    assert np.isnan(theil_sen(gone, YEARS)).all()
    assert np.isnan(least_squares(gone, YEARS)).all()


def test_cells_in_parts_have_the_slopes_of_cells_at_once(monkeypatch):
    values = cells()
    at_once = theil_sen(values, GAPPED)
    monkeypatch.setattr("_trend.AT_ONCE", 28 * 7)
    for part, whole in zip(theil_sen(values, GAPPED), at_once, strict=True):
        np.testing.assert_array_equal(part, whole)


def test_beyond_fifty_years_the_normal_p_stands_alone():
    long = np.random.default_rng(3).normal(size=51)
    assert np.isnan(mann_kendall(long, np.arange(51))["p_exact"])
    found = mann_kendall(long[:50], np.arange(50))
    exact = stats.kendalltau(np.arange(50), long[:50], method="exact").pvalue
    assert found["p_exact"] == pytest.approx(exact, rel=1e-9)


def test_years_must_rise():
    for years in (YEARS[::-1], YEARS[:9], np.repeat(YEARS[:5], 2)):
        with pytest.raises(ValueError, match="one row a year and rising years"):
            mann_kendall(SERIES, years)


def test_the_field_keeps_what_scipy_keeps():
    random = np.random.default_rng(2)
    p = np.concatenate([random.uniform(size=300), random.uniform(0, 0.004, 40)]).reshape(20, 17)
    kept = stats.false_discovery_control(p.ravel(), method="bh").reshape(p.shape) <= 0.10
    assert 30 < kept.sum() < 60
    np.testing.assert_array_equal(field_significant(p), kept)
    gapped = np.concatenate([p.ravel(), np.full(500, np.nan)])
    np.testing.assert_array_equal(field_significant(gapped)[:340], kept.ravel())
    assert not field_significant(gapped)[340:].any()


def test_the_field_by_hand():
    # Of four: limits 0.025, 0.05, 0.075, 0.10. 0.06 is above its own, but 0.07 is below the third.
    assert field_significant(np.array([0.06, 0.01, 0.2, 0.07])).tolist() == [
        True,
        True,
        False,
        True,
    ]
    assert not field_significant(np.array([0.2, 0.3])).any()
    assert not field_significant(np.array([np.nan])).any()


def test_the_limit_of_a_field_of_few_values_is_that_of_its_cells():
    p, counts = np.array([0.002, 0.009, 0.05, 0.3]), np.array([3, 4, 20, 73])
    # Rank 7 of 100 may have 0.007, rank 3 may have 0.003: 0.009 does not pass, 0.002 does.
    assert field_limit(p, counts, 0.10) == 0.002
    assert field_significant(np.repeat(p, counts)).sum() == 3
    assert field_limit(p, counts, 0.20) == 0.05
    assert field_limit(p, counts, 1e-4) == -1
    assert field_limit(p[:0], counts[:0]) == -1


@pytest.mark.parametrize("years", [5, 10, 23])
def test_series_without_gaps_are_those_of_pymannkendall(years):
    values = np.random.default_rng(years).normal(0.35, 0.02, (years, 40))
    values[:, 30:] = np.round(values[:, 30:], 2)  # with ties
    found, sen = mann_kendall(values, np.arange(years)), theil_sen(values, np.arange(years))[0]
    for cell, series in enumerate(values.T):
        other = pymannkendall.original_test(series)
        assert found["S"][cell] == other.s
        assert sen[cell] == pytest.approx(pymannkendall.sens_slope(series).slope, rel=0, abs=1e-15)
        assert found["z"][cell] == pytest.approx(other.z, abs=1e-12)
        assert found["p"][cell] == pytest.approx(other.p, abs=1e-12)
