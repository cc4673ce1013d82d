"""The pooled variogram and the leave-one-gauge-out scores."""

import json
import logging

import numpy as np
import pandas as pd
import pytest
import rasterio
from rasterio.transform import Affine

import fit_variogram
from _kriging import Variogram, dual, estimate
from _log import UserError
from fit_variogram import beside_elevation, by_month, fitted, left_out, relative, scored

CRS = "+proj=aea +lat_1=28 +lat_2=36 +lat_0=0 +lon_0=101 +datum=WGS84 +units=m +no_defs"


def gauges(n, months, seed=1):
    random = np.random.default_rng(seed)
    return random.uniform(0, 5e5, (n, 2)), random.gamma(5, 20, (n, months))


def totals(n=6, months=("2010-06", "2010-07")):
    random = np.random.default_rng(2)
    rows = [
        (f"5607{k}099999", 30 + k, 100 + k * k / 9, month, random.uniform(40, 200))
        for k in range(n)
        for month in months
    ]
    return pd.DataFrame(rows, columns=["station", "lat", "lon", "month", "total"])


def test_each_month_is_relative_to_its_own_mean():
    values = np.array([[10.0, 300.0], [30.0, 100.0], [np.nan, 200.0]])
    assert relative(values) == pytest.approx(
        np.array([[0.5, 1.5], [1.5, 0.5], [np.nan, 1.0]]), nan_ok=True
    )


def test_dry_months_and_silent_stations_are_left_out():
    table = totals(3)
    table.loc[table["month"] == "2010-07", "total"] = 0.0
    table.loc[table["station"] == "56070099999", "total"] = np.nan
    places, values = by_month(table)
    assert list(values.columns) == ["2010-06"]
    assert list(places.index) == list(values.index) == ["56071099999", "56072099999"]


def test_the_scale_of_a_month_does_not_change_the_variogram():
    stations, values = gauges(12, 5)
    first, _ = fitted(stations, values, "spherical")
    second, _ = fitted(stations, values * [1.0, 10.0, 0.1, 3.0, 7.0], "spherical")
    assert first.range == pytest.approx(second.range)
    assert first.nugget + first.psill == pytest.approx(second.nugget + second.psill)


@pytest.mark.parametrize(("n", "months"), [(1, 4), (2, 4), (5, 0)])
def test_too_few_gauges_get_a_stand_in_and_a_warning(n, months, caplog):
    stations, values = gauges(n, months)
    with caplog.at_level(logging.WARNING):
        variogram, table = fitted(stations, values, "exponential")
    assert "no variogram can be fitted" in caplog.text
    assert (variogram.nugget, variogram.psill) == (0.0, 1.0)
    assert variogram.range > 0
    assert len(table) == 0


def test_pykrige_and_our_kriging_agree_on_the_gauge_left_out():
    stations, values = gauges(8, 3)
    values[2, 1] = np.nan
    variogram = Variogram("spherical", 0.05, 0.5, 3e5)
    rows = iter(left_out(stations, values, variogram).itertuples(index=False))
    for month in range(3):
        for station in np.flatnonzero(np.isfinite(values[:, month])):
            others = np.isfinite(values[:, month]) & (np.arange(8) != station)
            weights = dual(stations[others], values[others][:, [month]], variogram)
            ours = estimate(stations[[station]], stations[others], weights, variogram)[0, 0]
            row = next(rows)
            assert row[0] == values[station, month]
            assert row[1] == pytest.approx(max(ours, 0), rel=1e-9)
    assert next(rows, None) is None


def test_rivals_by_hand():
    # On a line at 0, 1 and 3 km: for the middle gauge the others weigh 1 and 1/4.
    stations = np.array([(0, 0), (1000, 0), (3000, 0)], float)
    values = np.array([[10.0], [99.0], [20.0]])
    middle = left_out(stations, values, Variogram("spherical", 0.0, 1.0, 5e3)).iloc[1]
    assert middle["inverse distance squared"] == pytest.approx((10 + 20 / 4) / 1.25)
    assert middle["mean of the gauges"] == pytest.approx(15.0)


def test_a_gauge_left_out_is_never_predicted_below_zero():
    # The gauge at 0 lies beyond a steep rise: the kriged map, too, is clipped there.
    stations = np.array([(0, 0), (2000, 0), (2500, 0), (9000, 0)], float)
    values = np.array([[0.0], [1.0], [300.0], [200.0]])
    variogram = Variogram("gaussian", 0.0, 1.0, 8e3)
    weights = dual(stations[1:], values[1:], variogram)
    assert estimate(stations[:1], stations[1:], weights, variogram)[0, 0] < -10
    assert left_out(stations, values, variogram).loc[0, "ordinary kriging"] == 0


