"""This workflow inside another one, and deployed into an empty folder."""

import json
import subprocess
import sys

import pandas as pd
import pytest
import yaml
from snakemake.utils import update_config

from conftest import ROOT, TINY

MODULE = """
configfile: "mine.yaml"


module soil_moisture:
    snakefile:
        {snakefile}
    config:
        config["soil_moisture"]


use rule * from soil_moisture as soil_*


rule wettest:
    default_target: True
    input:
        "results/maps/series.csv",
    output:
        "wettest.txt",
    shell:
        "grep ,soil_moisture, {{input}} | sort -t, -k3,3n | tail -n 1 | cut -d, -f1 > {{output}}"
"""


def run(folder, *arguments) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--nocolor", *arguments]
    return subprocess.run(
        command,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def importing(folder, snakefile: str) -> None:
    """Write another workflow, which takes the whole config of this one from its own."""
    whole, tiny = (
        yaml.safe_load((ROOT / name).read_text()) for name in ("config/config.yaml", TINY)
    )
    update_config(whole, tiny)
    (folder / "mine.yaml").write_text(yaml.safe_dump({"soil_moisture": whole}))
    (folder / "Snakefile").write_text(MODULE.format(snakefile=snakefile))


def test_another_workflow_sees_the_rules_under_names_of_its_own(tmp_path):
    importing(tmp_path, json.dumps(str(ROOT / "Snakefile")))
    ended = run(tmp_path, "--dry-run")
    assert ended.returncode == 0, ended.stdout[-3000:]
    for rule in ("soil_composite_modis", "soil_finish_maps_2016", "wettest"):
        assert rule in ended.stdout


def test_an_address_in_place_of_a_clone_says_so(tmp_path):
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    folder = tmp_path / "other"
    folder.mkdir()
    importing(folder, f'gitfile("{clone}", path="Snakefile", ref="HEAD")')
    ended = run(folder, "--dry-run")
    assert ended.returncode != 0
    assert "expected this workflow in a folder, found an address" in ended.stdout


def test_a_clone_is_all_that_a_deployed_study_needs(tmp_path):
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(tmp_path / "clone")], check=True)
    folder = tmp_path / "study"
    folder.mkdir()
    where = ["-s", str(tmp_path / "clone" / "Snakefile"), "--configfile", str(ROOT / TINY)]
    ended = run(folder, *where, "--dry-run")
    assert ended.returncode == 0, ended.stdout[-3000:]
    assert "predict_maps_2016" in ended.stdout
    assert [path.name for path in folder.iterdir()] in ([], [".snakemake"])


@pytest.mark.regions
def test_the_importing_workflow_runs_to_its_end(tmp_path):
    importing(tmp_path, json.dumps(str(ROOT / "Snakefile")))
    ended = run(tmp_path)
    assert ended.returncode == 0, ended.stdout[-3000:]
    series = pd.read_csv(tmp_path / "results/maps/series.csv").query("quantity == 'soil_moisture'")
    wettest = series.loc[series["value"].idxmax(), "period"]
    assert (tmp_path / "wettest.txt").read_text().strip() == wettest
    assert "soil_predict_maps_2016" in ended.stdout
