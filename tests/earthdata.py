"""A small Earthdata on loopback: catalogue, archive, the bucket it redirects to, log-in page.

The archive answers as NASA's does: without a token it redirects to the log-in host, which says
401 to programs or sends them back with a code that the archive changes into a cookie; with one it
redirects to a signed address on another host, which must never see the token.
"""

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatchcase
from urllib.parse import quote

import requests

from servers import Files, Server

HOST = "login.test"  # what the https address of the log-in is; see `reached_by_http`
USER, PASSWORD, TOKEN = "anna", "pass-word-7f3a", "token-of-anna-91bc"


class Login(Server):
    """Earthdata Login: makes tokens for a user name and password, sends browsers back."""

    def answer(self, request):
        basic = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        known = request.headers.get("authorization") == f"Basic {basic}"
        if request.path == "/api/users/find_or_create_token":
            if not known:
                return 401, {}, b'{"error": "invalid_credentials"}'
            token = {"access_token": TOKEN, "token_type": "Bearer", "expiration_date": "1/1/2999"}
            return 200, {"Content-Type": "application/json"}, json.dumps(token).encode()
        if request.path == "/oauth/authorize":
            if not known:
                return 401, {"WWW-Authenticate": "Basic"}, b"HTTP Basic: Access denied."
            back = request.query["redirect_uri"][0]
            return 302, {"Location": f"{back}?code=x&state={request.query['state'][0]}"}, b""
        return 404, {}, b""


class Archive(Server):
    """The catalogue under /search/ and the archive; `accepted` is whether the licence is."""

    def __init__(self, login, bucket):
        super().__init__()
        self.login, self.bucket = login, bucket
        self.granules: list[dict] = []
        self.accepted, self.tokens, self.largest_page = True, {TOKEN}, 2000
        self.ends_early = False  # the first page is said to be the last

    def answer(self, request):
        if request.path == "/search/granules.umm_json":
            return self.catalogue(request)
        if request.path == "/login":
            back = {"Location": request.query["state"][0], "Set-Cookie": "session=good"}
            return 302, back, b""
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if token not in self.tokens and "session=good" not in request.headers.get("cookie", ""):
            query = f"redirect_uri={quote(self.address)}/login&state={quote(request.path)}"
            return 302, {"Location": f"{self.login}/oauth/authorize?{query}"}, b""
        if not self.accepted:
            return 403, {}, b'{"error_description": "EULA Acceptance Failure"}'
        return 303, {"Location": f"{self.bucket}{request.path}?Signature=signed-5d1e"}, b""

    def catalogue(self, request):
        asked = request.query
        patterns = asked["readable_granule_name[]"]
        assert asked["options[readable_granule_name][pattern]"] == ["true"]
        found = [
            item
            for item in self.granules
            if item["umm"]["CollectionReference"]
            == {"ShortName": asked["short_name"][0], "Version": asked["version"][0]}
            and asked.get("provider", [item["meta"]["provider-id"]])[0]
            == item["meta"]["provider-id"]
            and any(fnmatchcase(item["umm"]["GranuleUR"], pattern) for pattern in patterns)
        ]
        size = min(int(asked.get("page_size", ["10"])[0]), self.largest_page)
        start = int(request.headers.get("cmr-search-after", 0))
        page = found[start : start + size]
        headers = {"CMR-Hits": str(len(found)), "Content-Type": "application/json"}
        if page and not self.ends_early:
            headers["CMR-Search-After"] = str(start + len(page))
        return 200, headers, json.dumps({"hits": len(found), "items": page}).encode()


class Bucket(Files):
    """Where signed addresses lead, on another host."""

    @property
    def address(self):
        return super().address.replace("127.0.0.1", "localhost")


class Earthdata:
    """The four together; `add` lists a file in the catalogue and puts it into the bucket."""

    def __enter__(self):
        self.login, self.bucket = Login(), Bucket()
        self.archive = Archive(f"https://{HOST}", self.bucket.address)
        for server in (self.login, self.bucket, self.archive):
            server.__enter__()
        self.cmr = f"{self.archive.address}/search/"
        return self

    def __exit__(self, *ignored):
        # Each needs a moment to notice; at the same time it is one moment.
        with ThreadPoolExecutor() as pool:
            list(pool.map(Server.__exit__, (self.login, self.bucket, self.archive)))

    def add(self, name, body, product, version="061", provider="LPCLOUD", ending=".hdf", **facts):
        """Return the path of a new file; `facts` go into its entry of the catalogue."""
        unit = name.removesuffix(ending)
        path = f"/lp-prod-protected/{product}.{version}/{unit}/{name}"
        self.bucket.files[path] = body
        links = [
            (f"s3://lp-prod-protected/{product}.{version}/{name}", "GET DATA VIA DIRECT ACCESS"),
            (f"{self.archive.address}{path}", "GET DATA"),
            (f"{self.archive.address}{path}.xml", "EXTENDED METADATA"),
        ]
        entry = {"Name": name, "Size": len(body) / 1e6, "SizeUnit": "MB"} | facts
        self.archive.granules.append(
            {
                "meta": {"concept-id": f"G{len(self.archive.granules)}", "provider-id": provider},
                "umm": {
                    "GranuleUR": unit,
                    "CollectionReference": {"ShortName": product, "Version": version},
                    "RelatedUrls": [{"URL": url, "Type": kind} for url, kind in links],
                    "DataGranule": {"ArchiveAndDistributionInformation": [entry]},
                },
            }
        )
        return path

    @property
    def asked(self):
        """How many questions and files were asked of the archive."""
        return len(self.archive.seen)


def reached_by_http(monkeypatch, login):
    """Send what goes to https://HOST to the loopback server, which has no certificate."""
    send = requests.adapters.HTTPAdapter.send

    def redirected(self, request, **options):
        address = request.url
        if address.startswith(f"https://{HOST}"):
            request.url = address.replace(f"https://{HOST}", login.address, 1)
        try:
            answer = send(self, request, **options)
        finally:
            request.url = address
        answer.url = address
        return answer

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", redirected)


def without_credentials(monkeypatch, folder):
    """Take away the credentials of whoever runs the tests; a prompt would be an error."""
    for name in ("EARTHDATA_TOKEN", "EARTHDATA_USERNAME", "EARTHDATA_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(folder / "netrc"))

    def prompt(*ignored):
        raise AssertionError("a prompt in a batch job")

    monkeypatch.setattr("builtins.input", prompt)
    monkeypatch.setattr("getpass.getpass", prompt)
