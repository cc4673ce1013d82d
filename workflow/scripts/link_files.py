"""Let the archive be files that the user already has (S4-S12): checked, linked, never changed.

`_folder` found them by their names. Here each is opened once, because a name promises nothing:
a log-in page, a file cut short, another tile under this name, two files of one name that differ
are refused, and nothing is linked before all are sound. What each link leads to is written beside
it and in the log. Nothing is written into the user's folder.
"""

import csv
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path

import _folder
import _granule
import _zip
from _archive import link
from _download import Progress, digest, looks_like_page
from _log import UserError, human, log, log_to, notice
from _whole import whole

SIDES = {2_884_802: 1201, 25_934_402: 3601}  # bytes of an elevation cell: samples on its edge
NETCDF = (b"\x89HDF", b"CDF\x01", b"CDF\x02")
AGAIN = "Fetch it again, or take it out of the folder."
SHOWN = 5  # of many files, how many a message spells out


@dataclass(frozen=True)
class Choice:
    """The file that a link takes, files of equal rank that must be the same, and lesser ones."""

    final: str
    file: str
    copies: list[str]
    superseded: list[str]

    @classmethod
    def of(cls, source: str, final: str, candidates: list[str]):
        """Choose among the candidates of `_folder.found`, of which the first is the best."""
        best, *others = candidates
        equal = [
            path for path in others if _folder.rank(source, path) == _folder.rank(source, best)
        ]
        lesser = [path for path in others if path not in equal]
        exists = os.path.exists(best)
        copies = [path for path in equal if not (exists and os.path.samefile(best, path))]
        return cls(final, best, copies, lesser)


def some(names: list[str]) -> str:
    """Return the first few of many names, and how many more there are."""
    more = f" and {len(names) - SHOWN} more (see the log)" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def looked_for(source: str, final: str) -> str:
    """Return the name, with `*`, under which a producer delivers a file of resources/raw."""
    stem, parent = Path(final).stem, Path(final).parent.name
    if source == "modis":
        day = date.fromisoformat(parent).strftime("A%Y%j")
        return f"{Path(final).parts[-3]}.{day}.{stem}.{_folder.COLLECTIONS[0]}.*.hdf"
    if source == "elevation" and final.endswith(".tif"):
        return f"Copernicus_DSM_COG_30_{stem[:3]}_00_{stem[3:]}_00_DEM.tif"
    return {
        "elevation": f"{stem}.SRTMGL3.hgt.zip or {stem}.hgt",
        "soil": f"{stem}.tif",
        "rain": f"{parent}/{stem}.csv or {stem}_{parent}.csv",
        "smc": f"*{stem[-6:-2]}*{stem[-2:]}*.tif",
        "era5land": f"*{stem}*.nc",
    }[source]


def check_found(source: str, links: list[str], candidates: dict[str, list[str]]) -> None:
    """Stop if the folder has nothing for some of the links; name what it should be called."""
    missing = [final for final in links if not candidates.get(final)]
    if not missing:
        return
    for final in missing:
        log.info("%s: the folder has no %s", final, looked_for(source, final))
    first = Path(missing[0]).with_suffix("").parts
    absent = {
        "modis": f"if the archive truly lacks it, add {'/'.join(first[-3:])} to modis.absent",
        "elevation": f"if the cell is all sea, add {first[-1]} to terrain.absent",
        "rain": f"if the gauge was silent, add {first[-1]}/{first[-2]} to rain.absent",
    }.get(source, f"or choose another source under sources.{source} in the config")
    raise UserError(
        f"sources.{source}: expected a file for each of {len(links)} links in the folder, found "
        f"none for {len(missing)}: {some([looked_for(source, final) for final in missing])}. "
        f"Put the files into the folder; {absent}."
    )


def check_granule(file: str, final: str) -> None:
    """Refuse a granule that is not whole, or not of the product, date and tile in its name."""
    named = Path(final).parts[-3]
    product = next(p for p in _granule.PRODUCTS.values() if p.name == named)
    head = _granule.header(file, product.layer, *product.quality)
    try:
        _granule.check(replace(head, path=final), product)
    except UserError as error:
        # What the mend there says is about files in resources/raw; this one is the user's.
        wrong = str(error).removeprefix(f"{final}: ").split(". ")[0]
        raise UserError(
            f"{file}: {wrong}. Its name promises something else than it holds: fetch this granule "
            "again, or take it out of the folder."
        ) from None
    _granule.stored(file, (product.layer,))


def check_elevation(file: str, final: str) -> str:
    """Return the number of samples of an elevation cell, after checking that it is this cell."""
    if final.endswith(".tif"):
        return check_cell(file, final)
    size, what = os.path.getsize(file), "bytes"
    if _zip.is_zip(file):
        size, what = len(_zip.content(file, member_of(file, final), max(SIDES))), "bytes unpacked"
    if size not in SIDES:
        raise UserError(
            f"{file}: expected 2884802 bytes (1201 x 1201 samples) or 25934402 (3601 x 3601), "
            f"found {size} {what}. It is probably cut short: fetch the cell again."
        )
    return f"{SIDES[size]} samples in a degree"


