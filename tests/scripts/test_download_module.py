"""Only what is whole and right enters the store, and what fails is told with its mend."""

import errno
import gzip
import os
import shutil
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

import _download
from _download import Progress, Refused, check_room, keep, record_of
from _log import UserError
from downloads import (
    DATA,
    PATH,
    Archive,
    assert_absent,
    assert_second_run_finishes,
    assert_whole,
    fetch,
    stopped,
    sum_of,
    wanted,
)
from servers import Fault


@pytest.fixture
def archive():
    with Archive({PATH: DATA}) as server:
        yield server


@pytest.fixture
def pauses(monkeypatch):
    """Try again at once, and list the seconds that would have passed."""
    seconds = []
    monkeypatch.setattr(_download._Fetch, "pause", lambda self, count: seconds.append(count))
    return seconds


# What is in a file.


def test_a_log_in_page_is_never_a_file(archive, tmp_path):
    want = wanted(archive, tmp_path)
    archive.faults[PATH] = ["login"]
    with pytest.raises(UserError, match="expected HDF, found a web page. Log in. 0 of 1 files"):
        fetch(want)
    assert len(archive.seen) == 1
    assert os.listdir(want.path.parent) == []
    assert_second_run_finishes(archive, want)


@pytest.mark.parametrize("algorithm", ["md5", "sha256"])
def test_a_wrong_checksum_is_tried_again_and_given_up(archive, tmp_path, pauses, algorithm):
    expected, bad = sum_of(DATA, algorithm), b"x" + DATA[1:]
    want = wanted(archive, tmp_path, size=len(DATA), checksum=expected)
    archive.files[PATH] = bad
    with pytest.raises(UserError) as caught:
        fetch(want, tries=9)
    found = sum_of(bad, algorithm).replace(":", " ")
    said = f"after 3 tries: {found} instead of the {expected.split(':')[1]} published"
    assert said in str(caught.value)
    assert len(archive.seen) == 3
    assert os.listdir(want.path.parent) == []
    archive.files[PATH] = DATA
    assert_second_run_finishes(archive, want)
    assert record_of(want.path)["published"] == expected


@pytest.mark.parametrize("written", ["MD5:{}", "Md5:{}", "sha-256:{}", "SHA256:{}"])
def test_checksums_are_known_however_a_catalogue_writes_them(archive, tmp_path, written):
    algorithm = "md5" if "md5" in written.lower() else "sha256"
    hexadecimal = sum_of(DATA, algorithm).split(":")[1].upper()
    want = wanted(archive, tmp_path, checksum=written.format(hexadecimal))
    fetch(want)
    assert_whole(want)


def test_a_wrong_checksum_once_is_right_after_a_retry(archive, tmp_path, pauses):
    want = wanted(archive, tmp_path, checksum=sum_of(DATA))
    archive.alter = lambda request, status, headers, body: (
        status, headers, body if len(archive.seen) > 1 else b"x" + body[1:]
    )  # fmt: skip
    fetch(want)
    assert_whole(want)
    assert archive.ranges_asked() == [None, None], "nothing of the wrong file is kept"


def test_a_body_whose_end_nobody_tells_is_tried_again_if_it_cannot_be_read(
    archive, tmp_path, pauses
):
    def check(part, want):
        if part.read_bytes() != DATA:
            raise UserError(f"{want.path}: expected HDF, found less.")

    want = wanted(archive, tmp_path)
    archive.ending = "close"
    archive.faults[PATH] = [Fault("cut", after=100_000)]
    fetch(want, check=check)
    assert_whole(want)
    assert len(archive.seen) == 2


@pytest.mark.parametrize("ending", ["length", "chunked", "close"])
def test_bodies_may_end_in_any_way(archive, tmp_path, ending):
    archive.ending = ending
    fetch(wanted(archive, tmp_path))
    assert_whole(wanted(archive, tmp_path))


def test_a_cut_chunked_body_is_no_file_and_gone_on_with(archive, tmp_path, pauses):
    archive.ending = "chunked"
    archive.faults[PATH] = [Fault("cut", after=150_000)]
    fetch(wanted(archive, tmp_path))
    assert_whole(wanted(archive, tmp_path))
    assert len(archive.seen) == 2


