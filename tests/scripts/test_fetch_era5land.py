"""ERA5-Land through cdsapi itself, against a server that answers as the Climate Data Store does."""

import hashlib
import io
import json
import os
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import requests
import xarray as xr

import _log
import fetch_era5land
import read_era5land
from _log import UserError
from conftest import ROOT
from fetch_era5land import DATASET, name_of, request_of
from products import API, EXECUTE, FILE, KEY, Cds
from servers import Fault

BOX = [102.0, 33.6, 102.7, 34.19]
MONTHS = [5, 6]


def dataset(year="2010", months=MONTHS, north=34.3, west=101.9, name="swvl1", engine="h5netcdf"):
    lat, lon = north - 0.1 * np.arange(9), west + 0.1 * np.arange(10)
    times = pd.to_datetime([f"{year}-{month:02d}-01" for month in months])
    values = np.random.default_rng(1).uniform(0.2, 0.5, (len(times), 9, 10)).astype("float32")
    coords = {"valid_time": times, "latitude": lat, "longitude": lon}
    layer = xr.DataArray(values, coords, list(coords)).assign_coords(number=0)
    return bytes(layer.to_dataset(name=name).to_netcdf(engine=engine))


def zipped(**members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.fixture
def cds(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("CDSAPI_URL", "CDSAPI_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CDSAPI_RC", str(tmp_path / "cdsapirc"))
    (tmp_path / "cdsapirc").write_text(f"key: {KEY}\n")
    monkeypatch.setattr(fetch_era5land, "LOOK", (0.01, 0.02))
    monkeypatch.setattr(fetch_era5land, "LONGEST", 0)
    monkeypatch.setattr("_download.LONGEST", 0)
    with Cds() as server:
        server.files[FILE] = dataset()
        yield server


def job(server) -> tuple[str, str]:
    """Run the script as a job does; return its log and what it wrote to the terminal."""
    code = (
        "import fetch_era5land as script, _log\n"
        "_log.log_to('log.txt')\n"
        "script.LOOK = (0.01, 0.02)\n"
        f"script.main('resources/raw/era5land/2010.nc', '2010', {MONTHS}, {BOX}, "
        f"'resources/store/era5land', '{server.address}/api', 3, 5)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(ROOT / "workflow" / "scripts")},
        capture_output=True,
        text=True,
        check=False,
    )
    return Path("log.txt").read_text(), ended.stdout + ended.stderr


def run(server, year="2010", months=MONTHS, box=BOX, tries=3, timeout=1):
    final = f"resources/raw/era5land/{year}.nc"
    fetch_era5land.main(
        final,
        year,
        months,
        box,
        "resources/store/era5land",
        f"{server.address}/api",
        tries,
        timeout,
    )
    return Path(final)


def made(pattern="[!.]*"):
    return sorted(path.name for path in Path("resources").rglob(pattern) if path.is_file())


def is_right(server, final):
    assert final.read_bytes() == server.files[FILE]
    assert not os.stat(final).st_mode & stat.S_IWUSR
    out = [f"results/interim/era5land/2010-{month:02d}.tif" for month in MONTHS]
    read_era5land.main(str(final), out)
    # What CDS delivers under any name lies in the store once, and nothing unfinished beside it.
    assert made(".*") == []


def test_a_request_asks_for_whole_cells_around_the_box_and_one_more():
    request = request_of("2010", [10, 5], BOX)
    assert request["area"] == [34.3, 101.9, 33.5, 102.8]  # N, W, S, E
    assert (request["year"], request["month"]) == (["2010"], ["05", "10"])
    assert request_of(2010, [5], [97.34, 27.96, 104.75, 35.58])["area"] == [35.7, 97.2, 27.8, 104.9]


def test_an_area_ends_at_the_edges_of_the_world_and_never_at_minus_zero():
    area = request_of("2010", [5], [-180, -0.1, 180, 89.95])["area"]
    assert area == [90, -180, -0.2, 180]
    assert "-0.0" not in str(request_of("2010", [5], [0.1, 0.1, 1, 1])["area"])


def test_another_box_or_other_months_are_another_file():
    names = {
        name_of(request_of(*asked))
        for asked in [
            ("2010", [5], BOX),
            ("2010", [5, 6], BOX),
            ("2011", [5], BOX),
            ("2010", [5], [102.0, 33.6, 102.9, 34.19]),
        ]
    }
    assert len(names) == 4


def test_the_year_comes_through_a_job(cds):
    log, terminal = job(cds)
    final = Path("resources/raw/era5land/2010.nc")
    is_right(cds, final)
    assert cds.accepted == [request_of("2010", MONTHS, BOX)]
    record = json.loads(final.with_suffix(".json").read_text())
    assert record["address"] == f"{cds.address}{FILE}"
    assert record["request"] == cds.accepted[0]
    assert record["sha256"] == hashlib.sha256(cds.files[FILE]).hexdigest()
    for text in (log, terminal):
        assert "ERA5-Land of 2010: running at CDS, 0 min (job job-1)" in text
        assert "ERA5-Land of 2010: 1 of 1 files" in text
    assert "Request ID is job-1" in log
    # cdsapi itself is quiet: no bar and no lines of its own.
    assert len(terminal.splitlines()) == 4, terminal


def test_a_second_run_needs_neither_network_nor_token(cds):
    run(cds)
    before = len(cds.seen)
    Path("cdsapirc").unlink()
    is_right(cds, run(cds))
    assert len(cds.seen) == before


@pytest.mark.parametrize("where", ["file", "environment"])
def test_no_secret_is_written_or_sent_elsewhere(cds, where, monkeypatch):
    Path("cdsapirc").rename("../cdsapirc")
    monkeypatch.setenv("CDSAPI_RC", "../cdsapirc")
    if where == "environment":
        Path("../cdsapirc").unlink()
        monkeypatch.setenv("CDSAPI_KEY", KEY)
    cds.failure = (400, {"title": "job failed", "detail": f"made for {KEY}"})
    cds.states = ["failed"]
    refused = job(cds)
    cds.states = ["successful"]
    finished = job(cds)
    is_right(cds, Path("resources/raw/era5land/2010.nc"))
    for text in refused:  # the service repeats the key, what is written is without
        assert "job failed - made for ***" in text
    assert "news for ***" in finished[0]
    assert KEY not in "".join(refused + finished)
    written = [path for path in Path().rglob("*") if path.is_file()]
    assert len(written) > 5
    assert not any(KEY.encode() in path.read_bytes() or KEY in str(path) for path in written)
    fetched = [one for one in cds.seen if one.path == FILE]
    assert fetched and not any(KEY in str(one.headers) for one in fetched)


def test_the_environment_counts_before_the_file_and_the_file_before_the_config(cds, monkeypatch):
    url = f"{cds.address}/api"
    Path("cdsapirc").write_text(f"url: {url}/\nkey: wrong\n")
    monkeypatch.setenv("CDSAPI_KEY", KEY)
    assert fetch_era5land.credentials("http://127.0.0.1:1/api") == (url, KEY)
    monkeypatch.setenv("CDSAPI_URL", "http://127.0.0.1:2/api")
    assert fetch_era5land.credentials("x") == ("http://127.0.0.1:2/api", KEY)
    monkeypatch.delenv("CDSAPI_KEY")
    assert fetch_era5land.credentials("x")[1] == "wrong"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "expected a token .* as key: in .*cdsapirc, found none. Make an account at https"),
        ("url: http://127.0.0.1:1/api\n", "127.0.0.1:1: expected a token .* found none"),
        ("key: 1234:abcd-efgh\n", r"of another form, such as the UID:KEY .*\(the value is not"),
        ("key: two words\n", "something of another form"),
        ("key: 3f0e1c52\u2013d71\n", "something of another form"),
        (f"url: http://127.0.0.1:1/api/v2\nkey: {KEY}\n", "that of the old one, .* Remove /v2"),
        (b"\xff\xfe", r"cdsapirc: expected lines url: and key:, found a file that cannot be read"),
    ],
)
def test_what_is_wrong_with_the_credentials_is_said_before_any_request(cds, content, message):
    Path("cdsapirc").unlink()
    if content is not None:
        Path("cdsapirc").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError, match=message) as error:
        run(cds)
    assert cds.seen == []
    assert "abcd-efgh" not in str(error.value) and "two words" not in str(error.value)


