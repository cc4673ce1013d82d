import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import rasterio
from rasterio.crs import CRS
from rasterio.transform import Affine
from scipy.spatial.distance import cdist

import map_applicability
from _log import UserError
from _raster import BLOCK, Grid, created, write

ALBERS = CRS.from_string("+proj=aea +lat_1=28 +lat_2=36 +lon_0=101 +datum=WGS84 +units=m")
GRID = Grid(ALBERS, Affine(250, 0, 1000, 0, -250, 9000), 30, BLOCK + 40)  # two blocks of rows
NAMES = ["LST", "clay", "NDRE.M"]
MEAN, SCALE, WEIGHT = np.array([12.0, 20, 0.4]), np.array([3.0, 8, 0.1]), np.array([2, 0.5, 0])
MONTHS = ["2018-05", "2018-06"]
LIMIT, DBAR = 0.2, 2.5


def study(folder, seed=0):
    """Write static and monthly rasters, a grid with an empty corner, rows, parameters, curve."""
    rng = np.random.default_rng(seed)
    values = MEAN + SCALE * rng.normal(size=(80, 3))
    space = (values - MEAN) / SCALE * WEIGHT
    pd.DataFrame(space, columns=NAMES).assign(fold=0, sample=1).to_parquet(f"{folder}/rows.parquet")
    listed = [
        dict(name=n, mean=m, scale=s, weight=w, minimum=low, maximum=high)
        for n, m, s, w, low, high in zip(
            NAMES, MEAN, SCALE, WEIGHT, values.min(axis=0), values.max(axis=0), strict=True
        )
    ]
    described = dict(predictors=listed, dbar=DBAR, threshold=LIMIT, average_lpd=7)
    Path(f"{folder}/parameters.json").write_text(json.dumps(described))
    curve = pd.DataFrame({"di": [0.05, 0.1, 0.3], "fitted": [0.02, 0.02, 0.06]})
    curve.to_csv(f"{folder}/error.csv", index=False)
    layers = {}
    for month in MONTHS:
        fresh = MEAN[:, None, None] + SCALE[:, None, None] * rng.normal(size=(3, *GRID.shape)) * 1.2
        for name, layer in zip(NAMES, fresh.astype("float32"), strict=True):
            layers[month, name] = layer if name == "LST" else layers.get((MONTHS[0], name), layer)
    layers[MONTHS[0], "clay"][15, 5] = np.nan
    layers[MONTHS[0], "NDRE.M"][530, 7] = np.nan
    units = dict.fromkeys(NAMES, "1")
    static = {name: layers[MONTHS[0], name] for name in ("NDRE.M", "clay")}
    write(f"{folder}/static.tif", GRID, static, units)
    for month in MONTHS:
        write(f"{folder}/lst/{month}.tif", GRID, {"LST": layers[month, "LST"]}, units)
    area = np.ones(GRID.shape, "uint8")
    area[:10, :10] = 0
    with created(f"{folder}/grid.tif", GRID, {"inside": ""}, "uint8", 255) as target:
        target.write(area, 1)
    stacks = {m: np.stack([layers[m, name] for name in NAMES], axis=-1) for m in MONTHS}
    return stacks, area.astype(bool), values, space


def run(folder, **changes):
    given = dict(
        rows=f"{folder}/rows.parquet",
        parameters=f"{folder}/parameters.json",
        error_by_di=f"{folder}/error.csv",
        rasters=[f"{folder}/{n}.tif" for n in ("static", "lst/2018-05", "lst/2018-06")],
        grid=f"{folder}/grid.tif",
        maps=[f"{folder}/di/{month}.tif" for month in MONTHS],
        table=f"{folder}/table/2018.csv",
        months=MONTHS,
        unit="m3/m3",
        note="simulated",
    )
    map_applicability.main(**(given | changes))
    return pd.read_csv(given["table"])


def test_maps_by_blocks_are_the_plain_computation_on_the_whole_array(tmp_path):
    stacks, area, values, space = study(tmp_path)
    table = run(tmp_path).set_index("month")
    for month, stack in stacks.items():
        with rasterio.open(tmp_path / f"di/{month}.tif") as source:
            di, lpd, error = source.read()
        use = area & np.isfinite(stack).all(axis=-1)
        for layer in (di, lpd, error):
            np.testing.assert_array_equal(np.isfinite(layer), use)
        points = stack[use].astype("float64")
        apart = cdist((points - MEAN) / SCALE * WEIGHT, space) / DBAR
        nearest = apart.min(axis=1)
        np.testing.assert_allclose(di[use], nearest, atol=1e-6)
        np.testing.assert_array_equal(lpd[use], (apart < LIMIT).sum(axis=1))
        expected = 0.02 + np.clip(nearest - 0.1, 0, 0.2) * 0.2
        np.testing.assert_allclose(error[use], expected, atol=1e-7)
        row = table.loc[month]
        assert (row["cells"], row["inside"]) == (use.sum(), (nearest <= LIMIT).sum())
        assert row["share_inside"] == pytest.approx((nearest <= LIMIT).mean())
        beyond = ((points < values.min(axis=0)) | (points > values.max(axis=0))).any(axis=1)
        assert 0 < row["share_beyond_range"] == pytest.approx(beyond.mean())
        assert row["median_di"] == pytest.approx(np.median(nearest), rel=1e-6)
    assert table.index.tolist() == MONTHS


