"""Monthly SMCI from daily pieces: mosaic, missing days, scale, and what is refused."""

import logging

import numpy as np
import pandas as pd
import pytest
import rasterio
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

import average_smci
from _log import UserError
from _raster import read
from average_smci import lattice, monthly_mean, open_piece, placed, window_of

BOX = (102.0, 33.60, 102.04, 33.64)
# Cells of 1/120 degree around the box, west to east and south to north.
LON = 101.95 + (np.arange(20) + 0.5) / 120
LAT = 33.55 + (np.arange(20) + 0.5) / 120
DAYS = pd.date_range("2010-06-01", "2010-07-31")


def whole_field():
    """Return stored integers (days, lat, lon) that differ in every cell."""
    random = np.random.default_rng(5)
    return random.integers(200, 400, (len(DAYS), len(LAT), len(LON))).astype("int16")


def piece(path, values, lat=LAT, lon=LON, days=DAYS, name="SMCI", dims=("time", "lat", "lon")):
    coords = dict(zip(("time", "lat", "lon"), (days, lat, lon), strict=True))
    layer = xr.DataArray(values, coords, ("time", "lat", "lon"), attrs={"missing_value": -999})
    layer.rename(dict(zip(("time", "lat", "lon"), dims, strict=True))).to_dataset(
        name=name
    ).to_netcdf(path, engine="h5netcdf")
    return str(path)


def run(folder, pieces, months=("2010-06", "2010-07"), box=BOX):
    out = [str(folder / "smci" / f"{month}.tif") for month in months]
    average_smci.main(pieces, out, "2010", box)
    return out


def value_at(path, lon, lat):
    with rasterio.open(path) as source:
        return float(next(source.sample([(lon, lat)]))[0])


@pytest.mark.parametrize("order", [1, -1])
def test_pieces_in_any_order_and_direction_make_one_mosaic(tmp_path, order):
    field = whole_field()
    # The north descends, the south ascends, and they share two rows.
    north = piece(tmp_path / "north.nc", field[:, :9:-1], LAT[:9:-1])
    south = piece(tmp_path / "south.nc", field[:, :12], LAT[:12])
    june, july = run(tmp_path, [north, south][::order])
    for row in range(5, 12):
        for col in range(5, 12):
            expected = field[:30, row, col].astype(float).mean() / 1000
            assert value_at(june, LON[col], LAT[row]) == pytest.approx(expected, abs=1e-6)
    assert value_at(july, LON[7], LAT[7]) == pytest.approx(field[30:, 7, 7].mean() / 1000, abs=1e-6)


def test_the_window_is_the_box_and_one_cell_on_lat_lon(tmp_path):
    path = run(tmp_path, [piece(tmp_path / "all.nc", whole_field())])[0]
    with rasterio.open(path) as source:
        assert source.crs.to_epsg() == 4326
        assert source.descriptions == ("SMCI",)
        assert source.units == ("m3/m3",)
        # 102.00..102.04 touches 5 cells from 102.0, 33.60..33.64 as many; and one around.
        assert source.shape == (7, 7)
        assert source.bounds.left == pytest.approx(102.0 - 1 / 120)
        assert source.bounds.top == pytest.approx(33.6 + 6 / 120)


def test_missing_days_never_enter_the_mean(tmp_path):
    field = whole_field()
    field[:9, 8, 8] = -999  # 21 of 30 days are left: exactly 70 %
    field[:10, 8, 9] = -999
    field[5, 8, 10] = -3  # no soil moisture either
    june = run(tmp_path, [piece(tmp_path / "all.nc", field)])[0]
    assert value_at(june, LON[8], LAT[8]) == pytest.approx(field[9:30, 8, 8].mean() / 1000)
    assert np.isnan(value_at(june, LON[9], LAT[8]))
    kept = np.delete(field[:30, 8, 10], 5)
    assert value_at(june, LON[10], LAT[8]) == pytest.approx(kept.mean() / 1000)


@pytest.mark.parametrize("name", ["missing_value", "_FillValue"])
def test_the_files_own_missing_value_is_no_soil_moisture(tmp_path, name):
    field = whole_field()
    field[3, 8, 8] = 32767
    layer = xr.DataArray(field, dict(time=DAYS, lat=LAT, lon=LON), ("time", "lat", "lon"))
    layer.attrs["missing_value"] = -999
    layer.attrs[name] = np.int16(32767)
    layer.to_dataset(name="SMCI").to_netcdf(tmp_path / "all.nc", engine="h5netcdf")
    june = run(tmp_path, [str(tmp_path / "all.nc")])[0]
    kept = np.delete(field[:30, 8, 8], 3)
    assert value_at(june, LON[8], LAT[8]) == pytest.approx(kept.mean() / 1000)


def test_sums_do_not_overflow_the_stored_integers():
    # 31 days of 600 sum to 18,600; of 2,000 to 62,000, beyond int16.
    assert monthly_mean(np.full((31, 1, 1), 2000, "int16"))[0, 0] == pytest.approx(2.0)


@given(st.lists(st.integers(0, 1000), min_size=28, max_size=31))
def test_mean_lies_between_the_extremes(days):
    mean = monthly_mean(np.array(days, "int16").reshape(-1, 1, 1))[0, 0]
    assert min(days) / 1000 - 1e-12 <= mean <= max(days) / 1000 + 1e-12


