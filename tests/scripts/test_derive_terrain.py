"""Slope and aspect against GDAL and against planes; voids, seams, files that are no tiles."""

import shutil
import subprocess
import zipfile

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Transformer

import define_grid
import derive_terrain
from _log import UserError
from _raster import Grid, inside, read
from conftest import SHARED
from derive_terrain import VOID, Mosaic, aggregated, bilinear, corner, direction, gradient, heights

UTM = "EPSG:32632"
ALPS = [6.9, 43.62, 7.1, 43.8]  # over the seam of the two tiles


def tile(folder, name, samples):
    path = folder / f"{name}.hgt"
    path.write_bytes(samples.astype(">i2").tobytes())
    return str(path)


def real(name):
    path = SHARED / "dem" / name
    if not path.exists():
        pytest.skip(f"real files are not here: {path}")
    return path


def run(folder, elevation, box, crs=UTM, cell=250, size=90, aggregate="mean", lattice=None):
    grid, coordinates, out = (str(folder / f"{n}.tif") for n in ("grid", "lonlat", "terrain"))
    define_grid.main((), grid, coordinates, box, crs, cell)
    derive_terrain.main(elevation, grid, out, lattice or crs, size, aggregate)
    return (
        inside(grid),
        {band: read(out, band) for band in ("DEM", "slope", "aspect")},
        Grid.of(out),
    )


def plane(south, west, east_rise, north_rise, crs, at):
    """Samples of a tile that is a plane in metres of `crs`, 3000 m high at the point `at`."""
    lon, lat = np.meshgrid(west + np.arange(1201) / 1200, south + 1 - np.arange(1201) / 1200)
    to_metres = Transformer.from_crs(4326, crs, always_xy=True)
    (x, y), (x0, y0) = to_metres.transform(lon, lat), to_metres.transform(*at)
    samples = np.rint(3000 + east_rise * (x - x0) + north_rise * (y - y0))
    assert samples.min() > -500
    assert samples.max() < 9000
    return samples


# --- against GDAL ---


@pytest.fixture(scope="module")
def alps(tmp_path_factory):
    """Elevation, slope and aspect of the real tiles on 90 m cells (as `nearest` sees them)."""
    tiles = [str(real(f"{name}.hgt")) for name in ("N43E006", "N43E007")]
    folder = tmp_path_factory.mktemp("alps")
    area, bands, grid = run(folder, tiles, ALPS, cell=90, aggregate="nearest")
    return folder, area, bands, grid


def gdaldem(what, folder):
    if not shutil.which("gdaldem"):
        pytest.skip("gdaldem is not installed")
    with rasterio.open(folder / "terrain.tif") as file, rasterio.open(
        folder / "dem.tif", "w", driver="GTiff", count=1, dtype="float64", nodata=-9999,
        width=file.width, height=file.height, crs=file.crs, transform=file.transform,
    ) as dem:  # fmt: skip
        layer = file.read(1).astype("float64")
        dem.write(np.where(np.isnan(layer), -9999, layer), 1)
    subprocess.run(["gdaldem", what, "dem.tif", f"{what}.tif", "-q"], cwd=folder, check=True)
    return read(folder / f"{what}.tif")


def test_slope_is_that_of_gdal(alps):
    folder, _, bands, _ = alps
    expected = gdaldem("slope", folder)
    both = np.isfinite(expected) & np.isfinite(bands["slope"])
    assert both.mean() > 0.8
    np.testing.assert_allclose(bands["slope"][both], expected[both], atol=2e-3)


def test_aspect_is_that_of_gdal(alps):
    folder, _, bands, _ = alps
    expected = gdaldem("aspect", folder)
    both = np.isfinite(expected) & (bands["slope"] > 1)
    turned = (bands["aspect"] - expected + 180) % 360 - 180
    assert both.mean() > 0.5
    assert np.abs(turned[both]).max() < 0.1


