"""The lab's tasks: the same in every language, with right answers and disjoint splits."""

from __future__ import annotations

import random
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path

import pytest

from lidr.errors import InputError
from lidr.lab import source, world

LANGUAGES = world.languages()
SLOT = re.compile(r"\{(\w+)(?:\|\w+)?\}")
FILES = Path(str(resources.files("lidr.lab"))) / "languages"


def tasks(count: int, kinds: tuple[str, ...] = world.KINDS, split: str = "base") -> list[world.Task]:
    return world.tasks(split, kinds, count, seed=11)


# ---- the language files


@pytest.mark.parametrize("lang", LANGUAGES)
def test_language_file_is_complete(lang: str) -> None:
    language, english = world.load_language(lang), world.load_language("en")
    assert list(language.prompts) == list(language.answers) == list(world.KINDS)
    assert {kind: len(prompts) for kind, prompts in language.prompts.items()} == dict.fromkeys(world.KINDS, 2)
    assert set(language.objects) == set(english.objects)
    assert len(set(language.names)) == len(language.names) == len(english.names)
    for kind in world.KINDS:
        assert Counter(world.answer_slots(kind, lang)) == Counter(world.answer_slots(kind, "en"))
        for ours, theirs in zip(language.prompts[kind], english.prompts[kind], strict=True):
            assert set(SLOT.findall(ours)) == set(SLOT.findall(theirs))


@pytest.mark.parametrize(
    ("lang", "number", "word"),
    [
        ("en", 1, "apple"),
        ("es", 1, "manzana"),
        ("ru", 21, "яблоко"),
        ("ru", 22, "яблока"),
        ("ru", 11, "яблок"),
        ("fr", 12, "pommes"),
    ],
)
def test_object_takes_the_form_of_its_number(lang: str, number: int, word: str) -> None:
    assert world.load_language(lang).object_form("apple", number) == word


# ---- gold answers, computed again from what is asked

ARITHMETIC: dict[str, Callable[..., int]] = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "twice": lambda a: 2 * a,
    "together": lambda a, b: a + (a + b),
    "change": lambda a, b, c: a + b - c,
}


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("kind", world.PROBLEMS)
def test_gold_is_what_the_numbers_of_the_problem_give(kind: str, lang: str) -> None:
    for task in tasks(60, (kind,)):
        numbers = [int(number) for number in re.findall(r"\d+", task.prompt(lang))]
        assert task.gold(lang) == str(ARITHMETIC[kind](*numbers)), task.prompt(lang)
        assert int(task.gold(lang)) > 0


# From the numbers and names of an instruction, in its order.
EXPECTED: dict[str, Callable[[list[int], list[str]], str]] = {
    "larger": lambda numbers, names: str(max(numbers)),
    "order": lambda numbers, names: ", ".join(map(str, sorted(numbers))),
    "count_on": lambda numbers, names: ", ".join(str(numbers[0] + i) for i in (1, 2, 3)),
    "reverse": lambda numbers, names: ", ".join(names[::-1]),
    "who_has_more": lambda numbers, names: names[numbers.index(max(numbers))],
}


@pytest.mark.parametrize("lang", LANGUAGES)
def test_gold_of_instructions(lang: str) -> None:
    for task in tasks(200, world.INSTRUCTIONS):
        text = task.prompt(lang)
        numbers = [int(number) for number in re.findall(r"\d+", text)]
        names = re.findall("|".join(world.load_language(lang).names), text)
        assert task.gold(lang) == EXPECTED[task.kind](numbers, names), text


# ---- splits


def operands(task: world.Task) -> tuple[object, ...]:
    slots = dict(task.slots)
    names = ("p1", "p2", "p3") if task.kind == "reverse" else ("a", "b", "c")
    return (task.kind, *(slots.get(name) for name in names))


def test_splits_share_no_operands() -> None:
    found = {split: {operands(task) for task in tasks(3000, split=split)} for split in world.SPLITS}
    assert not found["base"] & found["iterations"]
    assert not found["base"] & found["evaluation"]
    assert not found["iterations"] & found["evaluation"]
    assert all(len(by_split) > 1000 for by_split in found.values())


def test_tasks_are_distinct_and_kinds_take_turns() -> None:
    drawn = tasks(1000)
    assert len(set(drawn)) == 1000
    assert [task.kind for task in drawn[:20]] == [*world.KINDS, *world.KINDS]


def test_ranges_of_tasks_are_parts_of_one_list() -> None:
    whole = world.tasks("iterations", world.KINDS, 60, seed=3)
    assert world.tasks("iterations", world.KINDS, 20, seed=3) == whole[:20]
    assert world.tasks("iterations", world.KINDS, 40, seed=3, skip=20) == whole[20:]
    assert world.tasks("iterations", world.KINDS, 60, seed=4) != whole


