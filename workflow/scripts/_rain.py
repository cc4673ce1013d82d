"""What is known of rain besides the gauges: the elevation of a place and its usual rain (S11).

Both come from rasters that are sampled at gauges and at cells in the same way: `bilinear` of
`_raster` takes what `around` returns.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import rasterio
from rasterio.windows import Window

from _log import UserError, log

FLOOR = 1.0  # mm/month: a ratio to less rain than this is the noise of the climatology
FAR = 300.0  # m between two elevations of a gauge that someone should look at
GAUGES = 4  # of a month, to draw a line through elevations and still know how well it fits
RELIEF = 100.0  # m between lowest and highest gauge, below which that line has no slope


def around(
    path: str, points: np.ndarray, crs, band: str | int = 1
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the part of a raster around `points`, and their fractional rows and columns in it.

    `points` (n, 2) lie in `crs`, the raster in any CRS. The layer is float64 in the unit of the
    file (its own scale and offset applied), NaN where missing; it is empty of values if no point
    lies on the raster.
    """
    from pyproj import Transformer

    with rasterio.open(path) as source:
        if source.crs is None:
            raise UserError(
                f"{path}: expected a raster with a CRS, found none. Assign it, for example with "
                "gdal_edit.py -a_srs EPSG:4326."
            )
        if band not in source.indexes and band not in source.descriptions:
            raise UserError(
                f"{path}: expected a band {band}, found {', '.join(map(str, source.descriptions))}."
            )
        number = band if isinstance(band, int) else source.descriptions.index(band) + 1
        to_source = Transformer.from_crs(crs, source.crs, always_xy=True)
        inverse = ~source.transform
        x, y = to_source.transform(*np.asarray(points, float).T)
        rows = inverse.d * x + inverse.e * y + inverse.f
        cols = inverse.a * x + inverse.b * y + inverse.c
        spans = []
        for place, size in ((rows, source.height), (cols, source.width)):
            place = place[np.isfinite(place)]
            # One more cell on each side: the neighbours of a point at an edge.
            low = int(np.clip(np.floor(place.min(initial=size)) - 1, 0, size - 1))
            high = int(np.clip(np.floor(place.max(initial=0)) + 2, low + 1, size))
            spans.append((low, high - low))
        (top, height), (left, width) = spans
        stored = source.read(number, window=Window(left, top, width, height), masked=True)
        layer = stored.astype("float64").filled(np.nan)
        layer = layer * source.scales[number - 1] + source.offsets[number - 1]
    return layer, rows - top, cols - left


def check_usual(usual: np.ndarray, names, path: str) -> None:
    """Refuse gauges (n,) whose usual rain (mm/month) is missing or below the floor."""
    for wrong, found in (
        (~np.isfinite(usual), "no value"),
        (usual < FLOOR, f"less than {FLOOR:g}"),
    ):
        if wrong.any():
            listed = ", ".join(str(name) for name, bad in zip(names, wrong, strict=True) if bad)
            raise UserError(
                f"{path}: expected at least {FLOOR:g} mm/month at every gauge, found {found} at "
                f"{listed}. Give a raster in mm/month that covers the gauges, leave these gauges "
                "out, or set rain.method to kriging."
            )


def heights(table: pd.DataFrame, names, ground: np.ndarray | None = None) -> np.ndarray:
    """Return elevations (n,) of the gauges `names` in km: their own, else `ground` (m) of the map.

    `table` has columns station and elevation (m). Their own comes first: positions in tables of
    gauges are rounded to about a kilometre, which in mountains is another elevation. What such
    tables write for an unknown one (-999, 9999) is missing.
    """
    given = table.reindex(columns=["station", "elevation"])
    own = given.groupby("station")["elevation"].median().reindex(names).to_numpy(float)
    known = (own > -450) & (own < 9000)
    if ground is None:
        return np.where(known, own, np.nan) / 1e3
    for name, far in zip(names, np.where(known, own - ground, np.nan), strict=True):
        if abs(far) > FAR:
            log.warning("%s: its own elevation is %+.0f m from that of the map there", name, far)
    return np.where(known, own, ground) / 1e3


def check_heights(elevation: np.ndarray, names, path: str) -> None:
    """Refuse gauges (n,) of unknown elevation."""
    missing = [str(name) for name in np.asarray(names)[~np.isfinite(elevation)]]
    if missing:
        raise UserError(
            f"{path}: expected an elevation of every gauge, found none for {', '.join(missing)}, "
            "which lie off the map. Fill ELEVATION in their files, leave these gauges out, or set "
            "rain.method to kriging."
        )


def tells(elevation: np.ndarray) -> bool:
    """Return whether gauges at these elevations (km) can say how rain changes with elevation."""
    return len(elevation) >= GAUGES and np.ptp(elevation) >= RELIEF / 1e3
