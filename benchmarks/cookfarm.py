"""What holds on measured soil moisture: every claim and every switch, at whole places left out.

    snakemake --cores 2 -d RUN --configfile config/cookfarm.yaml    (needs RUN/cookfarm, see there)
    python benchmarks/cookfarm.py RUN

The claims are read from what the run wrote. The switches are judged with nested fitting: a place
is predicted by forests that never saw it, and what is done to these predictions (the choice of the
forest, the curve of the range, the kriged residual) is fitted to other places as predicted by
forests that saw neither them nor the place that is judged. Intervals are over draws of places.
"""

import argparse
import json
import sys
from collections.abc import Callable
from functools import partial
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow" / "scripts"))

from _applicability import left_out_di, weighted
from _correction import CURVES, restored
from _forest import forest, predict
from _kriging import Variogram, dual, estimate
from _metrics import bias, r, rmse
from calibrate_intervals import calibrate
from krige_residuals import mean_residuals, summary

DESIGNS = ("temporal", "random_cv", "leave_location_out", "leave_location_time_out", "knndm")
LEFT_OUT = "leave_location_out"
VARIANTS = {"paper": "_paper", "recommended": ""}
BARS = ("look-up", "month only", "white noise")
RESAMPLES, SEED = 2000, 1
JUDGED, SEEDS, RATIO = 12, 20, 3  # places that judge, repeats, and how many times more places
HEAD = f"  {'RMSE':<58}{'without':>8}{'with':>8}  difference [95 % interval]"
Fit = Callable[[np.ndarray, np.ndarray], Callable[[np.ndarray], np.ndarray]]


