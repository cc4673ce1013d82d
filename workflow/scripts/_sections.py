"""The tables of the page: each takes a table of the run and returns head and rows of text.

Words that hold for every run stand in build_page; here are only numbers and the names of what
they belong to, and the sentences that follow from a single table.
"""

from __future__ import annotations

from calendar import month_name

import numpy as np
import pandas as pd

DESIGNS = {
    "train": "The samples the forest was trained on",
    "temporal": "Unseen times of places it was trained on",
    "random_cv": "Random folds: other months of the same place are in training",
    "leave_location_out": "Places never seen",
    "leave_location_time_out": "Unseen times of places never seen",
    "knndm": "Folds as far from training as the map is",
}
SOURCES = {"insitu": "stations", "smci": "SMCI cells"}
TRUTH_METRICS = (
    "R", "RMSE", "bias", "ubRMSE", "spatial R", "temporal R", "anomaly R", "fine-scale R",
    "SD ratio", "bias, driest tenth", "bias, wettest tenth",
)  # fmt: skip
ASKED = {"temporal": "unseen times", "leave_location_out": "places left out", "knndm": "kNNDM"}
FOREST = "This study's forest"
MODELS = {  # one name in a row of the bars: where places are left out a look-up knows months only
    FOREST: FOREST,
    "paper": "The paper's protocol, on its own samples",
    "white noise": "A forest on a random number per place",
    "look-up": "A look-up of place and month",
    "month only": "A look-up of place and month",
}
WAYS = {
    "all years": "All years, as trained",
    "test years": "Test years, as trained",
    "left out, all years": "All years, station left out of training",
}
BESIDE = ("forest", "SMCI, nearest", "SMCI, bilinear")
KINDS = {
    ("values", "triple_collocation"): "values, triple collocation",
    ("values", "three_cornered"): "values, three-cornered hat",
    ("anomalies", "triple_collocation"): "anomalies, triple collocation",
    ("anomalies", "three_cornered"): "anomalies, three-cornered hat",
}
RIVAL = "SMCI, bilinear"  # the target product itself, brought to the grid: the bar to clear
TRUTH_NOTE = (
    "All products are judged on the same cells and months. Spatial R: over cells, mean of the "
    "months. Temporal R: over months, mean of the cells. Anomaly R: after each cell's mean of the "
    "calendar month is taken off. Fine-scale R: deviations from the mean of the 1 km cell; a "
    "product without such detail has none (–). SD ratio: spread over the truth's; below 1 the "
    "extremes are lost."
)
DESIGN_NOTE = (
    "Folds that keep all months of a place together answer the question a map asks. The others "
    "let the forest recognise places by their soil and terrain."
)
BARS_NOTE = (
    "A test that a look-up of places passes says nothing of a map. kNNDM: folds as far from "
    "training as the map is."
)
SITES_NOTE = (
    "As trained, the scores of all years are of stations the forest has learned from. What it "
    "knows of a place without a station shows where the station is left out. All on the same "
    "station-months."
)
SAMPLES_NOTE = "95 % intervals over draws of places."
COLLOCATION_NOTE = (
    "Errors as standard deviations, worked out from the three records alone; it takes errors that "
    "do not depend on each other. Of values: all that differs between places counts, also that a "
    "station is a point. "
    "Of anomalies: only what changes in time, from each place's mean of the calendar month. "
    "95 % intervals over stations."
)

Table = tuple[list[str], list[list[str]]]


def number(value: float) -> str:
    """Return a score as printed: three decimals, a true minus sign, a dash if missing."""
    return "–" if pd.isna(value) else f"{value:z.3f}".replace("-", "−")


def percent(share: float) -> str:
    """Return a share as printed in whole percent, a dash if missing."""
    return "–" if pd.isna(share) else f"{share:.0%}".replace("%", " %")


def between(low: float, high: float, printed=number) -> str:
    """Return an interval in brackets after a space, or nothing if there is none."""
    return "" if pd.isna(low) else f" ({printed(low)} to {printed(high)})"


def truth_words(score: pd.DataFrame, unit: str) -> str:
    """Return in words how far the maps are from the simulated truth, and how far SMCI is.

    A study without SMCI says the first only.
    """
    found = score[score["period"] == "all"].set_index(["product", "metric"])["value"]
    said = [
        f"{words}{number(found[product, 'RMSE'])} {unit} (R {number(found[product, 'R'])})"
        for product, words in (("map", ""), (RIVAL, "interpolated SMCI by "))
        if (product, "RMSE") in found
    ]
    return f"Against the simulated truth the maps are off by {', '.join(said)}."


