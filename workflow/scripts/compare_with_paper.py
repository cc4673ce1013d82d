"""Every number that the paper states about its results, beside that of this run (N1-N44).

A share that gets wetter is judged against the shares that years in random order give
(D7), not against one half. A study that is simulated, of other years or of another area says so: it
is no verdict on the paper.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

import _paper
from _log import UserError, log, log_to
from _paper import SMCI, Absent, Found, Study, joined, optional, said
from _table import write_table

COLUMNS = (
    *("id", "quantity", "paper", "ours", "difference", "class", "tolerance"),
    *("verdict", "note", "contradictions", "study"),
)
TEXT = dict.fromkeys(("month", "period", "scale", "part", "site", "station", "tolerance"), str)
MONTHS = list(range(5, 11))
AREA = 269_000  # km2 (N38)
STRONG, LEVEL = 0.7, 0.05


def described(study: Study, quantity: str, part: str = "all", product: str = "map") -> float:
    """Return a number of describe_maps."""
    where = {"quantity": quantity, "part": part} | ({"product": product} if product else {})
    return study.value("description", **where)


def map_range(study: Study, quantity: str) -> Found:
    """N22, N29: least and greatest value of the map; percentiles and products in the note."""
    notes = []
    for product in ("map", "SMCI", "ERA5-Land"):
        ends = [
            optional(lambda p=part, q=product: said(described(study, quantity, p, q)))
            for part in ("min", "p0.1", "p99.9", "max")
        ]
        notes.append(f"{product} {' / '.join(ends)}" if all(ends) else "")
    ours = described(study, quantity, "min"), described(study, quantity, "max")
    return Found(ours, joined("min / 0.1 % / 99.9 % / max", *notes))


def above(study: Study, high: tuple[str, ...], low: tuple[str, ...], note: str = "") -> Found:
    """N23, N24, N30: is one number of describe_maps greater than another?"""
    first, second = described(study, *high), described(study, *low)
    return Found(f"{said(first)} / {said(second)}", note, first > second)


def smoother(study: Study, quantity: str) -> Found:
    """N24: is there less of it in the map than in SMCI on the cells of the map?"""
    smci = described(study, quantity, product="SMCI, bilinear")
    ours = described(study, quantity)
    nearest = optional(lambda: said(described(study, quantity, product=SMCI)))
    note = joined("map / SMCI bilinear", f"SMCI nearest {nearest}" if nearest else "")
    return Found(f"{said(ours)} / {said(smci)}", note, ours < smci)


def series(study: Study, quantity: str, yearly: bool) -> Found:
    """N25, N26: least and greatest value of a mean series of the area."""
    table = study.table("series", "period", "quantity", "value")
    own_length = table["period"].str.len() == (4 if yearly else 7)
    rows = table[(table["quantity"] == quantity) & own_length].dropna(subset="value")
    if rows.empty:
        raise Absent(f"table series has no {quantity} of {'years' if yearly else 'months'}")
    ends = float(rows["value"].min()), float(rows["value"].max())
    when = rows.loc[[rows["value"].idxmin(), rows["value"].idxmax()], "period"]
    other = table[(table["quantity"] == quantity) & ~own_length]["value"].dropna()
    beside = f"{'months' if yearly else 'yearly means'} {said((other.min(), other.max()))}"
    return Found(
        ends, joined(f"in {when.iloc[0]} and {when.iloc[1]}", beside if len(other) else "")
    )


def peak(study: Study, quantity: str) -> Found:
    """N27."""
    return Found(study.value("statistics", quantity="month_of_maximum", of=quantity))


def together(study: Study, scale: str) -> Found:
    """N28; p against years in random order, months kept."""
    row = study.row("statistics", quantity="correlation", of="soil_moisture~rain", scale=scale)
    note = f"{said(row['low'])} to {said(row['high'])}, p {said(row['p'])}, n {row['n']:.0f}"
    return Found(float(row["value"]), note, bool(row["value"] >= STRONG and row["p"] < LEVEL))


def seasonal(study: Study) -> Found:
    """N31: the six means, and in the note whether the conclusions' version holds."""
    at = dict(quantity="mean_of_month", of="soil_moisture")
    means = [study.value("statistics", scale=f"{month:02d}", **at) for month in MONTHS]
    steps = np.diff(means)
    rising = "it does" if (steps > 0).all() else "it does not"
    shown = bool((steps[:3] > 0).all() and (steps[3:] < 0).all())
    return Found(", ".join(f"{mean:.4f}" for mean in means), f"rising to October: {rising}", shown)


