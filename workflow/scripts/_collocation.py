"""Error variances of three products of one quantity without a truth, with intervals over places.

Triple collocation lets the products differ in scale and offset, and needs errors that are
independent of each other and of the truth (Stoffelen 1998, doi:10.1029/97JC03180; McColl et al.
2014, doi:10.1002/2014GL061322). The three-cornered hat takes products of one scale, from the
variances of their differences (Gray & Allan 1974, doi:10.1109/FREQ.1974.200027). Neither knows
whether its assumptions hold: products that share inputs share errors, and look better than they
are.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

LEAST = 100  # triplets: below, the error of an error variance is as large as itself
FAILED = 0.05  # share of draws that may have no solution before the interval is withheld
NEGATIVE = "negative: errors that depend on each other, or too few triplets"
COLUMNS = ["product", "quantity", "value", "low", "high", "n", "places", "reason"]


def complete(values: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return triplets (n, 3) without a missing product, as float64, and their places."""
    values = np.asarray(values, "float64")
    there = np.isfinite(values).all(axis=1)
    return values[there], np.asarray(places)[there]


def anomalies(
    values: np.ndarray, places: np.ndarray, months: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return triplets (n, 3) without each place's mean of the calendar month, and their places.

    `months` are calendar months (1 to 12) or their names. A mean of m years takes its share of
    every deviation, which is given back by sqrt(m / (m - 1)); a place and month of a single year
    is left out.
    """
    values = np.asarray(values, "float64")
    there = np.isfinite(values).all(axis=1)
    values, places, months = values[there], np.asarray(places)[there], np.asarray(months)[there]
    group = pd.DataFrame(values).groupby([places, months])
    years = group[0].transform("size").to_numpy()
    rest = values - group.transform("mean").to_numpy()
    kept = years > 1
    return rest[kept] * np.sqrt(years[kept] / (years[kept] - 1))[:, None], places[kept]


def _sums(values: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return (places, 10): n, the sums of the three products and of their six products."""
    _, place = np.unique(places, return_inverse=True)
    terms = np.column_stack(
        [np.ones(len(values)), values, *(values[:, [a]] * values[:, a:] for a in range(3))]
    )
    return np.stack([np.bincount(place, weights=term) for term in terms.T], axis=1)


def _covariances(total: np.ndarray) -> np.ndarray:
    """Return covariances (..., 3, 3) of total sums (..., 10)."""
    n, mean = total[..., :1], total[..., 1:4] / total[..., :1]
    found = np.empty((*total.shape[:-1], 3, 3))
    for number, (a, b) in enumerate(zip(*np.triu_indices(3), strict=True), 4):
        product = total[..., number] - n[..., 0] * mean[..., a] * mean[..., b]
        found[..., a, b] = found[..., b, a] = product / (n[..., 0] - 1)
    return found


def _triple(c: np.ndarray) -> dict[str, np.ndarray]:
    """Return each quantity (..., 3) from covariances (..., 3, 3); NaN where one is not positive."""
    found = {name: np.empty(c.shape[:-1]) for name in ("error_variance", "R2", "scale")}
    for a, b, d in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        signal = c[..., a, b] * c[..., a, d] / c[..., b, d]
        third = b if a == 1 else d  # the product that is neither this one nor the first
        scale = c[..., 0, third] / c[..., a, third] if a else np.ones(c.shape[:-2])
        found["error_variance"][..., a] = (c[..., a, a] - signal) * scale**2
        found["R2"][..., a] = signal / c[..., a, a]
        found["scale"][..., a] = scale
    solvable = (c[..., [0, 0, 1], [1, 2, 2]] > 0).all(axis=-1)[..., None]
    return {name: np.where(solvable, array, np.nan) for name, array in found.items()}


def _cornered(c: np.ndarray) -> dict[str, np.ndarray]:
    """Return the error variances (..., 3) from covariances (..., 3, 3)."""
    apart = {
        (a, b): c[..., a, a] + c[..., b, b] - 2 * c[..., a, b] for a in range(3) for b in range(3)
    }
    halves = [
        (apart[a, b] + apart[a, d] - apart[b, d]) / 2
        for a, b, d in ((0, 1, 2), (1, 2, 0), (2, 0, 1))
    ]
    return {"error_variance": np.stack(halves, axis=-1)}


def _estimated(solve, quantities, values, places, names, resamples, seed, least) -> pd.DataFrame:
    """Return the long table of `solve` on all triplets, with intervals over drawn places."""
    values, places = complete(values, places)
    n, number = len(values), len(np.unique(places))
    nothing = {name: np.full(3, np.nan) for name in quantities}
    bounds = {name: np.full((2, 3), np.nan) for name in quantities}
    reasons, found = [], nothing
    if n < least:
        reasons.append(f"{n} triplets, of {least} needed")
    else:
        sums = _sums(values - values.mean(axis=0), places)  # near 0 the squares keep their digits
        with np.errstate(invalid="ignore", divide="ignore"):
            found = solve(_covariances(sums.sum(axis=0)))
            if np.isnan(found["error_variance"]).all():
                reasons.append("covariances that are not positive: no common signal")
            elif number < 2 or not resamples:
                reasons.append("no interval: fewer than two places or no draws")
            else:
                rng = np.random.default_rng(seed)
                draws = rng.multinomial(number, np.full(number, 1 / number), size=resamples)
                drawn = solve(_covariances(draws @ sums))
                failed = np.isnan(drawn["error_variance"]).any(axis=1).mean()
                if failed > FAILED:
                    reasons.append(f"no interval: {failed:.0%} of the draws have no common signal")
                else:
                    bounds = {
                        name: np.nanpercentile(array, [2.5, 97.5], axis=0)
                        for name, array in drawn.items()
                    }
    rows = []
    for name in quantities:
        for k, product in enumerate(names):
            negative = [NEGATIVE] if name == "error_variance" and found[name][k] < 0 else []
            said = "; ".join(reasons + negative)
            rows.append((product, name, found[name][k], *bounds[name][:, k], n, number, said))
    return pd.DataFrame(rows, columns=COLUMNS)


def triple_collocation(
    values: np.ndarray,
    places: np.ndarray,
    names: tuple[str, str, str],
    resamples: int,
    seed: int,
    least: int = LEAST,
) -> pd.DataFrame:
    """Return product, quantity, value, low, high, n, places and reason, one row a quantity.

    `values` (n, 3) are raw or `anomalies`, `places` (n,) the groups that are drawn anew for the
    intervals (2.5 and 97.5 %). Quantities: error_variance in the squared unit of the first
    product, to whose scale the others are brought; R2 with the unknown truth; scale, with which a
    product is multiplied. With fewer than `least` triplets, or covariances that are not positive,
    all is NaN and `reason` says why. Variances below 0 are kept and said.
    """
    quantities = ("error_variance", "R2", "scale")
    return _estimated(_triple, quantities, values, places, names, resamples, seed, least)


def three_cornered(
    values: np.ndarray,
    places: np.ndarray,
    names: tuple[str, str, str],
    resamples: int,
    seed: int,
    least: int = LEAST,
) -> pd.DataFrame:
    """Return the table of `triple_collocation` with error_variance only, and nothing scaled.

    What makes one product's amplitude differ from the others' counts as its error here.
    """
    return _estimated(_cornered, ("error_variance",), values, places, names, resamples, seed, least)
