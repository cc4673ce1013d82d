import logging
import statistics

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestRegressor
from sklearn.inspection import permutation_importance

import rank_predictors as rank
from _log import UserError
from split_samples import split

OPTIONS = dict(n_estimators=12, max_depth=None, max_features=1.0, min_samples_leaf=2)


class Formula:
    """A model that is its formula: what permuting does to it is known."""

    def __init__(self, predict):
        self.predict = predict

    def set_params(self, n_jobs):
        assert n_jobs == 1


def world(seed=0, places=50, each=4, level=1.0):
    """`each` months a year for four years; x1 and x2 change freely, a level stays with the place.

    target = x1 + level of the place (standard deviation `level`) + 0.1 noise; key is a random
    number of the place that says nothing about its level.
    """
    rng = np.random.default_rng(seed)
    months = [f"{year}-0{month}" for year in range(2014, 2018) for month in range(4, 4 + each)]
    table = pd.DataFrame(
        [(f"g{place:03d}", month) for place in range(places) for month in months],
        columns=["group", "month"],
    )
    place = np.repeat(np.arange(places), len(months))
    table["key"] = rng.normal(size=places)[place]
    table["x1"], table["x2"] = rng.normal(size=(2, len(table)))
    own, rest = level * rng.normal(size=places)[place], 0.1 * rng.normal(size=len(table))
    table["target"] = table["x1"] + own + rest
    return table.assign(sample=range(len(table)))


def folds_of(table, number):
    """Return the folds of the samples with the year 2017 held out."""
    placed = table.assign(x=table["group"].str[1:].astype(float), y=0.0)
    return split(placed, np.zeros((4, 2)), ["2017"], number, 1)[0]


def folder_of(path, table, folds=None):
    """Write what `main` reads: five folds of places, the year 2017 held out."""
    table.to_parquet(path / "samples.parquet")
    folds = folds_of(table, 5) if folds is None else folds
    folds.to_parquet(path / "folds.parquet")
    pd.DataFrame([{"rank": 1, **OPTIONS}]).to_csv(path / "search.csv", index=False)
    return path


def run(path, predictors, groups=(), repeats=3, threads=1, trees=12):
    rank.main(
        samples=path / "samples.parquet",
        folds=path / "folds.parquet",
        search=path / "search.csv",
        importance=path / f"importance{threads}.csv",
        predictors=predictors,
        groups=groups,
        repeats=repeats,
        drop_folds=2,
        drop_trees=trees,
        seed=1,
        threads=threads,
    )
    return pd.read_csv(path / f"importance{threads}.csv")


def mean_of(table, kind="single"):
    """Return mean importance by protocol (rows) and predictor."""
    return table[table["kind"] == kind].pivot(index="protocol", columns="predictor", values="mean")


@pytest.fixture
def heard(caplog):
    caplog.set_level(logging.INFO, logger="soil-moisture")
    return caplog


def test_sums_of_squares_by_hand():
    """Rows (0, 5), (1, 6), (2, 8), truth = first column; order 1 2 0 errs by 1, 1, -2."""
    x = np.array([[0, 5], [1, 6], [2, 8]], "float32")
    orders = np.array([[0, 1, 2], [1, 2, 0], [1, 0, 2]])
    model = Formula(lambda rows: rows[:, 0])
    rows, before, after = rank.squares(model, x, np.array([0.0, 1.0, 2.5]), [[0], [1]], orders)
    assert (rows, before) == (3, 0.25)
    assert after.tolist() == [[0.25, 1 + 1 + 2.5**2, 1 + 1 + 0.25], [0.25] * 3]


def test_rows_of_a_block_move_together():
    """The difference of a column and its copy is 0 as long as both are permuted alike."""
    x = np.repeat(np.random.default_rng(0).normal(size=(50, 1)), 2, axis=1)
    orders = rank.orders_of(50, 4, [0, 0])
    model = Formula(lambda rows: rows[:, 0] - rows[:, 1])
    _, before, after = rank.squares(model, x, np.zeros(50), [[0], [1], [0, 1]], orders)
    assert before == 0 and (after[:2] > 10).all()
    assert after[2].tolist() == [0] * 4


