"""NASA Earthdata: find granules in the catalogue (CMR) and log in to fetch them.

Both are done by the library earthaccess. Added here: no prompt ever, a catalogue that is asked
again when it is busy and whose list is counted, and messages that say what to do about an account.
"""

from __future__ import annotations

import logging
import os
import re
import time
import warnings
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import requests

from _download import AGAIN, LONGEST, Refused, Service, Wanted, host
from _log import UserError, log, scrubbed

PROVIDER = "LPCLOUD"  # LP DAAC in the cloud; its older archive would list the same granules again
PATTERNS = 50  # of names in one question: an address of about 3 kB
UNITS = {"KB": 10**3, "MB": 10**6, "GB": 10**9}
# UMM-G's names of algorithms: Python's. The others (CRC, cksum) tell damage, not identity.
CHECKSUMS = {"MD5": "md5", "SHA-1": "sha1", "SHA-256": "sha256", "SHA-512": "sha512"}


class _Incomplete(RuntimeError):
    """The catalogue's list ended before its announced length."""


@dataclass(frozen=True)
class Found:
    """A file of the catalogue: delivered name, address, what its producer says about it."""

    name: str
    address: str
    about: int | None  # bytes, rounded by the producer
    size: int | None  # bytes, exact
    checksum: str  # "sha256:<hex>", or "" if none is published

    def wanted(self, store: Path) -> Wanted:
        """Return what `_download.fetch_all` needs to bring the file into the folder `store`."""
        return Wanted(self.address, store / self.name, self.size, self.checksum)


def service(earthdata: str, absent: str) -> Service:
    """Return what a person does when Earthdata refuses; `absent` is the mend of a missing file."""
    login = _host(earthdata)
    return Service(
        name="NASA Earthdata",
        account=_account(login),
        licence=(
            f"Log in at https://{login}/application_search and approve the applications of LP "
            f"DAAC, then accept what https://{login}/users/earthaccess/unaccepted_eulas lists, and "
            "run the same command again. If nothing is left to accept, your token has expired: "
            "make a new one."
        ),
        absent=absent,
    )


def _host(earthdata: str) -> str:
    return earthdata.split("://")[-1].strip("/")


def _account(login: str) -> str:
    return f"A token that worked before has expired: each lasts 60 days. {_ways(login)}"


def _ways(login: str) -> str:
    return (
        f"An account is free: register at https://{login} and give it in one of three ways: "
        "EARTHDATA_TOKEN in the environment (Generate Token in your profile there), "
        "EARTHDATA_USERNAME and EARTHDATA_PASSWORD in the environment, or a line "
        f"`machine {login} login NAME password WORD` in ~/.netrc."
    )


def session(earthdata: str) -> requests.Session:
    """Return earthaccess's session, logged in at the host `earthdata` without any prompt.

    The environment is tried first, then netrc. Raises UserError if neither has credentials or
    the service refuses a user name and password. A token is first looked at when a file is
    fetched: a wrong or expired one shows there (see `service`); if it shows as a web page, the
    session raises Refused.
    """
    from earthaccess.auth import Auth
    from earthaccess.exceptions import LoginAttemptFailure, LoginStrategyUnavailable
    from earthaccess.system import PROD

    token = os.environ.get("EARTHDATA_TOKEN")
    if token is not None and not re.fullmatch(r"[!-~]+", token):
        found = "blanks or line breaks in it" if token.strip() else "nothing"
        raise UserError(
            f"EARTHDATA_TOKEN: expected a token in one piece, found {found}. Copy it again, or "
            "unset the variable to use another way to log in."
        )
    login = _host(earthdata)
    # What it would print is said below, once.
    logging.getLogger("earthaccess").setLevel(logging.CRITICAL)
    auth = Auth()
    ways = {
        "environment": "EARTHDATA_USERNAME and EARTHDATA_PASSWORD",
        "netrc": os.environ.get("NETRC") or "~/.netrc",
    }
    for strategy, source in ways.items():
        try:
            auth.login(strategy=strategy, system=replace(PROD, edl_hostname=login))
        except LoginStrategyUnavailable:
            continue
        except LoginAttemptFailure:
            raise UserError(
                f"https://{login}: expected a log-in with the user name and password of {source}, "
                "found them refused. Correct them; if they open that page in a browser, the "
                "service is disturbed (https://status.earthdata.nasa.gov): run the same command "
                "again later."
            ) from None
        except (requests.RequestException, ValueError, LookupError) as error:
            raise UserError(
                f"https://{login}: expected Earthdata Login, found {_why(error)}. Look at your "
                "connection, or run the same command again later."
            ) from None
        except OSError as error:
            raise UserError(
                f"{source}: expected a file with log-ins, found one that cannot be read "
                f"({error.strerror}). Correct it or the variable NETRC."
            ) from None
        log.info("Earthdata: credentials from %s", "EARTHDATA_TOKEN" if token else source)
        opened = auth.get_session()
        opened.hooks["response"].append(partial(_refuse_page, login))
        return opened
    raise UserError(
        f"https://{login}: expected credentials in the environment or in {ways['netrc']}, found "
        f"none. {_ways(login)}"
    )


