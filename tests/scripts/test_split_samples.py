import logging

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from _log import UserError
from split_samples import held_out, main, measured, random_folds, split

MONTHS = ("2015-08", "2016-05", "2017-10")


def samples(xy=20, months=MONTHS):
    """Return samples at places: positions (n, 2) in m, or how many on a line 1 km apart."""
    xy = np.array([[1000.0 * p, 0] for p in range(xy)]) if isinstance(xy, int) else xy
    rows = [(f"g{p:02d}", *where, m) for p, where in enumerate(xy) for m in months]
    table = pd.DataFrame(rows, columns=["group", "x", "y", "month"])
    return table.assign(sample=range(len(table)))


def cells(far=20_000, step=500):
    """Return a lattice of points over a square."""
    line = np.arange(0, far, step) + step / 2
    return np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)


def crowded(seed=2):
    """Return 30 places in six crowds of a large area."""
    rng = np.random.default_rng(seed)
    centres = rng.random((6, 2)) * 20_000
    return np.repeat(centres, 5, axis=0) + rng.normal(size=(30, 2)) * 50


def run(folder, table, points, number=10, seed=1, test=("2016", "2017")):
    table.to_parquet(folder / "samples.parquet")
    pd.DataFrame(points, columns=["x", "y"]).to_parquet(folder / "area.parquet")
    names = dict(folds="folds.parquet", designs="designs.csv", distances="distances.csv")
    main(
        samples=folder / "samples.parquet",
        area=folder / "area.parquet",
        **{name: folder / file for name, file in names.items()},
        test=list(test),
        number=number,
        seed=seed,
    )
    return (
        pd.read_parquet(folder / "folds.parquet"),
        pd.read_csv(folder / "designs.csv").set_index("design"),
        pd.read_csv(folder / "distances.csv"),
    )


def test_years_and_beginnings_of_dates_are_held_out():
    months = pd.Series(["2015-10", "2016-05", "2012-03-25", "2012-09-01"])
    assert held_out(months, ["2016"]).tolist() == [False, True, False, False]
    assert held_out(months, ["2012-09"]).tolist() == [False, False, False, True]


@given(st.integers(1, 300), st.integers(2, 12), st.integers(0, 99))
def test_random_folds_differ_by_one_sample_at_most(n, folds, seed):
    sizes = np.bincount(random_folds(n, folds, np.random.default_rng(seed)), minlength=folds)
    assert sizes.sum() == n and np.ptp(sizes) <= 1


@settings(max_examples=40)
@given(st.lists(st.integers(0, 40), min_size=5, max_size=120), st.integers(2, 12))
def test_no_place_is_in_two_folds_and_folds_hold_equally_many_places(places, folds):
    places = np.array([0, 1, *places])
    table = pd.DataFrame({"group": [f"g{p}" for p in places], "x": places * 500.0, "y": 0.0})
    table = table.assign(
        sample=range(len(table)), month=["2016-05"] + ["2015-05"] * (len(table) - 1)
    )
    found, by_place, _ = split(table, cells(step=5000), ["2016"], folds, 1)
    k = min(folds, len(by_place))
    for design in ("leave_location_out", "knndm"):
        assert (found[design].groupby(table["group"]).nunique() == 1).all()
        assert set(found[design]) == set(range(k)), "every fold holds a place"
    assert np.ptp(np.bincount(by_place["leave_location_out"], minlength=k)) <= 1


def test_folds_of_before_stay():
    """Rows first, then groups in the order of their names, from one stream: published numbers."""
    table = samples(20).sample(frac=1, random_state=5, ignore_index=True)
    found = split(table, cells(), ["2016"], 10, 3)[0]
    rng = np.random.default_rng(3)
    assert found["random_cv"].tolist() == rng.permutation(np.arange(60) % 10).tolist()
    fold = dict(zip(np.unique(table["group"]), rng.permutation(np.arange(20) % 10), strict=True))
    assert found["leave_location_out"].tolist() == table["group"].map(fold).tolist()


