"""Finding files that a user already has: any layout, any case, several productions."""

import os
import subprocess
import sys
import time
from datetime import date, timedelta

import pytest

import _folder
from _folder import (
    elevation_ending,
    found,
    how_to_get,
    inputs,
    listing,
    mixed,
    pieces,
    rank,
    station_files,
)
from _log import UserError
from conftest import ROOT

NDVI = "resources/raw/modis/MOD13Q1/2012-04-22/h26v05.hdf"
GRANULE = "MOD13Q1.A2012113.h26v05.061.2021068095141.hdf"
OLDER = "MOD13Q1.A2012113.h26v05.061.2020342021543.hdf"
SIX = "MOD13Q1.A2012113.h26v05.006.2022001000000.hdf"


@pytest.fixture(autouse=True)
def working_folder(tmp_path, monkeypatch):
    """A working folder of its own, beside the user's; the files are read anew in each test."""
    (tmp_path / "study").mkdir()
    monkeypatch.chdir(tmp_path / "study")
    _folder._walked.cache_clear()


@pytest.fixture
def mine(tmp_path):
    """The user's folder, and a way to put files there."""

    def put(*names, content="x"):
        for name in names:
            path = tmp_path / "mine" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        return str(tmp_path / "mine")

    return put


def names(folder, paths):
    return [os.path.relpath(path, folder) for path in paths]


# --- what lies in a folder ---


def test_nested_files_are_listed_in_order_without_hidden_ones(mine):
    folder = mine(
        *("b/2/x.nc", "b/10/y.nc", "a.tif", "with blank/ümlaut – 1.csv"),
        *(".hidden", "._a.tif", ".git/x.nc", "__MACOSX/a.tif", "lost+found/1"),
    )
    expected = ["a.tif", "b/10/y.nc", "b/2/x.nc", "with blank/ümlaut – 1.csv"]
    assert names(folder, listing(folder)) == expected


def test_paths_begin_with_the_folder_as_it_is_given(mine):
    mine("a.tif")
    assert listing("../mine") == ["../mine/a.tif"]


def test_home_is_understood(mine, tmp_path, monkeypatch):
    mine("a.tif")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert listing("~/mine") == [f"{tmp_path}/mine/a.tif"]


def test_a_folder_is_read_once_in_a_process_and_the_answer_cannot_be_spoiled(mine):
    folder = mine("a.tif")
    listing(folder).clear()
    mine("b.tif")
    assert names(folder, listing(folder)) == ["a.tif"]
    _folder._walked.cache_clear()
    assert names(folder, listing(folder)) == ["a.tif", "b.tif"]


def test_linked_folders_are_followed_once_and_circles_end(mine, tmp_path):
    folder = mine("real/x.nc", "real/deep/y.nc")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "z.nc").write_text("z")
    for link, target in (
        ("a_link", "real"),  # comes before it in the order of names, but is only a link
        ("real/up", ".."),
        ("out", elsewhere),
        ("out_again", elsewhere),
        ("self", "self"),
    ):
        os.symlink(target, os.path.join(folder, link))
    assert names(folder, listing(folder)) == ["out/z.nc", "real/deep/y.nc", "real/x.nc", "self"]


def test_results_of_the_workflow_are_not_taken_for_files_of_the_user(tmp_path):
    # The working folder lies inside the folder that is searched, perhaps reached by a link.
    for name in (
        *("study/resources/raw/smc/SMC_201206.tif", "study/results/interim/smc/2012-06.tif"),
        *("study/resources/truth/2012-06.tif", "smc/SMC_201206.tif"),
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / "smc" / "link").symlink_to(tmp_path / "study" / "results")
    assert listing("..") == ["../smc/SMC_201206.tif"]
    assert listing(str(tmp_path / "study" / "resources")) == [
        f"{tmp_path}/study/resources/truth/2012-06.tif"
    ]


def test_the_store_is_a_folder_like_any_other(tmp_path):
    store = tmp_path / "study/resources/store/modis"
    store.mkdir(parents=True)
    (store / GRANULE).write_text("x")
    (store / f"{GRANULE}.json").write_text("{}")
    assert found("modis", "resources/store", [NDVI])[NDVI] == [f"resources/store/modis/{GRANULE}"]


