"""Rasters are found by band and month."""

import pytest

import small_study
from _log import UserError
from _predictors import PAPER as PREDICTORS
from _raster import Grid, write
from _samples import layers


@pytest.fixture
def study(tmp_path):
    return small_study.on_disk(tmp_path, [("A", 33.0, 102.0)])


def test_every_month_has_every_predictor(study):
    found = layers(study["rasters"][::-1], PREDICTORS, small_study.MONTHS, study["grid"])
    assert list(found) == small_study.MONTHS
    assert set(found["2010-07"]) == set(PREDICTORS)
    assert found["2010-07"]["NDVI"].endswith("ndvi/2010-07.tif")
    assert found["2010-07"]["clay"].endswith("static.tif")


def test_a_missing_predictor_is_named(study):
    rasters = [path for path in study["rasters"] if not path.endswith("lst/2010-07.tif")]
    with pytest.raises(UserError, match=r"2010-07: .* found none with a band LST among 12 rasters"):
        layers(rasters, PREDICTORS, small_study.MONTHS, study["grid"])


def test_a_raster_on_other_cells_is_named(study, tmp_path):
    grid = small_study.GRID
    other = Grid(grid.crs, grid.transform.translation(1, 0) * grid.transform, *grid.shape[::-1])
    path = study["rasters"][3]
    write(path, other, {"LST": small_study.area().astype(float)}, {"LST": "degC"})
    with pytest.raises(UserError, match=f"{path}: expected the cells of {study['grid']}"):
        layers(study["rasters"], PREDICTORS, small_study.MONTHS, study["grid"])
