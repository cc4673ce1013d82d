"""Simulate elevation (S10) and soil texture (S9) as SRTM and SoilGrids deliver them.

The soil map is smoother than the soil and knows it only in part; its three fractions are made
one by one, so they do not sum to 1000 g/kg exactly.
"""

from pathlib import Path

import numpy as np
import rasterio
from pyproj import Transformer
from rasterio.crs import CRS
from rasterio.transform import from_origin

import _raster
import _world
from _log import log, log_to
from _whole import whole

SAMPLES = 1201  # of a one-degree cell of 3 arc seconds; its edge rows and columns are shared
VOID = -32768
GOODE = "+proj=igh +lon_0=0 +datum=WGS84 +units=m"
SOIL_CELL = 250.0
RIM = 5_000  # m beyond the area that the soil window still holds


def corner(name: str) -> tuple[int, int]:
    """Return longitude and latitude (degrees) of the south-west corner of a cell like N33E102."""
    lat, lon = int(name[1:3]), int(name[4:7])
    return (lon if name[3] == "E" else -lon), (lat if name[0] == "N" else -lat)


def heights(world: _world.World, name: str) -> np.ndarray:
    """Return a one-degree cell of elevation (m, int16, 1201 x 1201, row 0 in the north).

    The world goes on at its own edge's height where it ends. Voids are a property of the place
    (a radar does not see into the steepest slopes), so shared rows and columns stay equal.
    """
    west, south = corner(name)
    steps = np.arange(SAMPLES) / 1200
    lon, lat = np.meshgrid(west + steps, south + 1 - steps)
    fine = _world.CELL / _world.FINE
    x, y = world.project.transform(lon, lat)
    found = bilinear(world.elevation, (world.top - y) / fine - 0.5, (x - world.left) / fine - 0.5)
    stored = np.rint(found - world.lowered).astype("int16")
    stored[voids(world)[world.rows_cols(lon, lat, fine)]] = VOID
    return stored


def bilinear(values: np.ndarray, rows: np.ndarray, cols: np.ndarray) -> np.ndarray:
    """Return `values` between cell centres (fractional `rows`, `cols`); edges go on outwards."""
    rows, cols = (v.clip(0, n - 1.001) for v, n in zip((rows, cols), values.shape, strict=True))
    row, col = rows.astype("int32"), cols.astype("int32")
    down, right = rows - row, cols - col
    upper = (1 - right) * values[row, col] + right * values[row, col + 1]
    lower = (1 - right) * values[row + 1, col] + right * values[row + 1, col + 1]
    return (1 - down) * upper + down * lower


def voids(world: _world.World) -> np.ndarray:
    """Return True where the elevation model has no value, on the world's fine lattice."""
    south, east = np.gradient(world.elevation, _world.CELL / _world.FINE)
    gradient = np.hypot(south, east)
    shadow = gradient > np.quantile(gradient, 0.9995)
    return shadow & (_world.stream(world.seed, "voids").random(shadow.shape) < 0.5)


def soil_grid(area: tuple[float, float, float, float]) -> _raster.Grid:
    """Return the window of the SoilGrids grid (250 m, homolosine) that holds the area."""
    west, south, east, north = area
    to_goode = Transformer.from_crs("OGC:CRS84", GOODE, always_xy=True)
    side = np.linspace(0, 1, 51)
    lon, lat = np.meshgrid(west + (east - west) * side, south + (north - south) * side)
    x, y = to_goode.transform(lon, lat)
    left, bottom = (SOIL_CELL * np.floor((v.min() - RIM) / SOIL_CELL) for v in (x, y))
    right, top = (SOIL_CELL * np.ceil((v.max() + RIM) / SOIL_CELL) for v in (x, y))
    return _raster.Grid(
        CRS.from_string(GOODE),
        from_origin(left, top, SOIL_CELL, SOIL_CELL),
        round((right - left) / SOIL_CELL),
        round((top - bottom) / SOIL_CELL),
    )


def texture(world: _world.World, grid: _raster.Grid) -> dict[str, np.ndarray]:
    """Return sand, silt and clay (g/kg, int16, nodata -32768) on the cells of `grid`."""
    to_lonlat = Transformer.from_crs("OGC:CRS84", GOODE, always_xy=True)
    lon, lat = to_lonlat.transform(*grid.centres(), direction="INVERSE")
    rows, cols = world.rows_cols(lon, lat)
    masked = world.lake[rows, cols]
    rng = _world.stream(world.seed, "soil rounding")
    fractions = {}
    for name in ("sand", "silt", "clay"):
        share = 10 * world.land[name][rows, cols] + rng.uniform(-1.4, 1.4, grid.shape)
        fractions[name] = np.where(masked, VOID, np.rint(share)).astype("int16")
    return fractions


def write_soil(path: str, grid: _raster.Grid, stored: np.ndarray) -> None:
    """Write one fraction as SoilGrids does: int16, tiled, no scale and no unit in the file."""
    profile = {
        "driver": "GTiff",
        "dtype": "int16",
        "nodata": VOID,
        "count": 1,
        "crs": grid.crs,
        "transform": grid.transform,
        "width": grid.width,
        "height": grid.height,
        "tiled": True,
        "compress": "deflate",
        "predictor": 2,
    }
    with _raster.proven(path) as part, rasterio.open(part, "w", **profile) as target:
        target.write(stored, 1)


def main(elevation, sand, silt, clay, area, seed, trend):
    world = _world.build(area, seed, trend)
    for path in elevation:
        stored = heights(world, Path(path).stem)
        with whole(path) as part:
            part.write_bytes(stored.astype(">i2").tobytes())
        log.info("%s: %d voids of %d samples", path, (stored == VOID).sum(), stored.size)
    grid = soil_grid(world.area)
    fractions = texture(world, grid)
    for name, path in {"sand": sand, "silt": silt, "clay": clay}.items():
        write_soil(path, grid, fractions[name])
    masked = fractions["sand"] == VOID
    total = sum(f.astype("int32") for f in fractions.values())[~masked]
    log.info(
        "soil: %d of %d cells masked (lake), the fractions sum to %d..%d g/kg",
        masked.sum(),
        masked.size,
        total.min(),
        total.max(),
    )


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        elevation=snakemake.output.elevation,
        sand=snakemake.output.sand,
        silt=snakemake.output.silt,
        clay=snakemake.output.clay,
        area=snakemake.params.area,
        seed=snakemake.params.seed,
        trend=snakemake.params.trend,
    )
