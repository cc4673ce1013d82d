"""The stations that are drawn one by one (S22): which, and in which order."""

from __future__ import annotations

import pandas as pd

MOST = 12  # panels and symbols that a reader can tell apart
NAMED = 5  # sites that a line of text may name
SMCI = "SMCI, nearest"  # as sampled, without a blend of four cells: what the headline quotes
MEAN = "mean of sites"  # rows of score_sites that are of no site


def months_of(scores: pd.DataFrame) -> dict[str, int]:
    """Return {site: months on which it is judged} of the table of `score_sites`."""
    rows = scores.query("way == 'all years' and model == 'forest' and metric == 'RMSE'")
    rows = rows[rows["site"] != MEAN]
    return {site: int(n) for site, n in zip(rows["site"].astype(str), rows["n"], strict=True)}


def scores_of(scores: pd.DataFrame, site: str, way: str, model: str) -> pd.DataFrame:
    """Return value and n of one site, way and model of `score_sites`, by metric; may be empty."""
    of = (scores["site"] == site) & (scores["way"] == way) & (scores["model"] == model)
    return scores[of].set_index("metric")[["value", "n"]]


def pick(counts: dict[str, int], wanted: list[str], months: int) -> tuple[list[str], dict]:
    """Return the sites to draw and {site: months} of those that are not, in their order.

    `wanted` are drawn if they have `months` months; ismn.earth writes NST01 as NST_01, which is
    the same. Where none of them is known, or none is named, all that are known are wanted, those
    with the most months first. Where none has enough, those with any are drawn. At most MOST.
    """
    plain = {site.replace("_", ""): site for site in counts}
    named = [name if name in counts else plain.get(name.replace("_", ""), name) for name in wanted]
    if not set(named) & set(counts):
        named = sorted(counts, key=lambda site: (-counts[site], site))
    enough = [site for site in named if counts.get(site, 0) >= months]
    drawn = (enough or [site for site in named if site in counts])[:MOST]
    return drawn, {site: counts.get(site, 0) for site in named if site not in drawn}


def absent(left: dict[str, int]) -> str:
    """Return in words which sites are not drawn and how many values they have; may be empty."""
    if not left:
        return ""
    words = [f"{site} ({months or 'none'})" for site, months in left.items()]
    more = f" and {len(words) - NAMED} more" if len(words) > NAMED else ""
    return f"Not drawn (number of values): {', '.join(words[:NAMED])}{more}"
