"""The error against the truth: a world in which it is known, and what is said without stations."""

import json

import numpy as np
import pandas as pd
import pytest

from _correction import IDENTITY
from estimate_error import budget, estimated, main, moments, share

POINT = 0.045  # error of one station


def world(stations=6000, cells=3000, forest=0.04, product=0.03, shared=0.01, seed=1):
    """Return left-out places and stations of a world with known errors (SD, m3/m3)."""
    rng = np.random.default_rng(seed)

    def table(n, prefix):
        truth = rng.normal(0.38, 0.07, n)
        both = rng.normal(0, shared, n)
        return pd.DataFrame(
            {
                "site": [f"{prefix}{k}" for k in range(n)],
                "truth": truth,
                "forest": truth + both + rng.normal(0, forest, n),
                "product": truth + both + rng.normal(0, product, n),
            }
        )

    left_out, at = table(cells, "c"), table(stations, "s")
    at["target"] = at["truth"] + rng.normal(0, POINT, stations)
    return left_out.assign(target=left_out["product"]), at


@pytest.mark.parametrize("conserve", [0.0, 0.5, 1.0])
def test_the_error_of_the_map_is_found_though_the_truth_is_not_seen(conserve):
    left_out, at = world()
    table, _, added = estimated(left_out, at, conserve, POINT, 100, 1)
    value = table.set_index("quantity")["value"]["map from true soil moisture at 250 m"]
    maps = (1 - conserve) * at["forest"] + conserve * at["product"]
    true = np.sqrt(np.mean((maps - at["truth"]) ** 2))
    assert value == pytest.approx(true, rel=0.12)
    own = (1 - conserve) * np.sqrt(0.04**2 + 0.03**2)
    assert np.hypot(own, added) >= 0.98 * value, "intervals never leave a part of the error out"


def test_the_interval_holds_the_true_error_and_narrows_with_more_stations():
    widths = []
    for stations in (60, 1000):
        left_out, at = world(stations)
        table, _, _ = estimated(left_out, at, 0.5, POINT, 400, 1)
        row = table.set_index("quantity").loc["map from true soil moisture at 250 m"]
        assert row["low"] < np.sqrt(0.02**2 + 0.015**2 + 0.01**2) < row["high"]
        widths.append(row["high"] - row["low"])
    assert widths[1] < 0.5 * widths[0]


def test_auto_gives_the_better_product_more_weight_and_leans_on_half_with_few_stations():
    found = {}
    for stations, product in ((1000, 0.02), (1000, 0.06), (6, 0.06)):
        left_out, at = world(stations, forest=0.04, product=product, shared=0)
        _, found[stations, product], _ = estimated(left_out, at, "auto", POINT, 200, 1)
    # var(forest) over the sum: 0.8 for the good product, 0.31 for the bad one.
    assert found[1000, 0.02] == pytest.approx(0.8, abs=0.12)
    assert found[1000, 0.06] == pytest.approx(0.31, abs=0.12)
    assert abs(found[6, 0.06] - 0.5) < 0.3


def test_share_by_hand():
    at = np.tile([0, 0.0009, 0], (3, 1))
    assert share(0.0025, at, at) == pytest.approx(0.36, abs=1e-3), "stations that agree are sure"
    unsure = np.array([[0, -1e-2, 0], [0, 1e-2, 0]])
    assert share(0.0025, at, unsure) == pytest.approx(0.5, abs=0.01)


def test_each_station_counts_once():
    table = pd.DataFrame(
        {
            "site": ["a", "a", "a", "b"],
            "target": [0.3, 0.3, 0.3, 0.3],
            "forest": [0.4, 0.4, 0.4, 0.3],
            "product": [0.3, 0.3, 0.3, 0.5],
        }
    )
    np.testing.assert_allclose(moments(table).mean(axis=0), [0.04 / 2, 0.2 * 0.2 / 2, 0.01 / 2])


def test_budget_by_hand():
    found = budget(0.0014, 0.0016, 0.25, 0.5)
    assert found["product"] == pytest.approx(0.0014)
    assert found["added"] == pytest.approx(0.0014 - 0.0004)
    assert found["map"] == pytest.approx(0.0004 + 0.0010)


