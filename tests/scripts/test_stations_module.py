"""Site tables and positions."""

import numpy as np
import pytest

from _log import UserError
from _stations import projected, read_sites


def table(folder, text):
    path = folder / "sites.csv"
    path.write_text(text)
    return str(path)


def test_names_stay_text_and_order_stays(tmp_path):
    sites = read_sites(table(tmp_path, "site,lat,lon,elevation\n02,33.5,102.5,3500\n01,34,102,\n"))
    assert sites["site"].tolist() == ["02", "01"]
    assert sites["lat"].tolist() == [33.5, 34.0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,lat,lon\nA,33,102\n", "found name, lat, lon. Add site"),
        ("site,lat,lon\nA,33,102\nB,,102\n", "expected a lat and a lon in degrees .* for B"),
        ("site,lat,lon\nA,102,33\n", "expected a lat in degrees .* beyond 90 for A"),
        ("site,lat,lon\nA,33,east\n", "expected a lon in degrees .* for A"),
        ("site,lat,lon\nA,33,102\nA,34,102\n", "expected each site once, found A again"),
        ("site,lat,lon\nA,33,102\n,34,102\n", "expected a site in every row, found none in 1"),
    ],
)
def test_bad_tables_are_refused(tmp_path, text, message):
    with pytest.raises(UserError, match=message):
        read_sites(table(tmp_path, text))


@pytest.mark.parametrize(
    "text", ["site\nA\nB\n", "site,lat,lon\nA,,\nB,,\n", "site,lat,lon\nA,33.5,102\nB,,\n"]
)
def test_positions_that_the_archive_knows_may_be_left_out(tmp_path, text):
    path = table(tmp_path, text)
    sites = read_sites(path, located=False)
    assert sites["site"].tolist() == ["A", "B"]
    assert np.isnan(sites.loc[1, ["lat", "lon"]].astype(float)).all()
    with pytest.raises(UserError, match=r"expected columns site, lat, lon|insitu.format: ismn"):
        read_sites(path)


def test_half_a_position_is_refused(tmp_path):
    path = table(tmp_path, "site,lat,lon\nA,33,102\nB,34,\n")
    with pytest.raises(UserError, match="found none for B"):
        read_sites(path, located=False)


def test_positions_by_a_known_projection():
    # Web Mercator: x is the radius times the longitude in radians, y is 0 on the equator.
    xy = projected([0.0, 90.0], [0.0, 0.0], "EPSG:3857")
    assert xy == pytest.approx(np.array([[0, 0], [6378137 * np.pi / 2, 0]]), abs=1e-6)
