"""What no single field of params.yaml shows to be wrong: fields that contradict each other.

params.yaml:26: iterations.m2.previous: no model 'm3': there are m0, m1, m2
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import msgspec

from lidr import paths
from lidr.config import quantization
from lidr.config.blocks import Prompts, Settings, Train, flatten, iteration_number
from lidr.config.engines import Ray, Server, Vllm
from lidr.config.explanations import explain
from lidr.config.section import GENERATOR, HUB, LAB, RULE, Problem, address_problems
from lidr.errors import InputError
from lidr.records.languages import locale
from lidr.records.prompt_templates import ANSWER_LANGUAGE, TRANSLATION


def contradictions(settings: Settings) -> list[Problem]:
    """What no single field shows: (where, what is wrong) for each."""
    return [
        *_text_problems(settings),
        *_engine_problems(settings),
        *_source_problems(settings),
        *_quantization_problems(settings),
        *_prompts_problems(settings.prompts),
        *_baseline_problems(settings),
        *_benchmark_problems(settings),
        *_language_problems(settings),
        *_chain_problems(settings),
        *_wording_problems(settings),
        *_train_problems(settings),
    ]


def _text_problems(settings: Settings) -> list[Problem]:
    """Texts that can be no name and no path; `train` of an iteration is checked with the block it changes."""
    return [
        (tuple(name.split(".")), "text without control characters is expected")
        for name, value in flatten(settings).items()
        if isinstance(value, str) and not (value.strip() and value.isprintable())
    ]


_ENGINE_NEEDS = {
    "transformers": ("dtype", "tokens_per_batch"),
    "vllm": ("dtype", "tokens_per_batch", "vllm"),
    "openai": ("openai",),
    "ray": ("dtype", "tokens_per_batch", "ray"),
}


def _engine_problems(settings: Settings) -> list[Problem]:
    engine = settings.engine
    problems: list[Problem] = []
    needs = _ENGINE_NEEDS[engine.name]
    if engine.ray is not None and engine.name == "ray":
        needs += _ENGINE_NEEDS[engine.ray.engine]
    for key in ("dtype", "tokens_per_batch", "vllm", "openai", "ray"):
        is_given, is_needed = getattr(engine, key) is not None, key in needs
        if is_needed and not is_given:
            problems.append((("engine", key), f"the engine {engine.name!r} needs it"))
        if is_given and not is_needed:
            problems.append((("engine", key), f"the engine {engine.name!r} has no use for it"))
    if engine.processes is not None and engine.name != "transformers":
        problems.append((("engine", "processes"), f"the engine {engine.name!r} has no use for it"))
    if problems:
        return problems
    if engine.ray is not None:
        return _ray_problems(engine.ray, engine.vllm)
    return [] if engine.openai is None else _server_problems(settings, engine.openai)


def _ray_problems(ray: Ray, vllm: Vllm | None) -> list[Problem]:
    if vllm is not None and ray.gpus_per_worker not in (0, vllm.tensor_parallel):
        reason = f"engine.vllm.tensor_parallel is {vllm.tensor_parallel}; as many are expected, or 0 without GPUs"
        return [(("engine", "ray", "gpus_per_worker"), reason)]
    return []


def _server_problems(settings: Settings, server: Server) -> list[Problem]:
    problems = address_problems(("engine", "openai", "endpoint"), server.endpoint)
    if set(server.models) != set(settings.models):
        expected = ", ".join(settings.models)
        reason = f"the server's name of each model of this file is expected: of {expected}"
        problems.append((("engine", "openai", "models"), reason))
    for block in ("generate", "translate", *settings.generative):
        if server.takes == "openai" and getattr(settings, block).repetition_penalty != 1:
            reason = "only a server that takes what vLLM's does knows a repetition penalty (engine.openai.takes)"
            problems.append(((block, "repetition_penalty"), reason))
    if server.takes == "openai" and settings.generate.top_k:
        problems.append(
            (("generate", "top_k"), "only a server that takes what vLLM's does knows it (engine.openai.takes)")
        )
    return problems


def _source_problems(settings: Settings) -> list[Problem]:
    """Files that a stage reads must lie in data/sources, on which dvc.yaml depends, or a change would not rerun it."""
    base, prompts = settings.base, settings.prompts
    read = {
        ("prompts", "source"): None if prompts.is_on_hub else prompts.source,
        ("prompts", "translation_requests"): prompts.translation_requests,
        **{(name, "source"): block.source for name, block in settings.generative.items()},
        ("baseline", "source"): settings.baseline.source if settings.baseline.is_published else None,
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
    engine = settings.engine.ray.engine if settings.engine.ray else settings.engine.name
    if engine != "transformers":
        reason = f"the engine {engine!r} would compute with other weights than these; transformers is expected"
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


def _wording_problems(settings: Settings) -> list[Problem]:
    version = settings.translate.wording
    if version in TRANSLATION:
        return []
    return [(("translate", "wording"), f"{version!r} is no version of the wording; there are {', '.join(TRANSLATION)}")]


def _train_problems(settings: Settings) -> list[Problem]:
    problems: list[Problem] = []
    for name in settings.iterations:
        where = ("iterations", name, "train") if settings.iterations[name].train else ("train",)
        try:
            train = settings.train_for(name)
        except msgspec.ValidationError as error:
            inner, reason = explain(error, settings.iterations[name].train, Train)
            problems.append(((*where, *inner), reason))
            continue
        if train.pairs_per_step % train.pairs_per_device:
            problems.append(((*where, "pairs_per_step"), "a multiple of pairs_per_device is expected"))
        if train.accelerate is not None and Path(train.accelerate).parent != paths.LAUNCHERS:
            reason = f"a file in {paths.LAUNCHERS} is expected, or null; DVC would miss changes elsewhere"
            problems.append(((*where, "accelerate"), reason))
        if not train.lora_modules:
            problems.append(((*where, "lora_modules"), "one module or more are expected"))
    return problems
