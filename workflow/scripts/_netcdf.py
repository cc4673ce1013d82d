"""What the NetCDF exports share: months as days, and variables that are written in strips."""

from __future__ import annotations

from calendar import monthrange
from datetime import date

import h5netcdf
import numpy as np

EPOCH = date(1970, 1, 1)
CLOCK = {"units": f"days since {EPOCH} 00:00:00", "calendar": "standard"}
BLOCK = 512  # cells along a chunk's edge


def bounds(months: list[str]) -> np.ndarray:
    """Return first day and day after the last of months YYYY-MM, (months, 2) days since EPOCH."""
    rows = []
    for year, month in (map(int, name.split("-")) for name in months):
        first = (date(year, month, 1) - EPOCH).days
        rows.append((first, first + monthrange(year, month)[1]))
    return np.array(rows, "float64")


def grown(file: h5netcdf.File, name: str, dimensions: tuple, dtype, attributes: dict):
    """Return a compressed variable to be written in strips."""
    shape = [file.dimensions[dimension].size for dimension in dimensions]
    blocks = (1,) * (len(shape) - 2) + tuple(min(BLOCK, size) for size in shape[-2:])
    variable = file.create_variable(
        name,
        dimensions,
        dtype,
        fillvalue=np.dtype(dtype).type(np.nan),
        chunks=blocks,
        compression="gzip",
        compression_opts=4,
        shuffle=True,
    )
    variable.attrs.update(attributes)
    return variable
