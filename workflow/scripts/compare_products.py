"""The map beside SMCI, SMC and ERA5-Land, averaged to the cells of each (S25, A8).

None of them is the truth: a bias is the map minus the product. A cell of a product is compared
where cells of the map with a value cover at least half of its ground. SMC lies on the map's grid
by now, interpolated or not; it is compared over blocks of its own 0.05 degree, map and SMC alike.
Years that the forest has learned from flatter SMCI's scores, which was its target: read those of
the test years. Months are read once and leave sums per cell behind.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from rasterio.crs import CRS
from rasterio.transform import Affine

from _log import UserError, log, log_to
from _metrics import r
from _raster import Grid, lonlat, read
from _scores import scores_of
from _table import write_table

SMC_STEP = 0.05  # degrees
RADIUS = 6_371_007.2  # metres; of the sphere with the earth's area
POOLED = ("R", "RMSE", "bias", "ubRMSE")
LEAST_CELLS = 10  # of a month with a spatial R, as in score_truth


class Cells:
    """Cells of a product in degrees, and the map's cells that lie in each, for block-wise means."""

    def __init__(self, product: Grid, map_cells: Grid):
        self.product, self.map_cells = product, map_cells
        self.count = product.width * product.height
        self.member = []  # of each strip of the map, the number of the cell; the last is none
        latitude = product.centres()[1]
        ground = np.deg2rad(product.transform.a) * np.deg2rad(-product.transform.e)
        ground = ground * np.cos(np.deg2rad(latitude)) * RADIUS**2
        t = map_cells.transform
        own = abs(t.a * t.e)
        if map_cells.crs.is_geographic:
            own = np.deg2rad(t.a) * np.deg2rad(-t.e) * np.cos(np.deg2rad(latitude)) * RADIUS**2
        self.expected = (ground / own).ravel()

    def add(self, longitude: np.ndarray, latitude: np.ndarray) -> None:
        """Take the next strip of the map."""
        rows, cols = (
            np.floor(v).astype("int32") for v in self.product.positions(longitude, latitude)
        )
        on = (rows >= 0) & (rows < self.product.height)
        on &= (cols >= 0) & (cols < self.product.width)
        # Four bytes a cell of the map are all that grows with it: to find them again for each
        # month would take longer than everything else.
        number = np.where(on, rows * self.product.width + cols, self.count)
        self.member.append(number.astype("int32").ravel())

    def means(self, strips) -> np.ndarray:
        """Return the mean of a layer given strip by strip, NaN where it covers less than half."""
        total, count = np.zeros(self.count + 1), np.zeros(self.count + 1)
        for member, layer in zip(self.member, strips, strict=True):
            here = np.isfinite(layer.ravel())
            total += np.bincount(member[here], layer.ravel()[here], minlength=self.count + 1)
            count += np.bincount(member[here], minlength=self.count + 1)
        total, count = total[:-1], count[:-1]
        enough = (count > 0) & (count >= 0.5 * self.expected)
        return np.where(enough, total / np.maximum(count, 1), np.nan)


def blocks_of(step: float, longitude: tuple, latitude: tuple) -> Grid:
    """Return cells of `step` degrees, edges at its multiples, that hold a range of degrees."""
    west, east = np.floor(longitude[0] / step), np.floor(longitude[1] / step) + 1
    south, north = np.floor(latitude[0] / step), np.floor(latitude[1] / step) + 1
    corner = Affine(step, 0, west * step, 0, -step, north * step)
    return Grid(CRS.from_epsg(4326), corner, int(east - west), int(north - south))


