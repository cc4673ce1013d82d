"""Range restoration: laws of the three curves."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from _correction import CURVES, IDENTITY, linear, none, quantile, restored

RNG = np.random.default_rng(1)
SIGNAL = RNG.normal(0.35, 0.05, 4000)
TARGET = SIGNAL + RNG.normal(0, 0.03, 4000)
SHRUNK = 0.35 + 0.6 * (SIGNAL - 0.35)  # what averaging leaves of the signal


def test_linear_undoes_a_known_shrinkage():
    x, y, slopes = linear(SHRUNK, TARGET)
    assert slopes == [pytest.approx(1 / 0.6, rel=0.03)] * 2
    found = restored(SHRUNK, (x, y, slopes))
    assert found == pytest.approx(SIGNAL, abs=0.006)


def test_linear_does_not_raise_the_error_where_it_was_fitted():
    for shrink in (0.2, 1.0, 1.7):
        prediction = 0.3 + shrink * (SIGNAL - 0.35)
        before = np.mean((prediction - TARGET) ** 2)
        after = np.mean((restored(prediction, linear(prediction, TARGET)) - TARGET) ** 2)
        assert after <= before


def test_quantile_gives_the_targets_distribution():
    found = restored(SHRUNK, quantile(SHRUNK, TARGET))
    shares = [0.05, 0.25, 0.5, 0.75, 0.95]
    np.testing.assert_allclose(np.quantile(found, shares), np.quantile(TARGET, shares), atol=0.002)
    assert found.std() == pytest.approx(TARGET.std(), rel=0.05)


@given(st.lists(st.floats(-1, 2), min_size=2, max_size=20), st.sampled_from(list(CURVES)))
def test_every_curve_is_monotone_and_keeps_gaps(values, name):
    found = restored(np.sort(values), CURVES[name](SHRUNK, TARGET))
    assert (np.diff(found) >= -1e-12).all()
    assert np.isnan(restored(np.array([np.nan]), CURVES[name](SHRUNK, TARGET))).all()


def test_none_changes_nothing():
    values = np.array([-1.0, 0.0, 0.123, 1.0, 7.0])
    np.testing.assert_array_equal(restored(values, none(SHRUNK, TARGET)), values)


@pytest.mark.parametrize("fit", [linear, quantile])
def test_constant_predictions_stay_as_they_are(fit):
    assert fit(np.full(50, 0.3), TARGET[:50]) == IDENTITY


def test_predictions_that_differ_by_rounding_are_constant():
    """What a forest says of a target that never changes: sums of 0.3 in two orders."""
    assert linear(np.array([0.1 + 0.2, 0.3] * 25), TARGET[:50]) == IDENTITY


def test_predictions_that_know_nothing_are_not_turned_round():
    assert linear(np.array([0.1, 0.2, 0.3]), np.array([0.3, 0.2, 0.1])) == IDENTITY
