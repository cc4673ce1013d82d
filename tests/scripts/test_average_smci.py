"""Monthly SMCI from daily pieces: mosaic, missing days, scale, and what is refused."""

import logging
import subprocess
import sys
from pathlib import Path

import h5py
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


def run(folder, pieces, months=("2010-06", "2010-07"), box=BOX, **given):
    out = [str(folder / "smci" / f"{month}.tif") for month in months]
    known = dict(variable="SMCI", depth=10, scale=0.001, nodata=-999)
    average_smci.main(pieces, out, "2010", box, **(known | given))
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


def test_one_file_for_the_year_may_come_as_one_path(tmp_path):
    path = piece(tmp_path / "all.nc", whole_field())
    assert np.array_equal(*(read(run(tmp_path, given)[0]) for given in (path, [path])))


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
    assert monthly_mean(np.full((31, 1, 1), 2000, "int16"), 0.001)[0, 0] == pytest.approx(2.0)


@given(st.lists(st.integers(0, 1000), min_size=28, max_size=31))
def test_mean_lies_between_the_extremes(days):
    mean = monthly_mean(np.array(days, "int16").reshape(-1, 1, 1), 0.001)[0, 0]
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
    layer = open_piece(piece(tmp_path / "all.nc", whole_field()), 2010, "SMCI")
    per_degree, rows, cols = lattice(layer, "all.nc")
    assert per_degree == 120
    assert (rows[0], cols[0]) == (round((90 - 33.55) * 120) - 1, round((180 + 101.95) * 120))
    assert window_of((0.0, 0.0, 1.0, 1.0), 120).shape == (122, 122)


def test_other_variables_are_listed(tmp_path):
    path = piece(tmp_path / "all.nc", whole_field(), name="swvl1")
    with pytest.raises(UserError, match=r"all.nc: expected variable SMCI .* found swvl1\('time'"):
        run(tmp_path, [path])
    path = piece(tmp_path / "b.nc", whole_field(), dims=("time", "row", "col"))
    with pytest.raises(UserError, match=r"found SMCI\('time', 'row', 'col'\)"):
        run(tmp_path, [path])


