"""Whether a projection keeps distances and directions where it is used."""

from __future__ import annotations

import numpy as np
from pyproj import CRS, Proj

from _log import UserError

STRETCH = 0.1  # share by which a metre may differ from a metre on the ground
TURN = 5.0  # degrees by which grid north may differ from north


def check_true(key: str, crs: str | CRS, box: list[float], directions: bool = False) -> None:
    """Refuse a CRS that stretches distances in a box (west, south, east, north in degrees).

    With `directions` also one whose north is not north. Both are taken at the corners, the
    edges' middles and the centre of the box. `key` names the CRS in the config.
    """
    west, south, east, north = box
    lon, lat = np.meshgrid(np.linspace(west, east, 3), np.linspace(south, north, 3))
    system = CRS.from_user_input(crs)
    found = Proj(system).get_factors(lon.ravel(), lat.ravel())
    # The axes of Tissot's ellipse: the longest and the shortest metre, whatever its direction.
    scales = np.concatenate([found.tissot_semimajor, found.tissot_semiminor])
    stretch, turn = np.abs(scales - 1).max(), np.abs(found.meridian_convergence).max()
    if not (stretch <= STRETCH and (turn <= TURN or not directions)):
        raise UserError(
            f"{key}: expected a projection made for area.box, with metres that are true within "
            f"{STRETCH:.0%}{f' and a north within {TURN:g} degrees' if directions else ''}, found "
            f"{system.to_string()!r}, off by {stretch:.0%}"
            f"{f' and {turn:.0f} degrees' if directions else ''} in {box}. Distances"
            f"{', slope and aspect' if directions else ' and areas'} would be wrong: give the "
            "area's UTM zone, say."
        )
