"""Slope and aspect against GDAL, planes and a cone; SRTM and Copernicus; voids, seams, refusals."""

import shutil
import subprocess
import weakref
import zipfile
from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Transformer
from rasterio.transform import Affine

import define_grid
import derive_terrain
import servers
from _log import UserError
from _raster import Grid, inside, read
from conftest import SHARED
from derive_terrain import (
    VOID,
    Mosaic,
    aggregated,
    bilinear,
    cells_of,
    copernicus,
    corner,
    direction,
    gradient,
    heights,
    kind,
    widened,
)

AEA = "+proj=aea +lat_1=28 +lat_2=36 +lon_0=101 +datum=WGS84 +units=m"
UTM = "EPSG:32632"
ALPS = [6.9, 43.62, 7.1, 43.8]  # over the seam of the two tiles


def tile(folder, name, samples):
    path = folder / f"{name}.hgt"
    path.write_bytes(samples.astype(">i2").tobytes())
    return str(path)


def copernicus_tile(folder, name, samples, crs="EPSG:4326", nodata=None, shift=0.0):
    """Write samples (1200 rows, 1200 or fewer columns) as the Copernicus DEM is delivered."""
    lat, lon = corner(name)
    height, width = samples.shape
    path = folder / f"{name}.tif"
    with rasterio.open(
        path, "w", driver="GTiff", count=1, dtype="float32", crs=crs, nodata=nodata,
        width=width, height=height, tiled=True,
        transform=Affine(
            1 / width, 0, lon - 0.5 / width + shift, 0, -1 / height, lat + 1 + 0.5 / height
        ),
    ) as file:  # fmt: skip
        file.write(samples.astype("float32"), 1)
    return str(path)


def lonlat_of(name, rows=1201, columns=1201, per_degree=1200):
    """Longitude and latitude of a tile's samples; `per_degree` columns."""
    lat, lon = corner(name)
    return np.meshgrid(lon + np.arange(columns) / per_degree, lat + 1 - np.arange(rows) / 1200)


def as_srtm(folder, names, surface):
    return [tile(folder, name, np.rint(surface(*lonlat_of(name)))) for name in names]


def as_copernicus(folder, names, surface, columns=1200):
    return [
        copernicus_tile(folder, name, surface(*lonlat_of(name, 1200, columns, columns)))
        for name in names
    ]


def real(name):
    path = SHARED / "dem" / name
    if not path.exists():
        pytest.skip(f"real files are not here: {path}")
    return path


def run(
    folder, elevation, box, crs=UTM, cell=250, size=90, aggregate="mean", lattice=None, absent=()
):
    grid, coordinates, out = (str(folder / f"{n}.tif") for n in ("grid", "lonlat", "terrain"))
    define_grid.main((), grid, coordinates, box, crs, cell)
    derive_terrain.main(elevation, grid, out, lattice or crs, size, aggregate, absent)
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
    joined = Mosaic.of([corner(name) for name in names], (west, east))
    assert joined.samples.dtype == "int16"
    assert joined.samples.shape == (1201, 2401)
    # These two old tiles disagree by up to 174 m where they meet: the later one holds.
    np.testing.assert_array_equal(joined.samples[:, :1200], west[:, :1200])
    np.testing.assert_array_equal(joined.samples[:, 1200:], east)
    assert (joined.north, joined.west, joined.per_degree) == (44.0, 6.0, 1200)


def test_no_step_at_the_seam(tmp_path):
    # One plane over two tiles: its slope must not change where they meet.
    at, rise = (102.0, 33.5), 0.03
    tiles = [
        tile(tmp_path, name, plane(33, west, rise, 0, AEA, at))
        for name, west in (("N33E101", 101), ("N33E102", 102))
    ]
    area, bands, _ = run(tmp_path, tiles, [101.95, 33.4, 102.05, 33.6], crs=AEA)
    assert np.isfinite(bands["slope"][area]).all()
    assert np.ptp(bands["slope"][area]) < 0.6
    assert bands["slope"][area].mean() == pytest.approx(np.degrees(np.arctan(rise)), abs=0.02)
    assert bands["aspect"][area] == pytest.approx(270, abs=6)
    assert np.isnan(bands["DEM"][~area]).all()


