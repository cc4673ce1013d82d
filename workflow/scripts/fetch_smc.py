"""Fetch the background soil moisture SMC of all months from its Zenodo record (S12, U17, A10).

How the record lays out its files could not be looked up when this was written. So nothing is
guessed: files are taken whose names carry a month that is needed, or members of zip archives that
do; where that leaves a month without a file, or with two, the message shows what the record holds
and how to go on with a folder. Sizes and MD5 sums are those that Zenodo publishes.
"""

import itertools
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import rasterio
import requests

import _zip
from _archive import link
from _download import Service, Wanted, digest, fetch_all, looks_like_page, record_of
from _log import UserError, log, log_to, notice
from _smc import month_in, month_of
from _whole import whole

RASTERS = (".tif", ".tiff")
PACKED = (".rar", ".7z", ".tar", ".gz", ".tgz", ".bz2", ".xz")  # not unpacked here
YEAR = re.compile(r"(?<!\d)((?:19|20)\d{2})(?!\d)")
LARGEST = 10**9  # bytes of one month unpacked; all of China at 0.05 degree is a few MB
SHOWN = 12  # names in a message


OTHERWISE = "download its files in a browser and set sources.smc to their folder."
ZENODO = Service(
    name="Zenodo",
    account=f"The record is not open: {OTHERWISE}",
    licence=f"The record is not open: {OTHERWISE}",
    absent="Is smc.record right? If it is, run the same command again.",
)


@dataclass(frozen=True)
class Listed:
    """One file of the record, as Zenodo lists it."""

    key: str
    address: str
    size: int | None
    checksum: str

    @property
    def suffix(self) -> str:
        return PurePosixPath(self.key).suffix.lower()


@dataclass(frozen=True)
class Record:
    """What the record is called and holds, for messages too."""

    address: str
    number: int
    title: str
    files: list[Listed]

    def refusal(self, expected: str, found: str, more: str = "") -> UserError:
        return UserError(
            f"{self.address} ({self.title!r}): expected {expected}, found {found}. {more}Download "
            f"the files yourself (https://doi.org/10.5281/zenodo.{self.number}) into a folder, one "
            ".tif a month with its month as YYYYMM in the name, and set sources.smc to that "
            "folder. If it is another record, correct smc.record."
        )


def read_record(path: Path, address: str, number: int) -> Record:
    """Return the record that Zenodo's JSON in `path` describes.

    Raises UserError if that is not a record, is another one, or lists names that lead elsewhere.
    """
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
        numbers = {str(body.get(name)) for name in ("id", "recid", "conceptrecid")}
        title = str((body.get("metadata") or {}).get("title", "no title"))
        files = [
            Listed(
                key=str(entry.get("key") or entry["filename"]),
                address=str(entry["links"].get("content") or entry["links"]["self"]),
                size=entry.get("size", entry.get("filesize")),
                checksum=re.sub(r"^(?=[0-9a-f]{32}$)", "md5:", str(entry.get("checksum") or "")),
            )
            for entry in body.get("files") or []
        ]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UserError(
            f"{address}: expected Zenodo's description of record {number} (JSON with files), found "
            "something else. Run the same command again later; if it stays so, is "
            "addresses.zenodo right?"
        ) from None
    if str(number) not in numbers:
        raise UserError(
            f"{address}: expected record {number}, found {', '.join(sorted(numbers))}. Correct "
            "smc.record or addresses.zenodo."
        )
    for file in files:
        if file.key in ("", ".", "..") or re.search(r"[/\\\0]", file.key):
            raise UserError(
                f"{address}: expected plain file names, found {file.key!r}. Correct smc.record."
            )
    return Record(address, number, title, files)


def breadth(archive: str) -> int:
    """Return how much an archive holds by its name: 0 a month, else years, 9999 if it says none."""
    years = [int(year) for year in YEAR.findall(PurePosixPath(archive).stem)]
    if month_of(archive):
        return 0
    return max(years) - min(years) + 1 if years else 9999


def may_hold(archive: str, month: str) -> bool:
    """Return whether an archive of this name may hold `month` (YYYY-MM).

    One month or one year in the name is believed, of more years the first and the last; a name
    that says nothing may hold anything.
    """
    if month_of(archive):
        return month_of(archive) == month
    years = YEAR.findall(PurePosixPath(archive).stem)
    return not years or min(years) <= month[:4] <= max(years)


def by_month(names: list[str], months: list[str], record: Record) -> dict[str, str]:
    """Return {month: name} of the rasters whose names carry one of `months`.

    Raises UserError if two carry the same.
    """
    found: dict[str, str] = {}
    for name in names:
        month = month_of(name)
        path = PurePosixPath(name)
        if month not in months or path.suffix.lower() not in RASTERS or path.name.startswith("."):
            continue  # ._NAME is what macOS adds to its zips
        if month in found:
            raise record.refusal(f"one file of {month}", f"{found[month]} and {name}")
        found[month] = name
    return found


def kind(path: Path) -> str:
    """Return in words what lies in a file that is not what it should be."""
    return "a web page" if looks_like_page(path) else "a file that cannot be read as one"


