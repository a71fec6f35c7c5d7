"""The one place where the audit looks at texts: from stories to the facts of their pairs.

    >>> [facts.outcome for facts in next(Examiner(settings).facts([story]))]
    [<Outcome.CHOSEN_ONLY: 'chosen_only'>, <Outcome.BOTH: 'both'>, ...]

The same text stands in many pairs of a story (the dominant answer is chosen once for every other language), so each
text is looked at once. Stories come many at a time, because languages are told apart faster for many texts together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import compress

from lidr import config, langid
from lidr.audit.facts import FLAGS, Facts, Side, outcome
from lidr.audit.normalise import Comparable, comparable
from lidr.audit.reward import is_right
from lidr.audit.stories import Story, origins
from lidr.audit.text_quality import is_refusal, is_repeated, markers, near_identical
from lidr.records import FinishReason, Prompt, Response, Translation

_Row = Response | Translation | None


class Examiner:
    """Finds the facts; `unsupported` holds the languages that identification does not know."""

    def __init__(self, settings: config.Settings) -> None:
        self._settings = settings
        self.unsupported = tuple(lang for lang in settings.all_languages if not langid.is_supported(lang))
        self._candidates = tuple(lang for lang in settings.all_languages if lang not in self.unsupported)

    def facts(self, stories: Sequence[Story]) -> Iterator[list[Facts]]:
        """The facts of all pairs of each story, in their order."""
        texts = dict.fromkeys(
            messages[0].content
            for story in stories
            for pair in story.pairs
            for messages in (pair.chosen, pair.rejected)
        )
        languages = dict(zip(texts, self._identified(list(texts)), strict=True))
        for story in stories:
            yield self._of(story, languages)

    def _identified(self, texts: list[str]) -> Sequence[str | None]:
        return langid.identify_all(texts, self._candidates) if self._candidates else [None] * len(texts)

    def _of(self, story: Story, languages: dict[str, str | None]) -> list[Facts]:
        seen: dict[tuple[str, str, type], Side] = {}
        contents: dict[str, Comparable] = {}

        def side(text: str, lang: str, row: _Row) -> Side:
            key = (text, lang, type(row))
            if key not in seen:
                if text not in contents:
                    contents[text] = comparable(text)
                seen[key] = self._side(contents[text], row, story.prompts[lang], languages[text])
            return seen[key]

        found = []
        for pair in story.pairs:
            made_from = origins(story, pair.lang, pair.other_lang, pair.rule, self._settings.dominant)
            chosen = side(pair.chosen[0].content, pair.lang, made_from.chosen)
            rejected = side(pair.rejected[0].content, pair.lang, made_from.rejected)
            near = near_identical(chosen.content, rejected.content)
            found.append(Facts(pair, made_from, chosen, rejected, near, outcome(chosen.right, rejected.right)))
        return found

    def _side(self, content: Comparable, row: _Row, prompt: Prompt, found_lang: str | None) -> Side:
        text, found_markers = content.text, markers(content.text)
        # Mostly the language that is expected; only else are the codes worth a second, slower look (zh-Hant is zh).
        differs = found_lang not in (None, prompt.lang) and prompt.lang in self._candidates
        holds = (
            row is not None and row.finish_reason is FinishReason.LENGTH,
            is_repeated(content),
            bool(found_markers),
            is_refusal(content),
        )
        return Side(
            content=content,
            found_lang=found_lang,
            off_target=differs and langid.is_off_target(text, prompt.lang, self._candidates),
            right=is_right(text, prompt),
            flags=tuple(compress(FLAGS, holds)) if any(holds) else (),
            markers=found_markers,
        )
