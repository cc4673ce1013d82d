"""The maps of the page in a real browser: opened from disk, clicked, switched, without network.

Chromium is driven over its own pipe (--remote-debugging-pipe: messages in JSON that end in a zero
byte), so nothing has to be installed beside the browser. CHROMIUM names another one.
"""

import fcntl
import json
import os
import re
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import rasterio
from pyproj import Transformer
from rasterio.crs import CRS
from rasterio.transform import Affine

import _page
import export_layers
from _raster import Grid, created, write
from conftest import ROOT

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
CHROMIUM = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
pytestmark = pytest.mark.skipif(
    not CHROMIUM, reason=f"no browser here: install one of {', '.join(NAMES)} or set CHROMIUM"
)

REPORT = ROOT / "workflow" / "report"
ALBERS = CRS.from_proj4("+proj=aea +lat_0=0 +lon_0=101 +lat_1=28 +lat_2=36 +datum=WGS84 +units=m")
GRID = Grid(ALBERS, Affine(250, 0, 92000, 0, -250, 3647750), 30, 20)
DEGREES = Grid(CRS.from_epsg(4326), Affine(0.01, 0, 101.9, 0, -0.01, 34.2), 40, 30)
MONTHS = [f"{year}-{month}" for year in (2016, 2017, 2018) for month in ("07", "08")]
EVIL = "<img src=x onerror=window.hit=1>"
ROW, COL = 4, 21  # the cell that tests click


