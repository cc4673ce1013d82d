"""The config: what it promises, what it refuses, and the lists that follow from it."""

import re
import sys
from datetime import date
from pathlib import Path

import pytest
import yaml

import _calendar
import _config
from conftest import ROOT, parsed_rules, snakemake

sys.path.insert(0, str(ROOT / "workflow" / "schemas"))
sys.path.insert(0, str(ROOT / "envs"))

import describe
import from_lock

SCHEMA = ROOT / "workflow" / "schemas" / "config.schema.yaml"
DEFAULT = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
SMALL = {
    "years": [2010, 2016],
    "months": [5, 6, 7, 8, 9, 10],
    "area": {"box": [102.0, 33.6, 102.7, 34.19]},
}


def keys(rules, path=()):
    for key, rule in rules.get("properties", {}).items():
        yield (*path, key), rule
        yield from keys(rule, (*path, key))


def test_schema_is_strict_everywhere_and_explains_every_key():
    schema = yaml.safe_load(SCHEMA.read_text())
    assert schema["additionalProperties"] is False
    for path, rule in keys(schema):
        assert rule.get("description"), path
        if "properties" in rule:
            assert rule["additionalProperties"] is False, path


def test_readme_of_the_config_is_current():
    assert (ROOT / "config" / "README.md").read_text() == describe.page(), "run `make reference`"


def test_conda_environments_have_the_versions_of_the_lock():
    for name, text in from_lock.environments().items():
        assert (ROOT / "envs" / name).read_text() == text, "run `make lock`"


def test_every_meant_package_is_locked_with_a_hash_and_no_index_is_named():
    lock = (ROOT / "requirements.txt").read_text()
    for name in [*from_lock.meant()[0], *from_lock.meant()[1]]:
        assert re.search(rf"^{re.escape(name)}==[^\n]*\\\n\s+--hash=sha256:", lock, re.M), name
    assert "://" not in lock and "index" not in lock


@pytest.mark.parametrize("path", sorted((ROOT / "config").glob("*.yaml")), ids=lambda p: p.stem)
def test_shipped_config_is_valid(path):
    config = DEFAULT | yaml.safe_load(path.read_text())
    assert _config.checked(config, SCHEMA)["years"]


def test_defaults_are_filled_in_at_every_depth():
    config = _config.checked(SMALL, SCHEMA)
    assert config["model"]["search"]["min_samples_leaf"] == [1, 5]
    assert config["archive"] == "files" and config["table"] is None
    assert SMALL.keys() == {"years", "months", "area"}, "the given config is left alone"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"yeers": [2010]}, "top level: no such key: yeers. Known here:"),
        ({"modis": {"qa": "none"}}, "modis.qa: 'none' is not one of ['recommended', 'paper']"),
        (
            {"modis": {"absent": ["MOD13Q1.A2009"]}},
            "modis.absent.0: 'MOD13Q1.A2009' does",
        ),
        ({"grid": {"resolution": -1}}, "grid.resolution: -1 is less than"),
        ({"months": [13]}, "months.0: 13 is greater than the maximum of 12"),
        ({"area": {"box": [103, 33, 102, 34]}}, "area.box: expected west < east"),
        ({"split": {"test": [2020]}}, "split.test: expected some of the 12 months"),
        ({"split": {"test": [2010, 2016]}}, "split.test: expected some of the 12 months"),
        ({"split": {"test": ["20"]}}, "found all of them in ['20']"),
        (
            {"archive": "files", "rain": {"gauges": "config/simulated_gauges.csv"}},
            "rain.gauges: expected a file of your own for a study of real archives, found config",
        ),
        ({"area": {"box": [102, 33]}}, "area.box: [102, 33] is too short"),
        ({"table": {"samples": "a.csv"}}, "table: 'rasters' is a required property"),
        ({"sources": {"insitu": "none", "smci": "none"}}, "sources: expected insitu or smci"),
        (
            {"sources": {"smc": "none"}, "predictors": ["NDVI", "SMC"]},
            "predictors: expected no SMC where sources.smc is none",
        ),
    ],
)
def test_a_wrong_config_is_refused_with_the_place_and_the_reason(change, message):
    with pytest.raises(_config.ConfigError) as error:
        _config.checked({**SMALL, **change}, SCHEMA)
    assert message in str(error.value)
    assert "config/README.md" in str(error.value) or "found" in str(error.value)


def test_a_study_without_smc_has_a_predictor_less():
    found = _config.checked({**SMALL, "sources": {"smc": "none"}}, SCHEMA)["predictors"]
    assert found == [name for name in _config.checked(SMALL, SCHEMA)["predictors"] if name != "SMC"]


