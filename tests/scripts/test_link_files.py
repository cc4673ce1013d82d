"""Linking files that a user already has: what is checked, what is refused, what stays as it was."""

import hashlib
import json
import logging
import os
import shutil
import stat
import zipfile
from pathlib import Path

import numpy as np
import pytest
import rasterio
import xarray as xr
from rasterio.transform import from_bounds

import _folder
import link_files
from _log import UserError
from conftest import real
from granules import LST, QC_DAY, make_granule

DAY = "2012-04-30"
TILE = "h26v05"
FINAL = f"resources/raw/modis/MOD11A2/{DAY}/{TILE}.hdf"
NAME = "MOD11A2.A2012121.h26v05.061.2021068095141.hdf"
OLDER = "MOD11A2.A2012121.h26v05.061.2020342021543.hdf"
LAYERS = {LST: np.full((60, 80), 14500), QC_DAY: np.zeros((60, 80))}
PAGE = b"<!DOCTYPE html><html><title>Earthdata Login</title></html>"
HGT = np.full((1201, 1201), 3400, ">i2").tobytes()


@pytest.fixture(autouse=True)
def working_folder(tmp_path, monkeypatch):
    (tmp_path / "study").mkdir()
    monkeypatch.chdir(tmp_path / "study")
    _folder._walked.cache_clear()


@pytest.fixture
def mine(tmp_path):
    """The user's folder, whose name is one that people give."""
    folder = tmp_path / "my data – Zoigê"
    folder.mkdir()
    return folder


