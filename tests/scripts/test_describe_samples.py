import logging

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import f_oneway, mannwhitneyu

import describe_samples as describe


@pytest.fixture
def heard(caplog):
    caplog.set_level(logging.INFO, logger="soil-moisture")
    return caplog


def values(*places):
    """Return a table with the target values of each place."""
    return pd.concat(
        pd.DataFrame({"group": f"g{n:03d}", "target": np.asarray(found, float)})
        for n, found in enumerate(places)
    )


def shares(table, resamples=0):
    return describe.variance_between(table, resamples, 1)


def study(stations=8, cells=20, apart=0.0, seed=0):
    """Two months at every location, one a training month; slopes of stations are `apart` higher."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(stations + cells):
        source = "insitu" if number < stations else "smci"
        slope = rng.normal() + (apart if source == "insitu" else 0)
        for month, part in (("2015-05", "train"), ("2016-05", "test")):
            rows.append((source, f"s{number}", f"g{number}", month, slope, part))
    table = pd.DataFrame(rows, columns=["source", "site", "group", "month", "slope", "split"])
    return table.assign(sample=range(len(table)), target=rng.normal(size=len(table)))


def test_share_by_hand():
    """(1, 3), (5, 7): means 2 and 6 around 4, so 16 between places of 20 in all."""
    plain, corrected = shares(values([1, 3], [5, 7]))
    assert plain[0] == pytest.approx(16 / 20)
    assert corrected[0] == pytest.approx(1 - (4 / 2) / (20 / 3))


def test_share_follows_from_the_f_of_an_analysis_of_variance():
    rng = np.random.default_rng(0)
    places = [rng.normal() + rng.normal(size=n) for n in (3, 9, 1, 14, 5)]
    f, k, n = f_oneway(*[p for p in places]).statistic, len(places), sum(map(len, places))
    plain, corrected = shares(values(*places))
    assert plain[0] == pytest.approx(f * (k - 1) / (f * (k - 1) + n - k))
    assert corrected[0] == pytest.approx((k - 1) * (f - 1) / (f * (k - 1) + n - k))


def test_without_a_difference_only_the_corrected_share_is_nothing():
    """The mean of the plain share is then (places - 1) / (samples - 1)."""
    rng = np.random.default_rng(1)
    drawn = np.array([[v[0] for v in shares(values(*rng.normal(size=(30, 3))))] for _ in range(80)])
    assert drawn[:, 0].mean() == pytest.approx(29 / 89, abs=0.02)
    assert drawn[:, 1].mean() == pytest.approx(0, abs=0.03)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.floats(-50, 50), st.floats(0.01, 100))
def test_unit_and_origin_do_not_matter(seed, shift, scale):
    rng = np.random.default_rng(seed)
    places = [rng.normal() + rng.normal(size=rng.integers(2, 6)) for _ in range(5)]
    before, after = shares(values(*places)), shares(values(*[shift + scale * p for p in places]))
    assert after[0][0] == pytest.approx(before[0][0], abs=1e-9)
    assert 0 <= before[0][0] <= 1 and before[1][0] < before[0][0]


def test_interval_agrees_with_a_bootstrap_written_out():
    rng = np.random.default_rng(2)
    places = [rng.normal() + 0.7 * rng.normal(size=6) for _ in range(25)]
    plain, corrected = shares(values(*places), 4000)
    drawn = [
        [v[0] for v in shares(values(*[places[i] for i in rng.integers(0, 25, 25)]))]
        for _ in range(250)
    ]
    low, high = np.percentile(drawn, [2.5, 97.5], axis=0)
    assert plain[1:] == pytest.approx((low[0], high[0]), abs=0.04)
    assert corrected[1:] == pytest.approx((low[1], high[1]), abs=0.04)
    assert plain[1] < plain[0] < plain[2]


@pytest.mark.parametrize("places", [([1, 2, 3],), ([2, 2], [2, 2])], ids=["one place", "constant"])
def test_no_share_where_it_has_no_meaning(places):
    assert np.isnan(shares(values(*places), 50)).all()


def test_one_value_a_place_has_a_plain_share_alone():
    plain, corrected = shares(values([1], [2], [4]))
    assert plain[0] == pytest.approx(1) and np.isnan(corrected[0])


def test_terrain_that_never_overlaps_tells_all_and_the_same_terrain_nothing():
    value, n, low, high, share = describe.told_apart(study(apart=9), ["slope"], 50, 1)
    assert (value, n, low, high, share) == (1.0, 28, 1.0, 1.0, 8 / 28)
    drawn = [describe.told_apart(study(60, 90, seed=s), ["slope"], 0, 1)[0] for s in range(2)]
    assert np.mean(drawn) == pytest.approx(0.5, abs=0.1)


def test_auc_counts_the_pairs_in_order():
    """AUC is the U of Mann and Whitney over the number of pairs."""
    table = study(10, 25, apart=1)
    at = table[table["split"] == "train"].sort_values(["source", "site"])
    station, place = (at["source"] == "insitu").to_numpy(), np.unique(at["group"], return_inverse=1)
    told = describe.out_of_fold(at[["slope"]].to_numpy("float32"), station, place[1], 1)
    pairs = mannwhitneyu(told[station], told[~station]).statistic / (10 * 25)
    assert describe.told_apart(table, ["slope"], 0, 1)[0] == pytest.approx(pairs)


def test_a_place_is_never_on_both_sides():
    """Eight locations share the terrain of their place: seen once, its class would be known."""
    rng = np.random.default_rng(5)
    place = np.repeat(np.arange(40), 8)
    station = (np.arange(40) % 3 == 0)[place]
    told = describe.out_of_fold(rng.normal(size=(40, 1))[place], station, place, 1)
    assert pd.Series(told).groupby(place).nunique().max() == 1, "one place, one fold"
    assert mannwhitneyu(told[station], told[~station]).statistic / (112 * 208) < 0.8


@pytest.mark.parametrize(
    ("table", "terrain", "said"),
    [
        (study(), ["slope", "aspect"], "the samples have no aspect"),
        (study(), [], "no terrain is named"),
        (study(4, 20), ["slope"], "there are 4 with stations and 20 with SMCI cells"),
        (study(0, 20), ["slope"], "there are 0 with stations and 20 with SMCI cells"),
        (study().assign(slope=np.nan), ["slope"], "there are 0 with stations and 0 with SMCI"),
    ],
)
def test_why_there_is_no_auc(table, terrain, said, heard):
    rows = describe.given_away(table, terrain, 10, 1)
    assert heard.messages[0].startswith("terrain is not asked to tell stations from SMCI cells: ")
    assert said in heard.messages[0]
    assert [row[:2] for row in rows] == [
        ("source_auc_of_terrain", "all"),
        ("share_of_stations", "all"),
    ]
    assert np.isnan([row[2] for row in rows]).all()


def written(path, table):
    table.drop(columns="split").to_parquet(path / "samples.parquet")
    table[["sample", "split"]].to_parquet(path / "folds.parquet")
    describe.main(
        samples=path / "samples.parquet",
        folds=path / "folds.parquet",
        described=path / "described.csv",
        terrain=["slope"],
        bootstrap=20,
        seed=1,
    )
    return pd.read_csv(path / "described.csv")


def test_main_counts_by_source_and_split_and_says_it_in_words(tmp_path, heard):
    table = study(6, 10, apart=9)
    table = table[(table["site"] != "s0") | (table["split"] == "train")]
    found = written(tmp_path, table)
    assert list(found) == ["quantity", "subset", "value", "n", "low", "high"]
    count = found.pivot(index="subset", columns="quantity", values="value")
    expected = {
        "all": (31, 16, 2),
        "all train": (16, 16, 1),
        "all test": (15, 15, 1),
        "insitu": (11, 6, 2),
        "insitu train": (6, 6, 1),
        "insitu test": (5, 5, 1),
        "smci": (20, 10, 2),
        "smci train": (10, 10, 1),
        "smci test": (10, 10, 1),
    }
    columns = ["samples", "places", "months"]
    assert {name: tuple(count.loc[name, columns]) for name in count.index} == expected
    assert found["quantity"].tolist()[-2:] == ["source_auc_of_terrain", "share_of_stations"]
    assert found["value"].tolist()[-2:] == [1.0, 6 / 16]
    for said in (
        "insitu: 11 samples at 6 places in 2 months; 6 to learn from, 5 to be judged by",
        "of the target's variance lies between places",
        "slope alone tell a station from an SMCI cell with AUC 1.00 (1.00 to 1.00;",
        "16 locations, 38 % of them stations",
    ):
        assert said in heard.text


def test_a_single_source_is_described_once(tmp_path, heard):
    found = written(tmp_path, study(0, 12))
    assert set(found["subset"]) == {"all", "all train", "all test"}
    heard.clear()
    written(tmp_path, study(0, 1))
    assert "all: no share of variance between places: one place or no variance" in heard.text
