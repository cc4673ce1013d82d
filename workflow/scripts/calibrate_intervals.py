"""Move the forest's bounds so that they hold at new places, and say how often they hold where.

Quantiles of a forest that has seen a place are too narrow for places that it has not. Conformal
quantile regression (Romano et al. 2019, arXiv:1905.03222) moves both by one number: a quantile
of how far the targets of places left out lie beyond their bounds. Months of a place are no
independent evidence, so every place counts the same (Lee et al. 2023, arXiv:2306.06342).

On the rows that gave the shift the coverage would be right by construction. The coverage reported
is therefore cross-fitted: the rows of a place are judged with a shift from other places only.
"""

import numpy as np
import pandas as pd

from _log import log, log_to
from _quantiles import moved
from _table import write_table

CALIBRATED_ON = "leave_location_out"
PROTOCOLS = ("temporal", "leave_location_out", "leave_location_time_out", "knndm")
FOLDS = 10  # parts of the places in cross-fitting


def scores(table: pd.DataFrame) -> np.ndarray:
    """Return how far each target lies beyond the nearer bound; negative inside (their E6)."""
    target = table["target"]
    return np.maximum(table["lower"] - target, target - table["upper"]).to_numpy()


def place_weights(group: np.ndarray) -> np.ndarray:
    """Return the weight of each row: all places weigh the same, and all rows sum to 1."""
    _, number, count = np.unique(group, return_inverse=True, return_counts=True)
    return 1 / (len(count) * count[number])


def shift_of(score: np.ndarray, group: np.ndarray, level: float) -> tuple[float, bool]:
    """Return the smallest score with (n + 1) / n of `level` of the places at or below it, and True.

    n: the number of places; (n + 1) / n makes room for the place that is still to come. Where
    there are too few places for that, the largest score is returned with False.
    """
    places = len(np.unique(group))
    needed = (places + 1) / places * level
    order = np.argsort(score, kind="stable")
    reached = np.cumsum(place_weights(group)[order])
    # Sums of weights such as 1 / 3 miss by rounding the share that they make up.
    first = np.searchsorted(reached, needed - 1e-9)
    return float(score[order[min(first, len(score) - 1)]]), needed <= 1 + 1e-9


def parts(groups: np.ndarray, number: int, seed: int) -> pd.Series:
    """Return {place: part}: the places dealt at random into `number` parts of equal size."""
    places = np.unique(groups)
    dealt = np.random.default_rng(seed).permutation(np.arange(len(places)) % number)
    return pd.Series(dealt, index=places)


def cross_fitted(
    rows: pd.DataFrame, calibration: pd.DataFrame, part: pd.Series, level: float
) -> np.ndarray:
    """Return for each of `rows` the shift from the places of `calibration` in other parts.

    NaN where there are none.
    """
    own, theirs = rows["group"].map(part).to_numpy(), calibration["group"].map(part).to_numpy()
    score, group = scores(calibration), calibration["group"].to_numpy()
    shift = np.full(len(rows), np.nan)
    for k in np.unique(own):
        others = theirs != k
        if others.any():
            shift[own == k] = shift_of(score[others], group[others], level)[0]
    return shift


def over_places(
    value: np.ndarray, group: np.ndarray, resamples: int, seed: int
) -> tuple[float, float, float]:
    """Return the mean of the places' means, and its 2.5 and 97.5 % points over draws of places.

    No interval (NaN) with fewer than two places or no resamples.
    """
    means = pd.Series(value).groupby(group).mean().to_numpy()
    if len(means) < 2 or not resamples:
        return float(means.mean()), float("nan"), float("nan")
    rng = np.random.default_rng(seed)
    draws = rng.multinomial(len(means), np.full(len(means), 1 / len(means)), size=resamples)
    low, high = np.percentile(draws @ means / len(means), [2.5, 97.5])
    return float(means.mean()), float(low), float(high)