def put(path, content=b"x"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def granule(path, tile=TILE, day=DAY, layers=LAYERS, product="MOD11A2", **faults):
    """Write a granule under any path."""
    made = make_granule(path.parent / ".making", product, day, tile, layers, **faults)
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(made, path)
    shutil.rmtree(path.parent / ".making")
    return path


def run(source, folder, *links):
    """Do what the Snakefile and the rule do."""
    _folder._walked.cache_clear()
    candidates = _folder.found(source, str(folder), list(links))
    link_files.main(
        files=_folder.inputs(candidates),
        links=list(links),
        source=source,
        candidates=json.dumps(candidates),
    )


def refused(source, folder, *links):
    """Return what a person reads; nothing may have been linked."""
    with pytest.raises(UserError) as error:
        run(source, folder, *links)
    assert not any(os.path.lexists(link) for link in links)
    assert not list(Path().rglob("*.json"))
    return str(error.value)


def record(final):
    return json.loads(Path(final).with_suffix(".json").read_text())


# --- what is linked ---


def test_the_latest_production_is_linked_and_what_it_is_is_written_beside_it(mine, caplog):
    older = granule(mine / "2012/old" / OLDER)
    newer = granule(mine / "a/b" / NAME.upper())
    with caplog.at_level(logging.INFO, "soil-moisture"):
        run("modis", mine, FINAL)
    assert Path(FINAL).is_symlink() and Path(FINAL).resolve() == newer
    told = record(FINAL)
    assert told.pop("fetched")[:2] == "20"
    assert told == {
        "address": f"file:{newer}",
        "delivered": NAME.upper(),
        "bytes": newer.stat().st_size,
        "sha256": hashlib.sha256(newer.read_bytes()).hexdigest(),
        "superseded": [OLDER],
    }
    assert f"{FINAL}: {newer}, {told['bytes']} bytes, sha256 {told['sha256']}" in caplog.text
    assert f"{FINAL}: supersedes {older}" in caplog.text
    assert "modis: 1 links to" in caplog.text and "among 2 files you have" in caplog.text
    assert "modis: checked: 1 of 1 files" in caplog.text
    assert "modis: checksums: 1 of 1 files" in caplog.text


def test_nothing_of_the_user_changes(mine):
    granule(mine / "a" / NAME)
    granule(mine / "b" / OLDER)
    put(mine / "dem/N33E102.hgt", HGT)
    with zipfile.ZipFile(mine / "dem/N33E103.SRTMGL3.hgt.zip", "w") as archive:
        archive.writestr("N33E103.hgt", HGT)
    raster(mine / "soil/sand_0-5cm_mean.tif")
    for path in sorted(mine.rglob("*"), reverse=True):
        path.chmod(0o555 if path.is_dir() else 0o444)
        os.utime(path, ns=(10**18, 10**18))
    mine.chmod(0o555)

    def state():
        of = {path: os.lstat(path) for path in [mine, *mine.rglob("*")]}
        return {
            str(path): (s.st_mode, s.st_mtime_ns, s.st_ctime_ns, s.st_ino, s.st_nlink, s.st_size)
            for path, s in of.items()
        }, [path.read_bytes() for path in sorted(mine.rglob("*")) if path.is_file()]

    before = state()
    cells = ["resources/raw/dem/N33E102.hgt", "resources/raw/dem/N33E103.hgt"]
    for _ in range(2):  # again, as after a change of the config
        run("modis", mine, FINAL)
        run("elevation", mine, *cells)
        run("soil", mine, "resources/raw/soil/sand_0-5cm_mean.tif")
    assert state() == before
    for path in [mine, *mine.rglob("*")]:
        path.chmod(0o755)  # so that pytest can clear up


def test_a_folder_inside_the_working_folder_is_linked_by_a_relative_path(tmp_path):
    granule(tmp_path / "study/data" / NAME)
    run("modis", "data", FINAL)
    assert os.readlink(FINAL) == f"../../../../../data/{NAME}"
    assert record(FINAL)["address"] == f"file:data/{NAME}"


def test_a_link_of_an_earlier_run_is_replaced(mine):
    granule(mine / OLDER)
    run("modis", mine, FINAL)
    newer = granule(mine / NAME)
    run("modis", mine, FINAL)
    assert Path(FINAL).resolve() == newer and record(FINAL)["superseded"] == [OLDER]


# --- one granule twice ---


def test_equal_copies_are_one(mine, caplog):
    first = granule(mine / "a" / NAME)
    second = mine / "b" / NAME
    put(second, first.read_bytes())
    with caplog.at_level(logging.INFO, "soil-moisture"):
        run("modis", mine, FINAL)
    assert Path(FINAL).resolve() == first
    assert f"{FINAL}: {second} is the same file" in caplog.text
    assert record(FINAL)["superseded"] == []


def test_copies_of_another_size_are_refused(mine):
    first = granule(mine / "a" / NAME)
    second = put(mine / "b" / NAME, first.read_bytes()[:-7])
    size = first.stat().st_size
    assert refused("modis", mine, FINAL) == (
        f"{FINAL}: expected one file in the folder, or copies of one, found two that differ: "
        f"{first} ({size} bytes) and {second} ({size - 7} bytes). Take the wrong one out of the "
        "folder. Nothing was linked."
    )


def test_copies_of_one_size_with_another_content_are_refused(mine):
    first = granule(mine / "a" / NAME)
    second = put(mine / "b" / NAME, first.read_bytes()[:-1] + b"?")
    said = refused("modis", mine, FINAL)
    assert f"found two that differ: {first} (" in said and str(second) in said


def test_a_link_to_the_same_file_is_no_copy(mine, monkeypatch):
    first = granule(mine / "a" / NAME)
    (mine / "b").mkdir()
    (mine / "b" / NAME).symlink_to(first)
    hashed = []
    digest = link_files.digest
    monkeypatch.setattr(link_files, "digest", lambda path: hashed.append(path) or digest(path))
    run("modis", mine, FINAL)
    assert hashed == [first]


# --- what is missing ---


def finals(count):
    days = [f"2012-{month:02d}-{day:02d}" for month in (5, 6, 7) for day in range(1, 20)]
    return [f"resources/raw/modis/MOD11A2/{day}/{TILE}.hdf" for day in days[:count]]


def test_missing_files_are_named_as_they_are_delivered_and_all_are_in_the_log(mine, caplog):
    granule(mine / NAME)
    with caplog.at_level(logging.INFO, "soil-moisture"):
        said = refused("modis", mine, FINAL, *finals(8))
    assert said == (
        "sources.modis: expected a file for each of 9 links in the folder, found none for 8: "
        "MOD11A2.A2012122.h26v05.061.*.hdf, MOD11A2.A2012123.h26v05.061.*.hdf, "
        "MOD11A2.A2012124.h26v05.061.*.hdf, MOD11A2.A2012125.h26v05.061.*.hdf, "
        "MOD11A2.A2012126.h26v05.061.*.hdf and 3 more (see the log). Put the files into the "
        "folder; if the archive truly lacks it, add MOD11A2/2012-05-01/h26v05 to modis.absent."
    )
    assert caplog.text.count("the folder has no MOD11A2") == 8


@pytest.mark.parametrize(
    ("source", "final", "name", "mend"),
    [
        ("elevation", "dem/N33E102.hgt", "N33E102.SRTMGL3.hgt.zip", "N33E102 to terrain.absent"),
        ("elevation", "dem/N33E102.tif", "COG_30_N33_00_E102_00_DEM.tif", "terrain.absent"),
        ("rain", "rain/2012/560.csv", "2012/560.csv or 560_2012.csv", "560/2012 to rain.absent"),
        ("soil", "soil/clay_0-5cm_mean.tif", "clay_0-5cm_mean.tif", "under sources.soil in the"),
        ("smc", "smc/SMC_201206.tif", "*2012*06*.tif", "under sources.smc in the config"),
        ("era5land", "era5land/2012.nc", "*2012*.nc", "under sources.era5land in the config"),
    ],
)
def test_what_is_missing_says_its_name_and_its_mend(mine, source, final, name, mend):
    said = refused(source, mine, f"resources/raw/{final}")
    assert f"sources.{source}: expected a file for each of 1 links" in said
    assert name in said and mend in said


def test_a_link_to_nothing_says_where_it_leads(mine):
    (mine / NAME).symlink_to("/disk/that/is/off.hdf")
    assert refused("modis", mine, FINAL) == (
        f"{mine / NAME}: expected a file, found a link to /disk/that/is/off.hdf, where none is. "
        "Connect the disk it lies on, or fetch its content. Nothing was linked."
    )


def test_collections_are_not_mixed(mine):
    other = FINAL.replace("h26v05", "h26v06")
    granule(mine / NAME)
    six = granule(mine / NAME.replace("h26v05.061", "h26v06.006"), tile="h26v06")
    said = refused("modis", mine, FINAL, other)
    assert said.startswith(f"{six}: expected collection 061 as for 1 other granules of MOD11A2")
    run("modis", mine, other)
    assert Path(other).resolve() == six


# --- what is wrong with granules ---


def test_a_log_in_page(mine):
    path = put(mine / NAME, PAGE)
    assert refused("modis", mine, FINAL) == (
        f"{path}: expected a file for {FINAL}, found text that looks like a web page, probably a "
        "log-in page. Fetch it again, or take it out of the folder. Nothing was linked."
    )


def test_an_empty_file(mine):
    path = put(mine / NAME, b"")
    assert f"{path}: expected a file for {FINAL}, found an empty one." in refused(
        "modis", mine, FINAL
    )


def test_a_message_saved_as_a_granule(mine):
    put(mine / NAME, b'{"error": "invalid_token"}')
    assert "expected an HDF4 granule, found a file that begins with" in refused(
        "modis", mine, FINAL
    )


@pytest.mark.parametrize("left", [0.3, 0.9])
def test_a_granule_cut_short(mine, left):
    path = granule(
        mine / NAME,
        layers={
            **LAYERS,
            LST: np.random.default_rng(1).integers(7500, 16000, (300, 400)),
            QC_DAY: np.zeros((300, 400)),
        },
    )
    content = path.read_bytes()
    path.write_bytes(content[: int(left * len(content))])
    assert "expected a whole HDF4 granule" in refused("modis", mine, FINAL)


def test_damage_inside_a_layer_is_found_although_the_file_opens(mine):
    noise = np.random.default_rng(1).integers(7500, 16000, (300, 400))
    path = granule(mine / NAME, layers={LST: noise, QC_DAY: np.zeros((300, 400))})
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 20000] = bytes(20000)
    path.write_bytes(content)
    said = refused("modis", mine, FINAL)
    assert f"{path}: expected a whole HDF4 granule, found {len(content)} bytes that cannot" in said


