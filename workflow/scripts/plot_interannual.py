"""Draw the area-mean soil moisture and rain of every month and year (S26, F9, N25-N28, C6)."""

import numpy as np
import pandas as pd

from _figures import BLUE, GREEN, INK, MISSING, ORANGE, canvas, save
from _log import UserError, log, log_to
from _season import season_of
from _table import write_table

LINES = {
    "SMCI": dict(color=ORANGE, lw=0.9, alpha=0.65, marker="o", ms=1.6),
    "ERA5-Land": dict(color=GREEN, lw=0.9, alpha=0.65, marker="o", ms=1.6),
    "soil_moisture": dict(color=BLUE, lw=1.5, marker="o", ms=2.6),
}
NAMES = {"soil_moisture": "Map"}
RAIN = "#9fb6c8"
PAIR = "soil_moisture~rain"
GAP = 1.5  # months of space between two seasons


def positions(months: list[str], begins: int = 1) -> dict[str, float]:
    """Return {month: place on the axis}: months side by side, a gap between years."""
    at, places, year = 0.0, {}, None
    for month in sorted(months):
        if year is not None and season_of(month, begins) != year:
            at += GAP
        places[month], year = at, season_of(month, begins)
        at += 1
    return places


def statistic(table: pd.DataFrame, quantity: str, of: str, scale: str) -> pd.Series | None:
    """Return a row of series_statistics.csv with a value, None if there is none."""
    rows = table[
        (table["quantity"] == quantity) & (table["of"] == of) & (table["scale"] == scale)
    ].dropna(subset=["value"])
    return rows.iloc[0] if len(rows) else None