def subsets_of(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return all rows, and those of each source where there are several."""
    by_source = dict(list(table.groupby("source")))
    return {"all": table} | (by_source if len(by_source) > 1 else {})


def chosen(calibration: pd.DataFrame, by: str) -> str:
    """Return the subset whose shift the maps use: all rows, or the source with most places."""
    if by == "all" or calibration["source"].nunique() == 1:
        return "all"
    return calibration.groupby("source")["group"].nunique().idxmax()


def judged(
    rows: pd.DataFrame, shift: float, fitted: np.ndarray, resamples: int, seed: int
) -> dict[str, float]:
    """Return coverage and mean width of the bounds of `rows`, as they are and moved.

    Coverage of moved bounds takes the shifts `fitted`, one a row; their width takes `shift`.
    """
    score, group = scores(rows), rows["group"].to_numpy()
    lower, upper = rows["lower"].to_numpy(), rows["upper"].to_numpy()
    low, high = moved(lower, upper, shift)
    held = {
        "coverage": (score <= 0).astype(float),
        "coverage_calibrated": np.where(np.isnan(fitted), np.nan, score <= fitted),
    }
    found = {"n": len(rows), "places": rows["group"].nunique()}
    for name, values in held.items():
        values = over_places(values, group, resamples, seed)
        found |= dict(zip((name, f"{name}_low", f"{name}_high"), values, strict=True))
    found["width"] = over_places(upper - lower, group, 0, seed)[0]
    found["width_calibrated"] = over_places(high - low, group, 0, seed)[0]
    return found


def calibrate(
    predictions: pd.DataFrame, level: float, by: str, resamples: int, seed: int
) -> pd.DataFrame:
    """Return one row for each shift and each protocol and subset that it is judged on.

    predictions: group, source, protocol, target, lower, upper. `calibrated_on`: the rows the
    shift comes from; `applied`: whether the maps use it; `enough`: whether its places suffice
    for the level; `shift`: from all of them. Coverages and widths are means over places,
    `_low` and `_high` their 95 % interval over draws of places.
    """
    calibration = predictions[predictions["protocol"] == CALIBRATED_ON]
    part = parts(predictions["group"].to_numpy(), FOLDS, seed)
    used = chosen(calibration, by)
    found = []
    for name, learned in subsets_of(calibration).items():
        shift, enough = shift_of(scores(learned), learned["group"].to_numpy(), level)
        about = dict(level=level, calibrated_on=name, applied=name == used, enough=enough)
        for protocol in PROTOCOLS:
            pooled = predictions[predictions["protocol"] == protocol]
            for subset, rows in subsets_of(pooled).items():
                fitted = cross_fitted(rows, learned, part, level)
                numbers = judged(rows, shift, fitted, resamples, seed)
                found.append(about | dict(shift=shift, protocol=protocol, subset=subset) | numbers)
    return pd.DataFrame(found)


def main(predictions: str, intervals: str, level: float, by: str, bootstrap: int, seed: int):
    result = calibrate(pd.read_parquet(predictions), level, by, bootstrap, seed)
    for row in result.drop_duplicates("calibrated_on").itertuples():
        log.info("shift from %s: %+.4f", row.calibrated_on, row.shift)
        if not row.enough:
            log.warning(
                "%s: too few places for intervals of %g %%: %.0f are needed. The largest score "
                "is the shift, and the intervals may be too narrow at new places",
                row.calibrated_on,
                100 * level,
                np.ceil(level / (1 - level) - 1e-9),
            )
    for row in result[result["coverage_calibrated"].isna()].itertuples():
        log.warning(
            "%s, %s: no coverage after calibration, some of the %d places have no other one whose "
            "shift (from %s) could judge them",
            *(row.protocol, row.subset, row.places, row.calibrated_on),
        )
    for row in result[result["applied"]].itertuples():
        log.info(
            "%s, %s: coverage %.3f, calibrated %.3f [%.3f, %.3f]; width %.4f, calibrated %.4f; "
            "%d places",
            row.protocol,
            row.subset,
            row.coverage,
            row.coverage_calibrated,
            row.coverage_calibrated_low,
            row.coverage_calibrated_high,
            row.width,
            row.width_calibrated,
            row.places,
        )
    write_table(result, intervals)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        predictions=snakemake.input.predictions,
        intervals=snakemake.output.intervals,
        level=snakemake.params.level,
        by=snakemake.params.by,
        bootstrap=snakemake.params.bootstrap,
        seed=snakemake.params.seed,
    )
