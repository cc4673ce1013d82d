"""Read zip archives that came from elsewhere: nothing leaves its place, nothing is cut or swollen.

Some producers deliver zips by that name (`N33E102.SRTMGL3.hgt.zip`), some under the name of what
is inside: ERA5-Land requests that mix kinds of step give a `.nc` that is a zip. Like `_whole`
this changes no result: a member is the producer's bytes, checked against their CRC.
"""

from __future__ import annotations

import re
import shutil
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from _log import UserError
from _whole import whole

BEGINNINGS = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
LARGEST = 8 * 10**9  # bytes of one unpacked member, unless a caller knows better
PIECE = 1 << 20
ENCRYPTED = 0x1 | 0x40 | 0x2000  # flag bits: encrypted, strongly encrypted, names encrypted
# What else a zip may use can swell a few bytes to gigabytes in one step; no producer uses it.
METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
# zipfile itself raises NotImplementedError for an archive that asks for more than it can read.
BROKEN = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, ValueError)
MEND = "Delete {} and fetch it again: like this it does not come from the producer."


def is_zip(path: str | Path) -> bool:
    """Return whether a file begins as zip archives do, whatever its name says."""
    with Path(path).open("rb") as file:
        return file.read(4) in BEGINNINGS


def names(path: str | Path) -> list[str]:
    """Return the names of the members of a zip archive that are files, in its order.

    Raises UserError if it cannot be read to its end, or if any member has a name that leads out
    of the folder it is unpacked in, is there twice, is a link or a device, or is encrypted.
    """
    with _opened(path) as archive:
        seen: set[str] = set()
        for info in archive.infolist():
            _check(path, info)
            if info.filename in seen:
                raise _strange(path, info.filename, "each member once", "it twice")
            seen.add(info.filename)
        return [info.filename for info in archive.infolist() if not info.is_dir()]


def extract(path: str | Path, member: str, target: str | Path, largest: int = LARGEST) -> None:
    """Write one member to `target`, which appears when it is complete, or not at all.

    Raises UserError if there is no such member, if it unpacks to more than `largest` bytes, is
    incomplete, or is not the bytes that the archive's checksum is of.
    """
    with (
        _opened(path) as archive,
        _reading(path, archive, member, largest) as source,
        whole(str(target)) as part,
        part.open("wb") as file,
    ):
        shutil.copyfileobj(source, file, PIECE)
        _complete(path, archive, member, file.tell())


def content(path: str | Path, member: str, largest: int = LARGEST) -> bytes:
    """Return the bytes of one member; the errors are those of `extract`."""
    return next(contents(path, [member], largest))


def contents(path: str | Path, members: list[str], largest: int = LARGEST) -> Iterator[bytes]:
    """Yield the bytes of many small members, opening the archive once."""
    with _opened(path) as archive:
        for member in members:
            with _reading(path, archive, member, largest) as source:
                found = source.read()
                _complete(path, archive, member, len(found))
            yield found


@contextmanager
def _opened(path: str | Path) -> Iterator[zipfile.ZipFile]:
    try:
        archive = zipfile.ZipFile(path)
        if any(info.header_offset < 0 for info in archive.infolist()):
            archive.close()
            raise zipfile.BadZipFile("bytes are missing at its beginning")
    except FileNotFoundError:
        raise UserError(
            f"{path}: expected a zip archive, found no such file. Fetch it again."
        ) from None
    except BROKEN as error:
        raise UserError(
            f"{path}: expected a whole zip archive, found a file that is cut short or damaged "
            f"({error}). Delete it and fetch it again."
        ) from None
    with archive:
        yield archive


@contextmanager
def _reading(
    path: str | Path, archive: zipfile.ZipFile, member: str, largest: int
) -> Iterator[IO[bytes]]:
    """Yield an open member; what is wrong with it is found here or while it is read."""
    try:
        info = archive.getinfo(member)
    except KeyError:
        there = ", ".join(archive.namelist()[:5]) or "nothing"
        raise UserError(
            f"{path}: expected a member {member}, found {there}. Delete {path} and fetch it again."
        ) from None
    _check(path, info)
    # zipfile never gives more than the size in the directory, so this is the true bound.
    if info.file_size > largest:
        raise _strange(path, member, f"at most {largest} bytes", f"{info.file_size}")
    try:
        with archive.open(info) as source:
            yield source
    except BROKEN as error:
        raise UserError(
            f"{path}: expected a whole member {member}, found it damaged ({error}). "
            f"Delete {path} and fetch it again."
        ) from None


def _complete(path: str | Path, archive: zipfile.ZipFile, member: str, count: int) -> None:
    size = archive.getinfo(member).file_size
    if count != size:
        raise UserError(
            f"{path}: expected {size} bytes of member {member}, found {count}. "
            f"Delete {path} and fetch it again."
        )


def _check(path: str | Path, info: zipfile.ZipInfo) -> None:
    name = info.orig_filename  # zipfile cuts names at a NUL, and turns backslashes on Windows
    kind = stat.S_IFMT(info.external_attr >> 16)
    inside = "a name that stays inside the archive"
    if not name or name.startswith("/") or re.match(r"[A-Za-z]:", name):
        raise _strange(path, name, inside, "an absolute name")
    if ".." in name.split("/") or "\\" in name or "\0" in name:
        raise _strange(path, name, inside, "one that leads elsewhere")
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise _strange(path, name, "a file", "a link or a device")
    if info.flag_bits & ENCRYPTED:
        raise _strange(path, name, "a plain file", "an encrypted one")
    if info.compress_type not in METHODS:
        method = f"one of compression method {info.compress_type}"
        raise _strange(path, name, "a deflated or stored file", method)


def _strange(path: str | Path, member: str, expected: str, found: str) -> UserError:
    return UserError(
        f"{path}: expected {expected} for member {member!r}, found {found}. {MEND.format(path)}"
    )
