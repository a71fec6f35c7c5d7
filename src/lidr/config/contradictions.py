"""What no single field of params.yaml shows to be wrong: fields that contradict each other.

params.yaml:26: iterations.m2.previous: no model 'm3': there are m0, m1, m2
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import msgspec

from lidr import paths
from lidr.config import quantization, training_keys
from lidr.config.blocks import Pairs, Prompts, Settings, flatten, iteration_number
from lidr.config.evaluation import judge_problems
from lidr.config.explanations import explain
from lidr.config.section import GENERATOR, HUB, LAB, RULE, Problem, address_problems
from lidr.config.training import Train
from lidr.errors import InputError
from lidr.records.languages import locale
from lidr.records.prompt_templates import ANSWER_LANGUAGE, TRANSLATION, UNDER_DOMINANT


def contradictions(settings: Settings) -> list[Problem]:
    """What no single field shows: (where, what is wrong) for each."""
    return [
        *_text_problems(settings),
        *settings.engine.problems(settings),
        *_source_problems(settings),
        *_quantization_problems(settings),
        *_prompts_problems(settings.prompts),
        *_baseline_problems(settings),
        *_benchmark_problems(settings),
        *_audit_problems(settings),
        *_language_problems(settings),
        *_chain_problems(settings),
        *_translate_problems(settings),
        *_train_problems(settings),
        *_own_pairs_problems(settings),
        *_pairs_problems(settings),
    ]


def _text_problems(settings: Settings) -> list[Problem]:
    """Texts that can be no name and no path; `train` of an iteration is checked with the block it changes."""
    return [
        (tuple(name.split(".")), "text without control characters is expected")
        for name, value in flatten(settings).items()
        if isinstance(value, str) and not (value.strip() and value.isprintable())
    ]


def _source_problems(settings: Settings) -> list[Problem]:
    """Files that a stage reads must lie in data/sources, on which dvc.yaml depends, or a change would not rerun it."""
    base, prompts = settings.base, settings.prompts
    read = {
        ("prompts", "source"): None if prompts.is_on_hub else prompts.source,
        ("prompts", "translation_requests"): prompts.translation_requests,
        **{(name, "source"): block.source for name, block in settings.generative.items()},
        ("baseline", "source"): settings.baseline.source if settings.baseline.is_published else None,
        ("base", "reference"): base.reference,
    }
    problems: list[Problem] = [
        (where, f"{path!r} lies outside of {paths.SOURCES}, where DVC would miss changes")
        for where, path in read.items()
        if path not in (None, LAB, RULE) and not _is_within(str(path), paths.SOURCES)
    ]
    if base.model == LAB and base.revision is not None:
        problems.append((("base", "revision"), "the lab's base comes with the package; null is expected"))
    return problems


def _is_within(path: str, folder: Path) -> bool:
    return os.path.normpath(path) == str(folder) or Path(os.path.normpath(path)).is_relative_to(folder)


def _prompts_problems(prompts: Prompts) -> list[Problem]:
    problems: list[Problem] = []
    if prompts.is_on_hub and prompts.fields is None:
        problems.append((("prompts", "fields"), "a dataset's fields are expected: text, id and answer"))
    if prompts.is_on_hub != (prompts.hub is not None):
        reason = "revision, subset and split are expected" if prompts.is_on_hub else f"null is expected without {HUB!r}"
        problems.append((("prompts", "hub"), reason))
    if prompts.source == LAB:
        for key in ("fields", "answer_language", "translation_requests"):
            if getattr(prompts, key) is not None:
                problems.append((("prompts", key), "the lab's prompts are taken as they are; null is expected"))
    if prompts.answer_language not in (None, *ANSWER_LANGUAGE):
        known = ", ".join(ANSWER_LANGUAGE)
        reason = f"{prompts.answer_language!r} is no version of the wording; there are {known}, and null"
        problems.append((("prompts", "answer_language"), reason))
    if prompts.hub is not None and prompts.fields is not None:
        where_languages_are = (prompts.hub.subset or "", prompts.hub.split, prompts.fields.text)
        if not any("{lang}" in name for name in where_languages_are):
            reason = "'{lang}' is expected in hub.subset, hub.split or fields.text: where the languages are"
            problems.append((("prompts", "hub"), reason))
    return problems


def _quantization_problems(settings: Settings) -> list[Problem]:
    values, where = settings.base.quantization, ("base", "quantization")
    if values is None:
        return []
    engine = settings.engine.here or settings.engine
    if engine.name != "transformers":
        reason = f"the engine {engine.name!r} would compute with other weights than these; transformers is expected"
        return [(where, reason)]
    return [((*where, key) if key else where, reason) for key, reason in quantization.problems(values)]


def _baseline_problems(settings: Settings) -> list[Problem]:
    model, source = settings.baseline.model, settings.baseline.source
    own = f"{paths.MODELS}/{model}"
    if settings.baseline.is_published:
        if not re.fullmatch(GENERATOR, model):
            return [(("baseline", "model"), "the name of a model of this file or of a generator is expected")]
        if Path(source).is_relative_to(paths.MODELS):
            reason = f"{model!r} is no model of this file; the folder of its published outputs is expected"
            return [(("baseline", "source"), reason)]
    elif model not in {paths.BASE, *settings.iterations}:
        return [(("baseline", "model"), f"{model!r} is no model of this file")]
    elif source != own:
        return [(("baseline", "source"), f"{model!r} is a model of this file, whose answers come from {own!r}")]
    return []


def _benchmark_problems(settings: Settings) -> list[Problem]:
    return [
        ((name, *where), reason)
        for name, block in settings.benchmarks.items()
        for where, reason in block.problems(settings)
    ]


def _audit_problems(settings: Settings) -> list[Problem]:
    judge = settings.audit.judge
    if judge is None:
        return []
    problems = judge_problems(judge, ("prompts.source", settings.prompts.source), settings)
    if judge.both_orders is False:
        problems.append((("both_orders",), "the audit asks in both orders; null or true is expected"))
    return [(("audit", "judge", *where), reason) for where, reason in problems]


def _language_problems(settings: Settings) -> list[Problem]:
    problems: list[Problem] = []
    for where, codes in (
        (("dominant",), (settings.dominant,)),
        (("languages",), settings.languages),
        *(((name, "languages"), block.languages) for name, block in settings.generative.items()),
    ):
        try:
            for code in codes:
                locale(code)
        except InputError as error:
            problems.append((where, str(error)))
        if not codes or len({code.lower() for code in codes}) != len(codes):
            problems.append((where, "one or more languages, each once, are expected"))
    if settings.dominant.lower() in (code.lower() for code in settings.languages):
        problems.append((("languages",), f"the dominant language {settings.dominant!r} must not stand here as well"))
    return problems


def _chain_problems(settings: Settings) -> list[Problem]:
    problems: list[Problem] = []
    known = {paths.BASE, *settings.iterations}
    for name, iteration in settings.iterations.items():
        where, previous = ("iterations", name, "previous"), iteration.previous
        if name == paths.BASE:
            problems.append((("iterations", name), "this is the base; iterations are named m1, m2, ..."))
        elif previous not in known:
            problems.append((where, f"{previous!r} is no model of this file"))
        elif iteration_number(previous) >= iteration_number(name):
            problems.append((where, f"a model before {name!r} is expected, not {previous!r}"))
    if set(settings.models) != known or len(settings.models) != len(known):
        expected = ", ".join(sorted(known, key=iteration_number))
        problems.append((("models",), f"m0 and each iteration are expected, once each: {expected}"))
    return problems


def _wording_problems(block: str, version: str, known: dict[str, str]) -> list[Problem]:
    if version in known:
        return []
    return [((block, "wording"), f"{version!r} is no version of the wording; there are {', '.join(known)}")]


def _translate_problems(settings: Settings) -> list[Problem]:
    model, problems = settings.translate.model, _wording_problems("translate", settings.translate.wording, TRANSLATION)
    if isinstance(model, str):
        if not _is_within(model, paths.SOURCES):
            reason = f"{model!r} lies outside of {paths.SOURCES}, where DVC would miss changes"
            problems.append((("translate", "model"), reason))
        if settings.engine.here is None:
            reason = f"a folder needs an engine on this machine, not {settings.engine.name!r}"
            problems.append((("translate", "model"), reason))
    elif model is not None:
        problems += address_problems(("translate", "model", "endpoint"), model.endpoint)
        if model.takes == "openai" and settings.translate.repetition_penalty != 1:
            reason = "only a server that takes what vLLM's does knows it (translate.model.takes)"
            problems.append((("translate", "repetition_penalty"), reason))
    return problems


def _pairs_problems(settings: Settings) -> list[Problem]:
    # The registries say which names there are.
    from lidr.pairs.filters import problem
    from lidr.pairs.rules import RULES

    pairs, generate = settings.pairs, settings.generate
    if pairs.rule not in RULES:
        return [(("pairs", "rule"), f"{pairs.rule!r} is no rule; there are {', '.join(RULES)}")]
    problems: list[Problem] = []
    if reason := problem(pairs.filters):
        problems.append((("pairs", "filters"), reason))
    if generate.samples > 1 and not generate.temperature:
        problems.append((("generate", "temperature"), "above 0 is expected: greedy samples are all the same answer"))
    problems += _wording_problems("score", settings.score.wording, UNDER_DOMINANT)
    if not pairs.reads("scores"):
        return problems
    if generate.samples < 2:
        problems.append((("generate", "samples"), f"2 or more are expected: {pairs.rule!r} compares them"))
    if settings.base.reference is None:
        reason = f"the model that m0 is scored against is expected, for {pairs.rule!r} compares scores"
        problems.append((("base", "reference"), reason))
    if not settings.engine.gives_log_probabilities:
        reason = (
            f"{pairs.rule!r} scores answers, and {settings.engine.name!r} gives no log-probabilities of given texts"
        )
        problems.append((("engine", "name"), reason))
    return problems


def _train_problems(settings: Settings) -> list[Problem]:
    found = [(("train", *where), reason) for where, reason in _problems_of(settings.train)]
    for name, iteration in settings.iterations.items():
        if found or not iteration.train:
            continue
        where = ("iterations", name, "train")
        try:
            train = settings.train_for(name)
        except msgspec.ValidationError as error:
            inner, reason = explain(error, iteration.train, Train)
            found.append(((*where, *inner), reason))
            continue
        found += [((*where, *inner), reason) for inner, reason in _problems_of(train)]
        if "lora" in iteration.train and iteration.previous != paths.BASE:
            reason = f"{name} goes on training the adapter of {iteration.previous}, which is made already"
            found.append(((*where, "lora"), reason))
    return found


def _problems_of(train: Train) -> list[Problem]:
    problems = training_keys.problems(train)
    per_device = train.dpo["per_device_train_batch_size"]
    if not problems and train.pairs_per_step % per_device:
        reason = f"a multiple of train.dpo.per_device_train_batch_size ({per_device}) is expected"
        problems.append((("pairs_per_step",), reason))
    if train.accelerate is not None and Path(train.accelerate).parent != paths.LAUNCHERS:
        reason = f"a file in {paths.LAUNCHERS} is expected, or null; DVC would miss changes elsewhere"
        problems.append((("accelerate",), reason))
    return problems


def _own_pairs_problems(settings: Settings) -> list[Problem]:
    from lidr.pairs.filters import problem

    problems: list[Problem] = []
    for name, iteration in settings.iterations.items():
        place = ("iterations", name, "pairs")
        if "rule" in iteration.pairs:
            problems.append(((*place, "rule"), "one rule for all iterations is expected: stages before `pairs` ask it"))
        try:
            pairs = settings.pairs_for(name)
        except msgspec.ValidationError as error:
            where, reason = explain(error, iteration.pairs, Pairs)
            problems.append(((*place, *where), reason))
            continue
        if iteration.pairs and (reason := problem(pairs.filters) or ""):
            problems.append(((*place, "filters"), reason))
    return problems
