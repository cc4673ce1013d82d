"""The simulated world: what is true of the land, before any instrument looks at it.

A world is a pure function of the area, a seed and a trend. Its fields of one month come from a
random stream of their own, so a year more or less changes no other year. The geometry is that
of the real problem with all ranges a quarter as long: stations in one low, wet valley, gauges
several correlation ranges apart, soil moisture driven by terrain, true texture, rain with
memory, and by fields that no predictor shows. Its coefficients are chosen so that the paper's
way of validating gives numbers like the paper's: that is a design, not a finding. Nobody reads
a world from disk: every rule that simulates an archive builds it anew, and only the scoring
rule reads the true fields.
"""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass
from functools import cached_property
from zlib import crc32

import numpy as np
from pyproj import Transformer

PLATEAU = (85.0, 24.0, 115.0, 40.0)  # west, south, east, north: where the land is 3900 m high
CRS = "+proj=aea +lat_1=28 +lat_2=36 +lat_0=0 +lon_0=101 +datum=WGS84 +units=m +no_defs"
LOWERED = 3400.0  # m by which land outside of the plateau lies lower, and is warmer for it
LAPSE = 6.0  # degC that a kilometre of height is colder
CELL = 250.0
FINE = 3  # cells of the elevation lattice along one cell
MARGIN = 10_000.0  # m that the world reaches beyond the area at least
VALLEY = (102.24, 33.83)  # its centre where the area holds it, else the area's centre
DRY, WET = 0.15, 0.62  # bounds of soil moisture (m3/m3)
NO_TREND_IN = 2013.5  # the year in which a world with a trend equals one without

# Of a mean year, by month: rain of the domain (mm), day-time surface temperature at 3850 m
# (degC), greenness as a share of the yearly maximum, evapotranspiration (mm/day).
RAIN = dict(zip(range(1, 13), (4, 7, 16, 37, 80, 125, 153, 144, 102, 46, 11, 4), strict=True))
WARMTH = dict(zip(range(1, 13), (-2, 2, 7, 12, 15, 17.5, 18.5, 18, 14.5, 10.5, 4, -1), strict=True))
GREEN = dict(
    zip(range(1, 13), (0.3, 0.3, 0.3, 0.38, 0.52, 0.8, 1, 0.97, 0.8, 0.5, 0.36, 0.3), strict=True)
)
WATER_USE = dict(
    zip(range(1, 13), (0.6, 0.7, 1, 1.5, 2, 2.4, 2.7, 2.6, 2.1, 1.5, 0.9, 0.6), strict=True)
)


def stream(seed: int, *names) -> np.random.Generator:
    """Return the random numbers of one thing, e.g. ("rain", 2012, 7), whatever else is drawn."""
    words = [n if isinstance(n, int) else crc32(str(n).encode()) for n in names]
    return np.random.default_rng([seed, *words])


