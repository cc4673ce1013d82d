"""What the maps look like in numbers: area, ranges, where it is wet, how smooth (N8, N22-N24, N29,
N30, N38, N39).

All by equal area, over the cells of the study area: those of the map, or cells of a product whose
centre lies in it. A forest averages and learns from cells of 1 km, so its map is smooth whether it
is right or not: a small local SD or nugget is no sign of accuracy (C23). SMCI put on the map's
cells is smooth within its own of 1 km too, and more so if interpolated; both ways are given.
Rasters are read strip by strip, twice where percentiles are asked for: first their range, then a
histogram of it.
"""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import rasterio
from rasterio.windows import Window
from scipy.ndimage import uniform_filter

from _area import weights
from _log import UserError, log, log_to
from _raster import Grid, bilinear, inside, inside_of, lonlat, nearest, read
from _season import season_of
from _table import write_table

COLUMNS = ("quantity", "part", "product", "value", "n")
MAP = "map"
PARTS = {"min": 0, "p0.1": 0.001, "p99.9": 0.999, "max": 1}
BINS = 2**20  # of the range of the values: how finely percentiles are known
RADIUS = 6_371_007.2  # metres; of the sphere with the earth's area
WINDOW = 3000.0  # metres across, at most
LAG = 1000.0  # metres; a cell of SMCI
BULK = (np.float32(0.3), np.float32(0.4))  # m3/m3, rounded as the maps' values are
POSITION = "TPI6000"

Weighed = Iterator[tuple[np.ndarray, np.ndarray]]


def quantiles(parts: Callable[[], Weighed], shares) -> tuple[list[float], int]:
    """Return the least values that hold each share (0 to 1) of the weight, and how many there are.

    `parts` returns the finite values and weights part by part, each time it is called. Known to a
    millionth of the range from above, 0 and 1 (least and largest value) exactly; NaN of none.
    """
    low, high, n = np.inf, -np.inf, 0
    for values, _ in parts():
        if len(values):
            low, high, n = min(low, values.min()), max(high, values.max()), n + len(values)
    if n == 0 or low == high:
        return [float(low) if n else np.nan] * len(shares), n
    held = np.zeros(BINS)
    for values, weight in parts():
        number = ((values - low) * (BINS / (high - low))).astype("int64")
        held += np.bincount(np.minimum(number, BINS - 1), weight, BINS)
    held = np.cumsum(held)
    number = np.searchsorted(held, (np.array(shares) - 1e-12) * held[-1])
    found = np.where(number < BINS - 1, low + (number + 1) * ((high - low) / BINS), high)
    exact = {0: low, 1: high}
    return [float(exact.get(s, value)) for s, value in zip(shares, found, strict=True)], n


def by_class(layers: Callable, shares) -> list[tuple[float, int]]:
    """Return the mean and the count of values in classes split at shares of the area.

    `layers` returns what is split, the values (NaN where missing) and weights part by part.
    """
    edges, _ = quantiles(lambda: ((split, weight) for split, _, weight in layers()), shares)
    sums = np.zeros((3, len(shares) + 1))
    for split, values, weight in layers():
        here = np.isfinite(values)
        number = np.searchsorted(edges, split[here])  # a value on an edge is below it
        for row, each in enumerate((weight[here], weight[here] * values[here], None)):
            sums[row] += np.bincount(number, each, len(shares) + 1)
    return [(total / w if w else np.nan, int(n)) for w, total, n in sums.T]


def values_of(paths: list[str], grid: str) -> Callable[[], Weighed]:
    """Return a function that returns the values and weights in the study area, strip by strip."""
    cells = Grid.of(paths[0])
    area = inside_of(cells, grid)

    def parts():
        for path in paths:
            for window in cells.blocks():
                layer = read(path, window=window)
                here = area(window) & np.isfinite(layer)
                yield layer[here], weights(cells.crs, cells.centres(window)[1][here])

    return parts


def ranges(quantity: str, product: str, paths: list[str], grid: str) -> list[tuple]:
    """Return rows of COLUMNS: the range of rasters of one grid; n counts cells x rasters."""
    found, n = quantiles(values_of(paths, grid), list(PARTS.values()))
    return [(quantity, part, product, value, n) for part, value in zip(PARTS, found, strict=True)]