class Browser:
    """One headless Chromium; `open` gives it a fresh page and forgets what the last one said."""

    def __init__(self, folder):
        to_browser, self.out = os.pipe()
        self.into, from_browser = os.pipe()
        # The browser reads descriptor 3 and writes 4, which may be in use here.
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (to_browser, from_browser)]
        begin = "import os,sys;os.dup2({},3);os.dup2({},4);os.execv(sys.argv[1],sys.argv[1:])"
        command = [sys.executable, "-c", begin.format(*ends), CHROMIUM, "--headless=new"]
        command += ["--remote-debugging-pipe", f"--user-data-dir={folder}", "--disable-gpu"]
        command += ["--no-first-run", "--disable-background-networking", "about:blank"]
        if os.geteuid() == 0:
            command.insert(-1, "--no-sandbox")
        quiet = dict(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.process = subprocess.Popen(command, pass_fds=ends, **quiet)
        for end in (to_browser, from_browser, *ends):
            os.close(end)
        self.number, self.rest, self.events, self.session, self.target = 0, b"", [], None, None

    def close(self):
        self.session = None
        self.call("Browser.close")
        self.process.wait(20)
        os.close(self.out)
        os.close(self.into)

    def message(self, patience=60):
        end = time.monotonic() + patience
        while b"\0" not in self.rest:
            left = max(0, end - time.monotonic())
            assert select.select([self.into], [], [], left)[0], "the browser does not answer"
            found = os.read(self.into, 1 << 20)
            assert found, "the browser has gone"
            self.rest += found
        text, self.rest = self.rest.split(b"\0", 1)
        return json.loads(text)

    def call(self, method, **params):
        self.number += 1
        asked = {"id": self.number, "method": method, "params": params}
        if self.session:
            asked["sessionId"] = self.session
        os.write(self.out, json.dumps(asked).encode() + b"\0")
        while (found := self.message()).get("id") != self.number:
            self.events.append(found)
        assert "error" not in found, found
        return found["result"]

    def js(self, code):
        found = self.call(
            "Runtime.evaluate", expression=code, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def until(self, code, patience=60):
        end = time.monotonic() + patience
        while not self.js(f"Boolean({code})"):
            assert time.monotonic() < end, f"never so: {code}"
            time.sleep(0.05)

    def open(self, path, width=1280, height=900, mobile=False):
        self.session, self.events = None, []
        if self.target:
            self.call("Target.closeTarget", targetId=self.target)
        self.target = target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)[
            "sessionId"
        ]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        size = dict(width=width, height=height, deviceScaleFactor=1, mobile=mobile)
        self.call("Emulation.setDeviceMetricsOverride", **size)
        if mobile:
            self.call("Emulation.setTouchEmulationEnabled", enabled=True)
        self.call("Page.bringToFront")  # what is not seen is not drawn
        self.call("Page.navigate", url=Path(path).as_uri())
        self.until("document.readyState === 'complete'")
        return self

    def ready(self):
        """Wait until every month is there and drawn."""
        self.until("document.getElementById('viewer').dataset.left === '0'")
        return self

    def text(self, selector):
        self.js("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        return self.js(f"document.querySelector({json.dumps(selector)}).textContent")

    def key(self, name, **more):
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=name, code=name, **more)

    def place(self, row, col):
        """Return x and y in the window of the middle of a cell of the map."""
        self.js("document.querySelector('.viewer canvas').scrollIntoView({block: 'center'})")
        box = self.js(
            "(b => [b.left, b.top, b.width, b.height])"
            "(document.querySelector('.viewer canvas').getBoundingClientRect())"
        )
        return box[0] + (col + 0.5) / GRID.width * box[2], box[1] + (row + 0.5) / 20 * box[3]

    def click(self, row, col):
        x, y = self.place(row, col)
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def complaints(self):
        """Return errors and warnings of the console, uncaught exceptions, requests that leave."""
        found = []
        for event in self.events:
            kind, said = event["method"], event["params"]
            if kind in ("Runtime.exceptionThrown", "Log.entryAdded") or (
                kind == "Runtime.consoleAPICalled" and said["type"] in ("error", "warning")
            ):
                found.append(said)
            if kind == "Network.requestWillBeSent" and not re.match(
                "file:|data:", said["request"]["url"]
            ):
                found.append(said["request"]["url"])
        return found


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    started = Browser(tmp_path_factory.mktemp("profile"))
    yield started
    started.close()


def area():
    """Return the cells of the study: a corner is not in it."""
    within = np.ones(GRID.shape, bool)
    within[:2, :5] = False
    return within


def layers(month, kind):
    """Return a made-up layer of a month: no two cells are alike, some have no value."""
    rng = np.random.default_rng([MONTHS.index(month), len(kind)])
    shift = {"lower": -0.1, "upper": 0.1}.get(kind, 0.0)
    layer = 0.4 + shift + 0.03 * rng.standard_normal(GRID.shape)
    layer[~area()] = np.nan
    layer[10, 10] = np.nan
    return layer.astype("float32")


def build(folder, months=MONTHS, full=True, note="simulated data", name="A1"):
    """Write layers and a page of a small study; return the page's path."""
    folder.mkdir(exist_ok=True)

    def raster(path, grid, bands):
        write(str(folder / path), grid, bands, dict.fromkeys(bands, ""))
        return str(folder / path)

    found = {
        kind: [raster(f"{kind}/{m}.tif", GRID, {"v": layers(m, kind)}) for m in months]
        for kind in ("maps", "lower", "upper", "di")
    }
    (folder / "applicability.json").write_text('{"threshold": 0.4}')
    extra = dict.fromkeys(("smci", "trend", "grid", "insitu"), [])
    if full:
        smci = np.arange(DEGREES.height * DEGREES.width).reshape(DEGREES.shape) / 4000 + 0.2
        slope = (np.arange(600).reshape(GRID.shape) - 300) / 1e5
        trends = [
            {"slope": sign * slope, "significant": (sign * slope > 0.001) * 1.0} for sign in (1, -1)
        ]
        extra["smci"] = [raster("smci.tif", DEGREES, {"v": smci})] * len(months)
        extra["trend"] = [raster(f"trend{n}.tif", GRID, one) for n, one in enumerate(trends)]
        extra["grid"] = str(folder / "grid.tif")
        with created(extra["grid"], GRID, {"inside": ""}, dtype="uint8", nodata=255) as target:
            target.write(area().astype("uint8"), 1)
        extra["insitu"] = str(folder / "insitu.csv")
        at = ",33.8,102.02,"
        rows = [f"{name}{at}{MONTHS[0]},0.41", f"{name}{at}{MONTHS[2]},0.43"]
        (folder / "insitu.csv").write_text("\n".join(["site,lat,lon,month,value", *rows, ""]))
    report = folder / "report"
    names = [*months, *(["trend"] if full else [])]
    export_layers.main(
        **found,
        **extra,
        applicability=str(folder / "applicability.json"),
        index=str(report / "layers/index.js"),
        layers=[str(report / f"layers/{one}.js") for one in names],
        months=list(months),
        test=["2018"],
        calendar=["07", "08"],
        unit="m3/m3",
        note=note,
    )
    page = report / "index.html"
    code, look = ((REPORT / name).read_text() for name in ("viewer.js", "viewer.css"))
    maps = _page.viewer(code, str(report / "layers/index.js"), str(page))
    page.write_text(_page.document(EVIL, "", [], [("The maps", maps)], look))
    return page


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    return build(tmp_path_factory.mktemp("study"))


def near(text, value, step=0.001):
    """Is the first number of a text this value, to half a step and what rounding adds?"""
    found = float(re.search(r": (−?[0-9.]+)", text)[1].replace("−", "-"))
    return abs(found - value) <= step / 2 + 1e-6


def test_the_page_opens_from_disk_without_an_error_or_a_request_that_leaves(browser, page):
    browser.open(page).ready()
    assert browser.complaints() == []
    asked = {
        Path(event["params"]["request"]["url"]).name
        for event in browser.events
        if event["method"] == "Network.requestWillBeSent"
    }
    assert asked == {"index.html", "index.js", "trend.js", *(f"{month}.js" for month in MONTHS)}


def test_a_click_tells_value_interval_and_place_of_that_cell(browser, page):
    browser.open(page).ready().click(ROW, COL)
    told = browser.text(".told")
    assert told.startswith("Soil moisture, August 2018: ")
    own, lower, upper = (layers("2018-08", kind)[ROW, COL] for kind in ("maps", "lower", "upper"))
    assert near(told, own)
    ends = [float(v) for v in re.search(r"interval ([0-9.]+) to ([0-9.]+)", told).groups()]
    assert ends == pytest.approx([lower, upper], abs=0.0005 + 1e-6)
    to_degrees = Transformer.from_crs(ALBERS.to_wkt(), 4326, always_xy=True)
    lon, lat = to_degrees.transform(*(v[ROW, COL] for v in GRID.centres()))
    found = re.findall(r"([0-9.]+)° ", browser.text(".where"))
    assert [float(v) for v in found] == pytest.approx([lat, lon], abs=1.1e-4)


def test_the_cell_under_the_pointer_has_its_colour(browser, page):
    browser.open(page).ready().click(15, 3)
    x, y = browser.place(ROW, COL)
    pixel = browser.js(
        "(() => {const c = document.querySelector('.viewer canvas'), b = c.getBoundingClientRect();"
        f"return [...c.getContext('2d').getImageData(({x} - b.left) * c.width / b.width, "
        f"({y} - b.top) * c.height / b.height, 1, 1).data]}})()"
    )
    about = (page.parent / "layers/index.js").read_text()
    scale = json.loads(re.fullmatch(r"soilMoisture\.begin\((.*)\)\n", about)[1])["scales"][0]
    table = np.array([list(bytes.fromhex(c)) for c in re.findall(".{6}", scale["colours"])])
    share = (layers("2018-08", "maps")[ROW, COL] - scale["low"]) / (scale["high"] - scale["low"])
    at = np.clip(share, 0, 1) * (len(table) - 1)
    assert pixel[3] == 255
    assert min(np.abs(table[int(n)] - pixel[:3]).max() for n in (np.floor(at), np.ceil(at))) == 0


def test_the_slider_changes_the_month_by_keyboard(browser, page):
    browser.open(page).ready().click(ROW, COL)
    browser.js("document.querySelector('.viewer input[type=range]').focus()")
    browser.key("Home", windowsVirtualKeyCode=36)
    assert browser.text("output") == "July 2016"
    assert near(browser.text(".told"), layers("2016-07", "maps")[ROW, COL])
    browser.key("ArrowRight", windowsVirtualKeyCode=39)
    assert browser.text("output") == "August 2016"
    assert near(browser.text(".told"), layers("2016-08", "maps")[ROW, COL])


def test_the_switch_shows_every_product(browser, page):
    browser.open(page).ready().click(ROW, COL)
    own, lower, upper, di = (
        float(layers("2018-08", kind)[ROW, COL]) for kind in ("maps", "lower", "upper", "di")
    )
    mean = export_layers.product_mean(GRID, DEGREES)
    with rasterio.open(page.parents[1] / "smci.tif") as source:
        smci = mean(source.read(1).astype(float))[ROW, COL]
    want = {
        "Soil moisture": (own, 0.001),
        "Lower bound": (lower, 0.001),
        "Upper bound": (upper, 0.001),
        "Width of the interval": (upper - lower, 0.002),
        "Dissimilarity index": (di, 0.01),
        "SMCI": (smci, 0.001),
        "Map − SMCI": (own - smci, 0.002),
        "Trend of the calendar month": (-(ROW * 30 + COL - 300) / 1e5, 2e-5),
    }
    shown = browser.js("[...document.querySelectorAll('.viewer option')].map(o => o.textContent)")
    assert shown == list(want)
    for number, (label, (value, step)) in enumerate(want.items()):
        browser.js(
            f"(s => {{s.value = {number}; s.dispatchEvent(new Event('change'))}})"
            "(document.querySelector('.viewer select'))"
        )
        told = browser.text(".told")
        assert told.startswith(label) and near(told, value, step), told
    assert browser.complaints() == []


def test_the_numbers_of_the_series_are_those_of_map_and_station(browser, page):
    browser.open(page).ready().click(ROW, COL)
    browser.js("document.querySelector('.viewer details').open = true")
    browser.until("document.querySelector('.viewer details tbody tr')")
    browser.text(".told")
    rows = browser.js(
        "[...document.querySelectorAll('.viewer details tbody tr')].map(r => "
        "[...r.cells].map(c => c.textContent))"
    )
    assert [row[0] for row in rows] == MONTHS
    for row in rows:
        want = [layers(row[0], kind)[ROW, COL] for kind in ("maps", "lower", "upper")]
        assert [float(v) for v in row[1:4]] == pytest.approx(want, abs=0.0005 + 1e-6)
    assert [row[5] for row in rows] == ["0.410", "–", "0.430", "–", "–", "–"]
    assert "station A1" in browser.text(".key")
    assert browser.js("document.querySelectorAll('.viewer svg path.station').length") == 2
    assert browser.js("document.querySelectorAll('.viewer svg rect.test').length") == 2


def test_a_click_on_the_series_chooses_the_month(browser, page):
    browser.open(page).ready()
    box = browser.js(
        "(s => {s.scrollIntoView({block: 'center'}); const b = s.getBoundingClientRect();"
        "return [b.left, b.top, b.width, b.height]})(document.querySelector('.viewer svg'))"
    )
    x, y = box[0] + 50, box[1] + box[3] / 2
    for kind in ("mousePressed", "mouseReleased"):
        browser.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)
    assert browser.text("output") == "July 2016"


