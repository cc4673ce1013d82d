"""Whatever a server or a kill does: a part becomes the server's file, whole and of one version."""

import errno
import hashlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, formatdate
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import _download
import _transfer
from _download import Refused, Wanted
from _log import UserError
from conftest import ROOT
from downloads import (
    DATA,
    PATH,
    Archive,
    assert_absent,
    assert_second_run_finishes,
    assert_whole,
    fetch,
    no_page,
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


# What a server answers.


@pytest.mark.parametrize(
    ("status", "kind", "said"),
    [
        (401, Refused, "found 401 from the archive. It does not accept your log-in. Make a token."),
        (403, Refused, "found 403 from the archive. You may not have it yet. Accept the licence."),
        (404, UserError, "found 404 from the archive. It is not there. Look in the catalogue."),
        (410, UserError, "found 410 from the archive. It is not there. Look in the catalogue."),
        (418, UserError, "found 418 from the archive. Run the same command again later."),
        (304, UserError, "found 304 from the archive. Run the same command again later."),
    ],
)
def test_refusals_are_told_at_once_with_their_mend(archive, tmp_path, status, kind, said):
    want = wanted(archive, tmp_path)
    archive.faults[PATH] = [status]
    with pytest.raises(UserError) as caught:
        fetch(want)
    assert type(caught.value) is kind
    assert f"{want.address}: expected a.hdf, {said}" in str(caught.value)
    assert len(archive.seen) == 1
    assert_absent(want)
    assert os.listdir(want.path.parent) == []
    assert_second_run_finishes(archive, want)


def test_a_refusal_of_all_ends_the_others(archive, tmp_path):
    wants = []
    for number in range(40):
        path = f"/{number}.hdf"
        archive.files[path] = DATA
        archive.faults[path] = [401]
        wants.append(wanted(archive, tmp_path, path))
    with pytest.raises(Refused, match="401"):
        fetch(*wants, parallel=2)
    assert len(archive.seen) < 10


@pytest.mark.parametrize(
    ("after", "low", "high"),
    [
        ("7", 7, 7),
        ("in two minutes", 60, 120),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0, 0),
        ("90000", 600, 600),
        ("soon", 2, 2),
        ("-5", 2, 2),
        ("²", 2, 2),
        (None, 2, 2),
    ],
)
def test_it_waits_as_long_as_a_server_asks(archive, tmp_path, pauses, after, low, high):
    if after == "in two minutes":
        after = format_datetime(datetime.now(UTC) + timedelta(seconds=120), usegmt=True)
    archive.faults[PATH] = [Fault(429, {"Retry-After": after} if after else {})]
    fetch(wanted(archive, tmp_path))
    assert len(pauses) == 1 and low <= pauses[0] <= high
    assert_whole(wanted(archive, tmp_path))


def test_pauses_grow_until_it_gives_up(archive, tmp_path, pauses):
    want = wanted(archive, tmp_path)
    archive.faults[PATH] = [500, 502, 503, 504, 500]
    with pytest.raises(UserError, match="found after 5 tries: the archive answered 500. Look at"):
        fetch(want, tries=5)
    assert pauses == [2, 4, 8, 16]
    assert len(archive.seen) == 5
    assert_absent(want)
    assert_second_run_finishes(archive, want)


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (Fault("stall", after=150_000, seconds=0.8), "no answer in time"),
        (Fault("stall", after=0, seconds=0.8), "no answer in time"),
        (Fault("cut", after=150_000), "the connection broke"),
        (Fault("cut", after=0), "the connection broke"),
        (Fault("short"), "150000 bytes instead of the 300000 published"),
        (Fault("login"), "bytes instead of the 300000 published"),
    ],
)
def test_what_breaks_once_is_right_after_a_retry(archive, tmp_path, pauses, caplog, fault, why):
    want = wanted(archive, tmp_path, size=len(DATA), checksum=sum_of(DATA))
    archive.faults[PATH] = [fault]
    caplog.set_level("INFO")
    fetch(want)
    assert why in caplog.text and "; try 2 in 2 s" in caplog.text
    assert_whole(want)
    assert len(archive.seen) == 2


