"""MGSM's problems: reading the published files into the same prompts, and rendering the prompts.

    Prompt(id='mgsm-1', lang='en', text='A robe takes 2 bolts of blue fiber ...', ..., answer='3')

One row is a problem, in JSON lines, one JSON list or tab-separated values (`lidr.records.published`). Its question is
in `query` or `question`, its gold answer in `answer_number`, `response`, or `answer`:

- MathOctopus:      {"query": "A robe takes ...", "response": "3"}
- MGSM on the Hub:  {"question": "A robe takes ...", "answer": null, "answer_number": 3, ...}; AfriMGSM has the same as
  TSV with a heading
- MGSM as TSV, without a heading:  A robe takes ...<tab>3
- MSVAMP:           {"m_query": "A box holds ...", "response": "145.0"}
- GSM8K:            {"question": "A robe takes ...", "answer": "It takes 2/2=<<2/2=1>>1 bolt ...\\n#### 3"}

The problems are parallel: row i is the same one in each language, so an id is the row's number, and results are joined
by it. A row may bring an `id` of its own; then all must. Files that are not as expected end in an InputError with file
and line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

from lidr.errors import InputError, short
from lidr.evaluation.mgsm import Style
from lidr.evaluation.mgsm.extraction.words import wording
from lidr.evaluation.mgsm.golds import read_gold
from lidr.records import Prompt, PromptKind, Source
from lidr.records.languages import english_name
from lidr.records.published import Row, check_unique, own_ids, read

# The paper's code can wrap a question in an instruction that names the answer's language twice; this wording is ours.
INSTRUCTED = (
    "Solve this problem. Think step by step and answer in {language}.\n\n{question}\n\nAnswer in {language} only."
)


class Solved(NamedTuple):
    """A solved problem before a question.

    Where there is a `solution`, as in the Hub's train rows, question and solution are published with their headings
    ('Question: ...', 'Step-by-Step Answer: ... The answer is 11.').
    """

    problem: Prompt
    solution: str | None = None


# --- loading ---------------------------------------------------------------------------------------------------------

_QUESTIONS = ("query", "question", "m_query", "1")  # 1 and 2: the columns of a table without a heading
_GOLDS = ("answer_number", "response", "answer", "2")


def load_items(path: Path, lang: str) -> list[Prompt]:
    """The file's problems in order; raises InputError for anything unexpected."""
    return [example.problem for example in load_examples(path, lang)]


def load_examples(path: Path, lang: str) -> list[Solved]:
    """The same with the solutions of the rows."""
    rows = read(path)
    ids = own_ids(rows) or [f"mgsm-{index}" for index in range(len(rows))]
    examples = [
        _example(row, lang, name, Source(name=path.name, row=index))
        for index, (row, name) in enumerate(zip(rows, ids, strict=True))
    ]
    check_unique([example.problem.text for example in examples], rows, "question")
    return examples


def _example(row: Row, lang: str, name: str, source: Source) -> Solved:
    text = row.text(_first(row, _QUESTIONS, "question"))
    field = _first(row, _GOLDS, "gold answer")
    problem = Prompt(
        id=name, lang=lang, text=text, source=source, kind=PromptKind.TASK, answer=str(_gold(row, field, lang))
    )
    return Solved(problem, row.text("answer") if field == "answer_number" and row.has("answer") else None)


def _first(row: Row, names: Sequence[str], what: str) -> str:
    """The first of these fields that the row has a value in."""
    found = next((name for name in names if row.has(name)), None)
    if found is None:
        if "1" in row.values:
            raise row.error(f"{len(row.values)} fields; 'question<tab>answer' is expected")
        there = ", ".join(f"{name} is null" if value is None else name for name, value in row.values.items())
        raise row.error(f"no {what}: {', '.join(names[:-1])} is expected; there are {there}")
    return found


def _gold(row: Row, field: str, lang: str) -> int:
    """The whole number that '2,125', '2 125', '$2125', 2125.0, 'two thousand ... #### 2125' stand for."""
    value = row.answer(field)
    found = read_gold(value, lang) if isinstance(row.values[field], str) else Decimal(value)
    if found is None or found != int(found):
        raise row.error(
            f"the gold answer {short(value)} is no whole number, or may be one of two; "
            "such as '18' or '2,125' is expected"
        )
    return int(found)


def check_parallel(items_by_lang: Mapping[str, Sequence[Prompt]]) -> None:
    """Raise InputError unless all languages have the same ids, in the same order, with the same golds."""
    for lang, own in items_by_lang.items():
        first_lang, first = next(iter(items_by_lang.items()))
        languages = f"{first_lang} and {lang}"
        if len(first) != len(own):
            raise InputError(f"{languages} have {len(first)} and {len(own)} problems; the same ones are expected")
        for one, other in zip(first, own, strict=True):
            if one.id != other.id:
                raise InputError(f"{languages} differ in their ids, first {one.id!r} and {other.id!r}")
            if one.answer != other.answer:
                raise InputError(f"{languages} differ in the gold answer of {one.id}: {one.answer} and {other.answer}")


# --- rendering -------------------------------------------------------------------------------------------------------


def render_prompt(item: Prompt, style: Style, examples: Sequence[Solved] = ()) -> str:
    """The text that a model is asked.

    - `paper`: the question alone; `paper_instructed`: within an instruction that names the answer's language.
    - `native_cot`, `en_cot`: as lm-evaluation-harness 0.4.13 renders them, after `examples` with their solutions; the
      reasoning is asked for in the item's language, or in English.
    """
    if style == "paper":
        return item.text
    if style == "paper_instructed":
        return INSTRUCTED.format(language=english_name(item.lang), question=item.text)
    own = wording(item.lang)
    steps = own.steps if style == "native_cot" else wording("en").steps
    solved = [
        f"{own.question} {problem.text}\n{steps} {problem.answer}"
        if solution is None
        # The heading of the solution is cut off by length, as the harness does.
        else f"{problem.text}\n{steps} {solution[len(own.steps) + 1 :]}"
        for problem, solution in examples
    ]
    return "\n\n".join([*solved, f"{own.question} {item.text}\n{steps}"])


def stop_strings(lang: str, style: Style) -> list[str]:
    """Where generation ends early: lm-evaluation-harness's strings for its own styles, none for the paper's."""
    if style in ("native_cot", "en_cot"):
        return [wording(lang).question, "</s>", "<|im_end|>"]
    return []
