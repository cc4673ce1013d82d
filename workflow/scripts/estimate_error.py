"""How far the maps are from the true soil moisture of a 250 m cell, as far as data can tell (A8).

What validation against SMCI measures is the distance to SMCI. Its own error and the detail below
1 km come on top; both show only at stations, and there only after the station's own error is
taken off. With f the forest where it was left out, S the product, y a station and w the weight of
the product in the map,

    E2 = (1 - w)^2 D2 + P2 - 2 (1 - w) u D2,    D2 = <(f - S)^2>,    P2 = <(S - y)^2> - s^2

D2 is a mean over left-out places of the product, P2 over left-out stations, each station counting
once; s is the error of one station against its cell, from its calibration and its siting. Mixing
gains most at w = 1 - u, where u = -<(f - S)(S - y)> / D2 is the product's share of their mutual
error. Few stations tell u badly, so it leans on one half, which is right where forest and product
are equally good. What is added to the forest's own part of the error, (1 - w)^2 D2, may be
negative: then the forest is nearer to the truth than to the product, and the maps' intervals are
too wide. The estimate is as good as the network is large: the interval says how good.
"""

import json

import numpy as np
import pandas as pd
from scipy.stats import norm

from _correction import CURVES, restored
from _log import log, log_to
from _table import write_table, write_text

FEWEST = 5  # stations below which nothing is said
NONE = (float("nan"), float("nan"))
PRIOR = (0.5, 0.25)  # u where stations tell nothing: mean and SD


