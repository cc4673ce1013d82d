"""Write the maps as small files that a page opened from disk can read: results/report/layers.

A page of its own folder may not read rasters (a browser refuses every request of a file:// page),
but it may load scripts. So each month is one script with the values as text: block means of the
maps on cells coarse enough for a telephone, as whole numbers of a stated step, as differences from
the neighbours, gzipped. What is shown is an overview; the rasters stay the product.
"""

import gzip
import json
import time
from base64 import b64encode
from collections.abc import Callable
from math import ceil, log10, sqrt
from pathlib import Path

import numpy as np
import pandas as pd
import rasterio
from pyproj import CRS, Transformer

from _figures import SIGNED, WETNESS, limits, metres_per_unit, printed
from _log import UserError, human, log, log_to
from _raster import Grid, inside, read
from _table import write_text

TOTAL = 17.2e6  # bytes of all months together; beside them figures and tables take up to 12 MB
# Bytes of a cell and month with five layers at STEP, measured: neighbours of 250 m are more alike.
PER_CELL, PER_BLOCK = 4.05, 5.0
STEP = 0.001  # of values; a whole number of them is stored
COARSE = {"di": 0.01, "slope": 2e-5, "significant": 0.01}
LARGEST = 30.0  # what 16 bits hold of differences at STEP
LATTICE = 25  # knots a side at which longitude and latitude are exact, linear in between
COLOURS = 64


def factor_for(cells: int, months: int) -> int:
    """Return how many cells a side become one, so that all months stay under TOTAL bytes."""
    if cells * months * PER_CELL <= TOTAL:
        return 1
    return max(2, ceil(sqrt(cells * months * PER_BLOCK / TOTAL)))


