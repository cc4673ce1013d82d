"""Fit the forest that draws the maps: the best options of the search, the training years (S18).

Beside it lie the training targets in its leaves, from which come the bounds of the maps.
"""

import numpy as np
import pandas as pd

from _forest import best, forest, learnable, source_weights
from _log import log, log_to
from _quantiles import leaf_values, save_leaves
from _stored import save
from _whole import whole


def main(
    samples, folds, search, forest_file, leaves_file, predictors, weights, seed, threads
) -> None:
    table = pd.read_parquet(samples).merge(pd.read_parquet(folds), on="sample", validate="1:1")
    training = table[table["split"] == "train"]
    x, y = learnable(training, predictors, samples), training["target"].to_numpy("float64")
    for name, values in zip(predictors, x.T, strict=True):
        if np.nanmin(values) == np.nanmax(values):
            log.warning(
                "%s is %g in every training sample: it teaches nothing", name, np.nanmin(values)
            )
    options = best(search)
    model = forest(options, seed, threads)
    model.fit(x, y, sample_weight=source_weights(training["source"].to_numpy(), weights))
    count = sum(tree.get_n_leaves() for tree in model.estimators_)
    log.info("%s on %d samples of %d places", options, len(training), training["group"].nunique())
    log.info("%d trees, %d leaves; weights: %s", len(model.estimators_), count, weights)
    with whole(forest_file) as part:
        save(part, model, predictors)
    save_leaves(leaves_file, leaf_values(model, x, y, seed))


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        samples=snakemake.input.samples,
        folds=snakemake.input.folds,
        search=snakemake.input.search,
        forest_file=snakemake.output.forest,
        leaves_file=snakemake.output.leaves,
        predictors=snakemake.params.predictors,
        weights=snakemake.params.weights,
        seed=snakemake.params.seed,
        threads=snakemake.threads,
    )
