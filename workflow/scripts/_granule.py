"""HDF-EOS2 granules of the four MODIS products: which stored numbers are values (U6, U7, U8),
where they lie on the sinusoidal grid, and whether a file is the one that its path says.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from math import isclose, pi
from pathlib import Path

import numpy as np
from pyhdf.error import HDF4Error
from pyhdf.SD import SD, SDC

from _log import UserError

TILE = 2 * pi * 6371007.181 / 36  # edge of a tile of the sinusoidal grid (m)
CELLS = 4800  # 250 m cells along that edge; 500 m and 1 km pixels hold 2 and 4 of them
MAGIC = b"\x0e\x03\x13\x01"  # first bytes of every HDF4 file
STRAY = 0.05  # share of values outside the plausible range that is no longer weather
ZERO_CELSIUS = 273.15  # K


@dataclass(frozen=True)
class Product:
    """How one product stores one variable. Numbers are stored ones unless a unit is given."""

    name: str
    layer: str
    quality: tuple[str, ...]
    scale: float  # what a stored number is multiplied with
    attributes: tuple[float, ...]  # what scale_factor may say; MOD13's 10000 means "divide"
    cells: int  # 250 m cells along the edge of a pixel
    codes: dict[int, str]
    valid: tuple[int, int]
    plausible: tuple[float, float]  # scaled values that occur on land
    good: Callable[..., np.ndarray]  # quality layers -> True where a value may be used
    lead: int = 0  # days from the start of the period to the date in the name


def good_ndvi(reliability, vi):
    """Good pixels, and marginal ones without cloud, snow, shadow or a very low usefulness."""
    sound = ((vi & 3) < 2) & (((vi >> 10) & 1) == 0) & (((vi >> 14) & 3) == 0)
    return (reliability == 0) | ((reliability == 1) & sound & (((vi >> 2) & 15) < 12))


def good_lst(qc):
    """Produced pixels; those of lower quality only with a mean error of 3 K or less."""
    return ((qc & 3) < 2) & (((qc & 3) == 0) | ((qc >> 6) < 3))


def good_et(qc):
    """All that was produced: the gap-filled product has filled clouds already (U3)."""
    return (qc != 255) & ((qc >> 5) != 4)


def good_albedo(quality):
    """Full and magnitude inversions."""
    return quality <= 1


PRODUCTS = {
    "ndvi": Product(
        name="MOD13Q1",
        layer="250m 16 days NDVI",
        quality=("250m 16 days pixel reliability", "250m 16 days VI Quality"),
        scale=0.0001,
        attributes=(10000.0, 0.0001),
        cells=1,
        codes={-3000: "fill"},
        valid=(-2000, 10000),
        plausible=(-0.2, 1.0),
        good=good_ndvi,
    ),
    "lst": Product(
        name="MOD11A2",
        layer="LST_Day_1km",
        quality=("QC_Day",),
        scale=0.02,
        attributes=(0.02,),
        cells=4,
        codes={0: "fill"},
        valid=(7500, 65535),
        # 250 to 330 K holds from May to October only; winters are colder, deserts hotter.
        plausible=(200.0, 350.0),
        good=good_lst,
    ),
    "et": Product(
        name="MOD16A2GF",
        layer="ET_500m",
        quality=("ET_QC_500m",),
        scale=0.1,
        attributes=(0.1,),
        cells=2,
        # Only 32767 is declared as fill in the files; the others would pass as 3276 mm.
        codes={
            32761: "unclassified",
            32762: "urban",
            32763: "wetland",
            32764: "snow or ice",
            32765: "barren",
            32766: "water",
            32767: "fill",
        },
        valid=(-32767, 32700),
        plausible=(0.0, 80.0),
        good=good_et,
    ),
    "albedo": Product(
        name="MCD43A3",
        layer="Albedo_WSA_shortwave",
        quality=("BRDF_Albedo_Band_Mandatory_Quality_shortwave",),
        scale=0.001,
        attributes=(0.001,),
        cells=2,
        codes={32767: "fill"},
        valid=(0, 32766),
        plausible=(0.0, 1.0),
        good=good_albedo,
        lead=8,
    ),
}


@dataclass(frozen=True)
class Header:
    """Where the pixels of a granule lie and what the file says about itself."""

    path: str
    height: int
    width: int
    corners: tuple[float, float, float, float]  # left, top, right, bottom (m, sinusoidal)
    delivered: str | None  # name under which the producer delivered it
    first: date | None
    last: date | None
    scale: float | None  # attribute scale_factor of the layer, as stored

    @property
    def days(self) -> int | None:
        """Length of the period in days, if the file tells both ends."""
        return (self.last - self.first).days + 1 if self.first and self.last else None


@contextmanager
def opened(path: str):
    """Yield an HDF4 file open for reading; say what is wrong with one that is none."""
    with Path(path).open("rb") as raw:
        head = raw.read(512)
    if not head.startswith(MAGIC):
        page = head.lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml", b"<head"))
        found = (
            "text that looks like a web page, probably a login page"
            if page
            else f"a file that begins with {head[:4]!r}"
        )
        raise UserError(
            f"{path}: expected an HDF4 granule, found {found}. "
            "Delete the file, log in to the archive and fetch it again."
        )
    try:
        file = SD(str(path), SDC.READ)
    except HDF4Error as error:
        raise _truncated(path, error) from None
    try:
        yield file
    except (HDF4Error, ValueError) as error:  # pyhdf says either of damaged contents
        raise _truncated(path, error) from None
    finally:
        file.end()


def _truncated(path: str, error: Exception) -> UserError:
    size = Path(path).stat().st_size
    return UserError(
        f"{path}: expected a whole HDF4 granule, found {size} bytes that cannot be read "
        f"({error}). It is probably truncated: delete the file and fetch it again."
    )


def header(path: str, layer: str, *others: str) -> Header:
    """Return the header of the grid that holds `layer` in a granule that has `others` as well."""
    with opened(path) as file:
        attributes = file.attributes()
        scale = _select(file, path, layer).attributes().get("scale_factor")
        for other in others:
            _select(file, path, other)
    grids = re.findall(
        r"GROUP=GRID_\d+\s(.*?)END_GROUP=GRID_\d+", _joined(attributes, "StructMetadata"), re.S
    )
    grids = [grid for grid in grids if f'DataFieldName="{layer}"' in grid]
    if not grids:
        raise UserError(
            f"{path}: expected StructMetadata that places layer {layer!r} on a grid, found none. "
            "Fetch the granule again as the producer delivers it."
        )
    left, top = _pair(grids[0], "UpperLeftPointMtrs")
    right, bottom = _pair(grids[0], "LowerRightMtrs")
    core = _joined(attributes, "CoreMetadata")
    return Header(
        path=str(path),
        height=int(re.search(r"YDim=(\d+)", grids[0])[1]),
        width=int(re.search(r"XDim=(\d+)", grids[0])[1]),
        corners=(left, top, right, bottom),
        delivered=_value(core, "LOCALGRANULEID"),
        first=_day(_value(core, "RANGEBEGINNINGDATE")),
        last=_day(_value(core, "RANGEENDINGDATE")),
        scale=_number(scale),
    )


def stored(
    path: str, layers: tuple[str, ...], rows: slice = slice(None), cols: slice = slice(None)
) -> list[np.ndarray]:
    """Return the stored integers of `layers`, cut to `rows` and `cols`; no scale, no mask."""
    with opened(path) as file:
        return [_select(file, path, layer)[rows, cols] for layer in layers]


def _select(file: SD, path: str, layer: str):
    try:
        return file.select(layer)
    except HDF4Error:
        raise UserError(
            f"{path}: expected layer {layer!r}, found {', '.join(sorted(file.datasets()))}. "
            "Fetch the product named in the path, with this layer."
        ) from None


def _joined(attributes: dict, prefix: str) -> str:
    names = [name for name in attributes if re.fullmatch(rf"{prefix}\.\d+", name)]
    names.sort(key=lambda name: int(name.rsplit(".", 1)[1]))
    return "".join(attributes[name] for name in names).replace("\0", "")


def _pair(grid: str, name: str) -> tuple[float, float]:
    first, second = re.search(rf"{name}=\(([^,]+),([^)]+)\)", grid).groups()
    return float(first), float(second)


def _value(core: str, name: str) -> str | None:
    found = re.search(rf'OBJECT\s*=\s*{name}\b.*?VALUE\s*=\s*"([^"]*)"', core, re.S)
    return re.sub(r"\s*\n\s*", "", found[1]) if found else None


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None


def _number(attribute) -> float | None:
    # Attributes are not always numbers: sibling products write "n/a".
    try:
        return float(attribute)
    except (TypeError, ValueError):
        return None


def place(head: Header, cells: int) -> tuple[str, int, int]:
    """Return tile (hHHvVV), row and column in it of a granule's upper left pixel.

    `cells` is the number of 250 m cells along a pixel's edge. A granule may be a cut of a tile,
    but its pixels must be the tile's own.
    """
    left, top, right, bottom = head.corners
    size, per_tile = TILE * cells / CELLS, CELLS // cells
    wide, high = (right - left) / head.width, (top - bottom) / head.height
    if not (isclose(wide, size, rel_tol=1e-3) and isclose(high, size, rel_tol=1e-3)):
        raise UserError(
            f"{head.path}: expected pixels of {size:.3f} m, found {wide:.3f} x {high:.3f} m. "
            "Use the product named in the path on its native sinusoidal grid."
        )
    col, row = (left + 18 * TILE) / size, (9 * TILE - top) / size
    if max(abs(col - round(col)), abs(row - round(row))) > 0.05:
        raise UserError(
            f"{head.path}: expected corners on the pixel edges of the sinusoidal grid, found the "
            f"upper left corner {left:.3f}, {top:.3f} between them. "
            "Cut granules along their pixels, without resampling."
        )
    (h, col), (v, row) = divmod(round(col), per_tile), divmod(round(row), per_tile)
    if col + head.width > per_tile or row + head.height > per_tile:
        raise UserError(
            f"{head.path}: expected pixels of one tile, found {head.width} x {head.height} pixels "
            f"from column {col} and row {row} of h{h:02d}v{v:02d}. Keep one tile in a file."
        )
    return f"h{h:02d}v{v:02d}", row, col


def check(head: Header, product: Product) -> tuple[int, int]:
    """Return row and column of a granule in its tile, after comparing the file with its path.

    The path ends in {product}/{YYYY-MM-DD}/{tile}.hdf.
    """
    named, day, tile = Path(head.path).parts[-3], Path(head.path).parts[-2], Path(head.path).stem
    found, row, col = place(head, product.cells)
    if found != tile:
        raise UserError(
            f"{head.path}: expected tile {tile}, found the corners of {found}. "
            "Move the file to the folder of its own tile and fetch this one."
        )
    dated = _date_of(head, product)
    if dated is not None and dated != date.fromisoformat(day):
        raise UserError(
            f"{head.path}: expected a granule of {day}, found {dated} in its CoreMetadata. "
            "Move the file to the folder of its own date and fetch this one."
        )
    if head.delivered and not head.delivered.startswith(f"{named}."):
        raise UserError(
            f"{head.path}: expected {named}, found {head.delivered} in its CoreMetadata. "
            "Fetch the product named in the path."
        )
    if head.scale is not None and not any(
        isclose(head.scale, s, rel_tol=1e-6) for s in product.attributes
    ):
        raise UserError(
            f"{head.path}: expected scale_factor {' or '.join(map(str, product.attributes))} for "
            f"{product.layer!r}, found {head.scale:g}. Its values cannot be told: fetch the "
            "producer's own file."
        )
    return row, col


def _date_of(head: Header, product: Product) -> date | None:
    found = re.search(r"\.A(\d{7})\.", head.delivered or "")
    if found:
        return datetime.strptime(found[1], "%Y%j").date()
    return head.first + timedelta(product.lead) if head.first else None


def usable(
    product: Product, numbers: np.ndarray, quality: list[np.ndarray]
) -> tuple[np.ndarray, dict[str, int]]:
    """Return True where a stored number is a usable value, and how many each rule removed.

    Rules in order: fill and special codes, the producer's valid range, the quality layers
    (none with `qa: paper`). A pixel counts for the first rule that removes it.
    """
    ok = np.ones(numbers.shape, dtype=bool)
    lost = {}

    def drop(why: str, bad: np.ndarray) -> None:
        lost[why] = int(np.count_nonzero(ok & bad))
        np.logical_and(ok, ~bad, out=ok)

    for code, meaning in product.codes.items():
        drop(meaning if meaning == "fill" else f"{code} {meaning}", numbers == code)
    low, high = product.valid
    drop("range", (numbers < low) | (numbers > high))
    if quality:
        drop("quality", ~product.good(*quality))
    return ok, lost


def implausible(product: Product, numbers: np.ndarray) -> float:
    """Return the share of stored numbers, codes apart, that no land surface shows."""
    values = numbers[~np.isin(numbers, list(product.codes))]
    low, high = (round(limit / product.scale) for limit in product.plausible)
    return float(np.mean((values < low) | (values > high))) if values.size else 0.0


def judged(
    path: str, product: Product, numbers: np.ndarray, quality: list[np.ndarray]
) -> tuple[np.ndarray, dict[str, int]]:
    """Return what `usable` does, after a look at the values: a wrong scale is named by `path`."""
    stray = implausible(product, numbers)
    if stray > STRAY:
        low, high = product.plausible
        raise UserError(
            f"{path}: expected {product.layer!r} times {product.scale:g} between {low:g} "
            f"and {high:g}, found {stray:.0%} of the values outside. Its scale is not the "
            "producer's: fetch the granule again."
        )
    return usable(product, numbers, quality)


def layers_of(product: Product, qa: str) -> tuple[str, ...]:
    """Return the layers that are read: the values and, unless `qa` is `paper`, their quality."""
    return product.layer, *(product.quality if qa == "recommended" else ())


def physical(numbers: np.ndarray, variable: str) -> np.ndarray:
    """Return stored numbers in the unit of the map: LST in degC, the others scaled only."""
    scaled = numbers.astype("float64") * PRODUCTS[variable].scale
    return scaled - ZERO_CELSIUS if variable == "lst" else scaled