@pytest.mark.parametrize(
    ("faults", "said"),
    [
        (dict(tile="h26v06"), "expected tile h26v05, found the corners of h26v06."),
        (dict(day="2012-05-08"), "expected a granule of 2012-04-30, found 2012-05-08 in its"),
        (dict(named="MYD11A2.A2012121.h26v05.061.2021068095141.hdf"), "expected MOD11A2, found M"),
        (dict(scale=1.0), "expected scale_factor 0.02"),
    ],
)
def test_a_granule_under_the_name_of_another(mine, faults, said):
    path = granule(mine / NAME, **faults)
    message = refused("modis", mine, FINAL)
    assert message.startswith(f"{path}: {said}")
    assert "Its name promises something else than it holds: fetch this granule again" in message


def test_a_granule_without_its_quality_layer(mine):
    granule(mine / NAME, layers={LST: LAYERS[LST]})
    assert f"expected layer '{QC_DAY}'" in refused("modis", mine, FINAL)


def test_all_that_is_wrong_is_in_the_log_and_nothing_is_linked(mine, caplog):
    granule(mine / NAME)
    others = [FINAL.replace("h26v05", f"h{h}v06") for h in (25, 26, 27)]
    for link in others:
        put(mine / NAME.replace("h26v05", Path(link).stem), PAGE)
    with caplog.at_level(logging.INFO, "soil-moisture"):
        said = refused("modis", mine, FINAL, *others)
    assert said.endswith("2 more files are wrong (see the log). Nothing was linked.")
    assert caplog.text.count("looks like a web page") == 3