def test_the_increase_has_the_known_size():
    """Permuting a column of effect b and variance 1 adds 2 b^2 to the MSE of a perfect model."""
    x = np.random.default_rng(3).normal(size=(20_000, 2))
    model = Formula(lambda rows: 3 * rows[:, 0] + rows[:, 1])
    fits = [("temporal", None, None)]
    part = rank.squares(model, x, model.predict(x), [[0], [1]], rank.orders_of(20_000, 5, [1, 1]))
    found = rank.pooled(fits, [part])["temporal"].mean(axis=1)
    assert found == pytest.approx(np.sqrt(2) * np.array([3, 1]), rel=0.02)


def test_the_same_as_scikit_learn_with_the_same_permutations():
    """The orders are read off what scikit-learn hands to the model."""
    rng = np.random.default_rng(4)
    x = rng.normal(size=(300, 3)).astype("float32")
    y = 2 * x[:, 0] + x[:, 1] ** 2 + 0.1 * rng.normal(size=300)
    seen = []

    class Recording(RandomForestRegressor):
        def predict(self, rows):
            seen.append(rows.copy())
            return super().predict(rows)

    model = Recording(10, random_state=0).fit(x[:200], y[:200])
    expected = permutation_importance(
        model, x[200:], y[200:], scoring="neg_root_mean_squared_error", n_repeats=4, random_state=5
    ).importances
    permuted, fits = seen[1:], [("temporal", None, None)]
    assert len(permuted) == 12
    for column in range(3):
        orders = np.array(
            [
                [np.flatnonzero(x[200:, column] == value).item() for value in rows[:, column]]
                for rows in permuted[4 * column : 4 * column + 4]
            ]
        )
        part = rank.squares(model, x[200:], y[200:], [[column]], orders)
        found = rank.pooled(fits, [part])["temporal"]
        assert found[0] == pytest.approx(expected[column], abs=1e-12)


def test_orders_are_permutations_that_the_seed_decides():
    found = rank.orders_of(40, 6, [1, 2])
    assert (np.sort(found, axis=1) == np.arange(40)).all()
    assert len({tuple(order) for order in found}) == 6
    assert (found == rank.orders_of(40, 6, [1, 2])).all()
    assert (found != rank.orders_of(40, 6, [1, 3])).any()


def test_errors_are_pooled_before_the_root():
    """1 and 3 rows, no error before, squares 0 and 4 after: sqrt(4 / 4), not a mean of roots."""
    fits = [(name, None, None) for name in ("temporal", "elsewhere", "elsewhere")]
    parts = [
        (2, 2.0, np.array([[8.0, 18.0]])),
        (1, 0.0, np.array([[0.0, 1.0]])),
        (3, 0.0, np.array([[4.0, 15.0]])),
    ]
    found = rank.pooled(fits, parts)
    assert found["temporal"].tolist() == [[1.0, 2.0]]
    assert found["elsewhere"].tolist() == [[1.0, 2.0]]


def test_what_each_fit_learns_from_by_hand(heard):
    """Places 0 and 1 have a training and a test row each, place 2 has a training row alone."""
    parts = np.array(["train", "test", "train", "test", "train"])
    fold = np.array([0, 0, 1, 1, 2])
    found = [
        (p, *(np.flatnonzero(m).tolist() for m in masks)) for p, *masks in rank.designs(parts, fold)
    ]
    assert found == [
        ("temporal", [0, 2, 4], [1, 3]),
        ("leave_location_time_out", [2, 4], [1]),
        ("leave_location_time_out", [0, 4], [3]),
    ]
    assert "1 of 3 folds of places left out: no rows in the test years" in heard.text


def test_white_noise_is_one_number_a_place():
    places = pd.Series(np.random.default_rng(0).permutation(np.repeat(np.arange(4000), 3)))
    found = pd.Series(rank.noise_of(places.map("g{}".format), 7)).groupby(places.to_numpy())
    assert found.nunique().eq(1).all()
    drawn = found.first()
    assert drawn.nunique() > 3990
    assert abs(drawn.mean()) < 0.05 and abs(drawn.std() - 1) < 0.05
    other = rank.noise_of(places.map("g{}".format), 8)
    assert abs(np.corrcoef(drawn[places], other)[0, 1]) < 0.05


