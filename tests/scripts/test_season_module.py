"""Years that begin in any month: laws that hold for all, and the whole seasons of a study."""

from hypothesis import given
from hypothesis import strategies as st

from _season import season_of, seasons

MONTHS = st.builds("{:04d}-{:02d}".format, st.integers(2001, 2030), st.integers(1, 12))


@given(MONTHS, st.integers(1, 12))
def test_twelve_months_from_its_beginning_are_a_year(month, begins):
    first = int(month[:4]) * 12 + begins - 1
    twelve = [f"{n // 12:04d}-{n % 12 + 1:02d}" for n in range(first, first + 12)]
    year = season_of(twelve[-1], begins)
    assert year == twelve[-1][:4], "named by the year in which it ends"
    assert {season_of(month, begins) for month in twelve} == {year}
    assert seasons(twelve, list(range(1, 13)), begins) == [year]
    assert seasons(twelve[1:], list(range(1, 13)), begins) == []


def test_the_whole_seasons_of_a_study():
    summer = [f"{year}-{month:02d}" for year in (2009, 2010) for month in (5, 6)]
    assert seasons(summer, [5, 6], 1) == ["2009", "2010"]
    assert seasons(summer, [5, 6], 10) == ["2009", "2010"]
    winter = [f"{year}-{month:02d}" for year in (2015, 2016, 2018) for month in (1, 11)]
    assert seasons(winter, [11, 1], 11) == ["2016"]