@pytest.mark.parametrize(("name", "kept"), [("a.csv.gz", True), ("a.csv", False)])
def test_packed_files_stay_packed_and_packed_bodies_do_not(archive, tmp_path, pauses, name, kept):
    """Apache calls a .gz file encoded; a body packed for the way is another thing."""
    packed = gzip.compress(DATA)
    archive.files[f"/{name}"] = packed
    archive.alter = lambda request, status, headers, body: (
        status, headers | {"Content-Encoding": "x-gzip"}, body
    )  # fmt: skip
    archive.faults[f"/{name}"] = [Fault("cut", after=200_000)]
    want = wanted(archive, tmp_path, f"/{name}")
    fetch(want)
    assert_whole(want, packed if kept else DATA)
    # How far a packed body came says nothing about where to go on.
    assert (archive.ranges_asked()[1] is not None) == kept


# Many files.


def test_never_more_requests_at_a_time_than_allowed(tmp_path):
    now, most, lock = [0], [0], threading.Lock()

    def busy(request, status, headers, body):
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.03)
        with lock:
            now[0] -= 1
        return status, headers, body

    with Archive({f"/{n}.hdf": DATA[:n] for n in range(1, 25)}) as server:
        server.alter = busy
        wants = [wanted(server, tmp_path, path) for path in server.files]
        fetch(*wants, parallel=3)
        assert most == [3]
        for want, data in zip(wants, server.files.values(), strict=True):
            assert_whole(want, data)


def test_files_that_fail_do_not_stop_the_others(tmp_path, pauses, caplog):
    paths = [f"/{number}.hdf" for number in range(6)]
    with Archive({path: DATA[:1000] + path.encode() for path in paths}) as server:
        server.faults = {paths[1]: [404], paths[2]: ["login"], paths[4]: [500] * 4}
        wants = [wanted(server, tmp_path, path) for path in paths]
        with pytest.raises(UserError) as caught:
            fetch(*wants, parallel=1)
        text = str(caught.value)
        assert "1.hdf: expected 1.hdf, found 404" in text and "So did 2 more (see the log)." in text
        assert text.endswith(
            "3 of 6 files arrived and are kept: run the same command again for the rest."
        )
        for said in ("1.hdf: expected 1.hdf, found 404", "2.hdf: expected HDF", "4.hdf: expected"):
            assert said in caplog.text
        for number in (0, 3, 5):
            assert_whole(wants[number], server.files[paths[number]])
        for number in (1, 2, 4):
            assert_absent(wants[number])
        server.seen.clear()
        records = fetch(*wants)
        assert sorted(request.path for request in server.seen) == [paths[n] for n in (1, 2, 4)]
        assert set(records) == {want.path for want in wants}
        for want, data in zip(wants, server.files.values(), strict=True):
            assert_whole(want, data)


def test_a_file_wanted_twice_is_fetched_once(archive, tmp_path, caplog):
    caplog.set_level("INFO")
    want = wanted(archive, tmp_path)
    assert set(fetch(want, want)) == {want.path}
    assert "files: 1 of 1 files to fetch" in caplog.text
    assert len(archive.seen) == 1


def test_a_fault_of_ours_stops_all_and_keeps_what_came(archive, tmp_path):
    def check(part, want):
        raise ZeroDivisionError

    archive.files |= {f"/{number}.hdf": DATA for number in range(20)}
    wants = [wanted(archive, tmp_path, path) for path in archive.files]
    with pytest.raises(ZeroDivisionError):
        fetch(*wants, check=check)
    assert len(archive.seen) < 10
    assert not any(want.path.exists() for want in wants)
    fetch(*wants)
    for want in wants:
        assert_whole(want)


def test_checks_run_one_at_a_time(archive, tmp_path):
    inside = []

    def check(part, want):
        inside.append(1)
        time.sleep(0.01)
        assert inside.pop() and not inside

    archive.files |= {f"/{number}.hdf": DATA for number in range(8)}
    fetch(*(wanted(archive, tmp_path, path) for path in archive.files), check=check, parallel=8)


# The store.


def test_a_file_that_its_producer_replaced_is_told(archive, tmp_path):
    fetch(wanted(archive, tmp_path, checksum=sum_of(DATA)))
    new = sum_of(b"new", "md5")
    want = wanted(archive, tmp_path, checksum=new)
    with pytest.raises(UserError, match="replaced the file since .*: delete .* to fetch") as caught:
        fetch(want)
    for said in (
        f"{want.path}: expected what",
        new.replace(":", " "),
        "md5 " + sum_of(DATA, "md5")[4:],
    ):
        assert said in str(caught.value)
    with pytest.raises(
        UserError, match=r"expected what .* publishes \(5\), found 300000. The prod"
    ):
        fetch(wanted(archive, tmp_path, size=5))
    assert len(archive.seen) == 1


