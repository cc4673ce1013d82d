import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.ensemble import RandomForestRegressor

from _quantiles import leaf_values, spread
from calibrate_intervals import (
    PROTOCOLS,
    calibrate,
    cross_fitted,
    main,
    over_places,
    parts,
    place_weights,
    scores,
    shift_of,
)


def exchangeable(places, per_place=12, seed=0, half=0.05, sources=("smci",), protocols=PROTOCOLS):
    """Targets with an error of the place and one of the month; bounds at +-`half`.

    `per_place` may be a number or one number for each place.
    """
    rng = np.random.default_rng(seed)
    size = np.broadcast_to(per_place, places)
    group = np.repeat([f"g{place}" for place in range(places)], size)
    error = np.repeat(rng.normal(0, 0.05, places), size) + rng.normal(0, 0.03, len(group))
    truth = rng.uniform(0.1, 0.5, len(group))
    one = pd.DataFrame(
        {
            "source": np.repeat(np.resize(sources, places), size),
            "group": group,
            "target": truth + error,
            "lower": truth - half,
            "upper": truth + half,
        }
    )
    return pd.concat([one.assign(protocol=name) for name in protocols], ignore_index=True)


def held(table, shift, low="lower", high="upper"):
    """Coverage of moved bounds, written out: the mean over places of their share of months."""
    inside = (table["target"] >= table[low] - shift) & (table["target"] <= table[high] + shift)
    return inside.groupby(table["group"]).mean().mean()


def test_scores_are_distances_beyond_the_nearer_bound():
    table = pd.DataFrame({"target": [0.1, 0.3, 0.55], "lower": 0.2, "upper": 0.5})
    np.testing.assert_allclose(scores(table), [0.1, -0.1, 0.05])


def test_the_shift_of_five_places_by_hand():
    """Level 0.6 of 5 places: (5 + 1) / 5 * 0.6 = 0.72 of the places must be reached.

    a has the scores 1 and 6 (0.1 each), b 2 (0.2), c 3 and 4 and 5 and 9 (0.05 each),
    d 7 (0.2), e 8 (0.2). In order: 1: 0.1, 2: 0.3, 3: 0.35, 4: 0.4, 5: 0.45, 6: 0.55, 7: 0.75.
    With the signs turned: -9: 0.05, -8: 0.25, -7: 0.45, -6: 0.55, -5: 0.6.
    """
    score = np.array([1.0, 6, 2, 3, 4, 5, 9, 7, 8])
    group = np.array(list("aabccccde"))
    order = np.random.default_rng(0).permutation(9)
    assert shift_of(score[order], group[order], 0.6) == (7.0, True)
    assert shift_of(score, group, 0.45) == (6.0, True)  # 0.54
    assert shift_of(score, group, 0.46) == (7.0, True)  # 0.552
    assert shift_of(-score, group, 0.5) == (-5.0, True)  # 0.6


def test_a_share_that_is_met_exactly_is_met():
    """Nine places at 90 %: all of them, and no place more is asked for."""
    score, group = np.arange(9.0), np.array(list("abcdefghi"))
    assert shift_of(score, group, 0.9) == (8.0, True)
    assert shift_of(score[:8], group[:8], 0.9) == (7.0, False)
    # 2 / 3 of three places is two of them: (3 + 1) / 3 * 0.5
    assert shift_of(score[:3], group[:3], 0.5) == (1.0, True)


def test_a_place_with_many_rows_weighs_as_one():
    group = np.array(["a"] * 97 + ["b", "c", "d"])
    np.testing.assert_allclose(place_weights(group)[[0, 97]], [1 / 388, 1 / 4])
    score = np.r_[np.full(97, -1.0), 1, 2, 3]
    assert shift_of(score, group, 0.5) == (2.0, True)  # 5 / 4 * 0.5 = 0.625 of the places


@given(
    st.lists(
        st.tuples(st.sampled_from("abcdefghijklmnop"), st.floats(-1, 1)), min_size=1, max_size=60
    ),
    st.floats(0.05, 0.95),
)
def test_the_places_of_the_calibration_are_covered_at_the_level_or_more(rows, level):
    group, score = np.array([g for g, _ in rows]), np.array([s for _, s in rows])
    shift, enough = shift_of(score, group, level)
    covered = pd.Series(score <= shift).groupby(group).mean().mean()
    places = len(set(group))
    assert covered >= min((places + 1) / places * level, 1) - 1e-6
    assert enough == ((places + 1) * level <= places + 1e-6)
    below = score[score < shift]
    if enough and len(below):  # and the next smaller score would not do
        less = pd.Series(score <= below.max()).groupby(group).mean().mean()
        assert less < (places + 1) / places * level


