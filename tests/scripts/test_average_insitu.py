"""Station months: which readings go, which months stay."""

import logging

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import average_insitu
from _log import UserError
from average_insitu import faults, matched, monthly_means, read_series, time_step

VALID, FROST = (0.0, 0.7), 0.5


def readings(moisture, step="1h", start="2010-06-01", temperature=10.0):
    moisture = np.asarray(moisture, float)
    return pd.DataFrame(
        {
            "soil_moisture": moisture,
            "soil_temperature": np.broadcast_to(temperature, moisture.shape),
            "time": pd.date_range(start, periods=len(moisture), freq=step),
        }
    )


def wavy(n):
    return 0.3 + 0.01 * np.sin(np.arange(n))


def rules(series):
    return faults(series, VALID, FROST).tolist()


def means(series, min_share=0.7, min_days=20, months=(6,)):
    fault = faults(series, VALID, FROST)
    return monthly_means(series, fault, 2010, list(months), min_share, min_days)


@pytest.mark.parametrize("step", ["15min", "1h", "1D"])
def test_the_step_is_found_in_spite_of_gaps(step):
    time = pd.Series(pd.date_range("2010-06-01", periods=50, freq=step)).drop([3, 4, 20])
    assert time_step(time) == pd.Timedelta(step)


def test_range_keeps_its_ends():
    assert rules(readings([0.0, -0.001, 0.0, 0.0], "1D")) == ["", "range", "", ""]
    assert rules(readings([0.7, 0.701, 0.7, 0.7], "1D")) == ["", "range", "", ""]


def test_frozen_readings_go_and_those_at_the_limit_stay():
    found = rules(readings([0.3, 0.31, 0.3], temperature=[0.49, 0.5, np.nan]))
    assert found == ["frozen", "", ""]


def test_a_spike_goes_and_a_step_stays():
    values = wavy(40)
    values[10] += 0.15
    values[25:] += 0.15  # rain: it stays wet
    found = rules(readings(values))
    assert found[10] == "spike"
    assert [rule for rule in found if rule] == ["spike"]


@pytest.mark.parametrize(
    ("jump", "rule"), [(0.095, ""), (0.105, "spike"), (-0.095, ""), (-0.105, "spike")]
)
def test_a_spike_is_more_than_a_tenth_from_the_median_either_way(jump, rule):
    values = np.full(20, 0.3)
    values[10] += jump
    assert rules(readings(values, "1D"))[10] == rule


def test_the_step_is_the_most_frequent_one():
    # Of 100 steps 40 take one hour, the median two: the sensor reads hourly and loses readings.
    hours = np.cumsum(np.repeat([1, 2, 3], [40, 30, 30]))
    time = pd.Series(pd.Timestamp("2010-06-01") + pd.to_timedelta(np.r_[0, hours], unit="h"))
    assert time_step(time) == pd.Timedelta("1h")


def test_a_stuck_sensor_from_three_days_on():
    for hours, expected in ((72, 72), (71, 0)):
        values = wavy(200)
        values[50 : 50 + hours] = 0.2512
        assert rules(readings(values)).count("stuck") == expected


def test_daily_readings_are_not_judged_stuck():
    assert rules(readings(np.full(30, 0.25), "1D")) == [""] * 30


def test_a_gap_is_not_a_run():
    values = wavy(200)
    values[[50, 130]] = 0.2512
    values[51:130] = np.nan  # the same value before and after a gap of three days
    assert "stuck" not in rules(readings(values))


def test_the_second_of_two_readings_at_one_time_goes():
    series = readings(wavy(5))
    series = pd.concat([series, series.iloc[[2]]]).sort_values("time", kind="stable")
    series = series.reset_index(drop=True)
    assert rules(series) == ["", "", "", "duplicate", "", ""]


def test_missing_values_are_no_fault():
    values = wavy(10)
    values[4] = np.nan
    assert rules(readings(values)) == [""] * 10


