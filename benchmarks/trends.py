"""How long a trend takes, a cell, beside a loop over pymannkendall; and whether both agree.

    python benchmarks/trends.py

Ours gives what the loop gives (S, z, p, Sen's slope) and beside it the exact p and the interval of
the slope. Both run in turns in one process, so that a busy machine slows both; the ratio of each
turn is printed as minimum, median and maximum.
"""

import argparse
import sys
from pathlib import Path
from time import perf_counter

import numpy as np
import pymannkendall

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow" / "scripts"))

from _trend import mann_kendall, theil_sen

NAMES = ("S", "z", "p", "Sen slope")
AT_ONCE = 2**15  # cells, as trend_maps takes them


def looped(values: np.ndarray) -> np.ndarray:
    """Return (4, cells): S, z, p and Sen's slope of values (years, cells), cell by cell."""
    rows = []
    for series in values.T:
        found = pymannkendall.original_test(series)
        rows.append((found.s, found.z, found.p, pymannkendall.sens_slope(series).slope))
    return np.array(rows).T


def ours(values: np.ndarray) -> np.ndarray:
    """Return the same as `looped`, of many cells at once."""
    years, parts = np.arange(len(values)), []
    for start in range(0, values.shape[1], AT_ONCE):
        part = values[:, start : start + AT_ONCE]
        found = mann_kendall(part, years)
        parts.append(np.stack([found["S"], found["z"], found["p"], theil_sen(part, years)[0]]))
    return np.concatenate(parts, axis=1)


def seconds(work, *given) -> float:
    """Return how long `work` takes."""
    began = perf_counter()
    work(*given)
    return perf_counter() - began


def main(years: int, cells: int, sample: int, turns: int) -> None:
    values = np.random.default_rng(1).normal(0.35, 0.02, (years, cells)).astype("float32")
    values[:, ::10] = np.round(values[:, ::10], 2)  # every tenth cell has ties
    values = values.astype("float64")
    some = values[:, :sample]
    off = np.abs(ours(some) - looped(some)).max(axis=1)
    for name, largest in zip(NAMES, off, strict=True):
        print(f"{name}: largest difference {largest:.1e} over {sample} cells")
    times = [(seconds(looped, some) / sample, seconds(ours, values) / cells) for _ in range(turns)]
    for name, column in zip(("loop", "ours"), np.array(times).T * 1e6, strict=True):
        low, middle, high = np.percentile(column, [0, 50, 100])
        print(f"{name}: {low:.2f} / {middle:.2f} / {high:.2f} microseconds a cell")
    low, middle, high = np.percentile([loop / own for loop, own in times], [0, 50, 100])
    print(f"ratio: {low:.0f} / {middle:.0f} / {high:.0f} (minimum / median / maximum)")
    if off.max() > 1e-12:
        raise SystemExit("the two differ by more than rounding")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--years", type=int, default=10)
    parser.add_argument("--cells", type=int, default=400_000)
    parser.add_argument("--sample", type=int, default=2_000)
    parser.add_argument("--turns", type=int, default=5)
    main(**vars(parser.parse_args()))