def test_no_folder(tmp_path):
    with pytest.raises(UserError, match=r"nowhere: expected a folder .* found none in .*/study"):
        listing(str(tmp_path / "nowhere"))


def test_a_file_instead_of_a_folder(mine):
    with pytest.raises(
        UserError, match=r"a.tif: expected a folder of files you have, found a file"
    ):
        listing(mine("a.tif") + "/a.tif")


@pytest.mark.parametrize("inside", ["", "/modis"])
def test_the_folder_of_links_is_refused(tmp_path, inside):
    (tmp_path / "study/resources/raw/modis").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "study/resources/raw")
    for folder in (f"resources/raw{inside}", f"../link{inside}"):
        with pytest.raises(UserError, match="found the one in which the workflow puts its links"):
            listing(folder)


def test_files_of_ones_own_in_resources_raw_are_found_there(tmp_path):
    raw = tmp_path / "study/resources/raw"
    for name in ("smci/SMCI_1km_2012_10cm/a.nc", "smci/SMCI_1km_2013_10cm/b.nc", "insitu/ismn.zip"):
        (raw / name).parent.mkdir(parents=True, exist_ok=True)
        (raw / name).write_bytes(b"x")
    _folder._walked.cache_clear()
    own = "resources/raw/smci/SMCI_1km_2012_10cm/a.nc"
    assert pieces("resources/raw/smci", 2012, 10, own=True) == [own]
    assert station_files("resources/raw/insitu", own=True) == ["resources/raw/insitu/ismn.zip"]


def test_a_folder_that_may_not_be_read_is_named(mine, monkeypatch):
    folder, scandir = mine("good/x.nc", "locked/y.nc"), os.scandir

    def guarded(path):
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)
    with pytest.raises(UserError, match=r"locked: expected a folder that can be read, found: Perm"):
        listing(folder)


def test_many_files_are_listed_in_no_time(tmp_path):
    for day in range(1, 21):
        (tmp_path / "mine" / f"{day:03d}").mkdir(parents=True)
        for tile in range(100):
            os.close(os.open(tmp_path / "mine" / f"{day:03d}" / f"{tile}.hdf", os.O_CREAT))
    start = time.perf_counter()
    assert len(listing(str(tmp_path / "mine"))) == 2000
    assert time.perf_counter() - start < 1  # 0.005 s where nothing else runs


def test_granules_are_found_among_twenty_thousand_in_no_time(monkeypatch):
    there = [
        f"/mine/MCD43A3.A2011{day:03d}.h{tile % 36:02d}v{tile // 36:02d}.061.2021068095141.hdf"
        for day in range(1, 366, 4)
        for tile in range(217)
    ]
    monkeypatch.setattr(_folder, "listing", lambda folder: there)
    needed = [
        f"resources/raw/modis/MCD43A3/2011-{month:02d}-{day:02d}/h{tile:02d}v05.hdf"
        for month in range(1, 13)
        for day in range(1, 29)
        for tile in range(30)
    ]
    start = time.perf_counter()
    candidates = found("modis", "/mine", needed)
    assert time.perf_counter() - start < 4  # 0.3 s where nothing else runs
    assert (len(there), len(needed)) == (92 * 217, 10080)
    # Every fourth of the first 28 days of each month, 30 tiles each.
    assert sum(map(len, candidates.values())) == 30 * len(
        {d for d in range(1, 366, 4) if (date(2011, 1, 1) + timedelta(d - 1)).day < 29}
    )


def test_only_the_standard_library_is_imported():
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT / 'workflow/scripts')!r})\n"
        "before = set(sys.modules)\n"
        "import _folder\n"
        "new = {name.split('.')[0] for name in set(sys.modules) - before}\n"
        "sys.exit(str(new - set(sys.stdlib_module_names) - {'_folder', '_log', '_intact'} or ''))"
    )
    ended = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True)
    assert ended.stderr.strip() == ""


# --- granules ---