def sums(square: np.ndarray, group: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return (places, 2): sum and number of the squares of each of `places`."""
    place = np.searchsorted(places, group)
    return np.stack(
        [np.bincount(place, of, minlength=len(places)) for of in (square, np.ones_like(square))],
        axis=1,
    )


def difference(
    first: tuple, second: tuple, resamples: int = RESAMPLES, seed: int = SEED
) -> tuple[float, float, float, float, float]:
    """Return RMSE of first and of second, second minus first, and its 2.5 and 97.5 % points.

    first, second: (squared errors, place of each), of the same rows or not. Draws are of places.
    """
    places = np.unique(np.concatenate([first[1], second[1]]))
    per_place = np.stack([sums(*one, places) for one in (first, second)])  # (2, places, 2)
    draws = np.random.default_rng(seed).multinomial(
        len(places), np.full(len(places), 1 / len(places)), size=resamples
    )
    total = per_place.sum(axis=1)
    values = np.sqrt(total[:, 0] / total[:, 1])
    drawn = draws @ per_place  # (2, draws, 2)
    with np.errstate(invalid="ignore"):  # a draw may hold no place of one of them
        apart = np.diff(np.sqrt(drawn[..., 0] / drawn[..., 1]), axis=0)[0]
    return (*values, values[1] - values[0], *np.nanpercentile(apart, [2.5, 97.5]))


def verdict(low: float, high: float) -> str:
    """Return what an interval of a difference of RMSE says of a switch."""
    return "helps" if high < 0 else "harms" if low > 0 else "neutral"


def described(target: np.ndarray, prediction: np.ndarray) -> dict[str, float]:
    """Return R, RMSE, the ratio of spreads, and the bias of the driest and wettest tenth."""
    dry, wet = np.quantile(target, [0.1, 0.9])
    return {
        "R": r(target, prediction),
        "RMSE": rmse(target, prediction),
        "SD ratio": float(np.std(prediction) / np.std(target)),
        "bias, driest tenth": bias(target[target <= dry], prediction[target <= dry]),
        "bias, wettest tenth": bias(target[target >= wet], prediction[target >= wet]),
    }


def nested(fit: Fit, x, y, fold: np.ndarray, threads: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Return predictions (rows,) without the row's fold, and (folds, rows) without two folds.

    The second has in row k and fold j what a model says that saw neither; NaN where k is j. One
    model serves both orders of a pair. x: (rows, predictors); fold: 0 to folds - 1.
    """
    numbers = range(fold.max() + 1)
    fits = [(k,) for k in numbers] + list(combinations(numbers, 2))

    def without(left_out):
        learn = ~np.isin(fold, left_out)
        told = fit(x[learn], y[learn])
        return [told(x[fold == k]) for k in left_out]

    found = Parallel(n_jobs=threads, prefer="threads")(delayed(without)(one) for one in fits)
    outer, inner = np.full(len(y), np.nan), np.full((len(numbers), len(y)), np.nan)
    for left_out, values in zip(fits, found, strict=True):
        if len(left_out) == 1:
            outer[fold == left_out[0]] = values[0]
        else:
            for (k, j), value in zip((left_out, left_out[::-1]), values[::-1], strict=True):
                inner[k, fold == j] = value
    return outer, inner


def chosen(inner: list[np.ndarray], y: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """Return for each fold which of several forests is best at the places of the other folds."""
    return np.array(
        [
            np.argmin([np.mean((one[k] - y)[fold != k] ** 2) for one in inner])
            for k in range(fold.max() + 1)
        ]
    )


def corrected(outer, inner, y, fold, curve: Callable) -> np.ndarray:
    """Return predictions (rows,) along a curve fitted to the other folds of places."""
    result = np.empty(len(y))
    for k in range(fold.max() + 1):
        own = fold == k
        result[own] = restored(outer[own], curve(inner[k][~own], y[~own]))
    return result


def kriged(outer, inner, table: pd.DataFrame, fold, tested: bool) -> tuple[np.ndarray, int]:
    """Return predictions plus the residual kriged from other folds, and in how many it is used.

    `tested`: only where krige_residuals would use it, otherwise wherever there is a variogram.
    """
    result, used = outer.copy(), 0
    for k in range(fold.max() + 1):
        own = fold == k
        places = mean_residuals(table.assign(prediction=inner[k])[~own])
        found = summary(places)
        if "model" not in found or (tested and not found["use"]):
            continue
        used += 1
        model = Variogram(*(found[name] for name in ("model", "nugget", "psill", "range")))
        at, residual = places[["x", "y"]].to_numpy(), places[["residual"]].to_numpy()
        rows = table[own]
        here = rows.groupby("group")[["x", "y"]].mean()
        told = estimate(here.to_numpy(), at, dual(at, residual, model), model)[:, 0]
        result[own] += rows["group"].map(dict(zip(here.index, told, strict=True))).to_numpy()
    return result, used


def wide_and_narrow(
    group: np.ndarray, judged: int, dates: int, ratio: int, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return rows that judge, rows of many places, and as many of a `ratio`-th of these places.

    Places are drawn: `judged` of them judge with all their rows. Of the others each gives `dates`
    rows to the second and, where it is one of the few, `ratio` times as many to the third.
    """
    rng = np.random.default_rng(seed)
    names, count = np.unique(group, return_counts=True)
    names = rng.permutation(names[count >= ratio * dates])
    others = names[judged:]
    others = others[: len(others) // ratio * ratio]

    def drawn(places, each):
        rows = [rng.choice(np.flatnonzero(group == p), each, replace=False) for p in places]
        return np.concatenate(rows)

    few = others[: len(others) // ratio]
    return (
        np.flatnonzero(np.isin(group, names[:judged])),
        drawn(others, dates),
        drawn(few, ratio * dates),
    )


def places_or_dates(fit: Fit, x, y, group, dates: int, judged=JUDGED, ratio=RATIO, seeds=SEEDS):
    """Return squared errors and places of few places with many dates, and of the reverse.

    Of the same rows of places in neither, one after the other over all seeds, and their number.
    """
    few, many, where = [], [], []
    for seed in range(seeds):
        judge, wide, narrow = wide_and_narrow(group, judged, dates, ratio, seed)
        for found, learn in ((few, narrow), (many, wide)):
            found.append((fit(x[learn], y[learn])(x[judge]) - y[judge]) ** 2)
        where.append(group[judge])
    where = np.concatenate(where)
    return (np.concatenate(few), where), (np.concatenate(many), where), len(wide)


def reached(run: Path, table: pd.DataFrame) -> tuple[np.ndarray, float]:
    """Return the dissimilarity of each row to training rows of other folds, and the threshold."""
    known = json.loads((run / "results/model/applicability.json").read_text())
    names = [one["name"] for one in known["predictors"]]
    mean, scale, weight = (
        np.array([one[key] for one in known["predictors"]]) for key in ("mean", "scale", "weight")
    )
    rows = pd.read_parquet(run / "results/model/applicability.parquet")
    fold = table.set_index("sample")[LEFT_OUT]
    points = weighted(table[names].to_numpy("float64"), mean, scale, weight)
    di = left_out_di(
        points,
        table[LEFT_OUT].to_numpy(),
        rows[names].to_numpy("float64"),
        rows["sample"].map(fold).to_numpy(),
        known["dbar"],
    )
    return di, known["threshold"]


def ranged(value: float, low: float, high: float) -> str:
    """Return a score with its interval as printed."""
    return f"{value:8.4f} [{low:7.4f}, {high:7.4f}]"


def line(name: str, compared: tuple) -> str:
    """Return one row of the table of switches."""
    before, after, apart, low, high = compared
    return (
        f"  {name:<58}{before:8.4f}{after:8.4f}  {apart:+.4f} [{low:+.4f}, {high:+.4f}]  "
        f"{verdict(low, high)}"
    )


def claims(run: Path) -> list[str]:
    """Return what each design claims of each protocol, and the bars, as lines."""
    lines = ["What each design claims (95 % intervals over places)"]
    lines.append(f"  {'':<40}{'R':^28}{'RMSE':^28}{'R2':^28}{'n':>7}")
    bars = pd.read_csv(run / "results/model/bars.csv")  # the paper's protocol is one of them
    tables = {name: bars[bars["model"] == name] for name in ("paper", *BARS)}
    tables["recommended"] = pd.read_csv(run / "results/model/metrics.csv")
    for name in ("paper", "recommended", *BARS):
        table = tables[name]
        for design in DESIGNS:
            part = table.query("protocol == @design and subset == 'all'").set_index("metric")
            if part.empty:
                continue
            cells = "".join(
                f"{ranged(*part.loc[metric, ['value', 'low', 'high']]):<28}"
                for metric in ("R", "RMSE", "R2")
            )
            lines.append(f"  {f'{name}, {design}':<40}{cells}{part['n'].iloc[0]:7d}")
    return lines


def coverages(predictions: dict[str, pd.DataFrame], level: float) -> list[str]:
    """Return how often intervals hold the target before and after calibration, as lines."""
    lines = [f"Coverage of {level:.0%} intervals: as the forest gives them, and moved by the"]
    lines.append("shift of other places; mean width of both")
    for name, rows in predictions.items():
        found = calibrate(rows, level, "source", RESAMPLES, SEED)
        for row in found[found["applied"] & (found["subset"] == "all")].itertuples():
            before = ranged(row.coverage, row.coverage_low, row.coverage_high)
            after = row.coverage_calibrated, row.coverage_calibrated_low
            after = ranged(*after, row.coverage_calibrated_high)
            width = f"{row.width:.3f} {row.width_calibrated:.3f}"
            lines.append(f"  {f'{name}, {row.protocol}':<40}{before:<28}{after:<28}{width}")
    return lines


def area(di: np.ndarray, limit: float, square: np.ndarray, group: np.ndarray) -> list[str]:
    """Return the error inside and outside the area of applicability, as lines."""
    inside = di <= limit
    parts = (square[inside], group[inside]), (square[~inside], group[~inside])
    lines = ["Area of applicability, places left out (recommended): RMSE inside and outside"]
    if not len(parts[0][0]) or not len(parts[1][0]):
        return [*lines, f"  {inside.mean():.1%} of the rows lie inside: nothing to compare"]
    found = difference(*parts)
    lines.append(
        f"  inside {found[0]:.4f} ({inside.sum()} rows of {len(np.unique(parts[0][1]))} places), "
        f"outside {found[1]:.4f} ({(~inside).sum()} rows of {len(np.unique(parts[1][1]))} places)"
    )
    lines.append(f"  outside minus inside {found[2]:+.4f} [{found[3]:+.4f}, {found[4]:+.4f}]")
    half = di <= np.median(di)
    found = difference((square[half], group[half]), (square[~half], group[~half]))
    lines.append(f"  nearer and farther half of the rows {found[0]:.4f} {found[1]:.4f}, apart by")
    lines.append(f"  {found[2]:+.4f} [{found[3]:+.4f}, {found[4]:+.4f}]")
    return lines


def switches(table, names, grid: list[dict], usual: dict, threads: int) -> list[str]:
    """Return what every switch does to the error at places left out, as lines.

    grid: the options that the search tried; usual: those that random folds chose.
    """
    x, y = table[names].to_numpy("float32"), table["target"].to_numpy("float64")
    fold, group = table[LEFT_OUT].to_numpy(), table["group"].to_numpy()

    def fitter(options):
        return lambda x, y: partial(predict, forest(options, SEED).fit(x, y))

    def off(prediction):
        return (prediction - y) ** 2, group

    predicted = [nested(fitter(options), x, y, fold, threads) for options in grid]
    pick = chosen([inner for _, inner in predicted], y, fold)
    outer = np.array([one for one, _ in predicted])[pick[fold], np.arange(len(y))]
    inner = np.array([predicted[n][1][k] for k, n in enumerate(pick)])
    random = predicted[grid.index(usual)][0]
    lines = ["Switches, RMSE at places left out, nested", HEAD]
    words = "tuning by places left out, not random folds"
    lines.append(line(words, difference(off(random), off(outer))))
    for n in np.unique(pick):
        lines.append(f"    in {np.sum(pick == n)} folds {grid[n]}")
    lines.append(f"    by random folds {usual}")
    curves = {name: corrected(outer, inner, y, fold, curve) for name, curve in CURVES.items()}
    for name in ("linear", "quantile"):
        compared = difference(off(curves["none"]), off(curves[name]))
        lines.append(line(f"maps.extremes: {name}, not none", compared))
    for tested, words in (
        (True, "maps.residuals: where its test lets it"),
        (False, "maps.residuals without its test"),
    ):
        found, used = kriged(outer, inner, table, fold, tested)
        words = f"{words} ({used} of {fold.max() + 1} folds)"
        lines.append(line(words, difference(off(outer), off(found))))
    for dates in (10, 36):
        few, many, n = places_or_dates(fitter(best_of(grid, pick)), x, y, group, dates)
        words = f"samples.months_per_cell: {RATIO} x as many places, n {n}"
        lines.append(line(words, difference(few, many)))
    lines.append("  not to be judged here: model.weights (one source), maps.conserve (no product),")
    lines.append("  northness and eastness (no slope or aspect in the table)")
    lines += ["", "The range of predictions at places left out, nested"]
    lines.append(pd.DataFrame({k: described(y, v) for k, v in curves.items()}).T.to_string())
    return lines


def options_of(search: Path) -> list[dict]:
    """Return the options of every row of a search, best first."""
    return [
        dict(
            n_estimators=int(row.n_estimators),
            max_depth=None if np.isnan(row.max_depth) else int(row.max_depth),
            max_features=float(row.max_features),
            min_samples_leaf=int(row.min_samples_leaf),
        )
        for row in pd.read_csv(search).sort_values("rank").itertuples()
    ]


def protocols(predictions: dict[str, pd.DataFrame]) -> list[str]:
    """Return the forest of the run beside that of the paper's protocol, as lines."""
    keys = ["sample", "protocol"]
    beside = predictions["paper"][[*keys, "prediction"]]
    both = predictions["recommended"].merge(beside, on=keys, suffixes=("", "_paper"))
    lines = ["The recommended forest instead of the paper's, as the run made them", HEAD]
    for design in DESIGNS:
        rows = both[both["protocol"] == design]
        group = rows["group"].to_numpy()
        squares = [
            ((rows[name] - rows["target"]) ** 2).to_numpy()
            for name in ("prediction_paper", "prediction")
        ]
        lines.append(line(design, difference(*((square, group) for square in squares))))
    return lines


def best_of(grid: list[dict], pick: np.ndarray) -> dict:
    """Return the options that most folds chose."""
    return grid[np.bincount(pick).argmax()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run", type=Path, help="folder of a finished run of config/cookfarm.yaml")
    parser.add_argument("--threads", type=int, default=2)
    asked = parser.parse_args()
    model = asked.run / "results/model"
    samples = pd.read_parquet(asked.run / "results/features/samples.parquet")
    table = samples.merge(pd.read_parquet(model / "folds.parquet"), on="sample", validate="1:1")
    predictions = {
        name: pd.read_parquet(model / f"predictions{variant}.parquet")
        for name, variant in VARIANTS.items()
    }
    level = pd.read_csv(model / "intervals.csv")["level"].iloc[0]
    rows = table[["sample"]].merge(predictions["recommended"].query("protocol == @LEFT_OUT"))
    square = ((rows["prediction"] - rows["target"]) ** 2).to_numpy()
    names = [
        one["name"] for one in json.loads((model / "applicability.json").read_text())["predictors"]
    ]
    grid, usual = (options_of(model / f"search{variant}.csv") for variant in ("", "_paper"))
    parts = [
        claims(asked.run),
        coverages(predictions, level),
        area(*reached(asked.run, table), square, rows["group"].to_numpy()),
        protocols(predictions),
        switches(table, names, grid, usual[0], asked.threads),
    ]
    print("\n".join("\n".join([*part, ""]) for part in parts))


if __name__ == "__main__":
    main()
