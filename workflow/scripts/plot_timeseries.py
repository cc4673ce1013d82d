"""Draw the months of single stations (S22, F4): measured, as trained, left out, and SMCI.

As trained, the forest has seen the station's own training years: they are shaded, and say nothing
of places without a station. The station left out does (N15).
"""

from math import ceil

import numpy as np
import pandas as pd

from _figures import INK, LOOKS, canvas, printed, save
from _log import log, log_to
from _sites import SMCI, absent, months_of, pick, scores_of
from _table import write_table

ACROSS = 3  # panels side by side
SHADE = "#e9e9e9"
JOINED = 31  # days from one value to the next that a line may join: a month
# The rows of `score_sites` that belong to each line.
WAYS = {
    "seen": ("all years", "forest"),
    "out": ("left out, all years", "forest"),
    "SMCI": ("all years", SMCI),
}
COLUMNS = ["site", "series", "item", "month", "value", "low", "high"]


def places(months: list[str]) -> dict[str, float]:
    """Return {month: position}: one apart, two where months lie between that no site has.

    `months` are sorted, 'YYYY-MM' or 'YYYY-MM-DD'.
    """
    days = pd.to_datetime(pd.Series(months, dtype=str), format="ISO8601")
    gaps = (days.diff().dt.days > JOINED).to_numpy()
    return dict(zip(months, np.arange(len(months)) + np.cumsum(gaps), strict=True))


def series_of(predictions: pd.DataFrame, site: str) -> pd.DataFrame:
    """Return a row a month of `site`, sorted, with the columns of LOOKS, lower and upper.

    Lower and upper bound the prediction of the station left out. What has no value is NaN.
    """
    here = predictions[predictions["site"] == site]
    seen = here[here["protocol"].isin(["train", "temporal"])].groupby("month")
    out = here[here["protocol"] == "leave_location_out"].groupby("month")
    columns = {
        "in situ": seen["target"].mean(),
        "seen": seen["prediction"].mean(),
        "out": out["prediction"].mean(),
        "lower": out["lower"].mean(),
        "upper": out["upper"].mean(),
        "SMCI": seen["SMCI"].mean(),
    }
    return pd.DataFrame(columns).sort_index()


def spans(places: dict[str, float], test: list[str]) -> list[tuple[float, float]]:
    """Return the stretches (from, to) of positions in which no month is a test month."""
    found, last = [], False
    for month, x in places.items():
        train = not month.startswith(tuple(test))
        if train and last:
            found[-1][1] = x + 0.5
        elif train:
            found.append([x - 0.5, x + 0.5])
        last = train
    return [tuple(span) for span in found]


def ticks(places: dict[str, float]) -> list[tuple[float, str]]:
    """Return (position, label): the middle of every year, or each month if there is one year."""
    years = pd.Series(places).groupby(lambda month: month[:4]).mean()
    if len(years) == 1:
        step = ceil(len(places) / 6)
        return [(x, month[5:]) for month, x in list(places.items())[::step]]
    step = ceil(len(years) / 6)
    return [(x, year) for year, x in list(years.items())[::step]]


def drawn(series: dict[str, pd.DataFrame], scores: pd.DataFrame) -> pd.DataFrame:
    """Return what is drawn, long: COLUMNS; `item` is value, or the score R or RMSE of a series."""
    rows = []
    for site, table in series.items():
        for name in LOOKS:
            part = table[name].dropna()
            bounds = table.loc[part.index, ["lower", "upper"]].to_numpy("float64")
            if name != "out":
                bounds = np.full_like(bounds, np.nan)
            rows += [
                (site, name, "value", month, value, *pair)
                for (month, value), pair in zip(part.items(), bounds, strict=True)
            ]
        for name, (way, model) in WAYS.items():
            value = scores_of(scores, site, way, model)["value"]
            for item in value.index.intersection(["R", "RMSE"]):
                rows.append((site, name, item, "", value[item], np.nan, np.nan))
    return pd.DataFrame(rows, columns=COLUMNS)


def add_panel(axes, table: pd.DataFrame, at: dict[str, float]) -> None:
    """Draw the series of one site; a line stops where a month has no value."""
    broken = np.arange(min(at.values()), max(at.values()) + 1)
    for name, (_, colour, line) in LOOKS.items():
        part = table[(table["series"] == name) & (table["item"] == "value")]
        part = part.assign(x=part["month"].map(at)).set_index("x").reindex(broken)
        if name == "out":
            bounds = part["low"].to_numpy(), part["high"].to_numpy()
            axes.fill_between(broken, *bounds, color=colour, alpha=0.16, lw=0, zorder=1)
        size = 1.6 if len(at) > 24 else 3.0
        dots = dict(marker="o", ms=size if name == "in situ" else 0.7 * size, mew=0)
        width = 0.6 if name == "in situ" else 0.9
        axes.plot(broken, part["value"], color=colour, ls=line, lw=width, zorder=3, **dots)
    items = table[table["item"] != "value"].set_index(["series", "item"])["value"]
    for place, name in enumerate(WAYS):
        if (name, "RMSE") in items:
            text = f"{items.get((name, 'R'), np.nan):.2f} · {items[name, 'RMSE']:.3f}"
            text = text.replace("-", "−").replace("nan", "–")
            style = dict(color=LOOKS[name][1], fontsize=6.5, va="bottom")
            side = ("left", "center", "right")[place]
            axes.text(place / 2, 1.02, text, ha=side, transform=axes.transAxes, **style)


