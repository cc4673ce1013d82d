"""Delivered station archives become one file a site and year, and nothing goes unsaid."""

import json
import logging
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import average_insitu
import read_stations
from _log import UserError

MAPPING = {
    "files": "*.csv",
    "header": 0,
    "time": "time",
    "time_format": None,
    "zone": "UTC",
    "column": "{site}",
    "temperature": None,
    "unit": "m3/m3",
    "fill": [-9999, -999, -99],
}
FLAGS = ["G", "C03", "D10"]
# Each example writes into the same folder anew.
FIXTURE = HealthCheck.function_scoped_fixture
QUICK = settings(deadline=None, max_examples=8, suppress_health_check=[FIXTURE])
HEADER = (
    "MAQU       MAQU            {0}            {1:.5f}   {2:.5f} 3431.00    {3:.2f}    {3:.2f} {4}"
)


def stm(
    folder,
    station="CST_01",
    variable="sm",
    depth=0.05,
    sensor="ECH20-EC-TM",
    rows=("2010/06/01 00:00   0.3000 G M",),
    place=(33.8833, 102.1333),
    network="MAQU",
):
    """Write a header+values file as ismn.earth delivers it: folders, name, CR alone."""
    spelled = station.replace("_", "-")
    name = f"{network}_{network}_{spelled}_{variable}_{depth:.6f}_{depth:.6f}_{sensor}"
    path = folder / network / spelled / f"{name}_20070101_20131231.stm"
    path.parent.mkdir(parents=True, exist_ok=True)
    head = HEADER.format(station, *place, depth, sensor).replace("MAQU", network)
    path.write_bytes("".join(f"{line}  \r" for line in [head, *rows]).encode())
    return path


def hourly(start, values, flag="G"):
    times = pd.date_range(start, periods=len(values), freq="h")
    return [
        f"{time:%Y/%m/%d %H:%M} {value:8.4f} {flag} M"
        for time, value in zip(times, values, strict=True)
    ]


def table_of(folder, sites=("CST01,33.8833,102.1333",), head="site,lat,lon"):
    path = folder / "sites.csv"
    path.write_text("\n".join([head, *sites]) + "\n")
    return path


def run(folder, archive, sites=None, years=(2010,), **given):
    """Run main; return {(site, year): readings} and the table of sites."""
    sites = sites or table_of(folder)
    names = pd.read_csv(sites, dtype=str)["site"]
    out = folder / "results"
    given = dict(format="ismn", depth=5, network="", flags=FLAGS) | given
    given["mapping"] = json.dumps(MAPPING | given.get("mapping", {}))
    read_stations.main(
        archive=[str(path) for path in archive],
        sites=str(sites),
        readings=[str(out / str(year) / f"{name}.csv") for year in years for name in names],
        table=str(out / "sites.csv"),
        years=list(years),
        **given,
    )
    read = {(n, y): pd.read_csv(out / str(y) / f"{n}.csv") for n in names for y in years}
    return read, pd.read_csv(out / "sites.csv")


# Archives of ismn.earth.


def test_a_station_of_an_archive_becomes_a_file_a_year(tmp_path, caplog):
    rows = ["2010/12/31 23:00   0.5000 C03 M", "2011/01/01 00:00   0.4900 G M"]
    paths = [stm(tmp_path, rows=rows), stm(tmp_path, depth=0.4), stm(tmp_path, variable="p")]
    heat = ["2010/12/31 23:00  -1.5000 G M", "2011/01/01 01:00   2.0000 G M"]
    paths += [stm(tmp_path, variable="ts", rows=heat)]
    with caplog.at_level(logging.INFO):
        read, sites = run(tmp_path, paths, years=(2010, 2011, 2012))
    text = (tmp_path / "results" / "2010" / "CST01.csv").read_text()
    assert text == "time,soil_moisture,soil_temperature\n2010-12-31T23:00:00Z,0.5,-1.5\n"
    text = (tmp_path / "results" / "2011" / "CST01.csv").read_text()
    assert text == "time,soil_moisture,soil_temperature\n2011-01-01T00:00:00Z,0.49,\n"
    text = (tmp_path / "results" / "2012" / "CST01.csv").read_text()
    assert text == "time,soil_moisture,soil_temperature\n"
    assert sites.loc[0].to_dict() == dict(
        site="CST01", lat=33.8833, lon=102.1333, elevation=3431, name="MAQU CST_01"
    )
    assert "CST01: 2010: 1, 2011: 1, 2012: 0; read " in caplog.text
    assert "ECH20-EC-TM_20070101_20131231.stm; dropped: none" in caplog.text
    assert "_0.400000_" not in caplog.text


