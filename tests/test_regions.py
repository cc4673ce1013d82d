"""Places where the authors never were, each a short config, from the archive to the page.

make test-regions     minutes
"""

import json
import re

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
import xarray as xr
import yaml
from pyproj import Geod
from rasterio.crs import CRS
from rasterio.transform import Affine
from shapely.geometry import MultiPolygon, Point, box
from shapely.geometry.polygon import orient

import _world
from _raster import Grid, read, write
from conftest import ROOT, Study, build

pytestmark = pytest.mark.regions
REGIONS = ROOT / "tests" / "regions"
# What a study of the tests has beside the place: small samples and a small forest.
SMALL = yaml.safe_load((ROOT / "config" / "tiny.yaml").read_text())
DEFAULT = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
TILES = {
    "mediterranean": "h17v04, h17v05",
    "south": "h29v12",
    "seam": "h25v05, h25v06, h26v05, h26v06",
    "north": "h24v02",
    "own_layers": "h26v05",
    "modis_grid": "h26v05",
    "stations_only": "h17v04",
    "product_only": "h26v05",
}


def stations(area, count, seed, spread) -> list[tuple[float, float]]:
    """Return positions in the middle of a box, `spread` as a share of its size."""
    west, south, east, north = area
    random = np.random.default_rng(seed)
    lon = (west + east) / 2 + (east - west) * random.uniform(-spread, spread, count)
    lat = (south + north) / 2 + (north - south) * random.uniform(-spread, spread, count)
    return list(zip(lon.round(5), lat.round(5), strict=True))


def written(path, name, area) -> None:
    """Write a raster a month in degrees, as a user might bring it."""
    cells = Grid(
        CRS.from_epsg(4326), Affine(0.01, 0, area[0] - 0.05, 0, -0.01, area[3] + 0.05), 45, 32
    )
    for month in ("2015-07", "2015-08", "2016-07", "2016-08"):
        layer = np.random.default_rng(int(month[-1])).normal(-12, 2, cells.shape)
        write(str(path).replace("{month}", month), cells, {name: layer}, {name: "dB"})


@pytest.fixture(scope="module", params=sorted(path.stem for path in REGIONS.glob("*.yaml")))
def place(request, tmp_path_factory):
    """A study of the place, run from end to end."""
    name = request.param
    study = Study(tmp_path_factory.mktemp(name) / "study")
    given = (REGIONS / f"{name}.yaml").read_text()
    assert len(given.splitlines()) < 30
    config = yaml.safe_load(given)
    study.run.mkdir(parents=True)
    area = config["area"]["box"]
    alone = config.get("sources", {}).get("smci") == "none"
    places = stations(area, *((60, 1, 0.45) if alone else (12, 1, 0.2)))
    sites = [f"P{n:02d},{lat},{lon}" for n, (lon, lat) in enumerate(places)]
    gauges = [
        f"{90000000000 + n},G{n},{lat},{lon}"
        for n, (lon, lat) in enumerate(stations(area, 9, 2, 0.45))
    ]
    (study.run / "sites.csv").write_text("\n".join(["site,lat,lon", *sites, ""]))
    (study.run / "gauges.csv").write_text("\n".join(["station,name,lat,lon", *gauges, ""]))
    if config["area"]["polygon"]:
        west, south, east, north = area
        ground = box(west + 0.02, south + 0.02, east - 0.12, north - 0.02)
        hole = Point((west + east) / 2 - 0.05, (south + north) / 2 - 0.05).buffer(0.015)
        islands = MultiPolygon([ground - hole, box(east - 0.1, south, east, north)])
        outline = gpd.GeoSeries([islands], crs=4326).to_crs(config["grid"]["crs"])
        outline.to_file(study.run / config["area"]["polygon"])
    for added, layer in config.get("layers", {}).items():
        written(study.run / layer["path"], added, area)
    own = {"rain": {"gauges": "gauges.csv"}, "insitu": {"sites": "sites.csv"}}
    small = {key: SMALL[key] for key in ("samples", "model")}
    (study.run / "study.yaml").write_text(yaml.safe_dump(small | config | own))
    build(study, config="../run/study.yaml")
    return name, DEFAULT | config, study


def test_the_tiles_follow_from_the_area(place):
    name, _, study = place
    said = study.path("logs/index_modis.log").read_text()
    assert re.search(r"cells lie in tiles (.*)", said)[1] == TILES[name]


def test_areas_are_those_of_the_ground(place):
    _, config, study = place
    with rasterio.open(study.path("results/interim/grid.tif")) as source:
        covered = (source.read(1) == 1).sum() * abs(source.transform.a * source.transform.e)
    shape = box(*config["area"]["box"])
    if config["area"]["polygon"]:
        outline = gpd.read_file(study.path(config["area"]["polygon"])).to_crs(4326)
        shape = MultiPolygon([orient(part) for part in outline.geometry.iloc[0].geoms])
    # Edges along parallels are curves; a hundred points each follow them.
    shape = shape.segmentize(0.002)
    ground = abs(Geod(ellps="WGS84").geometry_area_perimeter(shape)[0])
    assert covered == pytest.approx(ground, rel=0.01)


