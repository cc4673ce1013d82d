"""Station readings in tables: spreadsheets or text, as many data sets of field networks come.

Nothing is guessed but the separator and the encoding: which row names the columns, how times are
written and in which zone, and which numbers mean missing, the config says.
"""

from __future__ import annotations

import re
import zipfile
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO, StringIO
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from _log import UserError, log

WORKBOOKS = (".xlsx", ".xlsm")
TEXTS = (".csv", ".txt", ".tsv", ".dat")
SEPARATORS = ",;\t"
PLAUSIBLE = (0.0, 0.8)  # m3/m3; single readings beyond are left to the monthly means
STRAY = 0.01  # share of readings that may lie beyond
WARMEST, SLACK = 16, 4  # hour of the sun at which soil near the surface is warmest
EMPTY = ("", "nan", "na", "n/a", "#n/a", "null", "none", "nat", "<na>")
OFFSET = re.compile(r".*\d:\d\d.*(?:Z|[+-]\d\d(?::?\d\d)?)", re.IGNORECASE)


def normal(name: str) -> str:
    """Return a site's name without what archives spell differently: CST-01 is CST_01 is CST01."""
    return re.sub(r"[\W_]", "", str(name).upper())


def listed(names) -> str:
    """Return up to 12 names for a message, and how many more there are."""
    names = sorted(set(names))
    more = f" and {len(names) - 12} more" if len(names) > 12 else ""
    return (", ".join(names[:12]) or "none") + more


@dataclass(frozen=True)
class Sheet:
    """A table: where it is from, its columns, its cells (rows, columns), the row of the first."""

    file: str
    columns: list[str]
    cells: pd.DataFrame
    first: int

    def row(self, number: int) -> int:
        """Return the row of the file, counted from 1, of a row of `cells`."""
        return self.first + number


def pattern(text: str, site: str) -> re.Pattern:
    """Return the pattern of a file's name: `*`, `?`, and `{site}` in any spelling of the site.

    Beside a wildcard a site's name stands alone: NST01 is not found in NST010.
    """
    spelled = r"[\W_]*".join(map(re.escape, normal(site)))
    parts = [part for part in re.split(r"(\{site\}|\*|\?)", text) if part]
    made = ""
    for n, part in enumerate(parts):
        before, after = parts[n - 1] if n else "", parts[n + 1] if n + 1 < len(parts) else ""
        left = r"(?<![^\W_])" if before in ("*", "?") else ""
        right = r"(?![^\W_])" if after in ("*", "?") else ""
        known = {"*": ".*", "?": ".", "{site}": left + spelled + right}
        made += known.get(part, re.escape(part))
    return re.compile(made, re.IGNORECASE)


def files_of(names: list[str], text: str, sites: list[str]) -> dict[str, str]:
    """Return {file: its site} of the tables, "" for the site where a table holds all sites."""
    tail = {name: f"/{name}" if "/" in text else Path(name).name for name in names}
    text = f"*/{text}" if "/" in text else text
    if "{site}" not in text:
        found = {name: "" for name in names if pattern(text, "").fullmatch(tail[name])}
    else:
        found = {}
        for site in sites:
            hits = [name for name in names if pattern(text, site).fullmatch(tail[name])]
            for name in hits:
                if name in found:
                    raise UserError(
                        f"{name}: expected a table of one site, found the names of {found[name]} "
                        f"and {site} in it. Make insitu.table.files more exact."
                    )
                found[name] = site
        silent = [site for site in sites if site not in found.values()]
        others = [n for n in names if pattern(text.replace("{site}", "*"), "").fullmatch(tail[n])]
        strange = listed(Path(name).name for name in others if name not in found)
        if silent:
            raise UserError(
                f"insitu.table.files: expected a table {text} for each site, found none for "
                f"{listed(silent)}; others: {strange}. Correct the key or the table of sites."
            )
        if strange != "none":
            log.info("tables of no site in the table of sites: %s", strange)
    if not found:
        raise UserError(
            f"insitu.table.files: expected tables {text}, found {listed(tail.values())}. "
            "Correct the key or sources.insitu."
        )
    return found


