"""Bars in worlds in which the place, or the month, is everything."""

import logging

import numpy as np
import pandas as pd
import pytest

from score_bars import look_up, main, white_noise

MONTHS = [f"{year}-{month}" for year in range(2012, 2018) for month in ("05", "06", "07")]
SEEN = ["train", "temporal", "random_cv"]
LEFT_OUT = ["leave_location_out", "leave_location_time_out", "knndm"]
COLUMNS = ["model", "protocol", "subset", "metric", "value", "n", "low", "high"]


def world(folder, place=0.0, month=0.0, stations=4, places=30):
    """Write samples whose spread is `place` between places and `month` between calendar months."""
    rng = np.random.default_rng(7)
    number = np.repeat(np.arange(places), len(MONTHS))
    months = np.tile(MONTHS, places)
    season = pd.Series(months).str[5:7].map({"05": -1.0, "06": 0.0, "07": 1.0}).to_numpy()
    noise = 0.001 * rng.normal(size=len(number))
    table = pd.DataFrame(
        {
            "sample": np.arange(len(number)) + 1000,
            "source": np.where(number < stations, "insitu", "smci"),
            "site": [f"s{n}" for n in number],
            "group": [f"g{n}" for n in number],
            "month": months,
            "target": 0.3 + place * rng.normal(size=places)[number] + month * season + noise,
            "predictor": 0.0,
        }
    )
    table.to_parquet(folder / "samples.parquet")
    folds = table[["sample"]].assign(
        split=np.where(table["month"] < "2016", "train", "test"),
        random_cv=rng.permutation(len(table)) % 5,
        leave_location_out=number % 5,
        knndm=number // max(1, places // 5),
    )
    folds.sample(frac=1, random_state=1).to_parquet(folder / "folds.parquet")
    options = {"n_estimators": 8, "max_depth": None, "max_features": 1.0, "min_samples_leaf": 1}
    pd.DataFrame([options | {"rank": 1}]).to_csv(folder / "search.csv", index=False)
    return table


def run(folder, products=(), baseline=(), bars="bars.csv", threads=1, bootstrap=20):
    main(
        samples=folder / "samples.parquet",
        folds=folder / "folds.parquet",
        search=folder / "search.csv",
        products=products,
        baseline=baseline,
        bars=folder / bars,
        bootstrap=bootstrap,
        seed=3,
        threads=threads,
    )
    return pd.read_csv(folder / bars)


def value(bars, model, subset="all", metric="R"):
    """Return {protocol: value} of a model."""
    part = bars.query("model == @model and subset == @subset and metric == @metric")
    return part.set_index("protocol")["value"].to_dict()


def test_where_the_place_is_everything_memory_is_enough_until_places_are_left_out(tmp_path):
    world(tmp_path, place=0.05)
    bars = run(tmp_path)
    assert set(bars["model"]) == {"look-up", "month only", "white noise"}
    for model in ("look-up", "white noise"):
        found = value(bars, model)
        assert all(found[protocol] > 0.99 for protocol in SEEN), (model, found)
    for model in ("month only", "white noise"):
        found = value(bars, model)
        assert all(found[protocol] < 0.45 for protocol in LEFT_OUT), (model, found)
        error = value(bars, model, metric="RMSE")
        assert all(error[protocol] > 0.03 for protocol in LEFT_OUT), (model, error)
    assert set(value(bars, "look-up")) == set(SEEN)
    assert set(value(bars, "month only")) == set(LEFT_OUT)


def test_where_the_month_is_everything_the_calendar_is_enough_everywhere(tmp_path):
    """White noise tells places apart and no months: it knows nothing here."""
    world(tmp_path, month=0.05)
    bars = run(tmp_path)
    for model, protocols in (("look-up", ("train", "temporal")), ("month only", LEFT_OUT)):
        found, error = value(bars, model), value(bars, model, metric="RMSE")
        assert all(found[protocol] > 0.999 for protocol in protocols)
        assert all(error[protocol] < 0.0015 for protocol in protocols)
    # random folds leave a place's months out unevenly, which its mean takes for wet or dry
    assert value(bars, "look-up")["random_cv"] > 0.95
    noise = value(bars, "white noise")
    assert all(abs(noise[protocol]) < 0.25 for protocol in ("temporal", *LEFT_OUT)), noise


def test_look_up_by_hand():
    learn = pd.DataFrame(
        [
            ("a", "2012-05", 0.1),
            ("a", "2013-05", 0.3),
            ("b", "2012-05-09", 0.4),
            ("b", "2012-06", 0.8),
        ],
        columns=["site", "month", "target"],
    )
    # all 0.4; a 0.2, b 0.6; May 0.8 / 3 - 0.4, June +0.4
    asked = [("a", "2016-06"), ("b", "2016-05-23"), ("c", "2016-06"), ("a", "2016-07")]
    judge = pd.DataFrame(asked, columns=["site", "month"], index=[7, 8, 9, 3])
    expected = [0.2 + 0.4, 0.6 + 0.8 / 3 - 0.4, 0.4 + 0.4, 0.2]
    np.testing.assert_allclose(look_up(learn, judge), expected)


def test_white_noise_is_one_normal_number_a_site_whatever_the_order():
    names = pd.Series([f"s{n:04d}" for n in range(2000)])
    drawn = white_noise(names, 1)[:, 0]
    assert abs(drawn.mean()) < 0.1 and drawn.std() == pytest.approx(1, abs=0.05)
    assert len(np.unique(drawn)) == 2000
    mixed = pd.concat([names[::-1], names])
    np.testing.assert_array_equal(white_noise(mixed, 1)[:, 0], [*drawn[::-1], *drawn])
    assert not np.array_equal(white_noise(names, 2)[:, 0], drawn)


