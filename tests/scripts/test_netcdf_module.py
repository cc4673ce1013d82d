"""Months as days since an epoch, and variables that grow in strips."""

import h5netcdf
import numpy as np
import xarray as xr

from _netcdf import bounds, grown


def test_a_leap_year_and_the_turn_of_the_year():
    days = bounds(["2015-12", "2016-01", "2016-02"])
    assert (days[1:, 0] == days[:-1, 1]).all()
    assert (days[:, 1] - days[:, 0]).tolist() == [31, 31, 29]


def test_what_is_not_written_yet_is_missing(tmp_path):
    with h5netcdf.File(tmp_path / "a.nc", "w") as file:
        file.dimensions = {"y": 5, "x": 3}
        layer = grown(file, "layer", ("y", "x"), "float32", {"units": "1"})
        layer[2:4] = np.ones((2, 3), "float32")
    with xr.open_dataset(tmp_path / "a.nc") as found:
        assert np.isfinite(found["layer"]).sum() == 6
        assert found["layer"].attrs["units"] == "1"
