"""The history of a pair, of a drop and of a prompt, and the dataset with its card."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import proven_project
import pytest
from click.testing import CliRunner
from factories import own_prompts
from proven_project import git

from lidr import config, paths
from lidr.audit.provenance.show import printable
from lidr.audit.provenance.trace import recorded_in
from lidr.cli import main
from lidr.generation.translator import RECORD, TranslatorRecord
from lidr.models.policy import file_hash, resolve
from lidr.records import Drop, Pair, Response, Translation
from lidr.records.draw import is_held_out
from lidr.records.jsonl import read_by_key, read_rows, write_json, write_rows
from lidr.tracking.hashes import dvc_hash

FOLDER = Path("data/m2/pairs")


@pytest.fixture(scope="module", autouse=True)
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[config.Settings]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("proven"))
        patch.setenv("LIDR_TRACKING", "off")
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        yield proven_project.build(prompts=30)


def lidr(*arguments: str) -> str:
    result = CliRunner().invoke(main, ["audit", *arguments])
    assert result.exit_code == 0, result.output
    return result.output


def m1_only(pair: Pair) -> bool:
    return pair.lang == "es" and pair.rule == "translated_dominant"


def test_a_pair_says_where_every_text_comes_from(project: config.Settings) -> None:
    pair = next(filter(m1_only, read_rows(Path("data/m1/pairs/pairs.jsonl"), Pair)))
    answer = read_by_key(Path("data/m1/responses/en.jsonl"), Response)[pair.prompt_id]
    translation = read_by_key(Path("data/m1/translations/en-es.jsonl"), Translation)[pair.prompt_id]
    lines = (Path("data/m1/translations/en-es.jsonl")).read_bytes().splitlines(keepends=True)
    number = next(n for n, line in enumerate(lines, 1) if f'"id":"{pair.prompt_id}",'.encode() in line)

    said = lidr("show", pair.id)

    assert f"pair {pair.id} of m1, by the rule translated_dominant · data/m1/pairs/pairs.jsonl:" in said
    place = f"data/m1/translations/en-es.jsonl:{number}, sha256 {hashlib.sha256(lines[number - 1]).hexdigest()}"
    assert f"chosen: translation en → es, ended by stop · {place}" in said
    assert f"    {translation.raw}\n" in said
    assert f"translated from: own answer in en, {answer.completion_tokens} tokens, ended by stop" in said
    assert f"model: m0 (models/m0), fingerprint {resolve('m0').fingerprint}" in said
    assert f"answers, generate: max_new_tokens {project.generate.max_new_tokens}, temperature 0.0" in said
    assert "translations, translate: prompt_template v1" in said
    rows = len(Path("data/m1/pairs/pairs.jsonl").read_bytes().splitlines())
    assert project.train.dpo["num_train_epochs"] == 1
    assert f"training: one of {rows} pairs of m1, 1 epoch · models/m1/lidr.json" in said
    assert f"pairs@m1 → data/m1/pairs {dvc_hash(Path('data/m1/pairs'))}" in said
    assert "git: " in said
    assert "State (the last commit of dvc.lock)" in said
    assert "MLflow: no MLflow store at sqlite:///" in said


def test_a_pair_of_a_later_iteration_names_the_model_that_wrote_it() -> None:
    said = lidr("show", next(iter(read_rows(FOLDER / paths.PAIRS, Pair))).id)
    assert f"model: m1 (models/m0 + models/m1), fingerprint {resolve('m1').fingerprint}" in said


def test_a_held_out_pair_is_not_one_that_was_trained_on(project: config.Settings) -> None:
    rows = list(read_rows(Path("data/m1/pairs/pairs.jsonl"), Pair))
    held_out = [pair for pair in rows if is_held_out(pair.prompt_id, project.train.eval_share)]
    assert 0 < len(held_out) < len(rows)
    trained = next(pair for pair in rows if pair not in held_out)
    proven_project.train(project, "m1", rows=len(rows) - len(held_out), eval_rows=len(held_out))
    try:
        said = lidr("show", held_out[0].id)
        assert "training: held out of m1: evaluated, never trained on · models/m1/lidr.json\n" in said
        assert f"training: one of {len(rows) - len(held_out)} pairs of m1, 1 epoch" in lidr("show", trained.id)
    finally:
        proven_project.train(project, "m1")
    assert "training: one of " in lidr("show", held_out[0].id)  # too few pairs to hold any out


def test_a_drop_says_why() -> None:
    drop = next(iter(read_rows(Path("data/m1/pairs/drops.jsonl"), Drop)))
    said = lidr("show", f"{drop.prompt_id}:{drop.lang}:{drop.other_lang}")
    assert f"of m1: {drop.reason}, {drop.detail} · data/m1/pairs/drops.jsonl:1, sha256 " in said
    assert "training: not in the pairs of m1" in said


def test_a_prompt_lists_its_directions() -> None:
    said = lidr("show", "lab-103").splitlines()
    assert said[0].startswith("prompt lab-103 of m1: ")
    assert {line.split()[1].rstrip(":") for line in said[1:]} == {"lab-103:es:en", "lab-103:en:es"}


def test_a_prompt_that_was_never_asked_says_why() -> None:
    file = paths.prompts("m2") / paths.DROPS
    why = {"stage": "prompts", "reason": "missing", "detail": "no prompt with this id"}
    write_rows(file, [Drop(prompt_id="lab-7", lang="es", other_lang="en", **why)])
    try:
        expected = "prompt lab-7 of m2: dropped, it was never asked · data/prompts/m2/drops.jsonl\n"
        assert lidr("show", "lab-7") == f"{expected}  in es: missing, no prompt with this id\n"
    finally:
        file.unlink()


def test_an_unknown_id_is_one_line() -> None:
    result = CliRunner().invoke(main, ["audit", "show", "lab-\x1b[31m"])
    assert result.exit_code == 1
    assert result.output.startswith("Error: no prompt, pair or drop 'lab-<U+001B>[31m'; ids are")


def test_texts_cannot_act_on_the_terminal() -> None:
    assert printable("a\x1b[2J\u202eb\r\nc\tñ") == "a<U+001B>[2J<U+202E>b<U+000D>\nc<U+0009>ñ"


def test_a_hash_is_found_in_the_commit_that_recorded_it() -> None:
    first = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    Path("note").touch()
    git("add", "note")
    git("commit", "-qm", "Later")
    md5 = dvc_hash(Path("data/m1/pairs"))
    assert recorded_in("data/m1/pairs", md5) == first
    assert recorded_in("data/m2/pairs", md5) is None
    assert recorded_in("data/m1/pairs", "0" * 32) is None


def test_the_card_is_a_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    folder = tmp_path / "hub"
    said = lidr("card", "--to", str(folder))
    rows = list(read_rows(FOLDER / paths.PAIRS, Pair))
    assert said.endswith(f"share it with: hf upload NAME {folder} --repo-type dataset\n")

    loaded = datasets.load_dataset(str(folder), "m2", split="train", cache_dir=str(tmp_path / "cache"))
    assert loaded["id"][:] == [pair.id for pair in rows]
    assert loaded[0]["chosen"] == [{"role": "assistant", "content": rows[0].chosen[0].content}]
    drops = datasets.load_dataset(str(folder), "m1-drops", split="train", cache_dir=str(tmp_path / "cache"))
    assert drops[0]["reason"] == next(iter(read_rows(Path("data/m1/pairs/drops.jsonl"), Drop))).reason

    from huggingface_hub import DatasetCard

    card = DatasetCard.load(folder / "README.md")
    assert (card.data.license, card.data.language) == ("apache-2.0", ["en", "es"])
    assert f"| m2/pairs.jsonl | {len(rows)} | `{dvc_hash(FOLDER / paths.PAIRS)}` |" in card.text
    assert file_hash(FOLDER / paths.PAIRS) in card.text
    assert file_hash(folder / "m2" / "pairs.jsonl") == file_hash(FOLDER / paths.PAIRS)
    again = (folder / "README.md").read_bytes()
    lidr("card", "--to", str(folder))
    assert (folder / "README.md").read_bytes() == again


def readme(folder: Path) -> str:
    lidr("card", "--to", str(folder))
    return (folder / "README.md").read_text("utf-8")


def test_the_card_tells_who_answered_and_translated(tmp_path: Path) -> None:
    said = readme(tmp_path / "own")
    assert "English, its dominant language, and in Spanish. No human label and no other model took part.\n" in said
    assert "(arXiv 2410.08964), *chosen* is the answer in English, or its translation.\n" in said
    assert "- Answers: of m1 by m0, of m2 by m1. m0 is `lab`, fingerprint" in said
    assert "- Translations: of m1, m2 by the model itself.\n" in said

    record = paths.translations("m2") / RECORD
    write_json(record, TranslatorRecord(model="data/sources/translator", fingerprint="f"))
    try:
        said = readme(tmp_path / "other")
    finally:
        record.unlink()
    assert "No human label took part.\n" in said
    assert "- Translations: of m1 by the model itself, of m2 by `data/sources/translator`.\n" in said


@pytest.fixture
def change_params() -> Iterator[Callable[..., None]]:
    """Replaces texts of the module's params.yaml until the test ends."""
    params = paths.PARAMS.read_text("utf-8")

    def change(*replacements: tuple[str, str]) -> None:
        text = params
        for old, new in replacements:
            assert old in text
            text = text.replace(old, new, 1)
        paths.PARAMS.write_text(text, "utf-8")

    yield change
    paths.PARAMS.write_text(params, "utf-8")


