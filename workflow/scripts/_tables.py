"""Tables of the page that are shown as they are: each returns head and rows of text."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from platform import python_version

import pandas as pd

LIBRARIES = (
    "snakemake", "numpy", "pandas", "pyarrow", "scikit-learn", "skops", "scipy", "rasterio",
    "pyproj", "h5py", "matplotlib", "cmcrameri",
)  # fmt: skip
INPUTS_NOTE = (
    "Missing: share of the study's cells, or of its station-months, without a value after masks. "
    "Every file with its checksum: inputs.lock beside this page."
)
# Tables that are shown as they are: heading, and what a row is.
SHOWN = {
    "statistics": (
        "The area's soil moisture from month to month",
        "Of the mean over the area: correlations, trends and ranges, with 95 % intervals",
    ),
    "series": ("The series itself", "Means over the area"),
    "trends": (
        "Trends",
        "Of each calendar month. Share increasing: low and high are 5 and 95 % of what shuffled "
        "years give; significant: false discoveries over the area held at 10 %",
    ),
    "products": ("The maps beside other products", "The maps averaged to each product's own cells"),
    "description": ("The maps described", "Over the study area"),
}
FOLDED = 15  # rows from which a table opens only when asked

Table = tuple[list[str], list[list[str]]]


def cell(value) -> str:
    """Return one value of a small table as printed: three significant digits, counts whole."""
    if isinstance(value, str):
        return value
    if pd.isna(value):
        return "–"
    if abs(value) < 1e-9:  # what rounding leaves of a zero
        return "0"
    return (f"{value:,.0f}" if float(value).is_integer() else f"{value:.3g}").replace("-", "−")


def plain(table: pd.DataFrame) -> Table:
    """Return head and rows of a small table as it is."""
    return list(table), [[cell(value) for value in row] for row in table.itertuples(index=False)]


def tuning(search: pd.DataFrame) -> Table:
    """Return the search, best first; an empty depth means full depth."""
    table = search.sort_values("rank").copy()
    if "max_depth" in table:
        table["max_depth"] = [cell(v) if pd.notna(v) else "unlimited" for v in table["max_depth"]]
    return plain(table)


def went_in(inputs: pd.DataFrame) -> Table:
    """Return the data sets that the run used (T1)."""
    rows = []
    for row in inputs.itertuples():
        missing = "–" if pd.isna(row.missing_share) else f"{row.missing_share:.1%}"
        size = f"{row.bytes / 1e6:,.1f}"
        name = f"{row.product} {row.version}".strip()
        rows.append([name, row.layer, row.native_grid, f"{row.files:,}", size, missing, row.source])
    return ["Data set", "layer", "native grid", "files", "MB", "missing", "from"], rows


def by_period(series: pd.DataFrame) -> Table:
    """Return a long table of `period`, `quantity`, `value`, `unit` with a column a quantity."""
    names = series["quantity"] + " (" + series["unit"].str.replace("m3", "m³") + ")"
    wide = series.assign(name=names).pivot(index="period", columns="name", values="value")
    return plain(wide[list(dict.fromkeys(names))].reset_index())


def shown(name: str, table: pd.DataFrame) -> tuple[Table, bool]:
    """Return a table of SHOWN, and whether it is long enough to be folded."""
    found = by_period(table) if name == "series" else plain(table)
    return found, len(found[1]) > FOLDED


def versions(commit: str) -> Table:
    """Return what made the page: this code, Python and the libraries that are installed."""
    import rasterio

    rows = [["this workflow", commit or "not under version control"], ["Python", python_version()]]
    for name in LIBRARIES:
        try:
            rows.append([name, version(name)])
        except PackageNotFoundError:  # an environment of conda may leave out what no script uses
            continue
    return ["Software", "version"], [*rows, ["GDAL", rasterio.__gdal_version__]]
