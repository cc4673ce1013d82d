"""DI, threshold and LPD against CAST's golden numbers, its published test, and plain distances."""

import numpy as np
import pandas as pd
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

import _applicability as applicability
from _applicability import (
    complete,
    dissimilarity,
    left_out_di,
    mean_distance,
    standard,
    threshold,
    training_lpd,
    weighted,
    weights_of,
)
from _log import UserError
from conftest import SHARED, real
from read_table import read

NAMES = ["a", "b", "c", "d"]


def own_folds(rows):
    """Each row its own fold: what CAST does without cross-validation."""
    return np.arange(len(rows))


def reference(name):
    path = SHARED.parent / "reference" / name
    if not path.exists():
        pytest.skip(f"golden inputs are not here: {path}")
    return pd.read_csv(path)


@pytest.fixture
def golden():
    """80 training points, 400 new ones and kNNDM folds; weights a=2, b=1, c=0.5, d=0.25."""
    train, new = (reference(name)[NAMES].to_numpy("float64") for name in ("tf.csv", "pf.csv"))
    folds = reference("knndm_k10.csv")["f"].to_numpy()
    mean, scale = standard(train)
    weight = weights_of(np.array([2.0, 1.0, 0.5, 0.25]), scale, NAMES)
    return *(weighted(rows, mean, scale, weight) for rows in (train, new)), folds


def test_training_rows_agree_with_cast(golden):
    rows, _, folds = golden
    dbar = mean_distance(rows)
    assert dbar == pytest.approx(2.81852317685, abs=5e-12)
    di = left_out_di(rows, folds, rows, folds, dbar)
    assert (di.mean(), di.max()) == pytest.approx((0.162341989903, 0.567470419509), abs=5e-13)
    assert threshold(di) == pytest.approx(0.428036645491, abs=5e-13)
    assert round(training_lpd(rows, folds, dbar, threshold(di)).mean()) == 11
    without = left_out_di(rows, own_folds(rows), rows, own_folds(rows), dbar)
    assert threshold(without) == pytest.approx(0.110539472702, abs=5e-13)


def test_new_points_agree_with_cast(golden):
    rows, new, folds = golden
    dbar = mean_distance(rows)
    limit = threshold(left_out_di(rows, folds, rows, folds, dbar))
    di, lpd = dissimilarity(new, rows, dbar, limit)
    first = [0.9647424435, 0.9059167414, 0.8862055084, 0.9027160440, 0.8241551071]
    assert di[:5] == pytest.approx(first, abs=5e-11)
    assert di.mean() == pytest.approx(0.383053089659, abs=5e-13)
    assert (di <= limit).mean() == 0.6125
    assert lpd.mean() == 7.905


def test_the_published_test_of_cast_on_the_cook_farm():
    """CAST 1.1.0, tests/testthat/test-aoa.R, "AOA (inluding LPD) works without a trained model".

    Three of the thirteen predictors at the first 30 stations in the order of their names, equal
    weights, no folds. The variants with a model weigh by the importance of an R forest.
    """
    table = read(str(real("cookfarm/cookfarm.rda")))
    sites = table.groupby(table["SOURCEID"].astype(str))[["Easting", "Northing"]].mean()[:30]
    with rasterio.open(real("cookfarm/predictors_2012-03-25.tif")) as source:
        numbers = [source.descriptions.index(name) + 1 for name in ("DEM", "NDRE.Sd", "TWI")]
        stack = source.read(numbers, masked=True).astype("float64").filled(np.nan)
        at = [source.index(*xy) for xy in sites.to_numpy()]
    train = np.array([stack[:, row, col] for row, col in at])
    mean, scale = standard(train)
    weight = weights_of(np.ones(3), scale, ["DEM", "NDRE.Sd", "TWI"])
    rows = weighted(train, mean, scale, weight)
    folds, dbar = own_folds(rows), mean_distance(rows)
    limit = threshold(left_out_di(rows, folds, rows, folds, dbar))
    assert round(limit, 5) == 0.52872
    published = """7 9 12 1 12 12 4 2 8 10 6 1 3 4 11 9 9 7 5 5 6 5 0 5 9 8 4 11 3 2"""
    assert training_lpd(rows, folds, dbar, limit).tolist() == list(map(int, published.split()))
    cells = stack[:, np.isfinite(stack).all(axis=0)].T
    di, _ = dissimilarity(weighted(cells, mean, scale, weight), rows, dbar, limit)
    assert (len(di), (di <= limit).sum()) == (3865, 3377)
    found = [di.min(), *np.quantile(di, [0.25, 0.5]), di.mean(), np.quantile(di, 0.75), di.max()]
    assert np.round(found, 4).tolist() == [0.0, 0.1759, 0.2642, 0.3109, 0.4051, 2.6631]


