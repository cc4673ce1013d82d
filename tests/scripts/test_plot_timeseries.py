import numpy as np
import pandas as pd
import pytest

import plot_timeseries
from plot_timeseries import drawn, places, series_of, spans, ticks

MONTHS = ["2015-06", "2015-07", "2016-06", "2016-07"]
TEST = ["2016"]


def tables(sites=("A",), months=MONTHS):
    """Return predictions off by 0.01 as trained and 0.05 left out, products off by 0.1, scores."""
    rows = pd.DataFrame([(s, m) for s in sites for m in months], columns=["site", "month"])
    target = 0.3 + 0.01 * np.arange(len(rows))
    rows = rows.assign(sample=range(len(rows)), source="insitu", target=target)
    test = rows["month"].str.startswith(tuple(TEST))
    seen = rows.assign(protocol=np.where(test, "temporal", "train"), prediction=target + 0.01)
    out = rows.assign(protocol="leave_location_out", prediction=target + 0.05)
    other = rows.assign(protocol="random_cv", prediction=9.0)
    cells = rows.assign(
        source="smci", sample=rows["sample"] + 900, protocol="train", prediction=8.0
    )
    predictions = pd.concat([out, other, cells, seen], ignore_index=True)
    predictions["lower"] = predictions["prediction"] - 0.02
    predictions["upper"] = predictions["prediction"] + 0.03
    products = rows[["sample"]].assign(**{"SMCI, nearest": target + 0.1, "SMCI, bilinear": 7.0})
    scores = [
        (site, way, model, metric, value, len(months))
        for site in sites
        for way, model, pair in (
            ("all years", "forest", (0.9, 0.01)),
            ("left out, all years", "forest", (-0.4, 0.05)),
            ("all years", "SMCI, nearest", (0.7, 0.1)),
            ("test years", "forest", (0.1, 0.2)),
        )
        for metric, value in zip(("R", "RMSE"), pair, strict=True)
    ]
    columns = ["site", "way", "model", "metric", "value", "n"]
    return predictions, products, pd.DataFrame(scores, columns=columns)


def run(folder, given, products=True, sites=("A",), months=2, note=""):
    predictions, values, scores = given
    predictions.to_parquet(folder / "predictions.parquet")
    values.to_parquet(folder / "products.parquet")
    scores.to_csv(folder / "sites.csv", index=False)
    out = {end: str(folder / f"figure.{end}") for end in ("png", "pdf", "csv")}
    plot_timeseries.main(
        folder / "predictions.parquet",
        folder / "products.parquet" if products else [],
        folder / "sites.csv",
        **out,
        sites=list(sites),
        months=months,
        test=TEST,
        unit="m3/m3",
        note=note,
    )
    return pd.read_csv(out["csv"])


def test_each_series_is_of_its_own_rows_and_only_the_left_out_has_an_interval(tmp_path):
    table = run(tmp_path, tables())
    values = table[table["item"] == "value"].set_index(["series", "month"])
    assert values["value"]["in situ"].tolist() == pytest.approx([0.30, 0.31, 0.32, 0.33])
    for name, off in (("seen", 0.01), ("out", 0.05), ("SMCI", 0.1)):
        difference = values["value"][name] - values["value"]["in situ"]
        assert difference[MONTHS].tolist() == pytest.approx([off] * 4)
    assert values["low"]["out"].tolist() == pytest.approx([0.33, 0.34, 0.35, 0.36])
    assert values["high"]["out"].tolist() == pytest.approx([0.38, 0.39, 0.40, 0.41])
    assert values.drop("out", level=0)[["low", "high"]].isna().all(axis=None)
    scores = table[table["item"] != "value"].set_index(["series", "item"])["value"]
    assert scores.to_dict() == {
        ("seen", "R"): 0.9, ("seen", "RMSE"): 0.01, ("out", "R"): -0.4, ("out", "RMSE"): 0.05,
        ("SMCI", "R"): 0.7, ("SMCI", "RMSE"): 0.1,
    }  # fmt: skip


def test_several_readings_of_one_month_are_averaged():
    predictions, _, _ = tables(months=["2015-06", "2015-06"])
    table = series_of(predictions[predictions["source"] == "insitu"].assign(SMCI=0.5), "A")
    assert table.loc["2015-06", ["in situ", "seen"]].tolist() == pytest.approx([0.305, 0.315])


def test_seasons_are_apart_and_days_of_a_month_are_not():
    assert places(["2015-09", "2015-10", "2016-05"]) == {
        "2015-09": 0, "2015-10": 1, "2016-05": 3
    }  # fmt: skip
    assert list(places(["2015-01-01", "2015-01-20", "2015-06-01"]).values()) == [0, 1, 3]
    assert list(places(["2014-12", "2015-01"]).values()) == [0, 1], "a year's end is no gap"