def test_a_refused_token_says_how_to_get_one(cds):
    Path("cdsapirc").write_text("key: expired\n")
    with pytest.raises(
        UserError, match=r"found 401 \(.*\)\. .* not accept your token. Make an acc"
    ):
        run(cds)
    Path("cdsapirc").write_text(f"key: {KEY}\n")
    is_right(cds, run(cds))


def test_a_licence_that_is_not_accepted_names_the_page(cds):
    cds.licence = False
    with pytest.raises(UserError) as error:
        run(cds)
    page = f"{cds.address}/datasets/{DATASET}"
    assert "found 403 (required licences not accepted - please accept)" in str(error.value)
    assert f"log in at {page}, choose Download, and accept" in str(error.value)
    assert page in _log.scrubbed(str(error.value))  # nothing of it is taken for a signature
    cds.licence = True
    is_right(cds, run(cds))


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (404, "found 404 .* Is the address that of a Climate Data Store"),
        (400, "found 400 .* Look at .* whether it has the months and the area"),
    ],
)
def test_other_refusals_are_named(cds, status, message):
    cds.faults[EXECUTE] = [Fault(status)]
    with pytest.raises(UserError, match=message):
        run(cds)
    assert made() == []
    is_right(cds, run(cds))


@pytest.mark.parametrize(("status", "code"), [("failed", 400), ("failed", 500), ("rejected", 400)])
def test_a_job_that_fails_shows_the_reason_and_the_next_run_asks_anew(cds, status, code):
    cds.states, cds.failure = ["running", status], (code, cds.failure[1])
    with pytest.raises(UserError, match=rf"job job-1 {status}: job failed - MultiAdaptorNoDataE"):
        run(cds)
    assert made() == []
    cds.states = ["successful"]
    is_right(cds, run(cds))
    assert list(cds.jobs) == ["job-1", "job-2"]


