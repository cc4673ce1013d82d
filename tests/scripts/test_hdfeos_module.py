"""Granules that the simulator writes look to others like NASA's."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from pyhdf.SD import SD, SDC

from _hdfeos import TILE, Layer, core_metadata, corners_of_tile, struct_metadata, write_granule
from conftest import SHARED

GRID = "MODIS_Grid_16DAY_250m_500m_VI"
NDVI = "250m 16 days NDVI"
PIXEL = 231.656358


def written(path):
    left, top, *_ = corners_of_tile("h26v05")
    corners = (left + 40 * PIXEL, top - 80 * PIXEL, left + 46 * PIXEL, top - 84 * PIXEL)
    ndvi = np.arange(24, dtype="int16").reshape(4, 6) * 100 - 3000
    rank = np.full((4, 6), -1, dtype="int8")
    layers = {
        NDVI: Layer(ndvi, NDVI, "NDVI", (-2000, 10000), -3000, 10000.0),
        "250m 16 days pixel reliability": Layer(rank, "rank", "rank", (0, 3), -1),
        "250m 16 days VI Quality": Layer(ndvi.astype("uint16"), "bits", "bit field", (0, 65534)),
    }
    facts = {"RANGEBEGINNINGDATE": "2012-04-22", "HORIZONTALTILENUMBER": 26}
    write_granule(path, GRID, corners, layers, facts, identifier_product_doi="10.5067/X")
    return corners, layers


def test_tile_corners_are_those_of_a_real_granule():
    # StructMetadata of MOD13Q1.A2007177.h26v05.061, which is rounded by up to 2 mm.
    expected = (8895604.157333, 4447802.078667, 10007554.677, 3335851.559)
    assert corners_of_tile("h26v05") == pytest.approx(expected, abs=0.003)
    assert pytest.approx(1111950.5197665) == TILE


def test_integers_and_attributes_come_back(tmp_path):
    path = str(tmp_path / "granule.hdf")
    _, layers = written(path)
    file = SD(path, SDC.READ)
    for name, layer in layers.items():
        field = file.select(name)
        assert field.get().dtype == layer.values.dtype
        assert (field.get() == layer.values).all()
        assert field.getcompress() == (SDC.COMP_DEFLATE, 9)
    attributes = file.select(NDVI).attributes()
    assert attributes["scale_factor"] == 10000.0
    assert attributes["_FillValue"] == -3000
    assert attributes["valid_range"] == [-2000, 10000]
    assert file.select("250m 16 days pixel reliability").attributes()["_FillValue"] == -1
    assert "scale_factor" not in file.select("250m 16 days VI Quality").attributes()
    assert list(file.select(NDVI).dimensions()) == [f"YDim:{GRID}", f"XDim:{GRID}"]
    assert len(file.attributes(full=1)["StructMetadata.0"][0]) == 32000
    assert Path(path).read_bytes()[:4] == b"\x0e\x03\x13\x01"


def test_same_content_same_bytes_wherever_it_lies(tmp_path):
    for folder in ("here", "there"):
        (tmp_path / folder).mkdir()
        written(str(tmp_path / folder / "a.hdf"))
    here, there = (tmp_path / folder / "a.hdf" for folder in ("here", "there"))
    assert here.read_bytes() == there.read_bytes()


def test_gdal_sees_the_grid_where_we_put_it(tmp_path):
    if shutil.which("gdalinfo") is None:
        pytest.skip("gdalinfo is not installed: no second reader of HDF-EOS grids")
    path = str(tmp_path / "granule.hdf")
    (left, top, right, _), _ = written(path)
    dataset = f'HDF4_EOS:EOS_GRID:"{path}":{GRID}:{NDVI}'
    run = subprocess.run(["gdalinfo", "-json", dataset], capture_output=True, text=True)
    if "HDF4" in run.stderr and "not recognized" in run.stderr:
        pytest.skip("this gdalinfo was built without HDF4")
    seen = json.loads(run.stdout)
    assert seen["size"] == [6, 4]
    step = (right - left) / 6
    assert seen["geoTransform"] == pytest.approx([left, step, 0, top, 0, -step], abs=1e-4)
    assert seen["bands"][0]["noDataValue"] == -3000
    assert "Sinusoidal" in seen["coordinateSystem"]["wkt"]


def test_text_has_the_lines_of_a_real_granule():
    found = sorted((SHARED / "modis").glob("MOD13A2.*.hdf"))
    if not found:
        pytest.skip(f"real files are not here: {SHARED / 'modis'}")
    file = SD(str(found[0]), SDC.READ)
    layers = {
        name: Layer(file.select(name).get(), name, "", (0, 1))
        for name in (
            "1 km 16 days NDVI",
            "1 km 16 days VI Quality",
            "1 km 16 days pixel reliability",
        )
    }
    corners = (670117.907295, 5608858.446491, 873048.877134, 5437432.741376)
    ours = struct_metadata("MODIS_Grid_16DAY_1km_VI", corners, layers).splitlines()
    real = file.attributes()["StructMetadata.0"].rstrip("\0").splitlines()
    assert ours == [line for line in real if "GridOrigin" not in line]


def test_inventory_quotes_text_and_not_numbers():
    text = core_metadata({"LOCALGRANULEID": "a.hdf", "VERTICALTILENUMBER": 5})
    assert (
        '= LOCALGRANULEID\n    NUM_VAL              = 1\n    VALUE                = "a.hdf"' in text
    )
    assert "VALUE                = 5\n" in text
