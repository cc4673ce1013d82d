"""Reading and checking granules: NASA's own files, and every way in which one can be wrong."""

import re
import shutil
import subprocess
from datetime import date
from pathlib import Path

import numpy as np
import pytest

import _granule
from _granule import PRODUCTS, check, header, implausible, place, stored, usable
from _hdfeos import TILE
from _log import UserError
from conftest import SHARED
from granules import ET, LST, NDVI, QC_DAY, RELIABILITY, VI, WSA, make_granule

GOOD_LST = {LST: np.full((6, 8), 14500), QC_DAY: np.zeros((6, 8))}


def real(name):
    found = sorted((SHARED / "modis").glob(f"{name}.*.hdf"))
    if not found:
        pytest.skip(f"real files are not here: {SHARED / 'modis'}")
    return str(found[0])


def lst_granule(root, layers=GOOD_LST, **faults):
    return make_granule(root, "MOD11A2", "2009-05-01", "h26v05", layers, **faults)


# --- NASA's own files ---


def test_ndvi_of_the_real_cut():
    path = real("MOD13A2")
    numbers, *quality = stored(
        path, ("1 km 16 days NDVI", "1 km 16 days pixel reliability", "1 km 16 days VI Quality")
    )
    assert numbers.shape == (185, 219)
    assert (round(numbers.min() * 1e-4, 3), round(numbers.max() * 1e-4, 3)) == (0.107, 0.939)
    assert header(path, "1 km 16 days NDVI").scale == 10000.0
    assert usable(PRODUCTS["ndvi"], numbers, [])[0].all()
    ok, _ = usable(PRODUCTS["ndvi"], numbers, quality)
    assert ok[quality[0] == 0].all()
    assert not ok[quality[0] > 1].any()


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("MOD13A2", "1 km 16 days NDVI"),
        ("MOD11B2", "LST_Day_6km"),
        ("MOD11A1", "LST_Day_1km"),
        ("MCD43A3", WSA),
    ],
)
def test_corners_are_those_that_gdal_finds(name, layer):
    path = real(name)
    if not shutil.which("gdalinfo"):
        pytest.skip("gdalinfo is not installed")
    if "HDF4Image" not in subprocess.check_output(["gdalinfo", "--formats"], text=True):
        pytest.skip("this gdalinfo has no HDF4 driver")
    head = header(path, layer)
    grid = re.search(r"YDim:(\S+)", dims(path, layer))[1]
    told = subprocess.check_output(
        ["gdalinfo", f'HDF4_EOS:EOS_GRID:"{path}":{grid}:"{layer}"'], text=True
    )
    origin = re.search(r"Origin = \(([^,]+),([^)]+)\)", told).groups()
    pixel = re.search(r"Pixel Size = \(([^,]+),([^)]+)\)", told).groups()
    left, top, right, bottom = head.corners
    assert [float(v) for v in origin] == pytest.approx([left, top], abs=1e-6)
    wide, high = (right - left) / head.width, (bottom - top) / head.height
    assert [float(v) for v in pixel] == pytest.approx([wide, high], abs=1e-6)


def dims(path, layer):
    with _granule.opened(path) as file:
        return " ".join(file.datasets()[layer][0])


def test_a_real_day_of_lst():
    path = real("MOD11A1")
    numbers, qc = stored(path, ("LST_Day_1km", "QC_Day"))
    ok, lost = usable(PRODUCTS["lst"], numbers, [])
    kelvin = numbers[ok] * 0.02
    assert (round(kelvin.min()), round(kelvin.max())) == (291, 326)
    assert ok.mean() == pytest.approx(0.23, abs=0.005)
    assert lost["fill"] == np.count_nonzero(~ok)
    assert place(header(path, "LST_Day_1km"), cells=4) == ("h14v09", 0, 0)
    assert usable(PRODUCTS["lst"], numbers, [qc])[0].sum() <= ok.sum()