def column_of(sheet: Sheet, text: str) -> int | None:
    """Return the position of a column by its name, else by its name in another spelling."""
    for spelling in (str, normal):
        found = [n for n, name in enumerate(sheet.columns) if spelling(name) == spelling(text)]
        if len(found) > 1:
            raise UserError(
                f"{sheet.file}: expected one column {text}, found {len(found)}: "
                f"{listed(sheet.columns[n] for n in found)}. Name one in insitu.table."
            )
        if found:
            return found[0]
    return None


def strangers(columns: set[str], sites: list[str], text: str) -> list[str]:
    """Return the columns that look like those of the sites, letters and then digits, but are not.

    `text` is the column's name in the config, with {site} in it.
    """
    known = {normal(site) for site in sites}
    letters = {re.sub(r"\d+$", "", name) for name in known} - {""}
    found = []
    for column in columns:
        match = pattern(text.replace("{site}", "*"), "").fullmatch(column)
        for name in re.findall(r"[^\W\d_]+[\W_]*\d+", column) if match else []:
            if normal(name) not in known and re.sub(r"\d+$", "", normal(name)) in letters:
                found.append(column)
    return found


def sheets(content: bytes, file: str, header: int) -> list[Sheet]:
    """Return the tables of a file whose columns are named in row `header`, counted from 0.

    A text has one, a workbook as many as it has sheets that reach that row. Rows without any
    content are left out. Raises UserError if the file is of no kind that can be read.
    """
    kind = Path(file).suffix.lower()
    if kind in WORKBOOKS:
        raw = _workbook(content, file)
    elif kind in TEXTS:
        raw = {file: _text(content, file, header)}
    else:
        raise UserError(
            f"{file}: expected a table as {', '.join(TEXTS + WORKBOOKS)}, found {kind or 'no'} "
            "ending. Save it as .csv or .xlsx, or narrow insitu.table.files."
        )
    found = []
    for name, cells in raw.items():
        if len(cells) <= header:
            continue
        columns = ["" if pd.isna(cell) else str(cell).strip() for cell in cells.iloc[header]]
        body = cells.iloc[header + 1 :].reset_index(drop=True)
        found.append(Sheet(name, columns, body, header + 2))
    if not found:
        raise UserError(
            f"{file}: expected the names of the columns in row {header} (insitu.table.header, "
            f"counted from 0), found {max(map(len, raw.values()), default=0)} rows. "
            "Correct the key or fetch the file again."
        )
    return found


def _workbook(content: bytes, file: str) -> dict[str, pd.DataFrame]:
    try:
        read = pd.read_excel(
            BytesIO(content), sheet_name=None, header=None, dtype=object, engine="openpyxl"
        )
    except (zipfile.BadZipFile, KeyError, ValueError, OSError) as error:
        raise UserError(
            f"{file}: expected an Excel workbook, found a file that cannot be opened ({error}). "
            "Fetch it again, or save it as .csv."
        ) from None
    return {f"{file}[{name}]": cells for name, cells in read.items()}


