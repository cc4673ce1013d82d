"""All months in one NetCDF file as the validation service QA4SM takes uploads.

QA4SM (https://qa4sm.eu) wants one file with a variable along time and two dimensions of place,
latitude and longitude of every cell, and no coordinate that could be taken for another latitude;
it compares it with ISMN stations and satellite products. A month has the time of its middle.
"""

import h5netcdf
import numpy as np
import rasterio

import _raster
from _log import log, log_to
from _netcdf import CLOCK, bounds, grown
from _raster import Grid
from _whole import whole


def main(monthly, lonlat, netcdf, months, unit, title):
    cells = Grid.shared(*monthly)
    with whole(netcdf) as part, h5netcdf.File(part, "w") as file:
        file.attrs.update({"Conventions": "CF-1.8", "title": title})
        file.dimensions = {"time": len(months), "y": cells.height, "x": cells.width}
        middle = np.floor(bounds(months).mean(axis=1))
        time = file.create_variable("time", ("time",), "float64", data=middle)
        time.attrs.update(CLOCK | {"standard_name": "time", "axis": "T"})
        place = [
            grown(
                file,
                name[:3],
                ("y", "x"),
                "float32",
                {"standard_name": name, "units": f"degrees_{way}"},
            )
            for name, way in (("longitude", "east"), ("latitude", "north"))
        ]
        said = {
            "long_name": "monthly mean volumetric soil moisture",
            "units": unit.replace("m3/m3", "m3 m-3"),
            "coordinates": "lat lon",
        }
        moisture = grown(file, "soil_moisture", ("time", "y", "x"), "float32", said)
        for window in cells.blocks():
            rows = slice(window.row_off, window.row_off + window.height)
            for variable, values in zip(place, _raster.lonlat(lonlat, window), strict=True):
                variable[rows] = values.astype("float32")
            for number, path in enumerate(monthly):
                with rasterio.open(path) as source:
                    moisture[number, rows] = source.read(1, window=window)
    log.info("%d months of %d x %d cells", len(months), *cells.shape)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        monthly=snakemake.input.monthly,
        lonlat=snakemake.input.lonlat,
        netcdf=snakemake.output.netcdf,
        months=snakemake.params.months,
        unit=snakemake.params.unit,
        title=snakemake.params.title,
    )
