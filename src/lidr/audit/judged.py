"""A judge's word on a sample of the pairs: is chosen better than rejected, also where no gold answer can tell?

    params.yaml:
    audit: {judge: {name: openai, model: ..., endpoint: ...}, judged_pairs: 100}

    data/m1/audit/verdicts.jsonl, a line for each pair that was judged; empty without a judge:
    {"id":"lab-0:es:en","lang":"es","prompt":"¿Qué número ...","completion":"Son 59.","baseline":"Son 58.",
     "preference":2.0,"finish_reason":"stop",...,"orders":[2.0,2.0],...}

`completion` is the chosen text and `baseline` the rejected one: the records are those of `lidr alpaca`, and so are the
judges, their cached replies, budgets and prices. Of each direction `judged_pairs` pairs are drawn by the hash of their
id, without translation requests, and each is asked about in both orders; a pair counts as decided where both orders
name the same side.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lidr import config
from lidr.audit import reward
from lidr.audit.examples import Example
from lidr.audit.facts import UNJUDGED, Groups
from lidr.evaluation.alpaca import winner
from lidr.evaluation.alpaca.stage import expense
from lidr.evaluation.judges import Judge, Pairwise, judge_all, open_judge
from lidr.evaluation.judges.base import flips, verdict
from lidr.evaluation.judges.lab import OracleJudge
from lidr.records import PromptKind, Verdict
from lidr.records.draw import rank

Row = dict[str, Any]

_OUTCOMES = {1: "chosen", 0: "tie", -1: "rejected", None: UNJUDGED}


def draw(pairs: Groups, settings: config.Settings) -> list[Row]:
    """The rows of the facts table that the judge is asked about; none without a judge."""
    drawn: list[Row] = []
    for rows in pairs.by_direction.values() if settings.audit.judge else ():
        tasks = rows[rows["kind"] == PromptKind.TASK.value]
        first = tasks.assign(rank=tasks["id"].map(rank)).sort_values("rank").head(settings.audit.judged_pairs)
        drawn += first[["id", "prompt_id", "chosen_off_target", "rejected_off_target"]].to_dict("records")
    return drawn


def open_for_pairs(settings: config.Settings) -> Judge:
    """The judge of `audit`, which is asked in both orders."""
    judge = settings.audit.judge
    assert judge is not None, "pairs are drawn where a judge is named"
    if isinstance(judge, config.LabJudge):
        # As by gold answers, a right answer in another language is no better than a wrong one.
        return OracleJudge(both_orders=True, half_marks=False)
    return open_judge(judge, settings.engine, both_orders=True, block="audit.judge")


def ask(judge: Judge, drawn: Sequence[Row], examples: Mapping[str, Example]) -> list[Verdict]:
    """What the judge says of each of these pairs, with the texts that it saw."""
    pairs = {pair.id: pair for example in examples.values() for pair in example.pairs}
    found = [(row, pairs[row["id"]], examples[row["prompt_id"]]) for row in drawn]
    comparisons = [
        Pairwise(example.prompts[pair.lang], pair.chosen[0].content, pair.rejected[0].content)
        for _, pair, example in found
    ]
    opinions = judge_all(judge, comparisons)
    return [
        verdict(
            comparison,
            opinion,
            id=pair.id,
            lang=pair.lang,
            finish_reason=example.rows[pair.chosen_from].finish_reason,
            off_target=bool(row["chosen_off_target"]),
            baseline_off_target=bool(row["rejected_off_target"]),
        )
        for (row, pair, example), comparison, opinion in zip(found, comparisons, opinions, strict=True)
    ]


def columns(verdicts: Iterable[Verdict]) -> dict[str, Row]:
    """The verdicts as columns of the facts table, by the pairs' ids."""
    return {row.id: {"judged_preference": row.preference, "judged_outcome": _OUTCOMES[winner(row)]} for row in verdicts}


def figures(pairs: Groups, verdicts: Sequence[Verdict], settings: config.Settings) -> dict[str, Any]:
    """The reward's figures by the judge, and judge statistics: orders that disagree, no verdicts, tokens, cost."""
    if settings.audit.judge is None:
        return {}
    judge = {
        **flips(verdicts),
        "unjudged": sum(row.preference is None for row in verdicts) / max(1, len(verdicts)),
        **expense(settings.audit.judge, verdicts),
    }
    return {"judged": reward.figures(pairs, reward.JUDGE, settings.audit.confidence) | {"judge": judge}}