def _text(content: bytes, file: str, header: int) -> pd.DataFrame:
    """Return the cells of a text, all rows; rows above `header` keep only their first cell."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("gb18030", "replace")
        log.info("%s: no UTF-8, read as GB 18030", file)
    lines = text.splitlines()
    if len(lines) <= header:
        return pd.DataFrame(index=range(len(lines)))
    head = lines[header]
    separator = max(SEPARATORS, key=head.count)
    last = next((line for line in reversed(lines[header:]) if line.strip()), head)
    if '"' not in last and last.count(separator) < head.count(separator):
        raise UserError(
            f"{file}: expected {head.count(separator) + 1} columns in the last row, found "
            f"{last.count(separator) + 1}. The file is cut short; fetch it again."
        )
    try:
        cells = pd.read_csv(
            StringIO("\n".join(lines[header:])),
            sep=separator,
            header=None,
            dtype=str,
            keep_default_na=False,
            skip_blank_lines=False,
        )
    except pd.errors.ParserError as error:
        raise UserError(
            f"{file}: expected as many columns in each row as in row {header}, found others "
            f"({str(error).strip()}). Is insitu.table.header right?"
        ) from None
    above = pd.DataFrame({0: lines[:header]}, dtype=object)
    return pd.concat([above, cells], ignore_index=True)


def filled(cells: pd.Series) -> pd.Series:
    """Return which cells hold something."""
    return cells.notna() & ~cells.astype(str).str.strip().str.lower().isin(EMPTY)


def times(sheet: Sheet, column: int, form: str | None, zone: str) -> pd.Series:
    """Return the UTC time of each row, without zone; NaT in rows where nothing is filled in.

    `form` is as in strptime, None for ISO; `zone` is that of times that name no offset. Raises
    UserError, with the row, for what is no time and for times that the zone's clock skips or has
    twice.
    """
    try:
        clock = ZoneInfo(zone)
    except (KeyError, ValueError, OSError):
        raise UserError(
            f"insitu.table.zone: expected a time zone as UTC, Asia/Shanghai or Etc/GMT-8 (which is "
            f"8 hours ahead of UTC), found {zone!r}. Correct the config."
        ) from None
    cells = sheet.cells.iloc[:, column]
    there = filled(cells)
    dates = cells.map(lambda cell: isinstance(cell, datetime)).astype(bool) & there
    text = cells[there & ~dates].astype(str).str.strip()
    offset = text.str.fullmatch(OFFSET)
    if offset.any() and not (offset.all() and not dates.any()):
        bad = text[~offset].index[0] if not offset.all() else dates.idxmax()
        raise UserError(
            f"{sheet.file}: expected an offset from UTC in every time or in none, found "
            f"{cells[bad]!r} in row {sheet.row(bad)}. Write the times in one way."
        )
    aware = bool(offset.any())
    parsed = pd.to_datetime(text, format=form or "ISO8601", errors="coerce", utc=aware)
    time = pd.Series(pd.NaT, index=cells.index, dtype="datetime64[ns]")
    time[parsed.index] = parsed.dt.tz_localize(None) if aware else parsed
    time[dates] = pd.to_datetime(cells[dates].astype("datetime64[ns]"))
    odd = there & ~((time.dt.year >= 1950) & (time.dt.year <= 2100))
    bare = sheet.cells[~there]
    orphans = bare.apply(filled).any(axis=1).reindex(cells.index, fill_value=False)
    for wrong, expected in ((odd, f"times as {form or '2010-06-01 00:15'}"), (orphans, "a time")):
        if wrong.any():
            bad = wrong.idxmax()
            raise UserError(
                f"{sheet.file}: expected {expected} in column {sheet.columns[column]}, found "
                f"{cells[bad]!r} in row {sheet.row(bad)} ({wrong.sum()} such rows). "
                "Set insitu.table.time, time_format and header."
            )
    time = time.dt.round("s")
    if aware:
        return time
    utc = time.dt.tz_localize(clock, ambiguous="NaT", nonexistent="NaT")
    unclear = utc.isna() & there
    if unclear.any():
        bad = unclear.idxmax()
        raise UserError(
            f"{sheet.file}: expected times that exist once in {zone}, found {cells[bad]} in row "
            f"{sheet.row(bad)}, when its clocks change ({unclear.sum()} such rows). Loggers keep "
            "one time: set insitu.table.zone to it, as Etc/GMT-8 for 8 hours ahead of UTC."
        )
    return utc.dt.tz_convert("UTC").dt.tz_localize(None)


def numbers(sheet: Sheet, column: int, fill: list[float]) -> tuple[np.ndarray, int]:
    """Return the numbers of a column, NaN where empty or in `fill`, and how many were in `fill`.

    Raises UserError, with the row, for a cell that holds something else.
    """
    cells = sheet.cells.iloc[:, column]
    there = filled(cells)
    value = pd.to_numeric(cells.where(there), errors="coerce").astype(float)
    wrong = there & ~np.isfinite(value)
    if wrong.any():
        bad = wrong.idxmax()
        raise UserError(
            f"{sheet.file}: expected numbers or empty cells in column {sheet.columns[column]}, "
            f"found {cells[bad]!r} in row {sheet.row(bad)} ({wrong.sum()} such cells). "
            "Correct insitu.table.header, or empty these cells in a copy."
        )
    filling = value.isin([float(number) for number in fill])
    return value.mask(filling).to_numpy(), int(filling.sum())


def check_step(site: str, time: pd.Series, file: str) -> str:
    """Return the step of a series for the log; UserError if most steps are others."""
    steps = time.diff().dropna()
    if steps.empty:
        return "a single time"
    step, share = steps.mode().iloc[0], (steps == steps.mode().iloc[0]).mean()
    minutes = step.total_seconds() / 60
    if len(steps) > 3 and share < 0.5:
        raise UserError(
            f"{file}: expected readings of {site} in a regular step, found {minutes:g} min as the "
            f"most frequent distance, of {share:.0%} only. Are the times read right? See "
            "insitu.table.time_format."
        )
    return f"every {minutes:g} min ({share:.1%} of the steps)"


def check_values(site: str, value: pd.Series, file: str, unit: str) -> None:
    """Refuse a site whose readings (m3/m3) are of another unit or hold an unnamed fill code."""
    if value.empty:
        return
    low, high, median = PLAUSIBLE[0], PLAUSIBLE[1], value.median()
    beyond = value[(value < low) | (value > high)]
    start = f"{file}: expected soil moisture of {site} of {low:g} to {high:g} m3/m3, found"
    if median > 1:
        raise UserError(
            f"{start} a median of {median:.3g}; they look like percent: set insitu.table.unit to "
            "percent."
        )
    if unit == "percent" and 0 < median < 0.01:
        raise UserError(
            f"{start} a median of {median:.3g} after the division by 100; they look like "
            "fractions: set insitu.table.unit to m3/m3."
        )
    if len(beyond) > STRAY * len(value):
        most = beyond.mode().iloc[0]
        raise UserError(
            f"{start} {len(beyond) / len(value):.0%} of them beyond, as {most:g}. Set "
            "insitu.table.unit, or add the number to insitu.table.fill if it means missing."
        )
    if len(beyond):
        log.warning(
            "%s: %d readings beyond %g to %g m3/m3, the monthly means judge them",
            *(site, len(beyond), low, high),
        )


def check_warmth(site: str, warmth: pd.Series, file: str) -> None:
    """Refuse soil temperatures of another unit: in kelvin no soil would ever be frozen."""
    median = warmth.median()
    if not (np.isnan(median) or -40 <= median <= 50):
        raise UserError(
            f"{file}: expected soil temperature of {site} in degC, found a median of {median:.4g}. "
            "Name a column in degC in insitu.table.temperature; null reads none."
        )


def warmest_hour(time: pd.Series, warmth: pd.Series, lon: float) -> tuple[float, float]:
    """Return the hour of the sun's day at which soil is warmest, and the amplitude in degC.

    By the first harmonic of the mean day, so that no single hot noon decides; NaN if fewer than
    six hours of the day or ten days have readings.
    """
    table = pd.DataFrame({"time": time, "warmth": warmth}).dropna()
    day = table["time"].dt.normalize()
    hour = ((table["time"] - day) / pd.Timedelta("1h") + lon / 15) % 24 // 1
    mean = (table["warmth"] - table.groupby(day)["warmth"].transform("mean")).groupby(hour).mean()
    if len(mean) < 6 or day.nunique() < 10:
        return np.nan, np.nan
    wave = (mean * np.exp(2j * np.pi * (mean.index + 0.5) / 24)).mean()
    return float(np.angle(wave) * 24 / (2 * np.pi) % 24), float(2 * abs(wave))


def check_clock(site: str, readings: pd.DataFrame, lon: float, said: str) -> None:
    """Warn if soil near the surface is warmest far from the afternoon: the time zone is wrong.

    `said` is who says what time zone the readings had.
    """
    hour, amplitude = warmest_hour(readings["time"], readings["soil_temperature"], lon)
    off = (hour - WARMEST + 12) % 24 - 12
    if amplitude > 0.5 and abs(off) > SLACK:
        log.warning(
            "%s: soil is warmest at %.1f h of the sun's day, not in the afternoon: its times look "
            "%.0f hours off, though %s",
            *(site, hour, off, said),
        )