def test_mean_and_counts_by_hand():
    values = np.tile([0.30, 0.32], 360)
    values[:24] = 0.9  # a day out of range
    row = means(readings(values)).iloc[0]
    assert row["value"] == pytest.approx(0.31)
    assert (row["n"], row["expected"], row["days"], row["kept"]) == (696, 720, 29, 1)
    assert row["dropped_range"] == 24


@given(st.lists(st.floats(0.2, 0.25), min_size=25, max_size=30))
def test_mean_lies_between_the_extremes(values):
    row = means(readings(values, "1D")).iloc[0]
    assert min(values) - 1e-12 <= row["value"] <= max(values) + 1e-12


@pytest.mark.parametrize(("days", "kept"), [(21, 1), (20, 0)])
def test_share_of_readings_at_its_threshold(days, kept):
    # 21 of 30 days are exactly 70 %.
    row = means(readings(wavy(days), "1D")).iloc[0]
    assert row["kept"] == kept
    assert np.isfinite(row["value"]) == bool(kept)


@pytest.mark.parametrize(("days", "kept"), [(20, 1), (19, 0)])
def test_number_of_days_at_its_threshold(days, kept):
    assert means(readings(wavy(24 * days)), min_share=0.1).iloc[0]["kept"] == kept


def test_months_do_not_mix():
    series = readings(np.r_[np.full(30, 0.2), np.full(31, 0.4)], "1D")
    assert means(series, months=[6, 7])["value"].tolist() == pytest.approx([0.2, 0.4])


def write(path, series):
    path.parent.mkdir(exist_ok=True)
    series.to_csv(path, index=False, date_format="%Y-%m-%dT%H:%M:%SZ")
    return str(path)


def sites(folder, rows=(("CST01", 33.886, 102.142), ("NST01", 33.888, 102.143))):
    table = pd.DataFrame(rows, columns=["site", "lat", "lon"])
    table.to_csv(folder / "sites.csv", index=False)
    return str(folder / "sites.csv")


def run(folder, paths):
    out = folder / "means.csv"
    average_insitu.main(sites(folder), paths, str(out), "2010", [6, 7], 5, 0.7, 20, [0.0, 0.7], 0.5)
    return pd.read_csv(out)


def test_every_site_and_month_has_a_row(tmp_path, caplog):
    full = write(tmp_path / "in" / "CST01.csv", readings(wavy(61 * 96), "15min"))
    empty = write(tmp_path / "in" / "NST01.csv", readings([]))
    with caplog.at_level(logging.INFO):
        table = run(tmp_path, [empty, full])
    assert table["site"].tolist() == ["CST01", "CST01", "NST01", "NST01"]
    assert table["month"].tolist() == ["2010-06", "2010-07"] * 2
    assert table["kept"].tolist() == [1, 1, 0, 0]
    assert table["n"].tolist() == [2880, 2976, 0, 0]
    assert table["value"].isna().tolist() == [False, False, True, True]
    assert table["depth"].unique().tolist() == [5]
    assert table.loc[0, ["lat", "lon"]].tolist() == [33.886, 102.142]
    assert "CST01: 5856 readings every 15 min; dropped 0 range" in caplog.text


def test_same_files_give_the_same_bytes(tmp_path):
    paths = [write(tmp_path / "in" / f"{s}.csv", readings(wavy(720))) for s in ("CST01", "NST01")]
    run(tmp_path, paths)
    first = (tmp_path / "means.csv").read_bytes()
    run(tmp_path, paths[::-1])
    assert (tmp_path / "means.csv").read_bytes() == first


def test_percent_is_refused(tmp_path):
    path = write(tmp_path / "CST01.csv", readings(100 * wavy(50)))
    with pytest.raises(UserError, match=r"CST01.csv: .* looks like percent: divide by 100"):
        read_series(path, 2010)


def test_a_missing_column_is_named(tmp_path):
    path = write(tmp_path / "CST01.csv", readings(wavy(50)).rename(columns={"time": "date"}))
    with pytest.raises(UserError, match=r"CST01.csv: expected columns time.* Add time"):
        read_series(path, 2010)


