"""Draw predicted against target values (F3): training, unseen times, places never seen.

The first panel shows memory, the second unseen times of seen places (C14), the third what the
map does where no sample was.
"""

import numpy as np
import pandas as pd
from matplotlib.colors import LogNorm

from _figures import DENSITY, INK, ORANGE, canvas, printed, save
from _log import UserError, log, log_to
from _table import write_table

PANELS = {
    "train": "training samples",
    "temporal": "unseen times, seen places",
    "leave_location_out": "places never seen",
}
BINS = 60


def density(target: np.ndarray, prediction: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Return how many pairs fall into each square, shaped (target bins, prediction bins)."""
    return np.histogram2d(target, prediction, bins=(edges, edges))[0]


def fit(target: np.ndarray, prediction: np.ndarray) -> tuple[float, float]:
    """Return slope and intercept of the least-squares line prediction = slope target + b."""
    if np.ptp(target) == 0:
        return float("nan"), float("nan")
    slope, intercept = np.polyfit(target, prediction, 1)
    return float(slope), float(intercept)


def drawn(predictions: pd.DataFrame, metrics: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray]:
    """Return what the panels show, one row a square, line or score, and the edges of squares.

    Columns: protocol, item (density, fit_slope, fit_intercept or a metric), target and
    prediction (centre of the square, empty else), value.
    """
    found = predictions[predictions["protocol"].isin(PANELS)]
    if found.empty:
        raise UserError(
            f"predictions.parquet: expected one of the protocols {', '.join(PANELS)}, found "
            f"{', '.join(sorted(predictions['protocol'].unique())) or 'no row'}. "
            "Run cross_validate again."
        )
    both = found[["target", "prediction"]].to_numpy()
    pad = 0.02 * np.ptp(both) or 0.01
    edges = np.linspace(both.min() - pad, both.max() + pad, BINS + 1)
    centre = (edges[1:] + edges[:-1]) / 2
    rows = []
    for protocol in PANELS:
        part = found[found["protocol"] == protocol]
        if part.empty:
            continue
        target, prediction = part["target"].to_numpy(), part["prediction"].to_numpy()
        counts = density(target, prediction, edges)
        for i, j in np.argwhere(counts):
            rows.append((protocol, "density", centre[i], centre[j], counts[i, j]))
        for item, value in zip(
            ("fit_slope", "fit_intercept"), fit(target, prediction), strict=True
        ):
            rows.append((protocol, item, np.nan, np.nan, value))
        scores = metrics[(metrics["protocol"] == protocol) & (metrics["subset"] == "all")]
        for name, value in scores.set_index("metric")["value"].items():
            rows.append((protocol, name, np.nan, np.nan, value))
        rows.append((protocol, "N", np.nan, np.nan, len(part)))
    return pd.DataFrame(rows, columns=["protocol", "item", "target", "prediction", "value"]), edges


def figure_of(table: pd.DataFrame, edges: np.ndarray, unit: str):
    """Return the figure: one density panel a protocol, one colour scale."""
    protocols = list(dict.fromkeys(table["protocol"]))
    squares = table[table["item"] == "density"]
    figure = canvas(height=2.75)
    panels = figure.subplots(1, len(protocols), sharex=True, sharey=True, squeeze=False)[0]
    norm = LogNorm(1, max(2, squares["value"].max()))
    ends = np.array([edges[0], edges[-1]])
    for letter, axes, protocol in zip("abcdef", panels, protocols, strict=False):
        here = squares[squares["protocol"] == protocol]
        counts = np.histogram2d(
            here["target"], here["prediction"], bins=(edges, edges), weights=here["value"]
        )[0]
        counts[counts == 0] = np.nan
        image = axes.pcolormesh(edges, edges, counts.T, norm=norm, cmap=DENSITY, rasterized=True)
        item = table[table["protocol"] == protocol].set_index("item")["value"]
        axes.plot(ends, ends, color=INK, lw=0.8, ls=(0, (4, 3)), label="1:1")
        line = item["fit_slope"] * ends + item["fit_intercept"]
        axes.plot(ends, line, color=ORANGE, label=f"fit, slope {item['fit_slope']:.2f}")
        units = {"R": "", "RMSE": f" {printed(unit)}", "bias": f" {printed(unit)}"}
        scores = [f"{name} = {item[name]:z.3f}{units[name]}" for name in units if name in item]
        text = "\n".join([*scores, f"N = {item['N']:.0f}"]).replace("-", "−")
        axes.text(0.04, 0.97, text, transform=axes.transAxes, va="top", fontsize=7, color=INK)
        axes.legend(loc="lower right", frameon=False, handlelength=1.6, borderaxespad=0.2)
        axes.set(aspect="equal", xlim=ends, ylim=ends, xlabel=f"Target ({printed(unit)})")
        axes.set_title(f"({letter}) {PANELS[protocol]}", loc="left")
    panels[0].set_ylabel(f"Predicted ({printed(unit)})")
    counts = [n * 10**power for power in range(6) for n in (1, 3) if n * 10**power <= norm.vmax]
    bar = figure.colorbar(image, ax=list(panels), label="Samples per square", pad=0.01, aspect=25)
    bar.set_ticks(counts, labels=[f"{count:,}" for count in counts], minor=False)
    bar.ax.minorticks_off()
    return figure


def main(predictions, metrics, png, pdf, csv, note, unit):
    columns = ["protocol", "target", "prediction"]
    table, edges = drawn(pd.read_parquet(predictions, columns=columns), pd.read_csv(metrics))
    save(figure_of(table, edges, unit), png, pdf, note)
    write_table(table, csv)
    counts = table[table["item"] == "N"].set_index("protocol")["value"]
    log.info("drawn: %s", ", ".join(f"{name} {count:.0f}" for name, count in counts.items()))


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        predictions=snakemake.input.predictions,
        metrics=snakemake.input.metrics,
        png=snakemake.output.png,
        pdf=snakemake.output.pdf,
        csv=snakemake.output.csv,
        note=snakemake.params.note,
        unit=snakemake.params.unit,
    )
