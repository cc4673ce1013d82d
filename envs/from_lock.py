"""Write envs/*.yaml with the versions of requirements.txt, so that conda users get the same."""

import re
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
PYTHON = "3.12"
CONDA_NAMES = {"matplotlib": "matplotlib-base", "snakemake": "snakemake-minimal"}
# What a rule's job never imports.
NOT_IN_JOBS = ("snakemake", "jsonschema")


def meant() -> tuple[list[str], list[str]]:
    """Return the package names of requirements.in: of the workflow and of the developer."""
    workflow, developer = (ROOT / "requirements.in").read_text().split("# the developer")
    found = (re.findall(r"^([A-Za-z0-9_-]+)>=", part, re.M) for part in (workflow, developer))
    return tuple(found)


def locked() -> dict[str, str]:
    """Return {package: version} of the lock for Linux and the Python of the environments."""
    there = {
        "python_version": PYTHON,
        "python_full_version": f"{PYTHON}.0",
        "sys_platform": "linux",
    }
    versions = {}
    for line in (ROOT / "requirements.txt").read_text().splitlines():
        if re.match(r"[A-Za-z0-9]", line):
            requirement = Requirement(line.rstrip("\\ "))
            if requirement.marker is None or requirement.marker.evaluate(there):
                versions[requirement.name] = str(requirement.specifier).removeprefix("==")
    return versions


def environment(names: list[str]) -> str:
    """Return the text of a conda environment with the locked versions of `names`."""
    versions = locked()
    lines = [f"  - {CONDA_NAMES.get(name, name)} =={versions[name]}" for name in sorted(names)]
    return "\n".join(
        [
            "# Made by `make lock` from requirements.txt; a test compares the two.",
            "channels:",
            "  - conda-forge",
            "  - bioconda",
            "dependencies:",
            f"  - python ={PYTHON}",
            *lines,
            "",
        ]
    )


def environments() -> dict[str, str]:
    """Return {file name: text}: what jobs need, and what a person needs to start them."""
    workflow, developer = meant()
    jobs = [name for name in workflow if name not in NOT_IN_JOBS]
    return {
        "soilmoisture.yaml": environment(jobs),
        "workflow.yaml": environment(workflow + developer),
    }


if __name__ == "__main__":
    for name, text in environments().items():
        (ROOT / "envs" / name).write_text(text)
