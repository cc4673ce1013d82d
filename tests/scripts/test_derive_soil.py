"""Texture and water capacity: E1, closure, the nearest native cell, units that are not g/kg."""

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Transformer
from rasterio.transform import Affine

import define_grid
import derive_soil
from _log import UserError
from _raster import inside, lonlat, read
from conftest import SHARED
from derive_soil import available_water, check_unit, closed, nearest

HOMOLOSINE = "+proj=igh +lon_0=0 +datum=WGS84 +units=m +no_defs"
AEA = "+proj=aea +lat_1=28 +lat_2=36 +lat_0=0 +lon_0=101 +datum=WGS84 +units=m +no_defs"
BOX = [102.0, 33.6, 102.1, 33.7]
PARTS = ("sand", "silt", "clay")


def window(folder, name, values, crs=HOMOLOSINE, size=250, nodata=-32768):
    """Write a window of whole numbers around BOX in the way SoilGrids is delivered."""
    x, y = Transformer.from_crs(4326, crs or HOMOLOSINE, always_xy=True).transform(102.05, 33.65)
    left, top = (round((edge + shift) / size) * size for edge, shift in ((x, -9000), (y, 9000)))
    height, width = values.shape
    path = folder / f"{name}.tif"
    with rasterio.open(
        path, "w", driver="GTiff", count=1, dtype="int16", nodata=nodata, crs=crs,
        width=width, height=height, transform=Affine(size, 0, left, 0, -size, top),
    ) as file:  # fmt: skip
        file.write(values.astype("int16"), 1)
    return str(path)


def run(folder, sand, silt, clay, awc="clip", box=BOX, crs=AEA):
    grid, coordinates, out = (str(folder / f"{n}.tif") for n in ("grid", "lonlat", "soil"))
    define_grid.main((), grid, coordinates, box, crs, 250)
    derive_soil.main(sand, silt, clay, grid, coordinates, out, awc)
    return inside(grid), {band: read(out, band) for band in (*PARTS, "AWC")}


def uniform(folder, *parts):
    return [window(folder, n, np.full((80, 80), p)) for n, p in zip(PARTS, parts, strict=True)]


@pytest.mark.parametrize(
    ("sand", "clay", "water"), [(100, 0, 2.7), (0, 0, 40.7), (0, 100, -22.3), (40, 20, 12.9)]
)
def test_corners_of_the_texture_triangle(sand, clay, water):
    assert available_water(sand, clay) == pytest.approx(water)


def test_correlations_that_follow_from_closure():
    # D1: with corr(sand, silt) = -0.93 and corr(sand, clay) = -0.73 the rest is fixed.
    draw = np.random.default_rng(1).standard_normal((2, 200_000))
    sand = draw[0]
    clay = 0.407 * (-0.73 * sand + np.sqrt(1 - 0.73**2) * draw[1])
    silt = -sand - clay
    water = available_water(40 + 8 * sand, 20 + 8 * clay)
    found = np.corrcoef([sand, silt, clay, water]).round(2)
    assert np.std(silt) / np.std(sand) == pytest.approx(0.756, abs=0.01)
    assert found[0, 1] == pytest.approx(-0.93, abs=0.01)
    assert found[1, 2] == pytest.approx(0.43, abs=0.02)
    assert found[3, :3] == pytest.approx([-0.74, 0.94, 0.08], abs=0.03)


@given(st.lists(st.integers(1, 1000), min_size=3, max_size=3))
def test_texture_closes_and_keeps_its_ratios(parts):
    found = closed(np.array(parts, dtype=float)[:, None])[:, 0]
    assert found.sum() == pytest.approx(100)
    assert found[0] * parts[1] == pytest.approx(found[1] * parts[0])


def test_grams_per_kilogram_become_percent(tmp_path):
    area, soil = run(tmp_path, *uniform(tmp_path, 400, 400, 200))
    for band, value in (("sand", 40), ("silt", 40), ("clay", 20), ("AWC", 12.9)):
        assert soil[band][area] == pytest.approx(value, abs=1e-4)
        assert np.isnan(soil[band][~area]).all()


def test_parts_that_do_not_close_are_scaled_and_counted(tmp_path, caplog):
    sand = np.full((80, 80), 400)
    sand[:, 40:] = 520  # 1120 g/kg: 12 % too much
    files = uniform(tmp_path, 400, 400, 200)
    files[0] = window(tmp_path, "sand", sand)
    with caplog.at_level("INFO", "soil-moisture"):
        area, soil = run(tmp_path, *files)
    total = sum(soil[part] for part in PARTS)
    assert total[area] == pytest.approx(100, abs=1e-4)
    counted = np.count_nonzero(soil["sand"][area] > 41)
    assert 0 < counted < area.sum()
    assert any(m.startswith(f"{counted} cells miss 100 % by more") for m in caplog.messages)


