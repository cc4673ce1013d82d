"""What a number beside the paper's is, and those of samples, forest and stations.

The paper's own protocol is compared where this run has it; what the recommended one finds stands
in the note.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

NINE = ("NST01", "NST03", "NST05", "NST06", "NST07", "NST08", "NST09", "NST25", "CST05")
GOOD = ("NST01", "NST03", "NST05", "NST09")
YEARS, TEST = list(range(2009, 2019)), ["2016", "2017", "2018"]
SMCI = "SMCI, nearest"


class Absent(Exception):
    """Why this run has no such number."""


class Found(NamedTuple):
    """A number of this run (or two ends, or words), what else to know, and if the claim holds."""

    ours: float | tuple[float, float] | str
    note: str = ""
    shown: bool | None = None


@dataclass
class Study:
    """The tables that a run has ({name: table}) and what its config says."""

    tables: dict[str, pd.DataFrame]
    years: list[int]
    months: list[int]
    test: list[str]
    min_lst: float
    max_albedo: float
    site_months: int
    unit: str
    simulated: bool

    def table(self, name: str, *columns: str) -> pd.DataFrame:
        """Return a table with `columns`, or raise Absent."""
        if name not in self.tables:
            raise Absent(f"this study has no table {name}")
        if missing := [column for column in columns if column not in self.tables[name]]:
            raise Absent(f"table {name} has no {', '.join(missing)}")
        return self.tables[name]

    def row(self, name: str, **where) -> pd.Series:
        """Return the row of a table where columns have these values, or raise Absent."""
        table = self.table(name, *where, "value")
        found = table[(table[list(where)] == pd.Series(where)).all(axis=1)]
        what = ", ".join(map(str, where.values()))
        if found.empty:
            raise Absent(f"table {name} has no {what}")
        if not np.isfinite(found["value"].iloc[0]):
            raise Absent(f"table {name} has no value of {what}: too few data")
        return found.iloc[0]

    def value(self, name: str, **where) -> float:
        return float(self.row(name, **where)["value"])


def said(value) -> str:
    """Return a number, the two ends of a range, or words as a person reads them."""
    if isinstance(value, tuple):
        return " to ".join(map(said, value))
    return value if isinstance(value, str) else f"{value:.4g}"


def optional(words: Callable[[], str]) -> str:
    """Return words for the note, "" where this run lacks what they are about."""
    try:
        return words()
    except Absent:
        return ""


def joined(*notes: str) -> str:
    return "; ".join(note for note in notes if note)


def gap(low: float, high: float, ours) -> float:
    """Return ours minus the paper's number; of ranges at the end where it is greater, else NaN."""
    if isinstance(ours, str):
        return float("nan")
    first, last = ours if isinstance(ours, tuple) else (ours, ours)
    return max((first - low, last - high), key=abs)


def verdict(kind: str, difference: float, tolerance: float, shown: bool | None) -> str:
    """Return the verdict of a number.

    kind: exact, close, pattern or cannot. What has a number agrees within `tolerance`; `shown`
    says whether a claim holds, or that a number has the right sign as well.
    """
    if kind == "cannot":
        return "not comparable"
    near = not np.isfinite(tolerance) or abs(difference) <= tolerance + 1e-9
    holds = near if shown is None else shown
    if kind == "pattern":
        return "pattern shown" if holds else "pattern not shown"
    return "agrees" if near and holds else "differs"


def own(study: Study) -> str:
    """Return the table of the paper's protocol, or of the study's own without it."""
    return "metrics_paper" if "metrics_paper" in study.tables else "metrics"


