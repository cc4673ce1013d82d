"""Draw where the study is (S1, F1): terrain, gauges, soil-moisture sites, position on the globe.

The gauges' height against the area's tells how far rain is extrapolated (T2).
"""

import numpy as np
import pandas as pd
from matplotlib.colors import LightSource
from matplotlib.patches import Rectangle
from rasterio.warp import transform

from _figures import (
    GREEN,
    HEIGHT,
    INK,
    ORANGE,
    PURPLE,
    WIDTH,
    canvas,
    draw_map,
    furnish,
    save,
    thinned,
)
from _log import UserError, log, log_to
from _raster import Grid, inside, lonlat, nearest, read
from _table import write_table

PAPER_BOX = (97.34, 27.96, 104.75, 35.58)  # west, south, east, north (S1, C2)
TOWNS = {"Lhasa": (91.1, 29.7), "Chengdu": (104.1, 30.7), "Xining": (101.8, 36.6)}


def points(path: str, kind: str) -> pd.DataFrame:
    """Return kind, name, lon, lat of a station table; its first column is the name."""
    table = pd.read_csv(path, dtype={0: str})
    missing = {"lat", "lon"} - set(table)
    if missing:
        raise UserError(
            f"{path}: expected the columns lat and lon, found {', '.join(table)}. Name them so."
        )
    name = table.iloc[:, 0].astype(str)
    return pd.DataFrame(dict(kind=kind, name=name, lon=table["lon"], lat=table["lat"]))


def placed(table: pd.DataFrame, cells: Grid, elevation: np.ndarray) -> pd.DataFrame:
    """Return the points with x, y (CRS units) and DEM (m, NaN off the map) added."""
    x, y = transform("EPSG:4326", cells.crs, table["lon"].to_list(), table["lat"].to_list())
    height = nearest(elevation, *cells.positions(np.array(x), np.array(y)))
    return table.assign(x=x, y=y, DEM=height)


def nice_ticks(low: float, high: float) -> np.ndarray:
    """Return three to seven round values between `low` and `high`."""
    for step in (10, 5, 2, 1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01):
        ticks = np.arange(np.ceil(low / step - 1e-9), np.floor(high / step + 1e-9) + 1) * step
        if len(ticks) >= 3:
            return np.round(ticks, 2) + 0.0
    return np.array([(low + high) / 2])


def add_graticule(axes, longitude: np.ndarray, latitude: np.ndarray, extent) -> None:
    """Draw meridians and parallels with their degrees at the left and lower edge."""
    left, right, bottom, top = extent
    height, width = longitude.shape
    x = left + (np.arange(width) + 0.5) * (right - left) / width
    y = top - (np.arange(height) + 0.5) * (top - bottom) / height
    style = dict(colors=INK, linewidths=0.3, linestyles="dotted")
    for field, along, at, set_ticks in (
        (longitude, longitude[-1], x, axes.set_xticks),
        (latitude, latitude[::-1, 0], y[::-1], axes.set_yticks),
    ):
        degrees = nice_ticks(along.min(), along.max())
        axes.contour(x, y, field, levels=degrees, **style)
        letter = "EW" if field is longitude else "NS"
        labels = [f"{abs(d):g}° {letter[int(d < 0)]}" for d in degrees]
        set_ticks(np.interp(degrees, along, at), labels)
    axes.tick_params(length=2, width=0.5)
    axes.xaxis.tick_top()  # the scale bar is below


def add_position(axes, box) -> None:
    """Draw the box on a plain grid of degrees, with the paper's region and towns for bearings."""
    west, south, east, north = box
    towns = np.array(list(TOWNS.values()))
    close = abs(towns.mean(axis=0) - [(west + east) / 2, (south + north) / 2]).max() < 15
    around = [box, PAPER_BOX, (88, 25, 112, 40)] if close else [box]
    w, s, e, n = (f(b[i] for b in around) for i, f in enumerate((min, min, max, max)))
    pad = 0 if close else 8
    flat = 1 / np.cos(np.radians((s + n) / 2))
    axes.set(xlim=(w - pad, e + pad), ylim=(s - pad, n + pad), aspect=flat)
    if close:
        region = (PAPER_BOX[:2], PAPER_BOX[2] - PAPER_BOX[0], PAPER_BOX[3] - PAPER_BOX[1])
        axes.add_patch(Rectangle(*region, fill=False, ec=INK, lw=0.8, ls=(0, (3, 2))))
        axes.text(*PAPER_BOX[:2], "region of\nMa et al. 2023", fontsize=6, va="top")
        for name, (lon, lat) in TOWNS.items():
            axes.plot(lon, lat, "s", ms=2, color=INK)
            axes.text(lon + 0.4, lat, name, fontsize=6, va="center")
    axes.add_patch(Rectangle((west, south), east - west, north - south, color=ORANGE))
    axes.set_xticks(nice_ticks(w - pad, e + pad), [f"{d:g}°" for d in nice_ticks(w - pad, e + pad)])
    axes.set_yticks(nice_ticks(s - pad, n + pad), [f"{d:g}°" for d in nice_ticks(s - pad, n + pad)])
    axes.grid(lw=0.3, color="0.8")
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=6, length=0)
    axes.set_title("Position (orange)", loc="left")


