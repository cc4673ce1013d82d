"""Series of the area: means by hand on two kinds of cells, statistics against numpy and pandas."""

import numpy as np
import pandas as pd
import pytest
from rasterio.crs import CRS
from rasterio.transform import Affine

import summarise_series
from _log import UserError
from _raster import Grid, created, write
from summarise_series import association, correlations, season_means, without_season

NAN = np.nan
# Longitude 100 to 104, latitude 64 to 56: eight rows of a degree. The last column is outside.
MAP = Grid(CRS.from_epsg(4326), Affine(1, 0, 100, 0, -1, 64), 5, 8)
COARSE = Grid(CRS.from_epsg(4326), Affine(2, 0, 98, 0, -4, 68), 5, 4)
YEARS, SEASON = range(2009, 2019), ("05", "06", "07")
MONTHS = [f"{year}-{month}" for year in YEARS for month in SEASON]
NAMES = ("maps", "smci", "smc", "era5land", "rain")


def values(seed=1):
    """Return {quantity: (years, months)}: a season, and soil moisture that follows the rain."""
    random = np.random.default_rng(seed)
    wet = random.normal(size=(10, 3))
    season = np.array([0.0, 1.0, 0.4])
    return {
        "maps": 0.3 + 0.02 * (season + wet),
        "smci": 0.32 + 0.02 * (season + wet) + random.normal(0, 0.002, (10, 3)),
        "smc": 0.3 + 0.02 * season + random.normal(0, 0.01, (10, 3)),
        "era5land": np.full((10, 3), 0.35),
        "rain": 80 + 40 * (season + 0.5 * wet + 0.3 * random.normal(size=(10, 3))),
    }


def study(folder, given=None, months=MONTHS):
    """Write rasters that hold one value a month each; return the arguments of main."""
    given = given or values()
    area = np.ones(MAP.shape, "uint8")
    area[:, 4] = 0
    with created(f"{folder}/grid.tif", MAP, {"inside": "1"}, "uint8", 255) as target:
        target.write(area, 1)
    files = {}
    for name in NAMES:
        cells = COARSE if name in ("smci", "era5land") else MAP
        files[name] = [f"{folder}/{name}/{month}.tif" for month in months]
        for path, value in zip(files[name], given[name].ravel(), strict=True):
            write(path, cells, {name: np.full(cells.shape, value)}, {name: ""})
    return files | dict(
        grid=f"{folder}/grid.tif",
        series=f"{folder}/series.csv",
        statistics=f"{folder}/statistics.csv",
        permutations=199,
        seed=1,
        unit="m3/m3",
        years=sorted({month[:4] for month in months}),
        year_begins=1,
    )


def run(**given):
    summarise_series.main(**given)
    statistics = pd.read_csv(given["statistics"], dtype={"scale": str})
    series = pd.read_csv(given["series"], dtype={"period": str})
    return (
        series.set_index(["quantity", "period"]),
        statistics.set_index(["quantity", "of", "scale"]).sort_index(),
    )


def test_series_and_their_statistics(tmp_path):
    found = values()
    series, statistics = run(**study(tmp_path))
    soil, rain = (found[name].astype("float32").astype("float64") for name in ("maps", "rain"))
    assert series.loc[("soil_moisture", "2010-06"), "value"] == pytest.approx(soil[1, 1], rel=1e-7)
    assert series.loc[("rain", "2018"), "value"] == pytest.approx(rain[9].mean(), rel=1e-7)
    assert (series["share"] == 1).all() and len(series) == 5 * 40
    assert set(series.loc["rain", "unit"]) == {"mm/month"}
    assert set(series.loc["SMC", "unit"]) == {"m3/m3"}

    def row(quantity, of, scale):
        return statistics.loc[(quantity, of, scale)]

    flat, pair = (soil - soil.mean(axis=0), rain - rain.mean(axis=0)), "soil_moisture~rain"
    for scale, sides, n in (
        ("monthly", (soil, rain), 30),
        ("annual", (soil.mean(axis=1), rain.mean(axis=1)), 10),
        ("deseasonalised", flat, 30),
    ):
        here, expected = row("correlation", pair, scale), np.corrcoef(*map(np.ravel, sides))[0, 1]
        assert here["value"] == pytest.approx(expected, abs=1e-7) and here["n"] == n
        assert here["low"] < here["value"] < here["high"] and here["p"] < 0.05
    before = row("correlation", f"{pair} of the month before", "monthly")
    expected = np.corrcoef(soil[:, 1:].ravel(), rain[:, :2].ravel())[0, 1]
    assert before["value"] == pytest.approx(expected, abs=1e-7) and before["n"] == 20
    assert np.isnan(row("correlation", "soil_moisture~ERA5-Land", "monthly")["value"])
    usual = [row("mean_of_month", "rain", month)["value"] for month in SEASON]
    assert usual == pytest.approx(rain.mean(axis=0), rel=1e-7)
    assert row("month_of_maximum", "rain", "monthly")["value"] == 6
    for quantity in ("minimum", "maximum", "mean"):
        take = {"minimum": np.min, "maximum": np.max, "mean": np.mean}[quantity]
        for scale, part in (("monthly", soil), ("annual", soil.mean(axis=1))):
            shown = row(quantity, "soil_moisture", scale)["value"]
            assert shown == pytest.approx(take(part), rel=1e-7)


