"""What a run was made of: provenance.json for people, an RO-Crate for archives.

The crate follows the profile Workflow Run RO-Crate 0.5: the results folder is the crate, the
Snakefile its workflow, the config its parameters, one action turned the inputs into the maps. Two
runs of the same code on the same inputs differ in nothing but their times.
"""

import json
import os
import platform
import re
from datetime import UTC, datetime
from hashlib import file_digest
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from _log import log, log_to
from _whole import whole

CONTEXT = [
    "https://w3id.org/ro/crate/1.1/context",
    "https://w3id.org/ro/terms/workflow-run/context",
]
PROFILES = [
    "https://w3id.org/ro/wfrun/process/0.1",
    "https://w3id.org/ro/wfrun/workflow/0.5",
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0",
]
LIBRARIES = (
    "numpy",
    "scipy",
    "pandas",
    "scikit-learn",
    "rasterio",
    "pyproj",
    "xarray",
    "h5netcdf",
    "pyhdf",
    "snakemake",
)
FORMATS = {
    ".tif": "image/tiff",
    ".nc": "application/x-netcdf",
    ".csv": "text/csv",
    ".json": "application/json",
    ".html": "text/html",
    ".txt": "text/plain",
    ".md": "text/markdown",
    ".skops": "application/zip",
}


def sha256(path: str | Path) -> str:
    with open(path, "rb") as file:
        return file_digest(file, "sha256").hexdigest()


def listed(lock: str) -> list[dict[str, str]]:
    """Return path and hash of every input from a lock (`SHA-256  path` a line)."""
    rows = [line.split(maxsplit=1) for line in Path(lock).read_text("utf-8").splitlines()]
    return [{"path": path, "sha256": digest} for digest, path in rows]


def described(paths: list[str]) -> list[dict]:
    """Return path, bytes and hash of files."""
    return [
        {"path": path, "bytes": Path(path).stat().st_size, "sha256": sha256(path)}
        for path in sorted(paths)
    ]


