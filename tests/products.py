"""Zenodo and the Climate Data Store on loopback, as their programs' interfaces answer."""

import hashlib
import json

from fetch_era5land import DATASET
from servers import Files, Request

NUMBER = 4738556  # of the record of SMC
KEY = "3f0e1c52-token-0f2b-9d71-c0ffee"
API = "/api/retrieve/v1"
FILE = "/cache/a1b2c3.nc"
EXECUTE = f"{API}/processes/{DATASET}/execution"


class Zenodo(Files):
    """A record, listed as Zenodo's API does, and its files."""

    def hold(self, contents, **changes):
        entries = [
            {
                "id": f"id-{key}",
                "key": key,
                "size": len(content),
                "checksum": f"md5:{hashlib.md5(content).hexdigest()}",
                "links": {"self": f"{self.address}/api/records/{NUMBER}/files/{key}/content"},
            }
            for key, content in contents.items()
        ]
        body = {
            "id": NUMBER,
            "conceptrecid": "4738555",
            "metadata": {"title": "Soil moisture of China"},
            "files": entries,
        }
        self.files = {f"/api/records/{NUMBER}/files/{k}/content": c for k, c in contents.items()}
        self.files[f"/api/records/{NUMBER}"] = json.dumps(body | changes).encode()
        return entries

    def asked(self):
        return [one.path.split("/")[-2] for one in self.seen if one.path.endswith("/content")]


class Cds(Files):
    """Jobs as the processing service of CDS makes them, each with the states it goes through."""

    def __init__(self):
        super().__init__()
        # Head and body are two packets; the second would wait 40 ms for the first to be confirmed.
        self.http.RequestHandlerClass.disable_nagle_algorithm = True
        self.states = ["accepted", "running", "successful"]
        self.jobs: dict[str, list[str]] = {}
        self.accepted: list[dict] = []
        self.licence = True
        self.failure = (400, {"title": "job failed", "traceback": "MultiAdaptorNoDataError: none"})
        self.expired: set[str] = set()

    def answer(self, request: Request):
        if request.path in self.files:
            return super().answer(request)
        status, body = self.reply(request)
        return status, {"Content-Type": "application/json"}, json.dumps(body).encode()

    def reply(self, request: Request):
        if request.path == "/api/catalogue/v1/messages":
            return 200, {"messages": [{"severity": "warning", "content": f"news for {KEY}"}]}
        if request.headers.get("private-token") != KEY:
            return 401, {"title": "permission denied", "detail": f"no user with {KEY}X"}
        if request.path == f"{API}/processes/{DATASET}":
            return 200, {"id": DATASET, "links": []}
        if request.path == EXECUTE:
            if not self.licence:
                return 403, {"title": "required licences not accepted", "detail": "please accept"}
            name = f"job-{len(self.jobs) + 1}"
            self.jobs[name] = list(self.states)
            self.accepted.append(json.loads(request.body)["inputs"])
            return 201, self.job(name)
        name = request.path.removeprefix(f"{API}/jobs/").removesuffix("/results")
        if name not in self.jobs:
            return 404, {"title": "job not found", "detail": "job not found"}
        if not request.path.endswith("/results"):
            if "log" in request.query and len(self.jobs[name]) > 1:
                self.jobs[name].pop(0)
            return 200, self.job(name)
        if self.jobs[name][0] in ("failed", "rejected"):
            return self.failure
        if name in self.expired:
            return 404, {"title": "results expired"}
        value = {
            "type": "application/netcdf",
            "href": f"{self.address}{FILE}",
            "file:size": len(self.files[FILE]),
            "file:checksum": "not of the bytes",
        }
        return 200, {"asset": {"value": value}}

    def job(self, name):
        url = f"{self.address}{API}/jobs/{name}"
        links = [{"rel": "monitor", "href": url}, {"rel": "self", "href": url}]
        return {
            "jobID": name,
            "processID": DATASET,
            "status": self.jobs[name][0],
            "links": links,
            "metadata": {"log": [["2026-01-01T00:00:00", f"INFO log with {KEY}"]]},
        }

    def count(self, path):
        return len([one for one in self.seen if one.path == path])