def test_sums_too_small_and_too_large_miss():
    assert derive_soil.misses(np.array([949.0, 950, 1000, 1050, 1051])) == 2


@pytest.mark.parametrize(("awc", "value"), [("clip", 0.0), ("raw", -22.3)])
def test_heavy_clay_is_clipped_and_counted(tmp_path, caplog, awc, value):
    with caplog.at_level("INFO", "soil-moisture"):
        area, soil = run(tmp_path, *uniform(tmp_path, 0, 0, 1000), awc)
    assert soil["AWC"][area] == pytest.approx(value, abs=1e-4)
    assert caplog.messages[-1].startswith(f"{area.sum()} cells have a negative AWC")


def test_masked_cells_stay_missing(tmp_path, caplog):
    files = uniform(tmp_path, 400, 400, 200)
    silt = np.full((80, 80), 400)
    silt[:, :36] = -32768
    files[1] = window(tmp_path, "silt", silt)
    for number, part in enumerate(PARTS):  # a lake: all three are 0
        values = rasterio.open(files[number]).read(1)
        values[:20, 60:] = 0
        files[number] = window(tmp_path, part, values)
    with caplog.at_level("INFO", "soil-moisture"):
        area, soil = run(tmp_path, *files)
    gone = area & np.isnan(soil["sand"])
    assert 0 < gone.sum() < area.sum()
    for band in (*PARTS, "AWC"):
        np.testing.assert_array_equal(area & np.isnan(soil[band]), gone)
    assert f"{gone.sum()} of {area.sum()} cells of the area have no texture" in caplog.messages


def test_every_cell_takes_the_native_cell_under_its_centre(tmp_path):
    numbers = np.arange(6400).reshape(80, 80)
    path = window(tmp_path, "sand", numbers)
    grid, coordinates = str(tmp_path / "grid.tif"), str(tmp_path / "lonlat.tif")
    define_grid.main((), grid, coordinates, BOX, AEA, 250)
    longitude, latitude = lonlat(coordinates)
    with rasterio.open(path) as file:
        to_file = Transformer.from_crs(4326, HOMOLOSINE, always_xy=True)
        points = zip(*(v.ravel() for v in to_file.transform(longitude, latitude)), strict=True)
        expected = [value[0] for value in file.sample(points)]
    np.testing.assert_array_equal(nearest(path, longitude, latitude).ravel(), expected)


def test_points_outside_the_file_have_no_value(tmp_path):
    path = window(tmp_path, "sand", np.full((80, 80), 400))
    found = nearest(path, np.array([102.05, 120.0, -60.0]), np.array([33.65, 33.65, -20.0]))
    assert found.tolist()[0] == 400
    assert np.isnan(found[1:]).all()


def test_files_on_different_grids_are_read_each_on_its_own(tmp_path):
    files = uniform(tmp_path, 400, 400, 200)
    files[2] = window(tmp_path, "clay", np.full((120, 120), 200), crs="EPSG:32648", size=200)
    area, soil = run(tmp_path, *files)
    assert soil["clay"][area] == pytest.approx(20, abs=1e-4)


# --- what is refused ---


def test_percent_is_not_taken_for_grams_per_kilogram(tmp_path):
    files = [SHARED / "soilgrids" / f"bungo_{part}_0-5cm_mean.tif" for part in PARTS]
    if not all(path.exists() for path in files):
        pytest.skip(f"real files are not here: {files[0]}")
    with pytest.raises(UserError, match=r"950 to 1050 g/kg, found 100\.0.*percent already.*by 10"):
        run(tmp_path, *map(str, files), box=[102.0, -1.6, 102.2, -1.4], crs="EPSG:32748")
    assert not (tmp_path / "soil.tif").exists()


def test_another_unit_is_named():
    with pytest.raises(UserError, match=r"^a, b, c: expected a median sum.*found 1\.0\. Deliver"):
        check_unit(np.ones(5), "a, b, c")


def test_a_few_odd_cells_do_not_matter():
    check_unit(np.array([1000, 1000, 1003, 0, 4000]), "")


def test_files_of_another_place_are_named(tmp_path):
    files = uniform(tmp_path, 400, 400, 200)
    with pytest.raises(UserError, match=r"found no cell with all three.*cover area\.box"):
        run(tmp_path, *files, box=[110.0, 33.6, 110.1, 33.7])


def test_a_file_without_crs_is_named(tmp_path):
    files = uniform(tmp_path, 400, 400, 200)
    files[0] = window(tmp_path, "sand", np.full((80, 80), 400), crs=None)
    with pytest.raises(UserError, match=r"sand\.tif: expected a coordinate reference.*gdal_edit"):
        run(tmp_path, *files)
