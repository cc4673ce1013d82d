"""The one way in which tables lie on disk: whole or not at all, the same bytes every time."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd


def write_table(table: pd.DataFrame, path: str) -> None:
    """Write Parquet or CSV by the ending of `path`; it appears under its name when complete."""
    final = Path(path)
    final.parent.mkdir(parents=True, exist_ok=True)
    part = final.with_name(f".{final.stem}.{os.getpid()}.part{final.suffix}")
    try:
        if final.suffix == ".parquet":
            table.to_parquet(part, index=False)
        else:
            table.to_csv(part, index=False, lineterminator="\n", float_format="%.9g")
        part.replace(final)
    finally:
        part.unlink(missing_ok=True)


def write_text(text: str, path: str) -> None:
    """Write text that is ready, such as JSON; it appears under its name when complete."""
    final = Path(path)
    final.parent.mkdir(parents=True, exist_ok=True)
    part = final.with_name(f".{final.stem}.{os.getpid()}.part{final.suffix}")
    try:
        part.write_text(text, encoding="utf-8", newline="\n")
        part.replace(final)
    finally:
        part.unlink(missing_ok=True)