def figure_of(table, elevation, area, longitude, latitude, cells: Grid, box):
    """Return the figure: relief map with points, and beside it the position in degrees."""
    extent = cells.extent
    aspect = (extent[3] - extent[2]) / (extent[1] - extent[0])
    figure = canvas(height=min(7.5, 0.5 + 0.6 * WIDTH * aspect * 1.05))
    axes, side = figure.subplots(1, 2, width_ratios=(2.4, 1))
    image = draw_map(axes, elevation, extent, None, cmap=HEIGHT)
    shade = LightSource(315, 45).hillshade(
        thinned(elevation), dx=cells.transform.a, dy=cells.transform.a, vert_exag=3
    )
    shade = np.where(np.isfinite(thinned(elevation)), shade, np.nan)
    axes.imshow(shade, extent=extent, cmap="gray", alpha=0.35, vmin=0, vmax=1)
    outline = np.pad(thinned(area).astype(float), 1)
    rows, cols = outline.shape
    step_x = (extent[1] - extent[0]) / (cols - 2)
    step_y = (extent[3] - extent[2]) / (rows - 2)
    x = extent[0] + (np.arange(cols) - 0.5) * step_x
    y = extent[3] - (np.arange(rows) - 0.5) * step_y
    axes.contour(x, y, outline, levels=[0.5], colors=INK, linewidths=1.0)
    add_graticule(axes, thinned(longitude), thinned(latitude), extent)
    for kind, marker, colour, label in (
        ("gauge", "o", PURPLE, "rain gauge"),
        ("site", "^", GREEN, "soil-moisture site"),
    ):
        on_map = table["x"].between(*extent[:2]) & table["y"].between(*extent[2:])
        here = table[(table["kind"] == kind) & on_map]
        style = dict(s=26, marker=marker, color=colour, ec="white", lw=0.7, zorder=3)
        axes.scatter(here["x"], here["y"], label=f"{label} ({len(here)})", **style)
    furnish(axes, extent)
    figure.colorbar(image, ax=axes, label="Elevation (m)", shrink=0.7, aspect=25, pad=0.02)
    add_position(side, box)
    place = dict(loc="upper left", bbox_to_anchor=(-0.1, -0.15), frameon=False)
    side.legend(*axes.get_legend_handles_labels(), **place)
    return figure


def main(static, grid, lonlat_file, sites, gauges, png, pdf, csv, box, note):
    cells, area = Grid.of(grid), inside(grid)
    elevation = read(static, "DEM")
    both = pd.concat([points(gauges, "gauge"), points(sites, "site")], ignore_index=True)
    table = placed(both, cells, elevation)
    save(figure_of(table, elevation, area, *lonlat(lonlat_file), cells, box), png, pdf, note)
    write_table(table, csv)
    log.info("study area: mean elevation %.0f m", np.nanmean(elevation[area]))
    for kind, part in table.groupby("kind"):
        off = part["DEM"].isna().sum()
        log.info("%d %ss, mean %.0f m, %d off the map", len(part), kind, part["DEM"].mean(), off)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        static=snakemake.input.static,
        grid=snakemake.input.grid,
        lonlat_file=snakemake.input.lonlat,
        sites=snakemake.input.sites,
        gauges=snakemake.input.gauges,
        png=snakemake.output.png,
        pdf=snakemake.output.pdf,
        csv=snakemake.output.csv,
        box=snakemake.params.box,
        note=snakemake.params.note,
    )
