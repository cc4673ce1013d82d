"""Draw the maps of every month of one year, the forest's above SMCI's (S20, S25)."""

from calendar import month_name

import numpy as np
import pandas as pd

from _figures import WETNESS, WIDTH, canvas, draw_map, furnish, limits, save
from _log import log, log_to
from _raster import Grid, inside, lonlat, nearest, read
from _table import write_table

ACROSS = 3  # maps side by side for each product


def summary(layer: np.ndarray) -> dict[str, float]:
    """Return count, mean, spread and the 2 and 98 % points of the cells with a value."""
    values = layer[np.isfinite(layer)]
    if not len(values):
        return dict(n=0)
    low, high = np.percentile(values, [2, 98])
    return dict(n=len(values), mean=values.mean(), sd=values.std(), p2=low, p98=high)


def figure_of(pairs: dict, area: np.ndarray, extent):
    """Return the figure: for each month the map and, right of it, SMCI; one colour scale.

    `pairs` is {month: (map, SMCI)}, both on the cells of the map.
    """
    low, high = limits([layer for pair in pairs.values() for layer in pair], paper=False)
    lines = -(-len(pairs) // ACROSS)
    aspect = (extent[3] - extent[2]) / (extent[1] - extent[0])
    figure = canvas(height=0.4 + lines * ((WIDTH - 0.7) / (2 * ACROSS) * aspect * 1.1 + 0.3))
    panels = figure.subplots(lines, 2 * ACROSS, squeeze=False)
    for axes in panels.flat:
        axes.set_axis_off()
    for number, (month, pair) in enumerate(pairs.items()):
        line, place = divmod(number, ACROSS)
        for side, (layer, name) in enumerate(zip(pair, ("forest", "SMCI"), strict=True)):
            axes = panels[line, 2 * place + side]
            image = draw_map(axes, layer, extent, area, cmap=WETNESS, vmin=low, vmax=high)
            title = f"{month_name[int(month[5:7])]}, {name}" if side == 0 else name
            axes.set_title(title, loc="left")
    furnish(panels[-1, 0], extent)
    label = "Soil moisture (m³/m³)"
    bar = figure.colorbar(
        image, ax=panels, label=label, extend="both", location="bottom", shrink=0.5, aspect=40
    )
    bar.outline.set_linewidth(0.5)
    return figure


def main(maps, smci, grid, lonlat_file, png, pdf, csv, months, note):
    cells, area = Grid.of(grid), inside(grid)
    positions = Grid.of(smci[0]).positions(*lonlat(lonlat_file))
    pairs, rows = {}, []
    for month, own, other in zip(months, maps, smci, strict=True):
        pairs[month] = read(own), np.where(area, nearest(read(other), *positions), np.nan)
        for product, layer in zip(("random forest", "SMCI"), pairs[month], strict=True):
            rows.append(dict(month=month, product=product) | summary(layer))
            log.info("%s, %s: %d cells with a value", month, product, rows[-1]["n"])
    save(figure_of(pairs, area, cells.extent), png, pdf, note)
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
