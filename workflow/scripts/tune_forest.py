"""Search the grid of forest options by cross-validation on the training years only (S19, U23).

The folds are the ones the config names: whole places left out (default, U21), places left out
as far from the others as the map is (knndm), or random samples as in the paper, which always
favour the deepest trees.
"""

import json
import time

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.model_selection import ParameterGrid

from _forest import OPTIONS, forest, learnable, predict, source_weights
from _log import log, log_to
from _table import write_table


def out_of_fold(
    options: dict, x, y, fold, k: int, source, weights: str, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of fold `k` and their predictions by a forest that never saw them."""
    learn = fold != k
    weight = source_weights(source[learn], weights)
    model = forest(options, seed).fit(x[learn], y[learn], sample_weight=weight)
    return np.flatnonzero(~learn), predict(model, x[~learn])


def search(x, y, fold, source, grid: dict, weights: str, seed: int, threads: int) -> pd.DataFrame:
    """Return one row per combination: rank, pooled out-of-fold RMSE, its SD over folds, options.

    x: (samples, predictors); y: (samples,); fold: (samples,) integers; source: (samples,) names.
    Weights enter the fits only: every prediction counts the same in the RMSE.
    """
    combinations = list(ParameterGrid(grid))
    folds = np.unique(fold)
    jobs = [(number, k) for number in range(len(combinations)) for k in folds]
    tasks = (
        delayed(out_of_fold)(combinations[number], x, y, fold, k, source, weights, seed)
        for number, k in jobs
    )
    predicted = np.full((len(combinations), len(y)), np.nan)
    started, spoken = time.monotonic(), 0.0
    for done, (rows, values) in enumerate(
        Parallel(n_jobs=threads, return_as="generator")(tasks), start=1
    ):
        predicted[jobs[done - 1][0], rows] = values
        passed = time.monotonic() - started
        if passed - spoken > 10 or done == len(jobs):
            spoken = passed
            left = passed / done * (len(jobs) - done)
            log.info("%d of %d fits, %.0f s left", done, len(jobs), left)
    table = pd.DataFrame(combinations)[list(OPTIONS)]
    square = (predicted - y) ** 2
    per_fold = np.stack([np.sqrt(square[:, fold == k].mean(axis=1)) for k in folds])
    table.insert(0, "rmse", np.sqrt(square.mean(axis=1)))
    table.insert(1, "rmse_sd", per_fold.std(axis=0, ddof=1))
    table = table.sort_values("rmse", kind="stable", ignore_index=True)
    table.insert(0, "rank", np.arange(1, len(table) + 1))
    return table


def main(samples, folds, search_file, predictors, grid, design, weights, seed, threads) -> None:
    table = pd.read_parquet(samples).merge(pd.read_parquet(folds), on="sample", validate="1:1")
    training = table[table["split"] == "train"]
    result = search(
        learnable(training, predictors, samples),
        training["target"].to_numpy("float64"),
        training[design].to_numpy(),
        training["source"].to_numpy(),
        json.loads(grid),
        weights,
        seed,
        threads,
    )
    log.info("%s folds on %d training samples; best:\n%s", design, len(training), result.head(3))
    write_table(result, search_file)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        samples=snakemake.input.samples,
        folds=snakemake.input.folds,
        search_file=snakemake.output.search,
        predictors=snakemake.params.predictors,
        grid=snakemake.params.grid,
        design=snakemake.params.design,
        weights=snakemake.params.weights,
        seed=snakemake.params.seed,
        threads=snakemake.threads,
    )
