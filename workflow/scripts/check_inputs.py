"""Hash every file that enters the study, and compare it with what was fetched and with the lock.

A file that was changed, replaced or damaged after it was fetched is found here, before the first
job that reads it, and never silently enters a map.
"""

import csv
import hashlib
import json
from pathlib import Path
from time import monotonic

from _lock import compare, read_lock
from _log import UserError, log, log_to, notice
from _whole import whole

COLUMNS = ("path", "bytes", "sha256", "delivered", "address", "fetched")
EVERY = 30  # seconds between two lines of progress


def digest(path: str) -> str:
    """Return the SHA-256 of a file in hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_page(path: str) -> bool:
    """Return whether a file begins like a web page."""
    with open(path, "rb") as file:
        return file.read(200).lstrip().lower().startswith((b"<!doctype", b"<html"))


def record_beside(path: str) -> dict:
    """Return the record that lies beside a fetched file, {} for one that was put there by hand."""
    beside = Path(path).with_suffix(".json")
    if not beside.exists():
        return {}
    try:
        return json.loads(beside.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(
            f"{beside}: expected the record of {Path(path).name} as JSON, found {error}. "
            f"Delete {path} and its record and fetch it again."
        ) from None


def checked(path: str, pins: dict[str, str] | None, lock: str) -> dict:
    """Return what is known of a file, after comparing it with its record and with `pins`."""
    record, size, found = record_beside(path), Path(path).stat().st_size, digest(path)
    if record and record["sha256"] != found:
        what = "a web page, probably a login page" if is_page(path) else "another"
        raise UserError(
            f"{path}: expected the file that was fetched (sha256 {record['sha256'][:12]}..., "
            f"{record['bytes']} bytes), found {what} ({found[:12]}..., {size} bytes). If you put "
            f"it there, delete {Path(path).with_suffix('.json')}; else it was damaged: delete "
            "both, in resources/store too, and run again."
        )
    if pins is not None:
        compare(path, found, pins, lock, record.get("delivered", ""))
    facts = {name: record.get(name, "") for name in ("delivered", "address", "fetched")}
    return dict(path=path, bytes=size, sha256=found, **facts)


def progress(done: int, of: int, size: int, seconds: float) -> str:
    """Return how far the hashing is, in words."""
    left = seconds / done * (of - done)
    return f"{done} of {of} files hashed, {size / 1e9:.1f} GB, about {left:.0f} s left"


def main(files, lock, table):
    pins = read_lock(lock) if lock else None
    rows, size, start = [], 0, monotonic()
    said = start
    for number, path in enumerate(sorted(files), 1):
        rows.append(checked(path, pins, lock))
        size += rows[-1]["bytes"]
        if monotonic() - said > EVERY:
            said = monotonic()
            notice("%s: %s", Path(table).stem, progress(number, len(files), size, said - start))
    with whole(table) as part, part.open("w", encoding="utf-8", newline="") as target:
        writer = csv.DictWriter(target, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    known = sum(bool(row["delivered"]) for row in rows)
    log.info("%d files, %d bytes; %d have a record of where they came from", len(rows), size, known)
    log.info("compared with %s" if lock else "no lock to compare with", *([lock] if lock else []))


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        files=snakemake.input.files,
        lock=snakemake.resources.lock,
        table=snakemake.output.table,
    )
