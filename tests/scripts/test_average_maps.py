"""Means of the maps: by hand, the half rule, strips, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.crs import CRS
from rasterio.transform import Affine

import average_maps
from _log import UserError
from _raster import BLOCK, Grid, write

CELLS = Grid(CRS.from_epsg(32648), Affine(250, 0, 0, 0, -250, 5e6), 4, BLOCK + 3)
YEARS, SEASON = (2015, 2016, 2017), ("07", "08", "09")
NAN = np.nan
# Rows are years, columns are months: one cell with gaps.
GAPPED = np.array([[0.1, 0.2, 0.6], [0.3, NAN, NAN], [0.5, NAN, 0.7]])


def study(folder, seed=1):
    """Write nine maps; return them (years, months, rows, cols) and the paths."""
    maps = np.random.default_rng(seed).uniform(0.2, 0.5, (3, 3, *CELLS.shape)).astype("float32")
    maps[:, :, BLOCK, 2] = GAPPED
    maps[:, :, 0, 0] = NAN
    paths = []
    for year, months in zip(YEARS, maps, strict=True):
        for month, layer in zip(SEASON, months, strict=True):
            paths.append(f"{folder}/monthly/{year}-{month}.tif")
            write(paths[-1], CELLS, {"soil_moisture": layer}, {"soil_moisture": "m3/m3"})
    return maps.astype("float64"), paths


def run(folder, paths, years=YEARS, season=SEASON, begins=1):
    annual = [f"{folder}/annual/{year}.tif" for year in years]
    climatology = [f"{folder}/climatology/{month}.tif" for month in season]
    average_maps.main(
        paths, annual, climatology, unit="m3/m3", note="simulated", year_begins=begins
    )
    return annual, climatology


def test_a_hydrological_year_is_that_in_which_it_ends(tmp_path):
    maps, paths = study(tmp_path)
    annual, _ = run(tmp_path, paths, years=("2016", "2017"), begins=9)
    # Months are July, August, September; September counts for the year after it.
    for number, path in enumerate(annual):
        given = np.stack([maps[number, 2], *maps[number + 1, :2]])
        known = np.isfinite(given).sum(axis=0)
        expected = np.where(2 * known >= 3, np.nansum(given, 0) / np.maximum(known, 1), NAN)
        np.testing.assert_allclose(layer_of(path), expected, rtol=1e-6)


def layer_of(path):
    with rasterio.open(path) as source:
        assert source.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert source.units == ("m3/m3",) and source.tags()["note"] == "simulated"
        return source.read(1)


def test_means_of_years_and_of_calendar_months(tmp_path, caplog):
    maps, paths = study(tmp_path)
    with caplog.at_level("INFO", "soil-moisture"):
        annual, climatology = run(tmp_path, paths)
    for axis, files in ((1, annual), (0, climatology)):
        for number, path in enumerate(files):
            layer, expected = layer_of(path), maps.mean(axis=axis)[number]
            plain = np.isfinite(expected)
            np.testing.assert_allclose(layer[plain], expected[plain], rtol=1e-6)
            assert np.isnan(layer[0, 0])
    found = [float(layer_of(path)[BLOCK, 2]) for path in (*annual, *climatology)]
    # One of three months is no season; two of three are; July has three years, August one.
    assert found == pytest.approx([0.3, NAN, 0.6, 0.3, NAN, 0.65], nan_ok=True)
    said = [text for text in caplog.messages if text.startswith(("2016", "08", "2015"))]
    full = CELLS.width * CELLS.height - 1
    assert said == [
        f"2015: mean of 3 months in {full} cells; 0 cells have fewer than half of them",
        f"2016: mean of 3 months in {full - 1} cells; 1 cells have fewer than half of them",
        f"08: mean of 3 months in {full - 1} cells; 1 cells have fewer than half of them",
    ]


def test_exactly_half_is_enough():
    mean = average_maps.Mean((3,))
    for layer in ([1, NAN, NAN], [3, 5, NAN], [NAN, 7, NAN], [NAN, NAN, 9]):
        mean.add(np.array(layer, "float64"))
    np.testing.assert_array_equal(mean.value(), [2, 6, NAN])
    assert mean.lost() == 1


def test_same_inputs_give_the_same_bytes(tmp_path):
    _, paths = study(tmp_path)
    files = [path for named in run(tmp_path, paths) for path in named]
    first = [Path(path).read_bytes() for path in files]
    run(tmp_path, paths)
    assert [Path(path).read_bytes() for path in files] == first


def test_a_year_without_maps_is_named(tmp_path):
    _, paths = study(tmp_path)
    with pytest.raises(UserError, match=r"annual/2020\.tif: expected a map named YYYY-MM\.tif of"):
        run(tmp_path, paths, years=(2020,))


def test_maps_on_other_cells_are_refused(tmp_path):
    _, paths = study(tmp_path)
    other = Grid(CELLS.crs, CELLS.transform, 5, 5)
    write(paths[3], other, {"soil_moisture": np.ones((5, 5))}, {"soil_moisture": "m3/m3"})
    with pytest.raises(UserError, match=r"2016-07\.tif: expected the cells of .*2015-07\.tif"):
        run(tmp_path, paths)
