"""A lock: the SHA-256 of every file that entered a study, in the form of `sha256sum`.

Standard library only: the Snakefile compares what earlier jobs read when a run starts.
"""

from __future__ import annotations

import csv
from pathlib import Path

from _log import UserError


def read_lock(path: str) -> dict[str, str]:
    """Return {file: SHA-256} of a lock: lines of a checksum, two blanks, a path."""
    if not Path(path).is_file():
        raise UserError(
            f"{path}: expected the lock that the config names, found no file. Copy "
            "results/report/inputs.lock of the run to repeat, or set lock: null."
        )
    pins = {}
    for number, line in enumerate(Path(path).read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        checksum, _, name = line.partition("  ")
        if len(checksum) != 64 or not set(checksum) <= set("0123456789abcdef") or not name:
            raise UserError(
                f"{path}: expected lines of a SHA-256, two blanks and a path, found {line!r} in "
                f"line {number}. Take results/report/inputs.lock of the run to repeat."
            )
        pins[name] = checksum
    return pins


def compare(path: str, found: str, pins: dict[str, str], lock: str, delivered: str = "") -> None:
    """Raise UserError unless the SHA-256 `found` of a file is the one that the lock pins."""
    if path not in pins:
        raise UserError(
            f"{path}: expected only files named in {lock}, found one that it does not name. "
            "The lock is of another study, or the config has changed since."
        )
    if pins[path] != found:
        origin = f" ({delivered})" if delivered else ""
        raise UserError(
            f"{path}: expected sha256 {pins[path][:12]}... as in {lock}, found "
            f"{found[:12]}...{origin}. It is not the file of that run: get that one, or set lock: "
            "null to go on with this one."
        )


def compare_tables(tables: list[Path], lock: str) -> int:
    """Compare what earlier jobs read, as `check_inputs` listed it; return the number of files."""
    pins, count = read_lock(lock), 0
    for table in sorted(tables):
        with table.open(encoding="utf-8", newline="") as lines:
            for row in csv.DictReader(lines):
                compare(row["path"], row["sha256"], pins, lock, row["delivered"])
                count += 1
    return count
