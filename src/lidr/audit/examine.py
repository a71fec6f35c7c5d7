"""The one place where the audit reads texts: it turns an example into rows of the facts table.

The same text stands in many pairs of an example (the dominant answer is chosen once for every other language), so each
text is examined once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lidr import config
from lidr.audit import facts, fidelity
from lidr.audit.contamination import Best, Index, Match, Nearest
from lidr.audit.examples import Direction, Example, pair_directions
from lidr.audit.facts import DROP, FLAGS, PAIR, SIDES
from lidr.pairs.gold import is_right
from lidr.pairs.normalise import Comparable, comparable, is_similar, words
from lidr.pairs.properties import ends_in_repetition, markers
from lidr.pairs.refusals import is_refusal
from lidr.records import Drop, FinishReason, Pair, Prompt, Response, Translation, langid, pair_id
from lidr.records.code_switching import Sentences, count
from lidr.records.languages import english_name
from lidr.records.prompt_templates import without_answer_language

if TYPE_CHECKING:
    from pyarrow import Table

# A text of so many words is repeated if this share of its n-grams occurred before in it.
_FEWEST_WORDS, _REPEATED_SHARE, _REPEATED_NGRAM = 20, 0.5, 4

Row = dict[str, Any]
Sides = dict[tuple[str, str], tuple[Comparable, Row]]


class Examiner:
    """Finds the facts; `unsupported` holds the languages that identification does not know."""

    def __init__(self, settings: config.Settings, index: Index) -> None:
        self._settings, self.index = settings, index
        self._directions = pair_directions(settings)
        self.unsupported = tuple(lang for lang in settings.all_languages if not langid.is_supported(lang))
        self._candidates = tuple(lang for lang in settings.all_languages if lang not in self.unsupported)

    def chunk(self, examples: Sequence[Example]) -> tuple[Table, list[Match]]:
        """The rows of some examples, and the texts among them that are most like each evaluation item."""
        best: Best = {}
        rows = [row for example in examples for row in self.rows(example, best)]
        return facts.table(rows), list(best.values())

    def rows(self, example: Example, best: Best) -> Iterator[Row]:
        """The row of each pair and drop of one example, by direction."""
        made = {(row.lang, row.other_lang): row for row in example.outcomes}
        prompts = {
            lang: _prompt(prompt, self.index.compare(words(self._bare(prompt)), "prompt", prompt.id, best))
            for lang, prompt in example.prompts.items()
        }
        answers = {lang: _answer(response) for lang, response in example.responses.items()}
        dominant = example.responses.get(self._settings.dominant)
        sides: Sides = {}
        overlaps: dict[str, Nearest | None] = {}
        for direction in self._directions:
            lang, other_lang = direction
            row = made[direction]
            found = {
                "id": pair_id(example.id, lang, other_lang),
                "prompt_id": example.id,
                "lang": lang,
                "other_lang": other_lang,
                "chosen_from": row.chosen_from or None,
                "rejected_from": row.rejected_from or None,
                **prompts[lang],
                **answers.get(lang, {}),
                "dominant_characters": None if dominant is None else len(dominant.text),
                **self._translation(example, (other_lang, lang)),
            }
            if isinstance(row, Drop):
                yield found | _drop(row, [example.rows.get(name) for name in (row.chosen_from, row.rejected_from)])
            else:
                yield found | self._pair(example, row, sides, overlaps, best)

    def _bare(self, prompt: Prompt) -> str:
        """The prompt's text as an evaluation item would have it, without the request for a language."""
        version = self._settings.prompts.answer_language
        return (
            prompt.text if version is None else without_answer_language(version, prompt.text, english_name(prompt.lang))
        )

    def _pair(self, example: Example, pair: Pair, sides: Sides, overlaps: dict[str, Nearest | None], best: Best) -> Row:
        found: Row = {"outcome": PAIR, "rule": pair.rule}
        contents = []
        for side, origin, messages in zip(
            SIDES, (pair.chosen_from, pair.rejected_from), (pair.chosen, pair.rejected), strict=True
        ):
            key = origin, pair.lang
            if key not in sides:
                content = comparable(messages[0].content)
                sides[key] = content, self._side(content, example.rows[origin], example.prompts[pair.lang])
            contents.append(sides[key][0])
            found |= {f"{side}_{name}": value for name, value in sides[key][1].items()}
        chosen, rejected = contents
        if chosen.text not in overlaps:
            overlaps[chosen.text] = self.index.compare(chosen.words, "chosen", pair.id, best)
        found |= _overlap("chosen", overlaps[chosen.text])
        found["near_identical"] = is_similar(chosen, rejected)
        found["gold_outcome"] = _GOLD_OUTCOMES.get((found["chosen_right"], found["rejected_right"]), facts.UNJUDGED)
        return found | {"notes": list(notes(found))}

    def _side(self, content: Comparable, row: Response | Translation, prompt: Prompt) -> Row:
        text = content.text
        found_lang, sentences = None, Sentences(0, 0)
        if prompt.lang in self._candidates:
            found_lang = langid.identify(text, prompt.lang, self._candidates)
            sentences = count(text, prompt.lang, self._candidates)
        return {
            "characters": len(text),
            "words": len(content.words),
            "tokens": row.completion_tokens if isinstance(row, Response) else None,
            "lang": found_lang,
            "off_target": found_lang not in (None, langid.primary(prompt.lang)),
            "sentences": sentences.judged,
            "other_sentences": sentences.other,
            "right": is_right(text, prompt),
            "truncated": row.finish_reason is FinishReason.LENGTH,
            "repeated": is_repeated(content),
            "markers": markers(text),
            "refusal": is_refusal(content),
        }

    def _translation(self, example: Example, direction: Direction) -> Row:
        translation, answer = example.translations.get(direction), example.responses.get(direction[0])
        if translation is None:
            return {}
        found = {
            "translation_finish_reason": translation.finish_reason.value,
            "translation_parsed": translation.text is not None,
            "translation_empty": translation.text is not None and not translation.text.strip(),
            "translation_tolerated": bool(translation.tolerated),
            "translation_compared": translation.text is not None and answer is not None,
        }
        if answer is None:
            return found
        if translation.text is not None:
            prompt = example.prompts[direction[0]]
            found |= fidelity.compare(prompt, answer.text, translation.text, direction)
        back = example.back.get(direction)
        return found if back is None else found | fidelity.compare_back(answer.text, back.text)


