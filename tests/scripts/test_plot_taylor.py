import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import plot_taylor
from plot_taylor import MEASURES, drawn, position

WAYS = ["all years", "left out, all years", "test years", "left out, test years"]


def scores_of(site, way, model, target, values, n=None):
    """Return the rows of `score_sites`, from the definitions of its metrics."""
    target, values = np.asarray(target, float), np.asarray(values, float)
    error = values - target
    found = {
        "R": np.corrcoef(target, values)[0, 1] if np.ptp(values) and np.ptp(target) else np.nan,
        "SD": values.std(),
        "SD target": target.std(),
        "ubRMSE": np.sqrt(((error - error.mean()) ** 2).mean()),
        "bias": error.mean(),
        "RMSE": np.sqrt((error**2).mean()),
    }
    return [(site, way, model, name, value, n or len(target)) for name, value in found.items()]


def table_of(*rows):
    columns = ["site", "way", "model", "metric", "value", "n"]
    return pd.DataFrame([row for part in rows for row in part], columns=columns)


TARGET = [0.2, 0.3, 0.4, 0.3]
NEAR = [0.25, 0.3, 0.36, 0.33]
UPSIDE_DOWN = [0.4, 0.3, 0.2, 0.35]


def study(out=NEAR):
    parts = [scores_of("A", way, "forest", TARGET, out if "out" in way else NEAR) for way in WAYS]
    parts += [scores_of("A", way, "SMCI, nearest", TARGET, [0.2, 0.4, 0.35, 0.3]) for way in WAYS]
    parts += [scores_of("A", "all years", "SMC", TARGET, NEAR)]
    return table_of(*parts)


def test_points_by_hand():
    # R = 0: straight up; R = 1: on the axis; R = -1: to the left; R = 1/2: at 60 degrees
    x, y = position(np.array([0, 1, -1, 0.5]), np.array([2, 1, 1, 1]))
    np.testing.assert_allclose(x, [0, 1, -1, 0.5], atol=1e-12)
    np.testing.assert_allclose(y, [2, 0, 0, np.sqrt(3) / 2], atol=1e-12)
    # rounding may leave R a little above 1
    assert position(1 + 1e-12, 2.0) == (2.0, 0.0)


NUMBERS = st.lists(st.floats(0, 1).map(lambda v: round(v, 4)), min_size=6, max_size=6)


@settings(max_examples=40, deadline=None)
@given(NUMBERS, NUMBERS)
def test_distance_to_the_reference_is_the_centred_rmse_and_the_angle_is_r(target, values):
    """Taylor's identity, against metrics computed from the values themselves."""
    assume(np.std(target) > 0.01 and np.std(values) > 0.01)
    table = drawn(table_of(scores_of("A", "all years", "forest", target, values)), ["A"])
    (point,) = table.itertuples()
    assert np.hypot(point.x - 1, point.y) == pytest.approx(point.distance, abs=1e-6)
    assert np.hypot(point.x, point.y) == pytest.approx(np.std(values) / np.std(target))
    assert np.cos(np.arctan2(point.y, point.x)) == pytest.approx(point.R, abs=1e-6)
    error = np.array(values) - np.array(target)
    assert point.distance == pytest.approx(np.std(error) / np.std(target))


def test_panels_have_their_own_rows_and_series():
    table = drawn(study(), ["A"])
    assert table[["panel", "series"]].values.tolist() == [
        ["all years", "seen"], ["all years", "out"], ["all years", "SMCI"],
        ["test years", "seen"], ["test years", "out"], ["test years", "SMCI"],
    ]  # fmt: skip
    assert set(table["n"]) == {4} and set(MEASURES) <= set(table)
    table = drawn(study(out=UPSIDE_DOWN), ["A"])
    assert (table[table["series"] == "out"]["R"] < 0).all()
    assert (table[table["series"] != "out"]["R"] > 0).all()


