"""Apply the forest to every cell of every month (S20): the monthly soil-moisture maps.

A cell is left empty where a predictor is missing (U18), outside the study area, and, on
request, where the samples' screen for frost and snow would have dropped it (S17, U19).
"""

from collections import Counter
from contextlib import ExitStack

import numpy as np
import rasterio

from _forest import load, predict
from _log import UserError, log, log_to
from _raster import Grid, cloud_optimized, inside

SCREENED = ("LST", "albedo")


def of_month(rasters: list[str], month: str, months: list[str]) -> list[str]:
    """Return the rasters whose path names `month` last, and those that name none of `months`."""

    def owner(path):
        named = [m for m in months if m in path]
        return max(named, key=lambda m: (path.rfind(m), len(m)), default=month)

    return [path for path in rasters if owner(path) == month]


def located(bands: dict[str, tuple[str, ...]], names: list[str]) -> dict[str, tuple[str, int]]:
    """Return {predictor: (raster, band number)}; `bands` are the band names of each raster."""
    places = {}
    for path, found in bands.items():
        for number, name in enumerate(found, 1):
            places.setdefault(name, (path, number))
    missing = [name for name in names if name not in places]
    if missing:
        listed = "; ".join(f"{path}: {', '.join(map(str, b))}" for path, b in bands.items())
        raise UserError(
            f"No raster has a band named {', '.join(missing)}, which the forest was trained with. "
            f"Bands found: {listed}. Name the band in the raster's description as in the samples."
        )
    return {name: places[name] for name in names}


def check_aligned(path: str, found: Grid, grid: Grid) -> None:
    """Refuse a raster that does not lie on the grid of the maps."""
    for what in ("crs", "transform", "width", "height"):
        if getattr(found, what) != getattr(grid, what):
            raise UserError(
                f"{path}: expected the {what} of the maps' grid, {getattr(grid, what)!r}, "
                f"found {getattr(found, what)!r}. Bring the raster to that grid."
            )


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


def predicted(model, layers: list[np.ndarray], use: np.ndarray) -> np.ndarray:
    """Return the forest's float32 values where `use`, else NaN, shaped as each layer."""
    result = np.full(use.shape, np.nan, dtype="float32")
    if use.any():
        result[use] = predict(model, np.column_stack([layer[use] for layer in layers]))
    return result


def main(forest, rasters, grid, maps, months, screen, min_lst, max_albedo, unit, note):
    model, predictors = load(forest)
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
        tags = dict(description=f"soil moisture, {month}") | (dict(note=note) if note else {})
        total = Counter()
        with (
            ExitStack() as opened,
            cloud_optimized(path, cells, {"soil_moisture": unit}, **tags) as target,
        ):
            sources = {
                name: opened.enter_context(rasterio.open(name)) for name, _ in places.values()
            }
            for window in cells.blocks():
                layers = {
                    name: sources[source]
                    .read(band, window=window, out_dtype="float32", masked=True)
                    .filled(np.nan)
                    for name, (source, band) in places.items()
                }
                area = inside(grid, window) if grid else np.ones(layers[wanted[0]].shape, bool)
                use, lost = cells_of(layers, predictors, area, limits)
                target.write(
                    predicted(model, [layers[name] for name in predictors], use), 1, window=window
                )
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
        rasters=snakemake.input.rasters,
        grid=snakemake.input.grid,
        maps=snakemake.output.maps,
        months=snakemake.params.months,
        screen=snakemake.params.screen,
        min_lst=snakemake.params.min_lst,
        max_albedo=snakemake.params.max_albedo,
        unit=snakemake.params.unit,
        note=snakemake.params.note,
    )
