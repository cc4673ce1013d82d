"""One log for each job: to its file, to the terminal, uncaught errors included, no secrets."""

from __future__ import annotations

import logging
import os
import re
import sys
from pathlib import Path

log = logging.getLogger("soil-moisture")
# Said on the terminal too: totals before long work, and how far it is.
NOTICE = 25
SECRET = re.compile(r"TOKEN|PASSWORD|PASSWD|SECRET|KEY$")


def notice(text: str, *values) -> None:
    """Log a line that a person at the terminal should see while the work goes on."""
    log.log(NOTICE, text, *values)


def scrubbed(text: str) -> str:
    """Return `text` without credentials: secrets of the environment, tokens, logins, queries.

    Addresses that a download was redirected to carry signatures in their query.
    """
    for name, value in os.environ.items():
        if SECRET.search(name.upper()) and len(value) > 3:
            text = text.replace(value, "***")
    text = re.sub(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]+", r"\1 ***", text)
    text = re.sub(r"(\w+://)[^/\s@]+@", r"\1", text)
    return re.sub(r"(\w+://[^\s?'\"<>]+|\burl: /[^\s?'\"<>]*)\?[^\s'\"<>)]+", r"\1?***", text)


class _Scrubbing(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return scrubbed(super().format(record))


def log_to(path: str) -> None:
    """Send log lines, warnings and the last words of a failed job to `path`.

    A `UserError` is written as its message alone: it was made for people. Anything
    else is written with its traceback.
    """
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    stamp = _Scrubbing("%(asctime)s %(message)s", "%H:%M:%S")
    for handler in (logging.FileHandler(path, mode="w"), logging.StreamHandler()):
        handler.setFormatter(stamp)
        log.addHandler(handler)
    log.handlers[1].setLevel(NOTICE)
    log.setLevel(logging.INFO)
    logging.captureWarnings(True)
    logging.getLogger("py.warnings").addHandler(log.handlers[0])
    sys.excepthook = _last_words


class UserError(Exception):
    """Bad input: the message names the file, what was expected, what was found, the mend."""


def _last_words(kind, error, trace) -> None:
    if issubclass(kind, UserError):
        log.error("%s", error)
    else:
        log.critical("stopped", exc_info=(kind, error, trace))
