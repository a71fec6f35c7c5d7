"""Fields of params.yaml that contradict each other.

params.yaml:26: iterations.m2.previous: no model 'm3': there are m0, m1, m2
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec

from lidr import paths
from lidr.config import quantization, training_keys
from lidr.config.blocks import Prompts
from lidr.config.evaluation import judge_problems
from lidr.config.explanations import explain
from lidr.config.section import GENERATOR, HUB, LAB, Place, Problem, Section, address_problems
from lidr.config.settings import Settings, flatten, iteration_number, with_values
from lidr.config.training import Train
from lidr.errors import InputError
from lidr.records.languages import locale
from lidr.records.prompt_templates import ANSWER_LANGUAGE, TRANSLATION, UNDER_DOMINANT

Problems = Iterator[Problem]


def contradictions(settings: Settings) -> Problems:
    """(where, what is wrong) for each contradiction. Later checks rely on what earlier ones refuse."""
    yield from _texts(settings)
    yield from settings.engine.problems(settings)
    yield from _sources(settings)
    yield from _prompts(settings.prompts)
    for block in settings.benchmarks.values():
        yield from block.problems(settings)
    if (judge := settings.audit.judge) is not None:
        yield from judge_problems(judge, ("audit", "judge"), ("prompts.source", settings.prompts.source), settings)
        if judge.both_orders is False:
            yield ("audit", "judge", "both_orders"), "the audit asks in both orders; null or true is expected"
    yield from _languages(settings)
    yield from _chain(settings)
    yield from chain(_translate(settings), _pairs(settings))
    # Where all data have a rule of their own, nothing is made by this one.
    if any(own.rule is None for own in settings.data.values()):
        yield from _scored(settings)
    yield from _train(settings.train)
    for name in settings.data:
        yield from _data_overrides(settings, name)
    for name in settings.iterations:
        yield from _iteration_overrides(settings, name)


def _texts(settings: Settings) -> Problems:
    """Texts that cannot be a name or a path; values of an iteration's own are checked with the block they change."""
    blocks = {name: getattr(settings, name) for name in settings.__struct_fields__}
    texts = {(name, key) for name, block in blocks.items() if isinstance(block, Section) for key in block.free_texts}
    for name, value in flatten(settings).items():
        place = tuple(name.split("."))
        if isinstance(value, str) and place[:2] not in texts and not (value.strip() and value.isprintable()):
            yield place, "text without control characters is expected"


def _sources(settings: Settings) -> Problems:
    """Where base and baseline come from. Files that a stage reads must lie where DVC sees that they change."""
    for where, written in settings.sources().items():
        path = Path(os.path.normpath(written))
        is_judge = where[-2:] == ("judge", "model")
        if not path.is_relative_to(paths.SOURCES) and not (is_judge and path == paths.model(paths.BASE)):
            yield where, f"{written!r} lies outside of {paths.SOURCES}, where DVC would miss changes"
    if settings.base.model == LAB and settings.base.revision is not None:
        yield ("base", "revision"), "the lab's base comes with the package; null is expected"
    values, engine = settings.base.quantization, settings.engine.local or settings.engine
    if values is not None and engine.name != "transformers":
        reason = f"the engine {engine.name!r} would compute with other weights than these; transformers is expected"
        yield ("base", "quantization"), reason
    elif values is not None:
        for key, reason in quantization.problems(values):
            yield ("base", "quantization", *key), reason
    baseline = settings.baseline
    if baseline.is_published:
        if not re.fullmatch(GENERATOR, baseline.model):
            yield ("baseline", "model"), "the name of a model of this file or of a generator is expected"
    elif baseline.model not in {paths.BASE, *settings.iterations}:
        yield ("baseline", "model"), f"{baseline.model!r} is no model of this file"
    elif baseline.source != (own := paths.model(baseline.model).as_posix()):
        yield ("baseline", "source"), f"{baseline.model!r} is a model of this file, whose answers come from {own!r}"


