"""How large the page of ten years at full size is, from one year that `make bench` left.

    python benchmarks/page_size.py --folder benchmarks/runs/full

The year's months stand for ten years: each cell's soil moisture is moved by a smooth field of its
own every year (blocks of 64 cells, 10 % of the value), so that means and trends are not those of
one map. Everything whose size grows with the years is made anew by the workflow's own scripts,
all else of the page is taken as it is; `page` in the folder is what was measured.
"""

import argparse
import logging
import shutil
import sys
from pathlib import Path

import numpy as np
import rasterio
from rasterio.enums import Resampling

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "workflow" / "scripts"))

import average_maps
import export_layers
import plot_annual_maps
import plot_climatology
import plot_trends
import trend_maps
from _raster import Grid, cloud_optimized

KINDS = ["maps/monthly", "maps/lower", "maps/upper", "maps/di", "interim/smci", "interim/era5land"]
YEARS = list(range(2009, 2019))
BLOCK, SPREAD = 64, 0.1


def moved(source: Path, target: Path, seed: int) -> None:
    """Write a map times a smooth random field."""
    with rasterio.open(source) as given:
        shape = [-(-side // BLOCK) for side in given.shape]
        field = np.random.default_rng(seed).normal(1, SPREAD, shape).astype("float32")
        with rasterio.MemoryFile() as memory:
            profile = dict(driver="GTiff", dtype="float32", count=1)
            with memory.open(**profile, height=shape[0], width=shape[1]) as knots:
                knots.write(field, 1)
            with memory.open() as knots:
                factor = knots.read(1, out_shape=given.shape, resampling=Resampling.bilinear)
        bands = {given.descriptions[0]: given.units[0]}
        values = given.read(1, masked=True).filled(np.nan)
    with cloud_optimized(str(target), Grid.of(str(source)), bands) as made:
        made.write(values * factor, 1)


def tenfold(results: Path, folder: Path) -> dict[str, list[str]]:
    """Return the rasters of ten years by kind: maps moved, all others as links."""
    found = {}
    for kind in KINDS:
        given = sorted((results / kind).glob("*.tif"))
        (folder / kind).mkdir(parents=True, exist_ok=True)
        found[kind] = []
        for year in YEARS:
            for path in given:
                target = folder / kind / f"{year}{path.name[4:]}"
                if not target.exists():
                    if kind == "maps/monthly":
                        moved(path, target, seed=year)
                    else:
                        target.symlink_to(path.resolve())
                found[kind].append(str(target))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--folder", type=Path, default=ROOT / "benchmarks" / "runs" / "full")
    folder = parser.parse_args().folder
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    results, made = folder / "results", folder / "page"
    files = tenfold(results, made)
    maps = files["maps/monthly"]
    season = sorted({Path(path).stem[5:] for path in maps})
    page, note = made / "report", "simulated data"
    shutil.copytree(results / "report", page, dirs_exist_ok=True)
    shutil.rmtree(page / "layers")
    grid, lonlat = (str(results / f"interim/{name}.tif") for name in ("grid", "lonlat"))

    def outputs(name: str) -> dict[str, str]:
        return {kind: str(page / f"{name}.{kind}") for kind in ("png", "pdf", "csv")}

    annual = [str(made / f"maps/annual/{year}.tif") for year in YEARS]
    means = [str(made / f"maps/climatology/{month}.tif") for month in season]
    average_maps.main(maps, annual, means, "m3/m3", "simulated")
    trends = [str(made / f"maps/trend/{month}.tif") for month in season]
    tables = [str(made / f"maps/trend/{month}.csv") for month in season]
    for month, trend, table in zip(season, trends, tables, strict=True):
        own = [path for path in maps if path.endswith(f"-{month}.tif")]
        trend_maps.main(own, grid, lonlat, trend, table, month, 0.05, 999, 42, "m3/m3", "simulated")
    plot_annual_maps.main(
        annual,
        files["interim/smci"],
        files["interim/era5land"],
        grid,
        lonlat,
        **outputs("fig10_annual_maps"),
        years=YEARS,
        note=note,
    )
    plot_climatology.main(means, grid, lonlat, **outputs("fig11_monthly_climatology"), note=note)
    plot_trends.main(trends, tables, grid, lonlat, **outputs("fig12_trends"), note=note)
    months = [Path(path).stem for path in maps]
    export_layers.main(
        maps,
        *(files[f"maps/{kind}"] for kind in ("lower", "upper", "di")),
        files["interim/smci"],
        trends,
        grid,
        insitu=str(results / "interim/insitu.csv"),
        applicability=str(results / "model/applicability.json"),
        index=str(page / "layers/index.js"),
        layers=[str(page / f"layers/{name}.js") for name in [*months, "trend"]],
        months=months,
        test=["2017", "2018"],
        calendar=season,
        unit="m3/m3",
        note=note,
    )
    parts = {
        "layers": [*page.glob("layers/*")],
        "figures for the page (PNG)": [*page.glob("*.png")],
        "figures for print (PDF)": [*page.glob("*.pdf")],
    }
    every = [path for path in page.rglob("*") if path.is_file()]
    parts["page and tables"] = [path for path in every if path not in sum(parts.values(), [])]
    cells = Grid.of(maps[0])
    print(f"{len(months)} months of {cells.width} x {cells.height} cells")
    for name, paths in (parts | {"all": every}).items():
        print(f"{name:<28}{sum(path.stat().st_size for path in paths) / 1e6:6.1f} MB")


if __name__ == "__main__":
    main()
