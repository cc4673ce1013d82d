"""Who delivers what, under which account, how large it is: known before anything is fetched."""

import json

import pytest

import _sources
from _sources import (
    SOURCES,
    TABLE_1,
    about,
    account,
    announcement,
    credentials,
    fetched_by,
    held,
    mend,
    no_room,
    road,
    unknown,
)

BOX = [97.34, 27.96, 104.75, 35.58]


def granule(product, day="2015-07-12", tile="h26v05"):
    return f"resources/raw/modis/{product}/{day}/{tile}.hdf"


def test_a_road_is_a_service_or_raw_or_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "archive").mkdir()
    assert road("modis", "earthdata") == "earthdata" and road("modis", "raw") == "raw"
    assert road("modis", "archive") == "folder" and road("smci", "/data/SMCI") == "folder"
    assert road("modis", "./not yet") == "folder"
    assert road("modis", "earthdta") is None and road("rain", "earthdata") is None
    assert road("smci", "none") == "none" and road("modis", "none") is None
    assert "expected raw, none or a folder" in unknown("insitu", "here")
    assert "earthdata, appeears, raw or a folder, found 'earthdta'" in unknown("modis", "earthdta")


def test_a_missing_file_is_said_with_the_key_that_leaves_it_out():
    assert "add MOD13Q1/2015-07-12/h26v05 to modis.absent" in mend("modis", granule("MOD13Q1"))
    assert "add N33E102 to terrain.absent" in mend("elevation", "resources/raw/dem/N33E102.hgt")
    assert "add 5607/2015 to rain.absent" in mend("rain", "resources/raw/rain/2015/5607.csv")
    assert "data.tpdc.ac.cn" in mend("smci", "x.nc") and "absent" not in mend("smci", "x.nc")


def test_the_area_of_the_published_box_is_known():
    """D6: 592,600 km2 (593,101 by datasets); a sphere and a mid latitude are near enough."""
    assert _sources.area(BOX) == pytest.approx(592.8e9, rel=0.01)


def test_sizes_follow_the_products_and_the_area():
    day = about("modis", granule("MCD43A3"), BOX)
    assert about("modis", granule("MOD13Q1"), BOX) > 3 * day > about("rain", "a.csv", BOX)
    clip = "resources/raw/appeears/ndvi/2015.nc"
    half = [97.34, 27.96, 101.045, 35.58]
    assert about("modis", clip, BOX) == pytest.approx(2 * about("modis", clip, half), rel=1e-6)
    sand = "resources/raw/soil/sand_0-5cm_mean.tif"
    assert about("soil", sand, BOX) == pytest.approx(19e6, rel=0.1)
    assert about("smci", "resources/raw/smci/a.nc", BOX) == 0, "nobody knows: no invented number"


def test_credentials_are_found_by_place_and_never_shown(tmp_path, monkeypatch):
    for name in ("EARTHDATA_TOKEN", "EARTHDATA_USERNAME", "EARTHDATA_PASSWORD", "CDSAPI_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("CDSAPI_RC", str(tmp_path / "cdsapirc"))
    assert credentials("earthdata") is None and credentials("cds") is None
    (tmp_path / "netrc").write_text("machine example.org login a password b\n")
    assert credentials("srtm") is None
    (tmp_path / "netrc").write_text("machine urs.earthdata.nasa.gov login a password geheim\n")
    assert credentials("appeears") == str(tmp_path / "netrc")
    (tmp_path / "netrc").write_text("machine urs.earthdata.nasa.gov login\n")
    assert credentials("earthdata") is None, "a broken netrc is none"
    monkeypatch.setenv("EARTHDATA_TOKEN", "geheim")
    assert credentials("earthdata") == "EARTHDATA_TOKEN"
    assert credentials("appeears") is None, "AppEEARS needs user and password"
    (tmp_path / "cdsapirc").write_text("key: geheim\n")
    assert credentials("cds") == str(tmp_path / "cdsapirc")
    assert credentials("gsod") is None and account("gsod") == ""
    assert "urs.earthdata.nasa.gov" in account("appeears")


def test_what_the_store_holds_counts_as_there(tmp_path):
    _sources.stored.cache_clear()
    store = tmp_path / "store"
    for name in (
        "modis/MOD13Q1.A2015193.h26v05.061.2021068095141.hdf",
        "gsod/2015/5607.csv",
        "srtm/N33E102.SRTMGL3.hgt.zip",
        "copernicus/Copernicus_DSM_COG_30_N34_00_E102_00_DEM.tif",
    ):
        (store / name).parent.mkdir(parents=True, exist_ok=True)
        (store / name).write_bytes(b"x")
        (store / f"{name}.json").write_text(json.dumps({"bytes": 1}))
    (store / "modis/MOD13Q1.A2015193.h25v05.061.2021068095141.hdf").write_bytes(b"no record")
    assert held("modis", granule("MOD13Q1"), str(store))
    assert not held("modis", granule("MOD13Q1", tile="h25v05"), str(store))
    assert not held("modis", granule("MOD13Q1", day="2015-07-28"), str(store))
    assert held("rain", "resources/raw/rain/2015/5607.csv", str(store))
    assert not held("rain", "resources/raw/rain/2016/5607.csv", str(store))
    assert held("elevation", "resources/raw/dem/N33E102.hgt", str(store))
    assert held("elevation", "resources/raw/dem/N34E102.tif", str(store))
    assert not held("elevation", "resources/raw/dem/N35E102.tif", str(store))
    assert not held("smc", "resources/raw/smc/SMC_201507.tif", str(store))


def test_the_total_is_said_before_anything_is_fetched():
    job = [("modis", granule("MOD13Q1", f"2015-07-{day:02d}")) for day in range(1, 5)]
    text, needed = announcement([job, job, [("rain", "a.csv")]], BOX, keep=True)
    assert text.startswith("To fetch: 9 files, about 1.9 GB (MODIS NDVI, LST, ET, albedo 8 files")
    assert needed == 8 * 232_000_000 + 60_000
    assert announcement([], BOX, keep=True) == ("", 0)


def test_granules_that_are_not_kept_need_room_for_three_jobs_only():
    job = [("modis", granule("MOD13Q1", f"2015-07-{day:02d}")) for day in range(1, 5)]
    text, needed = announcement([job] * 10, BOX, keep=False)
    assert needed == 3 * 4 * 232_000_000 and "deleted once composited" in text


def test_a_disk_without_room_is_named(tmp_path):
    assert no_room(1, tmp_path) == ""
    said = no_room(10**18, tmp_path)
    assert str(tmp_path) in said and "keep_raw" in said and "expected about 1000000000.0 GB" in said


def test_every_source_has_a_row_in_table_1_and_every_fetcher_a_source():
    assert set(TABLE_1) - {"ndvi", "lst", "et", "albedo"} == set(SOURCES) - {"modis"}
    assert fetched_by("fetch_modis_ndvi_2015") == "modis" and fetched_by("link_files_soil") is None
