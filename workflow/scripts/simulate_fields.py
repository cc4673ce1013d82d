"""Simulate one year of the gridded moisture products, and keep the truth for the scoring rule.

SMCI (S14) is a smoothed, damped truth with errors of its own, SMC (S12) a coarse and wet one,
ERA5-Land shares part of SMCI's error, as a parent of it would.
"""

from calendar import monthrange
from collections import Counter
from datetime import date

import h5netcdf
import h5py
import numpy as np
import rasterio
from rasterio.crs import CRS
from rasterio.transform import from_origin

import _raster
import _world
from _log import log, log_to
from _whole import whole

TRUTH_UNITS = {"soil_moisture": "m3/m3", "precipitation": "mm/month"}
MISSING = -999  # of SMCI
LOST = {"SMCI days": 0.015, "SMC cells": 0.01}  # shares of what the archives lack


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
        # Cells beyond the world's edge take what lies nearest to them.
        self.nearest = world.rows_cols(*np.meshgrid(self.lon, self.lat))

    @property
    def shape(self) -> tuple[int, int]:
        return self.lat.size, self.lon.size

    def mean(self, values: np.ndarray) -> np.ndarray:
        """Return the mean of a field of the world over each cell."""
        total = np.bincount(self.cell, values[self.within], minlength=self.count.size)
        means = (total / np.maximum(self.count, 1)).reshape(self.shape)
        return np.where(self.count.reshape(self.shape) > 0, means, values[self.nearest])

    def noise(self, length: float, *names) -> np.ndarray:
        """Return an error field on the cells, mean 0, SD 1; `length` in m."""
        return _world.standard(self.mean(self.world.noise(length, *names)))


def smci_month(cells: Cells, moisture: np.ndarray, year: int, month: int) -> np.ndarray:
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


def smc_month(cells: Cells, moisture: np.ndarray, year: int, month: int) -> np.ndarray:
    """Return SMC of a month (m3/m3): too wet by 0.05, with coarse errors."""
    return (
        0.43
        + 1.25 * (cells.mean(moisture) - 0.38)
        + 0.026 * cells.noise(6_000, "smc error")
        + 0.018 * cells.noise(6_000, "smc error", year, month)
    )


def era5land_month(cells: Cells, moisture: np.ndarray, year: int, month: int) -> np.ndarray:
    """Return the top layer of ERA5-Land of a month (m3/m3): its error is in SMCI too."""
    return (
        0.375
        + 1.2 * (cells.mean(moisture) - 0.38)
        + 0.016 * cells.noise(6_000, "parent error")
        + 0.010 * cells.noise(10_000, "era5land error", year, month)
    )


def smci_days(cells: Cells, monthly: np.ndarray, year: int, month: int) -> np.ndarray:
    """Return the days of a month as SMCI stores them: int16, 0.001 m3/m3, -999 missing.

    Shape (days, rows, cols). The lake is missing, a few days are missing everywhere, and so
    are single cells on single days. Values round so that their mean stays that of the month.
    """
    swing = cells.world.swing(year, month)
    rng = _world.stream(cells.world.seed, "smci days", year, month)
    stored = monthly + 0.8 * swing[:, None, None]
    stored = np.floor(1000 * stored + rng.random(stored.shape, dtype="float32")).astype("int16")
    stored[rng.random(swing.size) < LOST["SMCI days"]] = MISSING
    stored[rng.random(stored.shape, dtype="float32") < 0.001] = MISSING
    stored[:, cells.mean(cells.world.lake) >= 0.5] = MISSING
    return stored


def days(year: int, months: list[int]) -> np.ndarray:
    """Return the days of `months` as days since 1 January of `year`."""
    first = date(year, 1, 1)
    return np.array(
        [
            (date(year, month, day) - first).days
            for month in months
            for day in range(1, monthrange(year, month)[1] + 1)
        ],
        dtype="int32",
    )


def write_smci(path: str, year: int, time, lat, lon, stored) -> None:
    """Write one piece of SMCI: NetCDF-4, dimensions time, lat, lon."""
    with whole(path) as part, h5netcdf.File(part, "w") as file:
        file.dimensions = {"time": time.size, "lat": lat.size, "lon": lon.size}
        for name, values, unit in (
            ("time", time, f"days since {year}-01-01 00:00:00"),
            ("lat", lat, "degrees_north"),
            ("lon", lon, "degrees_east"),
        ):
            file.create_variable(name, (name,), data=values).attrs["units"] = unit
        field = file.create_variable(
            "SMCI",
            ("time", "lat", "lon"),
            data=stored,
            chunks=(min(31, time.size), lat.size, lon.size),
            compression="gzip",
            compression_opts=1,
            shuffle=True,
        )
        field.attrs["units"] = "0.001m3/m3"
        field.attrs["missing_value"] = np.int16(MISSING)


def smc_gaps(cells: Cells, values: np.ndarray, year: int, month: int) -> np.ndarray:
    """Return SMC with its gaps: -9999 as the file says, or 0 as it does not."""
    rng = _world.stream(cells.world.seed, "smc gaps", year, month)
    chance = rng.random(values.shape)
    share = LOST["SMC cells"]
    return np.select([chance < share, chance > 1 - share / 2], [-9999.0, 0.0], values)