def test_a_job_that_was_dismissed_is_named(cds):
    cds.states = ["accepted", "dismissed"]
    with pytest.raises(UserError, match="found job job-1 dismissed: no reason given"):
        run(cds)


class Stop(Exception):
    pass


def test_a_run_that_was_ended_goes_on_with_its_job(cds, monkeypatch, caplog):
    cds.states = ["accepted", "running", "running", "running", "successful"]

    def ended(seconds):
        raise Stop

    with monkeypatch.context() as patch, pytest.raises(Stop):
        patch.setattr(fetch_era5land.time, "sleep", ended)
        run(cds)
    with caplog.at_level("INFO"):
        is_right(cds, run(cds))
    assert list(cds.jobs) == ["job-1"]
    assert "CDS: goes on with job job-1" in caplog.text


def test_a_job_of_another_request_is_not_taken(cds, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(Stop):
        patch.setattr(fetch_era5land.Store, "wait", lambda *_: (_ for _ in ()).throw(Stop))
        run(cds)
    note = next(Path("resources/store/era5land").glob(".*.job"))
    note.write_text(note.read_text().replace('"05"', '"04"'))
    is_right(cds, run(cds))
    assert list(cds.jobs) == ["job-1", "job-2"]


def test_a_job_that_is_gone_is_asked_for_anew(cds):
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Stop):
        patch.setattr(fetch_era5land.Store, "wait", lambda *_: (_ for _ in ()).throw(Stop))
        run(cds)
    cds.jobs["other"] = cds.jobs.pop("job-1")
    is_right(cds, run(cds))
    assert len(cds.accepted) == 2


def test_a_result_that_expired_is_asked_for_anew_by_the_next_run(cds):
    cds.expired.add("job-1")
    with pytest.raises(UserError, match=r"result of job job-1, found 404 \(results expired\)\. It"):
        run(cds)
    is_right(cds, run(cds))
    assert list(cds.jobs) == ["job-1", "job-2"]


@pytest.mark.parametrize("status", [403, 404])
def test_a_file_that_is_gone_is_asked_for_anew_by_the_next_run(cds, status):
    cds.faults[FILE] = [Fault(status)]
    with pytest.raises(
        UserError, match=f"found {status} from the Climate Data Store.* for a while"
    ):
        run(cds)
    assert made() == []
    is_right(cds, run(cds))
    assert list(cds.jobs) == ["job-1", "job-2"]


FAULTS = [
    Fault(429, {"Retry-After": "0"}),
    Fault(503),
    Fault("stall", after=5, seconds=1.0),
    Fault("cut", after=5),
    Fault("short"),
    Fault("login"),
]


@pytest.mark.parametrize(
    ("where", "fault"),
    [(where, fault) for where in (EXECUTE, f"{API}/jobs/job-1") for fault in FAULTS]
    + [(f"{API}/processes/{DATASET}", FAULTS[0]), (f"{API}/jobs/job-1/results", FAULTS[1])],
)
def test_a_passing_fault_of_the_service_is_passed(cds, where, fault, caplog):
    cds.faults[where] = [fault]
    with caplog.at_level("INFO"):
        is_right(cds, run(cds, timeout=0.4))
    assert cds.count(where) > 1
    assert "; try 2 in 0 s" in caplog.text


@pytest.mark.parametrize(
    "fault",
    [Fault(429, {"Retry-After": "0"}), Fault(500), Fault("stall", seconds=1.0), Fault("cut")],
    ids=lambda fault: str(fault.kind),
)
def test_a_passing_fault_of_the_file_is_passed(cds, fault, monkeypatch):
    monkeypatch.setattr("_download.PIECE", 500)
    cds.faults[FILE] = [fault]
    is_right(cds, run(cds, timeout=0.4))
    assert cds.count(FILE) == 2
    resumed = [one for one in cds.seen if one.path == FILE][1].headers.get("range")
    assert bool(resumed) is (fault.kind in ("stall", "cut"))


