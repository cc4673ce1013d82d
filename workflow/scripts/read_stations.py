"""Station readings (S13) from an archive as it was delivered: one sensor a site, one clock, m3/m3.

An archive of ismn.earth names station, depth and quality inside its files; tables of any other
producer are described by the config (`insitu.table`). Either way each site gets one file a year
with times in UTC, and every reading that does not get there is counted under the rule that took
it. Nothing is averaged, filled or mixed here: two sensors at one depth stay one or the other.
"""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

import _ismn
import _readings
import _zip
from _log import UserError, log, log_to, notice
from _readings import (
    check_clock,
    check_step,
    check_values,
    check_warmth,
    column_of,
    files_of,
    listed,
    normal,
    strangers,
)
from _stations import read_sites
from _table import write_table

LARGEST = 2 * 10**9  # bytes of one file in an archive
APART = 500  # m between two positions of one site that are worth a word
SHALLOW = 10  # cm, below which the warmest hour comes too late to tell a time zone
DAY = pd.Timedelta(days=1)
COLUMNS = ["time", "soil_moisture", "soil_temperature"]


@dataclass
class Site:
    """A site's readings (COLUMNS, UTC, m3/m3, degC), and what its files say of its place."""

    readings: pd.DataFrame
    headers: list[_ismn.Header]
    said: list[str]  # what to log: files, sensors, what was dropped


def delivered(archive: list[str] | str) -> dict[str, tuple[str, str | None]]:
    """Return {name: (path, member of the zip or None)} of all files, zips looked into."""
    found = {}
    for path in sorted([archive] if isinstance(archive, str) else archive):
        if Path(path).suffix.lower() not in _readings.WORKBOOKS and _zip.is_zip(path):
            found |= {f"{path}/{member}": (path, member) for member in _zip.names(path)}
        else:
            found[path] = (path, None)
    # Systems leave files of their own beside those of the producer: ._A.csv, .DS_Store.
    return {name: at for name, at in found.items() if not Path(name).name.startswith(".")}


def content(place: tuple[str, str | None]) -> bytes:
    """Return the bytes of a file that `delivered` found."""
    path, member = place
    return Path(path).read_bytes() if member is None else _zip.content(path, member, LARGEST)


# Archives of ismn.earth.


def sensors_by_site(
    files: list[str], sites: list[str], network: str
) -> dict[str, list[_ismn.Sensor]]:
    """Return {site: the sensors of its station}; every site has one station of one network.

    `network` is the only one that counts; "" takes all.
    """
    sensors = [sensor for file in files if (sensor := _ismn.sensor_of(file))]
    if not sensors:
        raise UserError(
            f"{files[0] if files else 'insitu'}: expected files .stm of ismn.earth, found "
            f"{listed(Path(file).name for file in files)}. Name another archive in sources.insitu "
            "or another insitu.format."
        )
    wanted = [s for s in sensors if not network or normal(s.network) == normal(network)]
    if not wanted:
        raise UserError(
            f"insitu.network: expected a network of the archive, found {network}; it holds "
            f"{listed(sensor.network for sensor in sensors)}. Correct the config."
        )
    found = {}
    for site in sites:
        found[site] = [s for s in wanted if normal(s.station) == normal(site)]
        networks = {normal(sensor.network): sensor.network for sensor in found[site]}
        if len(networks) != 1:
            stations = listed(sensor.station for sensor in wanted)
            raise UserError(
                f"{site}: expected one station of that name in the archive, found "
                f"{listed(networks.values())}"
                + (
                    ". Set insitu.network to one of these networks."
                    if networks
                    else f"; it has {stations}. Correct the name in the table of sites or take "
                    "the site out."
                )
            )
    known = {normal(site) for site in sites}
    networks = {sensor.network for chosen in found.values() for sensor in chosen}
    others = {s.station for s in wanted if s.network in networks and normal(s.station) not in known}
    if others:
        log.info("stations that are not in the table of sites: %s", listed(others))
    return found


def at_depth(site: str, sensors: list[_ismn.Sensor], depth: float) -> list[_ismn.Sensor]:
    """Return the sensors of soil moisture and temperature at `depth` (cm), in order of names."""
    here = [s for s in sensors if s.off(depth) is not None]
    if not any(sensor.variable == "sm" for sensor in here):
        moist = {f"{s.top:g} to {s.bottom:g}" for s in sensors if s.variable == "sm"}
        raise UserError(
            f"{site}: expected soil moisture at {depth:g} cm, found it at {listed(moist)} cm. Set "
            "insitu.depth to one of them or take the site out of the table."
        )
    return sorted(here, key=lambda sensor: sensor.file)


