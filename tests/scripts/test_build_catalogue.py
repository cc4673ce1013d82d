"""The catalogue of the maps: valid STAC, links that survive a move, months that load as a cube."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from pyproj import CRS as Projection
from rasterio.crs import CRS
from rasterio.transform import Affine

import build_catalogue
from _log import UserError
from _raster import Grid, cloud_optimized, read
from build_catalogue import box, footprint, period
from conftest import ROOT

PROJ = "+proj=aea +lat_1=28 +lat_2=36 +lat_0=0 +lon_0=101 +datum=WGS84 +units=m +no_defs"
CELLS = Grid(CRS.from_string(PROJ), Affine(250, 0, 100_000, 0, -250, 3_620_000), 90, 60)
MONTHS = ["2015-12", "2016-02"]
KINDS = ["monthly", "lower", "upper", "di"]
SCHEMAS = ROOT / "tests" / "stac"


@pytest.fixture
def given(tmp_path):
    random, folder, arguments = np.random.default_rng(5), tmp_path / "maps", {}
    for kind in KINDS:
        arguments[kind] = [str(folder / kind / f"{month}.tif") for month in MONTHS]
        for path in arguments[kind]:
            with cloud_optimized(path, CELLS, {"soil_moisture": "m3/m3"}) as target:
                target.write(random.random(CELLS.shape).astype("float32"), 1)
    return arguments | {
        "netcdf": [str(folder / "netcdf" / "soil_moisture_2016.nc")],
        "collection_file": str(folder / "collection.json"),
        "entries": [str(folder / "items" / f"{month}.json") for month in MONTHS],
        "months": MONTHS,
        "title": "Zoige",
        "note": "Simulated data.",
        "commit": "abc",
    }


@pytest.fixture
def judge():
    """A validator that has the schemas of the extensions and asks no network."""
    validation = pytest.importorskip(
        "pystac.validation", reason="requirements-check.txt is not installed"
    )
    found = validation.JsonSchemaSTACValidator()
    for path in SCHEMAS.glob("*/*/schema.json"):
        url = "https://stac-extensions.github.io/" + path.relative_to(SCHEMAS).as_posix()
        found.schema_cache[url] = json.loads(path.read_text())
    return found


def test_the_schemas_of_stac_and_of_the_extensions_hold(given, judge):
    pystac = pytest.importorskip("pystac", reason="requirements-check.txt is not installed")
    build_catalogue.main(**given)
    read_back = pystac.Collection.from_file(given["collection_file"])
    assert read_back.validate(validator=judge)
    items = list(read_back.get_items())
    assert [item.id for item in items] == MONTHS
    for item in items:
        assert set(item.validate(validator=judge)[1:]) == set(build_catalogue.EXTENSIONS)
        assert item.get_collection().id == read_back.id == item.collection_id


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("proj:shape", ["60", "90"]),
        ("proj:code", 32647),
        ("processing:software", ["workflow"]),
    ],
)
def test_the_schemas_refuse_what_is_wrong(given, judge, field, wrong):
    pystac = pytest.importorskip("pystac", reason="requirements-check.txt is not installed")
    build_catalogue.main(**given)
    item = pystac.Item.from_file(given["entries"][0])
    item.properties[field] = wrong
    with pytest.raises(pystac.STACValidationError, match=field):
        item.validate(validator=judge)


def test_the_schemas_refuse_a_wrong_band(given, judge):
    pystac = pytest.importorskip("pystac", reason="requirements-check.txt is not installed")
    build_catalogue.main(**given)
    item = pystac.Item.from_file(given["entries"][0])
    item.assets["lower"].extra_fields["bands"][0]["raster:sampling"] = "middle"
    with pytest.raises(pystac.STACValidationError, match="middle"):
        item.validate(validator=judge)


def test_projection_and_bands_are_as_their_extensions_ask(given):
    build_catalogue.main(**given)
    item = json.loads(Path(given["entries"][0]).read_text())
    said = item["properties"]
    assert said["proj:code"] is None and Projection(said["proj:wkt2"]) == Projection(PROJ)
    assert said["proj:shape"] == [60, 90]
    assert said["proj:transform"][:6] == list(CELLS.transform)[:6]
    assert said["datetime"] is None
    assert isinstance(said["processing:software"], dict)
    for asset in item["assets"].values():
        (band,) = asset["bands"]
        assert band["data_type"] == "float32" and band["nodata"] == "nan"
        assert band["unit"] == "m3/m3" and band["raster:spatial_resolution"] == 250


def test_a_copied_folder_loads_as_a_cube(given, tmp_path):
    pystac = pytest.importorskip("pystac", reason="requirements-check.txt is not installed")
    cube_of = pytest.importorskip("odc.stac", reason="requirements-check.txt is not installed").load
    build_catalogue.main(**given)
    moved = shutil.move(tmp_path / "maps", tmp_path / "elsewhere")
    items = pystac.Collection.from_file(str(moved / "collection.json")).get_items()
    cube = cube_of(items, bands=["soil_moisture", "upper"])
    assert dict(cube.sizes) == {"time": 2, "y": 60, "x": 90}
    for kind, name in (("monthly", "soil_moisture"), ("upper", "upper")):
        for number, month in enumerate(MONTHS):
            stored = read(moved / kind / f"{month}.tif")
            np.testing.assert_array_equal(cube[name][number], stored.astype("float32"))


def test_no_link_leaves_the_folder_or_names_this_machine(given, tmp_path):
    build_catalogue.main(**given)
    for path in [given["collection_file"], *given["entries"]]:
        text = Path(path).read_text()
        assert str(tmp_path) not in text
        for target in re.findall(r'"href": "(.*?)"', text):
            found = (Path(path).parent / target).resolve()
            assert found.is_relative_to(tmp_path / "maps")
            assert found.exists() or found.suffix == ".nc"


def test_the_outline_holds_the_grid_and_turns_left():
    outline = np.array(footprint(CELLS)["coordinates"][0])
    assert (outline[0] == outline[-1]).all()
    x, y = outline.T
    assert np.sum(x[:-1] * y[1:] - x[1:] * y[:-1]) > 0
    west, south, east, north = box(CELLS)
    assert np.allclose([x.min(), y.min(), x.max(), y.max()], [west, south, east, north], atol=1e-4)


def test_a_month_ends_with_its_last_second():
    assert period("2016-02") == ("2016-02-01T00:00:00Z", "2016-02-29T23:59:59Z")


def test_maps_of_other_cells_are_refused(given):
    other = Grid(CELLS.crs, CELLS.transform, 90, 59)
    with cloud_optimized(given["di"][1], other, {"DI": "1"}) as target:
        target.write(np.ones(other.shape, "float32"), 1)
    with pytest.raises(UserError, match=r"di/2016-02\.tif: expected the cells of"):
        build_catalogue.main(**given)
