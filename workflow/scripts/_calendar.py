"""Which tiles and composites exist, and how many days of a month each speaks for.

The calendars are fixed (16-day from day 1, 8-day from day 1, both restart on 1 January),
so the files that a month needs are computed, never discovered. Standard library only:
the Snakefile imports this module on every start.
"""

from __future__ import annotations

from calendar import monthrange
from datetime import date, timedelta
from math import cos, radians

ASSIGN = ("overlap", "start", "midpoint")


def periods(every: int, year: int, restart: bool) -> list[tuple[date, date]]:
    """Return (first day, last day) of every composite that starts in `year`.

    `every` is the length in days. With `restart` the last one ends on 31 December (8-day
    products: 5 days, 6 in leap years); without, it keeps its length and runs into January
    (16-day NDVI, nominally).
    """
    last = date(year, 12, 31)
    starts = [date(year, 1, 1) + timedelta(n) for n in range(0, 366, every)]
    ends = [(s, s + timedelta(every - 1)) for s in starts if s.year == year]
    return [(s, min(e, last) if restart else e) for s, e in ends]


def days_of(month: str) -> tuple[date, date]:
    """Return the first and the last day of `month` (YYYY-MM)."""
    year, number = int(month[:4]), int(month[5:7])
    return date(year, number, 1), date(year, number, monthrange(year, number)[1])


def weight(period: tuple[date, date], month: str, assign: str) -> int:
    """Return the number of days with which a composite counts for `month` (U4).

    overlap: the days they share; start: all its days if it starts in the month;
    midpoint: all its days if its middle day lies in the month.
    """
    first, last = days_of(month)
    start, end = period
    length = (end - start).days + 1
    if assign == "overlap":
        return max(0, (min(end, last) - max(start, first)).days + 1)
    anchor = start if assign == "start" else start + timedelta(length // 2)
    return length if first <= anchor <= last else 0


def calendar(variable: str, assign: str, albedo_every: int) -> dict:
    """Return how the composites of a MODIS variable follow each other and count (U4, U5).

    every: days between them; restart: whether the calendar restarts on 1 January; assign: see
    `weight`; least: the days below which an overlap does not count. A daily albedo stands for
    a 16-day window around its date, so it counts where that date lies.
    """
    if variable == "ndvi":
        return dict(every=16, restart=False, assign=assign, least=8)
    if variable == "albedo":
        return dict(every=albedo_every, restart=True, assign="start", least=1)
    return dict(every=8, restart=True, assign=assign, least=1)


def composites(
    month: str, every: int, restart: bool, assign: str, least: int
) -> dict[date, tuple[date, int]]:
    """Return {first day: (last day, weight in days)} of the composites that `month` needs."""
    year = int(month[:4])
    candidates = periods(every, year - 1, restart)[-2:] + periods(every, year, restart)
    found = ((p, weight(p, month, assign)) for p in candidates)
    return {p[0]: (p[1], w) for p, w in found if w >= least}


def tiles(west: float, south: float, east: float, north: float) -> list[str]:
    """Return the MODIS tiles (hHHvVV) that a box in degrees touches.

    Along a parallel the sinusoidal x is linear in longitude, and along a meridian it is
    extreme at the ends of the piece or at the equator, so the corners decide.
    """
    found = []
    for v in range(int((90 - north) // 10), int(-((south - 90) // 10))):
        top, bottom = min(north, 90 - 10 * v), max(south, 80 - 10 * v)
        latitudes = [top, bottom] + ([0.0] if bottom < 0 < top else [])
        eastings = [lon * cos(radians(lat)) for lon in (west, east) for lat in latitudes]
        first, last = (int((x + 180) // 10) for x in (min(eastings), max(eastings)))
        found += [f"h{h:02d}v{v:02d}" for h in range(first, last + 1)]
    return found