def test_an_area_that_ends_on_a_whole_degree_has_no_rim(tmp_path):
    path = tile(tmp_path, "N33E102", plane(33, 102, 0.04, 0.02, AEA, (102.2, 33.8)))
    for aggregate in ("mean", "nearest"):
        area, bands, _ = run(tmp_path, [path], [102, 33.6, 102.3, 34], AEA, aggregate=aggregate)
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


# --- Copernicus ---


def metres_from(at, longitude, latitude, crs):
    """East and north of the point `at` in metres of `crs`; 0 further than 0.2 degrees from it."""
    there = Transformer.from_crs(4326, crs, always_xy=True)
    near = (np.abs(longitude - at[0]) < 0.2) & (np.abs(latitude - at[1]) < 0.2)
    x0, y0 = there.transform(*at)
    east, north = np.zeros(near.shape), np.zeros(near.shape)
    x, y = there.transform(longitude[near], latitude[near])
    east[near], north[near] = x - x0, y - y0
    return east, north


def sloping(longitude, latitude, crs, at, east=0.05, north=-0.03):
    """A plane, in metres of `crs`, 3000 m high at the point `at`; level far from it."""
    x, y = metres_from(at, longitude, latitude, crs)
    return 3000 + east * x + north * y


def conical(longitude, latitude, crs, at):
    """A cone whose slopes rise by 1 m in 20 m to 3000 m."""
    return 3000 - 0.05 * np.hypot(*metres_from(at, longitude, latitude, crs))


def turned(one, other):
    return np.abs((one - other + 180) % 360 - 180)


@pytest.mark.parametrize("shape", [sloping, conical])
def test_copernicus_is_srtm_where_the_samples_are(tmp_path, shape):
    # Around the corner in which four tiles meet; whole metres in both.
    names = ["N32E101", "N33E102", "N33E101", "N32E102"]
    box = [101.95, 32.96, 102.04, 33.03]

    def surface(longitude, latitude):
        return np.rint(shape(longitude, latitude, AEA, (102.001, 33.002)))

    tiles = as_srtm(tmp_path, names, surface), as_copernicus(tmp_path, names, surface)
    for aggregate in ("nearest", "mean"):
        area, srtm, _ = run(tmp_path, tiles[0], box, AEA, aggregate=aggregate)
        _, found, _ = run(tmp_path, tiles[1], box, AEA, aggregate=aggregate)
        for band in found:
            np.testing.assert_array_equal(found[band][area], srtm[band][area])
        assert np.isfinite(found["aspect"][area]).all()
        assert np.ptp(found["DEM"][area]) > 100


def test_the_order_of_the_tiles_does_not_matter(tmp_path):
    names = ["N32E101", "N32E102", "N33E101", "N33E102"]
    paths = as_copernicus(tmp_path, names, lambda *at: sloping(*at, AEA, (102, 33)))
    box = [101.97, 32.98, 102.02, 33.02]
    area, once, _ = run(tmp_path, paths, box, AEA, aggregate="nearest")
    _, again, _ = run(tmp_path, paths[::-1], box, AEA, aggregate="nearest")
    for band in once:
        np.testing.assert_array_equal(once[band], again[band])
    assert np.isfinite(once["slope"][area]).all()


