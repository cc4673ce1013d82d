"""List what the run used: Table 1 with counts, sizes and shares of missing values, and a lock.

The lock names every file of the archive with its SHA-256, in the form of `sha256sum`; a run with
`lock:` set to it stops at the first file that differs (T1).
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from _log import log, log_to
from _raster import Grid, inside, read
from _sources import TABLE_1
from _table import write_table, write_text


def missing_share(paths: list[str], grid: str) -> float:
    """Return the share of the cells of the study area without a value, over all months."""
    cells, empty, area = Grid.of(grid), 0, 0
    for path in paths:
        for window in cells.blocks():
            within = inside(grid, window)
            empty += int((within & np.isnan(read(path, 1, window))).sum())
            area += int(within.sum())
    return empty / area if area else float("nan")


def missing_readings(path: str, value: str) -> float:
    """Return the share of the station-months of a table without a value."""
    return float(pd.read_csv(path)[value].isna().mean())


def files_of(tables: list[str]) -> pd.DataFrame:
    """Return every file once, with the source that it belongs to, in the order of paths."""
    parts = []
    for path in tables:
        part = pd.read_csv(path, dtype=str, keep_default_na=False)
        parts.append(part.assign(source=Path(path).stem.split("_")[0]))
    table = pd.concat(parts, ignore_index=True).drop_duplicates("path")
    return table.astype({"bytes": "int64"}).sort_values("path")


def summary(files: pd.DataFrame, roads: dict[str, str], missing: dict[str, float]) -> pd.DataFrame:
    """Return one row a product: what it is, how it came, how much of it, what is missing."""
    rows = []
    for source, (product, version, layer, grid, every) in TABLE_1.items():
        here = files[files["source"] == source]
        if here.empty:
            continue
        fetched = sorted(day[:10] for day in here["fetched"] if day)
        road = roads[source if source in roads else "modis"]
        rows.append(
            {
                "product": product,
                "version": version,
                "layer": layer,
                "native_grid": grid,
                "cadence": every,
                "from": road,
                "files": len(here),
                "bytes": here["bytes"].sum(),
                "missing_share": missing.get(source, np.nan),
                "first_fetched": fetched[0] if fetched else "",
                "last_fetched": fetched[-1] if fetched else "",
                "simulated": int(road == "simulated"),
            }
        )
    return pd.DataFrame(rows)


def main(tables, rasters, static, smci, grid, rain, insitu, listed, lock, roads):
    files = files_of(tables)
    by_variable: dict[str, list[str]] = {}
    for path in rasters:
        by_variable.setdefault(Path(path).parent.name, []).append(path)
    missing = {name: missing_share(paths, grid) for name, paths in by_variable.items()}
    missing["rain"] = missing_readings(rain, "total")
    if insitu:
        missing["insitu"] = missing_readings(insitu, "value")
    if smci:
        missing["smci"] = float(np.mean([np.isnan(read(path)).mean() for path in smci]))
    area = inside(grid)
    for source, band in (("soil", "sand"), ("elevation", "slope")):
        missing[source] = float(np.isnan(read(static, band)[area]).mean())
    table = summary(files, json.loads(roads), missing)
    write_table(table, listed)
    write_text("".join(f"{row.sha256}  {row.path}\n" for row in files.itertuples()), lock)
    for row in table.itertuples():
        share = "" if np.isnan(row.missing_share) else f", {row.missing_share:.1%} missing"
        log.info("%s: %d files, %d bytes%s", row.product, row.files, row.bytes, share)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        tables=snakemake.input.tables,
        rasters=snakemake.input.rasters,
        static=snakemake.input.static,
        smci=snakemake.input.smci,
        grid=snakemake.input.grid,
        rain=snakemake.input.rain,
        insitu=snakemake.input.insitu,
        listed=snakemake.output.listed,
        lock=snakemake.output.lock,
        roads=snakemake.params.roads,
    )
