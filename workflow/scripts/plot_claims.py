"""Draw what validation claims above what is true: the picture of how far a score can be trusted.

The usual test, unseen times of places seen, is passed by a look-up of places, so it cannot tell
what a map is worth (Ploton et al. 2020, doi:10.1038/s41467-020-18321-y). Below the claims stand
the forest against every cell of its target and, where the truth is simulated, the map against the
truth; lines carry both up to the claims (C14).
"""

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from _figures import BLUE, INK, ORANGE, canvas, printed, save
from _log import UserError, log, log_to
from _table import write_table
from _trust import in_every_cell, of_target, score_of, stated

COLUMNS = ["group", "row", "model", "value", "low", "high", "n"]
NAN = float("nan")
OWN, PAPER, OTHER, SAID = "this study", "paper's protocol", "other", "stated"
USUAL = "Unseen times of places seen (the usual)"
CLAIMS = {
    "temporal": USUAL,
    "random_cv": "Random folds",
    "leave_location_out": "Places left out",
    "leave_location_time_out": "Places and times left out",
    "knndm": "Folds as far away as the map (kNNDM)",
}
MEMORIES = {
    "white noise": "– by a forest on a random number per place",
    "look-up": "– by a look-up of place and month",
}
EVERY_CELL, MAP, STATEMENT = "Forest, in every SMCI cell", "Map", "Map, as stated without the truth"
PRODUCTS = {
    "map": (MAP, OWN),
    "forest alone": ("Forest alone", OWN),
    "paper's protocol": ("Forest alone", PAPER),
    "SMCI, bilinear": ("SMCI, interpolated", OTHER),
}
HEADS = {
    "claimed": "What a validation claims",
    "target": "What is true of the forest, against its target",
    "truth": "What is true of soil moisture, in every 250 m cell",
    "stated": "What this run states of soil moisture, at 250 m",
}
MARKS = {
    OWN: dict(marker="o", ms=5.5, mfc=BLUE, color=BLUE),
    PAPER: dict(marker="o", ms=5.5, mfc="white", color=ORANGE),
    OTHER: dict(marker="s", ms=4.5, mfc=INK, color=INK),
    SAID: dict(marker="D", ms=5, mfc="white", color=BLUE),
}
LEGEND = {
    OWN: "this study",
    PAPER: "paper's protocol",
    OTHER: "to compare",
    SAID: "stated, not measured",
}
LIFT = {OWN: -0.17, PAPER: 0.17}  # of two dots in a row


def claimed(metrics: pd.DataFrame, baseline: pd.DataFrame | None, bars: pd.DataFrame) -> list:
    """Return rows of COLUMNS of what each design claims, and of what passes the usual one."""
    rows = []

    def add(table, words, model, protocol):
        found = score_of(table, protocol, "RMSE", of_target(table))
        if found is not None:
            rows.append(("claimed", words, model, *found[["value", "low", "high", "n"]]))

    for protocol, words in CLAIMS.items():
        add(metrics, words, OWN, protocol)
        if baseline is not None:
            add(baseline, words, PAPER, protocol)
        if protocol == "temporal":
            for name, memory in MEMORIES.items():
                add(bars[bars["model"] == name], memory, OTHER, protocol)
    if OWN not in {model for _, _, model, *_ in rows}:
        raise UserError(
            f"metrics.csv: expected an RMSE of one of {', '.join(CLAIMS)}, found the protocols "
            f"{', '.join(sorted(set(metrics['protocol']))) or 'of no row'}. "
            "Run score_predictions again."
        )
    return rows


def true_of(target: pd.DataFrame | None, test: list[str]) -> list:
    """Return the row of COLUMNS of the forest in every cell of its target, if any."""
    value, cells = (NAN, 0) if target is None else in_every_cell(target, test)
    return [("target", EVERY_CELL, OWN, value, NAN, NAN, cells)] if cells else []


def against_truth(score: pd.DataFrame | None, errors: pd.DataFrame) -> list:
    """Return rows of COLUMNS of products against the truth, and of what is stated without it."""
    rows, group = [], "stated"
    if score is not None:
        group = "truth"
        test = score[(score["period"] == "test") & (score["metric"] == "RMSE")].set_index("product")
        rows = [
            (group, words, model, test.loc[name, "value"], NAN, NAN, test.loc[name, "n"])
            for name, (words, model) in PRODUCTS.items()
            if name in test.index
        ]
    said = stated(errors)
    if said is not None:
        rows.append((group, STATEMENT, SAID, *said[["value", "low", "high", "n"]]))
    return rows


def heights(table: pd.DataFrame) -> tuple[dict[tuple, float], dict[str, float]]:
    """Return {(group, row): height} and {group: height of its heading}, from the top down."""
    rows, heads, at = {}, {}, 0.0
    for group, part in table.groupby("group", sort=False):
        heads[group] = at
        for words in part["row"].unique():
            at += 1
            rows[group, words] = at
        at += 1.35
    return rows, heads