def test_the_latest_production_comes_first_and_061_before_006(mine):
    folder = mine(f"old/{OLDER}", f"c6/{SIX}", f"a/b/c/{GRANULE}", "notes.hdf", f"{GRANULE}.part")
    assert names(folder, found("modis", folder, [NDVI])[NDVI]) == [
        f"a/b/c/{GRANULE}",
        f"old/{OLDER}",
        f"c6/{SIX}",
    ]


@pytest.mark.parametrize("change", [str.lower, str.upper])
def test_granules_in_any_case(mine, change):
    folder = mine(change(GRANULE))
    assert names(folder, found("modis", folder, [NDVI])[NDVI]) == [change(GRANULE)]


def test_another_day_tile_or_product_is_not_found(mine):
    folder = mine(
        GRANULE.replace("A2012113", "A2011113"),
        GRANULE.replace("h26v05", "h26v06"),
        GRANULE.replace("MOD13Q1", "MYD13Q1"),
        GRANULE.replace("MOD13Q1", "MOD13A1"),
        GRANULE.replace("A2012113", "A2012000"),
        "h26v05.hdf",
    )
    assert found("modis", folder, [NDVI]) == {NDVI: []}


def test_day_366_of_a_common_year_is_not_new_year(mine):
    folder = mine(GRANULE.replace("A2012113", "A2011366"))
    day = "resources/raw/modis/MOD13Q1/2012-01-01/h26v05.hdf"
    assert found("modis", folder, [day]) == {day: []}


def test_one_granule_in_two_folders_is_kept_twice_at_one_rank(mine):
    folder = mine(f"b/{GRANULE}", f"a/{GRANULE}")
    paths = found("modis", folder, [NDVI])[NDVI]
    assert names(folder, paths) == [f"a/{GRANULE}", f"b/{GRANULE}"]
    assert rank("modis", paths[0]) == rank("modis", paths[1])
    assert rank("modis", GRANULE) < rank("modis", OLDER) < rank("modis", SIX)


def test_collections_are_told_apart_by_product(mine):
    second = NDVI.replace("h26v05", "h26v06")
    lst = NDVI.replace("MOD13Q1", "MOD11A2")
    folder = mine(GRANULE, SIX.replace("h26v05", "h26v06"), SIX.replace("MOD13Q1", "MOD11A2"))
    assert mixed(found("modis", folder, [NDVI, lst])) == ""
    assert mixed(found("modis", folder, [second, lst, NDVI.replace("26v05", "27v05")])) == ""
    said = mixed(found("modis", folder, [NDVI, second, lst]))
    assert "h26v06.006.2022001000000.hdf: expected collection 061 as for 1 other" in said
    assert "granules of MOD13Q1, found only 006 for 1 of its granules" in said
    assert "modis.absent" in said


def test_a_granule_in_both_collections_is_taken_in_061(mine):
    second = NDVI.replace("h26v05", "h26v06")
    folder = mine(GRANULE, SIX, GRANULE.replace("h26v05", "h26v06"))
    assert mixed(found("modis", folder, [NDVI, second])) == ""


# --- links to nothing ---


def test_a_link_to_nothing_is_kept_only_where_there_is_nothing_else(mine):
    folder = mine(f"a/{OLDER}")
    os.symlink("/nowhere", os.path.join(folder, GRANULE))
    candidates = found("modis", folder, [NDVI])
    assert names(folder, candidates[NDVI]) == [f"a/{OLDER}"]
    os.remove(os.path.join(folder, "a", OLDER))
    _folder._walked.cache_clear()
    candidates = found("modis", folder, [NDVI])
    assert names(folder, candidates[NDVI]) == [GRANULE]
    assert inputs(candidates) == []


def test_inputs_are_all_candidates_once(mine):
    folder = mine("2009-2010.nc", "2009.nc")
    candidates = found("era5land", folder, [f"resources/raw/era5land/{y}.nc" for y in (2009, 2010)])
    assert names(folder, inputs(candidates)) == ["2009-2010.nc", "2009.nc"]


# --- elevation ---


