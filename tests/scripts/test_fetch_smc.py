"""SMC from a record whose layout nobody could look up: found by names, or refused in words."""

import hashlib
import io
import json
import os
import stat
import zipfile
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.io import MemoryFile
from rasterio.transform import Affine

import fetch_smc
from _log import UserError
from products import NUMBER, Zenodo
from servers import Fault

MONTHS = ("2010-05", "2010-06", "2011-05")


def tif(seed):
    values = np.random.default_rng(seed).uniform(0.1, 0.5, (30, 40)).astype("float32")
    profile = dict(driver="GTiff", height=30, width=40, count=1, dtype="float32", crs="EPSG:4326")
    with MemoryFile() as file:
        with file.open(transform=Affine(0.05, 0, 100, 0, -0.05, 35), **profile) as target:
            target.write(values, 1)
        return file.read()


TIFS = {month: tif(number) for number, month in enumerate(MONTHS)}
NAMED = {f"SMC_{month.replace('-', '')}.tif": content for month, content in TIFS.items()}


def packed(files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.fixture
def zenodo(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("_download.LONGEST", 0)
    with Zenodo() as server:
        yield server


def run(server, months=MONTHS, record=NUMBER, tries=3, timeout=1):
    finals = [f"resources/raw/smc/SMC_{month.replace('-', '')}.tif" for month in months]
    fetch_smc.main(
        finals, record, "resources/store/smc", f"{server.address}/api/records/", 2, tries, timeout
    )
    return dict(zip(months, map(Path, finals), strict=True))


def is_right(finals):
    for month, final in finals.items():
        assert final.read_bytes() == TIFS[month]
        assert not os.stat(final).st_mode & stat.S_IWUSR
        record = json.loads(final.with_suffix(".json").read_text())
        assert record["sha256"] == hashlib.sha256(TIFS[month]).hexdigest()
        assert record["bytes"] == len(TIFS[month])
        assert record["address"].endswith("/content")
        with rasterio.open(final) as source:
            assert source.count == 1


def made():
    return sorted(str(path) for path in Path("resources/raw").rglob("*"))


def path_of(key):
    return f"/api/records/{NUMBER}/files/{key}/content"


def test_files_with_a_month_in_their_names_are_taken_and_no_others(zenodo, caplog):
    zenodo.hold({**NAMED, "SMC_200307.tif": b"other year", "readme.pdf": b"text"})
    with caplog.at_level("INFO"):
        is_right(run(zenodo))
    assert sorted(zenodo.asked()) == sorted(NAMED)
    assert f"record {NUMBER} of Zenodo is 'Soil moisture of China', 5 files" in caplog.text


def test_a_second_run_needs_no_network(zenodo):
    zenodo.hold({"2010.zip": packed({k: NAMED[k] for k in list(NAMED)[:2]}), **NAMED})
    run(zenodo)
    before = len(zenodo.seen)
    is_right(run(zenodo))
    assert len(zenodo.seen) == before


def test_the_list_of_another_api_is_read_too(zenodo):
    files = []
    for entry in zenodo.hold(NAMED):
        entry["filename"], entry["filesize"] = entry.pop("key"), entry.pop("size")
        entry["checksum"] = entry["checksum"].removeprefix("md5:")
        entry["links"] = {"self": "http://127.0.0.1:1/", "content": entry["links"]["self"]}
        files.append(entry)
    zenodo.hold(NAMED, files=files)
    is_right(run(zenodo))
    kept = json.loads(Path(f"resources/store/smc/{NUMBER}/SMC_201006.tif.json").read_text())
    assert kept["published"] == f"md5:{files[1]['checksum']}"


def test_members_of_archives_are_taken_and_only_the_archives_needed_are_fetched(zenodo):
    names = list(NAMED)
    zenodo.hold(
        {
            "SMC_of_one_year_2009.zip": packed({"x/SMC_200905.tif": b"no"}),
            "SMC_of_one_year_2010.zip": packed(
                {
                    "SMC_2010/": b"",
                    **{f"SMC_2010/{name}": NAMED[name] for name in names[:2]},
                    "__MACOSX/._SMC_201006.tif": b"not a raster",
                    "SMC_201006.tif.aux.xml": b"<x/>",
                }
            ),
            "SMC_of_one_year_2011.zip": packed({names[2]: NAMED[names[2]]}),
            "SMC_2002-2018.zip": b"huge",
            "everything.zip": b"huge",
        }
    )
    finals = run(zenodo)
    is_right(finals)
    assert sorted(zenodo.asked()) == ["SMC_of_one_year_2010.zip", "SMC_of_one_year_2011.zip"]
    record = json.loads(finals["2010-06"].with_suffix(".json").read_text())
    assert record["delivered"] == "SMC_of_one_year_2010.zip"
    assert record["member"] == f"SMC_2010/{names[1]}"
    assert "published" not in record


def test_an_archive_of_all_years_is_fetched_where_years_lack(zenodo):
    names = list(NAMED)
    zenodo.hold(
        {
            names[0]: NAMED[names[0]],
            "SMC_2010.zip": packed({names[1]: NAMED[names[1]]}),
            "SMC_2002-2018.zip": packed({names[2]: NAMED[names[2]], names[1]: b"not this"}),
        }
    )
    is_right(run(zenodo))
    assert zenodo.asked() == ["SMC_2010.zip", "SMC_2002-2018.zip", names[0]]


def test_a_year_in_the_name_that_is_no_content_does_not_hide_an_archive(zenodo):
    zenodo.hold({"SMC_v2021.zip": packed(NAMED)})
    is_right(run(zenodo))


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (
            {"a.nc": b"x", "b.nc": b"x"},
            r"\('Soil moisture of China'\): expected SMC of 2010-05, 2010-06, 2011-05 in .tif "
            r"files, .*, found a.nc, b.nc\. Download the files yourself "
            r"\(https://doi.org/10.5281/zenodo.4738556\) .* set sources.smc",
        ),
        ({}, "found no file"),
        (
            {"SM.rar": b"x", "SM.7z": b"x", "a.tar.gz": b"x"},
            "Not unpacked here, use a program of your own: SM.rar, SM.7z, a.tar.gz. Download",
        ),
        (
            {"SMC.zip": packed({"SMC_1.tif": b"x", "SMC_2.tif": b"x"}), "readme.txt": b"x"},
            "found SMC.zip with SMC_1.tif, SMC_2.tif; readme.txt. Download",
        ),
        ({f"{n}.txt": b"x" for n in range(20)}, "11.txt and 8 more. Download"),
        (
            {**NAMED, "QC_201006.tif": b"x"},
            "expected one file of 2010-06, found SMC_201006.tif and QC_201006.tif",
        ),
        (
            {"SMC.zip": packed({"a/201006.tif": b"x", "b/201006.tif": b"x"})},
            "expected one file of 2010-06, found a/201006.tif and b/201006.tif",
        ),
        (
            {"a_2010.zip": packed({"201006.tif": b"x"}), "b_2010.zip": packed({"201006.tif": b""})},
            "one file of 2010-06, found a_2010.zip/201006.tif and b_2010.zip/201006.tif",
        ),
    ],
)
def test_what_does_not_fit_is_shown_with_the_way_on(zenodo, files, said):
    zenodo.hold(files)
    with pytest.raises(UserError, match=said):
        run(zenodo)
    assert made() == []


