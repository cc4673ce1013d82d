"""Say in a few lines where the page, the maps and the scores are, and how good the maps are.

The number that counts for a map is the one at places never seen; the usual one, for times
unseen at places seen, stands beside it so that nobody takes one for the other (C14), and under it
what passes that test without knowing anything of soil moisture.
"""

import pandas as pd

from _log import log, log_to
from _trust import described, held, of_target, score_of, stated
from _whole import whole

PROTOCOLS = {
    "temporal": "other times, same places",
    "random_cv": "random rows, same places",
    "leave_location_out": "places never seen",
}
BARS = {"white noise": "  a random number per place", "look-up": "  a look-up of place and month"}
PAPER, SHOWN_OF_PAPER = "  the paper's protocol", ("temporal", "leave_location_out")


def line(words: str, r: float, rmse: float, unit: str) -> str:
    """Return one line of R and RMSE."""
    return f"  {words:<42} R {r:5.2f}   RMSE {rmse:.4f} {unit}"


def scored(table: pd.DataFrame, protocol: str, words: str, unit: str) -> list[str]:
    """Return the line of a design, over all samples, or nothing if the table does not have it."""
    found = [score_of(table, protocol, name) for name in ("R", "RMSE")]
    if any(row is None for row in found):
        return []
    return [line(words, *(row.value for row in found), unit)]


def asked(metrics, baseline: pd.DataFrame | None, bars: pd.DataFrame, unit: str) -> list[str]:
    """Return the lines of the designs, and under them what others score in the same test."""
    lines = []
    for protocol, words in PROTOCOLS.items():
        lines += scored(metrics, protocol, words, unit)
        if protocol == "temporal":
            for name, bar in BARS.items():
                lines += scored(bars[bars["model"] == name], protocol, bar, unit)
        if baseline is not None and protocol in SHOWN_OF_PAPER:
            lines += scored(baseline, protocol, PAPER, unit)
    return lines


def fact(words: str, text: str) -> str:
    """Return one line of anything else, aligned with the scores."""
    return f"  {words:<42} {text}"


def trusted(samples, errors, intervals, applicability, trust, unit: str) -> list[str]:
    """Return the lines that say how far to trust the maps, as far as the run knows it."""
    lines = []
    for quantity, words, form in (
        ("variance_between_places", "variance that lies between places", "{:.0%}"),
        ("source_auc_of_terrain", "slope and aspect tell the source, AUC", "{:.2f}"),
    ):
        row = described(samples, quantity)
        if row is not None:
            lines.append(fact(words, form.format(row.value)))
    row = stated(errors)
    if row is not None:
        interval = f"{row.value:.4f} {unit} ({row.low:.4f} to {row.high:.4f})"
        lines.append(fact("error from true soil moisture, as stated", interval))
    row = held(intervals, "leave_location_out", of_target(intervals))
    if row is not None:
        words = f"{row.level:.0%} intervals at places left out"
        lines.append(fact(words, f"hold for {row.coverage_calibrated:.0%}"))
    if trust is not None:
        share = trust.set_index("quantity")["value"].get("coverage of the interval", float("nan"))
        lines.append(fact("the maps' intervals, against the truth", f"hold for {share:.0%}"))
    inside = applicability["share_inside"].mean()
    return [*lines, fact("cells inside the area of applicability", f"{inside:.0%}")]


def summary(
    title: str,
    unit: str,
    months: list[str],
    asked_lines: list[str],
    trusted_lines: list[str],
    score: pd.DataFrame | None,
) -> str:
    """Return the text; `score` is the table against the truth in a simulated study, else None."""
    tables = ["model/metrics.csv", "model/bars.csv"]
    if score is not None:
        tables.append("score/score.csv")
    lines = ["", f"{title}: {len(months)} map{'s' if len(months) > 1 else ''}", ""]
    lines += [
        "  page    results/report/index.html",
        f"  maps    results/maps/monthly/ ({months[0]} to {months[-1]})",
        f"  scores  {', '.join(f'results/{name}' for name in tables)}",
        "",
        "How good the forest is, by what it was asked:",
        *asked_lines,
        "",
        "How far to trust it:",
        *trusted_lines,
    ]
    if score is not None:
        lines += ["", "Against the simulated truth, 250 m cells of the test months:"]
        test = score[score["period"] == "test"]
        for product, part in test.groupby("product", sort=False):
            value = part.set_index("metric")["value"]
            lines.append(line(product, value["R"], value["RMSE"], unit))
        lines += ["", "All numbers are of simulated data; they say nothing about the real Zoige."]
    return "\n".join([*lines, ""])


def main(
    metrics,
    baseline,
    bars,
    samples,
    errors,
    intervals,
    applicability,
    score,
    trust,
    headline,
    title,
    unit,
    months,
) -> None:
    by_design = asked(
        pd.read_csv(metrics),
        pd.read_csv(baseline) if baseline else None,
        pd.read_csv(bars),
        unit,
    )
    known = trusted(
        *map(pd.read_csv, (samples, errors, intervals)),
        pd.concat(map(pd.read_csv, applicability)),
        pd.read_csv(trust) if trust else None,
        unit,
    )
    truth = pd.read_csv(score) if score else None
    text = summary(title, unit, months, by_design, known, truth)
    log.info("%s", text)
    with whole(headline) as part:
        part.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        metrics=snakemake.input.metrics,
        baseline=snakemake.input.baseline,
        bars=snakemake.input.bars,
        samples=snakemake.input.samples,
        errors=snakemake.input.errors,
        intervals=snakemake.input.intervals,
        applicability=snakemake.input.applicability,
        score=snakemake.input.score,
        trust=snakemake.input.trust,
        headline=snakemake.output.headline,
        title=snakemake.params.title,
        unit=snakemake.params.unit,
        months=snakemake.params.months,
    )