def test_folder_and_zip_give_the_same_and_nothing_is_written_beside_them(tmp_path):
    archive = tmp_path / "archive"
    paths = [stm(archive, rows=hourly("2010-06-01", np.linspace(0.2, 0.3, 48)))]
    (archive / "Readme.txt").write_text("cite")
    with zipfile.ZipFile(archive / "MAQU.zip", "w") as packed:
        packed.write(paths[0], "MAQU/CST-01/" + paths[0].name)
        packed.writestr("__MACOSX/MAQU/CST-01/._" + paths[0].name, "finder")
        packed.writestr("python_metadata/MAQU.csv", "x")
    before = sorted(archive.rglob("*"))
    first, _ = run(tmp_path, [*paths, archive / "Readme.txt"])
    second, _ = run(tmp_path, [archive / "MAQU.zip"])
    pd.testing.assert_frame_equal(first["CST01", 2010], second["CST01", 2010])
    assert len(first["CST01", 2010]) == 48
    assert sorted(archive.rglob("*")) == before


def test_members_that_lead_out_of_a_zip_are_refused(tmp_path):
    path = stm(tmp_path)
    with zipfile.ZipFile(tmp_path / "MAQU.zip", "w") as packed:
        packed.write(path, f"../{path.name}")
    with pytest.raises(UserError, match=r"MAQU.zip: .*\.\./MAQU_MAQU_CST-01_sm"):
        run(tmp_path, [tmp_path / "MAQU.zip"])


def test_flags_decide_and_are_counted(tmp_path, caplog):
    flags = ["G", "C03", "D10", "C03,D10", "D03", "D03,D10", "U", "M", "G"]
    values = [0.3] * 7 + [0.5, -9999.99]
    rows = [
        f"2010/06/01 {n:02d}:00 {value:9.4f} {flag} M"
        for n, (value, flag) in enumerate(zip(values, flags, strict=True))
    ]
    path = stm(tmp_path, rows=[*rows, "2010/06/01 09:00      NaN G M"])
    with caplog.at_level(logging.INFO):
        assert len(run(tmp_path, [path])[0]["CST01", 2010]) == 4
    said = "dropped: 2 missing, 1 flag D03, 1 flag D03,D10, 1 flag U, 1 flag M"
    assert said in caplog.text
    assert len(run(tmp_path, [path], flags=["G"])[0]["CST01", 2010]) == 1
    assert len(run(tmp_path, [path], flags=["G", "U"])[0]["CST01", 2010]) == 2


def test_temperatures_in_kelvin_are_refused(tmp_path):
    table = quarter_hours().assign(T=285.0)
    with pytest.raises(UserError, match=r"a.csv: expected soil temperature of CST01 in degC"):
        table_run(tmp_path, {"a.csv": table}, temperature="T")


def test_a_single_archive_may_come_as_one_path(tmp_path):
    path = stm(tmp_path)
    assert list(read_stations.delivered(str(path))) == [str(path)]


def test_a_site_that_loses_all_its_readings_is_told_on_the_terminal(tmp_path, caplog):
    path = stm(tmp_path, rows=hourly("2010-06-01", [0.3] * 24, "U"))
    with caplog.at_level(logging.INFO):
        read, _ = run(tmp_path, [path])
    assert len(read["CST01", 2010]) == 0
    said = [r.getMessage() for r in caplog.records if r.levelno > logging.INFO]
    assert any("CST01 has no reading in any year" in s and "24 flag U" in s for s in said)


