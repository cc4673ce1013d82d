"""Draw a Taylor diagram of the single stations (S22, F5; Taylor 2001, 10.1029/2000JD900719).

Each station has a reference of its own, so standard deviations and centred RMSE are divided by
that of its measurements (ddof 0). The distance of a point from the reference is its centred RMSE:
E'^2 = s^2 + 1 - 2 s R. The mean difference, which a Taylor diagram cannot show, is in the table.
"""

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.patches import Wedge
from matplotlib.ticker import MaxNLocator

from _figures import INK, LOOKS, canvas, save
from _log import log, log_to
from _sites import SMCI, absent, months_of, pick, scores_of
from _table import write_table

FEWEST = 3  # months: R of two values is 1 or -1 whatever they are
SYMBOLS = "os^vDP<>Xph*"
# The rows of `score_sites` in each panel.
PANELS = {
    "all years": {
        "seen": ("all years", "forest"),
        "out": ("left out, all years", "forest"),
        "SMCI": ("all years", SMCI),
    },
    "test years": {
        "seen": ("test years", "forest"),
        "out": ("left out, test years", "forest"),
        "SMCI": ("test years", SMCI),
    },
}
RAYS = (0, 0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 0.99)
LINE = "0.78"
MEASURES = ["R", "SD", "SD target", "ubRMSE", "bias"]


def position(correlation, spread):
    """Return x, y of points at the angle arccos R and the radius s (normalised SD)."""
    angle = np.arccos(np.clip(correlation, -1, 1))
    return spread * np.cos(angle), spread * np.sin(angle)


def drawn(scores: pd.DataFrame, sites: list[str]) -> pd.DataFrame:
    """Return a row for each point: panel, site, series, n, MEASURES, ratio, distance, x, y.

    SD, ubRMSE and bias in the unit of the target; ratio and distance are SD and ubRMSE over SD
    target. Without a point: fewer than FEWEST months, or no R because values do not vary.
    """
    rows = []
    for panel, series in PANELS.items():
        for site in sites:
            for name, (way, model) in series.items():
                part = scores_of(scores, site, way, model)
                value = part["value"]
                if part.empty or part["n"].iloc[0] < FEWEST or not np.isfinite(value["R"]):
                    continue
                found = dict(panel=panel, site=site, series=name, n=int(part["n"].iloc[0]))
                rows.append(found | {measure: value[measure] for measure in MEASURES})
    columns = ["panel", "site", "series", "n", *MEASURES]
    table = pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(MEASURES, "float64"))
    table["ratio"] = table["SD"] / table["SD target"]
    table["distance"] = table["ubRMSE"] / table["SD target"]
    table["x"], table["y"] = position(table["R"], table["ratio"])
    return table


def arc(radius: float, centre: float, start: float, end: float) -> tuple[np.ndarray, np.ndarray]:
    """Return x, y of an arc about (centre, 0) from one angle to another (radians)."""
    angle = np.linspace(start, end, 181)
    return centre + radius * np.cos(angle), radius * np.sin(angle)


def add_frame(axes, most: float, widest: float) -> None:
    """Draw the grid: rays of R, arcs of SD about 0 and of centred RMSE about the reference.

    `most` is the radius of the frame, `widest` the largest angle: pi/2, or pi where R < 0.
    """
    frame = Wedge((0, 0), most, 0, np.degrees(widest), fc="none", ec=INK, lw=0.8, zorder=2)
    axes.add_patch(frame)
    rays = [*RAYS, *(-ray for ray in RAYS[1:])] if widest > 2 else RAYS
    for ray in rays:
        x, y = position(ray, most)
        axes.plot([0, x], [0, y], color=LINE, lw=0.4, zorder=1)
        style = dict(fontsize=6.5, ha="left" if ray > 0 else "right" if ray < 0 else "center")
        axes.text(1.025 * x, 1.025 * y, f"{ray:g}".replace("-", "−"), va="center", **style)
    x, y = position(np.cos(np.pi / 4), 1.17 * most)
    turned = dict(rotation=-45, rotation_mode="anchor", ha="center", va="center")
    axes.text(x, y, "correlation R", fontsize=7.5, **turned)
    steps = [step for step in MaxNLocator(7, steps=[1, 2, 2.5, 5, 10]).tick_values(0, most)]
    steps = [step for step in steps if 0 < step <= most]
    for radius in steps:
        axes.plot(*arc(radius, 0, 0, widest), color=LINE, lw=0.4, zorder=1)
        far = arc(radius, 1, 0, np.pi)
        (line,) = axes.plot(*far, color="#5a8f5a", lw=0.6, ls=(0, (2, 2)), zorder=1)
        line.set_clip_path(frame)
        # Written where the arc is inside the frame and away from the reference's neighbours.
        x, y = arc(radius, 1, np.radians(118), np.radians(118))
        if np.hypot(x[0], y[0]) < 0.95 * most and (x[0] > 0.03 * most or widest > 2):
            style = dict(fontsize=6, color="#3f6f3f", ha="center", va="center", zorder=2)
            box = dict(fc="white", ec="none", pad=0.4)
            axes.text(x[0], y[0], f"{radius:g}", bbox=box, **style)
    axes.plot(*arc(1, 0, 0, widest), color=INK, lw=0.7, ls=(0, (5, 2)), zorder=1)
    axes.plot(1, 0, "*", ms=9, mfc="white", mec=INK, mew=0.9, clip_on=False, zorder=6)
    ticks = [-step for step in steps[::-1]] * (widest > 2) + [0, *steps]
    axes.set_xticks(ticks, [f"{abs(tick):g}" for tick in ticks])
    axes.set_yticks([])
    axes.set_xlabel("SD / SD in situ")
    for side in axes.spines.values():
        side.set_visible(False)
    axes.tick_params(length=2, width=0.5, labelsize=7)
    left = -1.1 * most if widest > 2 else -0.06 * most
    axes.set(aspect="equal", xlim=(left, 1.14 * most), ylim=(-0.03 * most, 1.14 * most))


