"""ERA5-Land on the grid, between its cell centres, for studies that take it as a predictor.

It is one of the parents of SMCI: a forest that learns from it cannot be compared with it (C10).
"""

from pathlib import Path

import numpy as np

from _log import UserError, log, log_to
from _raster import Grid, bilinear, created, inside, lonlat, read


def main(era5land, months, grid, lonlat_file):
    cells = Grid.of(grid)
    for path, target_path in zip(era5land, months, strict=True):
        source, layer = Grid.of(path), read(path)
        area, empty = 0, 0
        with created(target_path, cells, {"ERA5Land": "m3/m3"}) as target:
            for window in cells.blocks():
                within = inside(grid, window)
                value = bilinear(layer, *source.positions(*lonlat(lonlat_file, window)))
                block = np.where(within, value, np.nan)
                target.write(block.astype("float32"), 1, window=window)
                area += within.sum()
                empty += (within & np.isnan(block)).sum()
            if empty == area:
                raise UserError(
                    f"{path}: expected ERA5-Land in the study area, found no valid cell there. "
                    "Delete it and resources/raw/era5land, and fetch it again."
                )
        log.info("%s: %d of %d cells have no value", Path(path).stem, empty, area)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        era5land=snakemake.input.era5land,
        months=snakemake.output.months,
        grid=snakemake.input.grid,
        lonlat_file=snakemake.input.lonlat,
    )
