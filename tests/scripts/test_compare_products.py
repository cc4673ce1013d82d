"""The map on the cells of the products: by hand, and scored as score_truth does it."""

import numpy as np
import pandas as pd
import pytest
from rasterio.crs import CRS
from rasterio.transform import Affine
from rasterio.warp import transform

import compare_products
import score_truth
from _log import UserError
from _raster import Grid, created, write

NAN = np.nan
DEGREES = CRS.from_epsg(4326)
# 48 x 60 cells of 0.01 degree; SMCI has 4 x 4 of them a cell, SMC 5 x 5, ERA5-Land 12 x 12.
MAP = Grid(DEGREES, Affine(0.01, 0, 102, 0, -0.01, 34), 60, 48)
SMCI = Grid(DEGREES, Affine(0.04, 0, 101.96, 0, -0.04, 34.04), 17, 14)
ERA = Grid(DEGREES, Affine(0.12, 0, 102, 0, -0.12, 34), 5, 4)
MONTHS = [f"{year}-{month}" for year in (2015, 2016, 2017) for month in ("07", "08")]
TEST = ["2017"]


def fields(seed=1):
    """Return {product: (months, rows, cols)}: alike, with gaps, and each with its own errors."""
    random = np.random.default_rng(seed)
    months = random.normal(0, 0.02, (6, 1, 1))
    maps = 0.35 + months + 0.03 * random.normal(size=(6, *MAP.shape)).cumsum(axis=2) / 5
    maps[random.random(maps.shape) < 0.1] = NAN
    maps[:, :, :6] = NAN
    found = {"maps": maps, "smc": 0.3 + months + 0.03 * random.normal(size=maps.shape)}
    for name, cells in (("smci", SMCI), ("era5land", ERA)):
        found[name] = 0.33 + months + random.normal(0, 0.03, (6, *cells.shape))
    found["smci"][:2, :5, 6] = NAN
    return {name: layers.astype("float32") for name, layers in found.items()}


def study(folder, given=None, cells=MAP):
    given = given or fields()
    with created(f"{folder}/grid.tif", cells, {"inside": "1"}, "uint8", 255) as target:
        target.write(np.ones(cells.shape, "uint8"), 1)
    bands = dict.fromkeys(("longitude", "latitude"), "degree")
    with created(f"{folder}/lonlat.tif", cells, bands, "float64") as target:
        x, y = (axis.ravel() for axis in cells.centres())
        degrees = transform(cells.crs, DEGREES, x, y)
        target.write(np.array(degrees).reshape(2, *cells.shape))
    files = {}
    for name, layers in given.items():
        own = {"smci": SMCI, "era5land": ERA}.get(name, cells)
        files[name] = [f"{folder}/{name}/{month}.tif" for month in MONTHS]
        for path, layer in zip(files[name], layers, strict=True):
            write(path, own, {name: layer}, {name: "m3/m3"})
    return files | dict(
        grid=f"{folder}/grid.tif",
        lonlat_file=f"{folder}/lonlat.tif",
        products=f"{folder}/products.csv",
        test=TEST,
    )


def run(**given):
    compare_products.main(**given)
    return pd.read_csv(given["products"]).set_index(["product", "period", "metric"])


