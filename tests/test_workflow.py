"""The whole workflow on the tiny study: what it makes, what it runs again, what it refuses.

One run serves most tests. It works from a copy of the repository, so that a test can edit a
script, and each test works on a copy of the finished run.
"""

import json
import os
import re
import shutil
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import rasterio

from _metrics import r, rmse
from conftest import ROOT, TINY, Study


def without_year(rule: str) -> str:
    """Return the script's name of a rule that a loop made for one year."""
    return re.sub(r"(_paper)?_\d{4}$", "", rule)


def layer(path: Path) -> np.ndarray:
    with rasterio.open(path) as source:
        return source.read(1)


# What it makes ------------------------------------------------------------------------------


def test_every_promised_file_is_there(finished):
    promised = """
        resources/raw/modis/MOD13Q1/2015-07-12/h26v05.hdf
        resources/raw/modis/MOD13Q1/2015-07-12/h26v05.json
        results/interim/grid.tif results/interim/static.tif results/interim/insitu.csv
        results/interim/rain.csv results/interim/smci/2015-07.tif
        results/features/samples.parquet results/model/forest.skops results/model/search.csv
        results/model/folds.parquet results/model/predictions.parquet results/model/metrics.csv
        results/model/importance.csv results/maps/monthly/2016-08.tif results/report/index.html
        results/report/fig01_study_area.png results/report/fig03_scatter.pdf
        results/report/fig06_correlation.csv results/report/fig07_importance.png
        results/score/score.csv results/report/headline.txt
        results/features/area.parquet results/features/products.parquet
        results/model/bars.csv results/model/sites.csv results/model/samples.csv
        results/model/intervals.csv results/model/errors.csv results/model/collocation.csv
        results/maps/lower/2016-08.tif results/maps/upper/2016-08.tif results/maps/di/2016-08.tif
        results/score/trust.csv results/model/metrics_paper.csv
        results/maps/annual/2015.tif results/maps/climatology/07.tif results/maps/trend/08.tif
        results/maps/series.csv results/maps/products.csv results/report/fig02_flowchart.pdf
        results/report/fig04_timeseries.png results/report/fig05_taylor.csv
        results/report/fig09_interannual.png results/report/fig10_annual_maps.png
        results/report/fig11_monthly_climatology.png results/report/fig12_trends.png
        results/report/compare_with_paper.csv results/report/layers/2016-08.js
    """.split()
    dynamic = ("ndvi", "lst", "et", "albedo", "pre", "smc")
    promised += [f"results/interim/{variable}/2015-07.tif" for variable in dynamic]
    assert [path for path in promised if not finished.path(path).exists()] == []


def test_interim_rasters_share_the_grid_the_type_and_carry_units(finished):
    units = {
        "ndvi": "1",
        "lst": "degC",
        "et": "mm/day",
        "albedo": "1",
        "pre": "mm/month",
        "smc": "m3/m3",
    }
    with rasterio.open(finished.path("results/interim/grid.tif")) as grid:
        for variable, unit in units.items():
            with rasterio.open(finished.path(f"results/interim/{variable}/2016-07.tif")) as found:
                assert (found.crs, found.transform, found.shape) == (
                    grid.crs,
                    grid.transform,
                    grid.shape,
                )
                assert found.dtypes == ("float32",) and np.isnan(found.nodata)
                assert found.units == (unit,)


def test_static_bands_are_in_the_promised_order(finished):
    with rasterio.open(finished.path("results/interim/static.tif")) as found:
        names = ("sand", "silt", "clay", "AWC", "DEM", "slope", "aspect", "northness", "eastness")
        assert found.descriptions == names
        assert found.units == ("%", "%", "%", "%", "m", "degree", "degree", "1", "1")


def test_samples_have_the_promised_columns(finished):
    columns = "sample source site group month x y NDVI LST ET albedo AWC sand silt clay DEM slope"
    beyond = ["northness", "eastness", "TPI1500", "TPI6000"]
    for variant, terrain in (("", beyond), ("_paper", ["aspect"])):
        samples = pd.read_parquet(finished.path(f"results/features/samples{variant}.parquet"))
        assert list(samples) == [*columns.split(), *terrain, "pre", "SMC", "target"]
        assert set(samples["source"]) == {"insitu", "smci"}
        assert (samples["LST"] > 0).all() and (samples["albedo"] < 0.4).all()


