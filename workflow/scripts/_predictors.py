"""The 13 predictors of eq. 3, in its order, with the names of Table A1 and their units."""

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
    "pre": "mm/month",
    "SMC": "m3/m3",
}
PREDICTORS = tuple(UNITS)
# Folder below results/interim of each predictor that changes from month to month.
DYNAMIC = {"NDVI": "ndvi", "LST": "lst", "ET": "et", "albedo": "albedo", "pre": "pre", "SMC": "smc"}
# Bands of results/interim/static.tif, in order.
STATIC = ("sand", "silt", "clay", "AWC", "DEM", "slope", "aspect")
