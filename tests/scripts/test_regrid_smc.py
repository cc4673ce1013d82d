"""SMC on the grid: the cell that contains the centre, or its neighbours too."""

import logging

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pyproj import Transformer
from rasterio.crs import CRS
from rasterio.transform import Affine
from scipy.ndimage import map_coordinates

import regrid_smc
from _log import UserError
from _raster import Grid, created, read
from regrid_smc import bilinear, month_in, nearest, valid

PROJ = "+proj=aea +lat_1=28 +lat_2=36 +lat_0=0 +lon_0=101 +datum=WGS84 +units=m +no_defs"
GRID = Grid(CRS.from_string(PROJ), Affine(250, 0, 100000, 0, -250, 3570000), 60, 80)


@pytest.mark.parametrize(
    ("name", "month"),
    [
        ("SMC_201006.tif", "2010-06"),
        ("smc-2010-06.tif", "2010-06"),
        ("2010_06_china.tif", "2010-06"),
        ("SMC_0.05_201812.tif", "2018-12"),
    ],
)
def test_month_is_found_in_the_name(name, month):
    assert month_in(f"resources/raw/smc/{name}") == month


@pytest.mark.parametrize("name", ["SMC.tif", "SMC_201013.tif", "SMC_20100615.tif"])
def test_a_name_without_a_month_is_refused(name):
    with pytest.raises(UserError, match=f"{name}: expected a month as YYYYMM"):
        month_in(name)


def test_zero_and_nodata_are_missing_and_percent_is_refused():
    assert valid(np.array([0.3, 0.0, -0.1, np.nan]), "a.tif") == pytest.approx(
        [0.3, np.nan, np.nan, np.nan], nan_ok=True
    )
    with pytest.raises(UserError, match=r"a.tif: expected m3/m3, found values up to 31"):
        valid(np.array([0.3, 31.0]), "a.tif")


def test_two_months_in_a_name_are_refused():
    with pytest.raises(UserError, match=r"in the name, found two. Rename the file"):
        month_in("SMC_201006_made_201907.tif")


@pytest.mark.parametrize(
    ("layer", "scale", "said"),
    [
        (
            [0.3, 31.0],
            1,
            r"values up to 31 after .*smc.scale \(1\)\. .*percent, set smc.scale: 0.01",
        ),
        ([0.3, 65535], 1, r"up to 6.554e\+04 .* missing cell, set smc.nodata"),
        ([310, 2000], 0.001, r"up to 2 after multiplication with smc.scale \(0.001\)"),
        ([0.003, 0.004, 0.3], 1, r"median of 0.02 to 0.8, found 0.004 .* Correct smc.scale"),
        ([0.99, 0.99, 0.3], 1, r"median of 0.02 to 0.8, found 0.99 .* or smc.nodata"),
    ],
)
def test_numbers_that_are_not_m3_per_m3_are_refused(layer, scale, said):
    with pytest.raises(UserError, match=f"a.tif: expected m3/m3.*{said}"):
        valid(np.array(layer, float), "a.tif", scale)


@pytest.mark.parametrize("layer", [[np.nan], [0.0, np.nan], [-1.0]])
def test_a_layer_without_values_has_no_median_to_judge(layer):
    assert np.isnan(valid(np.array(layer), "a.tif")).all()


def test_nearest_takes_the_cell_around_the_position():
    layer = np.arange(6.0).reshape(2, 3)
    row, col = np.array([0.0, 0.99, 1.0, 1.5, -0.01, 2.0]), np.array([0.0, 0.99, 2.99, 0, 1, 1])
    expected = [0, 0, 5, 3, np.nan, np.nan]
    assert nearest(layer, row, col) == pytest.approx(expected, nan_ok=True)


def test_bilinear_agrees_with_scipy_between_centres():
    random = np.random.default_rng(1)
    layer = random.random((7, 9))
    row, col = random.uniform(0.5, 6.5, 200), random.uniform(0.5, 8.5, 200)
    reference = map_coordinates(layer, [row - 0.5, col - 0.5], order=1)
    assert bilinear(layer, row, col) == pytest.approx(reference, abs=1e-12)


def test_missing_neighbours_pass_their_weight_on_by_hand():
    layer = np.array([[1.0, np.nan], [3.0, 4.0]])
    # A quarter of the way to the right and down: weights 9, 3, 3, 1 of 16.
    found = bilinear(layer, np.array([0.75]), np.array([0.75]))
    assert found == pytest.approx([(9 * 1 + 3 * 3 + 1 * 4) / 13])
    assert np.isnan(bilinear(layer, np.array([0.5]), np.array([1.5])))[0]


@given(arrays(float, (3, 4), elements=st.floats(0.01, 1)), st.floats(0, 2.999), st.floats(0, 3.999))
def test_bilinear_stays_between_the_extremes(layer, row, col):
    found = bilinear(layer, np.array([row]), np.array([col]))[0]
    assert layer.min() - 1e-12 <= found <= layer.max() + 1e-12


