"""Fetch files into a store so that nothing half-fetched is ever taken for a file.

A file arrives under a temporary name that survives a kill and is resumed (`_transfer`), is
compared with the size and checksum its producer published, opened once, and only then gets its
name; a record beside it says where it came from. What lies here changes no result: it is the
producer's file.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

import requests

from _log import UserError, human, log, notice, scrubbed
from _transfer import AGAIN as AGAIN  # three for those who speak to a service themselves
from _transfer import Again, Refused, Service, Wanted, alone, size_of, transfer
from _transfer import retry_after as retry_after
from _transfer import short as short
from _whole import whole

PIECE = 1 << 16  # bytes read at once: what a stalled connection may lose
ENOUGH = 1 << 16  # bytes that make a try that broke one that came on
LONGEST = 600  # seconds that a server may ask us to wait
WRONG = 3  # complete files that are not what was published before one is given up
EVERY = 10  # seconds between two lines of progress
FULL = {errno.ENOSPC, errno.EDQUOT}
CLOSED = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.EEXIST}


def record_of(path: Path) -> dict | None:
    """Return the record beside a whole file of the store, None if there is no such file."""
    try:
        record = json.loads(_beside(path).read_text(encoding="utf-8"))
        return record if path.is_file() and path.stat().st_size == record["bytes"] else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def digest(path: Path, algorithm: str = "sha256") -> str:
    """Return the checksum of a file in hex."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def keep(part: Path, path: Path, address: str, **more) -> dict:
    """Give a whole, checked file its name in the store, read-only, with its record beside it."""
    record = {
        "address": scrubbed(address),
        "delivered": path.name,
        "bytes": part.stat().st_size,
        "sha256": digest(part),
        "fetched": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        **more,
    }
    path.unlink(missing_ok=True)  # never an older file beside the record of a newer one
    with whole(str(_beside(path))) as beside:
        beside.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    part.replace(path)
    path.chmod(0o444)  # after it: a part that a kill leaves must stay writable
    return record


def check_room(folder: Path, needed: int, what: str) -> None:
    """Stop before anything starts if `folder` takes no files, or its disk not `needed` bytes."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _refusal(error, folder) from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise _refusal(OSError(errno.EACCES, os.strerror(errno.EACCES)), folder)
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise Refused(
            f"{folder}: expected {human(needed)} free for {what}, found {human(free)}. Make room, "
            "run in a folder on a larger disk (--directory), or set downloads.keep_raw: false."
        )


def _refusal(error: OSError, path: Path) -> Exception:
    """Return what to tell a person about a disk that takes nothing, else the error itself."""
    if error.errno in FULL:
        return Refused(
            f"{path}: expected room on the disk, found none ({error.strerror}). Make room and run "
            "the same command again: it goes on where it stopped."
        )
    if error.errno in CLOSED:
        return Refused(
            f"{path}: expected a place where files can be written, found: {error.strerror}. Free "
            "it for writing, or run in another folder (--directory)."
        )
    return error


@dataclass
class Progress:
    """Files and bytes there of how many, speed and time left, at most every EVERY seconds.

    `bytes` begins with what lies there from earlier; speed is of what arrives in this run alone.
    """

    what: str
    files: int
    size: int | None
    done: int = 0
    bytes: int = 0
    arrived: int = 0
    start: float = field(default_factory=time.monotonic)
    said: float = field(default_factory=time.monotonic)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, count: int, files: int = 0) -> None:
        """Count bytes that arrived (below zero: that were thrown away) and files that are done."""
        with self.lock:
            self.bytes += count
            self.arrived += max(count, 0)
            self.done += files
            now = time.monotonic()
            if now - self.said >= EVERY or (files and self.done == self.files):
                self.said = now
                notice("%s", self.line(now - self.start))

    def line(self, seconds: float) -> str:
        speed = self.arrived / max(seconds, 1e-3)
        text = f"{self.what}: {self.done} of {self.files} files, {human(self.bytes)}"
        if self.size and speed and self.done < self.files:
            left = max(0, self.size - self.bytes) / speed
            text += f" of {human(self.size)}, {human(speed)}/s, about {_clock(left)} left"
        return text


def _clock(seconds: float) -> str:
    minutes = seconds / 60
    if minutes < 1:
        return f"{seconds:.0f} s"
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"


def fetch_all(
    wanted: list[Wanted],
    what: str,
    session: requests.Session,
    service: Service,
    check: Callable[[Path, Wanted], None],
    parallel: int = 4,
    tries: int = 6,
    timeout: float = 60,
) -> dict[Path, dict]:
    """Fetch what the store lacks; return {path in the store: its record} of all that is wanted.

    `check` opens a complete file under its temporary name and raises UserError if it is not what
    was asked for. Files that fail do not stop the others; a UserError then names them. A refusal
    that concerns every file (log-in, licence, full disk) stops at once.
    """
    wanted = list({want.path: want for want in wanted}.values())
    records = {want.path: record_of(want.path) for want in wanted}
    missing = [want for want in wanted if records[want.path] is None]
    for want in wanted:
        if records[want.path]:
            _refuse_replaced(want, records[want.path], service)
        elif want.path.is_dir():
            raise UserError(f"{want.path}: expected a file, found a folder. Move it away.")
    if not missing:
        return records
    begun = sum(size_of(want.part) for want in missing)
    known = all(want.estimate is not None for want in missing)
    total = sum(want.estimate for want in missing) if known else None
    rough = "" if all(want.size is not None for want in missing) else "about "
    notice(
        "%s: %d of %d files to fetch from %s%s%s",
        what,
        len(missing),
        len(wanted),
        service.name,
        f", {rough}{human(total)}" if total else "",
        f" ({human(begun)} of them begun earlier)" if begun else "",
    )
    _check_disks(missing, what)
    progress = Progress(what, len(missing), total, bytes=begun)
    one = _Fetch(session, service, check, tries, timeout, progress)
    failed: list[UserError] = []
    with ThreadPoolExecutor(parallel) as pool:
        tasks = {pool.submit(one, want): want for want in missing}
        try:
            for task in as_completed(tasks):
                try:
                    records[tasks[task].path] = task.result()
                except Refused:
                    raise
                except UserError as error:
                    log.error("%s", error)
                    failed.append(error)
        finally:
            one.stop.set()
            pool.shutdown(cancel_futures=True)
    if failed:
        rest = f" So did {len(failed) - 1} more (see the log)." if len(failed) > 1 else ""
        raise UserError(
            f"{failed[0]}{rest} {len(missing) - len(failed)} of {len(missing)} files arrived and "
            "are kept: run the same command again for the rest."
        )
    return records


def _check_disks(missing: list[Wanted], what: str) -> None:
    """Check the room of every disk for all that will come to lie on it."""
    needed: dict[int, int] = {}
    folders: dict[int, Path] = {}
    for want in missing:
        folder = want.path.parent
        if folder not in folders.values():
            check_room(folder, 0, what)
        disk = folder.stat().st_dev
        folders[disk] = folder
        rest = (want.estimate or 0) - size_of(want.part)
        needed[disk] = needed.get(disk, 0) + max(0, rest)
    for disk, count in needed.items():
        check_room(folders[disk], count, what)


def _refuse_replaced(want: Wanted, record: dict, service: Service) -> None:
    """Compare a file of the store with what its producer says of it today."""
    expected, found = want.size, record["bytes"]
    if want.size in (None, found):
        if not want.checksum or want.checksum == record.get("published"):
            return
        expected, found = _sums(want.path, want.checksum)
    if expected != found:
        raise UserError(
            f"{want.path}: expected what {service.name} publishes ({expected}), found {found}. "
            "The producer has replaced the file since it was fetched, or it was changed here: "
            f"delete {want.path} to fetch the new one."
        )


def _sums(path: Path, published: str) -> tuple[str, str]:
    """Return a published checksum and the file's own, written alike."""
    algorithm, _, expected = published.lower().partition(":")
    algorithm = algorithm.replace("-", "")
    return f"{algorithm} {expected}", f"{algorithm} {digest(path, algorithm)}"


