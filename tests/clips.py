"""Clips for tests, written as AppEEARS writes them (seen in its files of 2017 and in its docs)."""

from datetime import date
from pathlib import Path

import h5netcdf
import numpy as np

from granules import ET, ET_QC, LST, MANDATORY, NDVI, PRODUCTS, QC_DAY, RELIABILITY, VI, WSA

TILE = 2 * np.pi * 6371007.181 / 36
# layer of a granule: name in a clip, type there, fill, scale_factor
LAYERS = {
    NDVI: ("_250m_16_days_NDVI", "int16", -3000, np.float32(0.0001)),
    RELIABILITY: ("_250m_16_days_pixel_reliability", "int8", -1, None),
    VI: ("_250m_16_days_VI_Quality", "int32", 65535, None),
    LST: ("LST_Day_1km", "int32", 0, 0.02),
    QC_DAY: ("QC_Day", "int16", 0, None),
    ET: ("ET_500m", "int16", 32767, 0.1),
    ET_QC: ("ET_QC_500m", "int16", 255, None),
    WSA: ("Albedo_WSA_shortwave", "int16", 32767, 0.001),
    MANDATORY: ("BRDF_Albedo_Band_Mandatory_Quality_shortwave", "int16", 255, None),
}


def make_clip(
    path,
    product,
    days,
    layers,
    row,
    col,
    mapping="sinusoidal",
    title=None,
    moved=0.0,
    scale=None,
    fill=None,
    dtype=None,
    units="days since 2000-01-01 00:00:00",
    calendar="julian",
):
    """Write a clip and return its path.

    `layers` maps the granules' names to arrays (days, rows, columns); `row` and `col` are the
    first pixel, counted in the product's pixels from the upper left of the grid. The keywords
    make faulty files.
    """
    cells = PRODUCTS[product][1]
    size = TILE * cells / 4800
    _, height, width = next(iter(layers.values())).shape
    ydim = 9 * TILE - (row + 0.5 + np.arange(height)) * size + moved
    xdim = (col + 0.5 + np.arange(width)) * size - 18 * TILE + moved
    time = [(date.fromisoformat(day) - date(2000, 1, 1)).days for day in days]
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with h5netcdf.File(path, "w") as file:
        file.attrs["title"] = title or f"{product}.061 for aid0001"
        file.attrs["Conventions"] = "CF-1.6"
        file.attrs["source"] = "AppEEARS v3.60"
        file.dimensions = {"time": len(days), "ydim": height, "xdim": width}
        file.create_variable("crs", (), dtype="int8").attrs["grid_mapping_name"] = mapping
        axis = file.create_variable("time", ("time",), data=np.array(time, "int32"))
        axis.attrs.update({"units": units, "calendar": calendar, "axis": "T"})
        for name, values in (("ydim", ydim), ("xdim", xdim)):
            file.create_variable(name, (name,), data=values).attrs["units"] = "m"
        for name, values in layers.items():
            there, kind, gap, factor = LAYERS[name]
            kind, gap = dtype or kind, gap if fill is None else fill
            field = file.create_variable(
                there,
                ("time", "ydim", "xdim"),
                data=np.asarray(values).astype(kind),
                fillvalue=np.array(gap).astype(kind),
                compression="gzip",
                compression_opts=1,
            )
            field.attrs["grid_mapping"] = "crs"
            if factor is not None:
                field.attrs["scale_factor"] = np.array([scale or factor])
                field.attrs["add_offset"] = np.array([0.0])
    return str(path)
