"""The verdicts that `lidr alpaca` writes for a model's answers."""

from __future__ import annotations

from collections.abc import Sequence

from lidr import config, paths
from lidr.evaluation.alpaca.baseline import instructions
from lidr.records import FinishReason, Verdict
from lidr.records.jsonl import write_rows


def keep_verdicts(settings: config.Settings, model: str, texts: Sequence[str]) -> None:
    """Write verdicts on these answers; the first answer is cut off."""
    rows = [
        Verdict(
            id=item.id,
            lang=item.lang,
            prompt=item.text,
            completion=texts[number % len(texts)],
            reasoning=f"{model} thinks",
            baseline="",
            preference=1.5,
            finish_reason=FinishReason.LENGTH if number == 0 else FinishReason.STOP,
            off_target=False,
            baseline_off_target=False,
        )
        for number, item in enumerate(instructions(settings))
    ]
    write_rows(paths.evaluation("alpaca", model) / paths.VERDICTS, rows)
