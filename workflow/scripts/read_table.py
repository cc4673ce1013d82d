"""Bring a ready table of samples into the columns that the model stage reads.

The way in for a study that has no raw archives, only samples and predictor rasters, from Earth
Engine or from a field campaign. Rows are kept together by site wherever places are left out.
"""

import warnings
from pathlib import Path

import pandas as pd

from _log import UserError, log, log_to
from _table import write_table

ROLES = ("target", "site", "date", "x", "y")


def read(path: str) -> pd.DataFrame:
    """Return the table of a .csv, .parquet or .rda file (an .rda with one data frame)."""
    kind = Path(path).suffix.lower()
    if kind == ".csv":
        return pd.read_csv(path)
    if kind == ".parquet":
        return pd.read_parquet(path)
    if kind in (".rda", ".rdata"):
        import rdata

        with warnings.catch_warnings():
            # R's Date has no Python class; its number of days since 1970 is what is wanted.
            warnings.filterwarnings("ignore", message="Missing constructor for R class")
            stored = rdata.read_rda(path)
        frames = {name: v for name, v in stored.items() if isinstance(v, pd.DataFrame)}
        if len(frames) == 1:
            return next(iter(frames.values()))
        raise UserError(
            f"{path}: expected one data frame, found {sorted(frames) or 'none'}. "
            "Save one data frame alone, or as csv."
        )
    raise UserError(f"{path}: expected .csv, .parquet or .rda, found {kind or 'no ending'}.")


def month_names(dates: pd.Series) -> pd.Series:
    """Return YYYY-MM-DD of ISO dates or of days since 1970-01-01."""
    if pd.api.types.is_numeric_dtype(dates):
        return pd.to_datetime(dates, unit="D").dt.strftime("%Y-%m-%d")
    return pd.to_datetime(dates).dt.strftime("%Y-%m-%d")


def samples_of(
    table: pd.DataFrame,
    columns: dict[str, str],
    predictors: list[str],
    where: dict,
    years: list[int],
    months: list[int],
    name: str,
) -> pd.DataFrame:
    """Return the samples in the promised columns; the log says what each rule dropped."""
    wanted = [*(columns[role] for role in ROLES), *predictors, *where]
    missing = sorted(set(wanted) - set(table.columns))
    if missing:
        raise UserError(
            f"{name}: expected the columns {', '.join(missing)}, found "
            f"{', '.join(map(str, table.columns))}. Correct table.columns, table.predictors or "
            "table.where in the config."
        )
    log.info("%s: %d rows", name, len(table))
    for column, value in where.items():
        table = table[table[column] == value]
        log.info("%d rows with %s = %s", len(table), column, value)
    day = month_names(table[columns["date"]])
    inside = day.str[:4].astype(int).isin(years) & day.str[5:7].astype(int).isin(months)
    table, day = table[inside], day[inside]
    log.info("%d rows in the years and months of the config", len(table))
    needed = table[[columns["target"], *predictors]]
    constant = [p for p in predictors if needed[p].isna().all()]
    if len(table) and constant:
        raise UserError(
            f"{name}: expected values in every predictor, found none in {', '.join(constant)}. "
            "Remove them from table.predictors."
        )
    complete = needed.notna().all(axis=1)
    gaps = needed.isna().sum()
    for column, count in gaps[gaps > 0].items():
        log.info("%d rows without %s", count, column)
    table, day = table[complete], day[complete]
    if table.empty:
        raise UserError(
            f"{name}: expected rows to learn from, found none after table.where {where}, years "
            f"{years[0]}-{years[-1]} and complete predictors. The log counts what each rule took."
        )
    site = table[columns["site"]].astype(str)
    result = pd.DataFrame(
        {
            "source": "table",
            "site": site,
            "group": site,
            "month": day,
            "x": table[columns["x"]].astype("float64"),
            "y": table[columns["y"]].astype("float64"),
            **{p: table[p].astype("float64") for p in predictors},
            "target": table[columns["target"]].astype("float64"),
        }
    )
    result = result.sort_values(["site", "month"], kind="stable", ignore_index=True)
    result.insert(0, "sample", range(len(result)))
    log.info("%d samples at %d sites", len(result), result["site"].nunique())
    return result


def main(table, samples, columns, predictors, where, years, months) -> None:
    result = samples_of(read(table), columns, predictors, where, years, months, table)
    write_table(result, samples)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        table=snakemake.input.table,
        samples=snakemake.output.samples,
        columns=snakemake.params.columns,
        predictors=snakemake.params.predictors,
        where=snakemake.params.where,
        years=snakemake.params.years,
        months=snakemake.params.months,
    )