def check_raster(path: Path, label: str) -> None:
    """Raise UserError, naming `label`, unless `path` is a GeoTIFF that can be read to its end."""
    try:
        with rasterio.open(path, driver="GTiff") as source:
            source.read(1)
    except rasterio.errors.RasterioError:
        raise UserError(
            f"{label}: expected a whole GeoTIFF, found {kind(path)}. Run the same command again; "
            "if it stays so, look at the record in a browser."
        ) from None


def check(path: Path, want: Wanted) -> None:
    """Raise UserError unless a file of the record is what its name says."""
    if want.path.suffix.lower() in RASTERS:
        check_raster(path, want.address)
    elif not _zip.is_zip(path):
        raise UserError(
            f"{want.address}: expected a zip archive, found {kind(path)}. Run the same command "
            "again; if it stays so, look at the record in a browser."
        )


def unpack(archive: Path, member: str, final: Path, record: dict) -> None:
    """Make `final` the member of an archive in the store, read-only, with its record beside it."""
    final.parent.mkdir(parents=True, exist_ok=True)
    with whole(str(final)) as part:
        _zip.extract(archive, member, part, LARGEST)
        check_raster(part, f"{archive}, member {member}")
        made = record | {"member": member, "bytes": part.stat().st_size, "sha256": digest(part)}
        made.pop("published", None)  # it is the archive's
        with whole(str(final.with_suffix(".json"))) as beside:
            beside.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
        part.chmod(0o444)


def shown(names: list[str]) -> str:
    """Return names as a message lists them."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return (", ".join(names[:SHOWN]) or "no file") + more


def search_archives(
    months: list[str], holds: Record, wants: dict[str, Wanted], fetch: Callable
) -> tuple[dict[str, tuple[str, str]], list[str]]:
    """Return {month: (archive, member)} of what zips hold of `months`, and each opened zip's names.

    The narrowest archives are fetched first, so that one of all years is only if years lack.
    """
    archives = [file.key for file in holds.files if file.suffix == ".zip"]
    # If the names rule out every archive, they do not mean what they seem to: look into all.
    named = any(may_hold(key, month) for key in archives for month in months)
    members: dict[str, tuple[str, str]] = {}
    seen: list[str] = []
    for _, group in itertools.groupby(sorted(archives, key=breadth), breadth):
        left = [month for month in months if month not in members]
        keys = [key for key in group if left and (any(may_hold(key, m) for m in left) or not named)]
        fetch(keys)
        for key in keys:
            names = _zip.names(wants[key].path)
            seen.append(f"{key} with {shown(names)}")
            for month, member in by_month(names, left, holds).items():
                if month in members:
                    other = "/".join(members[month])
                    raise holds.refusal(f"one file of {month}", f"{other} and {key}/{member}")
                members[month] = key, member
    return members, seen


def main(months, record, store, address, parallel, tries, timeout):
    finals = {month_in(path): Path(path) for path in months}
    folder = Path(store) / str(record)
    listing = Wanted(f"{address}{record}", folder / f"zenodo_{record}.json")
    session, how = requests.Session(), (parallel, tries, timeout)

    def check_listing(path: Path, want: Wanted) -> None:
        read_record(path, want.address, record)

    fetch_all([listing], f"list of record {record}", session, ZENODO, check_listing, *how)
    holds = read_record(listing.path, listing.address, record)
    notice("record %s of Zenodo is %r, %d files", record, holds.title, len(holds.files))
    wants = {
        file.key: Wanted(file.address, folder / file.key, file.size, file.checksum)
        for file in holds.files
    }

    def fetch(keys: list[str]) -> None:
        try:
            fetch_all([wants[key] for key in keys], "SMC", session, ZENODO, check, *how)
        except UserError:
            listing.path.unlink()  # the next run asks for it anew: it may be what is wrong
            raise

    direct = by_month(list(wants), list(finals), holds)
    members, seen = search_archives([m for m in finals if m not in direct], holds, wants, fetch)
    left = [month for month in finals if month not in direct and month not in members]
    if left:
        packed = [file.key for file in holds.files if file.suffix in PACKED]
        looked = [line.split(" with ")[0] for line in seen]
        closed = [key for key in wants if key not in looked]
        raise holds.refusal(
            f"SMC of {shown(left)} in .tif files, or zips of them, with the month as YYYYMM in "
            "the names",
            "; ".join([*seen, shown(closed)] if closed or not seen else seen),
            f"Not unpacked here, use a program of your own: {shown(packed)}. " if packed else "",
        )
    fetch(list(direct.values()))
    for month, key in direct.items():
        link(wants[key].path, finals[month], record_of(wants[key].path))
    for month, (key, member) in members.items():
        unpack(wants[key].path, member, finals[month], record_of(wants[key].path))
        log.info("%s: %s of %s", finals[month], member, key)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        months=snakemake.output.months,
        record=snakemake.params.record,
        store=snakemake.params.store,
        address=snakemake.resources.address,
        parallel=snakemake.resources.parallel,
        tries=snakemake.resources.tries,
        timeout=snakemake.resources.timeout,
    )