def member_of(file: str, final: str) -> str:
    """Return the member of a zip that is the elevation cell of `final`."""
    names = [name for name in _zip.names(file) if name.lower().endswith(".hgt")]
    own = [name for name in names if not Path(name).name.startswith(".")]
    cell = Path(final).stem
    if len(own) != 1 or not Path(own[0]).name.upper().startswith(cell):
        raise UserError(
            f"{file}: expected one member {cell}.hgt in the zip, found "
            f"{', '.join(own) or 'none'}. Fetch the cell again."
        )
    return own[0]


def check_cell(file: str, final: str) -> str:
    """Return the number of rows of a GeoTIFF of one degree, after checking where it lies."""
    cell = Path(final).stem
    lat = int(cell[1:3]) * (-1 if cell[0] == "S" else 1)
    lon = int(cell[4:7]) * (-1 if cell[3] == "W" else 1)
    source = raster(file)
    left, bottom, right, top = source.bounds
    off = max(abs(left - lon), abs(right - lon - 1), abs(bottom - lat), abs(top - lat - 1))
    if not source.crs.is_geographic or off > 0.01:
        raise UserError(
            f"{file}: expected longitudes {lon} to {lon + 1} and latitudes {lat} to {lat + 1}, "
            f"found {left:.4f} to {right:.4f} and {bottom:.4f} to {top:.4f} ({source.crs}). "
            "Fetch the cell again, or take the file out of the folder."
        )
    return f"{source.height} samples in a degree"


def check_raster(file: str, final: str) -> None:
    """Refuse a file that is no whole GeoTIFF; what it shows is checked where it is used."""
    raster(file)


def raster(file: str):
    """Return a GeoTIFF (closed) after decoding all of it and checking that it says where it lies.

    Side files (.aux.xml, .tfw) are not looked at: a link in resources/raw has none beside it.
    """
    import rasterio
    from rasterio.errors import RasterioError

    try:
        with (
            rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR"),
            rasterio.open(file, driver="GTiff") as source,
        ):
            for _, window in source.block_windows(1):
                source.read(1, window=window)
    except RasterioError as error:
        raise UserError(
            f"{file}: expected a whole GeoTIFF, found {os.path.getsize(file)} bytes that cannot be "
            f"read ({error}). It is probably cut short: fetch it again."
        ) from None
    if source.crs is None:
        raise UserError(
            f"{file}: expected a coordinate reference system in the file itself, found none (side "
            "files are not taken over). Write it into a copy: gdal_translate -a_srs."
        )
    return source


def check_table(file: str, final: str) -> None:
    """Refuse a rain table that is not of the station and year, or whose rows are cut short."""
    station, year = Path(final).stem, Path(final).parent.name
    with open(file, newline="", encoding="utf-8-sig", errors="replace") as lines:
        header, *rows = [row for row in csv.reader(lines) if row] or [[]]
    if not {"STATION", "DATE"} <= set(header):
        raise UserError(
            f"{file}: expected a GSOD table with columns STATION and DATE, found "
            f"{', '.join(header)[:60]!r}. Fetch the station's file of {year} again."
        )
    for row in rows:
        if len(row) != len(header):
            raise UserError(
                f"{file}: expected {len(header)} columns in every row, found {len(row)} in the "
                f"row of {', '.join(row)[:40]!r}. It is probably cut short: fetch it again."
            )
    if rows:
        first = dict(zip(header, rows[0], strict=True))
        name, day = first["STATION"].strip(), first["DATE"].strip()
        if name.lower() != station.lower() or not day.startswith(f"{year}-"):
            raise UserError(
                f"{file}: expected station {station} in {year}, found {name} on {day}. Its name or "
                "folder promises something else than it holds: fetch it again or rename it."
            )


def check_netcdf(file: str, final: str) -> None:
    """Refuse a file that is neither NetCDF nor a zip with it, or is cut short."""
    with open(file, "rb") as raw:
        begins = raw.read(20)
    if _zip.is_zip(file):
        names = _zip.names(file)
        if not any(name.lower().endswith(".nc") for name in names):
            raise UserError(
                f"{file}: expected NetCDF in the zip, found {some(names) or 'nothing'}. Request "
                "data_format netcdf from CDS."
            )
        return
    if not begins.startswith(NETCDF):
        grib = ", which is GRIB" if begins.startswith(b"GRIB") else ""
        raise UserError(
            f"{file}: expected NetCDF or a zip of it, found a file that begins with {begins!r}"
            f"{grib}. Request data_format netcdf from CDS."
        )
    import xarray as xr

    reader = {"engine": "h5netcdf"}
    if begins.startswith(b"CDF"):
        reader = {"engine": "scipy", "mmap": False}
    try:
        xr.open_dataset(file, decode_times=False, **reader).close()
    except (OSError, ValueError, TypeError, RuntimeError) as error:
        raise UserError(
            f"{file}: expected a whole NetCDF file, found {os.path.getsize(file)} bytes that "
            f"cannot be read ({error}). It is probably cut short: fetch it again."
        ) from None


