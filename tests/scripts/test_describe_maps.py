"""The maps in numbers: by hand on small rasters; smoothness by brute force and of known fields."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st
from rasterio.crs import CRS
from rasterio.transform import Affine
from rasterio.windows import Window

import describe_maps
from _log import UserError
from _raster import Grid, created, inside_of, write
from describe_maps import Smoothness, by_class, local_sd, quantiles, season

NAN = np.nan
DEGREES = CRS.from_epsg(4326)
# Longitude 100 to 104, latitude 64 to 56: eight rows of a degree. The last column is outside.
MAP = Grid(DEGREES, Affine(1, 0, 100, 0, -1, 64), 5, 8)
COARSE = Grid(DEGREES, Affine(2, 0, 98, 0, -4, 68), 5, 4)
WEIGHT = np.repeat(np.cos(np.deg2rad(63.5 - np.arange(8)))[:, None], 4, axis=1)
MONTHS = ["2017-07", "2017-08", "2018-07", "2018-08"]
YEAR = "2018"
ROW, COL = (axis.astype("float64") for axis in np.mgrid[:8, :5])


def layers():
    """Return {input: {file name: layer}}: in each one something that is known."""
    flat = np.full(MAP.shape, 0.35)
    flat[:, 4] = 9  # outside
    maps = {month: flat.copy() for month in MONTHS}
    maps["2018-07"][0, 0], maps["2018-08"][7, 3], maps["2017-07"][0, 0] = 0.15, 0.6, 0.05
    coarse = np.arange(20.0).reshape(4, 5) / 100
    return {
        "maps": maps,
        "annual": {"2017": 0.3 + ROW / 100, "2018": 0.3 + COL / 100},
        "smci": {"2018-07": coarse, "2018-08": np.full((4, 5), NAN)},
        "era5land": {"2018-07": coarse + 0.1, "2018-08": coarse + 0.2},
        "ndvi": {"2018-07": -COL / 10, "2018-08": 0.2 - COL / 10},
        "static": {"static": 3000 + 100 * ROW},
        "position": {"position": COL - 2},
    }


BANDS = {"static": "DEM", "position": "TPI6000"}


def study(folder, given=None, cells=MAP):
    """Write the rasters; return the arguments of main."""
    area = np.ones(cells.shape, "uint8")
    area[:, -1] = 0
    with created(f"{folder}/grid.tif", cells, {"inside": "1"}, "uint8", 255) as target:
        target.write(area, 1)
    bands = dict.fromkeys(("longitude", "latitude"), "degree")
    with created(f"{folder}/lonlat.tif", cells, bands, "float64") as target:
        target.write(np.array(cells.centres()))
    files = {}
    for name, parts in (given or layers()).items():
        files[name] = [f"{folder}/{name}/{stem}.tif" for stem in parts]
        band = BANDS.get(name, name)
        for path, layer in zip(files[name], parts.values(), strict=True):
            own = COARSE if name in ("smci", "era5land") else cells
            write(path, own, {band: layer}, {band: ""})
    files["static"], files["position"] = files["static"][0], files["position"][0]
    return files | dict(
        grid=f"{folder}/grid.tif",
        lonlat_file=f"{folder}/lonlat.tif",
        description=f"{folder}/description.csv",
        year=YEAR,
        year_begins=1,
    )


def run(**given):
    describe_maps.main(**given)
    table = pd.read_csv(given["description"], keep_default_na=False, na_values={"value": [""]})
    assert list(table.columns) == ["quantity", "part", "product", "value", "n"]
    table["value"] = table["value"].astype("float64")
    return table.set_index(["quantity", "part", "product"]).sort_index()


def mean(values, weight=WEIGHT):
    return (values * weight).sum() / weight.sum()


def check(row, value, n):
    assert row["value"] == pytest.approx(value, abs=2e-6, rel=1e-8, nan_ok=True) and row["n"] == n


def test_area_and_altitude_are_of_the_ground(tmp_path):
    given = layers()
    given["static"]["static"][0, 0] = NAN
    table = run(**study(tmp_path, given))
    # Between two parallels a sphere has R2 x longitude x difference of the sines.
    sphere = 6371.0072**2 * np.deg2rad(4) * (np.sin(np.deg2rad(64)) - np.sin(np.deg2rad(56)))
    row = table.loc[("area_km2", "all", "")]
    assert row["value"] == pytest.approx(sphere, rel=1e-4) and row["n"] == 32
    known = WEIGHT.copy()
    known[0, 0] = 0
    check(table.loc[("altitude_m", "all", "")], mean(3000 + 100 * ROW[:, :4], known), 31)


def test_ranges_are_of_the_report_year_and_of_cells_inside(tmp_path):
    table = run(**study(tmp_path))
    for part, value in {"min": 0.15, "p0.1": 0.15, "p99.9": 0.6, "max": 0.6}.items():
        check(table.loc[("range", part, "map")], value, 64)
    # Of the coarse cells only 101 and 103 east at 62 and 58 north have their centre in the area;
    # one of SMCI's two months has no value at all.
    for part, smci, era in (("min", 0.06, 0.16), ("max", 0.12, 0.32)):
        check(table.loc[("range", part, "SMCI")], smci, 4)
        check(table.loc[("range", part, "ERA5-Land")], era, 8)
    for part, value in {"min": 0.3, "p0.1": 0.3, "p99.9": 0.37, "max": 0.37}.items():
        check(table.loc[("annual_range", part, "map")], value, 64)


def test_bulk_is_of_all_months_with_both_ends(tmp_path):
    given = layers()
    given["maps"]["2017-08"][3, :2] = 0.3, 0.4
    given["maps"]["2017-08"][4, :3] = 0.29999, 0.40001, NAN
    row = run(**study(tmp_path, given)).loc[("share_in_0.3_0.4", "all", "map")]
    whole = 4 * WEIGHT.sum() - WEIGHT[4, 0]
    out = 2 * WEIGHT[0, 0] + WEIGHT[7, 0] + 2 * WEIGHT[4, 0]
    check(row, 1 - out / whole, 127)


def test_thirds_of_position_and_greenness(tmp_path):
    given = layers()
    # Rows of one latitude count alike: six cells, two in each third.
    position, greenness = np.full((2, *MAP.shape), NAN)
    position[0, :3], position[0, 4] = (5, -7, 0), -99
    given["position"]["position"] = position
    for month in given["ndvi"]:
        greenness[0, :4] = 0.9, 0.5, 0.1, NAN
        given["ndvi"][month] = greenness + (0.1 if month == "2018-08" else 0)
    given["ndvi"]["2018-08"][0, 0] = NAN  # one of two months is enough
    table = run(**study(tmp_path, given))
    for part, value in (("valley", 0.31), ("slope", 0.32), ("ridge", 0.3)):
        check(table.loc[("mean_by_position", part, "map")], value, 1)
    for part, value in (("low", 0.32), ("middle", 0.31), ("high", 0.3)):
        check(table.loc[("mean_by_ndvi", part, "map")], value, 1)


def test_a_study_without_position_says_so(tmp_path, caplog):
    given = study(tmp_path)
    with caplog.at_level("INFO", "soil-moisture"):
        table = run(**given | {"position": []})
        assert "no TPI6000 (no raster of positions)" in caplog.text
        assert "mean_by_position" not in table.index.get_level_values(0)
        other = f"{tmp_path}/other.tif"
        write(other, MAP, {"TPI1500": ROW}, {"TPI1500": "m"})
        table = run(**given | {"position": other})
    assert "no TPI6000 (only TPI1500)" in caplog.text
    assert "mean_by_position" not in table.index.get_level_values(0)


def test_centre_and_margin_are_halves_by_distance(tmp_path):
    cells = Grid(CRS.from_epsg(32648), Affine(500, 0, 0, 0, -500, 4000), 9, 8)
    given = layers()
    row, col = np.mgrid[:8, :9]
    far = np.hypot(row - 3.5, col - 3.5)
    near = np.sort(far[:, :8].ravel())[31] + 1e-9
    soil = np.where(far <= near, 0.4, 0.3)
    missing = soil.copy()
    missing[0, 0] = missing[3, 3] = NAN
    for name in ("maps", "annual", "ndvi", "static", "position"):
        given[name] = dict.fromkeys(given[name], soil)
    given["annual"] = {"2016": soil, "2017": missing, "2018": missing}
    table = run(**study(tmp_path, given, cells))
    assert (far[:, :8] <= near).sum() == 32, "the half of the area"
    check(table.loc[("centre", "all", "map")], 0.4, 31)
    check(table.loc[("margin", "all", "map")], 0.3, 31)
    check(table.loc[("area_km2", "all", "")], 16, 64)


def test_centre_is_by_distance_on_the_ground(tmp_path):
    cells = Grid(DEGREES, Affine(1, 0, 100, 0, -1, 62), 9, 4)
    # At 60 north a degree east is half of one north. Of 8 x 4 cells the nearest half are the six
    # in the middle of the two rows there, and two of each row farther off. In degrees it would
    # be a square of 4 x 4.
    soil = np.full(cells.shape, 0.3)
    soil[1:3, 1:7] = soil[:, 3:5] = 0.4
    given = layers()
    for name in ("maps", "annual", "ndvi", "static", "position"):
        given[name] = dict.fromkeys(given[name], soil)
    table = run(**study(tmp_path, given, cells))
    check(table.loc[("centre", "all", "map")], 0.4, 16)
    check(table.loc[("margin", "all", "map")], 0.3, 16)


def test_a_product_without_values_has_empty_rows_and_the_map_its_own(tmp_path):
    given = layers()
    for name in ("smci", "era5land"):
        given[name] = {month: np.full((4, 5), NAN) for month in given[name]}
    table = run(**study(tmp_path, given))
    for product in ("SMCI", "ERA5-Land"):
        assert table.loc[("range", slice(None), product), "value"].isna().all()
        assert (table.loc[("range", slice(None), product), "n"] == 0).all()
    for product in ("SMCI, bilinear", "SMCI, nearest"):
        check(table.loc[("local_sd", "all", product)], NAN, 0)
        check(table.loc[("nugget_share", "all", product)], NAN, 0)
    assert table.loc[("local_sd", "all", "map"), "n"] > 0


def brute_sd(layer, size):
    """Return the SD around each cell, NaN where less than half of the window has a value."""
    found = np.full(layer.shape, NAN)
    down, right = size[0] // 2, size[1] // 2
    for i, j in np.ndindex(layer.shape):
        part = layer[max(0, i - down) : i + down + 1, max(0, j - right) : j + right + 1]
        part = part[np.isfinite(part)]
        if 2 * len(part) >= size[0] * size[1] and np.isfinite(layer[i, j]):
            found[i, j] = part.std()
    return found


def test_smoothness_on_the_maps_cells(tmp_path):
    table = run(**study(tmp_path))
    # A degree is more than 1 km: windows of 3 x 3 cells, lags of one. SMCI rises by 0.01 a cell
    # of two degrees east and 0.05 a cell of four degrees south, and interpolated it is a plane.
    steps = np.array([[0] * 4] * 4 + [[0.05] * 4] * 4) + np.array([0, 0, 0.01, 0.01])
    plane = 0.0125 * ROW[:, :4] + 0.005 * COL[:, :4]
    for product, layer in (
        ("map", COL[:, :4] / 100),
        ("SMCI, nearest", steps),
        ("SMCI, bilinear", plane),
    ):
        sd = brute_sd(layer, (3, 3))
        known = np.isfinite(sd)
        assert known.sum() == 28, "a corner has 4 cells of 9"
        check(table.loc[("local_sd", "all", product)], mean(sd[known], WEIGHT[known]), 28)
    assert table.loc[("nugget_share", "all", "map"), "n"] == 7 * 4 + 8 * 3
    assert table.loc[("nugget_share", "all", "map"), "value"] == 0, "a ramp has no nugget"


def test_smoothness_is_the_same_in_strips(tmp_path):
    """More rows than are read at once; each sum against one over the whole map."""
    cells = Grid(DEGREES, Affine(0.006, 0, 100, 0, -0.005, 36), 40, 1100)
    random = np.random.default_rng(5)
    soil = 0.3 + 0.02 * random.normal(size=cells.shape) + np.linspace(0, 0.1, 1100)[:, None]
    soil[random.random(cells.shape) < 0.2] = NAN
    soil = soil.astype("float32").astype("float64")
    product = Grid(DEGREES, Affine(0.01, 0, 99.9, 0, -0.01, 36.1), 60, 600)
    smci = random.normal(0.3, 0.02, product.shape).astype("float32").astype("float64")
    smci[:, 14] = NAN
    given = study(tmp_path, {"static": {"a": soil}, "position": {"b": soil}}, cells)
    write(f"{tmp_path}/smci.tif", product, {"SMCI": smci}, {"SMCI": ""})
    rows = describe_maps.smoothness(
        given["static"], [f"{tmp_path}/smci.tif"], given["grid"], given["lonlat_file"]
    )
    found = {(row[0], row[2]): row[3:] for row in rows}

    longitude, latitude = cells.centres()
    col, row = ((v / 0.01).astype(int) for v in (longitude - 99.9, 36.1 - latitude))
    near = smci[row, col]
    near[:, -1] = soil[:, -1] = NAN
    gap = np.where(np.isfinite(soil + near), 0, NAN)
    weight = np.cos(np.deg2rad(latitude))
    for name, layer in (("map", soil + gap), ("SMCI, nearest", near + gap)):
        sd = brute_sd(layer, (5, 5))  # 3 km hold 5 of 556 m and, at 33 degrees, 5 of 559 m
        known = np.isfinite(sd)
        expected = mean(sd[known], weight[known])
        assert found["local_sd", name][0] == pytest.approx(expected, rel=1e-9)
        assert found["local_sd", name][1] == known.sum()
        gamma, pairs = [], []
        for lag in (2, 4):
            parts = [
                ((layer[:-lag] - layer[lag:]) ** 2 / 2, weight[:-lag]),
                ((layer[:, :-lag] - layer[:, lag:]) ** 2 / 2, weight[:, :-lag]),
            ]
            half, w = (np.concatenate([part[k].ravel() for part in parts]) for k in (0, 1))
            known = np.isfinite(half)
            gamma.append(mean(half[known], w[known]))
            pairs.append(known.sum())
        known = np.isfinite(layer)
        middle = mean(layer[known], weight[known])
        sill = mean((layer[known] - middle) ** 2, weight[known])
        expected = max(0, 2 * gamma[0] - gamma[1]) / sill
        assert found["nugget_share", name] == (pytest.approx(expected, rel=1e-9), pairs[0])
    assert 0.2 < found["nugget_share", "map"][0] < 0.5, "noise on a ramp"
    assert found["local_sd", "SMCI, bilinear"][0] < found["local_sd", "SMCI, nearest"][0]


def nugget_share(layer):
    sums = Smoothness()
    sums.add(layer, np.ones(layer.shape), slice(0, len(layer)), (3, 3), (1, 1))
    return sums.rows("")[1][3]


def test_noise_is_all_nugget_and_a_wave_has_none():
    random = np.random.default_rng(6)
    noise, wave = random.normal(size=(300, 300)), np.sin(np.arange(300) / 20) + np.zeros((300, 1))
    assert nugget_share(noise) == pytest.approx(1, abs=0.03)
    assert nugget_share(wave) == 0
    # Variances add: noise of variance 1/8 on a wave of variance 1/2.
    assert nugget_share(wave + noise / np.sqrt(8)) == pytest.approx(0.2, abs=0.01)
    assert np.isnan(nugget_share(np.full((5, 5), 0.3))), "a flat map has no sill"
    alone = np.full((5, 5), NAN)
    alone[[0, 4], [0, 4]] = 0.3, 0.4
    assert np.isnan(nugget_share(alone)), "no pair at either lag is no nugget of 0"


def test_windows_less_than_half_filled_have_no_sd():
    layer = np.full((3, 3), NAN)
    layer[1, :], layer[0, 0] = (1, 2, 3), 4
    assert np.isnan(local_sd(layer, (3, 3))).all(), "4 of 9"
    layer[2, 2] = 6
    assert local_sd(layer, (3, 3))[1, 1] == pytest.approx(np.std([1, 2, 3, 4, 6]))
    assert np.isnan(local_sd(layer * NAN, (3, 3))).all()


@settings(max_examples=60, deadline=None)
@drawn(
    st.lists(
        st.tuples(st.floats(-1, 1, width=32), st.floats(0.125, 1, width=32)),
        min_size=1,
        max_size=30,
    ),
    st.sampled_from([0.001, 0.25, 1 / 3, 0.5, 0.999]),
)
def test_quantiles_are_those_of_the_sorted_values(pairs, share):
    values, weight = np.array(pairs, "float64").T
    half = len(values) // 2

    def parts():
        yield values[:half], weight[:half]
        yield values[half:], weight[half:]

    (low, found, high), n = quantiles(parts, (0, share, 1))
    assert (low, high, n) == (values.min(), values.max(), len(values))
    order = np.argsort(values)
    held = np.cumsum(weight[order])
    right = values[order][np.searchsorted(held, (share - 1e-12) * held[-1])]
    assert right <= found <= right + (high - low) * 2e-6 + 1e-15


def test_no_values_have_no_quantiles():
    found, n = quantiles(lambda: [(np.array([]), np.array([]))], (0, 0.5))
    assert np.isnan(found).all() and n == 0


def test_classes_weigh_the_area_and_count_only_values():
    split = np.array([1.0, 2, 3, 4])
    values, weight = np.array([10.0, 20, 30, NAN]), np.array([1.0, 1, 2, 4])
    found = by_class(lambda: [(split, values, weight)], (0.5,))
    assert found[0] == (pytest.approx((10 + 20 + 60) / 4), 3)
    assert np.isnan(found[1][0]) and found[1][1] == 0, "the other half of the area is the last"


def test_cells_of_another_projection_are_found(tmp_path):
    study(tmp_path)
    metric = Grid(CRS.from_epsg(32648), Affine(60_000, 0, 190_000, 0, -60_000, 7_060_000), 9, 9)
    found = inside_of(metric, f"{tmp_path}/grid.tif")(Window(0, 0, 9, 9))
    # 105 east is the middle of the zone, x = 500 km. The area ends 1 degree and 5 degrees west of
    # it: 50 and 251 km in the first row (63.3 north), 57 and 287 km in the last (59 north), and
    # centres lie 280, 220, 160, 100, 40 km west of it.
    assert found[0].tolist() == [False, True, True, True, False, False, False, False, False]
    assert found[8].tolist() == [True, True, True, True, False, False, False, False, False]


def test_a_season_needs_half_of_its_months(tmp_path):
    paths = [f"{tmp_path}/{name}.tif" for name in "abc"]
    for path, values in zip(paths, ([1, NAN, NAN], [3, 5, NAN], [5, 6, 7]), strict=True):
        layer = np.array([values], "float64")
        write(path, Grid(DEGREES, Affine(1, 0, 0, 0, -1, 1), 3, 1), {"v": layer}, {"v": ""})
    assert season(paths)[0].tolist() == pytest.approx([3, 5.5, NAN], nan_ok=True)


def test_same_inputs_give_the_same_bytes(tmp_path):
    given = study(tmp_path)
    run(**given)
    first = (tmp_path / "description.csv").read_bytes()
    run(**given)
    assert (tmp_path / "description.csv").read_bytes() == first


@pytest.mark.parametrize("name", ["maps", "smci", "era5land", "ndvi", "annual"])
def test_the_report_year_must_be_there(tmp_path, name):
    given = study(tmp_path)
    given[name] = [path.replace(YEAR, "1999") for path in given[name]]
    expected = {
        "maps": "map: expected rasters YYYY-MM.tif of the report year 2018",
        "annual": "annual: expected 2018.tif",
    }
    label = {"smci": "SMCI", "era5land": "ERA5-Land", "ndvi": "NDVI"}.get(name)
    with pytest.raises(UserError, match=expected.get(name, f"{label}: expected rasters YYYY-MM")):
        describe_maps.main(**given)


@pytest.mark.parametrize("name", ["maps", "smci", "era5land", "ndvi", "annual", "position"])
def test_other_cells_are_refused(tmp_path, name):
    given = study(tmp_path)
    path = given[name] if name == "position" else given[name][-1]
    other = Grid(DEGREES, Affine(1, 0, 0, 0, -1, 64), 5, 8)
    write(path, other, {"TPI6000": ROW}, {"TPI6000": ""})
    with pytest.raises(UserError, match=f"{path}: expected the cells of .*, found others"):
        describe_maps.main(**given)


def test_elevation_and_an_area_must_be_there(tmp_path):
    given = study(tmp_path)
    write(given["static"], MAP, {"slope": ROW}, {"slope": "m"})
    with pytest.raises(UserError, match="expected a band DEM, found slope"):
        describe_maps.main(**given)
    given = study(tmp_path)
    with created(given["grid"], MAP, {"inside": "1"}, "uint8", 255) as target:
        target.write(np.zeros(MAP.shape, "uint8"), 1)
    with pytest.raises(UserError, match="expected cells inside the study area, found none"):
        describe_maps.main(**given)
