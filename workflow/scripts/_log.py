"""One log for each job: to its file, to the terminal, uncaught errors included."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

log = logging.getLogger("soil-moisture")


def log_to(path: str) -> None:
    """Send log lines, warnings and the last words of a failed job to `path`.

    A `UserError` is written as its message alone: it was made for people. Anything
    else is written with its traceback.
    """
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    stamp = logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S")
    for handler in (logging.FileHandler(path, mode="w"), logging.StreamHandler()):
        handler.setFormatter(stamp)
        log.addHandler(handler)
    log.handlers[1].setLevel(logging.WARNING)
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
