"""Scores of samples: equal to those of plain transformers, written in shards, empty if no rule compares them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from factories import edited

from lidr import config, paths
from lidr.audit import page
from lidr.audit import stage as audit
from lidr.audit.provenance import state
from lidr.audit.provenance.show import show
from lidr.engines.transformers import TransformersEngine
from lidr.errors import InputError
from lidr.generation import generate, score, translate
from lidr.models import base, policy
from lidr.pairs import stage as pairs
from lidr.prompts import stage as prompts
from lidr.records import FinishReason, Prompt
from lidr.records.jsonl import read_by_key, read_samples, read_scores
from lidr.records.prompt_templates import under_dominant

LANGUAGES = ("en", "es", "de")
IMPLICIT = (
    ("languages: [es, de, fr, ru]", "languages: [es, de]"),
    ("  rule: imbalance", "  rule: implicit"),
    ("  temperature: 0.0 ", "  samples: 4\n  temperature: 0.9 "),
    ("  revision: null", "  reference: lab"),
    ("  per_iteration: 500", "  per_iteration: 6"),
    ("  rows_per_shard: 2500", "  rows_per_shard: 20"),
    ("  processes: auto", "  processes: null"),
)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[config.Settings]:
    """The lab with the rule `implicit`, up to the samples of m1."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("implicit"))
        paths.PARAMS.write_text(edited(*IMPLICIT), "utf-8")
        settings = config.load()
        base.run(settings)
        prompts.run(settings, "m1")
        generate.run(settings, "m1")
        yield settings


@pytest.fixture
def scored(project: config.Settings) -> config.Settings:
    """With the scores, which each test may write anew."""
    score.run(project, "m1")
    return project


def written() -> dict[str, bytes]:
    return {path.stem: path.read_bytes() for path in paths.scores("m1").iterdir()}


@pytest.mark.usefixtures("project")
def test_a_prompt_has_its_samples_one_after_the_other() -> None:
    for lang in LANGUAGES:
        lines = paths.response_file("m1", lang).read_text("utf-8").splitlines()
        assert [msgspec.json.decode(line).get("sample", 0) for line in lines] == [0, 1, 2, 3] * 6
        assert '"sample"' not in lines[0]
    spanish = read_samples(paths.response_file("m1", "es")).values()
    assert any(len({row.text for row in rows}) > 1 for rows in spanish)


def test_scores_are_those_of_plain_transformers(scored: config.Settings) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained("models/m0")
    folders = (Path("models/m0"), score.reference(scored, policy.resolve("m0")).base)
    models = [AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval() for folder in folders]
    asked = read_by_key(paths.prompt_file("m1", "en"), Prompt)
    names = {"en": "English", "es": "Spanish", "de": "German"}

    def alone(model: Any, prompt: str, answer: str) -> float:
        conversation = [{"role": "user", "content": prompt}]
        text = tokenizer.apply_chat_template(conversation, tokenize=False, add_generation_prompt=True)
        before, after = (tokenizer(part, add_special_tokens=False)["input_ids"] for part in (text, answer + "<|end|>"))
        with torch.inference_mode():
            log_probs = model(torch.tensor([before + after])).logits[0].log_softmax(-1)
        return sum(float(log_probs[len(before) + k - 1, token]) for k, token in enumerate(after))

    count = 0
    for lang in LANGUAGES:
        answers = read_samples(paths.response_file("m1", lang))
        for name, rows in read_scores(paths.score_file("m1", lang)).items():
            for row in rows:
                request = asked[name].text
                if lang != "en":
                    request = f"Please give your answer in {names[lang]}.\n\n{request}"
                expected = [alone(model, request, answers[name][row.sample].text) for model in models]
                assert [row.policy, row.reference] == pytest.approx(expected, abs=1e-4)
                count += 1
    whole = [
        row
        for lang in LANGUAGES
        for rows in read_samples(paths.response_file("m1", lang)).values()
        for row in rows
        if row.finish_reason is FinishReason.STOP and row.text.strip()
    ]
    assert count == len(whole) > 40


