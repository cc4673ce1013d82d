"""Files of the International Soil Moisture Network (ismn.earth): one sensor a file, times in UTC.

Two layouts are delivered under the same names: a header line and `date time value flag ...`, or,
after CEOP, 15 columns that repeat the header in every row. The package `ismn` reads them too, but
it writes a folder `python_metadata` beside the data, and nothing is written beside a user's data
here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd

from _log import UserError

NAME = re.compile(
    r"(?P<cse>[^_]+)_(?P<network>[^_]+)_(?P<station>.+)_(?P<variable>[A-Za-z-]+)"
    r"_(?P<top>-?\d+\.\d+)_(?P<bottom>-?\d+\.\d+)_(?:(?P<sensor>.*)_)?\d{8}_\d{8}\.stm",
    re.IGNORECASE,
)
VARIABLES = {"sm": "sm", "soil-moisture": "sm", "ts": "ts", "soil-temperature": "ts"}
NUMBER = r"(-?\d+(?:\.\d*)?|[Nn]a[Nn])"
PLACE = rf"\s+{NUMBER}\s+{NUMBER}\s+{NUMBER}\s+{NUMBER}\s+{NUMBER}"
HEADER = re.compile(rf"(\S+)\s+(\S+)\s+(\S.*?){PLACE}(?:\s+(.*))?")
TIME = re.compile(r"\d{4}/\d\d/\d\d \d\d:\d\d")
MISSING = -9999.0  # and below: -9999.99 in some versions, NaN in others
NEAR = 1.0  # cm


@dataclass(frozen=True)
class Sensor:
    """What the name of a file says: depths in cm, variable `sm` (m3/m3) or `ts` (degC)."""

    file: str
    network: str
    station: str
    variable: str
    top: float
    bottom: float
    sensor: str

    def off(self, depth: float) -> float | None:
        """Return how far the layer's farther end is from `depth` (cm), None if it is another's.

        A layer is that of `depth` if it holds it or if both its ends are within 1 cm of it.
        """
        far = max(abs(self.top - depth), abs(self.bottom - depth))
        holds = min(self.top, self.bottom) <= depth <= max(self.top, self.bottom)
        return far if holds or far <= NEAR + 1e-9 else None


@dataclass(frozen=True)
class Header:
    """What a file says inside: degrees, elevation in m, depths in cm."""

    network: str
    station: str
    lat: float
    lon: float
    elevation: float
    top: float
    bottom: float


def sensor_of(file: str) -> Sensor | None:
    """Return what a file's name says, None if it is not of soil moisture or soil temperature."""
    match = NAME.fullmatch(file.replace("\\", "/").rsplit("/", 1)[-1])
    variable = VARIABLES.get(match["variable"].lower()) if match else None
    if variable is None:
        return None
    top, bottom = (100 * float(match[name]) for name in ("top", "bottom"))
    return Sensor(
        *(file, match["network"], match["station"], variable, top, bottom),
        match["sensor"] or "",
    )


def _header(line: str, file: str) -> Header:
    match = HEADER.fullmatch(line.strip())
    if not match:
        raise UserError(
            f"{file}: expected a first line with network, station, latitude, longitude, elevation "
            f"and depths, found {line.strip()[:80]!r}. Download it again from ismn.earth."
        )
    _, network, station, *numbers, _ = match.groups()
    lat, lon, elevation, top, bottom = map(float, numbers)
    if not (abs(lat) <= 90 and abs(lon) <= 180):
        raise UserError(
            f"{file}: expected a latitude and a longitude in degrees, found {lat} and {lon}. "
            "Download it again from ismn.earth."
        )
    return Header(network, station, lat, lon, elevation, 100 * top, 100 * bottom)


def read(content: bytes, file: str) -> tuple[Header, pd.DataFrame]:
    """Return the header and the readings: time (UTC), value (NaN if missing), flag (as written).

    Lines may end with CR alone, and the provider's flag behind ISMN's may hold blanks. Raises
    UserError, with the line, if the file is neither of the two layouts or was cut short.
    """
    lines = content.decode("utf-8", "replace").splitlines()
    numbered = [(n, line) for n, line in enumerate(lines, 1) if line.strip()]
    if not numbered:
        raise UserError(f"{file}: expected readings, found an empty file. Download it again.")
    if TIME.match(numbered[0][1].strip()):
        return _ceop(numbered, file)
    header = _header(numbered[0][1], file)
    rows = []
    for n, line in numbered[1:]:
        fields = line.split(None, 4)
        if len(fields) < 4:
            raise _cut(file, n, line, "date, time, value and flag")
        rows.append((n, f"{fields[0]} {fields[1]}", fields[2], fields[3]))
    return header, _table(rows, file)


def _ceop(numbered: list[tuple[int, str]], file: str) -> tuple[Header, pd.DataFrame]:
    """Read the 15 columns: nominal and actual time, the header, value, flag, provider's flag."""
    rows, first, header = [], None, None
    for n, line in numbered:
        fields = line.split(None, 14)
        if len(fields) < 14:
            raise _cut(file, n, line, "15 columns")
        place = fields[4:12]
        if header is None:
            first, header = place, _header(" ".join(place), file)
        if place != first:
            raise UserError(
                f"{file}: expected one sensor at one place, found {' '.join(place)} in line {n} "
                f"after {' '.join(first)}. Download it again as variables in separate files."
            )
        rows.append((n, f"{fields[0]} {fields[1]}", fields[12], fields[13]))
    return header, _table(rows, file)


def _table(rows: list[tuple[int, str, str, str]], file: str) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["line", "time", "value", "flag"], dtype=object)
    time = pd.to_datetime(table["time"], format="%Y/%m/%d %H:%M", errors="coerce")
    value = pd.to_numeric(table["value"], errors="coerce")
    unread = value.isna() & (table["value"].str.lower() != "nan")
    for wrong, column, expected in (
        (time.isna(), "time", "a time as 2008/07/01 00:00"),
        (unread, "value", "a number"),
    ):
        if wrong.any():
            bad = table[wrong].iloc[0]
            raise UserError(
                f"{file}: expected {expected} in line {bad['line']}, found {bad[column]!r}. "
                "Download it again from ismn.earth."
            )
    value = value.where(value > MISSING).replace([np.inf, -np.inf], np.nan).astype(float)
    return pd.DataFrame({"time": time, "value": value, "flag": table["flag"]})


def _cut(file: str, line: int, found: str, expected: str) -> UserError:
    return UserError(
        f"{file}: expected {expected} in line {line}, found {found.strip()[:80]!r}. The file is "
        "cut short or of another layout; download it again from ismn.earth."
    )


def allowed(flag: pd.Series, flags: list[str]) -> pd.Series:
    """Return which readings carry, of comma-joined ISMN flags, only such as are in `flags`."""
    verdicts = {text: set(text.split(",")) <= set(flags) for text in flag.unique()}
    return flag.map(verdicts).astype(bool)