def slopes(study: Study) -> Found:
    """N32: over the six months; 0.1 and 99.9 % in the note."""
    ends = {}
    for part in ("min", "max", "p0.1", "p99.9"):
        of = [study.value("trend", month=m, quantity="slope_percentile", part=part) for m in six()]
        ends[part] = min(of) if part in ("min", "p0.1") else max(of)
    note = f"0.1 to 99.9 %: {said((ends['p0.1'], ends['p99.9']))}"
    return Found((ends["min"], ends["max"]), note)


def six() -> list[str]:
    return [f"{month:02d}" for month in MONTHS]


def beyond(study: Study, month: str, part: str = "all") -> tuple[int, float, str]:
    """Return 1, 0, -1 for a share (%) above, within, below what no trend gives; it; in words."""
    row = study.row("trend", month=month, quantity="share_increasing", part=part)
    if not np.isfinite([row["low"], row["high"]]).all():
        raise Absent(f"no interval of no trend for month {month}: too few years")
    share, low, high = (100 * float(row[key]) for key in ("value", "low", "high"))
    side = int(share > high) - int(share < low)
    words = {1: "above", 0: "within", -1: "below"}[side]
    return side, share, f"share {words} what no trend gives ({low:.0f}-{high:.0f} %)"


def wetter(study: Study, month: str, paper: float) -> Found:
    """N33-N35; the paper's share, significant cells and the trend of the mean in the note."""
    side, share, words = beyond(study, month)
    row = study.row("trend", month=month, quantity="share_increasing", part="all")
    within = row["low"] <= paper / 100 <= row["high"]
    at = dict(month=month, part="all")
    notes = [words, f"the paper's {paper} % is {'within' if within else 'outside'} it"]
    notes.append(
        optional(
            lambda: (
                f"significant increase in "
                f"{100 * study.value('trend', quantity='share_significant_increasing', **at):.1f} %"
            )
        )
    )
    notes.append(optional(lambda: domain_slope(study, month)))
    return Found(share, joined(*notes), side > 0)


def domain_slope(study: Study, month: str) -> str:
    row = study.row("trend", month=month, quantity="domain_slope", part="all")
    return f"mean of the area {said(row['value'])} a year, p {said(row['p'])}"


def quarters(study: Study, months: tuple, parts: tuple, side: int) -> Found:
    """N36: are all shares on one side (1, 0, -1) of what no trend gives?"""
    found = {(m, p): beyond(study, m, p) for m in months for p in parts}
    ours = ", ".join(f"{m} {p} {share:.0f} %" for (m, p), (_, share, _) in found.items())
    notes = [f"{m} {p} {words}" for (m, p), (*_, words) in found.items()]
    for m, p in found:
        at = dict(month=m, part=p, quantity="mean_slope")
        notes.append(
            optional(lambda a=at: f"mean slope {a['month']} {a['part']} "
                     f"{said(study.value('trend', **a))} a year")
        )  # fmt: skip
    return Found(ours, joined(*notes), all(at == side for at, *_ in found.values()))


def upward(study: Study) -> Found:
    """N37: Sen slope of the yearly means a year, exact Mann-Kendall."""
    row = study.row("statistics", quantity="sen_slope", of="soil_moisture", scale="annual")
    note = f"95 % {said((row['low'], row['high']))}, p {said(row['p'])}, n {row['n']:.0f}"
    return Found(float(row["value"]), note, bool(row["value"] > 0 and row["p"] < LEVEL))


