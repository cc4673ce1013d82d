"""Laws of the simulated world, and the statistics that make it resemble the real problem."""

from calendar import monthrange

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from _world import CELL, RAIN, World, build, coarse, field, smooth, standard, stream

BOX = [102.0, 33.6, 102.7, 34.19]
SMALL = [102.1, 33.8, 102.2, 33.9]


@pytest.fixture(scope="module")
def world():
    return build(BOX, 20230310, 0.0)


@pytest.fixture(scope="module")
def years(world):
    return {
        (year, month): world.month(year, month)
        for year in range(2009, 2019)
        for month in range(5, 11)
    }


def test_a_world_is_a_function_of_area_seed_and_trend():
    first, second = (build(SMALL, 1, 0.0) for _ in range(2))
    other = build(SMALL, 2, 0.0)
    for name, values in first.month(2012, 7).items():
        assert np.array_equal(values, second.month(2012, 7)[name])
        assert not np.array_equal(values, other.month(2012, 7)[name])


def test_a_month_does_not_depend_on_what_was_drawn_before():
    alone = build(SMALL, 1, 0.0).month(2015, 8)
    after = build(SMALL, 1, 0.0)
    for year in (2009, 2014):
        after.month(year, 6)
    for name, values in after.month(2015, 8).items():
        assert np.array_equal(values, alone[name])


def test_the_trend_is_the_difference_to_a_world_without_it():
    flat, rising = (build(SMALL, 1, trend) for trend in (0.0, 0.003))
    for year, expected in ((2009, -0.0135), (2018, 0.0135)):
        change = rising.month(year, 7)["moisture"] - flat.month(year, 7)["moisture"]
        assert np.median(change) == pytest.approx(expected, abs=1e-6)
        assert np.array_equal(rising.rain(year, 7), flat.rain(year, 7))


def test_the_lattice_covers_the_area_and_a_margin_in_whole_cells(world):
    assert world.left % CELL == world.top % CELL == 0
    lon, lat = world.lonlat
    inside = (lon > BOX[0]) & (lon < BOX[2]) & (lat > BOX[1]) & (lat < BOX[3])
    rows, cols = np.nonzero(inside)
    reach = min(rows.min(), cols.min(), *(np.array(world.shape) - [rows.max(), cols.max()]))
    assert reach * CELL >= 10_000
    # 65.4 x 66.4 km by pyproj, less what Albers' curved sides cut off the bounding box.
    assert inside.sum() * CELL**2 / 1e6 == pytest.approx(4243, rel=0.01)


def test_a_cell_finds_itself(world):
    lon, lat = world.lonlat
    rows, cols = world.rows_cols(lon[::50, ::50], lat[::50, ::50])
    expected = np.indices(world.shape)[:, ::50, ::50]
    assert np.array_equal(rows, expected[0])
    assert np.array_equal(cols, expected[1])


def test_moisture_varies_as_in_the_real_problem(years):
    moisture = np.array([found["moisture"] for found in years.values()])
    assert moisture.mean() == pytest.approx(0.38, abs=0.01)
    assert moisture.std() == pytest.approx(0.07, abs=0.005)
    assert moisture.std(axis=0).mean() == pytest.approx(0.024, abs=0.004)
    assert moisture.min() >= 0.15
    assert moisture.max() <= 0.62
    domain = moisture.mean(axis=(1, 2)).reshape(10, 6)
    assert 0.008 < np.ptp(domain.mean(axis=1)) < 0.018
    may, june, july, august, september, october = domain.mean(axis=0)
    assert may < june < july < august > september > october


def test_rain_and_its_season(years):
    rain = np.array([found["rain"].mean() for found in years.values()]).reshape(10, 6)
    assert rain.min() > 30
    assert rain.max() < 235
    assert rain.mean(axis=0).argmax() in (2, 3)
    assert min(found["rain"].min() for found in years.values()) > 0


def test_terrain_is_that_of_a_plateau(world):
    height = world.elevation
    assert 2700 < height.min() < height.max() < 5400
    assert height.mean() == pytest.approx(3900, abs=60)
    south, east = np.gradient(height, CELL / 3)
    slope = np.degrees(np.arctan(np.hypot(south, east)))
    assert 7 < np.median(slope) < 12
    assert 17 < np.quantile(slope, 0.95) < 24
    west, east = height[:, :300].mean(), height[:, -300:].mean()
    assert west > east + 200


