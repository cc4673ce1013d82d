"""Granules from a small Earthdata on loopback: which ones, what goes wrong, what is left then.

earthaccess runs for real; requests' adapter sends what goes to the https log-in host to the
loopback server over http (tests/earthdata.py). The granules are HDF4 files with the producers'
metadata (tests/granules.py).
"""

import hashlib
import json
import shutil
import stat
from pathlib import Path

import numpy as np
import pytest

import _download
import fetch_modis
from _archive import parsed
from _log import UserError, log_to
from conftest import real
from earthdata import HOST, PASSWORD, TOKEN, USER, Earthdata, reached_by_http, without_credentials
from granules import (
    ET,
    ET_QC,
    LST,
    MANDATORY,
    NDVI,
    QC_DAY,
    RELIABILITY,
    VI,
    WSA,
    make_granule,
)
from servers import Fault

LAYERS = {
    "MOD13Q1": (NDVI, RELIABILITY, VI),
    "MOD11A2": (LST, QC_DAY),
    "MOD16A2GF": (ET, ET_QC),
    "MCD43A3": (WSA, MANDATORY),
}
STAMP = "2021068095141"
A, B = ("MOD13Q1/2012-04-22/h26v05", "MOD13Q1/2012-05-08/h26v05")
EARLIEST = "/search/granules.umm_json"


@pytest.fixture
def earthdata(tmp_path, monkeypatch):
    without_credentials(monkeypatch, tmp_path)
    monkeypatch.setenv("EARTHDATA_TOKEN", TOKEN)
    monkeypatch.setattr("_earthdata.time.sleep", lambda seconds: None)
    monkeypatch.chdir(tmp_path)
    with Earthdata() as service:
        reached_by_http(monkeypatch, service.login)
        yield service


def content(key, folder="made", **options):
    """Return the bytes of a granule of `key` (product/date/tile)."""
    product, day, tile = key.split("/")
    rng = np.random.default_rng(len(key))
    layers = {name: rng.integers(0, 100, (40, 40)) for name in LAYERS[product]}
    return Path(make_granule(folder, product, day, tile, layers, **options)).read_bytes()


def name_of(key, stamp=STAMP):
    product, day, tile = key.split("/")
    year, days = day[:4], (np.datetime64(day) - np.datetime64(f"{day[:4]}-01-01")).astype(int) + 1
    return f"{product}.A{year}{days:03d}.{tile}.061.{stamp}.hdf"


def publish(earthdata, key, stamp=STAMP, body=None, **facts):
    """Put a granule into the archive and return its path there."""
    name = name_of(key, stamp)
    body = content(key, named=name) if body is None else body
    return earthdata.add(name, body, key.split("/")[0], **facts)


def final(key):
    return Path(f"resources/raw/modis/{key}.hdf")


def fetch(earthdata, *keys, keep=True, tries=2, timeout=5, parallel=2):
    fetch_modis.main(
        granules=[str(final(key)) for key in keys],
        store="resources/store/modis",
        cmr=earthdata.cmr,
        earthdata=HOST,
        parallel=parallel,
        tries=tries,
        timeout=timeout,
        keep=keep,
    )


def stored(stamp=STAMP, key=A):
    return Path("resources/store/modis", name_of(key, stamp))


# --- what comes ---


def test_granules_are_in_the_store_and_linked_from_their_place(earthdata):
    paths = [publish(earthdata, key) for key in (A, B)]
    fetch(earthdata, A, B)
    for key, path in zip((A, B), paths, strict=True):
        body = earthdata.bucket.files[path]
        assert final(key).read_bytes() == body
        assert final(key).is_symlink()
        assert final(key).resolve() == stored(key=key).resolve()
        assert not stored(key=key).stat().st_mode & stat.S_IWUSR
        record = json.loads(final(key).with_suffix(".json").read_text())
        assert record["delivered"] == name_of(key)
        assert record["address"] == f"{earthdata.archive.address}{path}"
        assert record["bytes"] == len(body)
        assert record["sha256"] == hashlib.sha256(body).hexdigest()
        assert (record["superseded"], record["simulated"]) == ([], False)