def test_maps_know_the_true_soil_moisture_better_than_chance(finished):
    """The simulated world has a known answer; the map was made without it."""
    scores = []
    for month in ("2016-07", "2016-08"):
        found = layer(finished.path(f"results/maps/monthly/{month}.tif"))
        with rasterio.open(finished.path(f"results/maps/monthly/{month}.tif")) as source:
            box = source.bounds
        with rasterio.open(finished.path(f"resources/truth/{month}.tif")) as source:
            truth = source.read(1, window=source.window(*box), boundless=True, fill_value=np.nan)
        scores.append((r(truth, found), rmse(truth, found)))
        assert np.isfinite(found).mean() > 0.5
    assert min(score[0] for score in scores) > 0.3
    assert max(score[1] for score in scores) < 0.09


def test_the_score_of_the_run_is_what_one_computes_from_its_files(finished):
    score = pd.read_csv(finished.path("results/score/score.csv"))
    assert {"product", "period", "metric", "value", "n"} <= set(score.columns)
    said = finished.path("results/report/headline.txt").read_text()
    assert "simulated" in said and "places never seen" in said


def test_bounds_enclose_the_map_and_gaps_are_shared(finished):
    for month in ("2015-07", "2016-08"):
        maps = finished.path(f"results/maps/monthly/{month}.tif")
        low, value, high = (
            layer(finished.path(f"results/maps/{kind}/{month}.tif"))
            for kind in ("lower", "monthly", "upper")
        )
        known = np.isfinite(value)
        assert maps.exists() and known.any()
        np.testing.assert_array_equal(np.isfinite(low), known)
        np.testing.assert_array_equal(np.isfinite(high), known)
        assert (low <= value)[known].all() and (value <= high)[known].all()
        assert np.mean((high - low)[known]) > 0.02


def test_the_map_is_nearer_to_smci_than_the_forest_and_the_log_says_so(finished):
    table = pd.read_csv(finished.path("results/maps/target/2016.csv"))
    assert (table["map RMSE"] < table["forest RMSE"]).all()
    said = finished.path("logs/finish_maps/2016.log").read_text()
    assert re.search(r"2016-08: RMSE from SMCI over \d+ of its cells: forest 0\.\d+, map 0", said)


def test_every_run_says_what_its_samples_are_like(finished):
    said = finished.path("logs/describe_samples.log").read_text()
    table = pd.read_csv(finished.path("results/model/samples.csv"))
    assert {"variance_between_places", "source_auc_of_terrain"} <= set(table["quantity"])
    assert "between" in said and "AUC" in said


def test_the_page_says_simulated_and_asks_nothing_from_the_network(finished):
    page = finished.path("results/report/index.html").read_text()
    assert "imulated" in page
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", page)


def test_snakemakes_own_report_has_captions_and_categories(study):
    study.snakemake("--report", "report.html")
    said = study.path("report.html").read_text()
    caption = (ROOT / "workflow" / "report" / "fig12_trends.rst").read_text()[:40]
    assert "Figures" in said and "Tables" in said and caption in said
    assert not re.search(r"""(src|href)=["']?(https?:)?//[^"']+\.(js|css)""", said)


def test_the_readme_opens_a_map_as_it_says(study, monkeypatch, capsys):
    readme = (ROOT / "README.md").read_text()
    snippet = re.search(r"```python\n(.*?)```", readme, re.S)[1]
    monkeypatch.chdir(study.run)
    exec(snippet, {})
    unit, mean = capsys.readouterr().out.split()
    assert unit == "m3/m3" and 0.15 < float(mean) < 0.62
    assert study.path("july_lonlat.tif").exists()


def test_the_readme_loads_the_catalogue_as_it_says(finished, monkeypatch):
    pytest.importorskip("odc.stac", reason="requirements-check.txt is not installed")
    readme = (ROOT / "README.md").read_text()
    snippet = re.findall(r"```python\n(.*?)```", readme, re.S)[1]
    monkeypatch.chdir(finished.run)
    names = {}
    exec(snippet, names)
    maps = layer(finished.path("results/maps/monthly/2016-07.tif"))
    loaded = names["cube"]["soil_moisture"].sel(time="2016-07").squeeze()
    np.testing.assert_array_equal(loaded, maps.astype("float32"))


@pytest.mark.parametrize("kind", ["monthly", "lower", "upper", "di", "annual", "climatology"])
def test_maps_are_cloud_optimized(finished, kind):
    cogeo = pytest.importorskip("rio_cogeo", reason="requirements-check.txt is not installed")
    found = sorted(finished.path(f"results/maps/{kind}").glob("*.tif"))
    assert found
    for path in found:
        valid, errors, _ = cogeo.cog_validate(path, strict=True, quiet=True)
        assert valid, (path, errors)


