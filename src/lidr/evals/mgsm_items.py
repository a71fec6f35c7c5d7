"""MGSM's problems: reading the published files into the same items, and rendering the prompts.

    >>> load_items(Path("mgsm_en.jsonl"), "en")[1]
    Item(id='mgsm-1', lang='en', question='A robe takes 2 bolts of blue fiber ...', gold=3, solution=None)

Three layouts are read, one row a problem:

- MathOctopus's JSON lines:  {"query": "A robe takes ...", "response": "3"}
- the Hub's rows as JSON lines:  {"question": "A robe takes ...", "answer": null, "answer_number": 3, ...}
- the Hub's TSV, without a heading:  A robe takes ...<tab>3

The problems are parallel: row i is the same one in each language, so an id is the row's number, and results are joined
by it. A row of either JSON layout may bring an `id` of its own; then all must. Files that are not as expected end in an
InputError with file and line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Literal, get_args

import msgspec

from lidr.errors import InputError
from lidr.evals.phrases import wording
from lidr.jsonl import read_rows
from lidr.languages import english_name
from lidr.records import Record

Style = Literal["paper", "paper_instructed", "native_cot", "en_cot"]
STYLES: tuple[str, ...] = get_args(Style)

# The paper's code can wrap a question in an instruction that names the answer's language twice; this wording is ours.
INSTRUCTED = (
    "Solve this problem. Think step by step and answer in {language}.\n\n{question}\n\nAnswer in {language} only."
)


class Item(msgspec.Struct, frozen=True):
    """One problem in one language.

    `solution` is there only in the Hub's train rows, which serve as examples: question and solution are then published
    with their headings ('Question: ...', 'Step-by-Step Answer: ... The answer is 11.').
    """

    id: str
    lang: str
    question: str
    gold: int
    solution: str | None = None


class MathOctopusRow(Record, frozen=True):
    """One line of MathOctopus's files."""

    query: str
    response: str | int
    id: str | int | None = None


class HubRow(Record, frozen=True):
    """One row of `juletxara/mgsm`."""

    question: str
    answer_number: int | float | str
    answer: str | None = None
    equation_solution: str | None = None
    id: str | int | None = None


# --- loading ---------------------------------------------------------------------------------------------------------


def load_items(path: Path, lang: str) -> list[Item]:
    """The file's problems in order; raises InputError for anything unexpected."""
    rows = _tsv_rows(path) if path.suffix == ".tsv" else _json_rows(path)
    items = [_item(row, index, lang, path) for index, row in enumerate(rows)]
    _check_ids(rows, path)
    _check_unique([item.id for item in items], "id", path)
    _check_unique([item.question for item in items], "question", path)
    return items


def _json_rows(path: Path) -> list[HubRow]:
    if '"query"' not in _first_line(path):
        return list(read_rows(path, HubRow))
    return [
        HubRow(question=row.query, answer_number=row.response, id=row.id) for row in read_rows(path, MathOctopusRow)
    ]


def _first_line(path: Path) -> str:
    if not path.is_file():
        raise InputError("no such file; MGSM's problems in JSON lines or TSV are expected", path)
    with path.open("rb") as file:
        return file.readline().decode("utf-8", errors="replace")


def _tsv_rows(path: Path) -> list[HubRow]:
    if not _first_line(path):
        raise InputError("the file is empty; one 'question<tab>answer' a line is expected", path)
    return [_tsv_row(line, path, number) for number, line in enumerate(_lines(path), start=1)]


def _lines(path: Path) -> list[bytes]:
    return path.read_bytes().removesuffix(b"\n").split(b"\n")


def _tsv_row(line: bytes, path: Path, number: int) -> HubRow:
    try:
        fields = line.decode("utf-8").rstrip("\r").split("\t")
    except UnicodeDecodeError as error:
        raise InputError(f"not UTF-8 at byte {error.start} of the line", path, number) from error
    if len(fields) != 2:
        raise InputError(f"{len(fields)} fields; 'question<tab>answer' is expected", path, number)
    return HubRow(question=fields[0], answer_number=fields[1])


