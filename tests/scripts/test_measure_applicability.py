import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from sklearn.isotonic import isotonic_regression

from _log import UserError
from measure_applicability import (
    JUDGED,
    PROTOCOLS,
    check_folds,
    error_curve,
    importance_of,
    judged,
    main,
    thinned,
)

PREDICTORS = ["LST", "clay", "pre"]
MONTHS = [f"{year}-{month:02d}" for year in (2014, 2015, 2016) for month in (5, 6, 7, 8)]


def ranks(protocols=PROTOCOLS, means=(3.0, 1.0, -0.5)):
    rows = [
        (name, protocol, mean * scale)
        for scale, protocol in enumerate(protocols, 1)
        for name, mean in zip(PREDICTORS, means, strict=True)
    ]
    return pd.DataFrame(rows, columns=["predictor", "protocol", "mean"]).assign(kind="single")


def study(folder, places=24, folds=4):
    """Places of their own clay, months of their own weather; the error grows with distance."""
    rng = np.random.default_rng(5)
    rows = [(f"g{p:02d}", m, p % folds) for p in range(places) for m in MONTHS]
    table = pd.DataFrame(rows, columns=["group", "month", "fold"])
    clay = rng.exponential(10, places)
    table = table.assign(
        sample=range(100, 100 + len(table)),
        LST=(15 + 3 * rng.normal(size=len(table))).astype("float32"),
        clay=np.repeat(clay, len(MONTHS)),
        pre=80 * rng.random(len(table)),
        target=0.3,
    )
    samples = table.drop(columns="fold")
    split = np.where(table["month"] < "2016", "train", "test")
    designs = table[["sample"]].assign(
        split=split, leave_location_out=table["fold"], random_cv=np.arange(len(table)) % folds
    )
    error = 0.01 + 0.002 * np.abs(table["clay"] - np.median(clay))
    predictions = samples[["sample", "group", "month", "target"]].assign(
        protocol=JUDGED, prediction=0.3 + error * rng.choice([-1, 1], len(table))
    )
    other = predictions.assign(protocol="temporal", prediction=9.0)
    samples.to_parquet(folder / "samples.parquet")
    designs.to_parquet(folder / "folds.parquet")
    pd.concat([other, predictions]).to_parquet(folder / "predictions.parquet")
    ranks().to_csv(folder / "importance.csv", index=False)
    return samples.merge(designs, on="sample")


def run(folder, **changes):
    given = dict(
        samples=folder / "samples.parquet",
        folds=folder / "folds.parquet",
        importance=folder / "importance.csv",
        predictions=folder / "predictions.parquet",
        applicability_rows=folder / "applicability.parquet",
        parameters=folder / "applicability.json",
        error_by_di=folder / "error_by_di.csv",
        predictors=PREDICTORS,
        design="leave_location_out",
        rows=3000,
        seed=1,
    )
    main(**(given | changes))
    described = json.loads((folder / "applicability.json").read_text())
    rows = pd.read_parquet(folder / "applicability.parquet")
    return rows, described, pd.read_csv(folder / "error_by_di.csv")


def test_what_is_written_is_the_plain_computation_on_the_training_years(tmp_path):
    table = study(tmp_path)
    rows, described, _ = run(tmp_path)
    train = table[table["split"] == "train"]
    values = train[PREDICTORS].astype("float64")
    weights = [3.0, 1.0, 0.0]
    space = ((values - values.mean()) / values.std() * weights).to_numpy()
    np.testing.assert_allclose(rows[PREDICTORS], space, rtol=1e-12, atol=1e-12)
    assert rows[PREDICTORS].dtypes.eq("float64").all()
    assert rows["sample"].tolist() == train["sample"].tolist()
    assert rows["fold"].tolist() == train["leave_location_out"].tolist()

    apart = cdist(space, space)
    dbar = apart[~np.eye(len(apart), dtype=bool)].mean()
    other = rows["fold"].to_numpy()[:, None] != rows["fold"].to_numpy()
    di = np.where(other, apart, np.inf).min(axis=1) / dbar
    low, high = np.quantile(di, [0.25, 0.75])
    limit = min(high + 1.5 * (high - low), di.max())
    assert described["dbar"] == pytest.approx(dbar, rel=1e-12)
    assert described["threshold"] == pytest.approx(limit, rel=1e-12)
    lpd = (other & (apart / dbar < limit)).sum(axis=1)
    assert described["average_lpd"] == round(lpd.mean())
    assert (described["rows"], described["places"]) == (24 * 8, 24)
    assert (described["design"], described["importance"]) == ("leave_location_out", PROTOCOLS[0])
    stored = pd.DataFrame(described["predictors"])
    assert stored["name"].tolist() == PREDICTORS
    assert stored["weight"].tolist() == weights
    np.testing.assert_allclose(stored["mean"], values.mean(), rtol=1e-14)
    np.testing.assert_allclose(stored["scale"], values.std(), rtol=1e-12)
    np.testing.assert_array_equal(stored["minimum"], values.min())
    np.testing.assert_array_equal(stored["maximum"], values.max())