def block_mean(layer: np.ndarray, factor: int) -> np.ndarray:
    """Return the mean of the known cells of each block; the last may be smaller, NaN if none."""
    rows, cols = (-(-size // factor) for size in layer.shape)
    padded = np.full((rows * factor, cols * factor), np.nan)
    padded[: layer.shape[0], : layer.shape[1]] = layer
    parts = padded.reshape(rows, factor, cols, factor)
    known = np.isfinite(parts)
    count = known.sum((1, 3))
    total = np.where(known, parts, 0).sum((1, 3))
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def reduced(path: str, factor: int, band: str | int = 1) -> np.ndarray:
    """Return block means of a band; reads the overview that divides `factor`, strip by strip.

    Overviews are means already (COG, average), so the mean of them is that of the cells, but for
    blocks that are partly without a value. One whose cells do not fit whole into the raster is
    passed over: it is stretched.
    """
    with rasterio.open(path) as source:
        levels, sides = source.overviews(1), (source.width, source.height)
    exact = [k for k in levels if factor % k == 0 and not any(side % k for side in sides)]
    level = max(exact, default=1)
    options = {} if level == 1 else {"overview_level": levels.index(level)}
    rest = factor // level
    with rasterio.open(path, **options) as source:
        number = band if isinstance(band, int) else source.descriptions.index(band) + 1
        cells = Grid(source.crs, source.transform, source.width, source.height)
        return np.concatenate(
            [
                block_mean(
                    source.read(number, window=window, out_dtype="float64", masked=True).filled(
                        np.nan
                    ),
                    rest,
                )
                for window in cells.blocks(rest * max(1, 512 // rest))
            ]
        )


def coarse(grid: Grid, factor: int) -> Grid:
    """Return the grid of the blocks; the last ones may reach beyond the area."""
    size = [-(-n // factor) for n in (grid.width, grid.height)]
    return Grid(grid.crs, grid.transform @ rasterio.Affine.scale(factor), *size)


def product_mean(target: Grid, source: Grid) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function that gives, for a layer of `source`, its mean in each cell of `target`.

    A cell takes the values under so many points that each cell of the source is met.
    """
    to_source = Transformer.from_crs(CRS(target.crs), CRS(source.crs), always_xy=True)
    x, y = target.centres()
    across = (target.transform.a, -target.transform.e)
    metres = across[0] * metres_per_unit(target.crs, y.mean())
    at_middle = source.extent[2] + source.extent[3]
    own = source.transform.a * metres_per_unit(source.crs, at_middle / 2)
    points = min(6, max(1, ceil(metres / own)))
    steps = (np.arange(points) + 0.5) / points - 0.5
    index = []
    for down in steps:
        for right in steps:
            rows, cols = source.positions(
                *to_source.transform(x + right * across[0], y + down * across[1])
            )
            row, col = np.floor(rows), np.floor(cols)
            on = (row >= 0) & (row < source.height) & (col >= 0) & (col < source.width)
            index.append(np.where(on, row * source.width + col, -1).astype("int32"))

    def mean(layer: np.ndarray) -> np.ndarray:
        padded = np.append(layer.ravel(), np.nan)  # the last one serves what lies off the layer
        total, count = np.zeros(x.shape), np.zeros(x.shape)
        for part in index:
            value = padded[part]
            known = np.isfinite(value)
            total += np.where(known, value, 0)
            count += known
        return np.where(count > 0, total / np.maximum(count, 1), np.nan)

    return mean


def step_of(name: str, layers: list[np.ndarray]) -> float:
    """Return the step in which a layer is stored: STEP, tenfold for values too large for it."""
    if name in COARSE:
        return COARSE[name]
    values = [np.nanmax(np.abs(layer)) for layer in layers if np.isfinite(layer).any()]
    largest = max(values, default=0)
    return STEP if largest <= LARGEST else STEP * 10 ** ceil(log10(largest / LARGEST))


def packed(layer: np.ndarray, step: float) -> bytes:
    """Return a layer as numbers of 16 bits, all low bytes before all high ones.

    0 is no value; else 1 plus the difference from the mean of the left and the upper neighbour,
    both in whole steps, rounded down (from the only one known, from 0 if none), in which positive
    and negative ones take turns: 0, -1, 1, -2, ...
    """
    known = np.isfinite(layer)
    steps = np.round(np.where(known, layer, 0) / step).astype("int64")
    left, upper = np.zeros_like(steps), np.zeros_like(steps)
    has_left, has_upper = np.zeros_like(known), np.zeros_like(known)
    left[:, 1:], has_left[:, 1:] = steps[:, :-1], known[:, :-1]
    upper[1:], has_upper[1:] = steps[:-1], known[:-1]
    both = has_left & has_upper
    guess = np.where(both, (left + upper) >> 1, np.where(has_left, left, upper))
    away = steps - guess
    code = np.where(known, np.where(away >= 0, 2 * away, -2 * away - 1) + 1, 0)
    return (code & 255).astype("uint8").tobytes() + (code >> 8).astype("uint8").tobytes()


def as_text(parts: list[bytes]) -> str:
    """Return bytes, gzipped without a date, as text."""
    return b64encode(gzip.compress(b"".join(parts), 9, mtime=0)).decode("ascii")


def literal(value) -> str:
    """Return a value as JSON that is safe wherever a script may stand; NaN is not JSON."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def colours(table) -> str:
    """Return the colours of a table from low to high, six hexadecimal digits each."""
    shown = np.round(table(np.linspace(0, 1, COLOURS))[:, :3] * 255).astype(int)
    return "".join(f"{value:02x}" for value in shown.ravel())


def knots(grid: Grid) -> dict | None:
    """Return longitudes and latitudes of LATTICE x LATTICE points from corner to corner."""
    if not grid.crs:
        return None
    left, right, bottom, top = grid.extent
    x, y = np.meshgrid(np.linspace(left, right, LATTICE), np.linspace(top, bottom, LATTICE))
    to_degrees = Transformer.from_crs(CRS(grid.crs), CRS.from_epsg(4326), always_xy=True)
    lon, lat = to_degrees.transform(x, y)
    return {
        "side": LATTICE,
        "lon": [round(float(v), 5) for v in lon.ravel()],
        "lat": [round(float(v), 5) for v in lat.ravel()],
    }


def sites_of(insitu: pd.DataFrame, grid: Grid, months: list[str]) -> list[dict]:
    """Return name, place (degrees; row and column of `grid`) and monthly means of each site.

    Sites without any mean in `months` are left out.
    """
    to_grid = Transformer.from_crs(CRS.from_epsg(4326), CRS(grid.crs), always_xy=True)
    found = []
    for site, part in insitu.groupby("site", sort=True):
        values = part.drop_duplicates("month").set_index("month")["value"].reindex(months)
        if values.notna().any():
            lon, lat = (float(part[name].iloc[0]) for name in ("lon", "lat"))
            row, col = (float(v) for v in grid.positions(*to_grid.transform(lon, lat)))
            found.append(
                {
                    "name": str(site),
                    "lon": round(lon, 5),
                    "lat": round(lat, 5),
                    "row": round(row, 2),
                    "col": round(col, 2),
                    "values": [None if pd.isna(v) else round(float(v), 4) for v in values],
                }
            )
    log.info("%d of %d sites have a monthly mean", len(found), insitu["site"].nunique())
    return found


def scales(layers: dict[str, list[np.ndarray]], name: str, unit: str) -> list[dict]:
    """Return what the reader may choose from, each with label, unit, colour range and colours.

    name: the label of the map itself. What is compared has one range; differences are even about 0.
    """

    def known(name):
        return [layer for layer in layers[name] if np.isfinite(layer).any()]

    def even(parts):
        values = np.concatenate([np.abs(part[np.isfinite(part)]) for part in parts] or [[]])
        return float(np.percentile(values, 99)) if len(values) else 0.01

    def pairs(one, other):
        return [a - b for a, b in zip(layers[one], layers[other], strict=True)]

    shown = [layer for name in ("map", "smci") if name in layers for layer in known(name)]
    low, high = limits(shown, paper=False)
    same = {"unit": unit, "low": low, "high": high, "colours": colours(WETNESS)}
    found = [
        {"id": "map", "label": name} | same,
        {"id": "lower", "label": "Lower bound"} | same,
        {"id": "upper", "label": "Upper bound"} | same,
        {"id": "width", "label": "Width of the interval"}
        | same
        | dict(zip(("low", "high"), limits(pairs("upper", "lower"), paper=False), strict=True)),
        {"id": "di", "label": "Dissimilarity index"}
        | same
        | {"unit": "", "low": 0.0, "high": even(layers["di"])},
    ]
    signed = {"unit": unit, "colours": colours(SIGNED.reversed())}  # blue is wetter, as in F12
    if "smci" in layers:
        top = even(pairs("map", "smci"))
        found.append({"id": "smci", "label": "SMCI"} | same)
        found.append(
            {"id": "difference", "label": "Map − SMCI"} | signed | {"low": -top, "high": top}
        )
    if "slope" in layers:
        top = even(layers["slope"])
        of = {"unit": f"{unit} per year", "low": -top, "high": top}
        found.append({"id": "trend", "label": "Trend of the calendar month"} | signed | of)
    return found


def read_layers(files: dict[str, list[str]], months: list[str], factor: int) -> dict[str, list]:
    """Return {name: block means, one layer a month}; all names have a file for every month."""
    layers, began = {name: [] for name in files}, time.monotonic()
    for number, month in enumerate(months, 1):
        for name, paths in files.items():
            layers[name].append(reduced(paths[number - 1], factor).astype("float32"))
        left = (time.monotonic() - began) / number * (len(months) - number)
        log.info("%s read, %d of %d months, %.0f s left", month, number, len(months), left)
    shapes = {layer.shape for parts in layers.values() for layer in parts}
    if len(shapes) > 1:
        raise UserError(
            f"{files['map'][0]}: expected all maps on one grid, found {len(shapes)} sizes. "
            "Delete results/maps and run again."
        )
    return layers


def main(
    maps,
    lower,
    upper,
    di,
    smci,
    trend,
    grid,
    insitu,
    applicability,
    index,
    layers,
    months,
    test,
    calendar,
    unit,
    note,
):
    own, unit = Grid.of(maps[0]), printed(unit)
    count = own.width * own.height
    if grid:
        count = sum(int(inside(grid, window).sum()) for window in own.blocks())
    factor = factor_for(count, len(months))
    cells = coarse(own, factor)
    files = {"map": maps, "lower": lower, "upper": upper, "di": di}
    found = read_layers(files, months, factor)
    # Without a grid the area is where any month has a value.
    within = reduced(grid, factor) > 0 if grid else np.isfinite(found["map"]).any(0)
    if smci:
        source = Grid.of(smci[0])
        mean = product_mean(cells, source)
        found["smci"] = [
            np.where(within, mean(read(path)), np.nan).astype("float32") for path in smci
        ]
    for name in ("slope", "significant") if trend else ():
        found[name] = [reduced(path, factor, name) for path in trend]
    steps = {name: step_of(name, parts) for name, parts in found.items()}
    monthly = [name for name in found if name not in ("slope", "significant")]
    paths = {Path(path).stem: path for path in layers}
    for number, month in enumerate(months):
        text = as_text([packed(found[name][number], steps[name]) for name in monthly])
        write_text(f"soilMoisture.take({literal(month)},{literal(text)})\n", paths[month])
    if trend:
        both = [("slope", n) for n in range(len(trend))] + [
            ("significant", n) for n in range(len(trend))
        ]
        text = as_text([packed(found[name][n], steps[name]) for name, n in both])
        write_text(f'soilMoisture.take("trend",{literal(text)})\n', paths["trend"])
    threshold = json.loads(Path(applicability).read_text(encoding="utf-8"))["threshold"]
    down = 111_320 if own.crs and own.crs.is_geographic else 1.0
    middle = (own.extent[2] + own.extent[3]) / 2
    across = own.transform.a * (metres_per_unit(own.crs, middle) if own.crs else 1.0)
    told = {
        "rows": cells.height,
        "cols": cells.width,
        "factor": factor,
        "cell": round(across, 1),
        "aspect": round(-own.transform.e * down / across, 4),
        "extent": list(cells.extent),
        "knots": knots(cells),
        "inside": as_text([packed(np.where(within, 1.0, np.nan), 1.0)]),
        "months": months,
        "test": [month for month in months if month.startswith(tuple(test))],
        "layers": monthly,
        "steps": steps,
        "scales": scales(found, "Soil moisture" if grid else "Map", unit),
        "unit": unit,
        "calendar": calendar if trend else [],
        "threshold": threshold,
        "sites": sites_of(pd.read_csv(insitu, dtype={"site": str}), cells, months)
        if insitu
        else [],
        "note": note,
    }
    write_text(f"soilMoisture.begin({literal(told)})\n", index)
    size = sum(Path(path).stat().st_size for path in [index, *layers])
    log.info(
        "%d x %d cells shown, each %d x %d of the map; %d files, %s",
        *(cells.height, cells.width, factor, factor, len(layers) + 1, human(size)),
    )


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        maps=snakemake.input.maps,
        lower=snakemake.input.lower,
        upper=snakemake.input.upper,
        di=snakemake.input.di,
        smci=snakemake.input.smci,
        trend=snakemake.input.trend,
        grid=snakemake.input.grid,
        insitu=snakemake.input.insitu,
        applicability=snakemake.input.applicability,
        index=snakemake.output.index,
        layers=snakemake.output.layers,
        months=snakemake.params.months,
        test=snakemake.params.test,
        calendar=snakemake.params.calendar,
        unit=snakemake.params.unit,
        note=snakemake.params.note,
    )
