"""The static predictors in one file: names, order and units are what later steps rely on."""

import numpy as np
import rasterio
from rasterio.crs import CRS
from rasterio.transform import Affine

import stack_static
from _raster import Grid, read, write

GRID = Grid(CRS.from_epsg(32647), Affine(250, 0, 500000, 0, -250, 3800000), 4, 3)


def test_bands_keep_their_values_names_and_units(tmp_path):
    bands = {
        "soil": {"sand": "%", "silt": "%", "clay": "%", "AWC": "%"},
        "terrain": {"DEM": "m", "slope": "degree", "aspect": "degree"},
    }
    layers, number = {}, 0
    for file, units in bands.items():
        for name in units:
            number += 1
            layers[name] = np.full(GRID.shape, float(number))
            layers[name][0, 0] = np.nan
        write(tmp_path / f"{file}.tif", GRID, {n: layers[n] for n in units}, units)
    out = tmp_path / "static.tif"
    stack_static.main(str(tmp_path / "soil.tif"), str(tmp_path / "terrain.tif"), str(out))
    with rasterio.open(out) as file:
        names = ("sand", "silt", "clay", "AWC", "DEM", "slope", "aspect", "northness", "eastness")
        assert file.descriptions == names
        assert file.units == ("%", "%", "%", "%", "m", "degree", "degree", "1", "1")
    for name, layer in layers.items():
        np.testing.assert_array_equal(read(out, name), layer)
    assert Grid.of(out) == GRID


def test_components_point_down_the_slope_and_vanish_on_flat_ground():
    nan = np.nan
    slope = np.array([30.0, 30, 90, 0, 0, nan])
    aspect = np.array([0.0, 90, 225, 77, nan, nan])
    found = stack_static.components(slope, aspect)
    half = np.sqrt(0.5)
    np.testing.assert_allclose(found["northness"], [0.5, 0, -half, 0, 0, nan], atol=1e-12)
    np.testing.assert_allclose(found["eastness"], [0, 0.5, -half, 0, 0, nan], atol=1e-12)


def test_means_of_components_do_not_turn_south_between_two_northern_slopes():
    """359 and 1 degree average to 180, their components to north (U10b)."""
    found = stack_static.components(np.array([10.0, 10]), np.array([359.0, 1]))
    assert found["northness"].mean() > 0.17 and abs(found["eastness"].mean()) < 1e-12
