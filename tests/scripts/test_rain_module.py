"""What is known of rain besides the gauges: sampled the same way at gauges and cells."""

import logging

import numpy as np
import pandas as pd
import pytest
import rasterio
from pyproj import Transformer
from rasterio.transform import Affine

from _log import UserError
from _rain import around, check_heights, check_usual, heights, tells
from _raster import bilinear

PROJ = "+proj=aea +lat_1=28 +lat_2=36 +lat_0=0 +lon_0=101 +datum=WGS84 +units=m +no_defs"


def degrees(path, layer, crs="EPSG:4326", scale=None, nodata=None, bands=("usual",)):
    """Write a raster of 0.1 degree cells whose corner is 100 E, 34 N."""
    layers = np.atleast_3d(np.asarray(layer).T).T
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        dtype=layers.dtype,
        count=len(layers),
        height=layers.shape[1],
        width=layers.shape[2],
        crs=crs,
        transform=Affine(0.1, 0, 100, 0, -0.1, 34),
        nodata=nodata,
    ) as target:
        target.write(layers)
        target.descriptions = bands
        if scale:
            target.scales, target.offsets = [scale], [5.0]
    return str(path)


def test_a_plane_is_sampled_as_it_is_whatever_the_crs(tmp_path):
    # Values 3 lon + 2 lat at the cell centres: bilinear gives a plane back exactly.
    lon, lat = np.meshgrid(100.05 + 0.1 * np.arange(40), 33.95 - 0.1 * np.arange(30))
    path = degrees(tmp_path / "plane.tif", 3 * lon + 2 * lat)
    random = np.random.default_rng(1)
    lon, lat = random.uniform(100.1, 103.8, 50), random.uniform(31.2, 33.8, 50)
    points = np.stack(Transformer.from_crs(4326, PROJ, always_xy=True).transform(lon, lat), 1)
    layer, rows, cols = around(path, points, PROJ)
    assert bilinear(layer, rows, cols) == pytest.approx(3 * lon + 2 * lat, rel=1e-9)
    few, rows, cols = around(path, points[:1], PROJ)
    assert few.size <= 16
    assert bilinear(few, rows, cols) == pytest.approx(3 * lon[:1] + 2 * lat[:1], rel=1e-9)


def test_points_off_the_raster_are_missing_and_those_at_its_edge_are_not(tmp_path):
    path = degrees(tmp_path / "small.tif", np.full((4, 5), 7.0))
    points = np.array([(100.01, 33.99), (100.49, 33.61), (99.9, 33.8), (100.2, 34.1), (150, -20)])
    found = bilinear(*around(path, points, "EPSG:4326"))
    assert found == pytest.approx([7, 7, np.nan, np.nan, np.nan], nan_ok=True)
    assert np.isnan(bilinear(*around(path, points[4:], "EPSG:4326"))).all()
    assert len(bilinear(*around(path, points[:0], "EPSG:4326"))) == 0


def test_stored_numbers_are_scaled_and_their_gaps_are_missing(tmp_path):
    stored = np.array([[100, 200], [-9, 400]], "int16")
    path = degrees(tmp_path / "chelsa.tif", stored, scale=0.1, nodata=-9)
    centres = np.array([(100.05, 33.95), (100.15, 33.95), (100.05, 33.85), (100.15, 33.85)])
    found = bilinear(*around(path, centres, "EPSG:4326"))
    assert found == pytest.approx([15, 25, np.nan, 45], nan_ok=True)


def test_a_band_is_found_by_name_and_a_missing_one_is_named(tmp_path):
    layers = np.stack([np.full((3, 3), 1.0), np.full((3, 3), 2.0)])
    path = degrees(tmp_path / "static.tif", layers, bands=("sand", "DEM"))
    point = np.array([(100.15, 33.85)])
    assert bilinear(*around(path, point, "EPSG:4326", "DEM")) == [2.0]
    with pytest.raises(UserError, match="expected a band slope, found sand, DEM"):
        around(path, point, "EPSG:4326", "slope")


def test_a_raster_that_does_not_say_where_it_lies_is_refused(tmp_path):
    path = degrees(tmp_path / "nowhere.tif", np.ones((3, 3)), crs=None)
    with pytest.raises(UserError, match=r"nowhere.tif: expected a raster with a CRS, found none"):
        around(path, np.array([(0.0, 0.0)]), "EPSG:4326")


def test_gauges_without_usual_rain_are_named():
    check_usual(np.array([1.0, 50.0]), ["a", "b"], "c.tif")
    with pytest.raises(UserError, match=r"c.tif: expected at least 1 mm/month.*no value at b, c"):
        check_usual(np.array([9.0, np.nan, np.nan]), ["a", "b", "c"], "c.tif")
    for dry in (0.0, -3.0, 0.99):
        with pytest.raises(UserError, match=r"found less than 1 at b\. .*rain.method to kriging"):
            check_usual(np.array([9.0, dry]), ["a", "b"], "c.tif")


def test_a_gauges_own_elevation_comes_first_and_a_far_one_is_said(caplog):
    table = pd.DataFrame(
        {
            "station": ["a", "a", "b", "c", "d"],
            "elevation": [3000.0, 3002.0, 9999.0, -999.9, 3500.0],
        }
    )
    ground = np.array([3100.0, 4000.0, np.nan, 3900.0])
    with caplog.at_level(logging.WARNING):
        found = heights(table, list("abcd"), ground)
    assert found == pytest.approx([3.001, 4.0, np.nan, 3.5], nan_ok=True)
    assert caplog.messages == ["d: its own elevation is -400 m from that of the map there"]
    without = heights(table.drop(columns="elevation"), list("abcd"))
    assert np.isnan(without).all()
    with pytest.raises(UserError, match=r"rain.csv: expected an elevation.*found none for c, "):
        check_heights(found, list("abcd"), "rain.csv")


def test_a_line_needs_four_gauges_and_relief():
    assert tells(np.array([3.0, 3.0, 3.0, 3.1]))
    assert not tells(np.array([3.0, 3.0, 3.0, 3.09]))
    assert not tells(np.array([3.0, 3.5, 4.0]))
    assert not tells(np.array([3.0, 3.5, np.nan, 4.0]))