def test_elevation_is_that_of_gdal_and_of_the_maps(alps):
    _, area, bands, grid = alps
    with rasterio.open(real("N43E006.hgt")) as file:
        to_degrees = Transformer.from_crs(grid.crs, 4326, always_xy=True)
        lon, lat = to_degrees.transform(*grid.centres())
        west = area & (lon < 6.99)
        row, col = (np.round(v) for v in ((44 - lat) * 1200, (lon - 6) * 1200))
        sample = file.read(1)[row.astype(int)[west], col.astype(int)[west]]
    # The nearest sample is at most 65 m away; steep ground differs by what it rises on the way.
    near = np.abs(bands["DEM"][west] - sample)
    assert np.median(near) < 5
    assert np.abs(np.mean(bands["DEM"][west] - sample)) < 0.2


# --- tiles and their seams ---


def test_neighbours_share_one_column():
    names = ("N43E006", "N43E007")
    west, east = (heights(real(f"{n}.hgt").read_bytes(), n) for n in names)
    joined = Mosaic.of({corner(n): t for n, t in zip(names, (west, east), strict=True)})
    assert joined.samples.shape == (1201, 2401)
    # These two old tiles disagree by up to 174 m where they meet: the later one holds.
    np.testing.assert_array_equal(joined.samples[:, :1200], west[:, :1200])
    np.testing.assert_array_equal(joined.samples[:, 1200:], east)
    assert (joined.north, joined.west, joined.per_degree) == (44.0, 6.0, 1200)


def test_no_step_at_the_seam(tmp_path):
    # One plane over two tiles: its slope must not change where they meet.
    at, rise = (102.0, 33.5), 0.03
    aea = "+proj=aea +lat_1=28 +lat_2=36 +lon_0=101 +datum=WGS84 +units=m"
    tiles = [
        tile(tmp_path, name, plane(33, west, rise, 0, aea, at))
        for name, west in (("N33E101", 101), ("N33E102", 102))
    ]
    area, bands, _ = run(tmp_path, tiles, [101.95, 33.4, 102.05, 33.6], crs=aea)
    assert np.isfinite(bands["slope"][area]).all()
    assert np.ptp(bands["slope"][area]) < 0.6
    assert bands["slope"][area].mean() == pytest.approx(np.degrees(np.arctan(rise)), abs=0.02)
    assert bands["aspect"][area] == pytest.approx(270, abs=6)
    assert np.isnan(bands["DEM"][~area]).all()


def test_an_area_that_ends_on_a_whole_degree_has_no_rim(tmp_path):
    aea = "+proj=aea +lat_1=28 +lat_2=36 +lon_0=101 +datum=WGS84 +units=m"
    path = tile(tmp_path, "N33E102", plane(33, 102, 0.04, 0.02, aea, (102.2, 33.8)))
    for aggregate in ("mean", "nearest"):
        area, bands, _ = run(tmp_path, [path], [102, 33.6, 102.3, 34], aea, aggregate=aggregate)
        expected = np.degrees(np.arctan(np.hypot(0.04, 0.02)))
        assert bands["slope"][area] == pytest.approx(expected, abs=0.7)
        assert np.isfinite(bands["aspect"][area]).all()


def test_the_lattice_does_not_depend_on_the_blocks(tmp_path, monkeypatch):
    tiles = [str(real(f"{name}.hgt")) for name in ("N43E006", "N43E007")]
    _, once, _ = run(tmp_path, tiles, ALPS)
    monkeypatch.setattr(derive_terrain, "ROWS", 7)
    _, again, _ = run(tmp_path, tiles, ALPS)
    for band in once:
        np.testing.assert_array_equal(once[band], again[band])


