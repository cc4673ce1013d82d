"""What the name of a delivered SMC file says: its month, believed only where it is clear.

The producer's names could not be looked up when this was written, so nothing is taken for granted
but a month as YYYYMM, YYYY-MM or YYYY_MM.
"""

import re
from pathlib import PurePath

from _log import UserError

MONTH = re.compile(r"(?<!\d)((?:19|20)\d{2})[-_]?(0[1-9]|1[0-2])(?!\d)")


def month_of(name: str) -> str | None:
    """Return the month (YYYY-MM) in the last part of a path, None if it has none or two."""
    found = {"-".join(parts) for parts in MONTH.findall(PurePath(name).stem)}
    return found.pop() if len(found) == 1 else None


def month_in(path: str) -> str:
    """Return the month (YYYY-MM) that a delivered file carries in its name.

    Raises UserError if it carries none, or two.
    """
    month = month_of(path)
    if month is None:
        raise UserError(
            f"{path}: expected a month as YYYYMM, YYYY-MM or YYYY_MM in the name, found "
            f"{'two' if MONTH.search(PurePath(path).stem) else 'none'}. Rename the file."
        )
    return month
