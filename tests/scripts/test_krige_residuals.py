"""The mean residual of a place, and whether its neighbours can tell it."""

import json
import logging

import numpy as np
import pandas as pd
import pytest

import krige_residuals
from _correction import IDENTITY
from _kriging import Variogram, distances, dual, estimate
from _log import UserError
from krige_residuals import judged, main, mean_residuals, summary, thinned


def places(n=150, seed=0, share=0.9):
    """Return places whose residuals are a field of 30 km range, `share` of their variance."""
    random = np.random.default_rng(seed)
    xy = random.uniform(0, 1e5, (n, 2))
    shape = share * np.exp(-3 * distances(xy, xy) / 3e4) + (1 - share) * np.eye(n)
    residual = 0.03 * np.linalg.cholesky(shape + 1e-12 * np.eye(n)) @ random.normal(size=n)
    return pd.DataFrame(
        {"place": np.arange(n), "x": xy[:, 0], "y": xy[:, 1], "n": 5, "residual": residual}
    )


def predictions(table, months=4, **columns):
    """Return rows of leave_location_out whose mean residuals are those of `table`."""
    random = np.random.default_rng(2)
    rows = table.loc[np.repeat(table.index, months)].reset_index(drop=True)
    noise = random.normal(0, 0.02, (len(table), months))
    noise -= noise.mean(axis=1, keepdims=True)
    target = random.uniform(0.1, 0.5, len(rows))
    return pd.DataFrame(
        {
            "protocol": "leave_location_out",
            "source": "smci",
            "group": rows["place"],
            "x": rows["x"],
            "y": rows["y"],
            "target": target,
            "prediction": target - rows["residual"] - noise.ravel(),
        }
    ).assign(**columns)


def run(folder, table, sources=("smci",), curve=IDENTITY):
    table.to_parquet(folder / "predictions.parquet")
    (folder / "correction.json").write_text(json.dumps({"curve": curve}))
    names = ("predictions.parquet", "correction.json", "residuals.csv", "residuals.json")
    main(*(str(folder / name) for name in names), list(sources))
    return pd.read_csv(folder / "residuals.csv"), json.loads(
        (folder / "residuals.json").read_text()
    )


def test_the_mean_residual_by_hand():
    rows = pd.DataFrame(
        {
            "group": [7, 3, 7],
            "x": [10.0, 5.0, 20.0],
            "y": [1.0, 2.0, 3.0],
            "target": [0.30, 0.20, 0.40],
            "prediction": [0.25, 0.30, 0.43],
        }
    )
    found = mean_residuals(rows)
    assert list(found) == ["place", "x", "y", "n", "residual"]
    assert found["place"].tolist() == [3, 7] and found["n"].tolist() == [1, 2]
    assert found["residual"].tolist() == pytest.approx([-0.10, 0.01])
    assert found[["x", "y"]].to_numpy().tolist() == [[5, 2], [15, 2]]


def test_the_judgement_by_hand():
    # Without each, the mean of the others is 2.5, 2, 1.5: errors -1.5, 0, 1.5.
    found = judged(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 2.0]))
    assert found["rmse_mean"] == pytest.approx(np.sqrt(4.5 / 3))
    assert found["rmse_kriging"] == pytest.approx(np.sqrt(1 / 3))
    assert found["sd"] == pytest.approx(1)
    # The squared error falls by 2.25, 0 and 1.25.
    fall = np.array([2.25, 0, 1.25])
    assert found["gain"] == pytest.approx(fall.mean() / (fall.std(ddof=1) / np.sqrt(3)))
    assert found["use"] is True
    assert judged(np.array([1.0, 2.0, 3.0]), np.array([3.0, 2.0, 1.0]))["use"] is False
    assert judged(np.zeros(5), np.zeros(5))["use"] is False


def test_residuals_that_neighbours_share_are_used_and_come_back(tmp_path):
    truth = places()
    table, found = run(tmp_path, predictions(truth))
    assert list(table) == ["place", "x", "y", "n", "residual"]
    assert table["residual"].to_numpy() == pytest.approx(truth["residual"].to_numpy(), rel=1e-6)
    assert found["use"] and found["reason"] == ""
    assert found["rmse_kriging"] < 0.8 * found["rmse_mean"]
    # What the maps do with the two files: without nugget the places keep their residual.
    curve = Variogram(*(found[name] for name in ("model", "nugget", "psill", "range")))
    xy = table[["x", "y"]].to_numpy()
    kriged = estimate(xy, xy, dual(xy, table[["residual"]].to_numpy(), curve), curve)
    assert kriged[:, 0] == pytest.approx(table["residual"].to_numpy(), abs=1e-6)


