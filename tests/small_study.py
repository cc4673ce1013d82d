"""A small study on disk for the tests of sampling: 20 x 15 km, two months, known values."""

import numpy as np
from pyproj import Transformer
from rasterio.crs import CRS
from rasterio.transform import Affine

from _predictors import DYNAMIC, STATIC, UNITS
from _predictors import PAPER as PREDICTORS
from _raster import Grid, created, write

PROJ = "+proj=aea +lat_1=28 +lat_2=36 +lat_0=0 +lon_0=101 +datum=WGS84 +units=m +no_defs"
GRID = Grid(CRS.from_string(PROJ), Affine(250, 0, 100000, 0, -250, 3570000), 80, 60)
MONTHS = ["2010-06", "2010-07"]
LON, LAT = Transformer.from_crs(PROJ, "EPSG:4326", always_xy=True).transform(*GRID.centres())
WEST, NORTH = np.floor(LON.min() * 120) - 2, np.ceil(LAT.max() * 120) + 2
SMCI = Grid(CRS.from_epsg(4326), Affine(1 / 120, 0, WEST / 120, 0, -1 / 120, NORTH / 120), 32, 28)


def area():
    """Return the study area: all but two columns in the east and some ponds of one cell."""
    inside = np.ones(GRID.shape, bool)
    inside[:, -2:] = False
    for row, col in ((31, 41), (12, 20), (22, 33), (45, 11), (50, 50)):
        inside[row, col] = False
    return inside


def predictors(seed=4):
    """Return {(month, name): layer} with some cells missing in NDVI of the second month."""
    random = np.random.default_rng(seed)
    static = {name: random.uniform(1, 90, GRID.shape).astype("float32") for name in STATIC}
    static["aspect"] = random.uniform(0, 360, GRID.shape).astype("float32")
    layers = {}
    for month in MONTHS:
        for name in [*STATIC, *DYNAMIC]:
            fresh = random.uniform(0, 1, GRID.shape).astype("float32")
            layers[month, name] = static.get(name, fresh)
    layers[MONTHS[1], "NDVI"][:, :20] = np.nan
    return layers


def smci(seed=6):
    """Return {month: SMCI layer}."""
    random = np.random.default_rng(seed)
    return {month: random.uniform(0.2, 0.5, SMCI.shape).astype("float32") for month in MONTHS}


def on_disk(folder, sites):
    """Write the study; return the arguments that both sampling steps share."""
    layers, paths = predictors(), []
    static = {name: layers[MONTHS[0], name] for name in STATIC}
    paths.append(str(folder / "static.tif"))
    write(paths[0], GRID, static, UNITS)
    for month in MONTHS:
        for name, sub in DYNAMIC.items():
            if name not in PREDICTORS:
                continue
            paths.append(str(folder / sub / f"{month}.tif"))
            write(paths[-1], GRID, {name: layers[month, name]}, UNITS)
        write(str(folder / "smci" / f"{month}.tif"), SMCI, {"SMCI": smci()[month]}, {"SMCI": "1"})
    with created(folder / "grid.tif", GRID, {"inside": "1"}, "uint8", 255) as target:
        target.write(area().astype("uint8"), 1)
    bands = dict.fromkeys(("longitude", "latitude"), "degree")
    with created(folder / "lonlat.tif", GRID, bands, "float64") as target:
        target.write(np.stack([LON, LAT]))
    lines = ["site,lat,lon", *(f"{name},{lat:.8f},{lon:.8f}" for name, lat, lon in sites)]
    (folder / "sites.csv").write_text("\n".join(lines) + "\n")
    return {
        "rasters": paths,
        "grid": str(folder / "grid.tif"),
        "sites": str(folder / "sites.csv"),
        "months": MONTHS,
        "predictors": list(PREDICTORS),
    }