def read_sensor(sensor: _ismn.Sensor, place) -> tuple[_ismn.Header, pd.DataFrame]:
    """Return header and readings of a file, refused if it is of another sensor than it is named."""
    header, table = _ismn.read(content(place), sensor.file)
    named = normal(sensor.network), normal(sensor.station), sensor.top, sensor.bottom
    inside = normal(header.network), normal(header.station), header.top, header.bottom
    if named[:2] != inside[:2] or not np.allclose(named[2:], inside[2:], atol=_ismn.NEAR):
        raise UserError(
            f"{sensor.file}: expected {sensor.network} {sensor.station}, {sensor.top:g} to "
            f"{sensor.bottom:g} cm, as it is named, found {header.network} {header.station}, "
            f"{header.top:g} to {header.bottom:g} cm. Fetch the archive again."
        )
    return header, table.sort_values("time", kind="stable", ignore_index=True)


def one_a_year(site, candidates, depth: float, years: list[int], like=None) -> dict:
    """Return {year: (sensor, its readings that year)} of [(sensor, readings)].

    The nearer layer goes before the farther, then the sensor `like` has for that year, then the
    one with more readings that year, then the first by name. What is left out is logged.
    """
    chosen = {}
    for year in years:
        ranked = []
        for sensor, table in candidates:
            part = table[table["time"].dt.year == year]
            if len(part):
                other = like is not None and sensor.sensor != like.get(year)
                ranked.append((sensor.off(depth), other, -len(part), sensor.file, sensor, part))
        ranked.sort(key=lambda entry: entry[:4])
        if ranked:
            chosen[year] = ranked[0][4:]
        for entry in ranked[1:]:
            log.warning(
                "%s: %d has two sensors of %s at %g cm; read: %s (%d readings), left out: %s (%d)",
                *(site, year, entry[4].variable, depth, ranked[0][3], -ranked[0][2]),
                *(entry[3], -entry[2]),
            )
    return chosen


def read_ismn(site, sensors, places, depth, flags, years) -> Site:
    """Return a site of an ISMN archive: one sensor a year, readings without a bad flag."""
    headers, dropped, candidates = [], Counter(), {"sm": [], "ts": []}
    for sensor in at_depth(site, sensors, depth):
        header, table = read_sensor(sensor, places[sensor.file])
        headers.append(header)
        table = table[table["time"].dt.year.isin(years)]
        there = table["value"].notna()
        if sensor.variable == "sm":
            good = _ismn.allowed(table["flag"], flags)
            dropped["missing"] += int((~there).sum())
            dropped.update("flag " + table.loc[there & ~good, "flag"])
        else:
            # C is beyond what soil can have; the other flags judge the moisture, not the frost.
            good = ~table["flag"].str.contains("C", regex=False)
        table = table[there & good]
        twice = table["time"].duplicated()
        dropped[f"repeated time ({sensor.variable})"] += int(twice.sum())
        candidates[sensor.variable].append((sensor, table[~twice]))
    moist = one_a_year(site, candidates["sm"], depth, years)
    instruments = {year: sensor.sensor for year, (sensor, _) in moist.items()}
    warm = one_a_year(site, candidates["ts"], depth, years, instruments)
    heat = joined([table for _, table in warm.values()]).set_index("time")["value"]
    readings = joined([table for _, table in moist.values()])
    readings = readings.rename(columns={"value": "soil_moisture"})
    readings["soil_temperature"] = readings["time"].map(heat)
    used = {sensor.file for chosen in (moist, warm) for sensor, _ in chosen.values()}
    return Site(readings, headers, [f"read {listed(used)}", counted(dropped)])