def _prompts(prompts: Prompts) -> Problems:
    fields, hub = prompts.fields, prompts.hub
    if prompts.is_on_hub and fields is None:
        yield ("prompts", "fields"), "a dataset's fields are expected: text, id and answer"
    if prompts.is_on_hub != (hub is not None):
        reason = "revision, subset and split are expected" if prompts.is_on_hub else f"null is expected without {HUB!r}"
        yield ("prompts", "hub"), reason
    if prompts.source == LAB:
        for key in ("fields", "answer_language", "translation_requests"):
            if getattr(prompts, key) is not None:
                yield ("prompts", key), "the lab's prompts are taken as they are; null is expected"
    if prompts.answer_language not in (None, *ANSWER_LANGUAGE):
        reason = f"{prompts.answer_language!r} is no version; there are {', '.join(ANSWER_LANGUAGE)}, and null"
        yield ("prompts", "answer_language"), reason
    if hub and fields and not any("{lang}" in name for name in (hub.subset or "", hub.split, fields.text)):
        reason = "'{lang}' is expected in hub.subset, hub.split or fields.text: where the languages are"
        yield ("prompts", "hub"), reason


def _languages(settings: Settings) -> Problems:
    named: dict[Place, tuple[str, ...]] = {("dominant",): (settings.dominant,), ("languages",): settings.languages}
    named |= {(name, "languages"): block.languages for name, block in settings.generative.items()}
    for where, codes in named.items():
        try:
            for code in codes:
                locale(code)
        except InputError as error:
            yield where, str(error)
        if not codes or len({code.lower() for code in codes}) != len(codes):
            yield where, "one or more languages, each once, are expected"
    if settings.dominant.lower() in (code.lower() for code in settings.languages):
        yield ("languages",), f"the dominant language {settings.dominant!r} must not stand here as well"


def _chain(settings: Settings) -> Problems:
    known = {paths.BASE, *settings.iterations}
    for name, iteration in settings.iterations.items():
        where, previous = ("iterations", name, "previous"), iteration.previous
        if name == paths.BASE:
            yield ("iterations", name), "this is the base; iterations are named m1, m2, ..."
        elif previous not in known:
            yield where, f"{previous!r} is no model of this file"
        elif iteration_number(previous) >= iteration_number(name):
            yield where, f"a model before {name!r} is expected, not {previous!r}"
        elif iteration.data not in settings.data:
            yield ("iterations", name, "data"), f"no data {iteration.data!r}: there are {', '.join(settings.data)}"
        elif (by := settings.data[iteration.data].by) != previous:
            reason = f"{iteration.data!r} is written by {by}; answers of {previous} are expected, which is trained on"
            yield ("iterations", name, "data"), reason
    used = {iteration.data for iteration in settings.iterations.values()}
    yield from ((("data", name), "no iteration is trained on these") for name in settings.data if name not in used)
    if sorted(settings.models) != sorted(known):
        expected = ", ".join(sorted(known, key=iteration_number))
        yield ("models",), f"m0 and each iteration are expected, once each: {expected}"


def _prompt_template(block: str, version: str, known: dict[str, str]) -> Problems:
    if version not in known:
        yield (block, "prompt_template"), f"{version!r} is no version; there are {', '.join(known)}"


def _translate(settings: Settings) -> Problems:
    model, where = settings.translate.model, ("translate", "model")
    yield from _prompt_template("translate", settings.translate.prompt_template, TRANSLATION)
    if isinstance(model, str):
        if settings.engine.local is None:
            yield where, f"a folder needs an engine on this machine, not {settings.engine.name!r}"
    elif model is not None:
        yield from address_problems((*where, "endpoint"), model.endpoint)
        if model.takes == "openai" and settings.translate.repetition_penalty != 1:
            reason = "only a server that takes what vLLM's does knows it (translate.model.takes)"
            yield ("translate", "repetition_penalty"), reason


