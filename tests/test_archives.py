"""The archive by every road: folders, services on loopback, a lock; the same study each time.

The tiny simulated study plays the part of the archives: what it delivered is put into a user's
folder, or behind servers, and the workflow must come to the same inputs and the same months.
"""

import hashlib
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from contextlib import ExitStack
from itertools import product as pairs
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import rasterio
import yaml

from conftest import ROOT, Study
from earthdata import TOKEN, Earthdata
from products import EXECUTE, FILE, KEY, Cds, Zenodo
from servers import Fault, Files

GAUGES, SITES = "my_gauges.csv", "my_sites.csv"


def of_archives(study: Study, **more) -> str:
    """Write the config of the tiny study as one of real archives; return its path."""
    config = {
        "archive": "files",
        "rain": {"gauges": GAUGES},
        "insitu": {"sites": SITES},
    }
    for key, value in more.items():
        config[key] = config.get(key, {}) | value if isinstance(value, dict) else value
    for table, name in (("gauges", GAUGES), ("sites", SITES)):
        source = study.repository / "config" / f"simulated_{table}.csv"
        (study.run / name).write_bytes(source.read_bytes())
    (study.repository / "config" / "archives.yaml").write_text(yaml.safe_dump(config))
    return ["config/tiny.yaml", "config/archives.yaml"]


@pytest.fixture
def fresh(finished, tmp_path) -> Study:
    """The repository and an empty working folder."""
    study = Study(tmp_path / "a study")
    shutil.copytree(finished.repository, study.repository)
    study.run.mkdir()
    return study


def delivered(finished, folder: Path) -> Path:
    """Lay the simulated archive out as a user's disk: nested, in both cases, old productions."""
    raw = finished.path("resources/raw")
    for granule in sorted(raw.glob("modis/*/*/*.hdf")):
        record = json.loads(granule.with_suffix(".json").read_text())
        name = record["delivered"]
        year = name.split(".")[1][1:5]
        where = folder / "MODIS data" / year / name.split(".")[0].lower()
        where.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(granule, where / (name.upper() if "MOD11A2" in name else name))
    older = next((folder / "MODIS data").rglob("MOD13Q1.A2015193.h26v05.061.*"))
    (older.parent / "old").mkdir()
    stale = older.parent / "old" / re.sub(r"\d{13}", "2000001000000", older.name)
    stale.write_bytes(b"an older production that must not be taken")
    copies = {
        "dem/*.hgt": "srtm/{name}",
        "soil/*.tif": "Soil/{name}",
        "rain/*/*.csv": "gsod/{parent}/{name}",
        "insitu/*/*.csv": "stations/{parent}/{name}",
        "smci/*/*.nc": "SMCI/{parent}/{name}",
        "smc/*.tif": "SMC/{name}",
        "era5land/*.nc": "era5/era5land_{name}",
    }
    for pattern, place in copies.items():
        for file in raw.glob(pattern):
            target = folder / place.format(name=file.name, parent=file.parent.name)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
    return folder


def folders(archive: Path) -> dict[str, str]:
    return {
        "modis": str(archive / "MODIS data"),
        "elevation": str(archive / "srtm"),
        "soil": str(archive / "Soil"),
        "rain": str(archive / "gsod"),
        "insitu": str(archive / "stations"),
        "smci": str(archive / "SMCI"),
        "smc": str(archive / "SMC"),
        "era5land": str(archive / "era5"),
    }


