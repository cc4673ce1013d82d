"""One MODIS product and year from AppEEARS: the layers that are used, clipped to the area there.

AppEEARS cuts the granules' own pixels ("native" projection) for the dates that the months need,
about a twentieth of the volume. A request becomes a task that takes minutes to hours; its id lies
in the store, so a run that was stopped waits on instead of asking anew. AppEEARS hands out tokens
of its own for an Earthdata user and password, good for two days: ours stays in memory.
"""

import hashlib
import json
import netrc
import os
import time
from datetime import UTC, date, datetime, timedelta
from math import cos, radians
from pathlib import Path

import numpy as np
import requests

import _appeears
from _archive import link
from _calendar import calendar
from _download import AGAIN, LONGEST, Refused, Service, Wanted, fetch_all, record_of
from _granule import PRODUCTS, Product
from _log import UserError, log, log_to, notice, scrubbed
from _whole import whole

HOST = "urs.earthdata.nasa.gov"
SERVICE = Service(
    name="AppEEARS",
    account=(
        "Correct EARTHDATA_USERNAME and EARTHDATA_PASSWORD, or the line of "
        f"{HOST} in your netrc file (the user name, not the e-mail address); reset a password at "
        f"https://{HOST}."
    ),
    licence=(
        "Log in once at https://appeears.earthdatacloud.nasa.gov in a browser and approve the "
        "application, then run the same command again."
    ),
    absent="AppEEARS keeps files for 30 days: run the same command again to request them anew.",
)
MARGIN = 0.03  # degrees around the box: three 1 km pixels
STEP = 0.1  # degrees between vertices along a meridian
PAUSE, LONGEST_PAUSE = 10.0, 120.0  # seconds between two looks at a task
ENDED = ("done", "error", "expired", "deleted")


def polygon(box: list[float]) -> dict:
    """Return a GeoJSON polygon that holds `box` (west, south, east, north in degrees) and a margin.

    Meridians are curves on the sinusoidal grid, and a server that joins projected corners with
    straight lines would lose 20 km on one side of a large box: they have a vertex every STEP.
    """
    west, south, east, north = box
    aside = MARGIN / cos(radians(min(89.0, max(abs(south), abs(north)))))
    west, east = max(-180.0, west - aside), min(180.0, east + aside)
    south, north = max(-90.0, south - MARGIN), min(90.0, north + MARGIN)
    up = np.linspace(south, north, int((north - south) / STEP) + 2).tolist()
    ring = [(east, y) for y in up] + [(west, y) for y in reversed(up)]
    ring = [[round(x, 6), round(y, 6)] for x, y in [*ring, ring[0]]]
    feature = {
        "type": "Feature",
        "properties": {},
        "geometry": {"type": "Polygon", "coordinates": [ring]},
    }
    return {"type": "FeatureCollection", "fileName": "area", "features": [feature]}


def ranges(days: list[date], every: int) -> list[dict[str, str]]:
    """Return the fewest date ranges that hold `days` and no other composite.

    `every` is the number of days between composites of the product; the daily albedo is asked
    for on the days that are used, not on all between them.
    """
    runs: list[list[date]] = []
    for day in sorted(days):
        if runs and day - runs[-1][-1] <= timedelta(every):
            runs[-1].append(day)
        else:
            runs.append([day])
    return [{"startDate": f"{r[0]:%m-%d-%Y}", "endDate": f"{r[-1]:%m-%d-%Y}"} for r in runs]


def parameters(variable: str, days: list[date], box: list[float]) -> dict:
    """Return the `params` of an AppEEARS task: which layers, dates, area and format."""
    product = PRODUCTS[variable]
    every = calendar(variable, "start", 1)["every"]
    name = f"{product.name}.{_appeears.COLLECTION}"
    layers = [product.layer, *product.quality]
    return {
        "dates": ranges(days, every),
        "layers": [{"product": name, "layer": _appeears.layer_id(layer)} for layer in layers],
        "output": {"format": {"type": "netcdf4"}, "projection": "native"},
        "geo": polygon(box),
    }


def credentials() -> tuple[str, str]:
    """Return user and password of Earthdata Login, from the environment or the netrc file."""
    user, password = (os.environ.get(f"EARTHDATA_{name}") for name in ("USERNAME", "PASSWORD"))
    if user and password:
        return user, password
    path = Path(os.environ.get("NETRC") or Path.home() / ".netrc")
    try:
        found = netrc.netrc(str(path)).hosts.get(HOST) if path.exists() else None
    except netrc.NetrcParseError as error:
        raise UserError(
            f"{path}: expected lines like 'machine {HOST} login <user> password <password>', "
            f"found line {error.lineno}, which cannot be read. Correct it."
        ) from None
    if found:
        return found[0], found[2]
    only = " but EARTHDATA_TOKEN, which AppEEARS does not accept" * bool(
        os.environ.get("EARTHDATA_TOKEN")
    )
    raise UserError(
        "AppEEARS: expected EARTHDATA_USERNAME and EARTHDATA_PASSWORD in the environment, or a "
        f"line 'machine {HOST} login <user> password <password>' in {path}, found none{only}. "
        f"Register at https://{HOST} (free of charge) and set them."
    )


