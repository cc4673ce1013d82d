import numpy as np
import pandas as pd
import pytest

import _sections

OUT = "leave_location_out"
SCORES = ["protocol", "subset", "metric", "value", "n", "low", "high"]


def metrics():
    rows = []
    for protocol, rmse, r in (
        ("train", 0.010, 0.99),
        ("temporal", 0.023, 0.9),
        (OUT, 0.0375, 0.69),
    ):
        for subset in ("all", "insitu"):
            rows += [
                (protocol, subset, "R", r, 100, r - 0.01, r + 0.01),
                (protocol, subset, "RMSE", rmse, 100, np.nan, np.nan),
                (protocol, subset, "bias", -0.0001, 100, -0.001, 0.001),
            ]
    return pd.DataFrame(rows, columns=SCORES)


def score():
    rows = [
        (product, period, metric, value, 10)
        for product, values in {
            "map": {"RMSE": 0.0527, "R": 0.696, "fine-scale R": 0.37},
            "SMCI, bilinear": {"RMSE": 0.0443, "R": 0.771, "fine-scale R": np.nan},
        }.items()
        for period in ("all", "test")
        for metric, value in values.items()
    ]
    return pd.DataFrame(rows, columns=["product", "period", "metric", "value", "n"])


def test_validation_table_has_intervals_where_there_are_any():
    head, rows = _sections.validation(metrics())
    assert head == ["Judged on", "R", "RMSE", "bias", "n"]
    assert rows[0] == [
        _sections.DESIGNS["train"], "0.990 (0.980 to 1.000)", "0.010", "0.000", "100",
    ]  # fmt: skip
    assert rows[1][0] == "– only stations"
    assert [row[0] for row in rows[::2]] == [
        _sections.DESIGNS[name] for name in ("train", "temporal", OUT)
    ]


def test_optimism_is_the_claim_minus_the_truth():
    _, rows = _sections.optimism(metrics(), score())
    assert rows[1] == [_sections.DESIGNS["temporal"], "0.023", "−0.030", "0.900", "0.204"]
    assert rows[-1] == ["The map against the truth", "0.053", "", "0.696", ""]


def test_products_stand_side_by_side_in_the_published_order():
    head, rows = _sections.against_truth(score(), "all")
    assert head == ["Against the truth", "map", "SMCI, bilinear"]
    assert rows == [
        ["R", "0.696", "0.771"],
        ["RMSE", "0.053", "0.044"],
        ["fine-scale R", "0.370", "–"],
    ]


@pytest.mark.parametrize(
    ("low", "high", "text"), [(0.8, 0.91, " (80 % to 91 %)"), (np.nan, np.nan, "")]
)
def test_an_interval_is_told_where_there_is_one(low, high, text):
    assert _sections.between(low, high, _sections.percent) == text
    assert _sections.percent(np.nan) == "–"


def bars():
    rows = [
        ("SMCI, bilinear", "temporal", "insitu", 0.064),
        ("SMCI, bilinear", OUT, "insitu", 0.063),
        ("SMC", "temporal", "all", 0.066),
        ("SMC", OUT, "all", 0.067),
        ("look-up", "temporal", "all", 0.026),
        ("look-up", "random_cv", "all", 0.001),
        ("month only", OUT, "all", 0.054),
        ("white noise", "temporal", "all", 0.029),
        ("paper", "temporal", "all", 0.020),
    ]
    table = pd.DataFrame(rows, columns=["model", "protocol", "subset", "value"])
    return table.assign(metric="RMSE", n=9, low=np.nan, high=np.nan)


def test_every_bar_has_one_row_over_the_designs():
    head, rows = _sections.bars(metrics(), bars(), "all")
    assert head == [
        "Model", "unseen times: R", "unseen times: RMSE", "places left out: R",
        "places left out: RMSE",
    ]  # fmt: skip
    found = {row[0]: row[1:] for row in rows}
    assert len(found) == len(rows) == 5
    assert found[_sections.FOREST] == ["0.900", "0.023", "0.690", "0.037"]
    assert found["A look-up of place and month"] == ["–", "0.026", "–", "0.054"]
    assert found["SMC"] == ["–", "0.066", "–", "0.067"]
    assert found["The paper's protocol, on its own samples"] == ["–", "0.020", "–", "–"]


def test_smci_is_a_bar_at_stations():
    _, rows = _sections.bars(metrics(), bars(), "insitu")
    assert [row[0] for row in rows] == [_sections.FOREST, "SMCI, bilinear"]
    assert rows[1][2::2] == ["0.064", "0.063"]


