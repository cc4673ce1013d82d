from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import rasterio
from pyproj import Transformer
from rasterio.crs import CRS
from rasterio.transform import Affine

import score_truth
from _log import UserError
from _raster import Grid, created, write

ALBERS = CRS.from_string(
    "+proj=aea +lat_1=28 +lat_2=36 +lat_0=0 +lon_0=101 +datum=WGS84 +units=m +no_defs"
)


def found(truth, product, season=None, coarse=None):
    months, cells = truth.shape
    season = np.array(["05"] * months) if season is None else season
    coarse = np.arange(cells) // 16 if coarse is None else coarse
    rows = score_truth.scores(truth, product, season, coarse)
    return {name: value for name, value, _ in rows}, {name: n for name, _, n in rows}


def test_the_truth_scores_perfectly():
    truth = np.random.default_rng(1).normal(0.38, 0.07, (12, 160))
    value, n = found(truth, truth)
    for name in ("R", "spatial R", "temporal R", "anomaly R", "fine-scale R", "SD ratio", "R2"):
        assert value[name] == pytest.approx(1, abs=1e-9), name
    for name in ("RMSE", "bias", "ubRMSE", "bias, driest tenth", "bias, wettest tenth"):
        assert value[name] == pytest.approx(0, abs=1e-12), name
    assert (n["R"], n["spatial R"], n["temporal R"]) == (1920, 12, 160)


def test_half_the_spread_and_an_offset():
    truth = np.random.default_rng(2).uniform(0.2, 0.6, (10, 1000))
    value, _ = found(truth, 0.5 * truth + 0.25)  # crosses the truth at 0.5
    assert value["SD ratio"] == pytest.approx(0.5)
    # uniform on 0.2..0.6: mean 0.4; the lowest tenth has mean 0.22, the highest 0.58
    assert value["bias"] == pytest.approx(0.05, abs=0.003)
    assert value["bias, driest tenth"] == pytest.approx(0.25 - 0.5 * 0.22, abs=0.002)
    assert value["bias, wettest tenth"] == pytest.approx(0.25 - 0.5 * 0.58, abs=0.002)


def test_right_places_wrong_months():
    """Space is right and time is upside down: the two must not be mixed."""
    space = np.linspace(-0.1, 0.1, 64)
    time = np.linspace(-0.02, 0.02, 10)[:, None]
    value, _ = found(0.4 + space + time, 0.4 + space - time)
    assert value["spatial R"] == pytest.approx(1)
    assert value["temporal R"] == pytest.approx(-1)
    assert value["anomaly R"] == pytest.approx(-1)
    assert value["R"] > 0.8


def test_anomalies_forget_the_season():
    """The product knows the season only: its R in time is high, of the anomalies there is none."""
    season = np.array(["05", "07"] * 6)
    wet = np.where(season == "07", 0.06, 0.0)[:, None]
    noise = np.random.default_rng(3).normal(0, 0.005, (12, 40))
    value, _ = found(0.35 + wet + noise, np.broadcast_to(0.35 + wet, (12, 40)).copy(), season)
    assert value["temporal R"] > 0.95
    assert np.isnan(value["anomaly R"])


def test_calendar_month_seen_once_has_no_anomaly():
    result = score_truth.anomalies(np.array([[1.0], [2.0], [4.0]]), np.array(["05", "06", "06"]))
    np.testing.assert_array_equal(result, [[np.nan], [-1.0], [1.0]])


def test_product_without_detail_has_no_fine_scale_r():
    rng = np.random.default_rng(4)
    coarse = np.arange(160) // 16
    blocks = rng.normal(0.4, 0.05, (3, 10))[:, coarse]
    truth = blocks + rng.normal(0, 0.02, (3, 160))
    value, _ = found(truth, blocks.astype("float32"), coarse=coarse)
    assert np.isnan(value["fine-scale R"])
    assert value["spatial R"] > 0.85
    half = blocks + 0.5 * score_truth.fine_scale(truth, coarse)
    assert found(truth, half, coarse=coarse)[0]["fine-scale R"] == pytest.approx(1)


