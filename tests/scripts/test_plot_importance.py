import pandas as pd
import pytest
from matplotlib.colors import to_hex

import plot_importance
from _figures import BLUE, ORANGE
from _log import UserError

SEEN, NEW = "temporal", "leave_location_time_out"


def importance():
    rows = [
        ("clay", SEEN, "single", 0.006),
        ("white noise", SEEN, "single", 0.005),
        ("SMC", SEEN, "single", 0.004),
        ("pre", SEEN, "single", 0.001),
        ("clay+pre", SEEN, "group", 0.007),
        ("clay", SEEN, "drop", 0.0002),
        ("SMC", SEEN, "drop", 0.0004),
        ("pre", SEEN, "drop", 0.0001),
        ("white noise", SEEN, "drop", -0.0001),
        ("SMC", NEW, "single", 0.003),
        ("white noise", NEW, "single", 0.001),
        ("pre", NEW, "single", 0.0008),
        ("clay", NEW, "single", -0.0005),
        ("clay+pre", NEW, "group", 0.0003),
    ]
    table = pd.DataFrame(rows, columns=["predictor", "protocol", "kind", "mean"])
    noise = table["protocol"].map({SEEN: 0.005, NEW: 0.001}).mask(table["kind"] == "drop", -0.0001)
    return table.assign(
        sd=0.0003, noise=noise, repeat_1=table["mean"] - 0.0002, repeat_2=table["mean"] + 0.0002
    )


def drawn():
    return plot_importance.figure_of(plot_importance.ordered(importance()), "m3/m3").axes


def rows_of(axes):
    """Return {label of the row: width of its bar}."""
    named = axes.figure.axes[0]  # the rows are named once
    names = [text.get_text() for text in named.get_yticklabels()]
    labels = dict(zip(named.get_yticks().round(6), names, strict=True))
    return {
        labels[round(bar.get_y() + bar.get_height() / 2, 6)]: bar.get_width()
        for bar in axes.patches
    }


def test_one_order_for_all_is_that_of_places_never_seen():
    table = plot_importance.ordered(importance())
    for protocol in (SEEN, NEW):
        part = table[(table["protocol"] == protocol) & (table["kind"] == "single")]
        assert part["predictor"].tolist() == ["SMC", "pre", "clay", "white noise"]
    assert table["protocol"].drop_duplicates().tolist() == [SEEN, NEW]
    assert table["kind"].drop_duplicates().tolist() == ["single", "group", "drop"]
    assert len(table) == len(importance())


def test_rank_is_that_of_each_protocol_and_kind():
    table = plot_importance.ordered(importance())
    rank = {key: part["rank"].tolist() for key, part in table.groupby(["protocol", "kind"])}
    assert rank == {
        (SEEN, "single"): [3, 4, 1, 2],
        (SEEN, "group"): [1],
        (SEEN, "drop"): [1, 3, 2, 4],
        (NEW, "single"): [1, 3, 4, 2],
        (NEW, "group"): [1],
    }


def test_the_temporal_order_holds_where_it_is_alone():
    table = importance()
    table = plot_importance.ordered(table[table["protocol"] == SEEN])
    single = table[table["kind"] == "single"]
    assert single["predictor"].tolist() == ["clay", "SMC", "pre", "white noise"]
    assert len(plot_importance.figure_of(table, "m3/m3").axes) == 1


def test_bars_repeats_and_refits_show_the_table():
    seen, new = drawn()
    assert rows_of(seen) == {
        "SMC": 0.004,
        "pre": 0.001,
        "clay": 0.006,
        "white noise": 0.005,
        "clay + pre": 0.007,
    }
    assert rows_of(new)["clay"] == -0.0005
    assert seen.yaxis_inverted() and seen.get_ylim() == new.get_ylim(), "most important on top"
    assert seen.get_xlim() == new.get_xlim()
    dots = [line.get_xdata().tolist() for line in seen.lines if line.get_marker() == "o"]
    assert dots[0] == pytest.approx([0.0038, 0.0008, 0.0058, 0.0048])
    assert dots[2] == pytest.approx([0.0068])
    (hollow,) = [line for line in seen.lines if line.get_marker() == "D"]
    assert hollow.get_markerfacecolor() == "white"
    assert dict(zip(hollow.get_ydata(), hollow.get_xdata(), strict=True)) == {
        0: 0.0004,
        1: 0.0001,
        2: 0.0002,
        3: -0.0001,
    }
    assert new.get_title(loc="left") == "Unseen times of places never seen"
    assert new.get_xlabel() == "Increase of RMSE (m³/m³)"


def test_the_line_of_white_noise_is_dashed_named_and_that_of_the_permuted():
    for axes, at, side in zip(drawn(), (0.005, 0.001), ("right", "left"), strict=True):
        (line,) = [line for line in axes.lines if line.get_color() == ORANGE]
        assert line.get_xdata() == [at, at] and line.is_dashed()
        (label,) = axes.texts
        assert (label.get_text(), label.get_color()) == ("white noise", ORANGE)
        assert label.get_ha() == side, "towards the middle, so that it is not cut"
    colours = [to_hex(bar.get_facecolor()) for bar in drawn()[0].patches]
    assert colours == [BLUE, BLUE, BLUE, ORANGE, BLUE]


def test_texts_of_the_figure_do_not_overlap():
    table = importance()
    for shown in (table, table[table["kind"] != "group"]):
        figure = plot_importance.figure_of(plot_importance.ordered(shown), "m3/m3")
        figure.draw_without_rendering()
        boxes = [text.get_window_extent() for text in figure.legends[0].get_texts()]
        for axes in figure.axes:
            left, right = axes.get_xlim()
            texts = [*axes.texts, axes.xaxis.label, axes._left_title]
            texts += [t for t in axes.get_xticklabels() if left <= t.get_position()[0] <= right]
            texts += axes.get_yticklabels() if axes is figure.axes[0] else []
            boxes += [text.get_window_extent() for text in texts if text.get_text()]
        for number, box in enumerate(boxes):
            assert box.x0 >= 0 and box.x1 <= figure.bbox.width
            assert not any(box.overlaps(other) for other in boxes[:number])


def test_missing_column_is_named():
    with pytest.raises(UserError, match=r"expected the columns kind, noise, found pred.* Run rank"):
        plot_importance.ordered(importance().drop(columns=["kind", "noise"]))


def test_main_writes_picture_and_order(tmp_path):
    importance().to_csv(tmp_path / "i.csv", index=False)
    out = {end: str(tmp_path / f"f.{end}") for end in ("png", "pdf", "csv")}
    plot_importance.main(str(tmp_path / "i.csv"), **out, note="simulated", unit="m3/m3")
    table = pd.read_csv(out["csv"])
    assert table["rank"].tolist()[:4] == [3, 4, 1, 2]
    assert table["predictor"].tolist()[:4] == ["SMC", "pre", "clay", "white noise"]
    assert (tmp_path / "f.pdf").read_bytes()[:4] == b"%PDF"
    assert (tmp_path / "f.png").read_bytes()[1:4] == b"PNG"
