"""Accuracy on MGSM's problems.

mgsm: {source: data/sources/mgsm, languages: [en, es], max_new_tokens: 2048, style: native_cot, examples: 8}
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from msgspec.structs import replace

from lidr.config.evaluation import Generative
from lidr.config.section import Problem, WholeNumber
from lidr.evaluation.registry import Benchmark, Counts, is_truncated
from lidr.records import Answer, Prompt

if TYPE_CHECKING:
    from lidr.config import Settings

Style = Literal["paper", "paper_instructed", "native_cot", "en_cot"]

WITHOUT_WORDS = "no answer phrases known; read by English's and by the last number"


class Mgsm(Generative, frozen=True, kw_only=True):
    """Accuracy on grade-school problems."""

    style: Style = "paper"
    examples: WholeNumber = 0

    def problems(self, settings: Settings) -> list[Problem]:
        if self.examples and self.style not in ("native_cot", "en_cot"):
            return [(("mgsm", "examples"), f"the style {self.style!r} takes no examples; native_cot and en_cot do")]
        return []


class MgsmBenchmark(Benchmark):
    """Right or wrong answers, as the scorer `robust` reads them."""

    name, title = "mgsm", "MGSM"
    purpose = "Measure a model's accuracy on grade-school problems."
    section, record, rank = Mgsm, Answer, 1
    counts: ClassVar[Counts] = {
        "off_target": lambda answer: answer.off_target,
        "unparseable": lambda answer: not answer.parsed,
        "truncated": is_truncated,
    }

    def prompts(self, settings: Settings) -> list[Prompt]:
        """The bare questions, whatever the style adds to them."""
        plain = replace(settings.block(Mgsm), style="paper", examples=0)
        prompts: list[Prompt] = self.stage().prompts(replace(settings, mgsm=plain))
        return prompts

    def notes(self, settings: Settings) -> list[str]:
        from lidr.records.langid import is_supported

        mgsm = settings.block(Mgsm)
        # Answers in `en_cot` are asked for in English.
        unknown = [lang for lang in mgsm.languages if mgsm.style != "en_cot" and not is_supported(lang)]
        return [
            *(f"{lang}: {WITHOUT_WORDS}" for lang in without_words(mgsm)),
            *(f"{lang}: off-target answers not counted; py3langid does not know the language" for lang in unknown),
        ]


def without_words(mgsm: Mgsm) -> list[str]:
    """The languages whose answers are read by English's phrases and by the last number alone."""
    from lidr.evaluation.mgsm.extraction.words import has_words

    return [lang for lang in mgsm.languages if not has_words(lang)]


BENCHMARK = MgsmBenchmark()