def test_groups_keep_the_predictors_there_are():
    groups = [["sand", "AWC"], ["slope", "aspect"], ["slope", "northness"], ["NDVI", "ET"]]
    found = rank.blocks_of(["AWC", "slope", "sand", "northness"], groups)
    assert found == {
        "AWC": [0],
        "slope": [1],
        "sand": [2],
        "northness": [3],
        "white noise": [4],
        "sand+AWC": [2, 0],
        "slope+northness": [1, 3],
    }


def test_a_predictor_that_matters_and_one_that_does_not(tmp_path):
    """In a world of x1 alone its loss costs its SD, to permute it sqrt(2) of that.

    Both less the error that the forest makes anyway, hence the width.
    """
    table = world(level=0)
    scale = table.loc[table["month"] >= "2017", "x1"].std()
    found = run(folder_of(tmp_path, table), ["x1", "x2"])
    single, drop = mean_of(found), mean_of(found, "drop")
    for protocol in ("temporal", "leave_location_time_out"):
        assert single.loc[protocol, "x1"] == pytest.approx(np.sqrt(2) * scale, rel=0.2)
        assert drop.loc[protocol, "x1"] == pytest.approx(scale, rel=0.15)
        for kind in (single, drop):
            assert abs(kind.loc[protocol, "x2"]) < 0.02


def test_a_name_of_the_place_matters_only_where_the_place_was_seen(tmp_path):
    """The key and white noise both tell places apart, and neither says a thing of a new place."""
    columns = ["key", "white noise"]
    found = [
        mean_of(run(folder_of(tmp_path, world(seed, 250, 2, level=3)), ["x1", "key"]))
        for seed in range(3)
    ]
    seen, new = (
        np.mean([part.loc[protocol, columns] for part in found], axis=0)
        for protocol in ("temporal", "leave_location_time_out")
    )
    assert (seen > 0.2 * 3).all() and seen[0] == pytest.approx(seen[1], rel=0.2)
    assert (np.abs(new) < 0.15 * seen).all() and abs(new[0] - new[1]) < 0.1 * seen[0]


def test_a_copy_takes_half_of_the_importance_and_the_group_gives_it_back(tmp_path):
    table = world().assign(copy=lambda t: t["x1"])
    (tmp_path / "alone").mkdir()
    alone = mean_of(run(folder_of(tmp_path / "alone", table), ["x1", "key"])).loc["temporal", "x1"]
    table = folder_of(tmp_path, table)
    found = run(table, ["x1", "copy", "key"], [["x1", "copy"]])
    parts = mean_of(found).loc["temporal"]
    assert max(parts["x1"], parts["copy"]) < 0.75 * alone
    assert mean_of(found, "group").loc["temporal", "x1+copy"] == pytest.approx(alone, rel=0.1)
    assert mean_of(found, "drop").loc["temporal", "copy"] < 0.1 * alone, "the other one stays"


def test_dropping_is_the_difference_of_two_forests():
    table = world(places=20)
    x, y = table[["x1", "x2", "key"]].to_numpy("float32"), table["target"].to_numpy()
    year = table["month"].str[:4].to_numpy()
    fits = [("temporal", year < "2017", year == "2017")]
    found = rank.dropping(x, y, fits, [0, 2], OPTIONS, 1, 1)["temporal"]

    def error(columns):
        model = RandomForestRegressor(**OPTIONS, random_state=1)
        model.fit(x[year < "2017"][:, columns], y[year < "2017"])
        off = model.predict(x[year == "2017"][:, columns]) - y[year == "2017"]
        return np.sqrt((off**2).mean())

    whole = error([0, 1, 2])
    assert found == pytest.approx([error([1, 2]) - whole, error([0, 1]) - whole], abs=1e-12)


