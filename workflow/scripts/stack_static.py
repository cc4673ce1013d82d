"""Soil and terrain in one file: the predictors that do not change from month to month (S9, S10)."""

import numpy as np

from _log import log, log_to
from _predictors import STATIC, UNITS
from _raster import Grid, created, read

TERRAIN = ("DEM", "slope", "aspect")


def components(slope: np.ndarray, aspect: np.ndarray) -> dict[str, np.ndarray]:
    """Return northness and eastness of slopes and aspects (degrees).

    They are the horizontal parts of the slope's normal: a steep slope that falls to the north has
    northness near 1. Flat ground has no aspect and gets 0 (U10b); NaN where slope is missing.
    """
    steep, towards = np.sin(np.radians(slope)), np.radians(np.nan_to_num(aspect))
    known = np.isfinite(aspect) | ~np.isfinite(slope)
    return {
        "northness": np.where(known, steep * np.cos(towards), 0.0),
        "eastness": np.where(known, steep * np.sin(towards), 0.0),
    }


def main(soil, terrain, static):
    grid = Grid.of(soil)
    present = dict.fromkeys(STATIC, 0)
    with created(static, grid, {name: UNITS[name] for name in STATIC}) as target:
        for window in grid.blocks():
            layers = {
                name: read(terrain if name in TERRAIN else soil, name, window)
                for name in STATIC
                if name not in ("northness", "eastness")
            }
            layers |= components(layers["slope"], layers["aspect"])
            for number, name in enumerate(STATIC, 1):
                target.write(layers[name].astype("float32"), number, window=window)
                present[name] += np.count_nonzero(np.isfinite(layers[name]))
    for name, count in present.items():
        log.info(
            "%s: %d of the grid's %d cells have a value", name, count, grid.width * grid.height
        )


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        soil=snakemake.input.soil,
        terrain=snakemake.input.terrain,
        static=snakemake.output.static,
    )