def test_impossible_temperatures_are_unknown_and_frost_is_kept(tmp_path):
    heat = ["2010/06/01 00:00  -3.0 D01 M", "2010/06/01 01:00  99.0 C01 M"]
    heat += ["2010/06/01 02:00  -9999.99 M M", "2010/06/01 03:00  4.0 U M"]
    paths = [
        stm(tmp_path, rows=hourly("2010-06-01", [0.3] * 4)),
        stm(tmp_path, variable="ts", rows=heat),
    ]
    found = run(tmp_path, paths)[0]["CST01", 2010]["soil_temperature"]
    assert found.tolist() == pytest.approx([-3, np.nan, np.nan, 4], nan_ok=True)


def test_two_sensors_are_never_mixed_in_a_year(tmp_path, caplog):
    # B has more of 2010, A more of 2011; at the same depth the one with more readings is taken.
    paths = [
        stm(tmp_path, sensor="A", rows=hourly("2010-12-31 20:00", [0.1] * 24)),
        stm(tmp_path, sensor="B", rows=hourly("2010-12-31 00:00", [0.2] * 40)),
        stm(tmp_path, variable="ts", sensor="A", rows=hourly("2010-12-31 00:00", [1.0] * 48)),
        stm(tmp_path, variable="ts", sensor="B", rows=hourly("2010-12-31 00:00", [2.0] * 48)),
    ]
    with caplog.at_level(logging.INFO):
        read, _ = run(tmp_path, paths, years=(2010, 2011))
    for year, moisture, warmth, count in ((2010, 0.2, 2.0, 24), (2011, 0.1, 1.0, 20)):
        found = read["CST01", year]
        assert found["soil_moisture"].tolist() == [moisture] * count
        assert found["soil_temperature"].tolist() == [warmth] * count
    assert "CST01: 2010 has two sensors of sm at 5 cm; read: " in caplog.text
    assert "_B_20070101_20131231.stm (24 readings), left out: " in caplog.text
    assert "_A_20070101_20131231.stm (4)" in caplog.text


def test_the_nearer_layer_goes_before_the_one_with_more_readings(tmp_path):
    rows = hourly("2010-06-01", [0.1] * 24)
    near = stm(tmp_path, rows=hourly("2010-06-01", [0.2] * 10))
    wide = stm(tmp_path, sensor="Z", rows=rows)
    broad = wide.rename(str(wide).replace("0.050000_0.050000", "0.000000_0.100000"))
    text = broad.read_bytes().replace(b"    0.05    0.05", b"    0.00    0.10")
    broad.write_bytes(text)
    assert run(tmp_path, [near, broad])[0]["CST01", 2010]["soil_moisture"].tolist() == [0.2] * 10
    assert len(run(tmp_path, [broad])[0]["CST01", 2010]) == 24


def test_equal_sensors_go_by_name_and_repeats_once(tmp_path, caplog):
    rows = hourly("2010-06-01", [0.1] * 3) + hourly("2010-06-01", [0.2])
    paths = [stm(tmp_path, sensor="B"), stm(tmp_path, sensor="A", rows=rows[:1])]
    assert run(tmp_path, paths)[0]["CST01", 2010]["soil_moisture"].tolist() == [0.1]
    path = stm(tmp_path, sensor="C", rows=rows)
    with caplog.at_level(logging.INFO):
        assert run(tmp_path, [path])[0]["CST01", 2010]["soil_moisture"].tolist() == [0.1] * 3
    assert "1 repeated time (sm)" in caplog.text


def test_positions_come_from_the_archive_where_the_table_has_none(tmp_path, caplog):
    paths = [stm(tmp_path), stm(tmp_path, station="NST_01", place=(33.9, 102.2))]
    sites = table_of(tmp_path, ["CST01,33.8830,102.1330", "NST01,,"])
    table = run(tmp_path, paths, sites)[1]
    assert table[["lat", "lon"]].to_numpy().tolist() == [[33.883, 102.133], [33.9, 102.2]]
    assert [record for record in caplog.records if record.levelname == "WARNING"] == []
    sites = table_of(tmp_path, ["CST01", "NST01"], "site")
    assert run(tmp_path, paths, sites)[1]["lat"].tolist() == [33.8833, 33.9]


