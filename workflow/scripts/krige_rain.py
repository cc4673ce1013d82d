"""Monthly rain between the gauges, by ordinary kriging onto the grid (S11, U25)."""

import json
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pandas as pd

from _kriging import Variogram, check_apart, dual, estimate
from _log import UserError, log, log_to
from _raster import Grid, created, inside
from _stations import projected


def rain_at(
    points: np.ndarray, stations: np.ndarray, weights: np.ndarray, variogram: Variogram
) -> tuple[np.ndarray, np.ndarray]:
    """Return rain (points, months) in mm/month, never below 0, and how many cells were, by month.

    The variogram is that of relative totals; in mm it would be larger by the month's squared
    mean, a factor that no weight feels. A month with one gauge takes its total everywhere.
    """
    kriged = estimate(points, stations, weights, variogram)
    return np.maximum(kriged, 0), (kriged < 0).sum(axis=0)


def main(totals, variogram, grid, rain):
    table = pd.read_csv(totals, dtype={"station": str})
    given = table.dropna(subset=["total", "lat", "lon"])
    values = given.pivot(index="station", columns="month", values="total")
    names = [Path(path).stem for path in rain]
    silent = [month for month in names if month not in values]
    if silent:
        raise UserError(
            f"{totals}: expected a total of at least one gauge a month, found none in "
            f"{', '.join(silent)}. Add gauges or lower rain.min_share."
        )
    values = values[names]
    places = given.groupby("station")[["lat", "lon"]].median().loc[values.index]
    cells = Grid.of(grid)
    stations = projected(places["lon"], places["lat"], cells.crs)
    check_apart(stations, places.index, totals)
    parameters = json.loads(Path(variogram).read_text(encoding="utf-8"))
    curve = Variogram(*(parameters[name] for name in ("model", "nugget", "psill", "range")))
    weights = dual(stations, values.to_numpy(), curve)
    below, count = np.zeros(len(names), int), 0
    with ExitStack() as open_files:
        targets = [
            open_files.enter_context(created(path, cells, {"pre": "mm/month"})) for path in rain
        ]
        for window in cells.blocks():
            within = inside(grid, window)
            points = np.stack([axis[within] for axis in cells.centres(window)], axis=1)
            kriged, negative = rain_at(points, stations, weights, curve)
            below += negative
            count += len(points)
            layer = np.full(within.shape, np.nan, "float32")
            for target, month in zip(targets, kriged.T, strict=True):
                layer[within] = month
                target.write(layer, 1, window=window)
    for month, clipped in zip(names, below, strict=True):
        log.info(
            "%s: %d of %d gauges, mean %.1f mm; %d of %d cells below 0 set to 0",
            *(month, values[month].count(), len(table["station"].unique())),
            *(values[month].mean(), clipped, count),
        )


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        totals=snakemake.input.totals,
        variogram=snakemake.input.variogram,
        grid=snakemake.input.grid,
        rain=snakemake.output.rain,
    )
