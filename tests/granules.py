"""Granules for tests, on the native grid and with what the producers' files say of themselves."""

from datetime import date, timedelta
from pathlib import Path

import numpy as np

from _hdfeos import TILE, Layer, write_granule

NDVI, RELIABILITY, VI = (
    f"250m 16 days {name}" for name in ("NDVI", "pixel reliability", "VI Quality")
)
LST, QC_DAY = "LST_Day_1km", "QC_Day"
ET, ET_QC = "ET_500m", "ET_QC_500m"
WSA, MANDATORY = "Albedo_WSA_shortwave", "BRDF_Albedo_Band_Mandatory_Quality_shortwave"

# product: grid, 250 m cells in a pixel's edge, days, days from the first one to the name's date
PRODUCTS = {
    "MOD13Q1": ("MODIS_Grid_16DAY_250m_500m_VI", 1, 16, 0),
    "MOD11A2": ("MODIS_Grid_8Day_1km_LST", 4, 8, 0),
    "MOD16A2GF": ("MOD_Grid_MOD16A2", 2, 8, 0),
    "MCD43A3": ("MOD_Grid_BRDF", 2, 16, 8),
}
# layer: type, scale_factor as the producer stores it
LAYERS = {
    NDVI: ("int16", 10000.0),
    RELIABILITY: ("int8", None),
    VI: ("uint16", None),
    LST: ("uint16", 0.02),
    QC_DAY: ("uint8", None),
    ET: ("int16", 0.1),
    ET_QC: ("uint8", None),
    WSA: ("int16", 0.001),
    MANDATORY: ("uint8", None),
}


def corners(tile, cells, row, col, height, width):
    """Outer corners (m) of a cut of a tile that begins at a pixel of `cells` x 250 m."""
    h, v, size = int(tile[1:3]), int(tile[4:6]), TILE * cells / 4800
    left, top = (h - 18) * TILE + col * size, (9 - v) * TILE - row * size
    return left, top, left + width * size, top - height * size


def make_granule(
    root, product, day, tile, layers, row=0, col=0, days=None, scale=None, named=None, moved=(0, 0)
):
    """Write {root}/{product}/{day}/{tile}.hdf and return its path.

    `layers` maps names to whole-number arrays; the keywords make faulty files: another period,
    scale attribute, delivered name, or corners moved by metres.
    """
    grid, cells, usual, lead = PRODUCTS[product]
    first = date.fromisoformat(day) - timedelta(lead)
    last = first + timedelta((days or usual) - 1)
    stamp = date.fromisoformat(day).strftime("A%Y%j")
    path = Path(root) / product / day / f"{tile}.hdf"
    path.parent.mkdir(parents=True, exist_ok=True)
    fields = {
        name: Layer(
            np.asarray(values).astype(LAYERS[name][0]),
            long_name=name,
            units="none",
            valid_range=(0, 100),
            scale=(scale or LAYERS[name][1]) if LAYERS[name][1] else None,
        )
        for name, values in layers.items()
    }
    shape = next(iter(fields.values())).values.shape
    left, top, right, bottom = corners(tile, cells, row, col, *shape)
    east, north = moved
    write_granule(
        str(path),
        grid,
        (left + east, top + north, right + east, bottom + north),
        fields,
        {
            "LOCALGRANULEID": named or f"{product}.{stamp}.{tile}.061.2021068095141.hdf",
            "RANGEBEGINNINGDATE": first.isoformat(),
            "RANGEENDINGDATE": last.isoformat(),
        },
        deflate=1,
    )
    return str(path)
