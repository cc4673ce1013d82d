"""The exact native pixel of every cell, against PROJ and against a published station."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Transformer

import define_grid
import index_modis
from _raster import Grid, lonlat, read
from index_modis import PIXEL, nearest_pixel

SINUSOIDAL = "+proj=sinu +lon_0=0 +x_0=0 +y_0=0 +R=6371007.181 +units=m +no_defs"
TILE = 1111950.5197665
AEA = "+proj=aea +lat_1=28 +lat_2=36 +lat_0=0 +lon_0=101 +datum=WGS84 +units=m +no_defs"


def test_pixel_size():
    assert pytest.approx(231.656358, abs=1e-6) == PIXEL


def test_station_cst01_lies_in_its_published_pixel():
    row, col = nearest_pixel(np.array([102.142]), np.array([33.886]))
    assert (col[0] // 4800, row[0] // 4800) == (26, 5)
    assert abs(row[0] % 4800 - 2934) <= 1
    assert abs(col[0] % 4800 - 2300) <= 1


@given(st.floats(-179.9, 179.9), st.floats(-89.9, 89.9))
def test_pixels_are_those_of_proj(longitude, latitude):
    to_metres = Transformer.from_crs(
        SINUSOIDAL.replace("sinu", "longlat"), SINUSOIDAL, always_xy=True
    )
    x, y = to_metres.transform(longitude, latitude)
    row, col = nearest_pixel(np.array([longitude]), np.array([latitude]))
    size = TILE / 4800
    assert (9 * TILE - y) / size - row[0] == pytest.approx(0.5, abs=0.5 + 1e-6)
    assert (x + 18 * TILE) / size - col[0] == pytest.approx(0.5, abs=0.5 + 1e-6)


def test_the_published_box_lies_in_five_tiles():
    lon, lat = np.meshgrid(np.linspace(97.34, 104.75, 1001), np.linspace(27.96, 35.58, 1001))
    row, col = nearest_pixel(lon, lat)
    share = {}
    weight = np.cos(np.radians(lat))
    for h, v in ((26, 5), (26, 6), (27, 6), (25, 5), (27, 5)):
        here = (row // 4800 == v) & (col // 4800 == h)
        share[f"h{h}v0{v}"] = 100 * weight[here].sum() / weight.sum()
    expected = {"h26v05": 71.09, "h26v06": 20.64, "h27v06": 6.94, "h25v05": 0.74, "h27v05": 0.58}
    assert share == pytest.approx(expected, abs=0.1)


def test_the_index_is_that_of_the_cell_centres(tmp_path):
    grid, coordinates, index = (str(tmp_path / f"{n}.tif") for n in ("grid", "lonlat", "index"))
    define_grid.main((), grid, coordinates, [102.0, 33.6, 102.2, 33.7], AEA, 250)
    index_modis.main(coordinates, index)
    assert Grid.of(index) == Grid.of(grid)
    row, col = nearest_pixel(*lonlat(coordinates))
    np.testing.assert_array_equal(read(index, "row"), row)
    np.testing.assert_array_equal(read(index, "col"), col)
