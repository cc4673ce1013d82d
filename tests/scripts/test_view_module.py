import numpy as np
import pytest
from rasterio.crs import CRS
from rasterio.transform import Affine

import _view
from _raster import Grid, created, write


def test_coarse_joins_whole_cells_and_leaves_small_rasters_alone(tmp_path):
    grid = Grid(CRS.from_epsg(32648), Affine(1, 0, 0, 0, -1, 4), 4, 4)
    layer = np.arange(16.0).reshape(4, 4)
    layer[0, 0] = np.nan
    write(f"{tmp_path}/a.tif", grid, {"a": layer}, {"a": "m3/m3"})
    np.testing.assert_array_equal(_view.coarse(f"{tmp_path}/a.tif", 4), layer)
    # Of 0, 1, 4, 5 the first is missing.
    expected = [[10 / 3, 4.5], [10.5, 12.5]]
    np.testing.assert_allclose(_view.coarse(f"{tmp_path}/a.tif", 2, "a"), expected, rtol=1e-6)


def test_means_of_a_view_in_degrees_weigh_cells_by_their_area(tmp_path):
    grid = Grid(CRS.from_epsg(4326), Affine(60, 0, 0, 0, -60, 90), 1, 2)
    with created(f"{tmp_path}/g.tif", grid, {"inside": ""}, "uint8", 255) as target:
        target.write(np.ones((2, 1), "uint8"), 1)
    with created(f"{tmp_path}/l.tif", grid, {"x": "", "y": ""}, "float64") as target:
        target.write(np.zeros((2, 1)), 1)
        target.write(np.array([[60.0], [0.0]]), 2)
    view = _view.View.of(f"{tmp_path}/g.tif", f"{tmp_path}/l.tif", 10)
    found = view.summary(np.array([[0.3], [0.6]]))
    assert found["mean"] == pytest.approx((0.3 * 0.5 + 0.6) / 1.5)
    assert view.summary(np.full((2, 1), np.nan)) == {"n": 0}
