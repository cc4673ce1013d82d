"""The one way in which tables lie on disk: whole or not at all, same rows in the same bytes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # its import takes half a second, which text alone need not wait for
    import pandas as pd


def write_text(text: str, path: str) -> None:
    """Write `text` under its final name only when it is whole."""
    final = Path(path)
    final.parent.mkdir(parents=True, exist_ok=True)
    part = final.with_name(f".{final.name}.{os.getpid()}.part")
    part.write_text(text, encoding="utf-8", newline="\n")
    part.replace(final)


def write_csv(table: pd.DataFrame, path: str, digits: int = 6) -> None:
    """Write a table as CSV: no index, missing values empty, `digits` decimals."""
    text = table.to_csv(index=False, lineterminator="\n", float_format=f"%.{digits}f")
    write_text(text, path)


def write_parquet(table: pd.DataFrame, path: str) -> None:
    """Write a table as Parquet, without its index, under its final name only when it is whole."""
    final = Path(path)
    final.parent.mkdir(parents=True, exist_ok=True)
    part = final.with_name(f".{final.name}.{os.getpid()}.part")
    try:
        table.to_parquet(part, index=False, compression="zstd")
        part.replace(final)
    finally:
        part.unlink(missing_ok=True)
