"""E5-E7, D4 and the Taylor identity of spec.md section 2."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from _metrics import METRICS, bias, r, r2, rmse, ubrmse

VALUES = st.lists(
    st.tuples(st.floats(0, 1, width=32), st.floats(0, 1, width=32)), min_size=3, max_size=50
)


def test_known_answers():
    truth, prediction = [0.1, 0.2, 0.3, 0.4], [0.1, 0.2, 0.3, 0.8]
    assert rmse(truth, prediction) == pytest.approx(0.2)
    assert bias(truth, prediction) == pytest.approx(0.1)
    assert ubrmse(truth, prediction) == pytest.approx(np.sqrt(0.04 - 0.01))
    assert r(truth, prediction) == pytest.approx(11 / np.sqrt(145))
    assert r2(truth, prediction) == pytest.approx(1 - 0.16 / 0.05)


def test_a_dry_prediction_has_negative_bias():
    assert bias([0.3, 0.3], [0.2, 0.25]) < 0


@given(VALUES)
def test_rmse_squared_is_bias_squared_plus_ubrmse_squared(pairs):
    truth, prediction = np.array(pairs).T
    total = bias(truth, prediction) ** 2 + ubrmse(truth, prediction) ** 2
    assert rmse(truth, prediction) ** 2 == pytest.approx(total, abs=1e-9)


@given(VALUES, st.floats(0.1, 10), st.floats(-5, 5))
def test_r_is_invariant_under_affine_maps(pairs, scale, shift):
    truth, prediction = np.array(pairs).T
    if min(np.ptp(truth), np.ptp(prediction)) > 1e-3:
        again = r(truth, scale * prediction + shift)
        assert again == pytest.approx(r(truth, prediction), abs=1e-6)
        assert r(truth, -prediction) == pytest.approx(-r(truth, prediction), abs=1e-9)


@given(VALUES)
def test_taylor_identity(pairs):
    truth, prediction = np.array(pairs).T
    if min(np.ptp(truth), np.ptp(prediction)) > 1e-3:
        s, f = truth.std(), prediction.std()
        expected = f**2 + s**2 - 2 * f * s * r(truth, prediction)
        assert ubrmse(truth, prediction) ** 2 == pytest.approx(expected, abs=1e-9)


def test_pairs_with_a_gap_are_dropped_pairwise():
    truth, prediction = [0.1, np.nan, 0.3, 0.5, 0.4], [0.2, 0.9, np.inf, 0.6, 0.1]
    for metric in METRICS.values():
        kept = metric([0.1, 0.5, 0.4], [0.2, 0.6, 0.1])
        assert metric(truth, prediction) == pytest.approx(kept)


def test_two_pairs_have_an_error_and_no_correlation():
    assert np.isnan(r([0.1, 0.5], [0.2, 0.3]))
    assert rmse([0.1, 0.5], [0.2, 0.3]) == pytest.approx(np.sqrt(0.025))


def test_what_cannot_be_computed_is_nan():
    for metric in METRICS.values():
        assert np.isnan(metric([], []))
    assert np.isnan(r([0.1, 0.2, 0.4], [0.3, 0.3, 0.3]))


def test_d4_follows_from_the_published_scores():
    assert np.sqrt(0.024**2 - 0.004**2) == pytest.approx(0.0237, abs=5e-5)