def state(folder: Path) -> dict[str, tuple]:
    """Return content, mode and time of change of every file below a folder."""
    return {
        str(path.relative_to(folder)): (
            hashlib.sha256(path.read_bytes()).hexdigest(),
            path.stat().st_mode,
            path.stat().st_mtime_ns,
        )
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def same_months(finished: Study, study: Study) -> int:
    """Compare every interim raster and table of two runs; return how many were compared."""
    compared = 0
    for path in sorted(finished.path("results/interim").rglob("*")):
        twin = study.path(str(path.relative_to(finished.run)))
        if "inputs" in path.parts or not path.is_file():
            continue
        if path.suffix == ".tif":
            with rasterio.open(path) as a, rasterio.open(twin) as b:
                np.testing.assert_array_equal(a.read(), b.read(), err_msg=str(path))
        else:
            assert path.read_bytes() == twin.read_bytes(), path
        compared += 1
    return compared


ONE_MONTH = [
    "results/report/inputs.csv",
    "results/interim/static.tif",
    "results/interim/insitu.csv",
    *(
        f"results/interim/{name}/2015-07.tif"
        for name in ("ndvi", "lst", "et", "albedo", "pre", "smci", "smc", "era5land")
    ),
]
INTERIM_OF_ALL = [
    "results/features/samples.parquet",
    "results/report/inputs.csv",
    "results/interim/rain.csv",
    "results/interim/era5land/2015-07.tif",
    "results/interim/era5land/2016-07.tif",
]


def test_a_users_folders_give_the_same_months_and_stay_untouched(finished, fresh, tmp_path):
    archive = delivered(finished, tmp_path / "my archive ä")
    before = state(archive)
    config = of_archives(fresh, sources=folders(archive))
    said = fresh.snakemake("inputs", config=config)
    assert re.search(r"MODIS NDVI, LST, ET, albedo +60 +60 +0 ", said), said
    fresh.snakemake(*ONE_MONTH, config=config)
    assert same_months(fresh, finished) >= len(ONE_MONTH) - 1
    assert state(archive) == before, "files of the user are linked, never altered"
    granule = fresh.path("resources/raw/modis/MOD13Q1/2015-07-12/h26v05.hdf")
    record = json.loads(granule.with_suffix(".json").read_text())
    assert granule.is_symlink() and record["superseded"], "the older production is on record"
    assert fresh.would_run(*ONE_MONTH, config=config) == {}
    newer = next((archive / "MODIS data").rglob("MOD11A2.A2015193*"))
    newer.write_bytes(newer.read_bytes() + b"\0" * 10)
    jobs = fresh.would_run("results/interim/lst/2015-07.tif", config=config)
    assert jobs == {"link_files_modis_lst_2015": 1, "check_inputs": 1, "composite_modis": 1}


def as_ismn(stations: Path, sites: Path, archive: Path) -> list[str]:
    """Write readings of format csv as ismn.earth delivers them: a zip of header+values files.

    Return the sites that have any reading; others are not in such an archive.
    """
    places = pd.read_csv(sites, dtype={"site": str}).set_index("site")
    with zipfile.ZipFile(archive, "w") as packed:
        for site, place in places.iterrows():
            files = sorted(stations.glob(f"*/{site}.csv"))
            readings = pd.concat(map(pd.read_csv, files)).dropna(subset="time")
            times = pd.to_datetime(readings["time"])
            for variable, column in (("sm", "soil_moisture"), ("ts", "soil_temperature")):
                if not readings[column].notna().any():
                    continue
                head = (
                    f"TEST TEST {site} {place['lat']:.5f} {place['lon']:.5f} 3400.00 0.05 0.05 5TM"
                )
                lines = [
                    f"{time:%Y/%m/%d %H:%M} {value:10.4f} G M"
                    for time, value in zip(times, readings[column], strict=True)
                    if pd.notna(value)
                ]
                name = f"TEST_TEST_{site}_{variable}_0.050000_0.050000_5TM_20150101_20161231.stm"
                packed.writestr(f"TEST/{site}/{name}", "\r\n".join([head, *lines, ""]))
        return sorted({name.split("/")[1] for name in packed.namelist()})


def test_ismn_as_the_only_source_of_soil_moisture(finished, fresh, tmp_path):
    """Its zip gives positions and the months that the same readings give as tables of our own."""
    archive = delivered(finished, tmp_path / "mine")
    names = as_ismn(
        archive / "stations",
        finished.repository / "config/simulated_sites.csv",
        tmp_path / "ismn.zip",
    )
    sources = folders(archive) | {
        "insitu": str(tmp_path / "ismn.zip"),
        "smci": "none",
        "smc": "none",
    }
    config = of_archives(fresh, sources=sources, insitu={"format": "ismn"})
    (fresh.run / SITES).write_text("\n".join(["site", *names, ""]))
    fresh.snakemake("results/features/samples.parquet", config=config)
    keys = ["site", "month"]
    own, other = (
        pd.read_csv(study.path("results/interim/insitu.csv"), dtype={"site": str}).set_index(keys)
        for study in (finished, fresh)
    )
    kept = own.index[own["kept"] == 1]
    assert len(kept) and kept.equals(other.index[other["kept"] == 1])
    np.testing.assert_allclose(other["value"][kept], own["value"][kept], atol=1e-4)
    samples = pd.read_parquet(fresh.path("results/features/samples.parquet"))
    assert set(samples["source"]) == {"insitu"} and "SMC" not in samples
    assert "smci" not in " ".join(fresh.would_run(config=config))


def test_files_that_a_user_puts_into_resources_raw_are_taken_from_there(finished, fresh):
    """`raw` is where every source is unless the config says otherwise."""
    shutil.copytree(finished.path("resources/raw"), fresh.path("resources/raw"))
    for record in fresh.path("resources/raw").rglob("*.json"):
        record.unlink()  # what the simulation says of its files, and a user's files do not have
    before = state(fresh.path("resources/raw"))
    config = of_archives(fresh)
    made = ["results/interim/insitu.csv", "results/interim/rain.csv"]
    made += [f"results/interim/{name}/2015-07.tif" for name in ("smci", "smc", "era5land", "lst")]
    fresh.snakemake(*made, config=config)
    assert same_months(fresh, finished) >= len(made)
    assert state(fresh.path("resources/raw")) == before


def test_years_of_two_collections_are_refused_before_anything_runs(finished, fresh, tmp_path):
    archive = delivered(finished, tmp_path / "mine")
    for granule in list(archive.rglob("MOD11A2.A2016*")):
        granule.rename(granule.with_name(granule.name.replace(".061.", ".006.")))
    config = of_archives(fresh, sources=folders(archive))
    target = "resources/raw/modis/MOD11A2/2015-07-12/h26v05.hdf"
    said = fresh.snakemake(target, check=False, config=config)
    assert fresh.code != 0 and "expected collection 061 as for" in said
    assert not fresh.path(target).exists()


def test_a_source_behind_a_form_says_where_to_register(fresh):
    (fresh.run / "archive").mkdir()
    config = of_archives(fresh, sources={"smci": "./archive"})
    said = fresh.snakemake(
        "--dry-run", "results/interim/smci/2015-07.tif", check=False, config=config
    )
    assert fresh.code != 0
    assert "data.tpdc.ac.cn" in said and "SMCI_1km_2015_10cm" in said and "Register" in said


def test_a_typo_in_a_source_names_what_is_known(fresh):
    config = of_archives(fresh, sources={"modis": "earthdta"})
    said = fresh.snakemake("--dry-run", check=False, config=config)
    assert "sources.modis: expected earthdata, appeears, raw or a folder, found 'earthdta'" in said


@pytest.mark.parametrize("road", ["earthdata", "simulated"])
def test_a_file_of_the_user_in_resources_raw_is_never_replaced(fresh, road):
    """Snakemake deletes what a job is to make before it starts: that must not be the user's."""
    mine = fresh.path("resources/raw/modis/MOD11A2/2016-07-11/h26v05.hdf")
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"years of work")
    config = "config/tiny.yaml"
    if road == "earthdata":
        config = of_archives(fresh, sources={"modis": "earthdata"})
    other = str(mine.relative_to(fresh.run)).replace("2016-07-11", "2016-07-03")
    said = fresh.snakemake(other, check=False, config=config)
    assert fresh.code != 0 and "found one of yours, which this run would replace" in said
    assert mine.read_bytes() == b"years of work"