@pytest.mark.parametrize("product", LAYERS)
def test_every_product_is_read_with_its_own_layers(earthdata, product):
    key = f"{product}/2012-05-08/h26v06"
    publish(earthdata, key)
    fetch(earthdata, key)
    assert final(key).exists()


def test_a_second_run_needs_no_network_and_no_log_in(earthdata, monkeypatch):
    publish(earthdata, A)
    fetch(earthdata, A)
    final(A).unlink()  # as Snakemake does before it runs a job again
    monkeypatch.delenv("EARTHDATA_TOKEN")
    asked = earthdata.asked
    fetch(earthdata, A)
    assert final(A).exists()
    assert earthdata.asked == asked


def test_only_what_the_store_lacks_is_asked_for_in_one_question(earthdata):
    publish(earthdata, A)
    fetch(earthdata, A)
    keys = [f"MOD13Q1/{day}/{tile}" for day in ("2012-04-22", "2012-05-08") for tile in
            ("h26v05", "h26v06", "h27v06")]  # fmt: skip
    for key in keys[1:]:
        publish(earthdata, key)
    earthdata.archive.seen.clear()
    fetch(earthdata, *keys)
    asked = [seen for seen in earthdata.archive.seen if seen.path == EARLIEST]
    assert len(asked) == 2  # how many there are, and the list
    assert asked[1].query["readable_granule_name[]"] == [
        f"MOD13Q1.A2012*.{tile}.061.*" for tile in ("h26v05", "h26v06", "h27v06")
    ]
    assert len(earthdata.bucket.seen) == 1 + 5
    assert all(final(key).exists() for key in keys)


def test_the_date_in_the_name_decides_which_days_of_a_daily_product_come(earthdata):
    days = [f"MCD43A3/2012-05-{day:02d}/h26v05" for day in range(1, 17)]
    body = content(days[7], named=name_of(days[7]))
    for day in days:
        publish(earthdata, day, body=body)
    fetch(earthdata, days[7])
    assert [path.name for path in Path("resources/store/modis").glob("*.hdf")] == [name_of(days[7])]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_latest_production_wins_and_the_choice_is_recorded(earthdata, order):
    stamps = ["2020342021543", STAMP]
    for number in order:
        publish(earthdata, A, stamps[number])
    fetch(earthdata, A)
    assert len(earthdata.bucket.seen) == 1
    for again in range(2):  # a second run finds the choice in the store
        record = json.loads(final(A).with_suffix(".json").read_text())
        assert record["delivered"] == name_of(A, STAMP)
        assert record["superseded"] == [name_of(A, "2020342021543")], again
        fetch(earthdata, A)


def test_the_choice_is_recorded_though_another_file_fails(earthdata):
    for stamp in ("2020342021543", STAMP):
        publish(earthdata, A, stamp)
    earthdata.bucket.faults[publish(earthdata, B)] = [404]
    with pytest.raises(UserError, match="404"):
        fetch(earthdata, A, B)
    fetch(earthdata, A, B)
    record = json.loads(final(A).with_suffix(".json").read_text())
    assert record["superseded"] == [name_of(A, "2020342021543")]


def test_of_two_productions_in_the_store_the_latest_is_linked(earthdata):
    for stamp in ("2020342021543", STAMP):
        earthdata.archive.granules.clear()
        publish(earthdata, A, stamp)
        fetch(earthdata, A)
        stored(stamp).rename(stored(stamp).with_suffix(".away"))
    for stamp in ("2020342021543", STAMP):
        stored(stamp).with_suffix(".away").rename(stored(stamp))
    fetch(earthdata, A)
    assert final(A).resolve() == stored(STAMP).resolve()
    record = json.loads(final(A).with_suffix(".json").read_text())
    assert record["superseded"] == [name_of(A, "2020342021543")]


def test_without_keeping_the_files_move_and_the_store_is_empty(earthdata):
    publish(earthdata, A)
    fetch(earthdata, A, keep=False)
    assert not final(A).is_symlink()
    assert final(A).stat().st_size == len(content(A, named=name_of(A)))
    assert not list(Path("resources/store/modis").iterdir())


