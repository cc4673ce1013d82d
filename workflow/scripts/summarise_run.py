"""Say in a few lines where the page, the maps and the scores are, and how good the maps are.

The number that counts for a map is the one at places never seen; the usual one, for times
unseen at places seen, stands beside it so that nobody takes one for the other (C14).
"""

import pandas as pd

from _log import log, log_to
from _whole import whole

PROTOCOLS = {
    "temporal": "other times, same places",
    "random_cv": "random rows, same places",
    "leave_location_out": "places never seen",
}


def line(scores: pd.DataFrame, words: str, unit: str) -> str:
    """Return one line of R and RMSE from rows with columns metric and value."""
    value = scores.set_index("metric")["value"]
    return f"  {words:<42} R {value['R']:5.2f}   RMSE {value['RMSE']:.4f} {unit}"


def summary(title, unit, months, metrics: pd.DataFrame, score: pd.DataFrame | None) -> str:
    """Return the text; `score` is the table against the truth in a simulated study, else None."""
    pooled = metrics[metrics["subset"] == "all"]
    lines = ["", f"{title}: {len(months)} map{'s' if len(months) > 1 else ''}", ""]
    lines += [
        "  page    results/report/index.html",
        f"  maps    results/maps/monthly/ ({months[0]} to {months[-1]})",
        "  scores  results/model/metrics.csv"
        + (", results/score/score.csv" if score is not None else ""),
        "",
        "How good the forest is, by what it was asked:",
    ]
    for protocol, words in PROTOCOLS.items():
        part = pooled[pooled["protocol"] == protocol]
        if len(part):
            lines.append(line(part, words, unit))
    if score is not None:
        lines += ["", "Against the simulated truth, 250 m cells of the test months:"]
        test = score[score["period"] == "test"]
        for product, part in test.groupby("product", sort=False):
            lines.append(line(part, product, unit))
        lines += ["", "All numbers are of simulated data; they say nothing about the real Zoige."]
    return "\n".join([*lines, ""])


def main(metrics, score, headline, title, unit, months) -> None:
    text = summary(title, unit, months, pd.read_csv(metrics), pd.read_csv(score) if score else None)
    log.info("%s", text)
    with whole(headline) as part:
        part.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        metrics=snakemake.input.metrics,
        score=snakemake.input.score,
        headline=snakemake.output.headline,
        title=snakemake.params.title,
        unit=snakemake.params.unit,
        months=snakemake.params.months,
    )
