"""Put every number of the paper beside this study's, with the contradictions that touch it.

Definitions are data: `config/paper_numbers.csv` (N1-N44: the paper's value, the range that counts
as agreement, the kind of number) and `config/paper_contradictions.csv` (C1-C24). Accuracy is that
of the paper's own protocol where it ran beside this study's; this study's is in the note. What a
study cannot tell (other months, other sites) is "not available" with the reason. In a simulated
study every row says so: agreement there says how the world was built, not how the paper did.
"""

from calendar import month_name

import numpy as np
import pandas as pd

from _log import UserError, log, log_to
from _table import write_table

COLUMNS = (
    "id", "quantity", "paper", "ours", "difference", "class", "tolerance", "verdict", "note",
    "contradictions", "study",
)  # fmt: skip
DEFINED = ("id", "quantity", "paper", "low", "high", "class", "where", "contradictions")
BEST = ("NST01", "NST03", "NST05", "NST09")  # the paper's good sites (N11)
MEAN = "mean of sites"
TREND_MONTHS = {"N33": "05", "N34": "06", "N35": "09"}
SOUTH, NORTH = ("SW",), ("NW", "NE")

Answer = tuple[object, str]  # the value, or None, and a note or the reason why there is none


def of(table: pd.DataFrame | None, column: str = "value", **where) -> float:
    """Return the one value of a long table whose other columns are as given; NaN if not there."""
    if table is None:
        return np.nan
    for name, value in where.items():
        table = table[table[name] == value]
    return float(table[column].iloc[0]) if len(table) else np.nan


def answer(value: float, note: str = "", lacking: str = "this study has no such value") -> Answer:
    """Return value and note, or None and the reason where the value is NaN."""
    return (float(value), note) if np.isfinite(value) else (None, lacking)


def accuracy(metrics, baseline, bars) -> dict[str, Answer]:
    """Return N1-N5: the paper's protocol, with this study's and what needs no predictor (D10)."""
    used = metrics if baseline is None else baseline
    names = {
        "N1": ("temporal", "R"),
        "N2": ("temporal", "RMSE"),
        "N3": ("temporal", "bias"),
        "N4": ("train", "R"),
        "N5": ("train", "RMSE"),
    }
    found = {}
    for number, (protocol, metric) in names.items():
        row = dict(protocol=protocol, subset="all", metric=metric)
        told = []
        if baseline is not None:
            told.append(f"recommended: {of(metrics, **row):.4g}")
        if protocol == "temporal":
            out = of(used, **(row | dict(protocol="leave_location_out")))
            told.append(f"at places left out: {out:.4g}")
            for model in ("look-up", "white noise"):
                told.append(f"{model} without predictors: {of(bars, model=model, **row):.4g}")
        found[number] = answer(of(used, **row), "; ".join(told), "no such validation")
    return found


def counted(samples: pd.DataFrame, months: list[str], test: list[str]) -> dict[str, Answer]:
    """Return N6 and N7 from the samples' months and sources."""
    source = samples["source"].value_counts()
    tested = samples["month"].str.startswith(tuple(test))
    years = sorted({month[:4] for month in months if not month.startswith(tuple(test))})
    each = samples.groupby(samples["month"].str[:4]).size()
    by_year = ", ".join(f"{year}: {n}" for year, n in each.items())
    span = f"{years[0]}-{years[-1]}" if years else None
    kinds = ", ".join(f"{n} of {name}" for name, n in source.items())
    return {
        "N6": (float(len(samples)), f"{kinds}; {by_year}"),
        "N7a": (span, "" if span else "no training year"),
        "N7b": answer(tested.mean(), f"{int(tested.sum())} of {len(samples)}"),
    }


def ends(predictions: pd.DataFrame) -> dict[str, Answer]:
    """Return N9: the mean error in the driest and the wettest tenth of the target, test years."""
    rows = predictions[predictions["protocol"] == "temporal"]
    low, high = rows["target"].quantile([0.1, 0.9])
    error = rows["prediction"] - rows["target"]
    lacking = "no test samples"
    return {
        "N9a": answer(error[rows["target"] <= low].mean(), lacking=lacking),
        "N9b": answer(error[rows["target"] >= high].mean(), lacking=lacking),
    }


