"""Tables of stations, and where their positions lie in a projected CRS."""

from __future__ import annotations

import numpy as np
import pandas as pd

from _log import UserError


def read_sites(path: str) -> pd.DataFrame:
    """Return the site table with string `site`, float `lat`, `lon` (degrees), in file order."""
    table = pd.read_csv(path, dtype={"site": str})
    missing = [name for name in ("site", "lat", "lon") if name not in table]
    if missing:
        raise UserError(
            f"{path}: expected columns site, lat, lon, found {', '.join(table.columns)}. "
            f"Add {', '.join(missing)}."
        )
    for name, limit in (("lat", 90), ("lon", 180)):
        table[name] = pd.to_numeric(table[name], errors="coerce")
        wrong = table.loc[~(table[name].abs() <= limit), "site"]
        if len(wrong):
            raise UserError(
                f"{path}: expected a {name} in degrees for every site, found none or one beyond "
                f"{limit} for {', '.join(wrong.astype(str))}. Correct the table."
            )
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
