import re

import numpy as np
import pandas as pd
import pytest

import compare_with_paper as step
from _log import UserError
from conftest import ROOT

NUMBERS = ROOT / "config" / "paper_numbers.csv"
CONTRADICTIONS = ROOT / "config" / "paper_contradictions.csv"


@pytest.fixture
def numbers():
    return pd.read_csv(NUMBERS, dtype={"paper": str}).fillna({"contradictions": ""})


@pytest.fixture
def contradictions():
    return pd.read_csv(CONTRADICTIONS)


def test_every_number_and_every_contradiction_of_the_paper_is_there(numbers, contradictions):
    plain = {re.sub("[a-z]$", "", name) for name in numbers["id"]}
    assert plain == {f"N{n}" for n in range(1, 45)}
    assert list(contradictions["id"]) == [f"C{n}" for n in range(1, 25)]
    assert set(" ".join(numbers["contradictions"]).split()) <= set(contradictions["id"])
    assert numbers["id"].is_unique and contradictions["decision"].notna().all()


@pytest.mark.parametrize(
    ("number", "paper"),
    [
        ("N1", "0.885"), ("N2", "0.024"), ("N3", "-0.004"), ("N4", "0.943"), ("N6", "9606"),
        ("N16", "-0.93"), ("N20", "0.49"), ("N25a", "0.3741"), ("N25b", "0.3841"),
        ("N25c", "0.3943"), ("N26b", "223"), ("N33", "0.7746"), ("N34", "0.7034"),
        ("N35", "0.8245"), ("N38", "269000"), ("N43", "12"),
    ],
)  # fmt: skip
def test_values_are_those_of_the_text(numbers, number, paper):
    assert numbers.set_index("id").loc[number, "paper"] == paper


def row(**more):
    plain = {"id": "N1", "paper": "0.885", "low": np.nan, "high": np.nan, "class": "close"}
    return pd.Series(plain | more)


@pytest.mark.parametrize(
    ("options", "value", "said"),
    [
        (dict(low=0.855, high=0.915), 0.855, "agrees"),
        (dict(low=0.855, high=0.915), 0.8549, "differs"),
        ({"low": 0, "class": "pattern"}, 0.001, "pattern shown"),
        ({"high": 0, "class": "pattern"}, 0.001, "pattern not shown"),
        ({}, 3.0, "reported"),
        (dict(paper="July"), "July", "agrees"),
        (dict(paper="July"), "June", "differs"),
        (dict(low=0.8, high=0.9), None, "not available"),
        ({"class": "cannot"}, None, "not comparable"),
    ],
)
def test_verdicts(options, value, said):
    assert step.verdict(row(**options), value, None) == said


@pytest.mark.parametrize(
    ("share", "said"), [(0.77, "within what no trend gives"), (0.93, "outside chance")]
)
def test_a_share_of_area_is_judged_by_what_no_trend_gives(share, said):
    """77 % rising lies inside the 10 to 90 % that years without a trend give (D7)."""
    trends = pd.DataFrame(
        [("05", "share_increasing", "all", share, 0.1, 0.9)],
        columns=["month", "quantity", "part", "value", "low", "high"],
    )
    assert step.verdict(row(id="N33", **{"class": "trend"}), share, trends) == said


def test_tolerance_in_words():
    assert step.tolerance(row(low=0.1, high=0.2)) == "0.1 to 0.2"
    assert step.tolerance(row(low=26, high=26)) == "26"
    assert (step.tolerance(row(low=0)), step.tolerance(row(high=0))) == ("at least 0", "at most 0")
    assert step.tolerance(row()) == ""


def test_ends_of_the_range_are_those_of_the_test_years():
    target = np.linspace(0.1, 0.5, 101)
    rows = pd.DataFrame(dict(protocol="temporal", target=target, prediction=0.3))
    other = rows.assign(protocol="train", prediction=9.0)
    found = step.ends(pd.concat([rows, other]))
    assert found["N9a"][0] == pytest.approx(0.3 - np.mean(target[:11]))
    assert found["N9b"][0] == pytest.approx(0.3 - np.mean(target[-11:]))


