"""Simulated elevation and soil, read back as any reader of SRTM and SoilGrids would."""

import numpy as np
import pytest
import rasterio
from rasterio.warp import transform as warp

from _world import build
from simulate_land import bilinear, corner, heights, main, voids

AREA = (101.9, 33.9, 102.1, 34.1)  # touches four one-degree cells
CELLS = ["N33E101", "N33E102", "N34E101", "N34E102"]


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    root = tmp_path_factory.mktemp("land")
    elevation = [str(root / f"{cell}.hgt") for cell in CELLS]
    soil = [str(root / f"{name}_0-5cm_mean.tif") for name in ("sand", "silt", "clay")]
    main(elevation, *soil, AREA, 7, 0.0)
    return root


def raw(path):
    return np.fromfile(path, ">i2").reshape(1201, 1201)


def test_a_cell_has_the_size_of_an_srtm_file(archive):
    for cell in CELLS:
        assert (archive / f"{cell}.hgt").stat().st_size == 2_884_802


def test_neighbours_share_their_edge(archive):
    southwest, southeast, northwest, northeast = (raw(archive / f"{cell}.hgt") for cell in CELLS)
    assert np.array_equal(southwest[:, -1], southeast[:, 0])
    assert np.array_equal(northwest[-1], southwest[0])
    assert np.array_equal(northeast[-1], southeast[0])
    assert not np.array_equal(southwest[:, -2], southeast[:, 0])


def test_gdal_knows_the_place(archive):
    with rasterio.open(archive / "N33E102.hgt") as file:
        assert file.driver == "SRTMHGT"
        assert file.nodata == -32768
        assert file.transform.c == pytest.approx(102 - 1 / 2400)
        assert file.transform.f == pytest.approx(34 + 1 / 2400)


def test_heights_are_those_of_the_world_at_the_sample(archive):
    world = build(AREA, 7, 0.0)
    found = raw(archive / "N33E102.hgt")
    lon, lat = 102 + 60 / 1200, 34 - 60 / 1200
    x, y = world.project.transform(lon, lat)
    row, col = (world.top - y) / (250 / 3) - 0.5, (x - world.left) / (250 / 3) - 0.5
    around = world.elevation[int(row) : int(row) + 2, int(col) : int(col) + 2]
    assert around.min() - 1 <= found[60, 60] <= around.max() + 1


def test_voids_are_few_and_in_the_steepest_places(archive):
    mosaic = np.concatenate([raw(archive / f"{cell}.hgt") for cell in CELLS])
    share = (mosaic == -32768).mean()
    assert 0 < share < 0.001
    data = mosaic[mosaic != -32768]
    assert data.min() > 2000
    world = build(AREA, 7, 0.0)
    south, east = np.gradient(world.elevation, 250 / 3)
    gradient = np.hypot(south, east)
    assert gradient[voids(world)].min() > np.quantile(gradient, 0.999)


def test_bilinear_is_exact_on_a_plane():
    rows, cols = np.indices((6, 5)).astype(float)
    plane = 3 * rows - 2 * cols + 1
    at = np.array([[0.25, 4.5], [3.75, 1.0]])
    assert bilinear(plane, at[0], at[1]) == pytest.approx(3 * at[0] - 2 * at[1] + 1)


@pytest.mark.parametrize(
    ("name", "place"), [("N33E102", (102, 33)), ("S16W071", (-71, -16)), ("N00E006", (6, 0))]
)
def test_name_of_a_cell(name, place):
    assert corner(name) == place


def test_soil_is_grams_per_kilogram_in_homolosine(archive):
    layers = {}
    for name in ("sand", "silt", "clay"):
        with rasterio.open(archive / f"{name}_0-5cm_mean.tif") as file:
            layers[name] = file.read(1).astype(int)
            assert file.dtypes == ("int16",)
            assert file.nodata == -32768
            assert file.res == (250, 250)
            assert file.bounds.left % 250 == file.bounds.top % 250 == 0
            assert "Goode_Homolosine" in file.crs.to_wkt() or "igh" in file.crs.to_proj4()
    masked = layers["sand"] == -32768
    assert all(np.array_equal(layer == -32768, masked) for layer in layers.values())
    assert 0 < masked.mean() < 0.02
    total = sum(layers.values())[~masked]
    assert 995 <= total.min() < 1000 < total.max() <= 1005
    # SoilGrids over Zoige: loam, sand 45 % and clay 18 % in the mean of the simulated world.
    assert np.median(layers["sand"][~masked]) == pytest.approx(450, abs=80)
    assert np.median(layers["clay"][~masked]) == pytest.approx(180, abs=40)


def test_soil_covers_the_area(archive):
    with rasterio.open(archive / "clay_0-5cm_mean.tif") as file:
        west, south, east, north = AREA
        lon, lat = [west, east, east, west], [south, south, north, north]
        x, y = warp("EPSG:4326", file.crs, lon, lat)
        assert file.bounds.left < min(x) - 4000 < max(x) + 4000 < file.bounds.right
        assert file.bounds.bottom < min(y) - 4000 < max(y) + 4000 < file.bounds.top


def test_same_seed_same_heights():
    first, second = (heights(build(AREA, 7, 0.0), "N33E102") for _ in range(2))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, heights(build(AREA, 8, 0.0), "N33E102"))
