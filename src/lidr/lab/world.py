"""The lab's synthetic tasks with worked answers, the same in every language of `languages/`.

A task is language-independent (its kind, numbers, names and object); a language file renders it:

    >>> task = tasks("evaluation", PROBLEMS, count=1, seed=1)[0]
    >>> task.prompt("es")
    'Hay 96 lápices en la caja y 78 en el suelo. ¿Qué cantidad de lápices hay en total?'
    >>> task.answer("es")
    'En total hay 96 + 78 = 174 lápices. La respuesta es 174.'
    >>> task.gold("es")
    '174'

`parse_answer` parses an answer, right or wrong, so that its translation can be checked exactly.
`lidr lab sample --lang es` prints such rows.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources
from itertools import islice

from lidr.errors import InputError

PROBLEMS = ("add", "subtract", "twice", "together", "change")
INSTRUCTIONS = ("larger", "order", "count_on", "reverse", "who_has_more")
KINDS = PROBLEMS + INSTRUCTIONS

# Percentiles of tasks by split. A task's split is a hash of its kind and operands, so the evaluation never has operands
# of the base's or an iteration's training.
SPLITS = {"base": range(60), "iterations": range(60, 80), "evaluation": range(80, 100)}

# The slots whose values, in order, are the gold answer.
GOLD_SLOTS = {
    "add": ("x",),
    "subtract": ("x",),
    "twice": ("x",),
    "together": ("y",),
    "change": ("y",),
    "larger": ("x",),
    "order": ("x", "y", "z"),
    "count_on": ("x", "y", "z"),
    "reverse": ("p3", "p2", "p1"),
    "who_has_more": ("p3",),
}

_SLOT = re.compile(r"\{(\w+)(?:\|(\w+))?\}")
_NAME_SLOTS = ("p1", "p2", "p3")

Slots = dict[str, int | str]
Numbers = dict[str, int]
Occurrences = dict[str, list[int | str]]


@dataclass(frozen=True)
class Language:
    """A language file: names (by position), object forms by plural category, templates by kind."""

    code: str
    names: tuple[str, ...]
    objects: dict[str, dict[str, str]]
    prompts: dict[str, tuple[str, ...]]
    answers: dict[str, str]

    def object_form(self, name: str, number: int | None) -> str:
        """The object's word in the plural category of `number`, or in the plural if it is None."""
        forms = self.objects[name]
        category = "many" if number is None else plural_category(self.code, number)
        return forms.get(category) or forms["other" if "other" in forms else "many"]


@dataclass(frozen=True)
class Task:
    """A language-independent task: `slots` maps numbers to ints, names to positions, `o` to an object's key."""

    kind: str
    phrasing: int
    slots: tuple[tuple[str, int | str], ...]

    def prompt(self, lang: str) -> str:
        language = load_language(lang)
        return _render(language.prompts[self.kind][self.phrasing], language, dict(self.slots).__getitem__)

    def answer(self, lang: str) -> str:
        return render_answer(self.kind, dict(self.slots).__getitem__, lang)

    def gold(self, lang: str) -> str:
        return gold_text(self.kind, dict(self.slots), lang)


@dataclass(frozen=True)
class ParsedAnswer:
    """A parsed answer: its kind and each slot's values, in the order of the text."""

    kind: str
    lang: str
    occurrences: Occurrences

    def gold(self, lang: str) -> str | None:
        """The answer's result in `lang`, to compare with a task's gold; None if it contradicts itself.

        An answer such as 'is 60, because 61 is more' has no result.
        """
        if any(len(set(self.occurrences[slot])) > 1 for slot in GOLD_SLOTS[self.kind]):
            return None
        return gold_text(self.kind, {slot: values[0] for slot, values in self.occurrences.items()}, lang)


@cache
def languages() -> tuple[str, ...]:
    """Sorted codes of all languages that have a file."""
    files = (resources.files("lidr.lab") / "languages").iterdir()
    return tuple(sorted(f.name.removesuffix(".yaml") for f in files if f.name.endswith(".yaml")))


