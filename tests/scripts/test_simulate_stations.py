"""Simulated gauges and sites, read back line by line as their producers' users do."""

import csv
from datetime import datetime, timedelta

import numpy as np
import pytest

from _log import UserError
from _world import build
from conftest import ROOT, SHARED
from simulate_stations import (
    GSOD,
    HOURLY,
    QUARTER_HOURLY,
    disturb,
    lost_days,
    main,
    open_months,
    readings,
    reported,
    sensor_csv,
    table,
    unlucky_gauge,
)

AREA = [102.0, 33.6, 102.7, 34.19]
SEED = 20230310
MONTHS = [5, 6, 7, 8, 9, 10]
GAUGES = str(ROOT / "config" / "simulated_gauges.csv")
SITES = str(ROOT / "config" / "simulated_sites.csv")


def ids(path, column):
    return [row[column] for row in table(path, [column])]


def simulate(root, year):
    main(
        gauges=GAUGES,
        sites=SITES,
        rain=[str(root / "rain" / f"{name}.csv") for name in ids(GAUGES, "station")],
        insitu=[str(root / "insitu" / f"{name}.csv") for name in ids(SITES, "site")],
        year=year,
        months=MONTHS,
        area=AREA,
        seed=SEED,
        trend=0.0,
    )


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    root = tmp_path_factory.mktemp("stations")
    simulate(root, 2012)
    return root


