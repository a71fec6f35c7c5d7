"""The whole of params.yaml as one object, with the values that an iteration or its data override.

settings = config.load()
settings.of_iteration("m2").train.dpo["learning_rate"]
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, TypeVar

import msgspec

from lidr import paths
from lidr.config.blocks import (
    Audit,
    Base,
    Compare,
    Data,
    Generate,
    Iteration,
    Pairs,
    Prompts,
    Scoring,
    Tracking,
    Translate,
    TranslationServer,
)
from lidr.config.engines import Engine
from lidr.config.evaluation import Baseline, Generative
from lidr.config.section import LAB, RULE, DataName, Languages, ModelName, Place, Section, WholeNumber
from lidr.config.training import Train
from lidr.errors import InputError

Block = TypeVar("Block", bound=Section)


class Settings(Section, frozen=True):
    """The whole of params.yaml, but for the blocks of benchmarks, which `lidr.config.reading` adds."""

    profile: str
    seed: WholeNumber
    dominant: str
    languages: Languages
    models: tuple[ModelName, ...]
    data: dict[DataName, Data]
    iterations: dict[ModelName, Iteration]
    base: Base
    engine: Engine
    prompts: Prompts
    generate: Generate
    translate: Translate
    train: Train
    score: Scoring = Scoring()
    pairs: Pairs = Pairs()
    baseline: Baseline = Baseline()
    audit: Audit = Audit()
    compare: Compare = Compare()
    tracking: Tracking = Tracking()

    @property
    def all_languages(self) -> Languages:
        """The dominant language, then the others that are trained on."""
        return (self.dominant, *self.languages)

    @property
    def translation_is_begun(self) -> bool:
        """Whether the translator continues a turn that begins with the opening tag."""
        model = self.translate.model
        return model.takes == "vllm" if isinstance(model, TranslationServer) else self.engine.continues_turns

    @property
    def benchmarks(self) -> dict[str, Section]:
        """The blocks of benchmarks by their names."""
        return {name: getattr(self, name) for name in self.__struct_fields__ if name not in Settings.__struct_fields__}

    @property
    def generative(self) -> dict[str, Generative]:
        """Those whose items models answer through the engine."""
        return {name: block for name, block in self.benchmarks.items() if isinstance(block, Generative)}

    def sources(self) -> dict[Place, str]:
        """Files and folders of the user's that the pipeline reads, by their places; without `lab`, `rule` and the Hub.

        All but a judge's, which may be models/m0, lie in data/sources.
        """
        blocks: dict[Place, Any] = {(name,): getattr(self, name) for name in self.__struct_fields__}
        blocks |= {("data", name): own for name, own in self.data.items()}
        sections = {where: block for where, block in blocks.items() if isinstance(block, Section)}
        read = {(*where, *place): path for where, block in sections.items() for place, path in block.sources().items()}
        return {place: path for place, path in read.items() if path is not None and path not in (LAB, RULE)}

    def block(self, kind: type[Block]) -> Block:
        """The block of a benchmark by its class."""
        return next(block for block in self.benchmarks.values() if isinstance(block, kind))

    def iteration(self, name: str) -> Iteration:
        """The iteration's block; raises InputError where there is none."""
        return self.iterations[_known("iteration", name, self.iterations)]

    def named_data(self, name: str) -> Data:
        """The block of these data; raises InputError where there is none."""
        return self.data[_known("data", name, self.data)]

    def model(self, name: str) -> str:
        """The name itself; raises InputError where params.yaml has no such model."""
        return _known("model", name, self.models)

    def of_data(self, name: str) -> Settings:
        """The settings by which these data are made: their own values over the blocks', key by key."""
        own = self.named_data(name)
        pairs = self.pairs if own.rule is None else msgspec.structs.replace(self.pairs, rule=own.rule)
        return msgspec.structs.replace(
            self,
            generate=with_values(self.generate, own.generate),
            score=with_values(self.score, own.score),
            translate=with_values(self.translate, own.translate),
            pairs=pairs,
        )

    def of_iteration(self, name: str) -> Settings:
        """The settings of the iteration: those of its data, and its own `pairs` and `train` over the blocks'."""
        own = self.iteration(name)
        made = self.of_data(own.data)
        return msgspec.structs.replace(
            made, pairs=with_values(made.pairs, own.pairs), train=with_values(made.train, own.train)
        )

    def lineage(self, name: str) -> tuple[str, ...]:
        """The models from m0 to `name`, each made from the one before."""
        names = [name]
        while names[0] != paths.BASE:
            names.insert(0, self.iteration(names[0]).previous)
        return tuple(names)


def _known(kind: str, name: str, names: Collection[str]) -> str:
    """The name itself, if it is one of these; else InputError."""
    if name not in names:
        raise InputError(f"no {kind} {name!r} in params.yaml: it has {', '.join(names)}")
    return name


def iteration_number(name: str) -> int:
    """t of the model m<t>, 0 for the base; of the data m<t> and m<t>-word as well."""
    return int(name.removeprefix("m").partition("-")[0])


def with_values(block: Block, values: dict[str, Any]) -> Block:
    """The block with these values; raises msgspec's ValidationError where they are not valid."""
    return msgspec.convert(_over(msgspec.to_builtins(block), values), type(block)) if values else block


def _over(block: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """The block with values in place of its own; a block within it keeps what the values do not name."""
    merged = dict(block)
    for key, value in values.items():
        inner = block.get(key)
        merged[key] = _over(inner, value) if isinstance(inner, dict) and isinstance(value, dict) else value
    return merged


def flatten(settings: Settings) -> dict[str, Any]:
    """The settings with the names of params.yaml joined by dots, as MLflow shows them."""
    flat: dict[str, Any] = {}

    def walk(prefix: str, value: Any) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                walk(f"{prefix}.{key}" if prefix else key, inner)
        else:
            flat[prefix] = value

    walk("", msgspec.to_builtins(settings))
    return flat
