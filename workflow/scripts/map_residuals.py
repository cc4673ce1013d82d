"""The kriged residual of places left out, once for all months: what forests miss by place.

Where krige_residuals found that neighbours do not tell it, the map is 0 everywhere.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from _kriging import Variogram, dual, estimate
from _log import log, log_to
from _raster import Grid, created


def main(residuals, variogram, grid, residual, unit, crs):
    found = json.loads(Path(variogram).read_text(encoding="utf-8"))
    table, cells = pd.read_csv(residuals), Grid.of(grid)
    if found["use"]:
        curve = Variogram(*(found[name] for name in ("model", "nugget", "psill", "range")))
        places = table[["x", "y"]].to_numpy()
        weights = dual(places, table[["residual"]].to_numpy(), curve)
    else:
        log.warning("nothing is kriged: %s", found["reason"])
    with created(residual, cells, {"residual": unit}) as target:
        for window in cells.blocks():
            layer = np.zeros((window.height, window.width), "float32")
            if found["use"]:
                points = np.column_stack([v.ravel() for v in cells.centres_in(crs, window)])
                layer = estimate(points, places, weights, curve).reshape(layer.shape)
            target.write(layer.astype("float32"), 1, window=window)
            log.info("%d of %d rows", window.row_off + window.height, cells.height)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        residuals=snakemake.input.residuals,
        variogram=snakemake.input.variogram,
        grid=snakemake.input.grid,
        residual=snakemake.output.residual,
        unit=snakemake.params.unit,
        crs=snakemake.params.crs,
    )