@pytest.mark.parametrize("aggregate", ["nearest", "mean"])
def test_map_cells_take_the_fine_cells_under_them(tmp_path, aggregate):
    # On a plane a fine cell beside the right one is off by 2.7 or 3.6 m.
    samples = plane(43, 6, 0.03, 0.04, UTM, (6.5, 43.5))
    x0, y0 = Transformer.from_crs(4326, UTM, always_xy=True).transform(6.5, 43.5)
    box = [6.5, 43.5, 6.52, 43.52]
    area, bands, grid = run(
        tmp_path, [tile(tmp_path, "N43E006", samples)], box, aggregate=aggregate
    )

    def along(centres):
        if aggregate == "nearest":
            return (np.floor(centres / 90) + 0.5) * 90
        fine = (np.arange(centres.min() // 90 - 3, centres.max() // 90 + 4) + 0.5) * 90
        under = (fine >= centres[:, None] - 125) & (fine < centres[:, None] + 125)
        return (under * fine).sum(axis=1) / under.sum(axis=1)

    x, y = grid.centres()
    expected = 3000 + 0.03 * (along(x[0]) - x0) + 0.04 * (along(y[:, 0]) - y0)[:, None]
    assert np.abs(bands["DEM"] - expected)[area].max() < 1.0  # samples are whole metres


def test_another_lattice_crs_changes_little(tmp_path):
    tiles = [str(real(f"{name}.hgt")) for name in ("N43E006", "N43E007")]
    area, once, _ = run(tmp_path, tiles, ALPS)
    laea = "+proj=laea +lat_0=43.7 +lon_0=7 +datum=WGS84 +units=m"
    _, other, _ = run(tmp_path, tiles, ALPS, lattice=laea)
    assert np.isfinite(other["slope"][area]).all()
    assert np.median(np.abs(once["slope"] - other["slope"])[area]) < 0.5


# --- voids ---


def test_voids_of_a_real_tile_never_become_cliffs(tmp_path):
    with zipfile.ZipFile(real("S16E166v2.3a.hgt.zip")) as archive:
        archive.extractall(tmp_path)
    path = str(tmp_path / "S16E166.hgt")
    samples = heights((tmp_path / "S16E166.hgt").read_bytes(), path)
    rows, cols = np.nonzero(samples == VOID)
    lat, lon = -15 - rows / 1200, 166 + cols / 1200
    middle = len(lat) // 2
    box = [lon[middle] - 0.05, lat[middle] - 0.05, lon[middle] + 0.05, lat[middle] + 0.05]
    area, bands, grid = run(tmp_path, [path], box, "EPSG:32758", cell=90, aggregate="nearest")
    known = samples[samples != VOID]
    assert np.nanmin(bands["DEM"]) >= known.min()
    assert np.nanmax(bands["slope"]) < 80
    there = Transformer.from_crs(4326, grid.crs, always_xy=True)
    col, row = ~grid.transform @ there.transform(lon[middle], lat[middle])
    assert area[int(row), int(col)]
    assert np.isnan(bands["DEM"][int(row), int(col)])
    assert np.isnan(bands["slope"][int(row), int(col)])


def test_a_void_at_the_seam_is_filled_by_the_neighbour():
    west, east = (np.full((1201, 1201), 500, "int16") for _ in range(2))
    west[10, -1] = VOID
    west[20, 20] = VOID
    east[30, 0] = VOID
    samples = Mosaic.of({(33, 101): west, (33, 102): east}).samples
    assert samples[10, 1200] == samples[30, 1200] == 500
    assert samples[20, 20] == VOID


def test_bilinear():
    samples = np.array([[0, 10, 20], [100, 110, 120], [200, 210, VOID]], dtype="int16")
    row, col = np.array([0.5, 0.25, 1.5, 0.0, -2.0, -4.0]), np.array([0.5, 1.5, 1.5, 0.0, 0.5, 0.5])
    found = bilinear(samples, row, col)
    np.testing.assert_allclose(found, [55, 40, np.nan, 0, -195, np.nan])


# --- formulas ---


@given(st.floats(-2, 2), st.floats(-2, 2), st.floats(10, 500))
def test_the_gradient_of_a_plane_is_exact(east, north, size):
    x, y = np.meshgrid(np.arange(5) * size, -np.arange(4) * size)
    found = gradient(1000 + east * x + north * y, size)
    assert found[0].shape == (2, 3)
    np.testing.assert_allclose(found[0], east, atol=1e-9)
    np.testing.assert_allclose(found[1], north, atol=1e-9)


def test_compass():
    east, north = np.array([0.0, 1, 0, -1, 0, -1e-300]), np.array([1.0, 0, -1, 0, 0, 1])
    assert direction(east, north).tolist() == [0, 90, 180, 270, 0, 0]


def one_cell(east, north, height=100.0):
    count = len(east)
    return aggregated(
        np.zeros(count, int), 1, np.full(count, height), np.array(east), np.array(north)
    )[:, 0]


def test_directions_around_north_do_not_average_to_south():
    # Ground that falls to 350 and to 10 degrees faces north.
    angles = np.radians([350, 10])
    _, slope, aspect = one_cell(-0.2 * np.sin(angles), -0.2 * np.cos(angles))
    assert min(aspect, 360 - aspect) < 1e-4
    assert slope == pytest.approx(np.degrees(np.arctan(0.2)))


def test_steep_ground_decides_the_direction():
    # 30 degrees of slope to the east, 10 to the north: the sum of the two vectors.
    _, slope, aspect = one_cell([-np.tan(np.radians(30)), 0.0], [0.0, -np.tan(np.radians(10))])
    assert slope == pytest.approx(20)
    assert aspect == pytest.approx(np.degrees(np.arctan2(30, 10)), abs=1e-4)


def test_flat_ground_has_no_say_next_to_steep_ground():
    _, _, aspect = one_cell([-0.2, 0.005, 0.005], [0.0, 0.0, 0.0])
    assert aspect == pytest.approx(90)


def test_flat_cells_face_where_they_fall_on_average():
    _, slope, aspect = one_cell([0.0, 0.0], [-0.004, -0.002])
    assert slope < 0.5
    assert aspect == 0
    assert one_cell([0.0], [0.004])[2] == pytest.approx(180)
    assert one_cell([0.0, 0.0], [0.0, 0.0]).tolist() == [100, 0, 0]


def test_fine_cells_without_a_value_count_for_nothing():
    height, slope, aspect = aggregated(
        np.array([0, 0, 1, 2]), 2,
        np.array([100.0, np.nan, np.nan, 7]),
        np.array([-0.1, np.nan, np.nan, 1]),
        np.array([0.0, np.nan, np.nan, 1]),
    )  # fmt: skip
    assert (height[0], aspect[0]) == (100, pytest.approx(90))
    assert slope[0] == pytest.approx(np.degrees(np.arctan(0.1)))
    assert np.isnan([height[1], slope[1], aspect[1]]).all()


def test_height_next_to_a_void_counts_although_its_slope_is_unknown():
    height, slope, _ = aggregated(
        np.array([0, 0]), 1,
        np.array([100.0, 300.0]), np.array([-0.1, np.nan]), np.array([0.0, np.nan]),
    )  # fmt: skip
    assert height[0] == 200
    assert slope[0] == pytest.approx(np.degrees(np.arctan(0.1)))


# --- what is refused ---


def test_a_file_of_another_size_is_named():
    with pytest.raises(
        UserError, match=r"N33E102\.hgt: expected 2884802 bytes.*found 1000\. Unpack"
    ):
        heights(b"x" * 1000, "N33E102.hgt")


def test_little_endian_samples_are_named():
    content = np.full((1201, 1201), 3500, dtype="<i2").tobytes()
    with pytest.raises(UserError, match="expected elevations of -500 to 9000 m, found -21491"):
        heights(content, "N33E102.hgt")


def test_a_name_without_a_corner_is_refused():
    with pytest.raises(UserError, match=r"dem\.hgt: expected a name like N33E102\.hgt"):
        corner("dem.hgt")


def test_corners_of_all_four_quarters():
    assert [corner(f"{n}.hgt") for n in ("N33E102", "S16E166", "N05W070", "S01W001")] == [
        (33, 102), (-16, 166), (5, -70), (-1, -1),
    ]  # fmt: skip


def test_tiles_of_two_resolutions_are_refused():
    tiles = {(33, 101): np.zeros((1201, 1201), "int16"), (33, 102): np.zeros((3601, 3601), "int16")}
    with pytest.raises(UserError, match=r"one resolution, found sides of \[1201, 3601\]"):
        Mosaic.of(tiles)
