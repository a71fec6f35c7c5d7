"""Which prompts an iteration gets, from the lab and from a user's folder."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import datasets
import msgspec
import pytest
from factories import ROOT, prompt
from msgspec import UNSET

from lidr import config, paths
from lidr.errors import InputError, LidrError
from lidr.prompts import stage as prompts
from lidr.prompts.translation_requests import is_request
from lidr.records import Drop, Prompt, PromptKind, Source
from lidr.records.jsonl import read_by_key, read_rows, write_rows

LANGUAGES = ("en", "es", "de")


def settings(source: str = "lab", per_iteration: int = 20, root: Path = ROOT, **values: Any) -> config.Settings:
    whole = config.load(root / "params.yaml")
    block = msgspec.structs.replace(whole.prompts, source=source, per_iteration=per_iteration, **values)
    return msgspec.structs.replace(whole, languages=("es", "de"), prompts=block)


def files(iteration: str, *languages: str) -> dict[str, dict[str, Prompt]]:
    return {lang: read_by_key(paths.prompt_file(iteration, lang), Prompt) for lang in languages or LANGUAGES}


# ---- the lab


@pytest.mark.usefixtures("root")
def test_lab_gives_the_same_tasks_in_every_language() -> None:
    taken = prompts.run(settings(), "m1")
    assert (taken.count, taken.drops, taken.duplicates, taken.translation_requests) == (20, [], [], 0)
    by_language = files("m1")
    assert [list(rows) for rows in by_language.values()] == [[f"lab-{i}" for i in range(20)]] * 3
    assert {row.kind.value for row in by_language["es"].values()} == {"task"}
    assert by_language["es"]["lab-7"].source.name == "lab/iterations"
    assert by_language["es"]["lab-7"].source.row == 7
    assert by_language["es"]["lab-0"].answer == by_language["en"]["lab-0"].answer
    assert by_language["es"]["lab-0"].text != by_language["en"]["lab-0"].text


@pytest.mark.usefixtures("root")
def test_same_seed_gives_the_same_bytes_and_another_one_others() -> None:
    prompts.run(settings(), "m1")
    before = paths.prompt_file("m1", "de").read_bytes()
    prompts.run(settings(), "m1")
    assert paths.prompt_file("m1", "de").read_bytes() == before
    prompts.run(msgspec.structs.replace(settings(), seed=43), "m1")
    assert paths.prompt_file("m1", "de").read_bytes() != before


@pytest.mark.usefixtures("root")
def test_language_that_the_lab_lacks() -> None:
    with pytest.raises(InputError, match=r"^the lab has no language 'sv': it has de, en, es, fr, it, pt, ru$"):
        prompts.run(msgspec.structs.replace(settings(), languages=("sv",)), "m1")
    assert not paths.prompts("m1").exists()


# ---- a folder of one's own


def write(folder: Path, ids: dict[str, list[str]]) -> None:
    """Write one file per language; the row of a prompt is the number in its id."""
    for lang, listed in ids.items():
        write_rows(folder / f"{lang}.jsonl", [prompt(id, lang, row=int(id[1:])) for id in listed])


FOUR = ["p0", "p1", "p2", "p3"]


def test_own_prompts_are_taken_as_they_stand(root: Path) -> None:
    write(root / "own", dict.fromkeys(LANGUAGES, FOUR))
    assert prompts.run(settings("own", 2), "m1").count == 2
    assert prompts.run(settings("own", 2), "m2").count == 2
    assert list(files("m1")["es"].values()) == [prompt("p0", "es", row=0), prompt("p1", "es", row=1)]
    assert list(files("m2")["es"].values()) == [prompt("p2", "es", row=2), prompt("p3", "es", row=3)]


def test_prompt_that_a_language_lacks_is_dropped_from_all_and_listed(root: Path) -> None:
    write(root / "own", {"en": FOUR, "es": ["p0", "p2", "p3"], "de": FOUR})
    taken = prompts.run(settings("own", 4), "m1")
    assert taken.count == 3
    assert [list(rows) for rows in files("m1").values()] == [["p0", "p2", "p3"]] * 3
    assert [msgspec.structs.astuple(drop)[:6] for drop in taken.drops] == [
        ("p1", "es", "en", "prompts", "missing", "no prompt with this id")
    ]
    assert list(read_rows(paths.prompts("m1") / paths.DROPS, Drop)) == taken.drops


def test_order_is_the_dominant_language_s(root: Path) -> None:
    write(root / "own", {"en": ["p2", "p0", "p1"], "es": ["p0", "p1", "p2"], "de": ["p1", "p2", "p0"]})
    prompts.run(settings("own", 4), "m1")
    assert [list(rows) for rows in files("m1").values()] == [["p2", "p0", "p1"]] * 3


# ---- published rows: fields by their names, files in parts, ids or row numbers

INSTRUCTIONS = config.Fields(text="instruction", id="id", answer=None)
QUESTIONS = config.Fields(text="question", id=None, answer="gold")


def write_published(folder: Path, rows: dict[str, list[dict[str, Any]]]) -> None:
    for name, listed in rows.items():
        path = folder / f"{name}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(row) + "\n" for row in listed), "utf-8")


def row(number: int, text: str = "", **more: Any) -> dict[str, Any]:
    return {"id": f"a-{number}", "instruction": text or f"ask {number}", **more}


def test_parts_of_a_folder_are_one_source_in_the_order_of_their_numbers(root: Path) -> None:
    for lang in LANGUAGES:
        write_published(
            root / "own", {f"from_10/{lang}": [row(2), row(3)], f"from_9/{lang}": [row(0), row(1, other=5)]}
        )
    prompts.run(settings("own", 3, fields=INSTRUCTIONS), "m1")
    prompts.run(settings("own", 3, fields=INSTRUCTIONS), "m2")
    assert list(files("m1")["es"]) == ["a-0", "a-1", "a-2"]
    assert [p.source.row for p in files("m2")["de"].values()] == [3]
    assert files("m2")["de"]["a-3"] == Prompt(
        id="a-3",
        lang="de",
        text="ask 3",
        source=Source(name="own", row=3),
        kind=PromptKind.TASK,
    )


def test_rows_of_a_language_that_lacks_some_keep_their_iteration(root: Path) -> None:
    everything = [row(0), row(1), row(2), row(3)]
    write_published(root / "own", {"en": everything, "es": [row(0), row(2), row(3)], "de": [*everything, row(9)]})
    first = prompts.run(settings("own", 2, fields=INSTRUCTIONS), "m1")
    second = prompts.run(settings("own", 2, fields=INSTRUCTIONS), "m2")
    assert [(d.prompt_id, d.lang) for d in first.drops] == [("a-1", "es")]
    assert list(files("m2")["es"]) == ["a-2", "a-3"]
    assert [(d.prompt_id, d.lang) for d in second.drops] == [("a-9", "en"), ("a-9", "es")]


def test_rows_without_ids_are_joined_by_their_number(root: Path) -> None:
    for lang in LANGUAGES:
        write_published(root / "own", {lang: [{"question": f"{lang} {i}", "gold": i} for i in range(3)]})
    prompts.run(settings("own", 3, fields=QUESTIONS, answer_language="v1"), "m1")
    assert list(files("m1")["es"]) == ["own-0", "own-1", "own-2"]
    assert files("m1")["es"]["own-1"].answer == "1"
    assert files("m1")["es"]["own-1"].text == "Think step by step and answer in Spanish.\n\nes 1"
    assert files("m1")["en"]["own-1"].text == "Think step by step and answer in English.\n\nen 1"


# ---- files as they are published

CASES = ROOT / "tests/cases/prompt-files"
NO_IDS = config.Fields(text="instruction", id=None, answer=None)
X, X_AND_Y, WITH_INPUT = [("a", "x")], [("a", "x"), ("b", "y")], "Classify the following animals."
OTHER_ID = "no prompt of '{folder}' is there in all languages for m1: the first ids are 'en_0' in en, 'es_0' in es"
# The rows read, (id, text), the same in both languages; or the error, without the folder.
PUBLISHED: list[tuple[str, config.Fields, list[tuple[str, str]] | str]] = [
    (
        "alpaca_null_id",
        INSTRUCTIONS,
        "en.jsonl:1: id is null; a value is expected in each row (prompts.fields.id: null joins rows without ids by "
        "their number)",
    ),
    (
        "alpaca_with_input",
        INSTRUCTIONS,
        "en.jsonl:1: the field 'input' holds 'Oak, copper ore, elephant', without which the prompt may make no sense: "
        "name it in prompts.fields.input, which puts it after the text, or set that to null",
    ),
    (
        "alpaca_with_input",
        msgspec.structs.replace(INSTRUCTIONS, input="input"),
        [("a", f"{WITH_INPUT}\n\nOak, copper ore, elephant")],
    ),
    ("alpaca_with_input", msgspec.structs.replace(INSTRUCTIONS, input=None), [("a", WITH_INPUT)]),
    ("blank_last_line", INSTRUCTIONS, X_AND_Y),
    ("bom", INSTRUCTIONS, X),
    ("crlf", INSTRUCTIONS, X_AND_Y),
    ("float_id", INSTRUCTIONS, [("1", "x")]),
    ("infinity_elsewhere", INSTRUCTIONS, X),
    ("json_list", INSTRUCTIONS, X),
    (
        "lone_surrogate",
        INSTRUCTIONS,
        "en.jsonl:1: the field 'instruction' holds '\\ud83d', half of a surrogate pair, at character 6; "
        "repair the text or take it out",
    ),
    ("nan_elsewhere", INSTRUCTIONS, X),
    ("prefixed_ids", INSTRUCTIONS, f"{OTHER_ID}; prompts.fields.id: null joins parallel rows by number"),
    ("prefixed_ids", NO_IDS, [("prefixed_ids-0", "x"), ("prefixed_ids-1", "y")]),
    ("pretty_json_list", INSTRUCTIONS, X),
    ("answer_float_int2", msgspec.structs.replace(NO_IDS, answer="a"), [("answer_float_int2-0", "x")]),
    (
        "answer_null",
        msgspec.structs.replace(INSTRUCTIONS, answer="final_answer"),
        "en.jsonl:1: final_answer is null or blank in all rows; an answer is expected in some (prompts.fields.answer: "
        "null does without)",
    ),
    ("answer_null", INSTRUCTIONS, X),
    *(
        (name, msgspec.structs.replace(INSTRUCTIONS, text=field), f"en.jsonl:1: no field {field!r}; there are id, ")
        for name, field in (("bad_braces", "{0}"), ("bad_braces", "{lang"), ("bad_braces2", "{lang!r:>9}"))
    ),
]


def taken_from(folder: Path, fields: config.Fields) -> list[tuple[str, str]]:
    whole = msgspec.structs.replace(settings(str(folder), 2, fields=fields), languages=("es",))
    taken = [[(p.id, p.text) for p in rows.values()] for rows in prompts.run(whole, "m1").prompts.values()]
    assert taken[0] == taken[1]
    return taken[0]


@pytest.mark.usefixtures("root")
@pytest.mark.parametrize(("name", "fields", "expected"), PUBLISHED)
def test_published_file(name: str, fields: config.Fields, expected: list[tuple[str, str]] | str) -> None:
    folder = CASES / name
    if isinstance(expected, list):
        assert taken_from(folder, fields) == expected
    else:
        with pytest.raises(InputError) as caught:
            taken_from(folder, fields)
        message = expected.replace("{folder}", str(folder))
        assert str(caught.value).startswith(message if message.startswith("no prompt") else f"{folder}/{message}")


def test_some_rows_have_no_answer(root: Path) -> None:
    rows = [row(0, gold=None), row(1, gold=" "), row(2, gold=18.0)]
    write_published(root / "own", dict.fromkeys(LANGUAGES, rows))
    prompts.run(settings("own", 3, fields=config.Fields(text="instruction", id="id", answer="gold")), "m1")
    assert [p.answer for p in files("m1")["es"].values()] == [UNSET, UNSET, "18"]


@pytest.mark.usefixtures("root")
@pytest.mark.parametrize("case", ["bad_braces", "bad_braces2"])
@pytest.mark.parametrize("field", ["{", "}", "{0}", "{lang", "{language}", "{lang!r:>9}", "{lang.x}", "%s"])
def test_field_with_braces_is_a_name(case: str, field: str) -> None:
    with pytest.raises(InputError) as caught:
        taken_from(CASES / case, config.Fields(text=field, id="id", answer=None))
    assert str(caught.value) == (
        f"{CASES}/{case}/en.jsonl:1: no field {field!r}; there are id, instruction (see prompts.fields)"
    )


@pytest.mark.usefixtures("root")
def test_input_is_put_after_the_text_or_left_out() -> None:
    folder, text, given = CASES / "alpaca_with_input", "Classify the following animals.", "Oak, copper ore, elephant"
    named = config.Fields(text="instruction", id="id", answer=None, input="input")
    assert taken_from(folder, named) == [("a", f"{text}\n\n{given}")]
    left_out = config.Fields(text="instruction", id="id", answer=None, input=None)
    assert taken_from(folder, left_out) == [("a", text)]


def test_rows_may_have_an_input_or_none(root: Path) -> None:
    write_published(root / "own", {lang: [row(0, "x", input=""), row(1, "y", input=None)] for lang in ("en", "es")})
    for fields in (INSTRUCTIONS, msgspec.structs.replace(INSTRUCTIONS, input="input")):
        assert taken_from(root / "own", fields) == [("a-0", "x"), ("a-1", "y")]


def test_texts_with_braces_and_signs_pass_through(root: Path) -> None:
    text = "Fill {0}, {language} and {{x}} %s %(a)d ${y} \\1 }{"
    write_published(root / "own", {lang: [row(0, text)] for lang in LANGUAGES})
    prompts.run(settings("own", 1, fields=INSTRUCTIONS, answer_language="v1"), "m1")
    assert files("m1")["es"]["a-0"].text == f"Think step by step and answer in Spanish.\n\n{text}"


WRONG_ROWS = {
    "other gold": ([{"question": "x", "gold": 0}, {"question": "y", "gold": 7}], "row 1 has the answer '1' in en and"),
    "fewer rows": ([{"question": "x", "gold": 0}], "en has 2 prompts and es 1; rows without ids are joined by"),
    "no text": ([{"question": float("nan")}], "own/es.jsonl:1: the field 'question' holds nan; a text is expected"),
    "no such field": ([{"text": "x"}], "own/es.jsonl:1: no field 'question'; there are text (see prompts.fields)"),
}


@pytest.mark.parametrize(("rows", "expected"), WRONG_ROWS.values(), ids=WRONG_ROWS.keys())
def test_published_rows_that_are_not_as_expected(root: Path, rows: list[dict[str, Any]], expected: str) -> None:
    for lang in LANGUAGES:
        write_published(root / "own", {lang: [{"question": f"{lang} {i}", "gold": i} for i in range(2)]})
    write_published(root / "own", {"es": rows})
    with pytest.raises(InputError) as caught:
        prompts.run(settings("own", 2, fields=QUESTIONS), "m1")
    assert str(caught.value).startswith(expected)
    assert not paths.prompts("m1").exists()


def test_same_text_under_two_ids_is_kept_and_listed(root: Path) -> None:
    rows = [row(0, "Name a fruit."), row(1), row(2, "name  a fruit."), row(3, "Name a fruit.")]
    write_published(root / "own", dict.fromkeys(LANGUAGES, rows))
    assert prompts.run(settings("own", 2, fields=INSTRUCTIONS), "m1").duplicates == []
    taken = prompts.run(settings("own", 2, fields=INSTRUCTIONS), "m2")
    assert [(d.id, d.lang, d.same_as) for d in taken.duplicates if d.lang == "es"] == [
        ("a-2", "es", "a-0"),
        ("a-3", "es", "a-0"),
    ]
    assert taken.count == 2
    assert list(read_rows(paths.prompts("m2") / paths.DUPLICATES, prompts.Duplicate)) == taken.duplicates


def test_a_prompt_that_was_dropped_is_no_duplicate(root: Path) -> None:
    rows = [row(0, "Name a fruit."), row(1, "Name a fruit."), row(2, "Name a fruit."), row(3, "Name a fruit.")]
    write_published(root / "own", {"en": rows, "es": rows[1:3], "de": rows})
    taken = prompts.run(settings("own", 4, fields=INSTRUCTIONS), "m1")
    assert [(d.id, d.lang, d.same_as) for d in taken.duplicates] == [("a-2", lang, "a-1") for lang in LANGUAGES]


# ---- translation requests

REQUESTS = {
    "Translate the following phrase into French.\nI miss you": ("en", True),
    "How would you say 'cat' in Spanish? Give the translation.": ("en", True),
    "Given a sentence, translate it into a mathematical equation.": ("en", False),
    "Write an essay about French cuisine.": ("en", False),
    "Traduis cette phrase en allemand : bonjour": ("fr", True),
    "Übersetze den Satz ins Deutsche.": ("de", True),
    "Переведите фразу на французский язык.": ("ru", True),
    "Переведите на русский: I miss you": ("ru", True),
    "把这句话翻译成法语。": ("zh", True),
}


@pytest.mark.parametrize(("text", "lang", "expected"), [(text, *rest) for text, rest in REQUESTS.items()])
def test_translation_request_by_the_rule(text: str, lang: str, expected: bool) -> None:
    assert is_request(text, lang) is expected


def test_rule_needs_a_word_for_translate() -> None:
    with pytest.raises(InputError, match=r"^the rule for translation requests has no word for 'translate' in 'sw'"):
        is_request("Tafsiri sentensi hii.", "sw")


@pytest.mark.parametrize("by", ["rule", "own/ids.jsonl"])
def test_translation_requests_are_marked_in_every_language(root: Path, by: str) -> None:
    rows = [row(0), row(1, "Translate 'dog' to German."), row(2)]
    write_published(root / "own", {**dict.fromkeys(LANGUAGES, rows), "ids": [{"id": "a-1", "x": 1}, {"id": "a-77"}]})
    taken = prompts.run(settings("own", 3, fields=INSTRUCTIONS, translation_requests=by, answer_language="v1"), "m1")
    assert taken.translation_requests == 1
    for lang in LANGUAGES:
        assert [p.kind.value for p in files("m1")[lang].values()] == ["task", "translation", "task"]
        assert files("m1")[lang]["a-1"].text == "Translate 'dog' to German."


def test_list_of_ids_that_knows_none_of_the_prompts(root: Path) -> None:
    write_published(root / "own", {**{lang: [row(0)] for lang in LANGUAGES}, "ids": [{"id": "b-0"}]})
    with pytest.raises(InputError, match=r"^own/ids.jsonl: not one of these ids is that of a prompt"):
        prompts.run(settings("own", 1, fields=INSTRUCTIONS, translation_requests="own/ids.jsonl"), "m1")


# ---- the Hub


def on_hub(monkeypatch: pytest.MonkeyPatch, rows: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """A fake Hub with one dataset, whose subsets are `rows`; returns the requests to it."""
    asked: list[dict[str, Any]] = []

    def load_dataset(path: str, **options: Any) -> datasets.Dataset:
        asked.append({"path": path, **options})
        if options["name"] not in rows:
            raise ValueError(f"BuilderConfig '{options['name']}' not found.\nAvailable: ['en']")
        return datasets.Dataset.from_list(rows[options["name"]])

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    return asked


HUB = config.Hub(revision="0123abc", subset="{lang}", split="train")


@pytest.mark.usefixtures("root")
def test_dataset_of_the_hub_at_its_revision(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = {lang: [{"question": f"{lang} {i}", "gold": 10 * i} for i in range(4)] for lang in LANGUAGES}
    asked = on_hub(monkeypatch, rows)
    prompts.run(settings("hub:me/data", 2, fields=QUESTIONS, hub=HUB), "m2")
    assert asked[1] == {"path": "me/data", "name": "es", "split": "train", "revision": "0123abc"}
    assert [(p.id, p.text, p.answer) for p in files("m2")["es"].values()] == [
        ("me/data-2", "es 2", "20"),
        ("me/data-3", "es 3", "30"),
    ]


@pytest.mark.usefixtures("root")
def test_dataset_that_cannot_be_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    on_hub(monkeypatch, {"en": [{"question": "x", "gold": 1}]})
    with pytest.raises(LidrError) as caught:
        prompts.run(settings("hub:me/data", 2, fields=QUESTIONS, hub=HUB), "m1")
    assert str(caught.value).startswith(
        "the dataset 'me/data' at 0123abc could not be loaded: BuilderConfig 'es' not found.; check id, subset"
    )


@pytest.mark.usefixtures("root")
def test_row_of_a_dataset_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    on_hub(monkeypatch, {lang: [row(0), {"id": "b", "instruction": ""}] for lang in LANGUAGES})
    with pytest.raises(InputError) as caught:
        prompts.run(settings("hub:me/data", 2, fields=INSTRUCTIONS, hub=HUB), "m1")
    said = "hub:me/data (en, train): row 1: the field 'instruction' holds ''; a text is expected"
    assert str(caught.value).startswith(said)


@pytest.mark.usefixtures("root")
def test_columns_of_a_dataset_that_are_not_used_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = {lang: [{"id": 1.0, "q_" + lang: "x", "input": "", "bad": {"bytes": b"no picture"}}] for lang in LANGUAGES}

    def load_dataset(path: str, **options: Any) -> datasets.Dataset:
        found = datasets.Dataset.from_list(rows[options["name"]])
        return found.cast_column("bad", datasets.Image())

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    fields = config.Fields(text="q_{lang}", id="id", answer=None)
    prompts.run(settings("hub:me/data", 1, fields=fields, hub=HUB), "m1")
    assert [(p.id, p.text) for p in files("m1")["es"].values()] == [("1", "x")]
    with pytest.raises(InputError) as caught:
        absent = config.Fields(text="q_{lang}", id="key", answer=None)
        prompts.run(settings("hub:me/data", 1, fields=absent, hub=HUB), "m1")
    assert str(caught.value) == (
        "hub:me/data (en, train): no field 'key'; there are id, q_en, input, bad (see prompts.fields)"
    )


# ---- the paper's own prompts

PAPER = os.environ.get("LIDR_PAPER_DATA")


@pytest.mark.skipif(not PAPER, reason="LIDR_PAPER_DATA names no folder with the paper's prompts")
@pytest.mark.parametrize("by", ["rule", "translation_instructions.jsonl"])
@pytest.mark.usefixtures("root")
def test_the_papers_prompts(by: str) -> None:
    folder = Path(str(PAPER)) / "alpagasus"
    requests = by if by == "rule" else str(folder / by)
    whole = settings(str(folder), 1000, fields=INSTRUCTIONS, translation_requests=requests)
    whole = msgspec.structs.replace(whole, languages=("es", "ru", "de", "fr"))
    first, second = prompts.run(whole, "m1"), prompts.run(whole, "m2")
    assert (first.count, second.count) == (1000, 1000)
    assert (first.drops, second.drops) == ([], [])
    assert (list(first.prompts["de"])[-1], next(iter(second.prompts["ru"]))) == ("alpagasus-999", "alpagasus-1000")
    marked = [p.id for t in (first, second) for p in t.prompts["fr"].values() if p.kind is PromptKind.TRANSLATION]
    assert len(marked) == 17
    assert marked[:5] == ["alpagasus-19", "alpagasus-42", "alpagasus-343", "alpagasus-362", "alpagasus-539"]
