"""Monthly SMCI, the 1 km target, on its own cells from its daily pieces (S14, U31).

The pieces come in any number, order and direction of latitude, so they are put together by their
coordinates; missing days never enter a sum, and integers are widened before they are added.
"""

import calendar
from math import ceil, floor
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from _log import UserError, log, log_to
from _raster import CRS, Affine, Grid, write

SCALE = 1000.0  # stored unit: 0.001 m3/m3
MIN_SHARE = 0.7
PLAUSIBLE = (0.05, 0.6)  # of the median in m3/m3


def open_piece(path: str, year: int) -> xr.DataArray:
    """Return SMCI as stored (int16, missing not masked) with datetime `time`, `lat`, `lon`."""
    try:
        piece = xr.open_dataset(path, engine="h5netcdf", mask_and_scale=False, decode_times=True)
    except OSError as error:
        raise UserError(
            f"{path}: expected NetCDF-4, found a file that cannot be opened ({error}). "
            "Download it again."
        ) from None
    names = [name for name in piece.data_vars if name.upper() == "SMCI"]
    if not names or set(piece[names[0]].dims) != {"time", "lat", "lon"}:
        found = ", ".join(f"{name}{piece[name].dims}" for name in piece.data_vars)
        raise UserError(
            f"{path}: expected variable SMCI with dimensions time, lat, lon, found {found}. "
            "Take the daily SMCI 1.0 files of the 1 km edition."
        )
    layer = piece[names[0]].transpose("time", "lat", "lon")
    if not np.issubdtype(layer["time"].dtype, np.datetime64):
        days = 366 if calendar.isleap(year) else 365
        if layer.sizes["time"] != days:
            raise UserError(
                f"{path}: expected dates or the {days} days of {year}, found "
                f"{layer.sizes['time']} steps without dates. Give `time` its units."
            )
        layer["time"] = pd.date_range(f"{year}-01-01", periods=days)
    return layer


def lattice(layer: xr.DataArray, path: str) -> tuple[int, np.ndarray, np.ndarray]:
    """Return cells per degree, and row and column of each cell, counted from 90 N and 180 W."""
    lat, lon = (layer[name].to_numpy().astype(float) for name in ("lat", "lon"))
    per_degree = round((len(lon) - 1) / abs(lon[-1] - lon[0]))
    rows, cols = (90 - lat) * per_degree - 0.5, (lon + 180) * per_degree - 0.5
    off = max(np.abs(rows - rows.round()).max(), np.abs(cols - cols.round()).max())
    if off > 0.1:
        raise UserError(
            f"{path}: expected cells whose edges are multiples of 1/{per_degree} degree, found "
            f"centres {off:.2f} cells beside theirs. Is it another edition or a resampled file?"
        )
    return per_degree, rows.round().astype(int), cols.round().astype(int)


def window_of(box: tuple[float, float, float, float], per_degree: int) -> Grid:
    """Return the lattice cells that a box (west, south, east, north) touches, and one around."""
    west, east = floor(box[0] * per_degree) - 1, ceil(box[2] * per_degree) + 1
    south, north = floor(box[1] * per_degree) - 1, ceil(box[3] * per_degree) + 1
    corner = Affine(1 / per_degree, 0, west / per_degree, 0, -1 / per_degree, north / per_degree)
    return Grid(CRS.from_epsg(4326), corner, east - west, north - south)


def placed(mosaic: np.ndarray, part: np.ndarray, *where: np.ndarray) -> int:
    """Put `part` into `mosaic` (both days, rows, cols) at these days, rows and columns.

    Negative is missing in both. Returns how many values differ where both have one.
    """
    there = mosaic[np.ix_(*where)]
    mosaic[np.ix_(*where)] = np.where(part >= 0, part, there)
    return int(((there >= 0) & (part >= 0) & (there != part)).sum())