def test_a_lone_cell_of_its_1_km_cell_has_no_fine_scale():
    found = score_truth.fine_scale(np.array([[1.0, 2.0, 5.0, np.nan]]), np.array([7, 7, 9, 9]))
    np.testing.assert_array_equal(found, [[-0.5, 0.5, np.nan, np.nan]])


def test_temporal_r_needs_half_of_the_months():
    truth = np.random.default_rng(9).normal(0.4, 0.05, (12, 40))
    truth[:6, 0] = truth[:7, 1] = np.nan
    assert found(truth, truth)[1]["temporal R"] == 39


def test_r_along_equals_numpy_with_gaps():
    rng = np.random.default_rng(5)
    truth, product = rng.normal(size=(2, 20, 5))
    truth[3, 0] = product[3, 0] = np.nan
    expected = [
        np.corrcoef(truth[np.isfinite(truth[:, c]), c], product[np.isfinite(truth[:, c]), c])[0, 1]
        for c in range(5)
    ]
    np.testing.assert_allclose(score_truth.r_along(truth, product, 0, 10), expected)
    truth[:15, 1] = np.nan
    assert len(score_truth.r_along(truth, np.where(np.isnan(truth), np.nan, product), 0, 10)) == 4


def test_all_products_are_judged_on_the_pairs_that_all_have():
    truth = np.random.default_rng(7).normal(0.4, 0.05, (4, 50))
    poor = truth.copy()
    poor[0, :10] = np.nan
    months = ["2015-05", "2015-06", "2016-05", "2016-06"]
    table = score_truth.table_of(truth, {"a": truth, "b": poor}, months, ["2016"], np.arange(50))
    counts = table[table["metric"] == "RMSE"].set_index(["product", "period"])["n"]
    assert counts.to_dict() == {
        ("a", "all"): 190,
        ("b", "all"): 190,
        ("a", "test"): 100,
        ("b", "test"): 100,
    }


def test_anomalies_of_a_table_are_from_calendar_months_not_years():
    """The product knows the season alone: of years that differ it knows nothing."""
    months = [f"{year}-{month}" for year in (2015, 2016, 2017) for month in ("05", "07")]
    season = np.array([0.0, 0.06] * 3)[:, None]
    noise = np.random.default_rng(10).normal(0, 0.005, (6, 50))
    product = np.broadcast_to(0.35 + season, (6, 50)).copy()
    table = score_truth.table_of(
        0.35 + season + noise, {"a": product}, months, ["2017"], np.arange(50)
    )
    value = table.set_index(["period", "metric"])["value"]
    assert np.isnan(value["all", "anomaly R"])
    assert value["all", "temporal R"] > 0.9


def archive(folder, months, offset=0.0):
    """Write a truth, and products that are the truth plus a constant of their own."""
    truth = Grid(ALBERS, Affine(250, 0, 100_000, 0, -250, 3_600_000), 24, 20)
    cells = Grid(ALBERS, Affine(250, 0, 99_500, 0, -250, 3_601_000), 30, 30)  # wider: shifted cells
    world = Grid(CRS.from_epsg(4326), Affine(1, 0, 98, 0, -1, 36), 8, 8)
    area = np.ones(cells.shape, "uint8")
    area[:, :6] = 0
    with created(f"{folder}/grid.tif", cells, {"inside": ""}, "uint8", 255) as target:
        target.write(area, 1)
    rng = np.random.default_rng(8)
    names = ("truth", "maps", "lower", "upper", "forest", "di", "smci", "smc", "era5land")
    paths = {name: [] for name in names}
    for month in months:
        theta = rng.uniform(0.2, 0.6, truth.shape)
        own = np.full(cells.shape, np.nan)
        own[4:24, 2:26] = theta + 0.01
        flat = np.full(world.shape, 0.4)
        for name, grid, band, layer in (
            ("truth", truth, "soil_moisture", theta),
            ("maps", cells, "soil_moisture", own),
            ("lower", cells, "soil_moisture", own - 0.02),
            ("upper", cells, "soil_moisture", own + 0.01),
            ("forest", cells, "mean", own + 0.02),
            ("di", cells, "DI", np.indices(cells.shape)[0] / 10),
            ("smc", cells, "SMC", own + 0.05),
            ("smci", world, "SMCI", flat),
            ("era5land", world, "swvl1", flat + offset),
        ):
            path = f"{folder}/{name}/{month}.tif"
            write(path, grid, {band: layer}, {band: "m3/m3"})
            paths[name].append(path)
    Path(f"{folder}/applicability.json").write_text('{"threshold": 1.35}')
    more = {"grid": f"{folder}/grid.tif", "applicability": f"{folder}/applicability.json"}
    return paths | more | {"baseline": [], "trust": f"{folder}/trust.csv"}


