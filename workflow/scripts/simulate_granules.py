"""Simulate one year of MODIS granules (S4-S7) as the producers write and deliver them.

Each is cut from its tile to what the area needs, in native pixels and stored integers, with
the gaps, flags, special codes and unflagged faults on which real archives test a reader.
"""

from collections import Counter
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from statistics import NormalDist
from tempfile import TemporaryDirectory

import numpy as np

import _archive
import _calendar
import _hdfeos
import _world
from _hdfeos import Layer
from _log import log, log_to

KILOMETRE = _hdfeos.TILE / 1200  # edge of a "1 km" pixel (m); "250 m" and "500 m" nest in it
RIM = 2_000  # m beyond the area that a cut still holds
GRIDS = {
    "MOD13Q1": "MODIS_Grid_16DAY_250m_500m_VI",
    "MOD11A2": "MODIS_Grid_8Day_1km_LST",
    "MOD16A2GF": "MOD_Grid_MOD16A2",
    "MCD43A3": "MOD_Grid_BRDF",
}
# Share of clouded pixels in an 8-day composite, by month.
CLOUDS = {4: 0.12, 5: 0.16, 6: 0.22, 7: 0.34, 8: 0.31, 9: 0.22, 10: 0.13, 11: 0.10}
OLD_SHARE = 0.05  # of the granules for which an older, wrong production is delivered as well


def cut(tile: str, area: tuple[float, float, float, float]) -> tuple[int, int, int, int]:
    """Return top, bottom, left, right of the cut in whole 1 km pixels of the tile."""
    west, south, east, north = area
    radius = 6371007.181
    rim = np.degrees(RIM / radius)
    lat = np.linspace(south - rim, north + rim, 101)[:, None]
    lon = np.array([west - rim / np.cos(np.radians(lat)), east + rim / np.cos(np.radians(lat))])
    x = radius * np.radians(lon) * np.cos(np.radians(lat))
    y = radius * np.radians(lat)
    left, top, *_ = _hdfeos.corners_of_tile(tile)
    edges = (
        np.floor((top - y.max()) / KILOMETRE),
        np.ceil((top - y.min()) / KILOMETRE),
        np.floor((x.min() - left) / KILOMETRE),
        np.ceil((x.max() - left) / KILOMETRE),
    )
    return tuple(int(edge) for edge in np.clip(edges, 0, 1200))


def corners(tile: str, edges: tuple[int, int, int, int]) -> tuple[float, float, float, float]:
    """Return left, top, right, bottom (sinusoidal m) of a cut."""
    x, y, *_ = _hdfeos.corners_of_tile(tile)
    top, bottom, left, right = edges
    return (
        x + left * KILOMETRE,
        y - top * KILOMETRE,
        x + right * KILOMETRE,
        y - bottom * KILOMETRE,
    )


def places(world: _world.World, tile: str, edges: tuple[int, int, int, int]):
    """Return the world's row and column under the centre of each 250 m pixel of a cut."""
    left, top, right, bottom = corners(tile, edges)
    rows, cols = (4 * (edges[1] - edges[0]), 4 * (edges[3] - edges[2]))
    x = left + (right - left) * (np.arange(cols) + 0.5) / cols
    y = top - (top - bottom) * (np.arange(rows) + 0.5) / rows
    lat = np.degrees(y / 6371007.181)[:, None]
    lon = np.degrees(x / 6371007.181) / np.cos(np.radians(lat))
    return world.rows_cols(lon, np.broadcast_to(lat, lon.shape))


def period(product: str, start: date) -> tuple[date, date]:
    """Return the first and last day that a composite with the A-date `start` looks at."""
    if product == "MCD43A3":
        return start - timedelta(8), start + timedelta(7)
    every, restart = (16, False) if product == "MOD13Q1" else (8, True)
    return {p[0]: p for p in _calendar.periods(every, start.year, restart)}[start]


def between(first: date, last: date) -> tuple[tuple[int, int], tuple[int, int], float]:
    """Return the months whose middles enclose that of a period, and the weight of the later."""
    middle = first + (last - first) / 2
    centre = date(middle.year, middle.month, 16)
    other = centre + timedelta(30 if middle >= centre else -30)
    earlier, later = sorted((centre, date(other.year, other.month, 16)))
    weight = (middle - earlier) / (later - earlier)
    return (earlier.year, earlier.month), (later.year, later.month), weight


