"""Months from clips: those from granules, bit for bit; and clips that cannot be used."""

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import rasterio

import _appeears
import composite_clips
import composite_modis
import define_grid
import index_modis
from _calendar import ASSIGN, calendar, composites
from _granule import PRODUCTS
from _log import UserError
from _raster import Grid, inside, read
from clips import make_clip
from conftest import real
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
# Across the edge that two tiles share at 30 N.
BOX = [103.0, 29.95, 103.1, 30.05]
TILES = {"h26v05", "h26v06"}
# The last composites of 2012 are of 6 days and, of NDVI, reach into the next year.
MONTHS = ("2012-05", "2012-12")
FILLS = {NDVI: -3000, RELIABILITY: -1, VI: 65535, LST: 0, QC_DAY: 0}
FILLS |= {ET: 32767, ET_QC: 255, WSA: 32767, MANDATORY: 255}


def some(rng, layer, shape):
    """Stored numbers with gaps and codes, and quality bits of every kind."""
    low, high, codes = {
        NDVI: (-2000, 10001, [-3000]),
        RELIABILITY: (0, 2, [-1, 2, 3]),
        VI: (0, 65536, [0b0000100000000101]),
        LST: (13000, 16000, [0]),
        QC_DAY: (0, 256, [0, 0b10, 0b01, 0b11000001]),
        ET: (0, 800, [32761, 32762, 32763, 32764, 32765, 32766, 32767]),
        ET_QC: (0, 256, [0, 255]),
        WSA: (0, 1000, [32767]),
        MANDATORY: (0, 8, [0, 1, 255]),
    }[layer]
    numbers = rng.integers(low, high, shape)
    return np.where(rng.random(shape) < 0.3, rng.choice(codes, shape), numbers)


