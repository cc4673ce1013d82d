"""Where things are, and how the tests start Snakemake."""

import fcntl
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")
ROOT = Path(__file__).resolve().parents[1]
TINY = "config/tiny.yaml"
# Real files as their producers wrote them. Not part of the repository: see CONTRIBUTING.md.
SHARED = Path(os.environ.get("SOIL_MOISTURE_TEST_DATA", ROOT.parent / "shared" / "data"))


# Whole runs first, so that the last file is a short one and both processes end together.
LONG = ("test_workflow", "test_table_study", "test_archives", "test_reuse", "test_page")


def pytest_collection_modifyitems(items):
    order = {name: number for number, name in enumerate(LONG)}
    items.sort(key=lambda item: order.get(item.path.stem, len(LONG)))


def real(path: str) -> Path:
    """Return a real file to test against, or skip and say which one is not here."""
    if not (SHARED / path).exists():
        pytest.skip(f"real files are not here: {SHARED / path}")
    return SHARED / path


def parsed_rules(*configs: str, config: dict | None = None) -> dict:
    """Return {name: rule} of the workflow under a config, without running anything.

    The list of rules is private in Snakemake's API: this is the one place that touches it.
    """
    from snakemake.api import OutputSettings, ResourceSettings, SnakemakeApi
    from snakemake.settings.types import ConfigSettings, Quietness

    with SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
        workflow = api.workflow(
            resource_settings=ResourceSettings(),
            config_settings=ConfigSettings(
                configfiles=[ROOT / name for name in configs], config=config or {}
            ),
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


class Study:
    """A copy of the repository beside a working folder, and the command that runs it."""

    def __init__(self, folder: Path):
        self.folder, self.repository, self.run = folder, folder / "repository", folder / "run"

    def snakemake(self, *arguments, check=True, config=TINY) -> str:
        command = [sys.executable, "-m", "snakemake", "-s", "../repository/Snakefile"]
        command += ["--cores", "2", "--nocolor", *map(str, arguments), "--quiet", "host"]
        configs = [config] if isinstance(config, str) else config
        command += ["--configfile", *(str(self.repository / c) for c in configs)]
        ended = subprocess.run(
            command, cwd=self.run, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        if check and ended.returncode:
            raise AssertionError(ended.stdout[-8000:])
        self.code = ended.returncode
        return ended.stdout

    def would_run(self, *arguments, config=TINY) -> dict[str, int]:
        """Return {rule: number of jobs} that a run would start now."""
        said = self.snakemake("--dry-run", *arguments, config=config)
        if "Nothing to be done" in said:
            return {}
        table = said.split("Job stats:")[1].split("total")[0]
        found = re.findall(r"^(\w+)\s+(\d+)$", table, re.M)
        return {name: int(number) for name, number in found if name != "all"}

    def followers(self) -> dict[str, set[str]]:
        """Return {rule: every rule that needs what it makes, directly or not}."""
        graph = self.snakemake("--rulegraph", "dot")
        name = dict(re.findall(r'(\d+)\[label = "(\w+)"', graph))
        edges = [(name[a], name[b]) for a, b in re.findall(r"(\d+) -> (\d+)", graph)]
        found = {rule: set() for rule in name.values() if rule != "all"}
        for _ in found:
            for before, after in edges:
                if after != "all":
                    found[before] |= {after} | found[after]
        return found

    def path(self, path: str) -> Path:
        return self.run / path


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Study:
    """The tiny study, run once from end to end for all test processes; tests only read it."""
    here = tmp_path_factory.getbasetemp()
    shared = here.parent if "PYTEST_XDIST_WORKER" in os.environ else here
    study = Study(shared / "finished")
    with open(shared / "finished.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not study.folder.exists():
            build(study)
    return study


def build(study: Study, config=TINY) -> None:
    """Copy the repository and run a study; a run that fails leaves nothing behind."""
    study.run.mkdir(parents=True, exist_ok=True)
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\n")
    for name in filter(None, tracked):
        if (ROOT / name).exists() and not name.startswith("tests/"):
            (study.repository / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, study.repository / name)
    try:
        study.snakemake(config=config)
    except AssertionError:
        shutil.rmtree(study.folder)
        raise


@pytest.fixture
def study(finished, tmp_path) -> Study:
    """A copy of the finished study that a test may change."""
    shutil.copytree(finished.folder, tmp_path / "study", symlinks=True)
    return Study(tmp_path / "study")
