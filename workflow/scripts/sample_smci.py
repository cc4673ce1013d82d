"""SMCI cells as targets, with predictors averaged over the 250 m cells inside (S14, S16, U11, U31).

The cells are drawn at random from all that lie wholly in the study area and away from the sites,
in proportion to how common their elevation, sand and, if known, background soil moisture are.
"""

import numpy as np
import pandas as pd

from _log import UserError, log, log_to
from _raster import Grid, Window, inside, lonlat, read
from _samples import KEYS, layers
from _stations import projected, read_sites
from _table import write_table

MIN_VALID = 0.5  # share of the 250 m cells that a mean needs


class Members:
    """Which 250 m cells have their centre in which SMCI cell, kept by strips of rows.

    `strips` is a list of (window, flat positions in the window, number of the SMCI cell).
    """

    def __init__(self, strips: list[tuple[Window, np.ndarray, np.ndarray]], cells: int):
        self.strips = [strip for strip in strips if len(strip[1])]
        self.cells = cells

    def of(self, chosen: np.ndarray) -> "Members":
        """Return the members of some SMCI cells only, which are numbered anew in that order."""
        number = np.full(self.cells, -1)
        number[chosen] = np.arange(len(chosen))
        strips = []
        for window, position, cell in self.strips:
            kept = number[cell] >= 0
            strips.append((window, position[kept], number[cell[kept]]))
        return Members(strips, len(chosen))

    def sums(self, path: str, band: str, of=np.asarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the sum of `of(value)` and the count of valid values for each SMCI cell."""
        total, count = np.zeros(self.cells), np.zeros(self.cells)
        for window, position, cell in self.strips:
            value = of(read(path, band, window).ravel()[position])
            valid = np.isfinite(value)
            total += np.bincount(cell[valid], value[valid], self.cells)
            count += np.bincount(cell[valid], minlength=self.cells)
        return total, count

    def size(self) -> np.ndarray:
        """Return the number of 250 m cells in each SMCI cell."""
        size = np.zeros(self.cells)
        for _, _, cell in self.strips:
            size += np.bincount(cell, minlength=self.cells)
        return size

    def mean(self, path: str, band: str, aspect: str) -> np.ndarray:
        """Return the mean of a predictor in each SMCI cell, NaN below MIN_VALID of its cells.

        Aspect (degrees) is averaged as the direction of its summed unit vectors, because 359 and
        1 average to 180 otherwise (U10b); `aspect` "arithmetic" does just that, as the paper.
        """
        if band == "aspect" and aspect == "direction":
            east, count = self.sums(path, band, lambda v: np.sin(np.radians(v)))
            north, _ = self.sums(path, band, lambda v: np.cos(np.radians(v)))
            mean = np.degrees(np.arctan2(east, north)) % 360
        else:
            total, count = self.sums(path, band)
            mean = total / np.maximum(count, 1)
        return np.where(count >= np.maximum(MIN_VALID * self.size(), 1), mean, np.nan)


def owner(lon: np.ndarray, lat: np.ndarray, smci: Grid) -> np.ndarray:
    """Return the number (row-major) of the SMCI cell of each position, -1 outside its grid."""
    row, col = (np.floor(v).astype(int) for v in smci.positions(lon, lat))
    on = (row >= 0) & (row < smci.height) & (col >= 0) & (col < smci.width)
    return np.where(on, row * smci.width + col, -1)


def gathered(grid_file: str, lonlat_file: str, smci: Grid) -> tuple[Members, np.ndarray]:
    """Return the members of every SMCI cell, and how many of them lie in the study area."""
    cells = smci.width * smci.height
    strips, within = [], np.zeros(cells)
    for window in Grid.of(grid_file).blocks():
        cell = owner(*lonlat(lonlat_file, window), smci).ravel()
        position = np.flatnonzero(cell >= 0)
        strips.append((window, position.astype("int32"), cell[position].astype("int32")))
        there = inside(grid_file, window).ravel()[position]
        within += np.bincount(cell[position][there], minlength=cells)
    return Members(strips, cells), within


def place(cells: np.ndarray, smci: Grid, right: float, down: float):
    """Return longitude and latitude of a point in each SMCI cell: (0, 0) is its upper left."""
    row, col = np.divmod(cells, smci.width)
    t = smci.transform
    return t.c + t.a * (col + right), t.f + t.e * (row + down)


def corners_inside(cells: np.ndarray, smci: Grid, grid: Grid, area: np.ndarray) -> np.ndarray:
    """Return which SMCI cells have all four corners in the study area (`area`: True inside)."""
    result = np.ones(len(cells), bool)
    for down in (0, 1):
        for right in (0, 1):
            lon, lat = place(cells, smci, right, down)
            x, y = projected(lon, lat, grid.crs).T
            r, c = (np.floor(v).astype(int) for v in grid.positions(x, y))
            on = (r >= 0) & (r < grid.height) & (c >= 0) & (c < grid.width)
            result &= on & area[np.where(on, r, 0), np.where(on, c, 0)]
    return result


def strata(features: np.ndarray) -> np.ndarray:
    """Return the stratum of each row of `features` (n, k): its combination of terciles."""
    cuts = np.quantile(features, [1 / 3, 2 / 3], axis=0)
    tercile = (features[:, None, :] > cuts[None]).sum(axis=1)
    return tercile @ 3 ** np.arange(features.shape[1])


def drawn(stratum: np.ndarray, cells: int, random: np.random.Generator) -> np.ndarray:
    """Return the rows of `cells` draws without repeat, each stratum in proportion to its size.

    Systematic: rows are shuffled, sorted by stratum, and taken at equal steps from a random start.
    """
    if cells >= len(stratum):
        return np.arange(len(stratum))
    shuffled = random.permutation(len(stratum))
    ordered = shuffled[np.argsort(stratum[shuffled], kind="stable")]
    steps = (np.arange(cells) + random.random()) * len(stratum) / cells
    return np.sort(ordered[steps.astype(int)])


def months_of(
    cells: int, months: int, months_per_cell: int, random: np.random.Generator
) -> np.ndarray:
    """Return True (cells, months) for `months_per_cell` months of each cell, drawn at random."""
    rank = np.argsort(np.argsort(random.random((cells, months)), axis=1), axis=1)
    return rank < months_per_cell


def candidates(
    members: Members,
    within: np.ndarray,
    smci: Grid,
    grid_file: str,
    xy_sites,
    station_distance: float,
    crs: str,
):
    """Return number and centre (n, 2) of the SMCI cells that may be drawn, and count the others.

    Centres, `xy_sites` and the distance are in metres of `crs`.
    """
    grid = Grid.of(grid_file)
    size = members.size()
    cells = np.flatnonzero((size > 0) & (within == size))
    cells = cells[corners_inside(cells, smci, grid, inside(grid_file))]
    lon, lat = place(cells, smci, 0.5, 0.5)
    xy = projected(lon, lat, crs)
    nearest = np.full(len(cells), np.inf)
    for site in xy_sites:
        nearest = np.minimum(nearest, np.hypot(*(xy - site).T))
    far = nearest > station_distance
    log.info(
        "%d SMCI cells touch the study area, %d lie wholly in it, %d of these farther than %g m "
        "from every site",
        *((within > 0).sum(), len(cells), far.sum(), station_distance),
    )
    return cells[far], xy[far], lon[far], lat[far]


def mean_layers(
    members: Members, paths: dict[str, dict[str, str]], names: list[str], aspect: str
) -> np.ndarray:
    """Return layers (cells, names); one that changes is averaged over the months that have it."""
    found = []
    for name in names:
        total, count = np.zeros(members.cells), np.zeros(members.cells)
        for path in dict.fromkeys(month[name] for month in paths.values()):
            value = members.mean(path, name, aspect)
            total, count = total + np.nan_to_num(value), count + np.isfinite(value)
        found.append(np.where(count > 0, total / np.maximum(count, 1), np.nan))
    return np.stack(found, axis=1)


def targets(smci: dict[str, str], cells: np.ndarray) -> np.ndarray:
    """Return SMCI (months, cells), m3/m3, NaN where missing; every month on the same cells."""
    Grid.shared(*smci.values())
    return np.stack([read(path).ravel()[cells] for path in smci.values()])


def main(
    rasters,
    smci,
    grid,
    lonlat_file,
    sites,
    samples,
    months,
    predictors,
    cells,
    months_per_cell,
    station_distance,
    aspect,
    seed,
    crs,
    strata_of,
):
    paths = layers(rasters, [*predictors, *strata_of], months, grid)
    source, xy_sites = Grid.of(smci[0]), []
    if sites:
        table = read_sites(sites)
        xy_sites = projected(table["lon"], table["lat"], crs)
    members, within = gathered(grid, lonlat_file, source)
    number, xy, lon, lat = candidates(
        members, within, source, grid, xy_sites, station_distance, crs
    )
    target = targets(dict(zip(months, smci, strict=True)), number)
    features = mean_layers(members.of(number), paths, strata_of, aspect)
    ready = np.flatnonzero(np.isfinite(features).all(axis=1) & np.isfinite(target).any(axis=0))
    log.info(
        "%d of these have %s and SMCI; %d are asked for", len(ready), ", ".join(strata_of), cells
    )
    if cells and not len(ready):
        raise UserError(
            f"{smci[0]}: expected SMCI cells wholly in the study area, farther than "
            f"{station_distance:g} m from every site and with {', '.join(strata_of)}, found none. "
            "Lower samples.station_distance or enlarge area.box."
        )
    random = np.random.default_rng(seed)
    chosen = ready[drawn(strata(features[ready]), cells, random)] if len(ready) else ready
    used = months_of(len(chosen), len(months), months_per_cell, random)
    members = members.of(number[chosen])
    places = zip(lat[chosen], lon[chosen], strict=True)
    names = [f"{north:.4f}N{east:.4f}E" for north, east in places]
    static = {
        name: members.mean(paths[months[0]][name], name, aspect)
        for name in predictors
        if len({paths[month][name] for month in months}) == 1
    }
    parts = []
    for order, month in enumerate(months):
        part = pd.DataFrame(
            {
                "source": "smci",
                "site": names,
                "month": month,
                "x": xy[chosen, 0],
                "y": xy[chosen, 1],
                "lon": lon[chosen],
                "lat": lat[chosen],
            },
            columns=list(KEYS),
        )
        for name in predictors:
            dynamic = name not in static
            part[name] = members.mean(paths[month][name], name, aspect) if dynamic else static[name]
        part["target"] = target[order, chosen]
        parts.append(part[used[:, order]])
    result = pd.concat(parts, ignore_index=True)
    write_table(result, samples)
    log.info(
        "%d rows of %d SMCI cells with %.1f cells of the grid in each",
        *(len(result), len(chosen), members.size().mean() if len(chosen) else 0),
    )


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        rasters=snakemake.input.rasters,
        smci=snakemake.input.smci,
        grid=snakemake.input.grid,
        lonlat_file=snakemake.input.lonlat,
        sites=snakemake.input.sites,
        samples=snakemake.output.samples,
        months=snakemake.params.months,
        predictors=snakemake.params.predictors,
        cells=snakemake.params.cells,
        months_per_cell=snakemake.params.months_per_cell,
        station_distance=snakemake.params.station_distance,
        aspect=snakemake.params.aspect,
        seed=snakemake.params.seed,
        crs=snakemake.params.crs,
        strata_of=snakemake.params.strata,
    )