class _Bearer(requests.auth.AuthBase):
    def __init__(self, token: str):
        self.token = token

    def __call__(self, request):
        request.headers["Authorization"] = f"Bearer {self.token}"
        return request


class _Session(requests.Session):
    """Files may lie on another host, with an address that is signed: no log-in goes there."""

    def rebuild_auth(self, prepared_request, response):
        if self.should_strip_auth(response.request.url, prepared_request.url):
            prepared_request.headers.pop("Authorization", None)


class Api:
    """Calls to AppEEARS by one logged-in person; a token that has expired is renewed."""

    def __init__(self, address: str, tries: int, timeout: float):
        self.address = f"{address.rstrip('/')}/"
        self.tries, self.timeout = tries, timeout
        self.session = _Session()
        self.person = credentials()
        self.log_in()

    def log_in(self) -> None:
        self.session.auth = tuple(text.encode() for text in self.person)
        token = (self.read("login", self.tried("POST", "login")) or {}).get("token")
        if not token:
            raise UserError(
                f"{self.address}login: expected a token, found an answer without one. "
                "Look at addresses.appeears in the config."
            )
        self.session.auth = _Bearer(token)

    def call(self, method: str, path: str, **options) -> dict | None:
        """Return the JSON object that AppEEARS answers, None if it knows of no such thing."""
        answer = self.tried(method, path, **options)
        if answer.status_code == 401:
            self.log_in()
            answer = self.tried(method, path, **options)
        return self.read(path, answer)

    def tried(self, method: str, path: str, **options) -> requests.Response:
        """Return an answer, asking again while AppEEARS is busy or the network fails."""
        for number in range(1, self.tries + 1):
            wait = ""
            try:
                answer = self.session.request(
                    method, f"{self.address}{path}", timeout=self.timeout, **options
                )
                if answer.status_code not in AGAIN:
                    return answer
                why = f"AppEEARS answered {answer.status_code}"
                wait = answer.headers.get("Retry-After", "")
            except requests.Timeout:
                why = "no answer in time"
            except requests.RequestException as error:
                why = f"the connection failed ({type(error).__name__})"
            if number < self.tries:
                pause = min(int(wait) if wait.isdigit() else 2**number, LONGEST)
                log.info("%s: %s; try %d in %d s", path, why, number + 1, pause)
                time.sleep(pause)
        raise UserError(
            f"{self.address}{path}: expected an answer, found after {self.tries} tries: {why}. "
            "Look at your connection, or run the same command again later: it goes on where it "
            "stopped."
        )

    def read(self, path: str, answer: requests.Response) -> dict | None:
        status, said = answer.status_code, f"{self.address}{path}: expected an answer, found"
        if status == 401:
            raise Refused(f"{said} 401. AppEEARS does not accept your log-in. {SERVICE.account}")
        if status == 403:
            raise Refused(f"{said} 403. You may not use AppEEARS yet. {SERVICE.licence}")
        if status in (404, 410):
            return None
        try:
            found = answer.json()
        except requests.JSONDecodeError:
            found = None
        if not isinstance(found, dict):
            kind = answer.headers.get("Content-Type", "no type").split(";")[0]
            raise UserError(
                f"{said} {status} and {kind} instead of JSON, perhaps a log-in page on the way. "
                "Look at addresses.appeears in the config and at your proxy."
            )
        if status >= 400:
            raise UserError(
                f"{said} {status}: {_brief(found.get('message'))}. Run the same command again "
                "later; if it stays, the request is not what AppEEARS expects."
            )
        return found


def _brief(text) -> str:
    return scrubbed(" ".join(str(text or "no reason given").split())[:300]).rstrip(".")


def finished(api: Api, task: str, what: str) -> dict:
    """Wait until a task has ended; return what AppEEARS says of it, `status` at least.

    One that is done but past its `expires_on` (ISO, UTC) has lost its files: it is "expired".
    """
    pause, said = PAUSE, ""
    while True:
        found = api.call("GET", f"task/{task}") or {"status": "deleted"}
        status = str(found.get("status"))
        if status == "done" and str(found.get("expires_on") or "9") < datetime.now(UTC).isoformat():
            return {"status": "expired"}
        if status in ENDED:
            return found
        progress = (api.call("GET", f"status/{task}") or {}).get("progress") or {}
        done = progress.get("summary") if isinstance(progress, dict) else None
        line = status if done is None else f"{status}, {done} %"
        log.info("%s: task %s is %s", what, task, line)
        if line != said:
            notice("%s: AppEEARS says %s; you may stop and run again later", what, line)
        said = line
        time.sleep(pause)
        pause = min(pause * 1.5, LONGEST_PAUSE)


def remembered(note: Path) -> str | None:
    """Return the id of the task that an earlier run submitted."""
    try:
        return json.loads(note.read_text(encoding="utf-8"))["task_id"]
    except (OSError, ValueError, KeyError):
        return None