def test_scores_by_hand():
    table = pd.DataFrame({"observed": [1.0, 2.0, 3.0], "guess": [2.0, 2.0, 5.0]})
    row = scored(table).iloc[0]
    assert row["RMSE"] == pytest.approx(np.sqrt(5 / 3))
    assert row["bias"] == pytest.approx(1.0)
    assert row["relative_RMSE"] == pytest.approx(np.sqrt(5 / 3) / 2)
    assert row["n"] == 3
    assert row["R"] == pytest.approx(3 / np.sqrt(2 * 6))


def run(folder, table, months=None, **options):
    paths = []
    months = sorted(set(table["month"])) if months is None else months
    for year, part in table.groupby(table["month"].str[:4]):
        paths.append(str(folder / f"{year}.csv"))
        part.to_csv(paths[-1], index=False)
    out = [str(folder / name) for name in ("variogram.json", "scores.csv")]
    fit_variogram.main(paths, *out, months, CRS, "spherical", **options)
    return json.loads((folder / "variogram.json").read_text()), pd.read_csv(out[1])


def test_the_result_says_what_it_rests_on(tmp_path):
    result, scores = run(tmp_path, totals(6, ["2010-06", "2010-07", "2011-06"]))
    assert result["model"] == "spherical"
    assert (result["months"], result["stations"]) == (3, 6)
    # Of the 15 pairs of gauges those nearer than 70 % of the largest distance, in three months.
    assert 0 < result["pairs"] < 45
    assert result["pairs"] == sum(lag["pairs"] for lag in result["lags"])
    assert scores["method"].tolist() == [
        "ordinary kriging",
        "inverse distance squared",
        "mean of the gauges",
    ]
    assert scores["n"].tolist() == [18, 18, 18]


def test_test_months_of_a_training_year_do_not_enter(tmp_path):
    found = []
    for factor in (1.0, 50.0):
        table = totals(6, ["2010-06", "2010-07", "2011-06"])
        odd = (table["month"] == "2010-07") & (table["station"] == "56072099999")
        table.loc[odd, "total"] *= factor
        found.append(run(tmp_path, table, ["2010-06", "2011-06"]))
    assert found[0][0] == found[1][0]
    assert found[0][0]["months"] == 2
    assert found[0][1]["n"].tolist() == [12, 12, 12]


def test_same_totals_give_the_same_bytes(tmp_path):
    run(tmp_path, totals())
    first = (tmp_path / "variogram.json").read_bytes(), (tmp_path / "scores.csv").read_bytes()
    run(tmp_path, totals())
    assert first == (
        (tmp_path / "variogram.json").read_bytes(),
        (tmp_path / "scores.csv").read_bytes(),
    )


def test_two_gauges_cannot_score_and_nothing_breaks(tmp_path):
    result, scores = run(tmp_path, totals(2))
    assert result["pairs"] == 0
    assert scores.empty


def test_two_gauges_at_one_place_are_named(tmp_path):
    table = totals(4)
    table.loc[table["station"] == "56073099999", ["lat", "lon"]] = [31.0, 100 + 1 / 9]
    with pytest.raises(UserError, match="found 56071099999 and 56073099999 at the same one"):
        run(tmp_path, table)


# Other methods ------------------------------------------------------------------------------


def climatology(folder, month, usual, **band):
    """Write usual rain (a function of longitude, mm) around the gauges of `totals`."""
    layer = np.repeat(usual(99.05 + 0.1 * np.arange(50))[None], 90, axis=0)
    path = folder / f"usual_{month}.tif"
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        dtype="float64",
        count=1,
        height=90,
        width=50,
        crs="EPSG:4326",
        transform=Affine(0.1, 0, 99, 0, -0.1, 38),
    ) as target:
        target.write(layer, 1)
    return str(path)


def test_what_a_line_of_elevation_leaves_is_no_longer_tied_to_it():
    random = np.random.default_rng(5)
    elevation = random.uniform(2, 5, 8)
    values = 50 + 20 * elevation[:, None] + random.normal(0, 5, (8, 3))
    values[:5, 2] = np.nan  # three gauges cannot tell a line
    rest = beside_elevation(values, elevation)
    assert rest[:, :2].mean(axis=0) == pytest.approx([0, 0], abs=1e-12)
    assert elevation @ rest[:, :2] == pytest.approx([0, 0], abs=1e-12)
    assert np.isnan(rest[:, 2]).all()


def test_rain_that_is_a_line_of_elevation_is_found_again_by_the_drift_only():
    stations, _ = gauges(7, 1)
    elevation = np.random.default_rng(6).uniform(2.5, 4.5, 7)
    values = np.stack([10 + 30 * elevation, 200 - 40 * elevation], axis=1)
    curve = Variogram("spherical", 0.05, 0.5, 3e5)
    table = left_out(stations, values, curve, elevation=(curve, elevation))
    drift = table["kriging with drift of elevation"]
    assert drift.to_numpy() == pytest.approx(table["observed"].to_numpy(), abs=1e-8)
    assert (table["ordinary kriging"] - table["observed"]).abs().max() > 5


