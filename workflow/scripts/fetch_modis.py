"""Fetch the granules of one MODIS product and one year from NASA (S4-S8).

The catalogue is asked only for what the store lacks. Of several productions of a granule the
latest is taken, and {tile}.json beside it says which and what it supersedes. Every file is opened
and compared with its name before it counts: a log-in page, a cut file or another tile never does.
"""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import _archive
import _earthdata
import _granule
from _download import Wanted, check_room, fetch_all, host, record_of
from _log import UserError, log, log_to
from _whole import whole

COLLECTION = "061"
PRODUCTS = {product.name: product for product in _granule.PRODUCTS.values()}
NAMED = 3  # granules that a message spells out before it counts the rest
# Why a product may have nothing where the others have all.
LATE = {
    "MOD16A2GF": (
        " NASA makes MOD16A2GF after a year has ended; until then there is only MOD16A2, whose "
        "clouds are not filled and which is not read here."
    )
}

Key = tuple[str, str, str]  # product, date (YYYY-MM-DD), tile


def key_of(path: Path) -> Key:
    """Return product, date and tile of .../{product}/{date}/{tile}.hdf."""
    return path.parent.parent.name, path.parent.name, path.stem


def in_store(store: Path, keys: set[Key]) -> dict[Key, list[Path]]:
    """Return the whole files of the store for each of `keys`, the latest production first."""
    files = _archive.latest(sorted(store.glob("*")))
    whole_files = {
        key: [file for file in files[key] if record_of(file)] for key in keys & files.keys()
    }
    return {key: found for key, found in whole_files.items() if found}


def patterns(keys: set[Key]) -> list[str]:
    """Return the names, with *, that find `keys`: one for each product, year and tile.

    By name and not by time: a granule of a daily product holds 16 days, so a search by time
    would return 16 granules for each.
    """
    wide = {(product, day[:4], tile) for product, day, tile in keys}
    return [f"{product}.A{year}*.{tile}.{COLLECTION}.*" for product, year, tile in sorted(wide)]


def chosen(found: list[_earthdata.Found], keys: set[Key]) -> dict[Key, list[_earthdata.Found]]:
    """Return the catalogue's files for each of `keys`, the latest production first."""
    by_name = {file.name: file for file in found}
    latest = _archive.latest([Path(name) for name in by_name])
    return {key: [by_name[file.name] for file in latest[key]] for key in keys & latest.keys()}


def check_complete(found: set[Key], missing: set[Key], have: set[Key], cmr: str) -> None:
    """Raise UserError, with the lines to paste into the config, if the catalogue lacks any.

    If it has none, and the store has none of that year either, the product is not there yet (or
    not any more): naming every granule would hide that.
    """
    absent = sorted("/".join(key) for key in missing - found)
    if not absent:
        return
    product, day, _ = sorted(missing)[0]
    if not found and not have:
        raise UserError(
            f"{host(cmr)}: expected {len(missing)} granules of {product}.{COLLECTION} that start "
            f"in {day[:4]}, the first on {day}, found none for these dates and tiles."
            f"{LATE.get(product, '')} Choose `years` and `months` that the product covers: see "
            f"https://search.earthdata.nasa.gov/search?q={product}."
        )
    more = f" and {len(absent) - NAMED} more" if len(absent) > NAMED else ""
    lines = "".join(f"\n    - {name}" for name in absent)
    raise UserError(
        f"{host(cmr)}: expected {len(missing)} granules of {product}.{COLLECTION}, found "
        f"{len(found)}, without {', '.join(absent[:NAMED])}{more}. Run the same command again "
        "later if they are recent. If the archive truly lacks them, say so in the config (only "
        f"the lines with a dash if they have company there):\nmodis:\n  absent:{lines}"
    )


