"""Draw the maps of a table study with its places, coloured by what was measured there (S20)."""

import numpy as np
import pandas as pd

from _figures import (
    INK,
    WETNESS,
    WIDTH,
    canvas,
    draw_map,
    furnish,
    limits,
    metres_per_unit,
    printed,
    save,
)
from _log import log, log_to
from _raster import Grid, read
from _table import write_table

ACROSS = 2


def places(samples: pd.DataFrame, month: str) -> pd.DataFrame:
    """Return site, x, y of every place and the mean target of `month` there (NaN if none)."""
    sites = samples.groupby("site")[["x", "y"]].first()
    during = samples[samples["month"] == month]
    return sites.assign(target=during.groupby("site")["target"].mean()).reset_index()


def summary(layer: np.ndarray) -> dict[str, float]:
    """Return count, mean, spread and range of the cells with a value."""
    values = layer[np.isfinite(layer)]
    marks = np.percentile(values, [0, 2, 50, 98, 100])
    names = ("min", "p2", "median", "p98", "max")
    return dict(n=len(values), mean=values.mean(), sd=values.std()) | dict(
        zip(names, marks, strict=True)
    )


def figure_of(layers: dict[str, np.ndarray], points: dict[str, pd.DataFrame], cells: Grid, unit):
    """Return the figure: one map a month, one colour scale; `points` as `places` gives them."""
    measured = [table["target"].to_numpy() for table in points.values()]
    low, high = limits([*layers.values(), *measured], paper=False)
    extent = cells.extent
    aspect = (extent[3] - extent[2]) / (extent[1] - extent[0])
    across = min(ACROSS, len(layers))
    lines = -(-len(layers) // across)
    figure = canvas(height=0.3 + lines * ((WIDTH - 0.9) / across * aspect * 1.15 + 0.25))
    panels = figure.subplots(lines, across, squeeze=False)
    for axes in panels.flat[len(layers) :]:
        axes.set_axis_off()
    style = dict(cmap=WETNESS, vmin=low, vmax=high)
    for axes, (month, layer) in zip(panels.flat, layers.items(), strict=False):
        image = draw_map(axes, layer, extent, np.isfinite(layer), **style)
        table = points[month]
        known = table["target"].notna()
        for subset, colour in (
            (table[known], {"c": table["target"][known], **style}),
            (table[~known], {"color": "none"}),
        ):
            axes.scatter(subset["x"], subset["y"], s=22, edgecolors=INK, linewidths=0.8, **colour)
        axes.set_title(f"{month}: map, and {known.sum()} measurements (circles)", loc="left")
        furnish(axes, extent, metres_per_unit(cells.crs, extent[2]))
    label = f"Predicted and measured value ({printed(unit)})"
    figure.colorbar(image, ax=panels, label=label, extend="both", shrink=0.8, aspect=25)
    return figure


def main(maps, samples, png, pdf, csv, months, unit):
    table = pd.read_parquet(samples, columns=["site", "month", "x", "y", "target"])
    layers = {month: read(path) for month, path in zip(months, maps, strict=True)}
    points = {month: places(table, month) for month in months}
    save(figure_of(layers, points, Grid.of(maps[0]), unit), png, pdf)
    rows = [dict(month=month) | summary(layer) for month, layer in layers.items()]
    write_table(pd.DataFrame(rows), csv)
    for month in months:
        known = points[month]["target"].notna().sum()
        log.info("%s: %d of %d places have a measurement", month, known, len(points[month]))


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        maps=snakemake.input.maps,
        samples=snakemake.input.samples,
        png=snakemake.output.png,
        pdf=snakemake.output.pdf,
        csv=snakemake.output.csv,
        months=snakemake.params.months,
        unit=snakemake.params.unit,
    )
