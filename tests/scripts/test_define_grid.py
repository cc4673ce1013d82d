"""The one grid: its edges, the cells inside, their coordinates, their area."""

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from pyproj import Geod, Transformer

import define_grid
from _log import UserError
from _raster import Grid, inside, lonlat
from conftest import ROOT
from define_grid import area_of_box, in_box, metric, snapped

AEA = "+proj=aea +lat_1=28 +lat_2=36 +lat_0=0 +lon_0=101 +datum=WGS84 +units=m +no_defs"
BOX = [102.0, 33.6, 102.7, 34.19]


def make(folder, polygon=(), box=BOX, crs=AEA, resolution=250):
    paths = str(folder / "grid.tif"), str(folder / "lonlat.tif")
    define_grid.main(polygon, *paths, box, crs, resolution)
    return paths


def polygon_file(folder, *shapes, crs=4326, name="area.gpkg"):
    path = folder / name
    geopandas.GeoDataFrame(geometry=list(shapes), crs=crs).to_file(path)
    return str(path)


def test_edges_are_multiples_of_the_resolution_around_the_box(tmp_path):
    grid = Grid.of(make(tmp_path)[0])
    t = grid.transform
    right, bottom = t.c + grid.width * t.a, t.f + grid.height * t.e
    assert [edge % 250 for edge in (t.c, t.f, right, bottom)] == [0, 0, 0, 0]
    # The box's own edge, walked in small steps by another transformer call.
    steps = np.linspace(0, 1, 5001)
    west, south, east, north = BOX
    lon = np.concatenate([west + (east - west) * steps] * 2 + [steps * 0 + west, steps * 0 + east])
    lat = south + (north - south) * np.concatenate([steps * 0, steps * 0 + 1, steps, steps])
    x, y = Transformer.from_crs(4326, AEA, always_xy=True).transform(lon, lat)
    assert 0 <= x.min() - t.c < 250
    assert 0 <= right - x.max() < 250
    assert 0 <= y.min() - bottom < 250
    assert 0 <= t.f - y.max() < 250


def test_coordinates_lead_back_to_the_centres(tmp_path):
    grid_file, lonlat_file = make(tmp_path)
    x, y = Grid.of(grid_file).centres()
    again = Transformer.from_crs(4326, AEA, always_xy=True).transform(*lonlat(lonlat_file))
    np.testing.assert_allclose(again, (x, y), atol=1e-6)
    with rasterio.open(lonlat_file) as file:
        assert file.dtypes == ("float64", "float64")


def test_the_edges_of_the_box_belong_to_it():
    lon, lat = np.array([102, 102.7, 102, 102.7]), np.array([33.6, 33.6, 34.1, 34.1])
    assert in_box(lon, lat, [102, 33.6, 102.7, 34.1]).all()
    for name, beyond in (("lon", [101.999, 102.701]), ("lat", [33.599, 34.101])):
        point = {"lon": np.full(2, 102.5), "lat": np.full(2, 34.0)} | {name: np.array(beyond)}
        assert not in_box(point["lon"], point["lat"], [102, 33.6, 102.7, 34.1]).any()


def test_without_polygon_the_box_is_mapped(tmp_path):
    grid_file, lonlat_file = make(tmp_path)
    lon, lat = lonlat(lonlat_file)
    box = (lon >= BOX[0]) & (lon <= BOX[2]) & (lat >= BOX[1]) & (lat <= BOX[3])
    np.testing.assert_array_equal(inside(grid_file), box)
    with rasterio.open(grid_file) as file:
        assert (file.dtypes, file.nodata, file.descriptions) == (("uint8",), 255, ("inside",))


def test_the_polygon_of_the_default_study_decides_by_cell_centres(tmp_path):
    path = str(ROOT / "config" / "simulated_area.geojson")
    grid_file, lonlat_file = make(tmp_path, path)
    shape = geopandas.read_file(path).union_all()
    expected = shapely.intersects_xy(shape, *lonlat(lonlat_file))
    different = inside(grid_file) != expected
    lon, lat = (degrees[different] for degrees in lonlat(lonlat_file))
    # Only centres within a centimetre of the outline may fall on either side.
    assert np.all(shapely.distance(shape.exterior, shapely.points(lon, lat)) < 1e-7)
    assert different.sum() < 5
    assert 0.9 < expected.mean() < 0.99


def test_multipolygons_holes_and_another_crs(tmp_path):
    rings = [(102.1, 33.7), (102.3, 33.7), (102.3, 33.9), (102.1, 33.9)]
    hole = [(102.15, 33.75), (102.2, 33.75), (102.2, 33.8), (102.15, 33.8)]
    shape = shapely.MultiPolygon(
        [(rings, [hole]), (shapely.box(102.5, 33.7, 102.6, 33.8).exterior.coords, [])]
    )
    dense = geopandas.GeoSeries([shape], crs=4326).segmentize(0.001)
    path = polygon_file(tmp_path, dense.to_crs(32648).iloc[0], crs=32648)
    grid_file, lonlat_file = make(tmp_path, path)
    expected = shapely.contains_xy(shape, *lonlat(lonlat_file))
    assert np.count_nonzero(inside(grid_file) != expected) < 5
    for lon, lat, found in ((102.12, 33.72, True), (102.17, 33.77, False), (102.55, 33.75, True)):
        distance = np.hypot(*(a - b for a, b in zip(lonlat(lonlat_file), (lon, lat), strict=True)))
        assert inside(grid_file).ravel()[distance.argmin()] == found


