import numpy as np
import pandas as pd
import pytest
from pyproj import Transformer
from rasterio.crs import CRS
from rasterio.transform import Affine

import plot_study_area
from _log import UserError
from _raster import Grid, created, write

ALBERS = CRS.from_string(
    "+proj=aea +lat_1=28 +lat_2=36 +lat_0=0 +lon_0=101 +datum=WGS84 +units=m +no_defs"
)
TO_MAP = Transformer.from_crs("EPSG:4326", ALBERS.to_wkt(), always_xy=True)
LEFT, TOP = (round(v, -3) for v in TO_MAP.transform(102.0, 34.0))
CELLS = Grid(ALBERS, Affine(250, 0, LEFT, 0, -250, TOP), 80, 60)


def archive(folder):
    elevation = np.broadcast_to(3000.0 + np.arange(60)[:, None], CELLS.shape).copy()
    write(f"{folder}/static.tif", CELLS, {"sand": elevation * 0, "DEM": elevation}, {
        "sand": "%", "DEM": "m"})  # fmt: skip
    with created(f"{folder}/grid.tif", CELLS, {"inside": ""}, "uint8", 255) as target:
        target.write(np.ones(CELLS.shape, "uint8"), 1)
    x, y = CELLS.centres()
    lon, lat = TO_MAP.transform(x, y, direction="INVERSE")
    with created(f"{folder}/lonlat.tif", CELLS, {"lon": "", "lat": ""}, "float64") as target:
        target.write(lon, 1)
        target.write(lat, 2)
    inside = (lon[10, 20], lat[10, 20])
    pd.DataFrame(dict(site=["A1"], lat=inside[1], lon=inside[0])).to_csv(
        f"{folder}/sites.csv", index=False
    )
    pd.DataFrame(dict(station=["056079", "7"], lat=[inside[1], 40], lon=[inside[0], 90])).to_csv(
        f"{folder}/gauges.csv", index=False
    )
    names = ("static", "grid", "sites", "gauges")
    given = {name: f"{folder}/{name}{'.tif' if name in names[:2] else '.csv'}" for name in names}
    out = {end: f"{folder}/figure.{end}" for end in ("png", "pdf", "csv")}
    return given | out | dict(lonlat_file=f"{folder}/lonlat.tif", box=[102.0, 33.8, 102.2, 34.0])


def test_points_lie_where_pyproj_puts_them_at_the_height_of_their_cell(tmp_path, caplog):
    given = archive(tmp_path)
    with caplog.at_level("INFO", "soil-moisture"):
        plot_study_area.main(**given, note="simulated data")
    table = pd.read_csv(given["csv"], dtype={"name": str})
    assert table["kind"].tolist() == ["gauge", "gauge", "site"]
    assert table["name"].tolist() == ["056079", "7", "A1"], "ids keep their zeros"
    x, y = TO_MAP.transform(table["lon"][2], table["lat"][2])
    assert (table["x"][2], table["y"][2]) == pytest.approx(
        (x, y), abs=0.1
    )  # nine digits in the table
    assert table["DEM"][2] == 3010
    assert np.isnan(table["DEM"][1])
    assert "2 gauges, mean 3010 m, 1 off the map" in caplog.text
    assert "mean elevation 3030 m" in caplog.text  # 3000 to 3059: 3029.5
    assert (tmp_path / "figure.png").stat().st_size > 5000


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (97.34, 104.75, [98, 100, 102, 104]),
        (102.0, 102.7, [102.0, 102.2, 102.4, 102.6]),
        (-3.1, 12.0, [0, 5, 10]),
        (33.811, 33.859, [33.82, 33.83, 33.84, 33.85]),
    ],
)
def test_ticks_are_round(low, high, ticks):
    found = plot_study_area.nice_ticks(low, high)
    np.testing.assert_allclose(found, ticks)


def test_table_without_coordinates_is_named(tmp_path):
    path = tmp_path / "gauges.csv"
    path.write_text("station,latitude,longitude\n1,33,102\n")
    with pytest.raises(UserError, match=r"gauges\.csv: expected the columns lat and lon, found st"):
        plot_study_area.points(str(path), "gauge")


@pytest.mark.parametrize("box", [(102.0, 33.6, 102.7, 34.2), (9.0, 48.0, 12.0, 50.0)])
def test_position_is_drawn_wherever_the_study_is(box):
    axes = plot_study_area.canvas(3).subplots()
    plot_study_area.add_position(axes, box)
    west, east = axes.get_xlim()
    south, north = axes.get_ylim()
    assert west < box[0] and box[2] < east and south < box[1] and box[3] < north
    named = {text.get_text() for text in axes.texts}
    assert ("Chengdu" in named) == (box[0] > 100)


