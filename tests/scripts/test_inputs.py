"""The table of `snakemake inputs`: what is there, what is missing, how to get it."""

import json

import pytest

from inputs import accounts, counted, main, report, table

BOX = [102.0, 33.6, 102.7, 34.19]
ALBEDO = [f"resources/raw/modis/MCD43A3/2015-07-{day:02d}/h26v05.hdf" for day in (1, 9, 17)]
NEEDS = {
    "modis": {"road": "earthdata", "value": "earthdata", "files": ALBEDO, "folder": [], "how": ""},
    "smci": {
        "road": "folder",
        "value": "archive/SMCI",
        "files": ["resources/raw/smci/SMCI_1km_2015_10cm/*.nc"],
        "folder": [],
        "how": "Register at data.tpdc.ac.cn.",
    },
    "rain": {
        "road": "raw",
        "value": "raw",
        "files": ["resources/raw/rain/2015/1.csv", "resources/raw/rain/2015/2.csv"],
        "folder": [],
        "how": "Put it there.",
    },
}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("EARTHDATA_TOKEN", "EARTHDATA_USERNAME", "EARTHDATA_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    here = tmp_path / "resources/raw/rain/2015"
    here.mkdir(parents=True)
    (here / "1.csv").write_text("x")
    return tmp_path


def test_files_are_counted_by_where_they_are():
    rain = counted("rain", NEEDS["rain"], BOX)
    assert (rain["needed"], rain["present"]) == (2, 1)
    assert rain["missing"] == ["resources/raw/rain/2015/2.csv"]
    assert rain["to_get"] == 60_000 and rain["size"] == 120_000
    there = counted("rain", NEEDS["rain"] | {"folder": ["resources/raw/rain/2015/2.csv"]}, BOX)
    assert there["present"] == 2 and there["to_get"] == 0


def test_a_source_whose_files_cannot_be_counted_has_a_question_mark():
    assert counted("smci", NEEDS["smci"], BOX)["needed"] is None
    line = next(line for line in report(NEEDS, BOX, True, 24).splitlines() if "SMCI" in line)
    assert line.split()[2:5] == ["?", "0", "?"]


def test_the_report_says_total_sizes_accounts_and_what_no_program_fetches():
    said = report(NEEDS, BOX, False, 24)
    assert "Still to get: about 210.1 MB." in said
    assert "Albedo: 3 granules, about 210.0 MB" in said and "24 granules, about 1.7 GB" in said
    assert "credentials NOT FOUND" in said and "keep_raw: false" in said
    assert "Register at data.tpdc.ac.cn." in said
    assert "resources/raw/rain/2015/2.csv. Put it there." in said


def test_credentials_are_named_by_place_only(monkeypatch):
    monkeypatch.setenv("EARTHDATA_TOKEN", "geheim")
    said = "\n".join(accounts(NEEDS))
    assert "found in EARTHDATA_TOKEN" in said and "geheim" not in said


def test_columns_are_aligned():
    lines = table([["source", "n", "n", "n", "size", "how"], ["a", "1", "22", "333", "4 MB", "x"]])
    first, second = lines.splitlines()
    assert first.index("how") == second.index("x")


def test_the_table_is_printed(capsys):
    main(json.dumps(NEEDS), BOX, True, 24)
    out = capsys.readouterr().out
    assert out.startswith("source") and "MODIS NDVI, LST, ET, albedo" in out


def test_nothing_missing_is_said():
    needs = {
        "rain": NEEDS["rain"] | {"files": ["resources/raw/rain/2015/1.csv"]},
        "modis": NEEDS["modis"] | {"road": "folder", "folder": ALBEDO},
    }
    assert "Nothing of known size is missing." in report(needs, BOX, True, 24)
