import pandas as pd
import pytest

import plot_importance
from _log import UserError


def importance():
    return pd.DataFrame(
        dict(
            predictor=["LST", "pre", "SMC", "LST"],
            protocol=["temporal"] * 3 + ["leave_location_out"],
            mean=[0.001, 0.004, 0.002, 0.003],
            sd=0.0003,
            repeat_1=[0.0007, 0.0037, 0.0017, 0.0027],
            repeat_2=[0.0013, 0.0043, 0.0023, 0.0033],
        )
    )


def test_order_is_by_mean_within_each_protocol():
    table = plot_importance.ordered(importance())
    temporal = table[table["protocol"] == "temporal"]
    assert temporal["predictor"].tolist() == ["pre", "SMC", "LST"]
    assert temporal["rank"].tolist() == [1, 2, 3]


def test_bars_and_repeats_show_the_table():
    figure = plot_importance.figure_of(plot_importance.ordered(importance()), "m3/m3")
    axes = figure.axes[1]
    assert [bar.get_width() for bar in axes.patches] == [0.004, 0.002, 0.001]
    assert axes.yaxis_inverted(), "the most important is on top"
    assert axes.get_title(loc="left") == "Importance at unseen times of seen places"
    assert axes.get_xlabel() == "Increase of RMSE when permuted (m³/m³)"
    dots = [tuple(line.get_xdata()) for line in axes.lines if line.get_marker() == "o"]
    assert dots == [(0.0037, 0.0017, 0.0007), (0.0043, 0.0023, 0.0013)]


def test_missing_column_is_named():
    with pytest.raises(UserError, match=r"expected the columns protocol, sd, found pred"):
        plot_importance.ordered(importance().drop(columns=["protocol", "sd"]))


def test_main_writes_picture_and_order(tmp_path):
    importance().to_csv(tmp_path / "i.csv", index=False)
    out = {end: str(tmp_path / f"f.{end}") for end in ("png", "pdf", "csv")}
    plot_importance.main(str(tmp_path / "i.csv"), **out, note="", unit="m3/m3")
    assert pd.read_csv(out["csv"])["rank"].tolist() == [1, 1, 2, 3]
    assert (tmp_path / "f.pdf").read_bytes()[:4] == b"%PDF"
