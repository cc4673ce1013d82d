import gzip
import json
import re
from base64 import b64decode
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS
from rasterio.transform import Affine

import export_layers
from _log import UserError
from _raster import Grid, cloud_optimized, write

ALBERS = CRS.from_proj4("+proj=aea +lat_0=0 +lon_0=101 +lat_1=28 +lat_2=36 +datum=WGS84 +units=m")
GRID = Grid(ALBERS, Affine(250, 0, 92000, 0, -250, 3647750), 8, 6)
DEGREES = Grid(CRS.from_epsg(4326), Affine(0.01, 0, 101.9, 0, -0.01, 34.2), 40, 30)


def unpacked(data, rows, cols, step):
    """Return what the viewer reads, cell after cell as it does."""
    size = rows * cols
    code = [data[n] + 256 * data[size + n] for n in range(size)]
    found = {}
    for n, one in enumerate(code):
        if not one:
            continue
        left = found.get(n - 1) if n % cols else None
        upper = found.get(n - cols)
        known = [value for value in (left, upper) if value is not None]
        guess = sum(known) // len(known) if known else 0
        away = one - 1
        found[n] = guess + (-(away + 1) // 2 if away % 2 else away // 2)
    values = [found[n] * step if n in found else np.nan for n in range(size)]
    return np.array(values).reshape(rows, cols)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 5),
    st.integers(1, 5),
    st.lists(st.one_of(st.none(), st.integers(-16000, 16000)), min_size=25, max_size=25),
)
def test_what_is_packed_is_read_back_to_half_a_step(rows, cols, values):
    steps = np.array([np.nan if v is None else v for v in values[: rows * cols]], float)
    layer = steps.reshape(rows, cols) * 0.001 + 0.0003
    found = unpacked(export_layers.packed(layer, 0.001), rows, cols, 0.001)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(layer))
    assert np.nanmax(np.abs(found - layer), initial=0) <= 0.0005


def test_a_layer_is_packed_as_differences_by_hand():
    layer = np.array([[0.010, 0.012], [np.nan, 0.009]])
    # 10 from nothing: 2 * 10 + 1; 12 from 10: 2 * 2 + 1; none: 0; 9 from 12 alone: -3, so 2 * 3
    assert export_layers.packed(layer, 0.001) == bytes([21, 5, 0, 6, 0, 0, 0, 0])


def test_text_is_the_same_every_time_and_bears_no_date():
    text = export_layers.as_text([b"a", b"b"])
    data = b64decode(text)
    assert gzip.decompress(data) == b"ab" and data[4:8] == bytes(4)


@pytest.mark.parametrize(
    ("cells", "months", "factor"),
    # 70 000 cells * 60 months * 4.05 bytes are 17.0 MB; 9.3 million / 13**2 * 60 * 5.0 are 16.5
    [
        (70_000, 60, 1),
        (70_000, 1, 1),
        (72_000, 60, 2),
        (5_600_000, 60, 10),
        (9_300_000, 60, 13),
        (9_300_000, 1, 2),
    ],
)
def test_cells_shown_follow_from_the_bytes_that_are_left(cells, months, factor):
    assert export_layers.factor_for(cells, months) == factor
    each = export_layers.PER_CELL if factor == 1 else export_layers.PER_BLOCK
    assert cells / factor**2 * months * each <= export_layers.TOTAL


def test_block_mean_leaves_out_what_is_missing_and_keeps_the_rest_of_the_edge():
    layer = np.array([[1, 3, 10], [np.nan, 5, 20], [7, 9, np.nan]])
    np.testing.assert_array_equal(export_layers.block_mean(layer, 2), [[3, 15], [8, np.nan]])
    assert np.isnan(export_layers.block_mean(np.full((2, 2), np.nan), 2)).all()


@pytest.mark.parametrize(("rows", "cols"), [(1200, 1056), (1202, 1050), (1031, 1030)])
def test_reduced_is_the_block_mean_with_overviews_and_without(tmp_path, rows, cols):
    values = np.random.default_rng(1).random((rows, cols)).astype("float32")
    grid = Grid(ALBERS, GRID.transform, cols, rows)
    path = str(tmp_path / "map.tif")
    with cloud_optimized(path, grid, {"soil_moisture": "m3/m3"}) as target:
        target.write(values, 1)
    with rasterio.open(path) as source:
        assert source.overviews(1)[:2] == [2, 4]
    for factor in (1, 2, 3, 4, 8):
        want = export_layers.block_mean(values.astype(float), factor)
        found = export_layers.reduced(path, factor)
        assert found.shape == export_layers.coarse(grid, factor).shape
        np.testing.assert_allclose(found, want, atol=1e-6)


