"""Monthly rain between the gauges, by kriging onto the grid (S11, U25).

The method is ordinary kriging of the totals, or kriging with a drift of elevation, or kriging of
the ratio of the totals to a climatology, which is multiplied with that climatology again.
"""

import json
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pandas as pd

from _kriging import Variogram, check_apart, dual, estimate
from _log import UserError, log, log_to
from _rain import GAUGES, RELIEF, around, check_heights, check_usual, heights, tells
from _raster import Grid, bilinear, created, inside, read
from _stations import projected


def rain_at(
    points: np.ndarray,
    stations: np.ndarray,
    weights: np.ndarray,
    variogram: Variogram,
    drift: np.ndarray | None = None,
    usual: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return rain (points, months) in mm/month, never below 0, and how many cells were, by month.

    The variogram is that of relative totals; in mm it would be larger by the month's squared
    mean, a factor that no weight feels. A month with one gauge takes its total everywhere.
    `drift` (points, 1) is the elevation in km; `usual` (points, months) is what ratios are
    multiplied with, in mm.
    """
    kriged = estimate(points, stations, weights, variogram, drift)
    if usual is not None:
        kriged = kriged * usual
    return np.maximum(kriged, 0), (kriged < 0).sum(axis=0)


def check_told(values: pd.DataFrame, elevation: np.ndarray, path: str) -> None:
    """Refuse months (columns) whose gauges cannot tell how rain changes with elevation (km)."""
    mute = [m for m in values if not tells(elevation[values[m].notna().to_numpy()])]
    if mute:
        raise UserError(
            f"{path}: expected {GAUGES} gauges a month with elevations at least {RELIEF:.0f} m "
            f"apart, found fewer or flatter in {', '.join(mute)}. Add gauges, lower "
            "rain.min_share or set rain.method to kriging."
        )


def usual_at(points: np.ndarray, climatology: list[str], crs) -> np.ndarray:
    """Return the usual rain (points, months) in mm: of one raster a month."""
    return np.stack([bilinear(*around(path, points, crs)) for path in climatology], axis=1)


def monthly(table: pd.DataFrame, names: list[str], path: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return totals (stations x months, mm) and lat, lon of the stations that have any."""
    given = table.dropna(subset=["total", "lat", "lon"])
    values = given.pivot(index="station", columns="month", values="total")
    silent = [month for month in names if month not in values]
    if silent:
        raise UserError(
            f"{path}: expected a total of at least one gauge a month, found none in "
            f"{', '.join(silent)}. Add gauges or lower rain.min_share."
        )
    places = given.groupby("station")[["lat", "lon"]].median().loc[values.index]
    return values[names], places


def main(totals, variogram, grid, rain, crs, method="kriging", static=None, climatology=None):
    table = pd.read_csv(totals, dtype={"station": str})
    names = [Path(path).stem for path in rain]
    values, places = monthly(table, names, totals)
    cells = Grid.of(grid)
    stations = projected(places["lon"], places["lat"], crs)
    check_apart(stations, places.index, totals)
    parameters = json.loads(Path(variogram).read_text(encoding="utf-8"))
    curve = Variogram(*(parameters[name] for name in ("model", "nugget", "psill", "range")))
    amounts, drift = values.to_numpy(), None
    if method == "drift":
        ground = bilinear(*around(static, stations, crs, "DEM"))
        height = heights(table, places.index, ground)
        check_heights(height, places.index, totals)
        check_told(values, height, totals)
        drift = height[:, None]
    elif method == "climatology":
        usual = usual_at(stations, climatology, crs)
        for path, column in zip(climatology, usual.T, strict=True):
            check_usual(column, places.index, path)
        amounts = amounts / usual
    weights = dual(stations, amounts, curve, drift)
    below, count, absent, beyond = np.zeros(len(names), int), 0, 0, 0
    with ExitStack() as open_files:
        targets = [
            open_files.enter_context(created(path, cells, {"pre": "mm/month"})) for path in rain
        ]
        for window in cells.blocks():
            within = inside(grid, window)
            points = np.stack([axis[within] for axis in cells.centres_in(crs, window)], axis=1)
            known = {}
            if method == "drift":
                known["drift"] = read(static, "DEM", window)[within][:, None] / 1e3
                height = known["drift"]
                beyond += ((height < drift.min()) | (height > drift.max())).sum()
            elif method == "climatology":
                known["usual"] = usual_at(points, climatology, crs)
            kriged, negative = rain_at(points, stations, weights, curve, **known)
            below += negative
            count += len(points)
            absent += np.isnan(kriged).any(axis=1).sum()
            layer = np.full(within.shape, np.nan, "float32")
            for target, month in zip(targets, kriged.T, strict=True):
                layer[within] = month
                target.write(layer, 1, window=window)
        if count and absent == count:
            raise UserError(
                f"{static if method == 'drift' else climatology[0]}: expected values in the study "
                "area, found none. Is its position right?"
            )
    for month, clipped in zip(names, below, strict=True):
        log.info(
            "%s: %d of %d gauges, mean %.1f mm; %d of %d cells below 0 set to 0",
            *(month, values[month].count(), len(table["station"].unique())),
            *(values[month].mean(), clipped, count),
        )
    if method == "drift":
        log.info(
            "%d of %d cells lie above the highest or below the lowest gauge (%.0f to %.0f m): the "
            "line of elevation is continued there",
            *(beyond, count, 1e3 * drift.min(), 1e3 * drift.max()),
        )
    if absent:
        log.warning("%d of %d cells have no rain: no elevation or climatology", absent, count)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        totals=snakemake.input.totals,
        variogram=snakemake.input.variogram,
        grid=snakemake.input.grid,
        rain=snakemake.output.rain,
        crs=snakemake.params.crs,
        method=snakemake.params.method,
        static=snakemake.input.static,
        climatology=snakemake.input.climatology,
    )