def test_a_new_place_is_covered_at_the_level_whatever_the_bounds_were():
    """The promise: over many draws of places, a month of one more place is inside at 90 %."""
    for half in (0.0, 0.05, 0.3):
        covered = []
        for seed in range(120):
            table = exchangeable(25, 6, seed, half, protocols=["leave_location_out"])
            new = table["group"] == "g24"
            known = table[~new]
            shift, _ = shift_of(scores(known), known["group"].to_numpy(), 0.9)
            covered.append(held(table[new], shift))
        assert 0.87 < np.mean(covered) < 0.96


def test_bounds_that_are_too_wide_become_narrower():
    found = calibrate(exchangeable(60, half=0.3), 0.9, "all", 0, 1)
    assert (found["shift"] < 0).all()
    assert (found["width_calibrated"] < found["width"]).all()
    assert (found["coverage"] > 0.99).all()
    assert found["coverage_calibrated"].between(0.84, 0.96).all()


def test_a_place_is_judged_without_itself():
    """Leaving out each place by hand: as many parts as places."""
    table = exchangeable(8, 5).query("protocol == 'knndm'")
    part = parts(table["group"].to_numpy(), 10, 1)
    assert sorted(part) == list(range(8))
    found = cross_fitted(table, table, part, 0.7)
    for name, rows in table.groupby("group"):
        others = table[table["group"] != name]
        expected, _ = shift_of(scores(others), others["group"].to_numpy(), 0.7)
        assert set(found[(table["group"] == name).to_numpy()]) == {expected}, name
        assert len(rows) == 5
    honest = pd.Series(scores(table) <= found).groupby(table["group"].to_numpy()).mean().mean()
    result = calibrate(exchangeable(8, 5), 0.7, "all", 0, 1).set_index("protocol")
    assert result.loc["knndm", "coverage_calibrated"] == pytest.approx(honest)


def test_parts_are_of_equal_size_and_seeded():
    groups = np.repeat([f"g{i}" for i in range(25)], 3)
    one, same, other = (parts(groups, 10, seed) for seed in (1, 1, 2))
    assert sorted(one.value_counts()) == [2] * 5 + [3] * 5
    assert one.equals(same) and not one.equals(other)


def test_intervals_over_places_agree_with_a_bootstrap_written_out():
    rng = np.random.default_rng(3)
    group = np.repeat([f"g{i}" for i in range(15)], rng.integers(1, 9, 15))
    value = rng.random(len(group))
    mean, low, high = over_places(value, group, 4000, 1)
    means = np.array([value[group == name].mean() for name in np.unique(group)])
    drawn = [rng.choice(means, len(means)).mean() for _ in range(4000)]
    assert mean == pytest.approx(means.mean())
    assert (low, high) == pytest.approx(tuple(np.percentile(drawn, [2.5, 97.5])), abs=0.01)
    assert np.isnan(over_places(value, np.full(len(value), "g"), 100, 1)[1:]).all()
    assert np.isnan(over_places(value, group, 0, 1)[1:]).all()


def test_a_forest_that_knows_places_by_name_is_too_sure_of_new_ones_until_calibrated():
    """A number tells each place apart and nothing else: bounds hold at places seen only."""
    rng = np.random.default_rng(5)
    level, key = rng.normal(0.3, 0.08, 60), rng.normal(size=60)
    place = np.repeat(np.arange(60), 20)
    x = key[place][:, None].astype("float32")
    y = level[place] + rng.normal(0, 0.01, len(place))
    months = np.tile(np.arange(20) >= 12, 60)
    fold = rng.permutation(np.arange(60) % 10)[place]
    table = pd.DataFrame({"source": "smci", "group": place.astype(str), "target": y})

    def judged(protocol, learn, judge):
        model = RandomForestRegressor(40, random_state=1).fit(x[learn], y[learn])
        leaves = leaf_values(model, x[learn], y[learn], 1)
        lower, upper = spread(model, leaves, x[judge], [0.05, 0.95])[1].T
        return table[judge].assign(protocol=protocol, lower=lower, upper=upper)

    fits = [("temporal", ~months, months)]
    for k in range(10):
        fits.append(("leave_location_out", fold != k, fold == k))
        for protocol in ("leave_location_time_out", "knndm"):
            fits.append((protocol, (fold != k) & ~months, (fold == k) & months))
    found = calibrate(pd.concat([judged(*fit) for fit in fits]), 0.9, "all", 0, 1)
    found = found.set_index("protocol")
    new = ["leave_location_out", "leave_location_time_out", "knndm"]
    assert found.loc["temporal", "coverage"] > 0.75
    assert (found.loc[new, "coverage"] < 0.4).all()
    assert found.loc[new, "coverage_calibrated"].between(0.82, 0.98).all()
    assert (found["shift"] > 0.05).all()


