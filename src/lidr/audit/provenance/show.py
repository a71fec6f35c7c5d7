"""The full history of one pair or drop, from the prompt's source to the runs that trained on it.

    $ lidr audit show lab-0:es:en
    pair lab-0:es:en of m1, by the rule translated_dominant
    prompt in es: lab/number, row 0 · data/prompts/m1/es.jsonl:1, sha256 8c1f...
      ¿Qué número es mayor, 34 o 61?
    chosen: translation en → es, ended by stop · data/m1/translations/en-es.jsonl:1, sha256 ...
      ...

templates/history.txt has the words; here is where its values come from. Texts of models are shown with their control
characters escaped: a terminal must not act on them.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable, Iterator
from functools import partial
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
from lidr.pages import render
from lidr.records import Drop, Pair, Prompt, Response, Score, Translation, response_name
from lidr.records.draw import is_held_out
from lidr.records.jsonl import read_by_key, read_json, read_rows
from lidr.tracking.hashes import dvc_hash

_OF_DATA, _OF_ITERATION = ("prompts", "generate", "score", "translate"), ("pairs", "train")
# How the texts were made: (stage, what it makes, blocks of its parameters).
_PARAMS = (("generate", "answers", ("engine", "generate", "seed")), ("translate", "translations", ("translate",)))


def show(settings: config.Settings, name: str, of: str | None = None) -> str:
    """Its history; for a prompt's id a list of its pairs and drops. Raises InputError for an unknown id.

    It is looked for in all iterations, or in the one named by `of`: those that share data have the same ids.
    """
    if of is not None:
        settings.iteration(of)
    among = list(settings.iterations) if of is None else [of]
    if dropped := _dropped(settings, name, among):
        return printable(dropped)
    iteration, example = _find(settings, name, among)
    row = next((row for row in example.outcomes if row.id == name), None)
    found = {} if row is None else _history(settings, iteration, example, row)
    return printable(
        render(
            "history.txt",
            filters={"indented": _indented},
            iteration=iteration,
            example=example,
            row=row,
            place=partial(_place, iteration, settings.iteration(iteration).data),
            **found,
        )
    )


def printable(text: str) -> str:
    """The text with every control and formatting character but the line end escaped, as U+202E for instance."""
    return "".join(
        letter if letter == "\n" or unicodedata.category(letter) not in ("Cc", "Cf", "Cs") else f"<U+{ord(letter):04X}>"
        for letter in text
    )


def _dropped(settings: config.Settings, name: str, among: Iterable[str]) -> str | None:
    """Why a prompt was never asked: the stage `prompts` dropped it. None where that is not so."""
    for iteration in among:
        file = paths.prompts(settings.iteration(iteration).data) / paths.DROPS
        rows = read_rows(file, Drop, may_be_empty=True) if file.exists() else ()
        if drops := [row for row in rows if row.prompt_id == name]:
            reasons = (f"  in {drop.lang}: {drop.reason}, {drop.detail}\n" for drop in drops)
            return f"prompt {name} of {iteration}: dropped, it was never asked · {file}\n{''.join(reasons)}"
    return None


def _find(settings: config.Settings, name: str, among: Iterable[str]) -> tuple[str, Example]:
    """The first iteration that has the id, and the example that it belongs to."""
    for iteration in among:
        if not (paths.pairs(iteration) / paths.PAIRS).exists():
            continue
        examples = Examples(settings, iteration)
        for prompt_id in (name, name.rsplit(":", 2)[0]):
            if prompt_id not in examples:
                continue
            example = examples[prompt_id]
            if name in (prompt_id, *(row.id for row in example.outcomes)):
                return iteration, example
    raise InputError(
        f"no prompt, pair or drop {printable(name)!r}; ids are a prompt's, such as 'lab-0', or with two languages, "
        f"such as 'lab-0:{settings.languages[0]}:{settings.dominant}'"
    )


def _history(settings: config.Settings, iteration: str, example: Example, row: Pair | Drop) -> dict[str, Any]:
    """The values of history.txt: of the model and how it was run as recorded, not as params.yaml says now."""
    locked = state.load()
    data = settings.iteration(iteration).data
    names = [*(f"{stage}@{data}" for stage in _OF_DATA), *(f"{stage}@{iteration}" for stage in _OF_ITERATION)]
    stages = [(name, locked[name]) for name in names if name in locked]
    params = {stage: locked[name].params for stage, *_ in _PARAMS if (name := f"{stage}@{data}") in locked}
    translator = paths.translations(data) / RECORD
    return {
        "sides": [(side, example.rows.get(getattr(row, f"{side}_from"))) for side in SIDES],
        "samples": list(_samples(example, row)),
        "model": policy.resolve(settings.iteration(iteration).previous),
        "translator": read_json(translator, TranslatorRecord) if translator.exists() else None,
        "params": [
            (what, block, params[stage][block])
            for stage, what, blocks in (*_PARAMS, ("generate", "both", (f"data.{data}",)))
            for block in blocks
            if block in params.get(stage, {})
        ],
        "training": _training(settings, row, iteration),
        "outputs": [(name, path, _recorded(path, md5)) for name, stage in stages for path, md5 in stage.outs.items()],
        "commit": _commit(),
        "runs": _runs(iteration, locked),
    }


def _recorded(path: str, md5: str | None) -> str:
    """The hash in dvc.lock, and that it is of other files than those that are here, as of a stage that ran by hand."""
    is_here = Path(path).exists() and dvc_hash(Path(path)) == md5
    return f"{md5}" if is_here else f"{md5}, which is not what is here"


def _samples(example: Example, row: Pair | Drop) -> Iterator[tuple[Response, Score | None, str]]:
    """All samples in the pair's language with their scores, where the rule compares them, and which side each is."""
    scores = {score.sample: score for score in example.scores.get(row.lang, ())}
    sides = {row.chosen_from: "chosen", row.rejected_from: "rejected"}
    for answer in example.samples[row.lang] if example.scores else ():
        name = response_name(answer.id, answer.lang, answer.sample)
        yield answer, scores.get(answer.sample), sides.get(name, "")


