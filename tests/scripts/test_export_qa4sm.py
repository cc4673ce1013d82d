"""The upload for QA4SM: what its own check of formats accepts, with the numbers of the maps."""

import numpy as np
import pytest
import xarray as xr
from rasterio.crs import CRS
from rasterio.transform import Affine

import export_qa4sm
from _log import UserError
from _raster import Grid, created, read, write

CELLS = Grid(CRS.from_epsg(32647), Affine(250, 0, 100_000, 0, -250, 3_620_000), 20, 600)
MONTHS = ["2015-12", "2016-02"]


@pytest.fixture
def given(tmp_path):
    random = np.random.default_rng(3)
    maps = [str(tmp_path / f"{month}.tif") for month in MONTHS]
    for path in maps:
        write(path, CELLS, {"x": random.random(CELLS.shape)}, {"x": "1"})
    with created(tmp_path / "lonlat.tif", CELLS, {"lon": "", "lat": ""}, "float64") as target:
        target.write(np.stack([101 + random.random(CELLS.shape), 33 + random.random(CELLS.shape)]))
    return {
        "monthly": maps,
        "lonlat": str(tmp_path / "lonlat.tif"),
        "netcdf": str(tmp_path / "qa4sm.nc"),
        "months": MONTHS,
        "unit": "m3/m3",
        "title": "A",
    }


def test_the_check_of_the_service_accepts_it(given):
    name = "qa4sm_preprocessing.format_validator"
    check = pytest.importorskip(name, reason="requirements-check.txt is not installed")
    export_qa4sm.main(**given)
    with pytest.importorskip("netCDF4").Dataset(given["netcdf"]) as file:
        valid, said, _ = check.NetCDFValidator(file).validate()
    assert valid, said
    found = said["validation_results"]
    assert found["variables"]["variables"] == ["soil_moisture"]
    assert found["coordinates"]["lat_vars"] == ["lat"]
    assert found["coordinates"]["lon_vars"] == ["lon"]


def test_numbers_positions_and_times(given):
    export_qa4sm.main(**given)
    with xr.open_dataset(given["netcdf"]) as file:
        for number, path in enumerate(given["monthly"]):
            np.testing.assert_array_equal(file["soil_moisture"][number], read(path))
        for name, band in (("lon", 1), ("lat", 2)):
            stored = read(given["lonlat"], band).astype("float32")
            np.testing.assert_array_equal(file[name], stored)
        times = file["time"].values.astype("datetime64[D]").astype(str).tolist()
        assert times == ["2015-12-16", "2016-02-15"]


def test_maps_of_other_cells_are_refused(given):
    other = Grid(CELLS.crs, CELLS.transform, 20, 599)
    write(given["monthly"][1], other, {"x": np.ones(other.shape)}, {"x": "1"})
    with pytest.raises(UserError, match=r"2016-02\.tif: expected the cells of .*2015-12"):
        export_qa4sm.main(**given)
