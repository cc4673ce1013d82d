"""Fit the forest that draws the maps: the best options of the search, the training years (S18)."""

import pandas as pd

from _forest import best, forest, save
from _log import log, log_to
from _whole import whole


def main(samples, folds, search, forest_file, predictors, seed, threads) -> None:
    table = pd.read_parquet(samples).merge(pd.read_parquet(folds), on="sample", validate="1:1")
    training = table[table["split"] == "train"]
    options = best(search)
    model = forest(options, seed, threads)
    model.fit(training[predictors].to_numpy("float32"), training["target"].to_numpy("float64"))
    leaves = sum(tree.get_n_leaves() for tree in model.estimators_)
    log.info("%s on %d samples of %d places", options, len(training), training["group"].nunique())
    log.info("%d trees, %d leaves", len(model.estimators_), leaves)
    with whole(forest_file) as part:
        save(part, model, predictors)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        samples=snakemake.input.samples,
        folds=snakemake.input.folds,
        search=snakemake.input.search,
        forest_file=snakemake.output.forest,
        predictors=snakemake.params.predictors,
        seed=snakemake.params.seed,
        threads=snakemake.threads,
    )