def software(commit: str) -> dict[str, str]:
    """Return {name: version} of this code, Python and the libraries that are installed."""
    import rasterio

    found = {"workflow": commit or "not under version control", "Python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found | {"GDAL": rasterio.__gdal_version__}


def seeds(settings: dict) -> dict[str, int]:
    """Return every seed of the config by its key."""
    found = {}
    for section, values in settings.items():
        if isinstance(values, dict) and "seed" in values:
            found[f"{section}.seed"] = values["seed"]
    return found


def times(paths: list[str]) -> dict[str, str]:
    """Return when the first and the last of the results were written, UTC."""
    stamps = [Path(path).stat().st_mtime for path in paths]
    form = {"first_result": min(stamps), "last_result": max(stamps)}
    return {
        name: datetime.fromtimestamp(stamp, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        for name, stamp in form.items()
    }


def flat(settings: dict, prefix: str = "") -> dict[str, str]:
    """Return the config as {key.key: value as JSON}."""
    found = {}
    for key, value in settings.items():
        if isinstance(value, dict) and value:
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[prefix + str(key)] = json.dumps(value)
    return found


def entity(path: str, row: dict) -> dict:
    """Return the crate's entry of a file, at `path` relative to the crate."""
    found = {"@id": path, "@type": "File", "name": Path(path).name, "sha256": row["sha256"]}
    if "bytes" in row:
        found["contentSize"] = str(row["bytes"])
    if Path(path).suffix in FORMATS:
        found["encodingFormat"] = FORMATS[Path(path).suffix]
    return found


def identifier(path: str) -> str:
    """Return the id of an input that lies outside of the crate."""
    return "#input-" + re.sub(r"[^\w.-]", "_", path)


def crate(found: dict, workflow: str, folder: Path) -> dict:
    """Return the RO-Crate's metadata; `workflow` is the Snakefile's copy in the crate."""
    made = {os.path.relpath(row["path"], folder): row for row in found["outputs"]}
    parameters = flat(found["settings"])
    action = {
        "@id": "#run",
        "@type": "CreateAction",
        "name": f"Run of the workflow: {found['title']}",
        "startTime": found["times"]["first_result"],
        "endTime": found["times"]["last_result"],
        "instrument": {"@id": workflow},
        "object": [{"@id": identifier(row["path"])} for row in found["inputs"]]
        + [{"@id": f"#value-{name}"} for name in parameters],
        "result": [{"@id": path} for path in made],
    }
    graph = [
        {
            "@id": "ro-crate-metadata.json",
            "@type": "CreativeWork",
            "about": {"@id": "./"},
            "conformsTo": [
                {"@id": "https://w3id.org/ro/crate/1.1"},
                {"@id": PROFILES[-1]},
            ],
        },
        {
            "@id": "./",
            "@type": "Dataset",
            "name": found["title"],
            "description": "Monthly soil moisture at 250 m with intervals and accuracy. "
            + found["note"],
            "datePublished": found["times"]["last_result"],
            "license": "see the terms of the inputs' producers",
            "conformsTo": [{"@id": profile} for profile in PROFILES],
            "hasPart": [{"@id": workflow}, *({"@id": path} for path in made)],
            "mainEntity": {"@id": workflow},
            "mentions": {"@id": "#run"},
        },
        *({"@id": profile, "@type": "CreativeWork", "name": profile} for profile in PROFILES),
        {
            "@id": workflow,
            "@type": ["File", "SoftwareSourceCode", "ComputationalWorkflow"],
            "name": "Monthly soil moisture at 250 m",
            "version": found["software"]["workflow"],
            "programmingLanguage": {"@id": "#snakemake"},
            "input": [{"@id": f"#parameter-{name}"} for name in parameters],
        },
        {
            "@id": "#snakemake",
            "@type": "ComputerLanguage",
            "name": "Snakemake",
            "url": "https://snakemake.readthedocs.io",
            "version": found["software"].get("snakemake", ""),
        },
        action,
        *(
            {
                "@id": f"#parameter-{name}",
                "@type": "FormalParameter",
                "additionalType": "Text",
                "name": name,
            }
            for name in parameters
        ),
        *(
            {
                "@id": f"#value-{name}",
                "@type": "PropertyValue",
                "exampleOfWork": {"@id": f"#parameter-{name}"},
                "name": name,
                "value": value,
            }
            for name, value in parameters.items()
        ),
        *(
            {
                "@id": identifier(row["path"]),
                "@type": "CreativeWork",
                "name": row["path"],
                "sha256": row["sha256"],
            }
            for row in found["inputs"]
        ),
        *(
            {
                "@id": f"#software-{name}",
                "@type": "SoftwareApplication",
                "name": name,
                "softwareVersion": number,
            }
            for name, number in found["software"].items()
        ),
        *(entity(path, row) for path, row in made.items()),
    ]
    return {"@context": CONTEXT, "@graph": graph}


def save(content: dict, path: str) -> None:
    with whole(path) as part:
        part.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", "utf-8")


def main(
    lock, files, results, snakefile, provenance, crate_file, code, settings, title, note, commit
):
    found = {
        "title": title,
        "note": note,
        "software": software(commit),
        "seeds": seeds(json.loads(settings)),
        "settings": json.loads(settings),
        "inputs": (listed(lock) if lock else []) + described(files),
        "outputs": described(results),
        "times": times(results),
    }
    save(found, provenance)
    with whole(code) as part:
        part.write_bytes(Path(snakefile).read_bytes())
    folder = Path(crate_file).parent
    save(crate(found, Path(os.path.relpath(code, folder)).as_posix(), folder), crate_file)
    log.info("%d inputs, %d results", len(found["inputs"]), len(found["outputs"]))


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        lock=snakemake.input.lock,
        files=snakemake.input.files,
        results=snakemake.input.results,
        snakefile=snakemake.input.snakefile,
        provenance=snakemake.output.provenance,
        crate_file=snakemake.output.crate,
        code=snakemake.output.code,
        settings=snakemake.params.settings,
        title=snakemake.params.title,
        note=snakemake.params.note,
        commit=snakemake.params.commit,
    )
