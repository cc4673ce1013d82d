"""A clip from an AppEEARS on loopback: submitted, awaited, resumed, refused; no secret anywhere."""

import base64
import hashlib
import json
import os
import subprocess
import sys
import time
from collections import defaultdict
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

import _download
import fetch_appeears
from _log import UserError
from clips import make_clip
from conftest import ROOT
from fetch_appeears import edges, parameters, polygon, ranges
from granules import LST, QC_DAY
from index_modis import nearest_pixel
from servers import Fault, Files

BOX = [102.1, 33.8, 102.2, 33.9]
DAYS = ["2012-04-30", "2012-05-08"]
USER, PASSWORD, TOKEN = "someone", "correct horse battery", "r0HkNQtYquKjkOZbY"
BASIC = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
NAME = "MOD11A2.061_1km_aid0001.nc"


class AppEEARS(Files):
    """AppEEARS as its tutorials show it; `statuses` are what a task says at each look."""

    def __init__(self, clip: bytes):
        super().__init__()
        self.clip = clip
        self.statuses = ["pending", "processing", "done"]
        self.looks = defaultdict(int)
        self.requests, self.gone, self.expired = [], set(), set()
        self.ended, self.lives = {}, {}
        self.token, self.error, self.sha256 = TOKEN, "Internal error: no granule", None
        self.bundle_names = [NAME, "README.md", "MOD11A2-061-Statistics.csv"]
        self.elsewhere, self.published = None, True

    def said(self, code, /, **found):
        return code, {"Content-Type": "application/json"}, json.dumps(found).encode()

    def answer(self, request):
        _, _, what, *parts = request.path.split("/")
        sent = request.headers.get("authorization", "")
        if what == "login":
            if sent != f"Basic {BASIC}":
                return self.said(401, message="Invalid username or password")
            return self.said(
                200, token_type="Bearer", token=self.token, expiration="2030-01-01T00:00:00Z"
            )
        if sent != f"Bearer {self.token}":
            return self.said(401, message="Missing or invalid token")
        if what == "task" and request.method == "POST":
            self.requests.append(json.loads(request.body))
            return self.said(202, task_id=f"task-{len(self.requests)}", status="pending")
        task = parts[0]
        if task in self.gone:
            return self.said(404, message="Not Found")
        if what == "task":
            look = min(self.looks[task], len(self.statuses) - 1)
            self.looks[task] += 1
            status = self.ended.get(task, self.statuses[look])
            error = self.error if status == "error" else None
            lives = self.lives.get(task, "2099-01-31T02:08:33.750654")
            return self.said(200, task_id=task, status=status, error=error, expires_on=lives)
        if what == "status":
            return self.said(200, task_id=task, progress={"summary": 40, "details": []})
        if task in self.expired:
            return self.said(404, message="Not Found")
        if len(parts) == 1:
            files = [
                {"file_id": f"id-{k}", "file_name": name, "file_type": name.rsplit(".", 1)[1]}
                for k, name in enumerate(self.bundle_names)
            ]
            if self.published:
                sha256 = self.sha256 or hashlib.sha256(self.clip).hexdigest()
                files = [f | {"file_size": len(self.clip), "sha256": sha256} for f in files]
            return self.said(200, files=files, bundle_id=task)
        if self.elsewhere:
            return 302, {"Location": f"{self.elsewhere}/signed?signature=abc"}, b""
        return self.file(request, self.clip)

    def count(self, method, prefix):
        return sum(r.method == method and r.path.startswith(prefix) for r in self.seen)


def lst_clip(path, days=DAYS, margin=3, **faults):
    """A clip of LST that covers BOX and `margin` pixels more."""
    rows, cols = edges(BOX, 4)
    shape = len(days), rows.stop - rows.start + 2 * margin, cols.stop - cols.start + 2 * margin
    layers = {LST: np.full(shape, 14000), QC_DAY: np.zeros(shape)}
    row, col = rows.start - margin, cols.start - margin
    return Path(make_clip(path, "MOD11A2", days, layers, row, col, **faults))


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return lst_clip(tmp_path_factory.mktemp("appeears") / "clip.nc").read_bytes()


