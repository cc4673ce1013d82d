"""From the forest's prediction to the map that is published, with its interval (S20).

The range is restored, the kriged residual of left-out places added where the study asks for it,
the mean over each 1 km cell pulled to SMCI, and the forest's interval widened by what the target
itself is off (estimate_error). With the paper's options nothing of this happens and the map is the
forest's prediction, value by value.
"""

from collections.abc import Iterator
from contextlib import ExitStack

import numpy as np
import pandas as pd
import rasterio

from _conserve import Means
from _correction import load, restored
from _log import log, log_to
from _metrics import bias, r, rmse
from _raster import Grid, Window, bilinear, cloud_optimized, inside, lonlat, read
from _table import write_table

BOUNDS = (0.02, 0.70)  # m3/m3 that a mineral or peaty soil can hold
MAPS = ("monthly", "lower", "upper")


def blocks(
    forest: str, residual: str | list, curve: tuple
) -> Iterator[tuple[Window, np.ndarray, np.ndarray]]:
    """Yield a window, the forest's mean, lower and upper (3, rows, cols), and the changed mean."""
    with rasterio.open(forest) as source:
        for window in Grid.of(forest).blocks():
            layers = source.read(window=window).astype("float64")
            changed = restored(layers[0], curve)
            if residual:
                changed += read(residual, window=window)
            yield window, layers, changed


def half_widths(
    layers: np.ndarray, shift: float, own: float, added: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return how far the interval reaches below and above the map.

    layers: mean, lower and upper of the forest (3, ...). `shift` makes the forest's interval honest
    for new places, `own` is the share of the forest in the map, `added` the half width of the
    target's own error. Independent errors add as squares.
    """
    mean, lower, upper = layers
    below, above = (np.maximum(v + shift, 0) * own for v in (mean - lower, upper - mean))
    return np.hypot(below, added), np.hypot(above, added)


def against_target(month: str, product: np.ndarray, means: dict[str, np.ndarray]) -> dict:
    """Return one row: how far forest and map are from the product over all its cells."""
    row = {"month": month, "cells": int(np.isfinite(product + means["forest"]).sum())}
    for name, found in means.items():
        for metric, of in (("R", r), ("RMSE", rmse), ("bias", bias)):
            row[f"{name} {metric}"] = of(product, found)
    return row


def pulled(month: str, smci: str, grid: str, lonlat_file: str, parts, conserve: float):
    """Return the field of the pull on SMCI's cells, and a row of `against_target`.

    `parts` are the `blocks` of the month.
    """
    cells, product = Grid.of(smci), read(smci)
    forest, changed = Means(product.shape), Means(product.shape)
    for window, layers, value in parts:
        area = inside(grid, window)
        at = [v[area] for v in cells.positions(*lonlat(lonlat_file, window))]
        forest.add(*at, layers[0][area])
        changed.add(*at, value[area])
    field = conserve * changed.pull(product)
    whole = changed.means() + changed.over_cells(field)
    return field, against_target(month, product, {"forest": forest.means(), "map": whole})


def main(
    forest,
    residual,
    smci,
    correction,
    grid,
    lonlat_file,
    monthly,
    lower,
    upper,
    target,
    months,
    unit,
    note,
):
    steps, rows = load(correction), []
    own, added = 1 - steps["conserve"], steps["z"] * steps["added_error"]
    for number, month in enumerate(months):
        tags = dict(note=note) if note else {}
        name, field, clipped = forest[number], None, 0
        if smci:
            parts = blocks(name, residual, steps["curve"])
            field, row = pulled(month, smci[number], grid, lonlat_file, parts, steps["conserve"])
            places = Grid.of(smci[number])
            rows.append(row)
        words = (f"soil moisture, {month}", *(f"{end} bound, {month}" for end in MAPS[1:]))
        with ExitStack() as opened:
            files = [
                opened.enter_context(
                    cloud_optimized(
                        path[number],
                        Grid.of(name),
                        {"soil_moisture": unit},
                        description=text,
                        **tags,
                    )
                )
                for path, text in zip((monthly, lower, upper), words, strict=True)
            ]
            for window, layers, value in blocks(name, residual, steps["curve"]):
                if steps["conserve"] and field is not None:
                    value += bilinear(field, *places.positions(*lonlat(lonlat_file, window)))
                    held = np.clip(value, *BOUNDS)
                    clipped += np.count_nonzero(np.isfinite(value) & (held != value))
                    value = held
                below, above = half_widths(layers, steps["shift"], own, added)
                for file, layer in zip(files, (value, value - below, value + above), strict=True):
                    file.write(layer.astype("float32"), 1, window=window)
        log.info("%s: %d cells brought back to %g to %g", month, clipped, *BOUNDS)
        if rows:
            log.info(
                "%s: RMSE from SMCI over %d of its cells: forest %.4f, map %.4f",
                *(month, rows[-1]["cells"], rows[-1]["forest RMSE"], rows[-1]["map RMSE"]),
            )
    write_table(pd.DataFrame(rows, columns=list(rows[0]) if rows else ["month"]), target)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        forest=snakemake.input.forest,
        residual=snakemake.input.residual,
        smci=snakemake.input.smci,
        correction=snakemake.input.correction,
        grid=snakemake.input.grid,
        lonlat_file=snakemake.input.lonlat,
        monthly=snakemake.output.monthly,
        lower=snakemake.output.lower,
        upper=snakemake.output.upper,
        target=snakemake.output.target,
        months=snakemake.params.months,
        unit=snakemake.params.unit,
        note=snakemake.params.note,
    )