@pytest.mark.parametrize("kind", ["short", "login"])
def test_a_file_of_another_size_gets_no_name(cds, kind):
    cds.faults[FILE] = [Fault(kind)] * 2
    with pytest.raises(UserError, match=r"after 2 tries: \d+ bytes instead of the \d+ published"):
        run(cds, tries=2)
    assert made() == []
    is_right(cds, run(cds))
    assert list(cds.jobs) == ["job-1"]  # the same job, its file once more


def test_retry_after_is_kept_to(cds, monkeypatch):
    pauses = []
    monkeypatch.setattr(fetch_era5land, "LONGEST", 600)
    monkeypatch.setattr(fetch_era5land, "LOOK", (0.0, 0.0))
    monkeypatch.setattr(fetch_era5land.time, "sleep", lambda seconds: pauses.append(seconds))
    cds.faults[EXECUTE] = [Fault(429, {"Retry-After": "17"}), Fault(500)]
    run(cds)
    assert [pause for pause in pauses if pause] == [17, 4]


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (Fault(503), "after 2 tries: it answered 503. If the address is right"),
        (Fault("login"), r"an answer that is not JSON \(a log-in page"),
        (Fault("cut", after=5), "the connection broke"),
    ],
    ids=["503", "login", "cut"],
)
def test_a_lasting_fault_is_named(cds, fault, message):
    cds.faults[f"{API}/jobs/job-1"] = [fault] * 2
    with pytest.raises(UserError, match=message):
        run(cds, tries=2)
    is_right(cds, run(cds))
    assert list(cds.jobs) == ["job-1"]


def test_an_answer_of_another_form_is_named(cds, monkeypatch):
    monkeypatch.setattr(cds, "job", lambda name: {"jobID": name})
    with pytest.raises(UserError, match="an answer of another form than those of CDS"):
        run(cds, tries=2)


@pytest.mark.parametrize("engine", ["h5netcdf", "scipy"])
def test_a_zip_in_disguise_is_kept_as_delivered_and_read(cds, engine):
    cds.files[FILE] = zipped(
        **{
            "data_stream-moda_stepType-avgad.nc": dataset(name="tp"),
            "data_stream-moda_stepType-avgua.nc": dataset(engine=engine),
        }
    )
    is_right(cds, run(cds))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (zipped(**{"../swvl1.nc": dataset()}), r"expected a name that stays .*'\.\./swvl1.nc'"),
        (zipped(**{"readme.txt": b"x"}), "expected variable swvl1 .* found no NetCDF file"),
        (dataset(name="tp"), "expected variable swvl1 .* found tp"),
        (dataset(months=[5]), "expected monthly means of 2010-05, 2010-06, found 2010-05. If CDS"),
        (dataset(year="2011"), "found 2011-05, 2011-06"),
        (dataset(months=[5, 5, 6]), "expected each month once, found 2010-05 again"),
        (
            dataset(north=44.3),
            "expected cells around 102.0, 33.6, 102.7, 34.19 .* found 101.9, 43.5",
        ),
        (dataset(west=102.2), "expected cells around .* found 102.2, 33.5, 103.1, 34.3"),
        (dataset(west=101.5), "expected cells around .* found 101.5, 33.5, 102.4, 34.3"),
        (dataset()[:2000], "expected whole NetCDF, found a file that cannot be read"),
        (b"<!DOCTYPE html><html>", "expected NetCDF, found a web page"),
        (b"GRIB0123456789", "found a file that begins with b'GRIB"),
    ],
    ids=[
        "../",
        "zip",
        "tp",
        "month",
        "year",
        "twice",
        "north",
        "east",
        "west",
        "cut",
        "page",
        "grib",
    ],
)
def test_what_is_not_what_was_asked_for_gets_no_name(cds, content, message):
    cds.files[FILE] = content
    with pytest.raises(UserError, match=message):
        run(cds)
    assert made() == []
    cds.files[FILE] = dataset()
    is_right(cds, run(cds))


def test_more_months_and_cells_than_asked_for_are_fine(cds):
    cds.files[FILE] = dataset(months=range(1, 13), north=34.4)
    is_right(cds, run(cds))


def test_the_protocol_is_that_of_the_library():
    """What this server answers is read by cdsapi itself: no part of it is a stand-in."""
    import cdsapi
    from ecmwf.datastores.legacy_client import LegacyClient

    with Cds() as server:
        server.files[FILE] = dataset()
        client = cdsapi.Client(f"{server.address}/api", KEY, quiet=True, progress=False)
        assert isinstance(client, LegacyClient)
        server.states = ["successful"]
        results = client.retrieve(DATASET, request_of("2010", MONTHS, BOX))
        assert requests.get(results.location, timeout=5).content == server.files[FILE]
