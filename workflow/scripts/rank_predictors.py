"""How much worse the forest is without a predictor, at seen and at unseen places (S24, F7).

Under the temporal hold-out the importance of a column that hardly changes with time measures how
well it helps to recognise a place, as much as what it says about soil moisture; under
leave-location-and-time-out recognising places does not pay. Predictors that carry the same
information share their importance (D2): groups are permuted jointly, and each predictor is
also dropped and the forest fitted again (Strobl et al. 2008, doi:10.1186/1471-2105-9-307).

The forests here are fitted for this purpose, with the options of the search and with one more
column: white noise, one number a place. The forest of the maps never sees it. All importances
come from forests that had this column to choose from: trees that can split on noise use each
predictor less, so a line from another forest than the bars would not be comparable. It is one
draw: a level to look at, not a test.
"""

import time

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from _forest import best, forest, predict
from _log import UserError, log, log_to
from _table import write_table

NOISE = "white noise"
TEMPORAL, ELSEWHERE = "temporal", "leave_location_time_out"


def checked(table: pd.DataFrame, predictors: list[str]) -> list[str]:
    """Return the predictors that are constant in the training years; refuse what has no answer."""
    empty = [name for name in predictors if table[name].isna().all()]
    if empty:
        raise UserError(
            f"samples: expected values of every predictor, found none of {', '.join(empty)}. "
            "Take it out of the predictors or mend the step that makes it."
        )
    if (places := table["group"].nunique()) < 2:
        raise UserError(
            f"samples: expected at least two places to leave one out, found {places}. "
            "Add stations or SMCI cells."
        )
    learned = table.loc[table["split"] == "train", predictors]
    constant = [name for name in predictors if learned[name].nunique(dropna=False) == 1]
    if constant:
        log.info("constant in the training years, importance 0: %s", ", ".join(constant))
    return constant


def noise_of(places: pd.Series, seed: int) -> np.ndarray:
    """Return (samples,) float32: one N(0, 1) number a place, the same in all its months."""
    names, place = np.unique(places, return_inverse=True)
    return np.random.default_rng(seed).normal(size=len(names)).astype("float32")[place]


def blocks_of(predictors: list[str], groups: list[list[str]]) -> dict[str, list[int]]:
    """Return {name: columns permuted together}: each predictor, white noise (last), the groups.

    Members of a group that are no predictors are ignored; a group needs two that are.
    """
    blocks = {name: [column] for column, name in enumerate([*predictors, NOISE])}
    for group in groups:
        members = [name for name in group if name in predictors]
        if len(members) > 1:
            blocks["+".join(members)] = [predictors.index(name) for name in members]
    return blocks


