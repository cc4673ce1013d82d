"""Simulate one year of rain gauges (S11) and soil-moisture sites (S13) as they are delivered.

Gauges report daily in inches with flags and gaps, as in NOAA's GSOD. Sites read every 15
minutes, every hour or once a day; each sensor has its own offset and gain, and the faults that
a monthly mean has to survive: spikes, a stuck sensor, frozen soil, gaps.
"""

import csv
from collections import Counter
from io import StringIO
from pathlib import Path

import numpy as np

import _world
from _log import UserError, log, log_to
from _whole import whole

GSOD = (
    *("STATION", "DATE", "LATITUDE", "LONGITUDE", "ELEVATION", "NAME", "TEMP", "TEMP_ATTRIBUTES"),
    *("DEWP", "DEWP_ATTRIBUTES", "SLP", "SLP_ATTRIBUTES", "STP", "STP_ATTRIBUTES", "VISIB"),
    *("VISIB_ATTRIBUTES", "WDSP", "WDSP_ATTRIBUTES", "MXSPD", "GUST", "MAX", "MAX_ATTRIBUTES"),
    *("MIN", "MIN_ATTRIBUTES", "PRCP", "PRCP_ATTRIBUTES", "SNDP", "FRSHTT"),
)
QUARTER_HOURLY = ("NST01", "NST03", "NST05")
HOURLY = ("NST06", "NST07", "NST08", "NST09", "NST25", "CST05")
OPENED, CLOSED = 2009, 2018  # between which the sites of short record come and go


def table(path: str, columns: list[str]) -> list[dict[str, str]]:
    """Return the rows of a station table; UserError if a column is missing."""
    with Path(path).open(newline="", encoding="utf-8") as lines:
        rows = csv.DictReader(lines)
        missing = [name for name in columns if name not in (rows.fieldnames or [])]
        if missing:
            raise UserError(
                f"{path}: expected columns {', '.join(columns)}, found no {', '.join(missing)}. "
                "Add them, or choose another table in the config."
            )
        return list(rows)


