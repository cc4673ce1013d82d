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