def test_thinned_rows_still_tell_the_range_of_all_training_rows(tmp_path):
    table = study(tmp_path)
    rows, described, _ = run(tmp_path, rows=48)
    train = table[table["split"] == "train"]
    assert len(rows) == 48 and set(rows["sample"]) < set(train["sample"])
    kept = train.set_index("sample").loc[rows["sample"]]
    assert kept["group"].value_counts().eq(2).all()
    stored = pd.DataFrame(described["predictors"])
    np.testing.assert_array_equal(stored["maximum"], train[PREDICTORS].max())
    np.testing.assert_allclose(stored["mean"], kept[PREDICTORS].astype("float64").mean())


def test_error_by_di_is_of_left_out_places_and_their_distance_to_other_folds(tmp_path):
    table = study(tmp_path)
    rows, described, curve = run(tmp_path, rows=96)
    stored = pd.DataFrame(described["predictors"])
    points = table[PREDICTORS].astype("float64").to_numpy()
    points = (points - stored["mean"].to_numpy()) / stored["scale"].to_numpy()
    apart = cdist(points * stored["weight"].to_numpy(), rows[PREDICTORS]) / described["dbar"]
    same = table["leave_location_out"].to_numpy()[:, None] == rows["fold"].to_numpy()
    di = np.where(same, np.inf, apart).min(axis=1)
    predictions = pd.read_parquet(tmp_path / "predictions.parquet").query("protocol == @JUDGED")
    error = (predictions["prediction"] - 0.3).to_numpy()
    pd.testing.assert_frame_equal(curve, error_curve(di, error), check_exact=False, rtol=1e-7)
    assert curve["n"].sum() == 24 * 12
    assert curve["fitted"].iloc[-1] > curve["fitted"].iloc[0], "remote places err more"


def test_the_same_bytes_every_time(tmp_path):
    study(tmp_path)
    names = ["applicability.parquet", "applicability.json", "error_by_di.csv"]
    run(tmp_path, rows=40)
    first = [(tmp_path / name).read_bytes() for name in names]
    run(tmp_path, rows=40)
    assert first == [(tmp_path / name).read_bytes() for name in names]


def test_the_area_says_how_far_apart_the_folds_asked_the_forest_to_reach(tmp_path):
    """The same rows: folds of places ask for more than nearest rows of any place."""
    table = study(tmp_path)
    honest = run(tmp_path)[1]["threshold"]
    table["near"] = table["clay"].rank(method="dense").astype(int) % 4
    pd.read_parquet(tmp_path / "folds.parquet").assign(near=table["near"]).to_parquet(
        tmp_path / "folds.parquet"
    )
    assert run(tmp_path, design="near")[1]["threshold"] < honest


@given(
    st.lists(st.integers(1, 30), min_size=1, max_size=12), st.integers(1, 200), st.integers(0, 9)
)
@settings(max_examples=60, deadline=None)
def test_thinning_takes_about_equally_many_rows_of_every_place(sizes, rows, seed):
    table = pd.DataFrame(
        [
            (f"g{place}", MONTHS[i % len(MONTHS)])
            for place, size in enumerate(sizes)
            for i in range(size)
        ],
        columns=["group", "month"],
    )
    found = thinned(table, rows, seed)
    assert len(found) == min(rows, len(table)) == len(set(found))
    assert (np.diff(found) > 0).all()
    taken = table.iloc[found]["group"].value_counts()
    for place, size in enumerate(sizes):
        count = taken.get(f"g{place}", 0)
        assert count == size or count >= taken.max() - 1, "short of rows, or one behind at most"


def test_thinning_takes_calendar_months_in_turn():
    table = pd.DataFrame({"group": "g", "month": MONTHS})
    for seed in range(20):
        taken = table.iloc[thinned(table, 4, seed)]["month"].str[5:7]
        assert sorted(taken) == ["05", "06", "07", "08"]
    chosen = {tuple(thinned(table, 4, seed)) for seed in range(20)}
    assert len(chosen) > 10, "years and order by chance"


def test_error_curve_by_hand():
    """Two windows of 50 rows whose RMSE falls: the fit is the RMSE of all, weighted by rows."""
    di = np.r_[np.linspace(0, 1, 50), np.linspace(2, 3, 50)]
    curve = error_curve(di, np.r_[np.full(50, 0.4), np.full(50, -0.2)])
    assert curve["di"].tolist() == pytest.approx([0.5, 2.5])
    assert curve["rmse"].tolist() == pytest.approx([0.4, 0.2])
    assert curve["n"].tolist() == [50, 50]
    assert curve["fitted"].tolist() == pytest.approx([np.sqrt(0.1)] * 2)