@pytest.mark.parametrize(
    "name",
    ["n33e102.hgt", "N33E102.HGT", "N33E102.SRTMGL3.hgt", "N33E102.SRTMGL3.hgt.zip"]
    + ["N33E102.hgt.zip", "N33E102v2.3a.hgt.zip", "N33E102.SRTMGL1.hgt.zip"],
)
def test_elevation_cells_of_srtm(mine, name):
    folder = mine(f"any/{name}", "any/N33E103.hgt", "any/NASADEM_HGT_n33e102.zip")
    final = "resources/raw/dem/N33E102.hgt"
    assert names(folder, found("elevation", folder, [final])[final]) == [f"any/{name}"]
    assert elevation_ending(folder) == ".hgt"


@pytest.mark.parametrize(
    "name",
    ["Copernicus_DSM_COG_30_N33_00_E102_00_DEM.tif", "copernicus_dsm_cog_10_n33_00_e102_00_dem.tif"]
    + ["Copernicus_DSM_30_N33_00_E102_00_DEM.TIF", "N33E102.tif"],
)
def test_elevation_cells_of_copernicus(mine, name):
    folder = mine(
        f"any/{name}", "any/Copernicus_DSM_COG_30_N33_00_E103_00_DEM.tif", "x/N01E001.hgt"
    )
    final = "resources/raw/dem/N33E102.tif"
    assert names(folder, found("elevation", folder, [final])[final]) == [f"any/{name}"]
    assert elevation_ending(folder) == ".tif"


def test_three_arc_seconds_come_before_one_and_files_before_zips(mine):
    order = [
        *("N33E102.SRTMGL3.hgt", "N33E102.SRTMGL3.hgt.zip", "N33E102.hgt", "N33E102.hgt.zip"),
        *("N33E102v2.3a.hgt", "N33E102.SRTMGL1.hgt"),
    ]
    folder = mine(*reversed(order))
    final = "resources/raw/dem/N33E102.hgt"
    assert names(folder, found("elevation", folder, [final])[final]) == order


def test_the_form_of_elevation_that_has_more_cells(mine):
    assert elevation_ending(mine("readme.txt")) == ".hgt"
    _folder._walked.cache_clear()
    assert elevation_ending(mine("N33E102.tif", "N33E102.hgt", "N33E102.SRTMGL3.hgt.zip")) == ".hgt"


# --- soil ---


def test_soil_by_fraction_depth_and_statistic(mine):
    folder = mine(
        *("bungo_sand_0-5cm_mean.tif", "b/Silt_0-5cm_Mean.TIF", "b/sand_5-15cm_mean.tif"),
        *("sand_0-5cm_Q0.5.tif", "sand_0-5cm_mean.tif.aux.xml", "thousand_0-5cm_mean.tif"),
        *("sand_clay_0-5cm_mean.tif", "sand_10-5cm_mean.tif", "sand_0-5cm_mean.vrt"),
    )
    needed = [f"resources/raw/soil/{part}_0-5cm_mean.tif" for part in ("sand", "silt", "clay")]
    candidates = found("soil", folder, needed)
    assert [names(folder, paths) for paths in candidates.values()] == [
        ["bungo_sand_0-5cm_mean.tif"],
        ["b/Silt_0-5cm_Mean.TIF"],
        [],
    ]


def test_soilgrids_own_name_comes_before_coarser_copies(mine):
    folder = mine("sand_0-5cm_mean_1000.tif", "z/sand_0-5cm_mean.tif")
    final = "resources/raw/soil/sand_0-5cm_mean.tif"
    assert names(folder, found("soil", folder, [final])[final])[0] == "z/sand_0-5cm_mean.tif"


# --- rain ---

GAUGE = "resources/raw/rain/2012/56079099999.csv"


@pytest.mark.parametrize(
    "name",
    ["2012/56079099999.csv", "deep/2012/56079099999.CSV", "56079099999_2012.csv"]
    + ["2012-56079099999.csv", "gsod 2012/GSOD_56079099999-2012.csv"],
)
def test_rain_by_station_and_year(mine, name):
    folder = mine(name, "2011/56079099999.csv", "2012/56080099999.csv", "x_156079099999_2012.csv")
    assert names(folder, found("rain", folder, [GAUGE])[GAUGE]) == [name]