def test_a_band_is_found_by_name(tmp_path):
    path, layer = str(tmp_path / "trend.tif"), np.arange(48.0).reshape(6, 8)
    layers = {"slope": layer, "significant": layer * 0 + 1}
    write(path, GRID, layers, dict.fromkeys(layers, ""))
    assert (export_layers.reduced(path, 2, "significant") == 1).all()


def test_a_shown_cell_takes_the_mean_of_the_cells_of_the_product_under_it():
    source = Grid(ALBERS, Affine(500, 0, 92000, 0, -500, 3647750), 4, 2)
    target = Grid(ALBERS, Affine(1000, 0, 92000, 0, -1000, 3647750), 3, 1)
    layer = np.array([[1.0, 2, 3, np.nan], [5, 6, 7, np.nan]])
    np.testing.assert_allclose(
        export_layers.product_mean(target, source)(layer), [[3.5, 5, np.nan]]
    )


def test_a_product_in_degrees_is_met_where_it_lies():
    lon, lat = np.meshgrid(*(np.arange(n) + 0.5 for n in (40, 30)))
    layer = 101.9 + 0.01 * lon  # its own longitude
    found = export_layers.product_mean(GRID, DEGREES)(layer)
    to_degrees = export_layers.Transformer.from_crs(ALBERS.to_wkt(), 4326, always_xy=True)
    longitude, _ = to_degrees.transform(*GRID.centres())
    assert np.abs(found - longitude).max() <= 0.005 + 1e-9


@pytest.mark.parametrize(
    ("largest", "step"), [(0.6, 0.001), (30, 0.001), (31, 0.01), (2500, 0.1), (np.nan, 0.001)]
)
def test_large_values_get_a_step_that_sixteen_bits_hold(largest, step):
    assert export_layers.step_of("map", [np.array([largest])]) == pytest.approx(step)


def test_degrees_between_the_knots_are_right_to_ten_metres():
    grid = Grid(ALBERS, Affine(2000, 0, -300000, 0, -2000, 3900000), 380, 380)
    knots = export_layers.knots(grid)
    side = knots["side"]
    lon, lat = (np.array(knots[name]).reshape(side, side) for name in ("lon", "lat"))
    x = y = 7.5 / (side - 1)  # in the middle between knots, where linear is worst
    place = [grid.extent[0] + x * 760000, grid.extent[3] - y * 760000]
    to_degrees = export_layers.Transformer.from_crs(ALBERS.to_wkt(), 4326, always_xy=True)
    want = to_degrees.transform(*place)
    assert np.mean(lon[7:9, 7:9]) == pytest.approx(want[0], abs=2e-4)
    assert np.mean(lat[7:9, 7:9]) == pytest.approx(want[1], abs=2e-4)


def test_a_raster_without_a_crs_has_no_degrees():
    assert export_layers.knots(Grid(None, Affine(1, 0, 0, 0, -1, 9), 9, 9)) is None


def test_sites_keep_their_months_and_those_without_any_are_left_out():
    insitu = pd.DataFrame(
        dict(
            site=["b", "b", "a", "a"],
            lat=[33.9, 33.9, 33.8, 33.8],
            lon=102.0,
            month=["2018-06", "2018-05", "2018-05", "2018-06"],
            value=[0.43219, np.nan, np.nan, np.nan],
        )
    )
    (site,) = export_layers.sites_of(insitu, DEGREES, ["2018-05", "2018-06", "2018-07"])
    assert site["name"] == "b" and site["values"] == [None, 0.4322, None]
    assert (site["row"], site["col"]) == (30.0, 10.0)


def test_what_a_script_holds_cannot_end_it():
    text = export_layers.literal({"name": "</script><script>alert(1)</script>é\u2028"})
    assert "<" not in text and text.isascii()
    with pytest.raises(ValueError, match="not JSON compliant"):
        export_layers.literal(float("nan"))


def study(folder, months=("2018-05", "2018-06"), name="A<b>", full=True):
    """Write a small study and return what main takes; the first cell is outside the area."""
    rng = np.random.default_rng(2)
    area = np.ones(GRID.shape)
    area[0, 0] = 0

    def raster(path, grid, layer, names=("value",)):
        write(str(folder / path), grid, dict.fromkeys(names, layer), dict.fromkeys(names, ""))
        return str(folder / path)

    def layer(shift):
        return np.where(area == 1, 0.4 + shift + 0.05 * rng.standard_normal(area.shape), np.nan)

    found = {
        kind: [raster(f"{kind}/{month}.tif", GRID, layer(shift)) for month in months]
        for kind, shift in (("maps", 0), ("lower", -0.2), ("upper", 0.2), ("di", -0.2))
    }
    (folder / "applicability.json").write_text('{"threshold": 0.15}')
    (folder / "insitu.csv").write_text(
        f"site,lat,lon,month,value\n{name},32.99,101.993,{months[0]},0.4\n"
    )
    grid = str(folder / "grid.tif")
    with rasterio.open(found["maps"][0]) as source:
        profile = source.profile | dict(dtype="uint8", nodata=255, predictor=1)
    with rasterio.open(grid, "w", **profile) as target:
        target.write(area.astype("uint8"), 1)
    extra = dict(
        smci=[raster(f"smci/{m}.tif", DEGREES, np.full(DEGREES.shape, 0.4)) for m in months],
        trend=[raster("trend/05.tif", GRID, layer(-0.4) / 50, ("slope", "significant"))],
        grid=grid,
        insitu=str(folder / "insitu.csv"),
    )
    if not full:
        extra = dict.fromkeys(extra, [])
    names = [*months, *(["trend"] if full else [])]
    return found | extra | dict(
        applicability=str(folder / "applicability.json"),
        index=str(folder / "layers/index.js"),
        layers=[str(folder / f"layers/{name}.js") for name in names],
        months=list(months),
        test=["2018-06"],
        calendar=["05"],
        unit="m3/m3",
        note="simulated data" if full else "",
    )  # fmt: skip