@given(st.integers(0, 2**32 - 1), st.integers(1, 1500), st.integers(1, 40))
@settings(max_examples=40, deadline=None)
def test_error_curve_rises_keeps_all_rows_and_the_mean_square(seed, n, different):
    rng = np.random.default_rng(seed)
    di = rng.integers(0, different, n) / 7  # many rows of the same DI, as at training places
    error = rng.normal(size=n)
    curve = error_curve(di, error)
    assert curve["n"].sum() == n and len(curve) <= 20
    assert (np.diff(curve["di"]) > 0).all() and (np.diff(curve["fitted"]) >= -1e-12).all()
    assert (curve["fitted"] ** 2 * curve["n"]).sum() / n == pytest.approx((error**2).mean())
    expected = isotonic_regression(curve["rmse"] ** 2, sample_weight=curve["n"])
    np.testing.assert_allclose(curve["fitted"] ** 2, expected)


def test_importance_of_places_never_seen_comes_first(caplog):
    noise = pd.DataFrame({"predictor": ["noise"], "protocol": [PROTOCOLS[0]], "mean": [9.0]})
    others = pd.concat([noise.assign(kind="single"), ranks().assign(kind="drop", mean=7.0)])
    values, protocol = importance_of(pd.concat([ranks(), others]), PREDICTORS)
    assert values.tolist() == [3.0, 1.0, -0.5] and protocol == "leave_location_time_out"
    assert not caplog.text
    for place in (1, 2):
        values, protocol = importance_of(ranks(PROTOCOLS[place:]), PREDICTORS[:2])
        assert protocol == PROTOCOLS[place]
        assert f"no leave_location_time_out, so {protocol} gives the weights" in caplog.text


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            ranks(["drop_column"]),
            r"one of the protocols leave_location_time.*, found drop_column\.",
        ),
        (ranks()[:0], r"found none\. Run rank_predictors again"),
        (ranks()[1:], r"for each predictor under leave_location_time_out, .* for LST\."),
        (ranks(means=(1, np.nan, np.inf)), r"none or several for clay, pre\."),
        (pd.concat([ranks(), ranks()]), r"none or several for LST, clay, pre\."),
    ],
)
def test_importance_that_gives_no_weights_is_refused(table, message):
    with pytest.raises(UserError, match=message):
        importance_of(table, PREDICTORS)


@pytest.mark.parametrize(
    ("folds", "message"),
    [
        ({"other": [0, 1, 0]}, r"expected a column knndm, found group, other\. Choose"),
        ({"knndm": [2, 2, 2]}, r"at least two folds in knndm with training rows, found one"),
        ({"knndm": [0, 1, 2]}, r"one fold of knndm, found 1 of 2 places in several, a in 2\."),
    ],
)
def test_folds_that_do_not_keep_places_apart_are_refused(folds, message):
    with pytest.raises(UserError, match=message):
        check_folds(pd.DataFrame({"group": ["a", "a", "b"], **folds}), "knndm")


def test_random_folds_are_refused_before_anything_is_written(tmp_path):
    study(tmp_path)
    with pytest.raises(UserError, match=r"24 of 24 places in several, g00 in 4\."):
        run(tmp_path, design="random_cv")
    assert not (tmp_path / "applicability.parquet").exists()


def test_incomplete_predictions_are_counted(caplog):
    table = pd.DataFrame({"sample": [1, 2], "LST": [1.0, np.nan], "target": [0.2, 0.3]})
    predictions = pd.DataFrame({"sample": [1, 2], "protocol": JUDGED, "prediction": [0.5, 0.5]})
    with caplog.at_level("INFO", "soil-moisture"):
        found = judged(predictions, table, ["LST"])
    assert found["sample"].tolist() == [1]
    assert found["error"].tolist() == pytest.approx([0.3])
    assert "1 of 2 predictions dropped: incomplete" in caplog.text


def test_predictions_without_places_left_out_are_refused():
    predictions = pd.DataFrame({"sample": [1], "protocol": ["temporal"], "prediction": [0.5]})
    with pytest.raises(UserError, match=r"protocol leave_location_out, found temporal\. Run cross"):
        judged(predictions, pd.DataFrame(), [])


def test_the_log_tells_rows_threshold_and_errors_inside_and_outside(tmp_path, caplog):
    study(tmp_path)
    with caplog.at_level("INFO", "soil-moisture"):
        run(tmp_path, rows=96)
    assert (
        "96 of 192 training rows at 24 places, importance of leave_location_time_out, folds of "
        "leave_location_out" in caplog.text
    )
    for part in ("threshold 0.", "places left out inside: RMSE", "places left out outside: RMSE"):
        assert part in caplog.text