class Study:
    """An area in two tiles, and the same archive as granules and as a clip."""

    def __init__(self, root):
        self.root, self.made = root, {}
        self.grid, self.lonlat, self.index = (
            str(root / f"{name}.tif") for name in ("grid", "lonlat", "index")
        )
        define_grid.main((), self.grid, self.lonlat, BOX, AEA, 250)
        index_modis.main(self.lonlat, self.index)
        self.inside = inside(self.grid)
        pixels = (read(self.index, band)[self.inside].astype(int) for band in ("row", "col"))
        # In 1 km pixels, three more on every side than the area needs.
        self.rows, self.cols = ((p.min() // 4 - 3, p.max() // 4 + 4) for p in pixels)

    def place(self, product):
        """First row and column, height and width of the window, in the product's pixels."""
        per = {"MOD13Q1": 4, "MOD11A2": 1}.get(product, 2)
        (top, bottom), (left, right) = self.rows, self.cols
        return top * per, left * per, (bottom - top) * per, (right - left) * per

    def days(self, variable, assign=ASSIGN, months=MONTHS):
        needed = {}
        for way in assign:
            for month in months:
                found = composites(month, **calendar(variable, way, 8))
                needed |= {day: last for day, (last, _) in found.items()}
        return dict(sorted(needed.items()))

    def archive(self, variable):
        """Write both forms once; return the granules' paths and the clip's."""
        if variable in self.made:
            return self.made[variable]
        product, rng = PRODUCTS[variable], np.random.default_rng(7)
        row, col, high, wide = self.place(product.name)
        layers = {
            name: np.stack([some(rng, name, (high, wide)) for _ in self.days(variable)])
            for name in (product.layer, *product.quality)
        }
        paths, per = [], 4800 // product.cells
        for k, (day, last) in enumerate(self.days(variable).items()):
            for tile in TILES:
                h, v = int(tile[1:3]), int(tile[4:6])
                top, left = max(row, v * per), max(col, h * per)
                here = (
                    slice(top - row, min(row + high, (v + 1) * per) - row),
                    slice(left - col, min(col + wide, (h + 1) * per) - col),
                )
                paths.append(
                    make_granule(
                        self.root,
                        product.name,
                        day.isoformat(),
                        tile,
                        {name: values[k][here] for name, values in layers.items()},
                        row=top % per,
                        col=left % per,
                        days=(last - day + timedelta(1)).days if variable != "albedo" else None,
                    )
                )
        # AppEEARS leaves nothing outside the polygon that was asked for.
        for name, values in layers.items():
            values[:, 0] = values[:, -1] = values[:, :, 0] = values[:, :, -1] = FILLS[name]
        self.made[variable] = paths, self.clip(variable, layers)
        return self.made[variable]

    def clip(self, variable, layers, days=None, name="2012", **faults):
        product = PRODUCTS[variable].name
        row, col, *shape = self.place(product)
        days = days or [day.isoformat() for day in self.days(variable)]
        layers = {
            layer: np.broadcast_to(values, (len(days), *shape)) if np.ndim(values) < 3 else values
            for layer, values in layers.items()
        }
        path = self.root / "appeears" / variable / f"{name}.nc"
        return make_clip(path, product, days, layers, **({"row": row, "col": col} | faults))

    def out(self, folder, variable, months):
        return [str(self.root / folder / variable / f"{month}.tif") for month in months]

    def run(self, variable, clips, months=MONTHS, assign="overlap", qa="recommended", days=None):
        days = days or [day.isoformat() for day in self.days(variable)]
        out = self.out("clips", variable, months)
        composite_clips.main(
            clips, self.grid, self.index, out, variable, "2012", assign, 8, qa, days
        )
        return [read(path) for path in out]

    def run_granules(self, variable, granules, assign, qa):
        out = self.out("granules", variable, MONTHS)
        composite_modis.main(granules, self.grid, self.index, out, variable, "2012", assign, 8, qa)
        return [read(path) for path in out]


@pytest.fixture(scope="module")
def shared_study(tmp_path_factory):
    return Study(tmp_path_factory.mktemp("clips"))


@pytest.fixture
def study(tmp_path):
    return Study(tmp_path)


def days_in(variable, month):
    return [day.isoformat() for day in composites(month, **calendar(variable, "overlap", 8))]


# --- the same values ---


# A daily albedo counts where its date lies, however the others are assigned.
CASES = [
    (variable, assign, qa)
    for variable in PRODUCTS
    for assign in (ASSIGN if variable != "albedo" else ["overlap"])
    for qa in ("recommended", "paper")
]


@pytest.mark.parametrize(("variable", "assign", "qa"), CASES)
def test_clips_give_what_granules_give(shared_study, variable, assign, qa):
    granules, clip = shared_study.archive(variable)
    expected = shared_study.run_granules(variable, granules, assign, qa)
    found = shared_study.run(variable, [clip], assign=assign, qa=qa)
    for month, one, other in zip(MONTHS, expected, found, strict=True):
        np.testing.assert_array_equal(one, other, err_msg=month)
        known = np.isfinite(one[shared_study.inside])
        assert 0.3 < known.mean() <= 1 and np.unique(one[np.isfinite(one)]).size > 50


def test_the_study_lies_in_two_tiles(shared_study):
    granules, _ = shared_study.archive("lst")
    assert {path[-10:-4] for path in granules} == TILES
    row, col = (read(shared_study.index, b)[shared_study.inside] for b in ("row", "col"))
    assert len(np.unique(row // 4800 * 100 + col // 4800)) == 2


def test_what_is_written(study):
    days = days_in("lst", "2012-05")
    study.run("lst", [study.clip("lst", {LST: 14000, QC_DAY: 0}, days)], ["2012-05"])
    with rasterio.open(study.root / "clips" / "lst" / "2012-05.tif") as file:
        assert (file.dtypes, file.descriptions, file.units) == (("float32",), ("LST",), ("degC",))
        assert file.tags()["source"] == "MOD11A2"
    assert Grid.of(str(study.root / "clips" / "lst" / "2012-05.tif")) == Grid.of(study.grid)


def test_qc_of_zero_is_good_although_the_clip_calls_it_fill(study):
    days = days_in("lst", "2012-05")
    clip = study.clip("lst", {LST: 14000, QC_DAY: 0}, days)
    (may,) = study.run("lst", [clip], ["2012-05"])
    assert np.unique(may[study.inside]) == pytest.approx([280 - 273.15], abs=1e-4)


def test_a_short_last_period_is_divided_by_its_own_days(study):
    days = days_in("et", "2012-12")
    layers = {ET: np.broadcast_to(160, study.place("MOD16A2GF")[2:]), ET_QC: 0}
    clip = study.clip("et", layers, days[-1:])
    (december,) = study.run("et", [clip], ["2012-12"], days=days[-1:])
    assert np.unique(december[study.inside]) == pytest.approx([16 / 6], abs=1e-5)


def test_months_may_need_two_clips(study):
    days = days_in("lst", "2012-05")
    clips = [
        study.clip("lst", {LST: 14000, QC_DAY: 0}, days[:2], name="one"),
        study.clip("lst", {LST: 15000, QC_DAY: 0}, days[2:], name="two"),
    ]
    (may,) = study.run("lst", clips, ["2012-05"])
    # 7 and 8 days of 280 K, two times 8 of 300 K.
    assert np.unique(may[study.inside]) == pytest.approx(
        [(15 * 280 + 16 * 300) / 31 - 273.15], abs=1e-4
    )


def test_dates_that_no_month_needs_are_not_read(study, monkeypatch):
    days = days_in("lst", "2012-05")
    others = [*days, "2012-07-03"]
    clip = study.clip("lst", {LST: 14000, QC_DAY: 0}, others)
    steps, stored = [], _appeears.stored
    monkeypatch.setattr(
        _appeears, "stored", lambda path, layers, step, *cut: (
            steps.append(step), stored(path, layers, step, *cut)
        )[1]
    )  # fmt: skip
    study.run("lst", [clip], ["2012-05"], days=others)
    assert steps == list(range(len(days)))


def test_a_date_known_to_be_absent_leaves_its_days_to_the_others(study):
    days = days_in("lst", "2012-05")
    clip = study.clip("lst", {LST: 14000, QC_DAY: 0}, days[1:])
    (may,) = study.run("lst", [clip], ["2012-05"], days=days[1:])
    assert np.unique(may[study.inside]) == pytest.approx([280 - 273.15], abs=1e-4)


def test_the_paper_needs_no_quality_layer(study):
    clip = study.clip("lst", {LST: 14000}, days_in("lst", "2012-05"))
    (may,) = study.run("lst", [clip], ["2012-05"], qa="paper")
    assert np.unique(may[study.inside]) == pytest.approx([280 - 273.15], abs=1e-4)


# --- what is refused, before anything is read ---


@pytest.fixture
def refused(study, monkeypatch):
    monkeypatch.setattr(_appeears, "stored", lambda *_: pytest.fail("read too early"))

    def refused(match, layers=None, **faults):
        days = days_in("lst", "2012-05")
        clip = study.clip("lst", layers or {LST: 14000, QC_DAY: 0}, days, **faults)
        with pytest.raises(UserError, match=match):
            study.run("lst", [clip], ["2012-05"])
        assert not (study.root / "clips" / "lst" / "2012-05.tif").exists()

    return refused


def test_a_date_that_the_clip_lacks_is_named(study):
    days = days_in("lst", "2012-05")
    clip = study.clip("lst", {LST: 14000, QC_DAY: 0}, days[:-1])
    with pytest.raises(UserError, match=r"expected MOD11A2 of 2012-05-24, found none.*") as told:
        study.run("lst", [clip], ["2012-05"], days=days)
    assert "add MOD11A2/2012-05-24/<tile> for each tile to modis.absent" in str(told.value)


def test_a_month_of_which_every_date_is_absent_is_named(study):
    days = days_in("lst", "2012-05")
    clip = study.clip("lst", {LST: 14000, QC_DAY: 0}, days)
    with pytest.raises(UserError, match=r"MOD11A2 2012-08: expected granules, found none"):
        study.run("lst", [clip], ["2012-05", "2012-08"], days=days)


def test_a_month_without_any_value_is_named(study):
    clip = study.clip("lst", {LST: 14000, QC_DAY: 2}, days_in("lst", "2012-05"))
    with pytest.raises(UserError, match=r"lst 2012-05: expected values.* in 4 granules from 2012"):
        study.run("lst", [clip], ["2012-05"])


def test_another_projection_is_named(refused):
    refused(
        r"expected the sinusoidal grid.*found albers_conical_equal_area.*projection \"native\"",
        mapping="albers_conical_equal_area",
    )


def test_resampled_pixels_are_named(refused):
    refused(r"expected the pixels of 926\.625 m of the sinusoidal grid", moved=300.0)


def test_another_product_is_named(refused):
    refused(r"expected MOD11A2\.061, found the title 'MYD11A2\.061", title="MYD11A2.061 for a")


def test_another_collection_is_named(refused):
    refused(r"expected MOD11A2\.061, found the title 'MOD11A2\.006", title="MOD11A2.006 for a")


def test_a_clip_that_does_not_cover_the_area_is_named(refused, study):
    row, _, _, _ = study.place("MOD11A2")
    refused(
        rf"pixels that cover the study area.*found rows {row + 5} to.*area\.box and a margin",
        row=row + 5,
    )


def test_another_scale_factor_is_named(refused):
    refused(r"expected scale_factor 0\.02 for 'LST_Day_1km', found 0\.1", scale=0.1)


def test_an_unknown_fill_is_named(refused):
    refused(r"expected _FillValue 0 for 'LST_Day_1km', found -9999", fill=-9999)


def test_scaled_values_are_named(refused):
    refused(r"expected 'LST_Day_1km' in whole numbers.*found float32", dtype="float32")


def test_a_missing_layer_is_named(refused):
    refused(r"expected layer 'QC_Day', found LST_Day_1km", {LST: 14000})


@pytest.mark.parametrize(
    "faults", [{"units": "hours since 2000-01-01"}, {"calendar": "noleap"}], ids=str
)
def test_other_times_are_named(refused, faults):
    refused("expected times in days since a date, found", **faults)


def test_values_of_another_scale_are_named_with_their_date(study):
    clip = study.clip("lst", {LST: 60000, QC_DAY: 0}, days_in("lst", "2012-05"))
    with pytest.raises(UserError, match=r"2012\.nc 2012-04-30: expected 'LST_Day_1km' times 0.02"):
        study.run("lst", [clip], ["2012-05"])


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"<!DOCTYPE html><html>Sign in</html>", "looks like a web page"),
        (b"CDF\x01 something", r"begins with b'CDF\\x01'"),
        (b"\x89HDF\r\n\x1a\n" + bytes(100), "probably truncated"),
    ],
)
def test_a_file_that_is_no_clip_is_named(study, content, found):
    path = study.root / "2012.nc"
    path.write_bytes(content)
    with pytest.raises(UserError, match=rf"2012\.nc: expected .*{found}"):
        study.run("lst", [str(path)], ["2012-05"])


def test_a_truncated_clip_is_named(study):
    path = Path(study.clip("lst", {LST: 14000, QC_DAY: 0}, days_in("lst", "2012-05")))
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    with pytest.raises(UserError, match="probably truncated"):
        study.run("lst", [path], ["2012-05"])


def test_a_real_clip_on_another_grid_is_refused(study):
    path = str(real("appeears/MOD11A2.006_aid0001.nc"))
    with pytest.raises(UserError, match=r"aid0001\.nc: .*found albers_conical_equal_area, onto"):
        study.run("lst", [path], ["2012-05"])
