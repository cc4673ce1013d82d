"""Which inputs of a failed job cannot be read: something damaged them after they were written.

Files appear under their names only when whole, so a job does not check its inputs before it reads
them; one that fails on a damaged one would show a library's message, which does not say the mend.
GDAL does not compare the checksums of compressed blocks: single bytes that changed within one are
beyond this.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

MADE = "results"
RASTERS = {".tif", ".nc"}


def damaged(paths: Iterable[str]) -> list[str]:
    """Return a line for each file below `results` that cannot be read, with the mend."""
    lines = []
    for path in map(Path, paths):
        if path.parts[:1] == (MADE,) and path.is_file():
            found = wrong_with(path)
            if found:
                lines.append(
                    f"{path}: expected the file that a job of this study finished, found one that "
                    f"cannot be read ({found}). Delete it and type the same command again: it "
                    "and what follows from it are made anew."
                )
    return lines


def wrong_with(path: Path) -> str:
    """Return why a raster or table cannot be read to its end, "" if it can."""
    try:
        if path.suffix in RASTERS:
            read_raster(path)
        elif path.suffix == ".parquet":
            read_parquet(path)
        elif path.suffix == ".json":
            json.loads(path.read_text("utf-8"))
        elif path.suffix == ".csv" and not path.read_bytes().decode("utf-8").endswith("\n"):
            return "it ends in the middle of a line"
    except Exception as error:  # each library has errors of its own
        return " ".join(str(error).split())[:160] or type(error).__name__
    return ""


def read_raster(path: Path) -> None:
    import rasterio

    with rasterio.open(path) as source:
        for _, window in source.block_windows(1):
            source.read(window=window)


def read_parquet(path: Path) -> None:
    import pyarrow.parquet

    pyarrow.parquet.read_table(path)