# ---- reading answers back


@pytest.mark.parametrize("lang", LANGUAGES)
def test_answer_is_read_back_as_it_was_written(lang: str) -> None:
    for task in tasks(300):
        text = task.answer(lang)
        parsed = world.parse_answer(text, lang)
        assert parsed is not None, text
        assert (parsed.kind, parsed.lang, parsed.gold(lang)) == (task.kind, lang, task.gold(lang))
        values = {slot: iter(found) for slot, found in parsed.occurrences.items()}
        assert world.render_answer(task.kind, lambda slot, of=values: next(of[slot]), lang) == text


@pytest.mark.parametrize("target", [lang for lang in LANGUAGES if lang != "en"])
def test_translation_is_exact_there_and_back(target: str) -> None:
    for task in tasks(200):
        english = task.answer("en")
        there = world.translate_answer(english, "en", target)
        assert there == task.answer(target)
        assert world.translate_answer(there, target, "en") == english


def test_translation_keeps_mistakes() -> None:
    wrong = "In total there are 12 + 13 = 26 apples. The answer is 27."
    assert world.translate_answer(wrong, "en", "es") == "En total hay 12 + 13 = 26 manzanas. La respuesta es 27."


@pytest.mark.parametrize(
    "text",
    [
        "",
        "25",
        "In total there are 12 + 13 = 25 apples.",
        "In total there are 12 + 13 = 25 pears. The answer is 25.",
        "in total there are 12 + 13 = 25 apples. The answer is 25.",
        "The larger number is ٣, because 9 is more than 8.",
    ],
)
def test_what_fits_no_template_is_not_read(text: str) -> None:
    assert world.parse_answer(text, "en") is None
    assert world.identify(text) is None
    assert world.translate_answer(text, "en", "es") is None


# ---- verdicts

RIGHT_EN, RIGHT_ES = (
    "The larger number is 61, because 61 is more than 34.",
    "El número mayor es 61, porque 61 es más que 34.",
)


@pytest.mark.parametrize(
    ("completion", "lang", "quality"),
    [
        (RIGHT_ES, "es", 1.0),
        (RIGHT_EN, "en", 1.0),
        (RIGHT_EN, "es", 0.5),
        (RIGHT_ES, "en", 0.5),
        (RIGHT_ES.replace("61", "60"), "es", 0.0),
        (RIGHT_ES.replace("61", "60", 1), "es", 0.0),
        (RIGHT_ES + " Sí.", "es", 0.0),
        ("61", "es", 0.0),
        ("", "es", 0.0),
        (f"  {RIGHT_ES}\n", "es", 1.0),
    ],
)
def test_quality(completion: str, lang: str, quality: float) -> None:
    assert source.quality(completion, "61", lang) == quality


@pytest.mark.parametrize("lang", LANGUAGES)
def test_worked_answers_are_of_full_quality_in_their_language(lang: str) -> None:
    for task in tasks(100):
        assert source.quality(task.answer(lang), task.gold(lang), lang) == 1
        if lang != "en" and world.parse_answer(task.answer("en"), lang) is None:
            assert source.quality(task.answer("en"), task.gold(lang), lang) == 0.5


# ---- one more language


@pytest.fixture
def language_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the folder of languages, which is read instead of the package's."""
    shutil.copytree(FILES, tmp_path / "languages")
    monkeypatch.setattr(world.resources, "files", lambda package: tmp_path)
    caches = (world.languages, world.load_language, world._answer_pattern)
    for cache in caches:
        cache.cache_clear()
    yield tmp_path / "languages"
    for cache in caches:
        cache.cache_clear()


def test_adding_a_language_is_one_file(language_files: Path) -> None:
    text = (language_files / "es.yaml").read_text("utf-8")
    (language_files / "sv.yaml").write_text(text.replace("La respuesta es", "Svaret är"), "utf-8")
    assert world.languages() == (*LANGUAGES, "sv")
    task = world.sample_task("add", "evaluation", random.Random(0))
    answer = task.answer("sv")
    assert answer.endswith(f"Svaret är {task.gold('sv')}.")
    assert world.translate_answer(answer, "sv", "en") == task.answer("en")
    assert source.quality(answer, task.gold("sv"), "sv") == 1.0
    assert [prompt.lang for prompt in source.prompts("evaluation", "sv", 3, seed=1).values()] == ["sv"] * 3


def test_unknown_language_is_named() -> None:
    with pytest.raises(InputError, match=r"^the lab has no language 'xx': it has de, en, es, fr, it, pt, ru$"):
        world.load_language("xx")