def at_sites(sites: pd.DataFrame, least: int) -> dict[str, Answer]:
    """Return N10-N15 from the scores of single sites; `least` months make enough data."""
    single = sites[sites["site"] != MEAN]
    seen = single.query("way == 'all years' and model == 'forest'")
    r = seen[seen["metric"] == "R"].set_index("site")
    enough = r[r["n"] >= least]
    months = ", ".join(f"{site} {int(n)}" for site, n in enough["n"].items())
    found = {"N10": (float(len(enough)), f"months: {months}" if months else "")}
    best = enough["value"].nlargest(4)
    known = set(BEST) <= set(r.index)
    reason = f"the sites {', '.join(BEST)} are not all in this study"
    told = ", ".join(f"{site} {value:.2f}" for site, value in best.items())
    found["N11"] = (" ".join(sorted(best.index)), told) if known else (None, reason)
    for number, metric in (("N12", "R"), ("N13", "ubRMSE"), ("N14", "SD")):
        values = seen[(seen["metric"] == metric) & seen["site"].isin(BEST)]["value"]
        told = f"{values.min():.3g} to {values.max():.3g}" if known else ""
        found[number] = answer(values.mean() if known else np.nan, told, reason)
    ways = {"N15a": "all years", "N15b": "test years", "N15c": "left out, all years"}
    for number, way in ways.items():
        row = dict(site=MEAN, way=way, metric="RMSE")
        smci = of(sites, model="SMCI, nearest", **row)
        forest = of(sites, model="forest", **row)
        told = f"forest {forest:.4f}, SMCI {smci:.4f}; the recommended forest"
        found[number] = answer(smci - forest, told, "no stations beside SMCI")
    return found


def correlations(table: pd.DataFrame) -> dict[str, Answer]:
    """Return N16-N20, and in the note of sand and silt what closure to 100 % implies (D1)."""
    table = table.set_index(table.columns[0])
    pairs = {
        "N16": ("sand", "silt"),
        "N17": ("sand", "clay"),
        "N18": ("LST", "albedo"),
        "N19": ("NDVI", "ET"),
        "N20": ("ET", "pre"),
    }
    found = {}
    for number, (a, b) in pairs.items():
        here = a in table.index and b in table.columns
        value = float(table.loc[a, b]) if here else np.nan
        found[number] = answer(value, lacking=f"{a} and {b} are not both predictors here")
    if {"silt", "clay"} <= set(table.index):
        implied = f"silt, clay here {table.loc['silt', 'clay']:+.2f}; the paper's two imply +0.43"
        found["N16"] = (found["N16"][0], implied)
    return found


def ranks(importance: pd.DataFrame) -> dict[str, Answer]:
    """Return N21: ranks of single predictors at seen places and at unseen ones (D12)."""
    single = importance[importance["kind"] == "single"]
    found = {}
    terrain = ["slope", "aspect", "northness", "eastness"]
    asked = {
        "N21a": ("temporal", terrain),
        "N21b": ("leave_location_time_out", terrain),
        "N21c": ("temporal", ["LST"]),
    }
    for number, (protocol, names) in asked.items():
        rows = single[single["protocol"] == protocol].set_index("predictor")
        rank = rows["mean"].rank(ascending=False)
        here = rank[[name for name in names if name in rank.index]]
        order = ", ".join(rows["mean"].nlargest(5).index)
        noise = rows["noise"].iloc[0] if len(rows) else np.nan
        told = f"first: {order}; a column of noise adds {noise:.2g} to the RMSE"
        found[number] = answer(here.min() if len(here) else np.nan, told, "no such predictor")
    return found


def described(description: pd.DataFrame) -> dict[str, Answer]:
    """Return N8, N22-N24, N29, N30, N38 and N39 from the maps in numbers."""

    def get(quantity, part="all", product="map"):
        return of(description, quantity=quantity, part=part, product=product)

    def inner(quantity, product="map"):
        low, high = (get(quantity, part, product) for part in ("p0.1", "p99.9"))
        return f"0.1 to 99.9 %: {low:.3g} to {high:.3g}"

    smci = f"SMCI {get('range', 'min', 'SMCI'):.3g} to {get('range', 'max', 'SMCI'):.3g}"
    own, other = get("local_sd"), get("local_sd", product="SMCI, bilinear")
    wet, dry = (get("mean_by_position", part) for part in ("valley", "ridge"))
    green, bare = (get("mean_by_ndvi", part) for part in ("high", "low"))
    return {
        "N8": answer(get("share_in_0.3_0.4"), "of cells and months, by area"),
        "N22a": answer(get("range", "min"), f"{inner('range')}; {smci}"),
        "N22b": answer(get("range", "max"), f"{inner('range')}; {smci}"),
        "N23a": answer(wet - dry, f"{wet:.3f} and {dry:.3f}", "no topographic position here"),
        "N23b": answer(green - bare, f"{green:.3f} and {bare:.3f}"),
        "N24": answer(own / other, f"SD {own:.4f} and {other:.4f}; no sign of accuracy"),
        "N29a": answer(get("annual_range", "min"), inner("annual_range")),
        "N29b": answer(get("annual_range", "max"), inner("annual_range")),
        "N30": answer(get("centre") - get("margin")),
        "N38": answer(get("area_km2", product="")),
        "N39": answer(get("altitude_m", product="")),
    }