def plain(points, rows, dbar, limit):
    distances = cdist(points, rows) / dbar
    return distances.min(axis=1), (distances < limit).sum(axis=1)


def check(points, rows, dbar, limit):
    di, lpd = dissimilarity(points, rows, dbar, limit)
    expected_di, expected_lpd = plain(points, rows, dbar, limit)
    np.testing.assert_allclose(di, expected_di, rtol=1e-12, atol=1e-14 * np.abs(points).max())
    np.testing.assert_array_equal(lpd, expected_lpd)


@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 700),
    st.integers(2, 40),
    st.integers(1, 13),
    st.sampled_from([1e-30, 1e-4, 1.0, 1e6]),
    st.sampled_from([0.0, 1e-6, 1.0, 1e4]),
)
@settings(max_examples=60, deadline=None)
def test_products_only_choose_and_the_result_is_that_of_plain_distances(
    seed, n, m, predictors, size, offset
):
    """Points on rows, just beside them, and far away, in any unit; rows in close pairs."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(m, predictors)) * rng.exponential(size=predictors) * size
    rows = np.concatenate([rows, rows + 1e-5 * size * rng.normal(size=rows.shape)])
    near = rows[rng.integers(2 * m, size=n)] + rng.choice(
        [0, 1e-5, 0.3], (n, 1)
    ) * size * rng.normal(size=(n, predictors))
    points = near + rng.choice([0.0, offset], (n, 1)) * size
    # Thresholds that part a row by a billionth: float32 cannot tell on which side it lies.
    dbar, part = mean_distance(rows), 1 + rng.choice([-1e-9, 1e-9])
    check(points, rows, dbar, float(rng.choice(cdist(points[:9], rows).ravel()) / dbar * part))


@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(1, 9))
@settings(max_examples=60, deadline=None)
def test_rows_at_the_threshold_itself_do_not_count(seed, predictors, limit):
    """On whole numbers distances are exact, so many rows lie just at the limit."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(-6, 7, (50, predictors)).astype("float64")
    points = rng.integers(-6, 7, (600, predictors)).astype("float64")
    di, lpd = dissimilarity(points, rows, 1.0, float(limit))
    apart = ((points[:, None] - rows) ** 2).sum(axis=-1)
    np.testing.assert_array_equal(lpd, (apart < limit**2).sum(axis=1))
    np.testing.assert_array_equal(di, np.sqrt(apart.min(axis=1)))


@pytest.mark.parametrize("value", [1e12, 1e14, 1e16, 1e20, 3.4e38, 1e60])
def test_a_nodata_value_that_was_not_declared_is_far_and_nothing_else(value):
    rows = np.random.default_rng(1).normal(size=(20, 3))
    points = np.concatenate([rows[:5], np.full((1, 3), -value)])
    di, lpd = dissimilarity(points, rows, 2.0, 0.4)
    assert di[:5].tolist() == [0] * 5
    assert di[5] == pytest.approx(np.sqrt(3) * value / 2)
    assert lpd[5] == 0 and (lpd[:5] > 0).all()


def test_a_point_has_the_same_values_alone_and_among_others():
    rng = np.random.default_rng(3)
    rows, points = rng.normal(size=(90, 5)), rng.normal(size=(applicability.CHUNK + 3, 5))
    together = np.array(dissimilarity(points, rows, 2.0, 0.6))
    alone = [np.array(dissimilarity(point[None], rows, 2.0, 0.6))[:, 0] for point in points[-9:]]
    np.testing.assert_array_equal(together[:, -9:], np.transpose(alone))