def applicability_words(table: pd.DataFrame, trust: pd.DataFrame | None, unit: str) -> str:
    """Return how much of the area is like the samples, and how far that matters if it is known."""
    inside, beyond = table["share_inside"].mean(), table["share_beyond_range"].mean()
    words = (
        f"{percent(inside)} of the cells are inside the area of applicability (mean of the "
        "months): their predictors are as near to a sample as samples left out are to the others "
        f"(Meyer & Pebesma 2021, doi:10.1111/2041-210X.13650). {percent(beyond)} have a predictor "
        "beyond its range in training."
    )
    if trust is None:
        return words
    of = trust.set_index("quantity")["value"].reindex(["RMSE inside", "RMSE outside"])
    return (
        f"{words} Against the simulated truth the maps are off by {number(of.iloc[0])} {unit} "
        f"inside and {number(of.iloc[1])} outside."
    )


def interval_words(known: bool, product: bool) -> str:
    """Return what the published bounds are bounds of.

    Is the error from the truth `known`, and is there a `product` between forest and ground?
    """
    if known and not product:
        return (
            "The bounds are for what a station would read at a place without one: its own error is "
            "in them, so they are wide for the soil moisture of a cell."
        )
    if not known:
        return (
            "The bounds are for what the forest has learned from. How far that is from the true "
            "soil moisture is not known here, and nothing is added for it."
        )
    return (
        "The published lower and upper bounds are for the true soil moisture of a cell: the error "
        "of SMCI itself is added, as far as stations show it. The forest's own interval is for "
        "SMCI. Stations, with errors of their own as points, may fall outside it more often."
    )


def validation(metrics: pd.DataFrame) -> Table:
    """Return the scores: one row a design and subset, with intervals of R and RMSE."""
    names = list(dict.fromkeys(metrics["metric"]))
    rows = []
    for protocol in [*DESIGNS, *sorted(set(metrics["protocol"]) - set(DESIGNS))]:
        part = metrics[metrics["protocol"] == protocol]
        for subset, found in part.groupby("subset", sort=False):
            label = DESIGNS.get(protocol, protocol)
            if subset != "all":
                label = f"– only {SOURCES.get(subset, subset)}"
            of, cells = found.set_index("metric"), []
            for name in names:
                text = number(of["value"].get(name, np.nan))
                if name in ("R", "RMSE") and name in of.index:
                    text += between(of.loc[name, "low"], of.loc[name, "high"])
                cells.append(text)
            rows.append([label, *cells, f"{found['n'].iloc[0]:,}"])
    return ["Judged on", *(name.replace("R2", "R²") for name in names), "n"], rows


def against_truth(score: pd.DataFrame, period: str) -> Table:
    """Return the products' scores against the truth in one period."""
    part = score[score["period"] == period]
    wide = part.pivot(index="metric", columns="product", values="value")
    products = list(dict.fromkeys(part["product"]))
    shown = [metric for metric in TRUTH_METRICS if metric in wide.index]
    rows = [[metric, *(number(wide.loc[metric, name]) for name in products)] for metric in shown]
    return ["Against the truth", *products], rows


def optimism(metrics: pd.DataFrame, score: pd.DataFrame) -> Table:
    """Return what each design claims, and its distance from the map's true scores of all months.

    A negative difference of RMSE, or a positive one of R, is optimism.
    """
    own = score[(score["product"] == "map") & (score["period"] == "all")]
    true = own.set_index("metric")["value"]
    claims = metrics[metrics["subset"] == "all"].pivot(
        index="protocol", columns="metric", values="value"
    )
    rows = []
    for protocol, words in DESIGNS.items():
        if protocol in claims.index:
            claim = claims.loc[protocol]
            pairs = [
                text
                for name in ("RMSE", "R")
                for text in (number(claim[name]), number(claim[name] - true[name]))
            ]
            rows.append([words, *pairs])
    rows.append(["The map against the truth", number(true["RMSE"]), "", number(true["R"]), ""])
    return ["Judged on", "RMSE", "claim − truth", "R", "claim − truth"], rows


