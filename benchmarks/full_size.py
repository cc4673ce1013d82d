"""One year of the published study at full size, measured job by job: `make bench`.

Writes the archive first (full_archive.py), then runs the workflow from its granules to the page,
and prints wall time, CPU time, peak memory and bytes of every rule, read from the last line of each
log, and what 60 months would take. A run that ended half-way goes on; delete `results` to measure.
"""

import argparse
import re
import resource
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
YEARS = 10  # of the published study
LINE = re.compile(
    r"job: (?P<wall>\S+) s, CPU (?P<cpu>\S+) s with (?P<start>\S+) s to start, "
    r"peak memory (?P<peak>\S+) MB, read (?P<read>\S+) MB, wrote (?P<wrote>\S+) MB$",
    re.M,
)
# Read all months: their time grows with the years, although each is one job.
ALL_MONTHS = {
    "average_maps",
    "compare_products",
    "export_layers",
    "list_inputs",
    "sample_area",
    "sample_smci",
    "sample_stations",
    "score_truth",
    "summarise_series",
    "trend_maps",
}


def jobs(folder: Path) -> pd.DataFrame:
    """Return a row a job: rule, what its log says it took, and how often 10 years need it."""
    rows = []
    for log in sorted((folder / "logs").rglob("*.log")):
        found = LINE.search(log.read_text())
        name = log.relative_to(folder / "logs").with_suffix("")
        rule = re.sub(r"_paper$", "", name.parts[0])
        if found and not rule.startswith("simulate"):
            yearly = bool(re.search(r"(^|[/_])\d{4}$", str(name))) or rule in ALL_MONTHS
            row = {key: float(value) for key, value in found.groupdict().items()}
            rows.append({"rule": rule, "times": YEARS if yearly else 1} | row)
    return pd.DataFrame(rows)


def by_rule(table: pd.DataFrame) -> pd.DataFrame:
    """Return jobs, sums and the largest peak of each rule, the dearest first."""
    grouped = table.groupby("rule")
    found = grouped[["wall", "cpu", "start", "read", "wrote"]].sum()
    found.insert(0, "jobs", grouped.size())
    found["peak"] = grouped["peak"].max()
    found["cpu of 10 years"] = (table["cpu"] * table["times"]).groupby(table["rule"]).sum()
    return found.sort_values("cpu", ascending=False)


def report(folder: Path, wall: float, cpu: float, cores: int) -> str:
    """Return the table and the sums below it."""
    table = jobs(folder)
    rules = by_rule(table)
    worked = table["cpu"].sum() - table["start"].sum()
    years = (table["cpu"] * table["times"]).sum()
    shown = rules.rename(
        columns={
            "wall": "wall s",
            "cpu": "CPU s",
            "start": "imports s",
            "read": "read MB",
            "wrote": "wrote MB",
            "peak": "peak MB",
        }
    ).round(1)
    # What Snakemake itself takes grows with the jobs, as do the imports.
    beside = (cpu - table["cpu"].sum()) * (table["times"].sum() / len(table)) if cpu else 0.0
    lines = [shown.to_string(), ""]
    if cpu:
        lines += [
            f"the year took {wall / 60:.1f} min on {cores} cores, {cpu / 60:.1f} min CPU; Snakemake"
            f" and imports {100 * (1 - worked / cpu):.1f} % of it",
        ]
    lines += [
        f"largest job {table['peak'].max():.0f} MB; {table['wrote'].sum() / 1000:.1f} GB written",
        f"60 months, extrapolated: {(years + beside) / 60:.0f} min CPU, "
        f"{(years + beside) / 3600 / cores:.1f} h on {cores} cores if both are always busy",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--folder", type=Path, default=ROOT / "benchmarks" / "runs" / "full")
    parser.add_argument("--cores", type=int, default=2)
    asked = parser.parse_args()
    if not (asked.folder / "study.yaml").exists():
        archive = [sys.executable, str(ROOT / "benchmarks" / "full_archive.py")]
        subprocess.run([*archive, "--folder", str(asked.folder)], check=True)
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    command = [sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile"), "--quiet"]
    command += ["--cores", str(asked.cores), "-d", str(asked.folder)]
    subprocess.run([*command, "--configfile", str(asked.folder / "study.yaml")], check=True)
    wall = time.monotonic() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(report(asked.folder, wall, cpu, asked.cores))


if __name__ == "__main__":
    main()