# The lock ------------------------------------------------------------------------------------


def test_a_run_against_its_lock_goes_on_and_one_that_differs_stops(study):
    lock = study.path("results/report/inputs.lock")
    shutil.copy(lock, study.run / "my.lock")
    config = study.repository / "config" / "lock.yaml"
    config.write_text("lock: my.lock\n")
    configs = ["config/tiny.yaml", "config/lock.yaml"]
    assert "Nothing to be done" in study.snakemake(config=configs), "a lock makes nothing stale"
    text = (study.run / "my.lock").read_text()
    changed = re.search(r"(\w{64})  (resources/raw/modis/MOD11A2/2016-07-11/h26v05.hdf)", text)
    (study.run / "my.lock").write_text(text.replace(changed[1], "0" * 64))
    shutil.rmtree(study.path("results/interim/lst"))
    said = study.snakemake("results/interim/lst/2016-07.tif", check=False, config=configs)
    assert study.code != 0 and "MOD11A2/2016-07-11/h26v05.hdf: expected sha256 000000" in said
    assert not study.path("results/interim/lst/2016-07.tif").exists()


def test_a_new_job_is_compared_with_the_lock_before_it_reads(study):
    lock = study.path("results/report/inputs.lock").read_text()
    changed = re.search(r"(\w{64})  (resources/raw/modis/MOD11A2/2016-07-11/h26v05.hdf)", lock)
    (study.run / "my.lock").write_text(lock.replace(changed[1], "0" * 64))
    (study.repository / "config" / "lock.yaml").write_text("lock: my.lock\n")
    shutil.rmtree(study.path("results/interim/inputs"))
    said = study.snakemake(
        "results/interim/inputs/lst_2016.csv",
        check=False,
        config=["config/tiny.yaml", "config/lock.yaml"],
    )
    assert study.code != 0 and "MOD11A2/2016-07-11/h26v05.hdf: expected sha256 000000" in said


