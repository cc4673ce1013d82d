"""The architecture as tests: nothing runs, the workflow is only parsed."""

import ast
import hashlib
import inspect
import re
from functools import cache
from pathlib import Path

import pytest

from conftest import ROOT, parsed_rules

SCRIPTS = ROOT / "workflow" / "scripts"
STAGES = ["raw", "interim", "features", "model", "maps", "report"]
FOLDERS = {
    "raw": ("resources/raw/", "resources/truth/"),
    "report": ("results/report/", "results/score/", "results/ro-crate-metadata.json"),
} | {stage: (f"results/{stage}/",) for stage in STAGES[1:-1]}
# Every road to the archive that a config can choose.
RULES = {
    **parsed_rules(),
    **parsed_rules("config/cookfarm.yaml"),
    **parsed_rules("config/zoige.yaml"),
    **parsed_rules("config/zoige.yaml", config={"sources": {"modis": "appeears", "smc": "./smc"}}),
    **parsed_rules(config={"predictors": ["LST", "ERA5Land"], "maps": {"residuals": True}}),
    **parsed_rules(config={"predictors": ["LST", "own"], "layers": {"own": {"path": "README.md"}}}),
}
JOBS = sorted(name for name in RULES if name not in ("all", "fetch"))
# They change no result: any file may import them and no rule hashes them.
FREE = {"_log", "_intact", "_whole", "_transfer", "_download", "_zip"}
# A file is the producer's, however it was fetched: no code makes a fetch run again.
UNHASHED = {name for name in JOBS if name.startswith("fetch_")} | {"inputs"}
MODULES = sorted(SCRIPTS.glob("_*.py"))
PROGRAMS = sorted(SCRIPTS.glob("[a-z]*.py"))


def script_of(rule) -> Path:
    return (Path(str(rule.snakefile)).parent / rule.script).resolve()


def stage_of(rule) -> str:
    return Path(str(rule.snakefile)).stem


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@cache
def imported(path: Path) -> set[str]:
    """Return the shared modules that a file imports."""
    names = set()
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.ImportFrom):
            names.add(node.module)
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return {name for name in names if name and name.startswith("_") and not name.startswith("__")}


def footer(path: Path) -> ast.If:
    return tree_of(path).body[-1]


def used(path: Path) -> set[tuple[str, str]]:
    """Return the (section, name) pairs of `snakemake.<section>.<name>` in a script."""
    pairs = set()
    for node in ast.walk(tree_of(path)):
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Attribute)
            and isinstance(node.value.value, ast.Name)
            and node.value.value.id == "snakemake"
        ):
            pairs.add((node.value.attr, node.attr))
    return pairs


@pytest.mark.parametrize("name", JOBS)
def test_rule_script_and_log_have_one_name(name):
    rule = RULES[name]
    stem = script_of(rule).stem
    loop = rf"{stem}(_[a-z0-9]+)?(_[a-z]+)?(_\d{{4}})?"
    assert re.fullmatch(loop, name), "rules made in a loop end in what they make, and the year"
    log = str(rule.log[0])
    assert re.fullmatch(rf"logs/{stem}(\{{variant\b.*\}})?\.log|logs/{stem}/.*", log)


@pytest.mark.parametrize("name", JOBS)
def test_script_uses_all_that_its_rule_gives_and_nothing_else(name):
    rule = RULES[name]
    given = {
        (section, key)
        for section in ("input", "output", "params")
        for key, _ in getattr(rule, section)._allitems()
    }
    assert None not in {key for _, key in given}, "every item of a rule has a name"
    taken = {pair for pair in used(script_of(rule)) if pair[0] in ("input", "output", "params")}
    # `checked` only orders jobs: a file is hashed before it is read.
    assert taken == given - {("params", "lib"), ("input", "checked")}


@pytest.mark.parametrize("name", JOBS)
def test_wildcards_that_a_script_reads_exist(name):
    rule = RULES[name]
    taken = {key for section, key in used(script_of(rule)) if section == "wildcards"}
    assert taken <= set(rule.wildcard_names)


@pytest.mark.parametrize("name", JOBS)
def test_shared_code_is_hashed(name):
    rule = RULES[name]
    modules = sorted(imported(script_of(rule)) - FREE)
    if not modules or name in UNHASHED:
        assert not hasattr(rule.params, "lib")
        return
    code = b"".join((SCRIPTS / f"{module}.py").read_bytes() for module in modules)
    assert rule.params["lib"] == hashlib.sha256(code).hexdigest()[:8], f"lib must name {modules}"


@pytest.mark.parametrize("name", JOBS)
def test_outputs_lie_in_the_folder_of_their_stage(name):
    rule = RULES[name]
    for path in rule.output:
        assert str(path).startswith(FOLDERS[stage_of(rule)])


