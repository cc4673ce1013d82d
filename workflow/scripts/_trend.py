"""Trends of short series, many cells at once: Mann-Kendall, Theil-Sen and least squares.

All take `values` (years, cells...) with NaN where a year is missing; each cell uses the years it
has. With fewer than five, no order of the years is rarer than one in twenty (two of 24 at four),
so such cells have no trend: NaN.
"""

from __future__ import annotations

import numpy as np
from scipy import stats

LEAST = 5  # years of a cell
EXACT = 50  # years up to which the order of all permutations is counted, not approximated
AT_ONCE = 2**22  # pairs of years times cells: what bounds the memory of `theil_sen`


def _checked(values: np.ndarray, years: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return both as float64; years must rise, one for each row of values."""
    values, years = np.asarray(values, "float64"), np.asarray(years, "float64")
    if len(values) != len(years) or not (np.diff(years) > 0).all():
        raise ValueError(f"expected one row a year and rising years, found {values.shape}, {years}")
    return values, years


def kendall_null(n: int) -> np.ndarray:
    """Return the probabilities of S = -n(n-1)/2, ..., +n(n-1)/2 in steps of 2 without a trend.

    The number of discordant pairs of a random order of n is a sum of independent uniform counts
    0..k, k < n (Kendall 1938, doi:10.1093/biomet/30.1-2.81).
    """
    chance = np.ones(1)
    for k in range(1, n):
        chance = np.convolve(chance, np.full(k + 1, 1 / (k + 1)))
    return chance


def mann_kendall(values: np.ndarray, years: np.ndarray) -> dict[str, np.ndarray]:
    """Return S, z, p (normal), p_exact and n, each shaped as the cells.

    z is corrected for continuity and its variance for ties (Mann 1945, Kendall 1975). p_exact,
    two-sided, needs values without ties and at most 50 years; it is NaN otherwise.
    """
    values, _ = _checked(values, years)
    given = np.isfinite(values)
    n = given.sum(axis=0)
    s = np.zeros(values.shape[1:])
    same = np.zeros(values.shape)  # values equal to this one, without itself
    for later in range(1, len(values)):
        for earlier in range(later):
            both = given[later] & given[earlier]
            s += np.where(both, np.sign(values[later] - values[earlier]), 0)
            equal = both & (values[later] == values[earlier])
            same[later] += equal
            same[earlier] += equal
    # Summed over the members of a tie of t: t (t - 1) (2 t + 5).
    ties = (same * (2 * same + 7)).sum(axis=0)
    spread = (n * (n - 1) * (2 * n + 5) - ties) / 18
    with np.errstate(invalid="ignore", divide="ignore"):
        z = np.where(spread > 0, (s - np.sign(s)) / np.sqrt(spread), 0.0)
    exact = np.full(s.shape, np.nan)
    for count in np.unique(n):
        if LEAST <= count <= EXACT:
            tail = np.cumsum(kendall_null(count))
            here = (n == count) & (ties == 0)
            # S = -(largest), ... has index 0; both tails are alike.
            index = (count * (count - 1) // 2 - np.abs(s[here]).astype(int)) // 2
            exact[here] = np.minimum(2 * tail[index], 1.0)
    enough = n >= LEAST
    found = {"S": s, "z": z, "p": 2 * stats.norm.sf(np.abs(z)), "p_exact": exact}
    return {name: np.where(enough, array, np.nan) for name, array in found.items()} | {"n": n}


def theil_sen(
    values: np.ndarray, years: np.ndarray, level: float = 0.95
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the median of the slopes of all pairs of years, per year, and its interval.

    The interval takes the ranks that the normal approximation of S leaves (Sen 1968,
    doi:10.1080/01621459.1968.10480934), corrected for ties.
    """
    values, years = _checked(values, years)
    shape = values.shape[1:]
    flat = values.reshape(len(values), -1)
    found = np.full((3, flat.shape[1]), np.nan)
    earlier, later = np.triu_indices(len(years), 1)
    step = max(1, AT_ONCE // max(len(earlier), 1))
    quantile = stats.norm.ppf(0.5 + level / 2)
    for start in range(0, flat.shape[1], step):
        part = flat[:, start : start + step]
        slopes = (part[later] - part[earlier]) / (years[later] - years[earlier])[:, None]
        slopes.sort(axis=0)  # NaN last
        pairs = np.isfinite(slopes).sum(axis=0)
        n = np.isfinite(part).sum(axis=0)
        enough = n >= LEAST
        if not enough.any():
            continue
        same = np.array([(part == row).sum(axis=0) for row in part])
        ties = np.where(np.isfinite(part), (same - 1) * (2 * same + 5), 0).sum(axis=0)
        reach = quantile * np.sqrt((n * (n - 1) * (2 * n + 5) - ties) / 18)
        last = np.maximum(pairs - 1, 0)
        ranks = (
            ((pairs - 1) // 2, pairs // 2),
            (np.round((pairs - reach) / 2).astype(int) - 1,) * 2,
            (np.round((pairs + reach) / 2).astype(int),) * 2,
        )
        for row, two in zip(found, ranks, strict=True):
            picked = [
                np.take_along_axis(slopes, np.clip(rank, 0, last)[None], axis=0)[0] for rank in two
            ]
            row[start : start + step] = np.where(enough, np.mean(picked, axis=0), np.nan)
    return tuple(found.reshape(3, *shape))


def least_squares(values: np.ndarray, years: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the slope of ordinary least squares, per year, and its two-sided p (Student's t)."""
    values, years = _checked(values, years)
    given = np.isfinite(values)
    n = given.sum(axis=0)
    time = years.reshape(-1, *[1] * (values.ndim - 1))
    with np.errstate(invalid="ignore", divide="ignore"):
        t = np.where(given, time - np.where(given, time, 0).sum(axis=0) / n, 0)
        y = np.where(given, values, 0)
        y = np.where(given, y - y.sum(axis=0) / n, 0)
        slope = (t * y).sum(axis=0) / (t**2).sum(axis=0)
        rest = ((y - slope * t) ** 2).sum(axis=0)
        statistic = slope / np.sqrt(rest / (n - 2) / (t**2).sum(axis=0))
        # A series without any change has no error either: 0 / 0, and no trend.
        p = np.where((slope == 0) & (rest == 0), 1.0, 2 * stats.t.sf(np.abs(statistic), n - 2))
    return np.where(n >= LEAST, slope, np.nan), np.where(n >= LEAST, p, np.nan)


def field_limit(p: np.ndarray, counts: np.ndarray, rate: float = 0.10) -> float:
    """Return the largest p that survives many tests: Benjamini-Hochberg at this false rate.

    `p` rises, `counts` says how many cells have each; exact p take few values, so a field of any
    size has a short list. -1 where none survives. Of the cells up to the limit, at most `rate` are
    false in the mean. Where neighbours are alike 0.10 keeps the field at about 0.05 (Benjamini &
    Hochberg 1995; Wilks 2016, doi:10.1175/BAMS-D-15-00267.1).
    """
    ranks = np.cumsum(counts)
    passed = np.flatnonzero(p <= rate * ranks / max(ranks[-1:], default=1))
    return float(p[passed[-1]]) if len(passed) else -1.0


def field_significant(p: np.ndarray, rate: float = 0.10) -> np.ndarray:
    """Return the cells whose p is within `field_limit`; those with p NaN are not tested."""
    p = np.asarray(p, "float64")
    return p <= field_limit(*np.unique(p[np.isfinite(p)], return_counts=True), rate)