@pytest.mark.parametrize("shape", [sloping, conical])
def test_copernicus_with_fewer_columns_is_the_same_surface(tmp_path, shape):
    # At 55 N a degree has 800 columns; the seams run through the area.
    names = ["N54E105", "N54E106", "N55E105", "N55E106"]
    utm, at, box = "EPSG:32648", (106.02, 55.01), [105.95, 54.97, 106.05, 55.03]

    def surface(longitude, latitude):
        return shape(longitude, latitude, utm, at)

    tiles = as_srtm(tmp_path, names, surface), as_copernicus(tmp_path, names, surface, 800)
    for aggregate in ("nearest", "mean"):
        area, srtm, grid = run(tmp_path, tiles[0], box, utm, aggregate=aggregate)
        _, found, _ = run(tmp_path, tiles[1], box, utm, aggregate=aggregate)
        x, y = grid.centres()
        lon, lat = Transformer.from_crs(utm, 4326, always_xy=True).transform(x, y)
        x0, y0 = Transformer.from_crs(4326, utm, always_xy=True).transform(*at)
        slopes = area & (np.hypot(x - x0, y - y0) > 1000)  # not the tip of the cone
        rise = {sloping: np.hypot(0.05, 0.03), conical: 0.05}[shape]
        facing = {
            sloping: np.degrees(np.arctan2(-0.05, 0.03)),
            conical: np.degrees(np.arctan2(x - x0, y - y0))[slopes],
        }[shape]
        # Cells are up to half a fine cell aside of the fine cells that they take.
        assert np.abs(found["DEM"] - surface(lon, lat))[area].max() < 4
        assert found["slope"][slopes] == pytest.approx(np.degrees(np.arctan(rise)), abs=0.03)
        assert turned(found["aspect"][slopes], facing).max() < (0.5 if shape is sloping else 5)
        # SRTM's whole metres are what is left between the two.
        assert np.abs(found["DEM"] - srtm["DEM"])[area].max() < 0.6
        assert np.abs(found["slope"] - srtm["slope"])[slopes].max() < 0.5
        assert turned(found["aspect"], srtm["aspect"])[slopes].max() < 8


def test_no_step_where_tiles_of_more_and_fewer_columns_meet(tmp_path):
    utm, at = "EPSG:32648", (105.4, 50.0)
    paths = as_copernicus(tmp_path, ["N49E105"], lambda *p: sloping(*p, utm, at), 1200)
    paths += as_copernicus(tmp_path, ["N50E105"], lambda *p: sloping(*p, utm, at), 800)
    area, found, _ = run(tmp_path, paths, [105.35, 49.98, 105.45, 50.02], utm)
    expected = np.degrees(np.arctan(np.hypot(0.05, 0.03)))
    assert found["slope"][area] == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("aggregate", ["nearest", "mean"])
@pytest.mark.parametrize(("name", "columns", "crs"), [
    ("N33E102", 1200, AEA), ("N55E105", 800, "EPSG:32648"),
])  # fmt: skip
def test_a_copernicus_area_that_ends_on_a_whole_degree_has_no_rim(
    tmp_path, name, columns, crs, aggregate
):
    south, west = corner(name)
    expected = np.degrees(np.arctan(np.hypot(0.05, 0.03)))
    for left, bottom in ((west + 0.9, south), (west, south + 0.9)):
        at = left + 0.05, bottom + 0.05
        paths = as_copernicus(tmp_path, [name], lambda *p, at=at: sloping(*p, crs, at), columns)
        box = [left, bottom, left + 0.1, bottom + 0.1]
        area, found, _ = run(tmp_path, paths, box, crs, aggregate=aggregate)
        assert np.isfinite(found["aspect"][area]).all()
        assert found["slope"][area] == pytest.approx(expected, abs=0.02)


def test_columns_between_columns():
    tile = np.array([[0, 10, 40], [0, VOID, 40]], dtype="float32")
    assert widened(tile, 5).tolist() == [[0, 5, 10, 25, 40], [0, VOID, VOID, VOID, 40]]
    assert widened(tile, 3) is tile


def test_one_tile_is_held_at_a_time():
    held = []

    def tiles():
        for number in range(3):
            samples = np.full((1200, 1200), number, "float32")
            held.append(weakref.ref(samples))
            yield samples
            del samples
            assert sum(one() is not None for one in held) <= 1

    corners = [(33, 103), (33, 102), (33, 101)]
    mosaic = Mosaic.of(corners, tiles())
    assert len(held) == 3
    assert mosaic.samples.dtype == "float32"
    assert mosaic.samples.shape == (1201, 3601)
    assert mosaic.samples[0, [0, 1199, 1200, 2399, 2400, 3599, 3600]].tolist() == [
        2,
        2,
        1,
        1,
        0,
        0,
        0,
    ]


