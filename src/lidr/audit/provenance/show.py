"""The full history of one pair or drop, from the prompt's source to the runs that trained on it.

    $ lidr audit show lab-0:es:en
    pair lab-0:es:en of m1, by the rule translated_dominant
    prompt in es: lab/number, row 0 · data/prompts/m1/es.jsonl:1, sha256 8c1f...
      ¿Qué número es mayor, 34 o 61?
    chosen: translation en → es, ended by stop · data/m1/translations/en-es.jsonl:1, sha256 ...
      ...

Texts of models are shown with their control characters escaped: a terminal must not act on them.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from lidr import config, paths, tracking
from lidr.audit.examples import Example, Examples
from lidr.audit.facts import SIDES
from lidr.audit.provenance import state
from lidr.errors import InputError, LidrError
from lidr.generation.translator import RECORD, TranslatorRecord
from lidr.git import git
from lidr.models import policy
from lidr.models.policy import AdapterRecord
from lidr.records import Drop, Pair, Prompt, Response, Translation, pair_id, response_name
from lidr.records.jsonl import read_by_key, read_json

_STAGES = ("prompts", "generate", "score", "translate", "pairs", "train")


def show(settings: config.Settings, name: str) -> Iterator[str]:
    """Its history in lines; for a prompt's id a list of its pairs and drops; raises InputError for an unknown id."""
    iteration, example = _find(settings, name)
    if name == example.id:
        yield from _list(example, iteration)
        return
    row = next(row for row in _rows(example) if row_id(row) == name)
    yield from _heading(row, iteration)
    yield from _prompts(example, row, iteration)
    yield from _sides(example, (row.chosen_from, row.rejected_from), iteration)
    yield from _scores(example, row)
    locked = state.load()
    yield from _model(settings, iteration, locked)
    yield from _training(settings, row, iteration)
    yield from _record(iteration, locked)
    yield from _runs(iteration, locked)


def _rows(example: Example) -> list[Pair | Drop]:
    return [*example.pairs, *example.drops]


def row_id(row: Pair | Drop) -> str:
    """The id of a pair; of a drop, the id of the pair that it would have been."""
    return row.id if isinstance(row, Pair) else pair_id(row.prompt_id, row.lang, row.other_lang)


def printable(text: str) -> str:
    """The text with every control and formatting character but the line end escaped, as U+202E for instance."""
    return "".join(
        letter if letter == "\n" or unicodedata.category(letter) not in ("Cc", "Cf", "Cs") else f"<U+{ord(letter):04X}>"
        for letter in text
    )


def _find(settings: config.Settings, name: str) -> tuple[str, Example]:
    """The iteration and the example that an id belongs to."""
    for iteration in settings.iterations:
        if not (paths.pairs(iteration) / paths.PAIRS).exists():
            continue
        examples = Examples(settings, iteration)
        for prompt_id in (name, name.rsplit(":", 2)[0]):
            if prompt_id in examples and name in (prompt_id, *map(row_id, _rows(examples[prompt_id]))):
                return iteration, examples[prompt_id]
    raise InputError(
        f"no prompt, pair or drop {printable(name)!r}; ids are a prompt's, such as 'lab-0', or with two languages, "
        f"such as 'lab-0:{settings.languages[0]}:{settings.dominant}'"
    )


def _list(example: Example, iteration: str) -> Iterator[str]:
    yield f"prompt {example.id} of {iteration}: {len(example.pairs)} pairs and {len(example.drops)} drops"
    yield from (f"  pair {pair.id}: {pair.rule}" for pair in example.pairs)
    yield from (f"  drop {row_id(drop)}: {drop.reason}, {drop.detail}" for drop in example.drops)