# The published study -------------------------------------------------------------------------


def test_the_published_study_is_planned_in_few_jobs(tmp_path):
    for year in range(2009, 2019):
        piece = tmp_path / f"archive/SMCI/SMCI_1km_{year}_10cm/part_1.nc"
        piece.parent.mkdir(parents=True)
        piece.write_bytes(b"\x89HDF\r\n\x1a\n")
    (tmp_path / "archive/ISMN/MAQU/CST-01").mkdir(parents=True)
    name = "MAQU_MAQU_CST-01_sm_0.050000_0.050000_5TM_20080701_20191231.stm"
    (tmp_path / "archive/ISMN/MAQU/CST-01" / name).write_text("x")
    command = [sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile"), "-n"]
    command += ["-d", str(tmp_path), "--configfile", str(ROOT / "config/zoige.yaml")]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout[-3000:] + ended.stderr[-3000:]
    jobs = dict(re.findall(r"^(\w+)\s+(\d+)$", ended.stdout + ended.stderr, re.M))
    assert int(jobs["total"]) < 1200
    assert sum(name.startswith("fetch_modis") for name in jobs) == 40


def test_the_table_of_inputs_asks_no_network(tmp_path):
    """In a network namespace of its own, without even a loopback, `inputs` still answers."""
    command = [sys.executable, "-m", "snakemake", "inputs", "-s", str(ROOT / "Snakefile")]
    command += ["-d", str(tmp_path), "--configfile", str(ROOT / "config/zoige.yaml")]
    alone = ["unshare", "--net", "--map-root-user"]
    if subprocess.run([*alone, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine makes no network namespaces")
    ended = subprocess.run(
        alone + command,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"EARTHDATA_TOKEN": "geheim-geheim"},
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert re.search(r"MODIS NDVI, LST, ET, albedo +4060 +0 +4060 +~242.9 GB", ended.stdout)
    assert "Albedo: 1150 granules" in ended.stdout and "9200 granules" in ended.stdout
    assert "data.tpdc.ac.cn" in ended.stdout and "ismn.earth" in ended.stdout
    assert "found in EARTHDATA_TOKEN" in ended.stdout
    assert "geheim" not in ended.stdout + ended.stderr


# The services ------------------------------------------------------------------------------


class YearlyCds(Cds):
    """The Climate Data Store with a file of its own for each year that is asked for."""

    def __init__(self, years: dict[str, bytes]):
        super().__init__()
        self.years = years

    def reply(self, request):
        if request.path == EXECUTE:
            self.files[FILE] = self.years[json.loads(request.body)["inputs"]["year"][0]]
        return super().reply(request)


class Services:
    """Every service of the archive on loopback, with what the finished study was made of."""

    def __init__(self, finished: Study):
        self.raw = finished.path("resources/raw")

    def __enter__(self):
        self.stack = ExitStack()
        self.earthdata = self.stack.enter_context(Earthdata())
        for granule in sorted(self.raw.glob("modis/*/*/*.hdf")):
            name = json.loads(granule.with_suffix(".json").read_text())["delivered"]
            self.earthdata.add(name, granule.read_bytes(), name.split(".")[0])
        for cell in self.raw.glob("dem/*.hgt"):
            buffer = io.BytesIO()
            with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.write(cell, cell.name)
            name = f"{cell.stem}.SRTMGL3.hgt.zip"
            body = buffer.getvalue()
            self.earthdata.add(name, body, "SRTMGL3", version="003", ending=".zip")
        gauges = {
            f"/{file.parent.name}/{file.name}": file.read_bytes()
            for file in self.raw.glob("rain/*/*.csv")
        }
        self.gsod = self.stack.enter_context(Files(gauges))
        self.zenodo = self.stack.enter_context(Zenodo())
        self.zenodo.hold({file.name: file.read_bytes() for file in self.raw.glob("smc/*.tif")})
        years = {file.stem: file.read_bytes() for file in self.raw.glob("era5land/*.nc")}
        self.cds = self.stack.enter_context(YearlyCds(years))
        return self

    def __exit__(self, *error):
        self.stack.close()

    @property
    def config(self) -> dict:
        """Return the keys of the config that lead to these services."""
        return {
            "addresses": {
                "cmr": self.earthdata.cmr,
                "earthdata": "login.test",
                "gsod": f"{self.gsod.address}/",
                "zenodo": f"{self.zenodo.address}/api/records/",
                "cds": f"{self.cds.address}/api",
            },
            "downloads": {"tries": 3, "timeout": 5, "parallel": 3},
        }

    @property
    def asked(self) -> int:
        servers = (self.earthdata.archive, self.earthdata.bucket, self.gsod, self.zenodo, self.cds)
        return sum(len(server.seen) for server in servers)


@pytest.fixture
def services(finished, monkeypatch, tmp_path):
    monkeypatch.setenv("EARTHDATA_TOKEN", TOKEN)
    monkeypatch.setenv("CDSAPI_KEY", KEY)
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    monkeypatch.setenv("CDSAPI_RC", str(tmp_path / "none"))
    with Services(finished) as servers:
        yield servers


def from_services(archive: Path) -> dict[str, str]:
    return folders(archive) | {
        "modis": "earthdata",
        "elevation": "srtm",
        "rain": "gsod",
        "smc": "zenodo",
        "era5land": "cds",
    }


def written(folder: Path) -> list[bytes]:
    """Return the content of everything below a folder that is text."""
    endings = {".json", ".csv", ".log", ".txt", ".yaml", ".lock", ""}
    return [p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.suffix in endings]


def test_what_services_deliver_gives_the_same_months(finished, fresh, services, tmp_path):
    archive = delivered(finished, tmp_path / "mine")
    config = of_archives(fresh, sources=from_services(archive), **services.config)
    said = fresh.snakemake("fetch", config=config)
    assert re.search(r"To fetch: \d+ files, about [\d.]+ GB \(", said), "the total comes first"
    assert said.index("To fetch:") < said.index("rule fetch_modis")
    fresh.snakemake(*INTERIM_OF_ALL, config=config)
    assert same_months(finished, fresh) > 40
    raw = sorted(p for p in fresh.path("resources/raw/modis").rglob("*.hdf"))
    assert len(raw) == 60
    for granule in raw:
        record = json.loads(granule.with_suffix(".json").read_text())
        assert record["sha256"] == hashlib.sha256(granule.read_bytes()).hexdigest()
        assert record["address"].endswith(record["delivered"]) and record["fetched"]
        assert not os.stat(granule).st_mode & 0o222
    secrets = [TOKEN.encode(), KEY.encode()]
    assert not any(secret in text for text in written(fresh.folder) for secret in secrets)
    assert TOKEN not in said and KEY not in said
    before = services.asked
    assert fresh.would_run(*INTERIM_OF_ALL, config=config) == {}
    shutil.rmtree(fresh.path("resources/raw"))
    fresh.snakemake("fetch", config=config)
    assert services.asked == before, "the store is full: nobody is asked again"


def test_a_killed_fetch_goes_on_where_it_stopped(finished, fresh, services, tmp_path):
    archive = delivered(finished, tmp_path / "mine")
    config = of_archives(fresh, sources=from_services(archive), **services.config)
    stalled = [path for path in services.earthdata.bucket.files if "MOD11A2.A2016193" in path]
    services.earthdata.bucket.faults[stalled[0]] = [Fault("stall", after=1000, seconds=60)]
    target = "resources/raw/modis/MOD11A2/2016-07-11/h26v05.hdf"
    command = [sys.executable, "-m", "snakemake", "-s", "../repository/Snakefile", target]
    command += ["--configfile", *(str(fresh.repository / name) for name in config)]
    run = subprocess.Popen(
        command, cwd=fresh.run, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        start_new_session=True,
    )  # fmt: skip
    store = fresh.path("resources/store/modis")
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and len(list(store.glob("*.hdf"))) < 5:
        time.sleep(0.1)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    whole = {path.name for path in store.glob("*.hdf")}
    assert len(whole) >= 5 and not fresh.path(target).exists()
    for path in store.glob("*.hdf"):
        record = json.loads(path.with_name(f"{path.name}.json").read_text())
        assert record["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    services.earthdata.bucket.faults.clear()
    services.earthdata.bucket.seen.clear()
    fresh.snakemake("--unlock", config=config)
    fresh.snakemake(target, config=config)
    asked = {request.path.rsplit("/", 1)[-1] for request in services.earthdata.bucket.seen}
    assert not asked & whole, "what arrived before the kill is not fetched again"
    assert fresh.path(target).exists()


def test_granules_that_are_not_kept_are_fetched_again_only_where_needed(
    finished, fresh, services, tmp_path
):
    archive = delivered(finished, tmp_path / "mine")
    config = of_archives(fresh, sources=from_services(archive), **services.config)
    path = fresh.repository / config[-1]
    given = yaml.safe_load(path.read_text())
    given["downloads"]["keep_raw"] = False
    path.write_text(yaml.safe_dump(given))
    months = [
        f"results/interim/{name}/{month}.tif"
        for name, month in pairs(("ndvi", "lst"), ("2015-07", "2016-08"))
    ]
    fresh.snakemake(*months, config=config)
    for month in months:
        with rasterio.open(fresh.path(month)) as a, rasterio.open(finished.path(month)) as b:
            np.testing.assert_array_equal(a.read(), b.read(), err_msg=month)
    left = [p for p in fresh.path("resources").rglob("*.hdf")]
    assert left == [], "granules are gone once composited"
    assert fresh.would_run(*months, config=config) == {}
    script = fresh.repository / "workflow/scripts/fetch_modis.py"
    os.utime(script)
    assert fresh.would_run(*months, config=config) == {}, "an update fetches nothing"
    given["downloads"]["parallel"] = 1
    path.write_text(yaml.safe_dump(given))
    assert fresh.would_run(*months, config=config) == {}, "nor does another speed"
    fresh.path("results/interim/lst/2015-07.tif").unlink()
    jobs = fresh.would_run("results/interim/lst/2015-07.tif", config=config)
    assert jobs == {"fetch_modis_lst_2015": 1, "check_inputs": 1, "composite_modis": 1}


@pytest.mark.parametrize("fault", [Fault(403), Fault("login")])
def test_a_refusal_is_said_in_words(finished, fresh, services, tmp_path, fault):
    archive = delivered(finished, tmp_path / "mine")
    config = of_archives(fresh, sources=from_services(archive), **services.config)
    for path in services.earthdata.bucket.files:
        services.earthdata.bucket.faults[path] = [fault] * 9
    target = "resources/raw/modis/MOD11A2/2016-07-11/h26v05.hdf"
    said = fresh.snakemake(target, check=False, config=config)
    assert fresh.code != 0 and "Traceback" not in said
    assert "urs.earthdata.nasa.gov" in said or "login.test" in said
    assert not list(fresh.path("resources").rglob("*.hdf"))


def test_a_disk_without_room_stops_before_anything_is_fetched(finished, fresh, services, tmp_path):
    """The announcement is compared with the disk that the run is in: a small one."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(fresh.run)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root can make a small disk")
    try:
        archive = delivered(finished, tmp_path / "mine")
        config = of_archives(fresh, sources=from_services(archive), **services.config)
        said = fresh.snakemake("fetch", check=False, config=config)
        assert fresh.code != 0 and "expected about" in said and "keep_raw" in said
        assert services.asked == 0
    finally:
        subprocess.run(["umount", str(fresh.run)], check=True)
