"""How much ground the cells of a grid cover, so that areas and shares are those of the ground."""

from __future__ import annotations

import numpy as np


def weights(crs, y: np.ndarray) -> np.ndarray:
    """Return the relative area of cells whose centres have `y` (CRS units), shaped as y.

    Cells of a grid in degrees shrink with the cosine of latitude. Those of a projection count
    alike: define_grid admits only one whose metres are true in the study area.
    """
    if crs is not None and crs.is_geographic:
        return np.cos(np.deg2rad(y))
    return np.ones(np.shape(y))