def test_a_name_without_a_year_is_told_by_its_first_day(mine):
    header = '"STATION","DATE","NAME"\n'
    folder = mine("a/56079099999.csv", content=header + '"56079099999","2012-01-01","X, CN"\n')
    mine("b/56079099999.csv", content=header + '"56079099999","2013-01-01","X, CN"\n')
    mine("c/56079099999.csv", content=header)
    mine("d/56079099999.csv", content="")
    assert names(folder, found("rain", folder, [GAUGE])[GAUGE]) == ["a/56079099999.csv"]


def test_station_names_are_whole_words_and_may_have_marks(mine):
    needed = [f"resources/raw/rain/2012/{name}.csv" for name in ("A", "A_2", "b.c-d", "Zoigê")]
    folder = mine("a_2_2012.csv", "2012_B.C-D.csv", "AA_2012.csv", "2012/Zoige\u0302.csv")
    candidates = found("rain", folder, needed)
    assert [names(folder, paths) for paths in candidates.values()] == [
        [],
        ["a_2_2012.csv"],
        ["2012_B.C-D.csv"],
        ["2012/Zoige\u0302.csv"],
    ]


# --- SMC and ERA5-Land ---


def test_smc_by_month(mine):
    final = "resources/raw/smc/SMC_201206.tif"
    folder = mine("x/smc-2012-06.tif", "NDVI_201206.tif", "SMC_20120615.tif", "SMC_201206.txt")
    assert names(folder, found("smc", folder, [final])[final]) == [
        "x/smc-2012-06.tif",
        "NDVI_201206.tif",
    ]


@pytest.mark.parametrize(
    ("name", "years"),
    [
        ("era5land_2012.nc", [2012]),
        ("ERA5Land-2011-2013.NC", [2011, 2012, 2013]),
        ("era5land_2011_2012.zip", [2011, 2012]),
        ("era5_2010_2012_2013.nc", [2010, 2012, 2013]),
        ("era5_2012-05_2012-10.nc", [2012]),
        ("201205-201210.nc", [2012]),
        ("adaptor.mars.internal-1700000000.nc", [2010, 2011, 2012, 2013]),
    ],
)
def test_era5land_by_year_range_or_being_alone(mine, name, years):
    folder = mine(f"x/{name}", "x/readme_2012.txt")
    needed = [f"resources/raw/era5land/{year}.nc" for year in range(2010, 2014)]
    candidates = found("era5land", folder, needed)
    assert [int(final[-7:-3]) for final, paths in candidates.items() if paths] == years


def test_a_year_comes_before_a_range_and_names_without_years_are_not_guessed(mine):
    folder = mine("all_2009-2018.nc", "z_2012.nc", "download.nc")
    final = "resources/raw/era5land/2012.nc"
    assert names(folder, found("era5land", folder, [final])[final]) == [
        "z_2012.nc",
        "all_2009-2018.nc",
    ]


# --- SMCI and stations ---


def test_pieces_of_smci_in_their_folders_or_as_single_files(mine):
    folder = mine(
        *("SMCI_1km_2012_10cm/N18.nc", "deep/smci_1KM_2012_10CM/sub/N36.NC"),
        *("SMCI_1km_2012_10cm.nc", "smci_1km_2012_10cm_part2.nc"),
        *("SMCI_1km_10cm/2012/a.nc", "SMCI_1km_10cm/b_2012.nc"),
        # Not these:
        *("SMCI_1km_2011_10cm/N18.nc", "SMCI_1km_2012_100cm/N18.nc", "SMCI_9km_2012_10cm.nc"),
        *("SMCI_1km_2012_10cm/readme.txt", "SMCI_1km_10cm/2011/a.nc", "SMCI_1km_100cm/b_2012.nc"),
        *("2012/a.nc", "SMCI_1km_2012_20cm.nc", "SMCI_1km_10cm/x12012.nc"),
    )
    assert names(folder, pieces(folder, "2012", 10)) == [
        "SMCI_1km_10cm/2012/a.nc",
        "SMCI_1km_10cm/b_2012.nc",
        "SMCI_1km_2012_10cm.nc",
        "SMCI_1km_2012_10cm/N18.nc",
        "deep/smci_1KM_2012_10CM/sub/N36.NC",
        "smci_1km_2012_10cm_part2.nc",
    ]
    assert names(folder, pieces(folder, 2012, 100)) == [
        "SMCI_1km_100cm/b_2012.nc",
        "SMCI_1km_2012_100cm/N18.nc",
    ]