@pytest.fixture
def study(tmp_path):
    """A grid without its last row, and a month of SMC in 0.05 degree cells with two gaps."""
    lon, lat = Transformer.from_crs(PROJ, "EPSG:4326", always_xy=True).transform(*GRID.centres())
    with created(
        tmp_path / "lonlat.tif", GRID, dict.fromkeys(("longitude", "latitude"), "degree"), "float64"
    ) as target:
        target.write(np.stack([lon, lat]))
    area = np.ones(GRID.shape, "uint8")
    area[-1] = 0
    with created(tmp_path / "grid.tif", GRID, {"inside": "1"}, "uint8", 255) as target:
        target.write(area, 1)
    values = np.random.default_rng(2).uniform(0.2, 0.5, (40, 40)).astype("float32")
    corner = (round(lon.mean(), 1) - 1, round(lat.mean(), 1) + 1)
    delivered(tmp_path / "SMC_201006.tif", values, corner)
    return tmp_path, lon, lat, values, corner


def delivered(path, values, corner, crs="EPSG:4326", dtype="float32", nodata=-9999):
    profile = dict(driver="GTiff", height=40, width=40, count=1, dtype=dtype, nodata=nodata)
    transform = Affine(0.05, 0, corner[0], 0, -0.05, corner[1])
    with rasterio.open(path, "w", crs=crs, transform=transform, **profile) as target:
        target.write(values, 1)


def run(folder, resampling="nearest", months=("2010-06",), **stored):
    files = [str(path) for path in sorted(folder.glob("SMC_*.tif"))]
    out = [str(folder / "smc" / f"{month}.tif") for month in months]
    names = [str(folder / name) for name in ("grid.tif", "lonlat.tif")]
    regrid_smc.main(files, out, *names, resampling, **stored)
    return out[0]


def test_every_cell_takes_the_smc_cell_that_contains_its_centre(study):
    folder, lon, lat, values, corner = study
    found = read(run(folder), "SMC")
    row = np.floor((corner[1] - lat) / 0.05).astype(int)
    col = np.floor((lon - corner[0]) / 0.05).astype(int)
    assert np.array_equal(found[:-1], values[row, col][:-1].astype(float))
    assert np.isnan(found[-1]).all()


def test_bilinear_has_no_blocks_but_the_same_mean(study):
    folder = study[0]
    nearest_steps = np.diff(read(run(folder, "nearest"))[:-1], axis=1)
    smooth = np.diff(read(run(folder, "bilinear"))[:-1], axis=1)
    assert (nearest_steps == 0).mean() > 0.9
    assert np.abs(smooth).max() < np.abs(nearest_steps).max() / 5


def test_gaps_are_missing_and_counted(study, caplog):
    folder, lon, lat, values, corner = study
    row, col = int((corner[1] - lat[20, 20]) / 0.05), int((lon[20, 20] - corner[0]) / 0.05)
    values[row, col], values[row, col + 1] = -9999, 0
    delivered(folder / "SMC_201006.tif", values, corner)
    with caplog.at_level(logging.INFO):
        found = read(run(folder))
    assert np.isnan(found[20, 20])
    gaps = np.isnan(found[:-1]).sum()
    assert gaps > 100
    assert f"2010-06: {gaps} of {79 * 60} cells have no SMC" in caplog.text


@pytest.mark.parametrize(
    ("dtype", "scale", "missing", "nodata"),
    [
        ("uint16", 0.001, 65535, 65535),
        ("int16", 0.0001, -9999, -9999.0),
        ("float32", 0.01, np.finfo("float32").max, 3.4028235e38),
        ("float32", 1, np.finfo("float32").min, None),
    ],
)
def test_stored_numbers_are_scaled_and_untagged_gaps_are_missing(
    study, dtype, scale, missing, nodata
):
    folder, _, _, values, corner = study
    expected = read(run(folder))
    coded = (values / scale).round() if dtype != "float32" else values / scale
    coded[values < 0.25] = missing
    delivered(folder / "SMC_201006.tif", coded.astype(dtype), corner, dtype=dtype, nodata=None)
    found = read(run(folder, scale=scale, nodata=nodata))
    assert (np.isnan(found) == (np.isnan(expected) | (expected < 0.25))).all()
    there = np.isfinite(found)
    assert there.any() and found[there] == pytest.approx(expected[there], abs=scale)


def test_the_nodata_value_of_the_file_counts_before_that_of_the_config(study):
    folder, _, _, values, corner = study
    values[values < 0.25] = 0.5
    delivered(folder / "SMC_201006.tif", values, corner)
    assert np.isfinite(read(run(folder, nodata=0.5))[:-1]).all()


def test_an_untagged_gap_that_the_config_does_not_name_is_refused(study):
    folder, _, _, values, corner = study
    values[3, 3] = 9999
    delivered(folder / "SMC_201006.tif", values, corner, nodata=None)
    with pytest.raises(UserError, match=r"SMC_201006.tif: .* up to 9999 .* set smc.nodata"):
        run(folder)
    assert not (folder / "smc" / "2010-06.tif").exists()


def test_a_missing_month_is_named(study):
    with pytest.raises(UserError, match="expected a file of 2010-07, found 2010-06"):
        run(study[0], months=["2010-07"])


def test_a_file_of_another_region_is_refused(study):
    folder, _, _, values, _ = study
    delivered(folder / "SMC_201006.tif", values, (10.0, 50.0))
    with pytest.raises(UserError, match="found no valid cell there"):
        run(folder)
    assert not (folder / "smc" / "2010-06.tif").exists()


def test_a_projected_file_is_refused(study):
    folder, _, _, values, corner = study
    delivered(folder / "SMC_201006.tif", values, corner, "EPSG:32647")
    with pytest.raises(UserError, match=r"expected longitude and latitude .* found EPSG:32647"):
        run(folder)
