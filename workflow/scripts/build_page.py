"""Write the page people open: what was made, how far it can be trusted, and where the files are.

Every number on it was computed by this run, and a simulated study says so on top and at every
table. Places never seen come first, because nearly every cell of a map is one (C14).
"""

from pathlib import Path

import pandas as pd

import _page
import _sections
from _log import UserError, log, log_to
from _sections import between, number, percent
from _trust import described, of_target, score_of, stated
from _whole import whole

STEPS = "the forest's prediction after the steps that “maps” in the config asks for"
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
    "fig07": "Importance: increase of RMSE when one predictor is permuted. Bars are means, dots "
    "single permutations. At unseen times of seen places a predictor that identifies a place "
    "ranks high whether or not it governs soil moisture, and so does white noise; the order is "
    "that of places never seen.",
    "fig08_products": f"The published map ({STEPS}) beside the products it is made to refine, on "
    "one colour scale. Grey: no value. A smoother map is not a more accurate one.",
    "fig08b": f"The published maps of the year ({STEPS}), each above SMCI of the same month, on "
    "one colour scale. Grey: no value, because a predictor is missing or snow or frost was "
    "screened out.",
    "fig08_maps": "The map, and what was measured at the places on the same colour scale. A "
    "hollow circle has no measurement in that month.",
}
# What the picture of claims shows depends on what a study has.
CLAIMS = {
    "claimed": "What each validation claims. The usual one asks for unseen times of places that "
    "the forest was trained on; a forest on nothing but a random number per place, and a look-up "
    "without any forest, took the same test.",
    "target": "Claims are of the samples of SMCI alone, where there are any: a station is off by "
    "its own error as a point, which would make places left out look worse. In the middle: the "
    "forest's prediction against SMCI in every cell of the test months, those it was trained on "
    "among them.",
    "truth": "At the bottom: against the simulated truth of every 250 m cell in the test months, "
    "and what this run states of it without looking.",
    "stated": "At the bottom: what this run states, with its interval. It is not a measurement.",
}
ASKED = {
    "temporal": "unseen times of places seen (the usual)",
    "random_cv": "random folds",
    "leave_location_out": "places left out",
}
RIVAL = "SMCI, bilinear"  # the target product itself, brought to the grid: the bar to clear
JUDGED = {"all": "All samples", "insitu": "Stations only: the other samples are SMCI itself"}
PERIODS = {"all": "All months", "test": "Test months"}
BANNER = (
    "Simulated data. Every number and picture on this page describes an invented world whose true "
    "soil moisture is known. Nothing here says how the method does on Earth. The world was built "
    "so that the usual validation looks as it does in the literature."
)


def made_words(months: list[str], unit: str) -> str:
    """Return in one sentence what was made."""
    how = "predicted cell by cell by a random forest"
    if len(months) == 1:
        return f"A map ({unit}) of {months[0]}, {how}."
    return f"{len(months)} maps of soil moisture ({unit}), {months[0]} to {months[-1]}, {how}."


def stated_words(errors: pd.DataFrame, unit: str) -> list[str]:
    """Return what the run states of its own error, if it has enough stations to do so."""
    row = stated(errors)
    if row is None:
        return []
    return [
        f"This run states that its maps are off from the true soil moisture of a 250 m cell by "
        f"{number(row.value)} {unit} (RMSE; 95 % interval {number(row.low)} to "
        f"{number(row.high)}). It is worked out from places left out and from {row.n} stations, "
        "which also show the error of SMCI itself."
    ]


