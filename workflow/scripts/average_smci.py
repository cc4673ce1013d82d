"""Monthly SMCI, the 1 km target, on its own cells from its daily pieces (S14, U31).

The pieces come in any number, order and direction of latitude, so they are put together by their
coordinates; missing days never enter a sum, and only the cells of the box are ever read: a whole
layer of one year takes 24 GB. What the producer's names and attributes say is checked against
what is asked for, because a folder may hold other years and depths as well.
"""

import calendar
import re
from math import ceil, floor
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from _log import UserError, log, log_to
from _raster import CRS, Affine, Grid, write

MIN_SHARE = 0.7
PLAUSIBLE = (0.05, 0.6)  # of the median in m3/m3
LABEL = re.compile(r"_(?P<year>\d{4})_(?P<depth>\d+)cm", re.IGNORECASE)
AXES = {
    "time": ("time", "valid_time", "date", "day"),
    "lat": ("lat", "latitude", "y"),
    "lon": ("lon", "longitude", "x"),
}


def other(path: str, year: int, depth: int) -> str:
    """Return which other year or depth (cm) a file is of by its name or its folder's, "" if none.

    The producer names both SMCI_1km_2010_10cm; names that say neither are judged by their dates.
    """
    file = Path(path)
    for name in (file.name, file.parent.name, file.resolve().name, file.resolve().parent.name):
        if said := LABEL.search(name):
            is_other = int(said["year"]) != year or int(said["depth"]) != depth
            return said[0].strip("_") if is_other else ""
    return ""


def opened(path: str, variable: str) -> tuple[xr.Dataset, xr.DataArray]:
    """Return a file and its layer as stored, on dimensions time, lat and lon; nothing is read."""
    try:
        try:
            piece = xr.open_dataset(path, engine="h5netcdf", mask_and_scale=False)
        except ValueError:  # dates that are none: the steps are counted instead
            piece = xr.open_dataset(
                path, engine="h5netcdf", mask_and_scale=False, decode_times=False
            )
    except OSError as error:
        raise UserError(
            f"{path}: expected NetCDF-4, found a file that cannot be opened ({error}). "
            "Download it again."
        ) from None
    names = [name for name in piece.data_vars if name.upper() == variable.upper()]
    axes = {}
    if names:
        for kind, known in AXES.items():
            axes |= {dim: kind for dim in piece[names[0]].dims if str(dim).lower() in known}
    if not names or len(piece[names[0]].dims) != 3 or set(axes.values()) != set(AXES):
        found = ", ".join(f"{name}{piece[name].dims}" for name in piece.data_vars)
        raise UserError(
            f"{path}: expected variable {variable} with dimensions time, lat, lon, found {found}. "
            "Take the daily SMCI 1.0 files of the 1 km edition; smci.variable names the variable."
        )
    layer, places = piece[names[0]], {}
    for dim, kind in axes.items():
        lying = [name for name in piece.variables if piece[name].dims == (dim,)]
        named = [name for name in lying if name == dim or str(name).lower() in AXES[kind]]
        if named:
            places[kind] = piece[named[0]].to_numpy()
        elif kind != "time":
            raise UserError(
                f"{path}: expected coordinates along {dim}, found none. Without them its cells "
                "have no place; download it again."
            )
    bare = layer.reset_coords(drop=True).drop_vars(layer.coords, errors="ignore").rename(axes)
    return piece, bare.assign_coords({kind: (kind, place) for kind, place in places.items()})


def open_piece(path: str, year: int, variable: str) -> xr.DataArray:
    """Return the layer as stored (missing not masked) with datetime `time`, `lat`, `lon`."""
    piece, layer = opened(path, variable)
    if not np.issubdtype(layer["time"].dtype, np.datetime64):
        days = 366 if calendar.isleap(year) else 365
        if layer.sizes["time"] != days:
            raise UserError(
                f"{path}: expected dates or the {days} days of {year}, found "
                f"{layer.sizes['time']} steps without dates. Give `time` its units."
            )
        layer["time"] = pd.date_range(f"{year}-01-01", periods=days)
    time = layer["time"].to_index().floor("D")
    if time.has_duplicates:
        raise UserError(
            f"{path}: expected one step a day, found {time[time.duplicated()][0]:%Y-%m-%d} twice. "
            "Take the daily files."
        )
    layer = layer.assign_coords(time=time)
    layer.set_close(piece.close)
    return layer


def lattice(layer: xr.DataArray, path: str) -> tuple[int, np.ndarray, np.ndarray]:
    """Return cells per degree, and row and column of each cell, counted from 90 N and 180 W."""
    lat, lon = (layer[name].to_numpy().astype(float) for name in ("lat", "lon"))
    if not (np.abs(lat).max() <= 90 and np.abs(lon).max() <= 180) or lat.size + lon.size < 3:
        raise UserError(
            f"{path}: expected cells by latitude and longitude in degrees, found {lat[0]:g} to "
            f"{lat[-1]:g} and {lon[0]:g} to {lon[-1]:g}. Take the files as delivered."
        )
    longer = lon if lon.size > 1 else lat
    per_degree = round((longer.size - 1) / abs(longer[-1] - longer[0]))
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


