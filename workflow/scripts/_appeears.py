"""Clips of the MODIS sinusoidal grid as AppEEARS delivers them: one NetCDF file of one product,
many dates and all tiles of an area, with the stored integers of the granules.

AppEEARS knows no unsigned types and writes the next larger signed one; the numbers are the same.
Its clips carry no period: how long a composite is follows from the calendar.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from math import isclose, pi

import h5netcdf
import numpy as np

from _download import looks_like_page
from _log import UserError

COLLECTION = "061"
TILE = 2 * pi * 6371007.181 / 36  # edge of a tile of the sinusoidal grid (m)
CELLS = 4800  # 250 m cells along that edge
# AppEEARS says "julian". Between 1901 and 2099 that calendar gives a day number the same date.
CALENDARS = ("julian", "gregorian", "standard", "proleptic_gregorian")


@dataclass(frozen=True)
class Header:
    """What a clip says of itself; x and y are centres (m) of the first and the last pixel."""

    path: str
    title: str  # "MOD11A2.061 for aid0001"
    mapping: str  # grid_mapping_name; "sinusoidal" if asked for in the native projection
    x: tuple[float, float]
    y: tuple[float, float]
    height: int
    width: int
    steps: dict[date, int]  # date in a granule's name -> where it lies along time
    scale: float | None
    fill: float | None


def layer_id(layer: str) -> str:
    """Return the name that AppEEARS gives a layer: no blanks, and no digit in front."""
    name = layer.replace(" ", "_")
    return f"_{name}" if name[:1].isdigit() else name


@contextmanager
def opened(path: str, named: str | None = None) -> Iterator[h5netcdf.File]:
    """Yield a NetCDF-4 file open for reading; say what is wrong with one that is none.

    `named` stands in messages for a path that will not be there any more when they are read.
    """
    named = named or path
    with open(path, "rb") as raw:
        head = raw.read(4)
    if head != b"\x89HDF":
        found = (
            "text that looks like a web page, probably a log-in page"
            if looks_like_page(path)
            else f"a file that begins with {head!r}"
        )
        raise UserError(
            f"{named}: expected a NetCDF-4 file of AppEEARS, found {found}. "
            "Delete the file and fetch it again."
        )
    try:
        with h5netcdf.File(path, "r") as file:
            yield file
    except OSError as error:
        raise UserError(
            f"{named}: expected a whole NetCDF-4 file, found one that cannot be read ({error}). "
            "It is probably truncated: delete the file and fetch it again."
        ) from None


def header(path: str, *layers: str, named: str | None = None) -> Header:
    """Return the header of a clip that has all of `layers` (names as in the granules).

    Raises UserError for a file that is no clip, a missing layer, scaled values or a date that
    cannot be told. `named` stands for the path in messages, and in the header.
    """
    named = named or path
    with opened(path, named) as file:
        for layer in layers:
            if layer_id(layer) not in file.variables:
                there = sorted(name for name, v in file.variables.items() if len(v.shape) == 3)
                raise UserError(
                    f"{named}: expected layer {layer_id(layer)!r}, found {', '.join(there)}. "
                    "Ask AppEEARS for the product named in the path, with this layer."
                )
            if file.variables[layer_id(layer)].dtype.kind not in "iu":
                raise UserError(
                    f"{named}: expected {layer_id(layer)!r} in whole numbers as they are stored, "
                    f"found {file.variables[layer_id(layer)].dtype}. Ask AppEEARS for NetCDF-4 "
                    "and do not scale it."
                )
        values = file.variables[layer_id(layers[0])]
        time, *axes = values.dimensions
        y, x = (file.variables[name] for name in axes)
        crs = file.variables.get(values.attrs.get("grid_mapping", "crs"))
        return Header(
            path=named,
            title=_text(file.attrs.get("title")),
            mapping=_text(crs.attrs.get("grid_mapping_name")) if crs is not None else "none",
            x=(float(x[0]), float(x[-1])),
            y=(float(y[0]), float(y[-1])),
            height=values.shape[1],
            width=values.shape[2],
            steps=_steps(file.variables[time], named),
            scale=_number(values.attrs.get("scale_factor")),
            fill=_number(values.attrs.get("_FillValue")),
        )


def _steps(time, named: str) -> dict[date, int]:
    units, calendar = _text(time.attrs.get("units")), _text(time.attrs.get("calendar", "standard"))
    since = re.match(r"days since (\d{4}-\d{2}-\d{2})", units)
    if not since or calendar not in CALENDARS:
        raise UserError(
            f"{named}: expected times in days since a date, found {units!r} (calendar "
            f"{calendar!r}). Fetch the file again as AppEEARS delivers it."
        )
    first = date.fromisoformat(since[1])
    return {first + timedelta(int(days)): step for step, days in enumerate(time[:])}


def _text(attribute) -> str:
    return attribute.decode() if isinstance(attribute, bytes) else str(attribute or "")


def _number(attribute) -> float | None:
    return None if attribute is None else float(np.ravel(attribute)[0])


def stored(
    path: str, layers: tuple[str, ...], step: int, rows: slice, cols: slice
) -> list[np.ndarray]:
    """Return the stored integers of `layers` at one step of time, cut; no scale, no mask."""
    with opened(path) as file:
        return [file.variables[layer_id(layer)][step, rows, cols] for layer in layers]


def place(head: Header, product) -> tuple[int, int]:
    """Return row and column of a clip's first pixel, after comparing it with its product.

    `product` is an entry of `_granule.PRODUCTS`. Rows and columns are of its pixels and count
    from the upper left corner of the whole grid (h00v00).
    """
    if head.mapping != "sinusoidal":
        raise UserError(
            f"{head.path}: expected the sinusoidal grid of the granules, found {head.mapping}, "
            'onto which the pixels were resampled. Ask AppEEARS for the projection "native".'
        )
    expected = f"{product.name}.{COLLECTION}"
    if head.title.split(" ")[0] != expected:
        raise UserError(
            f"{head.path}: expected {expected}, found the title {head.title!r}. "
            "Ask AppEEARS for the product named in the path."
        )
    size = TILE * product.cells / CELLS
    rows = [(9 * TILE - y) / size - 0.5 for y in head.y]
    cols = [(x + 18 * TILE) / size - 0.5 for x in head.x]
    row, col = round(rows[0]), round(cols[0])
    lattice = (row, row + head.height - 1, col, col + head.width - 1)
    if max(abs(a - b) for a, b in zip((*rows, *cols), lattice, strict=True)) > 0.05:
        raise UserError(
            f"{head.path}: expected the pixels of {size:.3f} m of the sinusoidal grid, found "
            f"{head.height} rows from y {head.y[0]:.3f} to {head.y[1]:.3f} and {head.width} "
            f"columns from x {head.x[0]:.3f} to {head.x[1]:.3f} between them. "
            'Ask AppEEARS for the projection "native".'
        )
    if head.scale is not None and not any(
        isclose(head.scale, s, rel_tol=1e-6) for s in product.attributes
    ):
        raise UserError(
            f"{head.path}: expected scale_factor {' or '.join(map(str, product.attributes))} for "
            f"{product.layer!r}, found {head.scale:g}. Its values cannot be told: fetch the file "
            "again as AppEEARS delivers it."
        )
    # AppEEARS fills what lies outside the polygon: unknown, the number would pass for a value.
    if head.fill is not None and head.fill not in product.codes:
        raise UserError(
            f"{head.path}: expected _FillValue {' or '.join(map(str, product.codes))} for "
            f"{product.layer!r}, found {head.fill:g}. Its gaps cannot be told from values: fetch "
            "the file again as AppEEARS delivers it."
        )
    return row, col


def window(head: Header, corner: tuple[int, int], rows: slice, cols: slice) -> tuple[slice, slice]:
    """Return rows and columns in the clip of those of the whole grid that the area needs.

    `corner` is the clip's first pixel, from `place`. Raises UserError if the clip lacks some.
    """
    row, col = corner
    bottom, right = row + head.height, col + head.width
    if rows.start < row or cols.start < col or rows.stop > bottom or cols.stop > right:
        raise UserError(
            f"{head.path}: expected pixels that cover the study area (rows {rows.start} to "
            f"{rows.stop - 1}, columns {cols.start} to {cols.stop - 1} of the grid), found rows "
            f"{row} to {bottom - 1}, columns {col} to {right - 1}. "
            "Ask AppEEARS for area.box and a margin."
        )
    return (
        slice(rows.start - row, rows.stop - row),
        slice(cols.start - col, cols.stop - col),
    )


def absent(product: str, days: list[date]) -> str:
    """Return the mend for dates that a clip lacks."""
    return (
        "Fetch the clip again. If the archive truly lacks it for every tile, add "
        f"{product}/{days[0]}/<tile> for each tile to modis.absent in the config."
    )
