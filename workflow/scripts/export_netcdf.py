"""The maps of one year as one NetCDF file that follows the CF conventions.

Soil moisture with its interval and dissimilarity index, months along time with their bounds, the
depth that the numbers stand for, the projection both as a grid mapping and as longitude and
latitude of every cell. Written strip by strip.
"""

from contextlib import ExitStack

import h5netcdf
import numpy as np
import rasterio
from pyproj import CRS

import _raster
from _log import log, log_to
from _netcdf import CLOCK, bounds, grown
from _raster import Grid
from _whole import whole

CONVENTIONS = "CF-1.8"
STANDARD = "volume_fraction_of_condensed_water_in_soil"


def variables(unit: str, level: float) -> dict[str, dict[str, str]]:
    """Return the attributes of each layer: the map, its interval, how far it is from training."""
    share = f"{100 * level:g} % prediction interval of soil moisture"
    found = {
        "soil_moisture": {
            "standard_name": STANDARD,
            "long_name": "monthly mean volumetric soil moisture",
            "ancillary_variables": "lower upper dissimilarity_index",
        },
        "lower": {"long_name": f"lower bound of the {share}"},
        "upper": {"long_name": f"upper bound of the {share}"},
        "dissimilarity_index": {
            "long_name": "distance to the nearest training sample in the space of the predictors",
            "references": "doi:10.1111/2041-210X.13650",
        },
    }
    for name, attributes in found.items():
        index = name == "dissimilarity_index"
        attributes["units"] = "1" if index else unit.replace("m3/m3", "m3 m-3")
        if not index:
            attributes["cell_methods"] = "area: mean time: mean"
        attributes |= {"grid_mapping": "crs", "coordinates": "longitude latitude"}
    return found


def coordinates(file: h5netcdf.File, cells: Grid, months: list[str], depth: list[float]) -> None:
    """Write dimensions, coordinates with bounds, and the grid mapping."""
    sizes = {"time": len(months), "depth": 1, "y": cells.height, "x": cells.width, "bnds": 2}
    file.dimensions = sizes

    def put(name, dimensions, values, **attributes):
        variable = file.create_variable(name, dimensions, values.dtype, data=values)
        variable.attrs.update(attributes)

    days = bounds(months)
    put("time_bnds", ("time", "bnds"), days)
    put("time", ("time",), days.mean(axis=1), **CLOCK, standard_name="time", long_name="time",
        axis="T", bounds="time_bnds")  # fmt: skip
    t, steps = cells.transform, (np.arange(cells.width) + 0.5, np.arange(cells.height) + 0.5)
    for name, values in (("x", t.c + t.a * steps[0]), ("y", t.f + t.e * steps[1])):
        put(name, (name,), values, standard_name=f"projection_{name}_coordinate", units="m",
            long_name=f"{name} of the cell's centre", axis=name.upper())  # fmt: skip
    put("depth_bnds", ("depth", "bnds"), np.array([depth], "float64"))
    put("depth", ("depth",), np.array([np.mean(depth)]), standard_name="depth", units="m",
        positive="down", long_name="depth of the soil layer", axis="Z",
        bounds="depth_bnds")  # fmt: skip
    put("crs", (), np.array(0, "int32"), **CRS.from_user_input(cells.crs).to_cf())


def main(monthly, lower, upper, di, lonlat, netcdf, months, depth, level, unit, title, note):
    cells = Grid.shared(*monthly, *lower, *upper, *di)
    layers = dict(zip(variables(unit, level), (monthly, lower, upper, di), strict=True))
    said = {
        "Conventions": CONVENTIONS,
        "title": title,
        "institution": "see provenance.json beside the report",
        "source": "random forest on satellite, terrain, soil and rain predictors",
        "history": "made by the workflow; its settings and inputs are in provenance.json",
        "references": "doi:10.3390/rs15061531",
        "comment": note or "see the page for accuracy, interval and area of applicability",
    }
    with whole(netcdf) as part, ExitStack() as opened:
        file = opened.enter_context(h5netcdf.File(part, "w"))
        file.attrs.update(said)
        coordinates(file, cells, months, depth)
        place = {
            name: grown(
                file,
                name,
                ("y", "x"),
                "float32",
                {"standard_name": name, "long_name": name, "units": f"degrees_{way}"},
            )
            for name, way in (("longitude", "east"), ("latitude", "north"))
        }
        targets = {
            name: grown(file, name, ("time", "depth", "y", "x"), "float32", attributes)
            for name, attributes in variables(unit, level).items()
        }
        for window in cells.blocks():
            rows = slice(window.row_off, window.row_off + window.height)
            for name, values in zip(place, _raster.lonlat(lonlat, window), strict=True):
                place[name][rows] = values.astype("float32")
        for name, paths in layers.items():
            present = 0
            for number, path in enumerate(paths):
                with rasterio.open(path) as source:
                    for window in cells.blocks():
                        rows = slice(window.row_off, window.row_off + window.height)
                        values = source.read(1, window=window)
                        targets[name][number, 0, rows] = values
                        present += int(np.isfinite(values).sum())
            log.info("%s: %d values in %d months", name, present, len(paths))


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        monthly=snakemake.input.monthly,
        lower=snakemake.input.lower,
        upper=snakemake.input.upper,
        di=snakemake.input.di,
        lonlat=snakemake.input.lonlat,
        netcdf=snakemake.output.netcdf,
        months=snakemake.params.months,
        depth=snakemake.params.depth,
        level=snakemake.params.level,
        unit=snakemake.params.unit,
        title=snakemake.params.title,
        note=snakemake.params.note,
    )
