"""One log for each job: to its file, to the terminal, uncaught errors included, no secrets."""

from __future__ import annotations

import atexit
import logging
import os
import re
import resource
import sys
import time
from pathlib import Path
from urllib.parse import quote

from _intact import damaged

log = logging.getLogger("soil-moisture")
# Said on the terminal too: totals before long work, and how far it is.
NOTICE = 25
# Names of variables that hold secrets; PWD, and paths to files that hold them, are none.
SECRET = re.compile(r"(TOKEN|PASSWORD|PASSWD|SECRET|CREDENTIAL|_PASS$|KEY$)(?!.*_(FILE|PATH|DIR)$)")
PLAIN = {"true", "false", "none", "null"}  # switches whose names look like those of secrets
SHORT = 8  # a secret of fewer characters is hidden where it is a word, not inside others
# Tokens and base64 after the name of their scheme, not the words of "a basic description".
SCHEME = re.compile(
    r"\b(?:(bearer)\s+(?!auth|cred)[\w.~+/=-]{8,}"
    r"|(basic)\s+(?=[\w+/]*(?:=|(?-i:[a-z][A-Z])))[\w+/=]{8,})",
    re.I,
)
HEADER = re.compile(
    r"(\b(?:authorization|cookie)['\"]?\s*[:=]\s*)('[^']*'|\"[^\"]*\"|(?!\*)[^\s'\"].*)", re.I
)
PAIR = re.compile(
    r"(['\"][\w-]*(?:token|password|secret|api_?key)['\"]\s*:\s*)('[^']*'|\"[^\"]*\")", re.I
)
LOGIN = re.compile(r"://[^/\s]+@")
PARAMETER = re.compile(
    r"([?&][\w-]*(?:signature|sig|token|credential|secret|password|key)=)[^\s&'\"<>)]+", re.I
)
# Not with the colon or full stop of the sentence that follows, so to scrub twice changes nothing.
QUERY = re.compile(
    r"(://[^\s?'\"<>]+|\burl: /[^\s?'\"<>]*)\?[^\s'\"<>)]+?(?=[.,:;]*(?:[\s'\"<>)]|$))"
)


def notice(text: str, *values) -> None:
    """Log a line that a person at the terminal should see while the work goes on."""
    log.log(NOTICE, text, *values)


def scrubbed(text: str) -> str:
    """Return `text` without credentials: secrets of the environment, tokens, logins, queries.

    Addresses that a download was redirected to carry signatures in their query.
    """
    for name, value in os.environ.items():
        if len(value) > 3 and SECRET.search(name.upper()) and value.lower() not in PLAIN:
            for form in {value, quote(value, safe="")}:
                if form in text:
                    word = re.escape(form)
                    bounded = rf"(?<!\w){word}(?!\w)" if len(form) < SHORT else word
                    text = re.sub(bounded, "***", text)
    text = HEADER.sub(r"\1***", text)
    text = SCHEME.sub(r"\1\2 ***", text)
    text = PARAMETER.sub(r"\1***", PAIR.sub(r"\1***", text))
    if "://" in text or "url: /" in text:
        text = QUERY.sub(r"\1?***", LOGIN.sub("://", text))
    return text


class _Scrubbing(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return scrubbed(super().format(record))


def human(count: float) -> str:
    """Return a number of bytes as people read it."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000


def log_to(path: str) -> None:
    """Send log lines, warnings and the last words of a failed job to `path`.

    A `UserError` is written as its message alone: it was made for people. Anything
    else is written with its traceback.
    """
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    stamp = _Scrubbing("%(asctime)s %(message)s", "%H:%M:%S")
    file, terminal = logging.FileHandler(path, mode="w", encoding="utf-8"), logging.StreamHandler()
    for handler in (file, terminal):
        handler.setFormatter(stamp)
    terminal.setLevel(NOTICE)
    log.addHandler(terminal)
    log.setLevel(logging.INFO)
    # What libraries say goes to the file too: without a handler Python prints it unscrubbed.
    logging.getLogger().addHandler(file)
    logging.captureWarnings(True)
    sys.excepthook = _last_words
    atexit.register(_cost, time.monotonic(), time.process_time())


def _cost(began: float, started: float) -> None:
    """Log what the job took: for the resources of a profile, and to see what is slow.

    It began at `began` (s, monotonic) after `started` seconds of CPU time went into imports.
    """
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    log.info(
        "job: %.1f s, CPU %.1f s with %.1f s to start, peak memory %.0f MB, read %.1f MB, "
        "wrote %.1f MB",
        time.monotonic() - began,
        sum(usage.ru_utime + usage.ru_stime for usage in used),
        started,
        _peak() / 1e6,
        _size("input") / 1e6,
        _size("output") / 1e6,
    )


def _peak() -> int:
    """Return the most memory (bytes) that this process held at once.

    Linux's ru_maxrss begins with that of Snakemake, from which the process was forked.
    """
    status = Path("/proc/self/status")
    if status.exists():
        return 1024 * int(re.search(r"VmHWM:\s+(\d+) kB", status.read_text())[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS


def _size(kind: str) -> int:
    """Return the bytes of the job's inputs or outputs that are there."""
    return sum(Path(path).stat().st_size for path in _files(kind) if Path(path).is_file())


def _files(kind: str) -> list[str]:
    """Return the inputs or outputs of the job that this process is, none outside of Snakemake."""
    job = getattr(sys.modules["__main__"], "snakemake", None)
    return [str(path) for path in getattr(job, kind)] if job else []


class UserError(Exception):
    """Bad input: the message names the file, what was expected, what was found, the mend."""


def _last_words(kind, error, trace) -> None:
    if issubclass(kind, UserError):
        log.error("%s", error)
    else:
        log.critical("stopped", exc_info=(kind, error, trace))
        for line in damaged(_files("input")):
            log.error("%s", line)