def test_another_checksum_of_the_same_file_is_no_change(archive, tmp_path):
    fetch(wanted(archive, tmp_path, checksum=sum_of(DATA)))
    fetch(wanted(archive, tmp_path, checksum=sum_of(DATA, "md5"), size=len(DATA)))
    assert len(archive.seen) == 1


@pytest.mark.parametrize(
    "text", [None, "", "[]", "null", "3", "{}", '{"bytes": "5"}', '{"bytes": 4}']
)
def test_a_file_without_its_record_is_none_of_the_store(archive, tmp_path, text):
    want = wanted(archive, tmp_path)
    want.path.parent.mkdir()
    want.path.write_bytes(b"12345")
    if text is not None:
        want.path.with_name("a.hdf.json").write_text(text)
    assert record_of(want.path) is None
    fetch(want)
    assert_whole(want)


def test_a_new_record_never_stands_beside_an_older_file(tmp_path, monkeypatch):
    part, path = tmp_path / "part", tmp_path / "a.hdf"
    path.write_bytes(b"old")
    part.write_bytes(b"new")

    before = Path.replace

    def killed(self, target):
        if self == part:
            raise MemoryError
        return before(self, target)

    with monkeypatch.context() as patch, pytest.raises(MemoryError):
        patch.setattr(Path, "replace", killed)
        keep(part, path, "https://h.org/a.hdf")
    assert record_of(path) is None
    keep(part, path, "https://anna:hush@h.org/a.hdf?sig=1", published="md5:1")
    record = record_of(path)
    assert path.read_bytes() == b"new"
    assert record["address"] == "https://h.org/a.hdf?***" and record["published"] == "md5:1"


def test_a_folder_where_a_file_belongs_is_told(archive, tmp_path):
    want = wanted(archive, tmp_path)
    want.path.mkdir(parents=True)
    with pytest.raises(UserError, match="a.hdf: expected a file, found a folder. Move it away."):
        fetch(want)
    assert not archive.seen


def test_a_file_where_the_store_belongs_is_told(archive, tmp_path):
    (tmp_path / "store").write_text("")
    with pytest.raises(Refused, match="store: expected a place where files can be written, found:"):
        fetch(wanted(archive, tmp_path))
    assert not archive.seen


def test_a_store_that_cannot_be_written_is_told(archive, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(Refused, match="store: expected a place .* Permission denied. Free it"):
        fetch(wanted(archive, tmp_path))
    assert not archive.seen


def test_a_store_that_becomes_closed_is_told(archive, tmp_path, monkeypatch):
    def closed(*_):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(_download, "transfer", closed)
    with pytest.raises(Refused, match="a.hdf: expected a place .* Read-only file system. Free it"):
        fetch(wanted(archive, tmp_path))


@contextmanager
def small_disk(folder, size):
    """A disk of its own for `folder`; only root may mount one."""
    folder.mkdir()
    if sys.platform != "linux" or os.geteuid() or not shutil.which("mount"):
        pytest.skip("a small disk can be mounted only by root, on Linux")
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], capture_output=True
    )
    if made.returncode:
        pytest.skip(f"no small disk here: {made.stderr.decode().strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def test_a_disk_that_fills_up_is_told_and_gone_on_with(archive, tmp_path):
    want = wanted(archive, tmp_path)
    with small_disk(tmp_path / "store", "192k"):
        with pytest.raises(Refused, match="a.hdf: expected room on the disk, found none .No space"):
            fetch(want)
        assert_absent(want)
        have = want.part.stat().st_size
        assert have and want.part.read_bytes() == DATA[:have]
        subprocess.run(["mount", "-o", "remount,size=2m", tmp_path / "store"], check=True)
        archive.seen.clear()
        assert_second_run_finishes(archive, want)
        assert archive.ranges_asked() == [f"bytes={have}-"]


def test_a_disk_mounted_for_reading_is_told(archive, tmp_path):
    with small_disk(tmp_path / "store", "192k"):
        subprocess.run(["mount", "-o", "remount,ro", tmp_path / "store"], check=True)
        with pytest.raises(Refused, match="store: expected a place where files can be written"):
            fetch(wanted(archive, tmp_path))
    assert not archive.seen


def test_a_disk_too_small_is_told_before_anything_starts(archive, tmp_path):
    said = "expected 300.0 kB free for files, found 196.6 kB. Make"
    with small_disk(tmp_path / "store", "192k"), pytest.raises(Refused, match=said):
        fetch(wanted(archive, tmp_path, about=len(DATA)))
    assert not archive.seen


def test_folders_of_one_disk_share_its_room(archive, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=500_000))
    archive.files["/b/b.hdf"] = DATA
    one = wanted(archive, tmp_path, size=len(DATA))
    two = wanted(archive, tmp_path / "other", "/b/b.hdf", size=len(DATA))
    with pytest.raises(Refused, match="expected 600.0 kB free for files, found 500.0 kB"):
        fetch(one, two)
    assert not archive.seen
    have = stopped(archive, one)  # what lies there already needs no room
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=600_000 - have))
    fetch(one, two)