@pytest.mark.parametrize("void", [-32767, -32768, np.nan, -9999])
def test_voids_of_copernicus_stay_missing(tmp_path, void):
    samples = sloping(*lonlat_of("N33E102", 1200, 1200), AEA, (102.5, 33.5))
    samples[600:606, 600:606] = void  # 102.5 E, 33.5 N
    nodata = -9999 if void == -9999 else None
    path = copernicus_tile(tmp_path, "N33E102", samples, nodata=nodata)
    assert np.count_nonzero(copernicus(path) == VOID) == 36
    box = [102.48, 33.48, 102.52, 33.52]
    area, found, grid = run(tmp_path, [path], box, AEA, cell=90, aggregate="nearest")
    there = Transformer.from_crs(4326, grid.crs, always_xy=True)
    col, row = ~grid.transform @ there.transform(102.502, 33.498)
    for band in found:
        assert np.isnan(found[band][int(row), int(col)])
        assert 0 < np.isnan(found[band][area]).mean() < 0.1
    assert np.nanmax(found["slope"]) < 4


# --- sea ---


@pytest.mark.parametrize("write", [as_srtm, as_copernicus])
def test_absent_cells_are_sea(tmp_path, write):
    # A coast at 103 E: the land falls to it, beyond it lies an absent cell.
    def coast(longitude, latitude):
        return np.maximum(0, 40_000 * (102.98 - longitude) / 10)

    paths = write(tmp_path, ["N33E102"], coast)
    box = [102.96, 33.45, 103.04, 33.55]
    area, found, grid = run(tmp_path, paths, box, AEA, absent=["N33E103", "S01W001", "N34E102"])
    assert all(np.isfinite(found[band][area]).all() for band in found)
    lon, _ = Transformer.from_crs(AEA, 4326, always_xy=True).transform(*grid.centres())
    assert (found["DEM"][area & (lon > 102.985)] == 0).all()
    assert (found["slope"][area & (lon > 102.985)] == 0).all()
    assert found["DEM"][area & (lon < 102.975)].min() > 0
    assert found["aspect"][area & (lon < 102.975)] == pytest.approx(90, abs=3)


@pytest.mark.parametrize("write", [as_srtm, as_copernicus])
def test_a_cell_that_is_not_there_is_void_not_sea(tmp_path, write):
    paths = write(tmp_path, ["N33E102"], lambda *at: sloping(*at, AEA, (103, 33.5)))
    area, found, grid = run(tmp_path, paths, [102.96, 33.45, 103.04, 33.55], AEA)
    lon, _ = Transformer.from_crs(AEA, 4326, always_xy=True).transform(*grid.centres())
    assert np.isnan(found["DEM"][area & (lon > 103.01)]).all()
    assert np.isfinite(found["DEM"][area & (lon < 103)]).all()


def test_land_is_not_lowered_to_the_sea_on_its_edges():
    land = np.full((1200, 1200), 7, "float32")
    samples = Mosaic.of([(33, 102)], [land], [(33, 101), (34, 102), (33, 103), (32, 102)]).samples
    assert samples.shape == (3601, 3601)
    own = samples[1200:2400, 1200:2400]
    assert (own == 7).all()
    assert samples[1300, 2400] == samples[2400, 1300] == 0  # where the sea begins
    assert samples[0, 0] == samples[3000, 3000] == VOID  # cells that nobody named


def test_absent_cells_elsewhere_do_not_matter():
    names = ["N33E102", "N33E103", "N34E102", "S01W001"]
    assert cells_of([102.5, 33.2, 103.5, 34.0], names) == [(33, 102), (33, 103)]
    assert cells_of([-0.5, -0.5, 0.5, 0.5], names) == [(-1, -1)]


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
    samples = Mosaic.of([(33, 101), (33, 102)], (west, east)).samples
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
    with pytest.raises(UserError, match=r"dem\.hgt: expected a name like N33E102\. Rename"):
        corner("dem.hgt")


