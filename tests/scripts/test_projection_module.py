"""A projection made for another part of the world makes wrong slopes, and no error by itself."""

import pytest

from _log import UserError
from _projection import check_true

TIBET = "+proj=aea +lat_1=28 +lat_2=36 +lat_0=0 +lon_0=101 +datum=WGS84 +units=m +no_defs"
SINUSOIDAL = "+proj=sinu +R=6371007.181 +units=m +no_defs"
PAPER = [97.34, 27.96, 104.75, 35.58]
ZOIGE = [102.0, 33.6, 102.7, 34.19]
ARGENTINA = [-66.4, -33.92, -66.1, -33.75]
ITALY = [7.0, 43.5, 8.2, 44.4]


@pytest.mark.parametrize(
    ("crs", "box"),
    [
        (TIBET, PAPER),
        ("EPSG:32648", ZOIGE),
        ("EPSG:32719", ARGENTINA),
        ("EPSG:32632", ITALY),
        ("EPSG:32635", [24.85, 59.93, 25.15, 60.07]),
    ],
)
def test_projections_made_for_the_area_pass(crs, box):
    check_true("grid.crs", crs, box)
    check_true("terrain.crs", crs, box, directions=True)


# Web Mercator stretches by 1 / cos(latitude), 20 % here; the shear of the sinusoidal grid
# 102 degrees from its meridian is tan = 1.78 sin(34 degrees), a long axis of 1.6.
@pytest.mark.parametrize(
    ("crs", "box"), [(TIBET, ARGENTINA), ("EPSG:3857", ZOIGE), (SINUSOIDAL, ZOIGE)]
)
def test_stretched_metres_are_refused(crs, box):
    with pytest.raises(UserError, match=r"grid\.crs: expected .* off by \d+%.* UTM zone"):
        check_true("grid.crs", crs, box)


def test_a_turned_north_is_refused_where_directions_count():
    check_true("grid.crs", TIBET, ITALY)
    with pytest.raises(UserError, match=r"terrain\.crs: .*49 degrees|terrain\.crs: .*50 degrees"):
        check_true("terrain.crs", TIBET, ITALY, directions=True)