def test_a_member_that_leads_out_is_refused(zenodo):
    zenodo.hold({"SMC.zip": packed({**NAMED, "../../SMC_200905.tif": b"x"})})
    with pytest.raises(UserError, match=r"SMC.zip: expected .* '../../SMC_200905.tif', found"):
        run(zenodo)
    assert made() == []
    assert not list(Path().rglob("SMC_200905.tif"))


def test_a_key_that_leads_out_is_refused(zenodo):
    entries = zenodo.hold(NAMED)
    zenodo.hold(NAMED, files=[{**entries[0], "key": "../../SMC_201005.tif"}])
    with pytest.raises(UserError, match=r"expected plain file names, found '\.\./\.\./SMC_201005"):
        run(zenodo)


def test_a_member_that_is_no_raster_is_named_with_its_archive(zenodo):
    zenodo.hold({"SMC.zip": packed({**NAMED, "SMC_201105.tif": NAMED["SMC_201105.tif"][:2000]})})
    with pytest.raises(UserError, match="SMC.zip, member SMC_201105.tif: expected a whole GeoTIFF"):
        run(zenodo)
    assert "resources/raw/smc/SMC_201105.tif" not in made()


def test_another_record_is_refused(zenodo):
    zenodo.hold(NAMED, id=17)
    with pytest.raises(UserError, match=f"expected record {NUMBER}, found .*17.* Correct smc.rec"):
        run(zenodo)
    zenodo.hold(NAMED)
    is_right(run(zenodo))


