"""Say where the forest may be applied: weights, training rows and threshold of the area, and the
error to expect at each dissimilarity (Meyer & Pebesma 2021, doi:10.1111/2041-210X.13650).

Everything is relative to the folds: the dissimilarity (DI) of a row is its distance to the
nearest training row of another fold, as far as validation has asked the forest to reach. Folds
that split a place would find the same place in another month, and call nearly all land unknown.
"""

import json

import numpy as np
import pandas as pd
from sklearn.isotonic import IsotonicRegression

import _applicability as applicability
from _log import UserError, log, log_to
from _table import write_table, write_text

# Importance at places never seen comes first: on years unseen it rewards what names a place.
PROTOCOLS = ("leave_location_time_out", "leave_location_out", "temporal")
# The forest whose errors are known at every sample, and the folds it was tested with.
JUDGED = "leave_location_out"
WINDOWS = 20
LEAST = 50  # rows in a window: fewer do not make an error


def importance_of(table: pd.DataFrame, predictors: list[str]) -> tuple[np.ndarray, str]:
    """Return the importance of each single predictor, (predictors,), and the protocol it is of."""
    found = sorted(table["protocol"].unique())
    protocol = next((name for name in PROTOCOLS if name in found), None)
    if protocol is None:
        raise UserError(
            f"importance: expected one of the protocols {', '.join(PROTOCOLS)}, found "
            f"{', '.join(found) or 'none'}. Run rank_predictors again."
        )
    if protocol != PROTOCOLS[0]:
        log.warning("importance: no %s, so %s gives the weights", PROTOCOLS[0], protocol)
    single = table[(table["protocol"] == protocol) & (table["kind"] == "single")]
    means = single.groupby("predictor")["mean"].agg(list)
    wrong = [p for p in predictors if len(means.get(p, [])) != 1 or not np.isfinite(means[p][0])]
    if wrong:
        raise UserError(
            f"importance: expected one finite mean for each predictor under {protocol}, found "
            f"none or several for {', '.join(wrong)}. Run rank_predictors again."
        )
    return np.array([means[name][0] for name in predictors]), protocol


def check_folds(table: pd.DataFrame, design: str) -> None:
    """Refuse folds that are not there, are fewer than two, or have a place on both sides."""
    if design not in table:
        raise UserError(
            f"folds: expected a column {design}, found {', '.join(table.columns)}. Choose a "
            "design that split_samples makes."
        )
    if table[design].nunique() < 2:
        raise UserError(
            f"folds: expected at least two folds in {design} with training rows, found one. "
            "Raise model.folds or choose another design."
        )
    numbers = table.groupby("group")[design].nunique()
    if (numbers > 1).any():
        raise UserError(
            f"folds: expected every place in one fold of {design}, found {(numbers > 1).sum()} of "
            f"{len(numbers)} places in several, {numbers.idxmax()} in {numbers.max()}. Choose a "
            "design that keeps places together, such as leave_location_out."
        )


def thinned(table: pd.DataFrame, rows: int, seed: int) -> np.ndarray:
    """Return the positions of at most `rows` samples, about equally many of every place.

    They are real rows, not means of places: predictors such as LST and NDVI change from month
    to month, so the mean of a place is a month that never was, and a map of May would lie far
    from all of them. For the same reason the rows of a place take its calendar months in turn,
    in random order, before one comes again. Sorted; the same for the same seed.
    """
    order = np.random.default_rng(seed).permutation(len(table))
    shuffled = pd.DataFrame(
        {"group": table["group"].to_numpy(), "season": table["month"].str[5:7].to_numpy()}
    ).iloc[order]
    again = shuffled.groupby(["group", "season"]).cumcount()
    turns = shuffled.assign(again=again).sort_values("again", kind="stable")
    turn = turns.groupby("group").cumcount().sort_values(kind="stable")
    return np.sort(turn.index[:rows])