def score(study: Study, protocol: str, metric: str) -> Found:
    """N1-N5 with the recommended protocol, places left out, and trivial models (D10) beside."""
    at = dict(protocol=protocol, subset="all", metric=metric)
    value = study.value(own(study), **at)
    notes = ["" if own(study) == "metrics" else "by the paper's protocol"]
    beside = {"recommended": ("metrics", at)} if own(study) != "metrics" else {}
    if protocol == "temporal":
        beside["places left out"] = (own(study), at | {"protocol": "leave_location_out"})
        beside |= {f"target of {s}": (own(study), at | {"subset": s}) for s in ("insitu", "smci")}
        beside |= {m: ("bars", at | {"model": m}) for m in ("look-up", "white noise")}
    for words, (name, where) in beside.items():
        notes.append(optional(lambda n=name, w=where, t=words: f"{t} {said(study.value(n, **w))}"))
    if metric == "R" and protocol == "temporal":
        between = dict(quantity="variance_between_places", subset="all")
        notes.append(
            optional(
                lambda: (
                    f"{100 * study.value('samples', **between):.0f} % of the target's variance "
                    "lies between places"
                )
            )
        )
    return Found(value, joined(*notes), value < 0 if metric == "bias" else None)


def sample_count(study: Study) -> Found:
    """N6; by year, calendar month and source in the note."""
    samples = study.table("rows", "month", "source")
    n = {
        p: study.row(own(study), protocol=p, subset="all", metric="R")["n"]
        for p in ("train", "temporal")
    }
    by = {
        "year": samples["month"].str[:4],
        "month": samples["month"].str[5:],
        "source": samples["source"],
    }
    parts = [
        f"by {name} "
        + ", ".join(f"{key} {size}" for key, size in samples.groupby(keys).size().items())
        for name, keys in by.items()
    ]
    return Found(float(sum(n.values())), joined(f"recommended: {len(samples)}", *parts))


def split_years(study: Study) -> Found:
    """N7, the years."""
    test = sorted({year for year in map(str, study.years) if year.startswith(tuple(study.test))})
    learned = [year for year in map(str, study.years) if year not in test]
    paper = [str(year) for year in YEARS if str(year) not in TEST]
    told = " / ".join(f"{part[0]}-{part[-1]}" if part else "none" for part in (learned, test))
    return Found(told, f"test: months of {', '.join(study.test)}", (learned, test) == (paper, TEST))


def split_share(study: Study) -> Found:
    """N7, the share (%)."""
    at = dict(subset="all", metric="R")
    n = [study.row(own(study), protocol=p, **at)["n"] for p in ("train", "temporal")]
    return Found(100 * n[0] / sum(n))


def bulk(study: Study) -> Found:
    """N8: share (%) of the predictions of all years in 0.3-0.4."""
    rows = study.table("predictions", "protocol", "prediction")
    value = rows.loc[rows["protocol"].isin(["train", "temporal"]), "prediction"]
    if value.empty:
        raise Absent("table predictions has no rows of train and temporal")
    at = dict(quantity="share_in_0.3_0.4", part="all", product="map")
    maps = optional(lambda: f"cells of the maps {100 * study.value('description', **at):.1f} %")
    share = 100 * float(value.between(0.3, 0.4).mean())
    return Found(share, joined("predictions at samples", maps), share > 50)


def tenths(study: Study) -> Found:
    """N9: bias by tenth of the target in the test years."""
    rows = study.table("predictions", "protocol", "prediction", "target")
    rows = rows[rows["protocol"] == "temporal"]
    if len(rows) < 10:
        raise Absent(f"{len(rows)} test rows make no tenths")
    rank = rows["target"].rank(method="first")
    error = rows["prediction"] - rows["target"]
    bias = error.groupby(np.ceil(10 * rank / len(rows))).mean().tolist()
    note = "bias by tenth of the target: " + ", ".join(f"{value:.3f}" for value in bias)
    return Found(f"{said(bias[0])} / {said(bias[-1])}", note, bias[0] > 0 > bias[-1])


def of_sites(study: Study, way: str, metric: str) -> pd.DataFrame:
    """Return value and n of a score of the forest by site, ids as the paper writes them."""
    table = study.table("sites", "site", "way", "model", "metric", "value", "n")
    found = table[
        (table["way"] == way)
        & (table["model"] == "forest")
        & (table["metric"] == metric)
        & (table["site"] != "mean of sites")
    ]
    return found.assign(site=found["site"].str.replace("_", "")).set_index("site")[["value", "n"]]


