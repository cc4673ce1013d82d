"""Monthly ERA5-Land soil moisture of the top 7 cm, for comparison only (S25, C19, U27)."""

import io
import zipfile
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
import xarray as xr

from _log import UserError, log, log_to
from _raster import CRS, Affine, Grid, write

ENGINES = {b"\x89HDF": "h5netcdf", b"CDF\x01": "scipy", b"CDF\x02": "scipy"}


def members(path: str) -> list[bytes]:
    """Return the NetCDF files in what CDS delivered: itself, or the members of a zip."""
    content = Path(path).read_bytes()
    if not content.startswith(b"PK"):
        return [content]
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = [PurePosixPath(name) for name in archive.namelist() if not name.endswith("/")]
        unsafe = [str(name) for name in names if name.is_absolute() or ".." in name.parts]
        if unsafe:
            raise UserError(
                f"{path}: expected plain file names in the zip, found {unsafe[0]}. "
                "It does not come from CDS: delete it and download it again."
            )
        return [archive.read(str(name)) for name in names if name.suffix == ".nc"]


def open_swvl1(path: str) -> xr.DataArray:
    """Return swvl1 (m3/m3) with dimensions time, latitude, longitude, north first."""
    found = []
    for content in members(path):
        engine = ENGINES.get(content[:4])
        if engine is None:
            raise UserError(
                f"{path}: expected NetCDF or a zip of it, found a file that begins with "
                f"{content[:20]!r}. A message of CDS? Read it, then download again."
            )
        dataset = xr.open_dataset(io.BytesIO(content), engine=engine)
        if "swvl1" in dataset:
            return tidy(dataset["swvl1"], path)
        found += list(dataset.data_vars)
    raise UserError(
        f"{path}: expected variable swvl1 (volumetric_soil_water_layer_1), found "
        f"{', '.join(map(str, found)) or 'no NetCDF file'}. Request that variable."
    )


def tidy(layer: xr.DataArray, path: str) -> xr.DataArray:
    """Return a layer of CDS without `number` and `expver`, its time named time, north first."""
    if "valid_time" in layer.dims:
        layer = layer.rename(valid_time="time")
    if "expver" in layer.dims:  # preliminary months lie beside final ones; each has one of the two
        layer = layer.max("expver", skipna=True)
    if layer.sizes.get("number", 1) == 1:
        layer = layer.squeeze([name for name in ("number",) if name in layer.dims])
    layer = layer.drop_vars(["number", "expver"], errors="ignore")
    if set(layer.dims) != {"time", "latitude", "longitude"}:
        raise UserError(
            f"{path}: expected dimensions valid_time, latitude, longitude, found "
            f"{', '.join(map(str, layer.dims))}. Request monthly means of one product type."
        )
    layer = layer.transpose("time", "latitude", "longitude")
    return layer.sortby("latitude", ascending=False).sortby("longitude")


def cells_of(layer: xr.DataArray) -> Grid:
    """Return the grid of the cells around the file's centres, in degrees."""
    lat, lon = (layer[name].to_numpy().astype(float) for name in ("latitude", "longitude"))
    width = (lon[-1] - lon[0]) / (len(lon) - 1)
    height = (lat[0] - lat[-1]) / (len(lat) - 1)
    corner = (lon[0] - width / 2, lat[0] + height / 2)
    width, height, west, north = (round(v, 6) for v in (width, height, *corner))
    transform = Affine(width, 0, west, 0, -height, north)
    return Grid(CRS.from_epsg(4326), transform, len(lon), len(lat))


def main(delivered, months):
    layer = open_swvl1(delivered)
    stamps = pd.DatetimeIndex(layer["time"].to_numpy()).strftime("%Y-%m")
    names = [Path(path).stem for path in months]
    missing = [name for name in names if name not in stamps]
    if missing:
        raise UserError(
            f"{delivered}: expected monthly means of {', '.join(missing)}, found "
            f"{', '.join(stamps)}. Request these months and put each year into its own file."
        )
    grid = cells_of(layer)
    for path, name in zip(months, names, strict=True):
        values = layer[stamps.get_loc(name)].to_numpy().astype("float64")
        low, high = np.nanmin(values), np.nanmax(values)
        if not 0 <= low <= high <= 1:
            raise UserError(
                f"{delivered}: expected soil moisture of 0 to 1 m3/m3, found {low:.4g} to "
                f"{high:.4g} in {name}. Is it another variable?"
            )
        write(path, grid, {"swvl1": values}, {"swvl1": "m3/m3"})
        log.info("%s: %d cells, %d without a value", name, values.size, np.isnan(values).sum())


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(delivered=snakemake.input.delivered, months=snakemake.output.months)