def joined(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """Return time and value of all tables, one after the other; no table gives no rows."""
    empty = pd.DataFrame({"time": np.array([], "datetime64[ns]"), "value": np.array([], float)})
    return pd.concat([table[["time", "value"]] for table in tables] or [empty], ignore_index=True)


def counted(dropped: Counter) -> str:
    """Return what was dropped by which rule, the most frequent first."""
    parts = [f"{count} {rule}" for rule, count in dropped.most_common() if count]
    return "dropped: " + (", ".join(parts) or "none")


# Tables of any producer.


def read_tables(sites: list[str], places: dict, mapping: dict, years: list[int]) -> dict[str, Site]:
    """Return {site: Site} of tables as `mapping` (config `insitu.table`) describes them."""
    files = files_of(sorted(places), mapping["files"], sites)
    for key in ("column", "temperature"):
        name = mapping[key] or "{site}"
        if "{site}" not in mapping["files"] + name and len(sites) > 1:
            raise UserError(
                f"insitu.table.{key}: expected {{site}} in it (a column for each site) or in "
                f"insitu.table.files (a table for each site), found {name} and "
                f"{mapping['files']}. Correct the config."
            )
    notice("stations: reading %d tables for %d sites", len(files), len(sites))
    parts, seen = {site: [] for site in sites}, set()
    dropped = {site: Counter() for site in sites}
    for file, owner in files.items():
        sheets = _readings.sheets(content(places[file]), file, mapping["header"])
        clocks = [column_of(sheet, mapping["time"]) for sheet in sheets]
        if clocks == [None] * len(sheets):
            raise UserError(
                f"{file}: expected a column {mapping['time']} in row {mapping['header']}, found "
                f"{listed(sheets[0].columns)}. Set insitu.table.time and header."
            )
        for sheet, clock in zip(sheets, clocks, strict=True):
            if clock is None:
                log.info("%s: left out, it has no column %s", sheet.file, mapping["time"])
                continue
            time = _readings.times(sheet, clock, mapping["time_format"], mapping["zone"])
            for site in [owner] if owner else sites:
                part = values_of(sheet, site, mapping, dropped[site])
                if part is not None:
                    parts[site].append(part.assign(time=time, file=sheet.file)[time.notna()])
            seen |= {name for n, name in enumerate(sheet.columns) if n != clock}
    silent = [site for site in sites if not parts[site]]
    if silent:
        raise UserError(
            f"insitu.table.column: expected a column {mapping['column']} for each site, found none "
            f"for {listed(silent)}; there are {listed(seen)}. Correct the key or the sites."
        )
    if strange := strangers(seen, sites, mapping["column"]):
        log.warning("columns of no site in the table of sites: %s", listed(strange))
    return {site: one_series(site, parts[site], dropped[site], mapping, years) for site in sites}


def values_of(sheet, site: str, mapping: dict, dropped: Counter) -> pd.DataFrame | None:
    """Return value (m3/m3) and warmth (degC) of a site in a sheet, None if it is not in there."""
    column = column_of(sheet, mapping["column"].replace("{site}", site))
    if column is None:
        return None
    value, filling = _readings.numbers(sheet, column, mapping["fill"])
    dropped["fill"] += filling
    dropped["empty"] += int(np.isnan(value).sum()) - filling
    warmth = np.nan
    if mapping["temperature"]:
        heat = column_of(sheet, mapping["temperature"].replace("{site}", site))
        if heat is None:
            raise UserError(
                f"{sheet.file}: expected a column {mapping['temperature']} for {site}, found "
                f"{listed(sheet.columns)}. Correct insitu.table.temperature; null reads none."
            )
        warmth, _ = _readings.numbers(sheet, heat, mapping["fill"])
    percent = mapping["unit"] == "percent"
    return pd.DataFrame({"value": value / 100 if percent else value, "warmth": warmth})


def one_series(site, parts: list[pd.DataFrame], dropped, mapping: dict, years) -> Site:
    """Return a site's readings of all its tables, joined in time and found to be plausible."""
    table = pd.concat(parts, ignore_index=True).sort_values("time", kind="stable")
    rows, files = len(table), table["file"].unique()
    twice = table["time"].duplicated(keep=False)
    for name in ("value", "warmth"):
        groups = table[twice].groupby("time")[name]
        odd = groups.max() > groups.min()
        if odd.any():
            bad = table[table["time"] == odd.idxmax()].dropna(subset=name)
            raise UserError(
                f"{bad['file'].iloc[0]}: expected one reading of {site} at a time, found "
                f"{listed(f'{value:g}' for value in bad[name])} at {odd.idxmax()} UTC in "
                f"{listed(bad['file'])} ({odd.sum()} such times). Remove one of them."
            )
    if twice.any():
        table = table.groupby("time", as_index=False)[["value", "warmth"]].first()
    dropped["repeated"] += rows - len(table)
    step = check_step(site, table["time"], files[0])
    check_values(site, table["value"].dropna(), files[0], mapping["unit"])
    check_warmth(site, table["warmth"], files[0])
    table = table.dropna(subset="value")[["time", "value", "warmth"]]
    studied = table["time"].dt.year.isin(years)
    dropped["of other years"] += int((~studied).sum())
    said = [f"read {listed(files)}", step, counted(dropped)]
    return Site(table[studied].set_axis(COLUMNS, axis=1), [], said)


# What both kinds of archive share.


def metres(lat: float, lon: float, other: _ismn.Header) -> float:
    """Return the distance to the place in a header, good to a percent over a few kilometres."""
    north, east = other.lat - lat, (other.lon - lon) * np.cos(np.radians(lat))
    return float(np.hypot(north, east) * 111_195)


def placed(table: pd.DataFrame, found: dict[str, Site]) -> pd.DataFrame:
    """Return the table of sites with positions, elevation (m) and name from the headers added.

    What the table says wins; a header more than APART m away is named in the log.
    """
    table = table.copy()
    for column in ("elevation", "name"):
        if column not in table:
            table[column] = pd.Series(np.nan, table.index, object if column == "name" else float)
    for row, site in table["site"].items():
        headers = found[site].headers
        given = pd.notna(table.loc[row, "lat"])
        for header in headers:
            if not given:
                table.loc[row, ["lat", "lon"]] = header.lat, header.lon
                given = True
            lat, lon = table.loc[row, ["lat", "lon"]].astype(float)
            if (away := metres(lat, lon, header)) > APART:
                log.warning(
                    "%s: %s, %s is used, the archive says %s, %s, which is %.0f m away",
                    *(site, lat, lon, header.lat, header.lon, away),
                )
                break
        if headers and pd.isna(table.loc[row, "elevation"]):
            table.loc[row, "elevation"] = headers[0].elevation
        if headers and pd.isna(table.loc[row, "name"]):
            table.loc[row, "name"] = f"{headers[0].network} {headers[0].station}"
    first = ["site", "lat", "lon", "elevation", "name"]
    return table[first + [name for name in table if name not in first]]


def write_year(readings: pd.DataFrame, year: int, path: str) -> int:
    """Write a site's readings of a year, the header only if there are none; return how many."""
    part = readings[readings["time"].dt.year == year].sort_values("time", kind="stable")
    stamps = np.datetime_as_string(part["time"].to_numpy("datetime64[s]"))
    write_table(part.assign(time=[f"{stamp}Z" for stamp in stamps]), path)
    return len(part)


def main(archive, sites, readings, table, format, depth, network, flags, mapping, years):
    places, rows, years = delivered(archive), read_sites(sites, format != "ismn"), sorted(years)
    names = rows["site"].tolist()
    alike = pd.Series(names).groupby([normal(name) for name in names]).agg(list)
    for same in alike[alike.map(len) > 1]:
        raise UserError(
            f"{sites}: expected sites that differ in letters or digits, found {', '.join(same)}. "
            "Archives spell names in several ways; rename them."
        )
    clock = "ismn.earth says UTC"
    if format == "ismn":
        sensors = sensors_by_site(list(places), names, network)
        notice("stations: reading %d sites of %d files", len(names), len(places))
        found = {s: read_ismn(s, sensors[s], places, depth, flags, years) for s in names}
    else:
        mapping = json.loads(mapping)
        clock = f"insitu.table.zone says {mapping['zone']}"
        found = read_tables(names, places, mapping, years)
    located = placed(rows, found)
    for site, lon in zip(names, located["lon"], strict=True):
        if depth <= SHALLOW:
            check_clock(site, found[site].readings, lon, clock)
    outputs = {(Path(path).stem, int(Path(path).parent.name)): path for path in readings}
    for site, one in found.items():
        counts = {year: write_year(one.readings, year, outputs[site, year]) for year in years}
        said = [", ".join(f"{year}: {count}" for year, count in counts.items()), *one.said]
        log.info("%s: %s", site, "; ".join(said))
        if not any(counts.values()):
            notice("stations: %s has no reading in any year of the study (%s)", site, one.said[-1])
    write_table(located, table)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        archive=snakemake.input.archive,
        sites=snakemake.input.sites,
        readings=snakemake.output.readings,
        table=snakemake.output.table,
        format=snakemake.params.format,
        depth=snakemake.params.depth,
        network=snakemake.params.network,
        flags=snakemake.params.flags,
        mapping=snakemake.params.mapping,
        years=snakemake.params.years,
    )