def test_the_error_without_a_place_is_that_of_kriging_without_it():
    table = places(60)
    found = summary(table)
    curve = Variogram(*(found[name] for name in ("model", "nugget", "psill", "range")))
    xy, residual = table[["x", "y"]].to_numpy(), table[["residual"]].to_numpy()
    errors = []
    for left in range(60):
        others = np.arange(60) != left
        weights = dual(xy[others], residual[others], curve)
        errors.append((estimate(xy[[left]], xy[others], weights, curve) - residual[left]).item())
    assert found["rmse_kriging"] == pytest.approx(np.sqrt(np.mean(np.square(errors))), rel=1e-9)


def test_noise_is_seldom_taken_for_a_pattern(tmp_path, caplog):
    used = [summary(places(100, seed, share=0.0))["use"] for seed in range(30)]
    assert sum(used) <= 6
    with caplog.at_level(logging.WARNING):
        _, found = run(tmp_path, predictions(places(100, used.index(False), share=0.0)))
    assert found["use"] is False
    assert "not kriged onto the maps: kriging does not clearly beat the mean" in caplog.text


def test_only_places_never_seen_and_only_the_sources_asked_for_enter(tmp_path):
    truth = places(40)
    rows = predictions(truth)
    other = predictions(truth.assign(residual=9.0), protocol="temporal")
    sites = predictions(truth.assign(residual=0.2, place=truth["place"] + 1000), source="insitu")
    table, _ = run(tmp_path, pd.concat([rows, other, sites], ignore_index=True))
    assert table["residual"].to_numpy() == pytest.approx(truth["residual"].to_numpy(), rel=1e-6)
    with pytest.raises(UserError, match=r"rows of leave_location_out from table, found none \(it"):
        run(tmp_path, rows, ["table"])


def test_few_places_are_not_kriged(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        table, found = run(tmp_path, predictions(places(19)))
    assert len(table) == 19
    assert found == {"places": 19, "use": False, "reason": "19 places, of 20 needed"}
    assert "not kriged onto the maps: 19 places, of 20 needed" in caplog.text


def test_two_places_at_one_point_are_not_kriged_and_are_named(tmp_path, caplog):
    table = places(30)
    table.loc[7, ["x", "y"]] = table.loc[3, ["x", "y"]]
    with caplog.at_level(logging.WARNING):
        _, found = run(tmp_path, predictions(table))
    reason = "3 and 7 lie at one point, kriging cannot tell them apart"
    assert found == {"places": 30, "use": False, "reason": reason}
    assert f"The residuals are not kriged onto the maps: {reason}" in caplog.messages
    _, found = run(tmp_path, predictions(table.assign(x=5.0, y=5.0)))
    assert found["reason"].startswith("0 and 1 lie at one point")


def test_more_places_than_can_be_solved_are_thinned_evenly(tmp_path, monkeypatch, caplog):
    assert thinned(places(10), 4)["place"].tolist() == [0, 3, 6, 9]
    monkeypatch.setattr(krige_residuals, "MOST", 50)
    with caplog.at_level(logging.INFO):
        table, found = run(tmp_path, predictions(places(120)))
    assert len(table) == found["places"] == 50
    assert "Of 120 places 50 are used" in caplog.text


def test_the_order_of_the_rows_does_not_matter(tmp_path):
    rows = predictions(places(50))
    run(tmp_path, rows)
    first = (tmp_path / "residuals.csv").read_bytes()
    run(tmp_path, rows.iloc[::-1])
    assert (tmp_path / "residuals.csv").read_bytes() == first


def test_residuals_are_those_of_the_restored_range(tmp_path):
    """A forest whose range is half the target's leaves no residual once the range is restored."""
    table = predictions(places(40))
    table["prediction"] = 0.3 + 0.5 * (table["target"] - 0.3)
    found, _ = run(tmp_path, table, curve=[[0.0, 1.0], [-0.3, 1.7], [2.0, 2.0]])
    assert np.abs(found["residual"]).max() < 1e-12
