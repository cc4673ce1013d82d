"""Draw the map beside SMCI and ERA5-Land for one year (S25, F8): season mean and August (U28).

All products are shown on the cells of the map, each with its own cell size visible.
"""

from calendar import month_abbr, month_name
from pathlib import Path

import numpy as np
import pandas as pd

from _figures import (
    FOOT,
    WETNESS,
    WIDTH,
    canvas,
    draw_map,
    furnish,
    limits,
    north_of,
    save,
)
from _log import UserError, log, log_to
from _raster import Grid, nearest, read
from _table import write_table
from _view import View, season_mean

PIXELS = 600
TITLES = {
    "map": "Map, 250 m",
    "SMCI": "SMCI, 1 km",
    "ERA5-Land": "ERA5-Land, 0.1°",
}


def summary(layer: np.ndarray) -> dict[str, float]:
    """Return count, mean, spread and the range of the cells with a value (N22)."""
    values = layer[np.isfinite(layer)]
    if not len(values):
        return dict(n=0)
    marks = np.percentile(values, [0, 0.1, 50, 99.9, 100])
    names = ("min", "p0.1", "median", "p99.9", "max")
    return dict(n=len(values), mean=values.mean(), sd=values.std()) | dict(
        zip(names, marks, strict=True)
    )


def figure_of(periods: dict, area: np.ndarray, extent, cell: float, north=0.0):
    """Return the figure: a row a period, a column a product, one colour scale.

    `periods` is {period: {product: layer}}; `cell` is the cell size in metres.
    """
    layers = [layer for products in periods.values() for layer in products.values()]
    low, high = limits(layers, paper=True)
    style = dict(cmap=WETNESS, vmin=low, vmax=high)
    aspect = (extent[3] - extent[2]) / (extent[1] - extent[0])
    across, panel = len(next(iter(periods.values()))), (WIDTH - 0.8) / 3
    height = 0.35 + len(periods) * panel * aspect * 1.05
    figure = canvas(height=height, width=0.8 + across * panel)
    heights = [1.0] * (len(periods) - 1) + [1 + FOOT]
    rows = figure.subplots(len(periods), across, squeeze=False, height_ratios=heights)
    titles = TITLES | {"map": f"Map, {cell:g} m"}
    for number, (period, products) in enumerate(periods.items()):
        for axes, (product, layer) in zip(rows[number], products.items(), strict=True):
            image = draw_map(axes, layer, extent, area, **style)
            if number == 0:
                axes.set_title(titles[product], loc="left")
        rows[number, 0].set_ylabel(period)
    for axes in rows[-1]:
        furnish(axes, extent, north=north)
    label = "Soil moisture (m³/m³)"
    bar = figure.colorbar(image, ax=rows, label=label, extend="both", shrink=0.8, aspect=30)
    bar.outline.set_linewidth(0.5)
    return figure


def main(maps, smci, era5land, grid, lonlat_file, png, pdf, csv, note):
    cells, view = Grid.of(grid), View.of(grid, lonlat_file, PIXELS)

    def shown(path):
        source = Grid.of(path)
        if source == cells:
            return view.layer(path)
        layer = nearest(read(path), *source.positions(view.longitude, view.latitude))
        return np.where(view.area, layer, np.nan)

    months = [Path(path).stem for path in maps]
    augusts = [number for number, month in enumerate(months) if month.endswith("-08")]
    chosen = augusts[0] if augusts else len(months) // 2
    first, last = (f"{month_abbr[int(months[n][5:7])]} {months[n][:4]}" for n in (0, -1))
    if months[0][:4] == months[-1][:4]:
        first = first[:-5]
    files = {"map": maps, "SMCI": smci, "ERA5-Land": era5land}
    files = {product: paths for product, paths in files.items() if paths}
    periods = {
        f"Mean of {first} to {last}": {
            product: season_mean(shown(path) for path in paths) for product, paths in files.items()
        },
        f"{month_name[int(months[chosen][5:7])]} {months[chosen][:4]}": {
            product: shown(paths[chosen]) for product, paths in files.items()
        },
    }
    rows = [
        dict(period=period, product=product) | summary(layer)
        for period, products in periods.items()
        for product, layer in products.items()
    ]
    empty = [f"{row['product']} ({row['period']})" for row in rows[: len(files)] if not row["n"]]
    if empty:
        raise UserError(
            f"{png}: expected every product to have values inside the study area, found none of "
            f"{', '.join(empty)}. Check that its files cover area.box."
        )
    north = north_of(cells.crs, cells.extent)
    cell = round(cells.transform.a)
    save(figure_of(periods, view.area, cells.extent, cell, north), png, pdf, note)
    write_table(pd.DataFrame(rows), csv)
    for row in rows:
        log.info("%s, %s: %d cells shown", row["period"], row["product"], row["n"])


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        maps=snakemake.input.maps,
        smci=snakemake.input.smci,
        era5land=snakemake.input.era5land,
        grid=snakemake.input.grid,
        lonlat_file=snakemake.input.lonlat,
        png=snakemake.output.png,
        pdf=snakemake.output.pdf,
        csv=snakemake.output.csv,
        note=snakemake.params.note,
    )
