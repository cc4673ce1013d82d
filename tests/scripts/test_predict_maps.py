from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.crs import CRS
from rasterio.transform import Affine
from sklearn.ensemble import RandomForestRegressor

import predict_maps
from _log import UserError
from _quantiles import leaf_values, load_leaves, save_leaves, spread
from _raster import BLOCK, Grid, created, write
from _stored import save

ALBERS = CRS.from_string("+proj=aea +lat_1=28 +lat_2=36 +lon_0=101 +datum=WGS84 +units=m")
SIZE = (BLOCK + 40, 30)  # more rows than a block holds
GRID = Grid(ALBERS, Affine(250, 0, 1000, 0, -250, 9000), SIZE[1], SIZE[0])
NAMES = ["LST", "albedo", "clay", "NDRE.M"]


def study(folder, grid=GRID, seed=0):
    """Write static and monthly rasters, a grid with an empty corner and a forest; return all."""
    rng = np.random.default_rng(seed)
    layers = {name: rng.random(grid.shape).astype("float32") for name in NAMES}
    layers["LST"] = layers["LST"] * 20 - 1
    layers["albedo"] = layers["albedo"] * 0.45
    layers["clay"][15, 5] = np.nan
    units = dict.fromkeys(NAMES, "1")
    write(f"{folder}/static.tif", grid, {n: layers[n] for n in ("NDRE.M", "clay")}, units)
    for name in ("LST", "albedo"):
        write(f"{folder}/{name.lower()}/2018-05.tif", grid, {name: layers[name]}, units)
    area = np.ones(grid.shape, "uint8")
    area[:10, :10] = 0
    with created(f"{folder}/grid.tif", grid, {"inside": ""}, "uint8", 255) as target:
        target.write(area, 1)
    rows = rng.random((400, len(NAMES))) * [20, 0.4, 1, 1]
    forest = RandomForestRegressor(n_estimators=5, random_state=1).fit(rows, rows @ [0.01, 1, 1, 0])
    save(f"{folder}/forest.skops", forest, NAMES)
    save_leaves(f"{folder}/leaves.npz", leaf_values(forest, rows, rows @ [0.01, 1, 1, 0], 1))
    return forest, layers, area.astype(bool)


def run(folder, **changes):
    given = dict(
        forest=f"{folder}/forest.skops",
        leaves=[],
        rasters=[f"{folder}/{n}.tif" for n in ("static", "lst/2018-05", "albedo/2018-05")],
        grid=f"{folder}/grid.tif",
        maps=[f"{folder}/maps/2018-05.tif"],
        months=["2018-05"],
        screen=True,
        min_lst=0.0,
        max_albedo=0.4,
        level=0.9,
        unit="m3/m3",
        note="simulated",
    )
    predict_maps.main(**(given | changes))
    return given["maps"][0]


def test_map_by_blocks_equals_the_forest_on_the_whole_array(tmp_path):
    forest, layers, area = study(tmp_path)
    with rasterio.open(run(tmp_path)) as source:
        found = source.read(1)
    use = area & (layers["LST"] > 0) & (layers["albedo"] < 0.4) & np.isfinite(layers["clay"])
    stack = np.stack([layers[name] for name in NAMES])
    expected = np.full(GRID.shape, np.nan, "float32")
    expected[use] = forest.predict(stack[:, use].T)
    np.testing.assert_array_equal(found, expected)


def test_mean_and_quantiles_are_those_of_the_whole_array(tmp_path):
    forest, layers, area = study(tmp_path)
    with rasterio.open(run(tmp_path, leaves=f"{tmp_path}/leaves.npz")) as source:
        assert source.descriptions == ("mean", "lower", "upper")
        assert source.units == ("m3/m3",) * 3
        found = source.read()
    with rasterio.open(run(tmp_path)) as source:
        np.testing.assert_array_equal(found[0], source.read(1))
    use = np.isfinite(found[0])
    rows = np.stack([layers[name] for name in NAMES])[:, use].T
    leaves = load_leaves(f"{tmp_path}/leaves.npz", forest)
    _, bounds = spread(forest, leaves, rows, [0.05, 0.95])
    np.testing.assert_array_equal(found[1:, use], bounds.T.astype("float32"))
    assert np.isnan(found[:, ~use]).all()


def test_map_has_its_name_unit_and_note(tmp_path):
    study(tmp_path)
    with rasterio.open(run(tmp_path)) as source:
        assert (source.dtypes, source.descriptions) == (("float32",), ("mean",))
        assert (source.units, source.tags(1)["units"]) == (("m3/m3",), "m3/m3")
        assert np.isnan(source.nodata)
        assert source.tags()["note"] == "simulated"
        assert source.tags()["description"] == "forest, 2018-05"
        assert Grid.of(source.name) == GRID
    assert [path.name for path in (tmp_path / "maps").iterdir()] == ["2018-05.tif"]


