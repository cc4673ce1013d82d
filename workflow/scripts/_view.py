"""Rasters as a figure shows them: read coarsely, on one set of cells, so memory stays small."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import rasterio
from rasterio.enums import Resampling


def coarse(path: str, most: int, band: str | int = 1, how: str = "average") -> np.ndarray:
    """Return a band as float64, NaN where nodata, in about `most` cells along the longer side.

    Cells are joined by whole numbers of them; nothing is joined in a raster that is small enough.
    """
    with rasterio.open(path) as source:
        number = band if isinstance(band, int) else source.descriptions.index(band) + 1
        step = max(1, max(source.shape) // most)
        shape = tuple(-(-side // step) for side in source.shape)
        layer = source.read(number, out_shape=shape, resampling=Resampling[how], masked=True)
    return layer.astype("float64").filled(np.nan)


def season_mean(layers: Iterable[np.ndarray]) -> np.ndarray:
    """Return the mean over months of the cells that have a value in at least half of them."""
    total, count, months = 0.0, 0, 0
    for layer in layers:
        here = np.isfinite(layer)
        total = total + np.where(here, layer, 0)
        count = count + here.astype("uint8")
        months += 1
    enough = count >= max(1, months / 2)
    return np.where(enough, total / np.maximum(count, 1), np.nan)


@dataclass(frozen=True)
class View:
    """The study area at the resolution of a panel.

    `area` is True inside; `longitude` and `latitude` are degrees; `weights` are proportional to
    the area of a cell: cos(latitude) on a grid in degrees, else 1. All have one shape.
    """

    most: int
    area: np.ndarray
    longitude: np.ndarray
    latitude: np.ndarray
    weights: np.ndarray

    @classmethod
    def of(cls, grid: str, lonlat: str, most: int) -> View:
        """Return the view of grid.tif and lonlat.tif in about `most` cells a side."""
        area = coarse(grid, most) == 1
        longitude, latitude = (coarse(lonlat, most, band, "nearest") for band in (1, 2))
        with rasterio.open(grid) as source:
            geographic = source.crs.is_geographic
        weights = np.cos(np.radians(latitude)) if geographic else np.ones(area.shape)
        return cls(most, area, longitude, latitude, weights)

    def layer(self, path: str, band: str | int = 1) -> np.ndarray:
        """Return a band of a raster on the grid; NaN outside the area."""
        return np.where(self.area, coarse(path, self.most, band), np.nan)

    def summary(self, layer: np.ndarray) -> dict[str, float]:
        """Return the number of cells shown with a value, their area-weighted mean and range."""
        here = np.isfinite(layer)
        if not here.any():
            return dict(n=0)
        values = layer[here]
        mean = np.average(values, weights=self.weights[here])
        low, high = np.percentile(values, [0.1, 99.9])
        return {
            "n": len(values),
            "mean": mean,
            "min": values.min(),
            "p0.1": low,
            "p99.9": high,
            "max": values.max(),
        }
