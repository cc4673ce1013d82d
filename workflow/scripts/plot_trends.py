"""Draw the trend of each calendar month, and what its share of rising area is worth (S29, F12).

With few years and anomalies shared by neighbours, a large share rises (or falls) by chance: the
share stands beside the range that years in random order give (D7, N32-N37), and cells are marked
only where they survive the test of the whole field (Wilks 2016, doi:10.1175/BAMS-D-15-00267.1).
"""

from calendar import month_abbr, month_name
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator, PercentFormatter

from _figures import (
    BLUE,
    FOOT,
    INK,
    MISSING,
    ORANGE,
    SIGNED,
    WIDTH,
    canvas,
    draw_map,
    furnish_last,
    north_of,
    save,
)
from _log import UserError, log, log_to
from _raster import Grid
from _table import write_table
from _view import View

PIXELS = 600
DOTS = 40  # stipples along the longer side of a map
MILLI = 1000  # slopes are printed in 0.001 m3/m3


def number(table: pd.DataFrame, month: str, quantity: str, column: str = "value") -> float:
    """Return a number of the whole area from the joined tables of trend_maps, NaN if absent."""
    rows = table[
        (table["month"] == month) & (table["quantity"] == quantity) & (table["part"] == "all")
    ]
    return float(rows[column].iloc[0]) if len(rows) else np.nan


def beyond_chance(table: pd.DataFrame, months: list[str]) -> int:
    """Return in how many months the share rising lies outside its 5-95 % range without trend."""
    name = "share_increasing"
    values = np.array(
        [[number(table, m, name, column) for column in ("value", "low", "high")] for m in months]
    )
    return int(((values[:, 0] < values[:, 1]) | (values[:, 0] > values[:, 2])).sum())


