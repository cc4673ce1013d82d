"""Predict every sample under each validation design, so that scores can be compared (S21).

train and temporal are the paper's: the forest of the training years on its own rows and on the
test years, at the same places. random_cv leaves out random rows, leave_location_out whole
places, leave_location_time_out whole places in the test years with training years only: the
three differ in what they keep from the forest, not in the forest.
"""

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from _forest import best, forest, predict
from _log import log, log_to
from _table import write_table


def designs(table: pd.DataFrame) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Return (protocol, rows to learn from, rows to predict) of every fit, as boolean masks.

    No place is on both sides of a leave-location design; that is asserted here.
    """
    train, test = (table["split"] == part for part in ("train", "test"))
    fits = [("train", train, train), ("temporal", train, test)]
    for k in np.unique(table["random_cv"]):
        fits.append(("random_cv", table["random_cv"] != k, table["random_cv"] == k))
    for k in np.unique(table["leave_location_out"]):
        out = table["leave_location_out"] == k
        fits.append(("leave_location_out", ~out, out))
        if (out & test).any() and (~out & train).any():
            fits.append(("leave_location_time_out", ~out & train, out & test))
    for protocol, learn, judge in fits:
        if protocol.startswith("leave_location"):
            shared = set(table["group"][learn]) & set(table["group"][judge])
            assert not shared, f"{protocol}: places on both sides: {shared}"
    return [(protocol, learn.to_numpy(), judge.to_numpy()) for protocol, learn, judge in fits]


def predicted(x, y, learn, judge, options: dict, seed: int) -> np.ndarray:
    """Return predictions for the rows of `judge` by a forest that learned from `learn`."""
    return predict(forest(options, seed).fit(x[learn], y[learn]), x[judge])


def main(samples, folds, search, predictions, predictors, seed, threads) -> None:
    table = pd.read_parquet(samples).merge(pd.read_parquet(folds), on="sample", validate="1:1")
    x, y = table[predictors].to_numpy("float32"), table["target"].to_numpy("float64")
    options = best(search)
    fits = designs(table)
    log.info("%d fits with %s", len(fits), options)
    found = Parallel(n_jobs=threads)(
        delayed(predicted)(x, y, learn, judge, options, seed) for _, learn, judge in fits
    )
    kept = ["sample", "source", "site", "group", "month", "x", "y", "target"]
    parts = [
        table.loc[judge, kept].assign(protocol=protocol, prediction=values)
        for (protocol, _, judge), values in zip(fits, found, strict=True)
    ]
    result = pd.concat(parts).sort_values(["protocol", "sample"], ignore_index=True)
    for protocol, count in result["protocol"].value_counts(sort=False).items():
        log.info("%s: %d predictions", protocol, count)
    write_table(result, predictions)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        samples=snakemake.input.samples,
        folds=snakemake.input.folds,
        search=snakemake.input.search,
        predictions=snakemake.output.predictions,
        predictors=snakemake.params.predictors,
        seed=snakemake.params.seed,
        threads=snakemake.threads,
    )
