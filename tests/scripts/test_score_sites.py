"""The scores of single stations against a table made by hand."""

import logging

import numpy as np
import pandas as pd
import pytest

from _log import UserError
from score_sites import NINE, chosen, headline, main, mean_of, scores

# Three training months and two test months of site A; B has one month of each.
TARGET = {"A": [0.20, 0.30, 0.40, 0.25, 0.35], "B": [0.50, 0.60]}
TESTED = {"A": [0, 0, 0, 1, 1], "B": [0, 1]}
COLUMNS = ["site", "way", "model", "metric", "value", "n"]


def study(folder, target=TARGET, tested=TESTED, seen=0.01, unseen=0.05, smci=-0.10):
    """Write predictions that are the target plus a constant for each way, and products."""
    sites = pd.DataFrame(
        [(s, t, k) for s in target for t, k in zip(target[s], tested[s], strict=True)],
        columns=["site", "target", "tested"],
    )
    sites = sites.assign(sample=range(100, 100 + len(sites)), source="insitu")
    out = sites.assign(protocol="leave_location_out", prediction=sites["target"] + unseen)
    seen_rows = sites.assign(prediction=sites["target"] + seen)
    train = seen_rows[sites["tested"] == 0].assign(protocol="train")
    test = seen_rows[sites["tested"] == 1].assign(protocol="temporal")
    other = [
        sites.assign(protocol="random_cv", prediction=9.0),
        out.assign(source="smci", site="33N100E", sample=sites["sample"] + 50),
    ]
    table = pd.concat([out, test, train, *other])
    table = table.sample(frac=1, random_state=1, ignore_index=True)
    table.to_parquet(folder / "predictions.parquet")
    products = sites[["sample"]].assign(**{"SMCI, nearest": sites["target"] + smci})
    products["ERA5-Land"] = 0.3
    products.to_parquet(folder / "products.parquet")
    return folder


def run(folder, products=True, sites=(), months=2):
    main(
        predictions=folder / "predictions.parquet",
        products=folder / "products.parquet" if products else [],
        scores_file=folder / "sites.csv",
        sites=list(sites),
        months=months,
    )
    return pd.read_csv(folder / "sites.csv")


def at(table, site, way, model):
    part = table[(table["site"] == site) & (table["way"] == way) & (table["model"] == model)]
    return part.set_index("metric")


def test_each_way_has_its_own_rows_and_predictions(tmp_path):
    found = run(study(tmp_path))
    assert list(found) == COLUMNS
    for way, error, n in (
        ("all years", 0.01, 5),
        ("test years", 0.01, 2),
        ("left out, all years", 0.05, 5),
        ("left out, test years", 0.05, 2),
    ):
        part = at(found, "A", way, "forest")
        assert set(part["n"]) == {n}
        assert part["value"][["RMSE", "bias"]].tolist() == pytest.approx([error, error])
        assert part["value"]["ubRMSE"] == pytest.approx(0, abs=1e-12)
        smci = at(found, "A", way, "SMCI, nearest")
        assert set(smci["n"]) == {n} and smci["value"]["bias"] == pytest.approx(-0.10)
    assert "33N100E" not in set(found["site"])


def test_metrics_of_one_site_by_hand():
    """Deviations -1, 0, 1 and -1, 1, 0 in hundredths: R = 1/2, both SDs sqrt(2/3) of one."""
    found = scores(np.array([0.29, 0.30, 0.31]), np.array([0.19, 0.21, 0.20]))
    assert found["R"] == pytest.approx(0.5)
    assert (found["SD"], found["SD target"]) == pytest.approx((0.01 * np.sqrt(2 / 3),) * 2)
    assert found["bias"] == pytest.approx(-0.1)
    # errors -10, -9, -11 hundredths
    assert found["RMSE"] == pytest.approx(np.sqrt((100 + 81 + 121) / 3) / 100)
    assert found["ubRMSE"] == pytest.approx(np.sqrt(2 / 3) / 100)
    taylor = found["SD"] ** 2 + found["SD target"] ** 2
    taylor -= 2 * found["R"] * found["SD"] * found["SD target"]
    assert found["ubRMSE"] ** 2 == pytest.approx(taylor)


def test_models_are_judged_on_the_rows_that_all_have(tmp_path):
    """SMCI lacks the first month of A, which is far off; ERA5-Land has no value at A."""
    study(tmp_path)
    products = pd.read_parquet(tmp_path / "products.parquet")
    products.loc[0, "SMCI, nearest"] = np.nan
    products.loc[:4, "ERA5-Land"] = np.nan
    products.to_parquet(tmp_path / "products.parquet")
    predictions = pd.read_parquet(tmp_path / "predictions.parquet")
    predictions.loc[predictions["sample"] == 100, "prediction"] = 99.0
    predictions.to_parquet(tmp_path / "predictions.parquet")
    found = run(tmp_path)
    forest = at(found, "A", "all years", "forest")
    assert set(forest["n"]) == {4} and forest["value"]["RMSE"] == pytest.approx(0.01)
    assert at(found, "A", "all years", "ERA5-Land").empty
    assert set(at(found, "B", "all years", "ERA5-Land")["n"]) == {2}


