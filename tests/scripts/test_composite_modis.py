"""Months from composites: known answers, laws, and granules that cannot be used."""

from datetime import date, timedelta

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pyproj import Transformer

import composite_modis
import define_grid
import index_modis
from _composite import Cut, Month, on_grid
from _granule import PRODUCTS, physical
from _log import UserError
from _raster import Grid, inside, lonlat, read
from composite_modis import cuts
from granules import (
    ET,
    ET_QC,
    LST,
    MANDATORY,
    NDVI,
    QC_DAY,
    RELIABILITY,
    VI,
    WSA,
    make_granule,
)  # fmt: skip

AEA = "+proj=aea +lat_1=28 +lat_2=36 +lat_0=0 +lon_0=101 +datum=WGS84 +units=m +no_defs"
BOX = [102.1, 33.8, 102.2, 33.9]
# 1 km pixels of h26v05 around that box: row 733 is at 33.9 N.
ROW, COL, HIGH, WIDE = 728, 564, 20, 32


class Study:
    """A small area with its grid and index, a place for granules, and a run of the script."""

    def __init__(self, root):
        self.root = root
        self.grid, self.lonlat, self.index = (
            str(root / f"{name}.tif") for name in ("grid", "lonlat", "index")
        )
        define_grid.main((), self.grid, self.lonlat, BOX, AEA, 250)
        index_modis.main(self.lonlat, self.index)
        self.inside = inside(self.grid)

    def granule(self, product, day, layers, **options):
        per = {"MOD13Q1": 4, "MOD11A2": 1}.get(product, 2)
        shape = HIGH * per, WIDE * per
        layers = {name: np.broadcast_to(value, shape) for name, value in layers.items()}
        options = {"row": ROW * per, "col": COL * per} | options
        return make_granule(self.root, product, day, "h26v05", layers, **options)

    def lst(self, day, kelvin, qc=0, **options):
        numbers = np.rint(np.asarray(kelvin) / 0.02)
        return self.granule("MOD11A2", day, {LST: numbers, QC_DAY: qc}, **options)

    def ndvi(self, day, value, reliability=0, vi=0):
        numbers = np.asarray(value) * 10000
        return self.granule("MOD13Q1", day, {NDVI: numbers, RELIABILITY: reliability, VI: vi})

    def run(
        self, variable, paths, months=("2009-05",), qa="recommended", assign="overlap", every=8
    ):
        out = [str(self.root / variable / f"{month}.tif") for month in months]
        composite_modis.main(
            paths, self.grid, self.index, out, variable, months[0][:4], assign, every, qa
        )
        return [read(path) for path in out]

    def values(self, layer):
        """Distinct values inside the area; outside there must be none."""
        assert np.isnan(layer[~self.inside]).all()
        return np.unique(layer[self.inside])


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return tmp_path_factory.mktemp("study")


@pytest.fixture
def study(tmp_path):
    return Study(tmp_path)


def days_in(year, first, every):
    start = date(year, 1, 1) + timedelta(first - 1)
    return [(start + timedelta(every * k)).isoformat() for k in range(5)]


# --- known answers ---


def test_lst_is_weighted_by_the_days_shared_with_the_month(study):
    # 2012: day 121 is 30 April, so that composite shares 7 days with May; day 145 (24 May)
    # shares all 8, days 129 and 137 too: 7 x 290 + 8 x (292 + 294 + 296) = 31 days, no 153rd.
    kelvin = dict(zip(days_in(2012, 121, 8), (290, 292, 294, 296, 310), strict=True))
    paths = [study.lst(day, value) for day, value in kelvin.items()]
    (may,) = study.run("lst", paths[:4], ["2012-05"])
    expected = (7 * 290 + 8 * (292 + 294 + 296)) / 31 - 273.15
    assert study.values(may) == pytest.approx([expected], abs=1e-4)


@pytest.mark.parametrize(
    ("assign", "expected"), [("start", 294.0), ("midpoint", 293.0), ("overlap", 292.9355)]
)
def test_ways_to_assign_a_composite(study, assign, expected):
    # By start, May 2012 has the composites of 8, 16 and 24 May; by midpoint (4 May) also the first.
    kelvin = dict(zip(days_in(2012, 121, 8), (290, 292, 294, 296), strict=False))
    paths = [study.lst(day, value) for day, value in kelvin.items()]
    (may,) = study.run("lst", paths, ["2012-05"], assign=assign)
    expected = {"overlap": (7 * 290 + 8 * 882) / 31}.get(assign, expected)
    assert study.values(may) == pytest.approx([expected - 273.15], abs=1e-4)


