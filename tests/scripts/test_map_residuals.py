"""The kriged residual on the grid: exact at the places, PyKrige between, 0 where it is not used."""

import json

import numpy as np
import pandas as pd
import rasterio
from pykrige.ok import OrdinaryKriging
from rasterio.crs import CRS
from rasterio.transform import Affine

from _raster import BLOCK, Grid, write
from map_residuals import main

GRID = Grid(CRS.from_epsg(32648), Affine(250, 0, 500000, 0, -250, 3750000), 6, BLOCK + 9)
CURVE = {"model": "exponential", "nugget": 0.0, "psill": 0.0004, "range": 20000.0}


def run(folder, found):
    x, y = GRID.centres()
    rng = np.random.default_rng(1)
    rows, cols = rng.integers(0, GRID.height, 12), rng.integers(0, GRID.width, 12)
    places = pd.DataFrame({"x": x[rows, cols], "y": y[rows, cols]}).drop_duplicates()
    places["residual"] = rng.normal(0, 0.02, len(places))
    places.to_csv(folder / "residuals.csv", index=False)
    (folder / "residuals.json").write_text(json.dumps(found))
    write(folder / "grid.tif", GRID, {"any": np.zeros(GRID.shape)}, {"any": ""})
    names = ("residuals.csv", "residuals.json", "grid.tif", "residual.tif")
    main(*(str(folder / name) for name in names), "m3/m3", "EPSG:32648")
    with rasterio.open(folder / "residual.tif") as source:
        assert source.descriptions == ("residual",) and source.units == ("m3/m3",)
        return source.read(1), places


def test_it_is_what_pykrige_says_and_the_residual_itself_at_the_places(tmp_path):
    layer, places = run(tmp_path, CURVE | {"use": True})
    rows, cols = (v.astype(int) for v in GRID.positions(places["x"], places["y"]))
    np.testing.assert_allclose(layer[rows, cols], places["residual"], atol=1e-7)
    x, y = (v.ravel()[::97] for v in GRID.centres())
    reference = OrdinaryKriging(
        *(places[name].to_numpy() for name in ("x", "y", "residual")),
        variogram_model="exponential",
        variogram_parameters={"psill": 0.0004, "range": 20000.0, "nugget": 0.0},
    )
    expected, _ = reference.execute("points", x, y)
    np.testing.assert_allclose(layer.ravel()[::97], expected, atol=1e-7)


def test_it_is_0_where_kriging_does_not_help(tmp_path, caplog):
    with caplog.at_level("WARNING", "soil-moisture"):
        layer, _ = run(tmp_path, {"use": False, "reason": "10 places, of 20 needed"})
    assert not layer.any()
    assert "nothing is kriged: 10 places, of 20 needed" in caplog.text