def sites():
    rows = [
        (site, way, model, metric, value + (5 if site == "NST01" else 0), 9)
        for site in ("NST01", "mean of sites")
        for way, worse in (
            ("all years", 0.0),
            ("test years", 0.01),
            ("left out, all years", 0.02),
            ("left out, test years", 0.03),
        )
        for model, base in (("forest", 0.014), ("SMCI, nearest", 0.05), ("ERA5-Land", 0.07))
        for metric, value in (("RMSE", base + worse), ("R", 0.9 - worse), ("SD", 4.0))
    ]
    return pd.DataFrame(rows, columns=["site", "way", "model", "metric", "value", "n"])


def test_the_mean_of_sites_is_shown_three_ways_beside_smci():
    head, rows = _sections.mean_of_sites(sites())
    assert head[1:] == ["forest: R", "forest: RMSE", "SMCI, nearest: R", "SMCI, nearest: RMSE"]
    assert rows == [
        ["All years, as trained", "0.900", "0.014", "0.900", "0.050"],
        ["Test years, as trained", "0.890", "0.024", "0.890", "0.060"],
        ["All years, station left out of training", "0.880", "0.034", "0.880", "0.070"],
    ]
    assert _sections.mean_of_sites(sites()[:3])[1] == [], "no mean, no rows"


def intervals(sources):
    rows = [
        (applied, protocol, subset, 0.70 + 0.2 * applied, places)
        for applied in (True, False)
        for protocol in ("temporal", OUT, "knndm")
        for subset, places in {"all": 1525, **dict.fromkeys(sources, 25)}.items()
    ]
    table = pd.DataFrame(rows, columns=["applied", "protocol", "subset", "coverage", "places"])
    return table.assign(
        coverage_calibrated=table["coverage"] + 0.01,
        coverage_calibrated_low=0.85,
        coverage_calibrated_high=0.95,
        width_calibrated=0.12,
    )


def test_coverage_is_told_by_source_and_against_the_truth():
    trust = pd.DataFrame(
        dict(quantity=["coverage of the interval", "width of the interval"], value=[0.908, 0.142])
    )
    _, rows = _sections.coverage(intervals(["insitu", "smci"]), trust)
    assert [row[0] for row in rows] == [
        "The forest's: unseen times of places it was trained on, stations",
        "The forest's: unseen times of places it was trained on, SMCI cells",
        "The forest's: places never seen, stations",
        "The forest's: places never seen, SMCI cells",
        "The published one: the truth, every cell",
    ]
    assert rows[0][1:] == ["90 %", "91 % (85 % to 95 %)", "0.120", "25"]
    assert rows[-1][1:] == ["", "91 %", "0.142", ""]


def test_coverage_of_a_single_source_has_no_subsets():
    _, rows = _sections.coverage(intervals([]), None)
    assert [row[0] for row in rows] == [
        "The forest's: unseen times of places it was trained on",
        "The forest's: places never seen",
    ]
    assert rows[0][-1] == "1,525"


def test_months_of_several_years_are_averaged():
    table = pd.DataFrame(
        dict(
            month=["2015-07", "2015-08", "2016-07"],
            share_inside=[0.9, 0.5, 0.7],
            share_beyond_range=[0.1, 0.0, 0.3],
            median_di=0.09,
        )
    )
    head, rows = _sections.by_month(table)
    assert head[0] == "Month, mean of the years"
    assert rows == [["July", "80 %", "20 %", "0.090"], ["August", "50 %", "0 %", "0.090"]]
    one = table[:1].assign(month="2012-03-25")
    assert _sections.by_month(one)[1] == [["2012-03-25", "90 %", "10 %", "0.090"]]


def collocation(value, low=0.0001, reason=None):
    rows = [
        (method, of, product, quantity, value, low, 0.0009, reason)
        for of in ("values", "anomalies")
        for method in ("triple_collocation", "three_cornered")
        for product in ("stations", "SMC")
        for quantity in ("R2", "error_variance")
    ]
    columns = ["method", "of", "product", "quantity", "value", "low", "high", "reason"]
    return pd.DataFrame(rows, columns=columns)


def test_error_variances_are_told_as_standard_deviations():
    (head, rows), reasons = _sections.collocated(collocation(0.0004, low=-0.1))
    assert head[0] == "Error of" and len(head) == 5
    assert rows == [[name, *["0.020 (0.000 to 0.030)"] * 4] for name in ("stations", "SMC")]
    assert reasons == []


@pytest.mark.parametrize("value", [np.nan, -0.0001])
def test_an_error_variance_without_a_root_is_a_dash_with_its_reason(value):
    (_, rows), reasons = _sections.collocated(collocation(value, reason="75 of 100 triplets"))
    assert rows[0] == ["stations", "–", "–", "–", "–"]
    assert reasons == ["75 of 100 triplets"]
