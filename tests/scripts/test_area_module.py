import numpy as np
import pytest
from rasterio.crs import CRS

from _area import weights


def test_cells_in_degrees_shrink_with_latitude():
    found = weights(CRS.from_epsg(4326), np.array([[0.0, 60.0], [-60.0, 90.0]]))
    assert found == pytest.approx(np.array([[1, 0.5], [0.5, 0]]), abs=1e-15)


def test_a_zone_has_the_share_of_the_sphere_that_archimedes_gives_it():
    y = np.arange(-89.95, 90, 0.1)
    w = weights(CRS.from_epsg(4326), y)
    zone = (y > 20) & (y < 50)
    expected = (np.sin(np.deg2rad(50)) - np.sin(np.deg2rad(20))) / 2
    assert w[zone].sum() / w.sum() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("crs", [CRS.from_epsg(32648), CRS.from_string("+proj=sinu"), None])
def test_cells_in_metres_count_alike(crs):
    assert (weights(crs, np.array([3.1e6, 4.0e6])) == 1).all()
