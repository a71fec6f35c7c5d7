"""The commands: their order, error lines and refusals."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import click
import pytest
from click.testing import CliRunner, Result
from clones import git
from factories import edited, own_prompts, prompt
from refusal import refused

from lidr import __version__, config, paths
from lidr.cli import main
from lidr.errors import InputError
from lidr.evaluation.registry import benchmarks
from lidr.records.jsonl import write_rows

STAGES = [
    "base",
    "prompts",
    "generate",
    "score",
    "translate",
    "pairs",
    "train",
    "audit",
    "mgsm",
    "baseline",
    "alpaca",
    "harness",
    "compare",
]
OF_DATA, OF_ITERATIONS = ["prompts", "generate", "score", "translate"], ["pairs", "train", "audit"]
OF_MODELS = [one.name for one in benchmarks()]
LINE_OF_BETA = 1 + next(i for i, line in enumerate(edited().splitlines()) if line.startswith("    beta:"))


def lidr(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


# ---- help


def test_help_lists_the_stages_in_their_order() -> None:
    listed = re.findall(r"^  ([a-z]+)  ", lidr("--help").output, re.MULTILINE)
    assert [name for name in listed if name in STAGES] == STAGES
    assert listed[: len(STAGES)] == STAGES


def commands(group: click.Group, *above: str) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = [above]
    for name, command in group.commands.items():
        found += commands(command, *above, name) if isinstance(command, click.Group) else [(*above, name)]
    return found


@pytest.mark.parametrize("command", commands(main), ids=lambda command: " ".join(command) or "lidr")
def test_every_command_describes_itself(command: tuple[str, ...]) -> None:
    for option in ("--help", "-h"):
        result = lidr(*command, option)
        assert result.exit_code == 0
        assert result.output.startswith(f"Usage: {' '.join(('main', *command))} ")
        assert len(result.output.splitlines()[2].strip()) > 10


def test_help_does_not_wait_for_large_libraries() -> None:
    code = (
        "import json, sys\nfrom lidr.cli import main\nmain(['--help'], standalone_mode=False)\n"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    large = {"torch", "transformers", "mlflow", "trl", "peft", "datasets", "scipy", "pandas", "numpy", "matplotlib"}
    assert "lidr" in loaded
    assert loaded & large == set()


# ---- how the process ends


@pytest.mark.parametrize(("arguments", "status"), [(["--version"], 0), (["--no-such"], 2), (["pairs", "m7"], 1)])
def test_the_status_is_the_commands(arguments: list[str], status: int, tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from lidr.cli import run; run()", *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == status
    assert done.stdout == f"lidr, version {__version__}\n" if status == 0 else "Error: " in done.stderr


# The pipe has no reader when the command prints: it waits for its input first.
WITHOUT_READER = """
import sys
sys.stdin.read()
from lidr.cli import run
run()
"""


def test_without_a_reader_it_ends_without_a_word() -> None:
    command = [sys.executable, "-c", WITHOUT_READER, "lab", "sample"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, **pipes) as sample:
        assert sample.stdin and sample.stdout and sample.stderr
        sample.stdout.close()
        sample.stdin.close()
        assert sample.stderr.read() == b""
    assert sample.returncode == 1


# ---- numbers


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("ui --port 0", "0 is not in the range 1<=x<=65535."),
        ("ui --port 99999", "99999 is not in the range 1<=x<=65535."),
        ("plan --memory nan", "nan is not a finite number."),
        ("plan --memory 0", "0.0 is not in the range x>0."),
        ("plan --generation-rate inf", "inf is not a finite number."),
        ("plan --training-rate -1", "-1.0 is not in the range x>0."),
        ("plan --answer-tokens 0", "0 is not in the range x>=1."),
        ("lab sample --count 0", "0 is not in the range x>=1."),
        ("lab build --to base --threads 0", "0 is not in the range x>=1."),
    ],
)
def test_numbers_that_make_no_sense(command: str, expected: str) -> None:
    result = lidr(*command.split())
    assert result.exit_code == 2
    assert result.output.splitlines()[-1].endswith(expected)


# ---- names of iterations and models

TRICKS = ["m7", "../x", "m1/..", "/tmp/m1", "m1\0", "", "m1\nm2", "M1", "m1 ", "m01"]


def tried(commands: list[str], names: list[str]) -> list[tuple[str, str]]:
    """All names for the first command, and an unknown one for each other."""
    return [*((commands[0], name) for name in names), *((command, "m7") for command in commands[1:])]


@pytest.mark.usefixtures("root")
@pytest.mark.parametrize(("command", "name"), tried(OF_ITERATIONS, [*TRICKS, "m0"]))
def test_only_iterations_of_params_are_taken(command: str, name: str) -> None:
    assert refused(command, name) == f"no iteration {name!r} in params.yaml: it has m1, m2"


@pytest.mark.usefixtures("root")
@pytest.mark.parametrize(("command", "name"), tried(OF_DATA, [*TRICKS, "m0"]))
def test_only_data_of_params_are_taken(command: str, name: str) -> None:
    assert refused(command, name) == f"no data {name!r} in params.yaml: it has m1, m2"


@pytest.mark.usefixtures("root")
@pytest.mark.parametrize(("command", "name"), tried(OF_MODELS, TRICKS))
def test_only_models_of_params_are_taken(command: str, name: str) -> None:
    assert refused(command, name) == f"no model {name!r} in params.yaml: it has m0, m1, m2"


@pytest.mark.parametrize("command", [*OF_DATA, "pairs", "train", *OF_MODELS, "audit stage"])
def test_name_is_asked_for(command: str) -> None:
    result = lidr(*command.split())
    assert result.exit_code == 2
    assert "Error: Missing argument" in result.output


def test_the_audit_alone_says_what_it_can_do() -> None:
    result = lidr("audit")
    assert result.exit_code == 2
    assert result.output.startswith("Usage: main audit [OPTIONS] ITERATION | COMMAND [ARGS]...")
    assert re.findall(r"^  (show|trace|verify|card|stage)  ", result.output, re.MULTILINE) == [
        "show",
        "trace",
        "verify",
        "card",
    ]


# ---- errors


@pytest.mark.parametrize("command", [["base"], ["prompts", "m1"], ["pairs", "m1"], ["mgsm", "m0"], ["compare"]])
def test_bad_params_end_in_one_line(root: Path, command: list[str]) -> None:
    (root / "params.yaml").write_text(edited(("    beta:", "    beta: high")), "utf-8")
    assert refused(*command) == f"params.yaml:{LINE_OF_BETA}: train.dpo.beta: Expected `float`, got `str`"


@pytest.mark.parametrize("command", [["base"], ["prompts", "m1"], ["alpaca", "m0"], ["ui"], ["track"]])
def test_folder_that_is_no_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    assert refused(*command) == "params.yaml: no such file; run lidr in the project's root"


def test_missing_input_says_how_to_make_it(root: Path) -> None:
    missing = "data/prompts/m1/en.jsonl: no such file; run the stage that makes it, or `dvc repro`"
    assert refused("pairs", "m1") == missing
    (root / "params.yaml").unlink()
    (root / "params.yaml").mkdir()
    assert refused("base") == "params.yaml: Is a directory"


@pytest.mark.usefixtures("root")
def test_tracebacks_of_bugs_and_with_debug(monkeypatch: pytest.MonkeyPatch) -> None:
    result = lidr("--debug", "prompts", "m7")
    assert (result.exit_code, result.output) == (1, "")
    assert isinstance(result.exception, InputError)
    monkeypatch.setattr("lidr.pairs.stage.run", Mock(side_effect=KeyError("a bug")))
    assert isinstance(lidr("pairs", "m1").exception, KeyError)


def test_prompts_reports_in_a_line(root: Path) -> None:
    count = config.load().prompts.per_iteration
    result = lidr("prompts", "m1")
    # Tasks that differ only in values outside their prompt have the same text.
    begins = f"prompts m1: {count} prompts in 5 languages, 0 dropped; 0 ask for a translation, "
    assert result.exit_code == 0 and result.output.startswith(begins)
    assert re.fullmatch(r"\d+ say what another one says\n", result.output.removeprefix(begins))
    assert sorted(path.name for path in (root / paths.prompts("m1")).iterdir()) == [
        "de.jsonl",
        "drops.jsonl",
        "duplicates.jsonl",
        "en.jsonl",
        "es.jsonl",
        "fr.jsonl",
        "ru.jsonl",
    ]


@pytest.mark.usefixtures("two_languages")
def test_prompts_counts_prompts(root: Path) -> None:
    """Not the rows of drops.jsonl and duplicates.jsonl, which have one a language."""
    for lang, count in {"en": 3, "es": 2, "de": 2}.items():
        rows = [prompt(f"p{number}", lang, "Name a fruit.", row=number) for number in range(count)]
        write_rows(root / f"data/sources/own/{lang}.jsonl", rows)
    text = (root / "params.yaml").read_text("utf-8").replace(*own_prompts("data/sources/own"))
    (root / "params.yaml").write_text(text, "utf-8")
    assert lidr("prompts", "m1").output == (
        "prompts m1: 2 of 500 prompts in 3 languages, 1 dropped; 0 ask for a translation, 1 say what another one says\n"
    )


# ---- profiles


@pytest.fixture
def profiles(root: Path) -> Path:
    """A committed project with the profiles `lab` (active) and `quick`."""
    (root / "profiles").mkdir()
    for name in ("params.yaml", "profiles/lab.yaml"):
        (root / name).write_text(edited(), "utf-8")
    quick = edited(("profile: lab", "profile: quick"), ("  per_iteration:", "  per_iteration: 10"))
    (root / "profiles/quick.yaml").write_text(quick, "utf-8")
    git("init", "-q")
    git("add", ".")
    git("commit", "-q", "-m", "project")
    return root / "profiles"


def test_profile_list_marks_the_active_one(profiles: Path) -> None:
    assert lidr("profile", "list").output == "* lab\n  quick\n"
    shutil.copyfile(profiles / "quick.yaml", "params.yaml")
    assert lidr("profile", "list").output == "  lab\n* quick\n"
    Path("params.yaml").write_text(edited(("seed:", "seed: 1")))
    assert lidr("profile", "list").output == "  lab\n  quick\n"


def test_profile_use_copies_and_shows_what_changes(profiles: Path) -> None:
    result = lidr("profile", "use", "quick")
    assert result.exit_code == 0
    assert Path("params.yaml").read_bytes() == (profiles / "quick.yaml").read_bytes()
    changed = [line for line in result.output.splitlines() if line[:1] in "+-" and line[:2] not in ("++", "--")]
    assert [line.split("#")[0].rstrip() for line in changed] == [
        "-profile: lab",
        "+profile: quick",
        f"-  per_iteration: {config.load(profiles / 'lab.yaml').prompts.per_iteration}",
        "+  per_iteration: 10",
    ]
    assert lidr("profile", "use", "quick").output == "params.yaml is the profile quick already\n"


@pytest.mark.usefixtures("profiles")
def test_profile_use_refuses_to_overwrite_edits() -> None:
    Path("params.yaml").write_text(edited(("seed:", "seed: 1")), "utf-8")
    assert refused("profile", "use", "quick") == (
        "params.yaml holds edits that are neither committed nor a profile's as it is now; commit them, or use --force"
    )
    assert lidr("profile", "use", "quick", "--force").exit_code == 0
    assert Path("params.yaml").read_text("utf-8").splitlines()[1] == "profile: quick"

    Path("params.yaml").write_text(edited(("seed:", "seed: 1")), "utf-8")
    git("commit", "-q", "-a", "-m", "my seed")
    assert lidr("profile", "use", "quick").exit_code == 0
    # Edits that git does not know are in this file only.
    Path("params.yaml").write_text(edited(("seed:", "seed: 2")), "utf-8")
    shutil.rmtree(".git")
    assert "holds edits" in refused("profile", "use", "quick")
    Path("params.yaml").unlink()
    assert lidr("profile", "use", "lab").exit_code == 0


@pytest.mark.parametrize("name", ["nope", "../params", "", "lab.yaml", "lab\0", "/etc/passwd"])
def test_unknown_profile(profiles: Path, name: str) -> None:
    assert profiles.is_dir()
    assert refused("profile", "use", name) == f"profiles: no profile {name!r}; there are lab, quick"


# ---- the lab


@pytest.mark.usefixtures("root")
def test_lab_sample_prints_tasks_with_their_answers() -> None:
    lines = lidr("lab", "sample", "--lang", "es", "--count", "2").output.splitlines()
    assert len(lines) == 6
    assert lines[2].startswith("  gold: ")
    assert lines[1].endswith(f"{lines[2].removeprefix('  gold: ')}.")
    expected = "the lab has no language '../es': it has de, en, es, fr, it, pt, ru"
    assert refused("lab", "sample", "--lang", "../es") == expected
