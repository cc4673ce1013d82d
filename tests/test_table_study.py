"""A ready table and a raster instead of archives: real soil moisture through the same code."""

import json

import numpy as np
import pandas as pd
import pytest
import rasterio

from conftest import ROOT, parsed_rules, real, snakemake

QUICK = """
model:
  folds: 5
  search: {n_estimators: [20], max_features: [0.333], min_samples_leaf: [1, 20]}
  importance_repeats: 2
  importance_drop_trees: 10
"""


def test_the_cook_farm_runs_from_its_table_and_raster(tmp_path):
    """Real soil moisture: random folds claim what places left out do not confirm."""
    real("cookfarm/cookfarm.rda")
    (tmp_path / "cookfarm").symlink_to(real("cookfarm"))
    quick = tmp_path / "quick.yaml"
    quick.write_text(QUICK)
    snakemake(tmp_path, config=[ROOT / "config" / "cookfarm.yaml", quick])
    bars = pd.read_csv(tmp_path / "results/model/bars.csv")
    pooled = scores(bars[bars["model"] == "paper"])
    assert pooled.loc[("random_cv", "R2"), "value"] == pytest.approx(0.96, abs=0.02)
    left_out = pooled.loc[("leave_location_out", "R2")]
    assert left_out["low"] < 0.18 < left_out["high"], "near the published 0.18"
    assert left_out["value"] < 0.5
    own = scores(pd.read_csv(tmp_path / "results/model/metrics.csv"))["value"]
    assert own["random_cv", "R2"] > own["leave_location_out", "R2"] + 0.3
    with rasterio.open(tmp_path / "results/maps/monthly/2012-03-25.tif") as source:
        found = source.read(1)
    assert found.shape == (58, 101) and np.isfinite(found).sum() == 3865
    assert 0.1 < np.nanmin(found) < np.nanmax(found) < 0.6
    page = (tmp_path / "results/report/index.html").read_text()
    assert "Cook Agronomy Farm" in page and "imulated" not in page
    samples = pd.read_parquet(tmp_path / "results/features/samples.parquet")
    assert set(samples["source"]) == {"table"}
    assert set(bars["model"]) == {"look-up", "month only", "white noise", "paper"}
    sites = pd.read_csv(tmp_path / "results/model/sites.csv")
    assert sites["site"].nunique() == 42 + 1 and set(sites["model"]) == {"forest"}
    correction = json.loads((tmp_path / "results/model/correction.json").read_text())
    assert correction["conserve"] == correction["added_error"] == 0, "no product to lean on"


def test_a_ready_table_needs_no_archive_and_has_no_truth():
    """Neither a simulated archive nor one of files: the rules are the same, and few."""
    rules = parsed_rules("config/cookfarm.yaml", config={"archive": "files"})
    assert set(rules) == set(parsed_rules("config/cookfarm.yaml"))
    lacking = {"score_truth", "collocate_products", "sample_products", "define_grid", "list_inputs"}
    assert not lacking & set(rules) and {"read_table", "estimate_error"} <= set(rules)


def scores(table):
    """Return the pooled scores by protocol and metric."""
    return table[table["subset"] == "all"].set_index(["protocol", "metric"])
