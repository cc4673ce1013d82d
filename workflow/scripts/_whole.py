"""A file appears under its name when it is complete, or not at all.

A job that is killed half-way leaves nothing that a later run would trust. Like `_log`, this
changes no result, so other modules may import it and no rule hashes it.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from _log import UserError, human

FULL = {errno.ENOSPC, errno.EDQUOT}
LEAST = 1_000_000  # bytes; libraries that write in blocks fail before the last one is used


@contextmanager
def whole(path: str) -> Iterator[Path]:
    """Yield a temporary path beside `path` that becomes it if the block ends without an error.

    Raises UserError if it ended because there is no room for more.
    """
    final = Path(path)
    final.parent.mkdir(parents=True, exist_ok=True)
    part = final.with_name(f".{final.stem}.{os.getpid()}.part{final.suffix}")
    try:
        yield part
        part.replace(final)
    except Exception as error:  # of whichever library wrote; raised again below
        short = no_room(error, final)
        if short:
            raise UserError(short) from error
        raise
    finally:
        part.unlink(missing_ok=True)


def no_room(error: BaseException, path: Path) -> str:
    """Return what to say if `error` came from a full disk while writing `path`, "" if not.

    Libraries hide the system's error number: what is left beside the unfinished file tells.
    """
    free = shutil.disk_usage(path.parent).free
    if getattr(error, "errno", None) not in FULL and free >= LEAST:
        return ""
    return (
        f"{path}: expected room to write it, found {human(free)} left on the disk of "
        f"{path.parent.resolve()} or a quota that is used up. Make room, then type the same "
        "command again: what is finished is kept."
    )