def test_all_faults_are_named_at_once():
    with pytest.raises(_config.ConfigError) as error:
        _config.checked({**SMALL, "yeers": 1, "months": [0]}, SCHEMA)
    assert "yeers" in str(error.value) and "months.0" in str(error.value)


def test_a_typo_stops_snakemake_with_the_message_and_no_traceback(tmp_path):
    (tmp_path / "mine.yaml").write_text("yeers: [2010]\n")
    ended = snakemake(tmp_path, "--dry-run", config=tmp_path / "mine.yaml", check=False)
    assert ended.returncode != 0
    assert "no such key: yeers. Known here:" in ended.stdout
    assert "Traceback" not in ended.stdout


def test_a_station_table_that_is_not_there_is_named(tmp_path):
    (tmp_path / "mine.yaml").write_text("insitu: {sites: my_sites.csv}\n")
    ended = snakemake(tmp_path, "--dry-run", config=tmp_path / "mine.yaml", check=False)
    assert ended.returncode != 0 and "Traceback" not in ended.stdout
    assert "my_sites.csv: expected a table of stations" in ended.stdout


def test_the_variogram_reads_training_months_only(tmp_path):
    config = tmp_path / "mine.yaml"
    config.write_text('years: [2015, 2016]\nmonths: [7, 8]\nsplit: {test: ["2015-08", 2016]}\n')
    rule = parsed_rules(str(config))["fit_variogram"]
    assert list(rule.input) == ["results/interim/rain/2015.csv"]
    assert rule.params.months == ["2015-07"]


@pytest.mark.parametrize(
    ("rows", "found"),
    [("", "found none"), ("A,1,2\nA,3,4\n", "['A'] twice"), ("my site,1,2\n", "['my site'] as")],
)
def test_a_station_table_without_ids_of_their_own_is_refused(tmp_path, rows, found):
    (tmp_path / "my_sites.csv").write_text("site,lat,lon\n" + rows)
    (tmp_path / "mine.yaml").write_text("insitu: {sites: my_sites.csv}\n")
    ended = snakemake(tmp_path, "--dry-run", config=tmp_path / "mine.yaml", check=False)
    assert ended.returncode != 0 and "my_sites.csv: expected stations" in ended.stdout
    assert found in ended.stdout


def test_empty_lines_and_the_mark_of_a_spreadsheet_in_a_station_table_do_no_harm(tmp_path):
    (tmp_path / "my_sites.csv").write_text("\ufeffsite,lat,lon\nA,33.8,102.2\n\n,,\n")
    (tmp_path / "mine.yaml").write_text("insitu: {sites: my_sites.csv}\n")
    file = "resources/raw/insitu/2009/A.csv"
    said = snakemake(tmp_path, "--dry-run", file, config=tmp_path / "mine.yaml").stdout
    assert "simulate_stations" in said


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("year_begins: 8", "year_begins: expected a year from month 8 on that has all of months"),
        ("report: {year: 2018}", "report.year: expected one of 2015, 2017, found 2018."),
    ],
)
def test_a_year_that_is_not_whole_is_refused(tmp_path, more, message):
    config = f"years: [2015, 2017]\nmonths: [2, 8, 9]\nsplit: {{test: [2017]}}\n{more}\n"
    (tmp_path / "mine.yaml").write_text(config)
    ended = snakemake(tmp_path, "--dry-run", config=tmp_path / "mine.yaml", check=False)
    assert ended.returncode != 0 and "Traceback" not in ended.stdout
    assert message in ended.stdout


def test_annual_means_are_of_winters_that_lie_wholly_in_the_study(tmp_path):
    config = tmp_path / "mine.yaml"
    config.write_text(
        "years: [2015, 2016]\nmonths: [11, 12, 1]\nyear_begins: 11\nsplit: {test: [2016]}\n"
    )
    rules = parsed_rules(str(config))
    assert list(rules["average_maps"].output.annual) == ["results/maps/annual/2016.tif"]
    assert rules["plot_months"].params.months == ["2015-11", "2015-12", "2016-01"]


def test_a_polygon_that_is_not_there_is_named(tmp_path):
    (tmp_path / "mine.yaml").write_text("area: {polygon: nothere.gpkg}\n")
    ended = snakemake(tmp_path, "--dry-run", config=tmp_path / "mine.yaml", check=False)
    assert ended.returncode != 0 and "Traceback" not in ended.stdout
    assert "area.polygon: expected a vector file, found no nothere.gpkg in" in ended.stdout