def test_a_masked_composite_gives_its_days_to_the_others(study):
    half = np.where(np.arange(WIDE) % 2, 0b10, 0)
    paths = [study.lst("2009-05-01", 280, half), study.lst("2009-05-09", 290)]
    (may,) = study.run("lst", paths)
    assert study.values(may) == pytest.approx([285 - 273.15, 290 - 273.15], abs=1e-4)


def test_ndvi_is_the_maximum_of_the_good_pixels(study):
    marked = np.where(np.arange(4 * WIDE) % 2, 3, 0)
    paths = [
        study.ndvi("2009-04-23", 0.60),
        study.ndvi("2009-05-09", np.where(np.arange(4 * WIDE) % 2, 0.95, 0.30), reliability=marked),
    ]
    (may,) = study.run("ndvi", paths)
    assert study.values(may) == pytest.approx([0.60], abs=1e-6)
    (may,) = study.run("ndvi", paths, qa="paper")
    assert study.values(may) == pytest.approx([0.60, 0.95], abs=1e-6)


def test_a_negative_ndvi_is_a_value(study):
    (may,) = study.run("ndvi", [study.ndvi("2009-05-09", -0.05)])
    assert study.values(may) == pytest.approx([-0.05], abs=1e-6)


def test_et_is_divided_by_the_days_of_its_own_period(study):
    # 16 mm in 8 days are 2 mm a day; the last 5 days of December with 20 mm are 4 mm a day.
    layers = {ET: 160, ET_QC: 0}, {ET: 200, ET_QC: 0}
    paths = [
        study.granule("MOD16A2GF", "2009-12-19", layers[0]),
        study.granule("MOD16A2GF", "2009-12-27", layers[1], days=5),
    ]
    (december,) = study.run("et", paths, ["2009-12"])
    assert study.values(december) == pytest.approx([(8 * 2 + 5 * 4) / 13], abs=1e-5)


def test_wetlands_are_missing_in_et_not_zero_and_not_huge(study):
    number = np.where(np.arange(2 * WIDE) % 2, 32763, 160)
    paths = [study.granule("MOD16A2GF", "2009-05-01", {ET: number, ET_QC: 0})]
    for qa in ("recommended", "paper"):
        (may,) = study.run("et", paths, qa=qa)
        found = may[study.inside]
        assert 0.3 < np.isnan(found).mean() < 0.7
        assert np.unique(found[np.isfinite(found)]) == pytest.approx([2.0], abs=1e-6)


def test_albedo_counts_where_its_date_lies(study):
    # The window around 25 May reaches into June, and counts for May alone.
    numbers = {"2009-05-25": 150, "2009-06-02": 200, "2009-06-10": 220}
    paths = [
        study.granule("MCD43A3", day, {WSA: number, MANDATORY: 1})
        for day, number in numbers.items()
    ]
    may, june = study.run("albedo", paths, ["2009-05", "2009-06"])
    assert study.values(may) == pytest.approx([0.15], abs=1e-6)
    assert study.values(june) == pytest.approx([0.21], abs=1e-6)


def test_a_composite_counts_for_both_months_it_touches(study):
    paths = [
        study.lst("2009-05-25", 280),
        study.lst("2009-06-26", 300),
        study.lst("2009-07-04", 290),
    ]
    may, june, july = study.run("lst", paths, ["2009-05", "2009-06", "2009-07"])
    assert study.values(may) == pytest.approx([280 - 273.15], abs=1e-4)
    # 25 May to 1 June: 1 day in June. 26 June to 3 July: 5 days in June, 3 in July.
    assert study.values(june) == pytest.approx([(280 + 5 * 300) / 6 - 273.15], abs=1e-4)
    assert study.values(july) == pytest.approx([(3 * 300 + 8 * 290) / 11 - 273.15], abs=1e-4)


def test_every_cell_takes_the_pixel_under_its_centre(study):
    # Each 1 km pixel carries its own number; PROJ says which one lies under a cell.
    numbers = 14000 + np.arange(HIGH * WIDE).reshape(HIGH, WIDE)
    (may,) = study.run("lst", [study.lst("2009-05-01", numbers * 0.02)])
    x, y = Transformer.from_crs(
        "+proj=longlat +R=6371007.181 +no_defs",
        "+proj=sinu +lon_0=0 +R=6371007.181 +units=m +no_defs",
        always_xy=True,
    ).transform(*lonlat(study.lonlat))
    tile = 1111950.5197665
    row = np.floor((4 * tile - y) / (tile / 1200)).astype(int) - ROW
    col = np.floor((x - 8 * tile) / (tile / 1200)).astype(int) - COL
    found = np.rint((may[study.inside] + 273.15) / 0.02)
    np.testing.assert_array_equal(found, numbers[row[study.inside], col[study.inside]])