def averaged(layers, step):
    """Return means over step x step cells where at least half have a value."""
    months, height, width = layers.shape
    parts = layers.astype("float64").reshape(months, height // step, step, width // step, step)
    count = np.isfinite(parts).sum(axis=(2, 4))
    mean = np.nansum(parts, axis=(2, 4)) / np.maximum(count, 1)
    return np.where(count >= step * step / 2, mean, NAN)


def expected(own, product, period):
    chosen = np.array([period == "all" or month[:4] in TEST for month in MONTHS])
    season = np.array([month[5:7] for month in MONTHS])[chosen]
    own, product = (v[chosen].reshape(chosen.sum(), -1) for v in (own, product))
    gaps = np.where(np.isfinite(own + product), 0, NAN)
    rows = score_truth.scores(product + gaps, own + gaps, season, np.zeros(own.shape[1], int))
    return {name: (value, n) for name, value, n in rows}


@pytest.mark.parametrize("period", ["all", "test"])
def test_scores_are_those_of_the_score_against_a_truth(tmp_path, period):
    given = fields()
    table = run(**study(tmp_path, given))
    at_smci = np.full((6, *SMCI.shape), NAN)
    at_smci[:, 1:13, 1:16] = averaged(given["maps"], 4)
    # SMC's blocks of 0.05 degree end below the map: of the last ones three rows of five are there.
    below = ((0, 0), (0, 2), (0, 0))
    pair = [averaged(np.pad(given[n], below, constant_values=NAN), 5) for n in ("maps", "smc")]
    for product, own, other in (
        ("SMCI", at_smci, given["smci"].astype("float64")),
        ("ERA5-Land", averaged(given["maps"], 12), given["era5land"].astype("float64")),
        ("SMC", pair[0], pair[1]),
    ):
        right = expected(own, other, period)
        for metric in ("R", "RMSE", "bias", "ubRMSE", "spatial R", "temporal R", "anomaly R"):
            row = table.loc[(product, period, metric)]
            value = pytest.approx(right[metric][0], abs=1e-6, nan_ok=True)
            assert row["value"] == value, (product, metric)
            assert row["n"] == right[metric][1], (product, metric)
    assert table.loc[("SMCI", "all", "R"), "n"] > 800
    assert np.isnan(table.loc[("SMCI", "test", "anomaly R"), "value"]), "one year has no anomaly"


def test_a_map_that_is_the_product_agrees_with_it(tmp_path):
    given = fields()
    given["maps"] = given["smci"][:, 1:13, 1:16].repeat(4, axis=1).repeat(4, axis=2)
    given["smc"] = given["maps"] - np.float32(0.02)
    table = run(**study(tmp_path, given))
    for product, bias in (("SMCI", 0), ("SMC", 0.02)):
        found = table["value"].xs(product).xs("all")
        assert found["R"] == pytest.approx(1) and found["bias"] == pytest.approx(bias, abs=1e-7)
        assert found["RMSE"] == pytest.approx(bias, abs=1e-6)
        assert found["ubRMSE"] == pytest.approx(0, abs=1e-6)
        assert found["spatial R"] == pytest.approx(1) and found["anomaly R"] == pytest.approx(1)


def test_a_cell_counts_where_half_of_its_ground_is_mapped():
    cells = compare_products.Cells(SMCI, MAP)
    cells.add(*MAP.centres())
    layer = np.full(MAP.shape, NAN)
    layer[:2, :4] = 1  # eight of sixteen
    layer[4:8, :1] = layer[4:7, 1] = 2  # seven
    found = cells.means([layer]).reshape(SMCI.shape)
    assert found[1, 1] == 1 and np.isfinite(found).sum() == 1
    assert cells.expected == pytest.approx(np.full(14 * 17, 16.0))


def test_the_ground_of_a_cell_in_cells_of_metres():
    metres = Grid(CRS.from_epsg(32648), Affine(250, 0, 0, 0, -250, 4e6), 4, 4)
    found = compare_products.Cells(Grid(DEGREES, Affine(0.1, 0, 102, 0, -0.1, 34.05), 1, 1), metres)
    # At 34 degrees a tenth of a degree is 9.24 km by 11.09 km on the ellipsoid.
    assert found.expected[0] == pytest.approx(9.24 * 11.09 * 16, rel=0.01)


def test_maps_in_strips_are_averaged_as_at_once():
    longitude, latitude = MAP.centres()
    layer = np.random.default_rng(1).uniform(size=MAP.shape)
    whole, parts = (compare_products.Cells(ERA, MAP) for _ in range(2))
    whole.add(longitude, latitude)
    for start in range(0, 48, 7):
        parts.add(longitude[start : start + 7], latitude[start : start + 7])
    strips = (layer[start : start + 7] for start in range(0, 48, 7))
    np.testing.assert_allclose(parts.means(strips), whole.means([layer]), rtol=1e-14)


def test_blocks_have_their_edges_at_multiples_of_the_step():
    found = compare_products.blocks_of(0.05, (101.994, 102.71), (33.601, 34.199))
    assert found.extent == pytest.approx((101.95, 102.75, 33.6, 34.2))
    assert found.shape == (12, 16)


def test_a_product_without_any_value_has_empty_rows(tmp_path):
    given = fields()
    given["era5land"][:] = NAN
    found = run(**study(tmp_path, given)).loc["ERA5-Land"]
    assert found["value"].isna().all() and (found["n"] == 0).all() and len(found) == 14


def test_without_test_months_their_rows_are_empty(tmp_path):
    found = run(**study(tmp_path) | dict(test=[]))
    assert found.xs("test", level="period")["value"].isna().all()


def test_same_inputs_give_the_same_bytes(tmp_path):
    given = study(tmp_path)
    run(**given)
    first = (tmp_path / "products.csv").read_bytes()
    run(**given)
    assert (tmp_path / "products.csv").read_bytes() == first


def test_a_month_without_the_product_is_named(tmp_path):
    given = study(tmp_path)
    with pytest.raises(UserError, match="SMCI: expected a raster .* found none of 2016-07 among 5"):
        run(**given | dict(smci=given["smci"][:2] + given["smci"][3:]))


def test_rasters_on_other_cells_are_refused(tmp_path):
    given = study(tmp_path)
    write(given["smci"][2], ERA, {"smci": np.ones(ERA.shape)}, {"smci": ""})
    with pytest.raises(UserError, match=r"smci/2016-07\.tif: expected the cells of .*2015-07"):
        run(**given)
    given = study(tmp_path)
    for path in given["smc"]:
        write(path, ERA, {"smc": np.ones(ERA.shape)}, {"smc": ""})
    with pytest.raises(UserError, match=r"smc/2015-07\.tif: expected the cells of .*grid\.tif"):
        run(**given)
