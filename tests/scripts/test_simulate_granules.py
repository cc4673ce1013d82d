"""Simulated granules, read back as plain integers by pyhdf and as grids by GDAL."""

import json
import shutil
import subprocess
from datetime import date

import numpy as np
import pytest
from pyhdf.SD import SD, SDC
from pyproj import Transformer

from _hdfeos import Layer, corners_of_tile
from _world import CRS, build
from simulate_granules import (
    KILOMETRE,
    Camera,
    between,
    corners,
    cut,
    land_classes,
    main,
    period,
    places,
    spoiled,
    temperature,
    vegetation,
    water_use,
)

AREA = (102.1, 33.75, 102.35, 33.95)
TILE = "h26v05"
SINUSOIDAL = "+proj=sinu +lon_0=0 +x_0=0 +y_0=0 +R=6371007.181 +units=m +no_defs"
STARTS = {
    "MOD13Q1": ["2012-04-22", "2012-07-11", "2012-12-18"],
    "MOD11A2": ["2012-07-03", "2012-07-11"],
    "MOD16A2GF": ["2012-07-03", "2012-12-26"],
    "MCD43A3": ["2012-07-11"],
}


def paths(root, starts=STARTS):
    return [
        str(root / "modis" / product / day / f"{TILE}.hdf")
        for product, days in starts.items()
        for day in days
    ]


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    root = tmp_path_factory.mktemp("archive")
    main(paths(root), AREA, 7, 0.0)
    return root / "modis"


def layer(archive, product, day, name):
    return SD(str(archive / product / day / f"{TILE}.hdf"), SDC.READ).select(name).get()


def test_cut_holds_the_area_and_two_kilometres_by_proj():
    left, top, right, bottom = corners(TILE, cut(TILE, AREA))
    to_sinusoidal = Transformer.from_crs("OGC:CRS84", SINUSOIDAL, always_xy=True)
    lon, lat = np.meshgrid(np.linspace(102.1, 102.35, 50), np.linspace(33.75, 33.95, 50))
    x, y = to_sinusoidal.transform(lon, lat)
    # At this longitude meridians lean by a metre per metre: a rim to the north moves x as well.
    for rim in (x.min() - left, right - x.max(), y.min() - bottom, top - y.max()):
        assert 2000 < rim < 4000 + KILOMETRE
    tile_left, tile_top, *_ = corners_of_tile(TILE)
    for offset in (left - tile_left, tile_top - top):
        assert offset / KILOMETRE == pytest.approx(round(offset / KILOMETRE), abs=1e-6)


def test_a_cut_stays_in_its_tile():
    # The border of h26v05 and h26v06 is 30 N.
    top, bottom, *_ = cut("h26v05", (102.0, 29.95, 102.1, 30.05))
    assert bottom == 1200
    assert cut("h26v06", (102.0, 29.95, 102.1, 30.05))[0] == 0
    assert 1200 - top == pytest.approx(0.05 * 120 + 2.2, abs=1.5)