def designs(split: np.ndarray, fold: np.ndarray) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Return (protocol, rows to learn from, rows to judge) of every fit, as boolean masks.

    Folds without rows to judge or without rows to learn from are left out and counted in the log.
    """
    train, test = split == "train", split == "test"
    fits = [(TEMPORAL, train, test)]
    folds = np.unique(fold)
    for k in folds:
        learn, judge = train & (fold != k), test & (fold == k)
        if learn.any() and judge.any():
            fits.append((ELSEWHERE, learn, judge))
    if skipped := len(folds) + 1 - len(fits):
        log.info(
            "%d of %d folds of places left out: no rows in the test years there, or none to "
            "learn from elsewhere",
            skipped,
            len(folds),
        )
    return fits


def orders_of(rows: int, repeats: int, seed: list[int]) -> np.ndarray:
    """Return (repeats, rows): the numbers of the rows in `repeats` random orders."""
    still = np.tile(np.arange(rows), (repeats, 1))
    return np.random.default_rng(seed).permuted(still, axis=1)


def squares(model, x, y, blocks: list[list[int]], orders) -> tuple[int, float, np.ndarray]:
    """Return the rows, their sum of squared errors, and (blocks, repeats) sums when permuted.

    x: (rows, columns), y: (rows,); orders: (repeats, rows), the same for every block, so that
    blocks are compared on the same luck. All repeats of a block are predicted in one call.
    """
    before = ((predict(model, x) - y) ** 2).sum()
    after = np.empty((len(blocks), len(orders)))
    for number, columns in enumerate(blocks):
        mixed = np.tile(x, (len(orders), 1, 1))
        mixed[:, :, columns] = x[:, columns][orders]
        told = predict(model, mixed.reshape(-1, x.shape[1])).reshape(orders.shape)
        after[number] = ((told - y) ** 2).sum(axis=1)
    return len(y), before, after


def permuted(x, y, learn, judge, blocks, repeats, options, seed, stream):
    """Return `squares` of the rows of `judge` by a forest that learned from `learn`."""
    model = forest(options, seed).fit(x[learn], y[learn])
    orders = orders_of(int(judge.sum()), repeats, [seed, stream])
    return squares(model, x[judge], y[judge], blocks, orders)


def refitted(x, y, learn, judge, dropped: list[int], options, seed) -> float:
    """Return the sum of squared errors of the rows of `judge` by a forest without some columns."""
    kept = np.delete(x, dropped, axis=1)
    model = forest(options, seed).fit(kept[learn], y[learn])
    return ((predict(model, kept[judge]) - y[judge]) ** 2).sum()


def pooled(fits, parts) -> dict[str, np.ndarray]:
    """Return {protocol: increase of RMSE}: errors of all folds are pooled before the root.

    parts: for every fit the number of rows and the sums of squared errors before and after, the
    latter an array of any shape, which is that of the result.
    """
    found = {}
    for protocol in dict.fromkeys(fit[0] for fit in fits):
        own = [part for part, fit in zip(parts, fits, strict=True) if fit[0] == protocol]
        rows, before, after = (sum(values) for values in zip(*own, strict=True))
        found[protocol] = np.sqrt(after / rows) - np.sqrt(before / rows)
    return found


def watched(tasks: list, threads: int, what: str) -> list:
    """Run the tasks, log how far they are, return their results in order.

    In threads: trees are grown and asked without Python's lock, and nothing needs to be copied.
    """
    started, spoken, found = time.monotonic(), 0.0, []
    for result in Parallel(n_jobs=threads, prefer="threads", return_as="generator")(tasks):
        found.append(result)
        passed = time.monotonic() - started
        if passed - spoken > 10 or len(found) == len(tasks):
            spoken = passed
            left = passed / len(found) * (len(tasks) - len(found))
            log.info("%s: %d of %d fits, %.0f s left", what, len(found), len(tasks), left)
    return found


def permutation(x, y, fits, blocks, repeats, options, seed, threads) -> dict[str, np.ndarray]:
    """Return {protocol: (blocks, repeats) increase of RMSE when permuted}, in the unit of y.

    Rows are permuted inside the judged rows of each fold; repeat r pools repeat r of all folds.
    """
    tasks = [
        delayed(permuted)(x, y, learn, judge, blocks, repeats, options, seed, stream)
        for stream, (_, learn, judge) in enumerate(fits, start=1)  # stream 0 is the noise's
    ]
    return pooled(fits, watched(tasks, threads, "permuted"))


def dropping(x, y, fits, columns: list[int], options, seed, threads) -> dict[str, np.ndarray]:
    """Return {protocol: (columns,) increase of RMSE when fitted again without the column}.

    Two forests differ by luck as well: a small value of either sign says nothing.
    """
    drops = [[], *([column] for column in columns)]
    tasks = [
        delayed(refitted)(x, y, learn, judge, dropped, options, seed)
        for _, learn, judge in fits
        for dropped in drops
    ]
    errors = np.reshape(watched(tasks, threads, "dropped"), (len(fits), len(drops)))
    parts = [
        (judge.sum(), own[0], own[1:]) for (_, _, judge), own in zip(fits, errors, strict=True)
    ]
    return pooled(fits, parts)


def rows_of(names, protocol: str, kind: str, found: np.ndarray, noise: float) -> pd.DataFrame:
    """Return the rows of one kind, most important first; found: (names, repeats).

    The mean and spread are over the repeats; what was done once has no spread.
    """
    told = pd.DataFrame({"predictor": names, "protocol": protocol, "kind": kind})
    told["mean"] = found.mean(axis=1)
    told["sd"] = found.std(axis=1, ddof=1) if found.shape[1] > 1 else float("nan")
    told["noise"] = noise
    repeats = pd.DataFrame(found, columns=[f"repeat_{n + 1}" for n in range(found.shape[1])])
    told = pd.concat([told, repeats], axis=1)
    return told.sort_values("mean", ascending=False, kind="stable")


def tabulated(names: list[str], by_permutation, by_drop) -> pd.DataFrame:
    """Return the table of all protocols and kinds.

    names: as in `blocks_of`; by_permutation: {protocol: (names, repeats)}; by_drop: {protocol:
    (singles,)}. A dropped predictor was fitted without once: it has repeat_1 alone.
    """
    singles = names.index(NOISE) + 1
    parts = []
    for protocol, found in by_permutation.items():
        noise = found[singles - 1].mean()
        parts.append(rows_of(names[:singles], protocol, "single", found[:singles], noise))
        parts.append(rows_of(names[singles:], protocol, "group", found[singles:], noise))
        if protocol in by_drop:
            once = by_drop[protocol]
            parts.append(rows_of(names[:singles], protocol, "drop", once[:, None], once[-1]))
    return pd.concat([part for part in parts if len(part)], ignore_index=True)


def say(table: pd.DataFrame) -> None:
    """Log what stands above white noise under each protocol."""
    for protocol, part in table[table["kind"] == "single"].groupby("protocol", sort=False):
        line = part["noise"].iloc[0]
        above = part[(part["mean"] > max(line, 0)) & (part["predictor"] != NOISE)]
        log.info(
            "%s: white noise raises the RMSE by %.2g; above that and 0 are %d of %d predictors: %s",
            protocol,
            line,
            len(above),
            len(part) - 1,
            ", ".join(f"{row.predictor} {row.mean:.2g}" for row in above.itertuples()) or "none",
        )


def main(
    samples,
    folds,
    search,
    importance,
    predictors,
    groups,
    repeats,
    drop_folds,
    drop_trees,
    seed,
    threads,
) -> None:
    table = pd.read_parquet(samples).merge(pd.read_parquet(folds), on="sample", validate="1:1")
    constant = checked(table, predictors)
    noise = noise_of(table["group"], seed)
    x = np.column_stack([table[predictors].to_numpy("float32"), noise])
    y = table["target"].to_numpy("float64")
    split, fold = table["split"].to_numpy(), table["leave_location_out"].to_numpy()
    options, blocks = best(search), blocks_of(predictors, groups)
    by_permutation = permutation(
        x, y, designs(split, fold), list(blocks.values()), repeats, options, seed, threads
    )
    # One fit a column and fold is dear: smaller forests, and larger folds, so that still every
    # place is judged. With and without a column the forests are equally large.
    joined = np.unique(fold, return_inverse=True)[1] % drop_folds
    smaller = options | {"n_estimators": min(options["n_estimators"], drop_trees)}
    refits = [n for n, name in enumerate([*predictors, NOISE]) if name not in constant]
    by_drop = {}
    for protocol, found in dropping(
        x, y, designs(split, joined), refits, smaller, seed, threads
    ).items():
        by_drop[protocol] = np.zeros(x.shape[1])
        by_drop[protocol][refits] = found
    result = tabulated(list(blocks), by_permutation, by_drop)
    say(result)
    write_table(result, importance)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        samples=snakemake.input.samples,
        folds=snakemake.input.folds,
        search=snakemake.input.search,
        importance=snakemake.output.importance,
        predictors=snakemake.params.predictors,
        groups=snakemake.params.groups,
        repeats=snakemake.params.repeats,
        drop_folds=snakemake.params.drop_folds,
        drop_trees=snakemake.params.drop_trees,
        seed=snakemake.params.seed,
        threads=snakemake.threads,
    )