def accuracy_words(metrics: pd.DataFrame, baseline: pd.DataFrame | None, unit: str) -> list[str]:
    """Return the accuracy in words: where the forest has never been, where it has, the paper's."""
    told = []
    asked = (
        ("leave_location_out", "At places it has never seen", "Nearly every cell is such a place."),
        ("temporal", "At times it has not seen, but at places it was trained on", ""),
    )
    for protocol, where, meaning in asked:
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
    if baseline is not None:
        claim, left_out = (score_of(baseline, name, "RMSE") for name in ("temporal", asked[0][0]))
        if claim is not None and left_out is not None:
            told.append(
                f"The paper's protocol would claim {number(claim.value)} {unit} by the second of "
                f"these tests; by the first it is off by {number(left_out.value)}."
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


def claims_words(metrics: pd.DataFrame, claims: pd.DataFrame, unit: str) -> str:
    """Return in words what validation claims and what is so, as far as it is known."""
    found = {
        words: score_of(metrics, protocol, "RMSE", of_target(metrics))
        for protocol, words in ASKED.items()
    }
    own = claims[claims["model"] == "this study"].drop_duplicates("group")
    value = own.set_index("group")["value"]
    errors = [f"{words} {number(row.value)}" for words, row in found.items() if row is not None]
    told = [f"What validation claims (RMSE, {unit}): {'; '.join(errors)}."]
    if "target" in value:
        told.append(f"In every SMCI cell the forest is off by {number(value['target'])}.")
    if "truth" in value:
        told.append(f"From the soil moisture itself the map is off by {number(value['truth'])}.")
    return " ".join(told)


def bars_words(metrics: pd.DataFrame, bars: pd.DataFrame) -> str:
    """Return in words what needs no predictor to be known, and what is left at places left out."""

    def r(table, protocol):
        row = score_of(table, protocol, "R")
        return number(float("nan") if row is None else row.value)

    noise, memory = (bars[bars["model"] == name] for name in ("white noise", "look-up"))
    return (
        "At unseen times of places seen, a forest on nothing but a random number per place has "
        f"R {r(noise, 'temporal')}, a look-up of place and month {r(memory, 'temporal')}, this "
        f"forest {r(metrics, 'temporal')}. At places left out the random number has R "
        f"{r(noise, 'leave_location_out')}, this forest {r(metrics, 'leave_location_out')}."
    )


def interval_words(errors: pd.DataFrame) -> str:
    """Return what the published bounds are bounds of."""
    if stated(errors) is None:
        return (
            "The bounds are for what the forest has learned from. How far that is from the true "
            "soil moisture is not known here, and nothing is added for it."
        )
    return (
        "The published lower and upper bounds are for the true soil moisture of a cell: the error "
        "of SMCI itself is added, as far as stations show it. The forest's own interval is for "
        "SMCI. Stations, with errors of their own as points, may fall outside it more often."
    )


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


def samples_words(samples: pd.DataFrame) -> list[str]:
    """Return what the samples are like: one sentence a quantity that has a value."""
    told = []
    share = described(samples, "variance_between_places")
    if share is not None:
        told.append(
            f"{percent(share.value)}{between(share.low, share.high, percent)} of the target's "
            "variance lies between places: so much can be had by recognising a place, without "
            "knowing why it is wet."
        )
    told_apart = described(samples, "source_auc_of_terrain")
    if told_apart is not None:
        auc, ends = number(told_apart.value), between(told_apart.low, told_apart.high)
        told.append(
            f"Slope and aspect alone tell a station from an SMCI cell with an AUC of {auc}{ends}; "
            "0.5 is guessing, 1 is certain. The nearer to 1, the more of their importance may be "
            "that they give the source away."
        )
    return told


def caption_of(stem: str, claims: pd.DataFrame) -> str:
    """Return the caption of a figure by the longest beginning of its name that has one.

    claims: the numbers of the picture of claims, whose caption tells the groups in it.
    """
    if stem.startswith("fig13"):
        return " ".join(CLAIMS[group] for group in dict.fromkeys(claims["group"]))
    known = [key for key in CAPTIONS if stem.startswith(key)]
    return CAPTIONS[max(known, key=len)] if known else stem.replace("_", " ")


def truth_section(metrics: pd.DataFrame, score: pd.DataFrame, unit: str) -> str:
    """Return the tables against the truth, and what the claims are worth beside it."""
    parts = [
        _page.table(*_sections.against_truth(score, period), f"{words}; errors in {unit}")
        for period, words in PERIODS.items()
        if period in set(score["period"])
    ]
    claimed = f"What each validation claims, and how far it is from the truth (RMSE in {unit})"
    optimism = _page.table(*_sections.optimism(metrics, score), claimed)
    return "".join([*parts, _page.note(_sections.TRUTH_NOTE), optimism])


def trust_sections(read: dict, unit: str) -> list[tuple[str, str]]:
    """Return (heading, HTML) of what says how far to trust the maps; `read` as of `main`."""
    metrics, errors, trust = read["metrics"], read["errors"], read["trust"]
    tables = [
        _page.table(*_sections.bars(metrics, read["bars"], subset), f"{words}; RMSE in {unit}")
        for subset, words in JUDGED.items()
        if (metrics["subset"] == subset).any()
    ]
    tables = [_page.words(bars_words(metrics, read["bars"])), *tables]
    tables.append(_page.note(_sections.BARS_NOTE))
    sections = [("What the forest must beat", "".join(tables))]
    head, rows = _sections.mean_of_sites(read["sites"])
    if rows:
        table = _page.table(head, rows, f"RMSE in {unit}")
        sections.append(("The stations one by one", table + _page.note(_sections.SITES_NOTE)))
    level = read["intervals"]["level"].iloc[0]
    told = (
        f"How often intervals of {percent(level)} hold; calibrated: cross-fitted; width in {unit}"
    )
    table = _page.table(*_sections.coverage(read["intervals"], trust), told)
    sections.append(("How sure the maps are", _page.words(interval_words(errors)) + table))
    area = pd.concat(read["applicability"], ignore_index=True)
    table = _page.table(*_sections.by_month(area), "DI: dissimilarity index, no unit")
    words = _page.words(applicability_words(area, trust, unit))
    sections.append(("Area of applicability", words + table))
    words = "".join(map(_page.words, samples_words(read["samples"])))
    if words:
        sections.append(("What the samples are like", words + _page.note(_sections.SAMPLES_NOTE)))
    if read["collocation"] is not None:
        table, reasons = _sections.collocated(read["collocation"])
        notes = [f"No value: {'; '.join(reasons)}."] if reasons else []
        notes.append(_sections.COLLOCATION_NOTE)
        parts = [_page.table(*table, f"In {unit}"), *map(_page.note, notes)]
        sections.append(("Three records judged by each other", "".join(parts)))
    return sections


def sections_of(pictures: list[str], read: dict, unit: str) -> list[tuple[str, str]]:
    """Return (heading, HTML) of the sections, without the label of a simulated study.

    `pictures`: the maps, the claims, then all others.
    """
    maps, claims, *others = pictures
    metrics, rain = read["metrics"], read["rain"]
    words = _page.words(claims_words(metrics, read["claims"], unit))
    sections = [("The maps", maps), ("What is claimed, and what is so", words + claims)]
    if read["score"] is not None:
        told = truth_section(metrics, read["score"], unit)
        sections.append(("How good the maps really are", told))
    told = f"Errors in {unit}; in brackets 95 % intervals over places"
    scores = _page.table(*_sections.validation(metrics), told) + _page.note(_sections.DESIGN_NOTE)
    sections += [("How accurate the forest is", scores), *trust_sections(read, unit)]
    sections.append(("Figures", "".join(others)))
    if rain is not None:
        told = "Each gauge predicted from the others; RMSE and bias in mm a month"
        sections.append(("Rain between the gauges", _page.table(*_sections.plain(rain), told)))
    told = f"Every combination tried, best first; out-of-fold RMSE in {unit}"
    table = _page.table(*_sections.tuning(read["search"]), told)
    sections.append(("How the forest was tuned", table))
    if read["inputs"] is not None:
        table = _sections.went_in(read["inputs"].rename(columns={"from": "source"}))
        sections.append(("What went in", _page.table(*table, _sections.INPUTS_NOTE)))
    return sections


def main(
    figures,
    claims,
    metrics,
    baseline,
    bars,
    sites,
    samples,
    intervals,
    errors,
    search,
    score,
    trust,
    applicability,
    collocation,
    rain,
    inputs,
    maps,
    page,
    title,
    unit,
    simulated,
    months,
):
    unit = unit.replace("m3", "m³")
    tables = dict(
        claims=claims,
        metrics=metrics,
        baseline=baseline,
        bars=bars,
        sites=sites,
        samples=samples,
        intervals=intervals,
        errors=errors,
        search=search,
        score=score,
        trust=trust,
        collocation=collocation,
        rain=rain,
    )
    read = {name: pd.read_csv(path) if path else None for name, path in tables.items()}
    read["applicability"] = [pd.read_csv(path) for path in applicability]
    read["inputs"] = None
    if inputs:
        read["inputs"] = pd.read_csv(inputs, dtype={"version": str}).fillna({"version": ""})
    lead = [made_words(months, unit), *stated_words(read["errors"], unit)]
    if score:
        lead.append(truth_words(read["score"], unit))
    lead += accuracy_words(read["metrics"], read["baseline"], unit)
    pictures = [
        _page.figure(path.stem, path.read_bytes(), caption_of(path.stem, read["claims"]))
        for path in map(Path, figures)
    ]
    label = " (simulated)" if simulated else ""
    sections = [(f"{head}{label}", part) for head, part in sections_of(pictures, read, unit)]
    files = _page.note("Cloud-Optimized GeoTIFFs.") + _page.links(maps, page)
    html = _page.document(title, BANNER if simulated else "", lead, [*sections, ("Files", files)])
    with whole(page) as part:
        part.write_text(html, encoding="utf-8")
    log.info("%d figures, %d maps linked, %.1f MB", len(pictures), len(maps), len(html) / 1e6)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        figures=snakemake.input.figures,
        claims=snakemake.input.claims,
        metrics=snakemake.input.metrics,
        baseline=snakemake.input.baseline,
        bars=snakemake.input.bars,
        sites=snakemake.input.sites,
        samples=snakemake.input.samples,
        intervals=snakemake.input.intervals,
        errors=snakemake.input.errors,
        search=snakemake.input.search,
        score=snakemake.input.score,
        trust=snakemake.input.trust,
        applicability=snakemake.input.applicability,
        collocation=snakemake.input.collocation,
        rain=snakemake.input.rain,
        inputs=snakemake.input.inputs,
        maps=snakemake.input.maps,
        page=snakemake.output.page,
        title=snakemake.params.title,
        unit=snakemake.params.unit,
        simulated=snakemake.params.simulated,
        months=snakemake.params.months,
    )
