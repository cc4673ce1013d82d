"""Trends of maps: cell by cell against scipy, shares against years permuted one by one."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import rasterio
from rasterio.crs import CRS
from rasterio.transform import Affine
from rasterio.windows import Window
from scipy import stats

import trend_maps
from _log import UserError
from _raster import Grid, created, write

YEARS = np.arange(2009, 2019)
# In degrees from 63 to 3 north, so that rows cover very different ground.
CELLS = Grid(CRS.from_epsg(4326), Affine(5, 0, 90, 0, -10, 63), 8, 6)
AREA = np.ones(CELLS.shape, bool)
AREA[:, 7] = False
NAN = np.nan


def noise(seed=1, years=YEARS, cells=CELLS, common=0.006):
    """Return maps without a trend (years, rows, cols) whose years are alike in all cells."""
    random = np.random.default_rng(seed)
    own = random.normal(0, 0.008, (len(years), *cells.shape))
    return 0.35 + own + random.normal(0, common, (len(years), 1, 1))


def study(folder, maps, years=YEARS, cells=CELLS, area=AREA):
    """Write maps of July, grid and lonlat; return the named arguments of main."""
    with created(f"{folder}/grid.tif", cells, {"inside": "1"}, "uint8", 255) as target:
        target.write(area.astype("uint8"), 1)
    bands = dict.fromkeys(("longitude", "latitude"), "degree")
    with created(f"{folder}/lonlat.tif", cells, bands, "float64") as target:
        target.write(np.stack(cells.centres()))
    paths = [f"{folder}/monthly/{year}-07.tif" for year in years]
    for path, layer in zip(paths, maps, strict=True):
        layer = np.where(area, layer, NAN)
        write(path, cells, {"soil_moisture": layer}, {"soil_moisture": "m3/m3"})
    return dict(
        maps=paths,
        grid=f"{folder}/grid.tif",
        lonlat_file=f"{folder}/lonlat.tif",
        trend=f"{folder}/trend/07.tif",
        table=f"{folder}/trend/07.csv",
        calendar="07",
        rate=0.10,
        permutations=99,
        seed=1,
        unit="m3/m3",
        note="simulated",
    )


def run(**given):
    trend_maps.main(**given)
    with rasterio.open(given["trend"]) as source:
        bands = dict(zip(source.descriptions, source.read().astype("float64"), strict=True))
    table = pd.read_csv(given["table"], dtype={"month": str})
    return bands, table.set_index(["quantity", "part"])


def stored(maps):
    """Return maps as the files hold them."""
    return np.where(AREA, maps, NAN).astype("float32").astype("float64")


def gapped(seed=1):
    maps = noise(seed) + 0.004 * np.linspace(-1, 1, 8) * (YEARS - 2013)[:, None, None]
    maps[np.random.default_rng(9).random(maps.shape) < 0.1] = NAN
    maps[4:, 2, 3] = NAN  # four years: no trend
    maps[:, 3, 3] = 0.3  # never changes
    maps[:, 4, 4] = NAN
    return maps


def test_every_cell_is_that_of_scipy(tmp_path):
    maps = gapped()
    bands, table = run(**study(tmp_path, maps))
    assert tuple(bands) == trend_maps.BANDS
    maps, p = stored(maps), np.full(CELLS.shape, NAN)
    for row, col in np.ndindex(CELLS.shape):
        series = maps[:, row, col]
        there = np.isfinite(series)
        here = {name: layer[row, col] for name, layer in bands.items()}
        if there.sum() < 5:
            assert np.isnan(list(here.values())).all()
            continue
        years, series = YEARS[there], series[there]
        flat = len(set(series)) == 1
        p[row, col] = 1 if flat else stats.kendalltau(years, series, method="exact").pvalue
        assert here["p_kendall"] == pytest.approx(p[row, col], rel=1e-6)
        assert here["slope"] == pytest.approx(np.polyfit(years, series, 1)[0], abs=1e-8)
        if not flat:
            assert here["p_slope"] == pytest.approx(
                stats.linregress(years, series).pvalue, rel=1e-5
            )
        sen = stats.theilslopes(series, years, 0.95)
        found = here["sen"], here["sen_low"], here["sen_high"]
        assert found == pytest.approx(sen[0:1] + (sen.low_slope, sen.high_slope), abs=1e-8)
    tested = np.isfinite(p)
    kept = stats.false_discovery_control(p[tested]) <= 0.10
    assert 3 < kept.sum() < 0.8 * tested.sum()
    np.testing.assert_array_equal(bands["significant"][tested], kept)
    assert np.isnan(bands["significant"][~tested]).all()
    assert table.loc[("share_significant", "all"), "n"] == tested.sum()


def by_hand(maps, times):
    """Return the slopes (rows, cols) of maps under some times of the years, cell by cell."""
    slopes = np.full(maps.shape[1:], NAN)
    for row, col in np.ndindex(slopes.shape):
        there = np.isfinite(maps[:, row, col])
        if there.sum() >= 5:
            slopes[row, col] = np.polyfit(times[there], maps[there, row, col], 1)[0]
    slopes[np.abs(slopes) < 1e-12] = NAN
    return slopes


def quarters():
    longitude, latitude = CELLS.centres()
    w = np.cos(np.deg2rad(latitude)) * AREA
    west = longitude < 107.4  # the middle of seven columns is their centre, and east of it
    north = latitude >= (w * latitude).sum() / w.sum()
    parts = {"NW": west & north, "NE": ~west & north, "SW": west & ~north, "SE": ~west & ~north}
    w = np.round(np.cos(np.deg2rad(latitude)) * 2**14) / 2**14
    return {"all": np.ones(CELLS.shape, bool)} | parts, w


def test_shares_are_of_ground_and_judged_by_permuted_years(tmp_path):
    maps = gapped()
    bands, table = run(**study(tmp_path, maps))
    parts, w = quarters()
    maps = stored(maps)

    def share(slopes, part):
        known = part & np.isfinite(slopes)
        return w[known & (slopes > 0)].sum() / w[known].sum(), known.sum()

    slopes = by_hand(maps, YEARS)
    null = [by_hand(maps, times) for times in trend_maps.orders(YEARS, 99, seed=1)]
    for name, part in parts.items():
        row = table.loc[("share_increasing", name)]
        value, n = share(slopes, part)
        of_null = np.array([share(other, part)[0] for other in null])
        assert row["value"] == pytest.approx(value, rel=1e-6) and row["n"] == n
        assert (row["low"], row["high"]) == pytest.approx(np.percentile(of_null, [5, 95]), abs=1e-6)
        beyond = (np.abs(of_null - 0.5) >= abs(value - 0.5) - 1e-6).sum()
        assert row["p"] == pytest.approx((1 + beyond) / 100)
        known = part & np.isfinite(bands["slope"])
        mean = table.loc[("mean_slope", name)]
        expected = (w * np.nan_to_num(bands["slope"]))[known].sum() / w[known].sum()
        assert mean["value"] == pytest.approx(expected, abs=1e-9) and mean["n"] == known.sum()
        marked = known & (bands["significant"] == 1)
        for quantity, has in (
            ("share_significant", marked),
            ("share_significant_increasing", marked & (bands["sen"] > 0)),
        ):
            found = table.loc[(quantity, name), "value"]
            assert found == pytest.approx(w[has].sum() / w[known].sum(), rel=1e-6)
        sen = np.where(bands["sen"] == 0, NAN, bands["sen"])
        found = table.loc[("share_increasing_sen", name)]
        assert (found["value"], found["n"]) == pytest.approx(share(sen, part), rel=1e-6)
    # The cell that never changes has a slope of 0: tested, but in no share (U30).
    shown = table.loc[("share_increasing", "all"), "n"], table.loc[("mean_slope", "all"), "n"]
    assert shown[0] == shown[1] - 1
    slopes = bands["slope"][np.isfinite(bands["slope"])]
    marks = [table.loc[("slope_percentile", part), "value"] for part in trend_maps.PERCENTILES]
    assert marks == pytest.approx(np.percentile(slopes, [0, 0.1, 50, 99.9, 100]), abs=1e-9)


def test_small_pieces_give_the_same_maps_and_table(tmp_path, monkeypatch):
    given = study(tmp_path, gapped())
    bands, table = run(**given)
    monkeypatch.setattr(trend_maps, "AT_ONCE", 5)
    monkeypatch.setattr(trend_maps, "FITTING", 2)
    monkeypatch.setattr("_raster.Grid.blocks.__defaults__", (4,))
    again, other = run(**given)
    for name, layer in bands.items():
        np.testing.assert_array_equal(layer, again[name])
    pd.testing.assert_frame_equal(table, other, rtol=1e-6)


def test_same_inputs_give_the_same_bytes(tmp_path):
    given = study(tmp_path, gapped())
    run(**given)
    first = [Path(given[name]).read_bytes() for name in ("trend", "table")]
    run(**given)
    assert [Path(given[name]).read_bytes() for name in ("trend", "table")] == first


def test_areas_under_permuted_years_add_up_in_any_order():
    random = np.random.default_rng(2)
    deviation = trend_maps.deviations(random.normal(size=(10, 900)))
    parts = trend_maps.ground(Grid(CELLS.crs, CELLS.transform, 150, 6), Window(0, 0, 150, 6))
    parts, shuffled = np.stack([parts, parts[::-1]], axis=1), trend_maps.orders(YEARS, 50, seed=1)
    found = trend_maps.rising(deviation, parts, shuffled)
    np.testing.assert_array_equal(
        found, trend_maps.rising(deviation[:, ::-1], parts[::-1], shuffled)
    )
    expected = (shuffled.astype("float64") @ deviation > 0) @ parts
    np.testing.assert_array_equal(found, expected)


def test_the_raster_says_what_it_is(tmp_path):
    given = study(tmp_path, noise())
    run(**given)
    with rasterio.open(given["trend"]) as source:
        assert source.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert source.tags()["note"] == "simulated"
        assert source.tags()["description"] == "trend of month 07, 2009 to 2018"
        year = "m3/m3 per year"
        assert source.units == (year, "1", year, year, year, "1", "1")


@pytest.mark.parametrize("slope", [0.003, -0.005, 0.01])
def test_a_planted_trend_is_found(tmp_path, slope):
    maps = noise(common=0.003) + slope * (YEARS - 2013)[:, None, None]
    _, table = run(**study(tmp_path, maps))
    domain = table.loc[("domain_slope", "all")]
    assert domain["low"] < slope < domain["high"] and domain["p"] < 0.01 and domain["n"] == 10
    assert table.loc[("mean_slope", "all"), "value"] == pytest.approx(slope, abs=0.001)
    share = table.loc[("share_increasing", "all"), "value"]
    assert share > 0.85 if slope > 0 else share < 0.15
    found = table.loc[("share_significant", "all"), "value"]
    assert found > (0.3 if abs(slope) < 0.004 else 0.8)
    rising = table.loc[("share_significant_increasing", "all"), "value"]
    assert rising == (found if slope > 0 else 0)


@pytest.mark.parametrize(("common", "least"), [(0.002, 0.02), (0.013, 0.0)])
def test_without_a_trend_the_tests_stay_silent(common, least):
    """Of 300 worlds without a trend at most 1 in 20 has p < 0.05, however alike its cells are."""
    shuffled, ones = trend_maps.orders(YEARS, 199, seed=3), np.ones((40, 1))
    random, p, width = np.random.default_rng(5), [], []
    for _ in range(300):
        maps = random.normal(0, 0.006, (10, 40)) + random.normal(0, common, (10, 1))
        deviation = trend_maps.deviations(maps)
        value = (trend_maps.direction(deviation, YEARS) > 0).mean()
        null = trend_maps.rising(deviation, ones, shuffled)[:, 0] / 40
        low, high, chance = trend_maps.against(null, value)
        p.append(chance)
        width.append(high - low)
    assert least <= np.mean(np.array(p) < 0.05) < 0.085
    assert (np.mean(width) > 0.8) == (common > 0.01), "D7: nine tenths of an area rise by chance"


def test_a_field_without_a_trend_has_no_significant_cell(tmp_path):
    for seed in range(5):
        _, table = run(**study(tmp_path, noise(seed)))
        assert table.loc[("share_significant", "all"), "value"] <= 0.05
        assert table.loc[("domain_slope", "all"), "p"] > 0.05


@pytest.mark.parametrize("count", [1, 2, 4])
def test_few_years_have_no_trend_and_the_log_says_so(tmp_path, caplog, count):
    given = study(tmp_path, noise()[:count], YEARS[:count])
    with caplog.at_level("INFO", "soil-moisture"):
        bands, table = run(**given)
    assert all(np.isnan(layer).all() for layer in bands.values())
    assert table[["value", "low", "high", "p"]].isna().all(axis=None)
    assert len(table) == 5 * 5 + 1 + 5
    assert f"month 07: {count} years; a trend needs 5" in caplog.text
    assert (table.drop(("domain_slope", "all"))["n"] == 0).all()


def test_a_month_without_any_value_has_no_trend(tmp_path):
    bands, table = run(**study(tmp_path, noise() * NAN))
    assert np.isnan(bands["slope"]).all() and table["value"].isna().all()


def test_a_dry_cell_that_is_missing_makes_no_year_wet(tmp_path):
    maps = np.broadcast_to(0.3 + 0.002 * (YEARS - 2013)[:, None, None], (10, *CELLS.shape)).copy()
    maps[:, :, :3] -= 0.2
    whole = run(**study(tmp_path, maps))[1].loc[("domain_slope", "all")]
    assert (whole["value"], whole["low"], whole["high"]) == pytest.approx((0.002,) * 3, abs=1e-7)
    assert whole["p"] == pytest.approx(2 / 3628800, rel=1e-6)
    maps[5:7, :, :3] = NAN
    found = run(**study(tmp_path, maps))[1].loc[("domain_slope", "all"), "value"]
    assert found == pytest.approx(0.002, abs=2e-4)


def test_years_drawn_again_by_hand():
    """With five years, the interval is that of all 3125 draws but for the draws' own chance."""
    years, series = np.arange(5), np.array([0.0, 2.0, 1.0, 5.0, 3.0])
    every = []
    for drawn in np.ndindex((5,) * 5):
        t, y = years[list(drawn)], series[list(drawn)]
        slopes = [(y[j] - y[i]) / (t[j] - t[i]) for i in range(5) for j in range(i) if t[i] != t[j]]
        every.append(np.median(slopes) if slopes else NAN)
    expected = np.nanpercentile(every, [2.5, 97.5])
    assert trend_maps.redrawn(series, years, seed=1) == pytest.approx(expected, abs=0.34)
    gapped = np.array([0.0, NAN, 2.0, 1.0, 5.0, 3.0])
    assert np.isfinite(trend_maps.redrawn(gapped, np.arange(6), seed=1)).all()
    assert np.isnan(trend_maps.redrawn(series[:4], years[:4], seed=1)).all()


