"""Styles and project for QGIS: the colours of the figures, paths that survive a move."""

import os
import xml.etree.ElementTree as xml
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_hex
from rasterio.crs import CRS
from rasterio.transform import Affine

import style_maps
from _figures import SCALE, WETNESS
from _raster import Grid, write
from style_maps import ends

CELLS = Grid(CRS.from_epsg(32647), Affine(250, 0, 100_000, 0, -250, 3_620_000), 9, 6)
MONTHS = ["2015-12", "2016-02"]


@pytest.fixture
def given(tmp_path):
    maps = [tmp_path / kind / f"{month}.tif" for kind in ("monthly", "di") for month in MONTHS]
    for path in maps:
        layers = {"x": np.ones(CELLS.shape)}
        write(path, CELLS, layers, {"x": "1"}, threshold="0.4")
    return {
        "maps": [str(path) for path in maps],
        "monthly": [str(path) for path in maps[:2]],
        "styles": [str(path.with_suffix(".qml")) for path in maps],
        "project_file": str(tmp_path / "maps.qgs"),
        "months": MONTHS,
        "unit": "m3/m3",
        "title": 'A & b <"c">',
    }


def ramp_of(path):
    return xml.parse(path).getroot().find("pipe/rasterrenderer/rastershader/colorrampshader")


def test_a_style_has_the_colours_and_the_scale_of_the_figures(given):
    style_maps.main(**given)
    ramp = ramp_of(given["styles"][0])
    items = ramp.findall("item")
    assert [float(items[k].get("value")) for k in (0, -1)] == list(SCALE)
    assert [items[k].get("color") for k in (0, -1)] == [to_hex(WETNESS(v)) for v in (0.0, 1.0)]
    assert items[0].get("label") == f"{SCALE[0]:.2f} m3/m3"
    values = [float(item.get("value")) for item in items]
    assert values == sorted(values)


def test_dissimilarity_is_shown_to_twice_its_threshold(given):
    style_maps.main(**given)
    assert float(ramp_of(given["styles"][2]).get("maximumValue")) == 0.8


def test_the_project_walks_the_months(given, tmp_path):
    style_maps.main(**given)
    root = xml.parse(given["project_file"]).getroot()
    assert root.findtext("title") == given["title"]
    layers = root.findall("projectlayers/maplayer")
    assert len(layers) == len(root.findall("layer-tree-group/layer-tree-layer")) == 2
    for layer, month, path in zip(layers, MONTHS, given["monthly"], strict=True):
        source = layer.findtext("datasource")
        assert os.path.samefile(tmp_path / source, path) and source.startswith("./")
        span = layer.find("temporal/fixedRange")
        assert (span.findtext("start"), span.findtext("end")) == ends(month)
        assert layer.find("temporal").get("enabled") == "1"
    clock = root.find("ProjectTimeSettings")
    assert clock.findtext("TemporalRange/start") == "2015-12-01T00:00:00Z"
    assert clock.findtext("TemporalRange/end") == "2016-02-29T23:59:59Z"
    assert str(tmp_path) not in Path(given["project_file"]).read_text()


def test_a_day_of_a_table_study_is_a_day():
    assert ends("2012-03-25") == ("2012-03-25T00:00:00Z", "2012-03-25T23:59:59Z")


QGIS = """
import sys
from qgis.core import QgsApplication, QgsProject, QgsRasterLayer
QgsApplication.setPrefixPath("/usr", True)
app = QgsApplication([], False)
app.initQgis()
project = QgsProject.instance()
assert project.read(sys.argv[1]) and project.crs().isValid()
for layer in project.mapLayers().values():
    assert layer.isValid() and layer.temporalProperties().isActive()
    shader = layer.renderer().shader().rasterShaderFunction()
    assert (shader.minimumValue(), shader.maximumValue()) == (0.15, 0.66)
assert len(project.mapLayers()) == 2
alone = QgsRasterLayer(sys.argv[2], "alone")
assert alone.renderer().type() == "singlebandpseudocolor"
print("qgis agrees")
"""


def test_qgis_itself_reads_them(given):
    """Where Debian's python3-qgis is installed; it is no package of Python's index."""
    import subprocess

    quiet = {"QT_QPA_PLATFORM": "offscreen", "PATH": "/usr/bin:/bin", "HOME": os.environ["HOME"]}
    there = subprocess.run(
        ["/usr/bin/python3", "-c", "import qgis.core"], env=quiet, capture_output=True, check=False
    )
    if there.returncode:
        pytest.skip("QGIS is not here: apt install python3-qgis")
    style_maps.main(**given)
    ended = subprocess.run(
        ["/usr/bin/python3", "-c", QGIS, given["project_file"], given["maps"][2]],
        env=quiet,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "qgis agrees" in ended.stdout, ended.stderr[-2000:]
