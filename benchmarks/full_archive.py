"""Write the simulated archive at the size of the published study: whole tiles, the whole box.

    python benchmarks/full_archive.py --folder /data/full --years 2016

Nine gigabytes a year, about 12 GB of memory, a quarter of an hour on two cores. Land, stations and
products come from the workflow's own rules; the granules are those of the simulated archive but not
cut to the area. `study.yaml` is left in the folder: `make bench` runs the workflow on it.
"""

import argparse
import multiprocessing
import shutil
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import yaml
from snakemake.utils import update_config

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "workflow" / "scripts"))

import _calendar
import _config
import _world
import simulate_granules

PRODUCTS = {"ndvi": "MOD13Q1", "lst": "MOD11A2", "et": "MOD16A2GF", "albedo": "MCD43A3"}
WHOLE = (0, 1200, 0, 1200)
BOX = yaml.safe_load((ROOT / "config" / "zoige.yaml").read_text())["area"]["box"]


def study(years: list[int], box: list[float], archive: str) -> dict:
    """Return the config of the study: the last two months of the last year are held out.

    `archive` is `simulated` to write its files, `files` to run on them as on any others: the score
    against the truth is made for small studies and would hold gigabytes.
    """
    return {
        "title": f"Simulated study of the published size, {min(years)} to {max(years)}",
        "archive": archive,
        "years": years,
        "area": {"box": box, "polygon": None},
        "modis": {"absent": []},
        "rain": {"gauges": "gauges.csv"},
        "insitu": {"sites": "sites.csv"},
        "split": {"test": [f"{max(years)}-09", f"{max(years)}-10"]},
        "report": {"year": max(years)},
    }


def granules(config: dict, folder: Path) -> dict[str, list[tuple[str, date, Path]]]:
    """Return {tile: product, first day and path of each granule that is not there yet}."""
    needed = set()
    for variable, product in PRODUCTS.items():
        rules = _calendar.calendar(
            variable, config["modis"]["assign"], config["modis"]["albedo_every"]
        )
        for year in config["years"]:
            for month in config["months"]:
                days = _calendar.composites(f"{year}-{month:02d}", **rules)
                needed |= {(product, day) for day in days}
    wanted = {}
    for tile in _calendar.tiles(*config["area"]["box"]):
        paths = [
            (product, day, folder / "resources/raw/modis" / product / f"{day}" / f"{tile}.hdf")
            for product, day in sorted(needed)
        ]
        wanted[tile] = [row for row in paths if not row[-1].exists()]
    return {tile: rows for tile, rows in wanted.items() if rows}


def deliver(tile: str, wanted: list[tuple[str, date, Path]], world, months) -> None:
    """Write whole granules of one tile."""
    camera = simulate_granules.Camera(world, tile, months)
    for product, day, path in wanted:
        simulate_granules.deliver(camera, product, day, path)


def written(asked: argparse.Namespace, archive: str) -> str:
    """Return the config of the study with an archive of this kind, as YAML."""
    return yaml.safe_dump(study(asked.years, asked.box, archive), sort_keys=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--years", type=int, nargs="+", default=[2016])
    parser.add_argument("--box", type=float, nargs=4, default=BOX)
    parser.add_argument("--cores", type=int, default=2)
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    for name, table in (("gauges", "gauges.csv"), ("sites", "simulated_sites.csv")):
        shutil.copy(ROOT / "config" / table, asked.folder / f"{name}.csv")
    plan, ready = (asked.folder / f"{name}.yaml" for name in ("archive", "study"))
    plan.write_text(written(asked, "simulated"))
    schema = ROOT / "workflow" / "schemas" / "config.schema.yaml"
    base = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    update_config(base, yaml.safe_load(plan.read_text()))
    config = _config.checked(base, schema)

    began = time.monotonic()
    area, simulation = config["area"]["box"], config["simulation"]
    world = _world.build(area, simulation["seed"], simulation["trend"])
    wanted, months = granules(config, asked.folder), {}
    for product, day in sorted({row[:2] for rows in wanted.values() for row in rows}):
        # Before the fork, so that the processes share the fields.
        earlier, later, _ = simulate_granules.between(*simulate_granules.period(product, day))
        for month in {earlier, later} - months.keys():
            months[month] = world.month(*month)
            print(f"world of {month[0]}-{month[1]:02d}, {time.monotonic() - began:.0f} s")
    simulate_granules.cut = whole_tile
    fork = multiprocessing.get_context("fork")
    jobs = [
        fork.Process(target=deliver, args=(tile, rows, world, months))
        for tile, rows in wanted.items()
    ]
    for first in range(0, len(jobs), asked.cores):
        for job in jobs[first : first + asked.cores]:
            job.start()
        for job in jobs[first : first + asked.cores]:
            job.join()
            if job.exitcode:
                raise SystemExit(f"a tile failed with exit code {job.exitcode}; run again")
        print(f"{min(first + asked.cores, len(jobs))} of {len(jobs)} tiles")
    del world, months
    command = [sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile"), "--cores", "1"]
    command += ["-d", str(asked.folder), "--configfile", str(plan)]
    command += ["--until", "simulate_land", "simulate_stations", "simulate_fields"]
    subprocess.run(command, check=True)
    # Last: its presence says that the archive is whole.
    ready.write_text(written(asked, "files"))
    files = [p for p in (asked.folder / "resources").rglob("*") if p.is_file()]
    size = sum(p.stat().st_size for p in files) / 1e9
    took = time.monotonic() - began
    print(f"{len(files)} files, {size:.1f} GB, {took:.0f} s: {ready}")


def whole_tile(tile: str, area) -> tuple[int, int, int, int]:
    """Return the edges of the whole tile, in place of those that hold the area."""
    return WHOLE


if __name__ == "__main__":
    main()