def test_exports_are_those_of_the_run(finished):
    """What a reader of another community opens: the checkers are in the tests of each script."""
    crate = json.loads(finished.path("results/ro-crate-metadata.json").read_text())
    parts = next(e for e in crate["@graph"] if e["@id"] == "./")["hasPart"]
    assert {"@id": "maps/netcdf/soil_moisture_2016.nc"} in parts
    for part in parts:
        assert finished.path(f"results/{part['@id']}").exists()
    provenance = json.loads(finished.path("results/report/provenance.json").read_text())
    inputs = {row["path"] for row in provenance["inputs"]}
    assert "resources/raw/modis/MOD11A2/2015-07-12/h26v05.hdf" in inputs
    card = finished.path("results/report/model_card.md").read_text()
    assert "All data are simulated" in card and "places never seen" in card


def test_every_job_left_a_log_that_counts(finished):
    logs = list(finished.path("logs").rglob("*.log"))
    empty = [path.name for path in logs if not re.search(r"\d", path.read_text())]
    assert logs and empty == []


# What it runs again -------------------------------------------------------------------------


def test_nothing_changed_nothing_runs(study):
    assert "Nothing to be done" in study.snakemake()


def later(path: Path, content: bytes) -> None:
    """Write a file as a user does who puts another in its place."""
    path.unlink()
    path.write_bytes(content)
    now = time.time() + 2
    os.utime(path, (now, now))


def test_one_newer_granule_runs_its_product_year_and_what_follows(study):
    granule = study.path("resources/raw/modis/MOD11A2/2015-07-12/h26v05.hdf")
    later(granule, granule.read_bytes() + b"\0" * 10)
    jobs = study.would_run()
    assert jobs.pop("composite_modis") == 1
    interim_and_raw = {
        name
        for name in jobs
        if re.match(
            r"simulate|define|index|derive|stack|average_(?!maps)|krige|fit|join_years|regrid|read",
            name,
        )
    }
    assert interim_and_raw == set()
    assert {"sample_smci", "train_forest", "predict_maps_2015", "predict_maps_2016"} <= set(jobs)


def test_another_forest_option_runs_the_model_and_what_follows(study):
    (study.repository / "config" / "option.yaml").write_text(
        "model: {search: {min_samples_leaf: [2]}}\n"
    )
    jobs = study.would_run(config=[TINY, "config/option.yaml"])
    assert {"tune_forest", "train_forest", "cross_validate", "predict_maps_2016"} <= set(jobs)
    assert not {
        n for n in jobs if n.startswith(("simulate", "sample", "composite", "join", "split"))
    }


def test_another_title_runs_only_what_shows_it_and_may_have_braces(study):
    (study.repository / "config" / "title.yaml").write_text('title: "Lake {north}"\n')
    jobs = study.would_run(config=[TINY, "config/title.yaml"])
    shown = {"build_page", "summarise_run", "write_model_card", "style_maps"}
    exported = {"export_netcdf", "export_qa4sm", "build_catalogue", "record_run"}
    assert set(jobs) == shown | exported


def test_one_more_year_runs_its_own_files_then_model_and_maps(study):
    (study.repository / "config" / "year.yaml").write_text(
        "years: [2015, 2016, 2017]\nsplit: {test: [2016, 2017]}\n"
    )
    jobs = study.would_run(config=[TINY, "config/year.yaml"])
    own = {
        "simulate_granules_2017": 1,
        "simulate_stations": 1,
        "simulate_fields": 1,
        "composite_modis": 4,
        "average_rain": 1,
        "krige_rain": 1,
        "average_insitu": 1,
        "average_smci": 1,
        "regrid_smc": 1,
        "read_era5land": 1,
        "join_years": 2,
    }
    assert {name: jobs.get(name) for name in own} == own
    untouched = {"fit_variogram", "define_grid", "index_modis", "stack_static", "simulate_land"}
    assert not untouched & set(jobs)
    assert {"train_forest", "predict_maps_2015", "predict_maps_2017"} <= set(jobs)


@pytest.fixture(scope="module")
def followers(finished):
    return finished.followers()


@pytest.mark.parametrize("module", ["_metrics", "_kriging", "_figures", "_forest"])
def test_an_edited_module_runs_exactly_the_rules_that_use_it(study, followers, module):
    path = study.repository / "workflow" / "scripts" / f"{module}.py"
    path.write_text(path.read_text() + "\n# edited\n")
    users = {
        program.stem
        for program in (study.repository / "workflow" / "scripts").glob("[a-z]*.py")
        if re.search(rf"(from|import) {module}\b", program.read_text())
    }
    seeds = {name for name in followers if without_year(name) in users}
    assert set(study.would_run()) == seeds.union(*(followers[name] for name in seeds))


def test_an_edited_module_that_is_put_back_runs_nothing(study):
    path = study.repository / "workflow" / "scripts" / "_raster.py"
    text = path.read_text()
    path.write_text(text + "\n# edited\n")
    assert study.would_run()
    path.write_text(text)
    assert study.would_run() == {}


# What it must not do ------------------------------------------------------------------------