def test_a_whole_tile_gives_what_its_cut_gives(study):
    cut = 14000 + np.arange(HIGH * WIDE).reshape(HIGH, WIDE)
    tile = np.zeros((1200, 1200))
    tile[ROW : ROW + HIGH, COL : COL + WIDE] = cut
    (from_cut,) = study.run("lst", [study.lst("2009-05-01", cut * 0.02)])
    layers = {LST: tile, QC_DAY: np.zeros((1200, 1200))}
    whole = make_granule(study.root, "MOD11A2", "2009-05-01", "h26v05", layers)
    (from_tile,) = study.run("lst", [whole])
    np.testing.assert_array_equal(from_cut, from_tile)


def test_what_is_written(study):
    study.run("lst", [study.lst("2009-05-01", 280)])
    with rasterio.open(study.root / "lst" / "2009-05.tif") as file:
        assert (file.dtypes, file.descriptions, file.units) == (("float32",), ("LST",), ("degC",))
    assert Grid.of(str(study.root / "lst" / "2009-05.tif")) == Grid.of(study.grid)


def test_the_log_counts_what_each_rule_removed(study, caplog):
    numbers = np.full((2 * HIGH, 2 * WIDE), 160)
    numbers[:, ::2] = 32763
    path = study.granule("MOD16A2GF", "2009-05-01", {ET: numbers, ET_QC: 0})
    with caplog.at_level("INFO", "soil-moisture"):
        study.run("et", [path])
    line = next(m for m in caplog.messages if "removed" in m)
    used, of = (int(line.split()[k]) for k in (1, 3))
    assert f"{of - used} 32763 wetland" in line
    assert "1 of 1" in line


# --- laws ---

STORED = arrays("uint16", (3, 4), elements=st.integers(7500, 65535))
MASK = arrays(bool, (3, 4))
COMPOSITES = st.lists(st.tuples(STORED, MASK, st.integers(1, 16)), min_size=1, max_size=6)


def summed(composites, maximum=False):
    month = Month(maximum)
    for numbers, ok, weight in composites:
        month.add("h26v05", numbers, ok, weight)
    return month.value("h26v05", np.arange(12)).reshape(3, 4)


@given(COMPOSITES)
def test_a_mean_lies_between_its_inputs(composites):
    found = summed(composites)
    stack = np.stack([np.where(ok, n.astype(float), np.nan) for n, ok, _ in composites])
    known = np.isfinite(stack).any(axis=0)
    np.testing.assert_array_equal(np.isfinite(found), known)
    assert np.all(found[known] >= np.nanmin(stack[:, known], axis=0))
    assert np.all(found[known] <= np.nanmax(stack[:, known], axis=0))


@given(COMPOSITES, st.randoms(use_true_random=False))
def test_the_order_of_granules_does_not_matter(composites, random):
    shuffled = list(composites)
    random.shuffle(shuffled)
    np.testing.assert_array_equal(summed(composites), summed(shuffled))
    np.testing.assert_array_equal(summed(composites, True), summed(shuffled, True))


@given(COMPOSITES)
def test_a_mean_is_that_of_numpy(composites):
    stack = np.ma.stack([np.ma.array(n.astype(float), mask=~ok) for n, ok, _ in composites])
    expected = np.ma.average(stack, axis=0, weights=[float(w) for *_, w in composites])
    np.testing.assert_allclose(summed(composites), np.ma.filled(expected, np.nan), rtol=1e-12)


@given(COMPOSITES, arrays("int64", (5, 5), elements=st.integers(0, 11)))
def test_compositing_and_nearest_resampling_commute(composites, pixels):
    row, col = pixels // 4 + 5 * 4800, pixels % 4 + 26 * 4800
    sources = cuts(row, col, np.ones((5, 5), dtype=bool), size=1)
    (cut,) = sources.values()
    native = Month(False)
    for numbers, ok, weight in composites:
        native.add("h26v05", numbers[cut.rows, cut.cols], ok[cut.rows, cut.cols], weight)
    resampled = Month(False)
    for numbers, ok, weight in composites:
        resampled.add("h26v05", numbers.ravel()[pixels], ok.ravel()[pixels], weight)
    straight = Cut(slice(0, 5), slice(0, 5), np.arange(25), np.arange(25))
    np.testing.assert_array_equal(
        on_grid(native, sources, (5, 5)), on_grid(resampled, {"h26v05": straight}, (5, 5))
    )


