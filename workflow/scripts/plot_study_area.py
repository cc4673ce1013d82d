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
    metres_per_unit,
    north_of,
    save,
    thinned,
)
from _log import UserError, log, log_to
from _raster import Grid, inside, lonlat, nearest, read
from _table import write_table

PAPER_BOX = (97.34, 27.96, 104.75, 35.58)  # west, south, east, north (S1, C2)
ENLARGED = 0.5  # largest share of the map's width that the network is enlarged from
TOWNS = {"Lhasa": (91.1, 29.7), "Chengdu": (104.1, 30.7), "Xining": (101.8, 36.6)}


def points(path: str, kind: str) -> pd.DataFrame:
    """Return kind, name, lon, lat of a station table; its first column is the name."""
    table = pd.read_csv(path, dtype={0: str})
    missing = {"lat", "lon"} - set(table)
    if missing:
        raise UserError(
            f"{path}: expected the columns lat and lon, found {', '.join(table)}. Name them so."
        )
    known = table[["lat", "lon"]].notna().all(axis=1)
    if not known.all():
        log.info("%d %ss without a position are not drawn", (~known).sum(), kind)
    table = table[known]
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
    # A large area is a frame, or it would hide the towns.
    style = dict(fc=ORANGE if east - west < 2 else "none", ec=ORANGE, lw=1.5)
    axes.add_patch(Rectangle((west, south), east - west, north - south, **style))
    axes.set_xticks(nice_ticks(w - pad, e + pad), [f"{d:g}°" for d in nice_ticks(w - pad, e + pad)])
    axes.set_yticks(nice_ticks(s - pad, n + pad), [f"{d:g}°" for d in nice_ticks(s - pad, n + pad)])
    axes.grid(lw=0.3, color="0.8")
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=6, length=0)
    axes.set_title("Position (orange)", loc="left")


def network(table: pd.DataFrame, extent) -> tuple[float, float, float, float] | None:
    """Return left, right, bottom, top around the sites on the map, with room for their names.

    None where that enlarges nothing: fewer than three sites, or sites all over the map.
    """
    left, right, bottom, top = extent
    here = on_map(table[table["kind"] == "site"], extent)
    if len(here) < 3:
        return None
    ends = [(values.min(), values.max()) for values in (here["x"], here["y"])]
    half = max(0.75 * (high - low) for low, high in ends) or 0.05 * (right - left)
    if 2 * half > ENLARGED * min(right - left, top - bottom):
        return None
    (x, y) = ((low + high) / 2 for low, high in ends)
    return x - half, x + half, y - half, y + half


def on_map(table: pd.DataFrame, extent) -> pd.DataFrame:
    """Return the points within an extent (left, right, bottom, top)."""
    return table[table["x"].between(*extent[:2]) & table["y"].between(*extent[2:])]


def labelled(points: np.ndarray, names: list[str], size: tuple[float, float], gap: float) -> dict:
    """Return {number: (x, y)}: the middle of the label of each point that has room for one.

    points: shaped (points, 2); size: width of a letter and height of a line; gap: from a point to
    its label; all in one unit. A label covers no point and no other label; without room it is
    left out. Points without a name are only kept clear.
    """
    taken, found = [], {}
    for number, (x, y) in enumerate(points):
        if not names[number]:
            continue
        wide, high = size[0] * len(names[number]) / 2, size[1] / 2
        beside, above = gap + wide, gap + high
        for dx, dy in (
            *((beside, 0), (-beside, 0), (0, above), (0, -above)),
            *((beside, above), (-beside, above), (beside, -above), (-beside, -above)),
        ):
            at = x + dx, y + dy
            away = abs(points - at)
            covers = ((away[:, 0] < wide + 0.7 * gap) & (away[:, 1] < high + 0.7 * gap)).any()
            meets = any(
                abs(at[0] - u) < wide + w and abs(at[1] - v) < high + h for u, v, w, h in taken
            )
            if not covers and not meets:
                taken.append((*at, wide, high))
                found[number] = at
                break
    return found


def add_relief(axes, elevation: np.ndarray, extent, metres: float, ends: tuple[float, float]):
    """Draw heights with a light from the north-west; `metres` are those of a unit. Return image."""
    thin = thinned(elevation)
    image = draw_map(axes, elevation, extent, None, cmap=HEIGHT, vmin=ends[0], vmax=ends[1])
    side = (extent[1] - extent[0]) * metres / thin.shape[1]
    shade = LightSource(315, 45).hillshade(thin, dx=side, dy=side, vert_exag=3)
    shade = np.where(np.isfinite(thin), shade, np.nan)
    axes.imshow(shade, extent=extent, cmap="gray", alpha=0.35, vmin=0, vmax=1)
    return image


