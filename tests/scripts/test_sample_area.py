"""The sample of the study area holds what a reader would find in the rasters at these cells."""

import logging

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import sample_area
import small_study
from _log import UserError
from _predictors import PAPER as PREDICTORS
from _raster import Grid, created, read, write
from conftest import real
from sample_area import lattice, main

GRID = small_study.GRID
NAMES = ["sand", "NDRE.M"]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return small_study.on_disk(tmp_path_factory.mktemp("study"), [("A", 33.0, 102.0)])


def run(folder, study, **changes):
    given = dict(
        rasters=study["rasters"],
        grid=study["grid"],
        area=str(folder / "area.parquet"),
        months=small_study.MONTHS,
        predictors=list(PREDICTORS),
        points=200,
        seed=1,
        crs=small_study.PROJ,
    )
    main(**(given | changes))
    return pd.read_parquet(folder / "area.parquet")


def cell(table, grid=GRID):
    """Return row and column of each cell of the sample."""
    row, col = grid.positions(table["x"], table["y"])
    np.testing.assert_allclose(row % 1, 0.5, atol=1e-6)
    np.testing.assert_allclose(col % 1, 0.5, atol=1e-6)
    return row.astype(int), col.astype(int)


def table_study(folder, months=("2012-03-25", "2012-07-01"), gap=slice(0, 10)):
    """Write a raster with all predictors as bands for each day, without a grid."""
    rng, layers = np.random.default_rng(3), {}
    for month in months:
        layers[month] = {name: rng.random(GRID.shape) for name in NAMES}
        layers[month]["sand"][:, gap] = np.nan
        units = dict.fromkeys(NAMES, "1")
        write(f"{folder}/predictors_{month}.tif", GRID, layers[month], units)
    return [f"{folder}/predictors_{month}.tif" for month in months], layers