def test_without_the_truth_and_on_one_core_the_same_tables_and_rasters(finished, tmp_path):
    """Everything but the score runs where nobody can read the truth, and comes out the same.

    The interim rasters are copied: that they come out the same from files is in test_archives.
    """
    again = Study(tmp_path)
    shutil.copytree(finished.repository, again.repository)
    shutil.copytree(
        finished.path("resources"), again.path("resources"), ignore=lambda *_: {"truth"}
    )
    shutil.copytree(finished.path("results/interim"), again.path("results/interim"))
    made = [
        str(path.relative_to(finished.run))
        for folder in ("model", "maps")
        for path in sorted(finished.path(f"results/{folder}").rglob("*"))
        if path.is_file()
    ]
    figures = ["results/report/fig07_importance.png", "results/interim/rain.csv"]
    again.snakemake("--cores", "1", *made, *figures)
    assert not again.path("resources/truth").exists()
    compared = 0
    for path in sorted(again.path("results").rglob("*")):
        if "interim" in path.parts:
            continue
        twin = finished.path(str(path.relative_to(again.run)))
        if path.suffix in (".csv", ".parquet", ".json"):
            assert path.read_bytes() == twin.read_bytes(), path
            compared += 1
        elif path.suffix == ".tif":
            with rasterio.open(path) as a, rasterio.open(twin) as b:
                np.testing.assert_array_equal(a.read(), b.read(), err_msg=str(path))
            compared += 1
    assert compared > 60


def test_a_login_page_instead_of_a_granule_stops_with_one_clear_line(study):
    granule = study.path("resources/raw/modis/MOD11A2/2015-07-12/h26v05.hdf")
    later(granule, b"<!DOCTYPE html><html><title>Earthdata Login</title></html>")
    said = study.snakemake("results/interim/lst/2015-07.tif", check=False)
    assert study.code != 0
    assert "MOD11A2/2015-07-12/h26v05.hdf" in said and "login page" in said
    assert "Traceback" not in said
    assert study.would_run("results/interim/lst/2015-07.tif")["composite_modis"] == 1, "not trusted"


def of_files(study: Study, name: str, more: str = "") -> None:
    """Write a config of the same study that finds its archive in resources/raw."""
    for table in ("sites", "gauges"):
        source = study.repository / "config" / f"simulated_{table}.csv"
        (study.run / f"my_{table}.csv").write_bytes(source.read_bytes())
    text = "archive: files\nrain: {gauges: my_gauges.csv}\ninsitu: {sites: my_sites.csv}\n" + more
    (study.repository / "config" / name).write_text(text)


def test_a_granule_that_is_not_there_names_the_file_and_the_key(study):
    """In a study of files nothing makes the granule: the message must say what to do."""
    study.path("resources/raw/modis/MOD11A2/2015-07-12/h26v05.hdf").unlink()
    study.path("results/interim/lst/2015-07.tif").unlink()
    of_files(study, "files.yaml")
    said = study.snakemake(
        "--dry-run",
        "results/interim/lst/2015-07.tif",
        check=False,
        config=[TINY, "config/files.yaml"],
    )
    assert study.code != 0
    assert "MOD11A2/2015-07-12/h26v05.hdf" in said and "modis.absent" in said


def test_a_missing_granule_that_is_named_as_absent_is_left_out(study):
    study.path("resources/raw/modis/MOD11A2/2015-07-12/h26v05.hdf").unlink()
    of_files(study, "absent.yaml", "modis: {absent: [MOD11A2/2015-07-12/h26v05]}\n")
    study.snakemake("results/interim/lst/2015-07.tif", config=[TINY, "config/absent.yaml"])
    assert np.isfinite(layer(study.path("results/interim/lst/2015-07.tif"))).any()


def test_the_papers_protocol_is_a_preset_without_a_baseline_and_changes_nothing_after_the_forest(
    study,
):
    """One job differs from the next by config values alone: no map is pulled or restored."""
    (study.repository / "config" / "paper.yaml").write_text("method: paper\n")
    jobs = study.would_run(config=[TINY, "config/paper.yaml"])
    assert not [name for name in jobs if "paper" in name and name != "compare_with_paper"]
    assert {"composite_modis", "derive_terrain", "sample_smci", "tune_forest"} <= set(jobs)
    study.snakemake("results/maps/monthly/2016-08.tif", config=[TINY, "config/paper.yaml"])
    found = layer(study.path("results/maps/monthly/2016-08.tif"))
    with rasterio.open(study.path("results/maps/forest/2016-08.tif")) as source:
        np.testing.assert_array_equal(found, source.read(1))
    samples = pd.read_parquet(study.path("results/features/samples.parquet"))
    assert "aspect" in samples and "TPI1500" not in samples