def is_repeated(content: Comparable) -> bool:
    """Whether the text is stuck: a repetition at its end, or mostly what it has said before."""
    if ends_in_repetition(content.text):
        return True
    if len(content.words) < _FEWEST_WORDS:
        return False
    n = _REPEATED_NGRAM
    count = len(content.words) - n + 1
    distinct = len({tuple(content.words[i : i + n]) for i in range(count)})
    return 1 - distinct / count >= _REPEATED_SHARE


def notes(row: Mapping[str, Any]) -> Iterator[str]:
    """What is worth a look in a pair, in words."""
    for side in SIDES:
        for flag in FLAGS:
            if row[f"{side}_{flag}"]:
                yield f"{side}: {flag}"
        if row[f"{side}_off_target"]:
            yield f"{side}: off target ({row[f'{side}_lang']})"
    if row["near_identical"]:
        yield "near-identical"


def _prompt(prompt: Prompt, nearest: Nearest | None) -> Row:
    return {
        "source": prompt.source.name,
        "source_row": prompt.source.row,
        "kind": prompt.kind.value,
        "gold": prompt.answer if isinstance(prompt.answer, str) else None,
        "prompt_characters": len(prompt.text),
        **_overlap("prompt", nearest),
    }


def _overlap(kind: str, nearest: Nearest | None) -> Row:
    share, item = (0.0, None) if nearest is None else nearest
    return {f"{kind}_overlap": share, f"{kind}_overlap_item": item}


def _answer(response: Response) -> Row:
    return {
        "answer_finish_reason": response.finish_reason.value,
        "answer_characters": len(response.text),
        "answer_tokens": response.completion_tokens,
        "answer_empty": response.finish_reason is FinishReason.STOP and not response.text.strip(),
        "answer_reasoning_characters": len(response.reasoning),
    }


def _drop(drop: Drop, origins: Sequence[Response | Translation | None]) -> Row:
    """The drop's reason, and the lengths where both sides have a whole text: a filter dropped such a pair."""
    found: Row = {"outcome": DROP, "stage": drop.stage, "reason": str(drop.reason), "detail": drop.detail}
    texts = [_whole(row) for row in origins]
    if all(texts):
        found |= {f"{side}_characters": len(text) for side, text in zip(SIDES, texts, strict=True)}
    return found


def _whole(row: Response | Translation | None) -> str:
    """The row's text where a pair can be made of it: a translation that could be read, an answer that ended."""
    if row is None or (isinstance(row, Response) and row.finish_reason is not FinishReason.STOP):
        return ""
    return (row.text or "").strip() and (row.text or "")


# By (chosen is right, rejected is right).
_GOLD_OUTCOMES = {
    (True, False): "chosen_only",
    (True, True): "both",
    (False, False): "neither",
    (False, True): "rejected_only",
}
