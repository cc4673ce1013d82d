"""Rasters of the user's on the grid: nearest, between centres, means of finer pixels."""

import numpy as np
import pytest
import rasterio
from pyproj import Transformer
from rasterio.crs import CRS
from rasterio.transform import Affine

import regrid_layer
from _log import UserError
from _raster import Grid, created, read, write

CELLS = Grid(CRS.from_epsg(32647), Affine(250, 0, 400_000, 0, -250, 3_750_000), 40, 600)
LON, LAT = Transformer.from_crs(32647, 4326, always_xy=True).transform(*CELLS.centres())


@pytest.fixture
def given(tmp_path):
    """The grid, its positions, one column outside of the area."""
    within = np.ones(CELLS.shape, "uint8")
    within[:, -1] = 0
    with created(tmp_path / "grid.tif", CELLS, {"inside": "1"}, "uint8", 255) as target:
        target.write(within, 1)
    with created(tmp_path / "lonlat.tif", CELLS, {"lon": "", "lat": ""}, "float64") as target:
        target.write(np.stack([LON, LAT]))
    return {
        "grid": str(tmp_path / "grid.tif"),
        "lonlat_file": str(tmp_path / "lonlat.tif"),
        "name": "thaw",
        "unit": "m",
        "resampling": "bilinear",
    }


def own(path, grid, layer):
    write(str(path), grid, {"x": layer}, {"x": "m"})
    return str(path)


DEGREES = Grid(
    CRS.from_epsg(4326), Affine(0.01, 0, LON.min() - 0.1, 0, -0.01, LAT.max() + 0.1), 60, 300
)


def plane(lon, lat):
    return 2 + 3 * (lon - 98) + 5 * (lat - 33)


def test_a_plane_in_degrees_is_the_same_plane_on_the_grid(given, tmp_path):
    """Bilinear interpolation is exact for a plane; the strips of the grid leave no trace."""
    path = own(tmp_path / "own.tif", DEGREES, plane(*DEGREES.centres()))
    made = [str(tmp_path / "out" / "2016-07.tif")]
    regrid_layer.main(rasters=[path], layers=made, **given)
    found = read(made[0])
    np.testing.assert_allclose(found[:, :-1], plane(LON, LAT)[:, :-1], atol=1e-5)
    assert np.isnan(found[:, -1]).all()
    with rasterio.open(made[0]) as file:
        assert file.descriptions == ("thaw",) and file.units == ("m",)


def test_classes_keep_their_numbers(given, tmp_path):
    classes = np.random.default_rng(1).integers(1, 9, DEGREES.shape).astype("float64")
    path = own(tmp_path / "own.tif", DEGREES, classes)
    made = [str(tmp_path / "all.tif")]
    regrid_layer.main(rasters=[path], layers=made, **given | {"resampling": "nearest"})
    rows, cols = (np.floor(v).astype(int) for v in DEGREES.positions(LON, LAT))
    np.testing.assert_array_equal(read(made[0])[:, :-1], classes[rows, cols][:, :-1])


def test_finer_pixels_are_averaged(given, tmp_path):
    fine = Grid(CELLS.crs, Affine(50, 0, 400_000, 0, -50, 3_750_000), 200, 3000)
    layer = np.random.default_rng(2).random(fine.shape)
    path = own(tmp_path / "own.tif", fine, layer)
    made = [str(tmp_path / "all.tif")]
    regrid_layer.main(rasters=[path], layers=made, **given | {"resampling": "average"})
    means = layer.astype("float32").reshape(600, 5, 40, 5).mean(axis=(1, 3))
    np.testing.assert_allclose(read(made[0])[:, :-1], means[:, :-1], atol=1e-6)


def test_a_raster_that_covers_a_part_leaves_the_rest_empty(given, tmp_path):
    part = Grid(DEGREES.crs, DEGREES.transform, 60, 60)
    path = own(tmp_path / "own.tif", part, plane(*part.centres()))
    made = [str(tmp_path / "all.tif")]
    regrid_layer.main(rasters=[path], layers=made, **given)
    found = read(made[0])[:, :-1]
    bottom = part.extent[2]
    assert np.isfinite(found[LAT[:, :-1] > bottom]).all()
    assert np.isnan(found[LAT[:, :-1] < bottom]).all()


@pytest.mark.parametrize("resampling", ["nearest", "bilinear", "average"])
def test_a_raster_elsewhere_is_refused(given, tmp_path, resampling):
    away = Grid(DEGREES.crs, Affine(0.01, 0, 20, 0, -0.01, 40), 9, 9)
    path = own(tmp_path / "own.tif", away, np.ones(away.shape))
    with pytest.raises(UserError, match=r"own\.tif: expected values in the study area, found none"):
        regrid_layer.main(
            rasters=[path], layers=[str(tmp_path / "a.tif")], **given | {"resampling": resampling}
        )
    assert not (tmp_path / "a.tif").exists()


def test_a_raster_without_crs_or_with_more_bands_is_refused(given, tmp_path):
    bare = Grid(None, DEGREES.transform, 60, 300)
    path = own(tmp_path / "bare.tif", bare, np.ones(bare.shape))
    with pytest.raises(UserError, match="coordinate reference system, found none"):
        regrid_layer.main(rasters=[path], layers=["never.tif"], **given)
    write(str(tmp_path / "two.tif"), DEGREES, dict.fromkeys("ab", np.ones(DEGREES.shape)),
          dict.fromkeys("ab", "1"))  # fmt: skip
    with pytest.raises(UserError, match="expected one band, found 2"):
        regrid_layer.main(rasters=[str(tmp_path / "two.tif")], layers=["never.tif"], **given)