def test_size_and_checksum_of_the_catalogue_are_compared(earthdata):
    body = content(A, named=name_of(A))
    wrong = {"Value": hashlib.sha256(b"other").hexdigest(), "Algorithm": "SHA-256"}
    publish(earthdata, A, body=body, SizeInBytes=len(body), Checksum=wrong)
    with pytest.raises(UserError, match="sha256 .* instead of the .* published"):
        fetch(earthdata, A, tries=1)
    assert not final(A).exists()


def test_a_disk_too_small_for_the_rounded_sizes_is_said_first(earthdata):
    publish(earthdata, A, Size=9e9, SizeUnit="GB")
    with pytest.raises(UserError, match="free for MOD13Q1 2012"):
        fetch(earthdata, A)
    assert not earthdata.bucket.seen


# --- what the catalogue lacks ---


def test_absent_granules_are_all_named_with_the_lines_to_paste(earthdata):
    import yaml

    publish(earthdata, A)
    keys = [A, *(f"MOD13Q1/2012-{day}/h26v05" for day in ("05-08", "05-24", "06-09", "06-25"))]
    with pytest.raises(UserError) as error:
        fetch(earthdata, *keys)
    text = str(error.value)
    assert (
        "expected 5 granules of MOD13Q1.061, found 1, without MOD13Q1/2012-05-08/h26v05, " in text
    )
    assert "and 1 more" in text
    assert yaml.safe_load(text[text.index("modis:") :]) == {"modis": {"absent": keys[1:]}}
    assert not earthdata.bucket.seen


def test_the_last_one_of_a_year_is_named_as_absent_too(earthdata):
    publish(earthdata, A)
    fetch(earthdata, A)
    with pytest.raises(UserError, match=f"found 0, without {B}"):
        fetch(earthdata, A, B)


@pytest.mark.parametrize(
    ("product", "hint"),
    [("MOD13Q1", "found none for these dates"), ("MOD16A2GF", "until then there is only MOD16A2")],
)
def test_a_year_without_any_granule_says_so(earthdata, product, hint):
    publish(earthdata, f"{product}/2012-05-08/h26v05", body=b"")
    with pytest.raises(UserError, match=hint) as error:
        fetch(earthdata, f"{product}/2031-05-09/h26v05")
    assert f"{product}.061 that start in 2031" in str(error.value)
    assert f"https://search.earthdata.nasa.gov/search?q={product}" in str(error.value)
    assert "absent" not in str(error.value)


# --- what goes wrong, and the run after ---


def nothing_unfinished():
    """Return whether no file of the store or the archive is under its name without being whole."""
    named = [p for p in Path("resources").rglob("*.hdf") if not p.name.startswith(".")]
    return all(_download.record_of(path) for path in named if not path.is_symlink())


FAULTS = [
    (401, "found 401 from NASA Earthdata. It does not accept your log-in. A token that worked"),
    (403, "found 403 .*approve the applications.*unaccepted_eulas"),
    (404, "found 404 .*add the granule to modis.absent in the config, as MOD13Q1/2012-04-22/h26"),
    (429, "after 2 tries: NASA Earthdata answered 429.*goes on where it stopped"),
    (500, "after 2 tries: NASA Earthdata answered 500"),
    ("login", "found a web page, probably the log-in page. A token that worked before has expired"),
    (Fault("stall", after=3000, seconds=1), "after 2 tries: (no answer in time|the connection)"),
    (Fault("cut", after=3000), "after 2 tries: the connection"),
    ("short", "expected a whole HDF4 granule, found .* The file was not kept. Run the same"),
]


