"""Which year a month counts under, where years begin in another month than January.

Standard library only: the Snakefile imports this module on every start.
"""

from __future__ import annotations


def season_of(month: str, begins: int) -> str:
    """Return the year (YYYY) that `month` (YYYY-MM) counts under where years begin in `begins`.

    As hydrological years are named: by the calendar year in which they end.
    """
    year, number = int(month[:4]), int(month[5:7])
    return str(year + (1 < begins <= number))


def seasons(months: list[str], season: list[int], begins: int) -> list[str]:
    """Return the years that have every month of `season` (1-12) among `months` (YYYY-MM)."""
    years = [season_of(month, begins) for month in months]
    return sorted({year for year in years if years.count(year) == len(season)})
