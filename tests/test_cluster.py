"""The tiny study through a real Slurm: one machine, a controller, two nodes.

make test-cluster     needs root and Debian's slurm-wlm and munge
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from conftest import ROOT, TINY, Study
from test_faults import files, jobs, maps, running, said, same

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(
        not shutil.which("slurmctld", path=f"{os.environ['PATH']}:/usr/sbin") or os.geteuid() != 0,
        reason="needs root, and slurm-wlm and munge installed",
    ),
]
PATIENCE = 1800  # seconds
STARTED: list[subprocess.Popen] = []


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    """A cluster of two nodes; returns a function that speaks to it."""
    folder = tmp_path_factory.mktemp("slurm")
    own = {"SLURM_TEST_DIR": str(folder), "SLURM_TEST_MEM": "8000", "SLURM_TEST_CPUS": "2"}

    def ask(*words) -> str:
        ended = subprocess.run(
            [str(ROOT / "tests" / "slurm-cluster"), *words],
            env=os.environ | own,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, ended.stdout
        return ended.stdout

    ask("start")
    yield ask
    ask("stop")


def submitted(study: Study, profile: str, *arguments) -> subprocess.Popen:
    """Start the workflow with a profile of the repository, as a person at the login node does."""
    repository = study.repository.resolve()
    command = [sys.executable, "-m", "snakemake", "-s", str(repository / "Snakefile"), "--nocolor"]
    command += ["--workflow-profile", str(repository / "profiles" / profile), *arguments]
    # Two nodes with two cores on one small machine: faster to look, less to reserve.
    command += ["--cores", "2", "--latency-wait", "5", "--default-resources"]
    command += ["mem_mb=1500*attempt", "runtime=5*attempt", "slurm_partition=main"]
    if profile == "slurm":
        command += ["--slurm-init-seconds-before-status-checks", "5"]
    command += ["--configfile", str(repository / TINY)]
    words = open(study.folder / "said.txt", "w")  # noqa: SIM115 - as long as the process lives
    run = subprocess.Popen(
        command, cwd=study.run, stdout=words, stderr=subprocess.STDOUT, start_new_session=True
    )
    STARTED.append(run)
    return run


@pytest.fixture(autouse=True)
def nothing_goes_on():
    """End what a test that failed has left waiting for its jobs."""
    yield
    for run in STARTED:
        if run.poll() is None:
            os.killpg(run.pid, signal.SIGKILL)
            run.wait()
    STARTED.clear()


def finish(study: Study, run: subprocess.Popen) -> None:
    assert run.wait(PATIENCE) == 0, said(study)[-6000:]


@pytest.mark.parametrize("profile", ["slurm", "cluster-generic"])
def test_the_study_through_the_cluster_is_the_local_one(slurm, finished, tmp_path, profile):
    study = Study(tmp_path / "study")
    shutil.copytree(finished.folder, study.folder, symlinks=True)
    if profile == "slurm":
        shutil.rmtree(study.path("results"))
        shutil.rmtree(study.path("resources"))
        finish(study, submitted(study, profile))
    else:
        made = maps(study)
        finish(study, submitted(study, profile, *made))
    same(study, finished)


def test_a_node_that_dies(slurm, study, finished):
    """Its job is lost without a word; Slurm notices, Snakemake sends it to the other node."""
    made = maps(study)
    run = submitted(study, "slurm", *made)
    running(study, "map_applicability")
    slurm("kill-node", "1")
    time.sleep(20)
    slurm("start-node", "1")
    finish(study, run)
    same(study, finished)


def is_gone(process: int) -> bool:
    """Wait until a process has ended; return whether it has."""
    deadline = time.monotonic() + 300
    while Path(f"/proc/{process}").exists() and time.monotonic() < deadline:
        time.sleep(1)
    return not Path(f"/proc/{process}").exists()


def resident(process: int) -> float:
    """Return the memory of a process in MB, infinity when it has ended."""
    try:
        found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{process}/status").read_text())
    except OSError:
        found = None
    return int(found[1]) / 1024 if found else float("inf")


def test_a_job_that_hangs_until_its_time_limit(slurm, study, finished):
    """The limit is a minute; the second attempt has two, and is not held up."""
    made = maps(study)
    # Every rule of the script, as any of them may be the first that is seen.
    limits = [f"predict_maps_{of}:runtime=attempt" for of in ("2015", "2016", "paper_2016")]
    run = submitted(study, "slurm", *made, "--set-resources", *limits)
    held = running(study, "predict_maps")
    os.kill(held, signal.SIGSTOP)
    assert is_gone(held), "Slurm ends it"
    finish(study, run)
    asked = ["squeue", "--states=timeout", "--noheader", "--format=%Z"]
    listed = subprocess.run(asked, check=True, capture_output=True, text=True).stdout
    assert str(study.run.resolve()) in listed.splitlines()
    assert "Trying to restart" in said(study)
    same(study, finished)


def test_a_job_that_needs_more_memory_gets_it(slurm, study, finished):
    """Slurm looks every two seconds, so the job is held while it has more than its limit."""
    made = maps(study)
    limits = [f"map_applicability_{year}:mem_mb=200*attempt**3" for year in (2015, 2016)]
    run = submitted(study, "slurm", *made, "--set-resources", *limits)
    held = running(study, "map_applicability")
    while resident(held) < 205:
        time.sleep(0.005)
    with contextlib.suppress(ProcessLookupError):
        os.kill(held, signal.SIGSTOP)
    assert is_gone(held), "Slurm ends it"
    finish(study, run)
    logs = study.path(".snakemake/slurm_logs").rglob("*.log")
    assert any("exceeded memory limit" in log.read_text() for log in logs)
    assert "Trying to restart" in said(study)
    same(study, finished)


def test_snakemake_is_killed_on_the_login_node(slurm, study, finished):
    """What it had submitted is cancelled by hand, as the README says, then the run goes on."""
    made = maps(study)
    run = submitted(study, "slurm", *made)
    running(study, "finish_maps")
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    subprocess.run(["scancel", "--user=root"], check=True, env=os.environ)
    deadline = time.monotonic() + 60
    while jobs(study, "_maps") and time.monotonic() < deadline:
        time.sleep(0.5)
    study.snakemake("--unlock")
    finish(study, submitted(study, "slurm", *made))
    same(study, finished)
    assert files(study.run) == files(finished.run)
