import pandas as pd

from _sites import MOST, absent, months_of, pick, scores_of

COUNTS = {"NST01": 40, "NST03": 12, "NST07": 11}


def test_months_are_those_of_the_forest_and_the_mean_is_no_site():
    rows = [
        ("A", "all years", "forest", "RMSE", 7),
        ("A", "all years", "SMCI, nearest", "RMSE", 8),
        ("A", "test years", "forest", "RMSE", 2),
        ("A", "all years", "forest", "R", 9),
        ("mean of sites", "all years", "forest", "RMSE", 1),
    ]
    scores = pd.DataFrame(rows, columns=["site", "way", "model", "metric", "n"])
    assert months_of(scores) == {"A": 7}
    assert months_of(scores[:0]) == {}


def test_wanted_sites_with_enough_months_are_drawn_in_the_order_of_the_config():
    assert pick(COUNTS, ["NST07", "NST03", "X", "NST01"], 12) == (
        ["NST03", "NST01"],
        {"NST07": 11, "X": 0},
    )


def test_ismn_writes_the_same_site_with_an_underscore():
    assert pick({"NST_01": 40}, ["NST01"], 12) == (["NST_01"], {})
    assert pick({"NST01": 40}, ["NST_01"], 12) == (["NST01"], {})


def test_another_region_gets_its_own_sites_those_with_the_most_months_first():
    counts = {f"S{n:02d}": 20 + n for n in range(14)}
    for wanted in ([], ["NST01"]):
        drawn, left = pick(counts, wanted, 12)
        assert drawn == [f"S{n:02d}" for n in range(13, 1, -1)] and len(drawn) == MOST
        assert left == {"S01": 21, "S00": 20}
    assert pick({}, ["NST01"], 12) == ([], {})


def test_where_none_has_enough_those_with_any_are_drawn():
    assert pick(COUNTS, ["NST07", "X"], 50) == (["NST07"], {"X": 0})


def test_sites_that_are_not_drawn_are_named_with_their_months():
    assert absent({}) == ""
    assert absent({"A": 7, "B": 0}) == "Not drawn (number of values): A (7), B (none)"
    many = absent({f"S{n}": n for n in range(1, 9)})
    assert many.endswith("S4 (4), S5 (5) and 3 more")


def test_scores_of_one_line_are_those_of_its_site_way_and_model():
    rows = [
        (site, way, model, "R", value, 5)
        for value, (site, way, model) in enumerate(
            [("A", "x", "forest"), ("B", "x", "forest"), ("A", "y", "forest"), ("A", "x", "SMCI")]
        )
    ]
    scores = pd.DataFrame(rows, columns=["site", "way", "model", "metric", "value", "n"])
    assert scores_of(scores, "A", "x", "forest")["value"].to_dict() == {"R": 0}
    assert scores_of(scores, "A", "x", "SMCI").loc["R"].tolist() == [3, 5]
    assert scores_of(scores, "C", "x", "SMCI").empty