def test_a_share_against_its_null_by_hand():
    null = np.array([0.1, 0.5, 0.6, 0.9])
    assert trend_maps.against(null, 0.9)[2] == pytest.approx(3 / 5)
    assert trend_maps.against(null, 0.05)[2] == pytest.approx(1 / 5)
    assert trend_maps.against(null, 0.6)[:2] == pytest.approx(np.percentile(null, [5, 95]))
    assert np.isnan(trend_maps.against(null, NAN)).all()


def test_other_months_are_refused(tmp_path):
    given = study(tmp_path, noise())
    with pytest.raises(UserError, match=r"expected maps YYYY-08\.tif, one a year in their order"):
        trend_maps.main(**given | dict(calendar="08"))
    with pytest.raises(UserError, match=r"found 2018-07, 2017-07"):
        trend_maps.main(**given | dict(maps=given["maps"][::-1]))


def test_other_cells_are_refused(tmp_path):
    given = study(tmp_path, noise())
    other = Grid(CELLS.crs, CELLS.transform, 3, 3)
    write(given["maps"][4], other, {"soil_moisture": np.ones((3, 3))}, {"soil_moisture": ""})
    with pytest.raises(UserError, match=r"2013-07\.tif: expected the cells of .*grid\.tif"):
        trend_maps.main(**given)


def test_an_empty_area_is_refused(tmp_path):
    given = study(tmp_path, noise(), area=np.zeros(CELLS.shape, bool))
    with pytest.raises(UserError, match=r"grid\.tif: expected cells inside the study area"):
        trend_maps.main(**given)