def test_nasas_own_granule_is_linked(mine):
    path = real("modis/MCD43A3.A2017199.h15v07.006.2017208032853.hdf")
    (mine / "mcd43a3.a2017199.h15v07.006.2017208032853.hdf").symlink_to(path)
    final = "resources/raw/modis/MCD43A3/2017-07-18/h15v07.hdf"
    run("modis", mine, final)
    assert Path(final).resolve() == path.resolve()
    assert record(final)["bytes"] == 1327533


# --- elevation ---

CELL = "resources/raw/dem/N33E102.hgt"


def zipped(path, **members):
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def test_a_cell_in_any_case_is_linked(mine):
    path = put(mine / "srtm/n33e102.HGT", HGT)
    run("elevation", mine, CELL)
    assert Path(CELL).resolve() == path


def test_a_zipped_cell_is_unpacked_read_only(mine):
    path = zipped(
        mine / "N33E102.SRTMGL3.hgt.zip", **{"__MACOSX/._N33E102.hgt": b"x", "N33E102.hgt": HGT}
    )
    for _ in range(2):
        run("elevation", mine, CELL)
        assert not Path(CELL).is_symlink() and Path(CELL).read_bytes() == HGT
        assert stat.S_IMODE(os.stat(CELL).st_mode) == 0o444
    told = record(CELL)
    assert told["delivered"] == path.name and told["address"] == f"file:{path}"
    assert told["bytes"] == len(HGT)
    assert told["sha256"] == hashlib.sha256(HGT).hexdigest()


def test_the_producers_own_zip_is_unpacked(mine):
    (mine / "S16E166v2.3a.hgt.zip").symlink_to(real("dem/S16E166v2.3a.hgt.zip"))
    final = "resources/raw/dem/S16E166.hgt"
    run("elevation", mine, final)
    samples = np.fromfile(final, ">i2")
    assert samples.size == 1201**2 and samples.min() == -32768 and samples.max() > 0


def test_a_cell_takes_the_place_of_a_link_without_touching_what_it_led_to(mine):
    path = put(mine / "N33E102.hgt", HGT)
    run("elevation", mine, CELL)
    shutil.copy(path, mine.parent / "kept")
    path.unlink()
    other = np.full((1201, 1201), 7, ">i2").tobytes()
    zipped(mine / "N33E102.hgt.zip", **{"N33E102.hgt": other})
    run("elevation", mine, CELL)
    assert Path(CELL).read_bytes() == other and not path.exists()


def test_a_cell_cut_short(mine):
    path = put(mine / "N33E102.hgt", HGT[:-2])
    assert (
        f"{path}: expected 2884802 bytes (1201 x 1201 samples) or 25934402 (3601 x 3601), "
        "found 2884800 bytes."
    ) in refused("elevation", mine, CELL)


def test_a_zipped_cell_of_another_size(mine):
    zipped(mine / "N33E102.hgt.zip", **{"N33E102.hgt": HGT[:-2]})
    assert "found 2884800 bytes unpacked." in refused("elevation", mine, CELL)


def test_a_zip_cut_short(mine):
    path = zipped(mine / "N33E102.hgt.zip", **{"N33E102.hgt": HGT})
    path.write_bytes(path.read_bytes()[:-30])
    assert f"{path}: expected a whole zip archive" in refused("elevation", mine, CELL)


@pytest.mark.parametrize(
    ("members", "found"),
    [
        ({"N33E103.hgt": HGT}, "found N33E103.hgt."),
        ({"readme.txt": b"x"}, "found none."),
        ({"N33E102.hgt": HGT, "b/N33E102.hgt": HGT}, "found N33E102.hgt, b/N33E102.hgt."),
    ],
)
def test_a_zip_with_another_cell(mine, members, found):
    path = zipped(mine / "N33E102.hgt.zip", **members)
    said = refused("elevation", mine, CELL)
    assert f"{path}: expected one member N33E102.hgt in the zip, {found}" in said