def test_another_scale_is_refused(tmp_path):
    field = (whole_field() // 10).astype("int16")
    path = piece(tmp_path / "all.nc", field)
    message = r"all.nc: expected a median of 0.05 to 0.6 m3/m3 after the scale of 0.001, found 0.0"
    with pytest.raises(UserError, match=message + r".* Set smci.scale"):
        run(tmp_path, [path])
    june = run(tmp_path, [path], scale=0.01)[0]
    assert value_at(june, LON[8], LAT[8]) == pytest.approx(field[:30, 8, 8].mean() / 100)


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


@pytest.mark.parametrize(
    "dims", [("time", "latitude", "longitude"), ("valid_time", "y", "x"), ("TIME", "Lat", "Lon")]
)
def test_axes_have_many_names(tmp_path, dims):
    field = whole_field()
    expected = read(run(tmp_path, [piece(tmp_path / "a.nc", field)])[0])
    found = read(run(tmp_path, [piece(tmp_path / "b.nc", field, dims=dims)])[0])
    assert np.array_equal(found, expected, equal_nan=True)


@pytest.mark.parametrize("order", [("lat", "lon", "time"), ("lon", "time", "lat")])
def test_axes_have_any_order(tmp_path, order):
    field = whole_field()
    expected = read(run(tmp_path, [piece(tmp_path / "a.nc", field)])[0])
    layer = xr.DataArray(field, dict(time=DAYS, lat=LAT, lon=LON), ("time", "lat", "lon"))
    turned = layer.transpose(*order).to_dataset(name="SMCI")
    turned.to_netcdf(tmp_path / "b.nc", engine="h5netcdf")
    found = read(run(tmp_path, [str(tmp_path / "b.nc")])[0])
    assert np.array_equal(found, expected, equal_nan=True)


def test_coordinates_may_lie_beside_their_axes(tmp_path):
    field = whole_field()
    expected = read(run(tmp_path, [piece(tmp_path / "a.nc", field)])[0])
    layers = {"SMCI": (("time", "y", "x"), field), "lat": ("y", LAT), "lon": ("x", LON)}
    xr.Dataset(layers, {"time": DAYS}).to_netcdf(tmp_path / "b.nc", engine="h5netcdf")
    found = read(run(tmp_path, [str(tmp_path / "b.nc")])[0])
    assert np.array_equal(found, expected, equal_nan=True)


def test_cells_without_a_place_are_refused(tmp_path):
    layers = xr.Dataset({"SMCI": (("time", "lat", "lon"), whole_field())}, {"time": DAYS})
    layers.to_netcdf(tmp_path / "all.nc", engine="h5netcdf")
    with pytest.raises(UserError, match=r"all.nc: expected coordinates along lat, found none"):
        run(tmp_path, [str(tmp_path / "all.nc")])


def test_metres_are_no_degrees(tmp_path):
    path = piece(tmp_path / "all.nc", whole_field(), LAT * 111e3, LON * 111e3)
    with pytest.raises(UserError, match=r"expected cells by latitude and longitude in degrees"):
        run(tmp_path, [path])


def test_the_variable_of_the_config_is_read(tmp_path):
    path = piece(tmp_path / "all.nc", whole_field(), name="sm_surface")
    assert Path(run(tmp_path, [path], variable="SM_surface")[0]).exists()
    with pytest.raises(UserError, match=r"expected variable SMCI .* smci.variable names the var"):
        run(tmp_path, [path])


def test_many_pieces_in_any_order(tmp_path):
    field, blocks = whole_field(), [slice(0, 7), slice(7, 11), slice(11, 20)]
    expected = read(run(tmp_path, [piece(tmp_path / "all.nc", field)])[0])
    paths = [
        piece(tmp_path / f"{n}{m}{k}.nc", field[days, rows, cols], LAT[rows], LON[cols], DAYS[days])
        for n, rows in enumerate(blocks)
        for m, cols in enumerate(blocks)
        for k, days in enumerate([slice(0, 45), slice(45, 61)])
    ]
    for order in (paths, paths[::-1], sorted(paths, key=lambda path: path[::-1])):
        found = run(tmp_path, order)
        assert np.array_equal(read(found[0]), expected, equal_nan=True)


def test_days_may_come_in_any_order(tmp_path):
    field, shuffled = whole_field(), np.random.default_rng(3).permutation(len(DAYS))
    expected = [read(path) for path in run(tmp_path, [piece(tmp_path / "a.nc", field)])]
    path = piece(tmp_path / "b.nc", field[shuffled], days=DAYS[shuffled])
    for month, values in zip(run(tmp_path, [path]), expected, strict=True):
        assert np.array_equal(read(month), values, equal_nan=True)


def test_a_day_that_comes_twice_is_refused(tmp_path):
    days = DAYS[:-1].append(DAYS[:1] + pd.Timedelta("12h"))
    path = piece(tmp_path / "all.nc", whole_field(), days=days)
    with pytest.raises(UserError, match=r"expected one step a day, found 2010-06-01 twice"):
        run(tmp_path, [path])


def test_files_of_another_year_or_depth_are_left_out_and_named(tmp_path, caplog):
    field = whole_field()
    names = {
        "SMCI_1km_2010_10cm/a.nc": field,
        "SMCI_1km_2010_20cm/a.nc": field + 100,
        "SMCI_1km_2011_10cm/a.nc": field + 100,
        "SMCI_1km_2010_100cm.nc": field + 100,
    }
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
    paths = [piece(tmp_path / name, values) for name, values in names.items()]
    with caplog.at_level(logging.INFO):
        june = run(tmp_path, paths)[0]
    assert value_at(june, LON[8], LAT[8]) == pytest.approx(field[:30, 8, 8].mean() / 1000)
    assert "2010: 1 of 4 files read; left out: 1 of 2010_20cm, 1 of 2011_10cm" in caplog.text
    assert "1 of 2010_100cm" in caplog.text
    with pytest.raises(UserError, match=r"found no such cell in 3 files \(1 of .*smci.depth"):
        run(tmp_path, paths[1:])
    june = run(tmp_path, paths, depth=20)[0]
    assert value_at(june, LON[8], LAT[8]) == pytest.approx(field[:30, 8, 8].mean() / 1000 + 0.1)


def test_a_link_is_judged_by_the_name_it_was_delivered_under(tmp_path):
    path = piece(tmp_path / "SMCI_1km_2010_30cm.nc", whole_field())
    (tmp_path / "1.nc").symlink_to(path)
    with pytest.raises(UserError, match=r"1 of 2010_30cm"):
        run(tmp_path, [str(tmp_path / "1.nc")])


def test_dates_that_belie_the_name_are_refused(tmp_path):
    (tmp_path / "SMCI_1km_2010_10cm").mkdir()
    days = DAYS - pd.Timedelta("365D")
    path = piece(tmp_path / "SMCI_1km_2010_10cm" / "a.nc", whole_field(), days=days)
    with pytest.raises(UserError, match=r"expected days of 2010, found 2009-06-01 to 2009-07-31"):
        run(tmp_path, [path])


def test_the_codes_of_file_and_config_both_mean_missing(tmp_path):
    # The file calls 32767 missing; -999 is missing all the same, and so is what the config names.
    field = whole_field()
    field[:4, 8, 8] = -999, 32767, 777, 777
    layer = xr.DataArray(field, dict(time=DAYS, lat=LAT, lon=LON), ("time", "lat", "lon"))
    layer.attrs["_FillValue"] = np.int16(32767)
    layer.to_dataset(name="SMCI").to_netcdf(tmp_path / "all.nc", engine="h5netcdf")
    june = run(tmp_path, [str(tmp_path / "all.nc")], nodata=777)[0]
    assert value_at(june, LON[8], LAT[8]) == pytest.approx(field[4:30, 8, 8].mean() / 1000)
    june = run(tmp_path, [str(tmp_path / "all.nc")])[0]
    assert value_at(june, LON[8], LAT[8]) == pytest.approx(field[2:30, 8, 8].mean() / 1000)


@pytest.mark.parametrize("missing", [np.nan, -999, 1e20])
def test_fractions_stay_fractions(tmp_path, missing):
    field = (whole_field() / 1000).astype("float32")
    field[2, 8, 8] = missing
    path = piece(tmp_path / "all.nc", field)
    with h5py.File(path, "a") as file:
        file["SMCI"].attrs["missing_value"] = np.float32(1e20)
    june = run(tmp_path, [path], scale=1.0)[0]
    kept = np.delete(field[:30, 8, 8], 2)
    assert value_at(june, LON[8], LAT[8]) == pytest.approx(kept.mean(), abs=1e-6)


def test_a_code_that_nobody_names_is_refused(tmp_path):
    field = whole_field()
    field[3, 8, 8] = 32767
    with pytest.raises(UserError, match=r"found 32.77 \(stored 32767\) in 2010-06.*smci.nodata"):
        run(tmp_path, [piece(tmp_path / "all.nc", field)])


@pytest.mark.parametrize(
    ("said", "message"),
    [({"scale_factor": 0.0001}, "found scale_factor 0.0001"), ({"add_offset": 0.5}, "offset 0.5")],
)
def test_a_file_that_says_another_scale_is_refused(tmp_path, said, message):
    path = piece(tmp_path / "all.nc", whole_field())
    with h5py.File(path, "a") as file:
        file["SMCI"].attrs.update(said)
    with pytest.raises(UserError, match=rf"all.nc: .*0.001 \(smci.scale\).*{message}"):
        run(tmp_path, [path])


def test_the_scale_of_the_file_is_not_applied_twice(tmp_path):
    field = whole_field()
    path = piece(tmp_path / "all.nc", field)
    with h5py.File(path, "a") as file:
        file["SMCI"].attrs["scale_factor"] = 0.001
    june = run(tmp_path, [path])[0]
    assert value_at(june, LON[8], LAT[8]) == pytest.approx(field[:30, 8, 8].mean() / 1000)


def test_a_year_without_dates_that_has_other_units(tmp_path):
    values = np.full((365, len(LAT), len(LON)), 300, "int16")
    path = piece(tmp_path / "all.nc", values, days=np.arange(365))
    with h5py.File(path, "a") as file:
        file["time"].attrs["units"] = "days since the beginning"
    assert value_at(run(tmp_path, [path])[0], LON[8], LAT[8]) == pytest.approx(0.3)


def test_a_damaged_piece_is_refused(tmp_path):
    path = tmp_path / "all.nc"
    layer = xr.DataArray(whole_field(), dict(time=DAYS, lat=LAT, lon=LON), ("time", "lat", "lon"))
    layer.to_dataset(name="SMCI").to_netcdf(
        path, engine="h5netcdf", encoding={"SMCI": {"zlib": True}}
    )
    with h5py.File(path) as file:
        chunk = file["SMCI"].id.get_chunk_info(0)
    content = bytearray(path.read_bytes())
    content[chunk.byte_offset : chunk.byte_offset + 64] = bytes(64)
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"all.nc: expected NetCDF-4, found values that cannot be"):
        run(tmp_path, [str(path)])
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match=r"all.nc: expected NetCDF-4, found a file that cannot be"):
        run(tmp_path, [str(path)])


