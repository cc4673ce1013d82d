"""Downloads to test: a server that differs as servers do, and what must be true after each."""

from __future__ import annotations

import hashlib
import json
import random
import time
from dataclasses import replace
from email.utils import formatdate

import pytest
import requests

import _download
from _download import Service, Wanted, fetch_all, record_of
from _log import UserError
from servers import Fault, Files

DATA = random.Random(1).randbytes(300_000)
PATH = "/data/a.hdf"
SERVICE = Service("the archive", "Make a token.", "Accept the licence.", "Look in the catalogue.")


class Archive(Files):
    """Files with the ways in which servers differ: what they say of a version, how a body ends."""

    said = "strong"  # or "weak", "date", "young", "nothing"
    ending = "length"  # or "chunked", "close"
    blind = False  # answers with a range whatever If-Range says
    alter = None  # alter(request, status, headers, body) changes an answer

    def file(self, request, body):
        request = replace(request, headers=dict(request.headers))  # `seen` keeps what was asked
        if self.blind:
            request.headers.pop("if-range", None)
        if self.said != "strong" and not self.blind:
            # servers.Files compares with its strong tag: what it cannot match is sent whole
            date = formatdate(1.6e9, usegmt=True)
            if self.said != "date" or request.headers.get("if-range") != date:
                request.headers.pop("range", None)
        status, headers, sent = super().file(request, body)
        if self.said != "strong":
            tag = headers.pop("ETag", None)
            if self.said == "weak":
                headers["ETag"] = f"W/{tag}"
            if self.said == "young":
                headers["Last-Modified"] = formatdate(time.time() - 5, usegmt=True)
            if self.said == "nothing":
                headers.pop("Last-Modified", None)
        if self.ending == "chunked":
            headers["Transfer-Encoding"] = "chunked"
        if self.ending == "close":
            headers["Connection"] = "close"
        if self.alter:
            status, headers, sent = self.alter(request, status, headers, sent)
        return status, headers, sent

    def ranges_asked(self):
        return [request.headers.get("range") for request in self.seen]


def no_page(part, want):
    if _download.looks_like_page(part):
        raise UserError(f"{want.path}: expected HDF, found a web page. Log in.")


def wanted(server, folder, path=PATH, **more):
    return Wanted(server.address + path, folder / "store" / path.rsplit("/", 1)[1], **more)


def fetch(*wants, check=no_page, session=None, **how):
    how = {"parallel": 2, "tries": 4, "timeout": 0.5} | how
    return fetch_all(list(wants), "files", session or requests.Session(), SERVICE, check, **how)


def sum_of(data, algorithm="sha256"):
    return f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"


def assert_whole(want, data=DATA):
    """The file, its record, and nothing else of it."""
    assert want.path.read_bytes() == data
    assert not want.path.stat().st_mode & 0o222
    record = json.loads(want.path.with_name(f"{want.path.name}.json").read_text())
    assert record == record_of(want.path)
    assert record["bytes"] == len(data) and f"sha256:{record['sha256']}" == sum_of(data)
    assert record["delivered"] == want.path.name
    assert not want.part.exists() and not want.note.exists()


def assert_absent(want):
    assert not want.path.exists() and record_of(want.path) is None


def assert_second_run_finishes(server, want, data=DATA, session=None):
    server.faults.clear()
    server.alter = None
    records = fetch(want, session=session)
    assert_whole(want, data)
    before = len(server.seen)
    assert fetch(want, session=session) == records
    assert len(server.seen) == before, "a full store needs no network"


def stopped(server, want, after=150_000):
    """Leave a part as a broken connection does."""
    server.faults[PATH] = [Fault("cut", after=after)]
    with pytest.raises(UserError, match="found after 1 tries"):
        fetch(want, tries=1)
    server.seen.clear()
    return want.part.stat().st_size