def told(given):
    text = Path(given["index"]).read_text()
    return json.loads(re.fullmatch(r"soilMoisture\.begin\((.*)\)\n", text)[1])


def test_files_hold_the_maps_at_the_stated_step(tmp_path):
    given = study(tmp_path)
    export_layers.main(**given)
    about = told(given)
    assert about["layers"] == ["map", "lower", "upper", "di", "smci"]
    assert (about["rows"], about["cols"], about["factor"], about["cell"]) == (6, 8, 1, 250)
    assert about["test"] == ["2018-06"] and about["threshold"] == 0.15
    assert about["sites"][0]["name"] == "A<b>" and about["sites"][0]["values"] == [0.4, None]
    script = re.fullmatch(
        r'soilMoisture\.take\("2018-06","(.*)"\)\n', Path(given["layers"][1]).read_text()
    )
    data, size = gzip.decompress(b64decode(script[1])), 2 * 48
    assert len(data) == size * 5
    for number, kind in enumerate(("maps", "lower", "upper")):
        part = data[number * size : (number + 1) * size]
        with rasterio.open(given[kind][1]) as source:
            np.testing.assert_allclose(
                unpacked(part, 6, 8, 0.001), source.read(1), atol=0.0005 + 1e-6
            )
    smci = unpacked(data[4 * size :], 6, 8, 0.001)
    assert np.isnan(smci[0, 0]) and np.nanmin(smci) == pytest.approx(0.4)


def test_scales_are_one_for_what_is_compared_and_even_for_differences(tmp_path):
    given = study(tmp_path)
    export_layers.main(**given)
    found = {one["id"]: one for one in told(given)["scales"]}
    assert list(found) == [
        "map", "lower", "upper", "width", "di", "smci", "difference", "trend",
    ]  # fmt: skip
    assert found["map"]["label"] == "Soil moisture"
    ends = {(found[name]["low"], found[name]["high"]) for name in ("map", "lower", "upper", "smci")}
    assert len(ends) == 1
    assert found["difference"]["low"] == -found["difference"]["high"]
    assert found["trend"]["unit"] == "m³/m³ per year" and found["di"]["low"] == 0
    assert 0.2 < found["width"]["low"] < 0.4 < found["width"]["high"] < 0.6
    assert {len(one["colours"]) for one in found.values()} == {6 * export_layers.COLOURS}


def test_a_table_study_has_what_it_has(tmp_path):
    given = study(tmp_path, months=("2012-03-25",), full=False)
    export_layers.main(**given)
    about = told(given)
    assert about["layers"] == ["map", "lower", "upper", "di"]
    assert [one["id"] for one in about["scales"]] == ["map", "lower", "upper", "width", "di"]
    assert about["sites"] == about["calendar"] == []


def test_the_same_study_gives_the_same_bytes(tmp_path):
    given = study(tmp_path)
    files = [given["index"], *given["layers"]]
    export_layers.main(**given)
    first = [Path(path).read_bytes() for path in files]
    export_layers.main(**given)
    assert first == [Path(path).read_bytes() for path in files]


def test_a_month_without_any_value_is_no_error(tmp_path):
    given = study(tmp_path)
    write(given["maps"][0], GRID, {"v": np.full(GRID.shape, np.nan)}, {"v": ""})
    write(given["smci"][0], DEGREES, {"v": np.full(DEGREES.shape, np.nan)}, {"v": ""})
    export_layers.main(**given)
    assert told(given)["months"] == given["months"]


def test_maps_of_different_sizes_are_an_error(tmp_path):
    given = study(tmp_path)
    other = Grid(ALBERS, GRID.transform, 5, 5)
    write(given["lower"][1], other, {"v": np.ones((5, 5))}, {"v": ""})
    with pytest.raises(UserError, match=r"expected all maps on one grid, found 2 sizes\. Delete"):
        export_layers.main(**given)
