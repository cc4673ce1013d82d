import numpy as np
import pytest
import rasterio
from rasterio.crs import CRS
from rasterio.transform import Affine
from rasterio.windows import Window

from _layers import check_aligned, located, of_month, read_window
from _log import UserError
from _raster import Grid, created

GRID = Grid(CRS.from_epsg(32648), Affine(250, 0, 1000, 0, -250, 9000), 4, 3)


def test_raster_belongs_to_the_month_its_path_names_last():
    months = ["2012-03", "2012-03-25", "2012-04"]
    rasters = ["static.tif", "2012-04/p_2012-03.tif", "p_2012-03-25.tif", "2012-04/p.tif"]
    assert {month: of_month(rasters, month, months) for month in months} == {
        "2012-03": ["static.tif", "2012-04/p_2012-03.tif"],
        "2012-03-25": ["static.tif", "p_2012-03-25.tif"],
        "2012-04": ["static.tif", "2012-04/p.tif"],
    }


def test_predictors_are_found_by_band_name_in_the_order_asked_for():
    bands = {"s.tif": ("clay", "sand"), "l.tif": ("LST",), "later.tif": ("sand",)}
    found = located(bands, ["LST", "sand"])
    assert list(found.items()) == [("LST", ("l.tif", 1)), ("sand", ("s.tif", 2))]


def test_predictor_without_band_is_named_with_the_bands_found():
    with pytest.raises(UserError, match=r"named pre, SMC, .*found: s\.tif: clay, None; l\.tif: T"):
        located({"s.tif": ("clay", None), "l.tif": ("T",)}, ["pre", "clay", "SMC"])


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        (Grid(GRID.crs, Affine(250, 0, 1250, 0, -250, 9000), 4, 3), "transform"),
        (Grid(GRID.crs, GRID.transform, 5, 3), "width"),
        (Grid(GRID.crs, GRID.transform, 4, 2), "height"),
        (Grid(CRS.from_epsg(32647), GRID.transform, 4, 3), "crs"),
    ],
)
def test_raster_on_another_grid_is_refused(wrong, named):
    check_aligned("p.tif", GRID, GRID)
    with pytest.raises(UserError, match=rf"p\.tif: expected the {named} of the maps' grid"):
        check_aligned("p.tif", wrong, GRID)


def test_a_window_is_read_in_float32_with_nan_for_any_nodata(tmp_path):
    path = str(tmp_path / "p.tif")
    with created(path, GRID, {"a": "", "b": ""}, "int16", -9999) as target:
        target.write(np.arange(24).reshape(2, 3, 4))
        target.write(np.where(np.arange(12) == 5, -9999, np.arange(12)).reshape(3, 4), 2)
    with rasterio.open(path) as source:
        found = read_window({path: source}, {"b": (path, 2), "a": (path, 1)}, Window(1, 1, 2, 2))
    assert list(found) == ["b", "a"]
    assert found["a"].dtype == "float32"
    np.testing.assert_array_equal(found["a"], [[5, 6], [9, 10]])
    np.testing.assert_array_equal(found["b"], [[np.nan, 6], [9, 10]])
