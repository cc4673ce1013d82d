"""Fetch files into a store so that nothing half-fetched is ever taken for a file.

A file arrives under a temporary name that survives a kill and is resumed, is compared with the
size and checksum its producer published, opened once, and only then gets its name; a record
beside it says where it came from. What lies here changes no result: it is the producer's file.
"""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urlsplit

import requests

from _log import UserError, log, notice, scrubbed
from _whole import whole

PIECE = 1 << 20  # bytes read at once
AGAIN = {408, 425, 429, 500, 502, 503, 504}  # a later try may succeed
LONGEST = 600  # seconds that a server may ask us to wait
EVERY = 10  # seconds between two lines of progress


@dataclass(frozen=True)
class Service:
    """Who delivers, and what a person does when it refuses."""

    name: str
    account: str  # the mend of 401
    licence: str  # the mend of 403
    absent: str  # the mend of 404


@dataclass(frozen=True)
class Wanted:
    """One file: where it is fetched from, where it goes, what its producer says about it."""

    address: str
    path: Path  # in the store, under the delivered name
    size: int | None = None  # bytes
    checksum: str = ""  # "md5:<hex>", "sha256:<hex>"

    @property
    def part(self) -> Path:
        return self.path.with_name(f".{self.path.name}.part")


class _Again(Exception):
    """This try failed in a way that another one may not; `wait` is what the server asked for."""

    def __init__(self, why: str, wait: float | None = None):
        super().__init__(why)
        self.wait = wait


class Refused(UserError):
    """The service will refuse every other file too: no use in going on."""


def record_of(path: Path) -> dict | None:
    """Return the record beside a whole file of the store, None if there is no such file."""
    try:
        record = json.loads(_beside(path).read_text(encoding="utf-8"))
        return record if path.stat().st_size == record["bytes"] else None
    except (OSError, ValueError, KeyError):
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
    with whole(str(_beside(path))) as beside:
        beside.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    part.chmod(0o444)
    part.replace(path)
    return record


def check_room(folder: Path, needed: int, what: str) -> None:
    """Stop before anything starts if `folder`'s disk has less free than `needed` bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise Refused(
            f"{folder}: expected {human(needed)} free for {what}, found {human(free)}. Make room, "
            "run in a folder on a larger disk (--directory), or set downloads.keep_raw: false."
        )


def human(count: float) -> str:
    """Return a number of bytes as people read it."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000