def test_stations_stand_in_a_low_flat_wet_valley(world):
    valley = coarse(world.valley, 3) > 0.8
    land = world.land
    assert valley.mean() < 0.1
    assert np.median(land["elevation"][valley]) < np.quantile(land["elevation"], 0.25)
    assert np.median(land["slope"][valley]) < 0.5 * np.median(land["slope"])
    assert land["moisture"][valley].mean() > land["moisture"].mean() + 0.01


def test_the_valley_is_in_the_middle_where_the_area_is_elsewhere():
    elsewhere = build([100.0, 31.0, 100.1, 31.1], 1, 0.0)
    rows, cols = elsewhere.rows_cols(100.05, 31.05, CELL / 3)
    assert elsewhere.valley[rows, cols] > 0.99


@given(seed=some.integers(0, 2**32))
@settings(max_examples=10, deadline=None)
def test_texture_closes_and_correlates_as_in_the_paper(seed):
    land = build(SMALL, seed, 0.0).land
    sand, silt, clay = (land[name].ravel() for name in ("sand", "silt", "clay"))
    inside = (sand > 5) & (sand < 88) & (silt > 2) & (clay > 2)
    assert (sand + silt + clay)[inside] == pytest.approx(100, abs=1e-3)
    # N16, N17 and what follows from them (D1).
    found = np.corrcoef([sand, silt, clay])
    assert found[0, 1] == pytest.approx(-0.93, abs=0.02)
    assert found[0, 2] == pytest.approx(-0.73, abs=0.04)
    assert found[1, 2] == pytest.approx(0.43, abs=0.06)
    # The map knows the soil only in part.
    assert np.corrcoef(sand, land["sand_true"].ravel())[0, 1] == pytest.approx(0.7, abs=0.15)


def test_snow_lies_high_in_may_and_october_only(years, world):
    high = world.land["elevation"] > 4900
    bright = {month: years[2012, month]["albedo"] > 0.4 for month in (5, 7, 10)}
    assert bright[5][high].any() or bright[10][high].any()
    assert not bright[7].any()
    assert not any(mask[~(world.land["elevation"] > 4600)].any() for mask in bright.values())
    share = np.mean([found["albedo"] > 0.4 for found in years.values()])
    assert 0.0005 < share < 0.01


def test_marsh_and_lake_are_small_and_not_where_the_stations_are(world):
    for patch in (world.marsh, world.lake):
        assert 0 < patch.mean() < 0.01
        assert coarse(world.valley, 3)[patch].max() < 0.5
    assert not (world.marsh & world.lake).any()


@given(seed=some.integers(0, 999), year=some.integers(1990, 2030), month=some.integers(1, 12))
@settings(max_examples=20, deadline=None)
def test_days_of_a_month_add_up_to_it(seed, year, month):
    world = World(tuple(SMALL), seed, 0.0, 0.0, 0.0, (1, 1))
    storms, swing = world.storms(year, month), world.swing(year, month)
    assert storms.sum() == pytest.approx(1)
    assert storms.min() >= 0
    assert swing.mean() == pytest.approx(0, abs=1e-12)
    assert storms.size == swing.size == monthrange(year, month)[1]


def test_a_field_has_the_correlation_length_it_was_asked_for():
    found = field(np.random.default_rng(1), (400, 400), 10.0)
    assert (found.mean(), found.std()) == pytest.approx((0, 1), abs=1e-5)
    # Exponential covariance: exp(-1) at one length.
    at_length = (found[:, 10:] * found[:, :-10]).mean()
    assert at_length == pytest.approx(np.exp(-1), abs=0.12)


def test_smooth_is_the_mean_of_a_square():
    values = np.arange(30, dtype="float32").reshape(5, 6) ** 2
    found = smooth(values, 1)
    assert found.shape == values.shape
    assert found[2, 3] == pytest.approx(values[1:4, 2:5].mean())
    assert found[0, 0] == pytest.approx((4 * 0 + 2 * 1 + 2 * 36 + 49) / 9)


def test_streams_differ_by_every_part_of_their_name():
    names = [("rain", 2012, 7), ("rain", 2012, 8), ("rain", 2013, 7), ("lst", 2012, 7)]
    draws = {stream(seed, *name).random() for seed in (1, 2) for name in names}
    assert len(draws) == 8


def test_seasons_are_complete():
    assert sorted(RAIN) == list(range(1, 13))
    assert standard(np.array([1.0, 3.0])).tolist() == [-1, 1]
