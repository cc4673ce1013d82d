"""Reading AppEEARS' NetCDF: its own files of 2017, names of layers, and where pixels lie."""

from datetime import date

import numpy as np
import pytest

from _appeears import header, layer_id, place, stored, window
from _granule import PRODUCTS, good_lst
from clips import make_clip
from conftest import real
from granules import LST, QC_DAY

LST_LAYERS = ("LST_Day_1km", "QC_Day")
EVI_LAYERS = ("1 km 16 days EVI", "1 km 16 days VI Quality")
EVERYTHING = slice(None), slice(None)


def test_names_of_layers():
    assert layer_id("250m 16 days NDVI") == "_250m_16_days_NDVI"
    assert layer_id("250m 16 days pixel reliability") == "_250m_16_days_pixel_reliability"
    assert layer_id("LST_Day_1km") == "LST_Day_1km"


@pytest.mark.parametrize(
    ("name", "layers", "every", "count"),
    [("MOD11A2", LST_LAYERS, 8, 811), ("MOD13A2", EVI_LAYERS, 16, 406)],
)
def test_times_of_real_files_fall_on_first_days_of_composites(name, layers, every, count):
    head = header(str(real(f"appeears/{name}.006_aid0001.nc")), *layers)
    assert (len(head.steps), head.height, head.width) == (count, 47, 42)
    assert head.title == f"{name}.006 for aid0001"
    # Read as plain days: as Julian dates they would all lie 13 days later.
    assert {day.timetuple().tm_yday for day in head.steps} == set(range(1, 366, every))
    assert min(head.steps) == date(2000, 2, 18)
    assert list(head.steps.values()) == list(range(count))


def test_temperatures_of_a_real_file():
    path = str(real("appeears/MOD11A2.006_aid0001.nc"))
    head = header(path, *LST_LAYERS)
    assert (head.scale, head.fill) == (0.02, 0)
    numbers, qc = stored(path, LST_LAYERS, head.steps[date(2012, 7, 3)], *EVERYTHING)
    assert (numbers.dtype, qc.dtype) == ("int32", "int16")
    assert (numbers == 0).mean() == pytest.approx(0.34, abs=0.1)  # Lake Erie
    kelvin = numbers[numbers != 0] * PRODUCTS["lst"].scale
    assert 285 < kelvin.min() < kelvin.max() < 325  # Buffalo NY in July
    assert np.isin(qc, range(256)).all()
    # QC 0 is "good" where there is a value, and fill where there is none.
    assert good_lst(qc[numbers != 0]).mean() > 0.9


def test_vegetation_of_a_real_file():
    path = str(real("appeears/MOD13A2.006_aid0001.nc"))
    head = header(path, *EVI_LAYERS)
    assert head.scale == pytest.approx(0.0001, rel=1e-6)
    assert head.fill == -3000
    values, quality = stored(path, EVI_LAYERS, head.steps[date(2012, 7, 11)], *EVERYTHING)
    assert (values.dtype, quality.dtype) == ("int16", "int32")
    assert 0.3 < np.median(values[values != -3000] * 0.0001) < 0.8
    assert 0 <= quality.min() <= quality.max() <= 65535
    # Wherever there is no value, its quality is that of fill or of water.
    assert set(np.unique((quality[values == -3000] >> 11) & 7)) <= {0, 3, 5, 6, 7}


def test_a_cut_of_a_real_file_is_its_part():
    path = str(real("appeears/MOD11A2.006_aid0001.nc"))
    (whole,) = stored(path, LST_LAYERS[:1], 400, *EVERYTHING)
    (part,) = stored(path, LST_LAYERS[:1], 400, slice(3, 9), slice(20, 42))
    np.testing.assert_array_equal(part, whole[3:9, 20:42])


def test_pixels_count_from_the_upper_left_of_the_grid(tmp_path):
    layers = {LST: np.full((1, 20, 32), 14000), QC_DAY: np.zeros((1, 20, 32))}
    row, col = 5 * 1200 + 728, 26 * 1200 + 564
    path = make_clip(tmp_path / "2012.nc", "MOD11A2", ["2012-07-03"], layers, row, col)
    head = header(path, LST)
    corner = place(head, PRODUCTS["lst"])
    assert corner == (row, col)
    cut = window(head, corner, slice(row + 2, row + 20), slice(col, col + 1))
    assert cut == (slice(2, 20), slice(0, 1))
