"""Monthly rain of gauges: inches, flags, gaps, and the messages for files that are none."""

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import average_rain
from _log import UserError
from average_rain import monthly_total, read_gsod, totals_of, usable
from conftest import SHARED

COLUMNS = [
    *("STATION", "DATE", "LATITUDE", "LONGITUDE", "ELEVATION"),
    *("NAME", "TEMP", "PRCP", "PRCP_ATTRIBUTES", "FRSHTT"),
]


def gsod(folder, rain, flags, year=2010, month=6, station="56079099999", name=None):
    """Write a GSOD file with inches `rain` and `flags` from the first of a month on."""
    days = pd.date_range(f"{year}-{month:02d}-01", periods=len(rain)).strftime("%Y-%m-%d")
    lines = [",".join(f'"{column}"' for column in COLUMNS)]
    for day, inches, flag in zip(days, rain, flags, strict=True):
        place = '"33.583","102.967","3441.0","RUO\'ERGAI, CH"'
        lines.append(
            f'"{station}","{day}",{place},"  51.2","{inches:5.2f}","{flag or " "}","000000"'
        )
    path = folder / f"{name or station}.csv"
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def run(folder, paths, months=(6,), incomplete="exclude", min_share=0.8, year="2010"):
    out = folder / "totals.csv"
    average_rain.main(paths, str(out), year, list(months), incomplete, min_share)
    return pd.read_csv(out, dtype={"station": str})


def test_inches_become_millimetres(tmp_path):
    daily = read_gsod(gsod(tmp_path, [0.01, 1.00, 99.99], ["G", "D", ""]), 2010)
    assert daily["rain"].to_numpy() == pytest.approx([0.254, 25.4, np.nan], nan_ok=True)
    assert list(daily["flag"]) == ["G", "D", ""]
    assert daily.loc[0, ["lat", "lon", "elevation"]].tolist() == [33.583, 102.967, 3441.0]


def test_total_is_the_mean_of_valid_days_times_the_days_of_the_month():
    assert monthly_total(np.array([1.0, 2.0, np.nan, 3.0]), 30, 0.1) == pytest.approx(60.0)


def test_share_of_valid_days_at_its_threshold():
    # 24 of 30 days are exactly 80 %.
    assert monthly_total(np.ones(24), 30, 0.8) == pytest.approx(30.0)
    assert np.isnan(monthly_total(np.ones(23), 30, 0.8))
    assert np.isnan(monthly_total(np.full(30, np.nan), 30, 0.0))


@given(st.lists(st.floats(0, 100), min_size=24, max_size=30))
def test_total_lies_between_the_extremes_of_its_days(rain):
    total = monthly_total(np.array(rain), 30, 0.8)
    assert 30 * min(rain) - 1e-6 <= total <= 30 * max(rain) + 1e-6


def test_incomplete_totals_are_dropped_or_kept_as_asked():
    rain, flag = np.arange(1.0, 10.0), np.array([*"ABCDEFGH", ""])
    excluded, lost = usable(rain, flag, "exclude")
    assert flag[np.isfinite(excluded)].tolist() == ["D", "F", "G", ""]
    assert flag[lost].tolist() == ["A", "B", "C", "E", "H"]
    kept, lost = usable(rain, flag, "keep")
    assert np.array_equal(kept, rain)
    assert not lost.any()


def test_a_zero_without_report_is_dry_where_the_gauge_reports_at_all():
    rain, flag = np.array([0.0, 2.0, np.nan]), np.array(["I", "G", "I"])
    assert usable(rain, flag, "exclude")[0] == pytest.approx([0, 2, np.nan], nan_ok=True)


def test_a_gauge_that_never_reports_is_not_a_desert():
    rain, flag = np.array([0.0, 0.0, np.nan]), np.array(["I", "I", ""])
    assert np.isnan(usable(rain, flag, "keep")[0]).all()


def test_a_month_without_any_report_is_dry_but_said_aloud(tmp_path, caplog):
    flags = ["G"] * 30 + ["I"] * 31
    path = gsod(tmp_path, [0.1] * 30 + [0.0] * 31, flags)
    with caplog.at_level(logging.WARNING):
        table = run(tmp_path, [path], months=(6, 7))
    assert table["total"].to_numpy() == pytest.approx([76.2, 0.0])
    assert (
        f"{path}: nothing was reported (flag I) on any day that counts in 2010-07," in caplog.text
    )
    assert "2010-06" not in caplog.text


