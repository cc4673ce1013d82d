"""ERA5-Land soil moisture as CDS delivers it, opened and freed of what differs between deliveries.

Monthly means come as NetCDF 3 or 4, with `time` or `valid_time`, with or without `number` and
`expver`; where a request mixes kinds of step, as several NetCDF files in one zip.
"""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd
import xarray as xr

from _log import UserError

VARIABLE = "swvl1"
ENGINES = {b"\x89HDF": "h5netcdf", b"CDF\x01": "scipy", b"CDF\x02": "scipy"}
LARGEST = 2 * 10**9  # bytes of one member unpacked; the whole globe for ten years is 1.6 GB


def open_swvl1(files: list[Path | bytes], label: str) -> xr.DataArray:
    """Return swvl1 (m3/m3) with dimensions time, latitude, longitude, north first.

    `files` are the one file that was delivered, or the contents of a zip's members; `label` names
    it in messages. Raises UserError if there is no NetCDF with that variable.
    """
    found = []
    for file in files:
        source = io.BytesIO(file) if isinstance(file, bytes) else file
        begin = file[:20] if isinstance(file, bytes) else _beginning(file)
        engine = ENGINES.get(begin[:4])
        if engine is None:
            raise UserError(
                f"{label}: expected NetCDF or a zip of it, found a file that begins with "
                f"{begin!r}. A message of CDS? Read it, then download again."
            )
        try:
            dataset = xr.open_dataset(source, engine=engine)
        except (OSError, ValueError, TypeError, KeyError, IndexError) as error:
            raise UserError(
                f"{label}: expected whole NetCDF, found a file that cannot be read ({error}). "
                "Download it again."
            ) from None
        if VARIABLE in dataset:
            return _tidy(dataset[VARIABLE], label)
        found += list(dataset.data_vars)
    raise UserError(
        f"{label}: expected variable swvl1 (volumetric_soil_water_layer_1), found "
        f"{', '.join(map(str, found)) or 'no NetCDF file'}. Request that variable."
    )


def months_of(layer: xr.DataArray, label: str) -> pd.Index:
    """Return the month (YYYY-MM) of each step.

    Raises UserError if a month is there twice, as in means by hour of day.
    """
    months = pd.DatetimeIndex(layer["time"].to_numpy()).strftime("%Y-%m")
    twice = months[months.duplicated()]
    if len(twice):
        raise UserError(
            f"{label}: expected each month once, found {twice[0]} again. Request "
            "monthly_averaged_reanalysis, not means by hour of day."
        )
    return months


def _beginning(path: Path) -> bytes:
    with Path(path).open("rb") as file:
        return file.read(20)


def _tidy(layer: xr.DataArray, label: str) -> xr.DataArray:
    if "valid_time" in layer.dims:
        layer = layer.rename(valid_time="time")
    if "expver" in layer.dims:  # preliminary months lie beside final ones; each has one of the two
        layer = layer.max("expver", skipna=True)
    if layer.sizes.get("number", 1) == 1:
        layer = layer.squeeze([name for name in ("number",) if name in layer.dims])
    layer = layer.drop_vars(["number", "expver"], errors="ignore")
    if set(layer.dims) != {"time", "latitude", "longitude"}:
        raise UserError(
            f"{label}: expected dimensions valid_time, latitude, longitude, found "
            f"{', '.join(map(str, layer.dims))}. Request monthly means of one product type."
        )
    layer = layer.transpose("time", "latitude", "longitude")
    return layer.sortby("latitude", ascending=False).sortby("longitude")
