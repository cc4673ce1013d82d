"""What machines do to long runs. Each fault ends in the maps of an undisturbed run.

make test-faults      minutes; the mounts need root on Linux and are skipped elsewhere
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import rasterio

from conftest import TINY, Study

pytestmark = pytest.mark.faults
mounts = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="mounts need root on Linux"
)
PATIENCE = 240  # seconds


def files(folder: Path) -> list[str]:
    """Return the tables and rasters below `folder/results`, without the page and the times."""
    kinds = {".csv", ".parquet", ".json", ".tif", ".skops", ".npz"}
    found = (p for p in (folder / "results").rglob("*") if p.suffix in kinds)
    skipped = {"report", "ro-crate-metadata.json"}
    return sorted(str(p.relative_to(folder)) for p in found if not skipped & set(p.parts))


def same(study: Study, finished: Study) -> None:
    """Fail unless all tables and rasters are those of the undisturbed run, and no part is left."""
    assert files(study.run) == files(finished.run)
    for name in files(finished.run):
        mine, right = study.path(name), finished.path(name)
        if mine.suffix == ".tif":
            with rasterio.open(mine) as a, rasterio.open(right) as b:
                np.testing.assert_array_equal(a.read(), b.read(), err_msg=name)
        elif mine.suffix in (".csv", ".parquet", ".json"):
            assert mine.read_bytes() == right.read_bytes(), name
    assert not list(study.path("results").rglob(".*.part*"))


def maps(study: Study) -> list[str]:
    """Return the maps and tables of the maps stage, and delete them."""
    made = [name for name in files(study.run) if name.startswith("results/maps/")]
    shutil.rmtree(study.path("results/maps"))
    return made


def as_from_a_terminal() -> None:
    """Heed Ctrl-C and a hang-up, which `nohup` and a shell's `&` make every child ignore."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def started(study: Study, *arguments) -> subprocess.Popen:
    """Start the workflow in a session of its own, as a terminal does."""
    command = [sys.executable, "-m", "snakemake", "-s", "../repository/Snakefile", "--cores", "2"]
    command += ["--nocolor", *arguments, "--configfile", str(study.repository / TINY)]
    said = open(study.folder / "said.txt", "w")  # noqa: SIM115 - as long as the process lives
    return subprocess.Popen(
        command,
        cwd=study.run,
        stdout=said,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        preexec_fn=as_from_a_terminal,
    )


def jobs(study: Study, script: str) -> list[int]:
    """Return the Python processes that run a script for this study, not who submits it."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().decode().split("\0")
            here = os.readlink(entry / "cwd")
        except OSError:
            continue
        python = Path(words[0]).name.startswith("python")
        runs = python and any(word.endswith(f"{script}.py") for word in words[1:2])
        if runs and here == str(study.run.resolve()):
            found.append(int(entry.name))
    return found


def running(study: Study, script: str) -> int:
    """Wait for a job and return its process."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        found = jobs(study, script)
        if found:
            return found[0]
        time.sleep(0.02)
    raise AssertionError(f"{script} never ran:\n" + (study.folder / "said.txt").read_text()[-3000:])


def said(study: Study) -> str:
    return (study.folder / "said.txt").read_text()


def test_a_job_that_is_killed(study, finished):
    made = maps(study)
    run = started(study, *made)
    os.kill(running(study, "predict_maps"), signal.SIGKILL)
    assert run.wait(PATIENCE) != 0
    assert "predict_maps" in said(study)
    study.snakemake(*made)
    same(study, finished)


@pytest.mark.parametrize("whole_group", [False, True])
def test_snakemake_is_killed(study, finished, whole_group):
    """Alone, its jobs go on for a while beside those of the next run."""
    made = maps(study)
    run = started(study, *made)
    running(study, "finish_maps")
    (os.killpg if whole_group else os.kill)(run.pid, signal.SIGKILL)
    run.wait()
    refused = study.snakemake(*made, check=False)
    assert study.code != 0
    assert "--unlock" in refused, "the message says what to type"
    study.snakemake("--unlock")
    study.snakemake(*made)
    same(study, finished)


@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=["Ctrl-C", "TERM", "closed"]
)
def test_the_terminal_is_closed_or_the_time_is_up(study, finished, number):
    """The whole group gets the signal, as from a terminal or at a time limit."""
    made = maps(study)
    run = started(study, *made)
    running(study, "map_applicability")
    os.killpg(run.pid, number)
    assert run.wait(PATIENCE) != 0
    deadline = time.monotonic() + PATIENCE
    while jobs(study, "map_applicability") and time.monotonic() < deadline:
        time.sleep(0.1)
    again = study.snakemake(*made, check=False)
    if study.code:
        assert "--unlock" in again
        study.snakemake("--unlock")
        study.snakemake(*made)
    same(study, finished)