def test_two_months_and_constant_values_give_no_point():
    few = scores_of("A", "all years", "forest", TARGET[:2], NEAR[:2])
    flat = scores_of("A", "test years", "forest", TARGET, [0.3] * 4)
    three = scores_of("B", "all years", "forest", TARGET[:3], NEAR[:3])
    table = drawn(table_of(few, flat, three), ["A", "B"])
    assert table[["site", "panel", "n"]].values.tolist() == [["B", "all years", 3]]


def points(axes):
    """Return (x, y) of the markers of sites: not those of the reference."""
    lines = [line for line in axes.lines if len(line.get_xdata()) == 1]
    return [(line.get_xdata()[0], line.get_ydata()[0]) for line in lines if line.get_zorder() == 5]


@pytest.mark.parametrize(("out", "half"), [(NEAR, False), (UPSIDE_DOWN, True)])
def test_the_frame_holds_every_point_and_opens_to_a_half_circle_for_negative_r(out, half):
    table = drawn(study(out), ["A"])
    figure = plot_taylor.figure_of(table, "")
    panels = figure.axes
    assert [axes.get_title(loc="left") for axes in panels] == ["(a) all years", "(b) test years"]
    for axes, panel in zip(panels, ("all years", "test years"), strict=True):
        (frame,) = axes.patches
        assert (frame.theta2 == 180) == half and frame.r >= 1.08 * table["ratio"].max()
        part = table[table["panel"] == panel]
        assert points(axes) == list(zip(part["x"], part["y"], strict=True))
        assert axes.get_aspect() == 1
        labels = {text.get_text() for text in axes.texts}
        assert ("−0.8" in labels) == half and {"0", "0.95", "0.99"} <= labels


def test_labels_of_correlation_stand_at_the_angle_arccos_r():
    axes = plot_taylor.figure_of(drawn(study(), ["A"]), "").axes[0]
    for text in axes.texts:
        if text.get_text() in ("0", "0.2", "0.4", "0.6", "0.8", "0.9", "0.95", "0.99"):
            x, y = text.get_position()
            if np.hypot(x, y) > axes.patches[0].r:
                assert x / np.hypot(x, y) == pytest.approx(float(text.get_text()), abs=1e-12)


def test_arcs_about_the_reference_are_of_equal_centred_rmse():
    x, y = plot_taylor.arc(0.5, 1, 0, np.pi)
    np.testing.assert_allclose((x - 1) ** 2 + y**2, 0.25)
    assert (x[0], x[-1]) == pytest.approx((1.5, 0.5))


def run(folder, scores, sites=("A",)):
    scores.to_csv(folder / "sites.csv", index=False)
    out = {end: str(folder / f"figure.{end}") for end in ("png", "pdf", "csv")}
    plot_taylor.main(str(folder / "sites.csv"), **out, sites=list(sites), months=2, note="")
    return pd.read_csv(out["csv"])


def test_main_draws_the_sites_that_are_there_and_names_the_others(tmp_path, caplog):
    with caplog.at_level("INFO", "soil-moisture"):
        table = run(tmp_path, study(UPSIDE_DOWN), ["A", "Q"])
    assert len(table) == 6
    identity = table["SD"] ** 2 + table["SD target"] ** 2
    identity -= 2 * table["SD"] * table["SD target"] * table["R"]
    np.testing.assert_allclose(table["ubRMSE"] ** 2, identity, atol=1e-9)
    assert "all years, forest, station left out: 1 sites, R -" in caplog.text
    assert "Q (none)" in caplog.text
    assert (tmp_path / "figure.png").read_bytes()[:4] == b"\x89PNG"


def test_without_points_the_figure_says_so(tmp_path):
    assert run(tmp_path, study()[:0]).empty
    figure = plot_taylor.figure_of(drawn(study()[:0], []), "")
    assert figure.texts[0].get_text().startswith("No station has 3 months")
