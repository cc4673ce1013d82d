"""Scores from sums over places, and their intervals, against the definitions written out."""

import warnings

import numpy as np
import pandas as pd
import pytest

from _metrics import METRICS
from _scores import PROTOCOLS, intervals, score, scores_of, sums


def table(n_places=12, per_place=20, seed=0):
    rng = np.random.default_rng(seed)
    group = np.repeat([f"g{i}" for i in range(n_places)], per_place)
    target = 0.3 + 0.05 * rng.normal(size=len(group))
    prediction = 0.5 * target + 0.16 + 0.02 * np.repeat(rng.normal(size=n_places), per_place)
    return pd.DataFrame(
        {
            "protocol": "temporal",
            "source": np.where(np.arange(len(group)) < 40, "insitu", "smci"),
            "group": group,
            "target": target,
            "prediction": prediction,
        }
    )


def scored(predictions, resamples=10):
    return score(predictions, METRICS, resamples, 1)


def test_scores_from_sums_equal_the_definitions():
    part = table()
    t, p = part["target"].to_numpy(), part["prediction"].to_numpy()
    found = scores_of(sums(t, p, part["group"].to_numpy()).sum(axis=0))
    assert found["R"] == pytest.approx(np.corrcoef(t, p)[0, 1], abs=1e-9)
    assert found["RMSE"] == pytest.approx(np.sqrt(((p - t) ** 2).mean()), abs=1e-9)
    assert found["bias"] == pytest.approx((p - t).mean(), abs=1e-12)
    assert found["ubRMSE"] == pytest.approx(np.std(p - t), abs=1e-7)
    assert found["R2"] == pytest.approx(1 - ((p - t) ** 2).mean() / t.var(), abs=1e-7)


def test_intervals_agree_with_a_bootstrap_written_out():
    part = table()
    t, p, g = (part[c].to_numpy() for c in ("target", "prediction", "group"))
    low, high = intervals(t, p, g, 4000, 1)["bias"]
    rng = np.random.default_rng(2)
    names = np.unique(g)
    drawn = []
    for _ in range(2000):
        rows = np.concatenate([np.flatnonzero(g == n) for n in rng.choice(names, len(names))])
        drawn.append((p[rows] - t[rows]).mean())
    assert (low, high) == pytest.approx(tuple(np.percentile(drawn, [2.5, 97.5])), abs=1e-3)


def test_intervals_over_places_are_wider_than_over_rows():
    part = table()
    t, p, g = (part[c].to_numpy() for c in ("target", "prediction", "group"))
    places, rows = (
        intervals(t, p, group, 1000, 1)["bias"] for group in (g, np.arange(len(g)).astype(str))
    )
    assert places[1] - places[0] > 2 * (rows[1] - rows[0])


def test_one_place_or_no_resamples_gives_no_interval_instead_of_a_false_one():
    t = np.array([0.1, 0.2, 0.3])
    assert np.isnan(intervals(t, t, np.array(["a"] * 3), 100, 1)["R"]).all()
    assert np.isnan(intervals(t, t, np.array(["a", "b", "c"]), 0, 1)["R"]).all()


def test_rounding_errors_of_constant_values_are_no_correlation():
    """A model with one value a place: the draws of one place alone have no R, and no warning."""
    t = np.array([0.31, 0.33, 0.35, 0.41, 0.43, 0.45])
    p = np.repeat([0.3, 0.4], 3)
    group = np.repeat(["a", "b"], 3)
    alone = scores_of(sums(t - t.mean(), p - t.mean(), group))
    assert np.isnan(alone["R"]).all() and np.isfinite(alone["RMSE"]).all()
    expected = np.corrcoef(t, p)[0, 1]  # the only draw with both places
    assert intervals(t, p, group, 200, 1)["R"] == pytest.approx((expected, expected), abs=1e-12)


def test_a_constant_model_has_rmse_with_interval_and_no_r():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = scored(table().assign(prediction=0.3, source="insitu")).set_index("metric")
    assert found.loc["R", ["value", "low", "high"]].isna().all()
    assert found.loc["RMSE", "low"] < found.loc["RMSE", "value"] < found.loc["RMSE", "high"]


def test_sources_are_scored_apart_and_a_single_source_only_once():
    both = scored(table())
    assert set(both["subset"]) == {"all", "insitu", "smci"}
    one = scored(table().assign(source="insitu"))
    assert set(one["subset"]) == {"all"}
    n = both.drop_duplicates(["subset"]).set_index("subset")["n"]
    assert n["all"] == n["insitu"] + n["smci"] == 240


def test_rows_without_a_prediction_are_not_counted():
    part = table()
    part.loc[part.index[:30], "prediction"] = np.nan  # 30 of the 40 rows of stations
    found = scored(part).set_index(["subset", "metric"])
    assert found["n"].xs("RMSE", level="metric").to_dict() == {
        "all": 210,
        "insitu": 10,
        "smci": 200,
    }
    kept = part.dropna()
    expected = np.sqrt(((kept["prediction"] - kept["target"]) ** 2).mean())
    assert found.loc[("all", "RMSE"), "value"] == pytest.approx(expected)
    nothing = scored(table().assign(prediction=np.nan))
    assert nothing.empty and list(nothing) == list(found.reset_index()[list(nothing)])


def test_every_design_is_scored_in_one_order_and_others_are_not():
    parts = [table().assign(protocol=name) for name in (*reversed(PROTOCOLS), "another")]
    found = scored(pd.concat(parts))
    assert list(dict.fromkeys(found["protocol"])) == list(PROTOCOLS)
    assert "knndm" in PROTOCOLS
