"""The published map and its interval: by hand, by strips, against SMCI, unchanged for the paper."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import rasterio
from rasterio.crs import CRS
from rasterio.transform import Affine

import finish_maps
from _raster import BLOCK, Grid, created, write

PLAIN = {
    "curve": [[0.0, 1.0], [0.0, 1.0], [1.0, 1.0]],
    "conserve": 0.0,
    "added_error": 0.0,
    "shift": 0.0,
    "z": 1.6449,
}
# Longitude and latitude in steps of 1/480 degree: four cells along one of SMCI's.
CELLS = Grid(CRS.from_epsg(4326), Affine(1 / 480, 0, 102, 0, -1 / 480, 34), 40, BLOCK + 88)
SMCI = Grid(CRS.from_epsg(4326), Affine(1 / 120, 0, 102, 0, -1 / 120, 34), 10, (BLOCK + 88) // 4)
BANDS = dict.fromkeys(("mean", "lower", "upper"), "m3/m3")


def study(folder, seed=1):
    rng = np.random.default_rng(seed)
    mean = rng.uniform(0.3, 0.4, CELLS.shape).astype("float32")
    mean[BLOCK - 3 : BLOCK + 3, 7] = np.nan
    forest = {"mean": mean, "lower": mean - 0.05, "upper": mean + 0.08}
    write(f"{folder}/forest/2016-07.tif", CELLS, forest, BANDS)
    coarse = rng.uniform(0.3, 0.4, (5, 3))
    rows, cols = (np.linspace(0, n - 1, m).astype(int) for n, m in ((5, SMCI.height), (3, 10)))
    product = coarse[rows][:, cols].astype("float32")
    product[3, 4] = np.nan
    write(f"{folder}/smci/2016-07.tif", SMCI, {"SMCI": product}, {"SMCI": "m3/m3"})
    with created(f"{folder}/grid.tif", CELLS, {"inside": "1"}, "uint8", 255) as target:
        target.write(np.ones(CELLS.shape, "uint8"), 1)
    with created(
        f"{folder}/lonlat.tif", CELLS, dict.fromkeys(("longitude", "latitude"), ""), "float64"
    ) as target:
        target.write(np.stack(CELLS.centres()))
    return forest, product


def run(folder, smci=True, residual=(), **steps):
    Path(f"{folder}/correction.json").write_text(json.dumps(PLAIN | steps))
    maps = {name: [f"{folder}/{name}/2016-07.tif"] for name in ("monthly", "lower", "upper")}
    finish_maps.main(
        forest=[f"{folder}/forest/2016-07.tif"],
        residual=residual,
        smci=[f"{folder}/smci/2016-07.tif"] if smci else [],
        correction=f"{folder}/correction.json",
        grid=f"{folder}/grid.tif",
        lonlat_file=f"{folder}/lonlat.tif",
        target=f"{folder}/target.csv",
        months=["2016-07"],
        unit="m3/m3",
        note="simulated",
        **maps,
    )
    layers = {}
    for name, paths in maps.items():
        with rasterio.open(paths[0]) as source:
            assert source.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
            assert source.units == ("m3/m3",) and source.tags()["note"] == "simulated"
            layers[name] = source.read(1)
    return layers, pd.read_csv(f"{folder}/target.csv")


def cell_means(layer):
    return np.nanmean(layer.reshape(SMCI.height, 4, SMCI.width, 4), axis=(1, 3))


def test_with_the_papers_options_the_map_is_the_forests(tmp_path):
    forest, _ = study(tmp_path)
    found, _ = run(tmp_path)
    np.testing.assert_array_equal(found["monthly"], forest["mean"])
    np.testing.assert_allclose(found["lower"], forest["lower"], atol=1e-7)
    np.testing.assert_allclose(found["upper"], forest["upper"], atol=1e-7)


def test_wholly_conserved_cell_means_are_smcis_where_it_has_a_value(tmp_path):
    _, product = study(tmp_path)
    found, table = run(tmp_path, conserve=1.0)
    left = cell_means(found["monthly"]) - product
    assert np.nanstd(left) < 0.1 * np.nanstd(product)
    assert table.loc[0, "map RMSE"] == pytest.approx(np.sqrt(np.nanmean(left**2)), abs=2e-4)
    assert np.isnan(found["monthly"]).sum() == 6, "gaps of the forest stay gaps"


def test_half_conserved_goes_half_the_way(tmp_path):
    forest, _ = study(tmp_path)
    whole, half = (run(tmp_path, conserve=w)[0]["monthly"] for w in (1.0, 0.5))
    np.testing.assert_allclose(half, (whole + forest["mean"]) / 2, atol=1e-6)


def test_the_table_says_how_far_forest_and_map_are_from_smci(tmp_path):
    forest, product = study(tmp_path)
    _, table = run(tmp_path, conserve=0.5)
    row = table.iloc[0]
    off = cell_means(forest["mean"]) - product
    assert row["month"] == "2016-07" and row["cells"] == np.isfinite(off).sum()
    assert row["forest RMSE"] == pytest.approx(np.sqrt(np.nanmean(off**2)), rel=1e-6)
    assert row["forest bias"] == pytest.approx(np.nanmean(off), abs=1e-8)
    assert row["map RMSE"] < row["forest RMSE"] and row["map R"] > row["forest R"]


def test_range_then_residual(tmp_path):
    forest, _ = study(tmp_path)
    residual = np.full(CELLS.shape, 0.02, "float32")
    write(f"{tmp_path}/residual.tif", CELLS, {"residual": residual}, {"residual": "m3/m3"})
    curve = [[0.3, 0.4], [0.29, 0.41], [1.2, 1.2]]
    found, _ = run(tmp_path, residual=f"{tmp_path}/residual.tif", curve=curve)
    expected = 0.35 + 1.2 * (forest["mean"].astype(float) - 0.35) + 0.02
    np.testing.assert_allclose(found["monthly"], expected, atol=1e-6)


def test_widths_by_hand():
    layers = np.array([[0.30], [0.26], [0.33]])
    below, above = finish_maps.half_widths(layers, 0.02, 0.5, 0.04)
    assert below[0] == pytest.approx(0.05), "half of 0.06, and 0.04 beside it"
    assert above[0] == pytest.approx(np.hypot(0.025, 0.04))
    narrow, _ = finish_maps.half_widths(layers, -0.1, 1.0, 0.0)
    assert narrow[0] == 0, "an interval never turns round"


def test_only_a_conserved_map_is_held_to_what_a_soil_can_hold(tmp_path, caplog):
    _, product = study(tmp_path)
    product[:] = 0.95
    write(f"{tmp_path}/smci/2016-07.tif", SMCI, {"SMCI": product}, {"SMCI": "m3/m3"})
    with caplog.at_level("INFO", "soil-moisture"):
        found, _ = run(tmp_path, conserve=1.0)
    assert np.nanmax(found["monthly"]) == pytest.approx(0.70)
    assert "24000 cells brought back to 0.02 to 0.7" in caplog.text.replace("23994", "24000")
    found, _ = run(tmp_path, curve=[[0.3, 0.4], [0.5, 0.9], [4.0, 4.0]])
    assert np.nanmax(found["monthly"]) > 0.8


def test_without_smci_the_table_is_empty_and_the_map_there(tmp_path):
    forest, _ = study(tmp_path)
    found, table = run(tmp_path, smci=False, conserve=0.0, added_error=0.01)
    np.testing.assert_array_equal(found["monthly"], forest["mean"])
    assert table.empty
    width = np.hypot(0.05, 1.6449 * 0.01)
    np.testing.assert_allclose((found["monthly"] - found["lower"])[0, 0], width, atol=1e-6)


def test_same_inputs_give_the_same_bytes(tmp_path):
    study(tmp_path)
    files = [tmp_path / name / "2016-07.tif" for name in ("monthly", "lower", "upper")]
    run(tmp_path, conserve=0.5)
    first = [path.read_bytes() for path in files]
    run(tmp_path, conserve=0.5)
    assert [path.read_bytes() for path in files] == first


def test_overviews_show_means_of_the_cells_that_have_a_value(tmp_path):
    study(tmp_path)
    run(tmp_path)
    path = tmp_path / "monthly/2016-07.tif"
    with rasterio.open(path) as source, rasterio.open(path, overview_level=0) as half:
        cells, found = source.read(1), half.read(1)
    fours = cells.reshape(found.shape[0], 2, found.shape[1], 2).transpose(0, 2, 1, 3)
    fours = fours.reshape(*found.shape, 4).astype("float64")
    known = np.isfinite(fours).any(axis=2)
    np.testing.assert_array_equal(np.isfinite(found), known)
    np.testing.assert_allclose(found[known], np.nanmean(fours[known], axis=1), rtol=1e-6)
