"""What each switch of `method: recommended` is worth against the simulated truth, one at a time.

    python benchmarks/switches.py --seeds 20230310 1

Each run starts from the finished recommended run of `make study`, so only what the switch changes
runs again. All are scores of the published map in the test months; the first row is the
recommended method itself, the others differ from it by one option.
"""

import argparse
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import rasterio
from study import ROOT, against_target, options_of, run, stated, true, trust

PAPER_TERRAIN = "[NDVI, LST, ET, albedo, AWC, sand, silt, clay, DEM, slope, {}, pre, SMC{}]"
POSITION = "TPI1500, TPI6000"
SWITCHES = {
    "recommended": [],
    "search by random folds": ["model.search_design=random_cv"],
    "145 cells, 60 months each": ["samples.smci_cells=145", "samples.months_per_cell=60"],
    "4500 cells, 2 months each": ["samples.smci_cells=4500", "samples.months_per_cell=2"],
    "no pull to SMCI": ["maps.conserve=0"],
    "pull by error variances": ["maps.conserve=auto"],
    "wholly SMCI at 1 km": ["maps.conserve=1"],
    "range as the forest has it": ["maps.extremes=none"],
    "range of the target": ["maps.extremes=quantile"],
    "kriged residuals": ["maps.residuals=true"],
    "kriged residuals, no pull": ["maps.residuals=true", "maps.conserve=0"],
    "no topographic position": [
        "predictors=" + PAPER_TERRAIN.format("northness, eastness", ""),
    ],
    "aspect in degrees": ["predictors=" + PAPER_TERRAIN.format(f"aspect, {POSITION}", "")],
    "with ERA5-Land": [
        "predictors=" + PAPER_TERRAIN.format(f"northness, eastness, {POSITION}", ", ERA5Land")
    ],
    "SMC nearest": ["smc.resampling=nearest"],
    "stations weigh as SMCI": ["model.weights=sources"],
    "rain by climatology": ["rain.method=climatology", "rain.climatology=climatology/{month}.tif"],
}


def branch(source: Path, target: Path) -> None:
    """Copy a finished run; large files are linked, because a run replaces and never edits them."""
    if target.exists():
        return
    target.mkdir(parents=True)
    (target / "resources").symlink_to(source.resolve() / "resources")
    for name in ("results", "logs"):
        command = ["cp", "-al", str(source.resolve() / name), str(target / name)]
        subprocess.run(command, check=True)
    shutil.copytree(source / ".snakemake", target / ".snakemake", symlinks=True)


def climatology(folder: Path) -> None:
    """Write the mean true rain of each calendar month with an error of 12 %, as a user has it."""
    truth = sorted((folder / "resources" / "truth").glob("*.tif"))
    rng = np.random.default_rng(1)
    (folder / "climatology").mkdir(exist_ok=True)
    for month in sorted({path.stem[5:] for path in truth}):
        layers = []
        for path in truth:
            if path.stem[5:] == month:
                with rasterio.open(path) as source:
                    layers.append(source.read(source.descriptions.index("precipitation") + 1))
                    profile = source.profile
        coarse = 1 + 0.12 * rng.standard_normal([-(-n // 40) for n in layers[0].shape])
        error = np.kron(coarse, np.ones((40, 40)))[: layers[0].shape[0], : layers[0].shape[1]]
        profile |= dict(count=1, dtype="float32")
        with rasterio.open(folder / "climatology" / f"{month}.tif", "w", **profile) as target:
            target.write((np.mean(layers, axis=0) * error).astype("float32"), 1)


def rain_error(folder: Path) -> float:
    """Return the RMSE of the kriged rain (mm a month) against the true rain, nearest cells."""
    square, count = 0.0, 0
    for path in sorted((folder / "results/interim/pre").glob("*.tif")):
        truth = folder / "resources" / "truth" / path.name
        with rasterio.open(path) as made, rasterio.open(truth) as world:
            found = made.read(1)
            band = world.descriptions.index("precipitation") + 1
            window = world.window(*made.bounds)
            right = world.read(band, window=window, out_shape=found.shape, boundless=True)
        use = np.isfinite(found) & np.isfinite(right) & (right > 0)
        square += float(((found - right)[use] ** 2).sum())
        count += int(use.sum())
    return float(np.sqrt(square / count))


def row(folder: Path) -> dict:
    """Return the scores of a run."""
    return {
        "RMSE": true(folder, "map"),
        "R": true(folder, "map", "R"),
        "SD ratio": true(folder, "map", "SD ratio"),
        "fine-scale R": true(folder, "map", "fine-scale R"),
        "dry tenth": true(folder, "map", "bias, driest tenth"),
        "wet tenth": true(folder, "map", "bias, wettest tenth"),
        "forest RMSE": true(folder, "forest alone"),
        "from target": against_target(folder),
        "stated": stated(folder)["value"],
        "coverage": trust(folder, "coverage of the interval"),
        "rain, mm": rain_error(folder),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[20230310, 1])
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=ROOT / "benchmarks" / "runs")
    parser.add_argument("--only", nargs="*", help="names of switches")
    asked = parser.parse_args()
    found = {}
    for name, options in SWITCHES.items():
        if asked.only and name not in asked.only:
            continue
        rows = []
        for seed in asked.seeds:
            source = asked.folder / f"{seed}"
            # Beside its source: inputs of the repository have paths that count the folders between.
            target = asked.folder / f"{seed}_{name.replace(' ', '_').replace(',', '')}"
            branch(source, target)
            if "climatology" in name:
                climatology(target)
            run(target, seed, options_of(options), asked.cores)
            rows.append(row(target))
        found[name] = pd.DataFrame(rows).mean()
        cells = "".join(f"{value:13.4f}" for value in found[name])
        if len(found) == 1:
            print(" " * 30 + "".join(f"{key:>13}" for key in found[name].index))
        print(f"{name:<30}{cells}", flush=True)
    pd.DataFrame(found).T.to_csv(asked.folder / "switches.csv", float_format="%.6g")
    print("Means over the seeds; all numbers are of simulated data.")


if __name__ == "__main__":
    main()
