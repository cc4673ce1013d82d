"""The layers of a month among many rasters: which file, which band, and that they lie alike."""

from __future__ import annotations

import numpy as np

from _log import UserError


def of_month(rasters: list[str], month: str, months: list[str]) -> list[str]:
    """Return the rasters whose path names `month` last, and those that name none of `months`."""

    def owner(path):
        named = [m for m in months if m in path]
        return max(named, key=lambda m: (path.rfind(m), len(m)), default=month)

    return [path for path in rasters if owner(path) == month]


def located(bands: dict[str, tuple[str, ...]], names: list[str]) -> dict[str, tuple[str, int]]:
    """Return {predictor: (raster, band number)}; `bands` are the band names of each raster."""
    places = {}
    for path, found in bands.items():
        for number, name in enumerate(found, 1):
            places.setdefault(name, (path, number))
    missing = [name for name in names if name not in places]
    if missing:
        listed = "; ".join(f"{path}: {', '.join(map(str, b))}" for path, b in bands.items())
        raise UserError(
            f"No raster has a band named {', '.join(missing)}, which the forest was trained with. "
            f"Bands found: {listed}. Name the band in the raster's description as in the samples."
        )
    return {name: places[name] for name in names}


def check_aligned(path: str, found, grid) -> None:
    """Refuse a raster that does not lie on the grid of the maps; both are a `Grid`."""
    for what in ("crs", "transform", "width", "height"):
        if getattr(found, what) != getattr(grid, what):
            raise UserError(
                f"{path}: expected the {what} of the maps' grid, {getattr(grid, what)!r}, "
                f"found {getattr(found, what)!r}. Bring the raster to that grid."
            )


def read_window(sources: dict, places: dict[str, tuple[str, int]], window) -> dict[str, np.ndarray]:
    """Return {name: layer} of a window, float32 with NaN where nodata.

    sources: {path: raster open for reading}; places as from `located`.
    """
    return {
        name: sources[path]
        .read(band, window=window, out_dtype="float32", masked=True)
        .filled(np.nan)
        for name, (path, band) in places.items()
    }