def test_cells_of_truth_and_map_are_matched_by_place(tmp_path):
    months = ["2015-07", "2016-07"]
    given = archive(tmp_path, months)
    score = tmp_path / "score.csv"
    score_truth.main(**given, score=str(score), months=months, test=["2016"])
    table = pd.read_csv(score)
    value = table[table["period"] == "all"].set_index(["product", "metric"])["value"]
    assert value["map", "bias"] == pytest.approx(0.01, abs=1e-6)
    assert value["map", "ubRMSE"] == pytest.approx(0, abs=1e-6)
    assert value["map", "fine-scale R"] == pytest.approx(1, abs=1e-5)
    assert value["SMC", "bias"] == pytest.approx(0.06, abs=1e-6)
    assert np.isnan(value["SMCI, nearest", "R"])
    assert set(table["n"][table["metric"] == "RMSE"]) == {2 * 20 * 20, 20 * 20}
    assert value["forest alone", "bias"] == pytest.approx(0.03, abs=1e-6)
    first = score.read_bytes()
    score_truth.main(**given, score=str(score), months=months, test=["2016"])
    assert score.read_bytes() == first
    trust = pd.read_csv(given["trust"]).set_index("quantity")
    # Rows 4 to 23 of the grid hold the truth: ten of them lie at a DI of at most 1.35.
    assert trust.loc["share inside", "value"] == pytest.approx(0.5)
    assert trust.loc["RMSE inside", "n"] == 200, "test months only"
    assert trust.loc["coverage of the interval", "value"] == 1
    assert trust.loc["width of the interval", "value"] == pytest.approx(0.03, abs=1e-6)


def test_a_baseline_of_the_test_months_is_judged_in_these_and_leaves_the_others_alone(tmp_path):
    months = ["2015-07", "2016-07"]
    given = archive(tmp_path, months)
    score = tmp_path / "score.csv"
    score_truth.main(**given, score=str(score), months=months, test=["2016"])
    before = pd.read_csv(score)
    given["baseline"] = [given["forest"][1]]
    score_truth.main(**given, score=str(score), months=months, test=["2016"])
    after = pd.read_csv(score)
    added = after[after["product"] == "paper's protocol"]
    assert set(added["period"]) == {"test"}
    assert added.set_index("metric").loc["bias", "value"] == pytest.approx(0.03, abs=1e-6)
    rest = after[after["product"] != "paper's protocol"].reset_index(drop=True)
    pd.testing.assert_frame_equal(rest, before)


def test_what_the_map_says_of_itself_by_hand():
    truth = np.array([[0.30, 0.30, 0.30, 0.30, np.nan]])
    maps = np.array([[0.31, 0.32, 0.36, 0.22, 0.30]])
    di = np.array([[0.1, 0.2, 0.9, 1.0, 0.1]])
    told = score_truth.trusted(truth, maps, maps - 0.05, maps + 0.05, di, 0.5)
    value = {name: v for name, v, _ in told}
    assert value["coverage of the interval"] == pytest.approx(0.5)
    assert value["width of the interval"] == pytest.approx(0.1)
    assert value["share inside"] == pytest.approx(0.5)
    assert value["RMSE inside"] == pytest.approx(np.sqrt((0.01**2 + 0.02**2) / 2))
    assert value["RMSE outside"] == pytest.approx(np.sqrt((0.06**2 + 0.08**2) / 2))
    assert [value[f"RMSE, quarter {k} of DI"] for k in (1, 4)] == pytest.approx([0.01, 0.08])
    assert value["rank correlation of DI and error"] == pytest.approx(1)


