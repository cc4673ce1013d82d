"""Colours for QGIS: a style beside every map, and a project whose time slider walks the months.

A style has the name of its raster, so a double click shows the map in the colours of the figures,
all months on one scale. The project lists the months of soil moisture by paths relative to itself.
"""

import os
from calendar import monthrange
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement, indent, tostring

import numpy as np
import rasterio
from cmcrameri import cm
from matplotlib.colors import to_hex
from pyproj import CRS

from _figures import SCALE, WETNESS
from _log import log, log_to
from _raster import Grid
from _whole import whole

STOPS = 11
VERSION = "3.22"
# Colours and their ends by the folder of the map; dissimilarity is shown to twice the threshold.
MOISTURE = (WETNESS, *SCALE)
HEAD = "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"


def renderer(colours, low: float, high: float, unit: str) -> Element:
    """Return QGIS's pipe that draws the first band from `low` to `high`."""
    pipe = Element("pipe")
    drawn = SubElement(
        pipe,
        "rasterrenderer",
        type="singlebandpseudocolor",
        band="1",
        opacity="1",
        classificationMin=f"{low:g}",
        classificationMax=f"{high:g}",
    )
    ramp = SubElement(
        SubElement(drawn, "rastershader"),
        "colorrampshader",
        colorRampType="INTERPOLATED",
        classificationMode="2",
        clip="0",
        minimumValue=f"{low:g}",
        maximumValue=f"{high:g}",
    )
    for share in np.linspace(0, 1, STOPS):
        value = low + share * (high - low)
        SubElement(
            ramp,
            "item",
            value=f"{value:.4f}",
            color=to_hex(colours(float(share))),
            alpha="255",
            label=f"{value:.2f} {unit}".strip(),
        )
    return pipe


def style(pipe: Element) -> str:
    """Return the text of a .qml file."""
    root = Element("qgis", version=VERSION, styleCategories="Symbology")
    root.append(pipe)
    indent(root)
    return HEAD + tostring(root, encoding="unicode") + "\n"


def ends(month: str) -> tuple[str, str]:
    """Return the first and last second of a month YYYY-MM, or of a day YYYY-MM-DD."""
    year, number, *day = map(int, month.split("-"))
    first, last = (day[0], day[0]) if day else (1, monthrange(year, number)[1])
    return tuple(
        f"{month[:7]}-{day:02d}T{clock}Z"
        for day, clock in ((first, "00:00:00"), (last, "23:59:59"))
    )


def reference(crs) -> Element:
    """Return a CRS as QGIS writes it."""
    known = CRS.from_user_input(crs)
    element = Element("spatialrefsys", nativeFormat="Wkt")
    SubElement(element, "wkt").text = known.to_wkt()
    SubElement(element, "description").text = known.name
    return element


def range_of(parent: Element, name: str, first: str, last: str) -> None:
    span = SubElement(parent, name)
    SubElement(span, "start").text = first
    SubElement(span, "end").text = last


def layer(month: str, path: str, folder: Path, pipe: Element, crs) -> Element:
    """Return the entry of one month, shown while the time slider stands in it."""
    found = Element("maplayer", type="raster", hasScaleBasedVisibilityFlag="0")
    SubElement(found, "id").text = f"moisture_{month}"
    SubElement(found, "datasource").text = "./" + Path(os.path.relpath(path, folder)).as_posix()
    SubElement(found, "layername").text = f"Soil moisture {month}"
    SubElement(found, "srs").append(reference(crs))
    SubElement(found, "provider").text = "gdal"
    span = SubElement(found, "temporal", mode="0", enabled="1", fetchMode="0")
    range_of(span, "fixedRange", *ends(month))
    found.append(pipe)
    return found


def project(title: str, months: list[str], paths: list[str], folder: Path, unit: str) -> str:
    """Return the text of a QGIS project with one layer a month and the time slider set."""
    cells = Grid.of(paths[0])
    root = Element("qgis", projectname=title, version=f"{VERSION}.0")
    SubElement(root, "title").text = title
    SubElement(root, "projectCrs").append(reference(cells.crs))
    tree = SubElement(root, "layer-tree-group")
    layers = SubElement(root, "projectlayers")
    for month, path in zip(months, paths, strict=True):
        SubElement(
            tree,
            "layer-tree-layer",
            id=f"moisture_{month}",
            name=f"Soil moisture {month}",
            checked="Qt::Checked",
            expanded="0",
            providerKey="gdal",
            source="./" + Path(os.path.relpath(path, folder)).as_posix(),
        )
        layers.append(layer(month, path, folder, renderer(*MOISTURE, unit), cells.crs))
    canvas = SubElement(root, "mapcanvas", name="theMapCanvas", annotationsVisible="1")
    SubElement(canvas, "units").text = "meters"
    left, right, bottom, top = cells.extent
    extent = SubElement(canvas, "extent")
    for name, value in (("xmin", left), ("ymin", bottom), ("xmax", right), ("ymax", top)):
        SubElement(extent, name).text = repr(float(value))
    SubElement(canvas, "destinationsrs").append(reference(cells.crs))
    clock = SubElement(
        root,
        "ProjectTimeSettings",
        timeStep="1",
        timeStepUnit="mo",
        frameRate="1",
        cumulativeTemporalRange="0",
    )
    range_of(clock, "TemporalRange", ends(months[0])[0], ends(months[-1])[1])
    properties = SubElement(root, "properties")
    for group, name, kind, value in (
        ("Paths", "Absolute", "bool", "false"),
        ("SpatialRefSys", "ProjectionsEnabled", "int", "1"),
    ):
        SubElement(SubElement(properties, group), name, type=kind).text = value
    indent(root)
    return HEAD + tostring(root, encoding="unicode") + "\n"


def scale_of(path: str) -> tuple:
    """Return colours and ends for a map by its folder."""
    if Path(path).parent.name == "di":
        with rasterio.open(path) as source:
            limit = float(source.tags()["threshold"])
        return cm.lajolla, 0.0, 2 * limit
    return MOISTURE


def save(text: str, path: str) -> None:
    with whole(path) as part:
        part.write_text(text, "utf-8")


def main(maps, monthly, styles, project_file, months, unit, title):
    for path, beside in zip(maps, styles, strict=True):
        index = Path(path).parent.name == "di"
        save(style(renderer(*scale_of(path), "" if index else unit)), beside)
    save(project(title, months, monthly, Path(project_file).parent, unit), project_file)
    log.info("%d styles, a project of %d months", len(styles), len(months))


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        maps=snakemake.input.maps,
        monthly=snakemake.input.monthly,
        styles=snakemake.output.styles,
        project_file=snakemake.output.project,
        months=snakemake.params.months,
        unit=snakemake.params.unit,
        title=snakemake.params.title,
    )
