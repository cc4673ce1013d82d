"""Simulated moisture products, read back by xarray and rasterio, against the truth."""

from datetime import date

import numpy as np
import pytest
import rasterio
import xarray as xr

from _world import CRS, build
from simulate_fields import Cells, axis, days, era5land_month, main, pieces, smc_month, smci_month

AREA = (102.0, 33.6, 102.7, 34.19)
MONTHS = [6, 7]


def paths(root, year, months):
    return {
        "smci": [str(root / f"SMCI_1km_{year}_10cm" / f"{n}.nc") for n in ("north", "south")],
        "smc": [str(root / f"SMC_{year}{month:02d}.tif") for month in months],
        "era5land": str(root / f"{year}.nc"),
        "truth": [str(root / "truth" / f"{year}-{month:02d}.tif") for month in months],
    }


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    root = tmp_path_factory.mktemp("fields")
    main(**paths(root, 2012, MONTHS), year="2012", months=MONTHS, area=AREA, seed=7, trend=0.0)
    return root


@pytest.fixture(scope="module")
def world():
    return build(AREA, 7, 0.0)


def smci_pieces(archive):
    folder = archive / "SMCI_1km_2012_10cm"
    return [
        xr.open_dataset(folder / f"{n}.nc", engine="h5netcdf", mask_and_scale=False)
        for n in ("north", "south")
    ]


def test_smci_pieces_join_by_their_coordinates(archive):
    north, south = smci_pieces(archive)
    assert north.SMCI.dims == ("time", "lat", "lon")
    assert north.SMCI.dtype == "int16"
    assert (np.diff(north.lat) < 0).all()
    assert (np.diff(south.lat) > 0).all()
    lat = np.sort(np.concatenate([north.lat, south.lat]))
    assert np.diff(lat) == pytest.approx(1 / 120)
    edges = (lat - 1 / 240) * 120
    assert edges == pytest.approx(np.rint(edges), abs=1e-6)
    assert lat[0] - 1 / 240 == pytest.approx(33.6 - 3 / 120)
    assert north.lon.values[-1] + 1 / 240 == pytest.approx(102.7 + 3 / 120)
    assert north.time.values[0] == np.datetime64("2012-06-01")
    assert north.time.size == 61


def test_smci_is_stored_in_thousandths_with_gaps_that_no_reader_masks_for_us(archive):
    for piece in smci_pieces(archive):
        stored = piece.SMCI.values
        assert (stored == -999).any()
        assert "_FillValue" not in piece.SMCI.attrs
        assert piece.SMCI.attrs["missing_value"] == -999
        data = stored[stored != -999]
        assert 0.3 < np.median(data) / 1000 < 0.45
        assert data.min() > 0
        assert data.max() < 700
    always = np.concatenate(
        [(p.SMCI.values == -999).all(axis=0).ravel() for p in smci_pieces(archive)]
    )
    assert always.any()  # the lake


def test_days_of_smci_average_to_its_month(archive, world):
    north, _ = smci_pieces(archive)
    cells = Cells(world, 120, 3)
    expected = smci_month(cells, world.month(2012, 6)["moisture"], 2012, 6)[: north.lat.size]
    june = north.SMCI.values[:30].astype(float)
    june[june == -999] = np.nan
    # Missing days were wetter or drier than the month: the mean is that of the others.
    level = june / 1000 - 0.8 * world.swing(2012, 6)[:, None, None]
    some = np.isfinite(level).any(axis=0)
    assert some.mean() > 0.95
    assert np.nanmean(level[:, some], axis=0) == pytest.approx(expected[some], abs=5e-4)


def test_smc_month(archive):
    with rasterio.open(archive / "SMC_201207.tif") as file:
        stored = file.read(1)
        assert (file.crs.to_epsg(), file.nodata, file.dtypes) == (4326, -9999.0, ("float32",))
        assert file.res == pytest.approx((0.05, 0.05))
        assert file.bounds.left * 20 == pytest.approx(round(file.bounds.left * 20), abs=1e-6)
        assert file.bounds.left <= 102.0
        assert file.bounds.top >= 34.19
    gaps = (stored == -9999) | (stored == 0)
    assert gaps.mean() < 0.1
    assert 0.35 < np.median(stored[~gaps]) < 0.5


def test_smc_lacks_cells_with_and_without_saying_so(tmp_path):
    months = [5, 6, 7, 8, 9, 10]
    wanted = paths(tmp_path, 2013, months)
    main(**wanted, year=2013, months=months, area=AREA, seed=7, trend=0.0)
    stored = np.array([rasterio.open(path).read(1) for path in wanted["smc"]])
    assert (stored == -9999).any()
    assert (stored == 0).any()


