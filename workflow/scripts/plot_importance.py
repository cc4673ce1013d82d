"""Draw what the forest loses without each predictor, at places seen and never seen (S24, F7).

Both panels have one order, that of places never seen: what ranks high only at places seen
helps to recognise a place, as white noise does.
"""

import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from _figures import BLUE, INK, ORANGE, canvas, printed, save
from _log import UserError, log, log_to
from _table import write_table

NOISE = "white noise"
WORDS = {
    "temporal": "Unseen times of seen places",
    "leave_location_time_out": "Unseen times of places never seen",
}
HOLLOW = dict(marker="D", ls="", ms=4, mfc="white", mec=INK, mew=0.8)
COLUMNS = {"predictor", "protocol", "kind", "mean", "sd", "noise", "repeat_1"}


def ordered(importance: pd.DataFrame) -> pd.DataFrame:
    """Return the table by protocol, kind and predictor, most important first, with its rank.

    The order of predictors is that of the last protocol of WORDS that there is, for all; the
    rank is that of each protocol and kind, and white noise comes after the predictors.
    """
    missing = COLUMNS - set(importance)
    if missing:
        raise UserError(
            f"importance.csv: expected the columns {', '.join(sorted(missing))}, found "
            f"{', '.join(importance)}. Run rank_predictors again."
        )
    known = [name for name in WORDS if (importance["protocol"] == name).any()]
    table = importance[importance["protocol"].isin(known)].copy()
    by = table.groupby(["protocol", "kind"])["mean"]
    table.insert(0, "rank", by.rank(ascending=False, method="first").astype(int))
    leading = table[(table["protocol"] == known[-1]) & (table["kind"] != "drop")]
    leading = leading.sort_values(["kind", "mean"], ascending=False)  # single before group
    names = [name for name in leading["predictor"] if name != NOISE]
    place = {name: number for number, name in enumerate([*names, NOISE])}
    table["protocol"] = pd.Categorical(table["protocol"], known)
    table["kind"] = pd.Categorical(table["kind"], ["single", "group", "drop"])
    table["place"] = table["predictor"].map(place)
    table = table.sort_values(["protocol", "kind", "place"], ignore_index=True)
    return table.drop(columns="place").astype({"protocol": str, "kind": str})


def heights(table: pd.DataFrame) -> dict[str, float]:
    """Return {predictor: height on the axis}: single ones, white noise, a gap, then groups."""
    names = {kind: part["predictor"].unique() for kind, part in table.groupby("kind")}
    rows = {name: float(n) for n, name in enumerate(names["single"])}
    gap = len(rows) + 0.9
    return rows | {name: gap + n for n, name in enumerate(names.get("group", []))}


def draw(axes, part: pd.DataFrame, height: dict[str, float]) -> None:
    """Draw one protocol: bars, their repeats, refits as hollow diamonds, the line of noise."""
    repeats = [name for name in part if name.startswith("repeat_")]
    for kind, shade in (("single", 0.55), ("group", 0.3)):
        rows = part[part["kind"] == kind]
        at = rows["predictor"].map(height)
        colours = [ORANGE if name == NOISE else BLUE for name in rows["predictor"]]
        axes.barh(at, rows["mean"], color=colours, height=0.68, alpha=shade)
        for name in repeats:
            axes.plot(rows[name], at, "o", ms=1.8, color=INK, alpha=0.6, mew=0)
    drop = part[part["kind"] == "drop"]
    axes.plot(drop["mean"], drop["predictor"].map(height), zorder=4, **HOLLOW)
    axes.axvline(0, color=INK, lw=0.6)
    line = part.loc[part["kind"] == "single", "noise"].iloc[0]
    axes.axvline(line, color=ORANGE, ls=(0, (4, 2)), lw=1.1, zorder=3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color=INK, alpha=0.1, lw=0.5)
    axes.set_axisbelow(True)


def label_noise(axes, part: pd.DataFrame, below: float) -> None:
    """Name the line of noise at a height, on the side of it where there is more room."""
    line, (left, right) = part["noise"].iloc[0], axes.get_xlim()
    side = -1 if line > (left + right) / 2 else 1
    axes.annotate(
        NOISE,
        (line, below),
        (3 * side, 0),
        textcoords="offset points",
        ha="left" if side > 0 else "right",
        va="center",
        color=ORANGE,
    )


def figure_of(table: pd.DataFrame, unit: str):
    """Return one panel a protocol, with the same rows and the same scale in each."""
    height = heights(table)
    parts = list(table.groupby("protocol", sort=False))
    figure = canvas(height=1.15 + 0.17 * len(height))
    panels = figure.subplots(1, len(parts), squeeze=False, sharex=True, sharey=True)[0]
    for axes, (protocol, part) in zip(panels, parts, strict=True):
        draw(axes, part, height)
        axes.set_title(WORDS[protocol], loc="left")
        axes.set_xlabel(f"Increase of RMSE ({printed(unit)})")
    below = height[NOISE] + 0.95  # nothing is drawn between the predictors and the groups
    for axes, (_, part) in zip(panels, parts, strict=True):
        label_noise(axes, part[part["kind"] == "single"], below)
    labels = [name.replace("+", " + ") for name in height]
    # Numbers have many digits: there is room for few.
    panels[0].xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    panels[0].set_yticks(list(height.values()), labels)
    panels[0].set_ylim(max(below, *height.values()) + 0.6, -0.6)
    handles = [
        Patch(color=BLUE, alpha=0.55, lw=0, label="permuted"),
        Patch(color=BLUE, alpha=0.3, lw=0, label="group permuted together"),
        Line2D([], [], color=INK, marker="o", ms=2.5, mew=0, ls="", label="each repeat"),
        Line2D([], [], label="left out of the fit", **HOLLOW),
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=4, frameon=False)
    return figure


def main(importance, png, pdf, csv, note, unit):
    table = ordered(pd.read_csv(importance))
    save(figure_of(table, unit), png, pdf, note)
    write_table(table, csv)
    for protocol, part in table[table["kind"] == "single"].groupby("protocol", sort=False):
        log.info("%s: %s", protocol, " > ".join(part.sort_values("rank")["predictor"]))


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        importance=snakemake.input.importance,
        png=snakemake.output.png,
        pdf=snakemake.output.pdf,
        csv=snakemake.output.csv,
        note=snakemake.params.note,
        unit=snakemake.params.unit,
    )
