"""Files of ismn.earth: both layouts as they are delivered, names, flags, and what is refused."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from _ismn import allowed, read, sensor_of
from _log import UserError

NAME = "MAQU_MAQU_CST-01_sm_0.050000_0.050000_ECH20-EC-TM_20070101_20131231.stm"
# The layout of a real file: blanks between the columns and behind them, lines that end with CR.
VALUES = (
    "MAQU       MAQU            CST_01            33.88330   102.13330 3431.00    0.05    0.05 "
    "ECH20-EC-TM   \r2008/07/01 00:00   0.5000 C03 M  \r2008/07/01 01:00   0.4980 G M  \r"
    "2008/07/01 02:00 -9999.9900 G M\r2008/07/01 03:00      NaN M M\r"
    "2008/07/01 04:00   0.4900 D03,D10 M\r"
)
CEOP = (
    "2017/08/10 00:00 2017/08/10 00:10 COSMOS     COSMOS          ARM-1             36.60540   "
    "-97.48780  322.00    0.00    0.19   0.1410 G M\n"
    "2017/08/10 01:00 2017/08/10 01:00 COSMOS     COSMOS          ARM-1             36.60540   "
    "-97.48780  322.00    0.00    0.19   0.1390 D01,D02 Out of range,OK\n"
)


def test_a_name_says_what_is_inside():
    sensor = sensor_of(f"MAQU/CST-01/{NAME}")
    assert (sensor.network, sensor.station, sensor.variable) == ("MAQU", "CST-01", "sm")
    assert (sensor.top, sensor.bottom, sensor.sensor) == (5, 5, "ECH20-EC-TM")


@pytest.mark.parametrize(
    ("name", "variable", "station", "instrument"),
    [
        ("OZNET_OZNET_Widgiewa_Soil-Temperature_0.150000_0.150000_20010103_20090812.stm",)
        + ("ts", "Widgiewa", ""),
        ("RSMN_RSMN_Adamclisi_sm_0.000000_0.050000_Meter-5TM_1_1_19500101_20260512.stm",)
        + ("sm", "Adamclisi", "Meter-5TM_1_1"),
        ("A_A_St_Peter_1_ts_-0.050000_0.050000_X_20010103_20090812.stm",)
        + ("ts", "St_Peter_1", "X"),
    ],
)
def test_names_of_all_ages_are_understood(name, variable, station, instrument):
    sensor = sensor_of(name)
    assert (sensor.variable, sensor.station, sensor.sensor) == (variable, station, instrument)


@pytest.mark.parametrize(
    "name",
    [
        "MAQU_MAQU_CST-01_static_variables.csv",
        NAME.replace("_sm_", "_p_"),
        NAME.replace("_sm_", "_su_"),
        "Readme.txt",
    ],
)
def test_other_files_are_none(name):
    assert sensor_of(name) is None


@pytest.mark.parametrize(
    ("top", "bottom", "depth", "off"),
    [
        ("0.050000", "0.050000", 5, 0),
        ("0.040000", "0.060000", 5, 1),
        ("0.000000", "0.050000", 5, 5),
        ("0.000000", "0.190000", 5, 14),
        ("0.060000", "0.060000", 5, 1),
        ("0.070000", "0.070000", 5, None),
        ("0.100000", "0.100000", 5, None),
        ("-0.050000", "0.050000", 0, 5),
    ],
)
def test_a_layer_is_at_a_depth_if_it_holds_it_or_is_within_a_centimetre(top, bottom, depth, off):
    name = NAME.replace("0.050000_0.050000", f"{top}_{bottom}")
    assert sensor_of(name).off(depth) == (None if off is None else pytest.approx(off))


def test_header_and_values_with_cr_alone():
    header, table = read(VALUES.encode(), "a.stm")
    assert (header.network, header.station) == ("MAQU", "CST_01")
    assert (header.lat, header.lon, header.elevation) == (33.8833, 102.1333, 3431)
    assert (header.top, header.bottom) == (5, 5)
    assert table["time"].tolist() == list(pd.date_range("2008-07-01", periods=5, freq="h"))
    assert table["value"].tolist() == pytest.approx([0.5, 0.498, np.nan, np.nan, 0.49], nan_ok=True)
    assert table["flag"].tolist() == ["C03", "G", "G", "M", "D03,D10"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n"])
def test_any_end_of_line_reads_the_same(end):
    expected = read(VALUES.encode(), "a.stm")
    found = read(VALUES.replace("\r", end).encode(), "a.stm")
    assert found[0] == expected[0]
    pd.testing.assert_frame_equal(found[1], expected[1])


def test_the_fifteen_columns_of_ceop_by_nominal_time():
    header, table = read(CEOP.encode(), "a.stm")
    assert (header.station, header.lat, header.lon, header.bottom) == (
        "ARM-1",
        36.6054,
        -97.4878,
        19,
    )
    assert table["time"].tolist() == list(pd.date_range("2017-08-10", periods=2, freq="h"))
    assert table["value"].tolist() == [0.141, 0.139]
    assert table["flag"].tolist() == ["G", "D01,D02"]


def test_a_sensor_s_name_and_a_provider_s_flag_may_hold_blanks():
    text = (
        "RISMA      RISMA      CEF             45.38546 -75.71978                 79.0 0.0000 "
        "0.0500 Hydraprobe II Sdi-12_B\n"
        "2015/04/11 15:00 0.428 G Out of WFV average range,NA,NA,OK,OK,OK\n"
    )
    header, table = read(text.encode(), "a.stm")
    assert (header.elevation, header.top, header.bottom) == (79, 0, 5)
    assert table["flag"].tolist() == ["G"]
    quoted = text.replace("Hydraprobe II Sdi-12_B", "'Meter-5TM'").replace("CEF  ", "C E F")
    assert read(quoted.encode(), "a.stm")[0].station == "C E F"


def test_a_header_alone_is_a_sensor_without_readings():
    table = read(VALUES.split("\r")[0].encode(), "a.stm")[1]
    assert len(table) == 0
    assert table["time"].dt.year.tolist() == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "expected readings, found an empty file"),
        ("<html>login</html>", "expected a first line with network.*found '<html>login</html>'"),
        (VALUES + "2008/07/01 05:00   0.49", "expected date, time, value and flag in line 7"),
        (VALUES + "2008/07/01 05:00   0.x G M", "expected a number in line 7, found '0.x'"),
        (VALUES + "2008/13/01 05:00   0.4 G M", "expected a time as .* in line 7"),
        (VALUES.replace("33.88330", "93.88330"), "expected a latitude .* found 93.88"),
        (CEOP[:-60], "expected 15 columns in line 2"),
        (CEOP + CEOP.replace("ARM-1", "ARM-2"), "expected one sensor at one place.*in line 3"),
    ],
)
def test_what_is_cut_or_of_another_kind_is_refused(content, message):
    with pytest.raises(UserError, match=rf"a\.stm: {message}"):
        read(content.encode(), "a.stm")


def test_a_reading_keeps_if_all_its_flags_are_allowed():
    flags = pd.Series(["G", "C03", "D03,D10", "D10", "C03,D10", "U", "M", "D1"])
    assert allowed(flags, ["G", "C03", "D10"]).tolist() == [1, 1, 0, 1, 1, 0, 0, 0]
    assert allowed(flags, ["G"]).tolist() == [1, 0, 0, 0, 0, 0, 0, 0]
    assert allowed(flags[:0], ["G"]).tolist() == []


FLAGS = st.sampled_from(["G", "C01", "C02", "C03", "D01", "D06", "D10", "U", "M"])


@given(st.lists(FLAGS, min_size=1), st.sets(FLAGS), FLAGS)
def test_allowing_more_flags_never_takes_a_reading(carried, flags, more):
    one = pd.Series([",".join(carried)])
    assert allowed(one, [*flags, more]).iloc[0] >= allowed(one, list(flags)).iloc[0]


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_the_two_layouts_say_the_same(values):
    times = [f"2010/06/01 {n:02d}:00" for n in range(len(values))]
    place = "MAQU MAQU CST_01 33.88330 102.13330 3431.00 0.05 0.05"
    rows = [f"{time} {value:.4f} G M" for time, value in zip(times, values, strict=True)]
    ceop = [f"{t} {t} {place} {v:.4f} G M" for t, v in zip(times, values, strict=True)]
    one = read("\n".join([f"{place} X", *rows]).encode(), "a")
    other = read("\n".join(ceop).encode(), "a")
    assert one[0] == other[0]
    pd.testing.assert_frame_equal(one[1], other[1])
