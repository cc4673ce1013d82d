"""The one way in which tables lie on disk: whole or not at all, the same bytes every time."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from _whole import whole


def write_table(table: pd.DataFrame, path: str) -> None:
    """Write Parquet or CSV by the ending of `path`."""
    with whole(path) as part:
        if Path(path).suffix == ".parquet":
            table.to_parquet(part, index=False)
        else:
            table.to_csv(part, index=False, lineterminator="\n", float_format="%.9g")


def write_text(text: str, path: str) -> None:
    """Write text that is ready, such as JSON."""
    with whole(path) as part:
        part.write_text(text, encoding="utf-8", newline="\n")
