"""Files from the future: after a clock was set back, Snakemake takes what is fresh for stale."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

TOLERATED = 120.0  # seconds; clocks of file servers differ by less


def ahead(paths: Iterable[str], now: float | None = None) -> list[tuple[str, float]]:
    """Return the files last changed later than `now` (s since 1970), with by how many seconds."""
    now = time.time() if now is None else now
    found = []
    for path in sorted(set(map(str, paths))):
        try:
            lead = Path(path).stat().st_mtime - now
        except OSError:
            continue
        if lead > TOLERATED:
            found.append((path, lead))
    return found


def complaint(found: list[tuple[str, float]]) -> str:
    """Return what to say of files from the future, "" where there is none."""
    if not found:
        return ""
    path, lead = max(found, key=lambda pair: pair[1])
    more = f" and {len(found) - 1} more" if len(found) > 1 else ""
    amount = f"{lead / 60:.0f} minutes" if lead < 7200 else f"{lead / 3600:.0f} hours"
    return (
        f"{path}{more}: expected files no newer than now, found one {amount} ahead of this "
        "machine's clock: what was finished would be made again at each run. If the clock is "
        "right, set these files to now (none is lost):\n"
        "  find -L resources results -newermt now -exec touch -d \"$(date '+%F %T')\" {} +"
    )
