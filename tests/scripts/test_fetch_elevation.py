"""Elevation by both roads from loopback: which cells, what goes wrong, what is left then.

The SRTM road runs earthaccess for real; requests' adapter sends what goes to the https log-in
host to the loopback server over http (tests/earthdata.py). The Copernicus road needs no account.
"""

import hashlib
import io
import json
import stat
import zipfile
from pathlib import Path

import numpy as np
import pytest
import rasterio
import yaml
from rasterio.transform import from_origin

import _download
import fetch_elevation
from _log import UserError
from conftest import real
from earthdata import HOST, TOKEN, Earthdata, reached_by_http, without_credentials
from servers import Fault, Files

CELLS = ["N33E102", "N33E103"]


@pytest.fixture
def earthdata(tmp_path, monkeypatch):
    without_credentials(monkeypatch, tmp_path)
    monkeypatch.setenv("EARTHDATA_TOKEN", TOKEN)
    monkeypatch.setattr("_earthdata.time.sleep", lambda seconds: None)
    monkeypatch.chdir(tmp_path)
    with Earthdata() as service:
        reached_by_http(monkeypatch, service.login)
        yield service


@pytest.fixture
def bucket(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with Files() as server:
        yield server


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Let the pauses between tries pass at once."""
    call = _download._Fetch.__call__

    def without_pauses(self, want):
        wait = self.stop.wait
        self.stop.wait = lambda seconds: wait(0)
        return call(self, want)

    monkeypatch.setattr("_download._Fetch.__call__", without_pauses)


def heights(base=3000):
    """Return the bytes of an .hgt file with a slope and a void."""
    row, col = np.mgrid[:1201, :1201]
    samples = base + row // 4 - col // 8
    samples[600, 600] = -32768
    return samples.astype(">i2").tobytes()


def zipped(**members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def publish(earthdata, cell, body=None, **facts):
    body = zipped(**{f"{cell}.hgt": heights()}) if body is None else body
    name = f"{cell}.SRTMGL3.hgt.zip"
    return earthdata.add(name, body, "SRTMGL3", "003", ending=".zip", **facts)


def run(road, cells, cmr="", address="", tries=2, timeout=5):
    ending = {"srtm": "hgt", "copernicus": "tif"}[road]
    fetch_elevation.main(
        elevation=[f"resources/raw/dem/{cell}.{ending}" for cell in cells],
        road=road,
        store="resources/store/elevation",
        cmr=cmr,
        earthdata=HOST,
        copernicus=address,
        parallel=2,
        tries=tries,
        timeout=timeout,
    )


def raw(name):
    return Path("resources/raw/dem", name)


def pasted(error):
    """Return what a person pastes into the config, as YAML reads it."""
    text = str(error.value)
    return yaml.safe_load(text[text.index("terrain:") :])


# --- SRTM ---


def test_cells_are_unpacked_with_a_record_of_where_they_come_from(earthdata):
    bodies = {cell: zipped(**{f"{cell}.hgt": heights(base)}) for cell, base in
              zip(CELLS, (3000, 4000), strict=True)}  # fmt: skip
    for cell in CELLS:
        publish(earthdata, cell, bodies[cell], Name="Not provided")
    run("srtm", CELLS, earthdata.cmr)
    for cell, base in zip(CELLS, (3000, 4000), strict=True):
        final = raw(f"{cell}.hgt")
        assert final.read_bytes() == heights(base)
        assert not final.stat().st_mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH)
        record = json.loads(final.with_suffix(".json").read_text())
        assert record["delivered"] == f"{cell}.SRTMGL3.hgt.zip"
        assert record["address"].endswith(f"/{cell}.SRTMGL3.hgt/{cell}.SRTMGL3.hgt.zip")
        assert record["bytes"] == 2884802
        assert record["sha256"] == hashlib.sha256(heights(base)).hexdigest()
        assert record["simulated"] is False
        in_store = Path("resources/store/elevation", record["delivered"])
        assert in_store.read_bytes() == bodies[cell]
    assert not list(Path("resources/raw/dem").glob(".*"))


def test_a_second_run_needs_no_network_and_no_log_in(earthdata, monkeypatch):
    publish(earthdata, CELLS[0])
    run("srtm", CELLS[:1], earthdata.cmr)
    raw(f"{CELLS[0]}.hgt").unlink()
    monkeypatch.delenv("EARTHDATA_TOKEN")
    asked = earthdata.asked
    run("srtm", CELLS[:1], earthdata.cmr)
    assert raw(f"{CELLS[0]}.hgt").read_bytes() == heights()
    assert earthdata.asked == asked


def test_only_missing_cells_are_fetched(earthdata):
    publish(earthdata, CELLS[0])
    run("srtm", CELLS[:1], earthdata.cmr)
    publish(earthdata, CELLS[1])
    run("srtm", CELLS, earthdata.cmr)
    assert len(earthdata.bucket.seen) == 2
    assert earthdata.archive.seen[-2].query["readable_granule_name[]"] == ["N33E103.SRTMGL3.*"]


def test_cells_that_the_catalogue_lacks_are_all_named_with_the_lines_to_paste(earthdata):
    publish(earthdata, CELLS[0])
    with pytest.raises(UserError, match="expected elevation of every one-degree cell") as error:
        run("srtm", [*CELLS, "S01W091"], earthdata.cmr)
    assert pasted(error) == {"terrain": {"absent": ["N33E103", "S01W091"]}}
    assert "If they are sea" in str(error.value)
    assert "60 degrees north" in str(error.value)
    assert not earthdata.bucket.seen


def test_a_disk_too_small_for_the_rounded_sizes_is_said_first(earthdata):
    publish(earthdata, CELLS[0], Size=9e9, SizeUnit="GB")
    with pytest.raises(UserError, match="free for elevation"):
        run("srtm", CELLS[:1], earthdata.cmr)
    assert not earthdata.bucket.seen


CELL = CELLS[0]
WRONG = [
    (zipped(**{"N34E102.hgt": b"x"}), "expected N33E102.hgt in it, found N34E102.hgt"),
    (zipped(**{f"{CELL}.hgt": b"\x01" * 2000}), "expected 2884802 bytes of heights .* found 2000"),
    (zipped(**{f"{CELL}.hgt": b"\0" * 2884804}), "at most 2884802 bytes"),
    (
        zipped(**{f"{CELL}.hgt": np.frombuffer(heights(), ">i2").astype("<i2").tobytes()}),
        "expected heights of -500 to 9000 m in big-endian integers, found -",
    ),
    (zipped(**{f"{CELL}.hgt": b"\x80\0" * 1442401}), "found only voids"),
    (zipped(**{"../../N33E102.hgt": b"x"}), "leads elsewhere"),
    (b"\x0e\x03\x13\x01", "expected a whole zip archive"),
    (zipped(**{f"{CELL}.hgt": heights()})[:-2000], "expected a whole zip archive"),
]


@pytest.mark.parametrize(("body", "said"), WRONG, ids=lambda value: str(value)[:30])
def test_a_zip_of_something_else_is_refused_and_the_right_one_taken_later(earthdata, body, said):
    path = publish(earthdata, CELL, body)
    with pytest.raises(UserError, match=said) as error:
        run("srtm", [CELL], earthdata.cmr)
    assert str(error.value).startswith(f"{earthdata.archive.address}{path}: ")
    assert "not kept" in str(error.value) and ".part" not in str(error.value)
    assert not raw(f"{CELL}.hgt").exists()
    assert not Path(f"resources/store/elevation/{CELL}.SRTMGL3.hgt.zip").exists()
    earthdata.bucket.files[path] = zipped(**{f"{CELL}.hgt": heights()})
    run("srtm", [CELL], earthdata.cmr)
    assert raw(f"{CELL}.hgt").read_bytes() == heights()


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (401, "found 401 .*A token that worked before has expired"),
        (403, "found 403 .*approve the applications"),
        (404, "found 404 .*set sources.elevation to the other road"),
        (429, "answered 429"),
        (500, "answered 500"),
        ("login", "found a web page, probably the log-in page"),
        (Fault("stall", after=300, seconds=1), "no answer in time|the connection"),
        (Fault("cut", after=300), "the connection"),
        ("short", "expected a whole zip archive"),
    ],
    ids=str,
)
def test_after_a_fault_a_second_srtm_run_finishes(earthdata, fault, said):
    path = publish(earthdata, CELL)
    kind = fault.kind if isinstance(fault, Fault) else fault
    server = earthdata.archive if kind in (401, 403) else earthdata.bucket
    server.faults[path] = [fault] * 2
    with pytest.raises(UserError, match=said):
        run("srtm", [CELL], earthdata.cmr, timeout=0.5)
    assert not raw(f"{CELL}.hgt").exists()
    assert not Path(f"resources/store/elevation/{CELL}.SRTMGL3.hgt.zip").exists()
    earthdata.archive.faults.clear()
    earthdata.bucket.faults.clear()
    run("srtm", [CELL], earthdata.cmr)
    assert raw(f"{CELL}.hgt").read_bytes() == heights()


def test_no_account_says_where_to_get_one(earthdata, monkeypatch):
    monkeypatch.delenv("EARTHDATA_TOKEN")
    publish(earthdata, CELL)
    with pytest.raises(UserError, match="register at https://"):
        run("srtm", [CELL], earthdata.cmr)


@pytest.mark.parametrize("name", ["N43E006.hgt", "N43E007.hgt"])
def test_real_heights_pass(name):
    path = real(f"dem/{name}")
    fetch_elevation.check_heights(path.read_bytes(), path)


def test_a_real_delivered_zip_is_read(tmp_path):
    """S16E166 with its voids; the member has the name of another edition."""
    archive = real("dem/S16E166v2.3a.hgt.zip")
    with zipfile.ZipFile(archive) as opened:
        content = opened.read(opened.namelist()[0])
    again = tmp_path / "S16E166.SRTMGL3.hgt.zip"
    again.write_bytes(zipped(**{"S16E166.hgt": content}))
    fetch_elevation.unpacked(again, "S16E166", tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == content


# --- Copernicus ---


def tif(lat=33, lon=102, width=1200, kind="float32", crs="EPSG:4326", height=3000.0, moved=0.0):
    """Return a GeoTIFF as the bucket holds it: pixel centres on the degree, the last cut off."""
    samples = np.full((1200, width), height, kind)
    samples[600] += 1
    x, y = 1 / width, 1 / 1200
    transform = from_origin(lon - x / 2 + moved, lat + 1 + y / 2, x, y)
    with rasterio.MemoryFile() as memory:
        with memory.open(
            driver="GTiff", width=width, height=1200, count=1, dtype=kind, crs=crs,
            transform=transform, tiled=True, compress="deflate",
        ) as file:  # fmt: skip
            file.write(samples, 1)
        return memory.read()


def put(bucket, cell, body=None):
    name = f"Copernicus_DSM_COG_30_{cell[:3]}_00_{cell[3:]}_00_DEM"
    lat, lon = fetch_elevation.corner(cell)
    bucket.files[f"/{name}/{name}.tif"] = tif(lat, lon) if body is None else body
    return f"/{name}/{name}.tif"


def test_geotiffs_are_linked_from_their_place_without_an_account(bucket, monkeypatch, tmp_path):
    without_credentials(monkeypatch, tmp_path)
    cells = ["N33E102", "S01W091"]
    paths = [put(bucket, cell) for cell in cells]
    run("copernicus", cells, address=f"{bucket.address}/")
    for cell, path in zip(cells, paths, strict=True):
        final = raw(f"{cell}.tif")
        assert final.is_symlink()
        assert final.read_bytes() == bucket.files[path]
        record = json.loads(final.with_suffix(".json").read_text())
        assert record["delivered"] == path.rsplit("/", 1)[1]
        assert record["address"] == f"{bucket.address}{path}"
        assert record["simulated"] is False
        with rasterio.open(final) as file:
            assert file.read(1)[600, 0] == 3001
    seen = len(bucket.seen)
    run("copernicus", cells, address=f"{bucket.address}/")
    assert len(bucket.seen) == seen


def test_cells_become_narrower_towards_the_pole(bucket):
    put(bucket, "N61E102", tif(61, 102, width=600))
    run("copernicus", ["N61E102"], address=bucket.address)


def test_cells_that_do_not_exist_are_all_named_with_the_lines_to_paste(bucket):
    put(bucket, "N33E102")
    with pytest.raises(UserError, match="take `srtm`. If they are sea") as error:
        run("copernicus", ["N33E102", "N33E103", "N34E102"], address=bucket.address)
    assert pasted(error) == {"terrain": {"absent": ["N33E103", "N34E102"]}}
    assert not raw("N33E102.tif").exists()
    run("copernicus", ["N33E102"], address=bucket.address)  # it was kept
    assert sum("N33_00_E102" in seen.path for seen in bucket.seen) == 1


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (tif(34, 102), "expected a cell from 102, 33 to 103, 34, found one of"),
        (tif(33, 103), "expected a cell from 102, 33 to 103, 34, found one of"),
        (tif(moved=0.01), "expected a cell from 102, 33 to 103, 34, found one of"),
        (tif(kind="int16"), "expected 1 band of float32 in EPSG:4326, found 1 band of int16"),
        (tif(crs="EPSG:32648"), "found 1 band of float32 in EPSG:32648"),
        (tif(height=-9999.0), "expected -500 to 9000 m, found -9999 to -9998"),
        (tif(height=np.nan), "expected -500 to 9000 m, found nan"),
        (tif()[:4000], "expected a whole GeoTIFF, found 4000 bytes that cannot be read"),
        (b"<html>Sign in to this network</html>", "expected a whole GeoTIFF, found a web page"),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, str) else "",
)
def test_a_file_that_is_not_the_cell_is_refused(bucket, body, said):
    path = put(bucket, "N33E102", body)
    with pytest.raises(UserError, match=said) as error:
        run("copernicus", ["N33E102"], address=bucket.address)
    assert str(error.value).startswith(f"{bucket.address}{path}: ")
    assert "not kept" in str(error.value)
    assert not raw("N33E102.tif").exists()
    put(bucket, "N33E102")
    run("copernicus", ["N33E102"], address=bucket.address)
    assert raw("N33E102.tif").exists()


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (401, "found 401 .*look at addresses.copernicus"),
        (403, "found 403 .*look at addresses.copernicus"),
        (500, "answered 500"),
        (Fault("stall", after=300, seconds=1), "no answer in time|the connection"),
        (Fault("cut", after=300), "the connection"),
        ("short", "expected a whole GeoTIFF"),
    ],
    ids=str,
)
def test_after_a_fault_a_second_copernicus_run_finishes(bucket, fault, said):
    path = put(bucket, "N33E102")
    bucket.faults[path] = [fault] * 2
    with pytest.raises(UserError, match=said):
        run("copernicus", ["N33E102"], address=bucket.address, timeout=0.5)
    assert not raw("N33E102.tif").exists()
    bucket.faults.clear()
    run("copernicus", ["N33E102"], address=bucket.address)
    assert raw("N33E102.tif").read_bytes() == bucket.files[path]