@pytest.mark.parametrize("exact", [True, False], ids=["size known", "size unknown"])
@pytest.mark.parametrize(("fault", "said"), FAULTS, ids=lambda value: str(value)[:22])
def test_after_a_fault_a_second_run_finishes(earthdata, monkeypatch, fault, said, exact):
    monkeypatch.setattr("_download._Fetch.__call__", quick(_download._Fetch.__call__))
    if fault == "short" and exact:
        said = "bytes instead of the .* published"
    body = content(A, named=name_of(A))
    path = publish(earthdata, A, body=body, **({"SizeInBytes": len(body)} if exact else {}))
    publish(earthdata, B)
    kind = fault.kind if isinstance(fault, Fault) else fault
    server = earthdata.archive if kind in (401, 403) else earthdata.bucket
    server.faults[path] = [fault] * 2
    with pytest.raises(UserError, match=said):
        fetch(earthdata, A, B, timeout=0.5)
    assert not final(A).exists()
    assert not stored().exists()
    assert nothing_unfinished()
    earthdata.archive.faults.clear()
    earthdata.bucket.faults.clear()
    fetch(earthdata, A, B)
    assert final(A).read_bytes() == body
    assert not list(Path("resources/store/modis").glob(".*"))


def quick(call):
    """Let the pauses between tries pass at once."""

    def without_pauses(self, want):
        wait = self.stop.wait
        self.stop.wait = lambda seconds: wait(0)
        return call(self, want)

    return without_pauses


def test_a_cut_transfer_goes_on_where_it_stopped(earthdata, monkeypatch):
    body = content(A, named=name_of(A))
    path = publish(earthdata, A, body=body)
    earthdata.bucket.faults[path] = [Fault("cut", after=3000)]
    with pytest.raises(UserError, match="goes on where it stopped"):
        fetch(earthdata, A, tries=1)
    fetch(earthdata, A)
    assert earthdata.bucket.seen[-1].headers["range"] == "bytes=3000-"
    assert final(A).read_bytes() == body


def test_a_bad_token_is_refused_at_the_first_file(earthdata, monkeypatch):
    monkeypatch.setenv("EARTHDATA_TOKEN", "token-that-expired")
    keys = [f"MOD13Q1/2012-05-08/h{h:02d}v05" for h in range(6)]
    for key in keys:
        publish(earthdata, key)
    with pytest.raises(UserError, match="found 401 .*EARTHDATA_TOKEN in the environment") as error:
        fetch(earthdata, *keys, parallel=1)
    assert "token-that-expired" not in str(error.value)
    assert len(earthdata.login.seen) <= 2  # the second may be on its way when the first returns
    monkeypatch.setenv("EARTHDATA_TOKEN", TOKEN)
    fetch(earthdata, *keys)


def test_a_licence_that_is_not_accepted_stops_everything(earthdata):
    earthdata.archive.accepted = False
    for key in (A, B):
        publish(earthdata, key)
    with pytest.raises(UserError, match=f"found 403 .*https://{HOST}/users/earthaccess/unaccepted"):
        fetch(earthdata, A, B)
    earthdata.archive.accepted = True
    fetch(earthdata, A, B)


def test_no_account_is_said_before_any_file_is_asked_for(earthdata, monkeypatch):
    monkeypatch.delenv("EARTHDATA_TOKEN")
    publish(earthdata, A)
    with pytest.raises(UserError, match="found none. An account is free: register at"):
        fetch(earthdata, A)
    assert {seen.path for seen in earthdata.archive.seen} == {EARLIEST}


# --- files that are not what their name says ---


def other(key, what):
    """Return a granule that is wrong in one way, under the right name."""
    product, day, tile = key.split("/")
    if what == "tile":
        return content(f"{product}/{day}/h25v05", "other", named=name_of(key))
    if what == "date":
        return content(f"{product}/2012-05-24/{tile}", "other")
    if what == "scale":
        return content(key, "other", scale=0.01)
    if what == "product":
        return content(key, named=name_of(f"MYD13Q1/{day}/{tile}"))
    if what == "layer":
        path = make_granule("other", product, day, tile, {NDVI: np.ones((4, 4))})
        return Path(path).read_bytes()
    if what == "grid":
        return content(key, "other", moved=(100, 0))
    return b"%PDF-1.7 not a granule"


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("tile", "expected tile h26v05, found the corners of h25v05"),
        ("date", "expected a granule of 2012-04-22, found 2012-05-24 in its CoreMetadata"),
        ("product", "expected MOD13Q1, found MYD13Q1.A2012113.* in its CoreMetadata"),
        ("scale", "expected scale_factor 10000.0 or 0.0001 .* found 0.01"),
        ("layer", "expected layer '250m 16 days pixel reliability', found 250m 16 days NDVI"),
        ("grid", "expected corners on the pixel edges"),
        ("kind", "expected an HDF4 granule, found a file that begins with b'%PDF'"),
    ],
)
def test_another_file_under_the_right_name_is_refused(earthdata, what, said):
    path = publish(earthdata, A, body=other(A, what))
    with pytest.raises(UserError, match=said) as error:
        fetch(earthdata, A)
    text = str(error.value)
    assert text.startswith(f"{earthdata.archive.address}{path}: ")
    assert "not kept" in text and f"add {A} to modis.absent" in text
    assert ".part" not in text and "elete" not in text
    assert not final(A).exists() and not stored().exists()
    earthdata.bucket.files[path] = content(A, named=name_of(A))
    fetch(earthdata, A)