def enough(study: Study) -> Found:
    """N10: the sites with as many months as the report asks for; the months in the note."""
    n = of_sites(study, "all years", "RMSE")["n"]
    if n.empty:
        raise Absent("no station has samples")
    there = sorted(n.index[n >= study.site_months])
    months = ", ".join(f"{site} {count}" for site, count in n.items())
    note = f"at least {study.site_months} months; months by site: {months}"
    return Found(", ".join(there) or "none", note, set(there) == set(NINE))


def good(study: Study) -> Found:
    """N11: is R of the four sites greater than that of the other five?"""
    r = of_sites(study, "all years", "R")["value"].reindex(NINE).dropna()
    four = r[r.index.isin(GOOD)]
    if four.empty or len(four) == len(r):
        raise Absent("the stations here are not those of the paper, or have too few months")
    rest = r.drop(four.index)
    note = f"mean R {said(four.mean())} and {said(rest.mean())}; " + ", ".join(
        f"{site} {value:.2f}" for site, value in r.items()
    )
    best = ", ".join(sorted(r.nlargest(4).index))
    return Found(best, note, bool(four.mean() > rest.mean()))


def at_good(study: Study, metric: str) -> Found:
    """N12-N14: the range of a score over the good sites."""
    told = {}
    for way in ("all years", "test years", "left out, all years"):
        value = of_sites(study, way, metric)["value"].reindex(GOOD).dropna()
        if len(value):
            told[way] = value.min(), value.max()
    if "all years" not in told:
        raise Absent(f"the stations here have no {' and no '.join(GOOD)}")
    return Found(told["all years"], joined(*(f"{way} {said(ends)}" for way, ends in told.items())))


def closer(study: Study, protocol: str) -> Found:
    """N15: RMSE at all stations of forest and SMCI; the mean of the sites beside (D11)."""
    at = dict(protocol=protocol, subset="insitu", metric="RMSE")
    smci = study.value("bars", model=SMCI, **at)
    recommended = study.value("metrics", **at)
    try:
        forest, name = study.value("bars", model="paper", **at), "the paper's protocol"
    except Absent:
        forest, name = recommended, "the forest"
    way = {"temporal": "test years", "leave_location_out": "left out, all years"}.get(protocol)
    notes = [f"RMSE at stations of {name} and of SMCI", f"recommended {said(recommended)}"]
    for metric in ("RMSE", "R") if way else ():
        mean = dict(site="mean of sites", way=way, metric=metric)
        notes.append(
            optional(
                lambda m=mean: (
                    f"mean of sites, {m['metric']}: recommended "
                    f"{said(study.value('sites', model='forest', **m))}, SMCI "
                    f"{said(study.value('sites', model=SMCI, **m))}"
                )
            )
        )
    return Found(f"{said(forest)} / {said(smci)}", joined(*notes), forest < smci)


def correlation(study: Study, a: str, b: str) -> Found:
    """N16-N20."""
    table = study.table("correlation", "predictor").set_index("predictor")
    if a not in table.index or b not in table.columns or not np.isfinite(table.loc[a, b]):
        raise Absent(f"no correlation of {a} and {b}: not both are predictors that vary")
    note = closure(study, table) if (a, b) == ("sand", "silt") else ""
    return Found(float(table.loc[a, b]), note)


def closure(study: Study, table: pd.DataFrame) -> str:
    """Return D1: what N16 and N17 fix, because texture adds up to 100 % and AWC follows from it."""
    expected = {("silt", "clay"): 0.43, ("AWC", "sand"): -0.74}
    expected |= {("AWC", "silt"): 0.94, ("AWC", "clay"): 0.08}
    notes = [
        f"{a}~{b} {table.loc[a, b]:.2f} ({value:.2f})"
        for (a, b), value in expected.items()
        if a in table.index and b in table.columns
    ]
    rows = study.tables.get("rows", pd.DataFrame())
    if {"sand", "silt", "clay"} <= set(rows) and rows["sand"].std() > 0:
        for name, value in (("silt", 0.756), ("clay", 0.407)):
            notes.append(f"SD {name}/sand {rows[name].std() / rows['sand'].std():.2f} ({value})")
    return joined("what the paper's sand, silt and clay fix, in brackets", *notes)


