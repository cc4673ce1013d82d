"""Draw the season mean of every year: map, SMCI and ERA5-Land, one colour scale (S27, F10, C5).

A product is averaged on its own cells, then shown through the grid, so its cells stay visible.
"""

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
from _log import UserError, log, log_to
from _raster import Grid, nearest, read
from _season import season_of
from _table import write_table
from _view import View, season_mean

TALLEST = 8.6  # inches of a page for panels
WIDEST = 1.6  # inches of one panel
PIXELS = 400


def across(years: int, products: int, aspect: float) -> int:
    """Return the fewest columns (at least five, if as many years) that fit on a page."""
    for columns in range(min(5, years), years + 1):
        rows = products * -(-years // columns)
        if rows * WIDTH / columns * aspect <= TALLEST or columns == years:
            return columns
    return 1


def figure_of(layers: dict, area: np.ndarray, extent, north: float = 0.0):
    """Return the figure of {year: {product: layer}}; blocks of years, a row a product in each."""
    products = list(next(iter(layers.values())))
    low, high = limits([one for year in layers.values() for one in year.values()], paper=False)
    aspect = (extent[3] - extent[2]) / (extent[1] - extent[0])
    columns = across(len(layers), len(products), aspect)
    lines = -(-len(layers) // columns)
    rows = lines * len(products)
    width = min(WIDTH, max(2.8, columns * WIDEST + 0.4))
    panel = (width - 0.4) / columns * aspect
    figure = canvas(height=1.0 + rows * (panel + 0.02) + 0.2 * lines, width=width)
    heights = [1.0] * (rows - 1) + [1 + FOOT]
    panels = figure.subplots(rows, columns, squeeze=False, height_ratios=heights)
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02, hspace=0, wspace=0)
    style = dict(cmap=WETNESS, vmin=low, vmax=high)
    for number, (year, of) in enumerate(layers.items()):
        line, column = divmod(number, columns)
        for side, (product, layer) in enumerate(of.items()):
            axes = panels[line * len(products) + side, column]
            image = draw_map(axes, layer, extent, area, **style)
            if side == 0:
                axes.set_title(year)
            if column == 0:
                axes.set_ylabel(product)
            if not np.isfinite(layer).any():
                axes.text(0.5, 0.5, "no values", transform=axes.transAxes, ha="center")
    for axes in panels[-len(products) :, len(layers) - (lines - 1) * columns :].flat:
        axes.set_axis_off()
    furnish_last(panels, extent, north)
    bar_below(figure, image, panels, "Soil moisture, mean of the season (m³/m³)")
    return figure


def main(annual, smci, era5land, grid, lonlat_file, png, pdf, csv, years, note, year_begins):
    cells, view = Grid.of(grid), View.of(grid, lonlat_file, PIXELS)

    def own(paths, year):
        chosen = [path for path in paths if season_of(Path(path).stem, year_begins) == year]
        if not chosen:
            raise UserError(
                f"{png}: expected months of {year} of every product, found none among "
                f"{len(paths)} files. Run the step that makes them again."
            )
        mean = season_mean(read(path) for path in chosen)
        shown = nearest(mean, *Grid.of(chosen[0]).positions(view.longitude, view.latitude))
        return np.where(view.area, shown, np.nan)

    layers, rows = {}, []
    for path, year in zip(annual, years, strict=True):
        layers[year] = {"Map": view.layer(path)}
        layers[year] |= {
            product: own(paths, year)
            for product, paths in (("SMCI", smci), ("ERA5-Land", era5land))
            if paths
        }
        for product, layer in layers[year].items():
            rows.append(dict(year=year, product=product) | view.summary(layer))
            log.info("%s, %s: %d cells shown with a value", year, product, rows[-1]["n"])
    north = north_of(cells.crs, cells.extent)
    save(figure_of(layers, view.area, cells.extent, north), png, pdf, note)
    write_table(pd.DataFrame(rows), csv)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        annual=snakemake.input.annual,
        smci=snakemake.input.smci,
        era5land=snakemake.input.era5land,
        grid=snakemake.input.grid,
        lonlat_file=snakemake.input.lonlat,
        png=snakemake.output.png,
        pdf=snakemake.output.pdf,
        csv=snakemake.output.csv,
        years=snakemake.params.years,
        note=snakemake.params.note,
        year_begins=snakemake.params.year_begins,
    )
