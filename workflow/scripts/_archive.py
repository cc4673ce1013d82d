"""Put delivered granules in their place in the archive: one file for one product, day and tile.

Producers make a granule anew now and then and stamp the name with the time they made it. The
path in the archive has no stamp, so what depends on a granule survives a new production; which
one lies there is written beside it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from datetime import date, timedelta
from pathlib import Path

from _log import UserError
from _whole import whole

NAME = re.compile(
    r"(?P<product>[A-Z0-9]+)\.A(?P<year>\d{4})(?P<day>\d{3})\.(?P<tile>h\d{2}v\d{2})"
    r"\.(?P<collection>\d{3})\.(?P<made>\d{13})\.hdf",
    re.IGNORECASE,
)


def parsed(name: str) -> dict[str, str]:
    """Return product, date (YYYY-MM-DD), tile, collection and made (time stamp) of a file name.

    Raises UserError if the name is not of the form PRODUCT.AYYYYDDD.hHHvVV.CCC.STAMP.hdf.
    """
    match = NAME.fullmatch(name)
    if not match:
        raise UserError(
            f"{name}: expected a name like MOD13Q1.A2012113.h26v05.061.2021068095141.hdf, "
            "found another. Keep the name under which the granule was delivered."
        )
    parts = {key: text.upper() for key, text in match.groupdict().items()}
    parts["tile"] = parts["tile"].lower()
    day = date(int(parts.pop("year")), 1, 1) + timedelta(int(parts.pop("day")) - 1)
    return {**parts, "date": day.isoformat()}


def latest(files: list[Path]) -> dict[tuple[str, str, str], list[Path]]:
    """Return {(product, date, tile): its productions, the latest first} of granules by name.

    A later collection goes before an earlier one, whenever that was made: productions of old
    collections went on after the new one had begun. Files whose names are not of granules are
    passed over.
    """
    found: dict[tuple[str, str, str], list[tuple[tuple[str, str, str], Path]]] = {}
    for file in files:
        if NAME.fullmatch(file.name):
            parts = parsed(file.name)
            key = parts["product"], parts["date"], parts["tile"]
            rank = parts["collection"], parts["made"], file.name
            found.setdefault(key, []).append((rank, file))
    return {
        key: [file for _, file in sorted(ranked, reverse=True)] for key, ranked in found.items()
    }


def link(delivered: Path, final: Path, record: dict, keep: bool = True) -> None:
    """Let `final` in resources/raw be the delivered file, and write `record` beside it.

    A link, so that the file exists once and Snakemake, which deletes what a failed job was to
    make, deletes only the link. With `keep` false the file itself moves there and goes with it.
    """
    delivered, final = Path(delivered), Path(final)
    final.parent.mkdir(parents=True, exist_ok=True)
    with whole(str(final.with_suffix(".json"))) as part:
        part.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    final.unlink(missing_ok=True)
    if not keep:
        delivered.replace(final)
        delivered.with_name(f"{delivered.name}.json").unlink(missing_ok=True)
        os.utime(final)
        return
    here = Path.cwd()
    inside = delivered.resolve().is_relative_to(here) and final.resolve().is_relative_to(here)
    final.symlink_to(os.path.relpath(delivered, final.parent) if inside else delivered.resolve())


def place(delivered: list[Path], final: Path, simulated: bool = False) -> dict:
    """Move the latest production of `delivered` to `final`, delete the others, return its record.

    `final` is .../{product}/{date}/{tile}.hdf; it becomes read-only, and {tile}.json beside it
    keeps the delivered name, size, SHA-256 and what was superseded. Raises UserError, before
    anything is moved, if a name does not say that product, date and tile.
    """
    final = Path(final)
    place_of = {
        "product": final.parent.parent.name,
        "date": final.parent.name,
        "tile": final.stem,
    }
    if not delivered:
        raise UserError(f"{final}: expected a delivered granule, found none. Download it again.")
    stamps = {}
    for file in delivered:
        parts = parsed(file.name)
        for key, expected in place_of.items():
            if parts[key] != expected:
                raise UserError(
                    f"{file}: expected {key} {expected} as in {final}, found {parts[key]}. "
                    "Put the granule where its name says."
                )
        stamps[parts["made"], file.name] = file
    *older, latest = (stamps[key] for key in sorted(stamps))
    content = latest.read_bytes()
    record = {
        "delivered": latest.name,
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "superseded": [file.name for file in older],
        "simulated": simulated,
    }
    with whole(final.with_suffix(".json")) as part:
        part.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    latest.chmod(0o444)
    latest.replace(final)
    for file in older:
        file.unlink()
    return record
