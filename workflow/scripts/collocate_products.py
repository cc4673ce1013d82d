"""Error variances of stations, SMCI and SMC without a truth: triple collocation (A8).

It needs three records whose errors are independent, so ERA5-Land, a parent of SMCI, is no third.
Raw values mix what differs between places, where a station of one point and a cell of 5 km do not
see the same, with what changes in time; anomalies from each place's calendar month keep the second
only. The three-cornered hat asks the same without scaling. Read the intervals first: few stations
in one network say little (Gruber et al. 2016, doi:10.1016/j.jag.2015.09.002).
"""

import numpy as np
import pandas as pd

from _collocation import anomalies, three_cornered, triple_collocation
from _log import log, log_to
from _table import write_table

PRODUCTS = ("SMCI, bilinear", "SMC")
NAMES = ("stations", *PRODUCTS)


def triplets(samples: pd.DataFrame, products: pd.DataFrame) -> pd.DataFrame:
    """Return the station rows with both products: place (site), calendar month, three values."""
    # A product may be a predictor too (SMC): its column of the samples would hide the product's.
    rows = samples.loc[samples["source"] == "insitu", ["sample", "site", "month", "target"]]
    rows = rows.merge(products, on="sample")
    rows = rows.rename(columns={"target": NAMES[0]}).assign(calendar=rows["month"].str[5:7])
    return rows[["site", "calendar", *NAMES]].dropna()


def collocated(rows: pd.DataFrame, resamples: int, seed: int) -> pd.DataFrame:
    """Return the tables of every method on raw values and on anomalies, one below the other."""
    values, places = rows[list(NAMES)].to_numpy(), rows["site"].to_numpy()
    parts = []
    for of, triplet in (
        ("values", (values, places)),
        ("anomalies", anomalies(values, places, rows["calendar"].to_numpy())),
    ):
        for method in (triple_collocation, three_cornered):
            found = method(*triplet, NAMES, resamples, seed)
            found.insert(0, "method", method.__name__)
            found.insert(1, "of", of)
            parts.append(found)
    return pd.concat(parts, ignore_index=True)


def main(samples, products, collocation, bootstrap, seed):
    rows = triplets(pd.read_parquet(samples), pd.read_parquet(products))
    log.info("%d triplets of %d stations", len(rows), rows["site"].nunique())
    years = rows.groupby(["site", "calendar"])["calendar"].transform("size")
    log.info(
        "%d of them are of a calendar month with one year at its station: they have no anomaly",
        (years == 1).sum(),
    )
    table = collocated(rows, bootstrap, seed)
    for row in table[table["quantity"] == "error_variance"].itertuples():
        sd, low, high = np.sqrt(np.maximum([row.value, row.low, row.high], 0))
        log.info(
            "%s of %s, %s: error %.4f [%.4f, %.4f] %s",
            *(row.method, row.of, row.product, sd, low, high, row.reason),
        )
    write_table(table, collocation)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        samples=snakemake.input.samples,
        products=snakemake.input.products,
        collocation=snakemake.output.collocation,
        bootstrap=snakemake.params.bootstrap,
        seed=snakemake.params.seed,
    )
