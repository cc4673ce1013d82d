"""ERA5-Land as CDS delivers it, in all its disguises."""

import zipfile

import numpy as np
import pandas as pd
import pytest
import rasterio
import xarray as xr

import read_era5land
from _log import UserError
from _raster import read

MONTHS = pd.to_datetime(["2010-06-01", "2010-07-01"])
LAT = np.array([34.2, 34.1, 34.0])
LON = np.array([102.0, 102.1, 102.2, 102.3])
VALUES = np.linspace(0.2, 0.5, 24, dtype="float32").reshape(2, 3, 4)


def dataset(values=VALUES, months=MONTHS, lat=LAT, time="valid_time", name="swvl1"):
    layer = xr.DataArray(
        values, {time: months, "latitude": lat, "longitude": LON}, (time, "latitude", "longitude")
    )
    layer = layer.assign_coords(number=0, expver=(time, ["0001"] * len(months)))
    return layer.to_dataset(name=name)


def write(data, path):
    data.to_netcdf(path, engine="h5netcdf")
    return str(path)


def run(folder, path, months=("2010-06", "2010-07")):
    out = [str(folder / "era5land" / f"{month}.tif") for month in months]
    read_era5land.main(path, out)
    return out


def is_right(paths):
    for path, expected in zip(paths, VALUES, strict=True):
        assert np.array_equal(read(path, "swvl1"), expected.astype(float))
    with rasterio.open(paths[0]) as source:
        assert source.crs.to_epsg() == 4326
        assert source.bounds == pytest.approx((101.95, 33.95, 102.35, 34.25))
        assert source.units == ("m3/m3",)


def test_as_delivered_today(tmp_path):
    is_right(run(tmp_path, write(dataset(), tmp_path / "2010.nc")))


def test_as_delivered_before(tmp_path):
    is_right(run(tmp_path, write(dataset(time="time"), tmp_path / "2010.nc")))


def test_south_first_is_turned(tmp_path):
    path = write(dataset(VALUES[:, ::-1], lat=LAT[::-1]), tmp_path / "2010.nc")
    is_right(run(tmp_path, path))


def test_months_are_found_by_their_stamp_not_their_place(tmp_path):
    path = write(dataset(VALUES[::-1], MONTHS[::-1]), tmp_path / "2010.nc")
    is_right(run(tmp_path, path))


def test_preliminary_months_lie_beside_final_ones(tmp_path):
    final, preliminary = VALUES.copy(), VALUES.copy()
    final[1], preliminary[0] = np.nan, np.nan
    coords = {"time": MONTHS, "expver": [1, 5], "latitude": LAT, "longitude": LON}
    stacked = np.stack([final, preliminary], axis=1)
    data = xr.DataArray(stacked, coords, list(coords)).to_dataset(name="swvl1")
    is_right(run(tmp_path, write(data, tmp_path / "2010.nc")))


def test_a_zip_in_disguise_is_opened(tmp_path):
    other = write(dataset(name="tp"), tmp_path / "other.nc")
    right = write(dataset(), tmp_path / "right.nc")
    with zipfile.ZipFile(tmp_path / "2010.nc", "w") as archive:
        archive.write(other, "data_stream-moda_stepType-avgad.nc")
        archive.write(right, "data_stream-moda_stepType-avgua.nc")
    is_right(run(tmp_path, str(tmp_path / "2010.nc")))


@pytest.mark.parametrize("name", ["../evil.nc", "/etc/evil.nc"])
def test_a_zip_that_reaches_out_is_refused(tmp_path, name):
    with zipfile.ZipFile(tmp_path / "2010.nc", "w") as archive:
        archive.writestr(name, b"x")
    with pytest.raises(UserError, match=f"2010.nc: expected a name that stays .* '{name}', found"):
        run(tmp_path, str(tmp_path / "2010.nc"))


def test_a_damaged_zip_is_refused(tmp_path):
    write(dataset(), tmp_path / "right.nc")
    with zipfile.ZipFile(tmp_path / "2010.nc", "w") as archive:
        archive.write(tmp_path / "right.nc", "data.nc")
    content = (tmp_path / "2010.nc").read_bytes()
    (tmp_path / "2010.nc").write_bytes(content[:-100])
    with pytest.raises(UserError, match="2010.nc: expected a whole zip archive"):
        run(tmp_path, str(tmp_path / "2010.nc"))


@pytest.mark.parametrize("engine", ["h5netcdf", "scipy"])
def test_more_months_years_and_cells_than_asked_for_are_fine(tmp_path, engine):
    months = pd.date_range("2009-01-01", "2011-12-01", freq="MS")
    values = np.random.default_rng(3).uniform(0.1, 0.5, (36, 3, 4)).astype("float32")
    values[17:19] = VALUES  # June and July 2010
    data = dataset(values, months).drop_vars("expver")
    data.to_netcdf(tmp_path / "all.nc", engine=engine)
    is_right(run(tmp_path, str(tmp_path / "all.nc")))


def test_a_month_that_is_there_twice_is_refused(tmp_path):
    months = pd.to_datetime(["2010-06-01 00:00", "2010-06-01 03:00"])
    path = write(dataset(months=months), tmp_path / "2010.nc")
    with pytest.raises(UserError, match=r"each month once, found 2010-06 again. Request monthly_a"):
        run(tmp_path, path, ["2010-06"])


def test_a_cut_file_is_refused(tmp_path):
    path = write(dataset(), tmp_path / "2010.nc")
    content = (tmp_path / "2010.nc").read_bytes()
    (tmp_path / "2010.nc").write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match="2010.nc: expected whole NetCDF, found a file that cannot"):
        run(tmp_path, path)


def test_missing_months_are_named(tmp_path):
    path = write(dataset(), tmp_path / "2010.nc")
    with pytest.raises(UserError, match="means of 2010-08, 2010-09, found 2010-06, 2010-07"):
        run(tmp_path, path, ["2010-06", "2010-08", "2010-09"])


def test_another_variable_is_named(tmp_path):
    path = write(dataset(name="tp"), tmp_path / "2010.nc")
    with pytest.raises(UserError, match=r"2010.nc: expected variable swvl1 .* found tp"):
        run(tmp_path, path)


def test_another_unit_is_refused(tmp_path):
    path = write(dataset(VALUES * 100), tmp_path / "2010.nc")
    with pytest.raises(UserError, match="expected soil moisture of 0 to 1 m3/m3, found 20 to"):
        run(tmp_path, path)


def test_an_ensemble_is_refused(tmp_path):
    layer = dataset()["swvl1"].drop_vars("number").expand_dims(number=[0, 1])
    path = write(layer.to_dataset(name="swvl1"), tmp_path / "2010.nc")
    with pytest.raises(UserError, match="found number, time, latitude, longitude"):
        run(tmp_path, path)


def test_a_message_of_the_server_is_quoted(tmp_path):
    (tmp_path / "2010.nc").write_text('{"title": "not accepted"}')
    with pytest.raises(UserError, match=r"found a file that begins with b'\{\"title\""):
        run(tmp_path, str(tmp_path / "2010.nc"))


def test_cells_over_water_stay_missing(tmp_path):
    values = VALUES.copy()
    values[0, 0, 0] = np.nan
    path = run(tmp_path, write(dataset(values), tmp_path / "2010.nc"))[0]
    assert np.isnan(read(path)[0, 0])