def _heading(row: Pair | Drop, iteration: str) -> Iterator[str]:
    if isinstance(row, Pair):
        place = _place(paths.pairs(iteration) / paths.PAIRS, {"id": row.id})
        yield f"pair {row.id} of {iteration}, by the rule {row.rule} · {place}"
    else:
        key = {"prompt_id": row.prompt_id, "lang": row.lang, "other_lang": row.other_lang}
        place = _place(paths.pairs(iteration) / paths.DROPS, key)
        yield f"drop {row_id(row)} of {iteration}: {row.reason}, {row.detail} · {place}"


def _prompts(example: Example, row: Pair | Drop, iteration: str) -> Iterator[str]:
    for lang in dict.fromkeys((row.lang, row.other_lang)):
        prompt = example.prompts[lang]
        place = _place(paths.prompt_file(iteration, lang), {"id": prompt.id})
        yield f"prompt in {lang}: {prompt.source.name}, row {prompt.source.row} · {place}"
        yield from _text(prompt.text)
        yield from _gold(prompt)


def _gold(prompt: Prompt) -> Iterator[str]:
    if isinstance(prompt.answer, str):
        yield f"  gold answer: {printable(prompt.answer)}"


def _sides(example: Example, made_from: tuple[str, str], iteration: str) -> Iterator[str]:
    for side, name in zip(SIDES, made_from, strict=True):
        row = example.rows.get(name)
        if row is None:
            yield f"{side}: there is no such answer or translation"
        elif isinstance(row, Response):
            yield f"{side}: {_answer(row, iteration)}"
            yield from _text(row.text)
        else:
            yield from _translation(side, row, example, iteration)


def _scores(example: Example, row: Pair | Drop) -> Iterator[str]:
    """All samples in the pair's language with their scores, where the rule compares them."""
    scores = {score.sample: score for score in example.scores.get(row.lang, ())}
    if not example.scores:
        return
    yield f"all answers in {row.lang}, reward = log-probability under the model - under its reference:"
    sides = {row.chosen_from: ", chosen", row.rejected_from: ", rejected"}
    for answer in example.samples[row.lang]:
        name = response_name(answer.id, answer.lang, answer.sample)
        score = scores.get(answer.sample)
        found = "no score"
        if score is not None and score.reward is not None:
            found = f"reward {score.reward:.3f} = {score.policy:.3f} - {score.reference:.3f}"
        size = f"{len(answer.text):,} characters, ended by {answer.finish_reason.value}"
        yield f"  sample {answer.sample}: {found}, {size}{sides.get(name, '')}"
        yield from _text(answer.text, "    ")


def _answer(row: Response, iteration: str) -> str:
    key: dict[str, str | int] = {"id": row.id}
    if row.sample:
        key |= {"lang": row.lang, "sample": row.sample}
    place = _place(paths.response_file(iteration, row.lang), key)
    return f"own answer in {row.lang}, {row.completion_tokens:,} tokens, ended by {row.finish_reason.value} · {place}"


def _translation(side: str, row: Translation, example: Example, iteration: str) -> Iterator[str]:
    place = _place(paths.translation_file(iteration, row.source_lang, row.target_lang), {"id": row.id})
    accepted = f", accepted: {', '.join(row.tolerated)}" if row.tolerated else ""
    direction = f"{row.source_lang} → {row.target_lang}"
    yield f"{side}: translation {direction}, ended by {row.finish_reason.value}{accepted} · {place}"
    yield from _text("(no translation could be read)" if row.text is None else row.text)
    yield "  as it was written:"
    yield from _text(row.raw, "    ")
    source = example.responses.get(row.source_lang)
    if source is not None:
        yield f"  translated from: {_answer(source, iteration)}"
        yield from _text(source.text, "    ")