def _training(settings: config.Settings, row: Pair | Drop, iteration: str) -> str:
    record_file = paths.model(iteration) / paths.RECORD
    if not record_file.exists():
        return f"{iteration} is not trained yet"
    record = read_json(record_file, AdapterRecord)
    left_out = read_by_key(paths.model(iteration) / paths.DROPS, Drop, may_be_empty=True).get(row.id)
    if isinstance(row, Drop):
        return f"not in the pairs of {iteration}"
    if left_out is not None:
        return f"left out of {iteration} ({left_out.reason}: {left_out.detail})"
    if record.pairs != policy.file_hash(paths.pairs(iteration) / paths.PAIRS):
        return f"{iteration} was trained on other pairs (sha256 {record.pairs}); run `lidr audit verify`"
    train = settings.of_iteration(iteration).train
    if record.eval_rows and is_held_out(row.prompt_id, train.eval_share):
        return f"held out of {iteration}: evaluated, never trained on · {record_file}"
    passes = train.dpo["num_train_epochs"]
    epochs = "1 epoch" if passes == 1 else f"{passes:g} epochs"
    return f"one of {record.rows:,} pairs of {iteration}, {epochs} · {record_file}"


def _commit() -> str:
    try:
        return f"{git('log', '-1', '--format=%H, %s', '--', str(paths.LOCK))} (the last commit of {paths.LOCK})"
    except LidrError as error:
        return str(error)


def _runs(iteration: str, locked: dict[str, state.Stage]) -> list[tracking.Run] | str | None:
    """The MLflow runs that trained on these very pairs, by their hash; why they are not known, as text."""
    path, stage = paths.pairs(iteration).as_posix(), locked.get(f"pairs@{iteration}")
    if stage is None or stage.outs[path] is None:
        return None
    try:
        return tracking.runs_tagged({"lidr.stage": "train", f"dvc.in.{path}": str(stage.outs[path])})
    except LidrError as error:
        return str(error)


def _place(iteration: str, data: str, row: Prompt | Response | Translation | Pair | Drop) -> str:
    """File, line and hash of a row."""
    match row:
        case Prompt():
            path = paths.prompt_file(data, row.lang)
        case Response():
            path = paths.response_file(data, row.lang)
        case Translation():
            path = paths.translation_file(data, row.source_lang, row.target_lang)
        case _:
            path = paths.pairs(iteration) / (paths.PAIRS if isinstance(row, Pair) else paths.DROPS)
    decode = msgspec.json.Decoder(type(row)).decode
    with path.open("rb") as file:
        line, text = next((line, text) for line, text in enumerate(file, start=1) if decode(text) == row)
    return f"{path}:{line}, sha256 {hashlib.sha256(text).hexdigest()}"


def _indented(text: str, width: int) -> str:
    start = " " * width
    return start + text.replace("\n", f"\n{start}")
