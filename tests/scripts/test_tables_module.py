import numpy as np
import pandas as pd
import pytest

import _tables


@pytest.mark.parametrize(
    ("value", "text"),
    [(-6.5e-15, "0"), (1234, "1,234"), (28.314, "28.3"), (-0.0601, "−0.0601"), ("a", "a")],
)
def test_cells_of_small_tables_are_readable(value, text):
    assert _tables.cell(value) == text


def test_search_shows_full_depth_in_words():
    table = pd.DataFrame(dict(rank=[2, 1], rmse=[0.04, 0.037123], max_depth=[10, np.nan]))
    head, rows = _tables.tuning(table)
    assert head == ["rank", "rmse", "max_depth"]
    assert rows == [["1", "0.0371", "unlimited"], ["2", "0.04", "10"]]


def test_series_get_a_column_a_quantity_in_the_order_of_the_file():
    table = pd.DataFrame(
        dict(
            period=["2009-05", "2009-06", "2009-05", "2009"],
            quantity=["soil_moisture", "soil_moisture", "rain", "rain"],
            value=[0.412, 0.5, 80.0, 600.5],
            unit=["m3/m3", "m3/m3", "mm/month", "mm/month"],
        )
    )
    head, rows = _tables.by_period(table)
    assert head == ["period", "soil_moisture (m³/m³)", "rain (mm/month)"]
    assert rows == [["2009", "–", "600"], ["2009-05", "0.412", "80"], ["2009-06", "0.5", "–"]]


@pytest.mark.parametrize(("rows", "folded"), [(15, False), (16, True)])
def test_only_long_tables_are_folded(rows, folded):
    (head, found), many = _tables.shown("products", pd.DataFrame(dict(value=np.arange(rows))))
    assert head == ["value"] and len(found) == rows and many is folded


def test_versions_name_the_code_python_and_the_libraries():
    head, rows = _tables.versions("")
    assert head == ["Software", "version"]
    assert rows[0] == ["this workflow", "not under version control"]
    assert dict(rows)["numpy"] == np.__version__ and dict(rows)["GDAL"][0].isdigit()


def test_a_library_that_is_not_there_is_left_out(monkeypatch):
    monkeypatch.setattr(_tables, "LIBRARIES", ("numpy", "no-such-library"))
    assert [row[0] for row in _tables.versions("a")[1]] == [
        "this workflow",
        "Python",
        "numpy",
        "GDAL",
    ]
