"""Tables of stations, and where their positions lie in a projected CRS."""

from __future__ import annotations

import numpy as np
import pandas as pd

from _log import UserError


def read_sites(path: str, located: bool = True) -> pd.DataFrame:
    """Return the site table with string `site`, float `lat`, `lon` (degrees), in file order.

    Raises UserError if a site has no position; with `located` false lat and lon may be empty or
    not there at all (the archive knows them) and are NaN then.
    """
    table = pd.read_csv(path, dtype={"site": str})
    needed = ("site", "lat", "lon") if located else ("site",)
    missing = [name for name in needed if name not in table]
    if missing:
        raise UserError(
            f"{path}: expected columns {', '.join(needed)}, found {', '.join(table.columns)}. "
            f"Add {', '.join(missing)}."
        )
    nameless = table["site"].isna()
    if nameless.any():
        raise UserError(
            f"{path}: expected a site in every row, found none in {nameless.sum()}. "
            "Name the sites or delete the rows."
        )
    places = table.reindex(columns=["lat", "lon"])
    given = places.notna()
    silent = table.loc[~given.all(axis=1) if located else given.any(axis=1) & ~given.all(axis=1)]
    if len(silent):
        raise UserError(
            f"{path}: expected a lat and a lon in degrees for every site, found none for "
            f"{', '.join(silent['site'].astype(str))}. Fill them in; only archives of ismn.earth "
            "(insitu.format: ismn) bring positions of their own."
        )
    for name, limit in (("lat", 90), ("lon", 180)):
        numbers = pd.to_numeric(places[name], errors="coerce")
        wrong = table.loc[given[name] & ~(numbers.abs() <= limit), "site"]
        if len(wrong):
            raise UserError(
                f"{path}: expected a {name} in degrees for every site, found text or one beyond "
                f"{limit} for {', '.join(wrong.astype(str))}. Correct the table."
            )
        table[name] = numbers
    twice = table.loc[table["site"].duplicated(), "site"]
    if len(twice):
        raise UserError(
            f"{path}: expected each site once, found {', '.join(twice)} again. Delete the repeat."
        )
    return table


def projected(lon: np.ndarray, lat: np.ndarray, crs: str) -> np.ndarray:
    """Return positions (n, 2), x and y in the units of `crs`, of longitudes and latitudes."""
    from pyproj import Transformer

    to_crs = Transformer.from_crs("EPSG:4326", crs, always_xy=True)
    return np.stack(to_crs.transform(np.asarray(lon, float), np.asarray(lat, float)), axis=1)