def test_same_inputs_give_the_same_bytes(tmp_path):
    given = study(tmp_path)
    run(**given)
    first = [(tmp_path / name).read_bytes() for name in ("series.csv", "statistics.csv")]
    run(**given)
    assert [(tmp_path / n).read_bytes() for n in ("series.csv", "statistics.csv")] == first


def test_means_and_shares_are_of_the_ground(tmp_path, caplog):
    given = study(tmp_path)
    layer = np.repeat(np.arange(8.0)[:, None], 5, axis=1)
    layer[:, 4], layer[:5, :4] = 99, NAN  # outside; and five of eight rows have no value
    write(given["maps"][0], MAP, {"maps": layer}, {"maps": ""})
    # Of the coarse cells only 101 and 103 east at 62 and 58 north have their centre in the area.
    coarse = np.arange(20.0).reshape(4, 5)
    coarse[2, 2] = NAN
    write(given["smci"][0], COARSE, {"smci": coarse}, {"smci": ""})
    with caplog.at_level("INFO", "soil-moisture"):
        series, _ = run(**given)
    w = np.cos(np.deg2rad(63.5 - np.arange(8)))
    row = series.loc[("soil_moisture", "2009-05")]
    assert row["value"] == pytest.approx((w * np.arange(8))[5:].sum() / w[5:].sum())
    assert row["share"] == pytest.approx(w[5:].sum() / w.sum())
    north, south = np.cos(np.deg2rad([62, 58]))
    row = series.loc[("SMCI", "2009-05")]
    assert row["value"] == pytest.approx((6 * north + 7 * north + 11 * south) / (2 * north + south))
    assert row["share"] == pytest.approx((2 * north + south) / (2 * north + 2 * south))
    assert "soil_moisture: 30 months, a value in 0.9" in caplog.text
    assert "below half in 1 months (2009-05)" in caplog.text


def test_a_season_needs_half_of_its_months():
    months = pd.DataFrame(
        {
            "period": ["2009-05", "2009-06", "2009-07", "2010-05", "2010-06", "2010-07"],
            "value": [1.0, NAN, 5.0, NAN, NAN, 5.0],
            "share": [1.0, 0.0, 0.5, 0.0, 0.0, 0.9],
        }
    )
    found = season_means(months, ["2009", "2010"])
    assert found["value"].tolist() == pytest.approx([3, NAN], nan_ok=True)
    assert found["share"].tolist() == pytest.approx([0.5, 0.3])


def test_winters_are_means_of_their_own_and_time_runs_through_them(tmp_path):
    """Soil moisture that rises by 0.012 a year; the half winters at both ends have no mean."""
    months = [f"{year}-{month}" for year in range(2009, 2016) for month in ("01", "11", "12")]
    time = np.array([int(m[:4]) + (int(m[5:]) - 0.5) / 12 for m in months])
    rising = 0.012 * (time - 2009)
    rain = np.random.default_rng(3).gamma(4, 20, len(months))
    given = dict.fromkeys(NAMES, rising.reshape(7, 3)) | {"rain": rain.reshape(7, 3)}
    years = [str(year) for year in range(2010, 2016)]
    files = study(tmp_path, given, months) | dict(years=years, year_begins=11)
    series, statistics = run(**files)
    assert [p for p in series.loc["rain"].index if len(p) == 4] == years
    assert series.loc[("rain", "2010"), "value"] == pytest.approx(rain[[1, 2, 3]].mean())
    for scale, n, off in (("annual", 6, 1e-5), ("deseasonalised", 21, 0.15)):
        row = statistics.loc[("sen_slope", "soil_moisture", scale)]
        assert row["value"] == pytest.approx(0.012, rel=off) and row["n"] == n
    before = statistics.loc[("correlation", "soil_moisture~rain of the month before", "monthly")]
    # December is after November, January after December of the year before; November after none.
    pairs = [(n, n - 1) for n, month in enumerate(months) if month[5:] != "11" and n]
    expected = np.corrcoef(*np.array([(rising[a], rain[b]) for a, b in pairs]).T)[0, 1]
    assert before["n"] == len(pairs) == 13 and before["value"] == pytest.approx(expected, abs=1e-6)


