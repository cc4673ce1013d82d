"""The stations one by one: as trained, in the test years, and when they are left out (F4, F5).

Scores of all years are of stations that the forest has learned from. What it knows of a place
without a station shows only where the stations are left out, beside the products that the map
competes with, on the same rows. As trained, the forest knows the training years alone; left out,
it knows all years of the other places, so that a lower score is due to the place.
"""

import numpy as np
import pandas as pd

from _log import UserError, log, log_to
from _metrics import METRICS
from _table import write_table

# The sites of Figures 4 and 5 (S22), in their order.
NINE = ("NST01", "NST03", "NST07", "CST05", "NST08", "NST09", "NST05", "NST06", "NST25")
SHOWN = ("R", "RMSE", "bias", "ubRMSE")
MEAN = "mean of sites"
COLUMNS = ("site", "way", "model", "metric", "value", "n")


def ways(stations: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the predictions of each way to judge a site; test years are those of `temporal`."""
    protocol = stations["protocol"]
    tested = stations["sample"].isin(stations.loc[protocol == "temporal", "sample"])
    out = protocol == "leave_location_out"
    return {
        "all years": stations[protocol.isin(["train", "temporal"])],
        "test years": stations[protocol == "temporal"],
        "left out, all years": stations[out],
        "left out, test years": stations[out & tested],
    }


def scores(target: np.ndarray, values: np.ndarray) -> dict[str, float]:
    """Return the metrics SHOWN and both standard deviations (ddof 0), in the unit of the target.

    With these ubRMSE^2 = SD^2 + SD_target^2 - 2 SD SD_target R (Taylor 2001,
    10.1029/2000JD900719). R of constant values is NaN.
    """
    return {name: METRICS[name](target, values) for name in SHOWN} | {
        "SD": float(np.std(values)),
        "SD target": float(np.std(target)),
    }


def of_sites(part: pd.DataFrame, models: dict[str, str], way: str) -> list[tuple]:
    """Return rows of COLUMNS for each site of `part` and each of `models` ({name: column}).

    All models of a site are judged on the rows that all have; one that has no value at a site is
    left out there.
    """
    rows = []
    for site, here in part.groupby("site"):
        present = {name: col for name, col in models.items() if np.isfinite(here[col]).any()}
        common = here[np.isfinite(here[list(present.values())]).all(axis=1)]
        if common.empty:
            continue
        target = common["target"].to_numpy("float64")
        for name, column in present.items():
            found = scores(target, common[column].to_numpy("float64"))
            rows += [(site, way, name, key, value, len(common)) for key, value in found.items()]
    return rows


def chosen(sites: list[str], known: list[str]) -> list[str]:
    """Return the ids that the mean is over: `sites`, or all of `known` if it is empty.

    The nine sites of the paper, the default, are written as NST01 or, by ismn.earth, NST_01; those
    that are not there are left out, and all count where none is. Other unknown ids are refused.
    """
    if not sites:
        return known
    if set(sites) == set(NINE):
        there = [site for site in known if site.replace("_", "") in NINE]
        if len(there) < len(NINE):
            log.info("%d of the nine sites of the paper have samples", len(there))
        return there or known
    unknown = sorted(set(sites) - set(known))
    if unknown:
        raise UserError(
            f"report.sites: expected sites with samples, found {', '.join(unknown)}. Samples are "
            f"of {', '.join(known) or 'no station'}. Correct the list; [] takes all sites."
        )
    return list(sites)


def mean_of(table: pd.DataFrame, sites: list[str], months: int) -> pd.DataFrame:
    """Return COLUMNS with the mean over the sites of >= `months` rows; n counts the sites.

    A site without a value (R of constant values) is not in the mean of that metric.
    """
    used = table[table["site"].isin(sites) & (table["n"] >= months) & table["value"].notna()]
    means = used.groupby(["way", "model", "metric"], sort=False)["value"].agg(["mean", "size"])
    means = means.reset_index().rename(columns={"mean": "value", "size": "n"})
    return means.assign(site=MEAN)[list(COLUMNS)]


def headline(means: pd.DataFrame, metric: str) -> str:
    """Return a metric of the forest as trained and left out, and that of SMCI, in words."""
    value = means[means["metric"] == metric].set_index(["way", "model"])["value"]
    words = {"R": "%.2f", "RMSE": "%.4f"}[metric]
    text = [value.get((way, "forest"), np.nan) for way in ("all years", "left out, all years")]
    said = f"{metric} {words % text[0]} -> {words % text[1]} when left out"
    smci = value.get(("all years", "SMCI, nearest"))
    return said if smci is None else f"{said}; SMCI {words % smci}"


def main(predictions, products, scores_file, sites: list[str], months: int) -> None:
    columns = ["sample", "source", "site", "target", "protocol", "prediction"]
    table = pd.read_parquet(predictions, columns=columns)
    stations = table[table["source"] != "smci"]  # the places of a ready table are measured too
    models = {"forest": "prediction"}
    if products:
        values = pd.read_parquet(products)
        models |= {name: name for name in values.columns if name != "sample"}
        stations = stations.merge(values, on="sample", how="left", validate="m:1")
    known = sorted(stations["site"].unique())
    averaged = chosen(sites, known)
    rows = [row for way, part in ways(stations).items() for row in of_sites(part, models, way)]
    found = pd.DataFrame(rows, columns=list(COLUMNS))
    means = mean_of(found, averaged, months)
    if not known:
        log.info("no samples of stations: the table has no rows")
    elif means.empty:
        log.info("no site has %d months: there is no mean of sites", months)
    else:
        count = means.loc[means["metric"] == "RMSE", "n"].max()
        log.info("%d sites have samples, the mean is over %d", len(known), count)
        for metric in ("R", "RMSE"):
            log.info("mean of sites: %s", headline(means, metric))
    write_table(pd.concat([found, means]) if len(means) else found, scores_file)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        predictions=snakemake.input.predictions,
        products=snakemake.input.products,
        scores_file=snakemake.output.sites,
        sites=snakemake.params.sites,
        months=snakemake.params.months,
    )