def error_curve(di: np.ndarray, error: np.ndarray) -> pd.DataFrame:
    """Return di, rmse, n and fitted of windows of DI, in rising order.

    Windows hold equally many rows and never part rows of the same DI; di is their mean. `fitted`
    is the RMSE that never falls with DI: isotonic regression of the squared errors, weighted by
    rows. Rows beyond the threshold stay in, as the map needs an error there too.
    """
    windows = max(1, min(WINDOWS, len(di) // LEAST))
    edges = np.unique(np.quantile(di, np.linspace(0, 1, windows + 1)[1:-1]))
    rows = pd.DataFrame({"window": np.searchsorted(edges, di), "di": di, "square": error**2})
    table = rows.groupby("window").agg(
        di=("di", "mean"), square=("square", "mean"), n=("di", "size")
    )
    fitted = IsotonicRegression().fit_transform(
        table["di"], table["square"], sample_weight=table["n"]
    )
    return pd.DataFrame(
        {
            "di": table["di"],
            "rmse": np.sqrt(table["square"]),
            "n": table["n"],
            "fitted": np.sqrt(fitted),
        }
    ).reset_index(drop=True)


def judged(predictions: pd.DataFrame, table: pd.DataFrame, predictors: list[str]) -> pd.DataFrame:
    """Return the out-of-fold predictions with fold, predictors and error; complete rows only."""
    found = predictions.loc[predictions["protocol"] == JUDGED, ["sample", "prediction"]]
    if found.empty:
        raise UserError(
            f"predictions: expected the protocol {JUDGED}, found "
            f"{', '.join(sorted(predictions['protocol'].unique())) or 'none'}. Run cross_validate "
            "again."
        )
    found = found.merge(table, on="sample", validate="1:1")
    whole = np.isfinite(found[[*predictors, "prediction", "target"]]).all(axis=1)
    if not whole.all():
        log.info("%d of %d predictions dropped: incomplete", (~whole).sum(), len(whole))
    return found[whole].assign(error=found["prediction"] - found["target"])


def main(
    samples,
    folds,
    importance,
    predictions,
    applicability_rows,
    parameters,
    error_by_di,
    predictors,
    design,
    rows,
    seed,
) -> None:
    table = pd.read_parquet(samples).merge(pd.read_parquet(folds), on="sample", validate="1:1")
    ranks, protocol = importance_of(pd.read_csv(importance), predictors)
    designs = list(dict.fromkeys((design, JUDGED)))
    for name in designs:
        check_folds(table, name)
    train = table[table["split"] == "train"]
    train = train[applicability.complete(train[predictors].to_numpy("float64"), predictors)]
    low, high = train[predictors].min(), train[predictors].max()
    kept = train.iloc[thinned(train, rows, seed)]
    for name in designs:
        check_folds(kept, name)
    log.info(
        "%d of %d training rows at %d places, importance of %s, folds of %s",
        len(kept),
        len(train),
        kept["group"].nunique(),
        protocol,
        design,
    )

    values = kept[predictors].to_numpy("float64")
    mean, scale = applicability.standard(values)
    weight = applicability.weights_of(ranks, scale, predictors)
    space = applicability.weighted(values, mean, scale, weight)
    dbar = applicability.mean_distance(space)
    numbers = kept[design].to_numpy()
    di = applicability.left_out_di(space, numbers, space, numbers, dbar)
    limit = applicability.threshold(di)
    lpd = applicability.training_lpd(space, numbers, dbar, limit)
    log.info(
        "mean distance %.6g, threshold %.6g, training DI mean %.6g and largest %.6g, mean LPD %.6g",
        *(dbar, limit, di.mean(), di.max(), lpd.mean()),
    )

    tested = judged(pd.read_parquet(predictions), table, predictors)
    points = applicability.weighted(tested[predictors].to_numpy("float64"), mean, scale, weight)
    reached = applicability.left_out_di(
        points, tested[JUDGED].to_numpy(), space, kept[JUDGED].to_numpy(), dbar
    )
    for where, part in (("inside", reached <= limit), ("outside", reached > limit)):
        if part.any():
            rmse = np.sqrt((tested["error"][part] ** 2).mean())
            log.info("%d predictions of places left out %s: RMSE %.4g", part.sum(), where, rmse)
    curve = error_curve(reached, tested["error"].to_numpy())
    log.info("\n%s", curve.to_string(index=False))

    described = {
        "predictors": pd.DataFrame(
            dict(mean=mean, scale=scale, weight=weight, minimum=low.values, maximum=high.values)
        )
        .assign(name=predictors)
        .to_dict("records"),
        "dbar": dbar,
        "threshold": limit,
        "average_lpd": round(float(lpd.mean())),
        "rows": len(kept),
        "places": kept["group"].nunique(),
        "design": design,
        "importance": protocol,
    }
    stored = pd.DataFrame(space, columns=predictors)
    stored.insert(0, "sample", kept["sample"].to_numpy())
    write_table(stored.assign(fold=numbers), applicability_rows)
    write_table(curve, error_by_di)
    write_text(json.dumps(described, indent=1) + "\n", parameters)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        samples=snakemake.input.samples,
        folds=snakemake.input.folds,
        importance=snakemake.input.importance,
        predictions=snakemake.input.predictions,
        applicability_rows=snakemake.output.rows,
        parameters=snakemake.output.parameters,
        error_by_di=snakemake.output.error_by_di,
        predictors=snakemake.params.predictors,
        design=snakemake.params.design,
        rows=snakemake.params.rows,
        seed=snakemake.params.seed,
    )
