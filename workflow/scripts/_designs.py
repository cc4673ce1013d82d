"""The validation designs: which rows a model learns from and which rows judge it (S21).

All models are judged by the same designs, so that a forest and the bars it must clear can be
compared. Folds of whole places (1 km groups) follow Roberts et al. 2017 (10.1111/ecog.02881);
knndm are folds whose distances to the rest are those of the map (Linnenbrink et al. 2024,
10.5194/gmd-17-5897-2024).
"""

from __future__ import annotations

import numpy as np
import pandas as pd

# Their rows are judged by a model that never saw the place.
LEFT_OUT = ("leave_location_out", "leave_location_time_out", "knndm")


def designs(table: pd.DataFrame) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Return (protocol, rows to learn from, rows to judge) of every fit, as boolean masks.

    table: one row a sample with group, split (train or test) and the fold numbers random_cv,
    leave_location_out and knndm. train, temporal: learn from the training years, judge these or
    the test years. random_cv, leave_location_out: learn from the other folds, all years.
    leave_location_time_out, knndm: learn from the training years of the other folds, judge the
    test years of the fold. A fit without rows on either side is left out. AssertionError if a
    place is on both sides of a design that leaves places out.
    """
    train, test = ((table["split"] == part).to_numpy() for part in ("train", "test"))
    fits = [("train", train, train), ("temporal", train, test)]
    for out in _folds(table["random_cv"]):
        fits.append(("random_cv", ~out, out))
    for out in _folds(table["leave_location_out"]):
        fits.append(("leave_location_out", ~out, out))
        fits.append(("leave_location_time_out", ~out & train, out & test))
    for out in _folds(table["knndm"]):
        fits.append(("knndm", ~out & train, out & test))
    fits = [fit for fit in fits if fit[1].any() and fit[2].any()]
    group = table["group"].to_numpy()
    for protocol, learn, judge in fits:
        if protocol in LEFT_OUT:
            shared = set(group[learn]) & set(group[judge])
            assert not shared, f"{protocol}: places on both sides: {sorted(shared)}"
    return fits


def _folds(number: pd.Series) -> list[np.ndarray]:
    return [(number == fold).to_numpy() for fold in np.unique(number)]