def blocky(rng, shape: tuple[int, int], share: float, factor: int) -> np.ndarray:
    """Return True in patches a few kilometres wide that cover about `share`.

    `shape` counts pixels of which `factor` make a kilometre.
    """
    rows, cols = (n // factor for n in shape)
    values = _world.field(rng, (rows, cols), 4, 2.0)
    return spread(values > NormalDist().inv_cdf(1 - share), factor)


def spread(values: np.ndarray, factor: int) -> np.ndarray:
    """Return `values` with each pixel repeated `factor` x `factor` times."""
    return values.repeat(factor, axis=0).repeat(factor, axis=1)


def scattered(rng, shape: tuple[int, int], share: float) -> np.ndarray:
    """Return True at single pixels chosen with probability `share`."""
    return rng.random(shape, dtype="float32") < share


def vegetation(rng, ndvi, snow, clouds: float, first: date) -> tuple[dict[str, Layer], Counter]:
    """Return the layers of MOD13Q1 for true `ndvi` and `snow` (True) on 250 m pixels."""
    shape = ndvi.shape
    ndvi = ndvi + 0.01 * rng.standard_normal(shape, dtype="float32")
    marginal = blocky(rng, shape, 0.15, 4)
    cloud = blocky(rng, shape, 0.3 * clouds, 4)
    unseen = scattered(rng, shape, 0.01) & ~cloud
    fill = scattered(rng, shape, 0.0005)
    drop = 0.35 + 0.4 * rng.random(shape, dtype="float32")
    ndvi = np.where(cloud | unseen, ndvi * drop, ndvi - 0.02 * marginal)
    ndvi = np.where(snow, 0.02, ndvi)
    # Land, low aerosol; then MODLAND and usefulness by class, in the order of the bad luck.
    quality = np.full(shape, (1 << 11) | (1 << 6), dtype="uint16")
    quality += (marginal * (1 | (4 << 2))).astype("uint16")
    quality[cloud] = (1 << 11) | (3 << 6) | (1 << 10) | (10 << 2) | 2
    quality[snow] = (1 << 11) | (1 << 6) | (1 << 14) | (8 << 2) | 1
    rank = np.select([fill, snow, cloud, marginal], [-1, 2, 3, 1], 0).astype("int8")
    days = 16 * rng.random((shape[0] // 4, shape[1] // 4), dtype="float32")
    year = date(first.year, 12, 31).timetuple().tm_yday
    day = (first.timetuple().tm_yday + spread(days.astype("int16"), 4) - 1) % year + 1
    stored = np.rint(ndvi * 10000).clip(-2000, 10000).astype("int16")
    stored[fill], quality[fill], day[fill] = -3000, 65535, -1
    name = "250m 16 days {}".format
    layers = {
        name("NDVI"): Layer(stored, name("NDVI"), "NDVI", (-2000, 10000), -3000, 10000.0),
        name("VI Quality"): Layer(
            quality, "250m 16 days VI Quality", "bit field", (0, 65534), 65535
        ),
        name("composite day of the year"): Layer(
            day.astype("int16"), name("composite day of the year"), "Julian day", (1, 366), -1
        ),
        name("pixel reliability"): Layer(rank, name("pixel reliability"), "rank", (0, 3), -1),
    }
    return layers, _count(fill=fill, snow=snow, cloud=cloud, unflagged=unseen)


def temperature(rng, lst, clouds: float) -> tuple[dict[str, Layer], Counter]:
    """Return the layers of MOD11A2 for true day-time `lst` (degC) on 1 km pixels."""
    shape = lst.shape
    counts = Counter()
    layers = {}
    for part, colder in (("Day", 0.0), ("Night", 14.0)):
        gap = blocky(rng, shape, clouds, 1)
        other = scattered(rng, shape, 0.25)
        flagged = scattered(rng, shape, 0.02) & ~gap
        unseen = scattered(rng, shape, 0.003) & ~gap & ~flagged
        chill = 6 + 10 * rng.random(shape, dtype="float32")
        warmth = lst - colder + 0.5 * rng.standard_normal(shape, dtype="float32")
        warmth = warmth - chill * (flagged | unseen)
        stored = np.rint((warmth + 273.15) / 0.02).clip(7500, 65535).astype("uint16")
        error = rng.integers(0, 3, shape, dtype="uint8")
        quality = np.where(other, 1 | (error << 6), 0).astype("uint8")
        quality[flagged] = 1 | (3 << 6)
        quality[unseen] = 0
        # Not produced: mostly said to be cloud, seldom something else, sometimes not said.
        reason = rng.random(shape, dtype="float32")
        quality[gap] = np.select([reason < 0.05, reason < 0.15], [0, 3], 2)[gap]
        stored[gap] = 0
        layers[f"LST_{part}_1km"] = Layer(
            stored,
            f"8-day {part.lower()}time 1km grid Land-surface Temperature",
            "K",
            (7500, 65535),
            0,
            0.02,
        )
        layers[f"QC_{part}"] = Layer(
            quality, f"Quality control for {part.lower()}time LST", "bit field", (0, 255)
        )
        if part == "Day":
            counts = _count(gap=gap, cold_flagged=flagged, cold_unflagged=unseen)
            bits = rng.integers(1, 256, shape, dtype="uint8")
            bits[gap] = 0
            layers["Clear_sky_days"] = Layer(
                bits,
                "the days in clear-sky conditions and with validated LSTs",
                "none",
                (1, 255),
                0,
            )
    return layers, counts


def water_use(rng, et, days: int, classes, clouds: float) -> tuple[dict[str, Layer], Counter]:
    """Return the layers of MOD16A2GF for true `et` (mm/day) on 500 m pixels.

    `classes` holds the code of land without retrieval (32761..32766) and 0 elsewhere; the file
    holds the total of the period's `days`.
    """
    shape = et.shape
    et = et + 0.1 * rng.standard_normal(shape, dtype="float32")
    cloudy = blocky(rng, shape, clouds, 2)
    failed = scattered(rng, shape, 0.01)
    fill = scattered(rng, shape, 0.001)
    # What was not produced by either algorithm is still a number in the file, and a wrong one.
    total = np.where(failed, 0.2 * et, et) * days
    stored = np.rint(total / 0.1).clip(0, 32700).astype("int16")
    quality = np.where(cloudy, (1 << 3) | (1 << 5), 0).astype("uint8")
    quality[failed] = 1 | (4 << 5)
    stored = np.where(classes > 0, classes, stored).astype("int16")
    stored[fill], quality[fill] = 32767, 255
    layers = {
        "ET_500m": Layer(
            stored,
            "MODIS Gridded 500m 8-day Composite Evapotranspiration (ET)",
            "kg/m^2/8day",
            (-32767, 32700),
            32767,
            0.1,
        ),
        "ET_QC_500m": Layer(
            quality, "MODIS Gridded 500m 8-day Composite ET QC", "none", (0, 254), 255
        ),
    }
    return layers, _count(fill=fill, special=classes > 0, not_produced=failed)


def brightness(rng, albedo, clouds: float) -> tuple[dict[str, Layer], Counter]:
    """Return the layers of MCD43A3 for true white-sky shortwave `albedo` on 500 m pixels."""
    shape = albedo.shape
    magnitude = blocky(rng, shape, 0.8 * clouds, 2)
    fill = blocky(rng, shape, 0.15 * clouds, 2)
    spread_of = np.where(magnitude, 0.008, 0.003).astype("float32")
    white = albedo + spread_of * rng.standard_normal(shape, dtype="float32")
    quality = magnitude.astype("uint8")
    quality[fill] = 255
    layers = {}
    for name, values in (("BSA", 0.95 * white), ("WSA", white)):
        stored = np.rint(values / 0.001).clip(0, 32766).astype("int16")
        stored[fill] = 32767
        field = f"Albedo_{name}_shortwave"
        layers[field] = Layer(stored, field, "reflectance, no units", (0, 32766), 32767, 0.001)
    field = "BRDF_Albedo_Band_Mandatory_Quality_shortwave"
    layers[field] = Layer(quality, field, "bit field", (0, 254), 255)
    return layers, _count(fill=fill, magnitude=magnitude)


def _count(**masks: np.ndarray) -> Counter:
    counts = {name: int(mask.sum()) for name, mask in masks.items()}
    return Counter(pixels=next(iter(masks.values())).size, **counts)


def land_classes(world: _world.World, rows, cols) -> np.ndarray:
    """Return the codes that MOD16 stores instead of a value (0: none) on 500 m pixels."""

    def covers(mask):
        return _world.coarse(mask[rows, cols].astype("float32"), 2) >= 0.5

    rng = _world.stream(world.seed, "classes")
    town, bare, unknown = (rng.random(world.shape) < share for share in (4e-4, 2e-3, 1e-4))
    return np.select(
        [
            covers(world.marsh),
            covers(world.lake),
            covers(world.land["elevation"] > 5050),
            covers(town),
            covers(bare),
            covers(unknown),
        ],
        [32763, 32766, 32764, 32762, 32765, 32761],
        0,
    )


def spoiled(layers: dict[str, Layer]) -> dict[str, Layer]:
    """Return a granule as an older production had it: its values shifted for all to see."""
    shifts = {"250m 16 days NDVI": -1500, "LST_Day_1km": 400, "ET_500m": 60}
    shifts |= {"Albedo_BSA_shortwave": 100, "Albedo_WSA_shortwave": 100}
    old = dict(layers)
    for name in shifts.keys() & layers.keys():
        layer = layers[name]
        low, high = layer.valid_range
        data = (layer.values >= low) & (layer.values <= high) & (layer.values != layer.fill)
        wide = layer.values.astype("int32")
        values = np.where(data, (wide + shifts[name]).clip(low, high), wide)
        old[name] = replace(layer, values=values.astype(layer.values.dtype))
    return old


def facts(name: str, first: date, last: date) -> dict[str, str | int]:
    """Return the inventory of a granule of the delivered `name`."""
    parts = _archive.parsed(name)
    made = parts["made"]
    day = date(int(made[:4]), 1, 1) + timedelta(int(made[4:7]) - 1)
    return {
        "LOCALGRANULEID": name,
        "PRODUCTIONDATETIME": f"{day}T{made[7:9]}:{made[9:11]}:{made[11:]}.000Z",
        "RANGEBEGINNINGDATE": first.isoformat(),
        "RANGEBEGINNINGTIME": "00:00:00",
        "RANGEENDINGDATE": last.isoformat(),
        "RANGEENDINGTIME": "23:59:59",
        "SHORTNAME": parts["product"],
        "VERSIONID": 61,
        "HORIZONTALTILENUMBER": int(parts["tile"][1:3]),
        "VERTICALTILENUMBER": int(parts["tile"][4:6]),
    }


class Camera:
    """What the satellites see of a world through one tile."""

    def __init__(self, world: _world.World, tile: str, months: dict):
        self.world, self.tile, self.months = world, tile, months
        self.edges = cut(tile, world.area)
        self.rows, self.cols = places(world, tile, self.edges)
        self.classes = land_classes(world, self.rows, self.cols)

    def seen(self, name: str, first: date, last: date, factor: int) -> np.ndarray:
        """Return a field of the world in the middle of a period, on `factor` x 250 m pixels."""
        earlier, later, weight = between(first, last)
        for month in (earlier, later):
            if month not in self.months:
                self.months[month] = self.world.month(*month)
        truth = (1 - weight) * self.months[earlier][name] + weight * self.months[later][name]
        return _world.coarse(truth[self.rows, self.cols].astype("float32"), factor)

    def layers(self, product: str, start: date) -> tuple[dict[str, Layer], Counter]:
        """Return the layers of one granule, and how many pixels have which defect."""
        first, last = period(product, start)
        rng = _world.stream(self.world.seed, product, start.isoformat(), self.tile)
        clouds = CLOUDS.get(self.world.season((first + (last - first) / 2).month), 0.1)
        if product == "MOD13Q1":
            snow = self.seen("albedo", first, last, 1) > 0.35
            return vegetation(rng, self.seen("ndvi", first, last, 1), snow, clouds, first)
        if product == "MOD11A2":
            return temperature(rng, self.seen("lst", first, last, 4), clouds)
        if product == "MOD16A2GF":
            et, days = self.seen("et", first, last, 2), (last - first).days + 1
            return water_use(rng, et, days, self.classes, clouds)
        return brightness(rng, self.seen("albedo", first, last, 2), clouds)


def deliver(camera: Camera, product: str, start: date, final: Path) -> Counter:
    """Write one granule as it is delivered, put it in place, return its defects."""
    layers, counts = camera.layers(product, start)
    first, last = period(product, start)
    rng = _world.stream(camera.world.seed, "production", product, start.isoformat(), camera.tile)
    old = rng.random() < OLD_SHARE
    clock = f"{rng.integers(1, 366):03d}{rng.integers(24):02d}{rng.integers(3600):04d}"
    final.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=final.parent, prefix=".delivered-") as folder:
        productions = {"2021": layers} | ({"2020": spoiled(layers)} if old else {})
        for year, content in productions.items():
            name = f"{product}.A{start:%Y%j}.{camera.tile}.061.{year}{clock}.hdf"
            _hdfeos.write_granule(
                str(Path(folder) / name),
                GRIDS[product],
                corners(camera.tile, camera.edges),
                content,
                facts(name, first, last),
                deflate=1,
                identifier_product_doi=f"10.5067/MODIS/{product}.061",
            )
        _archive.place(sorted(Path(folder).iterdir()), final, simulated=True)
    return counts + Counter(granules=1, superseded=int(old))


def main(granules, area, seed, trend):
    world = _world.build(area, seed, trend)
    cameras, months, counts = {}, {}, {}
    for path in map(Path, granules):
        product, day, tile = path.parts[-3], path.parts[-2], path.stem
        if tile not in cameras:
            cameras[tile] = Camera(world, tile, months)
        found = deliver(cameras[tile], product, date.fromisoformat(day), path)
        counts[product] = counts.get(product, Counter()) + found
    for product, found in counts.items():
        log.info("%s: %s", product, ", ".join(f"{n} {name}" for name, n in found.items()))


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        granules=snakemake.output.granules,
        area=snakemake.params.area,
        seed=snakemake.params.seed,
        trend=snakemake.params.trend,
    )
