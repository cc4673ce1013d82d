"""Files appear whole or not at all, and a full disk is called so."""

import errno
import shutil
from collections import namedtuple

import pytest

import _whole
from _log import UserError
from _whole import whole

Usage = namedtuple("Usage", "total used free")


def left(monkeypatch, free):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10**9, 10**9 - free, free))


def broken(path, error):
    with whole(path) as part:
        part.write_text("half")
        raise error


def test_a_block_that_ends_well_leaves_one_file(tmp_path):
    with whole(tmp_path / "a" / "b.csv") as part:
        part.write_text("x\n")
        assert not (tmp_path / "a" / "b.csv").exists()
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["b.csv"]


def test_a_block_that_fails_leaves_the_file_that_was_there(tmp_path):
    (tmp_path / "b.csv").write_text("before")
    with pytest.raises(KeyError):
        broken(tmp_path / "b.csv", KeyError("x"))
    assert [p.read_text() for p in tmp_path.iterdir()] == ["before"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_and_a_used_up_quota_are_called_so(tmp_path, number):
    with pytest.raises(UserError) as said:
        broken(tmp_path / "b.csv", OSError(number, "x"))
    assert f"{tmp_path}/b.csv: expected room to write it, found " in str(said.value)
    assert "type the same command again" in str(said.value)
    assert not list(tmp_path.iterdir())


def test_an_error_that_hides_its_number_is_known_by_what_is_left(tmp_path, monkeypatch):
    left(monkeypatch, 4096)
    with pytest.raises(UserError, match=r"found 4\.1 kB left on the disk of"):
        broken(tmp_path / "b.tif", RuntimeError("TIFFAppendToStrip: write error"))


def test_another_error_beside_room_stays_itself(tmp_path, monkeypatch):
    left(monkeypatch, _whole.LEAST)
    with pytest.raises(OSError, match="Permission"):
        broken(tmp_path / "b.tif", OSError(errno.EACCES, "Permission denied"))