def test_split_keeps_every_sample_once_and_is_repeatable():
    table = samples()
    first, again = (split(table, cells(), ["2016", "2017"], 10, 3)[0] for _ in range(2))
    pd.testing.assert_frame_equal(first, again)
    assert first["sample"].tolist() == table["sample"].tolist()
    assert (first["split"] == "test").sum() == 40
    assert list(first) == ["sample", "split", "random_cv", "leave_location_out", "knndm"]


def test_sites_of_one_group_are_left_out_together():
    table = samples().assign(site=[f"s{k}" for k in range(60)])
    found = split(table, cells(), ["2016", "2017"], 10, 3)[0]
    for design in ("leave_location_out", "knndm"):
        assert (found[design].groupby(table["group"]).nunique() == 1).all()


def test_a_place_lies_at_the_mean_of_its_samples():
    table = samples(3).assign(x=[0, 3, 6, 10, 10, 10, 20, 20, 20], y=[1, 1, 4, 0, 0, 0, 5, 5, 5])
    by_place = split(table, cells(), ["2016"], 3, 1)[1]
    assert by_place[["x", "y"]].to_numpy().tolist() == [[3, 2], [10, 0], [20, 5]]


def test_crowded_places_are_left_out_together(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    table = samples(crowded())
    folds, designs, _ = run(tmp_path, table, cells(), number=5)
    assert designs["how"].to_dict() == {
        "leave_location_out": "random folds of places",
        "knndm": "clusters",
    }
    neighbours = folds["knndm"].groupby(table["group"].str[1:].astype(int) // 5).nunique()
    assert neighbours.sum() < 10, "crowds stay together, but for a few places"
    assert designs.loc["knndm", "W"] < designs.loc["leave_location_out", "W"] / 2
    assert designs.loc["knndm", "clusters"] >= 5 and (designs["ks_p"] < 0.05).all()
    w = designs["W"].round(1)
    assert f"W {w['knndm']} m, of random folds of places {w['leave_location_out']} m" in caplog.text
    assert not [record for record in caplog.records if record.levelname == "WARNING"]


def test_spread_places_share_their_random_folds(tmp_path):
    table = samples(cells(step=4000) + 150)
    folds, designs, _ = run(tmp_path, table, cells())
    assert folds["knndm"].tolist() == folds["leave_location_out"].tolist()
    assert designs["how"].tolist() == ["random folds of places"] * 2
    assert designs["clusters"].tolist() == [0, 0] and (designs["ks_p"] >= 0.05).all()


def test_designs_and_distances_by_hand(tmp_path):
    """Places at 0, 1, 3, 7 km, each its own fold; the map at 5 km and 8 km."""
    table = samples(np.array([[0.0, 0], [1000, 0], [3000, 0], [7000, 0]]))
    points = np.array([[5000.0, 0], [8000, 0]])
    _, designs, distances = run(tmp_path, table, points, number=4)
    row = designs.loc["leave_location_out"]
    assert (row["folds"], row["places"], row["largest_fold"]) == (4, 4, 0.25)
    # Gij 1, 2 km; Gj* = Gj 1, 1, 2, 4 km: sorted 1 1 2 2 against 1 1 2 4.
    assert (row["mean_Gij"], row["mean_Gj"], row["mean_Gj_star"]) == (1500, 2000, 2000)
    assert row["W"] == 500
    at = distances.set_index(["design", "quantile"])["distance"]
    assert distances["design"].unique().tolist() == [
        *("prediction", "training", "leave_location_out", "knndm")
    ]
    assert (distances.groupby("design").size() == 101).all()
    assert [at["prediction", q] for q in (0, 0.25, 0.5, 1)] == [1000, 1250, 1500, 2000]
    assert [at["training", q] for q in (0, 0.5, 1)] == [1000, 1500, 4000]


def test_distances_agree_with_designs():
    table = samples(crowded(4))
    _, by_place, found = split(table, cells(), ["2016"], 5, 1)
    designs, distances = measured(by_place, cells(), found)
    assert designs["W"].tolist() == pytest.approx([found.w_plain, found.w])
    middle = distances.groupby("design")["distance"].mean()
    for design, column in (("prediction", "mean_Gij"), ("training", "mean_Gj")):
        assert middle[design] == pytest.approx(designs[column][0], rel=0.1)


def test_the_area_that_no_design_reaches_is_told(tmp_path, caplog):
    """Two of four cells are 9 km from every place; left out, a place is 1 km from the next."""
    caplog.set_level(logging.INFO)
    points = np.array([[500.0, 0], [600, 0], [14_000, 0], [-9000, 0]])
    run(tmp_path, samples(6), points, number=6)
    assert "50.0 % of the study area are farther from every place" in caplog.text


@pytest.mark.parametrize("test", [["2020"], ["20"]])
def test_an_empty_side_names_the_period_and_the_key(test):
    with pytest.raises(UserError, match=r"2015-08 to 2017-10.*Change split\.test"):
        split(samples(), cells(), test, 10, 1)


def test_one_place_is_refused():
    with pytest.raises(UserError, match=r"at least 2 places, found 1.*Add stations or SMCI cells"):
        split(samples(1), cells(), ["2016"], 10, 1)


def test_fewer_places_than_folds_make_fewer_folds_and_the_log_tells(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    folds, designs, _ = run(tmp_path, samples(4), cells())
    assert designs["folds"].tolist() == [4, 4]
    assert sorted(folds["leave_location_out"].unique()) == [0, 1, 2, 3]
    assert sorted(folds["random_cv"].unique()) == list(range(10)), "rows are enough for ten"
    warned = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    assert warned == ["4 places are fewer than the 10 folds of model.folds: 4 folds"]
    assert "one place in each fold: every place is left out alone" in caplog.text
    assert "10 train" not in caplog.text and "; 4 folds" in caplog.text


def test_one_place_in_each_fold_is_told_and_no_warning(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    folds, _, _ = run(tmp_path, samples(10), cells())
    assert (folds.groupby("knndm").size() == 3).all()
    assert "one place in each fold" in caplog.text
    assert not [r for r in caplog.records if r.levelname == "WARNING"]


def test_places_at_one_point_keep_random_folds_with_warnings(tmp_path, caplog):
    folds, designs, _ = run(tmp_path, samples(np.full((12, 2), 9000.0)), cells(), number=4)
    assert folds["knndm"].tolist() == folds["leave_location_out"].tolist()
    assert designs["mean_Gj"].tolist() == [0, 0]
    assert "12 places lie at only 1 points" in caplog.text
    assert "all places lie at one point: W" in caplog.text
    assert "the random folds are kept" in caplog.text


def test_coordinates_of_another_system_are_warned_of(tmp_path, caplog):
    degrees = np.random.default_rng(1).random((12, 2)) + [102, 33]
    run(tmp_path, samples(degrees), cells() + [100_000, 3_500_000], number=3)
    assert "are x and y of the samples in the CRS of the rasters?" in caplog.text


def test_a_place_without_coordinates_is_named():
    table = samples(5)
    table.loc[table["group"] == "g03", "y"] = np.nan
    with pytest.raises(UserError, match=r"found none at 1 of 5, the first is g03\. Complete"):
        split(table, cells(), ["2016"], 5, 1)


@pytest.mark.parametrize(
    ("area", "said"),
    [
        (None, r"area\.parquet: expected a sample of the study area, found no file"),
        (pd.DataFrame({"x": [], "y": []}), r"area\.parquet: expected cells .*, found none"),
        (
            pd.DataFrame({"x": [1], "month": [2]}),
            r"expected the columns x, y, found x, month: no y",
        ),
    ],
)
def test_an_area_sample_that_cannot_serve_is_refused(tmp_path, area, said):
    samples().to_parquet(tmp_path / "samples.parquet")
    if area is not None:
        area.to_parquet(tmp_path / "area.parquet")
    made = [tmp_path / name for name in ("folds.parquet", "designs.csv", "distances.csv")]
    with pytest.raises(UserError, match=said + r".*rule sample_area"):
        main(tmp_path / "samples.parquet", tmp_path / "area.parquet", *made, ["2016"], 10, 1)
    assert not any(path.exists() for path in made)


def test_main_writes_the_same_bytes_twice(tmp_path):
    files = ("folds.parquet", "designs.csv", "distances.csv")
    bytes_of = []
    for _ in range(2):
        run(tmp_path, samples(crowded()), cells(), number=5)
        bytes_of.append([(tmp_path / name).read_bytes() for name in files])
    assert bytes_of[0] == bytes_of[1]