def test_a_zip_whose_member_leads_elsewhere(mine, tmp_path):
    zipped(mine / "N33E102.hgt.zip", **{"../N33E102.hgt": HGT})
    assert "stays inside the archive" in refused("elevation", mine, CELL)
    assert not list(tmp_path.rglob("N33E102.hgt"))


def test_cells_of_two_resolutions_are_refused(mine):
    first = put(mine / "N33E102.hgt", HGT)
    second = put(mine / "N33E103.hgt", bytes(2 * 3601**2))
    assert refused("elevation", mine, CELL, CELL.replace("E102", "E103")) == (
        f"{second}: expected 1201 samples in a degree as in {first}, found 3601 samples in a "
        "degree. Cells of different resolution are not put together: keep those of one in the "
        "folder."
    )


def raster(path, box=(102, 33, 103, 34), shape=(60, 60), crs="EPSG:4326", **more):
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(1).integers(1, 900, shape).astype("int16")
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=shape[0],
        width=shape[1],
        count=1,
        dtype="int16",
        crs=crs,
        transform=from_bounds(*box, shape[1], shape[0]),
        **more,
    ) as file:
        file.write(values, 1)
    return path


COPERNICUS = "Copernicus_DSM_COG_30_N33_00_E102_00_DEM.tif"


def test_a_copernicus_cell_is_linked(mine):
    # Half a pixel to the north-west, as the producer has it.
    half = 1 / 2400
    box = (102 - half, 33 + half, 103 - half, 34 + half)
    path = raster(mine / "a" / COPERNICUS.lower(), box)
    final = CELL.replace(".hgt", ".tif")
    run("elevation", mine, final)
    assert Path(final).resolve() == path


@pytest.mark.parametrize(
    ("box", "crs"), [((103, 33, 104, 34), "EPSG:4326"), ((102, 33, 103, 34), "EPSG:32648")]
)
def test_a_copernicus_cell_that_lies_elsewhere(mine, box, crs):
    path = raster(mine / COPERNICUS, box, crs=crs)
    said = refused("elevation", mine, CELL.replace(".hgt", ".tif"))
    assert f"{path}: expected longitudes 102 to 103 and latitudes 33 to 34, found {box[0]}." in said
    assert crs in said


def test_copernicus_cells_of_two_resolutions(mine):
    raster(mine / COPERNICUS)
    raster(mine / COPERNICUS.replace("30_N33", "10_N34"), (102, 34, 103, 35), (90, 90))
    final = CELL.replace(".hgt", ".tif")
    said = refused("elevation", mine, final, final.replace("N33", "N34"))
    assert "expected 60 samples in a degree as in" in said and "found 90" in said


# --- soil and SMC ---

SAND = "resources/raw/soil/sand_0-5cm_mean.tif"


def test_a_soil_raster_is_linked(mine):
    path = raster(mine / "x/SAND_0-5cm_mean.tiff", crs="+proj=igh +datum=WGS84 +units=m")
    run("soil", mine, SAND)
    assert Path(SAND).resolve() == path


def test_rasters_of_different_size_are_no_error_in_soil(mine):
    raster(mine / "sand_0-5cm_mean.tif")
    raster(mine / "clay_0-5cm_mean.tif", shape=(30, 40))
    run("soil", mine, SAND, SAND.replace("sand", "clay"))


def test_a_raster_cut_short(mine):
    path = raster(mine / "sand_0-5cm_mean.tif", shape=(300, 300))
    path.write_bytes(path.read_bytes()[:90_000])
    assert f"{path}: expected a whole GeoTIFF, found 90000 bytes that cannot be read" in refused(
        "soil", mine, SAND
    )


def test_a_raster_that_is_none(mine):
    put(mine / "sand_0-5cm_mean.tif", b"ncols 10\nnrows 10\n")
    assert "expected a whole GeoTIFF, found 18 bytes" in refused("soil", mine, SAND)


def test_a_raster_that_says_where_it_lies_only_in_a_side_file(mine):
    path = raster(mine / "SMC_201206.tif", crs=None)
    aux = "<PAMDataset><SRS>EPSG:4326</SRS></PAMDataset>"
    put(mine / "SMC_201206.tif.aux.xml", aux.encode())
    with rasterio.open(path) as there:
        assert there.crs is not None
    said = refused("smc", mine, "resources/raw/smc/SMC_201206.tif")
    assert f"{path}: expected a coordinate reference system in the file itself, found none" in said


