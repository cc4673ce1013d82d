"""A model card: what the forest learned from, where it applies, what it claims, what it is not for.

After Mitchell et al. 2019 (doi:10.1145/3287560.3287596), every number from the tables of this run.
"""

import json

import pandas as pd

from _log import log, log_to
from _trust import described, held, of_target, score_of, stated
from _whole import whole

DESIGNS = {
    "temporal": "years unseen, places seen",
    "leave_location_out": "places never seen",
    "leave_location_time_out": "places never seen, years unseen",
    "knndm": "as far from training as the map is (kNNDM)",
}


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]


def learned(samples: pd.DataFrame, search: pd.DataFrame, predictors, years, test) -> list[str]:
    """Return what the forest is and what it was trained on."""
    best = search[search["rank"] == 1].iloc[0]
    depth = "unlimited depth" if pd.isna(best["max_depth"]) else f"depth {best['max_depth']:.0f}"
    count = samples[samples["quantity"] == "samples"].set_index("subset")["value"]
    places = samples[samples["quantity"] == "places"].set_index("subset")["value"]
    parts = [
        f"{number:.0f} samples of {places.get(name, float('nan')):.0f} places ({name})"
        for name, number in count.items()
        if " " not in name  # parts of a source by time
    ]
    lines = [
        f"A random forest of {best['n_estimators']:.0f} trees ({depth}, at least "
        f"{best['min_samples_leaf']:.0f} samples a leaf), chosen among {len(search)} by cross-"
        "validation, then applied to every cell of every month.",
        "",
        f"- Samples: {'; '.join(parts)}.",
        f"- Months of {', '.join(years)}; held out for the tests of time: {', '.join(test)}.",
        f"- Predictors: {', '.join(predictors)}.",
    ]
    row = described(samples, "variance_between_places")
    if row is not None:
        lines.append(
            f"- {row.value:.0%} of the target's variance lies between places: who knows the place "
            "knows most of the answer, so tests at places seen say little."
        )
    return lines


def claimed(metrics, intervals, errors, unit: str) -> list[str]:
    """Return what the run says of its own accuracy."""
    rows = []
    for design, words in DESIGNS.items():
        found = [score_of(metrics, design, name) for name in ("R", "RMSE")]
        if all(row is not None for row in found):
            cells = [f"{row.value:.3f} ({row.low:.3f} to {row.high:.3f})" for row in found]
            rows.append([words, *cells])
    lines = table(["tested on", "R", f"RMSE, {unit}"], rows)
    lines += ["", "In brackets: 95 % intervals, drawing places anew."]
    row = held(intervals, "leave_location_out", of_target(intervals))
    if row is not None:
        lines.append(
            f"The {row.level:.0%} intervals hold for {row.coverage_calibrated:.0%} of the samples "
            "at places left out."
        )
    row = stated(errors)
    if row is not None:
        lines.append(
            f"Against the true soil moisture of a cell the map is off by {row.value:.3f} {unit} "
            f"({row.low:.3f} to {row.high:.3f}), as the stations left out say."
        )
    return lines


def applies(applicability: pd.DataFrame, threshold: float) -> list[str]:
    """Return where the forest may be applied."""
    worst = applicability.loc[applicability["share_inside"].idxmin()]
    return [
        f"Where the dissimilarity index is at most {threshold:.3g}: "
        f"{applicability['share_inside'].mean():.0%} of the cells on average, least in "
        f"{worst['month']} ({worst['share_inside']:.0%}). `results/maps/di/` says which; "
        f"in {applicability['share_beyond_range'].mean():.0%} of the cells a predictor lies "
        "beyond the range of the samples, where a forest cannot extrapolate.",
    ]


def unfit(errors, samples, unit: str, product: bool, depth) -> list[str]:
    """Return what the maps must not be used for."""
    row = stated(errors)
    size = f"{row.value:.3f} {unit}" if row is not None else "the error above"
    lines = [
        f"- Differences between cells, or months of a cell, smaller than {size}.",
        "- Cells outside the area of applicability, or with a wide interval, taken one by one.",
        "- Days, or months other than those mapped; frozen or snow-covered ground.",
        f"- Any other layer than {depth[0]:g} to {depth[1]:g} m.",
        "- Another region: the forest is to be trained anew there.",
        "- A trend without its test: see the page, and what the shares are worth by chance.",
    ]
    if product:
        lines.append("- A check of SMCI: the forest learns from it and is pulled to it.")
    row = described(samples, "source_auc_of_terrain")
    if row is not None and row.value > 0.8:
        lines.append(
            "- Conclusions on how stations and product cells differ: slope and aspect alone tell "
            f"them apart with AUC {row.value:.2f}, so the forest may have learned just that."
        )
    return lines


def main(
    metrics,
    intervals,
    errors,
    samples,
    search,
    applicability,
    parameters,
    card,
    title,
    unit,
    predictors,
    years,
    test,
    depth,
    simulated,
    product,
):
    with open(parameters, encoding="utf-8") as file:
        threshold = json.load(file)["threshold"]
    read = {
        name: pd.read_csv(path)
        for name, path in (
            ("metrics", metrics),
            ("intervals", intervals),
            ("errors", errors),
            ("samples", samples),
            ("search", search),
        )
    }
    months = pd.concat(map(pd.read_csv, applicability), ignore_index=True)
    lines = [f"# Model card: {title}", ""]
    if simulated:
        lines += ["**All data are simulated; nothing here is true of a real place.**", ""]
    for head, part in (
        ("The model", learned(read["samples"], read["search"], predictors, years, test)),
        ("What it claims", claimed(read["metrics"], read["intervals"], read["errors"], unit)),
        ("Where it applies", applies(months, threshold)),
        (
            "What it must not be used for",
            unfit(read["errors"], read["samples"], unit, product, depth),
        ),
        (
            "Where it comes from",
            [
                "Method: Ma et al. 2023 (doi:10.3390/rs15061531) and what goes beyond it, see the "
                "page. Settings, versions, seeds and hashes: `provenance.json`."
            ],
        ),
    ):
        lines += [f"## {head}", "", *part, ""]
    with whole(card) as part:
        part.write_text("\n".join(lines), "utf-8")
    log.info("%d lines", len(lines))


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        metrics=snakemake.input.metrics,
        intervals=snakemake.input.intervals,
        errors=snakemake.input.errors,
        samples=snakemake.input.samples,
        search=snakemake.input.search,
        applicability=snakemake.input.applicability,
        parameters=snakemake.input.parameters,
        card=snakemake.output.card,
        title=snakemake.params.title,
        unit=snakemake.params.unit,
        predictors=snakemake.params.predictors,
        years=snakemake.params.years,
        test=snakemake.params.test,
        depth=snakemake.params.depth,
        simulated=snakemake.params.simulated,
        product=snakemake.params.product,
    )
