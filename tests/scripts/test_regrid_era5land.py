"""ERA5-Land between its cell centres."""

import numpy as np
import pytest
import rasterio
from rasterio.crs import CRS
from rasterio.transform import Affine

import small_study
from _log import UserError
from _raster import Grid, write
from regrid_era5land import main

WEST, NORTH = (
    np.floor(small_study.LON.min() * 10) / 10 - 0.2,
    np.ceil(small_study.LAT.max() * 10) / 10 + 0.2,
)
COARSE = Grid(CRS.from_epsg(4326), Affine(0.1, 0, WEST, 0, -0.1, NORTH), 8, 8)


def run(folder, layer):
    given = small_study.on_disk(folder, [])
    path, found = f"{folder}/2010-06.tif", f"{folder}/found/2010-06.tif"
    write(path, COARSE, {"soil_moisture": layer}, {"soil_moisture": "m3/m3"})
    main([path], [found], given["grid"], f"{folder}/lonlat.tif")
    with rasterio.open(found) as source:
        assert source.descriptions == ("ERA5Land",) and source.units == ("m3/m3",)
        return source.read(1)


def test_a_plane_stays_a_plane_and_outside_is_empty(tmp_path):
    lon, lat = COARSE.centres()
    found = run(tmp_path, (0.3 + 0.5 * (lon - WEST) - 0.3 * (NORTH - lat)).astype("float32"))
    expected = 0.3 + 0.5 * (small_study.LON - WEST) - 0.3 * (NORTH - small_study.LAT)
    area = small_study.area()
    np.testing.assert_allclose(found[area], expected[area], atol=1e-6)
    assert np.isnan(found[~area]).all()


def test_a_month_without_a_value_is_named(tmp_path):
    with pytest.raises(UserError, match=r"2010-06\.tif: expected ERA5-Land in the study area"):
        run(tmp_path, np.full(COARSE.shape, np.nan, "float32"))