def test_training_months_are_shaded_and_test_months_are_not():
    at = places(MONTHS)
    assert list(at.values()) == [0, 1, 3, 4]
    assert spans(at, ["2016"]) == [(-0.5, 1.5)]
    assert spans(at, ["2015-07"]) == [(-0.5, 0.5), (2.5, 4.5)]
    # a gap without test months is shaded through
    assert spans(at, ["2017"]) == [(-0.5, 4.5)]


def test_years_are_marked_in_their_middle_and_months_if_there_is_one_year():
    assert ticks(places(MONTHS)) == [(0.5, "2015"), (3.5, "2016")]
    assert ticks(places(MONTHS[:2])) == [(0, "06"), (1, "07")]
    many = places([f"{year}-06" for year in range(2000, 2013)])
    assert [label for _, label in ticks(many)] == ["2000", "2003", "2006", "2009", "2012"]


def panel_lines(axes):
    return [line for line in axes.lines if len(line.get_xdata()) > 1]


def figure_of(given, sites, left=""):
    predictions, values, scores = given
    rows = predictions[predictions["source"] == "insitu"].merge(values, on="sample")
    rows = rows.rename(columns={"SMCI, nearest": "SMCI"})
    table = drawn({site: series_of(rows, site) for site in sites}, scores)
    return plot_timeseries.figure_of(table, dict.fromkeys(sites, 4), TEST, "m3/m3", left)


def test_lines_stop_at_the_end_of_a_season():
    axes = figure_of(tables(), ["A"]).axes[0]
    lines = panel_lines(axes)
    assert len(lines) == 4
    for line in lines:
        assert np.isnan(line.get_ydata()).tolist() == [False, False, True, False, False]


def test_scores_stand_above_the_panel_and_sites_not_drawn_are_named():
    figure = figure_of(tables(), ["A"], left="Not drawn: Q")
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts == ["0.90 · 0.010", "−0.40 · 0.050", "0.70 · 0.100"]
    assert figure.axes[0].get_title(loc="left") == "(a) A, n = 4"
    (legend,) = figure.legends
    assert legend.get_title().get_text().endswith("\nNot drawn: Q")
    labels = [text.get_text() for text in legend.get_texts()]
    assert "its interval" in labels and labels[-1] == "training months"


@pytest.mark.parametrize("count", [1, 2, 4, 12])
def test_the_grid_fits_any_number_of_sites(count):
    sites = [f"S{n:02d}" for n in range(count)]
    figure = figure_of(tables(sites), sites)
    shown = [axes for axes in figure.axes if axes.axison]
    assert len(shown) == count
    labelled = [a for a in shown if a.xaxis.get_tick_params()["labelbottom"]]
    assert len(labelled) == min(count, 3), "the lowest panel of every column has its years"


def test_without_products_there_is_no_smci(tmp_path):
    predictions, values, scores = tables()
    table = run(
        tmp_path, (predictions, values, scores[scores["model"] == "forest"]), products=False
    )
    assert set(table["series"]) == {"in situ", "seen", "out"}


def test_without_stations_the_figure_says_so(tmp_path, caplog):
    predictions, values, scores = tables()
    nothing = predictions[predictions["source"] == "smci"], values, scores[:0]
    with caplog.at_level("INFO", "soil-moisture"):
        table = run(tmp_path, nothing)
    assert table.empty and list(table) == plot_timeseries.COLUMNS
    assert "0 of 0 sites with samples drawn" in caplog.text
    figure = plot_timeseries.figure_of(table, {}, TEST, "m3/m3", "")
    assert figure.texts[0].get_text().startswith("No station has samples")


def test_main_writes_the_same_picture_again_and_names_what_is_missing(tmp_path, caplog):
    with caplog.at_level("INFO", "soil-moisture"):
        run(tmp_path, tables(), sites=["A", "B"], note="simulated data")
    assert "1 of 1 sites with samples drawn" in caplog.text
    assert "Not drawn (number of values): B (none)" in caplog.text
    first = (tmp_path / "figure.png").read_bytes(), (tmp_path / "figure.pdf").read_bytes()
    predictions, values, scores = tables()
    run(
        tmp_path, (predictions[::-1], values[::-1], scores), sites=["A", "B"], note="simulated data"
    )
    assert ((tmp_path / "figure.png").read_bytes(), (tmp_path / "figure.pdf").read_bytes()) == first