def test_damage_in_a_layer_does_not_pass(earthdata):
    body = bytearray(content(A, named=name_of(A)))
    good = bytes(body)
    # The layers lie one after the other behind the first directory; zero the last one's bytes.
    start = good.index(b"\x78", 1000)
    body[start + 2 : start + 1500] = bytes(1498)
    path = publish(earthdata, A, body=bytes(body))
    with pytest.raises(UserError, match="expected a whole HDF4 granule"):
        fetch(earthdata, A)
    earthdata.bucket.files[path] = good
    fetch(earthdata, A)


def test_real_granules_of_another_collection_are_named_by_what_they_are(tmp_path):
    file = real("modis/MCD43A3.A2017199.h15v07.006.2017208032853.hdf")
    part = tmp_path / f".{file.name}.part"
    shutil.copyfile(file, part)
    want = _download.Wanted(f"https://data.test/{file.name}", tmp_path / file.name)
    fetch_modis.check_granule(part, want)
    elsewhere = file.name.replace("h15v07", "h16v07")
    want = _download.Wanted(f"https://data.test/{elsewhere}", tmp_path / elsewhere)
    with pytest.raises(UserError, match="expected tile h16v07, found the corners of h15v07"):
        fetch_modis.check_granule(part, want)


@pytest.mark.parametrize("share", [0.999, 0.9, 0.5, 0.1])
def test_a_real_granule_cut_anywhere_does_not_pass(tmp_path, share):
    file = real("modis/MCD43A3.A2017199.h15v07.006.2017208032853.hdf")
    part = tmp_path / f".{file.name}.part"
    content = file.read_bytes()
    part.write_bytes(content[: int(share * len(content))])
    want = _download.Wanted(f"https://data.test/{file.name}", tmp_path / file.name)
    with pytest.raises(UserError, match="expected a whole HDF4 granule"):
        fetch_modis.check_granule(part, want)


# --- secrets ---


@pytest.mark.parametrize("fault", [None, 401, 403, 500, "login"])
def test_no_secret_is_written_anywhere(earthdata, tmp_path, monkeypatch, capfd, fault):
    monkeypatch.delenv("EARTHDATA_TOKEN")
    (tmp_path / "netrc").write_text(f"machine {HOST} login {USER} password {PASSWORD}\n")
    path = publish(earthdata, A)
    earthdata.archive.faults[path] = [fault] * 2 if fault else []
    from _log import log

    before = list(log.handlers)
    log_to("logs/fetch_modis.log")
    try:
        fetch(earthdata, A, tries=1)
    except UserError as error:
        log.error("%s", error)
    finally:
        for handler in [handler for handler in log.handlers if handler not in before]:
            log.removeHandler(handler)
            handler.close()
    out = capfd.readouterr()
    written = [out.out, out.err] + [
        p.read_text("latin-1") for p in tmp_path.rglob("*") if p.is_file() and p.name != "netrc"
    ]
    for secret in (TOKEN, PASSWORD, "signed-5d1e"):
        assert not any(secret in text for text in written)
    assert any("MOD13Q1" in text for text in written)


def test_key_of_a_path_and_its_name_agree():
    parts = parsed(name_of(A))
    assert fetch_modis.key_of(final(A)) == (parts["product"], parts["date"], parts["tile"])