class Sums:
    """What the scores of one product in one period need: sums of each cell, not its months."""

    def __init__(self, cells: int):
        self.cell = np.zeros((cells, 6))  # n and the sums of product, map, their squares, product
        self.season = np.zeros((cells, 6))  # the same, of the calendar month that is being read
        self.anomaly = np.zeros(4)  # pairs, and the sums of squares and product of deviations
        self.spatial: list[float] = []
        self.months = 0

    def add(self, product: np.ndarray, own: np.ndarray) -> None:
        """Take a month, both shaped (cells,), NaN where missing."""
        self.months += 1
        both = np.isfinite(product) & np.isfinite(own)
        p, m = product[both], own[both]
        terms = np.stack([np.ones_like(p), p, m, p**2, m**2, p * m], axis=1)
        self.season[both] += terms
        if both.sum() >= LEAST_CELLS:
            self.spatial.append(r(p, m))

    def end_of_season(self) -> None:
        """Turn to the next calendar month: the deviations from this one's means are known."""
        self.cell += self.season
        several = self.season[self.season[:, 0] > 1]
        if len(several):
            n, p, m, pp, mm, pm = several.T
            deviations = pp - p * p / n, mm - m * m / n, pm - p * m / n
            self.anomaly += n.sum(), *(term.sum() for term in deviations)
        self.season[:] = 0

    def scores(self) -> list[tuple[str, float, int]]:
        """Return (metric, value, n); metrics and n are those of score_truth.

        n counts pairs; months for the spatial R, cells for the temporal R.
        """
        total = self.cell.sum(axis=0)
        pooled = scores_of(total)
        pairs = int(total[0])
        few = pairs < 3  # R of two pairs is 1 or -1, whatever they are
        rows = [
            (name, float("nan") if few and name == "R" else float(pooled[name]), pairs)
            for name in POOLED
        ]
        spatial = [value for value in self.spatial if np.isfinite(value)]
        enough = self.cell[:, 0] >= max(3, self.months / 2)
        temporal = scores_of(self.cell[enough])["R"]
        temporal = temporal[np.isfinite(temporal)]
        for name, found in (("spatial R", spatial), ("temporal R", temporal)):
            value = float(np.mean(found)) if len(found) else float("nan")
            rows.append((name, value, len(found)))
        n, pp, mm, pm = self.anomaly
        # Deviations of a product that repeats itself every year are rounding, not zeros.
        flat = min(pp, mm) <= 1e-14 * max(n, 1)
        rows.append(("anomaly R", float("nan") if flat else float(pm / np.sqrt(pp * mm)), int(n)))
        return rows


def checked(maps: list[str], files: list[str], name: str) -> dict[str, str]:
    """Return {month: path} of a product's rasters; refuse a month of the maps without one."""
    found = {Path(path).stem: path for path in files}
    missing = [Path(path).stem for path in maps if Path(path).stem not in found]
    if missing:
        raise UserError(
            f"{name}: expected a raster YYYY-MM.tif for each month of the maps, found none of "
            f"{', '.join(missing)} among {len(files)}. Run the step that makes them again."
        )
    Grid.shared(*files)
    return found


def main(maps, smci, smc, era5land, grid, lonlat_file, products, test):
    paths = {
        name: checked(maps, files, name)
        for name, files in (("SMCI", smci), ("SMC", smc), ("ERA5-Land", era5land))
        if files
    }
    map_cells = Grid.shared(grid, maps[0], *smc[:1])
    windows = list(map_cells.blocks())
    degrees = [lonlat(lonlat_file, window) for window in windows]
    ranges = [(min(v[k].min() for v in degrees), max(v[k].max() for v in degrees)) for k in (0, 1)]
    on = {"SMCI": Cells(Grid.of(smci[0]), map_cells)} if smci else {}
    if smc:
        on["SMC"] = Cells(blocks_of(SMC_STEP, *ranges), map_cells)
    on["ERA5-Land"] = Cells(Grid.of(era5land[0]), map_cells)
    for cells in on.values():
        for place in degrees:
            cells.add(*place)
    del degrees

    def strips(path):
        return (read(path, window=window) for window in windows)

    periods = ("all", "test")
    sums = {(name, period): Sums(cells.count) for name, cells in on.items() for period in periods}
    in_order = sorted(maps, key=lambda path: (Path(path).stem[5:7], Path(path).stem))
    for number, path in enumerate(in_order):
        month = Path(path).stem
        own = [layer.astype("float32") for layer in strips(path)]
        for name, cells in on.items():
            other = paths[name][month]
            product = cells.means(strips(other)) if name == "SMC" else read(other).ravel()
            averaged = cells.means(own)
            sums[name, "all"].add(product, averaged)
            if month.startswith(tuple(test)):
                sums[name, "test"].add(product, averaged)
        following = in_order[number + 1 : number + 2]
        if not following or Path(following[0]).stem[5:7] != month[5:7]:
            for found in sums.values():
                found.end_of_season()
            log.info("month %s read: %d of %d maps", month[5:7], number + 1, len(maps))
    rows = [(*key, *row) for key, found in sums.items() for row in found.scores()]
    write_table(pd.DataFrame(rows, columns=["product", "period", "metric", "value", "n"]), products)
    for row in rows:
        log.info("%s, %s: %s %.4f (%d)", *row)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        maps=snakemake.input.maps,
        smci=snakemake.input.smci,
        smc=snakemake.input.smc,
        era5land=snakemake.input.era5land,
        grid=snakemake.input.grid,
        lonlat_file=snakemake.input.lonlat,
        products=snakemake.output.products,
        test=snakemake.params.test,
    )
