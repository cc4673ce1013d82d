"""Decide once which sample is tested how, so that every later step asks the same question.

The temporal hold-out asks for other years at places seen (S18); random folds ask for other
months of places seen; folds of whole 1 km groups ask for places never seen (U15, U21).
"""

import numpy as np
import pandas as pd

from _log import UserError, log, log_to
from _table import write_table


def held_out(months: pd.Series, test: list[str]) -> np.ndarray:
    """Return True where a month begins with one of the prefixes in `test`."""
    return months.str.startswith(tuple(test)).to_numpy()


def random_folds(n: int, folds: int, rng: np.random.Generator) -> np.ndarray:
    """Return a fold number for each of `n` samples; fold sizes differ by one at most."""
    return rng.permutation(np.arange(n) % folds)


def group_folds(groups: pd.Series, folds: int, rng: np.random.Generator) -> np.ndarray:
    """Return a fold number for each sample that keeps every group in one fold.

    Groups are dealt in random order, so folds hold equally many places, not equally many rows.
    """
    names = np.unique(groups)
    fold_of = dict(zip(names, random_folds(len(names), folds, rng), strict=True))
    return groups.map(fold_of).to_numpy()


def split(samples: pd.DataFrame, test: list[str], folds: int, seed: int) -> pd.DataFrame:
    """Return sample, split (train, test) and the fold numbers of each design."""
    tested = held_out(samples["month"], test)
    for part, count in (("training", (~tested).sum()), ("test", tested.sum())):
        if count == 0:
            raise UserError(
                f"samples: expected rows in the {part} period, found none. The samples run from "
                f"{samples['month'].min()} to {samples['month'].max()}; split.test holds out "
                f"{', '.join(test)}. Change split.test."
            )
    places = samples["group"].nunique()
    if places < folds:
        raise UserError(
            f"samples: expected at least as many places as folds ({folds}), found {places}. "
            "Lower model.folds or add stations or SMCI cells."
        )
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "sample": samples["sample"],
            "split": np.where(tested, "test", "train"),
            "random_cv": random_folds(len(samples), folds, rng),
            "leave_location_out": group_folds(samples["group"], folds, rng),
        }
    )


def main(samples: str, folds: str, test: list[str], number: int, seed: int) -> None:
    table = pd.read_parquet(samples)
    result = split(table, test, number, seed)
    counts = result["split"].value_counts()
    log.info(
        "%d samples at %d places: %d train (%.1f %%), %d test; %d folds",
        len(table),
        table["group"].nunique(),
        counts["train"],
        100 * counts["train"] / len(table),
        counts["test"],
        number,
    )
    write_table(result, folds)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        samples=snakemake.input.samples,
        folds=snakemake.output.folds,
        test=snakemake.params.test,
        number=snakemake.params.folds,
        seed=snakemake.params.seed,
    )
