"""Write config/README.md from the schema: every key with type, default and meaning."""

import json
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
HEAD = """# The config of a study

Made from `workflow/schemas/config.schema.yaml` by `make reference`; a test compares them. A
key that does not exist is an error that names the keys that do.

`config/config.yaml` is always read. A file given with `--configfile` is laid over it: mappings
merge, lists and values replace. Threads, memory and where jobs run are not here but in
`profiles/`; where results go is `--directory`.

A file that the config names is looked for in the working folder first, then in the repository.

| key | type | default | meaning |
|---|---|---|---|
"""


def kind(rule: dict) -> str:
    """Return the type of a key in words."""
    if "enum" in rule:
        return " or ".join(f"`{value}`" for value in rule["enum"])
    if "anyOf" in rule:
        return " or ".join(f"`{r['const']}`" if "const" in r else kind(r) for r in rule["anyOf"])
    types = rule.get("type", "any")
    words = " or ".join(types) if isinstance(types, list) else types
    if words == "array" and "type" in rule.get("items", {}):
        inner = rule["items"]["type"]
        inner = " or ".join(inner) if isinstance(inner, list) else inner
        return f"list of {inner}"
    return words


def rows(rules: dict, path: str = "") -> list[str]:
    """Return one table row for each key, depth first."""
    found = []
    for key, rule in rules.get("properties", {}).items():
        name = f"{path}{key}"
        required = key in rules.get("required", [])
        default = "required" if required else f"`{json.dumps(rule.get('default'))}`"
        if "paper" in rule:
            default += f" (`method: paper`: `{json.dumps(rule['paper'])}`)"
        if rule.get("properties") and not required:
            default = ""
        meaning = " ".join(rule["description"].split()).replace("|", "\\|")
        found.append(f"| `{name}` | {kind(rule)} | {default} | {meaning} |")
        found += rows(rule, f"{name}.")
    return found


def page() -> str:
    """Return the whole text of config/README.md."""
    schema = yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text())
    return HEAD + "\n".join(rows(schema)) + "\n"


if __name__ == "__main__":
    (ROOT / "config" / "README.md").write_text(page())