def test_real_lst_of_another_grid_in_its_own_pixels():
    numbers = stored(real("MOD11B2"), ("LST_Day_6km",))[0]
    ok, _ = usable(PRODUCTS["lst"], numbers, [])
    kelvin = numbers[ok] * 0.02
    assert (round(kelvin.min()), round(kelvin.max())) == (253, 275)


def test_real_albedo_of_an_ocean_tile():
    path = real("MCD43A3")
    numbers, quality = stored(path, (WSA, PRODUCTS["albedo"].quality[0]))
    ok, _ = usable(PRODUCTS["albedo"], numbers, [quality])
    # 0.4 % of the tile is land; two thirds of it have an inversion.
    assert 0.002 < ok.mean() < 0.004
    np.testing.assert_array_equal(ok, np.isin(quality, [0, 1]))
    assert 0 < (numbers[ok] * 0.001).max() < 1
    head = header(path, WSA)
    assert (head.first, head.last) == (date(2017, 7, 10), date(2017, 7, 25))
    assert _granule._date_of(head, PRODUCTS["albedo"]) == date(2017, 7, 18)


def test_real_ndvi_of_the_pacific_is_fill():
    path = real("MYD13Q1")
    numbers, *quality = stored(path, (NDVI, RELIABILITY, VI))
    assert quality[0].dtype == np.int8
    ok, lost = usable(PRODUCTS["ndvi"], numbers, quality)
    assert 0 < ok.mean() < 0.0005
    assert lost["fill"] > 0.999 * numbers.size
    head = header(path, NDVI)
    assert place(head, cells=1) == ("h00v09", 0, 0)
    assert head.days == 16


# --- what is read ---


def test_a_cut_is_read_from_the_same_place(tmp_path):
    numbers = np.arange(48).reshape(6, 8) + 14000
    path = lst_granule(tmp_path, {LST: numbers, QC_DAY: numbers % 4})
    part, qc = stored(path, (LST, QC_DAY), slice(1, 4), slice(2, 8))
    np.testing.assert_array_equal(part, numbers[1:4, 2:8])
    np.testing.assert_array_equal(qc, (numbers % 4)[1:4, 2:8])
    assert part.dtype == np.uint16


def test_a_cut_of_a_tile_is_placed(tmp_path):
    head = header(lst_granule(tmp_path, row=733, col=571), LST)
    assert check(head, PRODUCTS["lst"]) == (733, 571)
    assert head.days == 8


@pytest.mark.parametrize(
    ("reliability", "vi", "good"),
    [
        (0, 0, True),
        (0, 0b11, True),  # usefulness and MODLAND are ignored where the rank says good
        (1, 0b01, True),
        (1, 0b10, False),  # most probably cloud
        (1, 1 << 10, False),  # mixed clouds
        (1, 1 << 14, False),  # snow
        (1, 1 << 15, False),  # shadow
        (1, 11 << 2, True),
        (1, 12 << 2, False),  # lowest usefulness
        (2, 0, False),
        (3, 0, False),
        (-1, 65535, False),
    ],
)
def test_quality_of_ndvi(reliability, vi, good):
    found = _granule.good_ndvi(np.array([reliability], "int8"), np.array([vi], "uint16"))
    assert found.tolist() == [good]


@pytest.mark.parametrize(
    ("qc", "good"),
    [
        (0b00000000, True),
        (0b11000000, True),  # bits 0-1 say good: the error bits are not asked
        (0b10000001, True),  # up to 3 K
        (0b11000001, False),  # more than 3 K
        (0b00000010, False),  # cloud
        (0b00000011, False),
    ],
)
def test_quality_of_lst(qc, good):
    assert _granule.good_lst(np.array([qc], "uint8")).tolist() == [good]


@pytest.mark.parametrize(
    ("qc", "good"), [(0, True), (0b01100001, True), (128, False), (255, False)]
)
def test_quality_of_et(qc, good):
    assert _granule.good_et(np.array([qc], "uint8")).tolist() == [good]


