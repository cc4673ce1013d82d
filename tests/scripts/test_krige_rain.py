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


def run(folder, months=("2010-06", "2010-07")):
    out = [str(folder / "pre" / f"{month}.tif") for month in months]
    names = ("totals.csv", "variogram.json", "grid.tif")
    krige_rain.main(*(str(folder / name) for name in names), out)
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
