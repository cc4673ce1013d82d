"""Servers on loopback that speak the archives' protocols and misbehave on demand.

`Files` serves bytes with ranges, ETag and Last-Modified. `server.faults[path]` is a list of what
goes wrong at the next requests of that path, one for each request: a status, or one of "stall",
"cut", "short", "login", or None for nothing. Every request is kept in `server.seen`.

A body is sent with its length, unless the answer's headers say `Transfer-Encoding: chunked` or
`Connection: close` (then only the end of the connection ends it) or give a length of their own.
"""

from __future__ import annotations

import hashlib
import sys
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

LOGIN = b"<!DOCTYPE html><html><title>Earthdata Login</title><body>Sign in</body></html>"


@dataclass
class Fault:
    """A status with headers; or a body that stalls, is cut, too short, or a log-in page."""

    kind: int | str
    headers: dict[str, str] = field(default_factory=dict)
    after: int = 1000  # bytes sent before a stall or a cut
    seconds: float = 3.0  # of a stall


@dataclass
class Request:
    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes


class Server:
    """A threaded server; subclasses answer in `answer(request) -> (status, headers, body)`."""

    def __init__(self):
        self.faults: dict[str, list[Fault | int | str | None]] = defaultdict(list)
        self.seen: list[Request] = []
        self.lock = threading.Lock()
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *arguments):
                pass

            def handle_one(self):
                url = urlsplit(self.path)
                length = int(self.headers.get("Content-Length") or 0)
                request = Request(
                    self.command,
                    url.path,
                    parse_qs(url.query, keep_blank_values=True),
                    {name.lower(): value for name, value in self.headers.items()},
                    self.rfile.read(length),
                )
                with owner.lock:
                    owner.seen.append(request)
                    waiting = owner.faults.get(url.path)
                    fault = waiting.pop(0) if waiting else None
                try:
                    owner.respond(self, request, fault)
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True

            do_GET = do_POST = do_HEAD = do_DELETE = do_PUT = handle_one

        class Quiet(ThreadingHTTPServer):
            def handle_error(self, request, client_address):
                # A client that goes away in the middle is what these tests are about.
                if not isinstance(sys.exception(), ConnectionError):
                    super().handle_error(request, client_address)

        self.http = Quiet(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.http.block_on_close = False
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.05,), daemon=True)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.http.server_address[1]}"

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *ignored):
        self.http.shutdown()
        self.http.server_close()

    def answer(self, request: Request) -> tuple[int, dict[str, str], bytes]:
        return 404, {}, b"not here"

    def respond(self, handler, request: Request, fault: Fault | None) -> None:
        fault = Fault(fault) if isinstance(fault, int | str) else fault
        if fault and isinstance(fault.kind, int):
            return self.send(handler, fault.kind, fault.headers, b"no")
        if fault and fault.kind == "login":
            return self.send(handler, 200, {"Content-Type": "text/html"}, LOGIN)
        status, headers, body = self.answer(request)
        if fault and fault.kind == "short":
            body = body[: len(body) // 2]
        if not (fault and fault.kind in ("stall", "cut")):
            return self.send(handler, status, headers, body)
        self.head(handler, status, headers, len(body))
        self.body(handler, headers, body[: fault.after])
        handler.wfile.flush()
        if fault.kind == "stall":
            time.sleep(fault.seconds)
        handler.close_connection = True
        handler.connection.close()
        return None

    def send(self, handler, status: int, headers: dict[str, str], body: bytes) -> None:
        self.head(handler, status, headers, len(body))
        if handler.command != "HEAD":
            self.body(handler, headers, body)
            if "Transfer-Encoding" in headers:
                handler.wfile.write(b"0\r\n\r\n")

    def head(self, handler, status: int, headers: dict[str, str], length: int) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        if not {"Transfer-Encoding", "Connection", "Content-Length"} & set(headers):
            handler.send_header("Content-Length", str(length))
        handler.end_headers()

    def body(self, handler, headers: dict[str, str], body: bytes) -> None:
        if "Transfer-Encoding" in headers and body:
            body = b"%x\r\n%s\r\n" % (len(body), body)
        handler.wfile.write(body)


class Files(Server):
    """A server of files: `server.files[path] = bytes`; `ranges = False` ignores Range."""

    def __init__(self, files: dict[str, bytes] | None = None, ranges: bool = True):
        super().__init__()
        self.files = dict(files or {})
        self.ranges = ranges

    def answer(self, request: Request) -> tuple[int, dict[str, str], bytes]:
        if request.path not in self.files:
            return 404, {}, b"not here"
        return self.file(request, self.files[request.path])

    def file(self, request: Request, body: bytes) -> tuple[int, dict[str, str], bytes]:
        tag = f'"{hashlib.md5(body).hexdigest()}"'
        headers = {"ETag": tag, "Last-Modified": formatdate(1.6e9, usegmt=True)}
        asked = request.headers.get("range", "")
        condition = request.headers.get("if-range", tag)
        if not (self.ranges and asked.startswith("bytes=")):
            return 200, headers, body
        headers["Accept-Ranges"] = "bytes"
        if condition not in (tag, headers["Last-Modified"]):
            return 200, headers, body
        first, last = asked.removeprefix("bytes=").split("-")
        first = int(first)
        last = min(int(last) if last else len(body) - 1, len(body) - 1)
        if first >= len(body):
            return 416, {"Content-Range": f"bytes */{len(body)}"}, b""
        headers["Content-Range"] = f"bytes {first}-{last}/{len(body)}"
        return 206, headers, body[first : last + 1]
