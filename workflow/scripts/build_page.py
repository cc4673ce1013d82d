"""Write the page people open: what was made, how far it can be trusted, and where the files are.

Every number on it was computed by this run, and a simulated study says so on top and at every
table. Places never seen come first, because nearly every cell of a map is one (C14).
"""

from pathlib import Path

import pandas as pd

import _page
import _sections
import _tables
from _log import UserError, log, log_to
from _sections import between, number, percent
from _trust import described, has_product, of_target, score_of, stated
from _whole import whole

# What the picture of claims shows beside what validation claims depends on what a study has.
CLAIMS = {
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
    how = f"from {row.n} stations left out, less what a station itself is off."
    if has_product(errors):
        how = (
            f"from places left out and from {row.n} stations, which also show the error of SMCI "
            "itself."
        )
    return [
        f"This run states that its maps are off from the true soil moisture of a 250 m cell by "
        f"{number(row.value)} {unit} (RMSE; 95 % interval {number(row.low)} to "
        f"{number(row.high)}). It is worked out {how}"
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


def claims_words(metrics: pd.DataFrame, claims: pd.DataFrame, unit: str) -> str:
    """Return in words what validation claims and what is so, as far as it is known."""
    subset = of_target(metrics)
    found = {
        words: score_of(metrics, protocol, "RMSE", subset) for protocol, words in ASKED.items()
    }
    own = claims[claims["model"] == "this study"].drop_duplicates("group")
    value = own.set_index("group")["value"]
    errors = [f"{words} {number(row.value)}" for words, row in found.items() if row is not None]
    where = " at SMCI cells" if subset == "smci" else ""
    told = [f"What validation claims{where} (RMSE, {unit}): {'; '.join(errors)}."]
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


def caption_of(stem: str, captions: dict[str, str], claims: pd.DataFrame) -> str:
    """Return the caption of a figure: that of the longest beginning of its name that has one.

    captions: {name without the year: text}; claims: the numbers of the picture of claims, whose
    caption also tells the groups in it. Without a caption it is the name itself.
    """
    known = [name for name in captions if stem.startswith(name)]
    told = [captions[max(known, key=len)] if known else stem.replace("_", " ")]
    if stem.startswith("fig13"):
        told += [CLAIMS[group] for group in dict.fromkeys(claims["group"]) if group in CLAIMS]
    return " ".join(told)


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
    known = _sections.interval_words(stated(errors) is not None, has_product(errors))
    sections.append(
        (
            "How sure the maps are",
            _page.words(known) + table,
        )
    )
    area = pd.concat(read["applicability"], ignore_index=True)
    table = _page.table(*_sections.by_month(area), "DI: dissimilarity index, no unit")
    words = _page.words(_sections.applicability_words(area, trust, unit))
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


def paper_section(table: pd.DataFrame) -> tuple[str, str]:
    """Return heading and HTML of what the paper says and this run finds, counted by verdict."""
    counts = table["verdict"].value_counts(sort=False)
    told = f"{len(table)} numbers of the paper: " + ", ".join(f"{n} {v}" for v, n in counts.items())
    return "Beside the paper", _page.words(f"{told}.") + _page.table(
        *_tables.plain(table), "Every number of the paper that this run can compute, and its own"
    )


def made_with(commit: str, settings: str) -> tuple[str, str]:
    """Return heading and HTML of the versions and the config; `settings` is JSON."""
    table = _page.table(*_tables.versions(commit), "What made this page")
    return "How it was made", table + _page.listing("The config that was used", settings)


def sections_of(pictures: list[str], read: dict, unit: str) -> list[tuple[str, str]]:
    """Return (heading, HTML) of the sections, without the label of a simulated study.

    `pictures`: the maps, the claims, then all others.
    """
    maps, claims, *others = pictures
    metrics, rain = read["metrics"], read["rain"]
    words = _page.words(claims_words(metrics, read["claims"], unit))
    sections = [
        ("The maps", read["viewer"] + maps),
        ("What is claimed, and what is so", words + claims),
    ]
    if read["score"] is not None:
        told = truth_section(metrics, read["score"], unit)
        sections.append(("How good the maps really are", told))
    told = f"Errors in {unit}; in brackets 95 % intervals over places"
    scores = _page.table(*_sections.validation(metrics), told) + _page.note(_sections.DESIGN_NOTE)
    sections += [("How accurate the forest is", scores), *trust_sections(read, unit)]
    if read["paper"] is not None:
        sections.append(paper_section(read["paper"]))
    sections.append(("Figures", "".join(others)))
    for name, (head, told) in _tables.SHOWN.items():
        if read[name] is not None:
            found, many = _tables.shown(name, read[name])
            sections.append((head, _page.table(*found, told, folded=many)))
    if rain is not None:
        told = "Each gauge predicted from the others; RMSE and bias in mm a month"
        sections.append(("Rain between the gauges", _page.table(*_tables.plain(rain), told)))
    told = f"Every combination tried, best first; out-of-fold RMSE in {unit}"
    table = _page.table(*_tables.tuning(read["search"]), told)
    sections.append(("How the forest was tuned", table))
    if read["inputs"] is not None:
        table = _tables.went_in(read["inputs"].rename(columns={"from": "source"}))
        sections.append(("What went in", _page.table(*table, _tables.INPUTS_NOTE)))
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
    paper,
    series,
    statistics,
    trends,
    products,
    description,
    captions,
    viewer,
    style,
    index,
    maps,
    page,
    title,
    unit,
    simulated,
    months,
    commit,
    settings,
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
        paper=paper,
        series=series,
        statistics=statistics,
        products=products,
        description=description,
    )
    read = {name: pd.read_csv(path) if path else None for name, path in tables.items()}
    read["applicability"] = [pd.read_csv(path) for path in applicability]
    read["trends"] = None
    if trends:
        read["trends"] = pd.concat([pd.read_csv(path, dtype={"month": str}) for path in trends])
    code, look = (Path(path).read_text(encoding="utf-8") for path in (viewer, style))
    read["viewer"] = _page.viewer(code, index, page)
    read["inputs"] = None
    if inputs:
        read["inputs"] = pd.read_csv(inputs, dtype={"version": str}).fillna({"version": ""})
    lead = [made_words(months, unit), *stated_words(read["errors"], unit)]
    if score:
        lead.append(_sections.truth_words(read["score"], unit))
    lead += accuracy_words(read["metrics"], read["baseline"], unit)
    texts = {path.stem: path.read_text(encoding="utf-8").strip() for path in map(Path, captions)}
    pictures = [
        _page.figure(path.stem, path.read_bytes(), caption_of(path.stem, texts, read["claims"]))
        for path in map(Path, figures)
    ]
    label = " (simulated)" if simulated else ""
    sections = [(f"{head}{label}", part) for head, part in sections_of(pictures, read, unit)]
    sections.append(made_with(commit, settings))
    files = _page.note("Cloud-Optimized GeoTIFFs.") + _page.links(maps, page)
    sections.append(("Files", files))
    html = _page.document(title, BANNER if simulated else "", lead, sections, look)
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
        paper=snakemake.input.paper,
        series=snakemake.input.series,
        statistics=snakemake.input.statistics,
        trends=snakemake.input.trends,
        products=snakemake.input.products,
        description=snakemake.input.description,
        captions=snakemake.input.captions,
        viewer=snakemake.input.viewer,
        style=snakemake.input.style,
        index=snakemake.input.index,
        maps=snakemake.input.maps,
        page=snakemake.output.page,
        title=snakemake.params.title,
        unit=snakemake.params.unit,
        simulated=snakemake.params.simulated,
        months=snakemake.params.months,
        commit=snakemake.params.commit,
        settings=snakemake.params.settings,
    )