def both():
    """40 cells and 12 stations, whose errors are larger by far."""
    table = pd.concat([exchangeable(40, 5), exchangeable(12, 9, 1, sources=("insitu",))])
    station = table["source"] == "insitu"
    table.loc[station, "group"] = "s" + table["group"][station]
    middle = (table["lower"] + table["upper"]) / 2
    table.loc[station, "target"] = (middle + 4 * (table["target"] - middle))[station]
    return table


@pytest.mark.parametrize(("by", "used"), [("source", "smci"), ("all", "all")])
def test_the_maps_use_the_source_with_most_places_or_all(by, used):
    found = calibrate(both(), 0.9, by, 50, 1)
    assert set(found.loc[found["applied"], "calibrated_on"]) == {used}
    shift = found.groupby("calibrated_on")["shift"].first()
    assert shift["smci"] < shift["all"] < shift["insitu"]
    for name, rows in both().query("protocol == 'leave_location_out'").groupby("source"):
        expected, _ = shift_of(scores(rows), rows["group"].to_numpy(), 0.9)
        assert shift[name] == expected
    assert len(found) == 3 * 4 * 3
    rows = found[found["protocol"] == "temporal"].set_index(["calibrated_on", "subset"])
    assert rows.loc[("smci", "insitu"), "places"] == 12
    assert rows.loc[("smci", "insitu"), "n"] == 108 and rows.loc[("smci", "all"), "n"] == 308
    assert (
        rows.loc[("smci", "insitu"), "coverage_calibrated"]
        < rows.loc[("smci", "smci"), "coverage_calibrated"]
    )


def test_widths_are_those_of_the_bounds_moved_by_the_shift():
    found = calibrate(exchangeable(30), 0.9, "all", 0, 1)
    np.testing.assert_allclose(found["width"], 0.1)
    np.testing.assert_allclose(found["width_calibrated"], 0.1 + 2 * found["shift"])


def test_a_single_place_gives_a_shift_but_no_coverage():
    found = calibrate(exchangeable(1), 0.9, "source", 100, 1)
    assert found["coverage_calibrated"].isna().all() and found["coverage"].notna().all()
    assert not found["enough"].any() and found["applied"].all()


def test_a_place_that_no_other_can_judge_is_said(tmp_path, caplog):
    exchangeable(1).to_parquet(tmp_path / "predictions.parquet")
    main(tmp_path / "predictions.parquet", tmp_path / "intervals.csv", 0.9, "source", 50, 1)
    assert (
        "leave_location_out, all: no coverage after calibration, some of the 1 places have no "
        "other one whose shift (from all) could judge them"
    ) in caplog.messages
    found = pd.read_csv(tmp_path / "intervals.csv")
    assert found.filter(regex="_low|_high").isna().all(axis=None), "one place has no interval"


def test_main_writes_the_table_and_says_that_places_are_too_few(tmp_path, caplog):
    exchangeable(8).to_parquet(tmp_path / "predictions.parquet")
    main(tmp_path / "predictions.parquet", tmp_path / "intervals.csv", 0.9, "source", 50, 1)
    found = pd.read_csv(tmp_path / "intervals.csv")
    columns = "level calibrated_on applied enough shift protocol subset n places".split()
    for name in ("coverage", "coverage_calibrated"):
        columns += [name, f"{name}_low", f"{name}_high"]
    assert list(found) == [*columns, "width", "width_calibrated"]
    assert not found["enough"].any()
    rows = exchangeable(8).query("protocol == 'leave_location_out'")
    assert found["shift"].iloc[0] == pytest.approx(scores(rows).max(), rel=1e-8)
    warning = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    assert warning == [
        "all: too few places for intervals of 90 %: 9 are needed. The largest score is the shift, "
        "and the intervals may be too narrow at new places"
    ]
    first = (tmp_path / "intervals.csv").read_bytes()
    main(tmp_path / "predictions.parquet", tmp_path / "intervals.csv", 0.9, "source", 50, 1)
    assert first == (tmp_path / "intervals.csv").read_bytes()
