"""Fetch one year of daily gauge files from NOAA's Global Summary of the Day (S11, U26).

NOAA publishes no size and no checksum of these tables, so each is read to its end before it gets
its name: the columns that rain needs, rows of that station and that year only, no row cut short.
A gauge that was silent all year has no file there: that is a fact to write into the config, not
an error to try again.
"""

import csv
from pathlib import Path

import requests

from _archive import link
from _download import Refused, Service, Wanted, fetch_all, looks_like_page, record_of
from _log import UserError, log_to

NEEDED = ("STATION", "DATE", "PRCP", "PRCP_ATTRIBUTES")
ENDED = "GSOD ended in August 2025."
NOAA = Service(
    name="NOAA",
    account="NOAA asks for no account: is addresses.gsod right?",
    licence="NOAA asks for no account: is addresses.gsod right, or does a proxy stand between?",
    absent="Is the id in rain.gauges right?",
)


def check_gsod(path: Path, want: Wanted) -> None:
    """Raise UserError unless `path` is the whole GSOD table that `want` is named after.

    `want.path` is .../{year}/{station}.csv.
    """
    station, year = want.path.stem, want.path.parent.name
    said = f"{want.address}: expected the GSOD table of station {station}, found"
    again = "Run the same command again; if it stays so, look at the address in a browser."
    if looks_like_page(path):
        raise UserError(f"{said} a web page. {again}")
    text = path.read_text(encoding="utf-8", errors="replace")
    header, *rows = list(csv.reader(text.splitlines())) or [[]]
    missing = [name for name in NEEDED if name not in header]
    if missing:
        raise UserError(f"{said} a file without the columns {', '.join(missing)}. {again}")
    if not rows:
        raise UserError(f"{said} a header without days. {again}")
    short = [number for number, row in enumerate(rows, 2) if len(row) != len(header)]
    if short or not text.endswith("\n"):
        line = short[0] if short else len(rows) + 1
        raise UserError(f"{said} line {line} cut short. {again}")
    stations = {row[header.index("STATION")].strip() for row in rows}
    if stations != {station}:
        raise UserError(f"{said} days of {', '.join(sorted(stations - {station}))}. {again}")
    other = [day for row in rows if not (day := row[header.index("DATE")]).startswith(f"{year}-")]
    if other:
        raise UserError(
            f"{want.address}: expected days of {year}, found {other[0]!r} ({len(other)} rows). "
            f"{again}"
        )


def absent_message(folder: str, year: int, absent: list[str], asked: int) -> str:
    """Return the message about gauges without a file, with the text for the config."""
    lines = ", ".join(f'"{station}/{year}"' for station in absent)
    none = f" Not one gauge has a file of {year}: is addresses.gsod right? {ENDED}"
    return (
        f"{folder}: expected a file of each gauge, found none (404) of {', '.join(absent)}. These "
        f"gauges have no file in {year}. If they were silent that year, write into the config:\n"
        f"rain:\n  absent: [{lines}]\n"
        "beside what is there already. If an id is wrong, correct it in rain.gauges."
        f"{none if len(absent) == asked > 1 else ''}"
    )


def main(stations, year, store, address, parallel, tries, timeout):
    finals = [Path(path) for path in stations]
    wanted = {
        final: Wanted(f"{address}{year}/{final.name}", Path(store) / str(year) / final.name)
        for final in finals
    }
    session, absent = requests.Session(), set()

    def note_absent(answer, **_):
        if answer.status_code in (404, 410):
            absent.add(answer.url.rsplit("/", 1)[-1].removesuffix(".csv"))

    session.hooks["response"].append(note_absent)
    what = f"rain of {year}"
    try:
        records = fetch_all(
            list(wanted.values()), what, session, NOAA, check_gsod, parallel, tries, timeout
        )
    except Refused:
        raise
    except UserError:
        if not absent:
            raise
        message = absent_message(f"{address}{year}/", year, sorted(absent), len(finals))
        lost = [final.stem for final in finals if record_of(wanted[final].path) is None]
        others = sorted(set(lost) - absent)
        if others:
            message += f" Fetching {', '.join(others)} failed for another reason (see the log)."
        raise UserError(message) from None
    for final, want in wanted.items():
        link(want.path, final, records[want.path])


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        stations=snakemake.output.stations,
        year=snakemake.params.year,
        store=snakemake.params.store,
        address=snakemake.resources.address,
        parallel=snakemake.resources.parallel,
        tries=snakemake.resources.tries,
        timeout=snakemake.resources.timeout,
    )
