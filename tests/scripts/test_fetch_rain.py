"""Gauge files over the wire: what NOAA sends is checked, what it lacks is named at once."""

import json
import os
import stat
from pathlib import Path

import pytest

import average_rain
import fetch_rain
from _log import UserError
from conftest import real
from servers import Fault, Files

HEADER = '"STATION","DATE","LATITUDE","LONGITUDE","ELEVATION","PRCP","PRCP_ATTRIBUTES"\n'
IDS = ("56079099999", "56080099999", "56144099999")


def table(station, year=2009, days=31, header=HEADER):
    rows = [
        f'"{station}","{year}-05-{day:02d}","33.58","102.97","3441.0"," 0.10","G"\n'
        for day in range(1, days + 1)
    ]
    return (header + "".join(rows)).encode()


@pytest.fixture
def noaa(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with Files({f"/access/2009/{name}.csv": table(name) for name in IDS}) as server:
        yield server


def run(server, stations=IDS, year="2009", tries=3, timeout=1, parallel=2):
    finals = [f"resources/raw/rain/{year}/{name}.csv" for name in stations]
    store, address = "resources/store/gsod", f"{server.address}/access/"
    fetch_rain.main(finals, year, store, address, parallel, tries, timeout)
    return finals


def named():
    """Return the files that have their final name, in the store and in the archive."""
    return sorted(str(path) for path in Path("resources").rglob("[!.]*.csv"))


def path_of(station):
    return f"/access/2009/{station}.csv"


def test_each_gauge_gets_its_file_of_the_year(noaa):
    for final, name in zip(run(noaa), IDS, strict=True):
        assert Path(final).read_bytes() == table(name)
        assert not os.stat(final).st_mode & stat.S_IWUSR
        record = json.loads(Path(final).with_suffix(".json").read_text())
        assert record["address"] == f"{noaa.address}{path_of(name)}"
        assert record["delivered"] == f"{name}.csv"
        assert os.readlink(final) == f"../../../store/gsod/2009/{name}.csv"


def test_a_second_run_needs_no_network(noaa):
    run(noaa)
    before = len(noaa.seen)
    for final in run(noaa):
        assert os.path.exists(final)
    assert len(noaa.seen) == before


def test_years_do_not_mix(noaa):
    noaa.files["/access/2010/56079099999.csv"] = table("56079099999", 2010)
    run(noaa)
    final = run(noaa, IDS[:1], "2010")[0]
    assert Path(final).read_bytes() == table("56079099999", 2010)


def test_a_real_file_passes_and_is_read(noaa):
    content = real("gsod/01001099999.csv").read_bytes()
    noaa.files["/access/2024/01001099999.csv"] = content
    final = run(noaa, ["01001099999"], "2024")[0]
    assert len(average_rain.read_gsod(final, 2024)) == content.count(b"\n") - 1


def test_all_gauges_without_a_file_are_named_at_once_with_the_text_for_the_config(noaa):
    del noaa.files[path_of(IDS[0])], noaa.files[path_of(IDS[2])]
    with pytest.raises(UserError) as error:
        run(noaa)
    message = str(error.value)
    assert f"found none (404) of {IDS[0]}, {IDS[2]}" in message
    assert f'rain:\n  absent: ["{IDS[0]}/2009", "{IDS[2]}/2009"]\n' in message
    assert "addresses.gsod" not in message
    assert named() == [f"resources/store/gsod/2009/{IDS[1]}.csv"]
    # With the two in rain.absent, the rule asks for the one that is left.
    assert len(run(noaa, IDS[1:2])) == 1


def test_a_gauge_that_failed_otherwise_is_not_called_absent(noaa):
    del noaa.files[path_of(IDS[0])]
    noaa.faults[path_of(IDS[1])] = [Fault("login")]
    with pytest.raises(UserError) as error:
        run(noaa)
    assert f'absent: ["{IDS[0]}/2009"]' in str(error.value)
    assert f"Fetching {IDS[1]} failed for another reason" in str(error.value)


def test_a_refusal_counts_before_what_is_absent(noaa):
    del noaa.files[path_of(IDS[0])]
    noaa.faults[path_of(IDS[1])] = [Fault(403)]
    with pytest.raises(UserError, match="found 403 from NOAA"):
        run(noaa, parallel=1)


def test_one_gauge_of_one_that_is_absent_says_nothing_of_the_address(noaa):
    with pytest.raises(UserError, match="found none") as error:
        run(noaa, ["99999099999"])
    assert "addresses.gsod" not in str(error.value)


def test_a_year_without_any_file_asks_for_the_address(noaa):
    with pytest.raises(UserError, match=r"Not one gauge has a file of 2026: is addresses.gsod"):
        run(noaa, year="2026")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (table(IDS[1]), f"{IDS[0]}, found days of {IDS[1]}"),
        (table(IDS[0], 2010), r"expected days of 2009, found '2010-05-01' \(31 rows\)"),
        (table(IDS[0], header=HEADER.replace("PRCP", "RAIN")), "columns PRCP, PRCP_ATTRIBUTES"),
        (table(IDS[0])[:-20], "found line 32 cut short"),
        (table(IDS[0])[:-1], "found line 32 cut short"),
        (table(IDS[0], days=0), "found a header without days"),
        (b"", "without the columns STATION, DATE"),
        (b"<!DOCTYPE html><html>Maintenance</html>", "found a web page"),
    ],
)
def test_what_is_not_the_gauges_table_of_the_year_gets_no_name(noaa, content, said):
    noaa.files[path_of(IDS[0])] = content
    with pytest.raises(UserError, match=said) as error:
        run(noaa, IDS[:1])
    assert noaa.address in str(error.value)
    assert named() == []
    noaa.files[path_of(IDS[0])] = table(IDS[0])
    assert Path(run(noaa, IDS[:1])[0]).read_bytes() == table(IDS[0])


@pytest.mark.parametrize(
    "fault",
    [
        Fault(429, {"Retry-After": "0"}),
        Fault(500, {"Retry-After": "0"}),
        Fault("stall", seconds=1.0, after=300),
        Fault("cut", after=300),
    ],
    ids=lambda fault: str(fault.kind),
)
def test_a_passing_fault_is_passed(noaa, fault, monkeypatch):
    monkeypatch.setattr("_download.LONGEST", 0)
    noaa.faults[path_of(IDS[0])] = [fault]
    assert Path(run(noaa, timeout=0.4)[0]).read_bytes() == table(IDS[0])
    assert len([one for one in noaa.seen if one.path == path_of(IDS[0])]) == 2


def test_a_lasting_fault_is_named_and_the_next_run_goes_on(noaa, monkeypatch):
    monkeypatch.setattr("_download.LONGEST", 0)
    noaa.faults[path_of(IDS[0])] = [Fault("cut", after=500)] * 2
    with pytest.raises(UserError, match=r"after 2 tries: the connection"):
        run(noaa, tries=2)
    assert f"resources/store/gsod/2009/{IDS[0]}.csv" not in named()
    assert Path(run(noaa)[0]).read_bytes() == table(IDS[0])
    assert noaa.seen[-1].headers["range"].startswith("bytes=")


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_says_that_no_account_is_needed(noaa, status):
    noaa.faults[path_of(IDS[0])] = [Fault(status)]
    with pytest.raises(UserError, match=rf"found {status} from NOAA.*asks for no account"):
        run(noaa, IDS[:1])
    assert named() == []