def figure_of(table: pd.DataFrame, left: str):
    """Return the figure: a diagram each of all and of the test years, one frame for both."""
    panels = [panel for panel in PANELS if (table["panel"] == panel).any()]
    if not panels:
        figure = canvas(height=1.2)
        text = f"No station has {FEWEST} months that vary: there is no point to draw."
        figure.text(0.5, 0.5, text, ha="center")
        return figure
    most = max(1.5, 1.08 * table["ratio"].max())
    turned = (table["R"] < 0).any()
    lines = 2 if turned and len(panels) > 1 else 1
    figure = canvas(height=1.0 + (3.1 * lines))
    grid = figure.subplots(lines, -(-len(panels) // lines), squeeze=False)
    sites = list(dict.fromkeys(table["site"]))
    symbols = dict(zip(sites, SYMBOLS, strict=False))
    for letter, axes, panel in zip("ab", grid.flat, panels, strict=False):
        add_frame(axes, most, np.pi if turned else np.pi / 2)
        for row in table[table["panel"] == panel].itertuples():
            style = dict(mfc=LOOKS[row.series][1], mec="white", mew=0.5, ms=5.5, alpha=0.9)
            axes.plot(row.x, row.y, symbols[row.site], clip_on=False, zorder=5, **style)
        axes.set_title(f"({letter}) {panel}", loc="left")
    present = [name for name in LOOKS if (table["series"] == name).any()]
    add_legend(figure, symbols, present, left)
    return figure


def add_legend(figure, symbols: dict[str, str], present: list[str], left: str) -> None:
    """Explain colours, symbols and arcs beside the panels, and name what is not drawn."""
    plain = dict(ls="none", ms=5.5, mew=0.5, mec="white")
    handles = [
        Line2D([], [], marker="o", mfc=LOOKS[name][1], label=LOOKS[name][0], **plain)
        for name in present
    ]
    reference = dict(marker="*", ls="none", ms=8, mfc="white", mec=INK, label="in situ (reference)")
    handles.append(Line2D([], [], **reference))
    arcs = dict(color="#5a8f5a", lw=0.8, ls=(0, (2, 2)), label="centred RMSE / SD in situ")
    handles.append(Line2D([], [], **arcs))
    top = dict(loc="outside upper center", frameon=False, columnspacing=1.2, handlelength=1.4)
    legend = figure.legend(handles=handles, ncols=len(handles), title=left or None, **top)
    legend.get_title().set_fontsize(7.5)
    handles = [
        Line2D([], [], marker=symbol, mfc="0.35", label=site, **plain)
        for site, symbol in symbols.items()
    ]
    style = dict(frameon=False, handlelength=0.8, labelspacing=0.7)
    figure.legend(handles=handles, loc="outside right center", **style)


def main(scores_file, png, pdf, csv, sites, months, note):
    scores = pd.read_csv(scores_file, dtype={"site": str})
    counts = months_of(scores)
    chosen, left = pick(counts, sites, months)
    table = drawn(scores, chosen)
    save(figure_of(table, absent(left)), png, pdf, note)
    write_table(table, csv)
    for (panel, series), part in table.groupby(["panel", "series"], sort=False):
        text = "%s, %s: %d sites, R %.2f to %.2f, SD ratio %.2f to %.2f"
        ends = [f(part[name]) for name in ("R", "ratio") for f in (min, max)]
        log.info(text, panel, LOOKS[series][0], len(part), *ends)
    if left:
        log.info("%s", absent(left))


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        scores_file=snakemake.input.sites,
        png=snakemake.output.png,
        pdf=snakemake.output.pdf,
        csv=snakemake.output.csv,
        sites=snakemake.params.sites,
        months=snakemake.params.months,
        note=snakemake.params.note,
    )
