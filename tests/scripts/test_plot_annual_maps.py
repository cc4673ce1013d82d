import numpy as np
import pandas as pd
import pytest

import plot_annual_maps
from _log import UserError
from _raster import write
from small_study import GRID, SMCI, area, on_disk


@pytest.mark.parametrize(("years", "columns"), [(1, 1), (4, 4), (10, 5), (24, 8)])
def test_years_wrap_so_that_the_figure_fits_a_page(years, columns):
    assert plot_annual_maps.across(years, 3, 1.0) == columns


def test_every_year_has_three_panels_in_one_scale():
    layer = np.linspace(0.2, 0.5, 16).reshape(4, 4)
    year = {"Map": layer, "SMCI": layer + 0.1, "ERA5-Land": layer}
    layers = {str(2009 + n): year for n in range(7)}
    figure = plot_annual_maps.figure_of(layers, np.ones((4, 4), bool), (0, 4e3, 0, 4e3))
    drawn = [axes for axes in figure.axes if axes.axison and len(axes.images) == 2]
    assert len(drawn) == 21
    assert len({axes.images[-1].get_clim() for axes in drawn}) == 1


@pytest.fixture
def inputs(tmp_path):
    """Two years of two months: the map is 0.30, SMCI 0.20 and 0.40, ERA5-Land without values."""
    arguments = on_disk(tmp_path, [])
    annual, smci, era5land = [], [], []
    for year in ("2010", "2011"):
        annual.append(str(tmp_path / "annual" / f"{year}.tif"))
        write(annual[-1], GRID, {"mean": np.full(GRID.shape, 0.3, "float32")}, {"mean": "1"})
        for month, value in (("06", 0.2), ("07", 0.4)):
            for paths, name, filled in ((smci, "smci", value), (era5land, "era5land", np.nan)):
                paths.append(str(tmp_path / "products" / name / f"{year}-{month}.tif"))
                write(paths[-1], SMCI, {name: np.full(SMCI.shape, filled, "float32")}, {name: "1"})
    files = {end: str(tmp_path / f"figure.{end}") for end in ("png", "pdf", "csv")}
    more = dict(
        lonlat_file=str(tmp_path / "lonlat.tif"), years=["2010", "2011"], note="", year_begins=1
    )
    return dict(annual=annual, smci=smci, era5land=era5land, grid=arguments["grid"]) | more | files


def test_main_averages_the_months_of_each_product_by_year(inputs):
    plot_annual_maps.main(**inputs)
    table = pd.read_csv(inputs["csv"]).set_index(["year", "product"])
    assert len(table) == 6 and (table.xs("SMCI", level="product")["n"] == area().sum()).all()
    assert table.loc[(2011, "SMCI"), "mean"] == pytest.approx(0.3)
    assert table.loc[(2010, "Map"), "mean"] == pytest.approx(0.3)
    assert table.loc[(2010, "ERA5-Land"), "n"] == 0


def test_the_months_of_a_hydrological_year_are_those_of_its_products(inputs):
    inputs |= dict(annual=inputs["annual"][1:], years=["2011"], year_begins=7)
    plot_annual_maps.main(**inputs)
    table = pd.read_csv(inputs["csv"]).set_index("product")
    assert table.loc["SMCI", "mean"] == pytest.approx(0.3), "July 2010 and June 2011"
    inputs["smci"] = [path for path in inputs["smci"] if "2010-07" in path]
    plot_annual_maps.main(**inputs)
    assert pd.read_csv(inputs["csv"]).set_index("product").loc["SMCI", "mean"] == pytest.approx(0.4)


def test_a_year_without_its_months_is_named(inputs):
    inputs["smci"] = [path for path in inputs["smci"] if "2011-" not in path]
    with pytest.raises(UserError, match=r"expected months of 2011 of every product, found none"):
        plot_annual_maps.main(**inputs)
