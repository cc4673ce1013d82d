import numpy as np
import pandas as pd
import pytest

import plot_climatology
from _raster import write
from small_study import GRID, area, on_disk


@pytest.fixture
def inputs(tmp_path):
    arguments = on_disk(tmp_path, [])
    random = np.random.default_rng(3)
    layers = {"07": random.uniform(0.2, 0.5, GRID.shape), "08": np.full(GRID.shape, np.nan)}
    paths = []
    for month, layer in layers.items():
        paths.append(str(tmp_path / "climatology" / f"{month}.tif"))
        write(paths[-1], GRID, {"mean": layer.astype("float32")}, {"mean": "m3/m3"})
    files = {end: str(tmp_path / f"figure.{end}") for end in ("png", "pdf", "csv")}
    lonlat = str(tmp_path / "lonlat.tif")
    more = dict(grid=arguments["grid"], lonlat_file=lonlat, note="simulated data")
    return dict(climatology=paths) | more | files, layers


def test_the_table_has_the_mean_of_the_study_area_alone(inputs):
    arguments, layers = inputs
    plot_climatology.main(**arguments)
    table = pd.read_csv(arguments["csv"], dtype={"month": str}).set_index("month")
    inside = layers["07"].astype("float32")[area()]
    assert table.loc["07", "mean"] == pytest.approx(inside.mean(dtype="float64"), rel=1e-6)
    assert table.loc["07", "n"] == area().sum()
    assert table.loc["08", "n"] == 0 and np.isnan(table.loc["08", "mean"])


def test_a_month_without_values_says_so_and_all_panels_share_one_scale():
    layers = {"05": np.linspace(0.2, 0.4, 16).reshape(4, 4), "06": np.full((4, 4), np.nan)}
    means = {"05": 0.3, "06": np.nan}
    figure = plot_climatology.figure_of(layers, means, np.ones((4, 4), bool), (0, 4e3, 0, 4e3))
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles[:2] == ["May: mean 0.300 m³/m³", "June: no values"]
    drawn = [axes for axes in figure.axes if len(axes.images) == 2]
    assert len(drawn) == 2 and len({axes.images[-1].get_clim() for axes in drawn}) == 1