@pytest.fixture
def server(clip):
    with AppEEARS(clip) as server:
        yield server


class Run:
    def __init__(self, root, server):
        self.store, self.clip = root / "store" / "appeears", root / "raw" / "lst" / "2012.nc"
        self.server, self.log = server, None

    def __call__(self, days=DAYS, tries=3, timeout=5, address=None):
        address = address or f"{self.server.address}/api/"
        fetch_appeears.main(
            str(self.clip), "lst", days, BOX, str(self.store), address, tries, timeout
        )
        return self.clip.read_bytes()

    def refused(self, match, **options):
        with pytest.raises(UserError, match=match) as told:
            self(**options)
        for secret in (PASSWORD, TOKEN, BASIC):
            assert secret not in str(told.value)
        assert not self.clip.exists() and not list(self.store.rglob("*.nc"))
        return str(told.value)


@pytest.fixture
def run(tmp_path, server, monkeypatch, caplog, capfd):
    monkeypatch.setenv("EARTHDATA_USERNAME", USER)
    monkeypatch.setenv("EARTHDATA_PASSWORD", PASSWORD)
    monkeypatch.delenv("EARTHDATA_TOKEN", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    monkeypatch.setattr(fetch_appeears, "PAUSE", 0.01)
    for module in (fetch_appeears, _download):
        monkeypatch.setattr(module, "LONGEST", 0)  # seconds between two tries
    caplog.set_level("INFO", "soil-moisture")
    folder = tmp_path / "work"
    yield Run(folder, server)
    written = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    written += [caplog.text.encode(), "".join(capfd.readouterr()).encode()]
    for secret in (PASSWORD, TOKEN, BASIC, "signature=abc"):
        assert not any(secret.encode() in text for text in written)


# --- what is asked for ---


def test_the_area_is_held_with_a_margin_and_its_meridians_are_followed():
    box = [97.34, 27.96, 104.75, 35.58]
    (feature,) = polygon(box)["features"]
    ring = np.array(feature["geometry"]["coordinates"][0])
    assert (ring[0] == ring[-1]).all()
    # Joined by straight lines on the sinusoidal grid, as a server may do it, the polygon still
    # holds every point of the box; three pixels of 1 km further out it still does.
    x, y = ring[:, 0] * np.cos(np.radians(ring[:, 1])), ring[:, 1]
    half = len(ring) // 2
    for latitude in np.linspace(27.96, 35.58, 1999):
        east = np.interp(latitude, y[:half], x[:half])
        west = np.interp(latitude, y[half:-1][::-1], x[half:-1][::-1])
        shrink = np.cos(np.radians(latitude))
        assert east - 104.75 * shrink > 0.025 and 97.34 * shrink - west > 0.025
    assert y.min() <= 27.93 and y.max() >= 35.61


def test_a_box_at_the_end_of_the_world_stays_on_it():
    ring = np.array(polygon([179.99, 89.0, 180.0, 90.0])["features"][0]["geometry"]["coordinates"])
    assert ring[..., 0].max() == 180 and ring[..., 1].max() == 90


def test_dates_are_joined_where_nothing_lies_between_them():
    first = date(2012, 4, 30)
    every8 = [first + timedelta(8 * k) for k in range(4)]
    assert ranges(every8, 8) == [{"startDate": "04-30-2012", "endDate": "05-24-2012"}]
    # The daily albedo is asked for on the days that are used.
    assert ranges(every8[:2], 1) == [
        {"startDate": "04-30-2012", "endDate": "04-30-2012"},
        {"startDate": "05-08-2012", "endDate": "05-08-2012"},
    ]
    # 26 December and 1 January are neighbours in an 8-day calendar.
    assert len(ranges([date(2012, 12, 26), date(2013, 1, 1)], 8)) == 1
    assert len(ranges([date(2012, 5, 8), date(2012, 8, 4)], 8)) == 2


@pytest.mark.parametrize(
    ("variable", "product", "layers", "parts"),
    [
        ("ndvi", "MOD13Q1.061", ["_250m_16_days_NDVI", "_250m_16_days_pixel_reliability",
                                 "_250m_16_days_VI_Quality"], 2),
        ("lst", "MOD11A2.061", ["LST_Day_1km", "QC_Day"], 2),
        ("et", "MOD16A2GF.061", ["ET_500m", "ET_QC_500m"], 2),
        ("albedo", "MCD43A3.061", ["Albedo_WSA_shortwave",
                                   "BRDF_Albedo_Band_Mandatory_Quality_shortwave"], 3),
    ],
)  # fmt: skip
def test_what_a_task_asks_for(variable, product, layers, parts):
    days = [date(2012, 5, 1), date(2012, 5, 9), date(2012, 8, 5)]
    found = parameters(variable, days, BOX)
    assert found["layers"] == [{"product": product, "layer": layer} for layer in layers]
    assert found["output"] == {"format": {"type": "netcdf4"}, "projection": "native"}
    assert len(found["dates"]) == parts
    assert found["geo"]["features"][0]["geometry"]["type"] == "Polygon"


def test_edges_of_a_box_are_those_of_its_pixels():
    longitude, latitude = np.meshgrid(
        np.linspace(97.34, 104.75, 400), np.linspace(-5.2, 35.58, 400)
    )
    row, col = nearest_pixel(longitude, latitude)
    rows, cols = edges([97.34, -5.2, 104.75, 35.58], 1)
    assert (rows.start, rows.stop - 1) == (row.min(), row.max())
    assert cols.start <= col.min() <= cols.start + 1 and abs(cols.stop - 1 - col.max()) <= 1


# --- the way of a task ---


def test_a_clip_is_submitted_awaited_and_fetched(run, server, clip, caplog):
    assert run() == clip
    (body,) = server.requests
    assert body["task_type"] == "area" and "-" not in body["task_name"]
    assert body["params"] == parameters("lst", [date.fromisoformat(d) for d in DAYS], BOX)
    assert run.clip.is_symlink()
    record = json.loads(run.clip.with_suffix(".json").read_text())
    assert record["delivered"] == NAME
    assert record["address"] == f"{server.address}/api/bundle/task-1/id-0"
    assert record["sha256"] == hashlib.sha256(clip).hexdigest()
    assert not os.access(run.clip, os.W_OK) or os.geteuid() == 0
    said = [m for m in caplog.messages if "AppEEARS says" in m]
    assert ["pending" in said[0], "processing, 40 %" in said[1], len(said)] == [True, True, 2]
    assert server.count("POST", "/api/login") == 1


def test_a_second_run_needs_neither_network_nor_log_in(run, clip, monkeypatch):
    run()
    run.clip.unlink()
    monkeypatch.delenv("EARTHDATA_USERNAME")
    assert run(address="http://127.0.0.1:9/api/") == clip


def test_other_dates_are_another_request(run, server, tmp_path):
    run()
    server.clip = lst_clip(tmp_path / "other.nc", days=DAYS[:1]).read_bytes()
    run(days=DAYS[:1])
    assert len(server.requests) == 2
    assert len(list(run.store.glob("*.json"))) == 2


def test_a_killed_run_goes_on_waiting_for_its_task(run, server, clip):
    server.statuses = ["pending"] * 10_000
    code = (
        "import fetch_appeears as f; f.PAUSE = f.LONGEST_PAUSE = 0.05; "
        f"f.main({str(run.clip)!r}, 'lst', {DAYS!r}, {BOX!r}, {str(run.store)!r}, "
        f"'{server.address}/api/', 3, 5)"
    )
    job = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT / "workflow" / "scripts",
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    limit = time.monotonic() + 30
    while server.count("GET", "/api/task/task-1") < 2 and time.monotonic() < limit:
        time.sleep(0.02)
    job.kill()
    job.wait()
    assert not run.clip.exists()
    server.statuses = ["processing", "done"]
    assert run() == clip
    assert len(server.requests) == 1


def test_a_download_that_was_cut_goes_on_where_it_stopped(run, server, clip, monkeypatch):
    server.faults["/api/bundle/task-1/id-0"] = [Fault("cut", after=3000)]
    assert run() == clip
    ranges = [r.headers.get("range") for r in server.seen if r.path.endswith("id-0")]
    assert ranges == [None, "bytes=3000-"]


@pytest.mark.parametrize("fault", ["stall", "short", "login", 429, 500, 503])
def test_a_download_is_tried_again(run, server, clip, fault):
    headers = {"Retry-After": "0"}
    server.faults["/api/bundle/task-1/id-0"] = [Fault(fault, headers, seconds=1.5)]
    assert run(timeout=1) == clip


def test_a_log_in_page_instead_of_the_file_is_named(run, server):
    # Without a size and a checksum to compare, only the content tells.
    server.published = False
    server.faults["/api/bundle/task-1/id-0"] = ["login"]
    run.refused("expected a NetCDF-4 file of AppEEARS, found text that looks like a web page")


def test_a_wrong_checksum_is_never_kept(run, server):
    server.sha256 = "0" * 64
    run.refused(r"found after 2 tries: sha256 \w+ instead of the 0{64} published", tries=2)


def test_a_signed_address_gets_no_log_in(run, server, clip, tmp_path, monkeypatch):
    (tmp_path / "netrc").write_text("default login nobody password nothing\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with Files({"/signed": clip}) as bucket:
        server.elsewhere = bucket.address
        assert run() == clip
    (asked,) = bucket.seen
    assert "authorization" not in asked.headers


def test_a_default_of_netrc_does_not_replace_the_token(run, clip, tmp_path, monkeypatch):
    (tmp_path / "netrc").write_text("default login nobody password nothing\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert run() == clip


@pytest.mark.parametrize("path", ["login", "task", "task/task-1", "status/task-1", "bundle/task-1"])
@pytest.mark.parametrize("fault", [429, 500, 504])
def test_busy_services_are_asked_again(run, server, clip, path, fault):
    server.faults[f"/api/{path}"] = [Fault(fault, {"Retry-After": "0"})]
    assert run() == clip
    assert len(server.requests) == 1


def test_a_call_without_answer_is_tried_again(run, server, clip):
    server.faults["/api/task/task-1"] = [Fault("stall", after=5, seconds=1.5), Fault("cut")]
    assert run(timeout=1) == clip


def test_a_service_that_stays_busy_is_named(run, server):
    server.faults["/api/task"] = [Fault(503) for _ in range(3)]
    run.refused(
        r"/api/task: expected an answer, found after 3 tries: AppEEARS answered 503.*it goes on"
    )


def test_a_service_that_is_not_there_is_named(run):
    run.refused(
        r"127\.0\.0\.1:9/api/login: .*after 2 tries: the connection failed",
        address="http://127.0.0.1:9/api",
        tries=2,
    )


def test_an_expired_token_is_renewed(run, server, clip):
    server.faults["/api/task/task-1"] = [401]
    assert run() == clip
    assert server.count("POST", "/api/login") == 2


# --- tasks that end badly ---


def test_a_task_that_fails_says_why_and_is_submitted_anew(run, server, clip):
    server.statuses = ["pending", "error"]
    run.refused(r"task-1: expected a clip of MOD11A2 2012.*'error': Internal error: no granule\.")
    server.statuses = ["done"]
    assert run() == clip
    assert len(server.requests) == 2


@pytest.mark.parametrize("end", ["error", "expired", "deleted", "unknown", "without files", "old"])
def test_a_remembered_task_that_is_over_is_submitted_again(run, server, clip, end, caplog):
    server.faults["/api/bundle/task-1/id-0"] = [400]
    run.refused("found 400 from AppEEARS")
    if end == "unknown":
        server.gone.add("task-1")
    elif end == "without files":
        server.expired.add("task-1")
    elif end == "old":
        server.lives["task-1"] = "2018-12-31T02:08:33.750654"
    else:
        server.ended["task-1"] = end
    assert run() == clip
    assert len(server.requests) == 2
    assert "going on with AppEEARS task task-1" in caplog.text


def test_a_done_task_without_files_is_named_once(run, server):
    server.expired.add("task-1")
    run.refused(r"found status 'done': no file is there\. Run the same command again")


def test_a_bundle_without_the_clip_is_named(run, server):
    server.bundle_names = ["README.md", "MOD16A2.061_500m_aid0001.nc"]
    run.refused(r"expected one NetCDF file of MOD11A2\.061, found README\.md, MOD16A2")


def test_a_refused_request_says_why(run, server):
    def answer(request, usual=server.answer):
        if request.method == "POST" and request.path == "/api/task":
            return server.said(400, message="Invalid layer name.")
        return usual(request)

    server.answer = answer
    run.refused(r"/api/task: expected an answer, found 400: Invalid layer name\. Run the same")


# --- refusals ---


def test_a_wrong_password_is_named(run, monkeypatch):
    monkeypatch.setenv("EARTHDATA_PASSWORD", "wrong password")
    told = run.refused(r"/api/login: expected an answer, found 401\. AppEEARS does not accept")
    assert "EARTHDATA_USERNAME and EARTHDATA_PASSWORD" in told and "wrong password" not in told


def test_a_person_who_has_not_approved_the_application_is_told(run, server):
    server.faults["/api/task"] = [403]
    run.refused(r"found 403\. You may not use AppEEARS yet\. Log in once at https://appeears")


def test_a_log_in_page_instead_of_the_service_is_named(run, server):
    server.faults["/api/login"] = ["login"]
    run.refused(r"found 200 and text/html instead of JSON, perhaps a log-in page on the way")


@pytest.mark.parametrize("path", ["login", "task"])
def test_an_answer_without_what_was_asked_for_is_named(run, server, path):
    def answer(request, usual=server.answer):
        return server.said(200) if request.path == f"/api/{path}" else usual(request)

    server.answer = answer
    run.refused(rf"/api/{path}: expected .*found an answer without one.*addresses\.appeears")


def test_no_log_in_at_all_is_named_before_anything_is_asked(run, server, monkeypatch):
    monkeypatch.delenv("EARTHDATA_PASSWORD")
    run.refused(r"expected EARTHDATA_USERNAME and EARTHDATA_PASSWORD .*found none\. Register at")
    monkeypatch.setenv("EARTHDATA_TOKEN", "some token")
    run.refused("found none but EARTHDATA_TOKEN, which AppEEARS does not accept")
    assert not server.seen


def test_the_log_in_may_lie_in_netrc(run, clip, tmp_path, monkeypatch):
    monkeypatch.delenv("EARTHDATA_PASSWORD")
    (tmp_path / "netrc").write_text(
        f'machine urs.earthdata.nasa.gov login {USER} password "{PASSWORD}"\n'
    )
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert run() == clip


def test_a_netrc_that_cannot_be_read_is_named_without_its_words(run, tmp_path, monkeypatch):
    monkeypatch.delenv("EARTHDATA_PASSWORD")
    (tmp_path / "netrc").write_text(f"machin urs.earthdata.nasa.gov login x password {TOKEN}\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    run.refused(r"netrc: expected lines like 'machine .*found line 1, which cannot be read")


# --- a clip that is not what was asked for ---


@pytest.mark.parametrize(
    ("faults", "match"),
    [
        ({"days": DAYS[:1]}, r"id-0: expected MOD11A2 of 2012-05-08, found none.*modis\.absent"),
        ({"margin": -1}, r"id-0: expected pixels that cover the study area"),
        ({"mapping": "albers_conical_equal_area"}, r"id-0: expected the sinusoidal grid"),
        ({"title": "MYD11A2.061 for aid0001"}, r"id-0: expected MOD11A2\.061, found the title"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_another_clip_than_asked_for_is_refused(run, server, tmp_path, faults, match):
    server.clip = lst_clip(tmp_path / "bad.nc", **faults).read_bytes()
    run.refused(match)