def test_the_trend_has_its_significance(browser, page):
    browser.open(page).ready().click(19, 29)  # +0.00299 a year in July
    browser.text(".told")
    rows = browser.js(
        "[...document.querySelectorAll('.viewer .trend tbody tr')].map(r => "
        "[...r.cells].map(c => c.textContent))"
    )
    assert rows == [["July", "+0.0030", "yes"], ["August", "−0.0030", "no"]]


def test_arrow_keys_move_the_cross_and_page_keys_the_month(browser, page):
    browser.open(page).ready().click(ROW, COL)
    browser.js("document.querySelector('.viewer canvas').focus()")
    browser.key("ArrowDown")
    browser.key("ArrowLeft")
    assert near(browser.text(".told"), layers("2018-08", "maps")[ROW + 1, COL - 1])
    browser.key("PageDown")
    assert near(browser.text(".told"), layers("2018-07", "maps")[ROW + 1, COL - 1])


def test_zooming_keeps_the_cell_and_a_click_still_meets_the_cell_under_it(browser, page):
    browser.open(page).ready().click(ROW, COL)
    before = browser.text(".told")
    browser.js("document.querySelector('[aria-label=\"Zoom in\"]').click()")
    assert browser.text(".told") == before
    browser.click(9.5, 14.5)  # the middle stays the middle
    found = float(re.search(r": ([0-9.]+)", browser.text(".told"))[1])
    around = layers("2018-08", "maps")[8:12, 13:17]
    assert np.nanmin(np.abs(around - found)) <= 0.0005 + 1e-6


