"""How every figure looks and lies on disk: fonts, colours, map furniture, files without dates."""

from __future__ import annotations

from io import BytesIO
from math import atan2, cos, degrees, floor, log10, radians, sin

import numpy as np
from cmcrameri import cm
from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from PIL import Image

from _whole import whole


def _part(colours, low: float, high: float) -> ListedColormap:
    return ListedColormap(colours(np.linspace(low, high, 256)))


# Colours that stay apart for the colour-blind and, as greys, in print (Crameri 2020). Their
# nearly white ends are cut off: on a white page they would look like missing cells.
WETNESS = _part(cm.lapaz_r, 0.08, 1)
SIGNED = cm.vik
DENSITY = _part(cm.oslo_r, 0.12, 0.95)
HEIGHT = _part(cm.oleron, 0.62, 0.98)
INK = "#1c1c1c"
MISSING = "#d4d4d4"
BLUE, ORANGE, PURPLE, GREEN = "#1f5f8b", "#c8641e", "#7b3294", "#1b7837"

# Series of a station: name, colour and line; in situ is what the others are judged by.
LOOKS = {
    "in situ": ("in situ", INK, "-"),
    "seen": ("forest as trained", BLUE, "-"),
    "out": ("forest, station left out", ORANGE, "-"),
    "SMCI": ("SMCI", PURPLE, (0, (3, 1.2))),
}

SCALE = (0.15, 0.66)  # colour range of the paper's soil-moisture maps (F8), m3/m3
WIDTH = 174 / 25.4  # inches: two columns of a journal
FOOT = 0.11  # room for scale bar and arrow, as a share of the map's height
PIXELS = 900  # of the longer side of a map: more than a page can show

STYLE = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so figures are alike everywhere
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "legend.fontsize": 7.5,
    "axes.linewidth": 0.6,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "lines.linewidth": 1.0,
    "pdf.fonttype": 42,
    "svg.hashsalt": "soil moisture",
}


def canvas(height: float, width: float = WIDTH) -> Figure:
    """Return an empty figure in the common style; sizes in inches."""
    rcParams.update(STYLE)
    figure = Figure(figsize=(width, height), layout="constrained", dpi=200)
    figure.get_layout_engine().set(w_pad=0.06, h_pad=0.06)
    return figure


def printed(unit: str) -> str:
    """Return a unit as it is printed: m3/m3 becomes m³/m³."""
    return unit.replace("m3", "m³").replace("m2", "m²").replace("degC", "°C")


def limits(layers: list[np.ndarray], paper: bool) -> tuple[float, float]:
    """Return one colour range for all layers.

    The paper's range if asked for and if it holds the data (1 to 99 %), else the 1 to 99 %
    points of the data, so that few extreme cells do not take the colours from all others.
    """
    values = np.concatenate([layer[np.isfinite(layer)].ravel() for layer in layers])
    if not len(values):
        return SCALE
    low, high = np.percentile(values, [1, 99])
    if paper and SCALE[0] <= low and high <= SCALE[1]:
        return SCALE
    return (float(low), float(high)) if low < high else (float(low) - 0.01, float(high) + 0.01)