@pytest.mark.parametrize(
    "body", [b"<!DOCTYPE html><title>x</title>", b"[]", b'{"files": [3], "id": 4738556}']
)
def test_an_answer_that_is_no_record_is_refused_and_not_kept(zenodo, body):
    zenodo.hold(NAMED)
    zenodo.files[f"/api/records/{NUMBER}"] = body
    with pytest.raises(UserError, match=rf"/{NUMBER}: expected Zenodo's description of record"):
        run(zenodo)
    zenodo.hold(NAMED)
    is_right(run(zenodo))


@pytest.mark.parametrize(
    ("where", "status", "said"),
    [
        ("", 404, "It is not there. Is smc.record right?"),
        ("", 403, "The record is not open: download its files in a browser and set sources.smc"),
        ("SMC_201006.tif", 401, "does not accept your log-in. The record is not open"),
        ("SMC_201006.tif", 404, r"Is smc.record right\? If it is, run the same command again"),
    ],
)
def test_a_refusal_says_what_to_do(zenodo, where, status, said):
    zenodo.hold(NAMED)
    zenodo.faults[path_of(where) if where else f"/api/records/{NUMBER}"] = [Fault(status)]
    with pytest.raises(UserError, match=said):
        run(zenodo)
    assert made() == []
    is_right(run(zenodo))


@pytest.mark.parametrize(
    "fault",
    [
        Fault(429, {"Retry-After": "0"}),
        Fault(500),
        Fault("stall", seconds=1.0),
        Fault("cut"),
        Fault("short"),
        Fault("login"),
    ],
    ids=lambda fault: str(fault.kind),
)
@pytest.mark.parametrize("where", [f"/api/records/{NUMBER}", path_of("SMC_201006.tif")])
def test_a_passing_fault_is_passed_or_the_next_run_finishes(zenodo, where, fault):
    zenodo.hold(NAMED)
    zenodo.faults[where] = [fault]
    try:
        is_right(run(zenodo, timeout=0.4))
    except UserError as error:
        # Only the list has no published size: a wrong one is seen when it is opened.
        assert fault.kind in ("short", "login") and where.endswith(str(NUMBER)), error
        assert made() == []
        is_right(run(zenodo))


def test_a_wrong_checksum_is_named_and_leaves_nothing(zenodo):
    entries = zenodo.hold(NAMED)
    wrong = {**entries[1], "checksum": "md5:" + "0" * 32}
    zenodo.hold(NAMED, files=[entries[0], wrong, entries[2]])
    with pytest.raises(UserError, match=r"after 2 tries: md5 [0-9a-f]{32} instead of the 00"):
        run(zenodo, tries=2)
    assert made() == []
    assert not Path(f"resources/store/smc/{NUMBER}/SMC_201006.tif").exists()
    zenodo.hold(NAMED)  # it was the list that was wrong, and the next run reads it anew
    is_right(run(zenodo))


def test_records_do_not_mix_in_the_store(zenodo):
    zenodo.hold(NAMED)
    run(zenodo)
    assert Path(f"resources/store/smc/{NUMBER}/SMC_201006.tif").exists()
    with pytest.raises(UserError, match="/99: expected zenodo_99.json, found 404"):
        run(zenodo, record=99)
