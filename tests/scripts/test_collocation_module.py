"""Errors without a truth: known errors, pytesmo's estimates, and what breaks the assumptions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from _collocation import anomalies, three_cornered, triple_collocation

NAMES = ("insitu", "smc", "smci")


def triplets(n=20000, seed=3, scale=(1.0, 0.8, 1.2), error=(0.3, 0.4, 0.5), offset=(0, 0, 0)):
    """Return (n, 3): a normal truth in three scales with independent normal errors."""
    random = np.random.default_rng(seed)
    truth = random.standard_normal(n)
    return np.stack(
        [
            a + b * truth + e * random.standard_normal(n)
            for a, b, e in zip(offset, scale, error, strict=True)
        ],
        axis=1,
    )


def places(n=20000, number=100):
    return np.arange(n) % number


def of(table, quantity, column="value"):
    return table.loc[table["quantity"] == quantity, column].to_numpy()


def test_the_known_answer_of_a_normal_truth():
    # Errors of 0.3, 0.4 and 0.5 in scales of 1, 0.8 and 1.2: 0.3, 0.5 and 0.4167 in the first's.
    # What pytesmo 0.18.1 finds of them in these triplets.
    found = triple_collocation(triplets(), places(), NAMES, 0, 1)
    assert np.sqrt(of(found, "error_variance")) == pytest.approx([0.2991, 0.4994, 0.4116], abs=5e-5)
    assert of(found, "scale") == pytest.approx([1, 1 / 0.8, 1 / 1.2], rel=0.02)
    truth = 1 / (1 + np.array([0.3, 0.5, 0.5 / 1.2]) ** 2)
    assert of(found, "R2") == pytest.approx(truth, abs=0.01)


@pytest.mark.parametrize("seed", range(3))
def test_estimates_are_those_of_pytesmo(seed):
    reason = "requirements-check.txt is not installed"
    metrics = pytest.importorskip("pytesmo.metrics", reason=reason)
    values = triplets(500, seed, offset=(0.2, -3, 50))
    snr, error, scale = metrics.tcol_metrics(*values.T)
    found = triple_collocation(values, places(500), NAMES, 0, 1)
    assert np.sqrt(of(found, "error_variance")) == pytest.approx(error, rel=1e-9)
    assert of(found, "scale") == pytest.approx(scale, rel=1e-9)
    ratio = of(found, "R2") / (1 - of(found, "R2"))
    assert 10 * np.log10(ratio) == pytest.approx(snr, rel=1e-9)


def test_the_formulas_written_out():
    # Error variances from a matrix of covariances: C_xx - C_xy C_xz / C_yz, times scale squared.
    values = triplets(300, 5)
    c = np.cov(values.T)
    expected = [
        c[0, 0] - c[0, 1] * c[0, 2] / c[1, 2],
        (c[1, 1] - c[0, 1] * c[1, 2] / c[0, 2]) * (c[0, 2] / c[1, 2]) ** 2,
        (c[2, 2] - c[0, 2] * c[1, 2] / c[0, 1]) * (c[0, 1] / c[1, 2]) ** 2,
    ]
    found = triple_collocation(values, places(300), NAMES, 0, 1)
    assert of(found, "error_variance") == pytest.approx(expected, rel=1e-9)
    r2 = c[0, 1] * c[0, 2] / (c[0, 0] * c[1, 2])
    assert of(found, "R2")[0] == pytest.approx(r2, rel=1e-9)
    difference = [np.var(values[:, a] - values[:, b], ddof=1) for a, b in ((0, 1), (0, 2), (1, 2))]
    hat = three_cornered(values, places(300), NAMES, 0, 1)
    assert hat["value"].iloc[2] == pytest.approx(
        (difference[1] + difference[2] - difference[0]) / 2, rel=1e-9
    )


@given(
    st.tuples(*[st.floats(0.1, 10)] * 3),
    st.tuples(*[st.floats(-5, 5)] * 3),
)
@settings(max_examples=25, deadline=None)
def test_units_of_the_others_cancel_and_that_of_the_first_is_kept(factor, offset):
    values = triplets(400, 8)
    first = triple_collocation(values, places(400), NAMES, 0, 1)
    other = triple_collocation(values * factor + offset, places(400), NAMES, 0, 1)
    assert of(other, "R2") == pytest.approx(of(first, "R2"), rel=1e-6)
    assert of(other, "error_variance") == pytest.approx(
        factor[0] ** 2 * of(first, "error_variance"), rel=1e-6
    )


def test_the_hat_finds_errors_of_one_scale():
    values = triplets(scale=(1, 1, 1), offset=(0, 0.1, -0.2))
    found = three_cornered(values, places(), NAMES, 200, 1)
    assert np.sqrt(of(found, "error_variance")) == pytest.approx([0.3, 0.4, 0.5], abs=0.01)
    assert (found["low"] < found["value"]).all() and (found["value"] < found["high"]).all()
    assert set(found["quantity"]) == {"error_variance"} and (found["reason"] == "").all()


def test_shared_errors_make_a_variance_negative_and_it_is_said():
    random = np.random.default_rng(4)
    truth, shared = random.standard_normal((2, 2000))
    values = np.stack([truth + shared, truth + shared, truth + 0.1 * random.standard_normal(2000)])
    values[0] += 0.05 * random.standard_normal(2000)
    # The first two agree beyond the truth, so the third seems to bear all the error.
    found = three_cornered(values.T, places(2000), NAMES, 50, 1)
    assert found["value"].iloc[2] == pytest.approx(1.01, abs=0.1)
    assert found["value"].iloc[1] < 0.01
    values[1] = truth + 3 * shared
    found = three_cornered(values.T, places(2000), NAMES, 50, 1)
    assert found["value"].iloc[0] == pytest.approx((4 + 1.01 - 9) / 2, abs=0.3)
    assert found["reason"].tolist()[0].startswith("negative: errors that depend on each other")
    assert found["reason"].tolist()[1:] == ["", ""]
    assert found["high"].iloc[0] < 0
    tripled = triple_collocation(values.T, places(2000), NAMES, 50, 1)
    assert of(tripled, "error_variance") == pytest.approx(
        [2 - 4, 10 - 4, (1.01 - 1 / 4) * 4**2], rel=0.2
    )
    said = of(tripled, "error_variance", "reason")
    assert said[0].startswith("negative") and set(said[1:]) == {""}


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    # Every place has its own persistent error, so triplets of a place are not independent.
    hits = []
    for seed in range(60):
        random = np.random.default_rng(seed)
        group = np.repeat(np.arange(60), 20)
        truth = random.standard_normal(1200)
        own = 0.4 * random.standard_normal((60, 3))[group]
        values = truth[:, None] + own + 0.3 * random.standard_normal((1200, 3))
        found = three_cornered(values, group, NAMES, 300, 1)
        hits += ((found["low"] < 0.25) & (found["high"] > 0.25)).tolist()
    assert 0.87 <= np.mean(hits) <= 1
    rows = three_cornered(values, np.arange(1200), NAMES, 300, 1)
    assert (found["high"] - found["low"]).mean() > 1.5 * (rows["high"] - rows["low"]).mean()


def test_intervals_agree_with_a_bootstrap_written_out():
    values, group = triplets(600, 6), np.arange(600) % 30
    found = triple_collocation(values, group, NAMES, 4000, 1)
    random = np.random.default_rng(9)
    drawn = []
    for _ in range(2000):
        rows = np.concatenate([np.flatnonzero(group == g) for g in random.integers(0, 30, 30)])
        c = np.cov(values[rows].T)
        drawn.append(1 - c[0, 1] * c[0, 2] / c[1, 2] / c[0, 0])
    low, high = (1 - np.percentile(drawn, q) for q in (97.5, 2.5))
    row = found[(found["quantity"] == "R2") & (found["product"] == "insitu")].iloc[0]
    assert (row["low"], row["high"]) == pytest.approx((low, high), abs=0.006)
    again = triple_collocation(values, group, NAMES, 4000, 1)
    assert found.equals(again)


def test_too_few_triplets_and_no_common_signal_are_said_instead_of_scored():
    values = triplets(140)
    values[:41, 1] = np.nan
    found = triple_collocation(values, places(140, 10), NAMES, 50, 1)
    assert found[["value", "low", "high"]].isna().all(axis=None)
    assert set(found["reason"]) == {"99 triplets, of 100 needed"} and set(found["n"]) == {99}
    noise = triplets(500, scale=(1, -1, 1))
    found = triple_collocation(noise, places(500), NAMES, 50, 1)
    assert found["value"].isna().all()
    assert found["reason"].str.contains("not positive: no common signal").all()


def test_an_interval_is_withheld_where_draws_fail_or_there_is_one_place():
    one = triple_collocation(triplets(200), np.zeros(200), NAMES, 50, 1)
    assert one["value"].notna().all() and one["low"].isna().all()
    assert one["reason"].str.contains("fewer than two places").all()
    weak = triplets(200, 0, scale=(0.3, 0.3, 0.3), error=(1, 1, 1))
    found = triple_collocation(weak, places(200, 20), NAMES, 200, 1)
    assert found["value"].notna().all() and found["low"].isna().all()
    assert found["reason"].str.contains("of the draws have no common signal").all()


def test_anomalies_by_hand():
    values = np.array([[1.0, 10, 5], [3, 14, 5], [9, 9, 9], [2, 2, 2], [np.nan, 4, 4], [7, 8, 1]])
    group = np.array(["a", "a", "a", "b", "b", "b"])
    months = np.array(["06", "06", "07", "06", "06", "06"])
    rest, kept = anomalies(values, group, months)
    # a in June has two years, a in July one (left out), b in June two with all three products.
    assert kept.tolist() == ["a", "a", "b", "b"]
    half = np.array([[-1, -2, 0], [1, 2, 0], [-2.5, -3, 0.5], [2.5, 3, -0.5]])
    assert rest == pytest.approx(np.sqrt(2) * half)


def test_anomalies_keep_the_error_and_drop_what_places_and_seasons_share():
    random = np.random.default_rng(11)
    group, month = np.repeat(np.arange(80), 50), np.tile(np.repeat(np.arange(5), 10), 80)
    truth = random.standard_normal(4000)
    # Persistent differences, of opposite sign in two products, ruin the raw covariances.
    lasting = 2 * random.standard_normal((80, 5))[group, month]
    values = truth[:, None] + lasting[:, None] * [1, -0.3, 0.5]
    values = values + np.array([0.3, 0.4, 0.5]) * random.standard_normal((4000, 3))
    rest, kept = anomalies(values, group, month)
    found = triple_collocation(rest, kept, NAMES, 0, 1)
    assert np.sqrt(of(found, "error_variance")) == pytest.approx([0.3, 0.4, 0.5], abs=0.03)
    assert rest.var(axis=0, ddof=1) == pytest.approx(1 + np.array([0.09, 0.16, 0.25]), rel=0.05)
