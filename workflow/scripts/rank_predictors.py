"""Permutation importance on the temporal hold-out (S24, F7): how much worse without a predictor.

Under this split it measures how well a predictor helps to recognise a place as much as what it
says about soil moisture; predictors that carry the same information share their importance (D2).
"""

import pandas as pd
from sklearn.inspection import permutation_importance

from _forest import load
from _log import log, log_to
from _table import write_table


def importance(model, x, y, predictors: list[str], repeats: int, seed: int) -> pd.DataFrame:
    """Return predictor, protocol, mean and sd of the increase of RMSE, and every repeat.

    x: (samples, predictors), y: (samples,); the increase is in the unit of y.
    """
    model.set_params(n_jobs=1)
    found = permutation_importance(
        model, x, y, scoring="neg_root_mean_squared_error", n_repeats=repeats, random_state=seed
    )
    table = pd.DataFrame(found.importances, columns=[f"repeat_{n}" for n in range(1, repeats + 1)])
    spread = found.importances.std(axis=1, ddof=1) if repeats > 1 else float("nan")
    table.insert(0, "predictor", predictors)
    table.insert(1, "protocol", "temporal")
    table.insert(2, "mean", found.importances_mean)
    table.insert(3, "sd", spread)
    return table.sort_values("mean", ascending=False, kind="stable", ignore_index=True)


def main(samples, folds, forest, importance_file, repeats, seed) -> None:
    table = pd.read_parquet(samples).merge(pd.read_parquet(folds), on="sample", validate="1:1")
    held_out = table[table["split"] == "test"]
    model, predictors = load(forest)
    result = importance(
        model,
        held_out[predictors].to_numpy("float32"),
        held_out["target"].to_numpy("float64"),
        predictors,
        repeats,
        seed,
    )
    log.info("%d held-out samples, %d repeats", len(held_out), repeats)
    log.info("\n%s", result[["predictor", "mean", "sd"]].to_string(index=False))
    write_table(result, importance_file)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        samples=snakemake.input.samples,
        folds=snakemake.input.folds,
        forest=snakemake.input.forest,
        importance_file=snakemake.output.importance,
        repeats=snakemake.params.repeats,
        seed=snakemake.params.seed,
    )
