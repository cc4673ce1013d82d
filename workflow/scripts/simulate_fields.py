"""Simulate one year of the gridded moisture products, and keep the truth for the scoring rule.

SMCI (S14) is a smoothed, damped truth with errors of its own, SMC (S12) a coarse and wet one,
ERA5-Land shares part of SMCI's error, as a parent of it would.
"""

import numpy as np

import _world

MISSING = -999  # of SMCI


def axis(low: float, high: float, per_degree: int, margin: int) -> np.ndarray:
    """Return ascending cell centres (degrees) whose edges are multiples of 1 / `per_degree`.

    They cover `low` to `high` and `margin` cells more on either side.
    """
    first = np.floor(round(low * per_degree, 6)) - margin
    last = np.ceil(round(high * per_degree, 6)) + margin
    return (np.arange(first, last) + 0.5) / per_degree


class Cells:
    """Cells of a longitude-latitude grid, row 0 in the north, and the world's cells in them."""

    def __init__(self, world: _world.World, per_degree: int, margin: int):
        west, south, east, north = world.area
        self.world = world
        self.lon = axis(west, east, per_degree, margin)
        self.lat = axis(south, north, per_degree, margin)[::-1]
        lon, lat = world.lonlat
        cols = np.floor((lon - self.lon[0]) * per_degree + 0.5).astype("int32")
        rows = np.floor((self.lat[0] - lat) * per_degree + 0.5).astype("int32")
        self.within = (rows >= 0) & (rows < self.shape[0]) & (cols >= 0) & (cols < self.shape[1])
        self.cell = (rows * self.shape[1] + cols)[self.within]
        self.count = np.bincount(self.cell, minlength=self.lat.size * self.lon.size)

    @property
    def shape(self) -> tuple[int, int]:
        return self.lat.size, self.lon.size

    def mean(self, values: np.ndarray) -> np.ndarray:
        """Return the mean of a field of the world over each cell."""
        total = np.bincount(self.cell, values[self.within], minlength=self.count.size)
        return (total / self.count).reshape(self.shape)

    def noise(self, length: float, *names) -> np.ndarray:
        """Return an error field on the cells, mean 0, SD 1; `length` in m."""
        return _world.standard(self.mean(self.world.noise(length, *names)))


def smci(cells: Cells, moisture: np.ndarray, year: int, month: int) -> np.ndarray:
    """Return SMCI of a month (m3/m3): 0.8 of a blurred truth, and two errors of its own."""
    lasting = cells.mean(cells.world.land["moisture"])
    lasting = 0.5 * lasting + 0.5 * _world.smooth(lasting, 1)
    passing = _world.smooth(cells.mean(moisture - cells.world.land["moisture"]), 1)
    return (
        0.38
        + 0.8 * (lasting - 0.38)
        + 0.8 * passing
        + 0.016 * cells.noise(6_000, "parent error")
        + 0.016 * cells.noise(1_500, "smci error")
        + 0.014 * cells.noise(3_000, "smci error", year, month)
    )


def smc(cells: Cells, moisture: np.ndarray, year: int, month: int) -> np.ndarray:
    """Return SMC of a month (m3/m3): too wet by 0.05, with coarse errors."""
    return (
        0.43
        + 1.15 * (cells.mean(moisture) - 0.38)
        + 0.030 * cells.noise(6_000, "smc error")
        + 0.020 * cells.noise(6_000, "smc error", year, month)
    )


def era5land(cells: Cells, moisture: np.ndarray, year: int, month: int) -> np.ndarray:
    """Return the top layer of ERA5-Land of a month (m3/m3): its error is in SMCI too."""
    return (
        0.375
        + 1.1 * (cells.mean(moisture) - 0.38)
        + 0.020 * cells.noise(6_000, "parent error")
        + 0.010 * cells.noise(10_000, "era5land error", year, month)
    )
