"""Fetch one year of monthly ERA5-Land soil moisture from the Climate Data Store (S25, C19, U27).

CDS makes files on demand: a request becomes a job, the job waits its turn, and its result is a
file for a while. The job's number is kept beside where the file will lie, so a run that was ended
goes on waiting for the same job, and the file itself comes as every other one does.

Credentials come from CDSAPI_URL and CDSAPI_KEY, then from the file that CDSAPI_RC names or
~/.cdsapirc, as in cdsapi itself. The address of the config counts only where neither says one: a
key belongs to the service it was made for.
"""

import json
import math
import os
import re
import time
import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import requests

import _zip
from _archive import link
from _download import (
    AGAIN,
    LONGEST,
    Service,
    Wanted,
    fetch_all,
    host,
    looks_like_page,
    record_of,
)
from _era5land import LARGEST, months_of, open_swvl1
from _log import UserError, log, log_to, notice, scrubbed
from _transfer import retry_after, short
from _whole import whole

DATASET = "reanalysis-era5-land-monthly-means"
CELL = 0.1  # degrees
MARGIN = 1  # cells around the box, beside rounding outwards to whole cells
LOOK = (1.0, 30.0)  # seconds between two looks at a job, at first and at most
SAY = 300  # seconds between two lines while nothing changes
NO_REASON = "no reason given"
STATES = {"accepted": "queued", "running": "running"}
HOW = (
    "Make an account at https://cds.climate.copernicus.eu, copy the personal access token of your "
    "profile page, and put it into ~/.cdsapirc as two lines, url: "
    "https://cds.climate.copernicus.eu/api and key: TOKEN, or into the environment as CDSAPI_KEY."
)
LATE = "It is kept for a while only: run the same command again, and CDS makes it anew."
CDS = Service(name="the Climate Data Store", account=LATE, licence=LATE, absent=LATE)


def request_of(year: str, months: list[int], box: list[float]) -> dict[str, Any]:
    """Return the request for the cells that a box (west, south, east, north, degrees) needs.

    The area is rounded outwards to whole cells, and one more on each side.
    """
    west, south, east, north = box

    def outwards(degrees: float, side: int, limit: float) -> float:
        cells = math.ceil(round(side * degrees / CELL, 6)) + MARGIN
        return side * min(round(cells * CELL, 1), limit) + 0.0  # never -0.0

    return {
        "product_type": ["monthly_averaged_reanalysis"],
        "variable": ["volumetric_soil_water_layer_1"],
        "year": [str(year)],
        "month": [f"{month:02d}" for month in sorted(months)],
        "time": ["00:00"],
        "area": [
            outwards(north, 1, 90),
            outwards(west, -1, 180),
            outwards(south, -1, 90),
            outwards(east, 1, 180),
        ],
        "data_format": "netcdf",
        "download_format": "unarchived",
    }


def name_of(request: dict[str, Any]) -> str:
    """Return a file name that says what was asked for: CDS' own names say nothing."""
    months, area = "-".join(request["month"]), "_".join(map(str, request["area"]))
    return f"era5land_{request['year'][0]}_months_{months}_area_{area}.nc"


def credentials(address: str) -> tuple[str, str]:
    """Return url and key of CDS, each from the environment, else cdsapi's file.

    Where neither says a url, it is `address`. Raises UserError if there is no key, or one that
    CDS does not take any more.
    """
    from cdsapi.api import read_config

    path = Path(os.environ.get("CDSAPI_RC") or "~/.cdsapirc").expanduser()
    try:
        file = read_config(path)
    except FileNotFoundError:
        file = {}
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"{path}: expected lines url: and key:, found a file that cannot be read "
            f"({type(error).__name__}). {HOW}"
        ) from None
    key = (os.environ.get("CDSAPI_KEY") or file.get("key") or "").strip()
    url = (os.environ.get("CDSAPI_URL") or file.get("url") or address).strip().rstrip("/")
    if not key:
        raise UserError(
            f"{host(url)}: expected a token of the Climate Data Store in CDSAPI_KEY or as key: in "
            f"{path}, found none. {HOW}"
        )
    if not re.fullmatch(r"[!-9;-~]+", key):  # visible ASCII but the colon
        raise UserError(
            f"{host(url)}: expected a personal access token in CDSAPI_KEY or {path}, found "
            "something of another form, such as the UID:KEY of the old Climate Data Store (the "
            f"value is not shown). {HOW}"
        )
    if url.endswith("/v2"):
        raise UserError(
            f"{url}: expected the address of the Climate Data Store, found that of the old one, "
            f"in CDSAPI_URL or {path}. Remove /v2."
        )
    return url, key