def sites(names, months=50):
    rows = []
    for n, site in enumerate([*names, step.MEAN]):
        for way in ("all years", "test years", "left out, all years"):
            for model, error in (
                ("forest", 0.02 if way != "left out, all years" else 0.05),
                ("SMCI, nearest", 0.04),
            ):
                for metric, value in (
                    ("R", 0.9 - n / 100),
                    ("RMSE", error),
                    ("ubRMSE", 0.03),
                    ("SD", 0.05),
                ):
                    rows.append((site, way, model, metric, value, months))
    return pd.DataFrame(rows, columns=["site", "way", "model", "metric", "value", "n"])


def test_the_forest_beats_smci_at_the_sites_only_where_it_was_trained_on_them():
    names = [*step.BEST, "NST07", "CST05"]
    found = step.at_sites(sites(names), least=12)
    assert found["N10"][0] == 6 and found["N11"][0] == "NST01 NST03 NST05 NST09"
    assert found["N12"][0] == pytest.approx(np.mean([0.9, 0.89, 0.88, 0.87]))
    assert found["N15a"][0] == pytest.approx(0.02) and found["N15c"][0] == pytest.approx(-0.01)


def test_other_sites_have_no_answer_and_say_why():
    found = step.at_sites(sites(["A", "B"], months=5), least=12)
    assert found["N10"][0] == 0
    for number in ("N11", "N12", "N13", "N14"):
        value, reason = found[number]
        assert value is None and "NST01, NST03, NST05, NST09" in reason


def test_ranks_of_terrain_at_seen_and_unseen_places():
    rows = [
        ("slope", "temporal", "single", 0.02, 0.001), ("LST", "temporal", "single", 0.01, 0.001),
        ("aspect", "temporal", "single", 0.005, 0.001), ("slope", "temporal", "group", 9, 0.001),
        ("LST", "leave_location_time_out", "single", 0.01, 0),
        ("slope", "leave_location_time_out", "single", 0.001, 0),
    ]  # fmt: skip
    columns = ["predictor", "protocol", "kind", "mean", "noise"]
    found = step.ranks(pd.DataFrame(rows, columns=columns))
    assert [found[n][0] for n in ("N21a", "N21b", "N21c")] == [1, 2, 2]


def test_trends_of_the_corners_and_of_other_months():
    rows = [("07", "share_increasing", "SW", 0.8), ("08", "share_increasing", "SW", 0.6)]
    rows += [
        ("07", "slope_percentile", part, v)
        for part, v in (("min", -0.01), ("p0.1", -0.004), ("p99.9", 0.004), ("max", 0.02))
    ]
    trends = pd.DataFrame(rows, columns=["month", "quantity", "part", "value"])
    found = step.trending(trends.assign(low=np.nan, high=np.nan))
    assert found["N36a"][0] == pytest.approx(0.7)
    assert found["N36b"][0] is None and "fewer than five years" in found["N36b"][1]
    assert (found["N32a"][0], found["N32b"][0]) == (-0.01, 0.02)


def test_a_simulated_study_is_labelled_in_every_row_and_all_contradictions_are_decided(
    numbers, contradictions
):
    answers = {"N1": (0.9, "a note"), "N27a": ("July", "")}
    table = step.compared(numbers, contradictions, answers, None, simulated=True)
    assert (table["study"] == "simulated").all()
    assert table["verdict"].str.startswith("simulated: ").all()
    told = " ".join(table["contradictions"])
    assert all(re.search(rf"\b{name}\b", told) for name in contradictions["id"])
    by = table.set_index("id")
    assert by.loc["N1", "difference"] == "0.015" and by.loc["N1", "ours"] == "0.9"
    assert by.loc["N27a", "verdict"] == "simulated: agrees"
    assert by.loc["N2", "verdict"] == "simulated: not available"
    real = step.compared(numbers, contradictions, answers, None, simulated=False)
    assert (real["study"] == "this study").all()
    assert not real["verdict"].str.contains("simulated").any()


def test_definitions_without_a_column_are_named(tmp_path):
    broken = tmp_path / "paper_numbers.csv"
    pd.read_csv(NUMBERS).drop(columns="low").to_csv(broken, index=False)
    nothing = dict.fromkeys(
        ["contradictions", "metrics", "baseline", "bars", "samples", "predictions", "sites"]
        + ["correlation", "importance", "description", "statistics", "trends", "gauges"]
        + ["stations", "table", "months", "test", "least", "min_lst", "max_albedo", "simulated"]
    )
    with pytest.raises(UserError, match=r"paper_numbers.csv: expected the columns.*no low\."):
        step.main(numbers=broken, **nothing)