@pytest.mark.parametrize("name", JOBS)
def test_rule_reads_only_from_its_own_or_an_earlier_stage(name):
    rule = RULES[name]
    allowed = STAGES[: STAGES.index(stage_of(rule)) + 1]
    folders = tuple(folder for stage in allowed for folder in FOLDERS[stage])
    for path in rule.input:
        if callable(path):
            continue  # what input functions return is checked by test_config.py
        if str(path).startswith(("results/", "resources/")):
            assert str(path).startswith(folders)


def test_only_the_scoring_rule_reads_the_truth():
    readers = {
        name
        for name, rule in RULES.items()
        for path in rule.input
        if not callable(path) and "truth" in str(path)
    }
    assert readers == {"score_truth"}
    mentions = {p.stem for p in SCRIPTS.glob("*.py") if "resources/truth" in p.read_text()}
    assert mentions <= {"score_truth"}


def test_every_script_belongs_to_a_rule():
    assert {script_of(RULES[name]) for name in JOBS} == set(PROGRAMS)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_modules_do_not_import_each_other(path):
    assert imported(path) <= FREE


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_module_is_shared(path):
    users = [p for p in [*PROGRAMS, *MODULES] if path.stem in imported(p)]
    users += [p for p in (ROOT / "workflow/rules").glob("*.smk") if path.stem in p.read_text()]
    users += [p for p in (ROOT / "tests").rglob("*.py") if path.stem in imported(p)]
    assert len(users) > 1, f"{path.stem} has one user: its code belongs there"


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_footer_only_logs_and_calls_main(path):
    last = footer(path)
    assert isinstance(last, ast.If) and ast.unparse(last.test) == "__name__ == '__main__'"
    calls = [ast.unparse(node.value.func) for node in last.body]
    assert calls == ["log_to", "main"]
    main = last.body[1].value
    assert not main.args and all(keyword.arg for keyword in main.keywords)
    for keyword in main.keywords:
        assert re.fullmatch(
            r"snakemake\.(input|output|params|wildcards|resources)\.\w+|snakemake\.threads",
            ast.unparse(keyword.value),
        )


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_nothing_but_the_footer_knows_snakemake(path):
    body = tree_of(path).body[:-1]
    names = {n.id for node in body for n in ast.walk(node) if isinstance(n, ast.Name)}
    assert "snakemake" not in names


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_no_future_import_in_a_script(path):
    """Snakemake puts lines of its own before a script, where such an import may not stand."""
    assert "from __future__" not in path.read_text()


@pytest.mark.parametrize("path", [*PROGRAMS, *MODULES], ids=lambda path: path.stem)
def test_docstring_says_what_the_step_means(path):
    assert len(ast.get_docstring(tree_of(path)) or "") > 40


@pytest.mark.parametrize("path", [*PROGRAMS, *MODULES], ids=lambda path: path.stem)
def test_no_file_is_too_long_to_read(path):
    assert len(path.read_text().splitlines()) <= 400


def test_rules_have_no_lambda_and_no_run_block():
    for path in [ROOT / "Snakefile", *(ROOT / "workflow" / "rules").glob("*.smk")]:
        text = path.read_text()
        assert "lambda" not in text and not re.search(r"^\s+run:", text, re.M), path


# What would let a file or a name run as code.
UNSAFE = {
    "shell=True": r"shell\s*=\s*True",
    "os.system": r"os\.(system|popen)\(",
    "eval and exec": r"(?<![\w.])(eval|exec)\(",
    "pickle": r"\b(pickle|joblib\.load|allow_pickle=True|read_pickle)\b",
    "unsafe YAML": r"yaml\.(load|full_load|unsafe_load)\(",
    "unchecked archives": r"(?<!_zip)\.(extractall|extract)\(",
    "text as HTML": r"innerHTML|outerHTML|insertAdjacentHTML|document\.write",
}


@pytest.mark.parametrize("what", UNSAFE)
def test_no_file_and_no_name_can_run_as_code(what):
    for path in [*ROOT.glob("workflow/**/*"), *ROOT.glob("envs/*"), *ROOT.glob("benchmarks/*.py")]:
        if path.suffix in (".py", ".smk", ".js"):
            found = re.search(UNSAFE[what], path.read_text())
            assert not found, f"{path.relative_to(ROOT)}: {found and found[0]}"


def test_snakemake_still_has_the_limit_that_onstart_switches_off():
    """It is private: under another name the scheduler would be slow again and nobody would know."""
    import snakemake.api  # first: the others import each other in a circle
    from snakemake.scheduling.job_scheduler import JobScheduler

    assert "job_rate_limiter = None" in (ROOT / "workflow" / "rules" / "raw.smk").read_text()
    assert "self.job_rate_limiter is None" in inspect.getsource(JobScheduler.job_selector)
    assert hasattr(snakemake.workflow.Workflow, "local_exec")