def with_products(folder, table):
    """Write products: SMCI 0.1 too dry at stations, and the target itself on rows of smci."""
    dry = table["target"] - np.where(table["source"] == "insitu", 0.1, 0.0)
    products = table[["sample"]].assign(**{"SMCI, nearest": dry, "SMCI, bilinear": dry})
    products["SMC"] = table["target"] + 0.2
    products["ERA5-Land"] = table["target"].where(table["month"] != "2016-05") + 0.3
    products.sample(frac=1, random_state=2).to_parquet(folder / "products.parquet")
    return folder / "products.parquet"


def test_products_are_scored_on_the_rows_of_each_design_and_smci_never_on_itself(tmp_path, caplog):
    table = world(tmp_path, place=0.05)
    with caplog.at_level(logging.INFO):
        bars = run(tmp_path, products=with_products(tmp_path, table))
    assert list(bars) == COLUMNS
    for name in ("SMCI, nearest", "SMCI, bilinear"):
        part = bars[bars["model"] == name]
        assert set(part["subset"]) == {"insitu"}
        assert value(bars, name, "insitu", "bias") == pytest.approx(
            dict.fromkeys([*SEEN, *LEFT_OUT], -0.1)
        )
        n = part[part["metric"] == "R"].set_index("protocol")["n"]
        # 4 stations of 18 months, 12 of them before 2016
        assert n.to_dict() == {
            "train": 48,
            "temporal": 24,
            "random_cv": 72,
            "leave_location_out": 72,
            "leave_location_time_out": 24,
            "knndm": 24,
        }
    for subset in ("all", "insitu", "smci"):
        assert value(bars, "SMC", subset, "bias")["temporal"] == pytest.approx(0.2)
    n = bars[(bars["model"] == "ERA5-Land") & (bars["metric"] == "R")]
    n = n.set_index(["protocol", "subset"])["n"]
    assert n["temporal", "all"] == 30 * 5 and n["knndm", "smci"] == 26 * 5
    assert n["train", "all"] == 30 * 12
    assert "SMCI is scored at stations only" in caplog.text
    assert "ERA5-Land: 510 of 540 samples have a value" in caplog.text
    assert "SMC, temporal: R 1.000 RMSE 0.2000 n 180" in caplog.text


def test_samples_of_stations_alone_have_the_subset_all_as_the_forest_has(tmp_path):
    table = world(tmp_path, place=0.05, stations=30)
    bars = run(tmp_path, products=with_products(tmp_path, table))
    assert set(bars["subset"]) == {"all"}
    assert value(bars, "SMCI, nearest", metric="bias")["knndm"] == pytest.approx(-0.1)


def test_without_stations_smci_has_no_bar(tmp_path, caplog):
    table = world(tmp_path, place=0.05, stations=0)
    with caplog.at_level(logging.INFO):
        bars = run(tmp_path, products=with_products(tmp_path, table))
    assert not bars["model"].str.startswith("SMCI").any()
    assert {"SMC", "ERA5-Land", "look-up", "white noise"} <= set(bars["model"])
    assert "no samples of stations: no bar of SMCI" in caplog.text


def test_without_products_the_log_says_what_is_left(tmp_path, caplog):
    world(tmp_path, place=0.05)
    with caplog.at_level(logging.INFO):
        bars = run(tmp_path)
    assert set(bars["model"]) == {"look-up", "month only", "white noise"}
    said = "no products beside the samples: the bars are look-up and white noise alone"
    assert said in caplog.messages


def test_one_station_alone_has_scores_without_intervals(tmp_path):
    table = world(tmp_path, month=0.05, stations=1, places=1)
    bars = run(tmp_path, products=with_products(tmp_path, table))
    assert set(bars["protocol"]) == set(SEEN)
    assert value(bars, "SMCI, nearest", metric="bias")["temporal"] == pytest.approx(-0.1)
    assert value(bars, "look-up")["temporal"] > 0.99
    assert "R" in set(bars["metric"]) and np.isnan(value(bars, "white noise")["temporal"])
    assert bars[["low", "high"]].isna().all(axis=None)


def test_another_forest_is_a_bar_under_the_name_paper(tmp_path):
    """Its predictions are 0.02 too wet in years unseen, and it was not judged by other designs."""
    table = world(tmp_path, place=0.05)
    table = table[table["month"] > "2016"].assign(protocol="temporal")
    table.assign(prediction=table["target"] + 0.02).to_parquet(tmp_path / "predictions.parquet")
    bars = run(tmp_path, baseline=tmp_path / "predictions.parquet")
    paper = bars[bars["model"] == "paper"]
    assert set(paper["protocol"]) == {"temporal"}
    assert set(paper["subset"]) == {"all", "insitu", "smci"}
    assert value(bars, "paper", metric="RMSE")["temporal"] == pytest.approx(0.02)


def test_the_same_bytes_with_one_thread_and_two(tmp_path):
    world(tmp_path, place=0.05)
    run(tmp_path, bars="one.csv"), run(tmp_path, bars="two.csv", threads=2)
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "two.csv").read_bytes()


def test_the_log_says_how_far_the_fits_are(tmp_path, caplog):
    world(tmp_path, place=0.05)
    with caplog.at_level(logging.INFO):
        run(tmp_path)
    # train, temporal and five folds of each of the four other designs
    assert "white noise: 10 of 22 fits" in caplog.text
    assert "white noise, knndm: R" in caplog.text
