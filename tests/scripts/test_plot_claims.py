import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex

import plot_claims
from _figures import BLUE, INK, ORANGE
from _log import UserError
from _trust import STATED

USUAL, OUT = "temporal", "leave_location_out"


def scores(values, subsets=("all", "smci")):
    """Return a table of metrics: RMSE of each protocol; of the subset "all" it is 9 larger."""
    rows = [
        (protocol, subset, "RMSE", value + (9 if subset == "all" and "smci" in subsets else 0))
        for protocol, value in values.items()
        for subset in subsets
    ]
    table = pd.DataFrame(rows, columns=["protocol", "subset", "metric", "value"])
    return table.assign(n=50, low=table["value"] - 0.001, high=table["value"] + 0.002)


def bars():
    return pd.concat(
        [
            scores({USUAL: 0.029, OUT: 0.072}).assign(model="white noise"),
            scores({USUAL: 0.026}).assign(model="look-up"),
            scores({USUAL: 0.066}).assign(model="SMC"),
        ]
    )


def target():
    return pd.DataFrame(
        {"month": ["2015-07", "2016-07"], "cells": [50, 70], "forest RMSE": [0.5, 0.034]}
    )


def errors():
    return pd.DataFrame(
        dict(
            quantity=["product from true soil moisture at 250 m", STATED],
            value=[0.046, 0.0425],
            low=[0.033, 0.013],
            high=[0.056, 0.060],
            n=26,
        )
    )


def score():
    rows = [
        (name, period, "RMSE", value + (1 if period == "all" else 0), 1000)
        for name, value in {
            "map": 0.042,
            "forest alone": 0.047,
            "paper's protocol": 0.055,
            "SMCI, nearest": 0.049,
            "SMCI, bilinear": 0.048,
            "SMC": 0.07,
        }.items()
        for period in ("all", "test")
    ]
    return pd.DataFrame(rows, columns=["product", "period", "metric", "value", "n"])


def table_of(simulated=True, sampled=True):
    """Return the rows of a simulated study, of a real one, or of a ready table (not `sampled`)."""
    own = scores({USUAL: 0.028, OUT: 0.035}, ("all", "smci") if sampled else ("all",))
    paper = scores({USUAL: 0.019, OUT: 0.045}) if sampled else None
    rows = plot_claims.claimed(own, paper, bars())
    rows += plot_claims.true_of(target() if sampled else None, ["2016"])
    said = errors()[: 2 if sampled else 1]
    rows += plot_claims.against_truth(score() if simulated else None, said)
    return pd.DataFrame(rows, columns=plot_claims.COLUMNS)


def test_claims_are_of_the_cells_of_the_target_not_of_stations():
    found = table_of().set_index(["group", "row", "model"])["value"]
    assert found["claimed", plot_claims.USUAL, plot_claims.OWN] == 0.028
    assert found["claimed", "Places left out", plot_claims.PAPER] == 0.045
    assert found["claimed", plot_claims.MEMORIES["white noise"], plot_claims.OTHER] == 0.029
    assert found["claimed", plot_claims.MEMORIES["look-up"], plot_claims.OTHER] == 0.026
    assert len(found["claimed"]) == 6, "the memories stand under the usual design only"


def test_what_is_true_is_of_the_test_months():
    found = table_of().set_index(["group", "row", "model"])["value"]
    assert found["target", plot_claims.EVERY_CELL, plot_claims.OWN] == pytest.approx(0.034)
    assert found["truth", "Map", plot_claims.OWN] == 0.042
    assert found["truth", "Forest alone", plot_claims.PAPER] == 0.055
    assert found["truth", "SMCI, interpolated", plot_claims.OTHER] == 0.048
    assert found["truth", plot_claims.STATEMENT, plot_claims.SAID] == 0.0425
    assert len(found["truth"]) == 5


def test_without_a_truth_only_the_statement_is_left_and_a_table_has_claims_alone():
    real = table_of(simulated=False)
    assert list(real["group"].unique()) == ["claimed", "target", "stated"]
    assert real.query("group == 'stated'")["model"].tolist() == [plot_claims.SAID]
    assert set(table_of(simulated=False, sampled=False)["group"]) == {"claimed"}


def test_metrics_without_a_design_are_an_error():
    with pytest.raises(UserError, match=r"expected an RMSE.*found the protocols train\. Run"):
        plot_claims.claimed(scores({"train": 0.01}), None, bars())


def marks_of(axes):
    """Return {(label of the row, colour): RMSE of the dot}."""
    names = dict(
        zip(axes.get_yticks(), (t.get_text() for t in axes.get_yticklabels()), strict=True)
    )
    return {
        (names[round_to(names, line.get_ydata()[0])], to_hex(line.get_color())): line.get_xdata()[0]
        for line in axes.lines
        if line.get_marker() != "None"
    }