def test_a_cell_without_a_value_says_so(browser, page):
    browser.open(page).ready().click(10, 10)
    assert browser.text(".told") == "Soil moisture, August 2018: no value"


@pytest.mark.parametrize("width", [360, 375, 768])
def test_a_telephone_reads_it_without_scrolling_sideways_and_takes_a_tap(browser, page, width):
    browser.open(page, width=width, height=740, mobile=True).ready()
    assert browser.js("document.documentElement.scrollWidth") <= width
    small = browser.js(
        "[...document.querySelectorAll('.viewer button, .viewer select')]"
        ".filter(b => b.getBoundingClientRect().height < 40).length"
    )
    assert small == 0, "what a finger must hit is large enough"
    x, y = browser.place(ROW, COL)
    browser.call("Input.dispatchTouchEvent", type="touchStart", touchPoints=[dict(x=x, y=y)])
    browser.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])
    assert near(browser.text(".told"), layers("2018-08", "maps")[ROW, COL])
    assert browser.complaints() == []


def test_play_goes_through_the_months_and_stops(browser, page):
    browser.open(page).ready()
    browser.js("document.querySelector('[aria-label=\"Play the months\"]').click()")
    browser.until("document.querySelector('output').textContent === 'July 2016'", 10)
    browser.js("document.querySelector('[aria-label=Stop]').click()")
    assert browser.js("document.querySelector('[aria-label=\"Play the months\"]') !== null")