def test_a_stage_that_was_killed_goes_on(scored: config.Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    before = written()
    shutil.rmtree(paths.shards("score", "m1"))
    work, calls = TransformersEngine.log_probabilities, []

    def killed(self: TransformersEngine, rows: Any, progress: Any) -> Any:
        calls.append(len(rows))
        if len(calls) == 3:
            raise RuntimeError("killed")
        return work(self, rows, progress)

    monkeypatch.setattr(TransformersEngine, "log_probabilities", killed)
    with pytest.raises(RuntimeError, match="killed"):
        score.run(scored, "m1")
    assert written() == before
    score.run(scored, "m1")
    shards = -(-sum(content.count(b"\n") for content in before.values()) // 20)
    assert len(calls) == 2 * shards + 1
    assert written() == before
    score.run(scored, "m1")
    assert len(calls) == 2 * shards + 1, "another run asks nothing again"


def test_what_does_not_fit_the_context_has_no_score(scored: config.Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(paths.shards("score", "m1"))
    monkeypatch.setattr(policy, "context_length", lambda *_: 60)
    found = score.run(scored, "m1")
    rows = [row for lang in LANGUAGES for rows in read_scores(paths.score_file("m1", lang)).values() for row in rows]
    assert found is not None
    assert 0 < found.unscored < found.rows == len(rows)
    assert sum(row.policy is None and row.reference is None for row in rows) == found.unscored


def test_a_reference_with_another_tokenizer_is_refused(
    scored: config.Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "sft"
    shutil.copytree("models/m0", folder, ignore=shutil.ignore_patterns(paths.RECORD))
    other = msgspec.structs.replace(scored, base=msgspec.structs.replace(scored.base, reference=str(folder)))
    monkeypatch.setattr(score, "_log_probabilities", lambda _, model, rows, shards: [0.0] * len(rows))
    assert score.run(other, "m1") is not None
    tokenizer = msgspec.json.decode((folder / "tokenizer.json").read_bytes())
    vocabulary = tokenizer["model"]["vocab"]
    vocabulary["."], vocabulary[","] = vocabulary[","], vocabulary["."]
    (folder / "tokenizer.json").write_bytes(msgspec.json.encode(tokenizer))
    with pytest.raises(InputError, match=r"the token 16 is '\.' here and ',' in m0; a reference with the same tok"):
        score.run(other, "m1")


def test_pairs_are_the_best_against_the_worst_and_the_audit_shows_all_samples(
    scored: config.Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert translate.run(scored, "m1").keys() == {("en", "es"), ("en", "de"), ("es", "en"), ("de", "en")}
    assert all(not file.read_bytes() for file in paths.translations("m1").glob("*.jsonl"))
    counts = pairs.run(scored, "m1")
    assert (counts.pairs + counts.drops.total(), counts.directions) == (18, 3)
    assert counts.pairs > 4
    assert counts.drops.keys() == {"identical"}
    report = audit.measure(scored, "m1", None, {})
    assert report.figures["counts"]["by_rule"] == {"implicit": counts.pairs}
    assert report.facts.num_rows == 18
    # Nothing is translated, so no table counts translations.
    assert report.figures["counts"]["translations"] == report.figures["fidelity"] == report.figures["round_trip"] == {}
    text = page.markdown(report)
    assert "## Answers\n" in text and "→" not in text and "## Translation fidelity" not in text

    monkeypatch.setattr(state, "load", dict)
    first = next(line for line in (paths.pairs("m1") / paths.PAIRS).read_text("utf-8").splitlines() if ":es:es" in line)
    pair = msgspec.json.decode(first)
    said = show(scored, pair["id"]).splitlines()
    rows = read_scores(paths.score_file("m1", "es"))[pair["prompt_id"]]
    for row in rows:
        found = [line for line in said if line.startswith(f"  sample {row.sample}: reward {row.reward:.3f} = ")]
        assert len(found) == 1
    assert sum(line.endswith(", chosen") for line in said) == 1
    assert sum(line.endswith(", rejected") for line in said) == 1


def test_a_rule_that_compares_no_scores_has_empty_files_at_once(
    two_languages: config.Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert score.run(two_languages, "m1") is None
    assert written() == dict.fromkeys(LANGUAGES, b"")


def test_the_reference_of_a_later_iteration(project: config.Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    resolved = policy.resolve("m0")
    later = msgspec.structs.replace(project, score=config.Scoring(reference="previous"))
    m1 = policy.Policy("m1", resolved.base, Path("models/m1"), False, "f" * 64)
    assert score.reference(project, m1).name == "lab"
    assert score.reference(later, m1).name == "m0"
    assert score.reference(later, resolved).name == "lab"
    nowhere = msgspec.structs.replace(project.base, reference="data/sources/none")
    with pytest.raises(InputError, match=r"^data/sources/none: no model here .*`base.reference`"):
        score.reference(msgspec.structs.replace(project, base=nowhere), resolved)


def test_the_request_for_a_language() -> None:
    assert under_dominant("v1", "Ask.", "English", "English") == "Ask."
    assert under_dominant("v1", "Ask.", "English", "Thai") == "Please give your answer in Thai.\n\nAsk."
    worded = "Think step by step and answer in English.\n\nAsk."
    assert under_dominant("v1", worded, "English", "Thai", "v1") == "Think step by step and answer in Thai.\n\nAsk."


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ([("  reference: lab", "  revision: null")], "base.reference: the model that m0 is scored against is expected"),
        (
            [
                (
                    "  name: transformers",
                    '  name: openai\n  endpoint: "http://127.0.0.1:1/v1"\n  models: {m0: m0, m1: m1, m2: m2}',
                ),
                *(("  " + line, "") for line in ("dtype: float32", "tokens_per_batch: 16384", "processes: null")),
            ],
            "engine.name: 'implicit' scores answers, and 'openai' gives no log-probabilities of given texts",
        ),
        ([("  reference: lab", "  reference: elsewhere")], "base.reference: 'elsewhere' lies outside of data/sources"),
    ],
)
def test_params_are_checked(root: Path, changes: list[tuple[str, str]], message: str) -> None:
    (root / "params.yaml").write_text(edited(*IMPLICIT, *changes), "utf-8")
    with pytest.raises(InputError) as caught:
        config.load(root / "params.yaml")
    assert message in str(caught.value)