def metres(cells: Grid) -> tuple[float, float, float]:
    """Return the height and width (m) of a cell in the middle of the grid, and m2 per `weights`."""
    down, right = abs(cells.transform.e), abs(cells.transform.a)
    if not cells.crs.is_geographic:
        return down, right, down * right
    down, right = (RADIUS * np.deg2rad(side) for side in (down, right))
    bottom, top = cells.extent[2:]
    return down, right * np.cos(np.deg2rad((bottom + top) / 2)), down * right


def season(paths: list[str], window: Window | None = None) -> np.ndarray:
    """Return the mean of rasters where at least half of them have a value, else NaN."""
    total, count = 0.0, 0
    for path in paths:
        layer = read(path, window=window)
        here = np.isfinite(layer)
        total, count = total + np.where(here, layer, 0), count + here
    enough = (count > 0) & (2 * count >= len(paths))
    return np.where(enough, total / np.maximum(count, 1), np.nan)


def ground(grid: str, static: str) -> list[tuple]:
    """Return rows of COLUMNS: the area (km2) and its mean altitude (m)."""
    cells, area, sums = Grid.of(grid), np.zeros(2), np.zeros(3)
    for window in cells.blocks():
        here = inside(grid, window)
        share = weights(cells.crs, cells.centres(window)[1][here])
        area += here.sum(), share.sum()
        height = read(static, "DEM", window)[here]
        given = np.isfinite(height)
        sums += given.sum(), share[given].sum(), (share * height)[given].sum()
    if not area[0]:
        raise UserError(f"{grid}: expected cells inside the study area, found none.")
    altitude = sums[2] / sums[1] if sums[0] else np.nan
    return [
        ("area_km2", "all", "", area[1] * metres(cells)[2] / 1e6, int(area[0])),
        ("altitude_m", "all", "", altitude, int(sums[0])),
    ]


def bulk(maps: list[str], grid: str) -> tuple:
    """Return a row of COLUMNS: the share of cells and months within BULK, its ends included."""
    total, within, n = 0.0, 0.0, 0
    for number, path in enumerate(maps, 1):
        for values, weight in values_of([path], grid)():
            held = (values >= BULK[0]) & (values <= BULK[1])
            total, within, n = total + weight.sum(), within + weight[held].sum(), n + len(values)
        if number % 12 == 0 or number == len(maps):
            log.info("share in 0.3-0.4 m3/m3: %d of %d maps read", number, len(maps))
    return "share_in_0.3_0.4", "all", MAP, within / total if n else np.nan, n


def thirds(quantity, names, average, split: Callable, grid: str) -> list[tuple]:
    """Return rows of COLUMNS: the mean of a map in thirds of the area by a layer, from its least.

    `split` returns the layer of a window. The thirds are of the cells that have both.
    """
    cells = Grid.of(grid)

    def layers():
        for window in cells.blocks():
            values, layer = read(average, window=window), split(window)
            here = inside(grid, window) & np.isfinite(values) & np.isfinite(layer)
            share = weights(cells.crs, cells.centres(window)[1][here])
            yield layer[here], values[here], share

    found = by_class(layers, (1 / 3, 2 / 3))
    return [(quantity, name, MAP, *row) for name, row in zip(names, found, strict=True)]


def middle_and_rim(annual: list[str], grid: str) -> list[tuple]:
    """Return rows of COLUMNS: the mean over the years of the half of the area nearest to its
    centre of gravity, and of the half farthest from it."""
    cells, sums = Grid.of(grid), np.zeros(3)

    def places():
        for window in cells.blocks():
            here = inside(grid, window)
            x, y = (axis[here] for axis in cells.centres(window))
            yield window, here, x, y, weights(cells.crs, y)

    for _, _, x, y, share in places():
        sums += share.sum(), (share * x).sum(), (share * y).sum()
    x0, y0 = sums[1:] / sums[0]
    narrow = weights(cells.crs, np.array(y0))  # of a degree of longitude

    def layers():
        for window, here, x, y, share in places():
            yield np.hypot((x - x0) * narrow, y - y0), season(annual, window)[here], share

    found = by_class(layers, (0.5,))
    return [(name, "all", MAP, *row) for name, row in zip(("centre", "margin"), found, strict=True)]


