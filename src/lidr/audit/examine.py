"""The one place where the audit looks at texts: from a story to the facts of its pairs.

    >>> [facts.outcome for facts in Examiner(settings).facts(story)]
    [<Outcome.CHOSEN_ONLY: 'chosen_only'>, <Outcome.BOTH: 'both'>, ...]

The same text stands in many pairs of a story (the dominant answer is chosen once for every other language), so each
text is looked at once.
"""

from __future__ import annotations

from lidr import config, langid
from lidr.audit.facts import Facts, Side
from lidr.audit.reward import is_right
from lidr.audit.stories import Story, origins
from lidr.audit.text_quality import is_refusal, is_repeated, markers, near_identical
from lidr.records import FinishReason, Prompt, Response, Translation


class Examiner:
    """Finds the facts; `unsupported` holds the languages that identification does not know."""

    def __init__(self, settings: config.Settings) -> None:
        self._settings = settings
        self.unsupported = tuple(lang for lang in settings.all_languages if not langid.is_supported(lang))
        self._candidates = tuple(lang for lang in settings.all_languages if lang not in self.unsupported)

    def facts(self, story: Story) -> list[Facts]:
        """The facts of all pairs of a story, in their order."""
        seen: dict[tuple[str, str, str], Side] = {}
        found = []
        for pair in story.pairs:
            made_from = origins(story, pair.lang, pair.other_lang, pair.rule, self._settings.dominant)
            sides = []
            for messages, row in ((pair.chosen, made_from.chosen), (pair.rejected, made_from.rejected)):
                key = (messages[0].content, pair.lang, type(row).__name__)
                if key not in seen:
                    seen[key] = self._side(messages[0].content, row, story.prompts[pair.lang])
                sides.append(seen[key])
            chosen, rejected = sides
            found.append(Facts(pair, made_from, chosen, rejected, near_identical(chosen.text, rejected.text)))
        return found

    def _side(self, text: str, row: Response | Translation | None, prompt: Prompt) -> Side:
        found_lang = langid.identify(text, self._candidates) if self._candidates else None
        # Mostly the language that is expected; only else are the codes worth a second, slower look (zh-Hant is zh).
        differs = found_lang not in (None, prompt.lang) and prompt.lang in self._candidates
        return Side(
            text=text,
            tokens=row.completion_tokens if isinstance(row, Response) else None,
            found_lang=found_lang,
            off_target=differs and langid.is_off_target(text, prompt.lang, self._candidates),
            right=is_right(text, prompt),
            truncated=row is not None and row.finish_reason is FinishReason.LENGTH,
            repeated=is_repeated(text),
            markers=markers(text),
            refusal=is_refusal(text),
        )