@pytest.mark.parametrize("fault", ["cut", "short", Fault("stall", seconds=0.4)])
def test_what_stays_broken_is_given_up_without_a_file(archive, tmp_path, pauses, fault):
    want = wanted(archive, tmp_path, size=len(DATA))
    archive.faults[PATH] = [fault] * 9
    with pytest.raises(UserError, match=r"a.hdf: expected a.hdf, found after 3 tries: .* later"):
        fetch(want, tries=3, timeout=0.2)
    assert_absent(want)
    assert_second_run_finishes(archive, want)


def test_a_slow_line_that_breaks_often_comes_to_its_end(archive, tmp_path, pauses):
    want = wanted(archive, tmp_path)
    archive.faults[PATH] = [Fault("cut", after=70_000)] * 4
    fetch(want, tries=2)
    assert_whole(want)
    assert archive.ranges_asked() == [None, *(f"bytes={70_000 * n}-" for n in (1, 2, 3, 4))]


def test_a_connection_refused_is_told_without_the_address_of_a_redirect(tmp_path, pauses):
    want = Wanted("http://127.0.0.1:9/a.hdf?sig=hush", tmp_path / "store" / "a.hdf")
    with pytest.raises(
        UserError, match="tries: no connection to the server .NewConnectionError"
    ) as info:
        fetch(want)
    assert "http://127.0.0.1:9/a.hdf?***: expected" in str(info.value)


@pytest.mark.parametrize(
    "address", ["data.org/a.hdf", "ftp://data.org/a.hdf", "https://", "http://x y/"]
)
def test_an_address_that_is_none_is_told_at_once(tmp_path, address):
    want = Wanted(address, tmp_path / "store" / "a.hdf")
    with pytest.raises(UserError, match="expected an address that begins with https://, found"):
        fetch(want)
    assert os.listdir(tmp_path / "store") == []


def test_a_redirect_without_end_is_told(archive, tmp_path, pauses):
    archive.alter = lambda *_: (302, {"Location": PATH}, b"")
    with pytest.raises(UserError, match="sends from one address to the next without end"):
        fetch(wanted(archive, tmp_path), tries=1)
    assert_second_run_finishes(archive, wanted(archive, tmp_path))


# Going on where it stopped.


def test_only_the_rest_is_asked_for(archive, tmp_path):
    want = wanted(archive, tmp_path)
    have = stopped(archive, want)
    assert have == 150_000
    fetch(want)
    assert_whole(want)
    (request,) = archive.seen
    assert request.headers["range"] == f"bytes={have}-"
    assert request.headers["if-range"] == f'"{hashlib.md5(DATA).hexdigest()}"'


def test_an_old_date_of_change_is_as_good_as_a_tag(archive, tmp_path):
    want = wanted(archive, tmp_path)
    archive.said = "date"
    have = stopped(archive, want)
    fetch(want)
    assert_whole(want)
    assert archive.ranges_asked() == [f"bytes={have}-"]


@pytest.mark.parametrize("said", ["weak", "young", "nothing"])
def test_without_a_strong_validator_the_whole_file_comes_again(archive, tmp_path, said):
    want = wanted(archive, tmp_path)
    archive.said = said
    stopped(archive, want)
    fetch(want)
    assert_whole(want)
    assert archive.ranges_asked() == [None]


def test_a_server_without_ranges_sends_the_whole_file_again(archive, tmp_path):
    want = wanted(archive, tmp_path)
    stopped(archive, want)
    archive.ranges = False
    fetch(want)
    assert_whole(want)