def test_the_table_wins_over_rounded_positions_and_the_distance_is_said(tmp_path, caplog):
    # The paper's place of CST 01, 0.9 km from that of ISMN.
    sites = table_of(tmp_path, ["CST01,33.886,102.142,3491"], "site,lat,lon,elevation")
    table = run(tmp_path, [stm(tmp_path)], sites)[1]
    assert table.loc[0, ["lat", "lon", "elevation"]].tolist() == [33.886, 102.142, 3491]
    assert "CST01: 33.886, 102.142 is used, the archive says 33.8833, 102.1333" in caplog.text
    assert "which is 857 m away" in caplog.text


def test_columns_of_the_table_stay(tmp_path):
    sites = table_of(tmp_path, ["CST01,33.8833,102.1333,marsh"], "site,lat,lon,land")
    assert run(tmp_path, [stm(tmp_path)], sites)[1].loc[0, "land"] == "marsh"


def test_stations_that_are_not_in_the_table_are_listed(tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        run(tmp_path, [stm(tmp_path), stm(tmp_path, station="NST_01")])
    assert "stations that are not in the table of sites: NST-01" in caplog.text


def test_what_the_archive_does_not_hold_is_named(tmp_path):
    paths = [stm(tmp_path, depth=0.1), stm(tmp_path, station="NST_01")]
    with pytest.raises(UserError, match=r"CST01: expected soil moisture at 5 cm, found it at 10 t"):
        run(tmp_path, paths)
    with pytest.raises(UserError, match=r"XST9: expected one station .* it has CST-01, NST-01. Co"):
        run(tmp_path, paths, table_of(tmp_path, ["XST9,33,102"]))
    with pytest.raises(UserError, match=r"a network of the archive, found NAQU; it holds MAQU"):
        run(tmp_path, paths, table_of(tmp_path), network="NAQU")
    (tmp_path / "a.csv").write_text("x")
    with pytest.raises(UserError, match=r"a.csv: expected files .stm of ismn.earth, found a.csv"):
        run(tmp_path, [tmp_path / "a.csv"])


def test_two_networks_with_one_name_need_the_config(tmp_path):
    paths = [stm(tmp_path), stm(tmp_path, network="NAQU", rows=hourly("2010-06-01", [0.2]))]
    with pytest.raises(UserError, match=r"CST01: .*found MAQU, NAQU. Set insitu.network"):
        run(tmp_path, paths)
    found = run(tmp_path, paths, network="naqu")[0]["CST01", 2010]
    assert found["soil_moisture"].tolist() == [0.2]


@pytest.mark.parametrize(
    ("old", "new"), [("CST_01", "CST_02"), ("    0.05", "    0.40"), ("MAQU   ", "NAQU   ")]
)
def test_a_file_under_another_s_name_is_refused(tmp_path, old, new):
    path = stm(tmp_path)
    path.write_bytes(path.read_bytes().replace(old.encode(), new.encode()))
    with pytest.raises(UserError, match=r"expected MAQU CST-01, 5 to 5 cm, as it is named, found"):
        run(tmp_path, [path])


def test_sites_that_archives_cannot_tell_apart_are_refused(tmp_path):
    sites = table_of(tmp_path, ["CST01,33,102", "CST_01,34,102"])
    with pytest.raises(UserError, match=r"sites.csv: .* differ in letters .*found CST01, CST_01"):
        run(tmp_path, [stm(tmp_path)], sites)


def test_the_next_step_reads_what_is_written(tmp_path):
    values = 0.3 + 0.01 * np.sin(np.arange(24 * 30))
    paths = [
        stm(tmp_path, rows=hourly("2010-06-01", values)),
        stm(tmp_path, station="NST_01", rows=hourly("2009-06-01", values)),
    ]
    run(tmp_path, paths, table_of(tmp_path, ["CST01,,", "NST01,,"]))
    out = tmp_path / "results"
    average_insitu.main(
        sites=str(out / "sites.csv"),
        series=[str(out / "2010" / f"{site}.csv") for site in ("CST01", "NST01")],
        means=str(tmp_path / "means.csv"),
        year="2010",
        months=[6],
        depth=5,
        min_share=0.7,
        min_days=20,
        valid=[0.0, 0.7],
        min_temperature=0.5,
    )
    means = pd.read_csv(tmp_path / "means.csv")
    assert means["kept"].tolist() == [1, 0]
    assert means.loc[0, "value"] == pytest.approx(values.mean(), abs=1e-4)


# Tables of any producer.


def quarter_hours(start="2010-06-01", days=12, columns=("CST01",), level=0.3):
    times = pd.date_range(start, periods=96 * days, freq="15min")
    table = pd.DataFrame({"time": times})
    for n, column in enumerate(columns):
        table[column] = np.round(level * (1 + 0.1 * n + 0.1 * np.sin(np.arange(len(times)))), 4)
    return table


def table_run(folder, tables, sites=None, years=(2010,), **mapping):
    paths = []
    for name, table in tables.items():
        path = folder / "in" / name
        path.parent.mkdir(exist_ok=True)
        if path.suffix == ".xlsx":
            table.to_excel(path, index=False)
        else:
            table.to_csv(path, index=False)
        paths.append(path)
    return run(folder, paths, sites, years, format="table", mapping=mapping)


def test_one_column_a_site_and_many_files(tmp_path, caplog):
    sites = table_of(tmp_path, ["CST01,33.9,102.1", "NST01,33.9,102.2"])
    table = quarter_hours(days=20, columns=("CST_01", "NST 01"))
    tables = {"a.csv": table[1000:], "b.csv": table[:1000]}
    with caplog.at_level(logging.INFO):
        read, found = table_run(tmp_path, tables, sites)
    assert read["CST01", 2010]["soil_moisture"].tolist() == table["CST_01"].tolist()
    assert read["NST01", 2010]["soil_moisture"].tolist() == table["NST 01"].tolist()
    assert read["CST01", 2010]["time"].iloc[[0, -1]].tolist() == [
        "2010-06-01T00:00:00Z",
        "2010-06-20T23:45:00Z",
    ]
    assert read["CST01", 2010]["soil_temperature"].isna().all()
    assert found["lon"].tolist() == [102.1, 102.2]
    assert "every 15 min (100.0% of the steps); dropped: none" in caplog.text


def test_one_file_a_site_with_its_temperature(tmp_path):
    sites = table_of(tmp_path, ["CST01,33.9,102.1", "NST01,33.9,102.2"])
    table = quarter_hours(columns=("SM", "T"))
    tables = {"Maqu_CST-01.xlsx": table, "Maqu_NST-01.xlsx": table.assign(SM=0.25, T=8.5)}
    keys = dict(files="*{site}.xlsx", column="SM", temperature="T")
    read, _ = table_run(tmp_path, tables, sites, **keys)
    assert read["CST01", 2010]["soil_moisture"].tolist() == table["SM"].tolist()
    assert set(read["NST01", 2010]["soil_temperature"]) == {8.5}


def test_a_zip_of_tables_is_looked_into(tmp_path):
    table = quarter_hours()
    with zipfile.ZipFile(tmp_path / "4tu.zip", "w") as packed:
        packed.writestr("data/2010.csv", table.to_csv(index=False))
        packed.writestr("__MACOSX/data/._2010.csv", "Mac OS X")
        packed.writestr("readme.txt", "cite")
    found = run(tmp_path, [tmp_path / "4tu.zip"], format="table")[0]["CST01", 2010]
    assert found["soil_moisture"].tolist() == table["CST01"].tolist()


def test_local_time_becomes_utc_and_years_are_those_of_utc(tmp_path, caplog):
    table = quarter_hours("2009-12-30", days=4)
    read, _ = table_run(tmp_path, {"a.csv": table}, years=(2009, 2010), zone="Asia/Shanghai")
    assert read["CST01", 2009]["time"].iloc[0] == "2009-12-29T16:00:00Z"
    assert len(read["CST01", 2009]) == 96 * 2 + 32
    assert read["CST01", 2010]["time"].iloc[0] == "2010-01-01T00:00:00Z"
    with caplog.at_level(logging.INFO):
        table_run(tmp_path, {"a.csv": table}, years=(2010,), zone="Asia/Shanghai")
    assert "dropped: 224 of other years" in caplog.text


def test_percent_and_fill_codes(tmp_path, caplog):
    table = quarter_hours(level=30)
    table.loc[[3, 4, 5], "CST01"] = -99, -9999, np.nan
    with caplog.at_level(logging.INFO):
        read, _ = table_run(tmp_path, {"a.csv": table}, unit="percent")
    expected = table["CST01"].drop([3, 4, 5]) / 100
    assert read["CST01", 2010]["soil_moisture"].tolist() == pytest.approx(expected.tolist())
    assert "dropped: 2 fill, 1 empty" in caplog.text


@settings(
    deadline=None, max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.integers(5, 60), min_size=10, max_size=10))
