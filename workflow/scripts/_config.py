"""The config, checked against its schema before anything runs. Read by the Snakefile only."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from copy import deepcopy
from math import floor
from pathlib import Path

import jsonschema
import yaml


class ConfigError(Exception):
    """The config asks for something that does not exist; the message says what and the mend."""


def checked(config: dict, schema: Path) -> dict:
    """Return `config` with the schema's defaults filled in; name every fault at once."""
    rules = yaml.safe_load(Path(schema).read_text(encoding="utf-8"))
    named = config.get("predictors", [])
    config = filled(deepcopy(dict(config)), rules, config.get("method", "recommended"))
    faults = sorted(jsonschema.Draft202012Validator(rules).iter_errors(config), key=str)
    if faults:
        lines = [f"  {_where(f)}: {_why(f)}" for f in faults]
        raise ConfigError(
            "The config is not valid. All keys are explained in config/README.md.\n"
            + "\n".join(lines)
        )
    contradictions = list(_contradictions(config))
    if config["sources"]["smc"] == "none":
        if "SMC" in named:
            contradictions.append(
                "predictors: expected no SMC where sources.smc is none, found it. Take it out."
            )
        config["predictors"] = [name for name in config["predictors"] if name != "SMC"]
    if contradictions:
        raise ConfigError(
            "The config contradicts itself.\n" + "\n".join(f"  {c}" for c in contradictions)
        )
    return config


KNOWN = re.compile(
    r"NDVI|LST|ET|albedo|AWC|sand|silt|clay|DEM|slope|aspect|northness|eastness|TPI[1-9]\d*|pre|SMC"
    r"|ERA5Land"
)


def _contradictions(config: dict) -> Iterator[str]:
    for name in [] if config["table"] else config["predictors"]:
        if not KNOWN.fullmatch(name) and name not in config["layers"]:
            yield (
                f"predictors: expected names of this workflow (config/README.md) or of layers, "
                f"found {name}. Give it a path under `layers`, or correct it."
            )
    for name in config["layers"]:
        if KNOWN.fullmatch(name):
            yield f"layers: expected names that are new, found {name}. Choose another."
    if not config["table"] and {config["sources"][name] for name in ("insitu", "smci")} == {"none"}:
        yield (
            "sources: expected insitu or smci, because the forest learns soil moisture from them, "
            "found none for both. Give one of them."
        )
    west, south, east, north = config["area"]["box"]
    if not (west < east and south < north):
        yield f"area.box: expected west < east and south < north, found {config['area']['box']}"
    years = config["years"]
    if config["archive"] == "files" and not config["table"]:
        # config/config.yaml lies under every study: what a user does not name is simulated.
        named = {
            "area.polygon": config["area"]["polygon"],
            "rain.gauges": config["rain"]["gauges"],
            "insitu.sites": config["insitu"]["sites"],
        }
        for key, path in named.items():
            if path and Path(path).name.startswith("simulated_"):
                yield (
                    f"{key}: expected a file of your own for a study of real archives, found "
                    f"{path} of the simulated one"
                    + (" (null maps the whole box)" if key == "area.polygon" else "")
                )
    if not config["table"]:
        test = tuple(str(prefix) for prefix in config["split"]["test"])
        months = [f"{year}-{month:02d}" for year in years for month in config["months"]]
        held_out = sum(month.startswith(test) for month in months)
        if held_out in (0, len(months)):
            yield (
                f"split.test: expected some of the {len(months)} months of years {years}, found "
                f"{'all' if held_out else 'none'} of them in {config['split']['test']}"
            )


def filled(value, rules: dict, method: str):
    """Return `value` with the schema's defaults where a key is not given.

    Under the method "paper" a key's entry `paper` in the schema takes the default's place.
    """
    if not isinstance(value, dict):
        return value
    for key, rule in rules.get("properties", {}).items():
        if key not in value and "default" in rule:
            preset = rule.get("paper", rule["default"]) if method == "paper" else rule["default"]
            value[key] = deepcopy(preset)
        if key in value:
            value[key] = filled(value[key], rule, method)
    others = rules.get("additionalProperties")
    if isinstance(others, dict):
        for key in value.keys() - rules.get("properties", {}).keys():
            value[key] = filled(value[key], others, method)
    return value


def _where(fault) -> str:
    return ".".join(str(part) for part in fault.absolute_path) or "top level"


def _why(fault) -> str:
    if fault.validator == "additionalProperties":
        known = fault.schema["properties"]
        unknown = sorted(set(fault.instance) - set(known))
        return f"no such key: {', '.join(unknown)}. Known here: {', '.join(sorted(known))}"
    return fault.message


def located(path: str | None, root: Path) -> str | None:
    """Return a file of the config: from the working folder if it is there, else from `root`.

    Relative to the working folder, so that moving the repository and its results together
    changes no input.
    """
    if path is None or Path(path).is_absolute() or Path(path).exists():
        return path
    return os.path.relpath(root / path)


def degree_cells(box: list[float]) -> list[str]:
    """Return the names (N33E102) of the one-degree elevation cells that a box touches."""
    west, south, east, north = box
    return [
        f"{'N' if lat >= 0 else 'S'}{abs(lat):02d}{'E' if lon >= 0 else 'W'}{abs(lon):03d}"
        for lat in range(floor(south), -floor(-north))
        for lon in range(floor(west), -floor(-east))
    ]