@dataclass
class _Fetch:
    session: requests.Session
    service: Service
    check: Callable[[Path, Wanted], None]
    tries: int
    timeout: float
    progress: Progress
    stop: threading.Event = field(default_factory=threading.Event)
    opening: threading.Lock = field(default_factory=threading.Lock)  # HDF4 is not thread-safe

    def __call__(self, want: Wanted) -> dict:
        try:
            with alone(want, self.pause) as note:
                # While this waited for another process, that one may have fetched it.
                record = record_of(want.path) or self.fetched(want, note)
        except OSError as error:
            raise _refusal(error, want.path) from None
        self.progress.add(0, files=1)
        return record

    def pause(self, seconds: float) -> None:
        if self.stop.wait(seconds):
            raise Refused("Stopped with the others.")

    def arrived(self, count: int) -> None:
        self.progress.add(count)
        if self.stop.is_set():
            raise Refused("Stopped with the others.")

    def fetched(self, want: Wanted, note: IO[str]) -> dict:
        number, wrong, longest = 0, 0, size_of(want.part)
        while True:
            number += 1
            try:
                how = self.session, self.service, want, note, self.timeout, PIECE
                return self.accepted(want, ends=transfer(*how, self.arrived))
            except Again as error:
                wrong += error.wrong
                if size_of(want.part) >= longest + ENOUGH:
                    # It comes on, if slowly: only tries that bring nothing are counted.
                    number, longest = 1, size_of(want.part)
                if number >= self.tries or wrong == WRONG:
                    raise UserError(
                        f"{want.shown}: expected {want.path.name}, found after {number} tries: "
                        f"{error}. Look at your connection, or run the same command again later: "
                        "it goes on where it stopped."
                    ) from None
                pause = min(2**number if error.wait is None else error.wait, LONGEST)
                log.info("%s: %s; try %d in %.0f s", want.path.name, error, number + 1, pause)
                self.pause(pause)

    def accepted(self, want: Wanted, ends: bool) -> dict:
        """Compare a complete temporary file with what was published, open it, name it."""
        there = size_of(want.part)
        try:
            if want.size not in (None, there):
                raise Again(f"{there} bytes instead of the {want.size} published", wrong=True)
            if want.checksum:
                expected, found = _sums(want.part, want.checksum)
                if found != expected:
                    why = f"{found} instead of the {expected.split()[1]} published"
                    raise Again(why, wrong=True)
            with self.opening:
                self.check(want.part, want)
        except (Again, UserError) as error:
            # Complete and wrong: no part of it is worth keeping.
            os.truncate(want.part, 0)
            self.progress.add(-there)
            if ends or isinstance(error, Again | Refused):
                raise
            raise Again(f"a file without a known end: {error}".rstrip("."), wrong=True) from None
        more = {"published": want.checksum} if want.checksum else {}
        record = keep(want.part, want.path, want.address, **more)
        log.info("%s: %d bytes, sha256 %s", want.path, record["bytes"], record["sha256"])
        return record


def looks_like_page(path: Path) -> bool:
    """Return whether a file begins like a web page, as a log-in page saved as data does."""
    with Path(path).open("rb") as file:
        head = file.read(512).removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return head.startswith((b"<!doctype", b"<html", b"<?xml", b"<head"))


def host(address: str) -> str:
    """Return the host of an address, for messages."""
    return urlsplit(address).netloc.rsplit("@", 1)[-1]