@dataclass
class Progress:
    """Files and bytes done of how many, speed and time left, at most every EVERY seconds."""

    what: str
    files: int
    size: int | None
    done: int = 0
    bytes: int = 0
    start: float = field(default_factory=time.monotonic)
    said: float = field(default_factory=time.monotonic)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, count: int, files: int = 0) -> None:
        with self.lock:
            self.bytes += count
            self.done += files
            now = time.monotonic()
            if now - self.said >= EVERY or (files and self.done == self.files):
                self.said = now
                notice("%s", self.line(now - self.start))

    def line(self, seconds: float) -> str:
        speed = self.bytes / max(seconds, 1e-3)
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
    records = {want.path: record_of(want.path) for want in wanted}
    missing = [want for want in wanted if records[want.path] is None]
    for want in wanted:
        published = (records[want.path] or {}).get("published", "")
        if want.checksum and published and published != want.checksum:
            raise UserError(
                f"{want.path}: expected the {want.checksum} that {service.name} publishes, found "
                f"{published}, which it published when the file was fetched. The producer has "
                f"replaced the file: delete {want.path} to fetch the new one."
            )
    if not missing:
        return records
    sizes = [want.size for want in missing]
    total = sum(sizes) if all(sizes) else None
    begun = sum(want.part.stat().st_size for want in missing if want.part.exists())
    notice(
        "%s: %d of %d files to fetch from %s%s%s",
        what,
        len(missing),
        len(wanted),
        service.name,
        f", {human(total)}" if total else "",
        f" ({human(begun)} of them begun earlier)" if begun else "",
    )
    for folder in {want.path.parent for want in missing}:
        check_room(folder, (total or 0) - begun, what)
    progress = Progress(what, len(missing), total - begun if total else None)
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
        for number in range(1, self.tries + 1):
            try:
                self.transfer(want)
                return self.accepted(want)
            except _Again as error:
                if number == self.tries:
                    raise UserError(
                        f"{want.address}: expected {want.path.name}, found after {number} tries: "
                        f"{error}. Look at your connection, or run the same command again later: "
                        "it goes on where it stopped."
                    ) from None
                pause = min(error.wait if error.wait is not None else 2**number, LONGEST)
                log.info("%s: %s; try %d in %.0f s", want.path.name, error, number + 1, pause)
                if self.stop.wait(pause):
                    raise Refused(f"{want.address}: stopped with the others.") from None
            except OSError as error:
                if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                    raise
                raise Refused(
                    f"{want.path}: expected room on the disk, found none ({error.strerror}). Make "
                    "room and run the same command again: it goes on where it stopped."
                ) from None

    def transfer(self, want: Wanted) -> None:
        """Bring the temporary file to its full length, from where it stands if that is safe."""
        want.path.parent.mkdir(parents=True, exist_ok=True)
        note = want.part.with_name(f"{want.part.name}.json")
        headers = {"Accept-Encoding": "identity"}
        have = want.part.stat().st_size if want.part.exists() else 0
        known = json.loads(note.read_text()) if note.exists() else {}
        if have and known.get("validator"):
            headers |= {"Range": f"bytes={have}-", "If-Range": known["validator"]}
        else:
            have = 0
        try:
            with self.session.get(
                want.address, headers=headers, stream=True, timeout=self.timeout
            ) as answer:
                if answer.status_code == 416 and have == known.get("size"):
                    return
                if answer.status_code == 416:
                    want.part.unlink(missing_ok=True)
                    raise _Again("the part fetched earlier does not fit any more", wait=0)
                self.accept_status(answer, want)
                resumed = answer.status_code == 206 and answer.headers.get(
                    "Content-Range", ""
                ).startswith(f"bytes {have}-")
                if answer.status_code == 206 and not resumed:
                    want.part.unlink(missing_ok=True)
                    raise _Again("the server sent another part than asked for", wait=0)
                have = have if resumed else 0
                length = answer.headers.get("Content-Length")
                size = have + int(length) if length and length.isdigit() else None
                with whole(str(note)) as text:
                    text.write_text(json.dumps({"validator": _validator(answer), "size": size}))
                with want.part.open("ab" if resumed else "wb") as file:
                    for piece in answer.iter_content(PIECE):
                        if self.stop.is_set():
                            raise Refused(f"{want.address}: stopped with the others.")
                        file.write(piece)
                        self.progress.add(len(piece))
        except requests.RequestException as error:
            raise _Again(_short(error)) from None
        there = want.part.stat().st_size
        if size is not None and there != size:
            raise _Again(f"the connection ended after {there} of {size} bytes")

    def accept_status(self, answer: requests.Response, want: Wanted) -> None:
        status, service = answer.status_code, self.service
        if status < 300:
            return
        if status in AGAIN:
            raise _Again(f"{service.name} answered {status}", _retry_after(answer))
        said = f"{want.address}: expected {want.path.name}, found {status} from {service.name}."
        if status == 401:
            raise Refused(f"{said} It does not accept your log-in. {service.account}")
        if status == 403:
            raise Refused(f"{said} You may not have it yet. {service.licence}")
        if status in (404, 410):
            raise UserError(f"{said} It is not there. {service.absent}")
        raise UserError(f"{said} Run the same command again later.")

    def accepted(self, want: Wanted) -> dict:
        """Compare a complete temporary file with what was published, open it, name it."""
        part = want.part
        there = part.stat().st_size
        try:
            if want.size is not None and there != want.size:
                raise _Again(f"{there} bytes instead of the {want.size} published")
            if want.checksum:
                algorithm, expected = want.checksum.split(":", 1)
                found = digest(part, algorithm)
                if found != expected.lower():
                    raise _Again(f"{algorithm} {found} instead of the {expected} published")
            with self.opening:
                self.check(part, want)
        except (_Again, UserError):
            # Complete and wrong: no part of it is worth keeping.
            part.unlink(missing_ok=True)
            raise
        more = {"published": want.checksum} if want.checksum else {}
        record = keep(part, want.path, want.address, **more)
        part.with_name(f"{part.name}.json").unlink(missing_ok=True)
        log.info("%s: %d bytes, sha256 %s", want.path, record["bytes"], record["sha256"])
        self.progress.add(0, files=1)
        return record


def _validator(answer: requests.Response) -> str | None:
    """Return what tells this version of the file from another; a weak ETag does not."""
    tag = answer.headers.get("ETag", "")
    return tag if tag.startswith('"') else answer.headers.get("Last-Modified")


def _retry_after(answer: requests.Response) -> float | None:
    text = answer.headers.get("Retry-After", "").strip()
    if text.isdigit():
        return float(text)
    try:
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return None


def _short(error: Exception) -> str:
    """Return a library's network error in a few words without addresses and tokens."""
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    if isinstance(error, requests.ConnectionError | requests.exceptions.ChunkedEncodingError):
        return "the connection broke"
    return scrubbed(f"{type(error).__name__}")


def looks_like_page(path: Path) -> bool:
    """Return whether a file begins like a web page, as a log-in page saved as data does."""
    with Path(path).open("rb") as file:
        head = file.read(512).lstrip().lower()
    return head.startswith((b"<!doctype", b"<html", b"<?xml", b"<head"))


def host(address: str) -> str:
    """Return the host of an address, for messages."""
    return urlsplit(address).netloc.rsplit("@", 1)[-1]