def ranks(study: Study, protocol: str) -> pd.DataFrame:
    """Return rank (1 first), lowest and highest rank over repeats, and `noise`: not above it."""
    table = study.table("importance", "predictor", "protocol", "kind", "mean", "noise")
    kept = (table["protocol"] == protocol) & (table["kind"] == "single")
    rows = table[kept & (table["predictor"] != "white noise")].set_index("predictor")
    if rows.empty:
        raise Absent(f"table importance has no {protocol}")
    repeats = rows.filter(regex="^repeat_").dropna(axis=1).rank(ascending=False, method="min")
    rank = rows["mean"].rank(ascending=False, method="min")
    return pd.DataFrame(
        dict(rank=rank, low=rank, high=rank, noise=rows["mean"] <= rows["noise"])
        | ({"low": repeats.min(axis=1), "high": repeats.max(axis=1)} if repeats.size else {})
    ).astype({"rank": int, "low": int, "high": int})


def importance(study: Study, groups: list[tuple[str, ...]], rule: Callable) -> Found:
    """N21: ranks of predictors (of each group the best), under both protocols.

    rule: (ranks, number of predictors) -> bool.
    """
    told, seen = [], None
    for protocol in ("temporal", "leave_location_time_out"):
        try:
            table = ranks(study, protocol)
        except Absent:
            if seen is None:
                raise
            continue
        best = []
        for group in groups:
            there = table[table.index.isin(group)]
            if there.empty:
                raise Absent(f"{' or '.join(group)} is no predictor here")
            best.append(there.sort_values("rank").iloc[0])
        told.append(
            ", ".join(
                f"{row.name} {row['rank']} ({row['low']}-{row['high']}"
                f"{', not above white noise' if row['noise'] else ''})"
                for row in best
            )
            + f" of {len(table)}"
        )
        if seen is None:
            seen = bool(rule([row["rank"] for row in best], len(table)))
    auc = dict(quantity="source_auc_of_terrain", subset="all")
    note = joined(
        "rank in the test years (range over repeats)",
        f"at places left out: {told[1]}" if len(told) > 1 else "",
        optional(
            lambda: (
                f"slope and aspect tell stations from SMCI with AUC "
                f"{said(study.value('samples', **auc))} (0.5 is guessing)"
            )
        )
        if ("slope",) in groups
        else "",
    )
    return Found(told[0], note, seen)


def listed(study: Study, name: str, note: str) -> Found:
    """N40, N43: rows of a table of stations."""
    return Found(float(len(study.table(name))), note)


def extent(study: Study) -> Found:
    """N40: the shorter and the longer side (km) of the stations' box."""
    at = study.table("stations", "lon", "lat")[["lon", "lat"]].dropna()
    if len(at) < 2:
        raise Absent("the table of stations has no positions: they come with the readings")
    height = 111.2 * float(np.ptp(at["lat"]))
    width = 111.2 * float(np.ptp(at["lon"]) * np.cos(np.radians(at["lat"].mean())))
    return Found((min(height, width), max(height, width)), "of the box around the stations")


def removed(study: Study, limit: float, column: str, out: Callable) -> Found:
    """N44: a limit of the screen, and how many rows of each source are beyond it."""

    def counts():
        rows = study.table("unscreened", "source", column)
        gone = out(rows[column], limit).groupby(rows["source"]).sum()
        sums = (f"{n} of {(rows['source'] == source).sum()} {source}" for source, n in gone.items())
        return "rows beyond it: " + ", ".join(sums)

    return Found(float(limit), optional(counts))
