"""How a forest lies on disk. Apart from `_forest`, because importing skops takes seconds."""

from __future__ import annotations

from zipfile import BadZipFile

import skops.io
from sklearn.ensemble import RandomForestRegressor

from _log import UserError

# The one class of a forest that skops does not know by itself.
TRUSTED = ("sklearn.tree._tree.Tree",)


def save(path, model: RandomForestRegressor, predictors: list[str]) -> None:
    """Write the forest and the names of its predictors; loading them runs no code."""
    skops.io.dump({"forest": model, "predictors": list(predictors)}, path)


def load(path: str) -> tuple[RandomForestRegressor, list[str]]:
    """Return the forest and its predictors' names; refuse a file with anything else in it."""
    try:
        foreign = sorted(set(skops.io.get_untrusted_types(file=path)) - set(TRUSTED))
        if foreign:
            raise UserError(
                f"{path}: expected a scikit-learn forest, found {', '.join(foreign)}. "
                "Delete the file and run again; do not load forests from elsewhere."
            )
        stored = skops.io.load(path, trusted=list(TRUSTED))
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise UserError(
            f"{path}: expected a forest written by this workflow, found an unreadable file "
            f"({error}). Delete it and run again."
        ) from error
    return stored["forest"], stored["predictors"]
