"""Tables of readings: names, separators, times and zones, numbers, and what is refused."""

from datetime import datetime
from io import BytesIO

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from _log import UserError
from _readings import (
    check_clock,
    check_step,
    check_values,
    check_warmth,
    column_of,
    files_of,
    normal,
    numbers,
    pattern,
    sheets,
    strangers,
    times,
    warmest_hour,
)


def text_sheet(text, header=0):
    return sheets(text.encode(), "a.csv", header)[0]


def workbook(**pages):
    """Return an Excel workbook of {sheet: rows}."""
    import openpyxl

    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in pages.items():
        page = book.create_sheet(name)
        for row in rows:
            page.append(row)
    content = BytesIO()
    book.save(content)
    return content.getvalue()


@pytest.mark.parametrize("name", ["CST-01", "CST_01", "cst 01", "CST01", " CST.01\t"])
def test_one_site_has_many_spellings(name):
    assert normal(name) == "CST01"


@given(st.text())
def test_a_normal_name_stays_as_it_is(name):
    assert normal(normal(name)) == normal(name)
    assert normal(f" {name}_-") == normal(name)


@given(st.from_regex(r"[A-Z]{1,4}[0-9]{1,3}", fullmatch=True), st.text("-_ .", max_size=3))
def test_a_site_is_found_in_any_spelling_and_never_in_a_longer_name(site, between):
    name = site.rstrip("0123456789") + between + site.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    found = pattern("*{site}*.csv", site)
    assert found.fullmatch(f"Maqu_{name.lower()}_5cm.csv")
    assert found.fullmatch(f"{name}.csv")
    assert not found.fullmatch(f"Maqu_{name}0_5cm.csv")
    assert not found.fullmatch(f"Maqu_X{name}_5cm.csv")


def test_a_pattern_is_no_regular_expression():
    assert pattern("a.b+{site}.csv", "X1").fullmatch("a.b+X-1.csv")
    assert not pattern("a.b{site}.csv", "X1").fullmatch("aXbX1.csv")


def test_files_of_all_sites_or_of_each():
    names = ["in/2010.csv", "in/2011.csv", "in/notes.txt"]
    assert files_of(names, "*.csv", ["A1"]) == {"in/2010.csv": "", "in/2011.csv": ""}
    assert files_of(names, "in/20?0.csv", ["A1"]) == {"in/2010.csv": ""}
    names = ["x.zip/CST-01_2010.csv", "x.zip/CST-01_2011.csv", "x.zip/NST 01.csv"]
    found = files_of(names, "{site}*.csv", ["CST01", "NST01"])
    assert found == dict(zip(names, ["CST01", "CST01", "NST01"], strict=True))


def test_files_are_found_in_their_folder_only():
    names = ["/d/5cm/CST01.csv", "/d/10cm/CST01.csv"]
    assert files_of(names, "5cm/{site}.csv", ["CST01"]) == {"/d/5cm/CST01.csv": "CST01"}


def test_files_that_are_not_there_or_not_clear_are_named(caplog):
    with pytest.raises(UserError, match=r"expected tables \*.csv, found a.txt, b.txt"):
        files_of(["in/a.txt", "in/b.txt"], "*.csv", ["A1"])
    with pytest.raises(UserError, match=r"{site}.csv for each site, found none for B2; others: C3"):
        files_of(["A1.csv", "C3.csv"], "{site}.csv", ["A1", "B2"])
    with pytest.raises(UserError, match=r"A1_B2.csv: expected a table of one site, found .* A1 an"):
        files_of(["A1_B2.csv"], "*{site}*.csv", ["A1", "B2"])
    with caplog.at_level("INFO"):
        files_of(["A1.csv", "C3.csv"], "{site}.csv", ["A1"])
    assert "tables of no site in the table of sites: C3.csv" in caplog.text


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_text_of_any_separator_and_end_of_line(separator, end):
    lines = [f"time{separator}CST 01{separator}x", f"2010-06-01{separator}0.25{separator}"]
    sheet = sheets(end.join([*lines, ""]).encode(), "a.txt", 0)[0]
    assert sheet.columns == ["time", "CST 01", "x"]
    assert sheet.cells.to_numpy().tolist() == [["2010-06-01", "0.25", ""]]