def test_smc_of_a_month(mine):
    path = raster(mine / "smc 2012-06.tif")
    run("smc", mine, "resources/raw/smc/SMC_201206.tif")
    assert Path("resources/raw/smc/SMC_201206.tif").resolve() == path


# --- rain ---

GAUGE = "resources/raw/rain/2012/56079099999.csv"
HEADER = '"STATION","DATE","NAME","PRCP"\n'
ROW = '"56079099999","2012-01-01","RUO\'ERGAI, CH"," 0.00"\n'


def test_a_rain_table_is_linked(mine):
    path = put(mine / "56079099999_2012.csv", (HEADER + ROW + ROW).encode())
    run("rain", mine, GAUGE)
    assert Path(GAUGE).resolve() == path


def test_noaas_own_table_is_linked(mine):
    (mine / "01001099999.csv").symlink_to(real("gsod/01001099999.csv"))
    final = "resources/raw/rain/2024/01001099999.csv"
    run("rain", mine, final)
    assert record(final)["delivered"] == "01001099999.csv"


def test_a_silent_gauge_has_a_header_only(mine):
    put(mine / "2012/56079099999.csv", HEADER.encode())
    run("rain", mine, GAUGE)
    assert Path(GAUGE).read_text() == HEADER


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("error: not found\n", "expected a GSOD table with columns STATION and DATE, found 'error"),
        (HEADER + ROW + ROW[:30], "expected 4 columns in every row, found 3 in the row of '56079"),
        (
            HEADER + ROW.replace("56079", "56080"),
            "expected station 56079099999 in 2012, found 56080099999 on 2012-01-01.",
        ),
        (HEADER + ROW.replace("2012", "2013"), "in 2012, found 56079099999 on 2013-01-01."),
        (PAGE.decode(), "found text that looks like a web page"),
    ],
)
def test_a_rain_table_that_is_wrong(mine, text, said):
    path = put(mine / "2012/56079099999.csv", text.encode())
    message = refused("rain", mine, GAUGE)
    assert message.startswith(f"{path}: ") and said in message


# --- ERA5-Land ---

YEAR = "resources/raw/era5land/2012.nc"


def netcdf(path, engine="h5netcdf"):
    path.parent.mkdir(parents=True, exist_ok=True)
    layer = xr.Dataset({"swvl1": ("x", np.arange(20000, dtype="float32"))})
    layer.to_netcdf(path, engine=engine)
    return path


@pytest.mark.parametrize("engine", ["h5netcdf", "scipy"])
def test_era5land_of_several_years_is_linked_for_each(mine, engine):
    path = netcdf(mine / "era5land_2009-2018.nc", engine)
    links = [YEAR, YEAR.replace("2012", "2013")]
    run("era5land", mine, *links)
    assert [Path(link).resolve() for link in links] == [path, path]


def test_a_zip_under_the_name_of_netcdf_is_linked(mine):
    path = zipped(mine / "2012.nc", **{"data_stream-moda.nc": b"CDF\x01"})
    run("era5land", mine, YEAR)
    assert Path(YEAR).resolve() == path


@pytest.mark.parametrize("engine", ["h5netcdf", "scipy"])
def test_netcdf_cut_short(mine, engine):
    path = netcdf(mine / "2012.nc", engine)
    path.write_bytes(path.read_bytes()[:40_000])
    assert f"{path}: expected a whole NetCDF file, found 40000 bytes" in refused(
        "era5land", mine, YEAR
    )


def test_grib_and_a_zip_without_netcdf(mine):
    put(mine / "2012.nc", b"GRIB\x00\x00")
    said = refused("era5land", mine, YEAR)
    assert "found a file that begins with b'GRIB" in said and "which is GRIB. Request" in said
    zipped(mine / "2012.nc", **{"data.grib": b"GRIB"})
    assert "expected NetCDF in the zip, found data.grib." in refused("era5land", mine, YEAR)


# --- the disk ---


def test_a_file_that_may_not_be_read(mine, monkeypatch):
    path = granule(mine / NAME)

    def denied(file):
        raise PermissionError(13, "Permission denied", str(file))

    monkeypatch.setattr(link_files, "looks_like_page", denied)
    said = refused("modis", mine, FINAL)
    assert f"{path}: expected a file that can be read, found: Permission denied." in said