CHECKS: dict[str, Callable] = {
    "modis": check_granule,
    "elevation": check_elevation,
    "soil": check_raster,
    "smc": check_raster,
    "rain": check_table,
    "era5land": check_netcdf,
}


def differing(choice: Choice, copy: str) -> UserError:
    """Return the error of two files that may both be meant."""
    sizes = [f"{path} ({os.path.getsize(path)} bytes)" for path in (choice.file, copy)]
    return UserError(
        f"{choice.final}: expected one file in the folder, or copies of one, found two that "
        f"differ: {sizes[0]} and {sizes[1]}. Take the wrong one out of the folder."
    )


def check(source: str, choice: Choice) -> str | None:
    """Check what a link will lead to; return what must be alike in all files of the source."""
    file = choice.file
    if not os.path.exists(file):
        raise UserError(
            f"{file}: expected a file, found a link to {os.path.realpath(file)}, where none is. "
            "Connect the disk it lies on, or fetch its content."
        )
    try:
        if not os.path.getsize(file):
            raise UserError(
                f"{file}: expected a file for {choice.final}, found an empty one. {AGAIN}"
            )
        if looks_like_page(Path(file)):
            raise UserError(
                f"{file}: expected a file for {choice.final}, found text that looks like a web "
                f"page, probably a log-in page. {AGAIN}"
            )
        for copy in choice.copies:
            if os.path.getsize(copy) != os.path.getsize(file):
                raise differing(choice, copy)
        # Station readings and SMCI are opened whole by the one job that reads them.
        return CHECKS[source](file, choice.final) if source in CHECKS else None
    except OSError as error:
        raise UserError(
            f"{file}: expected a file that can be read, found: {error.strerror or error}. Ask for "
            "the right to read it, or look at the disk it lies on."
        ) from None


def check_all(source: str, choices: list[Choice]) -> None:
    """Check every file before any is linked; name the first that is wrong, and log the others."""
    progress = Progress(f"{source}: checked", len(choices), sum(map(size_of, choices)))
    wrong, kinds = [], {}
    for choice in choices:
        try:
            kinds.setdefault(check(source, choice), choice.file)
        except UserError as error:
            log.info("%s", error)
            wrong.append(error)
        progress.add(size_of(choice), files=1)
    if wrong:
        more = f" {len(wrong) - 1} more files are wrong (see the log)." * (len(wrong) > 1)
        raise UserError(f"{wrong[0]}{more} Nothing was linked.")
    (kind, file), *others = kinds.items()
    if others:
        raise UserError(
            f"{others[0][1]}: expected {kind} as in {file}, found {others[0][0]}. Cells of "
            "different resolution are not put together: keep those of one in the folder."
        )


def size_of(choice: Choice) -> int:
    """Return the bytes that are read for a link: its file and the copies compared with it."""
    paths = [choice.file, *choice.copies]
    return sum(os.path.getsize(path) for path in paths if os.path.exists(path))


def checksums(source: str, choices: list[Choice]) -> dict[str, str]:
    """Return {file: SHA-256} of what is linked; UserError where copies are not alike."""
    progress = Progress(f"{source}: checksums", len(choices), sum(map(size_of, choices)))
    sums: dict[str, str] = {}
    for choice in choices:
        for path in (choice.file, *choice.copies):
            if path not in sums:
                sums[path] = digest(Path(path))
            if sums[path] != sums[choice.file]:
                raise differing(choice, path)
        progress.add(size_of(choice), files=1)
    return sums


def put(source: str, choice: Choice, checksum: str) -> None:
    """Link one checked file, or unpack it, and write beside it where it came from."""
    file, final = Path(choice.file), Path(choice.final)
    record = {
        "address": f"file:{file}",
        "delivered": file.name,
        "bytes": file.stat().st_size,
        "sha256": checksum,
        "superseded": [Path(path).name for path in choice.superseded],
        "fetched": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    if source == "elevation" and _zip.is_zip(file):
        _zip.extract(file, member_of(choice.file, choice.final), final, max(SIDES))
        final.chmod(0o444)
        record |= {"bytes": final.stat().st_size, "sha256": digest(final)}
        with whole(str(final.with_suffix(".json"))) as part:
            part.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    else:
        link(file, final, record, keep=True)
    log.info("%s: %s, %d bytes, sha256 %s", final, file, record["bytes"], record["sha256"])
    for path in choice.copies:
        log.info("%s: %s is the same file", final, path)
    for path in choice.superseded:
        log.info("%s: supersedes %s", final, path)


def main(files, links, source, candidates):
    candidates = json.loads(candidates)
    check_found(source, links, candidates)
    mixed = (
        _folder.mixed({final: candidates[final] for final in links}) if source == "modis" else ""
    )
    if mixed:
        raise UserError(mixed)
    choices = [Choice.of(source, final, candidates[final]) for final in links]
    size = human(sum(map(size_of, choices)))
    notice("%s: %d links to %s among %d files you have", source, len(links), size, len(files))
    check_all(source, choices)
    sums = checksums(source, choices)
    for choice in choices:
        put(source, choice, sums[choice.file])


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        files=snakemake.input.files,
        links=snakemake.output.links,
        source=snakemake.params.source,
        candidates=snakemake.params.candidates,
    )