DEEPER = "the paper gives 5-80 cm every 15 min; monthly means of one depth are used here"
OURS: dict[str, Callable[[Study], Found]] = {
    "N1": lambda s: _paper.score(s, "temporal", "R"),
    "N2": lambda s: _paper.score(s, "temporal", "RMSE"),
    "N3": lambda s: _paper.score(s, "temporal", "bias"),
    "N4": lambda s: _paper.score(s, "train", "R"),
    "N5": lambda s: _paper.score(s, "train", "RMSE"),
    "N6": _paper.sample_count,
    "N7a": _paper.split_years,
    "N7b": _paper.split_share,
    "N8": _paper.bulk,
    "N9": _paper.tenths,
    "N10": _paper.enough,
    "N11": _paper.good,
    "N12": lambda s: _paper.at_good(s, "R"),
    "N13": lambda s: _paper.at_good(s, "ubRMSE"),
    "N14": lambda s: _paper.at_good(s, "SD"),
    "N15a": lambda s: _paper.closer(s, "train"),
    "N15b": lambda s: _paper.closer(s, "temporal"),
    "N15c": lambda s: _paper.closer(s, "leave_location_out"),
    "N16": lambda s: _paper.correlation(s, "sand", "silt"),
    "N17": lambda s: _paper.correlation(s, "sand", "clay"),
    "N18": lambda s: _paper.correlation(s, "LST", "albedo"),
    "N19": lambda s: _paper.correlation(s, "NDVI", "ET"),
    "N20": lambda s: _paper.correlation(s, "ET", "pre"),
    "N21a": lambda s: _paper.importance(
        s, [("slope",), ("aspect", "northness", "eastness")], lambda r, n: max(r) <= 2
    ),
    "N21b": lambda s: _paper.importance(s, [("silt",), ("sand",)], lambda r, n: max(r) <= 4),
    "N21c": lambda s: _paper.importance(s, [("LST",)], lambda r, n: 4 <= r[0] <= 6),
    "N21d": lambda s: _paper.importance(s, [("NDVI",), ("ET",)], lambda r, n: min(r) > 2 * n / 3),
    "N21e": lambda s: _paper.importance(s, [("SMC",)], lambda r, n: r[0] > n / 2),
    "N22": lambda s: map_range(s, "range"),
    "N23a": lambda s: above(
        s, ("mean_by_position", "valley"), ("mean_by_position", "ridge"), "wetlands are not mapped"
    ),
    "N23b": lambda s: above(s, ("mean_by_ndvi", "high"), ("mean_by_ndvi", "low")),
    "N24a": lambda s: smoother(s, "local_sd"),
    "N24b": lambda s: smoother(s, "nugget_share"),
    "N25a": lambda s: series(s, "soil_moisture", yearly=True),
    "N25b": lambda s: series(s, "soil_moisture", yearly=True),
    "N26": lambda s: series(s, "rain", yearly=False),
    "N27a": lambda s: peak(s, "rain"),
    "N27b": lambda s: peak(s, "soil_moisture"),
    "N28a": lambda s: together(s, "monthly"),
    "N28b": lambda s: together(s, "annual"),
    "N28c": lambda s: together(s, "deseasonalised"),
    "N29": lambda s: map_range(s, "annual_range"),
    "N30": lambda s: above(s, ("centre",), ("margin",)),
    "N31": seasonal,
    "N32": slopes,
    "N33": lambda s: wetter(s, "05", 77.46),
    "N34": lambda s: wetter(s, "06", 70.34),
    "N35": lambda s: wetter(s, "09", 82.45),
    "N36a": lambda s: quarters(s, ("07", "08"), ("SW",), 1),
    "N36b": lambda s: quarters(s, ("10",), ("all",), 0),
    "N36c": lambda s: quarters(s, ("05", "06"), ("NW", "NE"), -1),
    "N37": upward,
    "N38": lambda s: Found(described(s, "area_km2", product="")),
    "N39": lambda s: Found(described(s, "altitude_m", product="")),
    "N40a": lambda s: _paper.listed(s, "stations", DEEPER),
    "N40b": _paper.extent,
    "N41": lambda s: Found("", "cited by the paper, its source gives another statistic"),
    "N42": lambda s: Found("", "cited by the paper, its source gives another statistic"),
    "N43": lambda s: _paper.listed(s, "gauges", ""),
    "N44a": lambda s: _paper.removed(s, s.min_lst, "LST", lambda v, limit: v <= limit),
    "N44b": lambda s: _paper.removed(s, s.max_albedo, "albedo", lambda v, limit: v >= limit),
}
# What rests on the years of the study, on its test years, and on the area of the maps.
OF_YEARS = ("N6", "N25", "N26", "N27", "N28", "N31", "N32", "N33", "N34", "N35", "N36", "N37")
OF_TEST = ("N1", "N2", "N3", "N4", "N5", "N9", "N15")
OF_AREA = (*OF_YEARS, "N22", "N23", "N29", "N30")
OF_UNIT = ("N2", "N3", "N5", "N8", "N13", "N14", "N22", "N25", "N29", "N32")


def elsewhere(study: Study, name: str) -> str:
    """Return why a number of this study cannot be held against the paper's, "" if it can.

    A simulated study says so in every row, and its small area is meant to be compared.
    """
    number = name.rstrip("abcde")
    if number in OF_UNIT and study.unit != "m3/m3":
        return f"the target is in {study.unit}"
    if number in OF_YEARS and (study.years, study.months) != (_paper.YEARS, MONTHS):
        return "the paper's is of May to October 2009-2018"
    if number in OF_TEST and study.test != _paper.TEST:
        return "the paper's test years are 2016-2018"
    if number in OF_AREA and not study.simulated:
        try:
            area = described(study, "area_km2", product="")
        except Absent:
            return "the area is not known"
        if abs(area / AREA - 1) > 0.5:
            return f"the area is {area:.0f} km2, the paper's {AREA}"
    return ""