def test_a_missing_value_gives_way_to_the_other_piece():
    mosaic = np.array([[[5, -1, 7]]])
    differing = placed(mosaic, np.array([[[-1, 6, 7]]]), [0], [0], [0, 1, 2])
    assert mosaic.tolist() == [[[5, 6, 7]]]
    assert differing == 0


def test_overlaps_that_differ_are_refused(tmp_path):
    field = whole_field()
    other = field[:, :12].copy()
    other[3, 10, 8] += 1
    pieces = [piece(tmp_path / "a.nc", field), piece(tmp_path / "b.nc", other, LAT[:12])]
    with pytest.raises(UserError, match=r"b.nc: .* found 1 that differ in 2010-06"):
        run(tmp_path, pieces)


def test_a_piece_beside_the_box_does_no_harm(tmp_path):
    field = whole_field()
    beside = piece(tmp_path / "far.nc", field, LAT + 5)
    first = run(tmp_path, [piece(tmp_path / "all.nc", field)])[0]
    before = read(first)
    again = run(tmp_path, [beside, str(tmp_path / "all.nc")])[0]
    assert np.array_equal(read(again), before)


def test_days_without_dates_are_counted_from_new_year(tmp_path):
    values = np.full((365, len(LAT), len(LON)), 100, "int16")
    values[151:181] = 300  # June is day 152 to 181
    path = piece(tmp_path / "all.nc", values, days=np.arange(365))
    assert value_at(run(tmp_path, [path])[0], LON[8], LAT[8]) == pytest.approx(0.3)


def test_a_day_stamped_at_noon_is_that_day(tmp_path):
    values = np.full((len(DAYS), len(LAT), len(LON)), 200, "int16")
    values[30:] = 400  # July
    path = piece(tmp_path / "all.nc", values, days=DAYS + pd.Timedelta("12h"))
    june, july = run(tmp_path, [path])
    assert value_at(june, LON[8], LAT[8]) == pytest.approx(0.2)
    assert value_at(july, LON[8], LAT[8]) == pytest.approx(0.4)


def test_the_log_counts_the_cells(tmp_path, caplog):
    field = whole_field()
    field[:, 8, 8] = -999
    with caplog.at_level(logging.INFO):
        run(tmp_path, [piece(tmp_path / "all.nc", field)])
    assert "2010-06: 49 cells of 1 km, 1 without any day, 0 with less than 70%" in caplog.text


def test_lattice_counts_from_the_north_west_of_the_world(tmp_path):
    layer = open_piece(piece(tmp_path / "all.nc", whole_field()), 2010)
    per_degree, rows, cols = lattice(layer, "all.nc")
    assert per_degree == 120
    assert (rows[0], cols[0]) == (round((90 - 33.55) * 120) - 1, round((180 + 101.95) * 120))
    assert window_of((0.0, 0.0, 1.0, 1.0), 120).shape == (122, 122)


def test_other_variables_are_listed(tmp_path):
    path = piece(tmp_path / "all.nc", whole_field(), name="swvl1")
    with pytest.raises(UserError, match=r"all.nc: expected variable SMCI .* found swvl1\('time'"):
        run(tmp_path, [path])
    path = piece(tmp_path / "b.nc", whole_field(), dims=("time", "y", "x"))
    with pytest.raises(UserError, match=r"found SMCI\('time', 'y', 'x'\)"):
        run(tmp_path, [path])


def test_another_scale_is_refused(tmp_path):
    field = (whole_field() // 10).astype("int16")
    with pytest.raises(UserError, match=r"all.nc: expected a median of 0.05 to 0.6 m3/m3"):
        run(tmp_path, [piece(tmp_path / "all.nc", field)])


def test_shifted_cells_are_refused(tmp_path):
    path = piece(tmp_path / "all.nc", whole_field(), LAT + 1 / 240)
    with pytest.raises(UserError, match=r"all.nc: expected cells whose edges are multiples"):
        run(tmp_path, [path])


def test_editions_do_not_mix(tmp_path):
    coarse = 33.05 + np.arange(20) / 10, 101.05 + np.arange(20) / 10
    pieces = [
        piece(tmp_path / "a.nc", whole_field()),
        piece(tmp_path / "b.nc", whole_field(), *coarse),
    ]
    with pytest.raises(UserError, match=r"b.nc: expected cells of 1/120 degree .* found 1/10"):
        run(tmp_path, pieces)


def test_a_year_that_lacks_the_box_is_refused(tmp_path):
    with pytest.raises(UserError, match="found no such cell"):
        run(tmp_path, [piece(tmp_path / "far.nc", whole_field(), LAT + 5)])


def test_undated_steps_of_no_year_are_refused(tmp_path):
    path = piece(tmp_path / "all.nc", whole_field(), days=np.arange(len(DAYS)))
    with pytest.raises(UserError, match="expected dates or the 365 days of 2010, found 61 steps"):
        run(tmp_path, [path])


def test_a_web_page_is_refused(tmp_path):
    (tmp_path / "all.nc").write_text("<html>login</html>")
    with pytest.raises(UserError, match=r"all.nc: expected NetCDF-4"):
        run(tmp_path, [str(tmp_path / "all.nc")])
