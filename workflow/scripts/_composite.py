"""Months from composites, whichever way these came: as granules of tiles or as clips of the grid.

Both roads plan pieces (one composite at one place) and read stored numbers; all that follows is
here, so the same numbers give the same month.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from time import monotonic

import numpy as np

from _log import UserError, log

BANDS = {"ndvi": "NDVI", "lst": "LST", "et": "ET", "albedo": "albedo"}
UNITS = {"NDVI": "1", "LST": "degC", "ET": "mm/day", "albedo": "1"}


@dataclass(frozen=True)
class Cut:
    """The part of a source that the map uses, in pixels of a product, and where it goes.

    Map cell `cells[i]` takes pixel `pixels[i]` of the cut; both count along the rows.
    """

    rows: slice
    cols: slice
    cells: np.ndarray
    pixels: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        return self.rows.stop - self.rows.start, self.cols.stop - self.cols.start


def cut(row: np.ndarray, col: np.ndarray, cells: np.ndarray, size: int) -> Cut:
    """Return the smallest cut that holds the pixels of some map cells.

    `row` and `col` are the 250 m pixel of each of `cells` (all 1-D), counted from the upper left
    corner of the source; `size` is the number of 250 m cells along the edge of its pixels.
    """
    r, c = row // size, col // size
    rows = slice(int(r.min()), int(r.max()) + 1)
    cols = slice(int(c.min()), int(c.max()) + 1)
    return Cut(rows, cols, cells, (r - rows.start) * (cols.stop - cols.start) + (c - cols.start))


@dataclass(frozen=True)
class Piece:
    """One composite at one place (a key of the cuts): what to read, and where it counts.

    `rows`, `cols` and, where a file holds many dates, `step` count in the file; `weights` are days
    for each month; `length` is the number of days of the composite's own period.
    """

    path: str
    place: str
    day: date
    rows: slice
    cols: slice
    weights: dict[str, int]
    length: int
    step: int = 0


@dataclass
class Month:
    """A month being composited: for each place a running sum (or maximum) and the days in it.

    Sums are of stored numbers times days, which float32 holds exactly: the order of pieces
    does not matter, nor does the type in which a file stores its numbers.
    """

    maximum: bool
    total: dict[str, np.ndarray] = field(default_factory=dict)
    days: dict[str, np.ndarray] = field(default_factory=dict)

    def add(
        self, place: str, numbers: np.ndarray, ok: np.ndarray, weight: int, length: int = 1
    ) -> None:
        """Add one composite with `weight` days; `length` > 1 turns its total into one a day."""
        if place not in self.total:
            self.total[place] = np.full(numbers.shape, -np.inf if self.maximum else 0, "float32")
            self.days[place] = np.zeros(numbers.shape, dtype="int16")
        total, days = self.total[place], self.days[place]
        numbers = numbers.astype("float32", copy=False)
        if self.maximum:
            np.maximum(total, numbers, out=total, where=ok)
        else:
            np.add(total, numbers * np.float32(weight / length), out=total, where=ok)
        np.add(days, np.int16(weight), out=days, where=ok)

    def value(self, place: str, pixels: np.ndarray) -> np.ndarray:
        """Return the daily mean (or the maximum) of the stored numbers (float64), NaN if none."""
        total = self.total[place].ravel()[pixels].astype("float64")
        days = self.days[place].ravel()[pixels].astype("float64")
        return np.where(days > 0, total / (1 if self.maximum else np.maximum(days, 1)), np.nan)


def on_grid(month: Month, sources: dict[str, Cut], shape: tuple[int, int]) -> np.ndarray:
    """Return the stored numbers of a month on the map (nearest pixel), NaN outside the area."""
    layer = np.full(shape, np.nan, dtype="float64").ravel()
    for place, source in sources.items():
        if place in month.total:
            layer[source.cells] = month.value(place, source.pixels)
    return layer.reshape(shape)


def check_months(planned: list[Piece], product: str, periods: dict[str, Iterable[date]]) -> None:
    """Raise UserError for a month that no planned piece counts for.

    `periods` maps each month to the first days of the composites that it needs.
    """
    for month, days in periods.items():
        if not any(month in piece.weights for piece in planned):
            raise UserError(
                f"{product} {month}: expected granules, found none. Fetch those of "
                f"{', '.join(map(str, days))}, or take the month out of the study."
            )


def progress(done: int, of: int, seconds: float) -> str:
    return f"{done} of {of}, about {seconds / done * (of - done):.0f} s left"


def composited(
    planned: list[Piece],
    values: Callable[[Piece], tuple[np.ndarray, np.ndarray, dict[str, int]]],
    maximum: bool,
    per_day: bool,
) -> Iterator[tuple[str, Month]]:
    """Yield (month, its `Month`) as soon as its last piece is in; each piece is read once.

    `values` reads a piece: stored numbers, True where they may be used, and how many pixels each
    rule removed.
    """
    last = {month: k for k, piece in enumerate(planned) for month in piece.weights}
    open_months, start = {}, monotonic()
    for k, piece in enumerate(planned):
        numbers, ok, lost = values(piece)
        for month, weight in piece.weights.items():
            running = open_months.setdefault(month, Month(maximum))
            running.add(piece.place, numbers, ok, weight, piece.length if per_day else 1)
        log.info(
            "%s/%s: %d of %d pixels used; removed: %s (%s)",
            piece.day,
            piece.place,
            np.count_nonzero(ok),
            ok.size,
            ", ".join(f"{count} {why}" for why, count in lost.items() if count) or "none",
            progress(k + 1, len(planned), monotonic() - start),
        )
        for month in [m for m in open_months if last[m] == k]:
            yield month, open_months.pop(month)


def layers(
    planned: list[Piece], values: Callable, sources: dict[str, Cut], area: np.ndarray, variable: str
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (month, stored numbers on the map); NDVI by its maximum, ET a day, others by mean.

    `area` is True inside the study area, shaped as the map. Raises UserError for a month without
    any value.
    """
    running = composited(planned, values, maximum=variable == "ndvi", per_day=variable == "et")
    for month, sums in running:
        layer = on_grid(sums, sources, area.shape)
        present = np.count_nonzero(np.isfinite(layer))
        if not present:
            used = [piece for piece in planned if month in piece.weights]
            ends = [f"{piece.day} ({piece.path})" for piece in (used[0], used[-1])]
            raise UserError(
                f"{variable} {month}: expected values inside the study area, found none in "
                f"{len(used)} granules from {ends[0]} to {ends[1]}. All is cloud or fill, or the "
                "files are of another place: look at the counts in the log, or try qa: paper."
            )
        log.info("%s: %d of %d cells of the area have a value", month, present, area.sum())
        yield month, layer
