"""What the pipeline of params.yaml will take, before anything runs and without loading a weight.

    $ lidr plan
    profile small: Qwen/Qwen2.5-0.5B-Instruct, 494.0 M parameters, on cpu with 31.3 GiB
    stage          rows    tokens, about   at most
    generate@m1    1,200   360,000         614,400
    ...

`shape` reads the model's measures from its config.json, `work` counts rows and tokens, `memory` adds up what generation
and training hold, `device` says what is there and how fast it is, `report` writes it all down with its assumptions.
"""

from __future__ import annotations

from dataclasses import dataclass

from lidr import config
from lidr.engines.settings import Transformers
from lidr.plan import device, memory, shape, work
from lidr.plan.device import Device, Rates
from lidr.plan.memory import MemoryBudget
from lidr.plan.shape import Shape
from lidr.plan.work import Lengths, Work


@dataclass(frozen=True)
class Plan:
    """All that is known; `shape` is None, with the reason in `unknown`, where the model's config cannot be read.

    `unknown` beside a shape says why the adapters of `train.lora` cannot be made.
    """

    settings: config.Settings
    shape: Shape | None
    unknown: str
    stages: list[Work]
    generation: MemoryBudget | None
    training: MemoryBudget | None
    device: Device
    rates: Rates | None
    lengths: Lengths

    @property
    def problems(self) -> list[str]:
        """Why this plan does not fit the device, one line each."""
        budgets = [("generation", self.generation), ("training", self.training)]
        adapters = [self.unknown] if self.shape is not None and self.unknown else []
        return adapters + [
            f"{name} needs {budget.total / memory.GIB:.1f} GiB, and {self.device.name} has "
            f"{self.device.memory / memory.GIB:.1f} GiB: {budget.advice}"
            for name, budget in budgets
            if budget is not None and budget.total > self.device.memory
        ]


def make(
    settings: config.Settings,
    lengths: Lengths,
    memory_gib: float | None = None,
    generation_rate: float | None = None,
    training_rate: float | None = None,
) -> Plan:
    """The plan for the device that is there, or for one with `memory_gib`; rates in tokens/s overrule the estimate."""
    found, unknown = shape.read(settings)
    engine = settings.engine.local
    served = engine is None
    there = device.find(settings.engine.device, memory_gib)
    batches = engine.workers_on(there.kind) or 1 if isinstance(engine, Transformers) else 1
    trainings = [] if found is None else [memory.training(settings, name, found) for name in settings.iterations]
    return Plan(
        settings=settings,
        shape=found,
        unknown=unknown,
        stages=work.of(settings, lengths),
        generation=None if found is None or served else memory.generation(settings, found, there.memory, batches),
        training=max(trainings, key=lambda budget: budget.total, default=None),
        device=there,
        rates=_rates(settings, found, there, lengths, generation_rate, training_rate),
        lengths=lengths,
    )


def _rates(
    settings: config.Settings,
    found: Shape | None,
    there: Device,
    lengths: Lengths,
    generation: float | None,
    training: float | None,
) -> Rates | None:
    """The rates by which time is estimated; None where they are not given and cannot be measured."""
    if found is None:
        return None
    if there.kind == "other" and not (generation and training):
        return None
    if settings.engine.local is None and not generation:  # a server, as fast as its own device
        return None
    return device.rates(settings, found, there, lengths, generation, training)