def test_counts_add_up_to_the_days_of_the_month(tmp_path):
    rain = [0.10] * 20 + [0.0] * 4 + [0.5] * 3 + [99.99] * 2
    daily = read_gsod(gsod(tmp_path, rain, ["G"] * 20 + ["I"] * 4 + ["A"] * 3 + [""] * 2), 2010)
    row = totals_of(daily, 2010, [6], "exclude", 0.8).iloc[0]
    # 20 days of 2.54 mm and 4 dry ones in 24 valid days, scaled to the 30 days of June.
    assert row["total"] == pytest.approx(20 * 2.54 / 24 * 30)
    # One of the 30 days has no row at all.
    names = ["days", "valid", "assumed_dry", "dropped", "missing"]
    assert row[names].tolist() == [30, 24, 4, 3, 3]


def test_every_station_and_month_has_a_row_and_an_empty_file_is_a_silent_year(tmp_path, caplog):
    (tmp_path / "56080099999.csv").write_text("")
    paths = [gsod(tmp_path, [0.1] * 30, ["G"] * 30), str(tmp_path / "56080099999.csv")]
    with caplog.at_level(logging.INFO):
        table = run(tmp_path, paths)
    assert table["station"].tolist() == ["56079099999", "56080099999"]
    assert table["total"].to_numpy() == pytest.approx([76.2, np.nan], nan_ok=True)
    assert table["valid"].tolist() == [30, 0]
    assert "56080099999: silent in 2010" in caplog.text
    assert "by flag: G 30" in caplog.text


def test_a_header_alone_is_a_silent_year(tmp_path):
    daily = read_gsod(gsod(tmp_path, [], []), 2010)
    assert totals_of(daily, 2010, [6, 7], "exclude", 0.8)["total"].isna().all()


def test_same_files_give_the_same_bytes(tmp_path):
    path = gsod(tmp_path, [0.13] * 30, ["G"] * 30)
    run(tmp_path, [path])
    first = (tmp_path / "totals.csv").read_bytes()
    run(tmp_path, [path])
    assert (tmp_path / "totals.csv").read_bytes() == first


def spoiled(path, old, new):
    text = Path(path).read_text()
    assert old in text
    Path(path).write_text(text.replace(old, new))
    return path


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"PRCP"', '"RAIN"', "expected the columns of GSOD, found no PRCP"),
        ('"STATION"', "<html><body>Login", "found a web page"),
        ('"2010-06-02"', '"2011-06-02"', "expected dates of 2010"),
        ('"2010-06-02"', '"02.06.2010"', "expected dates of 2010"),
        ('"2010-06-02"', '"2010-06-01"', "expected each day once, found 2010-06-01"),
        ('" 0.10"', '"-0.10"', "expected 0 to 1825 mm a day, found -2.5 mm on 2010-06-01"),
        ('" 0.10"', '"90.00"', "found 2286.0 mm"),
        ('" 0.10"', '"wet"', "expected numbers"),
        ('"56079099999","2010-06-01"', '"56080099999","2010-06-01"', "found 56080099999"),
    ],
)
def test_bad_files_are_named(tmp_path, old, new, message):
    path = spoiled(gsod(tmp_path, [0.10, 0.20], ["G", "G"]), old, new)
    with pytest.raises(UserError, match=message) as error:
        read_gsod(path, 2010)
    assert str(error.value).startswith(path)


def test_a_month_without_any_gauge_is_named(tmp_path):
    path = gsod(tmp_path, [0.1] * 23, ["G"] * 23)
    with pytest.raises(UserError, match="2010-06: expected at least one gauge"):
        run(tmp_path, [path])
    assert not (tmp_path / "totals.csv").exists()


def real(station):
    path = SHARED / "gsod" / f"{station}.csv"
    if not path.exists():
        pytest.skip(f"real files are not here: {path}")
    return str(path)


def test_real_gsod_in_millimetres():
    path = real("01001099999")
    daily = read_gsod(path, 2024)
    # The first two days of the file: 0.01 inch flagged G, then 99.99.
    assert daily["rain"].iloc[:2].to_numpy() == pytest.approx([0.254, np.nan], nan_ok=True)
    assert len(daily) == len(Path(path).read_text().splitlines()) - 1
    assert daily["rain"].max() < 200
    assert daily["lat"].median() == pytest.approx(70.9333333)


@pytest.mark.parametrize("station", ["01001499999", "01002099999", "01006099999"])
def test_real_gauges_that_never_report_have_no_total(station):
    daily = read_gsod(real(station), 2024)
    assert set(daily.loc[daily["rain"].notna(), "flag"]) == {"I"}
    table = totals_of(daily, 2024, list(range(1, 13)), "keep", 0.0)
    assert table["total"].isna().all()