def test_a_known_place_is_0_and_no_points_are_none():
    rows = np.random.default_rng(3).normal(size=(9, 2))
    assert dissimilarity(rows, rows, 1.7, 1e-9)[0].tolist() == [0] * 9
    assert dissimilarity(rows, rows, 1.7, 1e-9)[1].tolist() == [1] * 9
    assert [len(part) for part in dissimilarity(rows[:0], rows, 1.7, 0.5)] == [0, 0]


def test_four_rows_on_a_line_by_hand():
    """Rows at 0, 1, 3, 7; folds 1 1 2 2. Pairs 1 3 7 2 6 4: mean 23 / 6."""
    rows, folds = np.array([[0.0], [1], [3], [7]]), np.array([1, 1, 2, 2])
    assert mean_distance(rows) == pytest.approx(23 / 6)
    assert left_out_di(rows, folds, rows, folds, 1.0).tolist() == [3, 2, 2, 6]
    assert training_lpd(rows, folds, 1.0, 6.0).tolist() == [1, 1, 2, 0], "6 is not below 6"


def test_threshold_is_the_whisker_or_the_largest():
    # Quartiles of 0 to 8 are 2 and 6: the whisker at 12 is beyond the largest.
    assert threshold(np.arange(9.0)) == 8
    # Of 0 to 8 and 100, type 7: 2.25 and 6.75.
    assert threshold(np.array([*range(9), 100.0])) == 6.75 + 1.5 * 4.5


def test_standard_deviation_has_n_less_one_below():
    mean, scale = standard(np.array([[1.0], [2], [6]]))
    assert (mean[0], scale[0]) == pytest.approx((3, np.sqrt(7)))


def test_a_constant_predictor_weighs_nothing_and_is_named(caplog):
    # The mean of three times 0.1 is not 0.1, nor its plain deviation zero.
    rows = np.array([[0.1, 1], [0.1, 2], [0.1, 4]])
    mean, scale = standard(rows)
    with caplog.at_level("INFO", "soil-moisture"):
        weight = weights_of(np.array([5.0, 2.0]), scale, ["clay", "LST"])
    assert weight.tolist() == [0, 2]
    assert "of weight 0: clay" in caplog.text and "LST" not in caplog.text
    assert np.isfinite(weighted(rows, mean, scale, weight)).all()


def test_harmful_predictors_weigh_nothing():
    assert weights_of(np.array([0.3, -0.1, 0.0]), np.ones(3), NAMES[:3]).tolist() == [0.3, 0, 0]


def test_without_any_importance_all_that_vary_weigh_the_same(caplog):
    scale = np.array([1.0, 0.0, 2.0])
    assert weights_of(np.array([-1.0, 3.0, 0.0]), scale, NAMES[:3]).tolist() == [1, 0, 1]
    assert "no predictor has an importance above 0" in caplog.text


def test_constant_predictors_alone_are_refused():
    with pytest.raises(UserError, match=r"found every one constant \(a, b\)"):
        weights_of(np.ones(2), np.zeros(2), ["a", "b"])


def test_incomplete_rows_are_dropped_and_counted(caplog):
    rows = np.array([[1, np.nan], [np.nan, 2], [3, 4], [np.inf, 1]])
    with caplog.at_level("INFO", "soil-moisture"):
        assert complete(rows, ["ET", "pre"]).tolist() == [False, False, True, False]
    assert "3 of 4 rows dropped: ET 2, pre 1 missing" in caplog.text


def test_a_predictor_without_values_is_refused_by_name():
    with pytest.raises(UserError, match=r"found none in pre in 2 rows\. Mend its raster"):
        complete(np.array([[1, np.nan], [2, np.nan]]), ["ET", "pre"])


def test_rows_that_are_never_complete_are_refused():
    with pytest.raises(UserError, match=r"all 2 predictors, found none in 2.*: ET 1, pre 1\."):
        complete(np.array([[1, np.nan], [np.nan, 1]]), ["ET", "pre"])
