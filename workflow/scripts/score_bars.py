"""What a model must clear: products, a look-up table and a forest that knows places by a number.

Each is scored by the designs and on the rows of the forest's own scores. Where places of the
training years are tested, remembering them is enough: the look-up and the forest on white noise
have no predictor of soil moisture at all. A model that is no better there has shown nothing about
mapping (Ploton et al. 2020, 10.1038/s41467-020-18321-y).
"""

from time import monotonic

import numpy as np
import pandas as pd

from _designs import LEFT_OUT, designs
from _forest import best, forest, predict
from _log import log, log_to
from _metrics import METRICS
from _scores import COLUMNS, score
from _table import write_table

ORDER = ("model", *COLUMNS)


def look_up(learn: pd.DataFrame, judge: pd.DataFrame) -> np.ndarray:
    """Return the mean of the location plus the anomaly of the calendar month, one value a row.

    Both are of the rows of `learn` (site, month YYYY-MM…, target); the anomaly is the month's mean
    minus the mean of all rows. An unknown location has the mean of all rows, an unknown month no
    anomaly: where places are left out only the month is left. A location is a site, not a 1 km
    place: predictors tell the stations of one place apart as well.
    """
    overall = learn["target"].mean()
    location = learn.groupby("site")["target"].mean()
    anomaly = learn["target"].groupby(learn["month"].str[5:7]).mean() - overall
    season = judge["month"].str[5:7].map(anomaly).fillna(0)
    return (judge["site"].map(location).fillna(overall) + season).to_numpy("float64")


def white_noise(site: pd.Series, seed: int) -> np.ndarray:
    """Return (rows, 1): one number of N(0, 1) a location, the same in all its months."""
    names = np.unique(site)
    drawn = np.random.default_rng(seed).standard_normal(len(names))
    return drawn[np.searchsorted(names, site)][:, None].astype("float32")


def pooled(table: pd.DataFrame, fits: list, found: list[np.ndarray]) -> pd.DataFrame:
    """Return the judged rows of all fits with protocol and prediction."""
    parts = [
        table[judge].assign(protocol=protocol, prediction=values)
        for (protocol, _, judge), values in zip(fits, found, strict=True)
    ]
    return pd.concat(parts, ignore_index=True)


def products_scored(judged: pd.DataFrame, products: list[str], bootstrap: int, seed: int):
    """Return ORDER of each column of `products`, on the judged rows that have a value of it.

    SMCI is the target of the rows of source smci: there it would judge itself, so it is scored
    at the stations only.
    """
    parts = []
    for name in products:
        value, own = judged[name], name.startswith("SMCI")
        if own:
            value = value.where(judged["source"] != "smci")
        scored = score(judged.assign(prediction=value), METRICS, bootstrap, seed)
        if own:  # "all" of a study with two sources would be the stations again
            apart = scored.groupby("protocol")["subset"].transform("nunique") > 1
            scored = scored[~(apart & (scored["subset"] == "all"))]
        parts.append(scored.assign(model=name))
    return pd.concat(parts)


def remembered(table: pd.DataFrame, fits: list, bootstrap: int, seed: int) -> pd.DataFrame:
    """Return ORDER of the look-up; where places are left out its name is "month only"."""
    found = [look_up(table[learn], table[judge]) for _, learn, judge in fits]
    scored = score(pooled(table, fits, found), METRICS, bootstrap, seed)
    unknown = scored["protocol"].isin(LEFT_OUT)
    return scored.assign(model=np.where(unknown, "month only", "look-up"))


def from_noise(table: pd.DataFrame, fits: list, options: dict, bootstrap, seed, threads):
    """Return ORDER of the forest that has one number a location and nothing else."""
    x, y = white_noise(table["site"], seed), table["target"].to_numpy("float64")
    found, start = [], monotonic()
    for _, learn, judge in fits:
        model = forest(options, seed, threads).fit(x[learn], y[learn])
        found.append(predict(model, x[judge]))
        if len(found) % 10 == 0:
            left = (monotonic() - start) / len(found) * (len(fits) - len(found))
            log.info("white noise: %d of %d fits, %.0f s left", len(found), len(fits), left)
    scored = score(pooled(table, fits, found), METRICS, bootstrap, seed)
    return scored.assign(model="white noise")


def main(
    samples, folds, search, products, baseline, bars, bootstrap: int, seed: int, threads: int
) -> None:
    table = pd.read_parquet(samples).merge(pd.read_parquet(folds), on="sample", validate="1:1")
    fits, options = designs(table), best(search)
    table = table[["sample", "source", "site", "group", "month", "target"]]
    parts = []
    if products:
        values = pd.read_parquet(products)
        names = [name for name in values.columns if name != "sample"]
        judged = table.merge(values, on="sample", how="left", validate="1:1")
        for name in names:
            log.info("%s: %d of %d samples have a value", name, judged[name].count(), len(table))
        if (table["source"] == "smci").any():
            log.info("SMCI is scored at stations only: it is the target of the samples named smci")
        judged = pooled(judged, fits, [np.full(judge.sum(), np.nan) for *_, judge in fits])
        parts.append(products_scored(judged, names, bootstrap, seed))
        if not (table["source"] != "smci").any():
            log.info("no samples of stations: no bar of SMCI")
    else:
        log.info("no products beside the samples: the bars are look-up and white noise alone")
    parts.append(remembered(table, fits, bootstrap, seed))
    parts.append(from_noise(table, fits, options, bootstrap, seed, threads))
    if baseline:
        paper = score(pd.read_parquet(baseline), METRICS, bootstrap, seed)
        parts.append(paper.assign(model="paper"))
    result = pd.concat(parts, ignore_index=True)[list(ORDER)]
    for (model, protocol, subset), part in result.groupby(list(ORDER[:3]), sort=False):
        if subset == "all" or model.startswith("SMCI"):
            value = part.set_index("metric")["value"]
            said = (model, protocol, value["R"], value["RMSE"], part["n"].iloc[0])
            log.info("%s, %s: R %.3f RMSE %.4f n %d", *said)
    write_table(result, bars)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        samples=snakemake.input.samples,
        folds=snakemake.input.folds,
        search=snakemake.input.search,
        products=snakemake.input.products,
        baseline=snakemake.input.baseline,
        bars=snakemake.output.bars,
        bootstrap=snakemake.params.bootstrap,
        seed=snakemake.params.seed,
        threads=snakemake.threads,
    )