def test_a_predictor_of_weight_0_is_still_needed_and_its_range_counts(tmp_path):
    """The forest reads it: a cell without it has no soil moisture either."""
    _, _, values, _ = study(tmp_path)
    run(tmp_path)
    with rasterio.open(tmp_path / "di/2018-05.tif") as source:
        assert np.isnan(source.read()[:, 530, 7]).all()
    cells = np.tile(values.mean(axis=0), (2, 1))
    cells[1, 2] = values[:, 2].max() * 1.01
    curve = pd.read_csv(tmp_path / "error.csv")
    described = json.loads((tmp_path / "parameters.json").read_text())
    space = map_applicability.Space(pd.read_parquet(tmp_path / "rows.parquet"), described, curve)
    assert space.unseen(cells).tolist() == [False, True]
    first, second = space.judged(cells).T
    np.testing.assert_array_equal(first, second)


def test_map_is_a_cloud_optimized_geotiff_that_carries_its_threshold(tmp_path):
    study(tmp_path)
    run(tmp_path)
    with rasterio.open(tmp_path / "di/2018-06.tif") as source:
        assert source.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert set(source.dtypes) == {"float32"} and np.isnan(source.nodata)
        assert source.descriptions == ("DI", "LPD", "expected_error")
        assert source.units == ("1", "1", "m3/m3")
        assert float(source.tags()["threshold"]) == LIMIT
        assert source.tags()["average_lpd"] == "7"
        assert source.tags()["note"] == "simulated"
        assert source.tags()["description"].startswith("area of applicability, 2018-06")
        assert Grid.of(source.name) == GRID
    assert sorted(path.name for path in (tmp_path / "di").iterdir()) == [f"{m}.tif" for m in MONTHS]


def test_same_inputs_give_the_same_bytes(tmp_path):
    study(tmp_path)
    paths = [tmp_path / "di/2018-05.tif", tmp_path / "table/2018.csv"]
    run(tmp_path)
    first = [path.read_bytes() for path in paths]
    run(tmp_path)
    assert first == [path.read_bytes() for path in paths]


def test_the_size_of_pieces_changes_nothing(tmp_path, monkeypatch):
    study(tmp_path)
    run(tmp_path)
    first = (tmp_path / "di/2018-05.tif").read_bytes()
    monkeypatch.setattr(map_applicability, "PIECE", 1000)
    run(tmp_path)
    assert first == (tmp_path / "di/2018-05.tif").read_bytes()


def test_table_study_takes_the_grid_of_its_raster(tmp_path):
    stacks, _, _, _ = study(tmp_path)
    table = run(
        tmp_path,
        grid=[],
        months=MONTHS[:1],
        maps=[f"{tmp_path}/di/2018-05.tif"],
        rasters=[f"{tmp_path}/{n}.tif" for n in ("static", "lst/2018-05")],
        note="",
    )
    assert table["cells"].tolist() == [np.isfinite(stacks[MONTHS[0]]).all(axis=-1).sum()]
    with rasterio.open(tmp_path / "di/2018-05.tif") as source:
        assert "note" not in source.tags()


def test_raster_on_another_grid_is_refused_before_anything_is_written(tmp_path):
    study(tmp_path)
    wrong = Grid(ALBERS, Affine(250, 0, 1250, 0, -250, 9000), GRID.width, GRID.height)
    write(f"{tmp_path}/lst/2018-06.tif", wrong, {"LST": np.ones(wrong.shape)}, {"LST": "degC"})
    with pytest.raises(UserError, match=r"lst/2018-06\.tif: expected the transform of the maps"):
        run(tmp_path)
    assert not (tmp_path / "di").exists()


def test_month_without_a_complete_cell_is_named_and_leaves_no_file(tmp_path):
    study(tmp_path)
    empty = np.full(GRID.shape, np.nan)
    write(f"{tmp_path}/lst/2018-06.tif", GRID, {"LST": empty}, {"LST": "degC"})
    with pytest.raises(UserError, match=r"2018-06\.tif: expected cells .* none among 16460 inside"):
        run(tmp_path)
    assert not (tmp_path / "di/2018-06.tif").exists() and not (tmp_path / "table").exists()


def test_the_log_tells_shares_and_what_was_left_out(tmp_path, caplog):
    study(tmp_path)
    with caplog.at_level("INFO", "soil-moisture"):
        run(tmp_path)
    assert "2018-05: 16458 cells, " in caplog.text and " inside (0." in caplog.text
    assert "2018-05: 2 cells without a predictor" in caplog.text