def test_every_special_code_of_et_is_dropped_and_counted():
    numbers = np.array([*range(32761, 32768), 32701, -32768, 120, 0], dtype="int16")
    ok, lost = usable(PRODUCTS["et"], numbers, [])
    assert numbers[ok].tolist() == [120, 0]
    assert lost["32763 wetland"] == 1
    assert lost["fill"] == 1
    assert lost["range"] == 2
    assert sum(lost.values()) == 9


@pytest.mark.parametrize(
    ("variable", "dtype", "numbers", "kept"),
    [
        ("ndvi", "int16", [-3000, -2001, -2000, 10000, 10001], [-2000, 10000]),
        ("lst", "uint16", [0, 7499, 7500, 65535], [7500, 65535]),
        ("et", "int16", [-32768, -32767, 32700, 32701, 32767], [-32767, 32700]),
        ("albedo", "int16", [-1, 0, 32766, 32767], [0, 32766]),
    ],
)
def test_the_valid_range_keeps_its_ends(variable, dtype, numbers, kept):
    numbers = np.array(numbers, dtype)
    assert numbers[usable(PRODUCTS[variable], numbers, [])[0]].tolist() == kept


def test_a_pixel_counts_for_one_rule_only():
    numbers = np.array([0, 7000, 14000, 14001], dtype="uint16")
    ok, lost = usable(PRODUCTS["lst"], numbers, [np.array([2, 2, 2, 0], "uint8")])
    assert ok.tolist() == [False, False, False, True]
    assert lost == {"fill": 1, "range": 1, "quality": 1}


@pytest.mark.parametrize(
    ("variable", "numbers", "share"),
    [
        ("albedo", [1500, 1800, 32767], 1.0),  # stored times 10000
        ("albedo", [150, 180, 32767], 0.0),
        ("lst", [290, 300, 0], 1.0),  # kelvin, not scaled
        ("lst", [14500, 15000, 0], 0.0),
        ("et", [801, 3000, 32763], 1.0),
        ("et", [32763, 32767], 0.0),  # nothing to judge
    ],
)
def test_a_wrong_scale_is_implausible(variable, numbers, share):
    assert implausible(PRODUCTS[variable], np.array(numbers)) == share


# --- what is refused ---


def test_a_login_page_is_named(tmp_path):
    path = tmp_path / "h26v05.hdf"
    path.write_text("<!DOCTYPE html><html><title>Earthdata Login</title></html>")
    with pytest.raises(
        UserError, match=r"h26v05\.hdf: expected an HDF4 granule.*login page.*fetch"
    ):
        header(str(path), LST)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x89HDF\r\n\x1a\n"])
def test_another_format_is_named(tmp_path, content):
    path = tmp_path / "h26v05.hdf"
    path.write_bytes(content)
    with pytest.raises(UserError, match="expected an HDF4 granule, found a file that begins with"):
        header(str(path), LST)


@pytest.mark.parametrize("share", [0.01, 0.3, 0.6, 0.9])
def test_a_truncated_file_is_named(tmp_path, share):
    noise = np.random.default_rng(1).integers(7500, 65535, (300, 400))
    path = lst_granule(tmp_path, {LST: noise, QC_DAY: noise % 4})
    with Path(path).open("r+b") as file:
        file.truncate(int(share * file.seek(0, 2)))
    with pytest.raises(UserError, match="truncated: delete the file and fetch it again"):
        header(path, LST)
        stored(path, (LST, QC_DAY))


def test_a_missing_layer_is_named_with_those_that_are_there(tmp_path):
    path = lst_granule(tmp_path, {QC_DAY: np.zeros((6, 8))})
    with pytest.raises(UserError, match="expected layer 'LST_Day_1km', found QC_Day"):
        header(path, LST)


