"""The predictors by name: those of eq. 3 as in Table A1, those beyond the paper, their units.

Northness and eastness are sin(slope) times the cosine and the sine of the aspect: components of a
slope that can be averaged, 0 on flat ground, where an angle is noise (U10b). TPI1500 is the
topographic position index with a radius of 1500 m (Weiss 2001): the height above the mean around.
"""

import re

# The 13 of the paper in the order of eq. 3.
PAPER = (
    "NDVI", "LST", "ET", "albedo", "AWC", "sand", "silt", "clay", "DEM", "slope", "aspect", "pre",
    "SMC",
)  # fmt: skip
UNITS = {
    "NDVI": "1",
    "LST": "degC",
    "ET": "mm/day",
    "albedo": "1",
    "AWC": "%",
    "sand": "%",
    "silt": "%",
    "clay": "%",
    "DEM": "m",
    "slope": "degree",
    "aspect": "degree",
    "northness": "1",
    "eastness": "1",
    "pre": "mm/month",
    "SMC": "m3/m3",
    "ERA5Land": "m3/m3",
}
# Folder below results/interim of each predictor that changes from month to month.
DYNAMIC = {
    "NDVI": "ndvi",
    "LST": "lst",
    "ET": "et",
    "albedo": "albedo",
    "pre": "pre",
    "SMC": "smc",
    "ERA5Land": "era5land_grid",
}
# Bands of results/interim/static.tif, in order.
STATIC = (
    "sand", "silt", "clay", "AWC", "DEM", "slope", "aspect", "northness", "eastness",
)  # fmt: skip


def radius(name: str) -> int | None:
    """Return the radius (m) in the name of a topographic position index, None for the others."""
    found = re.fullmatch(r"TPI(\d+)", name)
    return int(found[1]) if found else None