def rows(path):
    with open(path, newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def gauges(archive):
    return {path.stem: rows(path) for path in sorted((archive / "rain").iterdir())}


def test_gsod_columns_are_those_of_a_real_file(archive):
    found = sorted((SHARED / "gsod").glob("*.csv"))
    if not found:
        pytest.skip(f"real files are not here: {SHARED / 'gsod'}")
    header = found[0].read_text().splitlines()[0]
    ours = next((archive / "rain").iterdir()).read_text().splitlines()
    assert ours[0] == header
    assert ours[1].count('","') == len(GSOD) - 1
    real = found[0].read_text().splitlines()[1]
    # All quoted, and the numbers padded to the same width.
    real = found[0].read_text().splitlines()[1]
    ours, real = (
        dict(zip(GSOD, next(csv.reader([line])), strict=True)) for line in (ours[1], real)
    )
    for name in ("TEMP", "DEWP", "VISIB", "WDSP", "MAX", "PRCP", "SNDP", "FRSHTT"):
        assert len(ours[name]) == len(real[name]), name


def test_gauges_have_gaps_flags_and_one_month_without_a_value(archive):
    blank, month = unlucky_gauge(SEED, 2012, ids(GAUGES, "station"))
    assert month in MONTHS
    flags = set()
    for name, found in gauges(archive).items():
        assert {row["STATION"] for row in found} == {name}
        assert found[0]["NAME"].endswith(", CH")
        valid = {row["DATE"] for row in found if float(row["PRCP"]) < 99}
        assert len(valid) == len([row for row in found if float(row["PRCP"]) < 99])
        assert (310 if name == blank else 340) <= len(valid) < 366
        in_blank = [day for day in valid if int(day[5:7]) == month]
        assert bool(in_blank) == (name != blank)
        flags |= {row["PRCP_ATTRIBUTES"] for row in found}
        assert all(row["PRCP_ATTRIBUTES"] == " " for row in found if row["PRCP"] == "99.99")
    assert flags == {" ", "A", "D", "E", "G", "H", "I"}


def test_rain_adds_up_to_what_fell(archive):
    world = build(AREA, SEED, 0.0)
    place = table(GAUGES, ["station", "lat", "lon"])
    blank, _ = unlucky_gauge(SEED, 2012, [row["station"] for row in place])
    for station in place:
        if station["station"] == blank:
            continue
        row, col = world.rows_cols(float(station["lon"]), float(station["lat"]))
        truth = sum(world.rain(2012, month)[row, col] for month in range(1, 13))
        found = rows(archive / "rain" / f"{station['station']}.csv")
        total = 25.4 * sum(float(r["PRCP"]) for r in found if r["PRCP"] != "99.99")
        # Days lost and days reported in part: 3-12 % less than what fell.
        assert 0.82 * truth < total < 1.01 * truth


def test_a_gauge_reports_in_hundredths_of_an_inch():
    rain = np.array([25.4, 0.0, 3.0] * 4000)
    lost = np.zeros(rain.size, dtype=bool)
    lost[:6] = True
    inches, flags = reported(np.random.default_rng(1), rain, lost)
    assert (inches[:6] == 99.99).all()
    assert set(flags[:6]) == {" "}
    complete = np.isin(flags, ["D", "G"])
    assert set(inches[complete & (rain > 20)]) == {1.0}
    assert set(inches[complete & (rain == 3)]) == {0.12}
    assert set(inches[np.isin(flags, ["A", "E"]) & (rain > 20)]) == {0.5}
    assert (rain[flags == "H"] == 3).all()
    assert (inches[np.isin(flags, ["H", "I"])] == 0).all()
    assert (rain[flags == "I"] == 0).all()


def test_lost_days():
    lost, absent = lost_days(np.random.default_rng(1), 2012, 7)
    assert lost.size == 366
    assert lost[182:213].all()
    assert 2 <= lost.sum() - 31 <= 30
    assert (lost | ~absent).all()


def readings_of(archive, site):
    found = rows(archive / "insitu" / f"{site}.csv")
    times = np.array([row["time"].rstrip("Z") for row in found], dtype="datetime64[s]")
    value = [float(row["soil_moisture"] or "nan") for row in found]
    return times, np.array(value), np.array([float(row["soil_temperature"]) for row in found])


@pytest.mark.parametrize(("sites", "minutes"), [(QUARTER_HOURLY, 15), (HOURLY, 60)])
def test_long_records_have_their_step_and_few_gaps(archive, sites, minutes):
    shares = []
    for site in sites:
        times, value, celsius = readings_of(archive, site)
        steps = np.diff(times).astype(int)
        assert (steps % (60 * minutes) == 0).all()
        assert np.median(steps) == 60 * minutes
        assert steps.max() > 60 * minutes  # rows are missing
        assert np.isnan(value).any()  # and values are empty
        shares.append(np.isfinite(value).sum() / (184 * 1440 / minutes))
        assert celsius.max() < 40
    assert 0.8 < np.mean(shares) < 0.98


def test_short_records_are_daily_and_may_be_a_header_only(archive):
    lengths = {}
    for path in (archive / "insitu").iterdir():
        assert path.read_text().startswith("time,soil_moisture,soil_temperature\n")
        if path.stem not in QUARTER_HOURLY + HOURLY:
            times = readings_of(archive, path.stem)[0]
            lengths[path.stem] = times.size
            assert np.unique(times.astype("datetime64[D]")).size == times.size
    assert min(lengths.values()) == 0
    assert max(lengths.values()) > 100


def test_records_of_ten_years_are_as_long_as_those_at_maqu():
    for site in ids(SITES, "site"):
        months = sum(len(open_months(SEED, site, year, MONTHS)) for year in range(2009, 2019))
        if site in QUARTER_HOURLY + HOURLY:
            assert 50 <= months <= 60
        else:
            assert 6 <= months <= 26


def test_faults_do_what_their_names_say():
    rng = np.random.default_rng
    per_day, count = 24, 31 * 24
    moisture, celsius = np.linspace(0.3, 0.4, count), np.full(count, 8.0)
    before = moisture.copy()
    faults = disturb(rng(1), moisture, celsius, per_day, stuck=True, frozen_end="last")
    assert faults["stuck"] == 192
    assert faults["frozen"] == 120
    assert (celsius < 0).sum() == 120
    assert (celsius[-120:] < 0).all()
    cold = moisture[-120:]
    assert np.nanmedian(cold) == pytest.approx(0.35 * 0.39, abs=0.005)
    assert np.isnan(moisture).sum() == faults["empty"] > 0
    stuck = moisture[count // 3 : count // 3 + 192]
    assert (stuck == before[count // 3]).mean() > 0.9
    quiet = np.full(100_000, 0.3)
    found = disturb(rng(2), quiet, quiet.copy(), 96, stuck=False, frozen_end=None)
    outside = (quiet < 0.2) | (quiet > 0.7)
    assert outside.sum() == pytest.approx(found["spike"], abs=4)
    assert outside.mean() == pytest.approx(0.001, rel=0.4)


def test_a_sensor_in_order_shows_mean_offset_gain_and_noise():
    swing = np.zeros(30)
    found = [
        readings(np.random.default_rng(n), (0.4, 0.02), swing, 15.0, 0.03, 1.5, 24)[0].mean()
        for n in range(300)
    ]
    assert np.mean(found) == pytest.approx(0.4 + 0.03 + 1.5 * 0.02, abs=0.003)
    assert np.std(found) == pytest.approx(0.012, rel=0.15)


def test_sensors_differ_by_their_offsets(archive):
    world = build(AREA, SEED, 0.0)
    differences = []
    for row in table(SITES, ["site", "lat", "lon"]):
        times, value, _ = readings_of(archive, row["site"])
        if times.size:
            place = world.rows_cols(float(row["lon"]), float(row["lat"]))
            differences.append(np.nanmedian(value) - world.land["moisture"][place])
    assert 0.02 < np.std(differences) < 0.08


def test_some_year_has_frozen_soil_and_some_a_stuck_sensor(tmp_path):
    frozen = stuck = 0
    for year in (2009, 2010, 2011):
        simulate(tmp_path / str(year), year)
        for site in QUARTER_HOURLY + HOURLY:
            _, value, celsius = readings_of(tmp_path / str(year), site)
            frozen += (celsius < 0).any()
            runs = np.diff(np.flatnonzero(np.diff(value) != 0))
            stuck += runs.size > 0 and runs.max() > (100 if site in QUARTER_HOURLY else 25)
    assert 1 <= frozen <= 3
    assert 1 <= stuck <= 3


def test_file_of_a_site():
    times = np.array(["2012-05-01T00:00:00", "2012-05-01T00:15:00"], dtype="datetime64[s]")
    text = sensor_csv(times, np.array([0.38432, np.nan]), np.array([3.456, -0.1]))
    assert text == (
        "time,soil_moisture,soil_temperature\n"
        "2012-05-01T00:00:00Z,0.3843,3.46\n"
        "2012-05-01T00:15:00Z,,-0.10\n"
    )
    nothing = np.array([], dtype="datetime64[s]")
    assert sensor_csv(nothing, np.array([]), np.array([])).count("\n") == 1


def test_times_are_whole_and_in_order(archive):
    times = readings_of(archive, "NST01")[0]
    assert (np.diff(times).astype(int) > 0).all()
    first = datetime.fromisoformat(str(times[0]))
    assert first - datetime(2012, 5, 1) < timedelta(days=3)


def test_same_seed_same_bytes(archive, tmp_path):
    simulate(tmp_path, 2012)
    for path in archive.rglob("*.csv"):
        assert path.read_bytes() == (tmp_path / path.relative_to(archive)).read_bytes()


def test_a_station_table_without_a_column_is_named(tmp_path):
    path = tmp_path / "sites.csv"
    path.write_text("site,latitude,lon\nNST01,33.8,102.2\n")
    with pytest.raises(
        UserError, match=r"sites\.csv: expected columns site, lat, lon, found no lat"
    ):
        table(str(path), ["site", "lat", "lon"])