def test_rain_that_is_a_part_of_its_climatology_is_found_again_by_the_ratio_only():
    stations, usual = gauges(7, 2)
    curve = Variogram("spherical", 0.05, 0.5, 3e5)
    table = left_out(stations, usual * [0.5, 1.4], curve, usual=(curve, usual))
    ratio = table["kriging of ratio to climatology"]
    assert ratio.to_numpy() == pytest.approx(table["observed"].to_numpy(), rel=1e-9)
    assert (table["ordinary kriging"] - table["observed"]).abs().max() > 5


def test_where_the_gauges_left_cannot_tell_a_line_the_drift_has_no_score():
    stations, values = gauges(5, 2)
    values[0, 1] = np.nan  # leaves four, and three when one of them is left out
    curve = Variogram("spherical", 0.05, 0.5, 3e5)
    height = np.array([2.0, 3, 4, 3, 2])
    scores = scored(left_out(stations, values, curve, elevation=(curve, height)))
    n = scores.set_index("method")["n"]
    assert n["kriging with drift of elevation"] == 5
    assert n["ordinary kriging"] == 9


def with_elevation(n=6):
    table = totals(n, ["2010-06", "2010-07", "2011-06"])
    height = 3000 + 180.0 * table["station"].str[4].astype(int) ** 1.3
    return table.assign(elevation=height)


def test_every_method_that_can_be_tried_has_a_row_and_one_makes_the_variogram(tmp_path):
    table = with_elevation()
    files = [climatology(tmp_path, m, lambda lon: 80 + 5 * (lon - 100)) for m in ("06", "07")]
    given = dict(climatology=files, season=["06", "07"])
    found = {name: run(tmp_path, table, method=name, **given) for name in fit_variogram.NAMES}
    methods = [
        "ordinary kriging",
        "inverse distance squared",
        "mean of the gauges",
        "kriging with drift of elevation",
        "kriging of ratio to climatology",
    ]
    for _, scores in found.values():
        assert scores["method"].tolist() == methods
        assert scores.equals(found["kriging"][1])
    assert found["kriging"][0] == run(tmp_path, table)[0]
    curves = [str(result["lags"]) for result, _ in found.values()]
    assert len(set(curves)) == 3


def test_each_month_is_divided_by_its_own_climatology(tmp_path, caplog):
    table = with_elevation()
    lon = table["lon"].to_numpy()
    june = (table["month"].str[-2:] == "06").to_numpy()
    usual = {"06": lambda lon: 30 + 8 * (lon - 99), "07": lambda lon: 90 - 6 * (lon - 99)}
    table["total"] = np.where(june, 1.5 * usual["06"](lon), 0.7 * usual["07"](lon))
    files = [climatology(tmp_path, m, usual[m]) for m in ("06", "07")]
    with caplog.at_level(logging.INFO):
        result, scores = run(
            tmp_path, table, method="climatology", climatology=files, season=["06", "07"]
        )
    row = scores.set_index("method").loc["kriging of ratio to climatology"]
    assert row["RMSE"] == pytest.approx(0, abs=1e-6)
    # Ratios that never differ: nothing is left for the variogram to describe.
    assert all(lag["semivariance"] == pytest.approx(0, abs=1e-12) for lag in result["lags"])
    assert "times the rain of the climatology" in caplog.text


def test_a_climatology_in_another_unit_is_refused(tmp_path):
    path = climatology(tmp_path, "06", lambda lon: np.full(lon.shape, 1000.0))
    table = with_elevation().query("month.str.endswith('06')")
    with pytest.raises(UserError, match=r"usual_06.tif: expected mm/month, found .* had 0\.1"):
        run(tmp_path, table, climatology=[path], season=["06"])


def test_a_climatology_that_does_not_reach_a_gauge_is_refused(tmp_path):
    path = climatology(tmp_path, "06", lambda lon: np.where(lon > 101, 100.0, np.nan))
    table = with_elevation().query("month.str.endswith('06')")
    with pytest.raises(UserError, match=r"found no value at 56070099999, 56071099999, "):
        run(tmp_path, table, climatology=[path], season=["06"])


def test_a_drift_that_gauges_cannot_tell_is_refused(tmp_path):
    flat = with_elevation().assign(elevation=3000.0)
    with pytest.raises(UserError, match=r"2010.csv: expected 4 gauges .* 100 m apart, found none"):
        run(tmp_path, flat, method="drift")
    with pytest.raises(UserError, match=r"expected an elevation of every gauge, found none for"):
        run(tmp_path, totals(), method="drift")


def test_the_map_lends_its_elevation_to_a_gauge_without_one(tmp_path):
    table = with_elevation()
    table.loc[table["station"] == "56073099999", "elevation"] = np.nan
    ground = climatology(tmp_path, "DEM", lambda lon: np.full(lon.shape, 3600.0))
    with rasterio.open(ground, "r+") as source:
        source.descriptions = ("DEM",)
    assert len(run(tmp_path, table)[1]) == 3
    _, scores = run(tmp_path, table, method="drift", static=ground)
    assert scores["method"].iloc[-1] == "kriging with drift of elevation"
