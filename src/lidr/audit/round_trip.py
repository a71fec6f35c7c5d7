"""How much of an answer is left when its translation is translated back, by the same model: chrF of a sample.

    >>> figures(frame, settings)["en-es"]
    {'n': 25, 'unparsed': 0, 'chrf': 98.3, 'low': 96.9, 'high': 99.1, 'same': 21}

The stage `translate` writes the sample. chrF is sacrebleu's, with its default signature (characters to n = 6, no words,
beta 2; 100 is the same text), of each answer that came back against the answer itself; reported is the mean over
answers with its bootstrap interval. A round trip needs no reference translation, and it has a blind spot: what is lost
on the way back looks like a loss on the way there, and a text that was copied comes back whole. So it stands beside
the measures of `fidelity`, which look at the way there alone.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from lidr import config, paths
from lidr.audit.examples import Direction, translation_directions
from lidr.audit.facts import columns, within
from lidr.errors import InputError
from lidr.records import Response, Translation
from lidr.records.jsonl import read_rows

if TYPE_CHECKING:
    from pandas import DataFrame

# What came back, by the prompt's id and the direction of the way there.
Sent = Mapping[tuple[str, Direction], Translation]


def sent(iteration: str) -> Sent:
    """The sample of an iteration; raises InputError where an answer came back twice."""
    found: dict[tuple[str, Direction], Translation] = {}
    for number, row in enumerate(_rows(iteration), start=1):
        key = (row.id, (row.target_lang, row.source_lang))
        if key in found:
            raise InputError(f"a second row of {row.id!r} from {row.source_lang}", paths.round_trip(iteration), number)
        found[key] = row
    return found


def compare(back: Translation, answer: Response) -> dict[str, Any]:
    """What came back of an answer, as columns of the facts table."""
    if back.text is None:
        return {"round_trip_parsed": False}
    return {
        "round_trip_parsed": True,
        "round_trip_same": back.text.strip() == answer.text.strip(),
        "round_trip_chrf": chrf(back.text, answer.text),
    }


def check(iteration: str, sample: Sent, translated: Collection[tuple[str, Direction]]) -> None:
    """Raise InputError where an answer came back that was never translated."""
    for prompt_id, (source, target) in sample:
        if (prompt_id, (source, target)) not in translated:
            problem = f"a row of {prompt_id!r}: there is no translation {source}-{target} of it"
            raise InputError(problem, paths.round_trip(iteration))


def figures(frame: DataFrame, settings: config.Settings) -> dict[str, Any]:
    """By direction: answers that were sent, that came back unparsed or the same, and the mean chrF of the others."""
    frame = columns(frame, "round_trip_")
    return {f"{a}-{b}": _of(within(frame, b, a), settings) for a, b in translation_directions(settings)}


def _of(rows: DataFrame, settings: config.Settings) -> dict[str, Any]:
    parsed, scores = rows["round_trip_parsed"], rows["round_trip_chrf"].dropna().to_list()
    counts: dict[str, Any] = {
        "n": int(parsed.notna().sum()),
        "unparsed": int((~parsed).sum()),
        "same": int(rows["round_trip_same"].sum()),
    }
    if not scores:
        return counts
    from lidr.evaluation.statistics import mean_interval

    mean = mean_interval(scores, settings.audit.confidence, settings.seed)
    return counts | {"chrf": mean.estimate, "low": mean.low, "high": mean.high}


def chrf(text: str, reference: str) -> float:
    """Character n-gram F-score of one text, 0 to 100 (M. Popović, WMT 2015), as sacrebleu computes it."""
    from sacrebleu.metrics.chrf import CHRF

    return float(CHRF().sentence_score(text, [reference]).score)


def _rows(iteration: str) -> list[Translation]:
    """The sample; an empty file is one that was not asked for."""
    path = paths.round_trip(iteration)
    return [] if path.is_file() and path.stat().st_size == 0 else list(read_rows(path, Translation))
