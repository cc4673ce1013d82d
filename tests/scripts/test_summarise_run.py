import numpy as np
import pandas as pd
import pytest

from _trust import STATED
from summarise_run import main, scored

USUAL, OUT = "temporal", "leave_location_out"


def metrics(more=0.0):
    rows = [
        (protocol, subset, metric, value + more, 10, np.nan, np.nan)
        for protocol, r_value, error in [
            ("train", 0.95, 0.017),
            (USUAL, 0.91, 0.023),
            (OUT, 0.65, 0.039),
        ]
        for subset, spoil in (("all", 0), ("insitu", 9), ("smci", 8))
        for metric, value in (("R", r_value + spoil), ("RMSE", error + spoil))
    ]
    return pd.DataFrame(rows, columns=["protocol", "subset", "metric", "value", "n", "low", "high"])


def bars():
    table = metrics().query("protocol == @USUAL")
    return pd.concat(
        [
            table.assign(model="white noise", value=table["value"] - 0.01),
            table.assign(model="look-up", value=table["value"] - 0.02),
            table.assign(model="SMC", value=0.5),
        ]
    )


def score():
    rows = [
        (product, period, metric, value + (1 if period == "all" else 0))
        for product, value in (("map", 0.7), ("paper's protocol", 0.6), ("SMCI, nearest", 0.8))
        for period in ("all", "test")
        for metric in ("R", "RMSE")
    ]
    return pd.DataFrame(rows, columns=["product", "period", "metric", "value"])


def inputs(folder):
    tables = dict(
        metrics=metrics(),
        baseline=metrics(0.01),
        bars=bars(),
        samples=pd.DataFrame(
            dict(
                quantity=["variance_between_places", "source_auc_of_terrain"],
                subset="all",
                value=[0.824, 0.925],
            )
        ),
        errors=pd.DataFrame(
            dict(quantity=[STATED], value=[0.0423], low=[0.0128], high=[0.06], n=[26])
        ),
        intervals=pd.DataFrame(
            dict(
                level=0.9,
                applied=True,
                protocol=OUT,
                subset=["all", "insitu", "smci"],
                coverage_calibrated=[0.5, 0.6, 0.91],
            )
        ),
        applicability=pd.DataFrame(dict(month=["a", "b"], share_inside=[0.9, 0.96])),
        score=score(),
        trust=pd.DataFrame(dict(quantity=["coverage of the interval"], value=[0.87])),
    )
    for name, table in tables.items():
        table.to_csv(folder / f"{name}.csv", index=False)
    return {name: folder / f"{name}.csv" for name in tables} | dict(
        applicability=[folder / "applicability.csv"],
        headline=folder / "headline.txt",
        title="Corner",
        unit="m3/m3",
        months=["2009-05", "2018-10"],
    )


def told(given):
    main(**given)
    return given["headline"].read_text()


def test_both_questions_are_answered_side_by_side(tmp_path):
    text = told(inputs(tmp_path))
    assert "Corner: 2 maps\n" in text and "2009-05 to 2018-10" in text
    lines = [line for line in text.splitlines() if " R " in line][:6]
    assert [" ".join(line.split()) for line in lines] == [
        "other times, same places R 0.91 RMSE 0.0230 m3/m3",
        "a random number per place R 0.90 RMSE 0.0130 m3/m3",
        "a look-up of place and month R 0.89 RMSE 0.0030 m3/m3",
        "the paper's protocol R 0.92 RMSE 0.0330 m3/m3",
        "places never seen R 0.65 RMSE 0.0390 m3/m3",
        "the paper's protocol R 0.66 RMSE 0.0490 m3/m3",
    ]
    assert "9.91" not in text, "stations alone are not the headline"


def test_trust_is_told_in_one_column(tmp_path):
    text = told(inputs(tmp_path))
    part = text.split("How far to trust it:\n")[1].split("\n\n")[0].splitlines()
    assert [" ".join(line.split()) for line in part] == [
        "variance that lies between places 82%",
        "slope and aspect tell the source, AUC 0.93",
        "error from true soil moisture, as stated 0.0423 m3/m3 (0.0128 to 0.0600)",
        "90% intervals at places left out hold for 91%",
        "the maps' intervals, against the truth hold for 87%",
        "cells inside the area of applicability 93%",
    ]
    assert all(line[44] == " " and line[45] != " " for line in part), "values are aligned"


def test_a_simulated_study_is_called_so_and_scored_in_the_test_months(tmp_path):
    text = told(inputs(tmp_path))
    assert "All numbers are of simulated data" in text
    truth = text.split("Against the simulated truth")[1]
    assert "paper's protocol" in truth and "SMCI, nearest" in truth and "1.70" not in truth
    assert len(text.splitlines()) < 40


@pytest.mark.parametrize("known", [True, False])
def test_what_a_study_does_not_know_is_left_out(known, tmp_path):
    given = inputs(tmp_path) | dict(score=[], trust=[])
    if not known:
        given |= dict(baseline=[])
        for name in ("errors", "samples"):
            pd.read_csv(given[name])[:0].to_csv(given[name], index=False)
    text = told(given | dict(months=["2012-03-25"]))
    assert "Corner: 1 map\n" in text
    assert "simulated" not in text and "truth" not in text and "random rows" not in text
    assert ("as stated" in text) is ("paper" in text) is ("AUC" in text) is known


def test_a_design_without_scores_has_no_line():
    assert scored(metrics(), "knndm", "words", "m3/m3") == []
