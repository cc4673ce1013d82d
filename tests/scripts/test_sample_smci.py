"""SMCI cells as samples: which are drawn, and what their means are."""

import logging

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Transformer

import sample_smci
import small_study
from _log import UserError
from _predictors import PAPER as PREDICTORS
from _raster import Window, write
from sample_smci import Members, corners_inside, drawn, months_of, owner, strata
from small_study import GRID, LAT, LON, MONTHS, PROJ, SMCI

SITE = ("A", LAT[10, 70], LON[10, 70])
ASKED = {"cells": 40, "months_per_cell": 60, "station_distance": 2000, "aspect": "direction"}


def run(folder, seed=1, **asked):
    given = small_study.on_disk(folder, [SITE])
    sample_smci.main(
        **given,
        **{**ASKED, **asked},
        seed=seed,
        crs=PROJ,
        strata_of=["DEM", "sand", "SMC"],
        smci=[str(folder / "smci" / f"{month}.tif") for month in MONTHS],
        lonlat_file=str(folder / "lonlat.tif"),
        samples=str(folder / "smci.parquet"),
    )
    return pd.read_parquet(folder / "smci.parquet")


def cells_inside(lon, lat):
    """Return the 250 m cells whose centre lies in the SMCI cell with this centre, by search."""
    return (np.abs(LON - lon) < 1 / 240) & (np.abs(LAT - lat) < 1 / 240)


WEST, NORTH = small_study.WEST / 120, small_study.NORTH / 120


def test_owner_is_the_cell_that_contains_the_position():
    lon = WEST + np.array([0.5, 31.9, 32.1, -0.1, 3.2]) / 120
    lat = NORTH - np.array([0.5, 0.1, 0.1, 0.1, 2.9]) / 120
    assert owner(lon, lat, SMCI).tolist() == [0, 31, -1, -1, 2 * 32 + 3]


def test_means_are_those_of_the_cells_whose_centre_lies_inside(tmp_path):
    table, layers = run(tmp_path), small_study.predictors()
    assert len(table) == 80
    for row in table.to_dict("records"):
        inside = cells_inside(row["lon"], row["lat"])
        assert 9 <= inside.sum() <= 16
        for name in [name for name in PREDICTORS if name != "aspect"]:
            values = layers[row["month"], name][inside].astype(float)
            values = values[np.isfinite(values)]
            expected = values.mean() if len(values) >= inside.sum() / 2 else np.nan
            assert row[name] == pytest.approx(expected, nan_ok=True)
    assert table["NDVI"].isna().any()


def test_aspect_is_a_direction_or_an_average_of_degrees(tmp_path):
    aspect = small_study.predictors()[MONTHS[0], "aspect"].astype(float)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    for row in run(tmp_path / "a").to_dict("records"):
        inside = aspect[cells_inside(row["lon"], row["lat"])]
        angle = np.angle(np.exp(1j * np.radians(inside)).sum(), deg=True) % 360
        assert row["aspect"] == pytest.approx(angle, abs=1e-6)
    for row in run(tmp_path / "b", aspect="arithmetic").to_dict("records"):
        inside = aspect[cells_inside(row["lon"], row["lat"])]
        assert row["aspect"] == pytest.approx(inside.mean(), abs=1e-6)


def members(tmp_path, values):
    """Return a raster of one row with these values, and one SMCI cell that owns all of them."""
    path = str(tmp_path / "row.tif")
    values = np.atleast_2d(values)
    grid = type(GRID)(GRID.crs, GRID.transform, values.shape[1], 1)
    write(path, grid, {"aspect": values}, {"aspect": "degree"})
    count = values.shape[1]
    strip = (Window(0, 0, count, 1), np.arange(count), np.zeros(count, int))
    return Members([strip], 1), path


def test_north_is_between_359_and_1(tmp_path):
    one, path = members(tmp_path, [359.0, 1.0])
    north = one.mean(path, "aspect", "direction")[0]
    assert min(north, 360 - north) == pytest.approx(0.0, abs=1e-4)
    assert one.mean(path, "aspect", "arithmetic")[0] == pytest.approx(180.0)


@pytest.mark.parametrize(("valid", "known"), [(8, True), (7, False)])
def test_a_mean_needs_half_of_its_cells(tmp_path, valid, known):
    one, path = members(tmp_path, np.r_[np.full(valid, 5.0), np.full(16 - valid, np.nan)])
    assert np.isfinite(one.mean(path, "aspect", "arithmetic")[0]) == known