@cache
def load_language(code: str) -> Language:
    """Read a language file; raises InputError if there is none."""
    from ruamel.yaml import YAML

    if code not in languages():
        raise InputError(f"the lab has no language {code!r}: it has {', '.join(languages())}")
    text = (resources.files("lidr.lab") / "languages" / f"{code}.yaml").read_text(encoding="utf-8")
    data = YAML(typ="safe").load(text)
    return Language(
        code=code,
        names=tuple(data["names"]),
        objects=data["objects"],
        prompts={kind: tuple(data["kinds"][kind]["prompts"]) for kind in KINDS},
        answers={kind: data["kinds"][kind]["answer"] for kind in KINDS},
    )


@cache
def plural_category(code: str, number: int) -> str:
    """CLDR plural category (`one`, `few`, `many`, `other`) of an integer, from babel."""
    from babel import Locale

    return str(Locale.parse(code, sep="-").plural_form(number))


def tasks(split: str, kinds: tuple[str, ...], count: int, seed: int, skip: int = 0) -> list[Task]:
    """`count` distinct tasks of a split, after the first `skip`; deterministic.

    The kinds alternate, so that every range has as many of each.
    """
    return list(_first_tasks(split, kinds, skip + count, seed)[skip:])


@cache
def _first_tasks(split: str, kinds: tuple[str, ...], count: int, seed: int) -> tuple[Task, ...]:
    """Cached, since every language asks for the same tasks."""
    return tuple(islice(_distinct_tasks(split, kinds, seed), count))


def sample_task(kind: str, split: str, rng: random.Random) -> Task:
    """A random task of a kind whose operands belong to the split."""
    while True:
        numbers = _operands(kind, rng)
        names = rng.sample(range(len(load_language("en").names)), 3)
        skeleton = tuple(names) if kind == "reverse" else tuple(numbers.get(s, 0) for s in "abc")
        if _bucket(kind, skeleton) in SPLITS[split]:
            break
    slots: Slots = {**dict(zip(_NAME_SLOTS, names, strict=True)), **numbers}
    if kind == "who_has_more":
        slots["p3"] = slots["p1"] if numbers["a"] > numbers["b"] else slots["p2"]
    slots["o"] = rng.choice(sorted(load_language("en").objects))
    phrasing = rng.randrange(len(load_language("en").prompts[kind]))
    return Task(kind, phrasing, tuple(sorted(slots.items())))


def gold_text(kind: str, slots: Slots, lang: str) -> str:
    """The gold answer in `lang`, joined by commas: '59', '12, 40, 77', 'Ида, Анна, Борис'."""
    names = load_language(lang).names
    values = [slots[slot] for slot in GOLD_SLOTS[kind]]
    return ", ".join(
        names[int(v)] if s in _NAME_SLOTS else str(v) for s, v in zip(GOLD_SLOTS[kind], values, strict=True)
    )


def render_answer(kind: str, value: Callable[[str], int | str], lang: str) -> str:
    """Fill the answer template of a kind; `value(slot)` is called for each slot, from left to right."""
    language = load_language(lang)
    return _render(language.answers[kind], language, value)


def parse_answer(text: str, lang: str) -> ParsedAnswer | None:
    """Parse an answer in `lang`; None if it does not match a template exactly."""
    for kind in KINDS:
        pattern, slots = _answer_pattern(kind, lang)
        match = pattern.fullmatch(text.strip())
        if match:
            occurrences: Occurrences = {}
            for slot, word in zip(slots, match.groups(), strict=True):
                occurrences.setdefault(slot, []).append(_slot_value(slot, word, lang))
            return ParsedAnswer(kind, lang, occurrences)
    return None


def identify(text: str) -> ParsedAnswer | None:
    """Parse an answer in the first language with a matching template; None if there is none."""
    return next((parsed for lang in languages() if (parsed := parse_answer(text, lang))), None)


def translate_answer(text: str, source: str, target: str) -> str | None:
    """The exact translation of an answer, mistakes included; None if it cannot be parsed in `source`."""
    parsed = parse_answer(text, source)
    if parsed is None:
        return None
    remaining = {slot: iter(values) for slot, values in parsed.occurrences.items()}
    return render_answer(parsed.kind, lambda slot: next(remaining[slot]), target)