def sites_at(points):
    table = pd.DataFrame(points, columns=["x", "y"]).assign(kind="site", lon=0, lat=0)
    return table.assign(name=[f"S{number}" for number in range(len(table))])


def test_network_is_a_square_around_its_sites_with_room():
    extent = (0, 100_000, 0, 80_000)
    near = [(20_000, 30_000), (30_000, 34_000), (25_000, 31_000)]
    around = plot_study_area.network(sites_at(near), extent)
    # the longer side is 10 km: 0.75 of it to each side of the middle
    assert around == pytest.approx((17_500, 32_500, 24_500, 39_500))
    # gauges and sites off the map do not widen it
    far = sites_at(
        [(20_000, 30_000), (30_000, 34_000), (25_000, 31_000), (90_000, 70_000), (-9, 0)]
    )
    far.loc[3, "kind"] = "gauge"
    assert plot_study_area.network(far, extent) == around


def test_sites_all_over_the_map_or_too_few_are_not_enlarged():
    extent = (0, 100_000, 0, 80_000)
    assert plot_study_area.network(sites_at([(0, 0), (1, 1)]), extent) is None
    assert plot_study_area.network(sites_at([(0, 0), (90_000, 1), (5, 5)]), extent) is None
    same = plot_study_area.network(sites_at([(500, 500)] * 3), extent)
    assert same == (-4500, 5500, -4500, 5500), "one place is enlarged too"


def test_labels_meet_no_point_and_no_other_label():
    rng = np.random.default_rng(3)
    points, names = rng.uniform(0, 30, (40, 2)), ["abcde"] * 39 + [""]
    spots = plot_study_area.labelled(points, names, size=(1.0, 1.5), gap=1.0)
    assert 5 < len(spots) < 39 and 39 not in spots
    centres = np.array(list(spots.values()))
    for number, (x, y) in spots.items():
        apart = abs(centres - (x, y))
        assert ((apart[:, 0] >= 5) | (apart[:, 1] >= 1.5)).sum() == len(spots) - 1
        assert not ((abs(points[:, 0] - x) < 2.5) & (abs(points[:, 1] - y) < 0.75)).any()
        assert abs(points[number] - (x, y)).max() <= 3.5 + 1e-9, "beside its point"
    alone = plot_study_area.labelled(np.array([[0.0, 0.0]]), ["ab"], size=(1.0, 1.5), gap=0.5)
    assert alone == {0: (1.5, 0.0)}, "to the right, half its width and the gap away"


@pytest.mark.parametrize(("geographic", "aspect"), [(False, 1.0), (True, 2.0)])
def test_figure_shows_the_network_and_true_shapes(geographic, aspect):
    crs, side = (CRS.from_epsg(4326), 0.01) if geographic else (ALBERS, 250)
    top = 60.4 if geographic else TOP  # at 60 degrees north a degree of latitude is twice as long
    cells = Grid(crs, Affine(side, 0, 10, 0, -side, top), 80, 80)
    x, y = cells.centres()
    table = sites_at([(10 + k * side, top - k * side) for k in (20, 24, 30)]).assign(DEM=3000.0)
    figure = plot_study_area.figure_of(
        table, 3000.0 + x - x.min(), x > 0, 100 + x / x.max(), 30 + y / y.max(), cells,
        [102.0, 33.8, 102.2, 34.0],
    )  # fmt: skip
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles[:3] == ["", "Network (frame in the map)", "Position (orange)"]
    for axes in figure.axes[:2]:
        assert axes.get_aspect() == pytest.approx(aspect, rel=1e-3)
        km = [text.get_text() for text in axes.texts if text.get_text().endswith("m")]
        # 80 cells are 20 km, or 0.8 degrees of 55.66 km: 44.5 km; the bar is at most 30 % of it
        if axes is figure.axes[0]:
            assert km == ["10 km" if geographic else "5 km"]
    names = {text.get_text() for text in figure.axes[1].texts}
    assert {"S0", "S1", "S2"} <= names


def test_stations_without_a_position_are_counted_and_left_out(tmp_path, caplog):
    path = tmp_path / "sites.csv"
    path.write_text("site,lat,lon\nA,33,102\nB,,\nC,34,\n")
    with caplog.at_level("INFO", "soil-moisture"):
        found = plot_study_area.points(str(path), "site")
    assert found["name"].tolist() == ["A"]
    assert "2 sites without a position are not drawn" in caplog.text