MEASURE = """
import resource, sys
sys.path.insert(0, {scripts!r})
import average_smci
average_smci.main([{path!r}], [{out!r}], "2010", {box!r}, "SMCI", 10, 0.001, -999)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
sys.stdout.write(str(peak * (1 if sys.platform == "darwin" else 1024)))
"""


@pytest.mark.parametrize("north_up", [True, False])
def test_only_the_window_of_a_whole_layer_is_read(tmp_path, north_up):
    # A layer of China for a year as delivered: 4320 x 7560 cells, 365 days, 23.8 GB of int16.
    path, out = tmp_path / "SMCI_1km_2010_10cm.nc", tmp_path / "2010-06.tif"
    lat, lon = 18 + (np.arange(4320) + 0.5) / 120, 73 + (np.arange(7560) + 0.5) / 120
    lat = lat[::-1] if north_up else lat
    rows, cols = np.flatnonzero(abs(lat - 33.6) < 0.4), np.flatnonzero(abs(lon - 102) < 0.4)
    with h5py.File(path, "w") as file:
        for name, values in (("time", np.arange(365)), ("lat", lat), ("lon", lon)):
            file[name] = values
            file[name].make_scale(name)
        layer = file.create_dataset(
            *("SMCI", (365, 4320, 7560), "int16"),
            chunks=(31, 180, 180),
            compression="gzip",
            compression_opts=1,
            fillvalue=-999,
        )
        for axis, name in enumerate(("time", "lat", "lon")):
            layer.dims[axis].attach_scale(file[name])
        for day in (151, 166):
            layer[day : day + 15, rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1] = 250
    code = MEASURE.format(
        scripts=str(Path(average_smci.__file__).parent),
        path=str(path),
        out=str(out),
        box=(101.7, 33.3, 102.3, 33.9),
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 1e9, "bytes of memory"
    assert value_at(out, 102.0, 33.6) == pytest.approx(0.25)
