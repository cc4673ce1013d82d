"""The products that the map competes with, at every sample: what a map must beat to be of use.

SMCI is the target of most samples and itself a forest of 1 km predictors (Li et al. 2022,
10.5194/essd-14-5267-2022), SMC a predictor, ERA5-Land neither. Nobody needs a 250 m map that is
worse at the stations than one of these, so each is taken where the samples are.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from rasterio.crs import CRS

from _log import UserError, log, log_to
from _raster import Grid, bilinear, in_crs, nearest, read
from _table import write_table

TAKEN = {
    "smci": {"SMCI, nearest": nearest, "SMCI, bilinear": bilinear},
    "smc": {"SMC": nearest},
    "era5land": {"ERA5-Land": nearest},
}


def by_month(rasters: list[str], months: list[str], product: str) -> tuple[dict[str, str], Grid]:
    """Return {month: path} of the months (YYYY-MM) of the samples, and the cells of all.

    A raster is named after its month. Raises UserError if a month has none or if the rasters
    do not share their cells.
    """
    paths = {Path(path).stem: path for path in rasters}
    missing = sorted(set(months) - set(paths))
    if missing:
        raise UserError(
            f"{product}: expected a raster YYYY-MM.tif for each month of the samples, found none "
            f"of {', '.join(missing)} among {len(paths)}. Run the step that makes them again."
        )
    paths = {month: paths[month] for month in sorted(set(months))}
    return paths, Grid.shared(*paths.values())


def values(samples: pd.DataFrame, rasters: dict[str, list[str]], crs: CRS) -> pd.DataFrame:
    """Return sample and one column a product, m3/m3, NaN where it has no value.

    samples: sample, month (YYYY-MM), x and y in `crs`. A product without rasters has no column. A
    point on the edge of two cells takes the lower or right one. Each raster is read once.
    """
    result = pd.DataFrame({"sample": samples["sample"].to_numpy()})
    x, y = samples["x"].to_numpy(), samples["y"].to_numpy()
    for product, columns in TAKEN.items():
        if not rasters[product]:
            continue
        found = {name: np.full(len(samples), np.nan) for name in columns}
        if len(samples):
            paths, cells = by_month(rasters[product], list(samples["month"]), product)
            row, col = cells.positions(*in_crs(x, y, crs, cells.crs))
            for month, path in paths.items():
                layer, here = read(path), (samples["month"] == month).to_numpy()
                for name, take in columns.items():
                    found[name][here] = take(layer, row[here], col[here])
        result = result.assign(**found)
    return result


def main(samples, smci, smc, era5land, products, crs) -> None:
    table = pd.read_parquet(samples, columns=["sample", "month", "x", "y"])
    rasters = {"smci": smci, "smc": smc, "era5land": era5land}
    result = values(table, rasters, CRS.from_user_input(crs))
    for name in result.columns[1:]:
        log.info("%s: %d of %d samples have a value", name, result[name].count(), len(result))
    write_table(result, products)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        samples=snakemake.input.samples,
        smci=snakemake.input.smci,
        smc=snakemake.input.smc,
        era5land=snakemake.input.era5land,
        products=snakemake.output.products,
        crs=snakemake.params.crs,
    )
