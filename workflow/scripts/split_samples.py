"""Decide once which sample is tested how, so that every later step asks the same question.

The temporal hold-out asks for other years at places seen (S18); random folds ask for other
months of places seen; folds of whole 1 km groups ask for places never seen (U15, U21): dealt out
at random, or so that a place is as far from its training places as the map is from the samples
(kNNDM, Linnenbrink et al. 2024, doi:10.5194/gmd-17-5897-2024). How far each design really is from
the map is written beside the folds.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import wasserstein_distance

from _folds import ALPHA, Matched, distances_across, distances_among, distances_to, knndm
from _log import UserError, log, log_to
from _table import write_table

PLACES_LEFT_OUT = ("leave_location_out", "knndm")
QUANTILES = np.linspace(0, 1, 101)


def held_out(months: pd.Series, test: list[str]) -> np.ndarray:
    """Return True where a month begins with one of the prefixes in `test`."""
    return months.str.startswith(tuple(test)).to_numpy()


def random_folds(n: int, folds: int, rng: np.random.Generator) -> np.ndarray:
    """Return a fold number for each of `n` samples or places; sizes differ by one at most.

    Folds of places hold equally many places, not equally many rows. Where there are fewer than
    folds, each is a fold of its own.
    """
    return rng.permutation(np.arange(n) % folds)


def places_of(samples: pd.DataFrame) -> pd.DataFrame:
    """Return x and y (m) of each place, the mean of its samples, in the order of their groups."""
    places = samples.groupby("group")[["x", "y"]].mean()
    if len(places) < 2:
        raise UserError(
            f"samples: expected at least 2 places, found {len(places)}: no design of places is "
            "possible, since none can be left out. Add stations or SMCI cells at other places."
        )
    lost = places.index[~np.isfinite(places).all(axis=1)]
    if len(lost):
        raise UserError(
            f"samples: expected x and y at each place, found none at {len(lost)} of "
            f"{len(places)}, the first is {lost[0]}. Complete the coordinates of the samples."
        )
    return places


def points_of(path: str) -> np.ndarray:
    """Return x and y (m) of the sampled cells of the study area, shape (cells, 2)."""
    mend = "Delete it and run again: the rule sample_area makes it."
    if not Path(path).exists():
        raise UserError(f"{path}: expected a sample of the study area, found no file. {mend}")
    table = pd.read_parquet(path)
    if missing := [name for name in ("x", "y") if name not in table]:
        raise UserError(
            f"{path}: expected the columns x, y, found {', '.join(table)}: no "
            f"{', '.join(missing)}. {mend}"
        )
    if not len(table):
        raise UserError(f"{path}: expected cells of the study area, found none. {mend}")
    return table[["x", "y"]].to_numpy("float64")


def check_periods(samples: pd.DataFrame, tested: np.ndarray, test: list[str]) -> None:
    """Refuse samples that all lie on one side of the temporal hold-out."""
    for part, count in (("training", (~tested).sum()), ("test", tested.sum())):
        if count == 0:
            raise UserError(
                f"samples: expected rows in the {part} period, found none. The samples run from "
                f"{samples['month'].min()} to {samples['month'].max()}; split.test holds out "
                f"{', '.join(test)}. Change split.test."
            )


def number_of_folds(places: np.ndarray, points: np.ndarray, folds: int) -> int:
    """Return how many folds of places there can be; the log says what is unusual about them."""
    n = len(places)
    if n < folds:
        log.warning("%d places are fewer than the %d folds of model.folds: %d folds", n, folds, n)
    if n <= folds:
        log.info("one place in each fold: every place is left out alone")
    apart = len(np.unique(places, axis=0))
    if apart < n:
        log.warning("%d places lie at only %d points: do x and y of the samples hold?", n, apart)
    far, extent = np.median(distances_to(points, places)), np.hypot(*np.ptp(points, axis=0))
    if extent and far > extent:
        log.warning(
            "half of the study area is more than %.0f m from the nearest place, yet the area is "
            "only %.0f m across: are x and y of the samples in the CRS of the rasters?",
            *(far, extent),
        )
    return min(n, folds)


def split(
    samples: pd.DataFrame, points: np.ndarray, test: list[str], folds: int, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame, Matched]:
    """Return the folds of the samples, the folds of the places and what kNNDM found.

    The first table has sample, split (train, test) and the fold numbers of each design; the
    second has group, x, y and those of the designs of places. `points` are cells to predict.
    """
    tested = held_out(samples["month"], test)
    check_periods(samples, tested, test)
    places = places_of(samples)
    xy = places.to_numpy()
    k = number_of_folds(xy, points, folds)
    rng = np.random.default_rng(seed)
    by_row = random_folds(len(samples), folds, rng)
    places["leave_location_out"] = random_folds(len(places), k, rng)
    found = knndm(xy, points, k, places["leave_location_out"].to_numpy())
    places["knndm"] = found.folds
    result = pd.DataFrame(
        {
            "sample": samples["sample"],
            "split": np.where(tested, "test", "train"),
            "random_cv": by_row,
            **{name: samples["group"].map(places[name]).to_numpy() for name in PLACES_LEFT_OUT},
        }
    )
    for name in PLACES_LEFT_OUT:
        for fold in range(k):
            out = result[name].to_numpy() == fold
            shared = set(samples["group"][out]) & set(samples["group"][~out])
            assert out.any() and not shared, f"{name}, fold {fold}: places on both sides: {shared}"
    return result, places.reset_index(), found


def measured(
    places: pd.DataFrame, points: np.ndarray, found: Matched
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return one row for each design of places, and the quantiles of the distances (m).

    Gij: from the cells to the nearest place; Gj: between places; Gj*: from a place that is left
    out to the nearest one that is not. W is the Wasserstein distance of Gj* and Gij.
    """
    xy = places[["x", "y"]].to_numpy()
    distances = {"prediction": distances_to(points, xy), "training": distances_among(xy)}
    rows = []
    for design in PLACES_LEFT_OUT:
        folds = places[design].to_numpy()
        distances[design] = distances_across(xy, folds)
        clusters = found.clusters if design == "knndm" else 0
        rows.append(
            {
                "design": design,
                "folds": folds.max() + 1,
                "places": len(places),
                "largest_fold": np.bincount(folds).max() / len(places),
                "W": wasserstein_distance(distances[design], distances["prediction"]),
                "mean_Gij": distances["prediction"].mean(),
                "mean_Gj": distances["training"].mean(),
                "mean_Gj_star": distances[design].mean(),
                "clusters": clusters,
                "ks_p": found.p,
                "how": "clusters" if clusters else "random folds of places",
            }
        )
    quantiles = [
        pd.DataFrame(
            {
                "design": design,
                "quantile": QUANTILES.round(2),
                "distance": np.quantile(values, QUANTILES),
            }
        )
        for design, values in distances.items()
    ]
    beyond = (distances["prediction"] > distances["knndm"].max()).mean()
    log.info(
        "%.1f %% of the study area are farther from every place than any place that kNNDM leaves "
        "out: no design vouches for the map there",
        100 * beyond,
    )
    return pd.DataFrame(rows), pd.concat(quantiles, ignore_index=True)


def main(samples, area, folds, designs, distances, test, number, seed) -> None:
    table, points = pd.read_parquet(samples), points_of(area)
    result, places, found = split(table, points, test, number, seed)
    counts = result["split"].value_counts()
    log.info(
        "%d samples at %d places: %d train (%.1f %%), %d test; %d folds",
        len(table),
        len(places),
        counts["train"],
        100 * counts["train"] / len(table),
        counts["test"],
        places["leave_location_out"].max() + 1,
    )
    kept = "kNNDM, %s: W %.1f m, of random folds of places %.1f m"
    if found.clusters or found.p >= ALPHA:
        log.info(kept, found.reason, found.w, found.w_plain)
    else:
        log.warning(kept + "; the random folds are kept", found.reason, found.w, found.w_plain)
    rows, quantiles = measured(places, points, found)
    write_table(result, folds)
    write_table(rows, designs)
    write_table(quantiles, distances)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        samples=snakemake.input.samples,
        area=snakemake.input.area,
        folds=snakemake.output.folds,
        designs=snakemake.output.designs,
        distances=snakemake.output.distances,
        test=snakemake.params.test,
        number=snakemake.params.folds,
        seed=snakemake.params.seed,
    )
