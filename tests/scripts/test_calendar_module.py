"""The calendars of the products: known starts, known lengths, and laws that any calendar keeps."""

from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from _calendar import calendar, composites, days_of, periods, tiles, weight

MONTHS = st.builds("{:04d}-{:02d}".format, st.integers(2001, 2030), st.integers(1, 12))


def day_of_year(day):
    return day.timetuple().tm_yday


def test_eight_day_periods_restart_on_new_year():
    for year, length in ((2009, 5), (2012, 6)):
        found = periods(8, year, restart=True)
        assert len(found) == 46
        assert found[-1] == (date(year, 12, 27 if length == 5 else 26), date(year, 12, 31))


def test_sixteen_day_periods_run_into_january():
    found = periods(16, 2009, restart=False)
    assert len(found) == 23
    assert found[-1] == (date(2009, 12, 19), date(2010, 1, 3))


# Counts for May to October as computed in the specification of the archive.
@pytest.mark.parametrize(
    ("year", "variable", "first", "last", "count"),
    [(2009, "lst", 121, 297, 23), (2012, "lst", 121, 305, 24), (2009, "ndvi", 113, 289, 12)],
)
def test_composites_of_the_season(year, variable, first, last, count):
    rule = calendar(variable, "overlap", 8)
    rule["least"] = 1
    starts = sorted({s for m in range(5, 11) for s in composites(f"{year}-{m:02d}", **rule)})
    assert (day_of_year(starts[0]), day_of_year(starts[-1]), len(starts)) == (first, last, count)


def test_an_ndvi_overlap_of_less_than_eight_days_does_not_count():
    # Day 113 of 2009 is 23 April: the period to 8 May shares 8 days with either month.
    rule = calendar("ndvi", "overlap", 8)
    assert composites("2009-05", **rule)[date(2009, 4, 23)] == (date(2009, 5, 8), 8)
    # 2012-04-22 to 2012-05-07 shares only 7 days with May.
    assert date(2012, 4, 22) not in composites("2012-05", **rule)


def test_assignment_by_start_and_by_midpoint():
    period = date(2009, 4, 27), date(2009, 5, 4)
    assert [weight(period, m, "start") for m in ("2009-04", "2009-05")] == [8, 0]
    assert [weight(period, m, "midpoint") for m in ("2009-04", "2009-05")] == [0, 8]
    assert [weight(period, m, "overlap") for m in ("2009-04", "2009-05")] == [4, 4]


@pytest.mark.parametrize(
    ("start", "length", "month"),
    [
        (date(2009, 4, 26), 8, "2009-04"),  # 26 to 29 April before, 30 April on after the middle
        (date(2009, 4, 23), 16, "2009-05"),
        (date(2009, 4, 22), 16, "2009-04"),
        (date(2009, 12, 27), 5, "2009-12"),
    ],
)
def test_the_midpoint_is_the_day_that_begins_the_second_half(start, length, month):
    period = start, start + timedelta(length - 1)
    months = f"{start:%Y-%m}", f"{start + timedelta(31):%Y-%m}"
    assert [weight(period, m, "midpoint") for m in months] == [
        length * (m == month) for m in months
    ]


@given(MONTHS)
def test_overlaps_with_an_eight_day_calendar_are_the_days_of_the_month(month):
    first, last = days_of(month)
    found = composites(month, every=8, restart=True, assign="overlap", least=1)
    assert sum(days for _, days in found.values()) == (last - first).days + 1


@given(MONTHS)
def test_overlaps_with_the_sixteen_day_calendar_cover_the_month(month):
    first, last = days_of(month)
    found = composites(month, every=16, restart=False, assign="overlap", least=1)
    assert sum(days for _, days in found.values()) >= (last - first).days + 1


@given(
    st.dates(date(2001, 1, 1), date(2030, 12, 31)),
    st.sampled_from([8, 16]),
    st.sampled_from(["overlap", "start", "midpoint"]),
)
def test_every_period_gives_each_of_its_days_once(start, length, assign):
    period = start, start + timedelta(length - 1)
    months = {f"{day:%Y-%m}" for day in (start, *period)} | {f"{period[1]:%Y-%m}"}
    assert sum(weight(period, month, assign) for month in months) == length


def test_tiles_of_the_published_area():
    assert set(tiles(97.34, 27.96, 104.75, 35.58)) == {
        "h25v05", "h26v05", "h27v05", "h26v06", "h27v06",
    }  # fmt: skip


@given(
    st.tuples(st.floats(-170, 169), st.floats(-80, 79)),
    st.tuples(st.floats(0.01, 10), st.floats(0.01, 10)),
    st.tuples(st.floats(0.001, 0.999), st.floats(0.001, 0.999)),
)
def test_the_tiles_of_a_box_hold_its_points(corner, size, share):
    (west, south), (wide, high) = corner, size
    lon, lat = west + share[0] * wide, south + share[1] * high
    x = (lon * np.cos(np.radians(lat)) + 180) / 10
    y = (90 - lat) / 10
    assert f"h{int(x):02d}v{int(y):02d}" in tiles(west, south, west + wide, south + high)


def test_tiles_of_the_simulated_corner():
    assert tiles(102.0, 33.6, 102.7, 34.19) == ["h26v05"]