def test_without_temperature_the_log_says_so(tmp_path, caplog):
    path = write(tmp_path / "CST01.csv", readings(wavy(50)).drop(columns="soil_temperature"))
    with caplog.at_level(logging.WARNING):
        assert faults(read_series(path, 2010), VALID, FROST).eq("").all()
    assert "frozen readings cannot be told" in caplog.text


def test_times_of_another_year_are_refused(tmp_path):
    path = write(tmp_path / "CST01.csv", readings(wavy(50)))
    with pytest.raises(UserError, match=r"expected ISO times \(UTC\) in 2011, found '2010-06-01"):
        read_series(path, 2011)


def test_unknown_and_silent_sites_are_named(tmp_path):
    path = sites(tmp_path)
    table = pd.read_csv(path)
    with pytest.raises(UserError, match=r"x/XST09.csv: expected a site of .*, found XST09"):
        matched(table, path, ["x/CST01.csv", "x/NST01.csv", "x/XST09.csv"])
    with pytest.raises(UserError, match="found none for NST01"):
        matched(table, path, ["x/CST01.csv"])


def test_an_empty_file_is_refused_and_a_header_is_enough(tmp_path):
    path = tmp_path / "CST01.csv"
    path.write_text("")
    with pytest.raises(UserError, match=r"CST01.csv: expected columns .* found an empty file"):
        read_series(str(path), 2010)
    path.write_text("time,soil_moisture,soil_temperature\n")
    assert len(read_series(str(path), 2010)) == 0


def test_text_is_missing_and_the_log_says_so(tmp_path, caplog):
    series = readings(wavy(30), "1D").astype({"soil_moisture": object})
    series.loc[3, "soil_moisture"] = "broken"
    path = write(tmp_path / "CST01.csv", series)
    with caplog.at_level(logging.WARNING):
        assert read_series(path, 2010)["soil_moisture"].isna().sum() == 1
    assert "1 readings are no numbers, as 'broken'" in caplog.text


def test_a_site_without_a_position_is_named(tmp_path):
    (tmp_path / "sites.csv").write_text("site,lat,lon\nCST01,33.886,102.142\nNST01,,\n")
    with pytest.raises(UserError, match=r"sites.csv: .* found none for NST01. Fill them in"):
        average_insitu.main(
            *(str(tmp_path / "sites.csv"), [], str(tmp_path / "means.csv"), "2010"),
            *([6], 5, 0.7, 20, [0.0, 0.7], 0.5),
        )


def test_readings_and_sites_as_read_stations_writes_them(tmp_path):
    (tmp_path / "readings").mkdir()
    times = pd.date_range("2010-06-01", periods=30, freq="D").strftime("%Y-%m-%dT%H:%M:%SZ")
    rows = [f"{time},0.3,\n" for time in times]
    header = "time,soil_moisture,soil_temperature\n"
    (tmp_path / "readings" / "CST01.csv").write_text(header + "".join(rows))
    (tmp_path / "readings" / "NST01.csv").write_text(header)
    (tmp_path / "sites.csv").write_text(
        "site,lat,lon,elevation,name\nCST01,33.8833,102.1333,3431,MAQU CST_01\n"
        "NST01,33.8833,102.1333,,MAQU NST_01\n"
    )
    paths = [str(tmp_path / "readings" / f"{site}.csv") for site in ("NST01", "CST01")]
    average_insitu.main(
        *(str(tmp_path / "sites.csv"), paths, str(tmp_path / "means.csv"), "2010"),
        *([6], 5, 0.7, 20, [0.0, 0.7], 0.5),
    )
    table = pd.read_csv(tmp_path / "means.csv")
    assert table["value"].tolist() == pytest.approx([0.3, np.nan], nan_ok=True)
    assert table["lat"].tolist() == [33.8833, 33.8833]