def in_time(statistics: pd.DataFrame) -> dict[str, Answer]:
    """Return N25-N28, N31 and N37 from the series of the area."""

    def get(quantity, what, scale, column="value"):
        return of(statistics, column, quantity=quantity, of=what, scale=scale)

    def interval(quantity, what, scale):
        low, high, p = (get(quantity, what, scale, column) for column in ("low", "high", "p"))
        if not np.isfinite(low):
            return "too few years for an interval"
        return f"95 % interval {low:.2g} to {high:.2g}, p {p:.2g}"

    def month(what):
        value = get("month_of_maximum", what, "monthly")
        return (month_name[int(value)], "") if np.isfinite(value) else (None, "no such series")

    def between(late, early):
        a, b = (get("mean_of_month", "soil_moisture", one) for one in (late, early))
        return answer(a - b, f"{a:.4f} and {b:.4f}", "one of these months is not in this study")

    moisture, both = "soil_moisture", "soil_moisture~rain"
    found = {
        "N25a": answer(get("minimum", moisture, "annual"), "means of the season"),
        "N25b": answer(get("minimum", moisture, "annual"), "means of the season"),
        "N25c": answer(get("maximum", moisture, "annual"), "means of the season"),
        "N26a": answer(get("minimum", "rain", "monthly"), "mean over the area of kriged rain"),
        "N26b": answer(get("maximum", "rain", "monthly"), "mean over the area of kriged rain"),
        "N27a": month("rain"),
        "N27b": month(moisture),
        "N31a": between("08", "05"),
        "N31b": between("10", "08"),
        "N37": answer(
            get("sen_slope", moisture, "annual"),
            interval("sen_slope", moisture, "annual"),
            "fewer than five years",
        ),
    }
    for number, scale in (("N28a", "monthly"), ("N28b", "annual"), ("N28c", "deseasonalised")):
        value = get("correlation", both, scale)
        found[number] = answer(value, interval("correlation", both, scale), "too few years")
    return found


def trending(trends: pd.DataFrame) -> dict[str, Answer]:
    """Return N32-N36: slopes, and shares of area beside what no trend gives (D7)."""

    def get(month, quantity, part="all", column="value"):
        return of(trends, column, month=month, quantity=quantity, part=part)

    def parts(months, names):
        return [get(m, "share_increasing", part) for m in months for part in names]

    few = "fewer than five years, or not a month of this study"
    found = {}
    for number, part, choose in (("N32a", "min", np.min), ("N32b", "max", np.max)):
        found_ = trends[(trends["quantity"] == "slope_percentile") & (trends["part"] == part)]
        known = found_["value"].dropna()
        inner = {"min": "p0.1", "max": "p99.9"}[part]
        rest = trends[(trends["quantity"] == "slope_percentile") & (trends["part"] == inner)]
        told = f"{inner} of all cells: {choose(rest['value'].dropna()):.4f}" if len(known) else ""
        found[number] = answer(choose(known) if len(known) else np.nan, told, few)
    for number, month in TREND_MONTHS.items():
        low, high = (get(month, "share_increasing", column=c) for c in ("low", "high"))
        share = get(month, "share_significant_increasing")
        told = f"no trend gives {low:.2f} to {high:.2f}; {share:.1%} significant"
        found[number] = answer(get(month, "share_increasing"), told, few)
    for number, months, names in (("N36a", ("07", "08"), SOUTH), ("N36b", ("05", "06"), NORTH)):
        values = np.array(parts(months, names))
        told = ", ".join(f"{value:.2f}" for value in values)
        found[number] = answer(values.mean(), told, few)
    return found


def verdict(row: pd.Series, value, trends: pd.DataFrame | None) -> str:
    """Return how the value stands to the paper's number, in words."""
    if row["class"] == "cannot":
        return "not comparable"
    if value is None:
        return "not available"
    if row["class"] == "trend":
        where = dict(month=TREND_MONTHS[row["id"]], quantity="share_increasing", part="all")
        low, high = (of(trends, column, **where) for column in ("low", "high"))
        return "within what no trend gives" if low <= value <= high else "outside chance"
    if isinstance(value, str):
        good = value == row["paper"]
    elif pd.isna(row["low"]) and pd.isna(row["high"]):
        return "reported"
    else:
        low = -np.inf if pd.isna(row["low"]) else row["low"]
        high = np.inf if pd.isna(row["high"]) else row["high"]
        good = low <= value <= high
    if row["class"] == "pattern":
        return "pattern shown" if good else "pattern not shown"
    return "agrees" if good else "differs"