def probability(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"


def correlation(table: pd.DataFrame, scale: str) -> str:
    """Return in words how map and rain go together."""
    row = statistic(table, "correlation", PAIR, scale)
    if row is None:
        return "not known, too few values"
    words = f"R = {row['value']:.2f}"
    if np.isfinite(row["low"]):
        words += f" (95 % {row['low']:.2f} to {row['high']:.2f})"
    return words + (f", {probability(row['p'])}" if np.isfinite(row["p"]) else "")


def trend(table: pd.DataFrame) -> str:
    """Return in words the trend of the map's annual means."""
    row = statistic(table, "sen_slope", "soil_moisture", "annual")
    if row is None or not np.isfinite(row["p"]):
        return "Trend of the map: not known, too few years"
    words = f"Trend of the map: {1000 * row['value']:+.2f} × 10⁻³ m³/m³ a year"
    if np.isfinite(row["low"]):
        words += f" (95 % {1000 * row['low']:+.2f} to {1000 * row['high']:+.2f})"
    said = "there is one" if row["p"] < 0.05 else "none shown"
    return f"{words}, {probability(row['p'])}: {said}".replace("-", "−")


def draw(axes, table: pd.DataFrame, places: dict[str, float], label: str):
    """Draw one panel: lines of soil moisture over bars of rain on an axis of its own."""
    other = axes.twinx()
    wide = table.pivot_table(index="period", columns="quantity", values="value")
    wide = wide.reindex(list(places))
    at = np.array(list(places.values()))
    broken = np.flatnonzero(np.diff(at) > 1) + 1
    if "rain" in wide:
        other.bar(at, wide["rain"], 0.8, color=RAIN, label="Rain")
        top = np.nanmax(wide["rain"].to_numpy(float)) if wide["rain"].notna().any() else 1
        other.set_ylim(0, max(top, 1) / 0.42)
        other.set_yticks([tick for tick in other.get_yticks() if tick <= 1.1 * top])
    other.set_ylabel("Rain (mm/month)", loc="bottom")
    other.spines["top"].set_visible(False)
    for quantity, style in LINES.items():
        if quantity in wide:
            values, x = np.insert(wide[quantity].to_numpy(float), broken, np.nan), at
            axes.plot(
                np.insert(x, broken, np.nan), values, label=NAMES.get(quantity, quantity), **style
            )
    drawn = wide.reindex(columns=list(LINES)).to_numpy(float)
    if np.isfinite(drawn).any():
        low, high = np.nanmin(drawn), np.nanmax(drawn)
        span = max(high - low, 0.01)
        axes.set_ylim(low - 0.9 * span, high + 0.12 * span)
        axes.set_yticks([tick for tick in axes.get_yticks() if tick >= low - 0.1 * span])
        axes.set_ylim(low - 0.9 * span, high + 0.12 * span)
    axes.set_zorder(other.get_zorder() + 1)
    axes.patch.set_visible(False)
    axes.spines["top"].set_visible(False)
    axes.set_ylabel(f"Soil moisture\n(m³/m³), {label}", loc="top")
    axes.set_xlim(at.min() - 0.9, at.max() + 0.9)
    return other


def tested(periods, test: list[str], begins: int = 1) -> set[str]:
    """Return the periods, months or years, of which the forest was trained on no month."""
    months = [period for period in periods if len(period) == 7]
    held_out = {month for month in months if month.startswith(tuple(test))}
    seen = {season_of(month, begins) for month in months if month not in held_out}
    return held_out | {season_of(month, begins) for month in held_out} - seen


def shade(axes, places: dict[str, float], held_out: set[str]) -> None:
    """Shade the periods that the forest was not trained on."""
    at = [place for period, place in places.items() if period in held_out]
    for number, place in enumerate(at):
        axes.axvspan(
            place - 0.5,
            place + 0.5,
            color=MISSING,
            alpha=0.6,
            lw=0,
            zorder=-5,
            label="Not trained on (test)" if number == 0 else None,
        )


def figure_of(series: pd.DataFrame, statistics: pd.DataFrame, held_out: set[str], begins: int = 1):
    """Return the figure of series.csv and series_statistics.csv: months above, years below."""
    monthly = series[series["period"].str.len() == 7]
    annual = series[series["period"].str.len() == 4]
    figure = canvas(height=5.6)
    upper, lower = figure.subplots(2, 1, height_ratios=[1.1, 1])
    places = positions(monthly["period"].unique().tolist(), begins)
    years = {year: float(n) for n, year in enumerate(sorted(annual["period"].unique()))}
    below = [draw(upper, monthly, places, "months"), draw(lower, annual, years, "years")]
    shade(below[0], places, held_out)
    shade(below[1], years, held_out)
    middles = pd.Series(places).groupby(lambda month: season_of(month, begins)).mean()
    upper.set_xticks(middles, middles.index)
    lower.set_xticks(list(years.values()), list(years))
    upper.set_title(
        f"Monthly means. Map and rain: {correlation(statistics, 'monthly')};\n"
        f"without the mean of each calendar month: {correlation(statistics, 'deseasonalised')}",
        loc="left",
    )
    lower.set_title(
        f"Means of the season. Map and rain: {correlation(statistics, 'annual')}\n"
        f"{trend(statistics)}",
        loc="left",
    )
    handles, labels = upper.get_legend_handles_labels()
    more, names = below[0].get_legend_handles_labels()
    figure.legend(
        handles + more, labels + names, loc="outside upper center", ncols=5, frameon=False
    )
    for axes in (upper, lower):
        axes.tick_params(axis="x", length=0, colors=INK)
    return figure


def main(series, statistics, png, pdf, csv, test, note, year_begins):
    table = pd.read_csv(series, dtype={"period": str})
    if not (table["quantity"] == "soil_moisture").any():
        raise UserError(
            f"{series}: expected rows of soil_moisture, found "
            f"{', '.join(sorted(set(table['quantity']))) or 'no row'}. Run summarise_series again."
        )
    found = pd.read_csv(statistics, dtype={"scale": str})
    held_out = tested(table["period"].unique(), test, year_begins)
    save(figure_of(table, found, held_out, year_begins), png, pdf, note)
    shown = table[table["quantity"].isin([*LINES, "rain"])]
    shown = shown.assign(test=shown["period"].isin(held_out).astype(int))
    write_table(
        pd.concat([shown, found.rename(columns={"of": "quantity", "quantity": "statistic"})]), csv
    )
    log.info("%d periods; %s", shown["period"].nunique(), trend(found))


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        series=snakemake.input.series,
        statistics=snakemake.input.statistics,
        png=snakemake.output.png,
        pdf=snakemake.output.pdf,
        csv=snakemake.output.csv,
        test=snakemake.params.test,
        note=snakemake.params.note,
        year_begins=snakemake.params.year_begins,
    )