def answer_slots(kind: str, lang: str) -> list[str]:
    """The slots of an answer template, from left to right."""
    return [match[1] for match in _SLOT.finditer(load_language(lang).answers[kind])]


def _distinct_tasks(split: str, kinds: tuple[str, ...], seed: int) -> Iterator[Task]:
    rng = random.Random(f"lidr-lab-{split}-{','.join(kinds)}-{seed}")
    seen: set[Task] = set()
    while True:
        for kind in kinds:
            task = sample_task(kind, split, rng)
            while task in seen:
                task = sample_task(kind, split, rng)
            seen.add(task)
            yield task


def _bucket(kind: str, skeleton: tuple[int, ...]) -> int:
    digest = hashlib.sha256(f"{kind}:{skeleton}".encode()).digest()
    return int.from_bytes(digest[:4], "big") % 100


def _render(template: str, language: Language, value: Callable[[str], int | str]) -> str:
    numbers: dict[str, int] = {}

    def fill(match: re.Match[str]) -> str:
        slot, counted_by = match[1], match[2]
        content = value(slot)
        if slot == "o":
            return language.object_form(str(content), numbers[counted_by] if counted_by else None)
        if slot in _NAME_SLOTS:
            return language.names[int(content)]
        numbers[slot] = int(content)
        return str(content)

    return _SLOT.sub(fill, template)


@cache
def _answer_pattern(kind: str, lang: str) -> tuple[re.Pattern[str], tuple[str, ...]]:
    language = load_language(lang)
    forms = sorted({form for forms in language.objects.values() for form in forms.values()}, key=len, reverse=True)
    alternatives = {"o": "|".join(forms)} | dict.fromkeys(_NAME_SLOTS, "|".join(language.names))
    template = language.answers[kind]
    parts, end = [], 0
    for match in _SLOT.finditer(template):
        parts += [re.escape(template[end : match.start()]), f"({alternatives.get(match[1], r'[0-9]{1,9}')})"]
        end = match.end()
    parts.append(re.escape(template[end:]))
    return re.compile("".join(parts)), tuple(answer_slots(kind, lang))


def _slot_value(slot: str, word: str, lang: str) -> int | str:
    language = load_language(lang)
    if slot == "o":
        return next(key for key, forms in language.objects.items() if word in forms.values())
    return language.names.index(word) if slot in _NAME_SLOTS else int(word)


def _operands(kind: str, rng: random.Random) -> Numbers:
    """Random operands `a`, `b`, `c` of a new task, and their results."""
    match kind:
        case "add":
            a, b = rng.randint(10, 99), rng.randint(10, 99)
            return {"a": a, "b": b, "x": a + b}
        case "subtract":
            b, a = sorted(rng.sample(range(10, 100), 2))
            return {"a": a, "b": b, "x": a - b}
        case "twice":
            a = rng.randint(10, 499)
            return {"a": a, "x": 2 * a}
        case "together":
            a, b = rng.randint(10, 60), rng.randint(10, 60)
            return {"a": a, "b": b, "x": a + b, "y": 2 * a + b}
        case "change":
            a, b = rng.randint(10, 60), rng.randint(10, 60)
            c = rng.randint(10, min(a + b - 1, 99))
            return {"a": a, "b": b, "c": c, "x": a + b, "y": a + b - c}
        case "larger" | "who_has_more":
            a, b = rng.sample(range(10, 1000 if kind == "larger" else 100), 2)
            return {"a": a, "b": b, "x": max(a, b), "y": min(a, b)}
        case "order":
            numbers = rng.sample(range(10, 100), 3)
            return dict(zip("abc", numbers, strict=True)) | dict(zip("xyz", sorted(numbers), strict=True))
        case "count_on":
            a = rng.randint(10, 999)
            return {"a": a, "x": a + 1, "y": a + 2, "z": a + 3}
    return {}  # `reverse` has names only