class Store:
    """The Climate Data Store behind one url and key, through cdsapi; asks again where it may help.

    Every answer it refuses becomes a UserError with its own reason and without the key.
    """

    def __init__(self, url: str, key: str, tries: int, timeout: float):
        import cdsapi

        self.url, self.key, self.tries = url, key, tries
        with warnings.catch_warnings():
            # News of the service that do not come are no loss; the request will say what is wrong.
            warnings.simplefilter("ignore")
            self.client = cdsapi.Client(
                url=url,
                key=key,
                quiet=True,
                progress=False,
                delete=False,
                wait_until_complete=False,
                timeout=timeout,
                retry_max=1,  # it would pass over Retry-After
                verify=True,
                info_callback=lambda text: log.info("CDS: %s", self.hidden(text)),
                warning_callback=lambda text: log.warning("CDS: %s", self.hidden(text)),
                error_callback=lambda text: log.warning("CDS: %s", self.hidden(text)),
                debug_callback=lambda *_: None,
            )

    def hidden(self, text: str) -> str:
        """Return text of the service without the key, which may stand in a file only."""
        return scrubbed(str(text).replace(self.key, "***"))

    def reason(self, answer: requests.Response) -> str:
        """Return why the service refused, in its own words."""
        try:
            body = answer.json()
            said = [str(body[name]) for name in ("title", "detail", "traceback") if body.get(name)]
        except (ValueError, AttributeError, KeyError, TypeError):
            return NO_REASON
        return self.hidden(" - ".join(" ".join(text.split()) for text in said))[:500] or NO_REASON

    def ask(self, call: Callable[[], Any]) -> Any:
        """Return call(), tried again where the service or the network says that may help."""
        from ecmwf.datastores.processing import LinkError

        for number in range(1, self.tries + 1):
            wait = None
            try:
                return call()
            except requests.HTTPError as error:
                if error.response.status_code not in AGAIN:
                    raise
                why, wait = (
                    f"it answered {error.response.status_code}",
                    retry_after(error.response),
                )
            except requests.JSONDecodeError:
                why = "an answer that is not JSON (a log-in page or news of a maintenance?)"
            except requests.RequestException as error:
                why = short(error)
            except (LinkError, LookupError, AssertionError):
                why = "an answer of another form than those of CDS"
            if number == self.tries:
                raise UserError(
                    f"{self.url}: expected an answer of the Climate Data Store, found after "
                    f"{number} tries: {why}. If the address is right (CDSAPI_URL, ~/.cdsapirc, "
                    "addresses.cds), run the same command again later: it goes on where it stopped."
                ) from None
            pause = min(wait if wait is not None else 2**number, LONGEST)
            log.info("CDS: %s; try %d in %.0f s", why, number + 1, pause)
            time.sleep(pause)

    def refusal(self, answer: requests.Response) -> UserError:
        """Return what to tell about an answer that another try will not change."""
        status, reason = answer.status_code, self.reason(answer)
        said = f"{self.url}: expected {DATASET}, found {status} ({reason})."
        page = f"{self.url.removesuffix('/api')}/datasets/{DATASET}"
        if status == 401:
            return UserError(f"{said} The Climate Data Store does not accept your token. {HOW}")
        if status == 403 and ("licen" in reason.lower() or reason == NO_REASON):
            return UserError(
                f"{said} The licence of the data set must be accepted once: log in at {page}, "
                "choose Download, and accept the terms of use at the end of the form."
            )
        if status == 404:
            return UserError(
                f"{said} Is the address that of a Climate Data Store (CDSAPI_URL, ~/.cdsapirc, "
                "addresses.cds)?"
            )
        return UserError(f"{said} Look at {page} whether it has the months and the area.")

    def job(self, request: dict[str, Any], note: Path) -> Any:
        """Return the job of a request: the one an earlier run submitted, or a new one."""
        asked = {"url": self.url, "dataset": DATASET, "request": request}
        try:
            known = json.loads(note.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            known = {}
        if all(known.get(name) == value for name, value in asked.items()):
            try:
                remote = self.ask(lambda: self.client.client.get_remote(known["job"]))
                if self.ask(lambda: remote.status) in (*STATES, "successful"):
                    notice("CDS: goes on with job %s of %s", known["job"], known["submitted"])
                    return remote
            except requests.HTTPError as error:
                if error.response.status_code == 401:
                    raise
            log.info("CDS: job %s is over; asking anew", known["job"])
        remote = self.ask(lambda: self.client.retrieve(DATASET, request))
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        with whole(str(note)) as part:
            part.write_text(json.dumps(asked | {"job": remote.request_id, "submitted": now}))
        return remote

    def wait(self, remote: Any, what: str) -> None:
        """Return when a job is done; say what it is doing. Raises UserError if it failed."""
        pause, start, said, before = LOOK[0], time.monotonic(), -math.inf, ""
        while (status := self.ask(lambda: remote.status)) in STATES:
            now = time.monotonic()
            if status != before or now - said >= SAY:
                minutes = (now - start) / 60
                notice("%s: %s at CDS, %.0f min (job %s)", what, STATES[status], minutes,
                       remote.request_id)  # fmt: skip
                said, before = now, status
            time.sleep(pause)
            pause = min(pause * 1.5, LOOK[1])
        if status == "successful":
            return
        reason = NO_REASON
        if status in ("failed", "rejected"):
            try:  # the results of a job that failed are an answer of status 400 or 500
                remote.results_ready  # noqa: B018
            except requests.HTTPError as error:
                reason = self.reason(error.response)
            except (requests.RequestException, RuntimeError) as error:
                reason = self.hidden(error)
        raise UserError(
            f"{self.url}: expected {what}, found job {remote.request_id} {status}: {reason}. Look "
            f"at {self.url.removesuffix('/api')}/requests; then run the same command again, which "
            "asks anew."
        )


def check_file(path: Path, label: str, request: dict[str, Any], box: list[float]) -> None:
    """Raise UserError, naming `label`, unless a delivered file is what was asked for.

    It opens, as itself or as a zip in disguise, holds swvl1 and each month once, and its cells
    cover the box.
    """
    if looks_like_page(path):
        raise UserError(
            f"{label}: expected NetCDF, found a web page. Run the same command again later."
        )
    if _zip.is_zip(path):
        names = [name for name in _zip.names(path) if name.endswith(".nc")]
        layer = open_swvl1([_zip.content(path, name, LARGEST) for name in names], label)
    else:
        layer = open_swvl1([path], label)
    there = months_of(layer, label)
    asked = [f"{request['year'][0]}-{month}" for month in request["month"]]
    missing = [month for month in asked if month not in there]
    if missing:
        raise UserError(
            f"{label}: expected monthly means of {', '.join(asked)}, found "
            f"{', '.join(there) or 'none'}. If CDS has them yet, run the same command again."
        )
    west, south, east, north = box
    lon, lat = layer["longitude"].to_numpy(), layer["latitude"].to_numpy()
    reach = [lon.min() - CELL, lat.min() - CELL, lon.max() + CELL, lat.max() + CELL]
    if reach[0] > west or reach[1] > south or reach[2] < east or reach[3] < north:
        raise UserError(
            f"{label}: expected cells around {west}, {south}, {east}, {north} (west, south, east, "
            f"north), found {lon.min():.1f}, {lat.min():.1f}, {lon.max():.1f}, {lat.max():.1f}. "
            "Run the same command again."
        )


def wanted_of(remote: Any, path: Path) -> Wanted:
    """Return where the result of a job lies, its size, and where it goes.

    The checksum beside it is of CDS' own making, not of the bytes, and cannot be compared.
    """
    results = remote.get_results()
    return Wanted(results.location, path, results.content_length)


def fetched(path: Path, request, box, address: str, tries: int, timeout: float) -> dict:
    """Bring the file of a request to `path` in the store; return its record."""
    store = Store(*credentials(address), tries, timeout)
    note = path.with_name(f".{path.name}.job")
    what = f"ERA5-Land of {request['year'][0]}"
    try:
        remote = store.job(request, note)
        store.wait(remote, what)
    except requests.HTTPError as error:
        raise store.refusal(error.response) from None
    try:
        want = store.ask(lambda: wanted_of(remote, path))
    except requests.HTTPError as error:
        note.unlink(missing_ok=True)
        raise UserError(
            f"{store.url}: expected the result of job {remote.request_id}, found "
            f"{error.response.status_code} ({store.reason(error.response)}). {LATE}"
        ) from None
    session = requests.Session()

    def forget(answer, **_):
        if answer.status_code in (401, 403, 404, 410):
            note.unlink(missing_ok=True)  # the result is gone; the next run asks anew

    def check(part: Path, want: Wanted) -> None:
        check_file(part, want.address, request, box)

    session.hooks["response"].append(forget)
    records = fetch_all([want], what, session, CDS, check, 1, tries, timeout)
    note.unlink(missing_ok=True)
    return records[path]


def main(delivered, year, months, box, store, address, tries, timeout):
    request = request_of(year, months, box)
    path = Path(store) / name_of(request)
    path.parent.mkdir(parents=True, exist_ok=True)
    record = record_of(path) or fetched(path, request, box, address, tries, timeout)
    link(path, Path(delivered), {**record, "dataset": DATASET, "request": request})


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        delivered=snakemake.output.delivered,
        year=snakemake.wildcards.year,
        months=snakemake.params.months,
        box=snakemake.params.box,
        store=snakemake.params.store,
        address=snakemake.resources.address,
        tries=snakemake.resources.tries,
        timeout=snakemake.resources.timeout,
    )