def test_nothing_outside_has_no_error_there():
    one = np.full((1, 3), 0.3)
    told = score_truth.trusted(one, one, one, one, one, 0.5)
    value = {name: v for name, v, _ in told}
    assert value["share inside"] == 1 and np.isnan(value["RMSE outside"])
    assert score_truth.trusted(one * np.nan, one, one, one, one, 0.5) == []


def test_coarse_products_are_read_where_each_cell_lies(tmp_path):
    """A plane in degrees: bilinear returns it, nearest its value at the centre of the cell."""
    given = archive(tmp_path, ["2015-07"])
    smci = Grid(CRS.from_epsg(4326), Affine(1 / 120, 0, 102, 0, -1 / 120, 33.9), 24, 36)
    era = Grid(CRS.from_epsg(4326), Affine(0.1, 0, 101.85, 0, -0.1, 33.95), 5, 6)
    for name, grid, band in (("smci", smci, "SMCI"), ("era5land", era, "swvl1")):
        lon, lat = grid.centres()
        write(given[name][0], grid, {band: plane(lon, lat)}, {band: "m3/m3"})
    fine = Grid.of(given["truth"][0])
    to_degrees = Transformer.from_crs(ALBERS, "EPSG:4326", always_xy=True)
    lon, lat = to_degrees.transform(*fine.centres())
    write(given["truth"][0], fine, {"soil_moisture": plane(lon, lat)}, {"soil_moisture": "m3/m3"})
    score = tmp_path / "score.csv"
    score_truth.main(**given, score=str(score), months=["2015-07"], test=["2016"])
    value = pd.read_csv(score).set_index(["product", "metric"])["value"]
    assert value["SMCI, bilinear", "RMSE"] == pytest.approx(0, abs=2e-6)
    for product, west, north, size in (
        ("SMCI, nearest", 102, 33.9, 1 / 120),
        ("ERA5-Land", 101.85, 33.95, 0.1),
    ):
        centre = (
            west + (np.floor((lon - west) / size) + 0.5) * size,
            north - (np.floor((north - lat) / size) + 0.5) * size,
        )
        error = (plane(*centre) - plane(lon, lat))[:, 4:]  # the study area begins in column 4
        assert value[product, "RMSE"] == pytest.approx(np.sqrt(np.mean(error**2)), rel=1e-3)
        assert value[product, "bias"] == pytest.approx(np.mean(error), abs=2e-6)
    assert np.isnan(value["SMCI, nearest", "fine-scale R"]), "its cells are the 1 km cells"


def plane(lon, lat):
    return 0.3 + 0.5 * (lon - 102) + 0.8 * (lat - 33.7)


def test_truth_of_another_area_is_named(tmp_path):
    given = archive(tmp_path, ["2015-07"])
    far = Grid(ALBERS, Affine(250, 0, 900_000, 0, -250, 3_600_000), 24, 20)
    write(given["truth"][0], far, {"soil_moisture": np.ones(far.shape)}, {"soil_moisture": "m3/m3"})
    with pytest.raises(UserError, match=r"2015-07\.tif: expected cells inside the study area"):
        score_truth.main(**given, score="s.csv", months=["2015-07"], test=["2016"])


def test_no_common_cell_names_the_product_that_has_none(tmp_path):
    given = archive(tmp_path, ["2015-07"], offset=np.nan)
    with pytest.raises(UserError, match=r"found none.*SMC 400.*ERA5-Land 0"):
        score_truth.main(**given, score="s.csv", months=["2015-07"], test=["2016"])


def test_truth_is_read_by_its_band_name(tmp_path):
    given = archive(tmp_path, ["2015-07"])
    with rasterio.open(given["truth"][0]) as source:
        theta, grid = source.read(1), Grid.of(source.name)
    layers = {"precipitation": theta * 0, "soil_moisture": theta}
    write(given["truth"][0], grid, layers, {"precipitation": "mm", "soil_moisture": "m3/m3"})
    score = tmp_path / "score.csv"
    score_truth.main(**given, score=str(score), months=["2015-07"], test=["2016"])
    value = pd.read_csv(score).set_index(["product", "metric"])["value"]
    assert value["map", "bias"] == pytest.approx(0.01, abs=1e-6)
