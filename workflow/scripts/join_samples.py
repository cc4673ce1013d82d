"""All samples in one table: predictors, target, and the place that folds must keep together.

Rows of both sources pass the same screen (S17), and rows of one 30-arc-second cell share a group
(U15), so that no fold tests at a place it has learned from.
"""

import numpy as np
import pandas as pd

from _log import UserError, log, log_to, notice
from _table import write_table

PER_DEGREE = 120  # 30 arc seconds: the cells of SMCI
PAPER = 9606  # samples in the paper (N6)
KEYS = ("sample", "source", "site", "group", "month", "x", "y")


def with_target(stations: pd.DataFrame, insitu: pd.DataFrame) -> pd.DataFrame:
    """Return the station rows with `target` (m3/m3): the kept monthly means, else NaN."""
    kept = insitu.loc[insitu["kept"] == 1, ["site", "month", "value"]]
    joined = stations.merge(kept, on=["site", "month"], how="left", validate="one_to_one")
    return joined.rename(columns={"value": "target"})


def group_of(lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
    """Return the id of the 30-arc-second cell of each position (degrees), counted from 90 N 180 W.

    The tiny shift keeps positions on a cell's edge, as their decimals say, from falling by
    rounding to either side.
    """
    row = np.floor((90 - np.asarray(lat, float)) * PER_DEGREE + 1e-6).astype(int)
    col = np.floor((np.asarray(lon, float) + 180) * PER_DEGREE + 1e-6).astype(int)
    return np.array([f"{r:05d}_{c:05d}" for r, c in zip(row, col, strict=True)], dtype=object)


def losses(
    rows: pd.DataFrame, predictors: list[str], min_lst: float, max_albedo: float
) -> pd.Series:
    """Return why each row is lost, "" if it stays: the first that applies.

    no target; no <predictor>; LST not above `min_lst` (degC); albedo not below `max_albedo`.
    """
    reasons = {"no target": rows["target"].isna()}
    reasons |= {f"no {name}": rows[name].isna() for name in predictors}
    reasons[f"LST <= {min_lst:g} degC"] = rows["LST"] <= min_lst
    reasons[f"albedo >= {max_albedo:g}"] = rows["albedo"] >= max_albedo
    loss = np.select(list(reasons.values()), list(reasons), default="")
    return pd.Series(loss, index=rows.index)


def counted(loss: pd.Series) -> str:
    """Return the losses of some rows in words, the greatest first."""
    counts = (
        loss[loss != ""].value_counts().sort_index().sort_values(ascending=False, kind="stable")
    )
    return ", ".join(f"{count} {reason}" for reason, count in counts.items()) or "nothing"


def cells_for(wanted: int, rows: pd.DataFrame) -> float:
    """Return how many SMCI cells would give `wanted` samples at this yield (D5), NaN if unknown."""
    smci = rows[rows["source"] == "smci"]
    if smci.empty:
        return float("nan")
    return (wanted - (len(rows) - len(smci))) / (len(smci) / smci["site"].nunique())


def numbered(rows: pd.DataFrame, predictors: list[str]) -> pd.DataFrame:
    """Return KEYS, `predictors` and target, sorted by source, site and month, numbered from 0."""
    rows = rows.sort_values(["source", "site", "month"], kind="stable", ignore_index=True)
    group = group_of(rows["lon"], rows["lat"])
    numbers = rows.assign(sample=np.arange(len(rows)), group=group)
    return numbers[[*KEYS, *predictors, "target"]]


def main(stations, smci, insitu, samples, predictors, min_lst, max_albedo):
    parts = []
    if stations:
        measured = pd.read_csv(insitu, dtype={"site": str, "month": str})
        parts.append(with_target(pd.read_parquet(stations), measured))
    if smci:
        parts.append(pd.read_parquet(smci))
    rows = pd.concat(parts, ignore_index=True)
    loss = losses(rows, predictors, min_lst, max_albedo)
    for source in rows["source"].unique():
        here = loss[rows["source"] == source]
        log.info(
            "%s: %d of %d rows stay; lost: %s",
            *(source, (here == "").sum(), len(here), counted(here)),
        )
    if (loss != "").all():
        raise UserError(
            f"{samples}: expected samples, none of {len(rows)} rows is left. Lost: "
            f"{counted(loss)}. Look at the greatest number first."
        )
    stay = rows[loss == ""]
    for source, path in (("insitu", insitu), ("smci", smci)):
        here = rows["source"] == source
        if here.any() and (loss[here] != "").all():
            raise UserError(
                f"{path}: expected samples of {source}, none of {here.sum()} rows is left. Lost: "
                f"{counted(loss[here])}. See what the log of average_{source} says of its files, "
                f"or learn without them: {source}: none under `sources`."
            )
    silent = sorted(set(rows.loc[rows["source"] == "insitu", "site"]) - set(stay["site"]))
    if silent:
        notice(
            "Stations without a sample, %d of %d: %s. logs/average_insitu says what was dropped.",
            *(len(silent), rows.loc[rows["source"] == "insitu", "site"].nunique()),
            ", ".join(silent),
        )
    kept = numbered(stay, predictors)
    write_table(kept, samples)
    places = kept["site"].nunique(), kept["group"].nunique()
    log.info("%d samples of %d sites in %d groups", len(kept), *places)
    if smci:
        wanted = cells_for(PAPER, kept), PAPER
        log.info("%.0f SMCI cells would give the paper's %d samples (D5)", *wanted)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        stations=snakemake.input.stations,
        smci=snakemake.input.smci,
        insitu=snakemake.input.insitu,
        samples=snakemake.output.samples,
        predictors=snakemake.params.predictors,
        min_lst=snakemake.params.min_lst,
        max_albedo=snakemake.params.max_albedo,
    )