def test_files_of_the_config_are_found_here_or_in_the_repository(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here.csv").write_text("")
    assert _config.located("here.csv", ROOT) == "here.csv"
    found = _config.located("config/gauges.csv", ROOT)
    assert not Path(found).is_absolute() and Path(found).samefile(ROOT / "config/gauges.csv")
    assert _config.located(None, ROOT) is None


def test_elevation_cells_of_the_published_box_are_72():
    """datasets.md 4.1: N27..N35 x E097..E104."""
    cells = _config.degree_cells([97.34, 27.96, 104.75, 35.58])
    assert len(cells) == 72 and cells[0] == "N27E097" and cells[-1] == "N35E104"
    assert _config.degree_cells([-0.5, -0.5, 0.5, 0.5]) == [
        "S01W001",
        "S01E000",
        "N00W001",
        "N00E000",
    ]
    assert _config.degree_cells([102, 33, 103, 34]) == ["N33E102"]


def test_the_composites_of_a_year_are_the_ones_its_months_need():
    """datasets.md 1.5: 23 eight-day composites overlap May-October, 24 in leap years."""
    rules = parsed_rules()
    for year, count in ((2010, 23), (2012, 24)):
        made = [str(path) for path in rules[f"simulate_granules_{year}"].output]
        assert sum("/MOD11A2/" in path for path in made) == count
        assert sum("/MOD16A2GF/" in path for path in made) == count
    made = [str(path) for path in rules["simulate_granules_2012"].output]
    assert not any("MOD13Q1/2012-04-22" in path for path in made), "7 days in May are too few (U5)"
    assert not any("MCD43A3/2012-07-03" in path for path in made), "named under modis.absent"


def test_published_gauges_are_table_2():
    lines = (ROOT / "config" / "gauges.csv").read_text().splitlines()[1:]
    assert len(lines) == 12
    elevations = [float(line.split(",")[-1]) for line in lines]
    assert round(sum(elevations) / 12) == 3186, "T2: mean elevation"
    assert all(re.match(r"56\d{3}099999,", line) for line in lines)


def test_a_month_without_composites_is_impossible():
    for variable in ("ndvi", "lst", "et", "albedo"):
        calendar = _calendar.calendar(variable, "overlap", 8)
        for month in ("2009-01", "2012-02", "2018-12"):
            assert _calendar.composites(month, **calendar)
    assert date(2011, 12, 19) in _calendar.composites(
        "2012-01", every=16, restart=False, assign="overlap", least=1
    ), "the last 16-day composite of a year runs into January"


def test_layers_of_the_user_have_defaults_and_names_that_are_new():
    layers = {"radar": {"path": "radar/{month}.tif"}}
    found = _config.checked(SMALL | {"predictors": ["LST", "radar"], "layers": layers}, SCHEMA)
    assert found["layers"]["radar"]["resampling"] == "bilinear"
    assert found["layers"]["radar"]["unit"] == "1"
    with pytest.raises(_config.ConfigError, match="found radar. Give it a path under `layers`"):
        _config.checked(SMALL | {"predictors": ["LST", "radar"]}, SCHEMA)
    with pytest.raises(_config.ConfigError, match="layers: expected names that are new, found LST"):
        _config.checked(SMALL | {"layers": {"LST": {"path": "x.tif"}}}, SCHEMA)


# Habits of the ecosystem ----------------------------------------------------------------------


def test_the_image_has_the_python_and_the_lock_of_the_environments():
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    assert f"FROM python:{from_lock.PYTHON}-slim" in lines
    assert any("--require-hashes --no-deps -r requirements.txt" in line for line in lines)
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert {"results", "resources", ".git"} <= set(ignored)


def test_citation_and_catalogue_are_readable():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "title", "message", "authors", "license"} <= set(citation)
    assert citation["references"][0]["doi"] == "10.3390/rs15061531"
    catalogue = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text())
    assert catalogue["usage"]["software-stack-deployment"]["conda"] is True


@pytest.mark.parametrize("name", ["slurm", "cluster-generic"])
def test_a_profile_for_a_cluster_repeats_the_default_and_names_rules_that_exist(name):
    default, profile = (
        yaml.safe_load((ROOT / "profiles" / folder / "config.v8+.yaml").read_text())
        for folder in ("default", name)
    )
    assert {key: profile[key] for key in default if key not in ("cores", "resources")} == {
        key: default[key] for key in default if key not in ("cores", "resources")
    }
    assert default["resources"][0] in profile["resources"]
    rules = set(parsed_rules()) | set(parsed_rules("config/cookfarm.yaml"))
    assert set(profile.get("groups", {})) <= rules