def _pairs(settings: Settings) -> Problems:
    from lidr.pairs.rules import RULES  # the registry says which names there are

    if settings.pairs.rule not in RULES:
        yield ("pairs", "rule"), f"{settings.pairs.rule!r} is no rule; there are {', '.join(RULES)}"
    yield from _filters(settings)
    if settings.generate.samples > 1 and not settings.generate.temperature:
        yield ("generate", "temperature"), "above 0 is expected: greedy samples are all the same answer"
    yield from _prompt_template("score", settings.score.prompt_template, UNDER_DOMINANT)


def _scored(settings: Settings) -> Problems:
    """What is missing where the rule compares scores."""
    if not settings.pairs.reads("scores"):
        return
    rule, engine = settings.pairs.rule, settings.engine
    if settings.generate.samples < 2:
        yield ("generate", "samples"), f"2 or more are expected: {rule!r} compares them"
    if settings.base.reference is None:
        yield ("base", "reference"), f"the model that m0 is scored against is expected, for {rule!r} compares scores"
    if not engine.gives_log_probabilities:
        reason = f"{rule!r} scores answers, and {engine.name!r} gives no log-probabilities of given texts"
        yield ("engine", "name"), reason


def _filters(settings: Settings) -> Problems:
    from lidr.pairs.filters import problem

    if reason := problem(settings.pairs.filters):
        yield ("pairs", "filters"), reason


def _data_overrides(settings: Settings, name: str) -> Problems:
    """What is wrong with the values of data's own, at their places there; these may contradict others of the file."""
    own, where = settings.data[name], ("data", name)
    blocks = {"generate": own.generate, "score": own.score, "translate": own.translate}
    if wrong := [found for block, values in blocks.items() for found in _schema_problems(settings, block, values)]:
        yield from (((*where, *place), reason) for place, reason in wrong)
    elif own.rule is not None or any(blocks.values()):
        made = settings.of_data(name)
        problems = chain(_translate(made), _pairs(made), _scored(made), made.engine.problems(made))
        for place, reason in problems:
            if place == ("pairs", "rule"):
                yield (*where, "rule"), reason
            else:
                yield (*where, *place) if blocks.get(place[0]) else place, reason


def _iteration_overrides(settings: Settings, name: str) -> Problems:
    """What is wrong with `pairs` and `train` of an iteration."""
    iteration, where = settings.iterations[name], ("iterations", name)
    if "rule" in iteration.pairs:
        yield (*where, "pairs", "rule"), f"stages before `pairs` ask it: data.{iteration.data}.rule is its place"
    blocks = {"pairs": iteration.pairs, "train": iteration.train}
    if wrong := [found for block, values in blocks.items() for found in _schema_problems(settings, block, values)]:
        yield from (((*where, *place), reason) for place, reason in wrong)
        return
    own = settings.of_iteration(name)
    of_train = _train(own.train) if iteration.train else ()
    of_pairs = _filters(own) if iteration.pairs else ()
    yield from (((*where, *place), reason) for place, reason in chain(of_train, of_pairs))
    if "lora" in iteration.train and iteration.previous != paths.BASE:
        reason = f"{name} goes on training the adapter of {iteration.previous}, which is made already"
        yield (*where, "train", "lora"), reason


def _schema_problems(settings: Settings, block: str, values: dict[str, Any]) -> Problems:
    """Values that are not valid in the block of this name."""
    section: Section = getattr(settings, block)
    try:
        with_values(section, values)
    except msgspec.ValidationError as error:
        place, reason = explain(error, values, type(section))
        yield (block, *place), reason


def _train(train: Train) -> Problems:
    yield from training_keys.problems(train)
    per_device = train.dpo["per_device_train_batch_size"]
    if train.pairs_per_step % per_device:
        reason = f"a multiple of train.dpo.per_device_train_batch_size ({per_device}) is expected"
        yield ("train", "pairs_per_step"), reason
    if train.accelerate is not None and Path(train.accelerate).parent != paths.LAUNCHERS:
        reason = f"a file in {paths.LAUNCHERS} is expected, or null; DVC would miss changes elsewhere"
        yield ("train", "accelerate"), reason
