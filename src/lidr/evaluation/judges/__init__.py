"""Judges: which of two answers to the same instruction is better. `base` is the contract, the others are judges."""

from __future__ import annotations

from lidr import config
from lidr.evaluation.judges.base import Judge, Opinion, Pairwise, judge_all

__all__ = ["Judge", "Opinion", "Pairwise", "judge_all", "open_judge"]


def open_judge(
    judge: config.Judge, engine: config.Engine, both_orders: bool | None = None, block: str = "alpaca.judge"
) -> Judge:
    """The judge of such a block; `both_orders` overrules it. A model is loaded when it is first asked.

    `block` is where params.yaml has it, for messages.
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