def test_the_row_of_the_names_is_the_config_s():
    sheet = text_sheet("Maqu network\nunit, m3/m3, see paper\n\ntime,CST01\n2010-06-01,0.3\n", 3)
    assert sheet.columns == ["time", "CST01"]
    assert sheet.row(0) == 5
    with pytest.raises(UserError, match=r"names of the columns in row 9 .* found 2 rows"):
        text_sheet("time,CST01\n2010-06-01,0.3\n", 9)
    with pytest.raises(UserError, match=r"a.csv: expected as many columns .* insitu.table.header"):
        text_sheet("title\ntime,CST01\n2010-06-01,0.3\n")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_chinese_names_in_their_encodings(encoding):
    content = "时间,土壤湿度\n2010-06-01,0.3\n".encode(encoding)
    assert sheets(content, "a.csv", 0)[0].columns == ["时间", "土壤湿度"]


def test_a_text_that_is_cut_short_is_refused():
    with pytest.raises(UserError, match=r"a.csv: expected 3 columns in the last row, found 2"):
        text_sheet("time,A,B\n2010-06-01,0.3,0.2\n2010-06-02,0.3")


def test_sheets_of_a_workbook_with_its_own_dates():
    rows = [["title"], ["time", "CST01", 7], [datetime(2010, 6, 1, 0, 15), 0.25, None]]
    found = sheets(workbook(one=rows, notes=[["x"]], two=rows), "a.xlsx", 1)
    assert [sheet.file for sheet in found] == ["a.xlsx[one]", "a.xlsx[two]"]
    assert found[0].columns == ["time", "CST01", "7"]
    assert times(found[0], 0, None, "UTC").tolist() == [pd.Timestamp("2010-06-01 00:15")]
    assert numbers(found[0], 1, [])[0].tolist() == [0.25]
    assert np.isnan(numbers(found[0], 2, [])[0]).all()


@pytest.mark.parametrize("cut", [0, 5, 3000])
def test_a_broken_workbook_is_refused(cut):
    content = workbook(one=[["time", "CST01"]])[:cut]
    with pytest.raises(UserError, match=r"a.xlsx: expected an Excel workbook, found a file that"):
        sheets(content, "a.xlsx", 0)


def test_other_kinds_are_refused():
    with pytest.raises(UserError, match=r"a.xls: expected a table as .csv.*found .xls ending"):
        sheets(b"", "a.xls", 0)


def test_a_column_is_found_by_its_name_then_in_another_spelling():
    sheet = text_sheet("CST_01,CST01,SM NST-01 (5 cm)\n1,2,3\n")
    assert column_of(sheet, "CST01") == 1
    assert column_of(sheet, "sm_NST01_5cm") == 2
    assert column_of(sheet, "XST01") is None
    with pytest.raises(UserError, match=r"expected one column CST 01, found 2: CST01, CST_01"):
        column_of(sheet, "CST 01")
    with pytest.raises(UserError, match=r"expected one column A, found 2: A"):
        column_of(text_sheet("A,A\n1,2\n"), "A")


def test_columns_that_look_like_sites():
    columns = {"CST_01", "NST02", "NST 3_5cm", "comment", "T5", "rain_mm"}
    assert set(strangers(columns, ["CST01", "NST01"], "{site}")) == {"NST02", "NST 3_5cm"}
    assert strangers({"SM_CST01", "SM_NST09", "T_NST09"}, ["CST01", "NST01"], "SM_{site}") == [
        "SM_NST09"
    ]


@pytest.mark.parametrize(
    ("cells", "form", "zone", "expected"),
    [
        ("2010-06-01 00:15", None, "UTC", "2010-06-01 00:15"),
        ("2010/06/01 00:15:00", None, "UTC", "2010-06-01 00:15"),
        ("2010-06-01 00:15", None, "Asia/Shanghai", "2010-05-31 16:15"),
        ("2010-06-01 00:15", None, "Etc/GMT-8", "2010-05-31 16:15"),
        ("2010-06-01T00:15:00Z", None, "Asia/Shanghai", "2010-06-01 00:15"),
        ("2010-06-01 00:15+08:00", None, "UTC", "2010-05-31 16:15"),
        ("01.06.2010 00:15", "%d.%m.%Y %H:%M", "UTC", "2010-06-01 00:15"),
        ("201006010015", "%Y%m%d%H%M", "Asia/Shanghai", "2010-05-31 16:15"),
    ],
)
def test_times_become_utc(cells, form, zone, expected):
    found = times(text_sheet(f"time,A\n{cells},1\n"), 0, form, zone)
    assert found.tolist() == [pd.Timestamp(expected)]


