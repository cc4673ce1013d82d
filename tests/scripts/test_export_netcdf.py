"""A year of maps as NetCDF: the numbers of the maps, and what the CF conventions ask for."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from rasterio.crs import CRS
from rasterio.transform import Affine

import export_netcdf
from _log import UserError
from _raster import Grid, created, read, write

CELLS = Grid(
    CRS.from_string("+proj=aea +lat_1=28 +lat_2=36 +lat_0=0 +lon_0=101 +datum=WGS84 +units=m"),
    Affine(250, 0, 100_000, 0, -250, 3_620_000),
    37,
    1100,
)
MONTHS = ["2015-12", "2016-02"]
KINDS = ["monthly", "lower", "upper", "di"]


@pytest.fixture
def given(tmp_path):
    """Maps of more rows than a block has, with gaps, and the positions of their cells."""
    random, arguments = np.random.default_rng(3), {}
    for kind in KINDS:
        arguments[kind] = [str(tmp_path / kind / f"{month}.tif") for month in MONTHS]
        for path in arguments[kind]:
            layer = random.random(CELLS.shape)
            layer[random.random(CELLS.shape) < 0.2] = np.nan
            write(path, CELLS, {"x": layer, "more": layer}, {"x": "1", "more": "1"})
    arguments["lonlat"] = str(tmp_path / "lonlat.tif")
    with created(arguments["lonlat"], CELLS, {"lon": "degree", "lat": "degree"}, "float64") as t:
        t.write(np.stack([101 + random.random(CELLS.shape), 33 + random.random(CELLS.shape)]))
    return arguments | {
        "netcdf": str(tmp_path / "soil_moisture_2016.nc"),
        "months": MONTHS,
        "depth": [0, 0.05],
        "level": 0.9,
        "unit": "m3/m3",
        "title": "A & b, ö",
        "note": "",
    }


def test_every_number_of_the_maps_is_in_the_file(given):
    export_netcdf.main(**given)
    with xr.open_dataset(given["netcdf"]) as file:
        names = dict(
            zip(["soil_moisture", "lower", "upper", "dissimilarity_index"], KINDS, strict=True)
        )
        for name, kind in names.items():
            assert file[name].dims == ("time", "depth", "y", "x")
            for number, path in enumerate(given[kind]):
                np.testing.assert_array_equal(file[name][number, 0], read(path).astype("float32"))
        x, y = CELLS.centres()
        np.testing.assert_array_equal(file["x"], x[0])
        np.testing.assert_array_equal(file["y"], y[:, 0])
        for name, band in (("longitude", 1), ("latitude", 2)):
            stored = read(given["lonlat"], band).astype("float32")
            np.testing.assert_array_equal(file[name], stored)


def test_months_depth_unit_and_projection_are_said(given):
    export_netcdf.main(**given)
    with xr.open_dataset(given["netcdf"]) as file:
        assert file["time_bnds"].values.astype("datetime64[D]").astype(str).tolist() == [
            ["2015-12-01", "2016-01-01"],
            ["2016-02-01", "2016-03-01"],
        ]
        assert (file["time"] > file["time_bnds"][:, 0]).all()
        assert file["depth_bnds"].values.tolist() == [[0, 0.05]]
        moisture = file["soil_moisture"]
        assert moisture.attrs["units"] == "m3 m-3"
        assert set(moisture.attrs["ancillary_variables"].split()) < set(file)
        assert "90 %" in file["lower"].attrs["long_name"]
        named = file["crs"].attrs
        assert named["grid_mapping_name"] == "albers_conical_equal_area"
        assert CRS.from_wkt(named["crs_wkt"]) == CELLS.crs
        assert file.attrs["title"] == "A & b, ö"


def test_the_checker_of_the_community_has_nothing_to_say(given):
    checker = Path(sys.executable).with_name("compliance-checker")
    if not checker.exists():
        pytest.skip("requirements-check.txt is not installed: make test does it")
    export_netcdf.main(**given)
    ended = subprocess.run(
        [checker, "--test", "cf:1.8", "--criteria", "strict", given["netcdf"]],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0 and "All tests passed!" in ended.stdout, ended.stdout[-3000:]


def test_maps_of_other_cells_are_refused(given):
    other = Grid(CELLS.crs, CELLS.transform, CELLS.width, CELLS.height - 1)
    write(given["upper"][1], other, {"x": np.ones(other.shape)}, {"x": "1"})
    with pytest.raises(UserError, match=r"upper/2016-02\.tif: expected the cells of .*2015-12"):
        export_netcdf.main(**given)
    assert not Path(given["netcdf"]).exists()


def test_the_same_maps_give_the_same_bytes(given, tmp_path):
    export_netcdf.main(**given)
    first = shutil.copy(given["netcdf"], tmp_path / "first.nc")
    export_netcdf.main(**given)
    assert Path(first).read_bytes() == Path(given["netcdf"]).read_bytes()