def test_the_area_on_the_ellipsoid_in_any_projection(tmp_path, caplog):
    ring = shapely.segmentize(shapely.box(*BOX), 0.001).exterior.coords
    expected = abs(Geod(ellps="WGS84").geometry_area_perimeter(shapely.Polygon(ring))[0]) / 1e6
    assert area_of_box(BOX) == pytest.approx(expected, rel=1e-5)
    # Mercator true at 30 degrees stretches areas here by 1.09; a row of cells is 0.004 of them.
    for crs in (AEA, "+proj=merc +lat_ts=30 +datum=WGS84 +units=m"):
        caplog.clear()
        with caplog.at_level("INFO", "soil-moisture"):
            make(tmp_path, crs=crs)
        found = float(caplog.messages[-1].split()[2])
        assert found == pytest.approx(expected, rel=4e-3)


def test_the_area_of_a_polygon_where_the_projection_stretches(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr("define_grid.check_true", lambda *_: None)
    # In Mercator the corner in the north is stretched by 2.3, the rest of the box by less.
    box, corner = [100, 20, 101, 50], [100, 49, 100.5, 50]
    path = polygon_file(tmp_path, shapely.box(*corner))
    with caplog.at_level("INFO", "soil-moisture"):
        make(tmp_path, path, box=box, crs="EPSG:3395", resolution=2000)
    assert float(caplog.messages[-1].split()[2]) == pytest.approx(area_of_box(corner), rel=0.02)


def test_area_of_the_published_box():
    assert area_of_box([97.34, 27.96, 104.75, 35.58]) == pytest.approx(593_101, rel=2e-3)


def test_one_row_of_memory_gives_the_same_grid(tmp_path, monkeypatch):
    path = str(ROOT / "config" / "simulated_area.geojson")
    once, _ = make(tmp_path, path)
    (tmp_path / "rows").mkdir()
    blocks = Grid.blocks
    monkeypatch.setattr(Grid, "blocks", lambda grid: blocks(grid, 17))
    again, _ = make(tmp_path / "rows", path)
    np.testing.assert_array_equal(inside(once), inside(again))


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:2263", "+proj=nonsense"])
def test_a_crs_that_is_not_metric_is_refused(crs):
    with pytest.raises(UserError, match=r"grid\.crs: expected a"):
        metric(crs)


def test_a_projection_of_the_wrong_place_is_refused():
    with pytest.raises(UserError, match=r"area\.box: expected a box that grid\.crs"):
        snapped([102, -89, 103, -88], metric("+proj=gnom +lat_0=80 +datum=WGS84"), 250)


def test_a_polygon_outside_the_box_is_refused(tmp_path):
    path = polygon_file(tmp_path, shapely.box(10, 50, 11, 51))
    with pytest.raises(UserError, match=r"area\.gpkg: expected cells of 250 m.*found none"):
        make(tmp_path, path)
    assert not (tmp_path / "grid.tif").exists()


def test_a_box_between_cell_centres_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"area\.box: expected cells of 250 m.*found none"):
        make(tmp_path, box=[102.0, 33.6, 102.0001, 33.6001])


@pytest.mark.parametrize(
    ("shape", "found"), [(shapely.Point(102, 34), "Point"), (shapely.Polygon(), "no geometry")]
)
def test_a_file_without_polygons_is_refused(tmp_path, shape, found):
    path = polygon_file(tmp_path, shape, name="area.geojson")
    with pytest.raises(UserError, match=f"expected polygons, found {found}"):
        make(tmp_path, path)


def test_a_polygon_without_crs_is_refused(tmp_path):
    path = polygon_file(tmp_path, shapely.box(*BOX), crs=None, name="area.shp")
    with pytest.raises(UserError, match="expected a coordinate reference system, found none"):
        make(tmp_path, path)


def test_a_file_that_is_no_vector_file_is_refused(tmp_path):
    (tmp_path / "area.geojson").write_text("{}")
    with pytest.raises(UserError, match=r"area\.geojson: expected a vector file"):
        make(tmp_path, str(tmp_path / "area.geojson"))


def test_the_grid_of_modis_has_the_cells_of_modis(tmp_path):
    """Tile h26v05 begins at column 26 * 4800 of the globe, in the row of 40 N."""
    sinusoidal = "+proj=sinu +lon_0=0 +R=6371007.181 +units=m +no_defs"
    size = 231.65635826395825
    make(tmp_path, box=[102.11, 33.75, 102.40, 33.92], crs=sinusoidal, resolution=231.65635826)
    with rasterio.open(tmp_path / "grid.tif") as source:
        col = (source.transform.c - (26 - 18) * 4800 * size) / size
        row = (4 * 4800 * size - source.transform.f) / size
    assert col == pytest.approx(round(col), abs=0.01) and row == pytest.approx(round(row), abs=0.01)


def test_a_projection_of_another_part_of_the_world_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(UserError, match="grid.crs: .*UTM zone"):
        make(tmp_path, box=[-66.4, -33.92, -66.1, -33.75])
    assert not list(tmp_path.rglob("*.tif"))