def compared(line: pd.Series, study: Study) -> dict:
    """Return ours, difference, verdict and note of a line of the paper's numbers."""
    try:
        found = OURS[line["id"]](study)
    except Absent as reason:
        return dict(ours="", difference=np.nan, verdict="not available", note=str(reason))
    difference = _paper.gap(line["low"], line["high"], found.ours)
    tolerance = pd.to_numeric(line["tolerance"], errors="coerce")
    told = _paper.verdict(line["class"], difference, tolerance, found.shown)
    if reason := elsewhere(study, line["id"]):
        told = "not comparable"
    note = joined(reason, found.note)
    return dict(ours=said(found.ours), difference=difference, verdict=told, note=note)


def comparison(numbers: pd.DataFrame, decisions: pd.DataFrame, study: Study) -> pd.DataFrame:
    """Return COLUMNS for each of the paper's numbers, contradictions with what was decided."""
    what = decisions.set_index("id")["decision"]
    rows = pd.DataFrame([compared(line, study) for _, line in numbers.iterrows()])
    table = numbers.drop(columns=["contradictions"]).join(rows)
    if study.simulated:
        table["verdict"] = "simulated: " + table["verdict"]
    named = numbers["contradictions"].fillna("").str.split()
    table["contradictions"] = ["; ".join(f"{c}: {what[c]}" for c in ids) for ids in named]
    table["study"] = "simulated" if study.simulated else "this study"
    return table[list(COLUMNS)]


def read(given: dict[str, str | list[str]]) -> dict[str, pd.DataFrame]:
    """Return the tables that there are of {name: path or paths, or nothing}."""
    tables = {}
    for name, paths in given.items():
        parts = []
        for path in [paths] if isinstance(paths, str) else paths or []:
            if not Path(path).exists():
                continue
            parquet = Path(path).suffix == ".parquet"
            parts.append(pd.read_parquet(path) if parquet else pd.read_csv(path, dtype=TEXT))
        if parts:
            tables[name] = pd.concat(parts, ignore_index=True)
        else:
            log.info("no table %s: its numbers are not available", name)
    return tables


def definitions(numbers: str, decisions: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the paper's numbers and the decisions; refuse ids that do not fit."""
    lines, what = pd.read_csv(numbers, dtype=TEXT | {"paper": str}), pd.read_csv(decisions)
    if wrong := sorted(set(lines["id"]) ^ set(OURS)):
        raise UserError(
            f"{numbers}: expected the numbers that compare_with_paper.py knows, one line each, "
            f"found a difference in {', '.join(wrong)}. Restore the file."
        )
    named = set(lines["contradictions"].fillna("").str.split().sum())
    if wrong := sorted(named - set(what["id"])):
        raise UserError(
            f"{decisions}: expected a decision on every contradiction that {numbers} names, "
            f"found none on {', '.join(wrong)}. Restore the file."
        )
    return lines, what


def main(
    *,
    numbers: str,
    decisions: str,
    table: str,
    years: list,
    months: list,
    test: list,
    min_lst: float,
    max_albedo: float,
    site_months: int,
    unit: str,
    simulated: bool,
    **tables: str | list[str],
) -> None:
    """Compare. tables: {name: path or paths}; what is empty or absent is not available."""
    lines, what = definitions(numbers, decisions)
    study = Study(
        tables=read(tables),
        years=[int(year) for year in years],
        months=[int(month) for month in months],
        test=[str(prefix) for prefix in test],
        min_lst=min_lst,
        max_albedo=max_albedo,
        site_months=site_months,
        unit=unit,
        simulated=simulated,
    )
    compared = comparison(lines, what, study)
    write_table(compared, table)
    for told, count in compared["verdict"].value_counts().items():
        log.info("%s: %d numbers", told, count)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        metrics=snakemake.input.metrics,
        metrics_paper=snakemake.input.metrics_paper,
        bars=snakemake.input.bars,
        sites=snakemake.input.sites,
        samples=snakemake.input.samples,
        rows=snakemake.input.rows,
        unscreened=snakemake.input.unscreened,
        predictions=snakemake.input.predictions,
        importance=snakemake.input.importance,
        correlation=snakemake.input.correlation,
        series=snakemake.input.series,
        statistics=snakemake.input.statistics,
        trend=snakemake.input.trend,
        description=snakemake.input.description,
        stations=snakemake.input.stations,
        gauges=snakemake.input.gauges,
        numbers=snakemake.input.numbers,
        decisions=snakemake.input.decisions,
        table=snakemake.output.table,
        years=snakemake.params.years,
        months=snakemake.params.months,
        test=snakemake.params.test,
        min_lst=snakemake.params.min_lst,
        max_albedo=snakemake.params.max_albedo,
        site_months=snakemake.params.site_months,
        unit=snakemake.params.unit,
        simulated=snakemake.params.simulated,
    )