def test_era5land_is_as_the_climate_data_store_delivers_it(archive):
    found = xr.open_dataset(archive / "2012.nc", engine="h5netcdf")
    assert found.swvl1.dims == ("valid_time", "latitude", "longitude")
    assert list(found.valid_time.values.astype("datetime64[D]").astype(str)) == [
        "2012-06-01",
        "2012-07-01",
    ]
    assert found.expver.dims == ("valid_time",)
    assert found.expver.values.tolist() == ["0001", "0001"]
    assert found.number.shape == ()
    assert (np.diff(found.latitude) < 0).all()
    assert np.diff(found.longitude) == pytest.approx(0.1)
    assert np.isfinite(found.swvl1.values).all()
    assert 0.2 < float(found.swvl1.mean()) < 0.5


def test_truth_is_the_world_on_its_own_cells(archive, world):
    with rasterio.open(archive / "truth" / "2012-07.tif") as file:
        assert file.descriptions == ("soil_moisture", "precipitation")
        assert file.units == ("m3/m3", "mm/month")
        assert file.res == (250, 250)
        assert file.bounds.left % 250 == file.bounds.top % 250 == 0
        assert file.crs == rasterio.crs.CRS.from_string(CRS)
        moisture, rain = file.read()
        left, top = file.bounds.left, file.bounds.top
    row, col = round((world.top - top) / 250), round((left - world.left) / 250)
    found = world.month(2012, 7)
    window = slice(row, row + moisture.shape[0]), slice(col, col + moisture.shape[1])
    assert np.array_equal(moisture, found["moisture"][window])
    assert np.array_equal(rain, found["rain"][window])


def test_products_err_as_they_were_made_to(world):
    fine, middle, wide = Cells(world, 120, 3), Cells(world, 20, 2), Cells(world, 10, 1)
    truth, found = [], []
    for month in range(5, 11):
        moisture = world.month(2012, month)["moisture"]
        truth.append([cells.mean(moisture) for cells in (fine, middle, wide)])
        found.append(
            [
                smci_month(fine, moisture, 2012, month),
                smc_month(middle, moisture, 2012, month),
                era5land_month(wide, moisture, 2012, month),
            ]
        )
    truth = [np.array(product).ravel() for product in zip(*truth, strict=True)]
    found = [np.array(product).ravel() for product in zip(*found, strict=True)]
    error = [found[n] - truth[n] for n in range(3)]
    # Section C of the design: RMSE 0.033 and R 0.85 at 1 km; SMC is 0.05 too wet.
    assert np.sqrt(np.mean(error[0] ** 2)) == pytest.approx(0.033, abs=0.004)
    assert np.corrcoef(truth[0], found[0])[0, 1] == pytest.approx(0.85, abs=0.05)
    assert found[0].std() < truth[0].std()
    assert error[1].mean() == pytest.approx(0.05, abs=0.01)
    parent = wide.noise(6_000, "parent error").ravel()
    assert np.corrcoef(np.tile(parent, 6), error[2])[0, 1] > 0.5


def test_a_mean_over_cells_is_the_mean_of_what_lies_in_them(world):
    cells = Cells(world, 10, 1)
    lon, lat = world.lonlat
    within = (lon >= 102.3) & (lon < 102.4) & (lat >= 33.8) & (lat < 33.9)
    row, col = np.abs(cells.lat - 33.85).argmin(), np.abs(cells.lon - 102.35).argmin()
    values = world.land["elevation"]
    assert cells.mean(values)[row, col] == pytest.approx(values[within].mean(), rel=1e-6)
    assert np.isfinite(cells.mean(values)).all()


@pytest.mark.parametrize(
    ("low", "high", "per_degree", "margin", "first", "count"),
    [(102.0, 102.7, 120, 3, 101.975, 90), (33.6, 34.19, 20, 0, 33.6, 12), (0.1, 0.2, 10, 1, 0, 3)],
)
def test_axis(low, high, per_degree, margin, first, count):
    centres = axis(low, high, per_degree, margin)
    assert centres.size == count
    assert centres[0] - 0.5 / per_degree == pytest.approx(first)


def test_days_are_those_of_the_months_only():
    found = days(2013, [5, 10])
    assert found.size == 62
    assert found[0] == (date(2013, 5, 1) - date(2013, 1, 1)).days
    assert found[-1] == (date(2013, 10, 31) - date(2013, 1, 1)).days


def test_pieces_hold_every_row_once():
    rows = np.arange(7)
    (north, down), (south, up) = pieces(7)
    assert rows[north][::down].tolist() == [0, 1, 2]
    assert rows[south][::up].tolist() == [6, 5, 4, 3]


def test_same_seed_same_bytes_and_another_year_changes_nothing(archive, tmp_path):
    main(**paths(tmp_path, 2011, [6]), year=2011, months=[6], area=AREA, seed=7, trend=0.0)
    main(**paths(tmp_path, 2012, MONTHS), year="2012", months=MONTHS, area=AREA, seed=7, trend=0.0)
    for name in ("2012.nc", "SMC_201206.tif", "SMCI_1km_2012_10cm/south.nc", "truth/2012-07.tif"):
        assert (tmp_path / name).read_bytes() == (archive / name).read_bytes()