def test_percent_is_a_hundred_times_the_fraction(tmp_path, values):
    table = quarter_hours(days=1)[: len(values)].assign(CST01=values)
    percent = table_run(tmp_path, {"a.csv": table}, unit="percent")[0]["CST01", 2010]
    table["CST01"] /= 100
    fraction = table_run(tmp_path, {"a.csv": table})[0]["CST01", 2010]
    pd.testing.assert_frame_equal(percent, fraction)


@settings(
    deadline=None, max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.integers(-11, 12))
def test_daily_means_of_local_days_do_not_depend_on_the_zone(tmp_path, ahead):
    table = quarter_hours("2010-06-03", days=5)
    local = table.groupby(table["time"].dt.date)["CST01"].mean()
    zone = f"Etc/GMT{-ahead:+d}" if ahead else "UTC"
    read = table_run(tmp_path, {"a.csv": table}, zone=zone)[0]["CST01", 2010]
    back = pd.to_datetime(read["time"]).dt.tz_convert(zone).dt.date
    assert read.groupby(back)["soil_moisture"].mean().tolist() == pytest.approx(local.tolist())


def test_repeats_are_dropped_and_contradictions_refused(tmp_path, caplog):
    table = quarter_hours()
    again = table[:10].copy()
    again.loc[3, "CST01"] = np.nan
    with caplog.at_level(logging.INFO):
        read, _ = table_run(tmp_path, {"a.csv": table, "b.csv": again})
    assert read["CST01", 2010]["soil_moisture"].tolist() == table["CST01"].tolist()
    assert "dropped: 10 repeated" in caplog.text
    again.loc[5, "CST01"] = 0.111
    message = r"a.csv: expected one reading of CST01 at a time, found 0.111, .* 2010-06-01 01:15:00"
    with pytest.raises(UserError, match=message + r".*b.csv \(1 such times\)"):
        table_run(tmp_path, {"a.csv": table, "b.csv": again})