def reported(rng, rain: np.ndarray, lost: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return what a gauge reports of daily `rain` (mm): inches (99.99: missing) and flags.

    A and E hold only part of the day, H says 0 though it rained, I cannot tell no rain from
    no report; `lost` days are missing.
    """
    chance = rng.random(rain.size)
    partly = (rain > 0) & (chance < 0.02)
    wrong = (rain > 0) & (rain < 4) & (chance > 0.98)
    unsaid = (rain == 0) & (chance < 0.3)
    inches = np.where(partly, 0.5, np.where(wrong, 0.0, 1.0)) * rain / 25.4
    part_flag = np.where(chance < 0.012, "A", "E")
    flags = np.select(
        [lost, partly, wrong, unsaid], [" ", part_flag, "H", "I"], rng.choice(["D", "G"], rain.size)
    )
    return np.where(lost, 99.99, np.rint(inches * 100) / 100), flags


def gauge_days(world: _world.World, name: str, year: int, months: list[dict], place):
    """Return daily rain (mm) and temperature (degC) of a year at a gauge's (row, col)."""
    rng = _world.stream(world.seed, "gauge", name, year)
    rain, warmth = [], []
    for month, truth in enumerate(months, 1):
        share = world.storms(year, month)
        share = share * rng.gamma(4, 0.25, share.size)
        rain.append(truth["rain"][place] * share / share.sum())
        warmth.append(truth["lst"][place] * 0.8 - 1 + 2.5 * rng.standard_normal(share.size))
    return np.concatenate(rain), np.concatenate(warmth)


def lost_days(rng, year: int, blank_month: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Return which days of a year are missing at a gauge, and which of these have no row at all.

    Two to five in a hundred, and the whole of `blank_month`.
    """
    dates = np.arange(f"{year}-01-01", f"{year + 1}-01-01", dtype="datetime64[D]")
    lost = rng.random(dates.size) < rng.uniform(0.02, 0.05)
    month = dates.astype("datetime64[M]").astype(int) % 12 + 1
    lost |= month == blank_month
    return lost, lost & (rng.random(dates.size) < 0.3)


def gauge_csv(world: _world.World, station: dict, year: int, truth: list[dict], blank_month):
    """Return the text of a gauge's year as GSOD has it, and how many days have which fault."""
    rng = _world.stream(world.seed, "report", station["station"], year)
    rows, cols = world.rows_cols(float(station["lon"]), float(station["lat"]))
    place = int(rows), int(cols)
    rain, celsius = gauge_days(world, station["station"], year, truth, place)
    lost, absent = lost_days(rng, year, blank_month)
    inches, flags = reported(rng, rain, lost)
    dates = np.arange(f"{year}-01-01", f"{year + 1}-01-01", dtype="datetime64[D]").astype(str)
    elevation = float(world.land["elevation"][place] - world.lowered)
    here = ~absent
    text = gsod(station, elevation, dates[here], inches[here], flags[here], celsius[here], rng)
    return text, Counter(flags[here].tolist()) + Counter(absent=int(absent.sum()))


def gsod(station: dict, elevation: float, dates, inches, flags, celsius, rng) -> str:
    """Return the text of a GSOD file: one row for each of `dates`, all fields quoted."""
    text = StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerow(GSOD)
    name = f"{station['name'].upper()}, CH"
    place = f"{float(station['lat']):.4f}", f"{float(station['lon']):.4f}", f"{elevation:.1f}"
    warm = celsius * 1.8 + 32
    span = rng.uniform(6, 16, len(warm))
    wind = rng.uniform(1, 9, len(warm))
    for n, day in enumerate(dates):
        wet = "010000" if 0 < inches[n] < 99 else "000000"
        writer.writerow(
            [
                *(station["station"], day, *place, name),
                *(f"{warm[n]:6.1f}", " 8", f"{warm[n] - 9:6.1f}", " 8"),
                *("9999.9", " 0", "999.9", " 0", " 18.6", " 8"),
                *(f"{wind[n]:5.1f}", " 8", f"{2 * wind[n]:5.1f}", "999.9"),
                *(f"{warm[n] + span[n]:6.1f}", " ", f"{warm[n] - span[n]:6.1f}", "*"),
                *(f"{inches[n]:5.2f}", flags[n], "999.9", wet),
            ]
        )
    return text.getvalue()


def open_months(seed: int, site: str, year: int, months: list[int]) -> list[int]:
    """Return those of `months` in which a site has data at all in `year`.

    The nine sites of long record miss a month now and then; the others run for 16 to 48
    months between OPENED and CLOSED, of which 8 to 24 lie in May to October.
    """
    if site in QUARTER_HOURLY + HOURLY:
        return [m for m in months if _world.stream(seed, "closed", site, year, m).random() > 0.05]
    rng = _world.stream(seed, "record", site)
    length = int(rng.integers(16, 49))
    first = int(rng.integers(0, 12 * (CLOSED - OPENED + 1) - length + 1))
    return [m for m in months if first <= 12 * (year - OPENED) + m - 1 < first + length]


def readings(rng, level, swing, warmth, offset: float, gain: float, per_day: int):
    """Return a month of readings (m3/m3, degC) of a sensor that is in order.

    `level` is the site's mean over time and its departure in this month, `swing` the departure
    of each day; `offset` and `gain` are the sensor's own.
    """
    mean, departure = level
    count = swing.size * per_day
    day = np.arange(count) / per_day
    passing = np.interp(day, np.arange(swing.size) + 0.5, swing)
    passing = passing - passing.mean()
    drift = 0.012 * rng.standard_normal()
    moisture = mean + offset + gain * (departure + passing) + drift
    moisture = moisture + 0.002 * rng.standard_normal(count)
    sun = np.sin(2 * np.pi * (day + 0.05)) if per_day > 1 else 0
    weather = np.repeat(rng.standard_normal(swing.size), per_day)
    celsius = 4 + 0.55 * warmth + 1.2 * weather + 1.5 * sun
    return moisture.clip(0.03, 0.68), celsius.clip(1.0, None)


def disturb(rng, moisture, celsius, per_day: int, stuck: bool, frozen_end: str | None) -> Counter:
    """Put faults into a month of readings, in place; return how many readings have which.

    `frozen_end` is the end of the month ("first" or "last" days) at which the soil is frozen.
    """
    count = moisture.size
    faults = Counter()
    if stuck:
        start, length = count // 3, 8 * per_day
        moisture[start : start + length] = moisture[start]
        faults["stuck"] += length
    if frozen_end:
        length = 5 * per_day
        cold = slice(0, length) if frozen_end == "first" else slice(count - length, count)
        moisture[cold] *= 0.35
        celsius[cold] = rng.uniform(-4, -0.2, length)
        faults["frozen"] += length
    spikes = rng.random(count) < 0.001
    moisture[spikes] = rng.choice([-0.05, 0.0, 0.85, 0.99], spikes.sum())
    empty = rng.random(count) < 0.01
    moisture[empty] = np.nan
    faults.update(spike=int(spikes.sum()), empty=int(empty.sum()))
    return faults


def kept(rng, days: int, per_day: int) -> np.ndarray:
    """Return False for the readings of a month that never reached the file."""
    keep = np.ones(days * per_day, dtype=bool)
    start = int(rng.integers(0, days * per_day))
    keep[start : start + int(rng.integers(0, 2 * per_day + 1))] = False
    return keep


def sensor_year(world: _world.World, site: str, place, year: int, months: list[int], truth: dict):
    """Return (times, moisture, temperature) of a site's year, and its faults."""
    per_day = 96 if site in QUARTER_HOURLY else 24 if site in HOURLY else 1
    sensor = _world.stream(world.seed, "sensor", site)
    offset, gain = 0.045 * sensor.standard_normal(), 1 + 0.15 * sensor.standard_normal()
    unlucky = _world.stream(world.seed, "unlucky", year)
    stuck_at, frozen_at = unlucky.choice(QUARTER_HOURLY + HOURLY, 2, replace=False)
    stuck_in, frozen_in = int(unlucky.integers(6, 10)), int(unlucky.choice([5, 10]))
    parts, faults = [], Counter()
    for month in open_months(world.seed, site, year, months):
        rng = _world.stream(world.seed, "readings", site, year, month)
        mean = float(world.land["moisture"][place])
        departure = float(truth[month]["moisture"][place]) - mean
        warmth = float(truth[month]["lst"][place])
        swing = world.swing(year, month)
        moisture, celsius = readings(rng, (mean, departure), swing, warmth, offset, gain, per_day)
        stuck = (site, month) == (stuck_at, stuck_in)
        end = {5: "first", 10: "last"}[month] if (site, month) == (frozen_at, frozen_in) else None
        faults += disturb(rng, moisture, celsius, per_day, stuck, end)
        start = np.datetime64(f"{year}-{month:02d}-01T00:00:00")
        step = np.timedelta64(86400 // per_day, "s")
        # A daily value stands at noon of its day.
        start = start + np.timedelta64(12 if per_day == 1 else 0, "h")
        times = start + step * np.arange(moisture.size)
        keep = kept(rng, swing.size, per_day)
        faults["absent"] += int((~keep).sum())
        parts.append((times[keep], moisture[keep], celsius[keep]))
    if not parts:
        return (np.array([], "datetime64[s]"), np.array([]), np.array([])), faults
    return tuple(np.concatenate(column) for column in zip(*parts, strict=True)), faults


def sensor_csv(times, moisture, celsius) -> str:
    """Return the text of a site's file; a reading without a value has an empty field."""
    stamps = np.datetime_as_string(times, unit="s", timezone="UTC") if times.size else []
    rows = map("{},{:.4f},{:.2f}\n".format, stamps, moisture.tolist(), celsius.tolist())
    return "time,soil_moisture,soil_temperature\n" + "".join(rows).replace("nan", "")


def unlucky_gauge(seed: int, year: int, stations: list[str]) -> tuple[str, int]:
    """Return the gauge that has a month without any value this year, and the month."""
    rng = _world.stream(seed, "blank month", year)
    return stations[int(rng.integers(len(stations)))], int(rng.integers(5, 11))


def main(gauges, sites, rain, insitu, year, months, area, seed, trend):
    gauge_rows = {row["station"]: row for row in table(gauges, ["station", "name", "lat", "lon"])}
    known = table(sites, ["site", "lat", "lon"]) if sites else []
    site_rows = {row["site"]: row for row in known}
    year = int(year)
    world = _world.build(area, seed, trend)
    truth = {month: world.month(year, month) for month in range(1, 13)}
    blank_gauge, blank_month = unlucky_gauge(seed, year, list(gauge_rows))
    days = Counter()
    for path in map(Path, rain):
        blank = blank_month if path.stem == blank_gauge else None
        text, found = gauge_csv(world, gauge_rows[path.stem], year, list(truth.values()), blank)
        days += found
        _write(path, text)
    log.info(
        "rain: days by flag ' ' (missing), A..I, and absent rows: %s", dict(sorted(days.items()))
    )
    log.info("rain: %s has no value in month %d", blank_gauge, blank_month)
    faults = Counter()
    for path in map(Path, insitu):
        site = site_rows[path.stem]
        rows, cols = world.rows_cols(float(site["lon"]), float(site["lat"]))
        columns, found = sensor_year(world, path.stem, (int(rows), int(cols)), year, months, truth)
        faults += found + Counter(sites=int(columns[0].size > 0), readings=columns[0].size)
        _write(path, sensor_csv(*columns))
    log.info("insitu: %s", ", ".join(f"{n} {name}" for name, n in sorted(faults.items())))


def _write(path: Path, text: str) -> None:
    with whole(path) as part:
        part.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        gauges=snakemake.input.gauges,
        sites=snakemake.input.sites,
        rain=snakemake.output.rain,
        insitu=snakemake.output.insitu,
        year=snakemake.wildcards.year,
        months=snakemake.params.months,
        area=snakemake.params.area,
        seed=snakemake.params.seed,
        trend=snakemake.params.trend,
    )
