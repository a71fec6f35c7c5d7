"""Judges of pairwise comparisons: which of two answers to an instruction is better. `base` is their contract."""

from __future__ import annotations

from lidr import config
from lidr.evaluation.judges.base import Judge, Opinion, Pairwise, judge_all

__all__ = ["Judge", "Opinion", "Pairwise", "judge_all", "open_judge"]


def open_judge(
    judge: config.Judge, engine: config.Engine, both_orders: bool | None = None, block: str = "alpaca.judge"
) -> Judge:
    """The judge that a block of params.yaml configures; `both_orders` overrides it. Models load lazily.

    `block` is its name in params.yaml, for messages.
    """
    both = judge.in_both_orders if both_orders is None else both_orders
    if isinstance(judge, config.OpenAIJudge):
        from lidr.evaluation.judges.openai import EndpointJudge

        return EndpointJudge(judge, both, block)
    if isinstance(judge, config.LocalJudge):
        from lidr.evaluation.judges.local import local_judge

        return local_judge(judge, engine, both, block)
    from lidr.evaluation.judges.lab import OracleJudge

    return OracleJudge(both)
