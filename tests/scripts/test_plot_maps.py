import numpy as np
import pandas as pd
import pytest
from rasterio.crs import CRS
from rasterio.transform import Affine

import plot_maps
from _raster import Grid, write

CELLS = Grid(CRS.from_epsg(26911), Affine(10, 0, 0, 0, -10, 300), 50, 30)


def samples():
    return pd.DataFrame(
        dict(
            site=["a", "a", "b", "a"],
            month=["2012-03-25", "2012-03-25", "2012-03-26", "2012-03-26"],
            x=[100.0, 100.0, 300.0, 100.0],
            y=[100.0, 100.0, 200.0, 100.0],
            target=[0.2, 0.4, 0.1, 0.9],
        )
    )


def test_places_carry_the_mean_measured_in_that_month():
    table = plot_maps.places(samples(), "2012-03-25").set_index("site")
    assert table.loc["a", "target"] == pytest.approx(0.3)
    assert np.isnan(table.loc["b", "target"])
    assert table.loc["b", ["x", "y"]].tolist() == [300, 200]


def test_measured_and_unmeasured_places_look_different(tmp_path):
    layers = {"2012-03-25": np.linspace(0.1, 0.5, 1500).reshape(CELLS.shape)}
    points = {"2012-03-25": plot_maps.places(samples(), "2012-03-25")}
    figure = plot_maps.figure_of(layers, points, CELLS, "m3/m3")
    axes = figure.axes[0]
    filled, hollow = axes.collections
    assert filled.get_offsets().tolist() == [[100, 100]]
    assert hollow.get_offsets().tolist() == [[300, 200]]
    assert filled.get_clim() == axes.images[-1].get_clim()
    assert "100 m" in [text.get_text() for text in axes.texts], "scale bar"


def test_main_draws_every_month_and_writes_its_numbers(tmp_path, caplog):
    samples().to_parquet(tmp_path / "s.parquet")
    months = ["2012-03-25", "2012-03-26", "2012-03-27"]
    maps = [f"{tmp_path}/{month}.tif" for month in months]
    for shift, path in enumerate(maps):
        layer = np.linspace(0.1, 0.5, 1500).reshape(CELLS.shape) + shift
        write(path, CELLS, {"soil_moisture": layer}, {"soil_moisture": "m3/m3"})
    out = {end: f"{tmp_path}/f.{end}" for end in ("png", "pdf", "csv")}
    with caplog.at_level("INFO", "soil-moisture"):
        plot_maps.main(maps, f"{tmp_path}/s.parquet", **out, months=months, unit="m3/m3")
    table = pd.read_csv(out["csv"])
    assert table["month"].tolist() == months
    assert table["mean"].tolist() == pytest.approx([0.3, 1.3, 2.3])
    assert "2012-03-25: 1 of 2 places have a measurement" in caplog.text
