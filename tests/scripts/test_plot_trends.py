import numpy as np
import pandas as pd
import pytest

import plot_trends
from _log import UserError
from _raster import write
from small_study import GRID, on_disk


def table():
    rows = [
        ("05", "share_increasing", "NW", 0.99, 0.1, 0.9),
        ("05", "share_increasing", "all", 0.77, 0.1, 0.9),
        ("06", "share_increasing", "all", 0.95, 0.1, 0.9),
        ("07", "share_increasing", "all", 0.05, 0.1, 0.9),
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


@pytest.fixture
def inputs(tmp_path):
    """Two months of trends on disk: July rises everywhere, August nowhere to speak of."""
    arguments = on_disk(tmp_path, [])
    columns = ["month", "quantity", "part", "value", "low", "high", "p", "n"]
    trends, tables = [], []
    for month, slope, share in (("07", 0.002, 1.0), ("08", 0.0, 0.5)):
        layer = np.full(GRID.shape, slope, "float32")
        bands = {"slope": layer, "significant": (layer > 0).astype("float32")}
        trends.append(str(tmp_path / f"{month}.tif"))
        write(trends[-1], GRID, bands, {"slope": "m3/m3/year", "significant": "1"})
        rows = [
            (month, "share_increasing", "all", share, 0.1, 0.9, 0.5, 10),
            (month, "share_significant", "all", share // 1, np.nan, np.nan, np.nan, 10),
            (month, "domain_slope", "all", slope, slope - 0.001, slope + 0.001, 0.003, 10),
        ]
        tables.append(str(tmp_path / f"{month}.csv"))
        pd.DataFrame(rows, columns=columns).to_csv(tables[-1], index=False)
    files = {end: str(tmp_path / f"figure.{end}") for end in ("png", "pdf", "csv")}
    lonlat = str(tmp_path / "lonlat.tif")
    more = dict(grid=arguments["grid"], lonlat_file=lonlat, note="")
    return dict(trends=trends, tables=tables) | more | files


def test_main_joins_the_tables_and_keeps_the_months_as_they_are_written(inputs):
    plot_trends.main(**inputs)
    joined = pd.read_csv(inputs["csv"], dtype={"month": str})
    assert joined["month"].unique().tolist() == ["07", "08"] and len(joined) == 6
    with open(inputs["png"], "rb") as picture:
        assert picture.read(4) == b"\x89PNG"


def test_the_heading_says_how_many_months_chance_alone_gives(inputs):
    tables = [pd.read_csv(path, dtype={"month": str}) for path in inputs["tables"]]
    layers = {month: np.zeros((4, 4)) for month in ("07", "08")}
    area = np.ones((4, 4), bool)
    figure = plot_trends.figure_of(layers, layers, pd.concat(tables), area, (0, 4, 0, 4))
    words = figure.subfigs[1].get_suptitle()
    assert "in 1 of 2 months; chance alone puts 0.2 there" in words


def test_a_table_of_another_version_is_named(inputs):
    pd.read_csv(inputs["tables"][0]).drop(columns="p").to_csv(inputs["tables"][0], index=False)
    pd.read_csv(inputs["tables"][1]).drop(columns="p").to_csv(inputs["tables"][1], index=False)
    with pytest.raises(UserError, match=r"07.csv: expected the columns of trend_maps.*no p\."):
        plot_trends.main(**inputs)