def test_corners_of_all_four_quarters():
    assert [corner(f"{n}.hgt") for n in ("N33E102", "S16E166", "N05W070", "S01W001")] == [
        (33, 102), (-16, 166), (5, -70), (-1, -1),
    ]  # fmt: skip


def test_tiles_of_two_resolutions_are_refused():
    for coarse, fine in ((1201, 3601), (1200, 3600)):
        tiles = np.zeros((coarse, coarse), "int16"), np.zeros((fine, fine), "int16")
        with pytest.raises(
            UserError, match=rf"one resolution, found sides of \[{coarse}, {fine}\]"
        ):
            Mosaic.of([(33, 101), (33, 102)], tiles)


def test_a_tile_of_another_ending_is_refused():
    with pytest.raises(
        UserError, match=r"N33E102\.zip: expected a tile that ends in \.hgt.*'\.zip'"
    ):
        kind(["dem/N33E101.hgt", "dem/N33E102.zip"])
    with pytest.raises(UserError, match=r"N33E102: expected a tile that ends.*'no ending'"):
        kind(["dem/N33E102"])


def test_srtm_and_copernicus_are_not_mixed():
    with pytest.raises(UserError, match=r"N33E101\.hgt and dem/N33E102\.tif: expected.*one source"):
        kind(["dem/N33E102.tif", "dem/N33E101.hgt"])
    assert kind(["N33E101.hgt", "N33E102.hgt"]) == ".hgt"


def test_an_area_of_nothing_but_sea_is_refused():
    with pytest.raises(UserError, match=r"terrain\.absent: expected an area with land"):
        kind([])


def test_a_page_saved_as_a_tile_is_named(tmp_path):
    path = tmp_path / "N33E102.tif"
    path.write_bytes(servers.LOGIN)
    with pytest.raises(UserError, match=r"N33E102\.tif: expected a GeoTIFF.*a web page.*Fetch"):
        copernicus(str(path))


def test_half_a_tile_is_named(tmp_path):
    path = copernicus_tile(tmp_path, "N33E102", np.random.default_rng(1).random((1200, 1200)))
    content = Path(path).read_bytes()
    for length in (len(content) // 2, 100):
        Path(path).write_bytes(content[:length])
        with pytest.raises(UserError, match=r"N33E102\.tif: expected a GeoTIFF.*incomplete file"):
            copernicus(path)


def test_a_tile_under_the_name_of_another_is_named(tmp_path):
    path = copernicus_tile(tmp_path, "N33E102", np.zeros((1200, 1200)))
    wrong = Path(path).rename(tmp_path / "N33E101.tif")
    with pytest.raises(
        UserError, match=r"N33E101\.tif: .*on 101 E, 34 N in EPSG:4326, found.*\(101\.99"
    ):
        copernicus(str(wrong))


@pytest.mark.parametrize("change", [{"crs": "EPSG:4674"}, {"crs": None}, {"shift": 0.5 / 1200}])
def test_a_tile_of_another_grid_is_named(tmp_path, change):
    # The last is one whose pixels, not their centres, begin on the degree.
    path = copernicus_tile(tmp_path, "N33E102", np.zeros((1200, 1200)), **change)
    with pytest.raises(UserError, match=r"N33E102\.tif: expected the degree of its name"):
        copernicus(path)


@pytest.mark.parametrize("shape", [(1201, 1201), (600, 600), (1200, 700)])
def test_a_copernicus_tile_of_another_size_is_named(tmp_path, shape):
    path = copernicus_tile(tmp_path, "N33E102", np.zeros(shape))
    with pytest.raises(
        UserError, match=rf"one band of 1200 x 1200.*found 1 of {shape[0]} x {shape[1]}"
    ):
        copernicus(path)


@pytest.mark.parametrize("height", [-600, 9500, 3e38])
def test_copernicus_heights_that_are_none_are_named(tmp_path, height):
    samples = np.zeros((1200, 1200))
    samples[7, 7] = height
    path = copernicus_tile(tmp_path, "N33E102", samples)
    with pytest.raises(
        UserError, match=r"N33E102\.tif: expected elevations of -500 to 9000 m.*metres"
    ):
        copernicus(path)
