import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import _trust


def metrics(subsets):
    rows = [("temporal", subset, "R", n / 10, 5, 0.0, 1.0) for n, subset in enumerate(subsets)]
    return pd.DataFrame(rows, columns=["protocol", "subset", "metric", "value", "n", "low", "high"])


def test_a_score_is_found_by_design_metric_and_subset():
    table = metrics(["all", "smci"])
    assert _trust.score_of(table, "temporal", "R").value == 0.0
    assert _trust.score_of(table, "temporal", "R", "smci").value == 0.1
    assert _trust.score_of(table, "temporal", "RMSE") is None
    assert _trust.score_of(table, "knndm", "R") is None


@pytest.mark.parametrize(
    ("subsets", "expected"), [(["all", "insitu", "smci"], "smci"), (["all"], "all"), ([], "all")]
)
def test_claims_are_of_the_target_of_the_maps_where_there_are_several(subsets, expected):
    assert _trust.of_target(metrics(subsets)) == expected


def test_the_stated_error_is_that_of_the_map_and_not_of_the_product():
    table = pd.DataFrame(
        dict(
            quantity=["product from true soil moisture at 250 m", _trust.STATED],
            value=[0.05, 0.04],
            low=0.01,
            high=0.06,
            n=26,
        )
    )
    assert _trust.stated(table).value == 0.04
    assert _trust.stated(table.iloc[:1]) is None


@given(
    st.lists(
        st.lists(st.floats(-0.5, 0.5), min_size=1, max_size=6),
        min_size=1,
        max_size=4,
    )
)
def test_months_are_pooled_as_if_their_cells_lay_in_one_table(months):
    target = pd.DataFrame(
        dict(
            month=[f"2016-0{n + 1}" for n in range(len(months))],
            cells=[len(errors) for errors in months],
        )
    )
    target["forest RMSE"] = [np.sqrt(np.mean(np.square(errors))) for errors in months]
    value, cells = _trust.in_every_cell(target, ["2016"])
    pooled = np.concatenate(months)
    assert cells == len(pooled)
    assert value == pytest.approx(np.sqrt(np.mean(pooled**2)), abs=1e-12)


def test_only_test_months_with_cells_are_pooled():
    target = pd.DataFrame(
        {
            "month": ["2015-07", "2016-07", "2016-08", "2017-07"],
            "cells": [100, 3, 1, 0],
            "forest RMSE": [9.0, 0.1, 0.3, np.nan],
        }
    )
    value, cells = _trust.in_every_cell(target, ["2016-0", "2017"])
    assert cells == 4
    assert value == pytest.approx(np.sqrt((3 * 0.01 + 0.09) / 4))
    value, cells = _trust.in_every_cell(target, ["2018"])
    assert np.isnan(value) and cells == 0


def test_coverage_is_of_the_shift_that_the_maps_use():
    table = pd.DataFrame(
        dict(
            applied=[False, True, True],
            protocol="leave_location_out",
            subset=["smci", "all", "smci"],
            coverage_calibrated=[0.5, 0.8, 0.9],
        )
    )
    assert _trust.held(table, "leave_location_out", "smci").coverage_calibrated == 0.9
    assert _trust.held(table, "temporal", "smci") is None


def test_a_quantity_without_a_value_is_not_described():
    table = pd.DataFrame(
        dict(quantity=["a", "a", "b"], subset=["insitu", "all", "all"], value=[1.0, 2.0, np.nan])
    )
    assert _trust.described(table, "a").value == 2.0
    assert _trust.described(table, "b") is None and _trust.described(table, "c") is None
