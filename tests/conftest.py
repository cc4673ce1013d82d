"""Where things are, and how the tests start Snakemake."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# Real files as their producers wrote them. Not part of the repository: see CONTRIBUTING.md.
SHARED = Path(os.environ.get("SOIL_MOISTURE_TEST_DATA", ROOT.parent / "shared" / "data"))


def real(path: str) -> Path:
    """Return a real file to test against, or skip and say which one is not here."""
    if not (SHARED / path).exists():
        pytest.skip(f"real files are not here: {SHARED / path}")
    return SHARED / path


def parsed_rules(*configs: str) -> dict:
    """Return {name: rule} of the workflow under a config, without running anything.

    The list of rules is private in Snakemake's API: this is the one place that touches it.
    """
    from snakemake.api import OutputSettings, ResourceSettings, SnakemakeApi
    from snakemake.settings.types import ConfigSettings, Quietness

    with SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
        workflow = api.workflow(
            resource_settings=ResourceSettings(),
            config_settings=ConfigSettings(configfiles=[ROOT / config for config in configs]),
            snakefile=ROOT / "Snakefile",
        )._workflow
        return {rule.name: rule for rule in workflow.rules}


def snakemake(folder, *arguments, config=None, check=True) -> subprocess.CompletedProcess:
    """Run this repository's workflow in `folder`, as a user does; return what it printed."""
    command = [sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile"), "-d", str(folder)]
    command += ["--cores", "2", "--nocolor", *map(str, arguments)]
    if config:
        command += ["--configfile", *map(str, config if isinstance(config, list) else [config])]
    ended = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if check and ended.returncode:
        raise AssertionError(ended.stdout[-6000:])
    return ended