def check_scale(layer: xr.DataArray, path: str, scale: float) -> None:
    """Refuse a file that says itself that its numbers are to be scaled in another way."""
    factor = np.ravel(layer.attrs.get("scale_factor", scale))[0]
    offset = np.ravel(layer.attrs.get("add_offset", 0))[0]
    if not (np.isclose(float(factor), scale) and float(offset) == 0):
        raise UserError(
            f"{path}: expected numbers that are multiplied with {scale:g} (smci.scale) to be "
            f"m3/m3, found scale_factor {factor:g} and add_offset {offset:g} in the file. "
            "Set smci.scale as the file says; an offset is not supported."
        )


def pieces_in(
    paths: list[str], year: int, depth: int, box: tuple, variable: str, scale: float
) -> dict[str, xr.DataArray]:
    """Return {path: layer} of the files that hold days of `year` and cells of `box`.

    Files that by their names are of another year or depth are left out, said in the log; if none
    is left, or a name promises `year` and the dates are of another, UserError.
    """
    kept, aside = {}, {"outside the box": 0}
    for path in paths:
        if label := other(path, year, depth):
            aside[f"of {label}"] = aside.get(f"of {label}", 0) + 1
            continue
        layer = open_piece(path, year, variable)
        check_scale(layer, path, scale)
        dates = layer["time"].to_index()
        if not (dates.year == year).any():
            raise UserError(
                f"{path}: expected days of {year}, found {dates.min():%Y-%m-%d} to "
                f"{dates.max():%Y-%m-%d}. Put the file where its year belongs."
            )
        per_degree, rows, cols = lattice(layer, path)
        grid = window_of(box, per_degree)
        if all(map(np.size, inside(grid, per_degree, rows, cols))):
            kept[path] = layer
        else:
            aside["outside the box"] += 1
            layer.close()
    left = ", ".join(f"{count} {why}" for why, count in aside.items() if count) or "none"
    log.info("%d: %d of %d files read; left out: %s", year, len(kept), len(paths), left)
    if not kept:
        raise UserError(
            f"{paths[0]}: expected SMCI of {year}, {depth} cm, in the box {list(box)}, found no "
            f"such cell in {len(paths)} files ({left}). Check sources.smci, smci.depth, area.box."
        )
    return kept


