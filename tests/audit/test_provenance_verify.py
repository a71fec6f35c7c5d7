"""`lidr audit verify` names every kind of planted mismatch, with or without a matching lock."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import proven_project
import pytest
from click.testing import CliRunner, Result
from proven_project import git, relock, train
from ruamel.yaml import YAML

from lidr import config, paths
from lidr.audit.provenance import verify as checks
from lidr.cli import main
from lidr.errors import LidrError
from lidr.pairs import stage as pairs
from lidr.records.jsonl import write_json

RESPONSES = Path("data/m1/responses/es.jsonl")
PAIRS = Path("data/m1/pairs/pairs.jsonl")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("LIDR_TRACKING", "off")
        proven_project.build()
    return folder


@pytest.fixture
def project(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "project"
    shutil.copytree(whole, folder)
    monkeypatch.chdir(folder)
    return folder


def verify(*options: str) -> Result:
    return CliRunner().invoke(main, ["audit", "verify", *options])


def change(path: str | Path, old: str, new: str) -> None:
    text = Path(path).read_text("utf-8")
    assert old in text
    Path(path).write_text(text.replace(old, new, 1), "utf-8")


def change_byte(path: Path) -> None:
    content = path.read_bytes()
    start = content.index(b'"text":"') + len(b'"text":"')
    path.write_bytes(content[:start] + b"x" + content[start + 1 :])
    assert path.read_bytes() != content


def reorder(path: Path) -> None:
    first, second, *rest = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([second, first, *rest]))


def swap_sides(path: Path) -> None:
    first, *rest = path.read_text("utf-8").splitlines(keepends=True)
    row = json.loads(first)
    row["chosen"], row["rejected"] = row["rejected"], row["chosen"]
    path.write_text(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n" + "".join(rest), "utf-8")


def another_text_of_a_translation() -> None:
    """A translation that differs from its raw text, with matching pairs and adapters."""
    path = Path("data/m1/translations/en-es.jsonl")
    first, *rest = path.read_text("utf-8").splitlines(keepends=True)
    row = json.loads(first)
    row["text"] += "!"
    path.write_text(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n" + "".join(rest), "utf-8")
    settings = config.load()
    pairs.run(settings, "m1")
    train(settings, "m1")
    train(settings, "m2")


def test_a_whole_chain_is_proven_and_git_is_not_touched(project: Path) -> None:
    index = Path(".git/index").read_bytes()
    result = verify()
    assert result.exit_code == 0, result.output
    lines = [line.split(maxsplit=2) for line in result.output.splitlines()]
    names = ["pipeline", "parameters", "code", "data", "commit", "pairs", "models"]
    assert [(ok, name) for ok, name, _ in lines] == [("ok", name) for name in names]
    assert lines[0][2].startswith("11 stages of dvc.yaml are in dvc.lock")
    assert lines[3][2].startswith("13 outputs and 10 inputs have the hashes")
    made = len(PAIRS.read_bytes().splitlines())
    assert f"m1: {made} pairs and {24 - made} drops · m2:" in lines[5][2]
    assert lines[6][2].startswith(f"m1 on m0 from {made} pairs · m2 on m1 from ")
    assert Path(".git/index").read_bytes() == index
    git("diff", "--quiet", "HEAD")


def test_an_iteration_s_own_pairs_are_proven_by_its_own_block(project: Path) -> None:
    before = len(PAIRS.read_bytes().splitlines())
    change("params.yaml", "  m1:\n    previous: m0\n", "  m1:\n    previous: m0\n    pairs: {directions: others}\n")
    settings = config.load()
    counts = pairs.run(settings, "m1")
    assert 0 < counts.pairs < before
    train(settings, "m1")
    train(settings, "m2")
    relock()
    result = verify()
    assert result.exit_code == 0, result.output
    assert f"m1: {counts.pairs} pairs and {counts.drops.total()} drops · m2:" in result.output
    change("params.yaml", "    pairs: {directions: others}\n", "")
    relock()
    assert "pairs: data/m1/pairs/pairs.jsonl" in verify().output


# Changes to a valid project, and the error.
BREAKS: dict[str, tuple[Callable[[], object], str]] = {
    "one byte in a response": (
        lambda: change_byte(RESPONSES),
        f"data: data/m1/responses: not what generate@m1 wrote \\({RESPONSES} differs\\)",
    ),
    "a missing file": (lambda: RESPONSES.unlink(), f"data: data/m1/responses: .* \\({RESPONSES} is missing\\)"),
    "a missing folder": (
        lambda: shutil.rmtree("data/m1/translations"),
        "data: data/m1/translations: missing; `dvc checkout`",
    ),
    "a file more": (
        lambda: Path("data/m1/pairs/more.jsonl").touch(),
        r"data: data/m1/pairs: .* \(data/m1/pairs/more.jsonl was not there\)",
    ),
    "an edited param": (
        lambda: change("params.yaml", "  filters: [identical, repeated]", "  filters: [identical]"),
        "parameters: params.yaml: pairs is modified; pairs@m1 ran with another value",
    ),
    "a param for another order of stages": (
        lambda: (change("params.yaml", "    by: m1", "    by: m0"), change("params.yaml", "s: m1\n", "s: m0\n")),
        "pipeline: dvc.lock: translate@m2 ran with other inputs: it has no models/m0",
    ),
    "edited code": (
        lambda: change(proven_project.CODE, "1", "2"),
        "code: src/code/rules.py: not what base ran with",
    ),
    "a command that did not run": (
        lambda: change("dvc.yaml", "cmd: lidr base", "cmd: lidr base --again"),
        "pipeline: dvc.lock: base ran another command than 'lidr base --again'",
    ),
    "a stage that did not run": (
        lambda: change("dvc.lock", "train@m2", "train@m3"),
        "pipeline: dvc.lock: the stage train@m2 has not run",
    ),
    "no git": (lambda: shutil.rmtree(".git"), "pipeline: DVC: .* is not a git repository"),
    "no lock": (lambda: paths.LOCK.unlink(), "pipeline: dvc.lock: no such file"),
}


@pytest.mark.parametrize(("spoil", "message"), BREAKS.values(), ids=BREAKS.keys())
def test_a_break_is_named(project: Path, spoil: Callable[[], object], message: str) -> None:
    spoil()
    expect(verify(), message)


OTHER_BYTES = "answers and translations give '.*' here, and other bytes stand here"

# The same with hashes that were updated to match.
WITH_A_LOCK_THAT_FITS: dict[str, tuple[Callable[[], object], str]] = {
    "a swapped pair": (lambda: swap_sides(PAIRS), f"pairs: {PAIRS}:1: {OTHER_BYTES}"),
    "another detail of a drop": (
        lambda: change("data/m1/pairs/drops.jsonl", '"detail":"', '"detail":"well, '),
        f"pairs: data/m1/pairs/drops.jsonl:1: {OTHER_BYTES}",
    ),
    "one byte in a response": (lambda: change_byte(RESPONSES), f"pairs: data/m1/pairs/.*: {OTHER_BYTES}"),
    "a reordered file": (
        lambda: reorder(RESPONSES),
        f"pairs: {RESPONSES}:2: a row of 'lab-100': rows are expected in the order of the prompts",
    ),
    "a row without a prompt": (
        lambda: change(RESPONSES, '"lab-103"', '"lab-999"'),
        f"pairs: {RESPONSES}:4: a row of 'lab-999': there is no such prompt",
    ),
    "another text of a translation": (
        another_text_of_a_translation,
        "pairs: data/m1/translations/en-es.jsonl:1: the text of '.*' is not what its raw text gives",
    ),
    "an adapter from other data": (
        lambda: train(config.load(), "m1", pairs="0" * 64),
        "models: models/m1/lidr.json: trained with another pairs: 000000000000 is recorded, .* is here",
    ),
    "an adapter from another reference": (
        lambda: train(config.load(), "m2", reference="1" * 64),
        "models: models/m2/lidr.json: trained with another reference: 111111111111 is recorded",
    ),
    "an adapter from fewer rows": (
        lambda: train(config.load(), "m1", rows=3),
        r"models: models/m1/lidr.json: 3 pairs trained on or held out and 0 left out are not \d+",
    ),
    "another base": (
        lambda: Path("models/m0/model.safetensors").write_bytes(b"other"),
        "models: models/m0/lidr.json: the base is .*, its record says",
    ),
}


@pytest.mark.parametrize(("spoil", "message"), WITH_A_LOCK_THAT_FITS.values(), ids=WITH_A_LOCK_THAT_FITS.keys())
def test_a_break_is_named_where_the_hashes_fit(project: Path, spoil: Callable[[], object], message: str) -> None:
    """These two checks are given no mismatch of a hash."""
    spoil()
    check, _, expected = message.partition(": ")
    with pytest.raises(LidrError, match=f"^{expected}"):
        {"pairs": checks._pairs, "models": checks._models}[check](checks._Project(config.load(), {}, []))


@pytest.mark.parametrize("name", ["a swapped pair", "another base"])
def test_updated_hashes_hide_no_break(project: Path, name: str) -> None:
    spoil, message = WITH_A_LOCK_THAT_FITS[name]
    spoil()
    relock()
    expect(verify(), message)


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [("params.yaml", "filters: [identical, repeated]", "filters: [identical]"), (str(proven_project.CODE), "1", "2")],
)
def test_what_is_in_no_commit_is_named(project: Path, path: str, old: str, new: str) -> None:
    change(path, old, new)
    relock(commit=False)
    expect(verify(), "commit: (params.yaml|dvc.lock|src/code/rules.py): not as it was committed")


def test_a_second_run_on_another_processor_is_told_and_breaks_nothing(project: Path) -> None:
    """Other weights from the same inputs; the committed figures differ from the local ones."""
    figures = {"m1": {"mgsm": {"es": {"accuracy": 0.5, "low": 0.4, "high": 0.6}}}}
    write_json(paths.compare() / paths.METRICS, figures)
    git("add", "--all")
    git("commit", "-qm", "Figures")
    train(config.load(), "m1", weights=b"rounded otherwise")
    train(config.load(), "m2")
    relock(commit=False)
    figures["m1"]["mgsm"]["es"]["accuracy"] = 0.55
    write_json(paths.compare() / paths.METRICS, figures)
    result = verify()
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    place = next(number for number, line in enumerate(lines) if line.startswith("ok  commit"))
    assert lines[place].endswith("2 outputs have other bytes, as on another processor")
    table = [line.split(maxsplit=3) for line in lines[place + 1 : place + 3]]
    assert [(row[0], row[3]) for row in table] == [
        ("models/m1", "train@m1, from the same inputs: another processor"),
        ("models/m2", "made from models/m1"),
    ]
    assert lines[place + 3].strip() == "mgsm accuracy of m1, es: 0.5 [0.4, 0.6], here 0.55, inside"
    figures["m1"]["mgsm"]["es"]["accuracy"] = 0.7
    write_json(paths.compare() / paths.METRICS, figures)
    expect(verify(), "commit: dvc.lock is not that of commit .*: mgsm accuracy of m1, es is outside of its interval")


def test_stages_of_another_pipeline_are_named_and_break_nothing(project: Path) -> None:
    """dvc.lock keeps stages that are no longer in dvc.yaml, as after a profile with fewer iterations."""
    more = {"train@m9": {"cmd": "lidr train m9", "outs": [{"path": "models/m9", "hash": "md5", "md5": "0" * 32}]}}
    document = YAML(typ="safe", pure=True).load(paths.LOCK.read_text("utf-8"))
    paths.LOCK.write_text(json.dumps(document | {"stages": document["stages"] | more}), "utf-8")
    git("commit", "-qam", "Fewer iterations")
    result = verify()
    assert result.exit_code == 0, result.output
    assert "with the same commands; not looked at, of another pipeline: train@m9\n" in result.output


def test_a_project_in_a_folder_of_its_git_repository(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a lock of another processor, for which the stages of HEAD are read too."""
    folder = tmp_path / "repository" / "sub"
    shutil.copytree(whole, folder, ignore=shutil.ignore_patterns(".git"))
    monkeypatch.chdir(folder)
    git("init", "-q", "-b", "main", "..")
    relock()
    assert verify().exit_code == 0
    train(config.load(), "m1", weights=b"rounded otherwise")
    train(config.load(), "m2")
    relock(commit=False)
    result = verify()
    assert result.exit_code == 0, result.output
    assert "2 outputs have other bytes, as on another processor\n" in result.output
    change("params.yaml", "filters: [identical, repeated]", "filters: [identical]")
    relock(commit=False)
    expect(verify(), "commit: sub/params.yaml: not as it was committed")


def expect(result: Result, message: str) -> None:
    assert result.exit_code == 1, result.output
    assert re.search(f"^Error: {message}", result.output, re.MULTILINE), result.output
    assert "Traceback" not in result.output