def per_place(values: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Return the mean of `values` at each place, so that long records do not count more."""
    number = np.unique(place, return_inverse=True)[1]
    return np.bincount(number, values) / np.bincount(number)


def moments(stations: pd.DataFrame) -> np.ndarray:
    """Return (places, 3): means of (S-y)^2, -(f-S)(S-y) and (f-y)^2 at each station.

    `stations` has site, target (y), forest (f) and product (S), m3/m3.
    """
    f, s, y = (stations[name].to_numpy() for name in ("forest", "product", "target"))
    terms = ((s - y) ** 2, (f - s) * (y - s), (f - y) ** 2)
    return np.stack([per_place(term, stations["site"].to_numpy()) for term in terms], axis=1)


def share(distance2: float, at: np.ndarray, draws: np.ndarray) -> float:
    """Return u (0 to 1): the product's share of the mutual error, nearer to 0.5 the less is known.

    at: `moments`; draws: their means over resampled stations, which say how unsure they are.
    """
    value, spread = at[:, 1].mean() / distance2, draws[:, 1].std() / distance2
    precision = 1 / max(spread, 1e-6) ** 2, 1 / PRIOR[1] ** 2
    return float(np.clip(np.average([value, PRIOR[0]], weights=precision), 0, 1))


def budget(product2, distance2, u: float, conserve: float) -> dict:
    """Return squares (product, added, map) from <(S - y)^2> - s^2, D2, u and the weight."""
    added2 = product2 - 2 * (1 - conserve) * u * distance2
    return {"product": product2, "added": added2, "map": (1 - conserve) ** 2 * distance2 + added2}


def root(squared):
    """Return the square root of what is above 0, else 0: an error that data cannot see."""
    return np.sqrt(np.maximum(squared, 0))


def estimated(
    left_out: pd.DataFrame,
    stations: pd.DataFrame,
    conserve: float | str,
    station_error: float,
    resamples: int,
    seed: int,
) -> tuple[pd.DataFrame, float, float]:
    """Return the table quantity, value, low, high, n; the weight; and the added error (m3/m3).

    left_out: site, target, forest at left-out places of the product; stations: site, target,
    forest and product at left-out stations. Without enough stations only the distance to the
    target is known and nothing is added.
    """
    rng = np.random.default_rng(seed)

    def drawn(values):
        picks = rng.integers(len(values), size=(resamples, len(values)))
        return values[picks].mean(axis=1)

    square = (left_out["forest"] - left_out["target"]).to_numpy() ** 2
    places = per_place(square, left_out["site"].to_numpy())
    distance2 = float(square.mean())
    distances = drawn(places)
    rows = [("forest from target, places left out", root(distance2), root(distances), len(places))]
    at = moments(stations) if stations["site"].nunique() >= FEWEST else np.empty((0, 3))
    if not len(at):
        log.warning(
            "%d stations have the product beside them, %d are needed: the error of the target "
            "itself is unknown and nothing is added for it; maps are judged as maps of the target",
            stations["site"].nunique(),
            FEWEST,
        )
        return tabled(rows), 1 - PRIOR[0] if conserve == "auto" else conserve, 0.0
    draws = drawn(at)
    u = share(distance2, at, draws)
    given = 1 - u if conserve == "auto" else conserve
    log.info("the product's share of its mutual error with the forest: %.2f", u)
    found = budget(at[:, 0].mean() - station_error**2, distance2, u, given)
    spread = budget(draws[:, 0] - station_error**2, distances, u, given)
    rows += [
        (f"{name} from station, left out", root(at[:, k].mean()), root(draws[:, k]), len(at))
        for name, k in (("product", 0), ("forest", 2))
    ]
    for name, words in (
        ("product", "product from true soil moisture at 250 m"),
        ("added", "added by the target's error and detail"),
        ("map", "map from true soil moisture at 250 m"),
    ):
        if found[name] < 0 and name != "added":
            log.warning("%s: variance %.2e is below 0 and counts as 0", words, found[name])
        rows.append((words, root(found[name]), root(spread[name]), len(at)))
    return tabled(rows), float(given), float(root(found["added"]))


def of_stations(
    left_out: pd.DataFrame, station_error: float, resamples: int, seed: int
) -> pd.DataFrame:
    """Return the table of `estimated` of a study whose target are the stations themselves.

    Nothing lies between the forest and the ground here but the stations' own error: the squared
    distance to stations left out, less that error squared, is the map's own.
    """
    square = (left_out["forest"] - left_out["target"]).to_numpy() ** 2
    places = per_place(square, left_out["site"].to_numpy())
    rng = np.random.default_rng(seed)
    drawn = places[rng.integers(len(places), size=(resamples, len(places)))].mean(axis=1)
    rows = [("forest from station, left out", root(places.mean()), root(drawn), len(places))]
    if len(places) < FEWEST:
        log.warning(
            "%d stations, %d are needed: the maps' error is not stated", len(places), FEWEST
        )
        return tabled(rows)
    own = places.mean() - station_error**2, drawn - station_error**2
    if own[0] < 0:
        log.warning("map: variance %.2e is below 0 and counts as 0", own[0])
    return tabled([*rows, ("map from true soil moisture at 250 m", *map(root, own), len(places))])


def tabled(rows) -> pd.DataFrame:
    """Return quantity, value, low, high (2.5 and 97.5 % over draws of places), n.

    One place drawn again and again is always the same: it has no interval (NaN).
    """
    if alone := [name for name, _, _, n in rows if n < 2]:
        log.warning("%s: one place, so no interval", ", ".join(alone))
    ends = [
        (name, float(value), *(np.percentile(draws, [2.5, 97.5]) if n > 1 else NONE), n)
        for name, value, draws, n in rows
    ]
    return pd.DataFrame(ends, columns=["quantity", "value", "low", "high", "n"])


def main(
    predictions,
    products,
    intervals,
    errors,
    correction,
    extremes,
    conserve,
    product,
    station_error,
    level,
    bootstrap,
    seed,
):
    table = pd.read_parquet(predictions)
    out = table[table["protocol"] == "leave_location_out"]
    of_target = out[out["source"] != "insitu"] if (out["source"] != "insitu").any() else out
    curve = CURVES[extremes](*(of_target[name].to_numpy() for name in ("prediction", "target")))
    log.info("range: %s, slopes %.3f and %.3f at its ends", extremes, *curve[2])
    out = out.assign(forest=restored(out["prediction"], curve))
    stations, left_out = out[out["source"] == "insitu"], out.loc[of_target.index]
    draws = max(bootstrap, 2), seed
    beside = pd.read_parquet(products) if products else pd.DataFrame(columns=["sample"])
    if product in beside:
        beside = beside[["sample", product]].rename(columns={product: "product"})
        stations = stations.merge(beside, on="sample").dropna(subset="product")
        found = estimated(left_out, stations, conserve, station_error, *draws)
    elif (left_out["source"] == "insitu").all():
        found = of_stations(left_out, station_error, *draws), 0.0, 0.0
    else:
        none = stations.assign(product=np.nan).iloc[:0]
        found = estimated(left_out, none, 0.0, station_error, *draws)
    table, weighed, added = found
    shift = pd.read_csv(intervals).query("applied")["shift"].iloc[0]
    found = {
        "curve": curve,
        "conserve": weighed,
        "added_error": added,
        "shift": float(shift),
        "z": float(norm.ppf(0.5 + level / 2)),
    }
    for row in table.itertuples():
        log.info("%s: %.4f [%.4f, %.4f], %d places", row.quantity, *row[2:])
    log.info("weight of the product in the maps %.2f, added error %.4f", weighed, added)
    write_table(table, errors)
    write_text(json.dumps(found, indent=1) + "\n", correction)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        predictions=snakemake.input.predictions,
        products=snakemake.input.products,
        intervals=snakemake.input.intervals,
        errors=snakemake.output.errors,
        correction=snakemake.output.correction,
        extremes=snakemake.params.extremes,
        conserve=snakemake.params.conserve,
        product=snakemake.params.product,
        station_error=snakemake.params.station_error,
        level=snakemake.params.level,
        bootstrap=snakemake.params.bootstrap,
        seed=snakemake.params.seed,
    )