def test_a_map_over_two_tiles_is_cut_from_both():
    row = np.array([[4799, 4800], [4799, 4800]]) + 5 * 4800 - 0
    col = np.full((2, 2), 26 * 4800 + 10)
    area = np.array([[True, True], [False, True]])
    found = cuts(row, col, area, size=2)
    assert set(found) == {"h26v05", "h26v06"}
    assert (found["h26v05"].rows, found["h26v05"].cells.tolist()) == (slice(2399, 2400), [0])
    assert (found["h26v06"].rows, found["h26v06"].cells.tolist()) == (slice(0, 1), [1, 3])


def test_units():
    assert physical(np.array([13657.5]), "lst") == pytest.approx([0.0])
    for variable, scale in (("ndvi", 1e-4), ("et", 0.1), ("albedo", 1e-3)):
        assert physical(np.array([1000.0]), variable) == pytest.approx([1000 * scale])
        assert PRODUCTS[variable].layer


# --- what is refused ---


def test_a_month_without_any_value_is_named(study):
    path = study.lst("2009-05-01", 280, qc=0b10)
    with pytest.raises(UserError, match=r"lst 2009-05: expected values inside the study area"):
        study.run("lst", [path])
    assert not (study.root / "lst" / "2009-05.tif").exists()


def test_a_month_without_granules_is_named(study):
    path = study.lst("2009-05-01", 280)
    with pytest.raises(UserError, match=r"MOD11A2 2009-08: expected granules, found none.*2009-08"):
        study.run("lst", [path], ["2009-05", "2009-08"])


def test_a_wrong_scale_is_named(study):
    path = study.granule("MCD43A3", "2009-05-01", {WSA: 1500, MANDATORY: 0})
    with pytest.raises(UserError, match=r"between 0 and 1, found 100% of the values outside"):
        study.run("albedo", [path])


@pytest.mark.parametrize(("one_in", "refused"), [(25, False), (14, True)])
def test_some_bright_pixels_are_weather_and_many_are_another_scale(study, one_in, refused):
    diagonal = np.add.outer(np.arange(2 * HIGH), np.arange(2 * WIDE)) % one_in
    numbers = np.where(diagonal == 0, 1200, 150)
    path = study.granule("MCD43A3", "2009-05-01", {WSA: numbers, MANDATORY: 0})
    if refused:
        with pytest.raises(UserError, match=r"found 7% of the values outside"):
            study.run("albedo", [path])
    else:
        (may,) = study.run("albedo", [path])
        assert study.values(may) == pytest.approx([0.15, 1.2], abs=1e-6)


def test_a_granule_that_does_not_cover_the_area_is_named(study):
    path = study.lst("2009-05-01", 280, row=ROW + 10)
    with pytest.raises(
        UserError, match=r"expected pixels that cover the study area.*found rows 738"
    ):
        study.run("lst", [path])


def test_a_missing_quality_layer_is_found_before_anything_is_read(study, monkeypatch):
    path = study.granule("MOD11A2", "2009-05-01", {LST: 14000})
    monkeypatch.setattr(composite_modis, "stored", lambda *_: pytest.fail("read too early"))
    with pytest.raises(UserError, match="expected layer 'QC_Day', found LST_Day_1km"):
        study.run("lst", [path])


def test_the_paper_needs_no_quality_layer(study):
    path = study.granule("MOD11A2", "2009-05-01", {LST: 14000})
    (may,) = study.run("lst", [path], qa="paper")
    assert study.values(may) == pytest.approx([280 - 273.15], abs=1e-4)


def test_all_granules_are_checked_before_the_first_is_read(study, monkeypatch):
    paths = [study.lst("2009-05-01", 280), study.lst("2009-05-09", 280, moved=(300, 0))]
    monkeypatch.setattr(composite_modis, "stored", lambda *_: pytest.fail("read too early"))
    with pytest.raises(UserError, match="2009-05-09"):
        study.run("lst", paths)


def test_each_granule_is_read_once(study, monkeypatch):
    paths = [study.lst(day, 280) for day in ("2009-05-25", "2009-06-26", "2009-07-04")]
    reads, stored = [], composite_modis.stored
    monkeypatch.setattr(
        composite_modis, "stored", lambda path, *rest: reads.append(path) or stored(path, *rest)
    )
    study.run("lst", paths, ["2009-05", "2009-06", "2009-07"])
    assert reads == paths
