"""Predict every sample under each validation design, so that scores can be compared (S21).

train and temporal are the paper's: the forest of the training years on its own rows and on the
test years, at the same places. random_cv leaves out random rows, leave_location_out whole
places, leave_location_time_out whole places in the test years with training years only, knndm
the same with places left out as far from the others as the map is (Linnenbrink et al. 2024,
doi:10.5194/gmd-17-5897-2024): they differ in what they keep from the forest, not in the forest.

lower and upper are quantiles of each fold's own forest. They know the places that it learned
from, so `calibrate_intervals` asks how often they hold at others.
"""

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from _designs import designs
from _forest import best, forest, learnable, source_weights
from _log import UserError, log, log_to
from _quantiles import leaf_values, spread
from _table import write_table

# Designs that judge places in test years from other places in training years: their folds.
NEW_PLACES = {"leave_location_time_out": "leave_location_out", "knndm": "knndm"}


def fits_of(table: pd.DataFrame) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Return every fit of every design; refuse a design of new places that judges no row."""
    fits = designs(table)
    judged = {protocol for protocol, _, _ in fits}
    for protocol, column in NEW_PLACES.items():
        if protocol not in judged:
            raise UserError(
                f"folds: expected a fold of {column} with rows in the test years and training "
                f"rows in other folds, found none in {table[column].nunique()} folds. Change "
                "split.test or model.folds."
            )
    return fits


def predicted(x, y, learn, judge, source, options, weights, quantiles, seed):
    """Return prediction, lower and upper, (rows of `judge`, 3), by a forest fitted to `learn`."""
    weight = source_weights(source[learn], weights)
    model = forest(options, seed).fit(x[learn], y[learn], sample_weight=weight)
    leaves = leaf_values(model, x[learn], y[learn], seed)
    return np.column_stack(spread(model, leaves, x[judge], quantiles))


def main(
    samples,
    folds,
    search,
    predictions,
    predictors,
    weights,
    level,
    seed,
    threads,
) -> None:
    table = pd.read_parquet(samples).merge(pd.read_parquet(folds), on="sample", validate="1:1")
    x, y = learnable(table, predictors, samples), table["target"].to_numpy("float64")
    source, options = table["source"].to_numpy(), best(search)
    quantiles = [(1 - level) / 2, (1 + level) / 2]
    fits = fits_of(table)
    log.info("%d fits with %s; weights: %s", len(fits), options, weights)
    found = Parallel(n_jobs=threads)(
        delayed(predicted)(x, y, learn, judge, source, options, weights, quantiles, seed)
        for _, learn, judge in fits
    )
    kept = ["sample", "source", "site", "group", "month", "x", "y", "target"]
    parts = [
        table.loc[judge, kept].assign(
            protocol=protocol, prediction=values[:, 0], lower=values[:, 1], upper=values[:, 2]
        )
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
        weights=snakemake.params.weights,
        level=snakemake.params.level,
        seed=snakemake.params.seed,
        threads=snakemake.threads,
    )