def test_a_pixel_shows_the_land_below_its_centre():
    world = build(AREA, 7, 0.0)
    edges = cut(TILE, AREA)
    rows, cols = places(world, TILE, edges)
    left, top, *_ = corners(TILE, edges)
    x, y = left + (30.5) * KILOMETRE / 4, top - (50.5) * KILOMETRE / 4
    to_lattice = Transformer.from_crs(SINUSOIDAL, CRS, always_xy=True)
    east, north = to_lattice.transform(x, y)
    assert int((east - world.left) // 250) == cols[50, 30]
    assert int((world.top - north) // 250) == rows[50, 30]


def test_ndvi_granule(archive):
    day = STARTS["MOD13Q1"][1]
    ndvi = layer(archive, "MOD13Q1", day, "250m 16 days NDVI")
    quality = layer(archive, "MOD13Q1", day, "250m 16 days VI Quality")
    rank = layer(archive, "MOD13Q1", day, "250m 16 days pixel reliability")
    doy = layer(archive, "MOD13Q1", day, "250m 16 days composite day of the year")
    assert (ndvi.dtype, quality.dtype, rank.dtype) == ("int16", "uint16", "int8")
    assert set(np.unique(rank)) >= {-1, 0, 1, 3}
    assert (ndvi[rank == -1] == -3000).all()
    assert (quality[rank == -1] == 65535).all()
    assert (doy[rank == -1] == -1).all()
    good = rank == 0
    assert ndvi[good].min() >= -2000
    assert (quality[good] & 3 == 0).all()
    assert (quality[rank == 3] & 3 == 2).all()
    assert (quality[rank == 3] >> 10 & 1 == 1).all()
    assert np.median(ndvi[good]) > np.median(ndvi[rank == 3]) + 1500
    assert 0.4 < np.median(ndvi[good]) * 1e-4 < 0.95
    assert set(np.unique(doy[good])) <= set(range(193, 209))


def test_clouds_lower_ndvi_and_some_are_not_flagged():
    ndvi = np.full((200, 200), 0.8, dtype="float32")
    snow = np.zeros(ndvi.shape, dtype=bool)
    layers, counts = vegetation(np.random.default_rng(1), ndvi, snow, 0.3, date(2012, 7, 11))
    stored, rank = (layers[f"250m 16 days {n}"].values for n in ("NDVI", "pixel reliability"))
    low = (stored > -2000) & (stored < 0.72 * 8000)
    assert (low & (rank == 3)).sum() > 0.8 * counts["cloud"] > 0
    assert 0 < (low & (rank <= 1)).sum() <= counts["unflagged"] < 0.02 * ndvi.size


def test_last_ndvi_of_a_year_runs_into_january(archive):
    doy = layer(archive, "MOD13Q1", "2012-12-18", "250m 16 days composite day of the year")
    assert set(np.unique(doy[doy > 0])) == {*range(353, 367), 1, 2}


def test_lst_granule(archive):
    lst = layer(archive, "MOD11A2", "2012-07-11", "LST_Day_1km")
    quality = layer(archive, "MOD11A2", "2012-07-11", "QC_Day")
    assert (lst.dtype, quality.dtype) == ("uint16", "uint8")
    gap = lst == 0
    assert gap.any()
    assert (quality[gap] & 3 == 2).mean() > 0.6
    assert (quality[~gap] & 3 < 2).all()
    assert (quality[~gap] == 0).any()
    kelvin = lst[~gap] * 0.02
    assert 273 < np.median(kelvin) < 303
    clear = layer(archive, "MOD11A2", "2012-07-11", "Clear_sky_days")
    assert ((clear == 0) == gap).all()
    night = layer(archive, "MOD11A2", "2012-07-11", "LST_Night_1km")
    assert np.median(night[night > 0]) * 0.02 < np.median(kelvin) - 8


def test_lst_gaps_and_cold_outliers_flagged_and_not():
    rng = np.random.default_rng(1)
    lst = np.full((200, 200), 18.0, dtype="float32")
    layers, counts = temperature(rng, lst, 0.34)
    stored, quality = layers["LST_Day_1km"].values, layers["QC_Day"].values
    assert (stored == 0).mean() == pytest.approx(0.34, abs=0.05)
    assert counts["gap"] == (stored == 0).sum()
    cold = (stored > 0) & (stored * 0.02 - 273.15 < 13)
    told = cold & (quality >> 6 == 3)
    assert told.sum() == pytest.approx(counts["cold_flagged"], abs=3)
    assert (cold & ~told).sum() == pytest.approx(counts["cold_unflagged"], abs=3)
    assert 0 < counts["cold_unflagged"] < counts["cold_flagged"]
    assert ((stored == 0) & (quality == 0)).any()


def test_et_is_a_total_of_its_own_period(archive):
    rng = np.random.default_rng
    et = np.full((100, 100), 2.0, dtype="float32")
    none = np.zeros((100, 100))
    for days in (8, 5):
        layers, _ = water_use(rng(1), et, days, none, 0.1)
        stored, quality = layers["ET_500m"].values, layers["ET_QC_500m"].values
        good = quality >> 5 <= 1
        assert np.median(stored[good]) * 0.1 == pytest.approx(2 * days, rel=0.02)
        wrong = quality >> 5 == 4
        assert np.median(stored[wrong]) < 0.4 * np.median(stored[good])
    assert period("MOD16A2GF", date(2012, 12, 26)) == (date(2012, 12, 26), date(2012, 12, 31))
    assert (layer(archive, "MOD16A2GF", "2012-12-26", "ET_500m") < 32761).any()


def test_et_has_every_special_code_over_the_default_area():
    world = build((102.0, 33.6, 102.7, 34.19), 20230310, 0.0)
    rows, cols = places(world, TILE, cut(TILE, world.area))
    classes = land_classes(world, rows, cols)
    assert set(np.unique(classes)) >= {0, 32762, 32763, 32765, 32766}
    assert 10 < (classes == 32763).sum() < 200
    layers, counts = water_use(
        np.random.default_rng(1), np.ones(classes.shape, "float32"), 8, classes, 0.2
    )
    stored = layers["ET_500m"].values
    assert ((stored == classes) | (stored == 32767))[classes > 0].all()
    assert counts["special"] == (classes > 0).sum()
    assert (layers["ET_QC_500m"].values[stored == 32767] == 255).all()


def test_albedo_granule(archive):
    field = "BRDF_Albedo_Band_Mandatory_Quality_shortwave"
    quality = layer(archive, "MCD43A3", "2012-07-11", field)
    white = layer(archive, "MCD43A3", "2012-07-11", "Albedo_WSA_shortwave")
    black = layer(archive, "MCD43A3", "2012-07-11", "Albedo_BSA_shortwave")
    assert (white.dtype, quality.dtype) == ("int16", "uint8")
    assert set(np.unique(quality)) <= {0, 1, 255}
    assert ((quality == 255) == (white == 32767)).all()
    data = quality < 2
    assert 0.10 < np.median(white[data]) * 0.001 < 0.22
    assert (black[data] < white[data]).all()
    assert period("MCD43A3", date(2022, 2, 1)) == (date(2022, 1, 24), date(2022, 2, 8))


def test_snow_is_ranked_as_snow():
    snow = np.zeros((40, 40), dtype=bool)
    snow[10:20] = True
    ndvi = np.full((40, 40), 0.5, dtype="float32")
    layers, counts = vegetation(np.random.default_rng(1), ndvi, snow, 0.1, date(2012, 5, 8))
    rank = layers["250m 16 days pixel reliability"].values
    assert (rank[snow] == 2).mean() > 0.99
    assert (layers["250m 16 days VI Quality"].values[rank == 2] >> 14 & 1 == 1).all()
    assert counts["snow"] == 400


def test_attributes_and_inventory(archive):
    folder = archive / "MOD13Q1" / "2012-04-22"
    file = SD(str(folder / f"{TILE}.hdf"), SDC.READ)
    assert file.select("250m 16 days NDVI").attributes()["scale_factor"] == 10000.0
    record = json.loads((folder / f"{TILE}.json").read_text())
    assert record["simulated"] is True
    core = file.attributes()["CoreMetadata.0"]
    assert f'VALUE                = "{record["delivered"]}"' in core
    for said in ('"2012-04-22"', '"2012-05-07"', '"MOD13Q1"'):
        assert f"VALUE                = {said}" in core


def test_products_share_the_corners_of_the_cut(archive):
    lines = set()
    for product, days in STARTS.items():
        file = SD(str(archive / product / days[0] / f"{TILE}.hdf"), SDC.READ)
        text = file.attributes()["StructMetadata.0"]
        lines.add(tuple(line.strip() for line in text.splitlines() if "PointMtrs" in line))
    assert len(lines) == 1


def test_gdal_reads_the_same_values_at_the_same_place(archive, tmp_path):
    if shutil.which("gdal_translate") is None:
        pytest.skip("gdal_translate is not installed: no second reader of granules")
    source = archive / "MOD11A2" / "2012-07-11" / f"{TILE}.hdf"
    target = tmp_path / "lst.bin"
    dataset = f'HDF4_EOS:EOS_GRID:"{source}":MODIS_Grid_8Day_1km_LST:LST_Day_1km'
    run = subprocess.run(
        ["gdal_translate", "-q", "-of", "ENVI", dataset, str(target)],
        capture_output=True,
        text=True,
    )
    if run.returncode:
        pytest.skip(f"this GDAL does not read HDF4: {run.stderr.strip()}")
    ours = layer(archive, "MOD11A2", "2012-07-11", "LST_Day_1km")
    assert np.array_equal(np.fromfile(target, "uint16").reshape(ours.shape), ours)
    info = json.loads(subprocess.check_output(["gdalinfo", "-json", str(target)]))
    left, top, *_ = corners(TILE, cut(TILE, AREA))
    expected = [left, KILOMETRE, 0, top, 0, -KILOMETRE]
    assert info["geoTransform"] == pytest.approx(expected, abs=0.01)


def test_same_seed_same_bytes_and_a_second_run_over_read_only_files(tmp_path):
    few = {"MOD11A2": ["2012-07-11"], "MCD43A3": ["2012-07-11"]}
    for root in ("one", "two", "one"):
        main(paths(tmp_path / root, few), AREA, 7, 0.0)
    for one, two in zip(paths(tmp_path / "one", few), paths(tmp_path / "two", few), strict=True):
        with open(one, "rb") as first, open(two, "rb") as second:
            assert first.read() == second.read()
    left = [p.name for p in (tmp_path / "one").rglob("*") if p.is_file()]
    assert sorted(left) == sorted([f"{TILE}.hdf", f"{TILE}.json"] * 2)


def test_older_productions_are_delivered_and_never_win(tmp_path):
    days = [f"{year}-07-12" for year in range(2001, 2016) if year % 4]
    main(paths(tmp_path, {"MOD11A2": days}), AREA, 7, 0.0)
    superseded = 0
    for day in days:
        folder = tmp_path / "modis" / "MOD11A2" / day
        record = json.loads((folder / f"{TILE}.json").read_text())
        superseded += len(record["superseded"])
        assert all(name < record["delivered"] for name in record["superseded"])
        lst = layer(tmp_path / "modis", "MOD11A2", day, "LST_Day_1km")
        assert 285 < np.median(lst[lst > 0]) * 0.02 < 296  # the older one is 8 K warmer
    assert superseded >= 1


def test_an_older_production_is_visibly_wrong_only_where_there_is_data():
    values = np.array([[0, 14000, 14500]], dtype="uint16")
    layers = {"LST_Day_1km": Layer(values, "", "K", (7500, 65535), 0, 0.02)}
    assert spoiled(layers)["LST_Day_1km"].values.tolist() == [[0, 14400, 14900]]
    assert spoiled(layers)["LST_Day_1km"].values.dtype == "uint16"


def test_between_gives_the_middles_around_a_day():
    assert between(date(2012, 7, 16), date(2012, 7, 16)) == ((2012, 7), (2012, 8), 0)
    earlier, later, weight = between(date(2012, 4, 22), date(2012, 5, 8))
    assert (earlier, later) == ((2012, 4), (2012, 5))
    assert weight == pytest.approx(14 / 30)
    assert between(date(2012, 12, 26), date(2012, 12, 31))[:2] == ((2012, 12), (2013, 1))


def test_a_composite_is_between_its_months():
    world = build(AREA, 7, 0.0)
    camera = Camera(world, TILE, {})
    seen = camera.seen("ndvi", date(2012, 5, 24), date(2012, 6, 8), 1)
    may, june = (world.month(2012, month)["ndvi"][camera.rows, camera.cols] for month in (5, 6))
    assert (seen >= np.minimum(may, june) - 1e-6).all()
    assert (seen <= np.maximum(may, june) + 1e-6).all()
