"""Predictors of the cell in which a site stands."""

import logging

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import sample_stations
import small_study
from _log import UserError
from _predictors import PAPER as PREDICTORS
from sample_stations import cell_of, in_area
from small_study import GRID, LAT, LON, MONTHS, PROJ


def run(folder, sites):
    given = small_study.on_disk(folder, sites)
    sample_stations.main(**given, samples=str(folder / "stations.parquet"), crs=PROJ)
    return pd.read_parquet(folder / "stations.parquet")


@given(st.integers(0, 59), st.integers(0, 79), st.floats(0.001, 0.999), st.floats(0.001, 0.999))
def test_any_point_of_a_cell_belongs_to_it(row, col, down, right):
    x, y = 100000 + 250 * (col + right), 3570000 - 250 * (row + down)
    assert [int(v[0]) for v in cell_of(np.array([[x, y]]), GRID)] == [row, col]


def test_cells_beside_the_grid_are_not_in_the_area():
    row, col = np.array([-1, 0, 59, 60, 0, 0]), np.array([0, 0, 77, 0, 80, -1])
    found = in_area(row, col, small_study.area())
    assert found.tolist() == [False, True, True, False, False, False]


def test_site_takes_the_values_of_its_cell_in_every_month(tmp_path):
    sites = [("B2", LAT[7, 9], LON[7, 9]), ("A1", LAT[50, 60], LON[50, 60])]
    table = run(tmp_path, sites)
    assert table["source"].unique().tolist() == ["insitu"]
    assert table["month"].tolist() == ["2010-06", "2010-06", "2010-07", "2010-07"]
    assert list(table.columns[7:]) == list(PREDICTORS)
    layers = small_study.predictors()
    for row in table.to_dict("records"):
        cell = {"B2": (7, 9), "A1": (50, 60)}[row["site"]]
        for name in PREDICTORS:
            expected = float(layers[row["month"], name][cell])
            assert row[name] == pytest.approx(expected, nan_ok=True)
    x, y = GRID.centres()
    assert table.loc[0, ["x", "y"]].tolist() == pytest.approx([x[7, 9], y[7, 9]], abs=0.01)
    assert table["NDVI"].isna().tolist() == [False, False, True, False]
    assert set(table["month"]) == set(MONTHS)


def test_sites_outside_the_area_are_dropped_and_named(tmp_path, caplog):
    sites = [
        ("IN", LAT[7, 9], LON[7, 9]),
        ("LAKE", LAT[31, 41], LON[31, 41]),
        ("FAR", 10.0, 20.0),
    ]
    with caplog.at_level(logging.INFO):
        table = run(tmp_path, sites)
    assert table["site"].unique().tolist() == ["IN"]
    assert "1 of 3 sites lie in the study area; dropped: LAKE, FAR" in caplog.text


def test_no_site_at_all_is_an_error(tmp_path):
    with pytest.raises(UserError, match=r"found none of 1 there. Are lat and lon exchanged"):
        run(tmp_path, [("FAR", 10.0, 20.0)])
