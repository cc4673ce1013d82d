"""Provenance and crate: complete, connected, and equal for two equal runs but for their times."""

import json
import os
from hashlib import sha256
from pathlib import Path

import pytest

import record_run

SETTINGS = {"model": {"seed": 3, "search": {"n": [1, 2]}}, "simulation": {"seed": 9}, "years": [1]}


@pytest.fixture
def given(tmp_path, monkeypatch):
    """Two results and a lock of two inputs, in a folder that is the working directory."""
    monkeypatch.chdir(tmp_path)
    for name in ("results/maps/a.tif", "results/model/b.csv", "Snakefile"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(name)
    digest = sha256(b"x").hexdigest()
    Path("inputs.lock").write_text(f"{digest}  resources/raw/a b.hdf\n{digest}  resources/c.csv\n")
    return {
        "lock": "inputs.lock",
        "files": [],
        "results": ["results/model/b.csv", "results/maps/a.tif"],
        "snakefile": "Snakefile",
        "provenance": "results/report/provenance.json",
        "crate_file": "results/ro-crate-metadata.json",
        "code": "results/report/Snakefile",
        "settings": json.dumps(SETTINGS),
        "title": "Zoige",
        "note": "",
        "commit": "abc-dirty",
    }


def run(given, **changes):
    record_run.main(**given | changes)
    return tuple(json.loads(Path(given[name]).read_text()) for name in ("provenance", "crate_file"))


def test_inputs_results_versions_and_seeds_are_named(given):
    found, _ = run(given)
    assert [row["path"] for row in found["inputs"]] == ["resources/raw/a b.hdf", "resources/c.csv"]
    assert found["outputs"][0] == {
        "path": "results/maps/a.tif",
        "bytes": 18,
        "sha256": sha256(b"results/maps/a.tif").hexdigest(),
    }
    assert found["seeds"] == {"model.seed": 3, "simulation.seed": 9}
    assert found["software"]["workflow"] == "abc-dirty"
    assert {"numpy", "scikit-learn", "GDAL", "Python"} < set(found["software"])
    assert found["settings"] == SETTINGS


def test_without_a_lock_the_files_of_a_table_study_are_hashed(given):
    found, _ = run(given, lock=[], files=["inputs.lock"])
    assert found["inputs"][0]["sha256"] == sha256(Path("inputs.lock").read_bytes()).hexdigest()


def test_every_reference_in_the_crate_leads_somewhere(given):
    _, crate = run(given)
    ids = [entity["@id"] for entity in crate["@graph"]]
    assert len(ids) == len(set(ids))

    def references(value):
        if isinstance(value, dict):
            if set(value) == {"@id"}:
                yield value["@id"]
            for part in value.values():
                yield from references(part)
        elif isinstance(value, list):
            for part in value:
                yield from references(part)

    outside = {"https://w3id.org/ro/crate/1.1"}
    assert set(references(crate["@graph"])) - outside <= set(ids)
    by_id = {entity["@id"]: entity for entity in crate["@graph"]}
    for entity in by_id.values():
        if "File" in entity["@type"]:
            assert (Path("results") / entity["@id"]).exists()
    action = by_id["#run"]
    assert by_id[action["instrument"]["@id"]]["@type"][-1] == "ComputationalWorkflow"
    assert {"@id": "maps/a.tif"} in action["result"]
    values = {by_id[o["@id"]]["name"]: by_id[o["@id"]] for o in action["object"]}
    assert values["model.search.n"]["value"] == "[1, 2]"


def test_two_equal_runs_differ_only_in_their_times(given):
    first = run(given)
    for path in given["results"]:
        os.utime(path, (2e9, 2e9))
    second = run(given)
    assert first != second
    assert second[0]["times"]["last_result"] == "2033-05-18T03:33:20Z"
    for found in (first, second):
        found[0].pop("times")
        for entity in found[1]["@graph"]:
            for name in ("startTime", "endTime", "datePublished"):
                entity.pop(name, None)
    assert first == second
