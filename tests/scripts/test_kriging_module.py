"""Kriging against gstat's golden numbers, PyKrige, the Swiss rain of SIC97, and its laws."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pykrige.ok import OrdinaryKriging
from pykrige.uk import UniversalKriging
from scipy.optimize import curve_fit

from _kriging import SHAPES, Variogram, dual, estimate, fit, lags, leave_one_out, variance
from conftest import SHARED

# Fixture of R's gstat: stations, values, and four places.
STATIONS = np.array(
    [
        *((0, 0), (100, 40), (250, 20), (300, 150), (420, 90)),
        *((60, 200), (180, 260), (330, 300), (450, 280), (120, 130)),
    ],
    float,
)
VALUES = np.array([85, 92, 110, 140, 131, 70, 78, 125, 150, 96], float)
PLACES = np.array([(50, 50), (200, 100), (400, 200), (210, 290)], float)
DRIFT = np.array([3.4, 2.9, 3.2, 3.4, 3.9, 3.0, 2.7, 2.9, 2.6, 3.9])[:, None]
DRIFT_AT = np.array([3.5, 4.0, 3.0, 2.8])[:, None]
GSTAT = Variogram("exponential", 50.0, 600.0, 300.0)  # gstat's scale of 100 is a range of 300


def kriged(places, stations, values, variogram):
    values = np.asarray(values, float).reshape(len(stations), -1)
    return estimate(places, stations, dual(stations, values, variogram), variogram)


@pytest.mark.parametrize(
    ("model", "golden"),
    [
        ("exponential", [90.93620111, 107.57000999, 132.46453306, 94.72603194]),
        ("spherical", [88.31134568, 108.47111384, 141.36477768, 90.65979193]),
    ],
)
def test_kriging_agrees_with_gstat(model, golden):
    variogram = Variogram(model, 50.0, 600.0, 300.0)
    assert kriged(PLACES, STATIONS, VALUES, variogram)[:, 0] == pytest.approx(golden, abs=5e-9)


def test_the_variance_agrees_with_gstat():
    golden = [385.7196364, 461.5133978, 489.3346208, 401.4486709]
    assert variance(PLACES, STATIONS, GSTAT) == pytest.approx(golden, abs=5e-8)


def test_kriging_with_a_drift_agrees_with_gstat():
    weights = dual(STATIONS, VALUES[:, None], GSTAT, DRIFT)
    found = estimate(PLACES, STATIONS, weights, GSTAT, DRIFT_AT)[:, 0]
    golden = [93.01345352, 111.91220599, 131.34374474, 94.26196611]
    assert found == pytest.approx(golden, abs=5e-9)
    golden = [410.7145741, 570.7309305, 496.6110902, 402.6961483]
    assert variance(PLACES, STATIONS, GSTAT, DRIFT, DRIFT_AT) == pytest.approx(golden, abs=5e-8)


@pytest.mark.parametrize("model", SHAPES)
def test_a_drift_and_its_variance_agree_with_pykrige(model):
    random = np.random.default_rng(4)
    stations, places = random.uniform(0, 1e5, (15, 2)), random.uniform(-1e4, 1.1e5, (50, 2))
    height, height_at = random.uniform(2, 5, 15), random.uniform(2, 6, 50)
    values = random.gamma(4, 20, 15)
    reference, spread = UniversalKriging(
        *stations.T,
        values,
        variogram_model=model,
        variogram_parameters={"psill": 0.5, "range": 4e4, "nugget": 0.05},
        drift_terms=["specified"],
        specified_drift=[height],
    ).execute("points", *places.T, specified_drift_arrays=[height_at])
    curve = Variogram(model, 0.05, 0.5, 4e4)
    weights = dual(stations, values[:, None], curve, height[:, None])
    found = estimate(places, stations, weights, curve, height_at[:, None])[:, 0]
    assert found == pytest.approx(np.asarray(reference), rel=1e-7)
    found = variance(places, stations, curve, height[:, None], height_at[:, None])
    assert found == pytest.approx(np.asarray(spread), rel=1e-7)


@given(st.floats(-50, 50), st.floats(-20, 20), st.floats(0.2, 5), st.floats(-3, 3))
@settings(max_examples=30, deadline=None)
def test_a_line_of_the_drift_passes_through_in_any_unit(constant, slope, unit, origin):
    values = np.stack([VALUES, VALUES + constant + slope * DRIFT[:, 0]], axis=1)
    first = dual(STATIONS, values, GSTAT, DRIFT)
    plain, added = estimate(PLACES, STATIONS, first, GSTAT, DRIFT_AT).T
    assert added - plain == pytest.approx(constant + slope * DRIFT_AT[:, 0], abs=1e-8)
    other = dual(STATIONS, values, GSTAT, unit * DRIFT + origin)
    found = estimate(PLACES, STATIONS, other, GSTAT, unit * DRIFT_AT + origin)
    assert found[:, 0] == pytest.approx(plain, abs=1e-7)


def test_the_variance_is_nothing_at_a_station_and_nugget_sill_and_mean_far_away():
    assert variance(STATIONS, STATIONS, GSTAT) == pytest.approx(np.zeros(10), abs=1e-9)
    # Far from two stations that are far from each other: the sill, and half of it for the mean.
    apart = np.array([(0, 0), (1e6, 0)], float)
    found = variance(np.array([(0, 1e7)], float), apart, GSTAT)
    assert found == pytest.approx([1.5 * 650], rel=1e-9)


@pytest.mark.parametrize("model", SHAPES)
def test_kriging_agrees_with_pykrige(model):
    random = np.random.default_rng(3)
    stations, places = random.uniform(0, 1e5, (15, 2)), random.uniform(-1e4, 1.1e5, (200, 2))
    values = random.gamma(4, 20, 15)
    reference, _ = OrdinaryKriging(
        *stations.T,
        values,
        variogram_model=model,
        variogram_parameters={"psill": 0.5, "range": 4e4, "nugget": 0.05},
    ).execute("points", *places.T)
    variogram = Variogram(model, 0.05, 0.5, 4e4)
    assert kriged(places, stations, values, variogram)[:, 0] == pytest.approx(
        np.asarray(reference), rel=1e-9
    )


def test_leave_one_out_agrees_with_gstat_and_with_leaving_each_out():
    guess, spread = leave_one_out(STATIONS, VALUES, GSTAT)
    for left in range(len(STATIONS)):
        others = np.arange(len(STATIONS)) != left
        alone = kriged(STATIONS[[left]], STATIONS[others], VALUES[others], GSTAT)
        assert guess[left] == pytest.approx(alone[0, 0], rel=1e-10)
        alone = variance(STATIONS[[left]], STATIONS[others], GSTAT)
        assert spread[left] == pytest.approx(alone[0], rel=1e-10)
    assert np.sqrt(np.mean((guess - VALUES) ** 2)) == pytest.approx(20.89887362, abs=5e-9)


def test_weights_sum_to_one():
    variogram = Variogram("spherical", 50.0, 600.0, 300.0)
    weights = kriged(PLACES, STATIONS, np.eye(len(STATIONS)), variogram)
    assert weights.sum(axis=1) == pytest.approx(np.ones(len(PLACES)), abs=1e-12)


@given(st.floats(1e-3, 1e3), st.floats(-50, 50))
@settings(max_examples=30, deadline=None)
def test_a_factor_on_the_variogram_cancels_and_a_constant_passes_through(factor, constant):
    variogram = Variogram("spherical", 0.1, 1.2, 300.0)
    larger = Variogram("spherical", 0.1 * factor, 1.2 * factor, 300.0)
    first = kriged(PLACES, STATIONS, VALUES, variogram)
    assert kriged(PLACES, STATIONS, VALUES + constant, larger) == pytest.approx(
        first + constant, abs=1e-7
    )


@given(st.lists(st.floats(0, 500), min_size=10, max_size=10))
@settings(max_examples=50, deadline=None)
def test_without_nugget_a_station_keeps_its_value(values):
    for nugget in (0.0, 0.3):  # a nugget is noise between places, not at the same place
        variogram = Variogram("exponential", nugget, 1.0, 300.0)
        found = kriged(STATIONS, STATIONS, values, variogram)[:, 0]
        assert found == pytest.approx(np.array(values), abs=1e-6)


def test_a_month_uses_its_own_stations_only():
    variogram = Variogram("spherical", 0.1, 1.0, 300.0)
    gaps = np.stack([VALUES, VALUES], axis=1)
    gaps[[2, 5], 1] = np.nan
    present = np.isfinite(gaps[:, 1])
    both = kriged(PLACES, STATIONS, gaps, variogram)
    assert both[:, 0] == pytest.approx(kriged(PLACES, STATIONS, VALUES, variogram)[:, 0])
    alone = kriged(PLACES, STATIONS[present], VALUES[present], variogram)[:, 0]
    assert both[:, 1] == pytest.approx(alone, rel=1e-12)


def test_one_station_gives_its_value_everywhere_and_a_dry_month_zeros():
    variogram = Variogram("spherical", 0.1, 1.0, 300.0)
    one = np.full((10, 2), np.nan)
    one[4, 0] = 77.0
    one[:, 1] = 0.0
    found = kriged(PLACES, STATIONS, one, variogram)
    assert (found[:, 0] == 77.0).all()
    assert (found[:, 1] == 0.0).all()


def test_points_are_kriged_in_chunks_as_at_once(monkeypatch):
    variogram = Variogram("spherical", 0.1, 1.0, 300.0)
    at_once = kriged(PLACES, STATIONS, VALUES, variogram)
    for limit, value in (("CHUNK", 3), ("PAIRS", 3 * len(STATIONS)), ("PAIRS", 1)):
        with monkeypatch.context() as patched:
            patched.setattr(f"_kriging.{limit}", value)
            found = kriged(PLACES, STATIONS, VALUES, variogram)
        assert found == pytest.approx(at_once, rel=1e-14)


def test_lags_pool_the_pairs_of_all_months_by_hand():
    # Three stations on a line, 1 and 2 km apart; the 3 km pair lies beyond 70 % of the largest
    # distance. Two months, one value missing: pairs (0, 1) twice, (1, 2) once.
    stations = np.array([(0, 0), (1000, 0), (3000, 0)], float)
    values = np.array([[1.0, 2.0], [3.0, 2.0], [4.0, np.nan]])
    # One bin: distances 1000 twice, 2000 once; halved squares 2, 0 and 0.5.
    assert lags(stations, values) == pytest.approx(np.array([[4000 / 3, 2.5 / 3, 3]]))


@pytest.mark.parametrize("model", SHAPES)
def test_fit_finds_the_curve_its_points_were_drawn_from(model):
    distance = np.linspace(5e3, 1.5e5, 15)
    truth = Variogram(model, 0.02, 0.4, 6e4)
    table = np.stack([distance, truth(distance), np.full(15, 50.0)], axis=1)
    found = fit(table, model)
    assert found.range == pytest.approx(truth.range, rel=0.02)
    assert found.psill == pytest.approx(truth.psill, rel=0.02)
    assert found.nugget == pytest.approx(truth.nugget, abs=0.005)


def test_points_with_more_pairs_weigh_more():
    distance = np.linspace(5e3, 1.5e5, 15)
    truth = Variogram("spherical", 0.0, 0.4, 6e4)
    table = np.stack([distance, truth(distance), np.full(15, 1e6)], axis=1)
    table[-1, 1:] = 4.0, 1.0  # a wild point of one pair
    assert fit(table, "spherical").psill == pytest.approx(0.4, rel=0.01)


def test_fit_weighs_by_pairs_as_scipy_does():
    distance = np.linspace(1e4, 1.5e5, 6)
    semivariance = np.array([0.11, 0.16, 0.42, 0.30, 0.55, 0.38])
    pairs = np.array([2.0, 40.0, 3.0, 55.0, 5.0, 30.0])

    def curve(h, nugget, psill, reach):
        return nugget + psill * (1 - np.exp(-3 * h / reach))

    (nugget, psill, reach), _ = curve_fit(
        curve, distance, semivariance, (0.05, 0.3, 1e5), pairs**-0.5, bounds=(0, [1, 2, 4.5e5])
    )
    found = fit(np.stack([distance, semivariance, pairs], axis=1), "exponential")
    assert found.range == pytest.approx(reach, rel=0.02)
    assert (found.nugget, found.psill) == pytest.approx((nugget, psill), abs=0.005)


def test_fit_never_goes_negative():
    table = np.array([[1e4, 1.0, 10], [2e4, 0.5, 10], [3e4, 0.1, 10]])
    found = fit(table, "spherical")
    assert found.nugget >= 0
    assert found.psill >= 0


def test_stations_that_never_differ_still_give_a_solvable_system():
    values = np.full((10, 2), 1.0)
    variogram = fit(lags(STATIONS, values), "spherical")
    assert kriged(PLACES, STATIONS, values, variogram) == pytest.approx(np.ones((4, 2)))


def test_swiss_rain_is_kriged_as_well_as_published():
    paths = [SHARED / "rain" / f"sic.{n}.csv" for n in (100, 367)]
    if not paths[0].exists():
        pytest.skip(f"real files are not here: {paths[0]}")
    known, hidden = (pd.read_csv(path) for path in paths)
    stations, places = (table[["x_km", "y_km"]].to_numpy() * 1e3 for table in (known, hidden))
    rain, truth = (table["rain_tenth_mm"].to_numpy() for table in (known, hidden))
    variogram = fit(lags(stations, (rain / rain.mean())[:, None]), "spherical")
    error = kriged(places, stations, rain, variogram)[:, 0] - truth
    assert np.sqrt(np.mean(error**2)) <= 57
    assert variogram.range == pytest.approx(72e3, rel=0.1)
