"""Bring one file over HTTP to its full length under a temporary name, and never mix two versions.

`.NAME.part` holds what has arrived, `.NAME.part.json` of which version of the file it is. A later
try goes on only if the server confirms that version by a strong validator (RFC 9110, 13.1.5 and
14.2). Like `_whole` this changes no result; what the file is worth is for `_download` to say.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import IO

import requests
import urllib3

from _log import UserError, log, notice, scrubbed

AGAIN = {408, 425, 429, 500, 502, 503, 504}  # a later try may succeed
ADDRESS = requests.exceptions.MissingSchema, requests.exceptions.InvalidSchema
ADDRESS += requests.exceptions.InvalidURL, urllib3.exceptions.LocationValueError
BROKEN = requests.RequestException, urllib3.exceptions.HTTPError
# Servers send these as they lie there and yet call them encoded: to decode would change them.
PACKED = (".gz", ".tgz", ".Z")
SETTLED = 60  # seconds after which a date of change tells one version from the next


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
    size: int | None = None  # bytes, exactly
    checksum: str = ""  # "md5:<hex>", "sha256:<hex>"
    about: int | None = None  # bytes, where a catalogue says them only roughly: for totals

    @property
    def part(self) -> Path:
        return self.path.with_name(f".{self.path.name}.part")

    @property
    def note(self) -> Path:
        return self.path.with_name(f".{self.path.name}.part.json")

    @property
    def estimate(self) -> int | None:
        return self.about if self.size is None else self.size

    @property
    def shown(self) -> str:
        """The address without what may be secret in it."""
        return scrubbed(self.address)


class Refused(UserError):
    """The service, or the disk, will refuse every other file too: no use in going on."""


class Again(Exception):
    """This try failed in a way that another one may not.

    `wait` is the seconds that the server asked for; `wrong` says that a complete file arrived
    and was not the right one.
    """

    def __init__(self, why: str, wait: float | None = None, wrong: bool = False):
        super().__init__(why)
        self.wait, self.wrong = wait, wrong


def size_of(path: Path) -> int:
    """Return the bytes of a file, 0 if there is none."""
    try:
        return path.stat().st_size
    except (FileNotFoundError, NotADirectoryError):
        return 0


@contextmanager
def alone(want: Wanted, pause: Callable[[float], None]) -> Iterator[IO[str]]:
    """Hold the note beside a part: of two processes that want one file the second waits.

    The lock ends with the process, however that ends. It is on the note, not on the part, because
    HDF5 locks what it opens. Without a part there is no note when the block has ended.
    """
    waits = 0
    while True:
        with want.note.open("a+", encoding="utf-8") as note:
            if _locked(note, want.note):
                try:
                    yield note
                finally:
                    if not size_of(want.part):
                        want.part.unlink(missing_ok=True)
                        want.note.unlink(missing_ok=True)
                return
        waits += 1
        if waits == 2:
            notice("%s: another process is fetching it, this one waits", want.path)
        pause(1)


def _locked(note: IO[str], path: Path) -> bool:
    try:
        fcntl.flock(note, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        log.info("%s: no locks on this disk (%s): start only one run", path, error.strerror)
    try:  # who held the lock before may have finished and removed the note
        return os.path.samestat(os.fstat(note.fileno()), path.stat())
    except FileNotFoundError:
        return False


def transfer(
    session: requests.Session,
    service: Service,
    want: Wanted,
    note: IO[str],
    timeout: float,
    piece: int,
    arrived: Callable[[int], None],
) -> bool:
    """Bring a part to its full length; return whether the server told where the file ends.

    `note` is what `alone` gave; `piece` bytes are read at once; `arrived` is told the bytes that
    came (below zero: that were thrown away). Raises Again if another try may succeed, UserError
    if not, Refused if no other file will come either.
    """
    known = _noted(note, want)
    with want.part.open("ab") as part:
        have = part.tell()
        if have and have == known.get("size"):
            return True  # killed before it was checked
        asked = have if known.get("validator") else 0
        headers = {"Accept-Encoding": "identity"}
        if asked:
            headers |= {"Range": f"bytes={asked}-", "If-Range": known["validator"]}
        try:
            with session.get(want.address, headers=headers, stream=True, timeout=timeout) as answer:
                status = answer.status_code
                if asked and status == 416 and _complete(answer, asked, known):
                    return True
                if (asked and status == 416) or (status == 206 and not _fits(answer, asked, known)):
                    _empty(part, have, arrived)
                    raise Again("the server does not go on where the part fetched earlier ends", 0)
                _accept(answer, service, want)
                if status != 206:
                    # Emptied before the note says otherwise: a kill in between mixes nothing.
                    _empty(part, have, arrived)
                    known = _begin(answer, note, want)
                size = known.get("size")
                if size is not None and want.size not in (None, size):
                    raise Again(f"{size} bytes instead of the {want.size} published", wrong=True)
                # Only where it must: decoding keeps back what came before a connection broke.
                decode = _encoded(answer, want)
                for come in answer.raw.stream(piece, decode_content=decode):
                    part.write(come)
                    arrived(len(come))
                ends = "Content-Length" in answer.headers or answer.raw.chunked
        except ADDRESS:
            raise UserError(
                f"{want.shown}: expected an address that begins with https://, found another. "
                "Correct it in the config (addresses)."
            ) from None
        except BROKEN as error:
            raise Again(short(error)) from None
        if size is not None and part.tell() != size:
            raise Again(f"the connection ended after {part.tell()} of {size} bytes")
    return ends


def _encoded(answer: requests.Response, want: Wanted) -> bool:
    """Return whether a body is packed for the way alone."""
    packed = answer.headers.get("Content-Encoding", "identity") != "identity"
    return packed and not want.path.name.endswith(PACKED)


def _empty(part: IO[bytes], have: int, arrived: Callable[[int], None]) -> None:
    part.truncate(0)
    arrived(-have)


def _noted(note: IO[str], want: Wanted) -> dict:
    """Return of which version the part is; a note cut by a kill, or of elsewhere, says nothing."""
    note.seek(0)
    try:
        known = json.loads(note.read())
    except ValueError:
        return {}
    return known if isinstance(known, dict) and known.get("address") == want.shown else {}


def _begin(answer: requests.Response, note: IO[str], want: Wanted) -> dict:
    """Note which version of the file is about to arrive."""
    length = answer.headers.get("Content-Length", "")
    if _encoded(answer, want):
        known = {"address": want.shown, "validator": None, "size": None}
    else:
        size = int(length) if length.isdecimal() else None
        known = {"address": want.shown, "validator": _validator(answer), "size": size}
    note.seek(0)
    note.truncate()
    note.write(json.dumps(known))
    note.flush()
    return known


def _validator(answer: requests.Response) -> str | None:
    """Return what tells this version of the file from any other, bytes for bytes; else None."""
    tag = answer.headers.get("ETag", "")
    if tag:
        return tag if tag.startswith('"') else None
    changed = answer.headers.get("Last-Modified", "")
    try:
        age = parsedate_to_datetime(answer.headers.get("Date", "")) - parsedate_to_datetime(changed)
    except (TypeError, ValueError):
        return None
    return changed if age.total_seconds() >= SETTLED else None


def _fits(answer: requests.Response, asked: int, known: dict) -> bool:
    """Return whether what a server sends goes on where the part ends, in the same version."""
    span = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", answer.headers.get("Content-Range", ""))
    if not (asked and span and int(span[1]) == asked):
        return False
    if span[2] != "*" and known.get("size") not in (None, int(span[2])):
        return False
    expected = known["validator"]
    if expected.startswith('"'):
        return answer.headers.get("ETag") == expected
    return answer.headers.get("Last-Modified", expected) == expected


def _complete(answer: requests.Response, asked: int, known: dict) -> bool:
    """Return whether a server that has nothing more to send says that the part is all."""
    return known.get("size") is None and answer.headers.get("Content-Range") == f"bytes */{asked}"


def _accept(answer: requests.Response, service: Service, want: Wanted) -> None:
    status = answer.status_code
    if status in (200, 203, 206):
        return
    if status in AGAIN:
        raise Again(f"{service.name} answered {status}", retry_after(answer))
    said = f"{want.shown}: expected {want.path.name}, found {status} from {service.name}."
    if status == 401:
        raise Refused(f"{said} It does not accept your log-in. {service.account}")
    if status == 403:
        raise Refused(f"{said} You may not have it yet. {service.licence}")
    if status in (404, 410):
        raise UserError(f"{said} It is not there. {service.absent}")
    raise UserError(f"{said} Run the same command again later.")


def retry_after(answer: requests.Response) -> float | None:
    """Return the seconds to wait that an answer asks for, in seconds or as a date, or None."""
    text = answer.headers.get("Retry-After", "").strip()
    if text.isdecimal():
        return float(text)
    try:
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return None


def short(error: Exception) -> str:
    """Return a library's network error in a few words without addresses and tokens."""
    inner = error.args[0] if error.args else error
    cause = getattr(inner, "reason", None) or inner
    cause = cause if isinstance(cause, Exception) else error
    if isinstance(cause, urllib3.exceptions.NewConnectionError):
        return f"no connection to the server ({type(cause).__name__})"
    if isinstance(cause, urllib3.exceptions.TimeoutError) or isinstance(error, requests.Timeout):
        return "no answer in time"
    if isinstance(error, requests.TooManyRedirects):
        return "the server sends from one address to the next without end"
    return f"the connection broke ({type(cause).__name__})"