def test_what_the_tables_do_not_hold_is_named(tmp_path):
    table = quarter_hours(columns=("CST01", "NST02"))
    sites = table_of(tmp_path, ["CST01,33.9,102.1", "NST01,33.9,102.2"])
    with pytest.raises(UserError, match=r"found none for NST01; there are CST01, NST02"):
        table_run(tmp_path, {"a.csv": table}, sites)
    with pytest.raises(UserError, match=r"a.csv: expected a column date in row 0, found CST01, N"):
        table_run(tmp_path, {"a.csv": table}, sites, time="date")
    with pytest.raises(UserError, match=r"insitu.table.files: expected tables Maqu\*, found a.csv"):
        table_run(tmp_path, {"a.csv": table}, sites, files="Maqu*")
    with pytest.raises(UserError, match=r"insitu.table.column: expected {site} in it"):
        table_run(tmp_path, {"a.csv": table}, sites, column="CST01")
    with pytest.raises(UserError, match=r"insitu.table.temperature: expected {site} in it"):
        table_run(tmp_path, {"a.csv": table}, sites, temperature="T")
    with pytest.raises(UserError, match=r"expected a column T_{site} for CST01, found CST01, NST"):
        table_run(tmp_path, {"a.csv": table}, temperature="T_{site}")


def test_columns_and_files_of_unknown_sites_are_said(tmp_path, caplog):
    table = quarter_hours(columns=("CST01", "CST02", "remark"))
    with caplog.at_level(logging.INFO):
        table_run(tmp_path, {"a.csv": table})
    assert "columns of no site in the table of sites: CST02" in caplog.text
    assert "remark" not in caplog.text
    with caplog.at_level(logging.INFO):
        table_run(tmp_path, {"CST01.csv": table, "CST02.csv": table}, files="{site}.csv")
    assert "tables of no site in the table of sites: CST02.csv" in caplog.text