def write_smc(path: str, cells: Cells, values: np.ndarray) -> None:
    """Write one month of SMC: GeoTIFF on longitude and latitude."""
    west, north = round(cells.lon[0] - 0.025, 6), round(cells.lat[0] + 0.025, 6)
    profile = {
        "driver": "GTiff",
        "dtype": "float32",
        "nodata": -9999.0,
        "count": 1,
        "crs": "EPSG:4326",
        "transform": from_origin(west, north, 0.05, 0.05),
        "width": cells.shape[1],
        "height": cells.shape[0],
        "compress": "deflate",
    }
    with _raster.proven(path) as part, rasterio.open(part, "w", **profile) as target:
        target.write(values.astype("float32"), 1)


def write_era5land(path: str, cells: Cells, year: int, months: list[int], values) -> None:
    """Write a year of ERA5-Land monthly means as the Climate Data Store delivers them."""
    epoch = date(1970, 1, 1)
    stamps = np.array([(date(year, m, 1) - epoch).days * 86400 for m in months], dtype="int64")
    with whole(path) as part, h5netcdf.File(part, "w") as file:
        file.dimensions = {
            "valid_time": stamps.size,
            "latitude": cells.lat.size,
            "longitude": cells.lon.size,
        }
        time = file.create_variable("valid_time", ("valid_time",), data=stamps)
        time.attrs["units"] = "seconds since 1970-01-01"
        time.attrs["calendar"] = "proleptic_gregorian"
        file.create_variable("latitude", ("latitude",), data=cells.lat)
        file.create_variable("longitude", ("longitude",), data=cells.lon)
        file.create_variable("number", (), data=np.int64(0))
        expver = file.create_variable("expver", ("valid_time",), dtype=h5py.string_dtype())
        expver[:] = np.array(["0001"] * stamps.size, dtype=object)
        layer = file.create_variable(
            "swvl1",
            ("valid_time", "latitude", "longitude"),
            data=np.stack(values).astype("float32"),
            fillvalue=np.float32(np.nan),
        )
        layer.attrs["units"] = "m**3 m**-3"
        layer.attrs["long_name"] = "Volumetric soil water layer 1"
        layer.attrs["coordinates"] = "number expver"


def truth_window(world: _world.World) -> tuple[slice, slice, _raster.Grid]:
    """Return the rows and columns of the world that the area touches, and their grid."""
    west, south, east, north = world.area
    side = np.linspace(0, 1, 101)
    lon, lat = np.meshgrid(west + (east - west) * side, south + (north - south) * side)
    rows, cols = world.rows_cols(lon, lat)
    top, left = int(rows.min()), int(cols.min())
    bottom, right = int(rows.max()) + 1, int(cols.max()) + 1
    transform = from_origin(
        world.left + left * _world.CELL, world.top - top * _world.CELL, _world.CELL, _world.CELL
    )
    grid = _raster.Grid(CRS.from_string(world.crs), transform, right - left, bottom - top)
    return slice(top, bottom), slice(left, right), grid


def pieces(rows: int) -> list[tuple[slice, int]]:
    """Return the rows of the northern and the southern piece, and the order they are stored in.

    The northern piece runs from north to south, the southern one from south to north.
    """
    half = rows // 2
    return [(slice(0, half), 1), (slice(half, rows), -1)]


def main(smci, smc, era5land, truth, year, months, area, seed, trend):
    year = int(year)
    world = _world.build(area, seed, trend)
    fine, middle, wide = (Cells(world, *grid) for grid in ((120, 3), (20, 2), (10, 1)))
    rows, cols, grid = truth_window(world)
    dailies, coarse, gaps = [], [], Counter()
    for month, smc_file, truth_file in zip(months, smc, truth, strict=True):
        found = world.month(year, month)
        moisture = found["moisture"]
        dailies.append(smci_days(fine, smci_month(fine, moisture, year, month), year, month))
        values = smc_gaps(middle, smc_month(middle, moisture, year, month), year, month)
        write_smc(smc_file, middle, values)
        gaps.update(values.ravel().tolist())
        coarse.append(era5land_month(wide, moisture, year, month))
        layers = {"soil_moisture": moisture[rows, cols], "precipitation": found["rain"][rows, cols]}
        _raster.write(truth_file, grid, layers, TRUTH_UNITS, simulated="true")
    write_era5land(era5land, wide, year, months, coarse)
    stored, time = np.concatenate(dailies), days(year, months)
    for path, (part, step) in zip(smci, pieces(fine.lat.size), strict=True):
        write_smci(path, year, time, fine.lat[part][::step], fine.lon, stored[:, part][:, ::step])
    log.info("SMC: %d cells -9999 and %d cells 0 of %d", gaps[-9999], gaps[0], gaps.total())
    log.info("SMCI: %d of %d cell-days missing", (stored == MISSING).sum(), stored.size)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        smci=snakemake.output.smci,
        smc=snakemake.output.smc,
        era5land=snakemake.output.era5land,
        truth=snakemake.output.truth,
        year=snakemake.wildcards.year,
        months=snakemake.params.months,
        area=snakemake.params.area,
        seed=snakemake.params.seed,
        trend=snakemake.params.trend,
    )
