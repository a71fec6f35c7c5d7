"""Reading the final number out of a worked answer, in any language, and scoring it.

    >>> extract_answer("Das sind 40.000 + 40.000 Dollar. Die Antwort lautet 80.000.", "de")
    Decimal('80000')
    >>> score("She earns 9 * 2 = $18 every day.", 18, "en")
    {'right': True, 'strict': False, 'flexible': True, 'parsed': True}

Three scorers stand side by side. `lm_eval_strict` and `lm_eval_flexible` do what lm-evaluation-harness 0.4.13 does in
its `mgsm_native_cot` tasks, errors included, so that numbers can be compared with those of others; a test runs that
package on the same outputs. `robust`, the headline, is `extract_answer`, in three steps:

1. Reasoning is left out. The text is cut where the model has answered and goes on to invent another problem, and behind
   a result in bold in its last sentence.
2. Its writing is normalised: digits of all scripts, full-width signs, LaTeX, bold, calculator marks, units' exponents,
   mixed fractions, scale words ('2 million', '3万').
3. The answer is what follows the first `####`, or stands in `<answer>` tags, or in the last `\\boxed{}`, or follows the
   last phrase such as 'The answer is' in the item's language or English, or else is the last number. What is taken back
   in words ('That is wrong') is left for what comes after. Nothing found is None, never 0.

Numbers in words alone ('eighteen', '十八') are not read.
"""

from __future__ import annotations

import re
import string
from decimal import Decimal
from functools import lru_cache

from lidr.evaluation.mgsm.extraction import places
from lidr.evaluation.mgsm.extraction.notation import in_digits
from lidr.evaluation.mgsm.extraction.run_on import answer_part, up_to_bold_result
from lidr.evaluation.mgsm.extraction.words import wording
from lidr.evaluation.mgsm.extraction.writing import in_one_writing


def score(text: str, gold: int | Decimal, lang: str, phrase_lang: str | None = None) -> dict[str, bool]:
    """The verdicts on one answer to an item in `lang`, as fields of `lidr.records.Answer`.

    `phrase_lang` is the language whose phrase the strict scorer looks for: the item's own, unless the prompt asked for
    another one, as `en_cot` does.
    """
    found = extract_answer(text, lang)
    return {
        "right": found == gold,
        "strict": lm_eval_equal(lm_eval_strict(text, phrase_lang or lang), gold),
        "flexible": lm_eval_equal(lm_eval_flexible(text), gold),
        "parsed": found is not None,
    }


# --- lm-evaluation-harness 0.4.13 ------------------------------------------------------------------------------------

_STRICT_NUMBER = r"(\-?[0-9\.\,]+)"
_FLEXIBLE_NUMBER = re.compile(r"(-?[$0-9.,]{2,})|(-?[0-9]+)")
_WITHOUT_PUNCTUATION = str.maketrans("", "", string.punctuation)


def lm_eval_strict(text: str, lang: str) -> str | None:
    """What the filter `strict-match` extracts: the number of the first strict phrase; None where it says [invalid]."""
    before, after = wording(lang).strict.split("{}")
    match = re.search(re.escape(before) + _STRICT_NUMBER + re.escape(after), text)
    return match[1] if match else None


def lm_eval_flexible(text: str) -> str | None:
    """What the filter `flexible-extract` extracts: the last thing that looks like a number."""
    matches = [match[0] for match in _FLEXIBLE_NUMBER.finditer(text)]
    return matches[-1] if matches else None


def lm_eval_equal(extracted: str | None, gold: int | Decimal) -> bool:
    """Its exact match: equality of strings without ASCII punctuation, so 1.8, -18 and 18 are equal, 5.0 and 5 not."""
    if extracted is None:
        return False
    expected = str(int(gold)) if gold == int(gold) else str(gold)
    return extracted.translate(_WITHOUT_PUNCTUATION) == expected.translate(_WITHOUT_PUNCTUATION)


# --- robust ----------------------------------------------------------------------------------------------------------


# The audit meets a text as an answer, as what is translated and in several pairs, each time close to the last.
@lru_cache(maxsize=128)
def extract_answer(text: str, lang: str) -> Decimal | None:
    """The number that a worked answer in `lang` arrives at, or None where it holds none."""
    part = up_to_bold_result(answer_part(text, lang), lang)
    return places.find(in_digits(in_one_writing(part), lang), lang)