def test_the_wrong_unit_is_told_by_its_key(tmp_path):
    with pytest.raises(UserError, match=r"they look like percent: set insitu.table.unit"):
        table_run(tmp_path, {"a.csv": quarter_hours(level=30)})
    with pytest.raises(UserError, match=r"they look like fractions: set insitu.table.unit"):
        table_run(tmp_path, {"a.csv": quarter_hours()}, unit="percent")


def test_sheets_without_the_time_are_left_out(tmp_path, caplog):
    path = tmp_path / "a.xlsx"
    with pd.ExcelWriter(path) as book:
        quarter_hours().to_excel(book, sheet_name="5cm", index=False)
        pd.DataFrame({"site": ["CST01"]}).to_excel(book, sheet_name="about", index=False)
    with caplog.at_level(logging.INFO):
        read, _ = run(tmp_path, [path], format="table", mapping={"files": "*.xlsx"})
    assert len(read["CST01", 2010]) == 96 * 12
    assert "a.xlsx[about]: left out, it has no column time" in caplog.text


def test_two_depths_under_one_name_are_refused(tmp_path):
    path = tmp_path / "a.xlsx"
    with pd.ExcelWriter(path) as book:
        quarter_hours().to_excel(book, sheet_name="5cm", index=False)
        quarter_hours(level=0.4).to_excel(book, sheet_name="10cm", index=False)
    with pytest.raises(UserError, match=r"expected one reading of CST01 at a time.*a.xlsx\[10cm\]"):
        run(tmp_path, [path], format="table", mapping={"files": "*.xlsx"})


@pytest.mark.parametrize(("zone", "warned"), [("UTC", True), ("Asia/Shanghai", False)])
def test_a_zone_that_the_soil_contradicts_is_warned_of(tmp_path, caplog, zone, warned):
    table = quarter_hours(days=20)
    # Warmest at 17:10 by the clock of Shanghai, which is 16 h of the sun at 102.5 E.
    hour = (table["time"] - table["time"].dt.normalize()) / pd.Timedelta("1h")
    table["T_CST01"] = 12 + 4 * np.cos(2 * np.pi * (hour - 17.17) / 24)
    table_run(tmp_path, {"a.csv": table}, zone=zone, temperature="T_{site}")
    assert ("soil is warmest at" in caplog.text) == warned


def test_sites_of_tables_need_positions(tmp_path):
    with pytest.raises(UserError, match=r"found none for CST01. Fill them in"):
        table_run(tmp_path, {"a.csv": quarter_hours()}, table_of(tmp_path, ["CST01,,"]))


def test_same_archive_same_bytes(tmp_path):
    tables = {"a.csv": quarter_hours(), "b.csv": quarter_hours("2010-07-01")}
    table_run(tmp_path, tables)
    first = (tmp_path / "results" / "2010" / "CST01.csv").read_bytes()
    table_run(tmp_path, dict(reversed(tables.items())))
    assert (tmp_path / "results" / "2010" / "CST01.csv").read_bytes() == first
    assert not list(Path(tmp_path / "results").rglob("*.part*"))
