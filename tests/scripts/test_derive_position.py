"""Height above the surroundings: against a plain loop, a plane, a peak, and by strips."""

import numpy as np
import pytest
import rasterio
from rasterio.crs import CRS
from rasterio.transform import Affine

from _log import UserError
from _predictors import radius
from _raster import BLOCK, Grid, Window, write
from derive_position import disc, main, mean_around, steps_of

UTM = "EPSG:32648"
SQUARE = np.array([[1.0, 0.0], [0.0, -1.0]])
GRID = Grid(CRS.from_epsg(32648), Affine(250, 0, 500000, 0, -250, 3750000), 17, BLOCK + 30)


def plain(layer, reach):
    """Return the mean within `reach` cells of each cell, one cell after another."""
    found = np.full(layer.shape, np.nan)
    rows, cols = np.indices(layer.shape)
    for row, col in np.ndindex(layer.shape):
        near = np.hypot(rows - row, cols - col) <= reach
        values = layer[near & np.isfinite(layer)]
        if values.size:
            found[row, col] = values.mean()
    return found


@pytest.mark.parametrize("reach", [1, 1.5, 2.9, 6])
def test_means_are_those_of_a_plain_loop_with_gaps_and_edges(reach):
    layer = np.random.default_rng(1).uniform(3000, 5000, (14, 11))
    layer[4:7, 3] = np.nan
    np.testing.assert_allclose(
        mean_around(layer, disc(SQUARE, reach)), plain(layer, reach), rtol=1e-12
    )


def test_a_disc_of_three_cells():
    assert [right for _, _, right in disc(SQUARE, 3)] == [0, 2, 2, 3, 2, 2, 0]
    assert disc(SQUARE, 1.5) == [(-1, -1, 1), (0, -1, 1), (1, -1, 1)]


@pytest.mark.parametrize("reach", [1.2, 3.3, 8])
def test_a_disc_of_sheared_rows_is_a_disc_on_the_ground(reach):
    steps = np.array([[1.0, 0.0], [0.7, -1.0]])
    rows, cols = np.mgrid[-20:21, -20:21]
    ground = cols[..., None] * steps[0] + rows[..., None] * steps[1]
    near = np.hypot(*np.moveaxis(ground, -1, 0)) <= reach
    found = np.zeros(near.shape, bool)
    for down, left, right in disc(steps, reach):
        found[20 + down, 20 + left : 21 + right] = True
    np.testing.assert_array_equal(found, near)


def test_the_rows_of_the_modis_grid_are_sheared_and_utm_has_squares():
    """tan of the shear is the distance from the meridian, in radians, times sin(latitude)."""
    sinusoidal = CRS.from_string("+proj=sinu +lon_0=0 +R=6371007.181 +units=m +no_defs")
    size = 231.65635826
    corner = Affine(size, 0, 40600 * size, 0, -size, 16290 * size)
    cells = Grid(sinusoidal, corner, 40, 30)
    steps = steps_of(cells, Window(0, 0, 40, 30), UTM)
    x, y = cells.centres()
    latitude = y[15, 20] / 6371007.181
    longitude = x[15, 20] / 6371007.181 / np.cos(latitude)
    # A step down the column goes south by one cell and, on the ground, west by the shear.
    shear = longitude * np.sin(latitude)
    assert steps[0] @ steps[1] / size**2 == pytest.approx(-shear, rel=0.02)
    assert abs(np.linalg.det(steps)) == pytest.approx(size**2, rel=0.01)
    square = steps_of(GRID, Window(0, 0, 17, BLOCK), "EPSG:32647")
    assert square.tolist() == [[250, 0], [0, -250]]


def test_no_value_around_is_missing():
    layer = np.full((5, 5), np.nan)
    layer[0, 0] = 3.0
    found = mean_around(layer, disc(SQUARE, 1))
    assert found[0, 0] == found[0, 1] == found[1, 0] == 3.0
    assert np.isnan(found[2:]).all()


def run(folder, dem, predictors):
    write(f"{folder}/terrain.tif", GRID, {"slope": dem * 0, "DEM": dem}, {"slope": "", "DEM": "m"})
    main(f"{folder}/terrain.tif", f"{folder}/position.tif", predictors, UTM)
    with rasterio.open(f"{folder}/position.tif") as source:
        assert source.descriptions == tuple(predictors)
        assert set(source.units) == {"m"}
        return source.read()


def test_strips_show_no_seam(tmp_path):
    dem = np.random.default_rng(2).uniform(3000, 5000, GRID.shape).astype("float32")
    found = run(tmp_path, dem, ["TPI500", "TPI1500"])
    for layer, reach in zip(found, (2, 6), strict=True):
        np.testing.assert_allclose(
            layer, dem - mean_around(dem.astype(float), disc(SQUARE, reach)), atol=1e-3
        )


def test_a_plane_has_no_position_and_a_peak_is_high(tmp_path):
    rows, cols = np.indices(GRID.shape)
    plane = (3000 + 20 * rows + 7 * cols).astype("float32")
    plane[300, 8] += 100
    found = run(tmp_path, plane, ["TPI500"])[0]
    assert found[300, 8] == pytest.approx(100 * 12 / 13, abs=0.01), "a disc of 13 cells"
    assert found[200, 8] == pytest.approx(0, abs=1e-3)


def test_a_radius_below_a_cell_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"TPI100: expected a radius of at least one cell \(250 m"):
        run(tmp_path, np.zeros(GRID.shape, "float32"), ["TPI100"])


def test_only_positions_have_a_radius():
    assert (radius("TPI1500"), radius("slope"), radius("TPI")) == (1500, None, None)
