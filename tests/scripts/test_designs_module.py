"""The validation designs, by hand and as laws that hold for any table."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from _designs import LEFT_OUT, designs


def by_hand(**changed):
    """Two places, a and b, each with a training row (0, 2) and a test row (1, 3)."""
    columns = {
        "split": ["train", "test", "train", "test"],
        "random_cv": [0, 0, 1, 1],
        "leave_location_out": [0, 0, 1, 1],
        "knndm": [1, 1, 0, 0],
        "group": ["a", "a", "b", "b"],
    }
    return pd.DataFrame(columns | changed)


def rows_of(table):
    return sorted((p, *(np.flatnonzero(m).tolist() for m in sides)) for p, *sides in designs(table))


def test_what_each_design_learns_from_and_judges():
    assert rows_of(by_hand()) == [
        ("knndm", [0], [3]),
        ("knndm", [2], [1]),
        ("leave_location_out", [0, 1], [2, 3]),
        ("leave_location_out", [2, 3], [0, 1]),
        ("leave_location_time_out", [0], [3]),
        ("leave_location_time_out", [2], [1]),
        ("random_cv", [0, 1], [2, 3]),
        ("random_cv", [2, 3], [0, 1]),
        ("temporal", [0, 2], [1, 3]),
        ("train", [0, 2], [0, 2]),
    ]


def test_a_fit_without_rows_to_learn_or_to_judge_is_left_out():
    """Place b has no test row: its folds of test years have nothing to judge."""
    table = by_hand(split=["train", "test", "train", "train"])
    found = rows_of(table)
    assert ("leave_location_time_out", [2, 3], [1]) in found
    assert ("knndm", [2, 3], [1]) in found
    assert [p for p, *_ in found].count("leave_location_time_out") == 1
    assert [p for p, *_ in found].count("knndm") == 1
    one = by_hand(group=["a"] * 4, leave_location_out=[0] * 4, knndm=[0] * 4, random_cv=[0] * 4)
    assert [p for p, *_ in rows_of(one)] == ["temporal", "train"]


@pytest.mark.parametrize("column", ["leave_location_out", "knndm"])
def test_a_place_on_both_sides_is_never_let_through(column):
    table = by_hand(**{column: [0, 1, 2, 2]})
    with pytest.raises(AssertionError, match=f"^{column}.*: places on both sides: .'a'.$"):
        designs(table)


def test_folds_that_share_a_place_between_years_alone_are_refused():
    """Random folds of rows, taken for folds of places, are found in the test years too."""
    table = by_hand(leave_location_out=[0, 1, 1, 1], split=["train", "test", "train", "train"])
    with pytest.raises(AssertionError, match="places on both sides"):
        designs(table)


@given(
    st.lists(st.tuples(st.integers(0, 9), st.booleans(), st.integers(0, 2)), min_size=1),
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=10, max_size=10),
)
def test_laws(rows, folds):
    table = pd.DataFrame(
        [(f"g{g}", "test" if test else "train", fold, *folds[g]) for g, test, fold in rows],
        columns=["group", "split", "random_cv", "leave_location_out", "knndm"],
    )
    judged = {}
    for protocol, learn, judge in designs(table):
        assert learn.any() and judge.any()
        assert protocol == "train" or not (learn & judge).any()
        if protocol in LEFT_OUT:
            assert not set(table["group"][learn]) & set(table["group"][judge])
        if protocol in ("temporal", "leave_location_time_out", "knndm"):
            assert set(table["split"][learn]) == {"train"}
            assert set(table["split"][judge]) == {"test"}
        judged[protocol] = judged.get(protocol, 0) + judge.astype(int)
    assert all(count.max() == 1 for count in judged.values())