def test_two_snakemakes_in_one_folder(study, finished):
    made = maps(study)
    run = started(study, *made)
    running(study, "predict_maps")
    second = study.snakemake(*made, check=False)
    assert study.code != 0
    assert "lock" in second.lower()
    assert run.wait(PATIENCE) == 0
    same(study, finished)


@pytest.fixture
def mounted():
    """Return a function that mounts something until the test ends."""
    places = []

    def mount(folder: Path, *arguments) -> Path:
        folder.mkdir(exist_ok=True)
        subprocess.run(["mount", *arguments, str(folder)], check=True)
        places.append(folder)
        return folder

    yield mount
    for folder in reversed(places):
        subprocess.run(["umount", "-l", str(folder)], check=True)


def room(folder: Path, left: int) -> None:
    """Set the size of a tmpfs so that `left` bytes are free."""
    usage = shutil.disk_usage(folder)
    size = f"remount,size={usage.used + left}"
    subprocess.run(["mount", "-o", size, str(folder)], check=True)


@mounts
@pytest.mark.parametrize("left", [40_000, 150_000, 400_000])
def test_a_disk_that_is_full(finished, tmp_path, mounted, left):
    disk = mounted(tmp_path / "disk", "-t", "tmpfs", "-o", "size=2g", "tmpfs")
    study = Study(disk / "study")
    shutil.copytree(finished.folder, study.folder, symlinks=True)
    made = maps(study)
    room(disk, left)
    full = study.snakemake(*made, check=False)
    assert study.code != 0
    assert "expected room to write it" in full or "No space left on device" in full
    room(disk, 500_000_000)
    study.snakemake(*made)
    same(study, finished)


@mounts
def test_a_checkout_that_cannot_be_written(study, finished, mounted):
    made = maps(study)
    mounted(study.repository, "--bind", str(study.repository))
    subprocess.run(["mount", "-o", "remount,bind,ro", str(study.repository)], check=True)
    with pytest.raises(OSError):
        (study.repository / "x").touch()
    study.snakemake(*made)
    same(study, finished)


def test_a_path_with_spaces_and_other_letters(finished, tmp_path):
    study = Study(tmp_path / "mé étude (n° 1) 若尔盖's")
    shutil.copytree(finished.folder, study.folder, symlinks=True)
    shutil.rmtree(study.path("results"))
    study.snakemake()
    same(study, finished)


def test_a_granule_that_turns_unreadable(study, finished):
    granule = study.path("resources/raw/modis/MOD13Q1/2016-07-11/h26v05.hdf")
    content = granule.read_bytes()
    granule.write_bytes(content[: len(content) // 2])
    broken = study.snakemake(check=False)
    assert study.code != 0
    assert "MOD13Q1/2016-07-11/h26v05.hdf" in broken and "Traceback" not in broken
    granule.write_bytes(content)
    study.snakemake()
    same(study, finished)


@pytest.mark.parametrize(
    "name", ["results/interim/lst/2016-08.tif", "results/model/applicability.parquet"]
)
def test_an_intermediate_that_was_damaged(study, finished, name):
    """Its time is kept, as when a disk fails, so Snakemake cannot know."""
    made = maps(study)
    path = study.path(name)
    stamp, content = path.stat(), path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    os.utime(path, (stamp.st_atime, stamp.st_mtime))
    broken = study.snakemake(*made, check=False)
    assert study.code != 0
    assert f"{name}: expected the file that a job of this study finished" in broken
    assert "Delete it and type the same command again" in broken
    path.unlink()
    study.snakemake(*made)
    same(study, finished)


def test_a_clock_that_was_set_back(study, finished):
    future = time.time() + 86_400
    for name in files(study.run):
        if "/maps/" in name:
            os.utime(study.path(name), (future, future))
    refused = study.snakemake("--forcerun", "average_maps", check=False)
    assert study.code != 0
    assert "ahead of this machine's clock" in refused
    command = next(line for line in refused.splitlines() if line.startswith("  find "))
    subprocess.run(["sh", "-c", command], cwd=study.run, check=True)
    study.snakemake()
    same(study, finished)
