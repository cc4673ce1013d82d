"""Monthly soil moisture of each site from its sensor's readings (S13, U13, U14).

A sensor in frozen soil reads only the liquid water, and a stuck or jumping one reads nothing: such
readings go before the mean, and a month with too few of the rest is no target at all.
"""

import calendar
from pathlib import Path

import numpy as np
import pandas as pd

from _log import UserError, log, log_to
from _stations import read_sites
from _table import write_table

SPIKE = 0.1  # m3/m3 from the median of five readings: rain steps stay, spikes do not
STUCK_DAYS = 3  # a sub-daily sensor that repeats one value for so long is broken
RULES = ("range", "frozen", "spike", "stuck", "duplicate")
DAY = pd.Timedelta(days=1)


def read_series(path: str, year: int) -> pd.DataFrame:
    """Return time (UTC), soil_moisture (m3/m3), soil_temperature (degC), sorted by time."""
    try:
        table = pd.read_csv(path)
    except pd.errors.EmptyDataError:
        raise UserError(
            f"{path}: expected columns time, soil_moisture and soil_temperature, found an empty "
            "file. A site without readings that year needs a file with the header."
        ) from None
    missing = [name for name in ("time", "soil_moisture") if name not in table]
    if missing:
        raise UserError(
            f"{path}: expected columns time, soil_moisture and soil_temperature, found "
            f"{', '.join(table.columns)}. Add {', '.join(missing)}."
        )
    if "soil_temperature" not in table:
        log.warning("%s: no soil_temperature, so frozen readings cannot be told", path)
        table["soil_temperature"] = np.nan
    time = pd.to_datetime(table["time"], utc=True, format="ISO8601", errors="coerce")
    wrong = table["time"][time.dt.year != year]
    if len(wrong):
        raise UserError(
            f"{path}: expected ISO times (UTC) in {year}, found {wrong.iloc[0]!r} "
            f"({len(wrong)} rows). Put each year's readings into the folder of its year."
        )
    given = table[["soil_moisture", "soil_temperature"]]
    values = given.apply(pd.to_numeric, errors="coerce")
    text = (values.isna() & given.notna()).to_numpy()
    if text.any():
        found = given.to_numpy()[text]
        log.warning("%s: %d readings are no numbers, as %r: missing", path, len(found), found[0])
    if values["soil_moisture"].median() > 1:
        raise UserError(
            f"{path}: expected soil moisture in m3/m3, found a median of "
            f"{values['soil_moisture'].median():.3g}. It looks like percent: divide by 100."
        )
    return values.assign(time=time.dt.tz_localize(None)).sort_values("time", kind="stable")


def time_step(time: pd.Series) -> pd.Timedelta:
    """Return the most frequent distance between readings, a day for fewer than two."""
    steps = time.drop_duplicates().diff().dropna()
    return steps.mode().iloc[0] if len(steps) else DAY


def faults(series: pd.DataFrame, valid: tuple[float, float], min_temperature: float) -> pd.Series:
    """Return for each reading the first rule that drops it, "" if none.

    range: outside `valid`; frozen: soil temperature below `min_temperature`; spike: more than
    SPIKE from the median of the five readings around it; stuck: part of a run of one value that
    lasts STUCK_DAYS or longer (not judged in daily series); duplicate: the time was there before.
    A missing reading is not a fault. Each rule sees only what the rules before it left.
    """
    value = series["soil_moisture"]
    fault = pd.Series("", index=series.index)

    def drop(which, rule):
        fault[which & (fault == "") & value.notna()] = rule

    drop((value < valid[0]) | (value > valid[1]), "range")
    drop(series["soil_temperature"] < min_temperature, "frozen")
    left = value[(fault == "") & value.notna()]
    middle = left.rolling(5, center=True, min_periods=3).median()
    drop(((left - middle).abs() > SPIKE).reindex(value.index, fill_value=False), "spike")
    left = value[(fault == "") & value.notna()]
    step = time_step(series["time"])
    if step < DAY:
        run = (left != left.shift()).cumsum()
        lasting = run.map(run.value_counts()) * step >= STUCK_DAYS * DAY
        drop(lasting.reindex(value.index, fill_value=False), "stuck")
    drop(series["time"].duplicated(), "duplicate")
    return fault


def monthly_means(
    series: pd.DataFrame,
    fault: pd.Series,
    year: int,
    months: list[int],
    min_share: float,
    min_days: int,
) -> pd.DataFrame:
    """Return one row a month: value (m3/m3, NaN if not kept), counts, kept (0 or 1).

    Kept are months with `min_share` of the readings that the series' time step lets expect, on
    `min_days` different days.
    """
    per_day = DAY / time_step(series["time"])
    month = series["time"].dt.month
    good = (fault == "") & series["soil_moisture"].notna()
    rows = []
    for number in months:
        here = month == number
        used = series[here & good]
        expected = round(calendar.monthrange(year, number)[1] * per_day)
        days = used["time"].dt.normalize().nunique()
        kept = len(used) > 0 and len(used) >= min_share * expected - 1e-9 and days >= min_days
        rows.append(
            {
                "month": f"{year}-{number:02d}",
                "value": used["soil_moisture"].mean() if kept else np.nan,
                "n": len(used),
                "expected": expected,
                "days": days,
                **{f"dropped_{rule}": int((here & (fault == rule)).sum()) for rule in RULES},
                "kept": int(kept),
            }
        )
    return pd.DataFrame(rows)


def matched(table: pd.DataFrame, source: str, paths: list[str]) -> dict[str, str]:
    """Return {site: its file} in the table's order; every site has one file and every file one."""
    files = {Path(path).stem: path for path in paths}
    unknown = sorted(set(files) - set(table["site"]))
    if unknown:
        raise UserError(
            f"{files[unknown[0]]}: expected a site of {source}, found {', '.join(unknown)}. "
            "Add the site with its coordinates to the table or remove the file."
        )
    silent = sorted(set(table["site"]) - set(files))
    if silent:
        raise UserError(
            f"{source}: expected a file for each site, found none for {', '.join(silent)}. "
            "A site without readings that year needs a file with the header only."
        )
    return {site: files[site] for site in table["site"]}


def main(sites, series, means, year, months, depth, min_share, min_days, valid, min_temperature):
    year, table = int(year), read_sites(sites)
    results = []
    for site, path in matched(table, sites, series).items():
        readings = read_series(path, year)
        fault = faults(readings, valid, min_temperature)
        result = monthly_means(readings, fault, year, months, min_share, min_days)
        place = table.set_index("site").loc[site, ["lat", "lon"]]
        for column, value in reversed(dict(site=site, **place, depth=depth).items()):
            result.insert(0, column, value)
        results.append(result)
        log.info(
            "%s: %d readings every %d min; dropped %s; %d of %d months kept",
            *(site, len(readings), time_step(readings["time"]).total_seconds() / 60),
            ", ".join(f"{result[f'dropped_{rule}'].sum()} {rule}" for rule in RULES),
            *(result["kept"].sum(), len(result)),
        )
    write_table(pd.concat(results, ignore_index=True), means)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        sites=snakemake.input.sites,
        series=snakemake.input.series,
        means=snakemake.output.means,
        year=snakemake.wildcards.year,
        months=snakemake.params.months,
        depth=snakemake.params.depth,
        min_share=snakemake.params.min_share,
        min_days=snakemake.params.min_days,
        valid=snakemake.params.valid,
        min_temperature=snakemake.params.min_temperature,
    )