def test_every_month_has_a_map_that_knows_the_truth_better_than_chance(place):
    _, config, study = place
    maps = sorted(study.path("results/maps/monthly").glob("*.tif"))
    assert len(maps) == len(config["years"]) * len(config["months"])
    with rasterio.open(study.path("results/interim/grid.tif")) as source:
        inside = source.read(1) == 1
    for path in maps:
        with rasterio.open(path) as source:
            there = np.isfinite(source.read(1))
        assert not there[~inside].any()
        assert there[inside].mean() > 0.7, path
    score = pd.read_csv(study.path("results/score/score.csv"))
    found = score.query("product == 'map' and metric == 'R' and period == 'test'")["value"].iloc[0]
    assert found > 0.3


def test_composites_lie_where_their_pixels_are(place):
    """A tile, a row or a column taken for another would show: another shift would fit better."""
    _, config, study = place
    month = config["months"][-1]
    world = _world.build(config["area"]["box"], config["simulation"]["seed"], 0.0)
    with rasterio.open(study.path("results/interim/lonlat.tif")) as source:
        row, col = (np.floor(v).astype(int) for v in world.rows_cols(*source.read()))
    row, col = (np.clip(v, 0, n - 1) for v, n in zip((row, col), world.shape, strict=True))
    true = world.month(2016, month)["lst"][row, col]
    with rasterio.open(study.path(f"results/interim/lst/2016-{month:02d}.tif")) as source:
        found = source.read(1)
    there = np.isfinite(found)
    shifts = {(0, 0), (3, 0), (-3, 0), (0, 3), (0, -3)}
    fit = {s: np.corrcoef(found[there], np.roll(true, s, (0, 1))[there])[0, 1] for s in shifts}
    assert max(fit, key=fit.get) == (0, 0) and fit[0, 0] > 0.7, fit


def test_the_year_turns_without_a_gap(place):
    """A winter month counts the composites that began in the year before."""
    name, config, study = place
    if 1 not in config["months"] or 12 not in config["months"]:
        pytest.skip("no month on either side of New Year")
    log = study.path("logs/composite_modis/lst/2016.log").read_text()
    assert "2015-12-27" in log or "2016-01-01" in log
    winter = [f"results/maps/monthly/{m}.tif" for m in ("2015-11", "2015-12", "2016-01", "2016-02")]
    layers = [read(study.path(path)) for path in winter]
    annual = sorted(path.name for path in study.path("results/maps/annual").glob("*.tif"))
    assert annual == ["2016.tif"], "the winter of 2015 began before the study, that of 2017 after"
    mean = read(study.path("results/maps/annual/2016.tif"))
    full = np.isfinite(layers).all(axis=0)
    assert full.any()
    np.testing.assert_allclose(mean[full], np.mean(layers, axis=0)[full], rtol=1e-6)
    assert study.path("results/report/fig09_interannual.png").exists()


def test_a_layer_of_the_user_reaches_forest_and_provenance(place):
    name, config, study = place
    if "layers" not in config:
        pytest.skip("no layer of its own")
    ranked = pd.read_csv(study.path("results/model/importance.csv"))
    names = set(ranked["predictor"])
    assert "radar" in names and "albedo" not in names
    inputs = json.loads(study.path("results/report/provenance.json").read_text())["inputs"]
    assert {row["path"] for row in inputs} > {
        f"radar/{month}.tif" for month in ("2015-07", "2016-08")
    }


def test_a_source_that_a_study_does_without_is_nowhere(place):
    _, config, study = place
    absent = [name for name, value in config.get("sources", {}).items() if value == "none"]
    if not absent:
        pytest.skip("all sources are there")
    lock = study.path("results/report/inputs.lock").read_text()
    assert lock and not any(f"resources/raw/{name}/" in lock for name in absent)
    learned = set(pd.read_parquet(study.path("results/features/samples.parquet"))["source"])
    assert learned == {"insitu", "smci"} - set(absent)
    page = study.path("results/report/index.html").read_text()
    assert "This run states" in page or "insitu" in absent


def test_maps_are_of_the_depth_that_is_asked_for(place):
    _, config, study = place
    if "products" not in config:
        pytest.skip("the usual depth")
    depth = config["products"]["depth"]
    with xr.open_dataset(study.path("results/maps/netcdf/soil_moisture_2016.nc")) as maps:
        np.testing.assert_allclose(maps["depth_bnds"].values, [depth])
    if "smci" in config:
        layer = f"SMCI_1km_2016_{config['smci']['depth']}cm/"
        assert layer in study.path("results/report/inputs.lock").read_text()
