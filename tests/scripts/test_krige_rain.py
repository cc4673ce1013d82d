"""The rain field on the grid."""

import json
import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import rasterio
from pykrige.ok import OrdinaryKriging
from pyproj import Transformer
from rasterio.crs import CRS
from rasterio.transform import Affine

import krige_rain
from _kriging import Variogram, dual
from _log import UserError
from _raster import Grid, created, read
from krige_rain import rain_at

PROJ = "+proj=aea +lat_1=28 +lat_2=36 +lat_0=0 +lon_0=101 +datum=WGS84 +units=m +no_defs"
CURVE = {"model": "exponential", "nugget": 0.02, "psill": 0.3, "range": 20000.0}
GRID = Grid(CRS.from_string(PROJ), Affine(250, 0, 100000, 0, -250, 3570000), 30, 20)


@pytest.fixture
def study(tmp_path):
    """Five gauges, two months (one dry, one with a gap), a grid without its last column."""
    x = 100000 + np.array([-9000.0, 500, 3000, 7000, 20000])
    y = 3570000 + np.array([4000.0, -1000, -9000, -2500, -300])
    lon, lat = Transformer.from_crs(PROJ, "EPSG:4326", always_xy=True).transform(x, y)
    wet = [50.0, 80.0, np.nan, 120.0, 60.0]
    rows = [
        (f"gauge{k}", lat[k], lon[k], month, value)
        for k in range(5)
        for month, value in (("2010-06", wet[k]), ("2010-07", 0.0))
    ]
    table = pd.DataFrame(rows, columns=["station", "lat", "lon", "month", "total"])
    table.to_csv(tmp_path / "totals.csv", index=False)
    (tmp_path / "variogram.json").write_text(json.dumps(CURVE))
    area = np.ones(GRID.shape, "uint8")
    area[:, -1] = 0
    with created(tmp_path / "grid.tif", GRID, {"inside": "1"}, "uint8", 255) as target:
        target.write(area, 1)
    return tmp_path, np.stack([x, y], 1), np.array(wet)


def run(folder, months=("2010-06", "2010-07"), **options):
    out = [str(folder / "pre" / f"{month}.tif") for month in months]
    names = ("totals.csv", "variogram.json", "grid.tif")
    krige_rain.main(*(str(folder / name) for name in names), out, PROJ, **options)
    return out


def test_field_is_what_pykrige_gives(study, caplog):
    folder, xy, wet = study
    with caplog.at_level(logging.INFO):
        path, _ = run(folder)
    there = np.isfinite(wet)
    reference, _ = OrdinaryKriging(
        *xy[there].T,
        wet[there],
        variogram_model="exponential",
        variogram_parameters={"psill": 0.3, "nugget": 0.02, "range": 20000.0},
    ).execute("points", *(axis.ravel() for axis in GRID.centres()))
    reference = np.asarray(reference).reshape(GRID.shape)
    found = read(path, "pre")
    assert found[:, :-1] == pytest.approx(reference[:, :-1], rel=1e-6)  # kept as float32
    assert "2010-06: 4 of 5 gauges, mean 77.5 mm" in caplog.text


def test_outside_the_study_area_is_missing_and_the_band_has_its_unit(study):
    path, _ = run(study[0])
    found = read(path)
    assert np.isnan(found[:, -1]).all()
    assert np.isfinite(found[:, :-1]).all()
    with rasterio.open(path) as source:
        assert source.descriptions == ("pre",)
        assert source.units == ("mm/month",)
        assert source.dtypes == ("float32",)


def test_a_dry_month_is_zero_and_not_clipped(study, caplog):
    with caplog.at_level(logging.INFO):
        assert (read(run(study[0])[1])[:, :-1] == 0).all()
    assert "2010-07: 5 of 5 gauges, mean 0.0 mm; 0 of 580 cells below 0" in caplog.text


def test_rain_is_never_negative_and_the_cells_are_counted():
    # Beyond a steep fall a nugget-free gaussian field dives below zero.
    stations = np.array([(0, 0), (1000, 0), (2000, 0)], float)
    curve = Variogram("gaussian", 0.001, 1.0, 5000.0)
    weights = dual(stations, np.array([[100.0], [50.0], [0.0]]), curve)
    rain, below = rain_at(np.array([(0, 0), (3000, 0)], float), stations, weights, curve)
    assert rain[:, 0] == pytest.approx([100.0, 0.0], abs=1e-9)
    assert below.tolist() == [1]


def test_a_month_without_gauges_is_named(study):
    with pytest.raises(UserError, match="found none in 2010-08"):
        run(study[0], ["2010-06", "2010-08"])
    assert not (study[0] / "pre" / "2010-06.tif").exists()


def test_two_gauges_at_one_place_are_named(study):
    """They may appear in a test year only, which the variogram never sees."""
    totals = study[0] / "totals.csv"
    table = pd.read_csv(totals)
    first, second = table["station"].unique()[:2]
    place = table.loc[table["station"] == first, ["lat", "lon"]].iloc[0].to_numpy()
    table.loc[table["station"] == second, ["lat", "lon"]] = place
    table.to_csv(totals, index=False)
    with pytest.raises(UserError, match=f"found {first} and {second} at the same one"):
        run(study[0])


def test_same_inputs_give_the_same_bytes(study):
    first = Path(run(study[0])[0]).read_bytes()
    assert Path(run(study[0])[0]).read_bytes() == first


# Other methods ------------------------------------------------------------------------------