def test_seconds_that_a_spreadsheet_rounds_away_come_back():
    sheet = text_sheet("time,A\n2010-06-01 00:14:59.999995,1\n")
    assert times(sheet, 0, None, "UTC").tolist() == [pd.Timestamp("2010-06-01 00:15")]


@pytest.mark.parametrize(
    ("rows", "zone", "message"),
    [
        (
            "June 1,1",
            "UTC",
            "a.csv: expected times as 2010-06-01 00:15 in column time, found 'Ju",
        ),
        ("40179.5,1", "UTC", "found '40179.5' in row 2"),
        ("2010-06-01,1\n,2", "UTC", "expected a time in column time, found '' in row 3"),
        ("2010-06-01,1", "China", "expected a time zone as UTC.*found 'China'"),
        ("2010-06-01,1", "../etc/passwd", "expected a time zone as UTC"),
        ("2010-03-28 02:30,1", "Europe/Berlin", "times that exist once in Europe/Berlin.*Etc/GMT"),
        (
            "2010-10-31 02:30,1",
            "Europe/Berlin",
            "times that exist once .* in row 2, when its",
        ),
        ("2010-06-01 00:00Z,1\n2010-06-01 01:00,1", "UTC", "offset .* in every time or in none"),
        ("1899-12-30,1", "UTC", "expected times as"),
    ],
)
def test_times_that_are_none_are_refused(rows, zone, message):
    with pytest.raises(UserError, match=message):
        times(text_sheet(f"time,A\n{rows}\n"), 0, None, zone)


def test_rows_without_anything_are_passed_over():
    found = times(text_sheet("time,A\n2010-06-01,1\n,\n\n2010-06-02,\n"), 0, None, "UTC")
    assert found.dropna().tolist() == [pd.Timestamp("2010-06-01"), pd.Timestamp("2010-06-02")]


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 3000), st.sampled_from(["Asia/Shanghai", "Etc/GMT-8", "Etc/GMT+5"]))
def test_a_zone_moves_all_times_alike(start, zone):
    local = pd.date_range("2010-06-01", periods=40, freq="15min") + pd.Timedelta(hours=start)
    rows = "".join(f"{time},1\n" for time in local)
    moved = times(text_sheet(f"time,A\n{rows}"), 0, None, zone)
    hours = {"Etc/GMT+5": 5}.get(zone, -8)
    assert (moved == pd.Series(local + pd.Timedelta(hours=hours))).all()


def test_fill_codes_and_empty_cells_are_missing():
    cells = ["0.25", "-9999", "", "NaN", " 0.3 ", "-99.0", "#N/A", "-9999.5"]
    sheet = text_sheet("t,A\n" + "".join(f"1,{cell}\n" for cell in cells))
    value, filling = numbers(sheet, 1, [-9999, -99])
    expected = [0.25, np.nan, np.nan, np.nan, 0.3, np.nan, np.nan, -9999.5]
    assert value.tolist() == pytest.approx(expected, nan_ok=True)
    assert filling == 2


@pytest.mark.parametrize("cell", ["0,25x", "#VALUE!", "wet", "inf"])
def test_cells_that_are_no_numbers_are_refused(cell):
    sheet = text_sheet(f"t;A\n1;0.2\n1;{cell}\n")
    with pytest.raises(UserError, match=r"a.csv: expected numbers or empty cells in column A"):
        numbers(sheet, 1, [])


def test_the_step_is_said_and_must_be_most_frequent():
    time = pd.Series(pd.date_range("2010-06-01", periods=101, freq="15min"))
    assert check_step("A", time, "a.csv") == "every 15 min (100.0% of the steps)"
    assert check_step("A", time.drop([3, 4]), "a.csv") == "every 15 min (99.0% of the steps)"
    odd = pd.Series(pd.to_datetime("2010-06-01") + pd.to_timedelta(np.arange(30) ** 2, unit="h"))
    with pytest.raises(UserError, match=r"a.csv: expected readings of A in a regular step, found"):
        check_step("A", odd, "a.csv")