def truths(table: pd.DataFrame) -> list[tuple[float, str]]:
    """Return (RMSE, words) of what is true, smallest first: the lines that rise to the claims."""
    known = table.set_index(["group", "row"])["value"]
    lines = [
        (known[key], words)
        for key, words in (
            (("target", EVERY_CELL), "true: forest against SMCI"),
            (("truth", MAP), "true: map against soil moisture"),
        )
        if key in known.index
    ]
    return sorted(lines)


def draw_truths(axes, table: pd.DataFrame, rows: dict) -> None:
    """Draw the lines of truth, their names above, and the gap of the usual claim to the first."""
    lines = truths(table)
    for number, (value, words) in enumerate(lines):
        axes.axvline(value, color=INK, lw=1, ls=(0, (4, 3)), alpha=0.55, zorder=1)
        first = number == 0
        axes.annotate(
            words,
            (value, 1),
            (-3 if first else 3, 3),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            ha="right" if first else "left",
            va="bottom",
        )
    usual = table[(table["row"] == USUAL) & (table["model"] == OWN)]
    against = table[table["group"] == "target"]
    if usual.empty or against.empty:
        return
    claim, truth = usual["value"].iloc[0], against["value"].iloc[0]
    reach = [at for (group, _), at in rows.items() if group == "claimed"]
    ends = min(reach) - 0.45, max(reach) + 0.45
    axes.fill_betweenx(ends, claim, truth, color=BLUE, alpha=0.13, lw=0, zorder=0)
    shown = table[table["row"] == USUAL][["value", "low", "high"]].max().max()
    beyond = max([shown, *(value for value, _ in lines)])
    word = "low" if claim < truth else "high"
    axes.set_xlim(0, max(axes.get_xlim()[1], 1.4 * beyond))  # room for the words
    axes.annotate(
        f"{abs(truth - claim):.3f} too {word}",
        (beyond, rows["claimed", USUAL]),
        (5, 0),
        textcoords="offset points",
        va="center",
        color=BLUE,
    )


def figure_of(table: pd.DataFrame, unit: str):
    """Return the figure of the rows of COLUMNS: groups from the top down, numbers at the right."""
    rows, heads = heights(table)
    figure = canvas(height=1.25 + 0.2 * max(rows.values()))
    axes = figure.subplots()
    both = table.groupby(["group", "row"])["model"].transform("nunique") > 1
    for (_, row), paired in zip(table.iterrows(), both, strict=True):
        at = rows[row["group"], row["row"]]
        y = at + (LIFT.get(row["model"], 0) if paired else 0)
        mark = MARKS[row["model"]]
        dashes = (0, (2, 1.5)) if row["model"] == SAID else "-"
        axes.plot([row["low"], row["high"]], [y, y], color=mark["color"], lw=1.3, ls=dashes)
        axes.plot(row["value"], y, ls="", mew=1.2, zorder=4, **mark)
        column = 1.14 if row["model"] == PAPER else 1.01
        axes.text(
            column,
            at,
            f"{row['value']:.3f}",
            transform=axes.get_yaxis_transform(),
            va="center_baseline",
            color=mark["color"],
        )
    widest = np.nanmax(table[["value", "high"]].to_numpy(float))
    axes.set_xlim(0, 1.04 * widest)
    axes.set_ylim(max(rows.values()) + 0.7, -0.6)
    draw_truths(axes, table, rows)
    for group, at in heads.items():
        axes.text(
            0.006,
            at,
            HEADS[group],
            transform=axes.get_yaxis_transform(),
            weight="bold",
            va="center",
            bbox=dict(fc="white", ec="none", pad=1),
            zorder=5,
        )
    axes.set_yticks(list(rows.values()), [words for _, words in rows])
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x", color=INK, alpha=0.1, lw=0.5)
    axes.set_axisbelow(True)
    axes.set_xlabel(f"RMSE ({printed(unit)}); lines: 95 % intervals")
    axes.xaxis.set_major_locator(MaxNLocator(7, steps=[1, 2, 5, 10]))
    handles = [
        Line2D([], [], ls="", mew=1.2, label=LEGEND[model], **mark)
        for model, mark in MARKS.items()
        if (table["model"] == model).any()
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=4, frameon=False)
    return figure


def main(metrics, baseline, bars, target, errors, score, png, pdf, csv, test, unit, note):
    rows = claimed(
        pd.read_csv(metrics),
        pd.read_csv(baseline) if baseline else None,
        pd.read_csv(bars),
    )
    rows += true_of(pd.concat(map(pd.read_csv, target)) if target else None, test)
    rows += against_truth(pd.read_csv(score) if score else None, pd.read_csv(errors))
    table = pd.DataFrame(rows, columns=COLUMNS)
    save(figure_of(table, unit), png, pdf, note)
    write_table(table, csv)
    for row in table.itertuples():
        log.info("%s: %s (%s) RMSE %.4f", row.group, row.row, row.model, row.value)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        metrics=snakemake.input.metrics,
        baseline=snakemake.input.baseline,
        bars=snakemake.input.bars,
        target=snakemake.input.target,
        errors=snakemake.input.errors,
        score=snakemake.input.score,
        png=snakemake.output.png,
        pdf=snakemake.output.pdf,
        csv=snakemake.output.csv,
        test=snakemake.params.test,
        unit=snakemake.params.unit,
        note=snakemake.params.note,
    )
