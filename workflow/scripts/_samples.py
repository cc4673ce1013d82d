"""Where the predictors of a month lie among many rasters, and the columns of the samples."""

from __future__ import annotations

import re
from pathlib import Path

import rasterio

from _log import UserError

# Before the predictors: who, when and where; x and y in the grid's CRS, lon and lat in degrees.
KEYS = ("source", "site", "month", "x", "y", "lon", "lat")


def layers(
    rasters: list[str], predictors: tuple[str, ...], months: list[str], grid: str
) -> dict[str, dict[str, str]]:
    """Return {month: {predictor: path}}: bands are found by their description.

    A raster named YYYY-MM.tif holds that month, any other one all months. Every predictor must
    exist in every month, and every raster must lie on the cells of `grid`.
    """
    with rasterio.open(grid) as cells:
        expected = (cells.transform, cells.shape)
    found = {month: {} for month in months}
    for path in rasters:
        with rasterio.open(path) as source:
            if (source.transform, source.shape) != expected:
                raise UserError(
                    f"{path}: expected the cells of {grid}, {expected[1]} from "
                    f"{expected[0][2], expected[0][5]}, found {source.shape} from "
                    f"{source.transform[2], source.transform[5]}. Delete it and run again."
                )
            bands = [band for band in source.descriptions if band in predictors]
        name = Path(path).stem
        dated = re.fullmatch(r"\d{4}-\d{2}", name)
        for month in [name] if dated else months:
            found.get(month, {}).update(dict.fromkeys(bands, path))
    for month, paths in found.items():
        missing = [name for name in predictors if name not in paths]
        if missing:
            raise UserError(
                f"{month}: expected a raster for each predictor, found none with a band "
                f"{', '.join(missing)} among {len(rasters)} rasters."
            )
    return found