@given(
    st.integers(1, 70),
    st.integers(1, 70),
    st.integers(1, 300),
    st.sampled_from(["whole", "half", "noise", "row", "column", "diagonal", "one"]),
)
def test_about_as_many_cells_as_asked_for_each_once_and_inside(height, width, points, kind):
    area = np.zeros((height, width), bool)
    if kind == "noise":
        area |= np.random.default_rng(points).random(area.shape) < 0.3
    elif kind == "diagonal":
        np.fill_diagonal(area, True)
    else:
        parts = {"whole": np.s_[:], "half": np.s_[: height // 2], "row": np.s_[height // 2]}
        parts |= {"column": np.s_[:, width // 2], "one": np.s_[height // 3, width // 3]}
        area[parts[kind]] = True
    row, col = lattice(area, points)
    assert area[row, col].all()
    assert len(set(zip(row, col, strict=True))) == len(row)
    assert len(row) >= min(points, area.sum()) / 2
    if kind == "whole" and min(height, width) > 20 and points > 50:
        assert len(row) <= 1.1 * points
    if area.sum() <= points:
        assert len(row) == area.sum()


def test_lattice_by_hand():
    """A hundred cells for 25 points: every second row and column, from the second on."""
    row, col = lattice(np.ones((10, 10), bool), 25)
    assert np.unique(row).tolist() == np.unique(col).tolist() == [1, 3, 5, 7, 9]
    assert (len(row), row[:6].tolist()) == (25, [1, 1, 1, 1, 1, 3])


def test_values_are_those_of_the_cell_in_its_month(study, tmp_path):
    table = run(tmp_path, study)
    layers = small_study.predictors()
    row, col = cell(table)
    assert small_study.area()[row, col].all()
    assert 150 <= len(table) <= 250
    for name in PREDICTORS:
        expected = [layers[m, name][r, c] for m, r, c in zip(table["month"], row, col, strict=True)]
        np.testing.assert_array_equal(table[name], np.array(expected, "float32"))
    missing = (table["month"] == small_study.MONTHS[1]) & (col < 20)
    assert missing.any() and (table["NDVI"].isna() == missing).all()
    assert list(table) == ["x", "y", "month", *PREDICTORS]


def test_months_are_drawn_evenly_by_the_seed(study, tmp_path):
    first, again, other = (run(tmp_path, study, seed=seed) for seed in (1, 1, 2))
    assert np.ptp(first["month"].value_counts()) <= 1
    pd.testing.assert_frame_equal(first, again)
    assert first[["x", "y"]].equals(other[["x", "y"]])
    assert not first["month"].equals(other["month"])


def test_same_inputs_give_the_same_bytes(study, tmp_path):
    made = []
    for rasters in (study["rasters"], study["rasters"][::-1]):
        run(tmp_path, study, rasters=rasters)
        made.append((tmp_path / "area.parquet").read_bytes())
    assert made[0] == made[1]


def test_every_raster_is_read_once_and_only_where_a_cell_lies(study, tmp_path, monkeypatch):
    seen, values = [], sample_area.values

    def spy(path, names, window):
        seen.append((path, window.row_off))
        return values(path, names, window)

    monkeypatch.setattr(sample_area, "values", spy)
    monkeypatch.setattr(Grid, "blocks", lambda grid, rows=8, real=Grid.blocks: real(grid, rows))
    table = run(tmp_path, study, points=5)
    assert len(seen) == len(set(seen)), "no strip of a raster twice"
    row, _ = cell(table)
    assert {path for path, _ in seen} == set(study["rasters"])
    for month in small_study.MONTHS:
        strips = {int(r) // 8 * 8 for r in row[table["month"] == month]}
        assert {top for path, top in seen if path.endswith(f"ndvi/{month}.tif")} == strips


def test_strips_make_no_difference(study, tmp_path, monkeypatch):
    whole = run(tmp_path, study)
    monkeypatch.setattr(Grid, "blocks", lambda grid, rows=7, real=Grid.blocks: real(grid, rows))
    pd.testing.assert_frame_equal(whole, run(tmp_path, study))


def test_a_table_study_takes_the_cells_with_all_predictors(study, tmp_path):
    rasters, layers = table_study(tmp_path)
    months = list(layers)
    table = run(
        tmp_path, study, rasters=rasters, grid=[], months=months, predictors=NAMES, points=300
    )
    row, col = cell(table)
    assert col.min() >= 10 and set(table["month"]) == set(months)
    for name in NAMES:
        expected = [layers[m][name][r, c] for m, r, c in zip(table["month"], row, col, strict=True)]
        np.testing.assert_array_equal(table[name], np.array(expected, "float32"))


def test_nodata_of_the_producer_is_missing(study, tmp_path):
    layer = np.ones(GRID.shape, "float32")
    layer[:, :40] = -9999
    path = str(tmp_path / "p_2012-03-25.tif")
    with created(path, GRID, {"sand": "%"}, nodata=-9999) as target:
        target.write(layer, 1)
    table = run(
        tmp_path, study, rasters=[path], grid=[], months=["2012-03-25"], predictors=["sand"]
    )
    assert cell(table)[1].min() >= 40 and (table["sand"] == 1).all()


def test_a_band_that_one_month_has_of_its_own_is_taken_there_alone(study, tmp_path):
    """NDRE.M of the first month lies in its own raster, of the second in the shared one."""
    layer = np.ones(GRID.shape, "float32")
    units = dict.fromkeys(NAMES, "1")
    paths = [f"{tmp_path}/ndre_2012-03.tif", f"{tmp_path}/shared.tif"]
    write(paths[0], GRID, {"NDRE.M": 3 * layer}, units)
    write(paths[1], GRID, {"sand": layer, "NDRE.M": 2 * layer}, units)
    months = ["2012-03", "2012-04"]
    table = run(tmp_path, study, rasters=paths, grid=[], months=months, predictors=NAMES)
    assert table.groupby("month")["NDRE.M"].unique().map(list).to_dict() == {
        "2012-03": [3],
        "2012-04": [2],
    }
    assert (table["sand"] == 1).all()


def test_raster_belongs_to_the_month_its_path_names_last():
    months = ["2012-03", "2012-03-25", "2012-04"]
    rasters = ["static.tif", "2012-04/p_2012-03.tif", "p_2012-03-25.tif", "2012-04/p.tif"]
    assert {month: sample_area.of_month(rasters, month, months) for month in months} == {
        "2012-03": ["static.tif", "2012-04/p_2012-03.tif"],
        "2012-03-25": ["static.tif", "p_2012-03-25.tif"],
        "2012-04": ["static.tif", "2012-04/p.tif"],
    }


def test_log_tells_the_cells_and_what_is_missing(study, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    table = run(tmp_path, study)
    lost = table["NDVI"].isna().sum()
    said = f"{len(table)} of {small_study.area().sum()} cells of the study area, in 2 months; "
    assert said + f"without a predictor: {lost} (NDVI {lost})" in caplog.text


def test_progress_is_told(study, tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(sample_area, "SAY", -1)
    run(tmp_path, study)
    assert f"1 of {len(study['rasters'])} rasters read, " in caplog.text
    assert (
        f"{len(study['rasters'])} of {len(study['rasters'])} rasters read, 0 s left" in caplog.text
    )


def test_an_area_without_a_cell_is_refused(study, tmp_path):
    path = str(tmp_path / "empty.tif")
    with created(path, GRID, {"inside": "1"}, "uint8", 255) as target:
        target.write(np.zeros(GRID.shape, "uint8"), 1)
    with pytest.raises(UserError, match=r"empty\.tif: expected cells inside .* none of 4800"):
        run(tmp_path, study, grid=path)
    assert not (tmp_path / "area.parquet").exists()


def test_rasters_without_a_complete_cell_name_the_predictors_that_lack(study, tmp_path):
    rasters, layers = table_study(tmp_path, gap=slice(0, 80))
    with pytest.raises(UserError, match=r"03-25\.tif: .* none of 4800\. Cells without: sand 4800"):
        run(tmp_path, study, rasters=rasters, grid=[], months=list(layers), predictors=NAMES)


def test_a_missing_predictor_is_named_with_its_month(study, tmp_path):
    rasters = [path for path in study["rasters"] if not path.endswith("lst/2010-07.tif")]
    with pytest.raises(UserError, match=r"2010-07: .* none with a band LST"):
        run(tmp_path, study, rasters=rasters)


def test_coordinates_of_the_cook_farm_are_those_in_its_raster(tmp_path):
    """Easting and Northing are bands of that raster: position and value of a cell must agree."""
    path = str(real("cookfarm/predictors_2012-03-25.tif"))
    names = ["DEM", "Easting", "Northing"]
    asked = dict(months=["2012-03-25"], predictors=names, crs="")
    table = run(tmp_path, {"rasters": [path], "grid": []}, **asked)
    assert 150 <= len(table) <= 250 and np.isfinite(read(path, "DEM")).sum() == 3865
    np.testing.assert_allclose(table["x"], table["Easting"], atol=1e-2)
    np.testing.assert_allclose(table["y"], table["Northing"], atol=0.5)
