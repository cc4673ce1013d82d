import numpy as np
import pandas as pd
import pytest
from rasterio.crs import CRS
from rasterio.transform import Affine

import _view
import plot_months
import plot_products
from _log import UserError
from _raster import Grid, created, nearest, write

MAP = Grid(CRS.from_epsg(32648), Affine(250, 0, 0, 0, -250, 5000), 40, 20)
COARSE = Grid(CRS.from_epsg(4326), Affine(1, 0, 100, 0, -1, 36), 4, 2)
MONTHS = ["2018-07", "2018-08"]


def archive(folder, era5land=0.3):
    """Write two months of three products; the left fifth of the map is outside the area."""
    area = np.ones(MAP.shape, "uint8")
    area[:, :8] = 0
    with created(f"{folder}/grid.tif", MAP, {"inside": ""}, "uint8", 255) as target:
        target.write(area, 1)
    cols, rows = np.meshgrid(np.arange(40) + 0.5, np.arange(20) + 0.5)
    with created(f"{folder}/lonlat.tif", MAP, {"lon": "", "lat": ""}, "float64") as target:
        target.write(100 + cols / 10, 1)
        target.write(36 - rows / 10, 2)
    own = np.where(area, 0.4, np.nan)
    blocks = np.arange(8.0).reshape(2, 4) / 20 + 0.2
    for month, more in zip(MONTHS, (0.0, 0.1), strict=True):
        for name, grid, layer in (
            ("maps", MAP, own + more),
            ("smci", COARSE, blocks + more),
            ("era5land", COARSE, np.full(COARSE.shape, era5land)),
        ):
            write(f"{folder}/{name}/{month}.tif", grid, {name: layer}, {name: "m3/m3"})
    return dict(
        maps=[f"{folder}/maps/{m}.tif" for m in MONTHS],
        smci=[f"{folder}/smci/{m}.tif" for m in MONTHS],
        grid=f"{folder}/grid.tif",
        lonlat_file=f"{folder}/lonlat.tif",
        **{end: f"{folder}/figure.{end}" for end in ("png", "pdf", "csv")},
        note="simulated data",
    )


def test_nearest_takes_the_cell_that_contains_the_point():
    layer = np.array([[1.0, 2.0], [3.0, 4.0]])
    rows, cols = np.array([0.0, 0.99, 1.0, 1.5, -0.01, 2.0]), np.array([0.0, 1.0, 1.9, 0.5, 0, 0])
    np.testing.assert_array_equal(nearest(layer, rows, cols), [1, 2, 4, 3, np.nan, np.nan])


def test_season_mean_needs_half_of_the_months():
    nan = np.nan
    layers = [np.array([1.0, nan, nan]), np.array([3.0, 2.0, nan]), np.array([5.0, 4.0, 9.0])]
    np.testing.assert_array_equal(_view.season_mean(layers), [3.0, 3.0, nan])
    np.testing.assert_array_equal(_view.season_mean(iter(layers[2:])), [5, 4, 9])


def test_summary_equals_pandas():
    values = np.random.default_rng(1).normal(size=1000)
    expected = pd.Series(values).describe(percentiles=[0.001, 0.5, 0.999])
    found = plot_products.summary(np.append(values, np.nan))
    for ours, theirs in (("min", "min"), ("p0.1", "0.1%"), ("p99.9", "99.9%"), ("mean", "mean")):
        assert found[ours] == pytest.approx(expected[theirs])
    assert found["n"] == 1000
    assert plot_products.summary(np.array([np.nan])) == {"n": 0}


def test_products_are_compared_on_the_cells_of_the_study_area(tmp_path):
    given = archive(tmp_path)
    era = [f"{tmp_path}/era5land/{month}.tif" for month in MONTHS]
    plot_products.main(**given, era5land=era)
    table = pd.read_csv(given["csv"]).set_index(["period", "product"])
    mean = "Mean of Jul to Aug 2018"
    assert set(table["n"]) == {20 * 32}
    assert table.loc[(mean, "map"), "mean"] == pytest.approx(0.45)
    assert table.loc[("August 2018", "map"), "mean"] == pytest.approx(0.5)
    # Of the first column of blocks only cells 8 and 9 are inside: 2, 10, 10, 10 columns a row.
    values = np.arange(8).reshape(2, 4) / 20 + 0.25
    expected = (values * [2, 10, 10, 10]).sum() / 64
    assert table.loc[(mean, "SMCI"), "mean"] == pytest.approx(expected)
    assert (tmp_path / "figure.png").stat().st_size > 5000


def test_product_without_values_is_named(tmp_path):
    given = archive(tmp_path, era5land=np.nan)
    era = [f"{tmp_path}/era5land/{month}.tif" for month in MONTHS]
    with pytest.raises(UserError, match=r"found none of ERA5-Land \(Mean of.*cover area\.box"):
        plot_products.main(**given, era5land=era)


def test_titles_units_and_one_colour_scale():
    layer = np.full(MAP.shape, 0.4)
    products = {"map": layer, "SMCI": layer + 0.1, "ERA5-Land": layer}
    area = np.ones(MAP.shape, bool)
    figure = plot_products.figure_of({"August 2018": products}, area, MAP.extent, 250.0)
    titles = [axes.get_title(loc="left") for axes in figure.axes[:3]]
    assert titles == ["Map, 250 m", "SMCI, 1 km", "ERA5-Land, 0.1°"]
    assert {axes.images[-1].get_clim() for axes in figure.axes[:3]} == {(0.15, 0.66)}
    assert figure.axes[3].get_ylabel() == "Soil moisture (m³/m³)"


def test_months_stand_above_smci_of_the_same_month(tmp_path):
    given = archive(tmp_path)
    plot_months.main(**given, months=MONTHS)
    table = pd.read_csv(given["csv"]).set_index(["month", "product"])
    assert table.loc[("2018-08", "map"), "mean"] == pytest.approx(0.5)
    assert table.loc[("2018-08", "SMCI"), "n"] == 640
    assert (tmp_path / "figure.pdf").read_bytes()[:4] == b"%PDF"


@pytest.mark.parametrize(("count", "drawn"), [(1, 2), (6, 12), (8, 16)])
def test_every_month_gets_its_two_panels(count, drawn):
    layer = np.full(MAP.shape, 0.4)
    products = {"map": layer, "SMCI": layer + 0.1}
    shown = {f"2018-{n + 1:02d}": products for n in range(count)}
    figure = plot_months.figure_of(shown, np.ones(MAP.shape, bool), MAP.extent)
    panels = [axes for axes in figure.axes if axes.axison and len(axes.images) == 2]
    assert len(panels) == drawn
    titles = [axes.get_title() for axes in panels if axes.get_title()]
    assert titles[0] == "January 2018" and len(titles) == count


def test_summary_of_a_month_without_values():
    assert plot_months.summary(np.full((2, 2), np.nan)) == {"n": 0}
