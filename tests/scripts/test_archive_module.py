"""Which delivered file comes to lie in the archive, and what is written beside it."""

import hashlib
import json
import stat

import pytest

from _archive import parsed, place
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