def elevated(folder, top=np.inf):
    """Give cells and gauges elevations on one tilted plane; return those of the cells (m)."""
    x, y = GRID.centres()
    ground = 3000 + (x - 100000) / 20 + (3570000 - y) / 10
    ground = np.where(ground < top, ground, np.nan)
    with created(folder / "static.tif", GRID, {"sand": "%", "DEM": "m"}) as target:
        target.write(np.zeros(GRID.shape, "float32"), 1)
        target.write(ground.astype("float32"), 2)
    table = pd.read_csv(folder / "totals.csv")
    lon, lat = table["lon"].to_numpy(), table["lat"].to_numpy()
    x, y = Transformer.from_crs("EPSG:4326", PROJ, always_xy=True).transform(lon, lat)
    table["elevation"] = 3000 + (x - 100000) / 20 + (3570000 - y) / 10
    table.to_csv(folder / "totals.csv", index=False)
    return ground, table


def usual(folder, name, scale=1.0):
    """Write a climatology in degrees, a plane over the gauges; return it and its plane."""

    def plane(lon, lat):
        return scale * (60 + 90 * (lon - 102) + 40 * (lat - 33))

    lon, lat = np.meshgrid(101.9 + 0.01 * np.arange(60), 33.9 - 0.01 * np.arange(60))
    profile = dict(driver="GTiff", dtype="float64", count=1, height=60, width=60, crs="EPSG:4326")
    corner = Affine(0.01, 0, 101.895, 0, -0.01, 33.905)
    with rasterio.open(folder / name, "w", transform=corner, **profile) as target:
        target.write(plane(lon, lat), 1)
    return str(folder / name), plane


def test_rain_that_is_a_line_of_elevation_follows_the_terrain(study, caplog):
    folder, _, _ = study
    ground, table = elevated(folder)
    table["total"] = 0.02 * table["elevation"] + 5
    table.to_csv(folder / "totals.csv", index=False)
    with caplog.at_level(logging.INFO):
        path, _ = run(folder, method="drift", static=str(folder / "static.tif"))
    assert read(path)[:, :-1] == pytest.approx(0.02 * ground[:, :-1] + 5, rel=1e-5)
    assert "0 of 580 cells lie above the highest or below the lowest gauge" in caplog.text


def test_cells_beyond_the_gauges_elevations_are_counted(study, caplog):
    folder, _, _ = study
    _, table = elevated(folder)
    static = folder / "static.tif"
    with rasterio.open(static, "r+") as source:
        layer = source.read(2)
        layer[0, :3] = 9000
        source.write(layer, 2)
    with caplog.at_level(logging.INFO):
        run(folder, method="drift", static=str(static))
    assert "3 of 580 cells lie above" in caplog.text


def test_cells_without_elevation_have_no_rain_and_are_counted(study, caplog):
    folder, _, _ = study
    ground, _ = elevated(folder, top=3300)
    gone = np.isnan(ground[:, :-1])
    assert 0 < gone.sum() < gone.size
    with caplog.at_level(logging.WARNING):
        path, _ = run(folder, method="drift", static=str(folder / "static.tif"))
    assert (np.isnan(read(path)[:, :-1]) == gone).all()
    assert f"{gone.sum()} of 580 cells have no rain" in caplog.text


def test_rain_that_is_a_part_of_its_climatology_follows_it(study):
    folder, _, _ = study
    june, plane = usual(folder, "06.tif")
    july, _ = usual(folder, "07.tif", 2.0)
    table = pd.read_csv(folder / "totals.csv")
    part = np.where(table["month"] == "2010-06", 0.5, 1.2 * 2)
    table["total"] = part * plane(table["lon"], table["lat"])
    table.to_csv(folder / "totals.csv", index=False)
    first, second = run(folder, method="climatology", climatology=[june, july])
    to_degrees = Transformer.from_crs(PROJ, "EPSG:4326", always_xy=True)
    there = plane(*to_degrees.transform(*GRID.centres()))[:, :-1]
    assert read(first)[:, :-1] == pytest.approx(0.5 * there, rel=1e-5)
    assert read(second)[:, :-1] == pytest.approx(2.4 * there, rel=1e-5)


def test_gauges_too_few_or_flat_for_a_drift_are_refused_before_anything_is_written(study):
    folder, _, _ = study
    _, table = elevated(folder)
    table.loc[table["station"] == "gauge0", "total"] = np.nan
    table.to_csv(folder / "totals.csv", index=False)
    with pytest.raises(UserError, match=r"expected 4 gauges a month .* flatter in 2010-06\."):
        run(folder, method="drift", static=str(folder / "static.tif"))
    table["elevation"] = np.nan  # gauges 1 and 3 lie on the map and take its own
    table.to_csv(folder / "totals.csv", index=False)
    with pytest.raises(UserError, match=r"found none for gauge2, gauge4, which lie off"):
        run(folder, method="drift", static=str(folder / "static.tif"))
    assert not (folder / "pre" / "2010-06.tif").exists()


def test_a_climatology_that_is_dry_at_a_gauge_or_misses_the_area_is_refused(study):
    folder, _, _ = study
    june, _ = usual(folder, "06.tif")
    dry, _ = usual(folder, "07.tif", 0.001)
    with pytest.raises(UserError, match=r"07.tif: expected at least 1 mm/month .* less than 1"):
        run(folder, method="climatology", climatology=[june, dry])
    elevated(folder, top=0)
    with pytest.raises(UserError, match=r"static.tif: expected values in the study area, found"):
        run(folder, method="drift", static=str(folder / "static.tif"))
    assert not (folder / "pre" / "2010-06.tif").exists()