@pytest.mark.parametrize("said", ["strong", "date"])
@pytest.mark.parametrize("blind", [False, True])
@pytest.mark.parametrize("length", [len(DATA), 400_000, 100_000, 150_000])
def test_a_file_changed_meanwhile_is_never_mixed(archive, tmp_path, pauses, said, blind, length):
    want = wanted(archive, tmp_path)
    archive.said = said
    stopped(archive, want)
    new = random.Random(2).randbytes(length)
    archive.files[PATH] = new
    archive.blind = blind
    archive.alter = lambda request, status, headers, body: (
        status,
        headers | {"Last-Modified": formatdate(1.65e9, usegmt=True)},
        body if status != 206 or blind else new,
    )
    if said == "date" and not blind:
        archive.ranges = False
    fetch(want)
    assert_whole(want, new)


@pytest.mark.parametrize(
    "span",
    ["bytes 0-149999/300000", "bytes {}-299999/300001", "bytes {}-299999", "lines 1-2/3", ""],
)
def test_a_range_that_was_not_asked_for_is_thrown_away(archive, tmp_path, pauses, span):
    want = wanted(archive, tmp_path)
    have = stopped(archive, want)
    archive.alter = lambda request, status, headers, body: (
        status,
        headers | ({"Content-Range": span.format(have)} if status == 206 else {}),
        body,
    )
    fetch(want)
    assert_whole(want)
    assert archive.ranges_asked() == [f"bytes={have}-", None]
    assert pauses == [0]


def test_a_range_nobody_asked_for_is_no_file(archive, tmp_path, pauses):
    want = wanted(archive, tmp_path)
    archive.alter = lambda request, status, headers, body: (
        206, headers | {"Content-Range": "bytes 0-99999/300000"}, body[:100_000]
    )  # fmt: skip
    with pytest.raises(UserError, match="does not go on where the part"):
        fetch(want)
    assert_absent(want)
    assert_second_run_finishes(archive, want)


def test_a_server_that_sends_less_than_the_rest_is_asked_on(archive, tmp_path, pauses):
    want = wanted(archive, tmp_path)
    have = stopped(archive, want)
    archive.faults[PATH] = ["short"]
    fetch(want)
    assert_whole(want)
    assert archive.ranges_asked() == [f"bytes={have}-", f"bytes={have + (300_000 - have) // 2}-"]


def test_a_part_that_is_complete_needs_only_its_check(archive, tmp_path):
    """As after a kill between the last byte and the check."""

    def killed(part, want):
        raise MemoryError

    want = wanted(archive, tmp_path)
    with pytest.raises(MemoryError):
        fetch(want, check=killed)
    assert want.part.stat().st_size == len(DATA)
    assert_absent(want)
    fetch(want)
    assert_whole(want)
    assert len(archive.seen) == 1


def test_a_complete_part_of_unknown_length_is_confirmed_by_416(archive, tmp_path):
    def killed(part, want):
        raise MemoryError

    want = wanted(archive, tmp_path)
    archive.ending = "chunked"
    with pytest.raises(MemoryError):
        fetch(want, check=killed)
    fetch(want)
    assert_whole(want)
    assert archive.ranges_asked() == [None, f"bytes={len(DATA)}-"]


def test_a_part_longer_than_the_file_comes_again(archive, tmp_path, pauses):
    want = wanted(archive, tmp_path)
    stopped(archive, want)
    with want.part.open("ab") as file:
        file.write(bytes(200_000))
    fetch(want)
    assert_whole(want)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"validator": 1', '{"validator": "\\"a\\""}']
)
def test_a_note_cut_by_a_kill_says_nothing(archive, tmp_path, text):
    want = wanted(archive, tmp_path)
    stopped(archive, want)
    want.note.write_text(text)
    fetch(want)
    assert_whole(want)
    assert archive.ranges_asked() == [None]


def test_a_part_of_another_address_is_not_gone_on_with(archive, tmp_path):
    archive.said = "date"  # the same on both mirrors
    archive.files["/mirror/a.hdf"] = DATA[::-1]
    stopped(archive, wanted(archive, tmp_path))
    want = wanted(archive, tmp_path, "/mirror/a.hdf")
    fetch(want)
    assert_whole(want, DATA[::-1])
    assert archive.ranges_asked() == [None]


