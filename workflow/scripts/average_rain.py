"""Monthly rain of each gauge from NOAA's daily files (S11, U26): inches, flags and gaps.

What the gauges say in a month is all that the map knows about rain, so a month counts only with
enough days, and days that the archive itself calls incomplete are left out.
"""

import calendar
from pathlib import Path

import numpy as np
import pandas as pd

from _log import UserError, log, log_to
from _table import write_table

MM_PER_INCH = 25.4
MISSING = 99.99
RECORD = 1825.0  # mm in a day, La Reunion 1966: more is not rain
INCOMPLETE = ("A", "B", "C", "E", "H")
NO_REPORT = "I"
COLUMNS = ("STATION", "DATE", "LATITUDE", "LONGITUDE", "ELEVATION", "PRCP", "PRCP_ATTRIBUTES")


def read_gsod(path: str, year: int) -> pd.DataFrame:
    """Return one row a day: date, lat, lon, elevation (m), rain (mm, NaN missing), flag.

    An empty file, or one with a header only, is a station that is silent that year.
    """
    text = Path(path).read_text(encoding="utf-8", errors="replace").lstrip()
    if text.startswith("<"):
        raise UserError(
            f"{path}: expected a GSOD table, found a web page. Delete the file and download it "
            "again: https://www.ncei.noaa.gov/data/global-summary-of-the-day/access/"
        )
    if not text:
        return pd.DataFrame(columns=["date", "lat", "lon", "elevation", "rain", "flag"])
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    missing = [name for name in COLUMNS if name not in table]
    if missing:
        raise UserError(
            f"{path}: expected the columns of GSOD, found no {', '.join(missing)}. "
            "Download the station's file for the year again."
        )
    table = table[list(COLUMNS)].apply(lambda column: column.str.strip())
    other = sorted(set(table["STATION"]) - {Path(path).stem})
    if other:
        raise UserError(
            f"{path}: expected days of station {Path(path).stem}, found {', '.join(other)}. "
            "The file name is the station's id: rename or replace the file."
        )
    date = pd.to_datetime(table["DATE"], format="%Y-%m-%d", errors="coerce")
    wrong = table["DATE"][date.dt.year != year]
    if len(wrong):
        raise UserError(
            f"{path}: expected dates of {year} as YYYY-MM-DD, found {wrong.iloc[0]!r} "
            f"({len(wrong)} rows). Put each year's file into the folder of its year."
        )
    if date.duplicated().any():
        raise UserError(
            f"{path}: expected each day once, found {table['DATE'][date.duplicated()].iloc[0]} "
            "again. Delete the repeated rows."
        )
    number = table.replace("", "nan")
    try:
        inches = number["PRCP"].astype(float)
        lat, lon, elevation = (
            number[name].astype(float) for name in ("LATITUDE", "LONGITUDE", "ELEVATION")
        )
    except ValueError as error:
        raise UserError(
            f"{path}: expected numbers in LATITUDE, LONGITUDE, ELEVATION and PRCP, found: {error}. "
            "Download the file again."
        ) from None
    rain = MM_PER_INCH * inches.where(inches != MISSING)
    absurd = rain[(rain < 0) | (rain > RECORD)]
    if len(absurd):
        raise UserError(
            f"{path}: expected 0 to {RECORD:.0f} mm a day, found {absurd.iloc[0]:.1f} mm on "
            f"{table['DATE'][absurd.index[0]]}. PRCP must be inches, missing days {MISSING}."
        )
    return pd.DataFrame(
        {
            "date": date,
            "lat": lat,
            "lon": lon,
            "elevation": elevation,
            "rain": rain,
            "flag": table["PRCP_ATTRIBUTES"],
        }
    )


