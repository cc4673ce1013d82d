"""The grid and the one way in which rasters lie on disk."""

import resource

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from rasterio._err import CPLE_BaseError
from rasterio.crs import CRS
from rasterio.transform import Affine, xy
from rasterio.windows import Window
from scipy.ndimage import map_coordinates

from _log import UserError
from _raster import Grid, bilinear, cloud_optimized, created, inside, lonlat, read, write
from _whole import whole

GRID = Grid(CRS.from_epsg(32647), Affine(250, 0, 500000, 0, -250, 3800000), 7, 5)


def test_centres_agree_with_rasterio():
    x, y = GRID.centres()
    for row, col in ((0, 0), (4, 6), (2, 3)):
        assert (x[row, col], y[row, col]) == xy(GRID.transform, row, col)


def test_centres_of_a_window_are_those_of_the_whole():
    x, y = GRID.centres()
    part_x, part_y = GRID.centres(Window(2, 1, 3, 2))
    np.testing.assert_array_equal(part_x, x[1:3, 2:5])
    np.testing.assert_array_equal(part_y, y[1:3, 2:5])


@given(st.integers(1, 2000), st.integers(1, 700))
def test_blocks_cover_every_row_once(height, rows):
    grid = Grid(GRID.crs, GRID.transform, 3, height)
    found = [r for w in grid.blocks(rows) for r in range(w.row_off, w.row_off + w.height)]
    assert found == list(range(height))


def test_what_is_written_is_read_back(tmp_path):
    path = tmp_path / "a" / "sand.tif"
    sand = np.arange(35.0).reshape(GRID.shape)
    sand[1, 2] = np.nan
    write(path, GRID, {"sand": sand, "clay": sand + 1}, {"sand": "%", "clay": "%"}, source="x")
    np.testing.assert_array_equal(read(path, "clay"), sand + 1)
    np.testing.assert_array_equal(read(path, 1, Window(1, 1, 3, 2)), sand[1:3, 1:4])
    assert Grid.of(path) == GRID
    with rasterio.open(path) as file:
        assert file.dtypes == ("float32", "float32")
        assert np.isnan(file.nodata)
        assert file.descriptions == ("sand", "clay")
        assert file.units == ("%", "%")
        assert file.tags()["source"] == "x"
        assert file.tags(1)["units"] == "%"


def test_nodata_of_integers_is_read_as_nan(tmp_path):
    path = tmp_path / "grid.tif"
    with created(path, GRID, {"inside": "1"}, dtype="uint8", nodata=255) as target:
        layer = np.ones(GRID.shape, dtype="uint8")
        layer[0, 0], layer[0, 1] = 255, 0
        target.write(layer, 1)
    assert np.isnan(read(path)[0, 0])
    assert read(path)[0, 1] == 0
    assert not inside(path)[0, 0]
    assert inside(path).sum() == 33


def test_nodata_of_other_producers_is_read_as_nan(tmp_path):
    path = tmp_path / "smc.tif"
    with created(path, GRID, {"SMC": "m3/m3"}, nodata=-9999.0) as target:
        layer = np.full(GRID.shape, 0.3, dtype="float32")
        layer[2, 2] = -9999
        target.write(layer, 1)
    assert np.isnan(read(path)).sum() == 1


def test_lonlat_keeps_double_precision(tmp_path):
    path = tmp_path / "lonlat.tif"
    here = np.full(GRID.shape, 102.123456789012)
    with created(path, GRID, {"longitude": "", "latitude": ""}, dtype="float64") as target:
        target.write(np.stack([here, here / 3]))
    longitude, latitude = lonlat(path, Window(0, 0, 2, 2))
    assert longitude[0, 0] == here[0, 0]
    assert latitude[1, 1] == here[0, 0] / 3


def test_a_failed_write_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError), whole(tmp_path / "map.tif") as part:
        part.write_bytes(b"half")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_keeps_the_older_file(tmp_path):
    (tmp_path / "map.tif").write_bytes(b"old")
    with pytest.raises(RuntimeError), whole(tmp_path / "map.tif"):
        raise RuntimeError
    assert (tmp_path / "map.tif").read_bytes() == b"old"


def test_same_layers_give_the_same_bytes(tmp_path):
    layer = np.random.default_rng(1).random(GRID.shape)
    for name in ("a.tif", "b.tif"):
        write(tmp_path / name, GRID, {"DEM": layer}, {"DEM": "m"})
    assert (tmp_path / "a.tif").read_bytes() == (tmp_path / "b.tif").read_bytes()


def test_bilinear_equals_scipy_inside_and_shares_out_missing_weights():
    layer = np.random.default_rng(6).random((5, 6))
    rows, cols = np.array([1.0, 2.3, 3.9]), np.array([2.0, 4.4, 0.7])
    expected = map_coordinates(layer, [rows - 0.5, cols - 0.5], order=1)
    np.testing.assert_allclose(bilinear(layer, rows, cols), expected)
    gap = np.array([[1.0, np.nan], [3.0, 4.0]])
    np.testing.assert_allclose(bilinear(gap, np.array([1.0]), np.array([1.0])), (1 + 3 + 4) / 3)
    assert np.isnan(bilinear(gap, np.array([-3.0, 0.5]), np.array([1.0, 1.5]))).all()


@pytest.mark.parametrize("kind", [created, cloud_optimized])
def test_a_raster_whose_bytes_did_not_all_reach_the_disk_never_appears(tmp_path, kind):
    """As on a disk that fills up: GDAL may close such a file without an error."""
    cells = Grid(GRID.crs, GRID.transform, 700, 600)
    layer = np.random.default_rng(2).random(cells.shape).astype("float32")

    def attempt(path):
        with kind(path, cells, {"x": "1", "y": "1"}) as target:
            target.write(layer, 1)
            target.write(layer * 2, 2)

    attempt(tmp_path / "whole.tif")
    size = (tmp_path / "whole.tif").stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    appeared = {}
    for limit in [*range(0, size, size // 12), *range(size - 20_000, size + 20_000, 4_000)]:
        path = tmp_path / f"{limit}.tif"
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
        try:
            attempt(path)
        except (OSError, UserError, CPLE_BaseError):
            assert not path.exists()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        appeared[limit] = path.exists()
        if path.exists():
            np.testing.assert_array_equal(read(path, 2), layer * 2)
    assert not appeared[0] and appeared[max(appeared)]
    assert not list(tmp_path.glob(".*"))