@pytest.mark.parametrize("step", ["_empty", "_begin"])
def test_a_kill_between_emptying_a_part_and_noting_the_new_version_mixes_nothing(
    archive, tmp_path, monkeypatch, step
):
    want = wanted(archive, tmp_path)
    stopped(archive, want)
    archive.files[PATH] = DATA[::-1]

    def killed(*_):
        raise MemoryError

    with monkeypatch.context() as patch, pytest.raises(MemoryError):
        patch.setattr(_transfer, step, killed)
        fetch(want)
    fetch(want)
    assert_whole(want, DATA[::-1])


PROGRAM = """
import signal, sys
import requests
from pathlib import Path
from _download import Service, Wanted, fetch_all, looks_like_page
from _log import UserError, log_to
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have it ignored
address, store, log = sys.argv[1:]
def check(part, want):
    if looks_like_page(part):
        raise UserError(f"{want.path}: expected HDF, found a web page.")
session = requests.Session()
session.headers["X-Key"] = "hush-in-header"
session.auth = ("anna", "hush-in-auth")
log_to(log)
wants = [Wanted(address, Path(store) / "a.hdf")]
fetch_all(wants, "files", session, Service("the archive", "", "", ""), check, 2, 2, 5)
"""


@contextmanager
def program(address, folder, **variables):
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, address, folder / "store", folder / "log"],
        env={"PYTHONPATH": str(ROOT / "workflow/scripts"), "HOME": str(folder), **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def until(true, seconds=20):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.parametrize("kind", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_killed_download_is_gone_on_with_by_the_next_run(archive, tmp_path, kind):
    want = wanted(archive, tmp_path)
    archive.faults[PATH] = [Fault("stall", after=200_000, seconds=1.5)]
    with program(want.address, tmp_path) as process:
        until(lambda: _transfer.size_of(want.part) >= 3 * _download.PIECE)
        process.send_signal(kind)
        process.wait(20)
    have = want.part.stat().st_size
    assert want.part.read_bytes() == DATA[:have]
    assert_absent(want)
    archive.seen.clear()
    sent = []
    archive.alter = lambda request, status, headers, body: sent.append(len(body)) or (
        status, headers, body
    )  # fmt: skip
    with program(want.address, tmp_path) as process:
        assert process.wait(20) == 0
    assert archive.ranges_asked() == [f"bytes={have}-"]
    assert sent == [len(DATA) - have]
    assert_whole(want)


def test_two_runs_that_want_one_file_fetch_it_once(archive, tmp_path, caplog):
    caplog.set_level("INFO")
    want = wanted(archive, tmp_path)
    release = threading.Event()
    archive.alter = lambda *answer: release.wait(20) and answer[1:]
    results = []
    runs = [
        threading.Thread(target=lambda: results.append(fetch(want, timeout=20))) for _ in range(2)
    ]
    runs[0].start()
    until(lambda: archive.seen)
    runs[1].start()
    until(lambda: "another process is fetching it, this one waits" in caplog.text)
    release.set()
    for run in runs:
        run.join(20)
    assert len(archive.seen) == 1 and len(results) == 2 and results[0] == results[1]
    assert_whole(want)


def test_a_disk_without_locks_still_takes_files(archive, tmp_path, monkeypatch, caplog):
    def no_locks(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    caplog.set_level("INFO")
    monkeypatch.setattr(_transfer.fcntl, "flock", no_locks)
    fetch(wanted(archive, tmp_path))
    assert "no locks on this disk (No locks available): start only one run" in caplog.text
    assert_whole(wanted(archive, tmp_path))


def test_a_note_removed_by_the_other_run_is_no_lock(tmp_path):
    path = tmp_path / "note"
    with path.open("a+") as note:
        path.unlink()
        assert not _transfer._locked(note, path)
        path.touch()
        assert not _transfer._locked(note, path)


# Credentials.


@pytest.mark.parametrize("end", ["arrives", 401, 403, 404, 500, "cut", "login", "refused"])
def test_credentials_appear_nowhere(archive, tmp_path, end):
    signed = "/signed/a.hdf"
    archive.files[signed] = DATA

    def redirect(request, status, headers, body):
        if request.path == PATH:
            port = ":9" if end == "refused" else archive.address.removeprefix("http://127.0.0.1")
            place = f"http://127.0.0.1{port}{signed}?X-Amz-Signature=hush-signed&k=hush-query"
            return 302, {"Location": place, "Set-Cookie": "session=hush-cookie"}, b""
        return status, headers, body

    archive.alter = redirect
    if end not in ("arrives", "refused"):
        archive.faults[signed] = [Fault(end, {"Retry-After": "0"}, after=1000)] * 2
    address = archive.address.replace("://", "://anna:hush-in-address@") + PATH + "?key=hush-asked"
    with program(address, tmp_path, EARTHDATA_TOKEN="hush-in-environment") as process:
        printed, _ = process.communicate(timeout=20)
    assert (process.returncode == 0) == (end == "arrives"), printed
    assert any("authorization" in request.headers for request in archive.seen)
    written = printed.encode()
    for path in tmp_path.rglob("*"):
        if path.is_file():
            written += path.read_bytes() + str(path).encode()
    assert b"a.hdf" in written and b"hush" not in written
    if end == 404:
        assert f"{archive.address}{PATH}?***: expected a.hdf, found 404" in printed


# Everything at once.

FAULT = st.one_of(
    st.sampled_from([500, 503, 429, "login", "short"]),
    st.builds(Fault, st.just("cut"), after=st.integers(0, 20_000)),
    st.sampled_from(["new version", "no ranges", "ranges", "blind", "kill"]),
)


@settings(deadline=None, max_examples=60)
@given(
    faults=st.lists(FAULT, max_size=8),
    said=st.sampled_from(["strong", "weak", "date", "nothing"]),
    ending=st.sampled_from(["length", "chunked"]),
    published=st.booleans(),
)
def test_the_bytes_are_the_servers_whatever_happens(faults, said, ending, published):
    """Whole versions only, the last one where it is published, and in the end always one."""
    versions = [random.Random(3).randbytes(20_000)]
    with (
        Archive({PATH: versions[0]}) as server,
        tempfile.TemporaryDirectory() as folder,
        pytest.MonkeyPatch.context() as patch,
    ):
        server.said, server.ending = said, ending
        patch.setattr(_download, "PIECE", 1000)
        pending = list(faults)

        def pause(self, seconds):
            act()

        def act():
            """Let the world change before the next request."""
            while pending:
                fault = pending.pop(0)
                if fault == "new version":
                    # A file that changes must say so: a server with a date alone cannot be blind.
                    if server.said == "strong" or not server.blind and server.said != "date":
                        versions.append(random.Random(len(versions)).randbytes(20_000))
                        server.files[PATH] = versions[-1]
                elif fault in ("no ranges", "ranges"):
                    server.ranges = fault == "ranges"
                elif fault == "blind":
                    server.blind = server.said == "strong"
                elif fault == "kill":
                    raise MemoryError
                else:
                    server.faults[PATH] = [fault]
                    return

        patch.setattr(_download._Fetch, "pause", pause)
        for _ in range(len(faults) + 2):
            sums = {"size": 20_000, "checksum": sum_of(versions[-1])} if published else {}
            want = wanted(server, Path(folder), **sums)
            try:
                act()
                fetch(want, check=no_page if published else complete(versions))
                break
            except (UserError, MemoryError):
                assert_absent(want)
        else:
            raise AssertionError("it never finished")
        found = want.path.read_bytes()
        assert found in versions and (not published or sum_of(found) == want.checksum)
        assert_whole(want, found)


def complete(versions):
    """A check as of a real format: halves are refused, but mixtures of one length are not."""

    def check(part, want):
        if part.stat().st_size != 20_000:
            raise UserError(f"{want.path}: expected 20000 bytes, found others.")

    return check