def _refuse_page(login: str, answer: requests.Response, **ignored) -> None:
    """Stop everything if a log-in page is delivered with a status that says all is well."""
    kind = answer.headers.get("Content-Type", "")
    if answer.status_code == 200 and kind.startswith("text/html"):
        answer.close()
        raise Refused(
            f"{answer.url.split('?')[0]}: expected a file of the archive, found a web page, "
            f"probably the log-in page. {_account(login)}"
        )


def search(
    cmr: str, product: str, version: str, names: list[str], tries: int = 6, timeout: float = 60
) -> list[Found]:
    """Return the files of the catalogue at `cmr` whose granules match one of `names` (with *).

    Every production of a granule is returned, each name once. No log-in is needed. Raises
    UserError if the catalogue does not answer after `tries` tries, or answers something else.
    """
    found: dict[str, Found] = {}
    for start in range(0, len(names), PATTERNS):
        ask = partial(_granules, cmr, product, version, names[start : start + PATTERNS], timeout)
        for granule in _asked(ask, cmr, tries):
            for file in files_of(granule["umm"], urlsplit(cmr).scheme):
                found.setdefault(file.name, file)
    log.info("%s: %d files of %s.%s", host(cmr), len(found), product, version)
    return list(found.values())


def _granules(cmr: str, product: str, version: str, names: list[str], timeout: float) -> list:
    from earthaccess import DataGranules

    query = DataGranules().mode(f"{cmr.rstrip('/')}/")
    query.short_name(product).version(version).provider(PROVIDER).granule_name(names)
    query.session = requests.Session()
    # earthaccess asks without a time limit: a catalogue that hangs would hold the job for ever.
    query.session.request = partial(query.session.request, timeout=timeout)
    with query.session, warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of earthaccess about its own methods
        hits = query.hits()
        granules = query.get(hits) if hits else []
    if len(granules) != hits:
        raise _Incomplete(f"{len(granules)} granules where it had announced {hits}")
    return granules


def files_of(umm: dict, scheme: str = "https") -> list[Found]:
    """Return the data files of one granule from its UMM-G metadata.

    Only addresses of `scheme` count: a token does not travel over a plain connection unless the
    catalogue does. An exact size and a checksum are taken from the entry of the file's own name;
    an entry without it may sum up a granule of several files.
    """
    entries = umm.get("DataGranule", {}).get("ArchiveAndDistributionInformation", [])
    found = []
    for link in umm.get("RelatedUrls", []):
        address = urlsplit(link["URL"])
        if link["Type"] != "GET DATA" or address.scheme != scheme:
            continue
        name = address.path.rsplit("/", 1)[-1]
        own = [entry for entry in entries if entry["Name"] == name]
        entry = own[0] if own else entries[0] if len(entries) == 1 else {}
        about = entry.get("SizeInBytes")
        if about is None and entry.get("SizeUnit") in UNITS and "Size" in entry:
            about = round(entry["Size"] * UNITS[entry["SizeUnit"]])
        checksum = entry.get("Checksum", {}) if own else {}
        algorithm = CHECKSUMS.get(checksum.get("Algorithm"))
        found.append(
            Found(
                name,
                link["URL"],
                about,
                entry.get("SizeInBytes") if own else None,
                f"{algorithm}:{checksum['Value'].lower()}" if algorithm else "",
            )
        )
    return found


def _asked(ask, cmr: str, tries: int) -> list:
    """Return what the catalogue answers, asking again while it is busy or out of reach."""
    for number in range(1, tries + 1):
        try:
            return ask()
        except (requests.RequestException, RuntimeError, ValueError, LookupError) as error:
            # earthaccess hides a refusal's status behind a RuntimeError of its text.
            answer = getattr(error.__cause__, "response", None)
            why = _why(error) if answer is None else f"status {answer.status_code}"
        if answer is not None and answer.status_code not in AGAIN:
            said = scrubbed(" ".join(answer.text.split())[:200])
            raise UserError(
                f"{cmr}: expected a list of granules, found {why} ({said}). Look whether "
                "addresses.cmr in the config is NASA's catalogue or speaks like it."
            )
        if number < tries:
            asked = answer.headers.get("Retry-After", "") if answer is not None else ""
            pause = min(int(asked) if asked.isdigit() else 2**number, LONGEST)
            log.info("%s: %s; try %d in %d s", cmr, why, number + 1, pause)
            time.sleep(pause)
    raise UserError(
        f"{cmr}: expected a list of granules, found after {tries} tries: {why}. Look at your "
        "connection, or run the same command again later; files that arrived are kept."
    )


def _why(error: Exception) -> str:
    """Return in a few words, without addresses and tokens, why there is no answer."""
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    if isinstance(error, requests.ConnectionError | requests.exceptions.ChunkedEncodingError):
        return "no connection"
    return str(error) if isinstance(error, _Incomplete) else "an answer of another kind"