def local_sd(layer: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return the SD (n in the denominator) of the values in a window of size rows and columns.

    It stands at the window's middle; NaN where less than half of the window has a value.
    """
    here = np.isfinite(layer)
    if not here.any():
        return np.full(layer.shape, np.nan)
    offset = layer[here].mean()  # small numbers keep their digits in sums
    values = np.where(here, layer - offset, 0.0)
    share, mean, square = (
        uniform_filter(part, size, mode="constant")
        for part in (here.astype("float64"), values, values**2)
    )
    enough = share >= 0.5 - 1e-9
    share = np.where(enough, share, 1)
    variance = square / share - (mean / share) ** 2
    return np.where(enough, np.sqrt(np.maximum(variance, 0)), np.nan)


class Smoothness:
    """Sums of one layer, strip by strip: local SD, variance, and differences at two lags."""

    def __init__(self):
        self.sd, self.moments, self.lags = np.zeros(3), np.zeros(4), np.zeros((2, 3))

    def add(self, layer, share, own: slice, size, step) -> None:
        """Take a strip with its rim (rows, columns); `own` are its rows without the rim.

        share: the area of each cell; size, step: rows and columns of a window, of a lag.
        """
        for sums, values in ((self.sd, local_sd(layer, size)), (self.moments, layer)):
            here = np.isfinite(layer[own]) & np.isfinite(values[own])
            weight, found = share[own][here], values[own][here]
            powers = [(weight * found**power).sum() for power in range(len(sums) - 1)]
            sums += len(found), *powers
        for times, sums in enumerate(self.lags, 1):
            down, right = (times * side for side in step)
            below = layer[own.start + down : own.stop + down]
            strip = layer[own]
            for first, second, weight in (
                (strip[: len(below)], below, share[own][: len(below)]),
                (strip[:, :-right], strip[:, right:], share[own][:, :-right]),
            ):
                half = (first - second) ** 2 / 2
                here = np.isfinite(half)
                sums += here.sum(), weight[here].sum(), (weight * half)[here].sum()

    def rows(self, product: str) -> list[tuple]:
        """Return rows of COLUMNS; n counts windows, and pairs at the first lag."""
        n, weight, total = self.sd
        sd = total / weight if n else np.nan
        near, far = (half / weight if weight else np.nan for _, weight, half in self.lags)
        _, weight, total, square = self.moments
        variance = square / weight - (total / weight) ** 2 if weight else 0.0
        # A line through both lags: what it leaves at 0 differs within a kilometre.
        share = np.maximum(0, 2 * near - far) / variance if variance > 1e-12 else np.nan
        return [
            ("local_sd", "all", product, sd, int(n)),
            ("nugget_share", "all", product, share, int(self.lags[0, 0])),
        ]


def smoothness(average: str, smci: list[str], grid: str, lonlat_file: str) -> list[tuple]:
    """Return rows of COLUMNS: the local SD and the nugget's share of the map's and SMCI's season.

    SMCI on the map's cells, interpolated and not, where both have a value; the map alone if SMCI
    has none or is not there. A lag is about 1 km on the ground, a cell of SMCI; nugget: the line
    through the semivariances at one and two lags, east and south, continued to lag 0, over the
    variance.
    """
    cells, product = Grid.of(grid), Grid.of(smci[0]) if smci else None
    sides = metres(cells)[:2]
    size = tuple(max(3, 2 * int((WINDOW / side - 1) / 2) + 1) for side in sides)
    step = tuple(max(1, round(LAG / side)) for side in sides)
    log.info("local SD in windows of %d x %d cells, lags of %d x %d cells", *size, *step)
    usual = season(smci) if smci else np.array(np.nan)
    known = np.isfinite(usual).any()
    found = {MAP: Smoothness()}
    if smci:
        found |= {"SMCI, bilinear": Smoothness(), "SMCI, nearest": Smoothness()}
    rim = max(size[0] // 2, 2 * step[0])
    for window in cells.blocks():
        top = max(0, window.row_off - rim)
        bottom = min(cells.height, window.row_off + window.height + rim)
        wide = Window(0, top, cells.width, bottom - top)
        layers = [read(average, window=wide)]
        if product:
            place = product.positions(*lonlat(lonlat_file, wide))
            layers += [take(usual, *place) for take in (bilinear, nearest)]
        missing = ~(inside(grid, wide) & np.isfinite(layers[0]))
        if known:
            missing |= ~np.isfinite(layers[2])
        own = slice(window.row_off - top, window.row_off - top + window.height)
        share = weights(cells.crs, cells.centres(wide)[1])
        for layer, sums in zip(layers, found.values(), strict=True):
            layer[missing] = np.nan
            sums.add(layer, share, own, size, step)
    return [row for name, sums in found.items() for row in sums.rows(name)]


def of_year(paths: list[str], year: str, name: str, begins: int = 1) -> list[str]:
    """Return the rasters named YYYY-MM.tif of a year; refuse if there is none.

    Years begin in the month `begins`.
    """
    found = [path for path in paths if season_of(Path(path).stem, begins) == year]
    if not found:
        raise UserError(
            f"{name}: expected rasters YYYY-MM.tif of the report year {year}, found none among "
            f"{len(paths)}. See report.year of the config."
        )
    return found


def check(groups: dict[str, list[str]], grid: str, static: str) -> None:
    """Refuse rasters of other cells than those beside them, or than the grid's."""
    for name, paths in groups.items():
        Grid.shared(*([] if name in ("SMCI", "ERA5-Land") else [grid]), *paths)
    if "DEM" not in bands(static):
        raise UserError(
            f"{static}: expected a band DEM, found {', '.join(bands(static))}. "
            "Delete it and run again."
        )


def bands(path: str) -> list[str]:
    """Return the names of a raster's bands."""
    with rasterio.open(path) as source:
        return [str(name) for name in source.descriptions]


def main(
    maps,
    annual,
    smci,
    era5land,
    ndvi,
    static,
    position,
    grid,
    lonlat_file,
    description,
    year,
    year_begins,
):
    sources = {MAP: maps, **({"SMCI": smci} if smci else {}), "ERA5-Land": era5land}
    groups = {name: of_year(paths, year, name, year_begins) for name, paths in sources.items()}
    ndvi = of_year(ndvi, year, "NDVI", year_begins)
    here = [path for path in annual if Path(path).stem == year]
    if not here:
        raise UserError(
            f"annual: expected {year}.tif, the mean map of the report year, found none among "
            f"{len(annual)}. See report.year of the config."
        )
    others = [*annual, *ndvi, static, lonlat_file, *([position] if position else [])]
    check(groups | {"maps": [*maps, *others]}, grid, static)

    rows = ground(grid, static)
    for name, paths in groups.items():
        rows += ranges("range", name, paths, grid)
        log.info("range of %s: %d months read", name, len(paths))
    rows += ranges("annual_range", MAP, annual, grid)
    rows.append(bulk(maps, grid))
    if position and POSITION in bands(position):
        split, names = partial(read, position, POSITION), ("valley", "slope", "ridge")
        rows += thirds("mean_by_position", names, here[0], split, grid)
    else:
        found = f"only {', '.join(bands(position))}" if position else "no raster of positions"
        log.info("No mean by position: the predictors have no %s (%s)", POSITION, found)
    names = ("low", "middle", "high")
    rows += thirds("mean_by_ndvi", names, here[0], partial(season, ndvi), grid)
    rows += middle_and_rim(annual, grid)
    rows += smoothness(here[0], groups.get("SMCI", []), grid, lonlat_file)
    write_table(pd.DataFrame(rows, columns=list(COLUMNS)), description)
    for row in rows:
        log.info("%s, %s, %s: %.5g (n %d)", *row)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        maps=snakemake.input.maps,
        annual=snakemake.input.annual,
        smci=snakemake.input.smci,
        era5land=snakemake.input.era5land,
        ndvi=snakemake.input.ndvi,
        static=snakemake.input.static,
        position=snakemake.input.position,
        grid=snakemake.input.grid,
        lonlat_file=snakemake.input.lonlat,
        description=snakemake.output.description,
        year=snakemake.params.year,
        year_begins=snakemake.params.year_begins,
    )
