"""Print what the study needs, what is there, what is missing, how large it is and how to get it.

Nothing is fetched and no service is asked: files are looked for on disk, and sizes are those of
the producers' usual files (T1).
"""

import json
import sys
from pathlib import Path

from _log import human, log, log_to
from _sources import SOURCES, about, account, credentials, held


def counted(source: str, need: dict, box: list[float]) -> dict:
    """Return needed, present, missing (files) and the bytes that are missing of one source."""
    files, folder = need["files"], set(need["folder"])
    there = [p for p in files if Path(p).exists() or p in folder or held(source, p)]
    missing = sorted(set(files) - set(there))
    known = [p for p in files if "*" not in p]
    return {
        "source": source,
        "needed": len(known) if known else None,
        "present": len(there),
        "missing": missing,
        "size": sum(about(source, p, box) for p in files),
        "to_get": sum(about(source, p, box) for p in missing),
    }


def way(source: str, need: dict) -> str:
    """Return how a source's missing files are got, in a few words."""
    road = need["road"]
    if road in SOURCES[source].services:
        return f"snakemake fetch ({SOURCES[source].services[road]})"
    if road == "folder":
        return f"your folder {need['value']}"
    return "simulated by the run" if road == "simulated" else "you put it into resources/raw"


def table(rows: list[list[str]]) -> str:
    """Return lines of aligned columns; numbers to the right."""
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if 1 <= k <= 4 else cell.ljust(width)
            for k, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def accounts(needs: dict[str, dict]) -> list[str]:
    """Return a line for each account that the chosen services ask for."""
    lines = []
    roads = [need["road"] for need in needs.values()]
    for road in dict.fromkeys(road for road in roads if account(road)):
        found = credentials(road)
        state = f"found in {found}" if found else "NOT FOUND"
        lines.append(f"  {road}: {account(road)}; credentials {state}")
    return lines


def report(needs: dict[str, dict], box: list[float], keep: bool, daily: int) -> str:
    """Return the whole text."""
    rows = [["source", "needed", "present", "missing", "size", "how"]]
    counts = {source: counted(source, need, box) for source, need in needs.items()}
    for source, count in counts.items():
        needed = "?" if count["needed"] is None else str(count["needed"])
        missing = "?" if count["needed"] is None else str(len(count["missing"]))
        size = f"~{human(count['size'])}" if count["size"] else "unknown"
        title = SOURCES[source].title
        rows.append(
            [title, needed, str(count["present"]), missing, size, way(source, needs[source])]
        )
    lines = [table(rows), ""]
    total = sum(count["to_get"] for count in counts.values())
    lines.append(
        f"Still to get: about {human(total)}." if total else "Nothing of known size is missing."
    )
    if needs["modis"]["road"] == "earthdata":
        albedo = [p for p in needs["modis"]["files"] if "/MCD43A3/" in p]
        each = about("modis", albedo[0], box)
        lines.append(
            f"Albedo: {len(albedo)} granules, about {human(len(albedo) * each)}, as set by "
            f"modis.albedo_every; every day (1) would be {daily} granules, "
            f"about {human(daily * each)}."
        )
        if not keep:
            lines.append("Granules are deleted once their year is composited (keep_raw: false).")
    if accounts(needs):
        lines += ["", "Accounts:", *accounts(needs)]
    lacking = [s for s, count in counts.items() if count["missing"] or count["needed"] is None]
    by_hand = [s for s in lacking if needs[s]["road"] in ("folder", "raw")]
    if by_hand:
        lines += ["", "Not fetched by a program:"]
        for source in by_hand:
            first = counts[source]["missing"][0] if counts[source]["missing"] else ""
            lines.append(
                f"  {SOURCES[source].title}: {first or 'its files'}. {needs[source]['how']}"
            )
    return "\n".join([*lines, ""])


def main(needed, box, keep, daily):
    text = report(json.loads(needed), box, keep, daily)
    log.info("%s", text)
    sys.stdout.write(text)
    sys.stdout.flush()


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        needed=snakemake.params.needed,
        box=snakemake.params.box,
        keep=snakemake.params.keep,
        daily=snakemake.params.daily,
    )
