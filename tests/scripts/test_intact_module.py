"""A failed job names the input that something damaged."""

import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from rasterio.crs import CRS
from rasterio.transform import Affine

from _intact import damaged
from _raster import Grid, write
from conftest import ROOT

GRID = Grid(CRS.from_epsg(32647), Affine(250, 0, 0, 0, -250, 4e6), 600, 600)


@pytest.fixture
def study(tmp_path, monkeypatch):
    """Whole files of each kind, in a folder that is the working directory."""
    monkeypatch.chdir(tmp_path)
    layer = np.random.default_rng(1).random(GRID.shape)
    write("results/a.tif", GRID, {"x": layer, "y": layer}, {"x": "1", "y": "1"})
    pd.DataFrame({"x": range(1000)}).to_parquet("results/a.parquet")
    (tmp_path / "results" / "a.json").write_text('{"a": [1, 2]}')
    (tmp_path / "results" / "a.csv").write_text("a,b\n" + "123,456\n" * 97)
    return tmp_path


KINDS = ["results/a.tif", "results/a.parquet", "results/a.json", "results/a.csv"]


def test_whole_files_folders_and_what_is_not_there_are_not_named(study):
    assert damaged([*KINDS, "results", "results/absent.tif"]) == []


@pytest.mark.parametrize("path", KINDS)
@pytest.mark.parametrize("share", [0.0, 0.5, 0.9])
def test_a_file_that_ends_early_is_named_with_the_mend(study, path, share):
    content = (study / path).read_bytes()
    (study / path).write_bytes(content[: int(len(content) * share)])
    (line,) = damaged(KINDS)
    assert line.startswith(f"{path}: expected the file that a job of this study finished")
    assert line.endswith("are made anew.") and "Delete it and type the same command" in line


@pytest.mark.parametrize("path", KINDS[:2])
def test_a_file_whose_last_quarter_is_zeros_is_named(study, path):
    content = (study / path).read_bytes()
    (study / path).write_bytes(content[: -len(content) // 4] + bytes(len(content) // 4))
    assert len(damaged([path])) == 1


def test_what_the_user_brought_is_left_to_the_messages_of_its_reader(study):
    shutil.copytree("results", "resources")
    (study / "resources" / "a.json").write_text("{")
    assert damaged(["resources/a.json"]) == []


PROGRAM = """
import sys
from types import SimpleNamespace
from _log import log_to
snakemake = SimpleNamespace(input=["results/a.json", "results/a.csv"])
log_to("log.txt")
raise ValueError("what a library says")
"""


def test_the_log_of_a_failed_job_ends_with_it(study):
    (study / "results" / "a.json").write_text("{")
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={"PYTHONPATH": str(ROOT / "workflow/scripts")},
        capture_output=True,
        text=True,
        check=False,
    )
    for said in (ended.stderr, (study / "log.txt").read_text()):
        assert "ValueError: what a library says" in said
        assert said.count("results/a.json: expected the file") == 1
        assert "results/a.csv" not in said
