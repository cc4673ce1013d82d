"""Values of the products at hand-made cells, at their edges and beyond."""

import logging

import numpy as np
import pandas as pd
import pytest
from pyproj import Transformer
from rasterio.crs import CRS
from rasterio.transform import Affine

import sample_products
from _log import UserError
from _raster import Grid, write

DEGREES = CRS.from_epsg(4326)
ALBERS = CRS.from_string(
    "+proj=aea +lat_1=28 +lat_2=36 +lat_0=0 +lon_0=101 +datum=WGS84 +units=m +no_defs"
)
# Two rows, three columns of one degree: edges are numbers that floating point holds exactly.
SMCI = Grid(DEGREES, Affine(1, 0, 100, 0, -1, 32), 3, 2)
JUNE = np.array([[0.10, 0.20, 0.30], [0.40, np.nan, 0.60]])
COLUMNS = ["SMCI, nearest", "SMCI, bilinear", "SMC", "ERA5-Land"]


def study(folder, points, grid=SMCI, months=("2015-06",)):
    """Write samples at `points` (month, x, y) and products; SMC lies on the grid, ERA5 is wide."""
    table = pd.DataFrame(points, columns=["month", "x", "y"])
    table.insert(0, "sample", range(10, 10 + len(table)))
    table.assign(target=0.5).to_parquet(folder / "samples.parquet")
    smc = np.arange(grid.width * grid.height, dtype=float).reshape(grid.shape) / 100
    era = Grid(DEGREES, Affine(2, 0, 99, 0, -2, 33), 1, 1)
    paths = {"smci": [], "smc": [], "era5land": []}
    for number, month in enumerate(months):
        for product, cells, layer in (
            ("smci", SMCI, JUNE + number / 1000),
            ("smc", grid, smc + number / 1000),
            ("era5land", era, np.array([[0.7]]) + number / 1000),
        ):
            path = f"{folder}/{product}/{month}.tif"
            write(path, cells, {product: layer}, {product: "m3/m3"})
            paths[product].append(path)
    return {"samples": f"{folder}/samples.parquet", "crs": grid.crs.to_wkt(), **paths}


def run(folder, **given):
    sample_products.main(**given, products=f"{folder}/products.parquet")
    return pd.read_parquet(folder / "products.parquet")


def test_values_at_centres_edges_corners_and_beyond(tmp_path):
    points = {
        (100.5, 31.5): (0.10, 0.10, 0.00, 0.7),  # centre
        (102.25, 31.5): (0.30, 0.275, 0.02, np.nan),  # a quarter west of a centre; east of ERA5
        (100.5, 31.0): (0.40, 0.25, 0.03, np.nan),  # edge of two rows: the lower; below ERA5
        (102.0, 31.5): (0.30, 0.25, 0.02, np.nan),  # edge of two columns: the right one
        (101.0, 31.0): (np.nan, np.nan, 0.04, np.nan),  # corner: the lower right cell, missing
        (101.5, 30.5): (np.nan, np.nan, 0.04, np.nan),  # the missing cell itself
        # beside the missing cell: (0.1 + 0.2 + 0.4) / 4 without the weight of the missing one
        (100.999999999, 31.000000001): (0.10, 0.7 / 3, 0.00, 0.7),
        (100.0, 32.0): (0.10, 0.10, 0.00, 0.7),  # the upper left corner of all cells is inside
        (103.0, 31.5): (np.nan, np.nan, np.nan, np.nan),  # the right edge of all cells is outside
        (99.5, 31.5): (np.nan, np.nan, np.nan, 0.7),
    }
    found = run(tmp_path, **study(tmp_path, [("2015-06", *xy) for xy in points]))
    assert list(found) == ["sample", *COLUMNS]
    assert found["sample"].tolist() == list(range(10, 20))
    np.testing.assert_allclose(found[COLUMNS], list(points.values()), atol=1e-6)