@pytest.mark.parametrize("name", ["MOD11A1", "MCD43A3", "MYD13Q1"])
def test_a_truncated_real_file_is_named(tmp_path, name):
    content = Path(real(name)).read_bytes()
    layer = {"MOD11A1": LST, "MCD43A3": WSA, "MYD13Q1": NDVI}[name]
    for twentieth in range(1, 20):
        path = tmp_path / f"{name}.hdf"
        path.write_bytes(content[: len(content) * twentieth // 20])
        with pytest.raises(UserError, match="truncated"):
            header(str(path), layer)
            stored(str(path), (layer,))


def test_another_tile_is_named(tmp_path):
    path = lst_granule(tmp_path)
    moved = tmp_path / "MOD11A2" / "2009-05-01" / "h27v06.hdf"
    shutil.move(path, moved)
    with pytest.raises(UserError, match="expected tile h27v06, found the corners of h26v05"):
        check(header(str(moved), LST), PRODUCTS["lst"])


def test_another_date_is_named(tmp_path):
    path = lst_granule(tmp_path)
    moved = tmp_path / "MOD11A2" / "2009-05-09" / "h26v05.hdf"
    moved.parent.mkdir()
    shutil.move(path, moved)
    with pytest.raises(UserError, match="expected a granule of 2009-05-09, found 2009-05-01"):
        check(header(str(moved), LST), PRODUCTS["lst"])


def test_another_product_is_named(tmp_path):
    path = lst_granule(tmp_path, named="MYD11A2.A2009121.h26v05.061.2021068095141.hdf")
    with pytest.raises(UserError, match=r"expected MOD11A2, found MYD11A2\.A2009121"):
        check(header(path, LST), PRODUCTS["lst"])


def test_pixels_between_those_of_the_grid_are_refused(tmp_path):
    path = lst_granule(tmp_path, moved=(300.0, 0.0))
    with pytest.raises(UserError, match="expected corners on the pixel edges"):
        check(header(path, LST), PRODUCTS["lst"])


def test_corners_may_be_rounded(tmp_path):
    path = lst_granule(tmp_path, row=10, col=20, moved=(0.005, -0.005))
    assert check(header(path, LST), PRODUCTS["lst"]) == (10, 20)


def test_pixels_of_another_size_are_refused(tmp_path):
    path = lst_granule(tmp_path)
    with pytest.raises(UserError, match=r"expected pixels of 463\.313 m, found 926\.625"):
        place(header(path, LST), cells=2)


def test_a_granule_over_two_tiles_is_refused(tmp_path):
    path = lst_granule(tmp_path, col=1195)
    with pytest.raises(UserError, match="expected pixels of one tile"):
        check(header(path, LST), PRODUCTS["lst"])


def test_another_scale_attribute_is_refused(tmp_path):
    path = lst_granule(tmp_path, scale=0.01)
    with pytest.raises(
        UserError, match=r"expected scale_factor 0\.02 for 'LST_Day_1km', found 0\.01"
    ):
        check(header(path, LST), PRODUCTS["lst"])


@pytest.mark.parametrize("scale", [10000.0, 0.0001])
def test_both_spellings_of_the_ndvi_scale_are_known(tmp_path, scale):
    layers = {NDVI: np.zeros((4, 4)), RELIABILITY: np.zeros((4, 4)), VI: np.zeros((4, 4))}
    path = make_granule(tmp_path, "MOD13Q1", "2009-05-09", "h26v05", layers, scale=scale)
    assert check(header(path, NDVI), PRODUCTS["ndvi"]) == (0, 0)


def test_an_attribute_may_be_text():
    assert [_granule._number(text) for text in ("0.02", "n/a", None, [1, 2])] == [
        0.02, None, None, None,
    ]  # fmt: skip


def test_tile_edge():
    # 2 pi R / 36 with the sphere of the product guides.
    assert pytest.approx(1111950.5197665, abs=1e-6) == _granule.TILE == TILE
    assert PRODUCTS["et"].layer == ET
