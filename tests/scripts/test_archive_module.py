"""Which delivered file comes to lie in the archive, and what is written beside it."""

import hashlib
import json
import os
import stat
from pathlib import Path

import pytest

from _archive import latest, link, parsed, place
from _log import UserError

NEW = "MOD13Q1.A2012113.h26v05.061.2021068095141.hdf"
OLD = "MOD13Q1.A2012113.h26v05.061.2020342021543.hdf"


def delivered(folder, **contents):
    folder.mkdir(exist_ok=True)
    files = []
    for name, content in contents.items():
        files.append(folder / name)
        files[-1].write_bytes(content)
    return files


def final(root):
    path = root / "modis" / "MOD13Q1" / "2012-04-22" / "h26v05.hdf"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def test_name_gives_what_it_says():
    parts = parsed(NEW)
    assert parts["date"] == "2012-04-22"  # day 113 of a leap year
    assert (parts["product"], parts["tile"], parts["made"]) == (
        "MOD13Q1",
        "h26v05",
        "2021068095141",
    )


@pytest.mark.parametrize("names", [(OLD, NEW), (NEW, OLD)])
def test_older_production_never_wins(tmp_path, names):
    contents = {OLD: b"old", NEW: b"newer"}
    files = delivered(tmp_path / "in", **{name: contents[name] for name in names})
    record = place(files, final(tmp_path), simulated=True)
    assert final(tmp_path).read_bytes() == b"newer"
    assert record == json.loads(final(tmp_path).with_suffix(".json").read_text())
    assert record["delivered"] == NEW
    assert record["superseded"] == [OLD]
    assert record["bytes"] == 5
    assert record["sha256"] == hashlib.sha256(b"newer").hexdigest()
    assert record["simulated"] is True
    assert not any((tmp_path / "in").iterdir())


def test_the_archive_is_read_only_and_can_be_made_again(tmp_path):
    for content in (b"first", b"second"):
        place(delivered(tmp_path / "in", **{NEW: content}), final(tmp_path))
        assert not final(tmp_path).stat().st_mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH)
    assert final(tmp_path).read_bytes() == b"second"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (NEW.replace("MOD13Q1", "MYD13Q1"), "expected product MOD13Q1 .* found MYD13Q1"),
        (NEW.replace("113", "129", 1), "expected date 2012-04-22 .* found 2012-05-08"),
        (NEW.replace("h26v05", "h26v06"), "expected tile h26v05 .* found h26v06"),
        ("h26v05.hdf", "expected a name like MOD13Q1.A2012113"),
    ],
)
def test_a_file_of_another_place_is_refused_and_nothing_moved(tmp_path, name, said):
    files = delivered(tmp_path / "in", **{NEW: b"good", name: b"strange"})
    with pytest.raises(UserError, match=said):
        place(files, final(tmp_path))
    assert not final(tmp_path).exists()
    assert all(file.exists() for file in files)


def test_nothing_delivered_is_an_error(tmp_path):
    with pytest.raises(UserError, match="found none"):
        place([], final(tmp_path))


# --- the latest production by name ---

KEY = ("MOD13Q1", "2012-04-22", "h26v05")


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_latest_production_comes_first(order):
    files = [Path("a", OLD), Path("b", NEW)]
    assert latest([files[i] for i in order]) == {KEY: [Path("b", NEW), Path("a", OLD)]}


def test_a_later_collection_comes_before_an_earlier_one_made_after_it():
    old = Path(NEW.replace(".061.2021", ".006.2022"))
    assert latest([old, Path(NEW)]) == {KEY: [Path(NEW), old]}


@pytest.mark.parametrize("name", [NEW.lower(), NEW.upper(), NEW.replace(".hdf", ".HDF")])
def test_case_of_a_name_does_not_matter(name):
    assert parsed(name) == parsed(NEW)
    assert latest([Path(name)]) == {KEY: [Path(name)]}


def test_the_same_granule_in_two_spellings_is_one(tmp_path):
    older = Path(OLD.lower())
    assert latest([older, Path(NEW)]) == {KEY: [Path(NEW), older]}


def test_other_days_tiles_and_products_are_apart_and_other_files_passed_over():
    others = [NEW.replace("2012113", "2012129"), NEW.replace("h26", "h27"), "MYD" + NEW[3:]]
    strange = [f"{NEW}.json", f".{NEW}.part", f"{NEW}.xml", "README", NEW.replace("061", "NRT")]
    found = latest([Path(name) for name in [NEW, *others, *strange]])
    assert sorted(file.name for files in found.values() for file in files) == sorted([NEW, *others])
    assert len(found) == 4


# --- the link to the store ---


@pytest.fixture
def in_store(tmp_path, monkeypatch):
    """A file of the store with its record, in a working directory of its own."""
    folder = tmp_path / "study"
    folder.mkdir()
    monkeypatch.chdir(folder)
    file = Path("resources/store/modis", NEW)
    file.parent.mkdir(parents=True)
    file.write_bytes(b"granule")
    file.chmod(0o444)
    Path(f"{file}.json").write_text("{}")
    return file


PLACE = Path("resources/raw/modis/MOD13Q1/2012-04-22/h26v05.hdf")


def test_a_link_has_the_record_beside_it_and_survives_a_move_of_the_study(in_store, tmp_path):
    link(in_store, PLACE, {"delivered": NEW, "superseded": [OLD]})
    assert PLACE.read_bytes() == b"granule"
    assert json.loads(PLACE.with_suffix(".json").read_text()) == {
        "delivered": NEW,
        "superseded": [OLD],
    }
    (tmp_path / "study").rename(tmp_path / "moved")
    assert (tmp_path / "moved" / PLACE).read_bytes() == b"granule"


def test_a_store_elsewhere_is_linked_by_its_full_path(in_store, tmp_path):
    away = tmp_path / "disk" / NEW
    away.parent.mkdir()
    in_store.rename(away)
    link(away, PLACE, {})
    assert os.readlink(PLACE) == str(away)


def test_deleting_the_link_leaves_the_file(in_store):
    link(in_store, PLACE, {})
    PLACE.unlink()
    assert in_store.read_bytes() == b"granule"


def test_a_link_replaces_what_was_there(in_store):
    PLACE.parent.mkdir(parents=True)
    PLACE.write_bytes(b"earlier")
    PLACE.chmod(0o444)
    link(in_store, PLACE, {})
    link(in_store, PLACE, {"again": True})
    assert PLACE.is_symlink() and PLACE.read_bytes() == b"granule"
    assert json.loads(PLACE.with_suffix(".json").read_text()) == {"again": True}


def test_a_broken_link_is_replaced(in_store):
    PLACE.parent.mkdir(parents=True)
    PLACE.symlink_to("nowhere")
    link(in_store, PLACE, {})
    assert PLACE.read_bytes() == b"granule"


def test_without_keeping_the_file_moves_with_its_record(in_store):
    link(in_store, PLACE, {"delivered": NEW}, keep=False)
    assert not PLACE.is_symlink() and PLACE.read_bytes() == b"granule"
    assert not PLACE.stat().st_mode & stat.S_IWUSR
    assert not list(in_store.parent.iterdir())
    assert json.loads(PLACE.with_suffix(".json").read_text())["delivered"] == NEW