def stipples(significant: np.ndarray, extent) -> tuple[np.ndarray, np.ndarray]:
    """Return x and y of blocks of cells of which at least half of those tested are significant."""
    step = max(1, max(significant.shape) // DOTS)
    x, y = [], []
    high, wide = significant.shape
    left, right, bottom, top = extent
    for row in range(0, high, step):
        for column in range(0, wide, step):
            block = significant[row : row + step, column : column + step]
            known = block[np.isfinite(block)]
            if len(known) and known.mean() >= 0.5:
                x.append(left + (column + block.shape[1] / 2) / wide * (right - left))
                y.append(top - (row + block.shape[0] / 2) / high * (top - bottom))
    return np.array(x), np.array(y)


def draw_shares(axes, table: pd.DataFrame, months: list[str]) -> None:
    """Draw the share of area rising above the range of no trend, and the share significant."""
    at = np.arange(len(months))
    name = "share_increasing"
    value, low, high = (
        np.array([number(table, m, name, column) for m in months])
        for column in ("value", "low", "high")
    )
    share = [number(table, m, "share_significant") for m in months]
    axes.bar(at, high - low, 0.6, low, color=MISSING, label="no trend: 5–95 %")
    axes.axhline(0.5, color=INK, lw=0.6, ls=(0, (4, 3)))
    axes.plot(at, value, "o", ms=5, color=BLUE, label="rising")
    axes.plot(at, share, "D", ms=4, mfc="white", color=ORANGE, label="significant")
    axes.set(ylim=(-0.04, 1.04), ylabel="Share of the area")
    axes.yaxis.set_major_formatter(PercentFormatter(1))


def draw_slopes(axes, table: pd.DataFrame, months: list[str]) -> None:
    """Draw the Sen slope of the area mean with its interval and, above, its p."""
    axes.axhline(0, color=INK, lw=0.6)
    for at, month in enumerate(months):
        value, low, high, p = (
            number(table, month, "domain_slope", column) for column in ("value", "low", "high", "p")
        )
        axes.plot([at, at], [low * MILLI, high * MILLI], color=BLUE, lw=1.3)
        axes.plot(at, value * MILLI, "o", ms=5, color=BLUE)
        if np.isfinite(p):
            axes.annotate(
                f"p {p:.2f}" if p >= 0.01 else "p < 0.01",
                (at, 1),
                (0, 2),
                xycoords=("data", "axes fraction"),
                textcoords="offset points",
                ha="center",
                fontsize=6.5,
            )
    axes.set_ylabel("Slope of the area mean\n(0.001 m³/m³ per year)")


def figure_of(slopes, significant, table, area, extent, north=0.0):
    """Return the figure; `slopes` and `significant` are {calendar month: layer}."""
    months = list(slopes)
    values = np.concatenate([one[np.isfinite(one)] for one in slopes.values()]) * MILLI
    reach = float(np.percentile(np.abs(values), 99)) if len(values) else 1.0
    reach = reach or 1.0
    across = min(3 if len(months) <= 6 else 4, max(2, len(months)))
    lines = -(-len(months) // across)
    aspect = (extent[3] - extent[2]) / (extent[1] - extent[0])
    panel = (WIDTH - 0.9) / across * aspect
    maps = lines * (panel + 0.28) + FOOT * panel
    figure = canvas(height=maps + 2.6)
    upper, lower = figure.subfigures(2, 1, height_ratios=[maps, 2.5])
    panels = upper.subplots(
        lines, across, squeeze=False, height_ratios=[1.0] * (lines - 1) + [1 + FOOT]
    )
    style = dict(cmap=SIGNED.reversed(), vmin=-reach, vmax=reach)
    for axes, month in zip(panels.flat, months, strict=False):
        image = draw_map(axes, slopes[month] * MILLI, extent, area, **style)
        if area.any() and not area.all():
            x, y = (
                np.linspace(*extent[:2], area.shape[1]),
                np.linspace(*extent[:1:-1], area.shape[0]),
            )
            axes.contour(x, y, area.astype(float), [0.5], colors=INK, linewidths=0.4)
        axes.plot(*stipples(significant[month], extent), ".", ms=1.6, color=INK, mew=0)
        up, share = (number(table, month, f"share_{n}") for n in ("increasing", "significant"))
        words = f"{up:.0%} rising, {share:.0%} significant" if np.isfinite(up) else "no trend"
        axes.set_title(f"{month_name[int(month)]}\n{words}", loc="left")
    for axes in panels.flat[len(months) :]:
        axes.set_axis_off()
    furnish_last(panels, extent, north)
    label = "Least-squares slope (0.001 m³/m³ per year)"
    bar = upper.colorbar(
        image,
        ax=panels,
        label=label,
        extend="both",
        shrink=0.7,
        aspect=30,
        ticks=MaxNLocator(7, steps=[1, 2, 5, 10], symmetric=True),
    )
    bar.outline.set_linewidth(0.5)
    left, right = lower.subplots(1, 2)
    draw_shares(left, table, months)
    draw_slopes(right, table, months)
    for axes in (left, right):
        axes.set_xticks(range(len(months)), [month_abbr[int(month)] for month in months])
        axes.set_xlim(-0.6, len(months) - 0.4)
        axes.spines[["top", "right"]].set_visible(False)
    outside = beyond_chance(table, months)
    judged = sum(np.isfinite(number(table, month, "share_increasing", "low")) for month in months)
    words = "No month has years enough for a trend."
    if judged:
        words = (
            f"Share rising: outside what no trend gives in {outside} of {judged} months; "
            f"chance alone puts {0.1 * judged:.1f} there.\n"
            "Inside the grey bar even a large share is no evidence of a trend."
        )
    lower.suptitle(
        words,
        fontsize=8,
        weight="bold",
    )
    lower.legend(
        *left.get_legend_handles_labels(), loc="outside lower left", ncols=3, frameon=False
    )
    return figure


def main(trends, tables, grid, lonlat_file, png, pdf, csv, note):
    read = [pd.read_csv(path, dtype={"month": str}) for path in tables]
    table = pd.concat(read, ignore_index=True)
    lacking = {"month", "quantity", "part", "value", "low", "high", "p", "n"} - set(table)
    if lacking:
        raise UserError(
            f"{tables[0]}: expected the columns of trend_maps, found no "
            f"{', '.join(sorted(lacking))}. Run trend_maps again."
        )
    cells, view = Grid.of(grid), View.of(grid, lonlat_file, PIXELS)
    slopes = {Path(path).stem: view.layer(path, "slope") for path in trends}
    significant = {Path(path).stem: view.layer(path, "significant") for path in trends}
    north = north_of(cells.crs, cells.extent)
    figure = figure_of(slopes, significant, table, view.area, cells.extent, north)
    save(figure, png, pdf, note)
    write_table(table, csv)
    outside = beyond_chance(table, list(slopes))
    log.info("share rising: outside 5-95 %% of no trend in %d of %d months", outside, len(slopes))


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        trends=snakemake.input.trends,
        tables=snakemake.input.tables,
        grid=snakemake.input.grid,
        lonlat_file=snakemake.input.lonlat,
        png=snakemake.output.png,
        pdf=snakemake.output.pdf,
        csv=snakemake.output.csv,
        note=snakemake.params.note,
    )
