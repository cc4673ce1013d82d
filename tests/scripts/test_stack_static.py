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
        assert file.descriptions == ("sand", "silt", "clay", "AWC", "DEM", "slope", "aspect")
        assert file.units == ("%", "%", "%", "%", "m", "degree", "degree")
    for name, layer in layers.items():
        np.testing.assert_array_equal(read(out, name), layer)
    assert Grid.of(out) == GRID
