"""Draw the multi-year mean of each calendar month, one colour scale (S28, F11, N31)."""

from calendar import month_name
from pathlib import Path

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
from _raster import Grid
from _table import write_table
from _view import View

ACROSS = 3
PIXELS = 700


def figure_of(layers: dict, means: dict, area: np.ndarray, extent, north=0.0):
    """Return the figure of {calendar month: layer}; `means` are the area means in the titles."""
    low, high = limits(list(layers.values()), paper=False)
    across = min(ACROSS if len(layers) <= 6 else 4, len(layers))
    lines = -(-len(layers) // across)
    aspect = (extent[3] - extent[2]) / (extent[1] - extent[0])
    width = min(WIDTH, across * 2.6 + 0.3)
    panel = (width - 0.3) / across * aspect
    figure = canvas(height=1.0 + lines * (panel + 0.25) + FOOT * panel, width=width)
    heights = [1.0] * (lines - 1) + [1 + FOOT]
    panels = figure.subplots(lines, across, squeeze=False, height_ratios=heights)
    style = dict(cmap=WETNESS, vmin=low, vmax=high)
    for axes, (month, layer) in zip(panels.flat, layers.items(), strict=False):
        image = draw_map(axes, layer, extent, area, **style)
        known = np.isfinite(means[month])
        words = f"mean {means[month]:.3f} m³/m³" if known else "no values"
        axes.set_title(f"{month_name[int(month)]}: {words}", loc="left")
    for axes in panels.flat[len(layers) :]:
        axes.set_axis_off()
    furnish_last(panels, extent, north)
    bar_below(figure, image, panels, "Soil moisture, mean of all years (m³/m³)")
    return figure


def main(climatology, grid, lonlat_file, png, pdf, csv, note):
    cells, view = Grid.of(grid), View.of(grid, lonlat_file, PIXELS)
    layers = {Path(path).stem: view.layer(path) for path in climatology}
    table = pd.DataFrame([dict(month=m) | view.summary(one) for m, one in layers.items()])
    means = table.reindex(columns=["month", "mean"]).set_index("month")["mean"].to_dict()
    north = north_of(cells.crs, cells.extent)
    save(figure_of(layers, means, view.area, cells.extent, north), png, pdf, note)
    write_table(table, csv)
    for row in table.itertuples():
        log.info("month %s: %d cells shown with a value", row.month, row.n)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        climatology=snakemake.input.climatology,
        grid=snakemake.input.grid,
        lonlat_file=snakemake.input.lonlat,
        png=snakemake.output.png,
        pdf=snakemake.output.pdf,
        csv=snakemake.output.csv,
        note=snakemake.params.note,
    )