def submitted(api: Api, what: str, request: dict, note: Path) -> str:
    """Submit a task and write its id to `note` before anything else happens."""
    # Other clients found that AppEEARS takes no dash in a name.
    name = f"soil moisture {what}".replace("-", " ")
    body = {"task_type": "area", "task_name": name, "params": request}
    task = (api.call("POST", "task", json=body) or {}).get("task_id")
    if not task:
        raise UserError(
            f"{api.address}task: expected the id of a task, found an answer without one. "
            "Look at addresses.appeears in the config."
        )
    with whole(str(note)) as part:
        text = json.dumps({"task_id": task, "params": request}, indent=1)
        part.write_text(f"{text}\n", encoding="utf-8")
    notice("%s: AppEEARS task %s submitted", what, task)
    return task


def bundle(api: Api, what: str, request: dict, note: Path) -> tuple[str, list[dict]]:
    """Return a task that is done and its files: the remembered task, or else a new one."""
    task = remembered(note)
    if task:
        notice("%s: going on with AppEEARS task %s", what, task)
        found = finished(api, task, what)
        files = _files(api, task) if found["status"] == "done" else []
        if files:
            return task, files
        gone = "expired" if found["status"] == "done" else found["status"]
        notice("%s: task %s is %s, it is submitted again", what, task, gone)
    task = submitted(api, what, request, note)
    found = finished(api, task, what)
    files = _files(api, task) if found["status"] == "done" else []
    if not files:
        note.unlink()
        reason = _brief(found.get("error")) if found["status"] == "error" else "no file is there"
        raise UserError(
            f"{api.address}task/{task}: expected a clip of {what}, found status "
            f"{found['status']!r}: {reason}. Run the same command again to submit it anew; if it "
            "fails again, look at the task on AppEEARS' page."
        )
    return task, files


def _files(api: Api, task: str) -> list[dict]:
    return (api.call("GET", f"bundle/{task}") or {}).get("files") or []


def clip_of(files: list[dict], product: Product, where: str) -> dict:
    """Return the one NetCDF file of a bundle."""
    names = [Path(file["file_name"]).name for file in files]
    found = [
        file
        for file, name in zip(files, names, strict=True)
        if name.startswith(f"{product.name}.{_appeears.COLLECTION}") and name.endswith(".nc")
    ]
    if len(found) != 1:
        raise UserError(
            f"{where}: expected one NetCDF file of {product.name}.{_appeears.COLLECTION}, found "
            f"{', '.join(names)}. The area is perhaps too large for one file: make it smaller."
        )
    return found[0]


def edges(box: list[float], cells: int) -> tuple[slice, slice]:
    """Return rows and columns of the sinusoidal grid (pixels of `cells` x 250 m) around `box`."""
    west, south, east, north = box
    size = 360 / 36 * cells / _appeears.CELLS  # of a pixel in degrees along a meridian
    latitude = np.append(np.linspace(south, north, 1001), np.clip(0.0, south, north))
    x = np.multiply.outer([west, east], np.cos(np.radians(latitude)))
    rows = slice(int((90 - north) // size), int((90 - south) // size) + 1)
    return rows, slice(int((x.min() + 180) // size), int((x.max() + 180) // size) + 1)


def check_clip(part: Path, where: str, product: Product, days: list[date], box) -> None:
    """Raise UserError if a fetched file is not the clip that was asked for."""
    head = _appeears.header(str(part), product.layer, *product.quality, named=where)
    _appeears.window(head, _appeears.place(head, product), *edges(box, product.cells))
    lacking = [day for day in days if day not in head.steps]
    if lacking:
        raise UserError(
            f"{where}: expected {product.name} of {', '.join(map(str, lacking))}, found none. "
            f"{_appeears.absent(product.name, lacking)}"
        )


def main(clip, variable, days, box, store, address, tries, timeout):
    product, days = PRODUCTS[variable], [date.fromisoformat(day) for day in days]
    what = f"{product.name} {Path(clip).stem}"
    request = parameters(variable, days, box)
    key = hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()[:16]
    folder, note = Path(store) / key, Path(store) / f"{key}.json"
    kept = [path for path in sorted(folder.glob("*.nc")) if record_of(path)]
    if kept:
        link(kept[0], Path(clip), record_of(kept[0]))
        return
    api = Api(address, tries, timeout)
    task, files = bundle(api, what, request, note)
    file = clip_of(files, product, f"{api.address}bundle/{task}")
    want = Wanted(
        address=f"{api.address}bundle/{task}/{file['file_id']}",
        path=folder / Path(file["file_name"]).name,
        size=file.get("file_size"),
        checksum=f"sha256:{file['sha256']}" if file.get("sha256") else "",
    )

    def check(part: Path, want: Wanted) -> None:
        check_clip(part, want.address, product, days, box)

    records = fetch_all([want], what, api.session, SERVICE, check, 1, tries, timeout)
    link(want.path, Path(clip), records[want.path])


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        clip=snakemake.output.clip,
        variable=snakemake.wildcards.variable,
        days=snakemake.params.days,
        box=snakemake.params.box,
        store=snakemake.params.store,
        address=snakemake.resources.address,
        tries=snakemake.resources.tries,
        timeout=snakemake.resources.timeout,
    )