def bars(metrics: pd.DataFrame, others: pd.DataFrame, subset: str) -> Table:
    """Return R and RMSE of the forest and of what it must clear, in the designs of ASKED.

    metrics: scores of the forest; others: the same columns and `model`.
    """
    table = pd.concat([metrics.assign(model=FOREST), others], ignore_index=True)
    use = table["subset"].eq(subset) & table["protocol"].isin(ASKED)
    table = table[use & table["metric"].isin(["R", "RMSE"])]
    table = table.assign(model=table["model"].map(MODELS).fillna(table["model"]))
    value = table.set_index(["model", "protocol", "metric"])["value"]
    asked = [name for name in ASKED if name in set(table["protocol"])]
    pairs = [(protocol, metric) for protocol in asked for metric in ("R", "RMSE")]
    rows = [
        [model, *(number(value.get((model, *pair), np.nan)) for pair in pairs)]
        for model in dict.fromkeys(table["model"])
    ]
    return ["Model", *(f"{ASKED[protocol]}: {metric}" for protocol, metric in pairs)], rows


def mean_of_sites(sites: pd.DataFrame) -> Table:
    """Return R and RMSE as means of sites: the forest three ways, SMCI beside it. No rows if none.

    A site counts once, and only sites with enough months count (score_sites).
    """
    found = sites[(sites["site"] == "mean of sites") & sites["way"].isin(WAYS)]
    value = found.set_index(["way", "model", "metric"])["value"]
    models = [name for name in BESIDE if name in set(found["model"])]
    pairs = [(model, metric) for model in models for metric in ("R", "RMSE")]
    rows = [
        [words, *(number(value.get((way, *pair), np.nan)) for pair in pairs)]
        for way, words in WAYS.items()
        if way in set(found["way"])
    ]
    return ["Mean of the sites", *(f"{model}: {metric}" for model, metric in pairs)], rows


def coverage(intervals: pd.DataFrame, trust: pd.DataFrame | None) -> Table:
    """Return how often the intervals hold: the forest's by design and source, the published one.

    intervals: calibrate_intervals; trust: score_truth's table, the published bounds against the
    truth of the test months.
    """
    used = intervals[intervals["applied"]]
    several = used["subset"].nunique() > 1
    rows = []
    for protocol in ("temporal", "leave_location_out"):
        for row in used[used["protocol"] == protocol].itertuples():
            if several and row.subset == "all":
                continue
            of = f", {SOURCES.get(row.subset, row.subset)}" if several else ""
            moved = percent(row.coverage_calibrated) + between(
                row.coverage_calibrated_low, row.coverage_calibrated_high, percent
            )
            words = f"The forest's: {DESIGNS[protocol].lower()}{of}"
            rows.append(
                [
                    words,
                    percent(row.coverage),
                    moved,
                    number(row.width_calibrated),
                    f"{row.places:,}",
                ]
            )
    if trust is not None:
        value = trust.set_index("quantity")["value"]
        found = (value.get(f"{name} of the interval", np.nan) for name in ("coverage", "width"))
        held, width = found
        rows.append(
            ["The published one: the truth, every cell", "", percent(held), number(width), ""]
        )
    return ["Interval", "holds, as grown", "holds, calibrated", "mean width", "places"], rows


def by_month(applicability: pd.DataFrame) -> Table:
    """Return the area of applicability by calendar month, or by date of a single year."""
    month = applicability["month"]
    several = month.str[:4].nunique() > 1
    found = applicability.groupby(month.str[5:7] if several else month, sort=True)
    rows = [
        [
            month_name[int(name)] if several else name,
            *(percent(part[column].mean()) for column in ("share_inside", "share_beyond_range")),
            number(part["median_di"].mean()),
        ]
        for name, part in found
    ]
    head = "Month, mean of the years" if several else "Month"
    return [head, "cells inside", "cells beyond a predictor's range", "median DI"], rows


def collocated(collocation: pd.DataFrame) -> tuple[Table, list[str]]:
    """Return the error of each product as a standard deviation, and why one has no value.

    An error variance below zero has no root: it is a dash, and its reason is told.
    """
    found = collocation[collocation["quantity"] == "error_variance"]
    by = found.set_index(["of", "method", "product"])
    rows = []
    for product in dict.fromkeys(found["product"]):
        texts = []
        for kind in KINDS:
            row = by.loc[(*kind, product)]
            if not row["value"] >= 0:
                texts.append("–")
                continue
            low, high = np.sqrt(np.maximum(row[["low", "high"]].astype(float), 0))
            texts.append(number(np.sqrt(row["value"])) + between(low, high))
        rows.append([product, *texts])
    reasons = list(dict.fromkeys(found["reason"].dropna()))
    return (["Error of", *KINDS.values()], rows), reasons