def round_to(heights, y):
    return min(heights, key=lambda height: abs(height - y))


def test_dots_stand_where_the_numbers_are():
    table = table_of()
    axes = plot_claims.figure_of(table, "m3/m3").axes[0]
    drawn = marks_of(axes)
    assert len(drawn) == len(table)
    assert drawn[plot_claims.USUAL, BLUE] == 0.028 and drawn[plot_claims.USUAL, ORANGE] == 0.019
    assert drawn["SMCI, interpolated", INK] == 0.048
    printed = [text.get_text() for text in axes.texts]
    assert [text for text in printed if text == "0.019"] and "0.006 too low" in printed
    assert axes.get_xlabel().startswith("RMSE (m³/m³)")


def test_lines_carry_the_truth_up_and_are_named():
    axes = plot_claims.figure_of(table_of(), "m3/m3").axes[0]
    rising = [line.get_xdata()[0] for line in axes.lines if list(line.get_ydata()) == [0, 1]]
    assert rising == pytest.approx([0.034, 0.042])
    names = [t.get_text() for t in axes.texts if t.get_text().startswith("true:")]
    assert names == ["true: forest against SMCI", "true: map against soil moisture"]


def test_lines_are_named_outwards_whichever_is_smaller():
    table = table_of()
    table.loc[table["row"] == "Map", "value"] = 0.030
    axes = plot_claims.figure_of(table, "m3/m3").axes[0]
    sides = {t.get_text(): t.get_ha() for t in axes.texts if t.get_text().startswith("true:")}
    assert sides == {
        "true: map against soil moisture": "right",
        "true: forest against SMCI": "left",
    }


def test_a_claim_above_the_truth_is_called_too_high():
    table = table_of()
    table.loc[(table["row"] == plot_claims.USUAL), "value"] = 0.040
    texts = [t.get_text() for t in plot_claims.figure_of(table, "m3/m3").axes[0].texts]
    assert "0.006 too high" in texts


@pytest.mark.parametrize(("simulated", "sampled"), [(True, True), (False, True), (False, False)])
def test_no_text_is_cut_or_covers_another(simulated, sampled, tmp_path):
    figure = plot_claims.figure_of(table_of(simulated, sampled), "m3/m3")
    canvas = FigureCanvasAgg(figure)
    plot_claims.save(figure, tmp_path / "a.png", tmp_path / "a.pdf", "simulated data")
    canvas.draw()
    axes = figure.axes[0]
    shown = [t for t in axes.get_xticklabels() if t.get_position()[0] <= axes.get_xlim()[1]]
    texts = [*axes.texts, *axes.get_yticklabels(), *shown, axes.xaxis.label]
    texts += [*figure.texts, *figure.legends[0].get_texts()]
    boxes = [text.get_window_extent(canvas.get_renderer()).padded(-1) for text in texts]
    for number, (text, box) in enumerate(zip(texts, boxes, strict=True)):
        assert box.x0 >= 0 and box.x1 <= figure.bbox.x1, text
        assert box.y0 >= 0 and box.y1 <= figure.bbox.y1, text
        assert not box.count_overlaps(boxes[:number]), text


def test_files_of_a_study(tmp_path):
    tables = dict(
        metrics=scores({USUAL: 0.028, OUT: 0.035}),
        baseline=scores({USUAL: 0.019}),
        bars=bars(),
        errors=errors(),
        score=score(),
    )
    for name, table in tables.items():
        table.to_csv(tmp_path / f"{name}.csv", index=False)
    target().to_csv(tmp_path / "2015.csv", index=False)
    target()[:0].to_csv(tmp_path / "2016.csv", index=False)
    given = {name: tmp_path / f"{name}.csv" for name in tables}
    for end in ("png", "pdf", "csv"):
        given[end] = tmp_path / f"fig13.{end}"
    files = [tmp_path / "2015.csv", tmp_path / "2016.csv"]
    plot_claims.main(**given, target=files, test=["2016"], unit="m3/m3", note="simulated data")
    found = pd.read_csv(tmp_path / "fig13.csv")
    assert list(found) == plot_claims.COLUMNS
    assert found.query("group == 'target'")["n"].tolist() == [70]
    assert found.query("group == 'truth' and model != 'stated'")["low"].isna().all()
    assert (tmp_path / "fig13.pdf").read_bytes()[:4] == b"%PDF"
    assert (tmp_path / "fig13.png").stat().st_size > 5000
    assert np.isfinite(found["value"]).all()
