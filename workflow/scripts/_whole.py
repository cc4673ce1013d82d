"""A file appears under its name when it is complete, or not at all.

A job that is killed half-way leaves nothing that a later run would trust. Like `_log`, this
changes no result, so other modules may import it and no rule hashes it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole(path: str) -> Iterator[Path]:
    """Yield a temporary path beside `path` that becomes it if the block ends without an error."""
    final = Path(path)
    final.parent.mkdir(parents=True, exist_ok=True)
    part = final.with_name(f".{final.stem}.{os.getpid()}.part{final.suffix}")
    try:
        yield part
        part.replace(final)
    finally:
        part.unlink(missing_ok=True)