def field(rng, shape: tuple[int, int], length: float, roughness: float = 1.5) -> np.ndarray:
    """Return a random field, mean 0 and SD 1, with correlation scale `length` in cells.

    Its spectrum is (1 + (k length)^2)^-roughness: 1.5 is the exponential covariance in two
    dimensions, more is smoother. Made on a larger torus, so opposite edges do not match.
    """
    size = [60 * -(-int(n + 2 * length) // 60) for n in shape]
    k2 = (np.fft.fftfreq(size[0])[:, None] ** 2 + np.fft.rfftfreq(size[1])[None, :] ** 2).astype(
        "float32"
    )
    noise = np.fft.rfft2(rng.standard_normal(size, dtype="float32"))
    noise *= (1 + k2 * np.float32(2 * np.pi * length) ** 2) ** np.float32(-roughness / 2)
    found = np.fft.irfft2(noise, s=size)[: shape[0], : shape[1]]
    return standard(found)


def standard(values: np.ndarray) -> np.ndarray:
    """Return `values` with mean 0 and SD 1, float32."""
    return ((values - values.mean()) / values.std()).astype("float32")


def coarse(values: np.ndarray, factor: int) -> np.ndarray:
    """Return means over `factor` x `factor` cells; the shape must be a multiple of it."""
    rows, cols = (n // factor for n in values.shape)
    return values.reshape(rows, factor, cols, factor).mean(axis=(1, 3))


def smooth(values: np.ndarray, reach: int) -> np.ndarray:
    """Return means over squares of 2 `reach` + 1 cells; edges repeat outwards."""
    for axis in (0, 1):
        pad = [(0, 0), (0, 0)]
        pad[axis] = (reach + 1, reach)
        total = np.cumsum(np.pad(values, pad, mode="edge"), axis=axis, dtype="float64")
        width = 2 * reach + 1
        upper, lower = (
            total.take(range(start, total.shape[axis] - stop), axis=axis)
            for start, stop in ((width, 0), (0, width))
        )
        values = ((upper - lower) / width).astype("float32")
    return values


@dataclass(frozen=True)
class World:
    """The land: fields on a lattice of 250 m cells, row 0 in the north.

    `left` and `top` (m, multiples of 250) are the outer corner of the lattice in `crs`;
    `elevation` lies on the finer lattice of 83.3 m and counts from `lowered` below the sea.
    """

    area: tuple[float, float, float, float]
    seed: int
    trend: float
    left: float
    top: float
    shape: tuple[int, int]

    @property
    def crs(self) -> str:
        """The projection of the lattice."""
        return projection(self.area)

    @property
    def lowered(self) -> float:
        """By how much (m) the land of the fields lies lower than they say: 0 on the plateau."""
        return 0.0 if on_plateau(self.area) else LOWERED

    @cached_property
    def project(self) -> Transformer:
        """The way from longitude and latitude to the x and y of the lattice."""
        return Transformer.from_crs("OGC:CRS84", self.crs, always_xy=True)

    def season(self, month: int) -> int:
        """Return the month of the northern year that is like `month` here."""
        return month if self.area[1] + self.area[3] > 0 else (month + 5) % 12 + 1

    @cached_property
    def lonlat(self) -> tuple[np.ndarray, np.ndarray]:
        """Longitude and latitude (degrees) of the centres of the lattice's cells."""
        x = self.left + CELL * (np.arange(self.shape[1]) + 0.5)
        y = self.top - CELL * (np.arange(self.shape[0]) + 0.5)
        return self.project.transform(*np.meshgrid(x, y), direction="INVERSE")

    def rows_cols(self, lon, lat, cell: float = CELL) -> tuple[np.ndarray, np.ndarray]:
        """Return the nearest row and column of points; points outside get an edge cell."""
        x, y = self.project.transform(lon, lat)
        factor = round(CELL / cell)
        rows = np.floor((self.top - y) / cell).astype("int32")
        cols = np.floor((x - self.left) / cell).astype("int32")
        height, width = (n * factor for n in self.shape)
        return rows.clip(0, height - 1), cols.clip(0, width - 1)

    def noise(self, length: float, *names, roughness: float = 1.5) -> np.ndarray:
        """Return the field of `names` on the lattice, mean 0, SD 1; `length` in m."""
        return field(stream(self.seed, *names), self.shape, length / CELL, roughness)

    @cached_property
    def valley(self) -> np.ndarray:
        """How far a fine cell lies in the valley of the stations: 1 on its floor, 0 outside."""
        west, south, east, north = self.area
        lon, lat = VALLEY
        if not (west <= lon <= east and south <= lat <= north):
            lon, lat = (west + east) / 2, (south + north) / 2
        x, y = self.project.transform(lon, lat)
        height, width = (FINE * n for n in self.shape)
        step = CELL / FINE
        east_of = self.left + step * (np.arange(width, dtype="float32") + 0.5) - x
        north_of = (self.top - step * (np.arange(height, dtype="float32") + 0.5) - y)[:, None]
        angle = np.radians(20.0)
        along = east_of * np.cos(angle) + north_of * np.sin(angle)
        across = north_of * np.cos(angle) - east_of * np.sin(angle)
        distance = np.hypot(along / 11_000, across / 5_500)
        with np.errstate(over="ignore"):  # far outside it is infinite, and its inverse zero
            return (1 / (1 + np.exp((distance - 1.15) * 9))).astype("float32")

    @cached_property
    def elevation(self) -> np.ndarray:
        """Metres, on the fine lattice: fractal, falling to the east, low basins flattened."""
        shape = tuple(FINE * n for n in self.shape)
        rough = field(stream(self.seed, "elevation"), shape, 20_000 / (CELL / FINE), 1.65)
        east = np.linspace(-1, 1, shape[1], dtype="float32")
        height = 3900 - 330 * east + 350 * rough
        height = np.where(height < 3450, 3450 + 0.5 * (height - 3450), height)
        floor = 3400 + 0.12 * (height - height.mean())
        return height + self.valley * (floor - height)

    @cached_property
    def land(self) -> dict[str, np.ndarray]:
        """What does not change with time, on the lattice, float32.

        elevation (m), slope (degree), northness (-1..1), hollow (SDs, valley bottoms positive),
        sand, silt, clay (%, what a soil map shows), sand_true (SDs), moisture (m3/m3, mean over
        time), rain (share of the domain's rain), green (yearly maximum of NDVI), bare (SDs).
        """
        fine = self.elevation
        step = CELL / FINE
        south, east = np.gradient(fine, step)
        gradient = np.hypot(south, east)
        slope = coarse(np.degrees(np.arctan(gradient)), FINE)
        # Water runs downhill: a slope that falls to the north has elevation rising southwards.
        northness = coarse(south / np.sqrt(1 + gradient**2), FINE)
        elevation = coarse(fine, FINE)
        hollow = standard(smooth(elevation, 4) - elevation) + standard(
            smooth(elevation, 16) - elevation
        )
        first = self.noise(2_500, "sand", roughness=2.5)
        second = self.noise(2_000, "silt", roughness=2.5)
        second = standard(second - (first * second).mean() * first)
        sand_true = standard(0.7 * first + 0.714 * self.noise(1_000, "sand unseen"))
        green = 0.80 - 0.30 * np.maximum((elevation - 3500) / 1000, 0) ** 1.5
        green = green + 0.05 * self.noise(2_000, "green")
        rain = 1 + 0.10 * standard(elevation) + 0.10 * self.noise(6_000, "rain", roughness=2.5)
        terrain = standard(-0.6 * standard(slope) + 0.8 * standard(hollow))
        driven = (
            0.52 * terrain
            - 0.42 * sand_true
            + 0.15 * standard(northness)
            + 0.20 * standard(rain)
            - 0.15 * standard(elevation)
            + 0.48 * self.noise(4_000, "unseen smooth", roughness=2.0)
            + 0.36 * self.noise(300, "unseen fine")
        )
        # Whatever the seed, the stations stand where it is wetter than elsewhere.
        floor = coarse(self.valley, FINE)
        driven = driven + floor * (0.2 - 0.85 * smooth(driven, 16))
        moisture = (0.38 + 0.063 * standard(driven)).clip(DRY + 0.03, WET - 0.03)
        green = green + 0.5 * (moisture - 0.38)
        return {
            "elevation": elevation,
            "slope": slope,
            "northness": northness,
            "hollow": hollow,
            "sand": (45 + 9 * first).clip(5, 88),
            "silt": (37 - 9 * (0.703 * first - 0.278 * second)).clip(2, 88),
            "clay": (18 - 9 * (0.297 * first + 0.278 * second)).clip(2, 60),
            "sand_true": sand_true,
            "moisture": moisture,
            "rain": rain,
            "green": green.clip(0.08, 0.93),
            "bare": self.noise(1_500, "bare"),
        }

    def patch(self, score: np.ndarray, radius: float) -> np.ndarray:
        """Return a disc of cells (`radius` in m) around the best `score` in the area.

        Not in the valley of the stations, and a radius away from the area's edge.
        """
        west, south, east, north = self.area
        lon, lat = self.lonlat
        rim_lat = radius / 111_000
        rim_lon = rim_lat / np.cos(np.radians(lat))
        away = (lon > west + rim_lon) & (lon < east - rim_lon)
        away &= (lat > south + rim_lat) & (lat < north - rim_lat)
        away &= coarse(self.valley, FINE) < 0.05
        if not away.any():
            return away
        row, col = np.unravel_index(np.where(away, score, -np.inf).argmax(), self.shape)
        rows, cols = np.indices(self.shape)
        return np.hypot(rows - row, cols - col) * CELL <= radius

    @cached_property
    def marsh(self) -> np.ndarray:
        """Cells of the wettest plain: a permanent wetland to those who map land cover."""
        return self.patch(smooth(self.land["moisture"], 6), 1_600)

    @cached_property
    def lake(self) -> np.ndarray:
        """Cells of a lake where the land lies lowest: no soil, no evapotranspiration."""
        return self.patch(-self.land["elevation"], 900) & ~self.marsh

    def rain(self, year: int, month: int) -> np.ndarray:
        """Return the rain of a month (mm) on the lattice."""
        domain = RAIN[self.season(month)] * np.exp(
            0.17 * stream(self.seed, "wet", year, month).normal()
        )
        local = self.noise(5_000, "rain", year, month, roughness=2.0)
        return (domain * self.land["rain"] * (1 + 0.22 * local).clip(0.15, None)).astype("float32")

    def month(self, year: int, month: int) -> dict[str, np.ndarray]:
        """Return what is true of one month on the lattice, float32.

        moisture (m3/m3), rain (mm), lst (degC, clear days), ndvi, et (mm/day), albedo.
        """
        land = self.land
        rain = self.rain(year, month)
        before = self.rain(*((year, month - 1) if month > 1 else (year - 1, 12)))
        wet = (0.65 * rain + 0.35 * before - 105) / 42
        draw = stream(self.seed, "month", year, month)
        warm = draw.normal()
        annual = stream(self.seed, "annual", year).normal()
        moisture = land["moisture"] + (
            0.018 * wet
            - 0.003 * warm
            + 0.003 * annual
            + 0.020 * self.noise(3_000, "moisture", year, month, roughness=2.0)
            + self.trend * (year - NO_TREND_IN)
        )
        moisture = moisture.clip(DRY, WET).astype("float32")
        ndvi = land["green"] * GREEN[self.season(month)]
        ndvi = ndvi + 0.03 * self.noise(1_500, "ndvi", year, month) + 0.01 * draw.normal()
        lst = (
            WARMTH[self.season(month)]
            - LAPSE * (land["elevation"] - self.lowered - 3850) / 1000
            - 3 * land["northness"]
            - 22 * (moisture - 0.38)
            + 1.5 * land["bare"]
            + 0.8 * warm
            + 0.8 * self.noise(2_500, "lst", year, month, roughness=2.0)
        )
        et = (
            WATER_USE[self.season(month)]
            + 0.6 * (land["green"] - 0.7)
            + 0.25 * standard(rain)
            + 0.15 * draw.normal()
            + 0.68 * self.noise(2_000, "et", year, month)
        )
        bright = (
            0.165
            - 0.17 * (moisture - 0.38)
            - 0.04 * (land["green"] - 0.7)
            + 0.012 * land["bare"]
            + 0.004 * self.noise(1_500, "albedo", year, month)
        )
        cold = {4: 350, 5: 0, 10: 0, 11: 350}.get(self.season(month), -1200)
        height = land["elevation"] - self.lowered
        with np.errstate(over="ignore"):  # far below the snow line
            snow = 1 / (1 + np.exp((4850 - cold - height) / 40 - draw.normal()))
        return {
            "moisture": moisture,
            "rain": rain,
            "lst": lst.astype("float32"),
            "ndvi": ndvi.clip(0.05, 0.95).astype("float32"),
            "et": et.clip(0.1, None).astype("float32"),
            "albedo": (bright.clip(0.08, 0.30) + 0.45 * snow).astype("float32"),
        }

    def storms(self, year: int, month: int) -> np.ndarray:
        """Return the share of a month's rain that falls on each of its days; they sum to 1."""
        rng = stream(self.seed, "storms", year, month)
        days = rng.gamma(0.6, size=monthrange(year, month)[1])
        days[rng.random(days.size) < 0.35] = 0
        days[rng.integers(days.size)] += 0.5
        return days / days.sum()

    def swing(self, year: int, month: int) -> np.ndarray:
        """Return how far (m3/m3) each day of a month is wetter than the month; mean 0."""
        storms = self.storms(year, month)
        store = np.empty(storms.size)
        level = storms.mean() / 0.15
        for day, rain in enumerate(storms):
            level = store[day] = 0.85 * level + rain
        return 0.05 * (store - store.mean())


def on_plateau(area: tuple[float, float, float, float]) -> bool:
    """Return whether a box (west, south, east, north in degrees) lies where the paper's does."""
    west, south, east, north = area
    return PLATEAU[0] <= west and PLATEAU[1] <= south and east <= PLATEAU[2] and north <= PLATEAU[3]


def projection(area: tuple[float, float, float, float]) -> str:
    """Return the equal-area projection of a world: the paper's, or one around its middle."""
    if on_plateau(area):
        return CRS
    lon, lat = ((area[k] + area[k + 2]) / 2 for k in (0, 1))
    return f"+proj=laea +lat_0={lat:g} +lon_0={lon:g} +datum=WGS84 +units=m +no_defs"


def build(area: list[float], seed: int, trend: float) -> World:
    """Return the world around a box (west, south, east, north in degrees)."""
    west, south, east, north = area
    project = Transformer.from_crs("OGC:CRS84", projection(area), always_xy=True)
    edge = np.linspace(0, 1, 21)
    lon = np.concatenate([west + (east - west) * edge] * 2)
    lat = np.repeat([south, north], len(edge))
    x, y = project.transform(lon, lat)
    left, bottom = (CELL * np.floor((v.min() - MARGIN) / CELL) for v in (x, y))
    right, top = (CELL * np.ceil((v.max() + MARGIN) / CELL) for v in (x, y))
    shape = (round((top - bottom) / CELL), round((right - left) / CELL))
    return World(tuple(area), seed, trend, float(left), float(top), shape)