def run(folder, left_out, at, **changes):
    keep = ["source", "site", "target", "forest", "protocol"]
    rows = pd.concat(
        [left_out.assign(source="smci"), at.assign(source="insitu")], ignore_index=True
    )
    rows = rows.assign(protocol="leave_location_out")[keep].rename(columns={"forest": "prediction"})
    rows = rows.assign(sample=np.arange(len(rows)))
    rows.to_parquet(folder / "predictions.parquet")
    beside = pd.concat([left_out["product"] * np.nan, at["product"]])
    pd.DataFrame({"sample": rows["sample"].to_numpy(), "P": beside.to_numpy()}).to_parquet(
        folder / "products.parquet"
    )
    pd.DataFrame({"shift": [0.5, 0.01], "applied": [False, True]}).to_csv(folder / "intervals.csv")
    given = dict(
        predictions=folder / "predictions.parquet",
        products=folder / "products.parquet",
        intervals=folder / "intervals.csv",
        errors=folder / "errors.csv",
        correction=folder / "correction.json",
        extremes="none",
        conserve=0.5,
        product="P",
        station_error=POINT,
        level=0.9,
        bootstrap=50,
        seed=1,
    )
    main(**(given | changes))
    return pd.read_csv(folder / "errors.csv"), json.loads((folder / "correction.json").read_text())


def test_the_file_for_the_maps(tmp_path):
    table, steps = run(tmp_path, *world())
    assert list(table) == ["quantity", "value", "low", "high", "n"]
    assert steps["curve"] == [list(part) for part in IDENTITY]
    assert steps["conserve"] == 0.5 and steps["shift"] == 0.01
    assert steps["z"] == pytest.approx(1.6449, abs=1e-4)
    assert 0.01 < run(tmp_path, *world(), conserve=1.0)[1]["added_error"] < 0.04


def test_without_products_nothing_is_conserved_and_nothing_added(tmp_path, caplog):
    with caplog.at_level("WARNING", "soil-moisture"):
        table, steps = run(tmp_path, *world(), products=[])
    assert steps["conserve"] == 0 and steps["added_error"] == 0
    assert table["quantity"].tolist() == ["forest from target, places left out"]
    assert "0 stations have the product beside them, 5 are needed" in caplog.text


def test_a_study_of_stations_alone_scores_them(tmp_path):
    left_out, at = world()
    table, steps = run(tmp_path, left_out.iloc[:0], at, products=[])
    value = table.set_index("quantity")["value"]
    off = np.sqrt(np.mean((at["forest"] - at["target"]) ** 2))
    assert value["forest from station, left out"] == pytest.approx(off)
    # The stations' own error is known here, and the truth is.
    true = np.sqrt(np.mean((at["forest"] - at["truth"]) ** 2))
    assert value["map from true soil moisture at 250 m"] == pytest.approx(true, rel=0.03)
    assert steps["conserve"] == 0 and steps["added_error"] == 0


def test_four_stations_alone_state_no_error_of_the_map(tmp_path, caplog):
    left_out, at = world(stations=4)
    with caplog.at_level("WARNING", "soil-moisture"):
        table, _ = run(tmp_path, left_out.iloc[:0], at, products=[])
    assert table["quantity"].tolist() == ["forest from station, left out"]
    assert "4 stations, 5 are needed: the maps' error is not stated" in caplog.messages


def test_a_study_of_cells_alone_is_judged_as_a_map_of_the_target(tmp_path, caplog):
    left_out, at = world(stations=8, cells=30)
    with caplog.at_level("WARNING", "soil-moisture"):
        table, steps = run(tmp_path, left_out, at.iloc[:0], conserve="auto")
    assert table["quantity"].tolist() == ["forest from target, places left out"]
    assert steps["conserve"] == 0.5 and steps["added_error"] == 0
    assert any(line.startswith("0 stations have the product beside") for line in caplog.messages)


def test_one_place_of_the_target_has_an_error_and_no_interval(tmp_path, caplog):
    left_out, at = world(stations=3, cells=30)
    with caplog.at_level("WARNING", "soil-moisture"):
        table, _ = run(tmp_path, left_out.assign(site="c0"), at)
    assert table["n"].tolist() == [1] and table["value"].iloc[0] > 0
    assert table[["low", "high"]].isna().all(axis=None)
    assert "forest from target, places left out: one place, so no interval" in caplog.messages


def test_a_variance_below_zero_is_said_and_counts_as_nothing(tmp_path, caplog):
    with caplog.at_level("WARNING", "soil-moisture"):
        _, steps = run(tmp_path, *world(), station_error=0.2)
    assert steps["added_error"] == 0
    assert "is below 0 and counts as 0" in caplog.text


def test_the_same_bytes_twice(tmp_path):
    run(tmp_path, *world())
    first = (tmp_path / "errors.csv").read_bytes()
    run(tmp_path, *world())
    assert (tmp_path / "errors.csv").read_bytes() == first
