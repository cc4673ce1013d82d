"""The background soil moisture SMC (0.05 degree) on the grid (S12, U17, A10)."""

import re
from pathlib import Path

import numpy as np

from _log import UserError, log, log_to
from _raster import Grid, bilinear, created, inside, lonlat, nearest, read


def month_in(path: str) -> str:
    """Return the month (YYYY-MM) that a delivered file carries in its name."""
    found = re.search(r"(?<!\d)((?:19|20)\d{2})[-_]?(0[1-9]|1[0-2])(?!\d)", Path(path).stem)
    if not found:
        raise UserError(
            f"{path}: expected a month as YYYYMM, YYYY-MM or YYYY_MM in the name, found none. "
            "Rename the file."
        )
    return "-".join(found.groups())


def valid(layer: np.ndarray, path: str) -> np.ndarray:
    """Return SMC (m3/m3) with NaN where missing or not above 0; refuse values above 1."""
    if np.nanmax(layer, initial=0.0) > 1:
        raise UserError(
            f"{path}: expected m3/m3, found values up to {np.nanmax(layer):.4g}. "
            "Is it percent, or is the nodata value not tagged? Convert the file."
        )
    return np.where(layer > 0, layer, np.nan)


RESAMPLING = {"nearest": nearest, "bilinear": bilinear}


def main(delivered, months, grid, lonlat_file, resampling):
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
        layer = valid(read(files[month]), files[month])
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
    )
