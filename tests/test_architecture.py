"""Import rules between packages, and that dvc.yaml lists the code that each stage runs.

The imports are read from the syntax trees of all modules, including those inside functions.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from factories import ROOT
from ruamel.yaml import YAML

from lidr.config import Settings
from lidr.evaluation.registry import benchmarks

SOURCE = ROOT / "src"

SIBLINGS = ("prompts", "generation", "pairs", "training", "evaluation", "compare", "audit", "plan", "doctor", "export")

# Levels from top to bottom, one per line. A module imports from its own level or below.
LEVELS = (
    ("cli",),
    SIBLINGS,
    ("engines", "models", "chat", "tracking"),
    ("config", "paths", "profiles", "git", "pages", "locks"),
    ("records", "pool", "machine", "errors", "progress", "software"),
)

# Packages of one level do not import each other, except for these.
NEIGHBOURS = {
    (
        "audit",
        "evaluation",
    ),  # the audit asks the same scorers and intervals, and looks for evaluation items in the data
    ("audit", "generation"),  # `lidr audit verify` cuts translations again
    ("audit", "pairs"),  # `lidr audit verify` makes pairs again
    ("compare", "evaluation"),  # it reports what the benchmarks found
    ("pairs", "evaluation"),  # the filter `right` reads gold answers as MGSM's scorer does
    ("doctor", "evaluation"),  # the judge
    ("plan", "evaluation"),  # which models a benchmark asks, and its judge
    ("doctor", "prompts"),  # whether the user's files can be read
    ("doctor", "training"),  # which devices a training would use
    ("plan", "pairs"),  # the directions of a rule
    ("plan", "training"),  # whether rows are packed, and the number of positions that are scored at once
}

# Registries with entries in params.yaml: its check imports them inside functions.
REGISTRIES = {"lidr.pairs.rules", "lidr.pairs.filters"}

# The only modules that import the lab: they resolve `lab` as a source of prompts, items, verdicts or exactness.
RESOLVE_LAB = {
    "lidr.prompts.stage",
    "lidr.evaluation.answers",
    "lidr.evaluation.judges.lab",
    "lidr.evaluation.harness.asking",
    "lidr.pairs.gold",
    "lidr.generation.score",
    "lidr.audit.fidelity",
    "lidr.cli.tools",
}

# Libraries that at most one package may import. None imports DVC, which runs lidr.
ONLY_IN = {
    "trl": ("lidr.training", "lidr.config.training_keys"),
    "vllm": "lidr.engines.vllm",
    "ray": "lidr.engines.ray",
    "mlflow": "lidr.tracking",
    "dvc": "lidr.audit.provenance.state",
    "scipy": "lidr.evaluation",
    "matplotlib": "lidr.pages.figures",
    "lm_eval": "lidr.evaluation.harness",
}

# Modules whose changes cannot change a stage's output, although it imports them.
NOT_IN_THE_OUTPUT = {
    "lidr",  # the version
    "lidr.config",  # every stage depends on it, for its defaults; what it imports only checks params.yaml
    "lidr.pool",  # which process computes a value, not the value
    "lidr.errors",  # a stage that fails has no output
    "lidr.paths",  # an output's path; dvc.yaml has the same, or DVC would miss the output
    "lidr.progress",  # written to the terminal only
    "lidr.software",  # which unfinished work is taken up, not what it holds
    "lidr.tracking",  # written to MLflow only; run ids stay out of outputs
    "lidr.cli",  # calls the stage
}

# Packages of data that these modules read.
DATA = {
    "lidr.models.folder": "src/lidr/lab",
    "lidr.pages": "src/lidr/templates",
    "lidr.pages.figures": "src/lidr/templates",
}

# Packages whose modules this one imports by name.
FINDS = {"lidr.engines.base": "lidr.engines"}

# The module of each stage of dvc.yaml.
STAGES = {
    "base": "lidr.models.base",
    "prompts": "lidr.prompts.stage",
    "generate": "lidr.generation.generate",
    "score": "lidr.generation.score",
    "translate": "lidr.generation.translate",
    "pairs": "lidr.pairs.stage",
    "train": "lidr.training.stage",
    "audit": "lidr.audit.stage",
    "baseline": "lidr.evaluation.alpaca.baseline",
    "compare": "lidr.compare.stage",
    **{benchmark.name: f"lidr.evaluation.{benchmark.name}.stage" for benchmark in benchmarks()},
}


@dataclass(frozen=True)
class Import:
    """An imported module, and whether it is for type checkers only."""

    name: str
    types_only: bool


def module_files() -> dict[str, Path]:
    names = {}
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        names[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return names


FILES = module_files()


@cache
def imports(module: str) -> tuple[Import, ...]:
    """All imports of a module; names from our packages count if they are modules."""
    tree = ast.parse(FILES[module].read_text("utf-8"))
    guarded = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    found = [Import(name, id(node) in guarded) for node in ast.walk(tree) for name in _names(node)]
    return tuple(dict.fromkeys(found))


def _names(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, "imports are absolute"
        for alias in node.names:
            inner = f"{node.module}.{alias.name}"
            yield inner if inner in FILES else str(node.module)


def own_imports(module: str) -> set[str]:
    return {found.name for found in imports(module) if found.name.partition(".")[0] == "lidr"}


def room(module: str) -> str:
    """lidr.pairs.stage -> pairs"""
    return module.split(".")[1] if "." in module else ""


def level(module: str) -> int:
    return next(number for number, rooms in enumerate(LEVELS) if room(module) in rooms)


def is_within(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


OUTSIDE_THE_LAB = [module for module in FILES if module != "lidr" and room(module) != "lab"]


def test_every_module_has_its_level() -> None:
    rooms = {name for names in LEVELS for name in names}
    assert {room(module) for module in OUTSIDE_THE_LAB} <= rooms


@pytest.mark.parametrize("module", OUTSIDE_THE_LAB)
def test_imports_point_down(module: str) -> None:
    up = {
        name for name in own_imports(module) if name != "lidr" and room(name) != "lab" and level(name) < level(module)
    }
    if room(module) == "config":
        up -= REGISTRIES
    assert up == set()


@pytest.mark.parametrize("module", [name for name in OUTSIDE_THE_LAB if room(name) in SIBLINGS])
def test_siblings_do_not_know_each_other(module: str) -> None:
    known = {room(name) for name in own_imports(module) if name != "lidr" and room(name) in SIBLINGS} - {room(module)}
    assert {(room(module), other) for other in known} <= NEIGHBOURS


def test_a_class_name_is_one_class() -> None:
    found: dict[str, list[str]] = {}
    for module, path in FILES.items():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ClassDef):
                found.setdefault(node.name, []).append(module)
    assert {name: modules for name, modules in found.items() if len(modules) > 1} == {}


def test_the_lab_is_imported_only_where_it_is_resolved() -> None:
    importers = {m for m in OUTSIDE_THE_LAB if any(is_within(name, "lidr.lab") for name in own_imports(m))}
    assert importers <= RESOLVE_LAB, f"superfluous: {sorted(importers - RESOLVE_LAB)}"
    assert importers >= RESOLVE_LAB, f"no longer needed in the list: {sorted(RESOLVE_LAB - importers)}"


def test_the_lab_does_not_import_stages_commands_or_tracking() -> None:
    known = {room(name) for module in FILES if room(module) == "lab" for name in own_imports(module)}
    assert known & {"cli", "audit", "tracking", "profiles"} == set()


@pytest.mark.parametrize("library", ONLY_IN)
def test_library_is_imported_in_its_place_only(library: str) -> None:
    allowed = ONLY_IN[library] if isinstance(ONLY_IN[library], tuple) else (ONLY_IN[library],)
    importers = {m for m in FILES if any(found.name.partition(".")[0] == library for found in imports(m))}
    assert {m for m in importers if not any(is_within(m, package) for package in allowed)} == set()


# ---- dvc.yaml


def stages() -> dict[str, dict]:
    """All stages of dvc.yaml, with `foreach` resolved."""
    listed = YAML(typ="safe", pure=True).load((ROOT / "dvc.yaml").read_text("utf-8"))["stages"]
    return {name: stage.get("do", stage) for name, stage in listed.items()}


def what_runs(module: str) -> set[str]:
    """The module and all its runtime imports, with their packages."""
    seen: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in seen or name not in FILES or is_not_in_the_output(name):
            continue
        seen.add(name)
        waiting += [found.name for found in imports(name) if not found.types_only]
        waiting += [name.rpartition(".")[0]]
        waiting += [module for module in FILES if name in FINDS and is_within(module, FINDS[name])]
    return {name for name in seen if not is_docstring_only(name)}


def is_not_in_the_output(module: str) -> bool:
    return module in NOT_IN_THE_OUTPUT or any(is_within(module, name) for name in NOT_IN_THE_OUTPUT - {"lidr"})


def is_docstring_only(module: str) -> bool:
    body = ast.parse(FILES[module].read_text("utf-8")).body
    return all(isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) for node in body)


def test_every_stage_runs_the_command_of_its_name() -> None:
    assert {name: stage["cmd"].split()[:2] for name, stage in stages().items()} == {
        name: ["lidr", name] for name in STAGES
    }


@pytest.mark.parametrize("stage", STAGES)
def test_stage_depends_on_the_code_that_it_runs(stage: str) -> None:
    if stage not in stages():
        pytest.fail(f"dvc.yaml has no stage {stage!r}")
    listed = {dependency for dependency in stages()[stage].get("deps", []) if dependency.startswith("src/")}
    modules = what_runs(STAGES[stage])
    needed = {f"src/lidr/{room(module)}" for module in modules}
    needed |= {path for module, path in DATA.items() if module in modules}
    assert listed == needed | {"src/lidr/config"}


# Blocks that a stage's code reads, but whose changes alone do not change its output.
SEEN_OTHERWISE = {
    "base": {"iterations"},  # their layers are only checked against the model
    "generate": {"dominant", "languages"},  # data/prompts has a file for each
    "score": {"iterations"},  # the one that made models/<by>
    "mgsm": {"languages"},  # those of its own block
    "baseline": {"models"},  # which models are asked is read by `lidr plan` and `lidr compare`
    "alpaca": {"models"},
}


def blocks_read(module: str) -> set[str]:
    """The blocks of params.yaml that a module reads from a variable named `settings`."""
    tree = ast.parse(FILES[module].read_text("utf-8"))
    read = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "settings"
    }
    combined = {"all_languages": {"dominant", "languages"}, "iteration": {"iterations"}, "of_iteration": {"iterations"}}
    return {block for name in read for block in combined.get(name, {name})} & set(Settings.__struct_fields__)


@pytest.mark.parametrize("stage", STAGES)
def test_stage_depends_on_the_blocks_that_it_reads(stage: str) -> None:
    entry = STAGES[stage]
    own = {name for name in what_runs(entry) if is_within(name, entry.rpartition(".")[0])}
    read = {block for name in own for block in blocks_read(name)} - SEEN_OTHERWISE.get(stage, set())
    listed = {name.partition(".")[0] for name in stages()[stage]["params"]}
    assert read - listed == set()