def test_the_mean_is_over_sites_with_enough_months(tmp_path):
    """B has two months: in the mean of all years with months 2, not with 3, nor in test years."""
    study(tmp_path, {"A": TARGET["A"], "B": TARGET["B"]}, smci=0)
    predictions = pd.read_parquet(tmp_path / "predictions.parquet")
    predictions.loc[predictions["site"] == "B", "prediction"] += 0.02
    predictions.to_parquet(tmp_path / "predictions.parquet")
    mean = at(run(tmp_path), "mean of sites", "all years", "forest")
    assert mean.loc["bias", ["value", "n"]].tolist() == pytest.approx([(0.01 + 0.03) / 2, 2])
    mean = at(run(tmp_path, months=3), "mean of sites", "all years", "forest")
    assert mean.loc["bias", ["value", "n"]].tolist() == pytest.approx([0.01, 1])
    mean = at(run(tmp_path), "mean of sites", "test years", "forest")
    assert mean.loc["bias", ["value", "n"]].tolist() == pytest.approx([0.01, 1])
    mean = at(run(tmp_path, sites=["B"]), "mean of sites", "all years", "forest")
    assert mean.loc["bias", ["value", "n"]].tolist() == pytest.approx([0.03, 1])


def test_a_site_of_constant_values_has_no_r_and_leaves_the_mean_of_r_alone(tmp_path):
    study(tmp_path, {"A": TARGET["A"], "B": [0.5, 0.5]})
    found = run(tmp_path)
    flat = at(found, "B", "all years", "forest")
    assert np.isnan(flat["value"]["R"]) and flat["value"]["SD target"] == 0
    assert flat["value"]["RMSE"] == pytest.approx(0.01)
    mean = at(found, "mean of sites", "all years", "forest")
    assert mean.loc["R", ["value", "n"]].tolist() == pytest.approx([1, 1])
    assert mean.loc["RMSE", "n"] == 2


def test_the_log_says_what_leaving_out_costs_and_what_smci_scores(tmp_path, caplog):
    """Left out, the forest has the target upside down: R -1. SMCI: R 1, RMSE 0.1."""
    study(tmp_path, {"A": TARGET["A"]}, {"A": TESTED["A"]})
    predictions = pd.read_parquet(tmp_path / "predictions.parquet")
    out = predictions["protocol"] == "leave_location_out"
    predictions.loc[out, "prediction"] = 0.6 - predictions["target"]
    predictions.to_parquet(tmp_path / "predictions.parquet")
    with caplog.at_level(logging.INFO):
        run(tmp_path)
    assert "mean of sites: R 1.00 -> -1.00 when left out; SMCI 1.00" in caplog.text
    # errors 0.6 - 2t of t = 0.2, 0.3, 0.4, 0.25, 0.35: 0.2, 0, -0.2, 0.1, -0.1
    assert "mean of sites: RMSE 0.0100 -> 0.1414 when left out; SMCI 0.1000" in caplog.text
    caplog.clear()
    with caplog.at_level(logging.INFO):
        found = run(tmp_path, products=False)
    assert set(found["model"]) == {"forest"}
    assert "R 1.00 -> -1.00 when left out" in caplog.text and "SMCI" not in caplog.text


def test_without_stations_there_are_columns_and_no_rows(tmp_path, caplog):
    study(tmp_path)
    predictions = pd.read_parquet(tmp_path / "predictions.parquet")
    predictions[predictions["source"] == "smci"].to_parquet(tmp_path / "predictions.parquet")
    with caplog.at_level(logging.INFO):
        found = run(tmp_path, sites=NINE)
    assert found.empty and list(found) == COLUMNS
    assert "no samples of stations: the table has no rows" in caplog.text


def test_the_places_of_a_ready_table_are_scored_as_stations_are(tmp_path):
    study(tmp_path)
    stations = run(tmp_path, products=False)
    predictions = pd.read_parquet(tmp_path / "predictions.parquet")
    predictions["source"] = predictions["source"].replace("insitu", "table")
    predictions.to_parquet(tmp_path / "predictions.parquet")
    pd.testing.assert_frame_equal(run(tmp_path, products=False), stations)
    assert len(stations)


def test_too_few_months_everywhere_give_no_mean_and_no_error(tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        found = run(study(tmp_path), months=12)
    assert set(found["site"]) == {"A", "B"}
    assert "no site has 12 months: there is no mean of sites" in caplog.text


def test_unknown_sites_are_refused_by_name(tmp_path):
    message = r"report.sites: .* found NST77, Z. Samples are of A, B\. Correct the list; \[\]"
    with pytest.raises(UserError, match=message):
        run(study(tmp_path), sites=["A", "Z", "NST77"])
    assert not (tmp_path / "sites.csv").exists()
    with pytest.raises(UserError, match="Samples are of no station"):
        chosen(["Z"], [])


def test_the_nine_of_the_paper_are_the_default_wherever_the_study_is(caplog):
    ismn = [f"{name[:3]}_{name[3:]}" for name in NINE] + ["NST_99"]
    assert chosen(list(NINE), ismn) == ismn[:-1]
    with caplog.at_level(logging.INFO):
        assert chosen(list(NINE), ["NST01", "NST02", "NST25"]) == ["NST01", "NST25"]
    assert "2 of the nine sites of the paper have samples" in caplog.text
    assert chosen(list(NINE), ["X", "Y"]) == ["X", "Y"] == chosen([], ["X", "Y"])


def test_a_mean_of_nothing_has_the_columns_and_says_nan():
    nothing = mean_of(pd.DataFrame(columns=COLUMNS), [], 12)
    assert nothing.empty and list(nothing) == COLUMNS
    assert headline(nothing, "R") == "R nan -> nan when left out"