def test_room_is_checked_in_a_folder_that_is_not_there_yet(tmp_path):
    check_room(tmp_path / "a" / "b", 1, "files")
    with pytest.raises(Refused, match="GB free for files, found .* .--directory.*keep_raw: false"):
        check_room(tmp_path / "a", 10**18, "files")


# What a person reads.


def test_sizes_known_roughly_are_for_totals_alone(archive, tmp_path, caplog):
    caplog.set_level("INFO")
    want = wanted(archive, tmp_path, about=310_000)
    assert (want.estimate, wanted(archive, tmp_path, size=5, about=4).estimate) == (310_000, 5)
    fetch(want)
    assert_whole(want)
    assert "files: 1 of 1 files to fetch from the archive, about 310.0 kB" in caplog.text


def test_what_is_begun_is_told_and_counted_once(archive, tmp_path, caplog, monkeypatch):
    caplog.set_level("INFO")
    want = wanted(archive, tmp_path, size=len(DATA))
    have = stopped(archive, want)
    kept = []
    before = Progress.add
    monkeypatch.setattr(
        Progress, "add", lambda self, *a, **k: (kept.append(self), before(self, *a, **k))
    )
    fetch(want)
    assert f"300.0 kB ({_download.human(have)} of them begun earlier)" in caplog.text
    assert kept[-1].bytes == len(DATA) and kept[-1].arrived == len(DATA) - have
    assert "files: 1 of 1 files, 300.0 kB" in caplog.text


def test_what_is_thrown_away_is_not_counted(archive, tmp_path, pauses, monkeypatch):
    kept = []
    before = Progress.add
    monkeypatch.setattr(
        Progress, "add", lambda self, *a, **k: (kept.append(self), before(self, *a, **k))
    )
    archive.said = "nothing"
    archive.faults[PATH] = [Fault("cut", after=200_000), "short"]
    fetch(wanted(archive, tmp_path, checksum=sum_of(DATA)))
    assert kept[-1].bytes == len(DATA) < kept[-1].arrived


def test_speed_and_time_left_are_of_this_run():
    progress = Progress("MODIS", 10, 10_000_000, bytes=4_000_000)
    progress.done, progress.arrived, progress.bytes = 5, 2_000_000, 6_000_000
    assert progress.line(2.0) == (
        "MODIS: 5 of 10 files, 6.0 MB of 10.0 MB, 1.0 MB/s, about 4 s left"
    )
    assert progress.line(200.0).endswith("10.0 kB/s, about 7 min left")
    progress.bytes = 11_000_000  # a rough size was too small
    assert progress.line(2.0).endswith("about 0 s left")
    progress.done = 10
    assert progress.line(2.0) == "MODIS: 10 of 10 files, 11.0 MB"


def test_progress_is_said_now_and_then(caplog, monkeypatch):
    caplog.set_level("INFO")
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    progress = Progress("MODIS", 2, None, start=0.0, said=0.0)
    for clock[0] in range(25):
        progress.add(1000)
    progress.add(0, files=1)
    progress.add(0, files=1)
    assert [record.getMessage() for record in caplog.records] == [
        "MODIS: 0 of 2 files, 11.0 kB",
        "MODIS: 0 of 2 files, 21.0 kB",
        "MODIS: 2 of 2 files, 25.0 kB",
    ]


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1500, "1.5 kB"), (2.5e6, "2.5 MB"), (7e12, "7000.0 GB")],
)
def test_bytes_are_written_as_people_read_them(count, text):
    assert _download.human(count) == text


@pytest.mark.parametrize(
    ("content", "page"),
    [(b"<!DOCTYPE html>", True), (b"\xef\xbb\xbf \n<HTML>", True), (b"<?xml version", True),
     (b"\x89HDF\r\n", False), (b"", False), (b"a,b\n<html>", False)],
)  # fmt: skip
def test_pages_are_known_by_what_they_begin_with(tmp_path, content, page):
    (tmp_path / "a").write_bytes(content)
    assert _download.looks_like_page(tmp_path / "a") == page


def test_the_host_is_shown_without_a_log_in():
    assert _download.host("https://anna:hush@data.org:8080/a?b=1") == "data.org:8080"