def test_refits_are_of_two_joined_folds_and_of_at_most_the_trees_asked(tmp_path, monkeypatch):
    fitted = []
    kept = rank.refitted

    def noted(x, y, learn, judge, dropped, options, seed):
        fitted.append((options["n_estimators"], int(judge.sum()), tuple(dropped)))
        return kept(x, y, learn, judge, dropped, options, seed)

    monkeypatch.setattr(rank, "refitted", noted)
    folder = folder_of(tmp_path, world(places=10))
    run(folder, ["x1"], trees=5), run(folder, ["x1"], trees=50)
    # 10 places in 5 folds of 2: joined to 3 and 2 folds, with 4 test months a place
    assert fitted == [
        (trees, rows, dropped)
        for trees in (5, 12)
        for rows in (40, 24, 16)
        for dropped in ((), (0,), (1,))
    ]


def test_the_table_holds_the_repeats_their_mean_and_the_line(tmp_path):
    found = run(folder_of(tmp_path, world(places=12)), ["x1", "x2", "key"], [["x1", "x2"]])
    repeats = ["repeat_1", "repeat_2", "repeat_3"]
    assert list(found) == ["predictor", "protocol", "kind", "mean", "sd", "noise", *repeats]
    counts = found.groupby(["protocol", "kind"]).size().unstack()
    assert counts.loc["temporal"].to_dict() == {"single": 4, "group": 1, "drop": 4}
    assert counts.loc["leave_location_time_out"].to_dict() == {"single": 4, "group": 1, "drop": 4}
    for row in found[found["kind"] != "drop"].itertuples():
        values = [getattr(row, name) for name in repeats]
        assert row.mean == pytest.approx(statistics.mean(values), abs=1e-8)
        assert row.sd == pytest.approx(statistics.stdev(values), abs=1e-8)
    drop = found[found["kind"] == "drop"]
    assert (drop["mean"] == drop["repeat_1"]).all()
    assert drop[["sd", "repeat_2", "repeat_3"]].isna().all(axis=None)
    for (protocol, kind), part in found.groupby(["protocol", "kind"]):
        own = found[
            (found["protocol"] == protocol)
            & (found["kind"] == ("drop" if kind == "drop" else "single"))
            & (found["predictor"] == "white noise")
        ]
        assert (part["noise"] == own["mean"].item()).all()
        assert part["mean"].is_monotonic_decreasing


def test_a_constant_predictor_has_no_importance_and_is_named(tmp_path, heard):
    table = world(places=12).assign(flat=4.0)
    found = run(folder_of(tmp_path, table), ["x1", "flat"], [["flat", "x1"]])
    assert (found.loc[found["predictor"] == "flat", ["mean", "repeat_1"]] == 0).all(axis=None)
    assert "constant in the training years, importance 0: flat" in heard.text
    assert "white noise raises the RMSE by" in heard.text and "of 2 predictors: x1" in heard.text


def test_one_repeat_has_no_spread(tmp_path):
    found = run(folder_of(tmp_path, world(places=12)), ["x1", "x2"], repeats=1)
    assert found["sd"].isna().all() and found["mean"].notna().all()


def test_folds_without_test_rows_are_skipped(tmp_path, heard):
    table = world(places=12)
    folds = folds_of(table, 4)
    lone = folds["leave_location_out"] == 2
    table = table[~lone | (folds["split"] == "train")]
    found = run(folder_of(tmp_path, table, folds[folds["sample"].isin(table["sample"])]), ["x1"])
    assert "1 of 4 folds of places left out" in heard.text
    assert found["mean"].notna().all()


def test_the_same_bytes_with_one_thread_and_two(tmp_path):
    folder = folder_of(tmp_path, world(places=15))
    for threads in (1, 2):
        run(folder, ["x1", "x2", "key"], [["x1", "x2"]], threads=threads)
    one, two = ((folder / f"importance{n}.csv").read_bytes() for n in (1, 2))
    assert one == two


def test_an_empty_predictor_and_a_lone_place_are_refused(tmp_path):
    table = world(places=12)
    with pytest.raises(UserError, match=r"expected values of every predictor, found none of x2\."):
        run(folder_of(tmp_path, table.assign(x2=np.nan)), ["x1", "x2"])
    folds = folds_of(table, 5)
    with pytest.raises(UserError, match=r"expected at least two places .*, found 1\. Add stations"):
        run(folder_of(tmp_path, table.assign(group="g"), folds), ["x1"])
