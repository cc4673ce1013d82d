"""Say what the samples are before anyone reads a score: how many, where, and what gives them away.

Where most of the target's variance lies between places, a forest that only recognises places
already scores well at unseen times of seen places. And where slope and aspect alone tell a
station from an SMCI cell, because a mean over 1 km is smoother than a point, they tell the
forest which source it is looking at, and get importance for that (D12).
"""

import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold

from _log import log, log_to
from _table import write_table

COLUMNS = ["quantity", "subset", "value", "n", "low", "high"]
NAN = float("nan")
FOLDS, TREES = 5, 100


def subsets(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return {subset: rows}: all, and each source if there are several."""
    sources = dict(list(table.groupby("source")))
    return {"all": table} | (sources if len(sources) > 1 else {})


def counts(table: pd.DataFrame) -> list[tuple]:
    """Return rows of samples, places and months of every subset, whole and by split."""
    rows = []
    for name, part in subsets(table).items():
        pieces = {name: part} | {f"{name} {s}": part[part["split"] == s] for s in ("train", "test")}
        for subset, piece in pieces.items():
            found = (len(piece), piece["group"].nunique(), piece["month"].nunique())
            for quantity, value in zip(("samples", "places", "months"), found, strict=True):
                rows.append((quantity, subset, value, len(piece), NAN, NAN))
    return rows


def share_of(n: np.ndarray, total: np.ndarray, square: np.ndarray, weight: np.ndarray):
    """Return the share between places and the same corrected for chance, for each weighting.

    n, total, square: (places,) number, sum and sum of squares of a place's values; weight:
    (..., places) how often each place is taken. The share is that of the analysis of variance:
    the sum of squares of the place means around the mean of all, each as often as its place has
    values, over the sum of squares of the values. Means of few values differ by chance, which
    raises it; corrected, 1 - (within / (N - places)) / (total / (N - 1)), called epsilon squared
    (Kelley 1935, doi:10.1073/pnas.21.9.554), is near 0 where places do not differ. NaN where
    there are fewer than two places, no variance, or (corrected) one value a place.
    """
    number, places = weight @ n, weight.sum(axis=-1)
    centre = (weight @ total) ** 2 / number
    between, whole = weight @ (total**2 / n) - centre, weight @ square - centre
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where((places > 1) & (whole > 0), between / whole, np.nan)
        within = (1 - share) / np.where(number > places, number - places, np.nan)
    return share, 1 - within * (number - 1)


def variance_between(part: pd.DataFrame, resamples: int, seed: int) -> list[tuple]:
    """Return (value, low, high) of the share of variance between places, plain and corrected.

    low and high are the 2.5 and 97.5 % points over `resamples` draws of places, NaN without any.
    """
    centred = part["target"] - part["target"].mean()  # sums of small values keep their digits
    place = pd.DataFrame({"value": centred, "square": centred**2}).groupby(part["group"])
    n, sums = place.size().to_numpy(float), place.sum()
    per_place = n, sums["value"].to_numpy(), sums["square"].to_numpy()
    values = share_of(*per_place, np.ones(len(n)))
    if len(n) < 2 or not resamples:
        return [(float(value), NAN, NAN) for value in values]
    rng = np.random.default_rng(seed)
    draws = rng.multinomial(len(n), np.full(len(n), 1 / len(n)), size=resamples)
    return [
        (float(value), *interval(drawn))
        for value, drawn in zip(values, share_of(*per_place, draws), strict=True)
    ]


def interval(drawn: np.ndarray) -> tuple[float, float]:
    """Return the 2.5 and 97.5 % points of the draws that have a value, NaN if none has."""
    drawn = drawn[np.isfinite(drawn)]
    return tuple(map(float, np.percentile(drawn, [2.5, 97.5]))) if len(drawn) else (NAN, NAN)


def out_of_fold(x: np.ndarray, station: np.ndarray, place: np.ndarray, seed: int) -> np.ndarray:
    """Return the chance of being a station told by a forest that never saw the place.

    x: (locations, columns); station: (locations,) bool; place: (locations,). Folds are of whole
    places and hold stations as evenly as those allow; classes weigh alike in every fold: chances
    of different folds are compared with each other.
    """
    told = np.empty(len(x))
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    for learn, judge in folds.split(x, station, place):
        model = RandomForestClassifier(
            TREES, min_samples_leaf=3, class_weight="balanced", random_state=seed
        )
        told[judge] = model.fit(x[learn], station[learn]).predict_proba(x[judge])[:, 1]
    return told


def told_apart(
    table: pd.DataFrame, terrain: list[str], resamples: int, seed: int
) -> tuple[float, int, float, float, float] | str:
    """Return AUC, locations, 2.5 % and 97.5 % point, share of stations; or why there is none.

    AUC is the chance that a station looks more like a station than an SMCI cell does (0.5 by
    guessing, 1 if they never overlap), from pooled out-of-fold probabilities. A location counts
    once, with its mean terrain: its months are no independent cases. The interval is over draws
    of places and does not fit the forests again.
    """
    missing = [name for name in terrain if name not in table]
    if missing or not terrain:
        return f"the samples have no {', '.join(missing)}" if missing else "no terrain is named"
    table = table[table["source"].isin(["insitu", "smci"])].dropna(subset=terrain)
    at = table.groupby(["source", "site", "group"], as_index=False)[terrain].mean()
    station = (at["source"] == "insitu").to_numpy()
    fewest = at.groupby("source")["group"].nunique().reindex(["insitu", "smci"], fill_value=0)
    if fewest.min() < FOLDS:
        return (
            f"it takes at least {FOLDS} places of each source, there are {fewest['insitu']} with "
            f"stations and {fewest['smci']} with SMCI cells"
        )
    place = np.unique(at["group"], return_inverse=True)[1]
    told = out_of_fold(at[terrain].to_numpy("float32"), station, place, seed)
    places = place.max() + 1
    draws = np.random.default_rng(seed).multinomial(places, np.full(places, 1 / places), resamples)
    drawn = [
        roc_auc_score(station, told, sample_weight=weight)
        for weight in draws[:, place]
        if weight[station].any() and weight[~station].any()
    ]
    low, high = interval(np.array(drawn))
    return float(roc_auc_score(station, told)), len(told), low, high, float(station.mean())


def counted(table: pd.DataFrame) -> list[tuple]:
    """Return the rows of `counts` and log them."""
    rows = counts(table)
    number = {(quantity, subset): value for quantity, subset, value, *_ in rows}
    for name in subsets(table):
        log.info(
            "%s: %d samples at %d places in %d months; %d to learn from, %d to be judged by",
            name,
            *(number[quantity, name] for quantity in ("samples", "places", "months")),
            *(number["samples", f"{name} {split}"] for split in ("train", "test")),
        )
    return rows


def shared_out(table: pd.DataFrame, resamples: int, seed: int) -> list[tuple]:
    """Return the rows of the variance between places of every subset and log them."""
    rows = []
    for name, part in subsets(table).items():
        plain, corrected = variance_between(part, resamples, seed)
        rows.append(("variance_between_places", name, plain[0], len(part), *plain[1:]))
        rows.append(
            ("variance_between_places_corrected", name, corrected[0], len(part), *corrected[1:])
        )
        if np.isnan(plain[0]):
            log.info("%s: no share of variance between places: one place or no variance", name)
            continue
        log.info(
            "%s: %.0f %% of the target's variance lies between places (%.0f to %.0f %%; corrected "
            "for chance %.0f %%): a look-up of places could know that much",
            name,
            *(100 * value for value in (*plain, corrected[0])),
        )
    return rows


def given_away(table: pd.DataFrame, terrain: list[str], resamples: int, seed: int) -> list[tuple]:
    """Return the rows of how well terrain tells the sources apart, and log them."""
    found = told_apart(table, terrain, resamples, seed)
    if isinstance(found, str):
        log.info("terrain is not asked to tell stations from SMCI cells: %s", found)
        found = NAN, 0, NAN, NAN, NAN
    else:
        log.info(
            "%s alone tell a station from an SMCI cell with AUC %.2f (%.2f to %.2f; 0.5 is "
            "guessing, 1 is certain); %d locations, %.0f %% of them stations",
            " and ".join(terrain),
            *(found[0], found[2], found[3], found[1], 100 * found[4]),
        )
    value, n, low, high, share = found
    return [
        ("source_auc_of_terrain", "all", value, n, low, high),
        ("share_of_stations", "all", share, n, NAN, NAN),
    ]


def main(samples, folds, described, terrain, bootstrap, seed) -> None:
    table = pd.read_parquet(samples).merge(pd.read_parquet(folds), on="sample", validate="1:1")
    rows = counted(table) + shared_out(table, bootstrap, seed)
    rows += given_away(table, terrain, bootstrap, seed)
    write_table(pd.DataFrame(rows, columns=COLUMNS), described)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        samples=snakemake.input.samples,
        folds=snakemake.input.folds,
        described=snakemake.output.described,
        terrain=snakemake.params.terrain,
        bootstrap=snakemake.params.bootstrap,
        seed=snakemake.params.seed,
    )