def test_a_season_alone_is_no_association():
    random, season = np.random.default_rng(4), np.array([0, 4, 8, 6, 2, 0.0])
    a, b = (season + random.normal(size=(10, 6)) for _ in range(2))
    value, low, high, p, n = association(a, b, 999, 1)
    assert value > 0.8 and low > 0.7 and n == 60
    assert p > 0.1, "years in random order have the same season"
    value, _, _, p, _ = association(without_season(a), without_season(b), 999, 1)
    assert abs(value) < 0.3 and p > 0.1


def test_permuted_years_find_one_in_twenty_by_chance():
    random = np.random.default_rng(2)
    p = [association(*random.normal(size=(2, 10, 1)), 99, 1)[3] for _ in range(200)]
    assert 0.01 < np.mean(np.array(p) <= 0.05) < 0.1


def test_draws_are_correlated_as_numpy_does_it():
    random = np.random.default_rng(3)
    a, b = random.normal(size=(2, 5, 4, 3))
    a[0, 0, 0] = b[1, 2, 1] = NAN
    b[2] = 0.1 + 0.2  # constant but for rounding
    a[3, 1:], b[4, :, :] = NAN, NAN
    a[3, 0, 0] = NAN
    found = correlations(a, b)
    for number in (0, 1):
        both = np.isfinite(a[number] + b[number])
        expected = np.corrcoef(a[number][both], b[number][both])[0, 1]
        assert found[number] == pytest.approx(expected, rel=1e-12)
    assert np.isnan(found[2:]).all(), "constant, two pairs, no pair"


def test_deviations_need_a_second_year():
    found = without_season(np.array([[1.0, 2.0], [3.0, NAN]]))
    np.testing.assert_array_equal(found, [[-1, NAN], [1, NAN]])


@pytest.mark.parametrize(("slope", "found"), [(0.005, True), (0.0, False)])
def test_a_planted_trend_is_found_and_none_where_there_is_none(tmp_path, slope, found):
    given = values()
    given["maps"] = given["maps"] / 4 + slope * np.arange(10)[:, None]
    _, statistics = run(**study(tmp_path, given))
    for scale, n in (("annual", 10), ("deseasonalised", 30)):
        row = statistics.loc[("sen_slope", "soil_moisture", scale)]
        assert row["low"] < slope < row["high"] and row["n"] == n
        assert (row["p"] < 0.01) == found


def test_one_year_has_means_and_no_statistics(tmp_path):
    given = {name: part[:1] for name, part in values().items()}
    series, statistics = run(**study(tmp_path, given, MONTHS[:3]))
    assert len(series) == 5 * 4
    assert np.isnan(statistics.loc[("sen_slope", "rain", "annual"), "value"])
    row = statistics.loc[("correlation", "soil_moisture~rain", "monthly")]
    assert np.isfinite(row["value"]) and np.isnan(row["low"]) and np.isnan(row["p"])
    assert np.isnan(statistics.loc[("correlation", "soil_moisture~rain", "annual"), "value"])


def test_a_product_without_any_value_has_empty_rows(tmp_path):
    given = values()
    given["smc"][:] = NAN
    series, statistics = run(**study(tmp_path, given))
    assert series.loc["SMC", "value"].isna().all() and (series.loc["SMC", "share"] == 0).all()
    of_smc = statistics[["SMC" in key[1].split("~") for key in statistics.index]]
    assert of_smc["value"].isna().all() and (of_smc["n"] == 0).all()


def test_maps_without_any_value_are_refused(tmp_path):
    given = values()
    given["maps"][:] = NAN
    with pytest.raises(UserError, match=r"2009-05\.tif: expected maps with values in the study"):
        run(**study(tmp_path, given))


def test_rasters_on_other_cells_are_refused(tmp_path):
    given = study(tmp_path)
    write(given["smc"][1], COARSE, {"smc": np.ones(COARSE.shape)}, {"smc": ""})
    with pytest.raises(UserError, match=r"smc/2009-06\.tif: expected the cells of .*2009-05\.tif"):
        run(**given)
