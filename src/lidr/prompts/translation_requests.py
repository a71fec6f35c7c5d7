"""Which prompts ask for a translation themselves: translating their answers would destroy them.

    >>> is_request("Translate the following phrase into French.\\nI miss you", "en")
    True
    >>> is_request("Given a sentence, translate it into a mathematical equation.", "en")
    False

They are known by a list of ids where there is one (the authors published theirs), else by a rule: in the dominant
language the prompt has a form of 'translate' and the name of a language. On the 2,000 prompts of the paper's two
iterations the rule finds exactly the 17 that the authors' list names.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from msgspec import structs

from lidr import config
from lidr.errors import InputError
from lidr.prompts.sources import ByLanguage
from lidr.records import PromptKind
from lidr.records.languages import language_names
from lidr.records.published import read

# The stem of 'translate' as a dominant language has it.
STEMS = {
    "de": r"\bübersetz",
    "en": r"\btranslat",
    "es": r"\b(traduc|traduz)",
    "fr": r"\b(tradui|traduc)",
    "it": r"\b(traduc|traduz|tradur)",
    "ja": "翻訳|訳し",
    "ko": "번역",
    "nl": r"\bverta(al|l)",
    "pt": r"\btradu",
    "ru": r"\bперев(ед|од|ест)",
    "zh": "翻译|翻譯|译成",
}


def mark(by_language: ByLanguage, dominant: str, by: str | None) -> ByLanguage:
    """The prompts with their kind: `by` is a file of ids, `rule`, or None where they stay as they are."""
    if by is None:
        return by_language
    known = by_language[dominant]
    if by == config.RULE:
        ids = {prompt_id for prompt_id, prompt in known.items() if is_request(prompt.text, dominant)}
    else:
        ids = {row.id("id", "; the id of a prompt is expected") for row in read(Path(by))}
        # A published file may list ids that we do not have, but not only such.
        if ids.isdisjoint(known):
            raise InputError("not one of these ids is that of a prompt; ids of prompts.source are expected", by)
    return {
        lang: {
            prompt_id: structs.replace(prompt, kind=PromptKind.TRANSLATION) if prompt_id in ids else prompt
            for prompt_id, prompt in prompts.items()
        }
        for lang, prompts in by_language.items()
    }


def is_request(text: str, lang: str) -> bool:
    """Whether a prompt in `lang` asks for a translation, by the rule; raises InputError where it has no stem."""
    if lang not in STEMS:
        raise InputError(
            f"the rule for translation requests has no word for 'translate' in {lang!r}: it has {', '.join(STEMS)}; "
            "name a file of ids in prompts.translation_requests, or null"
        )
    folded = text.casefold()
    return bool(re.search(STEMS[lang], folded)) and bool(_names(lang).search(folded))


@cache
def _names(lang: str) -> re.Pattern[str]:
    """Any language's name in `lang`; in languages that inflect names by what they begin with."""
    names = sorted((re.escape(name.casefold()) for name in language_names(lang)), key=len, reverse=True)
    if lang in ("ja", "ko", "zh"):
        return re.compile("|".join(names))
    if lang in ("de", "ru"):  # «ins Deutsche»; «русский», but «на русском»
        names = [re.sub(r"(ий|ый)$", "", name) for name in names]
        return re.compile(rf"\b({'|'.join(names)})")
    return re.compile(rf"\b({'|'.join(names)})\b")