def _item(row: HubRow, index: int, lang: str, path: Path) -> Item:
    if not row.question.strip():
        raise InputError("an empty question", path, index + 1)
    name = f"mgsm-{index}" if row.id is None else str(row.id)
    return Item(name, lang, row.question, _gold(row.answer_number, path, index + 1), row.answer)


def _gold(value: int | float | str, path: Path, line: int) -> int:
    """The whole number that '2,125', '2125', 2125 and 2125.0 stand for."""
    text = str(value).strip()
    if not re.fullmatch(r"-?([0-9]+|[0-9]{1,3}(,[0-9]{3})+)(\.0+)?", text):
        raise InputError(
            f"the gold answer {value!r} is no whole number; such as '18' or '2,125' is expected", path, line
        )
    return int(Decimal(text.replace(",", "")))


def _check_ids(rows: Sequence[HubRow], path: Path) -> None:
    for line, row in enumerate(rows, start=1):
        if (row.id is None) != (rows[0].id is None):
            raise InputError("some rows have an id and some do not; all or none are expected to", path, line)


def _check_unique(values: Sequence[str], what: str, path: Path) -> None:
    first_line: dict[str, int] = {}
    for line, value in enumerate(values, start=1):
        if value in first_line:
            raise InputError(
                f"the same {what} as in line {first_line[value]}: {value[:60]!r}; each is expected once", path, line
            )
        first_line[value] = line


def check_parallel(items_by_lang: Mapping[str, Sequence[Item]]) -> None:
    """Raise InputError unless all languages have the same ids, in the same order, with the same golds."""
    languages = list(items_by_lang)
    for lang in languages[1:]:
        _check_same(items_by_lang[languages[0]], items_by_lang[lang], languages[0], lang)


def _check_same(first: Sequence[Item], second: Sequence[Item], first_lang: str, second_lang: str) -> None:
    languages = f"{first_lang} and {second_lang}"
    if len(first) != len(second):
        raise InputError(f"{languages} have {len(first)} and {len(second)} problems; the same ones are expected")
    for one, other in zip(first, second, strict=True):
        if one.id != other.id:
            raise InputError(f"{languages} differ in their ids, first {one.id!r} and {other.id!r}")
        if one.gold != other.gold:
            raise InputError(f"{languages} differ in the gold answer of {one.id}: {one.gold} and {other.gold}")


# --- rendering -------------------------------------------------------------------------------------------------------


def render_prompt(item: Item, style: str, examples: Sequence[Item] = ()) -> str:
    """The text that a model is asked.

    - `paper`: the question alone; `paper_instructed`: within an instruction that names the answer's language.
    - `native_cot`, `en_cot`: as lm-evaluation-harness 0.4.13 renders them, after `examples` with their solutions; the
      reasoning is asked for in the item's language, or in English.
    """
    if style not in STYLES:
        raise InputError(f"no prompt style {style!r}; one of {', '.join(STYLES)} is expected")
    if style in ("native_cot", "en_cot"):
        return "".join(f"{_solved(example, style)}\n\n" for example in examples) + _asked(item, style)
    if examples:
        raise InputError(f"the prompt style {style!r} takes no examples; native_cot and en_cot do")
    if style == "paper":
        return item.question
    return INSTRUCTED.format(language=english_name(item.lang), question=item.question)


def stop_strings(lang: str, style: str) -> list[str]:
    """Where generation ends early: lm-evaluation-harness's strings for its own styles, none for the paper's."""
    if style in ("native_cot", "en_cot"):
        return [wording(lang).question, "</s>", "<|im_end|>"]
    return []


def _asked(item: Item, style: str) -> str:
    heading = "" if item.solution is not None else f"{wording(item.lang).question} "
    return f"{heading}{item.question}\n{wording(item.lang if style == 'native_cot' else 'en').steps}"


def _solved(example: Item, style: str) -> str:
    if example.solution is None:
        return f"{_asked(example, style)} {example.gold}"
    # The heading is cut off by length, as the harness does.
    solution = example.solution[len(wording(example.lang).steps) + 1 :]
    return f"{_asked(example, style)} {solution}"