def test_same_inputs_give_the_same_bytes(tmp_path):
    study(tmp_path)
    first = Path(run(tmp_path)).read_bytes()
    assert first == Path(run(tmp_path)).read_bytes()


def test_without_screen_frost_and_snow_are_mapped(tmp_path):
    _, layers, area = study(tmp_path)
    with rasterio.open(run(tmp_path, screen=False)) as source:
        found = source.read(1)
    np.testing.assert_array_equal(np.isfinite(found), area & np.isfinite(layers["clay"]))


def test_the_screen_reads_layers_that_the_forest_does_not(tmp_path):
    _, layers, area = study(tmp_path)
    names = ["clay", "NDRE.M"]
    rows = np.random.default_rng(2).random((50, 2))
    forest = RandomForestRegressor(n_estimators=2, random_state=1).fit(rows, rows[:, 0])
    save(f"{tmp_path}/forest.skops", forest, names)
    with rasterio.open(run(tmp_path)) as source:
        found = source.read(1)
    use = area & (layers["LST"] > 0) & (layers["albedo"] < 0.4) & np.isfinite(layers["clay"])
    np.testing.assert_array_equal(np.isfinite(found), use)


def test_table_study_takes_the_grid_of_its_raster_and_its_nodata(tmp_path):
    _, layers, _ = study(tmp_path)
    units = dict.fromkeys(NAMES, "1")
    path = str(tmp_path / "predictors_2012-03-25.tif")
    layers["NDRE.M"][7, 7] = -9999
    with created(path, GRID, units, nodata=-9999) as target:
        for number, name in enumerate(NAMES, 1):
            target.write(layers[name], number)
    run(tmp_path, rasters=[path], grid=[], months=["2012-03-25"], screen=False)
    with rasterio.open(tmp_path / "maps/2018-05.tif") as source:
        assert Grid.of(source.name) == GRID
        assert np.isnan(source.read(1)[7, 7])


@pytest.mark.parametrize(
    ("lst", "albedo", "out"),
    [(0.0, 0.1, True), (0.01, 0.399, False), (5, 0.4, True), (np.nan, 0.1, True)],
)
def test_screen_is_strict_at_its_limits(lst, albedo, out):
    assert predict_maps.screened(np.array(lst), np.array(albedo), 0.0, 0.4) == out


def test_losses_are_counted_by_reason():
    nan = np.nan
    layers = {
        "LST": np.array([[nan, 5, -1, 5, 5]]),
        "albedo": np.array([[0.1, 0.1, 0.1, nan, nan]]),
    }
    area = np.array([[True, True, True, True, False]])
    use, lost = predict_maps.cells_of(
        layers, ["LST", "albedo"], area, dict(min_lst=0, max_albedo=0.4)
    )
    assert use.tolist() == [[False, True, False, False, False]]
    assert lost == {"LST": 1, "albedo": 1, "any": 2, "screened": 1}


def test_predictor_without_band_is_named_with_the_bands_found(tmp_path):
    study(tmp_path)
    with pytest.raises(UserError, match=r"named albedo,.*static\.tif: NDRE\.M, clay;.*: LST\."):
        run(tmp_path, rasters=[f"{tmp_path}/static.tif", f"{tmp_path}/lst/2018-05.tif"])


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        (Grid(ALBERS, Affine(250, 0, 1250, 0, -250, 9000), *SIZE[::-1]), "transform"),
        (Grid(ALBERS, GRID.transform, SIZE[1] - 1, SIZE[0]), "width"),
        (Grid(CRS.from_epsg(32648), GRID.transform, *SIZE[::-1]), "crs"),
    ],
)
def test_raster_on_another_grid_is_refused_before_anything_is_written(tmp_path, wrong, named):
    study(tmp_path)
    lst = np.ones(wrong.shape, "float32")
    write(f"{tmp_path}/lst/2018-05.tif", wrong, {"LST": lst}, {"LST": "degC"})
    with pytest.raises(UserError, match=rf"lst/2018-05\.tif: expected the {named} of the maps"):
        run(tmp_path)
    assert not (tmp_path / "maps").exists()


def test_month_without_a_valid_cell_is_named_and_leaves_no_file(tmp_path):
    study(tmp_path)
    empty = np.full(GRID.shape, np.nan, "float32")
    write(f"{tmp_path}/lst/2018-05.tif", GRID, {"LST": empty}, {"LST": "degC"})
    with pytest.raises(UserError, match=r"2018-05\.tif: no cell could be predicted.*'LST': 16460"):
        run(tmp_path)
    assert not list((tmp_path / "maps").iterdir())


def test_log_tells_what_was_lost(tmp_path, caplog):
    study(tmp_path)
    with caplog.at_level("INFO", "soil-moisture"):
        run(tmp_path, screen=False)
    assert (
        "2018-05: 16460 cells inside, 16459 predicted, 1 without a predictor (clay 1), 0 screened"
        in caplog.text
    )
