"""Soil and terrain in one file: the predictors that do not change from month to month (S9, S10)."""

from numpy import count_nonzero, isfinite

from _log import log, log_to
from _predictors import STATIC, UNITS
from _raster import Grid, created, read

TERRAIN = ("DEM", "slope", "aspect")


def main(soil, terrain, static):
    grid = Grid.of(soil)
    with created(static, grid, {name: UNITS[name] for name in STATIC}) as target:
        for number, name in enumerate(STATIC, 1):
            source, present = terrain if name in TERRAIN else soil, 0
            for window in grid.blocks():
                layer = read(source, name, window)
                target.write(layer.astype("float32"), number, window=window)
                present += count_nonzero(isfinite(layer))
            log.info(
                "%s: %d of the grid's %d cells have a value",
                name,
                present,
                grid.width * grid.height,
            )


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        soil=snakemake.input.soil,
        terrain=snakemake.input.terrain,
        static=snakemake.output.static,
    )
