"""What a run knows about its own accuracy, read from its tables for figure, page and headline.

One reading for all three: a number that the page, the figure and the headline took in different
ways would be three numbers.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

STATED = "map from true soil moisture at 250 m"  # estimate_error's name of it


def score_of(metrics: pd.DataFrame, protocol: str, metric: str, subset: str = "all"):
    """Return the row (value, n, low, high) of a score, or None."""
    found = metrics.query("protocol == @protocol and metric == @metric and subset == @subset")
    return None if found.empty else found.iloc[0]


def of_target(table: pd.DataFrame) -> str:
    """Return the subset whose rows are of the target that maps have: SMCI's, or all without any.

    A station is off by its own error, as a point, which says nothing about the forest.
    """
    return "smci" if (table["subset"] == "smci").any() else "all"


def stated(errors: pd.DataFrame):
    """Return the row (value, low, high, n) of the error stated without a truth, or None."""
    found = errors[errors["quantity"] == STATED]
    return None if found.empty else found.iloc[0]


def in_every_cell(target: pd.DataFrame, test: list[str]) -> tuple[float, int]:
    """Return the forest's RMSE over all cells of the product in the test months, and their number.

    target: a row a month with `month`, `cells` and `forest RMSE`; test: beginnings of months.
    Squared errors are pooled, so that every cell of every month counts the same. NaN and 0 where
    no cell of a test month has both.
    """
    part = target[target["month"].str.startswith(tuple(test)) & (target["cells"] > 0)]
    cells = int(part["cells"].sum())
    if not cells:
        return float("nan"), 0
    return float(np.sqrt(np.average(part["forest RMSE"] ** 2, weights=part["cells"]))), cells


def held(intervals: pd.DataFrame, protocol: str, subset: str):
    """Return the row of the coverage of the intervals that the maps use, or None."""
    found = intervals.query("applied and protocol == @protocol and subset == @subset")
    return None if found.empty else found.iloc[0]


def has_product(errors: pd.DataFrame) -> bool:
    """Return whether the error was stated with a product between the forest and the ground."""
    return errors["quantity"].str.startswith("product").any()


def described(samples: pd.DataFrame, quantity: str):
    """Return the row (value, low, high, n) of a quantity of all samples, None without value."""
    found = samples.query("quantity == @quantity and subset == 'all'").dropna(subset="value")
    return None if found.empty else found.iloc[0]
