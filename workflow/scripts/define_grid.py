"""The one grid of all maps: where its cells lie and which are mapped (S1, S3, U1, U2)."""

import numpy as np
import rasterio.crs
import rasterio.windows
from pyproj import CRS, Proj, Transformer
from pyproj.exceptions import CRSError
from rasterio.features import rasterize
from rasterio.transform import Affine

import _raster
from _log import UserError, log, log_to
from _projection import check_true
from _raster import Grid, created

BANDS = {"longitude": "degree", "latitude": "degree"}
EVERY = 8  # the scale of area changes slowly: every eighth cell of a row and column tells it


def metric(crs: str) -> CRS:
    """Return the CRS that a text names, if it is projected and counts metres."""
    try:
        found = CRS.from_user_input(crs)
    except CRSError as error:
        raise UserError(
            f"grid.crs: expected a coordinate reference system, found {crs!r} ({error}). "
            "Give a PROJ string or an EPSG code."
        ) from None
    units = {axis.unit_name for axis in found.axis_info}
    if not found.is_projected or units != {"metre"}:
        raise UserError(
            f"grid.crs: expected a projected system in metres, found {found.name} in "
            f"{', '.join(sorted(units))}. Choose an equal-area or UTM projection of the area."
        )
    return found


def snapped(box: list[float], crs: CRS, resolution: float) -> Grid:
    """Return the smallest grid whose edges are multiples of `resolution` around a box in degrees.

    The edges of the box are curves in the CRS: they are followed with 1000 points each.
    """
    bounds = Transformer.from_crs(4326, crs, always_xy=True).transform_bounds(
        *box, densify_pts=1000
    )
    if not np.all(np.isfinite(bounds)):
        raise UserError(
            f"area.box: expected a box that grid.crs {crs.name} can show, found {box}. "
            "Choose a projection made for this part of the world."
        )
    west, south = np.floor(np.array(bounds[:2]) / resolution)
    east, north = np.ceil(np.array(bounds[2:]) / resolution)
    transform = Affine(resolution, 0, west * resolution, 0, -resolution, north * resolution)
    return Grid(
        rasterio.crs.CRS.from_wkt(crs.to_wkt()), transform, int(east - west), int(north - south)
    )


def in_box(longitude: np.ndarray, latitude: np.ndarray, box: list[float]) -> np.ndarray:
    """Return True for points in the box, its edges included."""
    west, south, east, north = box
    return (longitude >= west) & (longitude <= east) & (latitude >= south) & (latitude <= north)


def outline(path: str, crs: CRS) -> list:
    """Return the polygons of a vector file in `crs`; straight edges stay straight in their own."""
    import geopandas  # 0.7 s, and most studies have no polygon

    try:
        frame = geopandas.read_file(path)
    except (OSError, RuntimeError, ValueError) as error:  # what geopandas passes on from GDAL
        raise UserError(
            f"{path}: expected a vector file for area.polygon, found one that cannot be read "
            f"({error}). Give GeoPackage, GeoJSON or a shapefile with all its parts."
        ) from None
    frame = frame[~frame.geometry.isna() & ~frame.geometry.is_empty]
    kinds = sorted(set(frame.geometry.geom_type))
    if not kinds or not set(kinds) <= {"Polygon", "MultiPolygon"}:
        raise UserError(
            f"{path}: expected polygons, found {', '.join(kinds) or 'no geometry'}. "
            "Give the outline of the study area, or leave area.polygon out to map the whole box."
        )
    if frame.crs is None:
        raise UserError(
            f"{path}: expected a coordinate reference system, found none. "
            "Store one in the file (for a shapefile its .prj)."
        )
    step = 1000 if frame.crs.is_projected else 0.01
    return list(frame.geometry.segmentize(step).to_crs(crs))


def true_area(grid: Grid, crs: CRS, cells: np.ndarray, longitude, latitude) -> float:
    """Return the area (km2) on the ellipsoid of the True cells of a block of the grid."""
    if not cells.any():
        return 0.0
    some = np.zeros(cells.shape, dtype=bool)
    some[::EVERY, ::EVERY] = True
    some = some & cells if (some & cells).any() else cells
    scale = Proj(crs).get_factors(longitude[some], latitude[some]).areal_scale
    cell = abs(grid.transform.a * grid.transform.e) / 1e6
    return float(np.count_nonzero(cells) * cell * np.mean(1 / scale))


def area_of_box(box: list[float]) -> float:
    """Return the area (km2) of a box in degrees: a rectangle in an equal-area cylinder."""
    west, south, east, north = Transformer.from_crs(
        4326, "+proj=cea +datum=WGS84", always_xy=True
    ).transform_bounds(*box)
    return (east - west) * (north - south) / 1e6


def main(polygon, grid, lonlat, box, crs, resolution):
    system = metric(crs)
    # The grid of MODIS is sheared but keeps areas, and distances are measured in terrain.crs.
    if system.coordinate_operation.method_name != "Sinusoidal":
        check_true("grid.crs", system, box)
    cells = snapped(box, system, resolution)
    shapes = outline(polygon, system) if polygon else []
    degrees = Transformer.from_crs(system, 4326, always_xy=True)
    with created(lonlat, cells, BANDS, dtype="float64") as target:
        for window in cells.blocks():
            target.write(np.stack(degrees.transform(*cells.centres(window))), window=window)

    count, area = 0, 0.0
    with created(grid, cells, {"inside": "1"}, dtype="uint8", nodata=255) as target:
        for window in cells.blocks():
            longitude, latitude = _raster.lonlat(lonlat, window)
            inside = in_box(longitude, latitude, box)
            if shapes:
                corner = rasterio.windows.transform(window, cells.transform)
                inside &= rasterize(shapes, inside.shape, transform=corner).astype(bool)
            target.write(inside.astype("uint8"), 1, window=window)
            count += int(np.count_nonzero(inside))
            area += true_area(cells, system, inside, longitude, latitude)
        if count == 0:
            raise UserError(
                f"{polygon or 'area.box'}: expected cells of {resolution} m whose centre lies in "
                f"the box {box} and in the polygon, found none. "
                "Check the polygon's coordinates against area.box, and grid.resolution."
            )
    log.info("%d x %d cells, %d of them inside", cells.width, cells.height, count)
    log.info("study area %.0f km2 of the box's %.0f km2", area, area_of_box(box))


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        polygon=snakemake.input.polygon,
        grid=snakemake.output.grid,
        lonlat=snakemake.output.lonlat,
        box=snakemake.params.box,
        crs=snakemake.params.crs,
        resolution=snakemake.params.resolution,
    )