def test_every_sample_takes_the_raster_of_its_month_whatever_the_order(tmp_path):
    points = [(month, 100.5, 31.5) for month in ("2015-07", "2015-06", "2016-06", "2015-07")]
    given = study(tmp_path, points, months=("2015-06", "2015-07", "2016-06", "2016-07"))
    given["smci"].reverse()
    found = run(tmp_path, **given)
    for name, june in zip(COLUMNS, (0.1, 0.1, 0.0, 0.7), strict=True):
        expected = [june + number / 1000 for number in (1, 0, 2, 1)]
        np.testing.assert_allclose(found[name], expected, atol=1e-6)


def test_points_in_the_crs_of_the_grid_find_the_cells_of_degrees(tmp_path):
    albers = Transformer.from_crs(DEGREES, ALBERS, always_xy=True)
    lonlat = [(100.02, 31.98), (100.98, 31.02), (102.98, 30.02)]
    xy = [albers.transform(*point) for point in lonlat]
    left, top = min(x for x, _ in xy) - 250, max(y for _, y in xy) + 250
    grid = Grid(ALBERS, Affine(500, 0, left, 0, -500, top), 620, 460)
    found = run(tmp_path, **study(tmp_path, [("2015-06", *p) for p in xy], grid))
    np.testing.assert_allclose(found["SMCI, nearest"], [0.1, 0.1, 0.6], atol=1e-6)
    cells = [int((top - y) // 500) * 620 + int((x - left) // 500) for x, y in xy]
    np.testing.assert_allclose(found["SMC"], np.array(cells) / 100, rtol=1e-6)


def test_each_raster_is_read_once_and_those_of_other_months_never(tmp_path, monkeypatch):
    taken, read = [], sample_products.read
    monkeypatch.setattr(sample_products, "read", lambda path: taken.append(path) or read(path))
    points = [(month, 100.5, 31.5) for month in ("2015-06", "2015-07") * 3]
    given = study(tmp_path, points, months=("2015-06", "2015-07", "2015-08"))
    run(tmp_path, **given)
    assert sorted(taken) == sorted(
        p for name in ("smci", "smc", "era5land") for p in given[name][:2]
    )


def test_the_log_counts_the_values_of_each_product(tmp_path, caplog):
    points = [("2015-06", 100.5, 31.5), ("2015-06", 102.5, 31.5)]
    with caplog.at_level(logging.INFO):
        run(tmp_path, **study(tmp_path, points))
    assert "SMCI, nearest: 2 of 2 samples have a value" in caplog.text
    assert "ERA5-Land: 1 of 2 samples have a value" in caplog.text


def test_no_samples_give_a_table_without_rows(tmp_path):
    found = run(tmp_path, **study(tmp_path, []))
    assert list(found) == ["sample", *COLUMNS] and found.empty


def test_a_month_without_a_raster_is_named(tmp_path):
    given = study(tmp_path, [("2015-06", 100.5, 31.5), ("2017-08", 100.5, 31.5)])
    with pytest.raises(UserError, match=r"smci: expected a raster .* none of 2017-08 among 1"):
        run(tmp_path, **given)
    assert not (tmp_path / "products.parquet").exists()


def test_rasters_of_other_cells_are_refused(tmp_path):
    points = [("2015-06", 100.5, 31.5), ("2015-07", 100.5, 31.5)]
    given = study(tmp_path, points, months=("2015-06", "2015-07"))
    write(given["smci"][1], Grid(DEGREES, SMCI.transform, 2, 2), {"a": JUNE[:, :2]}, {"a": ""})
    with pytest.raises(UserError, match=r"smci/2015-07.tif: expected the cells of .*2015-06.tif"):
        run(tmp_path, **given)


def test_the_same_bytes_twice(tmp_path):
    given = study(tmp_path, [("2015-06", 100.5, 31.5)])
    first = run(tmp_path, **given) is not None and (tmp_path / "products.parquet").read_bytes()
    run(tmp_path, **given)
    assert (tmp_path / "products.parquet").read_bytes() == first