def inside(
    grid: Grid, per_degree: int, rows: np.ndarray, cols: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return which positions of two axes lie in the window."""
    top, left = round((90 - grid.transform.f) * per_degree), grid.transform.c + 180
    rows, cols = rows - top, cols - round(left * per_degree)
    return tuple(
        np.flatnonzero((axis >= 0) & (axis < size))
        for axis, size in zip((rows, cols), grid.shape, strict=True)
    )


def placed(mosaic: np.ndarray, part: np.ndarray, *where: np.ndarray) -> int:
    """Put `part` into `mosaic` (both days, rows, cols) at these days, rows and columns.

    Negative is missing in both. Returns how many values differ where both have one.
    """
    there = mosaic[np.ix_(*where)]
    mosaic[np.ix_(*where)] = np.where(part >= 0, part, there)
    return int(((there >= 0) & (part >= 0) & (there != part)).sum())


def monthly_mean(mosaic: np.ndarray, scale: float) -> np.ndarray:
    """Return the mean (m3/m3) of stored numbers (days, rows, cols) over the first axis.

    NaN where fewer than MIN_SHARE of the days have a value that is not negative.
    """
    valid = mosaic >= 0
    count = valid.sum(axis=0)
    total = np.where(valid, mosaic, 0).sum(axis=0, dtype="float64")
    enough = (count > 0) & (count >= MIN_SHARE * len(mosaic) - 1e-9)
    return np.where(enough, total / np.maximum(count, 1) * scale, np.nan)


def stored_values(
    layer: xr.DataArray, path: str, cut: dict[str, np.ndarray], nodata: float
) -> np.ndarray:
    """Return the numbers at these positions (days, rows, cols) as stored, negative if missing.

    -1 stands for `nodata`, for what the file calls missing, and for what is no number.
    """
    spans = {name: slice(at.min(), at.max() + 1) for name, at in cut.items()}
    try:
        values = layer.isel(spans).transpose(*cut).to_numpy()
    except OSError as error:
        raise UserError(
            f"{path}: expected NetCDF-4, found values that cannot be read ({error}). "
            "Download it again."
        ) from None
    values = values[np.ix_(*(at - at.min() for at in cut.values()))]
    missing = ~np.isfinite(values)
    codes = [nodata, *(layer.attrs.get(name, nodata) for name in ("_FillValue", "missing_value"))]
    for code in np.hstack([np.ravel(code) for code in codes]).tolist():
        # Integers are compared as integers: as float64 the whole window would take four times
        # the memory.
        missing |= values == (int(code) if float(code).is_integer() else code)
    values = values.astype("int32" if values.dtype.kind in "iu" else "float32")
    values[missing] = -1
    return values


def mosaic_of(
    pieces: dict[str, xr.DataArray], month: str, box: tuple, nodata: float
) -> tuple[Grid, np.ndarray]:
    """Return the window's grid and the month's stored values (days, rows, cols), missing < 0."""
    grid, mosaic = None, None
    dates = pd.date_range(month, periods=pd.Period(month).days_in_month)
    for path, layer in pieces.items():
        per_degree, rows, cols = lattice(layer, path)
        if grid is None:
            grid = window_of(box, per_degree)
            whole_numbers = all(piece.dtype.kind in "iu" for piece in pieces.values())
            kind = "int32" if whole_numbers else "float32"
            mosaic = np.full((len(dates), *grid.shape), -1, kind)
        if abs(grid.transform.a * per_degree - 1) > 1e-9:
            raise UserError(
                f"{path}: expected cells of 1/{round(1 / grid.transform.a)} degree as in "
                f"{next(iter(pieces))}, found 1/{per_degree}. Do not mix editions."
            )
        days = dates.get_indexer(layer["time"].to_index())
        axes = (
            days,
            rows - round((90 - grid.transform.f) * per_degree),
            cols - round((grid.transform.c + 180) * per_degree),
        )
        cut = (np.flatnonzero(days >= 0), *inside(grid, per_degree, rows, cols))
        if not all(map(np.size, cut)):
            continue
        stored = stored_values(layer, path, dict(zip(AXES, cut, strict=True)), nodata)
        differing = placed(
            mosaic, stored, *(axis[part] for axis, part in zip(axes, cut, strict=True))
        )
        if differing:
            raise UserError(
                f"{path}: expected the values of the other pieces where they overlap, found "
                f"{differing} that differ in {month}. Remove the piece of the other version."
            )
    return grid, mosaic


def check(mean: np.ndarray, highest: float, month: str, path: str, scale: float) -> None:
    """Refuse a month without any mean, or with numbers that another scale would give.

    `highest` is the highest daily value in m3/m3.
    """
    if not np.isfinite(mean).any():
        raise UserError(
            f"{path}: expected SMCI in the box on {MIN_SHARE:.0%} of the days of {month}, "
            "found no such cell. Does the folder hold all pieces of the year?"
        )
    median = np.nanmedian(mean)
    if not PLAUSIBLE[0] <= median <= PLAUSIBLE[1]:
        raise UserError(
            f"{path}: expected a median of {PLAUSIBLE[0]} to {PLAUSIBLE[1]} m3/m3 after the scale "
            f"of {scale:g}, found {median:.3g} in {month}. Set smci.scale to what the stored "
            "numbers are multiplied with."
        )
    if highest > 1:
        raise UserError(
            f"{path}: expected soil moisture of at most 1 m3/m3, found {highest:.4g} (stored "
            f"{highest / scale:.6g}) in {month}. If that number means missing, set smci.nodata; "
            "if not, smci.scale."
        )


def counted(mosaic: np.ndarray, mean: np.ndarray, month: str) -> str:
    """Return what the month's mean is made of."""
    never, few = (mosaic < 0).all(axis=0), np.isnan(mean)
    return (
        f"{month}: {mean.size} cells of 1 km, {never.sum()} without any day, "
        f"{(few & ~never).sum()} with less than {MIN_SHARE:.0%} of the days, "
        f"mean {np.nanmean(mean):.4f} m3/m3"
    )


def main(pieces, months, year, box, variable, depth, scale, nodata):
    paths = [pieces] if isinstance(pieces, str) else list(pieces)
    layers = pieces_in(paths, int(year), depth, box, variable, scale)
    for path in months:
        month = Path(path).stem
        grid, mosaic = mosaic_of(layers, month, box, nodata)
        mean = monthly_mean(mosaic, scale)
        check(mean, mosaic.max() * scale, month, next(iter(layers)), scale)
        write(path, grid, {"SMCI": mean}, {"SMCI": "m3/m3"})
        log.info("%s", counted(mosaic, mean, month))


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        pieces=snakemake.input.pieces,
        months=snakemake.output.months,
        year=snakemake.wildcards.year,
        box=snakemake.params.box,
        variable=snakemake.params.variable,
        depth=snakemake.params.depth,
        scale=snakemake.params.scale,
        nodata=snakemake.params.nodata,
    )
