"""Write the page people open: what was made, how accurate it is, and where the files are.

Every number on it was computed by this run, and a simulated study says so on top and at every
table. Places never seen come first, because nearly every cell of a map is one (C14).
"""

from pathlib import Path

import pandas as pd

import _page
from _log import UserError, log, log_to
from _whole import whole

DESIGNS = {
    "train": "The samples the forest was trained on",
    "temporal": "Unseen times of places it was trained on",
    "random_cv": "Random folds: other months of the same place are in training",
    "leave_location_out": "Places never seen",
    "leave_location_time_out": "Unseen times of places never seen",
    "knndm": "Folds as far from training as the map is",
}
SOURCES = {"insitu": "stations", "smci": "SMCI cells"}
CAPTIONS = {
    "fig01": "Study area: terrain, rain gauges (purple circles), soil-moisture sites (green "
    "triangles) and the outline of what is mapped.",
    "fig03": "Predicted against target values. (a) Training samples: memory, not skill. (b) Unseen "
    "times (the held-out years or months), but of places the forest was trained on: it may "
    "recognise a place by its soil and terrain. (c) Places never seen, which is what the map does "
    "in nearly every cell.",
    "fig06": "Pearson correlation of the predictors over all samples. Where sand, silt, clay and "
    "the water capacity made from them are among them, these four carry only two independent "
    "columns. An aspect is an angle, so its linear correlations mean little.",
    "fig07": "Importance: increase of RMSE when one predictor is permuted. Bars are means, lines "
    "standard deviations, dots single permutations. Scored at unseen times of seen places, so "
    "a predictor that identifies a place ranks high whether or not it governs soil moisture.",
    "fig08_products": "The map beside the products it is made to refine, on one colour scale. "
    "Grey: no value. A smoother map is not a more accurate one.",
    "fig08b": "The maps of the year, each beside SMCI of the same month, on one colour scale. "
    "Grey: no value, because a predictor is missing or snow or frost was screened out.",
    "fig08_maps": "The map, and what was measured at the places on the same colour scale. A "
    "hollow circle has no measurement in that month.",
}
RIVAL = "SMCI, bilinear"  # the target product itself, brought to the grid: the bar to clear
PERIODS = {"all": "All months", "test": "Test months"}
TRUTH_METRICS = (
    "R", "RMSE", "bias", "ubRMSE", "spatial R", "temporal R", "anomaly R", "fine-scale R",
    "SD ratio", "bias, driest tenth", "bias, wettest tenth",
)  # fmt: skip
BANNER = (
    "Simulated data. Every number and picture on this page describes an invented world whose true "
    "soil moisture is known. Nothing here says how the method does on Earth. The world was built "
    "so that the usual validation looks as it does in the literature."
)
TRUTH_NOTE = (
    "All products are judged on the same cells and months. Spatial R: over cells, mean of the "
    "months. Temporal R: over months, mean of the cells. Anomaly R: after each cell's mean of the "
    "calendar month is taken off. Fine-scale R: deviations from the mean of the 1 km cell; a "
    "product without such detail has none (–). SD ratio: spread over the truth's; below 1 the "
    "extremes are lost."
)
INPUTS_NOTE = (
    "Missing: share of the study's cells, or of its station-months, without a value after masks. "
    "Every file with its checksum: inputs.lock beside this page."
)
DESIGN_NOTE = (
    "Folds that keep all months of a place together answer the question a map asks. The others "
    "let the forest recognise places by their soil and terrain."
)


def number(value: float) -> str:
    """Return a score as printed: three decimals, a true minus sign, a dash if missing."""
    return "–" if pd.isna(value) else f"{value:z.3f}".replace("-", "−")


def cell(value) -> str:
    """Return one value of a small table as printed: three significant digits, counts whole."""
    if isinstance(value, str):
        return value
    if pd.isna(value):
        return "–"
    if abs(value) < 1e-9:  # what rounding leaves of a zero
        return "0"
    return (f"{value:,.0f}" if float(value).is_integer() else f"{value:.3g}").replace("-", "−")