def check_granule(part: Path, want: Wanted) -> None:
    """Open a granule under its temporary name and compare it with the name it will get.

    Every layer that is used later is read whole, because a file may be cut behind its directory
    and open all the same. Raises UserError naming the address.
    """
    asked = _archive.parsed(want.path.name)
    product = PRODUCTS[asked["product"]]
    layers = (product.layer, *product.quality)
    with TemporaryDirectory() as folder:
        # `_granule` compares with the place in the archive. A path of its own for every try also
        # matters: HDF4 remembers a damaged file by its path and calls a whole one there damaged.
        place = Path(folder, asked["product"], asked["date"], f"{asked['tile']}.hdf")
        place.parent.mkdir(parents=True)
        place.symlink_to(part.resolve())
        try:
            _granule.check(_granule.header(str(place), *layers), product)
            for layer in layers:
                _granule.stored(str(place), (layer,))
        except UserError as error:
            # Its mend is for a file that lies there; this one is gone.
            why = str(error).removeprefix(f"{place}: ").partition(". ")[0]
            raise UserError(
                f"{want.address}: {why}. The file was not kept. Run the same command again; if it "
                "stays so, tell the archive (https://www.earthdata.nasa.gov/centers/lp-daac) and "
                f"do without the granule: add {asked['product']}/{asked['date']}/{asked['tile']} "
                "to modis.absent in the config."
            ) from None


def remember(path: Path, older: list[str]) -> None:
    """Write into the record beside a file of the store which productions it supersedes."""
    record = record_of(path)
    if record and older:
        with whole(str(path.with_name(f"{path.name}.json"))) as part:
            part.write_text(
                json.dumps({**record, "superseded": older}, indent=1) + "\n", encoding="utf-8"
            )


def fetch(
    missing: set[Key],
    have: set[Key],
    store: Path,
    cmr: str,
    earthdata: str,
    parallel: int,
    tries: int,
    timeout: float,
) -> None:
    """Bring `missing` granules of a product and year into the store, which has `have`."""
    product, day, _ = sorted(missing)[0]
    found = chosen(
        _earthdata.search(cmr, product, COLLECTION, patterns(missing), tries, timeout), missing
    )
    check_complete(set(found), missing, have, cmr)
    what = f"{product} {day[:4]}"
    files = [latest for latest, *_ in found.values()]
    if not all(file.size for file in files):
        check_room(store, sum(file.about or 0 for file in files), what)
    service = _earthdata.service(
        earthdata,
        "The catalogue lists it, so this may pass: run the same command again later. If it stays "
        "so, add the granule to modis.absent in the config, as MOD13Q1/2012-04-22/h26v05.",
    )
    try:
        fetch_all(
            [file.wanted(store) for file in files],
            what,
            _earthdata.session(earthdata),
            service,
            check_granule,
            parallel,
            tries,
            timeout,
        )
    finally:
        for latest, *older in found.values():
            remember(store / latest.name, [file.name for file in older])


def main(granules, store, cmr, earthdata, parallel, tries, timeout, keep):
    store = Path(store)
    wanted = {key_of(Path(path)): Path(path) for path in granules}
    have = in_store(store, set(wanted))
    missing = wanted.keys() - have.keys()
    log.info("%s: %d of %d granules are there", store, len(have), len(wanted))
    if missing:
        fetch(missing, set(have), store, cmr, earthdata, parallel, tries, timeout)
        have = in_store(store, set(wanted))
    for key, final in wanted.items():
        latest, *older = have[key]
        record = record_of(latest)
        names = {file.name for file in older} | set(record.get("superseded", []))
        record |= {"superseded": sorted(names), "simulated": False}
        _archive.link(latest, final, record, keep)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        granules=snakemake.output.granules,
        store=snakemake.params.store,
        cmr=snakemake.resources.cmr,
        earthdata=snakemake.resources.earthdata,
        parallel=snakemake.resources.parallel,
        tries=snakemake.resources.tries,
        timeout=snakemake.resources.timeout,
        keep=snakemake.resources.keep,
    )