def thinned(layer: np.ndarray) -> np.ndarray:
    """Return every n-th cell, so that the longer side has at most PIXELS to 2 PIXELS cells."""
    step = max(1, max(layer.shape) // PIXELS)
    return layer[::step, ::step]


def draw_map(axes: Axes, layer, extent, inside=None, **options):
    """Draw a layer without ticks; cells `inside` without a value are grey. Return the image.

    `extent` is left, right, bottom, top of the whole layer in its CRS.
    """
    if inside is not None:
        gap = np.where(thinned(inside), 0.0, np.nan)
        axes.imshow(gap, extent=extent, cmap=ListedColormap([MISSING]), interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    for side in axes.spines.values():
        side.set_visible(False)
    return axes.imshow(thinned(layer), extent=extent, interpolation="nearest", **options)


def metres_per_unit(crs, y: float) -> float:
    """Return the metres of one unit of x: 1 in a metric CRS, cos(latitude) of a degree else."""
    return 111_320 * cos(radians(y)) if crs.is_geographic else 1.0


def north_of(crs, extent) -> float:
    """Return where north is in the middle of a map, in degrees clockwise from up."""
    from pyproj import Transformer

    x, y = (extent[0] + extent[1]) / 2, (extent[2] + extent[3]) / 2
    here = Transformer.from_crs("EPSG:4326", crs, always_xy=True)
    lon, lat = here.transform(x, y, direction="INVERSE")
    right, up = here.transform(lon, lat + 0.01)
    return degrees(atan2(right - x, up - y))


def round_length(most: float) -> float:
    """Return the largest of 1, 2, 5 times a power of ten that is not above `most`."""
    power = 10.0 ** floor(log10(most))
    return next(n * power for n in (5, 2, 1) if n * power <= most * (1 + 1e-9))


def furnish(axes: Axes, extent, metres: float = 1.0, north: float = 0.0) -> None:
    """Add a scale bar and a north arrow under a map, outside the cells; sizes follow the map.

    metres: of a unit of x; north: `north_of` the map.
    """
    left, right, bottom, top = extent
    width, height = right - left, top - bottom
    length = round_length(0.3 * width * metres)
    y = bottom - FOOT / 2 * height
    axes.plot([left, left + length / metres], [y, y], color=INK, lw=2, solid_capstyle="butt")
    label = f"{length / 1000:g} km" if length >= 1000 else f"{length:g} m"
    style = dict(va="center", fontsize=7, clip_on=False)
    axes.text(left + length / metres + 0.02 * width, y, label, ha="left", **style)
    axes.annotate(
        "N",
        xy=(right - 0.05 * width, y + 0.03 * height),
        xytext=(-11 * sin(radians(north)), -11 * cos(radians(north))),
        textcoords="offset points",
        ha="center",
        va="center",
        fontsize=7,
        zorder=5,
        arrowprops=dict(arrowstyle="-|>", color=INK, lw=0.8, mutation_scale=7),
        annotation_clip=False,
    )
    axes.set(xlim=(left, right), ylim=(bottom - FOOT * height, top))


def furnish_last(panels: np.ndarray, extent, north: float) -> None:
    """Furnish the first map of the last row; its neighbours stay on one line with it."""
    furnish(panels[-1, 0], extent, north=north)
    for axes in panels[-1]:
        axes.set_ylim(panels[-1, 0].get_ylim())


def bar_below(figure: Figure, image, panels, label: str, shrink: float = 0.6) -> None:
    """Draw one colour bar below all panels; its ends say that the colours are cut."""
    bar = figure.colorbar(
        image,
        ax=panels,
        label=label,
        extend="both",
        location="bottom",
        shrink=shrink,
        aspect=40,
        ticks=MaxNLocator(6, steps=[1, 2, 5, 10]),
    )
    bar.outline.set_linewidth(0.5)


def save(figure: Figure, png: str, pdf: str, note: str = "") -> None:
    """Write PNG and PDF, with `note` in the corner, without dates: same figure, same bytes."""
    # Titles of map panels stand higher than the layout reckons with.
    above, strip = 0.08 / figure.get_figheight(), 0.18 / figure.get_figheight() if note else 0
    figure.get_layout_engine().set(rect=(0, strip, 1, 1 - strip - above))
    if note:
        style = dict(fontsize=7, color=ORANGE, weight="bold")
        figure.text(0.995, strip / 5, note, ha="right", va="bottom", **style)
    with whole(pdf) as part:
        figure.savefig(part, metadata={"CreationDate": None, "Producer": None, "Creator": None})
    drawn = BytesIO()
    figure.savefig(drawn, format="png")
    with whole(png) as part:
        # A third of the bytes; 999 of 1000 pixels of a map keep their colour within 13 of 255.
        picture = Image.open(drawn).convert("RGB").quantize(256, kmeans=1, dither=Image.Dither.NONE)
        picture.save(part, dpi=(figure.dpi, figure.dpi), optimize=True)
