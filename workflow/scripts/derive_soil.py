"""Texture of the topsoil and the water it can hold, at every map cell (S9, E1, U9, D3)."""

import numpy as np
import rasterio
from pyproj import Transformer
from rasterio.windows import Window

import _raster
from _log import UserError, log, log_to
from _raster import Grid, created, inside

BANDS = {"sand": "%", "silt": "%", "clay": "%", "AWC": "%"}
OFF = 5.0  # a sum of the three that misses 100 % by more is worth a line in the log


def available_water(sand: np.ndarray, clay: np.ndarray) -> np.ndarray:
    """Return available water capacity (%) from sand and clay (%), E1; negative for heavy clay."""
    return 40.7 - 0.38 * sand - 0.63 * clay


def closed(parts: np.ndarray) -> np.ndarray:
    """Return texture in % that sums to 100 from the stored parts (g/kg), along the first axis.

    Cells in which all three are 0 (water) have no texture: NaN.
    """
    sums = parts.sum(axis=0)
    return 100 * parts / np.where(sums > 0, sums, np.nan)


def misses(sums: np.ndarray) -> int:
    """Return how many sums (g/kg) are off 100 % by more than `OFF`."""
    return int(np.count_nonzero(np.abs(sums / 10 - 100) > OFF))


def check_unit(sums: np.ndarray, names: str) -> None:
    """Stop unless the median of sand + silt + clay is that of g/kg, as SoilGrids stores it."""
    median = float(np.median(sums)) if sums.size else np.nan
    if 950 <= median <= 1050:
        return
    if not sums.size:
        hint = "found no cell with all three. Deliver windows that cover area.box."
    elif 95 <= median <= 105:
        hint = (
            f"found {median:.1f}, which looks like percent already. "
            "Deliver the files as SoilGrids stores them, or multiply them by 10."
        )
    else:
        hint = f"found {median:.1f}. Deliver the files as SoilGrids stores them, all of one depth."
    raise UserError(f"{names}: expected a median sum of 950 to 1050 g/kg, {hint}")


def nearest(path: str, longitude: np.ndarray, latitude: np.ndarray) -> np.ndarray:
    """Return the stored value (float32, NaN if missing) of the native cell of each point."""
    with rasterio.open(path) as source:
        if source.crs is None:
            raise UserError(
                f"{path}: expected a coordinate reference system, found none. SoilGrids' own is "
                'not in EPSG: gdal_edit.py -a_srs "+proj=igh +datum=WGS84 +units=m" on the file.'
            )
        x, y = Transformer.from_crs(4326, source.crs, always_xy=True).transform(longitude, latitude)
        col, row = (np.floor(part).astype(int) for part in ~source.transform @ (x, y))
        known = (row >= 0) & (row < source.height) & (col >= 0) & (col < source.width)
        values = np.full(longitude.shape, np.nan, dtype="float32")
        if not known.any():
            return values
        row, col = row[known], col[known]
        top, left = row.min(), col.min()
        window = Window(left, top, col.max() - left + 1, row.max() - top + 1)
        stored = source.read(1, window=window, masked=True).astype("float32").filled(np.nan)
        values[known] = stored[row - top, col - left]
        return values


def main(sand, silt, clay, grid, lonlat, soil, awc):
    cells = Grid.of(grid)
    parts = np.full((3, *cells.shape), np.nan, dtype="float32")
    area = inside(grid)
    for window in cells.blocks():
        rows = slice(window.row_off, window.row_off + window.height)
        for part, path in zip(parts, (sand, silt, clay), strict=True):
            part[rows][area[rows]] = nearest(
                path, *(degrees[area[rows]] for degrees in _raster.lonlat(lonlat, window))
            )
    sums = parts.sum(axis=0)[area]
    present = sums[sums > 0]
    check_unit(present, f"{sand}, {silt}, {clay}")
    log.info("%d of %d cells of the area have no texture", sums.size - present.size, sums.size)
    log.info(
        "%d cells miss 100 %% by more than %g %%; all are scaled to 100 %%",
        misses(present),
        OFF,
    )

    negative = 0
    with created(soil, cells, BANDS) as target:
        for window in cells.blocks():
            texture = closed(parts[:, window.row_off : window.row_off + window.height])
            water = available_water(texture[0], texture[2])
            negative += int(np.count_nonzero(water < 0))
            if awc == "clip":
                water = np.maximum(water, 0)
            target.write(np.concatenate([texture, water[None]]).astype("float32"), window=window)
    log.info("%d cells have a negative AWC by E1%s", negative, ", set to 0" * (awc == "clip"))


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        sand=snakemake.input.sand,
        silt=snakemake.input.silt,
        clay=snakemake.input.clay,
        grid=snakemake.input.grid,
        lonlat=snakemake.input.lonlat,
        soil=snakemake.output.soil,
        awc=snakemake.params.awc,
    )