def test_names_are_text_and_never_code(browser, tmp_path):
    browser.open(build(tmp_path / "study", note=EVIL, name=EVIL)).ready().click(ROW, COL)
    assert EVIL in browser.text(".key") and EVIL in browser.text("h1")
    assert browser.js("window.hit") is None and browser.js("document.images.length") == 0


def test_a_table_study_has_its_map_without_slider_series_or_stations(browser, tmp_path):
    browser.open(build(tmp_path / "study", MONTHS[-1:], full=False, note="")).ready()
    browser.click(ROW, COL)
    assert near(browser.text(".told"), layers("2018-08", "maps")[ROW, COL])
    assert browser.js("document.querySelectorAll('.viewer :is(input, svg, table)').length") == 0
    assert "station" not in browser.text(".viewer").lower()
    assert browser.complaints() == []


@pytest.mark.parametrize(
    ("name", "told"), [("index", "layers/index.js is not here"), ("2017-07", "layers/2017-07.js")]
)
def test_a_file_that_was_not_copied_is_named(browser, tmp_path, name, told):
    page = build(tmp_path / "study")
    (page.parent / f"layers/{name}.js").unlink()
    browser.open(page)
    browser.until(
        "(p => p && !p.hidden && p.textContent || '')(document.querySelector('.viewer .trouble'))"
        f".includes({json.dumps(told)})"
    )
    assert "copy the whole folder" in browser.text(".viewer .trouble").lower()


def test_who_wants_less_motion_gets_a_slower_play(browser, page):
    wanted = [dict(name="prefers-reduced-motion", value="reduce")]
    browser.open(page)
    browser.call("Emulation.setEmulatedMedia", features=wanted)
    browser.call("Page.reload")
    browser.until("document.readyState === 'complete'")
    browser.ready()
    first = browser.text("output")
    browser.js("document.querySelector('[aria-label=\"Play the months\"]').click()")
    time.sleep(1)
    assert browser.text("output") == first