def usable(rain: np.ndarray, flag: np.ndarray, incomplete: str) -> tuple[np.ndarray, np.ndarray]:
    """Return rain (mm) with NaN on the days that do not count, and which days lost a total.

    Totals flagged incomplete are too small and are dropped unless `incomplete` is "keep". A zero
    flagged I ("nothing was reported") is taken as dry, but only where the gauge reports at all:
    if every day of the year is an I, nobody measured and no day counts.
    """
    given = np.isfinite(rain)
    if not (given & (flag != NO_REPORT)).any():
        return np.full(len(rain), np.nan), given
    lost = given & np.isin(flag, INCOMPLETE) & (incomplete == "exclude")
    return np.where(lost, np.nan, rain), lost


def monthly_total(rain: np.ndarray, days: int, min_share: float) -> float:
    """Return mm/month: the mean of the valid days times `days`, NaN below `min_share` (U26)."""
    valid = np.isfinite(rain).sum()
    if valid == 0 or valid < min_share * days - 1e-9:
        return float("nan")
    return float(np.nansum(rain) / valid * days)


def totals_of(daily: pd.DataFrame, year: int, months: list[int], incomplete: str, min_share: float):
    """Return one row a month: total (mm/month), and the days behind it by what became of them."""
    rain = daily["rain"].to_numpy(float)
    flag = daily["flag"].to_numpy(str)
    rain, lost = usable(rain, flag, incomplete)
    month = pd.DatetimeIndex(daily["date"]).month.to_numpy()
    rows = []
    for number in months:
        here, days = month == number, calendar.monthrange(year, number)[1]
        valid = here & np.isfinite(rain)
        rows.append(
            {
                "month": f"{year}-{number:02d}",
                "total": monthly_total(rain[here], days, min_share),
                "days": days,
                "valid": int(valid.sum()),
                "assumed_dry": int((valid & (flag == NO_REPORT)).sum()),
                "dropped": int((here & lost).sum()),
                "missing": int(days - valid.sum() - (here & lost).sum()),
            }
        )
    return pd.DataFrame(rows)


def unreported(table: pd.DataFrame) -> list[str]:
    """Return the months whose total is 0 because no day that counts had a report (flag I)."""
    return table.loc[
        table["total"].notna() & (table["valid"] == table["assumed_dry"]), "month"
    ].tolist()


def summary(daily: pd.DataFrame, months: list[int]) -> str:
    """Return the days of the season by flag, as a person would count them."""
    season = daily[pd.DatetimeIndex(daily["date"]).month.isin(months)]
    counts = season.loc[season["rain"].notna(), "flag"].replace("", "none").value_counts()
    flags = ", ".join(f"{flag} {count}" for flag, count in sorted(counts.items()))
    return f"{season['rain'].notna().sum()} days with a value (by flag: {flags or 'none'})"


def main(stations, totals, year, months, incomplete, min_share):
    year = int(year)
    tables = []
    for path in stations:
        station, daily = Path(path).stem, read_gsod(path, year)
        table = totals_of(daily, year, months, incomplete, min_share)
        place = {name: daily[name].astype(float).median() for name in ("lat", "lon", "elevation")}
        for column, value in reversed(dict(station=station, **place).items()):
            table.insert(0, column, value)
        tables.append(table)
        log.info(
            "%s: %s; %d dropped, %d of %d months have a total",
            station,
            summary(daily, months) if len(daily) else f"silent in {year}",
            table["dropped"].sum(),
            table["total"].notna().sum(),
            len(table),
        )
        if unreported(table):
            log.warning(
                "%s: nothing was reported (flag I) on any day that counts in %s, taken as 0 mm. If "
                "it was not dry then, delete these rows from the file.",
                *(path, ", ".join(unreported(table))),
            )
    table = pd.concat(tables, ignore_index=True)
    dry = table.groupby("month")["total"].count()
    for month in dry.index[dry == 0]:
        raise UserError(
            f"{month}: expected at least one gauge with {min_share:.0%} of its days, found none of "
            f"{len(stations)}. Add gauges, lower rain.min_share or set rain.incomplete to keep."
        )
    write_table(table, totals)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        stations=snakemake.input.stations,
        totals=snakemake.output.totals,
        year=snakemake.wildcards.year,
        months=snakemake.params.months,
        incomplete=snakemake.params.incomplete,
        min_share=snakemake.params.min_share,
    )