def tolerance(row: pd.Series) -> str:
    """Return the range that counts as agreement, in words."""
    low, high = ("" if pd.isna(row[name]) else f"{row[name]:g}" for name in ("low", "high"))
    if low and high:
        return low if low == high else f"{low} to {high}"
    return f"at least {low}" if low else f"at most {high}" if high else ""


def compared(numbers, contradictions, answers, trends, simulated: bool) -> pd.DataFrame:
    """Return the table: a row a number of the paper, then the contradictions that touch none."""
    decision = contradictions.set_index("id")["decision"]
    rows, touched = [], set()
    for _, row in numbers.iterrows():
        value, note = answers.get(row["id"], (None, "this study has no such table"))
        names = str(row["contradictions"] or "").split()
        touched |= set(names)
        said = verdict(row, value, trends)
        paper = pd.to_numeric(row["paper"], errors="coerce")
        numeric = isinstance(value, float) and np.isfinite(paper)
        rows.append(
            dict(
                id=row["id"],
                quantity=row["quantity"],
                paper=row["paper"],
                ours=f"{value:.6g}" if isinstance(value, float) else value or "",
                difference=f"{value - paper:.3g}" if numeric else "",
                tolerance=tolerance(row),
                verdict=said,
                note=note,
                contradictions="; ".join(f"{name}: {decision[name]}" for name in names),
            )
            | {"class": row["class"]}
        )
    for _, row in contradictions[~contradictions["id"].isin(touched)].iterrows():
        texts = dict(quantity=row["what"], verdict="decided", note=row["decision"])
        rows.append(dict(id=row["id"], contradictions=row["id"]) | {"class": "cannot"} | texts)
    table = pd.DataFrame(rows).reindex(columns=COLUMNS).astype(object).fillna("")
    table["study"] = "simulated" if simulated else "this study"
    if simulated:
        table["verdict"] = "simulated: " + table["verdict"]
    return table


def main(
    numbers, contradictions, metrics, baseline, bars, samples, predictions, sites, correlation,
    importance, description, statistics, trends, gauges, stations, table, months, test, least,
    min_lst, max_albedo, simulated,
):  # fmt: skip
    defined = pd.read_csv(numbers, dtype={"paper": str}).fillna({"contradictions": ""})
    if lacking := set(DEFINED) - set(defined):
        raise UserError(
            f"{numbers}: expected the columns {', '.join(DEFINED)}, found no "
            f"{', '.join(sorted(lacking))}. Take the file as the repository has it."
        )
    trend = pd.concat([pd.read_csv(path, dtype={"month": str}) for path in trends])
    sampled = pd.read_parquet(samples, columns=["source", "month"])
    predicted = pd.read_parquet(predictions, columns=["protocol", "target", "prediction"])
    paper = pd.read_csv(baseline) if baseline else None
    answers = accuracy(pd.read_csv(metrics), paper, pd.read_csv(bars))
    answers |= counted(sampled, months, test) | ends(predicted)
    answers |= at_sites(pd.read_csv(sites, dtype={"site": str}), least)
    answers |= correlations(pd.read_csv(correlation)) | ranks(pd.read_csv(importance))
    answers |= described(pd.read_csv(description).fillna({"product": ""}))
    answers |= in_time(pd.read_csv(statistics, dtype={"scale": str})) | trending(trend)
    answers |= {
        "N40": (float(len(pd.read_csv(stations))), "sites in the table of the study"),
        "N43": (float(len(pd.read_csv(gauges))), "gauges in the table of the study"),
        "N44a": (float(min_lst), "samples.min_lst"),
        "N44b": (float(max_albedo), "samples.max_albedo"),
    }
    found = compared(defined, pd.read_csv(contradictions), answers, trend, simulated)
    write_table(found, table)
    for words, n in found["verdict"].value_counts().items():
        log.info("%d: %s", n, words)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        numbers=snakemake.input.numbers,
        contradictions=snakemake.input.contradictions,
        metrics=snakemake.input.metrics,
        baseline=snakemake.input.baseline,
        bars=snakemake.input.bars,
        samples=snakemake.input.samples,
        predictions=snakemake.input.predictions,
        sites=snakemake.input.sites,
        correlation=snakemake.input.correlation,
        importance=snakemake.input.importance,
        description=snakemake.input.description,
        statistics=snakemake.input.statistics,
        trends=snakemake.input.trends,
        gauges=snakemake.input.gauges,
        stations=snakemake.input.stations,
        table=snakemake.output.table,
        months=snakemake.params.months,
        test=snakemake.params.test,
        least=snakemake.params.least,
        min_lst=snakemake.params.min_lst,
        max_albedo=snakemake.params.max_albedo,
        simulated=snakemake.params.simulated,
    )
