"""The background soil moisture SMC (0.05 degree) on the grid (S12, U17, A10).

How its files store numbers and gaps could not be looked up when this was written: the config says
it (smc.scale, smc.nodata), and numbers that cannot be soil moisture in m3/m3 are refused.
"""

from pathlib import Path

import numpy as np
import rasterio

from _log import UserError, log, log_to
from _raster import Grid, bilinear, created, inside, lonlat, nearest, read
from _smc import month_in

MEDIAN = (0.02, 0.8)  # m3/m3 of all land in a file: desert to marsh, with room on both sides


def stored(path: str, nodata: float | None) -> np.ndarray:
    """Return the file's numbers, float64, with NaN where its own nodata value stands.

    `nodata` (smc.nodata) stands for it where the file does not name one.
    """
    layer = read(path)
    with rasterio.open(path) as source:
        tagged, dtype = source.nodata, source.dtypes[0]
    if tagged is None and nodata is not None:
        # As the file stores it: -3.4e38 in the config is another number than in float32.
        as_stored = np.float32(nodata) if dtype == "float32" else nodata
        layer[layer == float(as_stored)] = np.nan
    return layer


def valid(layer: np.ndarray, path: str, scale: float = 1.0) -> np.ndarray:
    """Return SMC (m3/m3): stored numbers times `scale`, NaN where missing or not above 0.

    Raises UserError if the result is above 1 anywhere, or if its median cannot be that of soil
    moisture in m3/m3.
    """
    layer = layer * scale
    if np.nanmax(layer, initial=0.0) > 1:
        raise UserError(
            f"{path}: expected m3/m3, found values up to {np.nanmax(layer):.4g} after "
            f"multiplication with smc.scale ({scale:g}). If the file stores percent, set "
            "smc.scale: 0.01 in the config (0.001 for thousandths); if that is its value of a "
            "missing cell, set smc.nodata."
        )
    layer = np.where(layer > 0, layer, np.nan)
    median = float(np.median(layer[np.isfinite(layer)])) if np.isfinite(layer).any() else None
    if median is not None and not MEDIAN[0] <= median <= MEDIAN[1]:
        raise UserError(
            f"{path}: expected m3/m3 with a median of {MEDIAN[0]} to {MEDIAN[1]}, found "
            f"{median:.4g} after multiplication with smc.scale ({scale:g}). Correct smc.scale in "
            "the config, or smc.nodata if most cells are missing ones."
        )
    return layer


RESAMPLING = {"nearest": nearest, "bilinear": bilinear}


def main(delivered, months, grid, lonlat_file, resampling, scale=1.0, nodata=None):
    files = {month_in(path): path for path in delivered}
    cells = Grid.of(grid)
    for target_path in months:
        month = Path(target_path).stem
        if month not in files:
            raise UserError(
                f"{delivered[0]}: expected a file of {month}, found {', '.join(sorted(files))}. "
                "Add the month's file."
            )
        source = Grid.of(files[month])
        if not source.crs or not source.crs.is_geographic:
            raise UserError(
                f"{files[month]}: expected longitude and latitude (EPSG:4326), found "
                f"{source.crs or 'no CRS'}. Reproject the file."
            )
        layer = valid(stored(files[month], nodata), files[month], scale)
        area, empty = 0, 0
        with created(target_path, cells, {"SMC": "m3/m3"}) as target:
            for window in cells.blocks():
                row, col = source.positions(*lonlat(lonlat_file, window))
                within = inside(grid, window)
                block = np.where(within, RESAMPLING[resampling](layer, row, col), np.nan)
                target.write(block.astype("float32"), 1, window=window)
                area += within.sum()
                empty += (within & np.isnan(block)).sum()
            if empty == area:
                raise UserError(
                    f"{files[month]}: expected SMC in the study area, found no valid cell there. "
                    "Is it the file of China, and is its position right?"
                )
        log.info("%s: %d of %d cells have no SMC", month, empty, area)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        delivered=snakemake.input.months,
        months=snakemake.output.months,
        grid=snakemake.input.grid,
        lonlat_file=snakemake.input.lonlat,
        resampling=snakemake.params.resampling,
        scale=snakemake.params.scale,
        nodata=snakemake.params.nodata,
    )
