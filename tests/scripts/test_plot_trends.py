import numpy as np
import pandas as pd

import plot_trends


def table():
    rows = [
        (5, "share_increasing", "NW", 0.99, 0.1, 0.9),
        (5, "share_increasing", "all", 0.77, 0.1, 0.9),
        (6, "share_increasing", "all", 0.95, 0.1, 0.9),
        (7, "share_increasing", "all", 0.05, 0.1, 0.9),
    ]
    return pd.DataFrame(rows, columns=["month", "quantity", "part", "value", "low", "high"])


def test_a_share_counts_only_outside_what_no_trend_gives():
    assert plot_trends.number(table(), "05", "share_increasing") == 0.77
    assert np.isnan(plot_trends.number(table(), "08", "share_increasing"))
    assert plot_trends.beyond_chance(table(), ["05"]) == 0
    assert plot_trends.beyond_chance(table(), ["05", "06", "07"]) == 2


def test_stipples_stand_in_the_middle_of_blocks_half_significant():
    layer = np.zeros((2, 4))
    layer[0, 1] = 1
    layer[1, 3] = np.nan
    x, y = plot_trends.stipples(layer, (0, 40, 0, 20))
    assert (x.tolist(), y.tolist()) == ([15], [15])


def test_figure_of_months_without_any_trend():
    empty = {"05": np.full((4, 4), np.nan)}
    area = np.ones((4, 4), bool)
    figure = plot_trends.figure_of(empty, empty, table().iloc[:0].assign(p=[]), area, (0, 4, 0, 4))
    assert figure.axes[0].get_title(loc="left") == "May\nno trend"
