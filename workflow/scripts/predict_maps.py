"""Apply the forest to every cell of every month (S20): its mean and, on request, its quantiles.

A cell is left empty where a predictor is missing (U18), outside the study area, and, on
request, where the samples' screen for frost and snow would have dropped it (S17, U19). What the
published map is made of these is the business of finish_maps.
"""

from collections import Counter
from contextlib import ExitStack

import numpy as np
import rasterio

from _forest import predict
from _layers import check_aligned, located, of_month, read_window
from _log import UserError, log, log_to
from _quantiles import Leaves, load_leaves, spread
from _raster import Grid, created, inside
from _stored import load

SCREENED = ("LST", "albedo")


def screened(lst: np.ndarray, albedo: np.ndarray, min_lst: float, max_albedo: float) -> np.ndarray:
    """Return True where a cell fails LST > min_lst (degC) and albedo < max_albedo (S17)."""
    return ~((lst > min_lst) & (albedo < max_albedo))


def cells_of(
    layers: dict[str, np.ndarray],
    predictors: list[str],
    area: np.ndarray,
    screen: dict[str, float] | None,
) -> tuple[np.ndarray, dict[str, int]]:
    """Return which cells to predict, and how many of the area each reason takes.

    A cell counts under every predictor that it lacks; the screen takes only from the rest.
    """
    use = area.copy()
    lost = {}
    for name in predictors:
        here = np.isfinite(layers[name])
        lost[name] = int((area & ~here).sum())
        use &= here
    lost["any"] = int((area & ~use).sum())
    if screen:
        out = screened(layers["LST"], layers["albedo"], **screen)
        lost["screened"] = int((use & out).sum())
        use &= ~out
    return use, lost


def predicted(
    model,
    leaves: Leaves | None,
    layers: list[np.ndarray],
    use: np.ndarray,
    quantiles: list[float],
) -> np.ndarray:
    """Return the mean and, with `leaves`, the quantiles where `use`, else NaN.

    Shape (1 + quantiles, rows, cols), float32.
    """
    result = np.full((1 + len(quantiles), *use.shape), np.nan, dtype="float32")
    if use.any():
        rows = np.column_stack([layer[use] for layer in layers])
        if leaves is None:
            result[0, use] = predict(model, rows)
        else:
            mean, bounds = spread(model, leaves, rows, quantiles)
            result[0, use], result[1:, use] = mean, bounds.T
    return result


def main(
    forest,
    leaves,
    rasters,
    grid,
    maps,
    months,
    screen,
    min_lst,
    max_albedo,
    level,
    unit,
    note,
):
    model, predictors = load(forest)
    values = load_leaves(leaves, model) if leaves else None
    quantiles = [0.5 - level / 2, 0.5 + level / 2] if leaves else []
    names = dict.fromkeys(["mean", "lower", "upper"][: 1 + len(quantiles)], unit)
    limits = dict(min_lst=min_lst, max_albedo=max_albedo) if screen else None
    wanted = [*predictors, *(name for name in SCREENED if screen and name not in predictors)]
    jobs = []
    for month, path in zip(months, maps, strict=True):
        bands = {}
        for name in of_month(rasters, month, months):
            with rasterio.open(name) as source:
                bands[name] = source.descriptions
        places = located(bands, wanted)
        cells = Grid.of(grid or places[wanted[0]][0])
        for name in bands:
            check_aligned(name, Grid.of(name), cells)
        jobs.append((month, path, cells, places))

    for month, path, cells, places in jobs:
        tags = dict(description=f"forest, {month}") | (dict(note=note) if note else {})
        total = Counter()
        with (
            ExitStack() as opened,
            created(path, cells, names, **tags) as target,
        ):
            sources = {
                name: opened.enter_context(rasterio.open(name)) for name, _ in places.values()
            }
            for window in cells.blocks():
                layers = read_window(sources, places, window)
                area = inside(grid, window) if grid else np.ones(layers[wanted[0]].shape, bool)
                use, lost = cells_of(layers, predictors, area, limits)
                chosen = [layers[name] for name in predictors]
                target.write(predicted(model, values, chosen, use, quantiles), window=window)
                total.update(lost, inside=int(area.sum()), predicted=int(use.sum()))
            missing = {name: total[name] for name in predictors if total[name]}
            if not total["predicted"]:
                raise UserError(
                    f"{path}: no cell could be predicted. Of {total['inside']} cells inside the "
                    f"study area {total['screened']} fail the screen and these predictors are "
                    f"missing: {missing or 'none'}. See the logs of the rules that make them."
                )
        log.info(
            "%s: %d cells inside, %d predicted, %d without a predictor (%s), %d screened",
            month,
            total["inside"],
            total["predicted"],
            total["any"],
            ", ".join(f"{name} {count}" for name, count in missing.items()) or "none missing",
            total["screened"],
        )


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        forest=snakemake.input.forest,
        leaves=snakemake.input.leaves,
        rasters=snakemake.input.rasters,
        grid=snakemake.input.grid,
        maps=snakemake.output.maps,
        months=snakemake.params.months,
        screen=snakemake.params.screen,
        min_lst=snakemake.params.min_lst,
        max_albedo=snakemake.params.max_albedo,
        level=snakemake.params.level,
        unit=snakemake.params.unit,
        note=snakemake.params.note,
    )