def test_the_folder_itself_may_be_that_of_the_year(mine):
    folder = mine("SMCI_1km_2012_10cm/N18.nc") + "/SMCI_1km_2012_10cm"
    assert names(folder, pieces(folder, 2012, 10)) == ["N18.nc"]
    assert pieces(folder, 2011, 10) == []


def test_station_files_without_what_describes_them(mine):
    folder = mine(
        *("MAQU/CST-01/MAQU_sm.stm", "Maqu 5cm.xlsx", "x.csv", "nested.ZIP"),
        *("MAQU/CST-01/MAQU_MAQU_CST-01_static_variables.csv", "readme.txt", "figure.png"),
        *("python_metadata/Data.csv", "ISMN_qualityflags_description.txt", "Metadata.xml"),
    )
    assert names(folder, station_files(folder)) == [
        "MAQU/CST-01/MAQU_sm.stm",
        "Maqu 5cm.xlsx",
        "nested.ZIP",
        "x.csv",
    ]
    assert station_files(f"{folder}/nested.ZIP") == [f"{folder}/nested.ZIP"]


def test_a_zip_of_stations_that_is_not_there(mine):
    with pytest.raises(UserError, match=r"no.zip: expected a folder of files you have, found none"):
        station_files(mine("x.csv") + "/no.zip")


# --- the user's files are safe ---


def test_links_are_never_made_in_a_folder_of_the_user(mine, tmp_path):
    folder = mine(GRANULE)
    (tmp_path / "study/resources/raw").mkdir(parents=True)
    (tmp_path / "study/resources/raw/modis").symlink_to(folder)
    with pytest.raises(UserError, match=r"resources/raw/modis: expected a folder .* found a link"):
        found("modis", folder, [NDVI])


def test_all_of_resources_may_lie_on_another_disk(mine, tmp_path):
    folder = mine(GRANULE)
    (tmp_path / "disk/raw").mkdir(parents=True)
    (tmp_path / "study/resources").symlink_to(tmp_path / "disk")
    assert len(found("modis", folder, [NDVI])[NDVI]) == 1


def test_a_file_that_the_user_put_into_the_archive_is_not_replaced(mine, tmp_path):
    final = tmp_path / "study" / NDVI
    final.parent.mkdir(parents=True)
    final.write_text("mine")
    with pytest.raises(UserError, match="expected a link that the workflow makes, found a file of"):
        found("modis", mine(GRANULE), [NDVI])
    final.with_suffix(".json").write_text("{}")  # the record of one that the workflow unpacked
    assert len(found("modis", mine(GRANULE), [NDVI])[NDVI]) == 1


# --- what to do ---


def test_smci_says_where_it_is_and_what_to_take():
    text = how_to_get("smci", [2010, 2009, 2012], 10, "/data/smci")
    for part in (
        *("https://data.tpdc.ac.cn", "49b22de9-5d85-44f2-a7d5-a1ccd17086d2", "apply", "1 km"),
        *("10.11888/Terre.tpdc.272415", "SMCI_1km_YEAR_10cm of 2009-2010, 2012", "/data/smci"),
    ):
        assert part in text


def test_stations_say_where_they_are_and_what_is_not_sure():
    text = how_to_get("insitu", ["2009", "2010"], 10, "stations")
    for part in (
        *("https://ismn.earth", "MAQU", "header+values", "insitu.format: ismn"),
        *("10.4121/12763700, unverified", "insitu.format: table", "below stations", "2009-2010"),
    ):
        assert part in text


@pytest.mark.parametrize("source", ["modis", "elevation", "soil", "rain", "smc", "era5land"])
def test_services_say_the_key_that_fetches(source):
    text = how_to_get(source, [2009], 10, "/data")
    assert text.startswith(f"Set sources.{source}: ")
    assert text.endswith("anywhere below /data (in any layout; nothing there is changed).")
