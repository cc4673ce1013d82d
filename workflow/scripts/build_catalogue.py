"""A STAC catalogue of the maps: a collection with one item a month, all links relative.

SpatioTemporal Asset Catalog 1.1.0 (https://stacspec.org) with the extensions projection, raster
and processing, so that odc-stac, QGIS and others load the months as one cube from a copied folder.
"""

import json
import os
from calendar import monthrange
from pathlib import Path

import rasterio
from pyproj import CRS
from rasterio.warp import transform_bounds, transform_geom

from _log import log, log_to
from _raster import Grid
from _whole import whole

VERSION = "1.1.0"
EXTENSIONS = [
    "https://stac-extensions.github.io/projection/v2.0.0/schema.json",
    "https://stac-extensions.github.io/raster/v2.0.0/schema.json",
    "https://stac-extensions.github.io/processing/v1.2.0/schema.json",
]
GEOTIFF = "image/tiff; application=geotiff; profile=cloud-optimized"
KINDS = {
    "soil_moisture": "Monthly mean volumetric soil moisture",
    "lower": "Lower bound of the prediction interval",
    "upper": "Upper bound of the prediction interval",
    "dissimilarity": "Dissimilarity index, similar samples and expected error",
}
EDGE = 8  # points along an edge of the footprint, which is curved in longitude and latitude


def footprint(cells: Grid) -> dict:
    """Return the outline of a grid as a GeoJSON polygon in longitude and latitude."""
    left, right, bottom, top = cells.extent
    steps = [k / EDGE for k in range(EDGE)]
    ring = [(left + (right - left) * s, top) for s in steps]
    ring += [(right, top + (bottom - top) * s) for s in steps]
    ring += [(right + (left - right) * s, bottom) for s in steps]
    ring += [(left, bottom + (top - bottom) * s) for s in steps]
    # GeoJSON's outer rings run counter-clockwise.
    outline = {"type": "Polygon", "coordinates": [[ring[0], *reversed(ring)]]}
    found = transform_geom(cells.crs, "OGC:CRS84", outline, precision=6)
    return {"type": "Polygon", "coordinates": [[list(p) for p in found["coordinates"][0]]]}


def period(month: str) -> tuple[str, str]:
    """Return the first and last second of a month YYYY-MM as RFC 3339."""
    year, number = map(int, month.split("-"))
    last = monthrange(year, number)[1]
    return f"{month}-01T00:00:00Z", f"{month}-{last:02d}T23:59:59Z"


def projection(cells: Grid) -> dict:
    """Return the fields of the projection extension for a grid."""
    crs, t = CRS.from_user_input(cells.crs), cells.transform
    code = crs.to_authority()
    left, right, bottom, top = cells.extent
    return {
        "proj:code": ":".join(code) if code else None,
        "proj:wkt2": crs.to_wkt(),
        "proj:shape": list(cells.shape),
        "proj:transform": [t.a, t.b, t.c, t.d, t.e, t.f, 0, 0, 1],
        "proj:bbox": [left, bottom, right, top],
    }


def asset(path: str, folder: Path, title: str, roles: list[str]) -> dict:
    """Return the entry of one raster, with a band each for what lies in it."""
    with rasterio.open(path) as source:
        bands = [
            {
                "name": name,
                "description": title if source.count == 1 else f"{title}: {name}",
                "data_type": source.dtypes[number],
                "nodata": "nan",
                "unit": source.units[number],
                "raster:spatial_resolution": abs(source.transform.a),
                "raster:sampling": "area",
            }
            for number, name in enumerate(source.descriptions)
        ]
    return {
        "href": relative(path, folder),
        "type": GEOTIFF,
        "title": title,
        "roles": roles,
        "bands": bands,
    }


def relative(path: str | Path, folder: Path) -> str:
    return Path(os.path.relpath(path, folder)).as_posix()


def item(month: str, paths: dict[str, str], folder: Path, cells: Grid, made: dict) -> dict:
    """Return the STAC item of one month; `folder` is where it will lie."""
    first, last = period(month)
    found = {
        "type": "Feature",
        "stac_version": VERSION,
        "stac_extensions": EXTENSIONS,
        "id": month,
        "collection": "soil-moisture",
        "geometry": footprint(cells),
        "bbox": box(cells),
        "properties": {
            "datetime": None,
            "start_datetime": first,
            "end_datetime": last,
            "title": f"Soil moisture, {month}",
        }
        | projection(cells)
        | made,
        "links": [
            {"rel": rel, "href": "../collection.json", "type": "application/json"}
            for rel in ("root", "parent", "collection")
        ],
        "assets": {
            kind: asset(path, folder, KINDS[kind], ["data" if kind == "soil_moisture" else kind])
            for kind, path in paths.items()
        },
    }
    return found


def box(cells: Grid) -> list[float]:
    """Return west, south, east, north of a grid (degrees)."""
    left, right, bottom, top = cells.extent
    bounds = transform_bounds(cells.crs, "OGC:CRS84", left, bottom, right, top, densify_pts=100)
    return [round(v, 6) for v in bounds]


def collection(
    title: str, note: str, months: list[str], cells: Grid, netcdf: list[str], folder: Path
) -> dict:
    """Return the STAC collection that holds the items of all months."""
    text = (
        "Monthly soil moisture at 250 m with a prediction interval and the dissimilarity to the "
        "training samples, after Ma et al. 2023."
    )
    return {
        "type": "Collection",
        "stac_version": VERSION,
        "stac_extensions": [],
        "id": "soil-moisture",
        "title": title,
        "description": f"{text} {note}".strip(),
        "license": "other",
        "extent": {
            "spatial": {"bbox": [box(cells)]},
            "temporal": {"interval": [[period(months[0])[0], period(months[-1])[1]]]},
        },
        "links": [
            {"rel": "root", "href": "./collection.json", "type": "application/json"},
            *(
                {"rel": "item", "href": f"./items/{month}.json", "type": "application/geo+json"}
                for month in months
            ),
        ],
        "assets": {
            Path(path).stem: {
                "href": relative(path, folder),
                "type": "application/x-netcdf",
                "title": f"All months of {Path(path).stem[-4:]}, CF conventions",
                "roles": ["data"],
            }
            for path in netcdf
        },
    }


def save(content: dict, path: str) -> None:
    with whole(path) as part:
        part.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", "utf-8")


def main(monthly, lower, upper, di, netcdf, collection_file, entries, months, title, note, commit):
    cells = Grid.shared(*monthly, *lower, *upper, *di)
    made = {
        "processing:lineage": "random forest, calibrated on places left out; see provenance.json",
        "processing:level": "L4",
        "processing:software": {"workflow": commit or "not under version control"},
    }
    for number, month in enumerate(months):
        paths = dict(
            zip(KINDS, (kind[number] for kind in (monthly, lower, upper, di)), strict=True)
        )
        save(item(month, paths, Path(entries[number]).parent, cells, made), entries[number])
    folder = Path(collection_file).parent
    save(collection(title, note, months, cells, netcdf, folder), collection_file)
    log.info("%d items, %d yearly files", len(entries), len(netcdf))


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        monthly=snakemake.input.monthly,
        lower=snakemake.input.lower,
        upper=snakemake.input.upper,
        di=snakemake.input.di,
        netcdf=snakemake.input.netcdf,
        collection_file=snakemake.output.collection,
        entries=snakemake.output.entries,
        months=snakemake.params.months,
        title=snakemake.params.title,
        note=snakemake.params.note,
        commit=snakemake.params.commit,
    )