def test_the_card_tells_the_rule_and_the_values_of_each_iteration(
    tmp_path: Path, change_params: Callable[..., None]
) -> None:
    own = "  m2: {by: m1, rule: implicit, generate: {samples: 4, temperature: 0.9}}\n"
    change_params(("  m2:\n    by: m1\n", own), ("  revision: null", "  reference: lab"))
    said = readme(tmp_path / "hub")
    assert "No human label took part.\n" in said
    assert "- Pairs of m1: by Language Imbalance Driven Rewarding (arXiv 2410.08964), " in said
    assert "- Pairs of m2: by Implicit Cross-Lingual Rewarding (arXiv 2503.04647), of several answers " in said
    assert "- Translations: of m1 by the model itself.\n" in said
    assert '"data.m2.rule": "implicit", "data.m2.generate.samples": 4' in said
    assert '"iterations.m2.previous": "m1"' in said


def test_the_card_says_where_gold_answers_filtered_the_pairs(
    tmp_path: Path, change_params: Callable[..., None]
) -> None:
    change_params(("  filters: [identical, repeated]\n", "  filters: [right]\n"))
    said = readme(tmp_path / "gold")
    assert "and in Spanish. Gold answers filtered them (`right`).\n" in said and "No human label" not in said


def test_the_card_never_replaces_other_files(tmp_path: Path) -> None:
    (tmp_path / "README.md").touch()
    (tmp_path / "mine.txt").touch()
    result = CliRunner().invoke(main, ["audit", "card", "--to", str(tmp_path)])
    assert result.exit_code == 1
    assert "this folder holds something else (mine.txt)" in result.output
    assert (tmp_path / "mine.txt").exists()


def test_a_licence_is_never_guessed(tmp_path: Path, change_params: Callable[..., None]) -> None:
    change_params(own_prompts("data/sources/mine"))
    result = CliRunner().invoke(main, ["audit", "card", "--to", str(tmp_path / "hub")])
    assert result.exit_code == 1
    assert "say the licence (--licence" in result.output
    assert not (tmp_path / "hub").exists()
    lidr("card", "--to", str(tmp_path / "hub"), "--licence", "cc-by-4.0")
    assert "license: cc-by-4.0" in (tmp_path / "hub" / "README.md").read_text("utf-8")