def plain(table: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """Return head and rows of a small table."""
    return list(table), [[cell(value) for value in row] for row in table.itertuples(index=False)]


def made_words(months: list[str], unit: str) -> str:
    """Return in one sentence what was made."""
    if len(months) == 1:
        return f"A map ({unit}) of {months[0]}, predicted cell by cell by a random forest."
    return (
        f"{len(months)} maps of soil moisture ({unit}), {months[0]} to {months[-1]}, predicted "
        "cell by cell by a random forest."
    )


def score_of(metrics: pd.DataFrame, protocol: str, metric: str, subset: str = "all"):
    """Return the row (value, n, low, high) of a score, or None."""
    found = metrics.query("protocol == @protocol and metric == @metric and subset == @subset")
    return None if found.empty else found.iloc[0]


def accuracy_words(metrics: pd.DataFrame, unit: str) -> list[str]:
    """Return the accuracy in words: where the forest has never been, then where it has."""
    told = []
    for protocol, where, meaning in (
        ("leave_location_out", "At places it has never seen", "Nearly every cell is such a place."),
        ("temporal", "At times it has not seen, but at places it was trained on", ""),
    ):
        error, r = (score_of(metrics, protocol, name) for name in ("RMSE", "R"))
        if error is not None and r is not None:
            told.append(
                f"{where}, the forest is off by {number(error.value)} {unit} (RMSE; "
                f"R {number(r.value)}). {meaning}".strip()
            )
    if not told:
        raise UserError(
            "metrics.csv: expected R and RMSE of leave_location_out or temporal, found the "
            f"protocols {', '.join(sorted(set(metrics['protocol'])))}. Run score_predictions again."
        )
    return told


def truth_words(score: pd.DataFrame, unit: str) -> str:
    """Return in words how far the maps are from the simulated truth, and how far SMCI is."""
    found = score[score["period"] == "all"].set_index(["product", "metric"])["value"]
    own, rival = (
        f"{number(found[product, 'RMSE'])} {unit} (R {number(found[product, 'R'])})"
        for product in ("map", RIVAL)
    )
    return f"Against the simulated truth the maps are off by {own}, interpolated SMCI by {rival}."


def validation(metrics: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """Return head and rows of the scores: one row a design and subset, intervals of R and RMSE."""
    names = list(dict.fromkeys(metrics["metric"]))
    rows = []
    for protocol in [*DESIGNS, *sorted(set(metrics["protocol"]) - set(DESIGNS))]:
        part = metrics[metrics["protocol"] == protocol]
        for subset, found in part.groupby("subset", sort=False):
            label = DESIGNS.get(protocol, protocol)
            if subset != "all":
                label = f"– only {SOURCES.get(subset, subset)}"
            cells = []
            for name in names:
                row = score_of(found, protocol, name, subset)
                text = "–" if row is None else number(row.value)
                if name in ("R", "RMSE") and row is not None and pd.notna(row.low):
                    text += f" ({number(row.low)} to {number(row.high)})"
                cells.append(text)
            rows.append([label, *cells, f"{found['n'].iloc[0]:,}"])
    return ["Judged on", *(name.replace("R2", "R²") for name in names), "n"], rows


def against_truth(score: pd.DataFrame, period: str) -> tuple[list[str], list[list[str]]]:
    """Return head and rows of the products' scores against the truth in one period."""
    part = score[score["period"] == period]
    wide = part.pivot(index="metric", columns="product", values="value")
    products = list(dict.fromkeys(part["product"]))
    shown = [metric for metric in TRUTH_METRICS if metric in wide.index]
    rows = [[metric, *(number(wide.loc[metric, name]) for name in products)] for metric in shown]
    return ["Against the truth", *products], rows


def optimism(metrics: pd.DataFrame, score: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """Return what each design claims, and its distance from the map's true scores of all months.

    A negative difference of RMSE, or a positive one of R, is optimism.
    """
    own = score[(score["product"] == "map") & (score["period"] == "all")]
    true = own.set_index("metric")["value"]
    rows = []
    for protocol, words in DESIGNS.items():
        claims = [score_of(metrics, protocol, name) for name in ("RMSE", "R")]
        if all(claim is not None for claim in claims):
            pairs = [
                text
                for name, claim in zip(("RMSE", "R"), claims, strict=True)
                for text in (number(claim.value), number(claim.value - true[name]))
            ]
            rows.append([words, *pairs])
    rows.append(["The map against the truth", number(true["RMSE"]), "", number(true["R"]), ""])
    return ["Judged on", "RMSE", "claim − truth", "R", "claim − truth"], rows


def tuning(search: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """Return head and rows of the search, best first; an empty depth means full depth."""
    table = search.sort_values("rank").copy()
    if "max_depth" in table:
        table["max_depth"] = [cell(v) if pd.notna(v) else "unlimited" for v in table["max_depth"]]
    return plain(table)


def went_in(inputs: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """Return head and rows of the data sets that the run used (T1)."""
    rows = []
    for row in inputs.itertuples():
        missing = "–" if pd.isna(row.missing_share) else f"{row.missing_share:.1%}"
        size = f"{row.bytes / 1e6:,.1f}"
        name = f"{row.product} {row.version}".strip()
        rows.append([name, row.layer, row.native_grid, f"{row.files:,}", size, missing, row.source])
    return ["Data set", "layer", "native grid", "files", "MB", "missing", "from"], rows


def caption_of(stem: str) -> str:
    """Return the caption of a figure by the longest beginning of its name that has one."""
    known = [key for key in CAPTIONS if stem.startswith(key)]
    return CAPTIONS[max(known, key=len)] if known else stem.replace("_", " ")


def sections_of(
    pictures: list[str],
    metrics: pd.DataFrame,
    search: pd.DataFrame,
    score: pd.DataFrame | None,
    rain: pd.DataFrame | None,
    unit: str,
    label: str,
) -> list[tuple[str, str]]:
    """Return (heading, HTML) of the sections; `label` goes to every heading with numbers."""
    first, *others = pictures
    sections = [(f"The maps{label}", first)]
    if score is not None:
        parts = [
            _page.table(*against_truth(score, period), f"{words}; errors in {unit}")
            for period, words in PERIODS.items()
            if period in set(score["period"])
        ]
        parts.append(_page.note(TRUTH_NOTE))
        claimed = "What each validation claims, and how far it is from the truth"
        parts.append(_page.table(*optimism(metrics, score), f"{claimed} (RMSE in {unit})"))
        sections.append((f"How good the maps really are{label}", "".join(parts)))
    told = f"Errors in {unit}; in brackets 95 % intervals over places"
    scores = _page.table(*validation(metrics), told) + _page.note(DESIGN_NOTE)
    sections.append((f"How accurate the forest is{label}", scores))
    sections.append((f"Figures{label}", "".join(others)))
    if rain is not None:
        told = "Each gauge predicted from the others; RMSE and bias in mm a month"
        sections.append((f"Rain between the gauges{label}", _page.table(*plain(rain), told)))
    told = f"Every combination tried, best first; out-of-fold RMSE in {unit}"
    sections.append((f"How the forest was tuned{label}", _page.table(*tuning(search), told)))
    return sections


def main(figures, metrics, search, score, rain, inputs, maps, page, title, unit, simulated, months):
    unit = unit.replace("m3", "m³")
    scores = pd.read_csv(metrics)
    truth = pd.read_csv(score) if score else None
    lead = [made_words(months, unit), *accuracy_words(scores, unit)]
    if truth is not None:
        lead.append(truth_words(truth, unit))
    pictures = [
        _page.figure(Path(path).stem, Path(path).read_bytes(), caption_of(Path(path).stem))
        for path in figures
    ]
    sections = sections_of(
        pictures,
        scores,
        pd.read_csv(search),
        truth,
        pd.read_csv(rain) if rain else None,
        unit,
        " (simulated)" if simulated else "",
    )
    if inputs:
        table = pd.read_csv(inputs, dtype={"version": str}).fillna({"version": ""})
        told = _page.table(*went_in(table.rename(columns={"from": "source"})), INPUTS_NOTE)
        sections.append((f"What went in{' (simulated)' if simulated else ''}", told))
    files = _page.note("Cloud-Optimized GeoTIFFs.") + _page.links(maps, page)
    html = _page.document(
        title,
        BANNER if simulated else "",
        lead,
        [*sections, ("Files", files)],
    )
    with whole(page) as part:
        part.write_text(html, encoding="utf-8")
    log.info("%d figures, %d maps linked, %.1f MB", len(pictures), len(maps), len(html) / 1e6)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        figures=snakemake.input.figures,
        metrics=snakemake.input.metrics,
        search=snakemake.input.search,
        score=snakemake.input.score,
        rain=snakemake.input.rain,
        inputs=snakemake.input.inputs,
        maps=snakemake.input.maps,
        page=snakemake.output.page,
        title=snakemake.params.title,
        unit=snakemake.params.unit,
        simulated=snakemake.params.simulated,
        months=snakemake.params.months,
    )