@pytest.mark.parametrize(
    ("value", "unit", "message"),
    [
        (
            [25.0, 30, 31],
            "m3/m3",
            "median of 30; they look like percent: set insitu.table.unit",
        ),
        ([0.0025, 0.003], "percent", "they look like fractions: set insitu.table.unit to m3/m3"),
        ([0.25] * 9 + [-6999], "m3/m3", "10% of them beyond, as -6999.*insitu.table.fill"),
        ([0.25] * 9 + [0.81], "m3/m3", "10% of them beyond, as 0.81. Set insitu.table.unit"),
    ],
)
def test_readings_of_another_unit_are_refused(value, unit, message):
    with pytest.raises(UserError, match=rf"a.csv: expected soil moisture of A .*{message}"):
        check_values("A", pd.Series(value), "a.csv", unit)


def test_single_readings_beyond_are_left_to_the_means(caplog):
    check_values("A", pd.Series([0.3] * 199 + [0.9]), "a.csv", "m3/m3")
    assert "A: 1 readings beyond 0 to 0.8 m3/m3" in caplog.text
    check_values("A", pd.Series([], dtype=float), "a.csv", "m3/m3")


@pytest.mark.parametrize(("warmth", "wrong"), [(285.0, True), (8.0, False), (np.nan, False)])
def test_kelvin_is_no_celsius(warmth, wrong):
    warm = pd.Series([warmth] * 9)
    if wrong:
        with pytest.raises(UserError, match=r"a.csv: expected soil temperature of A in degC, foun"):
            check_warmth("A", warm, "a.csv")
    else:
        check_warmth("A", warm, "a.csv")


def warm_afternoons(hours_ahead, days=20, lon=102.0, step="15min"):
    """Return readings whose soil is warmest at 16 h of the sun, by a clock ahead of UTC."""
    utc = pd.Series(pd.date_range("2010-06-01", periods=days * 96, freq="15min"))
    sun = (utc - utc.dt.normalize()) / pd.Timedelta("1h") + lon / 15
    warmth = 12 + 4 * np.cos(2 * np.pi * (sun - 16) / 24) + 0.001 * np.arange(len(utc))
    table = pd.DataFrame({"time": utc, "soil_moisture": 0.3, "soil_temperature": warmth})
    table = table[table["time"].dt.floor(step) == table["time"]]
    return table.assign(time=table["time"] + pd.Timedelta(hours=hours_ahead))


@pytest.mark.parametrize("lon", [-120.0, 0.0, 102.0, 179.0])
def test_the_warmest_hour_is_that_of_the_sun(lon):
    table = warm_afternoons(0, lon=lon)
    hour, amplitude = warmest_hour(table["time"], table["soil_temperature"], lon)
    assert hour == pytest.approx(16, abs=0.6)
    assert amplitude == pytest.approx(4, rel=0.05)


@settings(deadline=None, max_examples=40)
@given(st.floats(-12, 12))
def test_a_clock_that_is_ahead_moves_the_warmest_hour(ahead):
    table = warm_afternoons(round(ahead * 4) / 4)
    hour, _ = warmest_hour(table["time"], table["soil_temperature"], 102.0)
    assert abs((hour - 16 - ahead + 12) % 24 - 12) < 1


@pytest.mark.parametrize(("ahead", "warned"), [(0, False), (2, False), (8, True), (-8, True)])
def test_a_clock_of_another_zone_is_told_by_the_warm_afternoon(ahead, warned, caplog):
    check_clock("CST01", warm_afternoons(ahead), 102.0, "the config says UTC")
    assert ("CST01: soil is warmest at" in caplog.text) == warned
    assert (f"look {ahead} hours off, though the config says UTC" in caplog.text) == warned


@pytest.mark.parametrize(
    "table",
    [
        warm_afternoons(8, days=5),
        warm_afternoons(8, step="8h"),
        warm_afternoons(8).assign(soil_temperature=np.nan),
        warm_afternoons(8).assign(soil_temperature=8.0),
    ],
    ids=["few days", "few hours", "no temperature", "no swing"],
)
def test_too_little_to_tell_is_no_warning(table, caplog):
    check_clock("CST01", table, 102.0, "")
    assert caplog.text == ""
