"""Draw the maps of every month of one year, the published map above SMCI (S20, S25)."""

from calendar import month_name

import numpy as np
import pandas as pd

from _figures import (
    FOOT,
    WETNESS,
    WIDTH,
    bar_below,
    canvas,
    draw_map,
    furnish_last,
    limits,
    north_of,
    save,
)
from _log import log, log_to
from _raster import Grid, nearest, read
from _table import write_table
from _view import View

PIXELS = 400
ACROSS = 6  # months side by side
TITLES = {"map": "Map", "SMCI": "SMCI"}


def summary(layer: np.ndarray) -> dict[str, float]:
    """Return count, mean, spread and the 2 and 98 % points of the cells with a value."""
    values = layer[np.isfinite(layer)]
    if not len(values):
        return dict(n=0)
    low, high = np.percentile(values, [2, 98])
    return dict(n=len(values), mean=values.mean(), sd=values.std(), p2=low, p98=high)


def figure_of(months: dict, area: np.ndarray, extent, north=0.0):
    """Return the figure: a column a month, the map above SMCI, if there is one; one colour scale.

    `months` is {month: {product: layer}}, all on the cells of the map.
    """
    low, high = limits(
        [layer for month in months.values() for layer in month.values()], paper=False
    )
    products = list(next(iter(months.values())))
    across = min(ACROSS, len(months))
    lines = -(-len(months) // across)
    count = lines * len(products)
    style = dict(cmap=WETNESS, vmin=low, vmax=high)
    aspect = (extent[3] - extent[2]) / (extent[1] - extent[0])
    figure = canvas(height=0.9 + count * (0.16 + (WIDTH - 0.4) / across * aspect))
    heights = [1.0] * (count - 1) + [1 + FOOT]
    panels = figure.subplots(count, across, squeeze=False, height_ratios=heights)
    for number, (month, shown) in enumerate(months.items()):
        line, column = divmod(number, across)
        for side, (name, layer) in enumerate(shown.items()):
            axes = panels[len(products) * line + side, column]
            image = draw_map(axes, layer, extent, area, **style)
            if side == 0:
                axes.set_title(f"{month_name[int(month[5:7])]} {month[:4]}")
            if column == 0:
                axes.set_ylabel(TITLES[name])
    for axes in panels[-len(products) :, len(months) - (lines - 1) * across :].flat:
        axes.set_axis_off()
    furnish_last(panels, extent, north)
    bar_below(figure, image, panels, "Soil moisture (m³/m³)", shrink=0.5)
    return figure


def main(maps, smci, grid, lonlat_file, png, pdf, csv, months, note):
    cells, view = Grid.of(grid), View.of(grid, lonlat_file, PIXELS)
    shown, rows = {}, []
    for number, month in enumerate(months):
        shown[month] = {"map": view.layer(maps[number])}
        if smci:
            positions = Grid.of(smci[number]).positions(view.longitude, view.latitude)
            layer = nearest(read(smci[number]), *positions)
            shown[month]["SMCI"] = np.where(view.area, layer, np.nan)
        for product, layer in shown[month].items():
            rows.append(dict(month=month, product=product) | summary(layer))
            log.info("%s, %s: %d cells with a value", month, product, rows[-1]["n"])
    north = north_of(cells.crs, cells.extent)
    save(figure_of(shown, view.area, cells.extent, north), png, pdf, note)
    write_table(pd.DataFrame(rows), csv)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        maps=snakemake.input.maps,
        smci=snakemake.input.smci,
        grid=snakemake.input.grid,
        lonlat_file=snakemake.input.lonlat,
        png=snakemake.output.png,
        pdf=snakemake.output.pdf,
        csv=snakemake.output.csv,
        months=snakemake.params.months,
        note=snakemake.params.note,
    )