def add_points(axes, table: pd.DataFrame, extent, size: float) -> None:
    """Draw gauges as purple circles and sites as green triangles."""
    for kind, marker, colour, label in (
        ("gauge", "o", PURPLE, "rain gauge"),
        ("site", "^", GREEN, "soil-moisture site"),
    ):
        here = on_map(table[table["kind"] == kind], extent)
        style = dict(s=size, marker=marker, color=colour, ec="white", lw=0.6, zorder=3)
        axes.scatter(here["x"], here["y"], label=f"{label} ({len(here)})", **style)


def add_network(axes, table, elevation, cells: Grid, around, metres: float, ends) -> None:
    """Draw the surroundings of the sites, with the names for which there is room."""
    rows, cols = cells.positions(np.array(around[:2]), np.array([around[3], around[2]]))
    first, last = np.floor([rows[0], cols[0]]), np.ceil([rows[1], cols[1]])
    top, left = np.maximum(first.astype(int), 0)
    bottom, right = np.minimum(last.astype(int), cells.shape)
    side = cells.transform.a
    x, y = cells.transform.c + left * side, cells.transform.f - top * side
    part = elevation[top:bottom, left:right]
    extent = (x, x + part.shape[1] * side, y - part.shape[0] * side, y)
    add_relief(axes, part, extent, metres, ends)
    add_points(axes, table, around, size=13)
    here, wide = on_map(table, around), around[1] - around[0]
    names = here["name"].where(here["kind"] == "site", "").to_list()
    letter = (0.0235 * wide, 0.034 * wide)  # of the font below, in a panel of this size
    for number, at in labelled(here[["x", "y"]].to_numpy(), names, letter, 0.02 * wide).items():
        axes.text(*at, names[number], fontsize=5, ha="center", va="center", zorder=4)
    furnish(axes, around, metres, north_of(cells.crs, around))
    axes.set_title("Network (frame in the map)", loc="left")


def figure_of(table, elevation, area, longitude, latitude, cells: Grid, box):
    """Return the figure: relief map with points; beside it the network and the position."""
    extent, around = cells.extent, network(table, cells.extent)
    metres = metres_per_unit(cells.crs, (extent[2] + extent[3]) / 2)
    height = metres_per_unit(cells.crs, 0) / metres  # of a unit of y over that of x
    aspect = (extent[3] - extent[2]) / (extent[1] - extent[0]) * height
    figure = canvas(height=min(7.5, max(3.6, 0.9 + 0.62 * WIDTH * aspect * 1.1)))
    plan = [["map", "network"], ["map", "position"]] if around else [["map", "position"]]
    panels = figure.subplot_mosaic(plan, width_ratios=(2.1, 1))
    axes, side = panels["map"], panels["position"]
    ends = np.nanpercentile(elevation, [0.1, 99.9])
    image = add_relief(axes, elevation, extent, metres, ends)
    outline = np.pad(thinned(area).astype(float), 1)
    rows, cols = outline.shape
    step_x = (extent[1] - extent[0]) / (cols - 2)
    step_y = (extent[3] - extent[2]) / (rows - 2)
    x = extent[0] + (np.arange(cols) - 0.5) * step_x
    y = extent[3] - (np.arange(rows) - 0.5) * step_y
    axes.contour(x, y, outline, levels=[0.5], colors=INK, linewidths=1.0)
    add_graticule(axes, thinned(longitude), thinned(latitude), extent)
    add_points(axes, table, extent, size=26)
    axes.set_aspect(height)
    furnish(axes, extent, metres, north_of(cells.crs, extent))
    if around:
        corner, sides = (around[0], around[2]), (around[1] - around[0], around[3] - around[2])
        axes.add_patch(Rectangle(corner, *sides, fill=False, ec=INK, lw=1.0, zorder=4))
        add_network(panels["network"], table, elevation, cells, around, metres, ends)
        panels["network"].set_aspect(height)
    style = dict(location="bottom", shrink=0.6, aspect=35, pad=0.02, extend="both")
    figure.colorbar(image, ax=axes, label="Elevation (m)", **style).outline.set_linewidth(0.5)
    add_position(side, box)
    place = dict(loc="upper left", bbox_to_anchor=(-0.1, -0.15), frameon=False)
    side.legend(*axes.get_legend_handles_labels(), **place)
    return figure


def main(static, grid, lonlat_file, sites, gauges, png, pdf, csv, box, note):
    cells, area = Grid.of(grid), inside(grid)
    elevation = read(static, "DEM")
    tables = [points(gauges, "gauge"), *([points(sites, "site")] if sites else [])]
    both = pd.concat(tables, ignore_index=True)
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