def figure_of(table: pd.DataFrame, months: dict[str, int], test: list[str], unit: str, left: str):
    """Return the figure: a panel for each site of `months` {site: months}, one scale."""
    if not months:
        figure = canvas(height=1.2)
        figure.text(0.5, 0.5, "No station has samples: there is no series to draw.", ha="center")
        return figure
    values = table[table["item"] == "value"]
    at = places(sorted(values["month"].unique()))
    across = min(ACROSS, len(months))
    lines = ceil(len(months) / across)
    figure = canvas(height=1.0 + 1.5 * lines)
    grid = figure.subplots(lines, across, sharex=True, sharey=True, squeeze=False)
    for letter, axes, site in zip("abcdefghijkl", grid.flat, months, strict=False):
        for start, end in spans(at, test):
            axes.axvspan(start, end, color=SHADE, lw=0, zorder=0)
        add_panel(axes, table[table["site"] == site], at)
        axes.set_title(f"({letter}) {site}, n = {months[site]}", loc="left", pad=13)
        axes.set_xticks(*zip(*ticks(at), strict=True))
        axes.set_xlim(min(at.values()) - 0.7, max(at.values()) + 0.7)
        axes.tick_params(length=2, width=0.5, labelsize=7)
        axes.grid(axis="y", lw=0.3, color="0.75")
        axes.set_axisbelow(True)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
    for axes in list(grid.flat)[len(months) :]:
        axes.set_axis_off()
    for axes in list(grid.flat)[max(0, len(months) - across) : len(months)]:
        axes.tick_params(labelbottom=True)
    figure.supylabel(f"Soil moisture ({printed(unit)})", fontsize=8)
    add_legend(figure, set(values["series"]), printed(unit), left)
    return figure


def add_legend(figure, present: set[str], unit: str, left: str) -> None:
    """Explain the lines, the shade, the numbers above the panels, and name what is not drawn."""
    axes, handles = figure.axes[0], []
    for name, (label, colour, line) in LOOKS.items():
        if name in present:
            handles += axes.plot([], [], color=colour, ls=line, lw=1.4, label=label)
        if name == "out" and name in present:
            style = dict(color=colour, alpha=0.2, lw=0, label="its interval")
            handles.append(axes.fill_between([], [], **style))
    handles.append(axes.fill_between([], [], color=SHADE, lw=0, label="training months"))
    lines = [
        f"Above each panel: R · RMSE ({unit}) of the line of that colour",
        *filter(None, [left]),
    ]
    style = dict(loc="outside upper center", ncols=len(handles), frameon=False, columnspacing=1.2)
    legend = figure.legend(handles=handles, handlelength=1.6, title="\n".join(lines), **style)
    legend.get_title().set(fontsize=7.5, color=INK, multialignment="center")


def main(predictions, products, scores_file, png, pdf, csv, sites, months, test, unit, note):
    columns = ["sample", "source", "site", "month", "protocol", "target", "prediction"]
    rows = pd.read_parquet(predictions, columns=[*columns, "lower", "upper"])
    rows = rows[rows["source"] != "smci"]
    values = pd.read_parquet(products) if products else pd.DataFrame(columns=["sample"])
    values = values.rename(columns={SMCI: "SMCI"}).reindex(columns=["sample", "SMCI"])
    rows = rows.merge(values, on="sample", how="left", validate="m:1")
    scores = pd.read_csv(scores_file, dtype={"site": str})
    counts = months_of(scores)
    chosen, left = pick(counts, sites, months)
    table = drawn({site: series_of(rows, site) for site in chosen}, scores)
    shown = {site: counts[site] for site in chosen}
    save(figure_of(table, shown, test, unit, absent(left)), png, pdf, note)
    write_table(table, csv)
    log.info("%d of %d sites with samples drawn", len(chosen), len(counts))
    if left:
        log.info("%s", absent(left))


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        predictions=snakemake.input.predictions,
        products=snakemake.input.products,
        scores_file=snakemake.input.sites,
        png=snakemake.output.png,
        pdf=snakemake.output.pdf,
        csv=snakemake.output.csv,
        sites=snakemake.params.sites,
        months=snakemake.params.months,
        test=snakemake.params.test,
        unit=snakemake.params.unit,
        note=snakemake.params.note,
    )
