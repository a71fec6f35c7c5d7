"""What a model wrote, by id, and why a row has no text that a pair could be made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from lidr import config, paths
from lidr.records import DropReason, FinishReason, Prompt, Response, Score, Translation, response_name, translation_name
from lidr.records.jsonl import read_by_key, read_samples, read_scores


class NoPair(NamedTuple):
    """Why a pair is not made: a side has no text that can be used, or a filter objects."""

    reason: str
    detail: str


class Origin(NamedTuple):
    """A kind of row: a sample of the own answer in `lang`, or the translation into it of the answer in `source`."""

    lang: str
    source: str | None = None
    sample: int = 0

    def name(self, prompt_id: str) -> str:
        """The row of one prompt, as `Pair.chosen_from` and `Pair.rejected_from` have it."""
        if self.source is None:
            return response_name(prompt_id, self.lang, self.sample)
        return translation_name(prompt_id, self.source, self.lang)


@dataclass(frozen=True)
class Texts:
    """What a model wrote, by (language or direction, id). `responses` are the first samples."""

    prompts: Mapping[str, dict[str, Prompt]]
    responses: Mapping[str, dict[str, Response]]
    translations: Mapping[tuple[str, str], dict[str, Translation]]
    samples: Mapping[str, dict[str, tuple[Response, ...]]] = field(default_factory=dict)
    scores: Mapping[str, dict[str, tuple[Score, ...]]] = field(default_factory=dict)

    def text(self, prompt_id: str, origin: Origin) -> str | NoPair:
        """The text of a row, or why it has none that a pair could be made of."""
        if origin.source is None:
            return self._own(origin.lang, prompt_id, origin.sample)
        original = self._own(origin.source, prompt_id)
        return original if isinstance(original, NoPair) else self._translated(origin.source, origin.lang, prompt_id)

    def translated(self, prompt_id: str, origin: Origin) -> str | None:
        """The text that the row translates; None where it is an own answer."""
        return None if origin.source is None else self.responses[origin.source][prompt_id].text

    def _own(self, lang: str, prompt_id: str, sample: int = 0) -> str | NoPair:
        if prompt_id not in self.prompts[lang]:
            return NoPair(DropReason.MISSING, f"no prompt in {lang}")
        response = self.responses[lang].get(prompt_id)
        if response is None:
            return NoPair(DropReason.MISSING, f"no answer in {lang}")
        if sample:
            response = self.samples[lang][prompt_id][sample]
        return usable_text(response.text, response.finish_reason, f"the answer in {lang}")

    def _translated(self, source: str, target: str, prompt_id: str) -> str | NoPair:
        translation = self.translations[source, target].get(prompt_id)
        if translation is None:
            return NoPair(DropReason.MISSING, f"no translation from {source} to {target}")
        what = f"the translation from {source} to {target}"
        if translation.text is None and translation.finish_reason is FinishReason.STOP:
            return NoPair(DropReason.UNPARSED, f"{what} cannot be read from its tags")
        return usable_text(translation.text or "", translation.finish_reason, what, parsed=translation.text is not None)


def read(settings: config.Settings, data: str) -> Texts:
    """Read, by id, what the rule makes pairs of."""
    languages, dominant, reads = settings.all_languages, settings.dominant, settings.pairs.reads
    prompts = {lang: read_by_key(paths.prompt_file(data, lang), Prompt) for lang in languages}
    samples = {lang: read_samples(paths.response_file(data, lang)) for lang in languages}
    translations = {}
    if reads("translations"):
        for way in [way for lang in settings.languages for way in ((dominant, lang), (lang, dominant))]:
            translations[way] = read_by_key(paths.translation_file(data, *way), Translation, may_be_empty=True)
    scores = {lang: read_scores(paths.score_file(data, lang)) if reads("scores") else {} for lang in languages}
    responses = {lang: {name: rows[0] for name, rows in by_id.items()} for lang, by_id in samples.items()}
    return Texts(prompts, responses, translations, samples, scores)


def usable_text(text: str, finish_reason: FinishReason, what: str, parsed: bool = False) -> str | NoPair:
    """The text, unless it was refused, cut off (a parsed translation is whole all the same) or is empty."""
    if finish_reason is FinishReason.REFUSED:
        return NoPair(
            DropReason.REFUSED,
            f"{what}: the request does not fit the model's context, or the server withholds the answer",
        )
    if finish_reason is FinishReason.OUT_OF_MEMORY:
        return NoPair(DropReason.OUT_OF_MEMORY, f"{what}: the request does not fit the device's memory")
    if finish_reason is FinishReason.LENGTH and not parsed:
        return NoPair(DropReason.TRUNCATED, f"{what} was cut off at the token limit")
    return text if text.strip() else NoPair(DropReason.EMPTY, f"{what} is empty")
