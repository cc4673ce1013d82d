"""Run the simulated study over several seeds, once as the paper did and once as recommended.

    make study            five seeds, about half an hour each on two cores; the table is printed
    python benchmarks/study.py --seeds 7 8 9 --set maps.extremes=quantile

Every number is read from what the runs wrote: what each validation claims, and what is true. All
are RMSE in m3/m3 unless said; months and cells are those held out. A run that is there is kept.
"""

import argparse
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

ROOT = Path(__file__).resolve().parents[1]
SEEDS = [20230310, 1, 2, 3, 4]
TEST = ("2016", "2017", "2018")
# What the table is read from; figures, page and files for other tools are not made.
WANTED = [
    *(f"results/score/{name}.csv" for name in ("score", "trust")),
    *(f"results/model/{name}.csv" for name in ("metrics", "bars", "intervals", "errors")),
    *(f"results/maps/target/{year}.csv" for year in TEST),
]


def run(folder: Path, seed: int, options: dict, cores: int) -> None:
    """Run the default study with another seed of its world in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "config.yaml"
    config.write_text(yaml.safe_dump({"simulation": {"seed": seed}} | options))
    command = [sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile"), "--quiet"]
    command += ["--cores", str(cores), "-d", str(folder), "--configfile", str(config)]
    command += ["--", *WANTED]
    with open(folder / "log.txt", "w") as said:
        ended = subprocess.run(command, stdout=said, stderr=subprocess.STDOUT, check=False)
    if ended.returncode:
        raise SystemExit(f"{folder}: the run failed, see {folder}/log.txt")


def claimed(folder: Path, protocol: str, subset: str = "all", variant: str = "") -> float:
    """Return the RMSE that a validation design claims."""
    table = pd.read_csv(folder / f"results/model/metrics{variant}.csv")
    return table.query("protocol == @protocol and subset == @subset and metric == 'RMSE'")[
        "value"
    ].iloc[0]


def bar(folder: Path, model: str, protocol: str) -> float:
    """Return the RMSE of a model that the forest must beat."""
    table = pd.read_csv(folder / "results/model/bars.csv")
    found = table.query(
        "model == @model and protocol == @protocol and subset == 'all' and metric == 'RMSE'"
    )["value"]
    return found.iloc[0]


def true(folder: Path, product: str, metric: str = "RMSE") -> float:
    """Return a score of a product against the truth in the test months."""
    table = pd.read_csv(folder / "results/score/score.csv")
    return table.query("product == @product and metric == @metric and period == 'test'")[
        "value"
    ].iloc[0]


def against_target(folder: Path) -> float:
    """Return the forest's RMSE against SMCI over all its cells in the test months."""
    tables = [pd.read_csv(folder / f"results/maps/target/{year}.csv") for year in TEST]
    table = pd.concat(tables)
    return float(np.sqrt(np.average(table["forest RMSE"] ** 2, weights=table["cells"])))


def trust(folder: Path, quantity: str) -> float:
    """Return what the truth says of the map's own statements."""
    table = pd.read_csv(folder / "results/score/trust.csv").set_index("quantity")
    return table["value"][quantity]


def stated(folder: Path) -> pd.Series:
    """Return value, low and high of the stated error against the true soil moisture."""
    table = pd.read_csv(folder / "results/model/errors.csv").set_index("quantity")
    return table.loc["map from true soil moisture at 250 m"]


def coverage(folder: Path, protocol: str) -> float:
    """Return how often calibrated intervals hold the target, from shifts of other places."""
    table = pd.read_csv(folder / "results/model/intervals.csv").query("applied")
    part = table[table["protocol"] == protocol]
    return part[part["subset"].isin(["smci"])]["coverage_calibrated"].iloc[0]


