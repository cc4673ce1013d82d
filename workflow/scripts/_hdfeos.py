"""HDF-EOS2 grid files as NASA's producers write them: what the simulator and the tests make.

The text metadata and the groups follow real Collection 6.1 granules, so that a reader of
integers (pyhdf) and a reader of grids (GDAL with its HDF4 driver) both see the usual thing.
"""

from __future__ import annotations

from contextlib import chdir
from dataclasses import dataclass
from math import pi
from pathlib import Path

import numpy as np
import pyhdf.V
import pyhdf.VS  # noqa: F401  without it and pyhdf.V a file has no vgstart()
from pyhdf.HDF import HC, HDF
from pyhdf.SD import SD, SDC

TILE = 2 * pi * 6371007.181 / 36  # edge of a tile of the sinusoidal grid (m)
TYPES = {
    "int8": (SDC.INT8, "DFNT_INT8"),
    "uint8": (SDC.UINT8, "DFNT_UINT8"),
    "int16": (SDC.INT16, "DFNT_INT16"),
    "uint16": (SDC.UINT16, "DFNT_UINT16"),
}


@dataclass(frozen=True)
class Layer:
    """One data field: stored integers, and the attributes that say how to read them.

    `scale` is the attribute scale_factor as the producer writes it; whether it multiplies or
    divides (MOD13: 10000.0 divides) is the reader's business.
    """

    values: np.ndarray
    long_name: str
    units: str
    valid_range: tuple[int, int]
    fill: int | None = None
    scale: float | None = None


def corners_of_tile(tile: str) -> tuple[float, float, float, float]:
    """Return left, top, right, bottom (sinusoidal metres) of a tile named like h26v05."""
    h, v = int(tile[1:3]), int(tile[4:6])
    return (h - 18) * TILE, (9 - v) * TILE, (h - 17) * TILE, (8 - v) * TILE


def struct_metadata(grid: str, corners, layers: dict[str, Layer]) -> str:
    """Return the ODL text that gives a grid's place: outer corners of its corner pixels."""
    left, top, right, bottom = corners
    height, width = next(iter(layers.values())).values.shape
    lines = [
        "GROUP=SwathStructure",
        "END_GROUP=SwathStructure",
        "GROUP=GridStructure",
        "\tGROUP=GRID_1",
        f'\t\tGridName="{grid}"',
        f"\t\tXDim={width}",
        f"\t\tYDim={height}",
        f"\t\tUpperLeftPointMtrs=({left:.6f},{top:.6f})",
        f"\t\tLowerRightMtrs=({right:.6f},{bottom:.6f})",
        "\t\tProjection=GCTP_SNSOID",
        "\t\tProjParams=(6371007.181000,0,0,0,0,0,0,0,0,0,0,0,0)",
        "\t\tSphereCode=-1",
        "\t\tGROUP=Dimension",
        "\t\tEND_GROUP=Dimension",
        "\t\tGROUP=DataField",
    ]
    for number, (name, layer) in enumerate(layers.items(), 1):
        lines += [
            f"\t\t\tOBJECT=DataField_{number}",
            f'\t\t\t\tDataFieldName="{name}"',
            f"\t\t\t\tDataType={TYPES[layer.values.dtype.name][1]}",
            '\t\t\t\tDimList=("YDim","XDim")',
            f"\t\t\tEND_OBJECT=DataField_{number}",
        ]
    lines += [
        "\t\tEND_GROUP=DataField",
        "\t\tGROUP=MergedFields",
        "\t\tEND_GROUP=MergedFields",
        "\tEND_GROUP=GRID_1",
        "END_GROUP=GridStructure",
        "GROUP=PointStructure",
        "END_GROUP=PointStructure",
        "END",
        "",
    ]
    return "\n".join(lines)


def core_metadata(facts: dict[str, str | int]) -> str:
    """Return the ODL text of the inventory: one object for each of `facts`."""
    lines = [
        "",
        "GROUP                  = INVENTORYMETADATA",
        "  GROUPTYPE            = MASTERGROUP",
    ]
    for name, value in facts.items():
        lines += [
            "",
            f"  OBJECT                 = {name}",
            "    NUM_VAL              = 1",
            "    VALUE                = "
            + (f'"{value}"' if isinstance(value, str) else f"{value}"),
            f"  END_OBJECT             = {name}",
        ]
    return "\n".join([*lines, "", "END_GROUP              = INVENTORYMETADATA", "", "END", ""])


def write_granule(
    path: str,
    grid: str,
    corners: tuple[float, float, float, float],
    layers: dict[str, Layer],
    facts: dict[str, str | int],
    deflate: int = 9,
    **attributes: str,
) -> None:
    """Write one granule: `layers` by field name, all of one shape, on `grid` at `corners`.

    `corners` are left, top, right, bottom in sinusoidal metres; `facts` is the inventory
    (RANGEBEGINNINGDATE, LOCALGRANULEID, ...); `attributes` are further global attributes.
    """
    texts = {
        "HDFEOSVersion": "HDFEOS_V2.19",
        "StructMetadata.0": struct_metadata(grid, corners, layers).ljust(32000, "\0"),
        "CoreMetadata.0": core_metadata(facts),
        **attributes,
    }
    # HDF4 stores the name under which a file was opened: a path would end up in the bytes.
    with chdir(Path(path).parent):
        name = Path(path).name
        file = SD(name, SDC.WRITE | SDC.CREATE | SDC.TRUNC)
        references = [_write_layer(file, grid, *item, deflate) for item in layers.items()]
        for attribute, text in texts.items():
            file.attr(attribute).set(SDC.CHAR, text)
        file.end()
        _group(name, grid, references)


def _write_layer(file: SD, grid: str, name: str, layer: Layer, deflate: int) -> int:
    kind = TYPES[layer.values.dtype.name][0]
    field = file.create(name, kind, layer.values.shape)
    field.dim(0).setname(f"YDim:{grid}")
    field.dim(1).setname(f"XDim:{grid}")
    field.setcompress(SDC.COMP_DEFLATE, deflate)
    field.attr("long_name").set(SDC.CHAR, layer.long_name)
    field.attr("units").set(SDC.CHAR, layer.units)
    field.attr("valid_range").set(kind, list(layer.valid_range))
    if layer.fill is not None:
        field.attr("_FillValue").set(kind, layer.fill)
    if layer.scale is not None:
        field.setcal(layer.scale, 0.0, 0.0, 0.0, SDC.INT16)
    field[:] = layer.values
    reference = field.ref()
    field.endaccess()
    return reference


def _group(path: str, grid: str, references: list[int]) -> None:
    """Gather the fields in the groups by which GDAL knows an HDF-EOS grid from plain arrays."""
    file = HDF(path, HC.WRITE)
    groups = file.vgstart()
    top, fields, attributes = (
        groups.create(name) for name in (grid, "Data Fields", "Grid Attributes")
    )
    top._class = "GRID"
    fields._class = attributes._class = "GRID Vgroup"
    for reference in references:
        fields.add(HC.DFTAG_NDG, reference)
    top.insert(fields)
    top.insert(attributes)
    for group in (top, fields, attributes):
        group.detach()
    groups.end()
    file.close()