def _model(settings: config.Settings, iteration: str, locked: dict[str, state.Stage]) -> Iterator[str]:
    """The model that wrote the texts, and how it was run: as recorded, not as params.yaml says now."""
    model = policy.resolve(settings.iteration(iteration).previous)
    adapter = f" + {model.adapter}" if model.adapter else ""
    yield f"model: {model.name} ({model.base}{adapter}), fingerprint {model.fingerprint}"
    record = paths.translations(iteration) / RECORD
    if record.exists():
        by = read_json(record, TranslatorRecord)
        assert isinstance(by, TranslatorRecord)
        yield f"  translations by {by.model}, fingerprint {by.fingerprint}"
    for stage, what in (("generate", "answers"), ("translate", "translations")):
        params = locked[f"{stage}@{iteration}"].params if f"{stage}@{iteration}" in locked else {}
        for block in ("engine", stage, "seed"):
            if block in params and (block == stage or stage == "generate"):
                yield f"  {what}, {block}: {_values(params[block])}"


def _values(block: Any) -> str:
    return ", ".join(f"{name} {value}" for name, value in block.items()) if isinstance(block, dict) else str(block)


def _training(settings: config.Settings, row: Pair | Drop, iteration: str) -> Iterator[str]:
    record_file = paths.model(iteration) / paths.RECORD
    if not record_file.exists():
        yield f"training: {iteration} is not trained yet"
        return
    record = read_json(record_file, AdapterRecord)
    assert isinstance(record, AdapterRecord)
    left_out = read_by_key(paths.model(iteration) / paths.DROPS, Drop, row_id, may_be_empty=True).get(row_id(row))
    if isinstance(row, Drop):
        yield f"training: not in the pairs of {iteration}"
    elif left_out is not None:
        yield f"training: left out of {iteration} ({left_out.reason}: {left_out.detail})"
    elif record.pairs != policy.file_hash(paths.pairs(iteration) / paths.PAIRS):
        yield f"training: {iteration} was trained on other pairs (sha256 {record.pairs}); run `lidr audit verify`"
    else:
        passes = settings.train_for(iteration).dpo["num_train_epochs"]
        epochs = "1 epoch" if passes == 1 else f"{passes:g} epochs"
        yield f"training: one of {record.rows:,} pairs of {iteration}, {epochs} · {record_file}"


def _record(iteration: str, locked: dict[str, state.Stage]) -> Iterator[str]:
    yield f"{paths.LOCK}:"
    for stage in _STAGES:
        if f"{stage}@{iteration}" in locked:
            for path, md5 in locked[f"{stage}@{iteration}"].outs.items():
                yield f"  {stage}@{iteration} → {path} {md5}"
    try:
        yield f"git: {git('log', '-1', '--format=%H, %s', '--', str(paths.LOCK))} (the last commit of {paths.LOCK})"
    except LidrError as error:
        yield f"git: {error}"


def _runs(iteration: str, locked: dict[str, state.Stage]) -> Iterator[str]:
    """The MLflow runs that trained on these very pairs, by their hash."""
    path = paths.pairs(iteration).as_posix()
    stage = locked.get(f"pairs@{iteration}")
    md5 = stage.outs[path] if stage else None
    if md5 is None:
        return
    try:
        runs = tracking.runs_tagged({"lidr.stage": "train", f"dvc.in.{path}": md5})
    except LidrError as error:
        yield f"MLflow: {error}"
        return
    yield f"MLflow: {len(runs)} runs trained on these pairs"
    yield from (f"  {run.id} {printable(run.name)}, {run.status}" for run in runs)


def _place(path: Path, key: Mapping[str, str | int]) -> str:
    """File, line and hash of the row that begins with these keys, as all rows of lidr do."""
    start = msgspec.json.encode(key)[:-1] + b","
    with path.open("rb") as file:
        for line, row in enumerate(file, start=1):
            if row.startswith(start):
                return f"{path}:{line}, sha256 {hashlib.sha256(row).hexdigest()}"
    raise InputError(f"no row of {key} here", path)


def _text(text: str, indent: str = "  ") -> Iterator[str]:
    yield from (f"{indent}{line}" for line in printable(text).split("\n"))