def row(recommended: Path, paper: Path) -> dict:
    """Return every number of a seed by name; a name begins with its part of the table."""
    designs = ("temporal", "random_cv", "leave_location_out", "leave_location_time_out", "knndm")
    found = {
        "true map error|paper, to the letter": true(paper, "map"),
        "true map error|paper's protocol, same rasters": true(recommended, "paper's protocol"),
        "true map error|SMCI, bilinear": true(recommended, "SMCI, bilinear"),
        "true map error|recommended, forest alone": true(recommended, "forest alone"),
        "true map error|recommended": true(recommended, "map"),
    }
    for name, folder in (("paper", paper), ("recommended", recommended)):
        part = f"{name} forest from the target"
        for design in designs:
            found[f"{part}|claimed, {design}"] = claimed(folder, design)
            if design in ("leave_location_time_out", "knndm"):
                found[f"{part}|claimed, {design}, SMCI cells"] = claimed(folder, design, "smci")
        found[f"{part}|true, all cells of the target"] = against_target(folder)
        found[f"{part}|look-up, temporal"] = bar(folder, "look-up", "temporal")
        found[f"{part}|white noise, temporal"] = bar(folder, "white noise", "temporal")
    for name, folder in (("paper", paper), ("recommended", recommended)):
        part = f"{name} map from the truth"
        error = stated(folder)
        found |= {
            f"{part}|stated error": error["value"],
            f"{part}|stated, lower end": error["low"],
            f"{part}|stated, upper end": error["high"],
            f"{part}|true error": true(folder, "map"),
            f"{part}|coverage of the target, places left out": coverage(
                folder, "leave_location_time_out"
            ),
            f"{part}|coverage of the target, test years": coverage(folder, "temporal"),
            f"{part}|coverage of the truth": trust(folder, "coverage of the interval"),
            f"{part}|width of the interval": trust(folder, "width of the interval"),
            f"{part}|share inside the area": trust(folder, "share inside"),
            f"{part}|error inside": trust(folder, "RMSE inside"),
            f"{part}|error outside": trust(folder, "RMSE outside"),
        }
    return found


def table_of(rows: dict[str, dict]) -> pd.DataFrame:
    """Return the numbers with one column a seed, and their mean."""
    table = pd.DataFrame(rows)
    table["mean"] = table.mean(axis=1)
    return table


def printed(table: pd.DataFrame) -> str:
    """Return the table as text, with the comparisons that matter below it."""
    lines = []
    parts = table.index.str.split("|").str[0]
    for part in dict.fromkeys(parts):
        lines += ["", part]
        for name, values in table[parts == part].iterrows():
            cells = "".join(f"{value:12.4f}" for value in values)
            lines.append(f"  {name.split('|')[1]:<46}{cells}")
    head = " " * 48 + "".join(f"{str(name):>12}" for name in table)
    error = table.T
    gains = {
        "recommended below paper": 1
        - error["true map error|recommended"] / error["true map error|paper, to the letter"],
        "recommended below SMCI": 1
        - error["true map error|recommended"] / error["true map error|SMCI, bilinear"],
    }
    for name in ("paper", "recommended"):
        claim = f"{name} forest from the target|"
        right = error[claim + "true, all cells of the target"]
        for design in ("temporal", "knndm", "knndm, SMCI cells"):
            gains[f"{name}: {design} off by"] = error[f"{claim}claimed, {design}"] / right - 1
        part = f"{name} map from the truth|"
        gains[f"{name}: stated error off by"] = (
            error[part + "stated error"] / error[part + "true error"] - 1
        )
    lines += ["", "relative"]
    for name, values in gains.items():
        lines.append(f"  {name:<46}" + "".join(f"{100 * value:11.1f}%" for value in values))
    return "\n".join([head, *lines, "", "All numbers are of simulated data."])


def options_of(pairs: list[str]) -> dict:
    """Return a nested config from KEY.KEY=VALUE."""
    found = {}
    for pair in pairs:
        keys, value = pair.split("=", 1)
        *outer, last = keys.split(".")
        inner = found
        for key in outer:
            inner = inner.setdefault(key, {})
        inner[last] = yaml.safe_load(value)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=ROOT / "benchmarks" / "runs")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE")
    asked = parser.parse_args()
    rows = {}
    for seed in asked.seeds:
        mine, paper = asked.folder / f"{seed}", asked.folder / f"{seed}_paper"
        run(mine, seed, options_of(asked.set), asked.cores)
        paper.mkdir(exist_ok=True)
        if not (paper / "resources").exists():
            (paper / "resources").symlink_to(mine.resolve() / "resources")
        run(paper, seed, {"method": "paper"}, asked.cores)
        rows[str(seed)] = row(mine, paper)
        print(printed(table_of({str(seed): rows[str(seed)]})), flush=True)
    table = table_of(rows)
    table.to_csv(asked.folder / "study.csv", float_format="%.6g", lineterminator="\n")
    print(printed(table))


if __name__ == "__main__":
    main()
