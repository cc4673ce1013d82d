"""Draw what permuting each predictor costs at unseen times (S24, F7), with every repeat.

A predictor that stays constant at a place ranks high when it helps to recognise the place.
"""

import pandas as pd

from _figures import BLUE, INK, canvas, printed, save
from _log import UserError, log, log_to
from _table import write_table

WORDS = {
    "temporal": "unseen times of seen places",
    "leave_location_out": "places never seen",
    "leave_location_time_out": "unseen times of places never seen",
}


def ordered(importance: pd.DataFrame) -> pd.DataFrame:
    """Return the table by protocol, in each the most important predictor first, with its rank."""
    missing = {"predictor", "protocol", "mean", "sd", "repeat_1"} - set(importance)
    if missing:
        raise UserError(
            f"importance.csv: expected the columns {', '.join(sorted(missing))}, found "
            f"{', '.join(importance)}. Run rank_predictors again."
        )
    table = importance.sort_values(
        ["protocol", "mean", "predictor"], ascending=[True, False, True], ignore_index=True
    )
    table.insert(0, "rank", table.groupby("protocol").cumcount() + 1)
    return table


def figure_of(table: pd.DataFrame, unit: str):
    """Return one panel of bars a protocol: mean, standard deviation and every repeat."""
    parts = list(table.groupby("protocol"))
    figure = canvas(height=0.9 + 0.19 * len(parts[0][1]), width=3.6 * len(parts) + 0.6)
    panels = figure.subplots(1, len(parts), squeeze=False)[0]
    repeats = [name for name in table if name.startswith("repeat_")]
    for axes, (protocol, part) in zip(panels, parts, strict=True):
        axes.barh(part["predictor"], part["mean"], color=BLUE, height=0.65, alpha=0.5)
        axes.errorbar(
            part["mean"], part["predictor"], xerr=part["sd"], fmt="none", ecolor=INK, capsize=2
        )
        for name in repeats:
            axes.plot(part[name], part["predictor"], "o", ms=2, color=INK, alpha=0.6, mew=0)
        axes.axvline(0, color=INK, lw=0.6)
        axes.invert_yaxis()
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel(f"Increase of RMSE when permuted ({printed(unit)})")
        axes.set_title(f"Importance at {WORDS.get(protocol, protocol)}", loc="left")
    return figure


def main(importance, png, pdf, csv, note, unit):
    table = ordered(pd.read_csv(importance))
    save(figure_of(table, unit), png, pdf, note)
    write_table(table, csv)
    for protocol, part in table.groupby("protocol"):
        log.info("%s: %s", protocol, " > ".join(part["predictor"]))


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
