"""Monthly ERA5-Land soil moisture of the top 7 cm, for comparison only (S25, C19, U27).

A file may hold more months, years and cells than are asked for: months are found by their stamps.
"""

from pathlib import Path

import numpy as np
import xarray as xr

import _zip
from _era5land import LARGEST, months_of, open_swvl1
from _log import UserError, log, log_to
from _raster import CRS, Affine, Grid, write


def members(path: str) -> list[Path | bytes]:
    """Return the NetCDF files in what CDS delivered: itself, or the members of a zip."""
    if not _zip.is_zip(path):
        return [Path(path)]
    names = [name for name in _zip.names(path) if name.endswith(".nc")]
    return [_zip.content(path, name, LARGEST) for name in names]


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
    layer = open_swvl1(members(delivered), delivered)
    stamps = months_of(layer, delivered)
    names = [Path(path).stem for path in months]
    missing = [name for name in names if name not in stamps]
    if missing:
        raise UserError(
            f"{delivered}: expected monthly means of {', '.join(missing)}, found "
            f"{', '.join(stamps)}. Request these months too."
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
