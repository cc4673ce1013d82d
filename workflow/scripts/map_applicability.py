"""Map how far each cell of each month is from what the forest has learned: DI, LPD, error.

DI is the distance to the nearest training row (Meyer & Pebesma 2021,
doi:10.1111/2041-210X.13650), LPD the number of rows within the threshold (Schumacher et al.
2025, doi:10.5194/gmd-18-10185-2025), and the expected error is what places left out at that DI
had. Cells are judged whether or not frost or snow keeps them from the map of soil moisture.
"""

import json
from contextlib import ExitStack

import numpy as np
import pandas as pd
import rasterio

from _applicability import dissimilarity, weighted
from _layers import check_aligned, located, of_month, read_window
from _log import UserError, log, log_to
from _raster import Grid, cloud_optimized, inside
from _table import write_table

PIECE = 1 << 16  # cells in float64 at a time


class Space:
    """The training rows and what places a cell among them, as `measure_applicability` wrote it."""

    def __init__(self, rows: pd.DataFrame, described: dict, curve: pd.DataFrame):
        listed = pd.DataFrame(described["predictors"])
        self.predictors = listed["name"].tolist()
        self.mean, self.scale, self.weight, self.minimum, self.maximum = (
            listed[name].to_numpy("float64")
            for name in ("mean", "scale", "weight", "minimum", "maximum")
        )
        self.used = self.weight > 0  # the others add nothing to any distance
        self.rows = rows[self.predictors].to_numpy("float64")[:, self.used]
        self.dbar, self.threshold = described["dbar"], described["threshold"]
        self.curve = curve

    def judged(self, values: np.ndarray) -> np.ndarray:
        """Return DI, LPD and expected error, (3, cells); values: (cells, predictors), finite.

        The error is linear between the windows of the curve and constant beyond them, so past
        the last it says only "at least".
        """
        result = np.empty((3, len(values)))
        for start in range(0, len(values), PIECE):
            part = slice(start, start + PIECE)
            points = weighted(values[part], self.mean, self.scale, self.weight)[:, self.used]
            di, lpd = dissimilarity(points, self.rows, self.dbar, self.threshold)
            result[:, part] = di, lpd, np.interp(di, self.curve["di"], self.curve["fitted"])
        return result

    def unseen(self, values: np.ndarray) -> np.ndarray:
        """Return True where any predictor lies beyond the training rows' smallest or largest."""
        return ((values < self.minimum) | (values > self.maximum)).any(axis=1)


def summary(month: str, di: np.ndarray, inside_area: int, unseen: int) -> dict:
    """Return the month's row of the table; `inside_area` and `unseen` count cells."""
    return {
        "month": month,
        "cells": len(di),
        "inside": inside_area,
        "share_inside": inside_area / len(di),
        "share_beyond_range": unseen / len(di),
        "median_di": float(np.median(di)),
    }


def main(rows, parameters, error_by_di, rasters, grid, maps, table, months, unit, note) -> None:
    with open(parameters, encoding="utf-8") as file:
        described = json.load(file)
    space = Space(pd.read_parquet(rows), described, pd.read_csv(error_by_di))
    jobs = []
    for month, path in zip(months, maps, strict=True):
        bands = {}
        for name in of_month(rasters, month, months):
            with rasterio.open(name) as source:
                bands[name] = source.descriptions
        places = located(bands, space.predictors)
        cells = Grid.of(grid or places[space.predictors[0]][0])
        for name in bands:
            check_aligned(name, Grid.of(name), cells)
        jobs.append((month, path, cells, places))

    found = []
    for month, path, cells, places in jobs:
        tags = dict(
            description=f"area of applicability, {month}: inside where DI <= threshold",
            threshold=repr(space.threshold),
            average_lpd=str(described["average_lpd"]),
        ) | (dict(note=note) if note else {})
        units = {"DI": "1", "LPD": "1", "expected_error": unit}
        every, within, unseen, area = [], 0, 0, 0
        with ExitStack() as opened, cloud_optimized(path, cells, units, **tags) as target:
            sources = {
                name: opened.enter_context(rasterio.open(name)) for name, _ in places.values()
            }
            for window in cells.blocks():
                stack = np.stack(list(read_window(sources, places, window).values()), axis=-1)
                here = inside(grid, window) if grid else np.ones(stack.shape[:2], bool)
                area += int(here.sum())
                here &= np.isfinite(stack).all(axis=-1)
                values = stack[here]
                layers = np.full((len(units), *here.shape), np.nan, "float32")
                if len(values):
                    judged = space.judged(values)
                    layers[:, here] = judged
                    every.append(judged[0].astype("float32"))
                    within += int((judged[0] <= space.threshold).sum())
                    unseen += int(space.unseen(values).sum())
                target.write(layers, window=window)
            if not every:
                raise UserError(
                    f"{path}: expected cells with all predictors, found none among {area} inside "
                    "the study area. See the logs of the rules that make the predictors."
                )
        found.append(summary(month, np.concatenate(every), within, unseen))
        log.info(
            "%(month)s: %(cells)d cells, %(inside)d inside (%(share_inside).3f), beyond the range "
            "of a predictor %(share_beyond_range).3f, median DI %(median_di).4g",
            found[-1],
        )
        log.info("%s: %d cells without a predictor", month, area - found[-1]["cells"])
    write_table(pd.DataFrame(found), table)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        rows=snakemake.input.rows,
        parameters=snakemake.input.parameters,
        error_by_di=snakemake.input.error_by_di,
        rasters=snakemake.input.rasters,
        grid=snakemake.input.grid,
        maps=snakemake.output.maps,
        table=snakemake.output.table,
        months=snakemake.params.months,
        unit=snakemake.params.unit,
        note=snakemake.params.note,
    )
