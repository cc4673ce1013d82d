"""Means of the monthly maps: of each year's season (S27) and of each calendar month (S28).

A year begins in the month that `year_begins` names (October for hydrological years).

A cell has a mean where at least half of the months have a value, because a mean of the wet months
alone is none of the season. All maps are read once, strip by strip.
"""

from contextlib import ExitStack
from pathlib import Path
from time import monotonic

import numpy as np
import rasterio

from _log import UserError, log, log_to
from _raster import Grid, cloud_optimized
from _season import season_of


class Mean:
    """A mean of layers of one shape in which cells may be missing; `of` counts the layers."""

    def __init__(self, shape: tuple[int, int]):
        self.of = 0
        self.total, self.count = np.zeros(shape), np.zeros(shape, "uint16")

    def add(self, layer: np.ndarray) -> None:
        here = np.isfinite(layer)
        self.total += np.where(here, layer, 0)
        self.count += here
        self.of += 1

    def value(self) -> np.ndarray:
        """Return the mean of the cells that at least half of the layers have, else NaN."""
        enough = (self.count > 0) & (2 * self.count >= self.of)
        return np.where(enough, self.total / np.maximum(self.count, 1), np.nan)

    def lost(self) -> int:
        """Return how many cells have values, but too few for a mean."""
        return int(((self.count > 0) & (2 * self.count < self.of)).sum())


def members(maps: list[str], named: list[str], take) -> dict[str, list[str]]:
    """Return {output: its maps}; `take` gives the key of a month (YYYY-MM) as outputs are named.

    Raises UserError if an output has no map.
    """
    found = {}
    for path in named:
        found[path] = [name for name in maps if take(Path(name).stem) == Path(path).stem]
        if not found[path]:
            raise UserError(
                f"{path}: expected a map named YYYY-MM.tif of {Path(path).stem}, found none among "
                f"{len(maps)}. Run the step that makes the maps again."
            )
    return found


def main(maps, annual, climatology, unit, note, year_begins):
    cells = Grid.shared(*maps)
    groups = members(maps, annual, lambda month: season_of(month, year_begins))
    groups |= members(maps, climatology, lambda month: month[5:7])
    tags = dict(note=note) if note else {}
    given, lost = dict.fromkeys(groups, 0), dict.fromkeys(groups, 0)
    with ExitStack() as opened:
        sources = {path: opened.enter_context(rasterio.open(path)) for path in maps}
        targets = {
            path: opened.enter_context(
                cloud_optimized(
                    path,
                    cells,
                    {"soil_moisture": unit},
                    description=f"mean soil moisture, {Path(path).stem}, of {len(group)} months",
                    **tags,
                )
            )
            for path, group in groups.items()
        }
        began = monotonic()
        for window in cells.blocks():
            means = {path: Mean((window.height, window.width)) for path in groups}
            for name, source in sources.items():
                layer = source.read(1, window=window)
                for path, group in groups.items():
                    if name in group:
                        means[path].add(layer)
            for path, mean in means.items():
                value = mean.value()
                given[path] += int(np.isfinite(value).sum())
                lost[path] += mean.lost()
                targets[path].write(value.astype("float32"), 1, window=window)
            done = window.row_off + window.height
            left = (monotonic() - began) * (cells.height - done) / done
            log.info("%d of %d rows, %.0f s left", done, cells.height, left)
    for path, group in groups.items():
        log.info(
            "%s: mean of %d months in %d cells; %d cells have fewer than half of them",
            *(Path(path).stem, len(group), given[path], lost[path]),
        )


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        maps=snakemake.input.maps,
        annual=snakemake.output.annual,
        climatology=snakemake.output.climatology,
        unit=snakemake.params.unit,
        note=snakemake.params.note,
        year_begins=snakemake.params.year_begins,
    )
