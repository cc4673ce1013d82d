"""What entered a study is hashed, compared with its record and with a lock."""

import csv
import hashlib
import json

import pytest

from _log import UserError
from check_inputs import checked, main, progress

SHA = hashlib.sha256(b"granule").hexdigest()


@pytest.fixture
def archive(tmp_path, monkeypatch):
    """Two files of an archive, one with a record beside it."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "resources/raw/modis/MOD13Q1/2015-07-12"
    folder.mkdir(parents=True)
    (folder / "h26v05.hdf").write_bytes(b"granule")
    record = {"delivered": "X.hdf", "bytes": 7, "sha256": SHA, "address": "https://a/X.hdf"}
    (folder / "h26v05.json").write_text(json.dumps(record | {"fetched": "2026-01-02T03:04:05Z"}))
    (folder / "h27v05.hdf").write_bytes(b"by hand")
    return [f"resources/raw/modis/MOD13Q1/2015-07-12/{tile}.hdf" for tile in ("h27v05", "h26v05")]


def test_every_file_is_listed_with_its_hash_and_where_it_came_from(archive, tmp_path):
    main(archive, "", "out.csv")
    rows = list(csv.DictReader((tmp_path / "out.csv").open()))
    assert [row["path"][-10:] for row in rows] == ["h26v05.hdf", "h27v05.hdf"]
    assert rows[0]["sha256"] == SHA and rows[0]["address"] == "https://a/X.hdf"
    assert rows[0]["bytes"] == "7" and rows[0]["fetched"].startswith("2026-01-02")
    assert rows[1]["delivered"] == "" and len(rows[1]["sha256"]) == 64


def test_a_file_that_changed_since_it_was_fetched_stops_the_run(archive, tmp_path):
    (tmp_path / archive[1]).write_bytes(b"changed")
    with pytest.raises(UserError, match=r"h26v05.hdf: expected the file that was fetched"):
        main(archive, "", "out.csv")
    assert not (tmp_path / "out.csv").exists()


def test_a_login_page_in_the_place_of_a_fetched_file_is_called_so(archive, tmp_path):
    (tmp_path / archive[1]).write_bytes(b"<!DOCTYPE html><title>Earthdata Login</title>")
    with pytest.raises(UserError, match=r"h26v05.hdf: .* found a web page, probably a login page"):
        main(archive, "", "out.csv")


def test_a_link_is_hashed_as_the_file_it_points_to(archive, tmp_path):
    (tmp_path / "store").mkdir()
    (tmp_path / archive[1]).rename(tmp_path / "store/X.hdf")
    (tmp_path / archive[1]).symlink_to(tmp_path / "store/X.hdf")
    main(archive, "", "out.csv")
    assert SHA in (tmp_path / "out.csv").read_text()


def test_the_lock_of_a_run_accepts_the_same_files(archive, tmp_path):
    (tmp_path / "my.lock").write_text(
        "# comment\n\n"
        + "".join(
            f"{hashlib.sha256((tmp_path / path).read_bytes()).hexdigest()}  {path}\n"
            for path in archive
        )
    )
    main(archive, "my.lock", "out.csv")
    assert (tmp_path / "out.csv").exists()


def test_a_file_that_differs_from_the_lock_is_named(archive):
    pins = {archive[1]: "0" * 64}
    with pytest.raises(
        UserError, match=r"h26v05.hdf: expected sha256 000000000000... as in my.lock"
    ):
        checked(archive[1], pins, "my.lock")


def test_a_file_that_the_lock_does_not_name_is_named(archive):
    with pytest.raises(UserError, match=r"h27v05.hdf: expected only files named in my.lock"):
        checked(archive[0], {archive[1]: SHA}, "my.lock")


def test_a_record_that_is_no_json_is_named(archive, tmp_path):
    (tmp_path / archive[1]).with_suffix(".json").write_text("{half")
    with pytest.raises(UserError, match=r"h26v05.json: expected the record of h26v05.hdf"):
        checked(archive[1], None, "")


def test_progress_says_how_long_it_takes():
    assert progress(5, 20, 10_000_000_000, 10) == "5 of 20 files hashed, 10.0 GB, about 30 s left"