def monthly_mean(mosaic: np.ndarray) -> np.ndarray:
    """Return the mean (m3/m3) of stored integers (days, rows, cols) over the first axis.

    NaN where fewer than MIN_SHARE of the days have a value that is not negative.
    """
    valid = mosaic >= 0
    count = valid.sum(axis=0)
    total = np.where(valid, mosaic, 0).sum(axis=0, dtype="int64")
    enough = (count > 0) & (count >= MIN_SHARE * len(mosaic) - 1e-9)
    return np.where(enough, total / np.maximum(count, 1) / SCALE, np.nan)


def covering(index: np.ndarray, size: int) -> slice:
    """Return the piece of an axis whose positions `index` fall on 0 .. size - 1."""
    there = np.flatnonzero((index >= 0) & (index < size))
    return slice(there.min(), there.max() + 1) if len(there) else slice(0, 0)


def mosaic_of(
    pieces: dict[str, xr.DataArray], month: str, box: tuple[float, float, float, float]
) -> tuple[Grid, np.ndarray]:
    """Return the window's grid and the month's stored values (days, rows, cols), -1 missing."""
    grid, mosaic = None, None
    dates = pd.date_range(month, periods=pd.Period(month).days_in_month)
    for path, layer in pieces.items():
        per_degree, rows, cols = lattice(layer, path)
        if grid is None:
            grid = window_of(box, per_degree)
            mosaic = np.full((len(dates), *grid.shape), -1, "int32")
        if abs(grid.transform.a * per_degree - 1) > 1e-9:
            raise UserError(
                f"{path}: expected cells of 1/{round(1 / grid.transform.a)} degree as in "
                f"{next(iter(pieces))}, found 1/{per_degree}. Do not mix editions."
            )
        axes = (
            dates.get_indexer(layer["time"].to_index().floor("D")),
            rows - round((90 - grid.transform.f) * per_degree),
            cols - round((grid.transform.c + 180) * per_degree),
        )
        cut = tuple(map(covering, axes, mosaic.shape))
        stored = layer[cut].to_numpy().astype("int32")
        for name in ("_FillValue", "missing_value"):
            stored[stored == layer.attrs.get(name, -999)] = -1
        differing = placed(
            mosaic, stored, *(axis[part] for axis, part in zip(axes, cut, strict=True))
        )
        if differing:
            raise UserError(
                f"{path}: expected the values of the other pieces where they overlap, found "
                f"{differing} that differ in {month}. Remove the piece of the other version."
            )
    return grid, mosaic


def check(mean: np.ndarray, month: str, path: str) -> None:
    """Refuse a month without any mean, or with a median that another scale would give."""
    if not np.isfinite(mean).any():
        raise UserError(
            f"{path}: expected SMCI in the box on {MIN_SHARE:.0%} of the days of {month}, "
            "found no such cell. Does the folder hold all pieces of the year?"
        )
    median = np.nanmedian(mean)
    if not PLAUSIBLE[0] <= median <= PLAUSIBLE[1]:
        raise UserError(
            f"{path}: expected a median of {PLAUSIBLE[0]} to {PLAUSIBLE[1]} m3/m3 after the scale "
            f"of 1/{SCALE:.0f}, found {median:.3g} in {month}. The file has another scale."
        )


def counted(mosaic: np.ndarray, mean: np.ndarray, month: str) -> str:
    """Return what the month's mean is made of."""
    never, few = (mosaic < 0).all(axis=0), np.isnan(mean)
    return (
        f"{month}: {mean.size} cells of 1 km, {never.sum()} without any day, "
        f"{(few & ~never).sum()} with less than {MIN_SHARE:.0%} of the days, "
        f"mean {np.nanmean(mean):.4f} m3/m3"
    )


def main(pieces, months, year, box):
    opened = {path: open_piece(path, int(year)) for path in pieces}
    for path in months:
        month = Path(path).stem
        grid, mosaic = mosaic_of(opened, month, box)
        mean = monthly_mean(mosaic)
        check(mean, month, pieces[0])
        write(path, grid, {"SMCI": mean}, {"SMCI": "m3/m3"})
        log.info("%s", counted(mosaic, mean, month))


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        pieces=snakemake.input.pieces,
        months=snakemake.output.months,
        year=snakemake.wildcards.year,
        box=snakemake.params.box,
    )