def test_cells_lie_wholly_in_the_area_and_away_from_sites(tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        table = run(tmp_path, cells=10_000)
    area, found = small_study.area(), table.groupby("site")[["lon", "lat", "x", "y"]].first()
    to_grid = Transformer.from_crs("EPSG:4326", PROJ, always_xy=True)
    expected = 0
    for row, col in np.ndindex(*SMCI.shape):
        lon, lat = WEST + (col + 0.5) / 120, NORTH - (row + 0.5) / 120
        inside = cells_inside(lon, lat)
        corners = [
            to_grid.transform(lon + right / 240, lat + up / 240)
            for right in (-1, 1)
            for up in (-1, 1)
        ]
        on = all(0 <= (x - 1e5) / 250 < 78 and 0 <= (3.57e6 - y) / 250 < 60 for x, y in corners)
        x, y = to_grid.transform(lon, lat)
        site = to_grid.transform(SITE[2], SITE[1])
        near = np.hypot(x - site[0], y - site[1]) <= 2000
        expected += bool(inside.any() and area[inside].all() and on and not near)
    assert len(found) == expected > 200
    for lon, lat in found[["lon", "lat"]].to_numpy():
        assert area[cells_inside(lon, lat)].all()
    x, y = to_grid.transform(found["lon"].to_numpy(), found["lat"].to_numpy())
    assert found["x"].to_numpy() == pytest.approx(x)
    assert found["y"].to_numpy() == pytest.approx(y)
    assert f"{expected} of these farther than 2000 m" in caplog.text


def test_cells_that_never_have_smci_are_not_drawn(tmp_path, monkeypatch):
    layers = small_study.smci()
    for layer in layers.values():
        layer[:, ::2] = np.nan
    layers[MONTHS[0]][:, 1::4] = np.nan  # missing once is no reason
    monkeypatch.setattr(small_study, "smci", lambda: layers)
    table = run(tmp_path, cells=10_000)
    column = np.floor((table["lon"] - WEST) * 120).astype(int)
    assert (column % 2 == 1).all()
    assert (column % 4 == 1).any()


def test_one_corner_outside_is_enough():
    row, col = 14, 16
    everywhere = np.ones(GRID.shape, bool)
    number = np.array([row * SMCI.width + col])
    assert corners_inside(number, SMCI, GRID, everywhere).tolist() == [True]
    to_grid = Transformer.from_crs("EPSG:4326", PROJ, always_xy=True)
    for down in (0, 1):
        for right in (0, 1):
            x, y = to_grid.transform(WEST + (col + right) / 120, NORTH - (row + down) / 120)
            area = everywhere.copy()
            area[int((3570000 - y) // 250), int((x - 100000) // 250)] = False
            assert corners_inside(number, SMCI, GRID, area).tolist() == [False]


def test_targets_are_the_months_smci(tmp_path):
    for row in run(tmp_path).to_dict("records"):
        line = int((NORTH - row["lat"]) * 120)
        col = int((row["lon"] - WEST) * 120)
        assert row["target"] == pytest.approx(float(small_study.smci()[row["month"]][line, col]))
        assert row["source"] == "smci"


@given(st.lists(st.integers(0, 5), min_size=1, max_size=200), st.integers(1, 60), st.integers(0, 9))
@settings(deadline=None)
def test_draws_are_distinct_and_in_proportion(stratum, cells, seed):
    stratum = np.array(stratum)
    rows = drawn(stratum, cells, np.random.default_rng(seed))
    assert len(set(rows.tolist())) == len(rows) == min(cells, len(stratum))
    for name in np.unique(stratum):
        share = len(rows) * (stratum == name).mean()
        assert abs((stratum[rows] == name).sum() - share) < 1 + 1e-9


def test_draws_inside_a_stratum_are_random():
    stratum = np.zeros(10, int)
    pairs = {tuple(drawn(stratum, 2, np.random.default_rng(seed))) for seed in range(300)}
    assert len(pairs) == 45  # every pair of ten may come


def test_strata_are_combinations_of_terciles():
    one = np.arange(9.0)
    assert strata(one[:, None]).tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    two = np.stack([one, one[::-1]], axis=1)
    assert strata(two).tolist() == [6, 6, 6, 4, 4, 4, 2, 2, 2]


@given(st.integers(1, 20), st.integers(1, 12), st.integers(1, 15), st.integers(0, 5))
def test_every_cell_has_as_many_months_as_asked(cells, months, per_cell, seed):
    used = months_of(cells, months, per_cell, np.random.default_rng(seed))
    assert used.shape == (cells, months)
    assert (used.sum(axis=1) == min(months, per_cell)).all()


def test_fewer_months_a_cell(tmp_path):
    table = run(tmp_path, months_per_cell=1)
    assert len(table) == 40
    assert table["site"].is_unique
    assert set(table["month"]) == set(MONTHS)


def test_the_seed_decides(tmp_path):
    first = run(tmp_path)
    path = tmp_path / "smci.parquet"
    before = path.read_bytes()
    assert run(tmp_path).equals(first)
    assert path.read_bytes() == before
    assert set(run(tmp_path, seed=2)["site"]) != set(first["site"])


def test_no_cells_asked_for_is_an_empty_table_with_its_columns(tmp_path):
    table = run(tmp_path, cells=0)
    assert len(table) == 0
    assert list(table.columns[7:]) == [*PREDICTORS, "target"]


def test_no_cell_far_enough_is_an_error(tmp_path):
    with pytest.raises(UserError, match=r"farther than 90000 m from every site .* found none"):
        run(tmp_path, station_distance=90_000)
