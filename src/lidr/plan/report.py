"""The plan in words: a line per stage, memory part by part, the judge's cost, and every assumption."""

from __future__ import annotations

from collections.abc import Iterator

from lidr import config
from lidr.engines.settings import Transformers
from lidr.evaluation.harness import Harness
from lidr.plan import Plan
from lidr.plan.device import TAIL
from lidr.plan.memory import GIB, SLACK, MemoryBudget, room
from lidr.plan.work import CHOICES, JUDGE_PROMPT_TOKENS, TRANSLATION_GROWTH, Asked, Work, judges


def lines(plan: Plan) -> Iterator[str]:
    """The whole report."""
    yield from _heading(plan)
    yield ""
    yield from _stages(plan)
    yield ""
    if plan.settings.engine.local is None:
        yield "memory for generation: none here, a server answers"
    else:
        yield from _budget("generation", plan.generation)
        yield from _room(plan)
    if plan.settings.iterations:
        yield from _budget("training", plan.training)
    yield ""
    for asked in judges(plan.settings, plan.lengths):
        yield from _judge(asked)
    yield from _assumptions(plan)


def _heading(plan: Plan) -> Iterator[str]:
    settings, shape = plan.settings, plan.shape
    where = f"on {plan.device.name} with {plan.device.memory / GIB:.1f} GiB"
    if shape is None:
        yield f"profile {settings.profile}: {settings.base.model}, {where}"
        yield f"  not known: parameters, memory and time, for {plan.unknown}"
        return
    yield f"profile {settings.profile}: {settings.base.model}, {shape.parameters / 1e6:,.1f} M parameters, {where}"
    context = "unlimited" if shape.context is None else f"{shape.context:,}"
    yield (
        f"  {shape.layers} layers of {shape.hidden:,}, vocabulary {shape.vocabulary:,}, context {context}; "
        f"adapter {shape.adapter / 1e6:,.1f} M"
    )


def _stages(plan: Plan) -> Iterator[str]:
    yield f"{'stage':<16}{'rows':>10}{'tokens, about':>16}{'at most':>16}{'time, about':>14}"
    for work in plan.stages:
        tokens, most = (f"{count:,}" if count else "" for count in (work.tokens, work.max_tokens))
        yield f"{work.stage:<16}{work.rows:>10,}{tokens:>16}{most:>16}{_time(plan, work):>14}".rstrip()
    if plan.rates is None:
        yield "time: not estimated; give --generation-rate and --training-rate in tokens/s"
        return
    total = sum(_seconds(plan, work) for work in plan.stages)
    yield (
        f"time in all: about {_duration(total)} at {plan.rates.generation:,.0f} tokens/s generating and "
        f"{plan.rates.training:,.0f} training ({plan.rates.why})"
    )


def _seconds(plan: Plan, work: Work) -> float:
    rates = plan.rates
    if rates is None or work.kind in ("files", "judge"):
        return 0.0
    if work.kind == "train":
        return rates.start_up + work.tokens / rates.training + work.read_tokens / rates.scoring
    if work.kind == "score":
        return rates.start_up + work.tokens / rates.scoring
    shards = -(-work.rows // plan.settings.engine.rows_per_shard)
    alone = TAIL * max(0, work.longest - work.tokens // work.rows) * rates.single_row_seconds
    return rates.start_up + work.tokens / rates.generation + work.read_tokens / rates.reading + shards * alone


def _time(plan: Plan, work: Work) -> str:
    seconds = _seconds(plan, work)
    return _duration(seconds) if seconds else ""


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _budget(name: str, budget: MemoryBudget | None) -> Iterator[str]:
    if budget is None:
        yield f"memory for {name}: not known without the model's config.json"
        return
    yield f"memory for {name}: {budget.total / GIB:.2f} GiB, {SLACK:.0%} for buffers and gaps in it"
    for part in budget.parts:
        yield f"  {part.name:<12}{part.bytes / GIB:>8.2f} GiB  {part.formula}"


def _room(plan: Plan) -> Iterator[str]:
    """Larger batches, where a GPU has room for them: a step takes little longer for more rows."""
    engine = plan.settings.engine.local
    if plan.shape is None or plan.device.kind == "cpu" or not isinstance(engine, Transformers):
        return
    tokens = room(plan.settings, plan.shape, plan.device.memory)
    if tokens is not None and tokens >= 2 * engine.tokens_per_batch:
        yield (
            f"  there is room for engine.tokens_per_batch: {tokens} "
            f"({tokens // engine.tokens_per_batch:,} times as many rows at once)"
        )


def _judge(asked: Asked) -> Iterator[str]:
    judge = asked.judge
    if not isinstance(judge, config.OpenAIJudge):
        yield f"{asked.title}: {judge.name}, {asked.questions:,} questions, no cost"
        return
    about = f"{asked.questions:,} requests of about {asked.tokens_each:,} tokens"
    is_text = judge.reply == "text"
    if is_text:
        about += f", replies of at most {asked.reply_tokens:,}"
    line = f"{asked.title}: {judge.model} at an endpoint, {about}"
    if asked.cost is None:
        yield f"{line}; its prices are not in params.yaml ({asked.block}.prompt_price)"
    else:
        yield f"{line}: {'at most' if is_text else 'about'} {asked.cost:,.2f} at {judge.prompt_price:g} a million"


def _assumptions(plan: Plan) -> Iterator[str]:
    lengths = plan.lengths
    yield (
        f"assumed: answers of {lengths.answer} tokens (--answer-tokens), prompts of {lengths.prompt} "
        "(--prompt-tokens), "
        f"translations {TRANSLATION_GROWTH:g} times as long, no pair dropped, {JUDGE_PROMPT_TOKENS} tokens of "
        "instructions in a judge's question; memory is for the largest batches that params.yaml allows"
    )
    if plan.settings.block(Harness).tasks:
        yield (
            f"assumed of the harness: items of a task as published, or harness.limit; {CHOICES} choices each, read "
            "with the question and its examples"
        )
    if plan.rates is not None:
        yield (
            f"in the time: {plan.rates.start_up:.0f} s for each stage to load its model, and at the end of each shard "
            f"its longest answer alone, {TAIL:.0%} of what the limit leaves it; a judge that is a model here is taken "
            "to be as large as the base"
        )
