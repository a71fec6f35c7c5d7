"""Which prompts an iteration gets, from the lab and from a folder of one's own."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from factories import ROOT, prompt

from lidr import config, paths
from lidr.errors import InputError
from lidr.jsonl import read_by_key, read_rows, write_rows
from lidr.records import Drop, Prompt
from lidr.stages import prompts

LANGUAGES = ("en", "es", "de")


def settings(source: str = "lab", per_iteration: int = 20, root: Path = ROOT) -> config.Settings:
    whole = config.load(root / "params.yaml")
    block = msgspec.structs.replace(whole.prompts, source=source, per_iteration=per_iteration)
    return msgspec.structs.replace(whole, languages=("es", "de"), prompts=block)


def files(iteration: str) -> dict[str, dict[str, Prompt]]:
    return {
        lang: {str(id): row for id, row in read_by_key(paths.prompt_file(iteration, lang), Prompt).items()}
        for lang in LANGUAGES
    }


# ---- the lab


@pytest.mark.usefixtures("root")
def test_lab_gives_the_same_tasks_in_every_language() -> None:
    assert prompts.run(settings(), "m1") == (20, [])
    by_language = files("m1")
    assert [list(rows) for rows in by_language.values()] == [[f"lab-{i}" for i in range(20)]] * 3
    assert {row.kind.value for row in by_language["es"].values()} == {"task"}
    assert by_language["es"]["lab-7"].source.name == "lab/iterations"
    assert by_language["es"]["lab-7"].source.row == 7
    assert by_language["es"]["lab-0"].answer == by_language["en"]["lab-0"].answer
    assert by_language["es"]["lab-0"].text != by_language["en"]["lab-0"].text


@pytest.mark.usefixtures("root")
def test_iterations_share_no_prompt() -> None:
    prompts.run(settings(), "m1")
    prompts.run(settings(), "m2")
    first, second = files("m1"), files("m2")
    assert list(second["en"]) == [f"lab-{i}" for i in range(20, 40)]
    for lang in LANGUAGES:
        assert not set(first[lang]) & set(second[lang])
        assert not {row.text for row in first[lang].values()} & {row.text for row in second[lang].values()}


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
    """One file a language; the row of a prompt is the number in its id."""
    for lang, listed in ids.items():
        write_rows(folder / f"{lang}.jsonl", [prompt(id, lang, row=int(id[1:])) for id in listed])


FOUR = ["p0", "p1", "p2", "p3"]


def test_own_prompts_are_taken_as_they_stand(root: Path) -> None:
    write(root / "own", dict.fromkeys(LANGUAGES, FOUR))
    assert prompts.run(settings("own", 2), "m1") == (2, [])
    assert prompts.run(settings("own", 2), "m2") == (2, [])
    assert list(files("m1")["es"].values()) == [prompt("p0", "es", row=0), prompt("p1", "es", row=1)]
    assert list(files("m2")["es"].values()) == [prompt("p2", "es", row=2), prompt("p3", "es", row=3)]


def test_prompt_that_a_language_lacks_is_dropped_from_all_and_listed(root: Path) -> None:
    write(root / "own", {"en": FOUR, "es": ["p0", "p2", "p3"], "de": FOUR})
    count, drops = prompts.run(settings("own", 4), "m1")
    assert count == 3
    assert [list(rows) for rows in files("m1").values()] == [["p0", "p2", "p3"]] * 3
    assert [msgspec.to_builtins(drop) for drop in drops] == [
        {
            "prompt_id": "p1",
            "lang": "es",
            "other_lang": "en",
            "stage": "prompts",
            "reason": "missing",
            "detail": "no prompt with this id",
        }
    ]
    assert list(read_rows(paths.prompts("m1") / paths.DROPS, Drop)) == drops


def test_prompt_that_the_dominant_language_lacks_is_dropped_too(root: Path) -> None:
    write(root / "own", {"en": ["p0", "p1"], "es": FOUR, "de": ["p0", "p1", "p2"]})
    count, drops = prompts.run(settings("own", 4), "m1")
    assert count == 2
    assert [(drop.prompt_id, drop.lang) for drop in drops] == [("p2", "en"), ("p3", "en"), ("p3", "de")]


def test_order_is_the_dominant_language_s(root: Path) -> None:
    write(root / "own", {"en": ["p2", "p0", "p1"], "es": ["p0", "p1", "p2"], "de": ["p1", "p2", "p0"]})
    prompts.run(settings("own", 4), "m1")
    assert [list(rows) for rows in files("m1").values()] == [["p2", "p0", "p1"]] * 3


def _no_file(folder: Path) -> None:
    (folder / "es.jsonl").unlink()


def _wrong_language(folder: Path) -> None:
    write_rows(folder / "es.jsonl", [prompt("p0", "es"), prompt("p1", "de")])


def _empty_text(folder: Path) -> None:
    write_rows(folder / "es.jsonl", [prompt("p0", "es"), prompt("p1", "es", " \n")])


def _out_of_range(folder: Path) -> None:
    write_rows(folder / "es.jsonl", [prompt("p0", "es", row=7), prompt("p1", "es", row=8)])


def _twice(folder: Path) -> None:
    write_rows(folder / "es.jsonl", [prompt("p0", "es"), prompt("p0", "es")])


def _empty(folder: Path) -> None:
    (folder / "es.jsonl").write_text("")


def _other_ids(folder: Path) -> None:
    write_rows(folder / "es.jsonl", [prompt("q0", "es"), prompt("q1", "es")])


BAD = {
    "missing file": (_no_file, "own/es.jsonl: no prompts in 'es'; one JSONL file for each language is expected"),
    "wrong language": (_wrong_language, "own/es.jsonl:2: a prompt in 'de'; 'es' is expected in this file"),
    "no text": (_empty_text, "own/es.jsonl:2: the prompt 'p1' has no text"),
    "no row in range": (_out_of_range, "own/es.jsonl: no row from 0 to 3; the file has 2 prompts"),
    "id twice": (_twice, "own/es.jsonl:2: a second row with the id 'p0'; ids are expected once each"),
    "empty file": (_empty, "own/es.jsonl: the file is empty; one JSON object a line is expected"),
    "nothing in all languages": (_other_ids, "no prompt of 'own' is there in all languages for m1"),
}


@pytest.mark.parametrize(("spoil", "expected"), BAD.values(), ids=BAD.keys())
def test_bad_source_is_named_and_the_old_prompts_stay(root: Path, spoil: object, expected: str) -> None:
    write(root / "own", dict.fromkeys(LANGUAGES, FOUR))
    prompts.run(settings("own", 4), "m1")
    before = {path: path.read_bytes() for path in paths.prompts("m1").iterdir()}
    spoil(root / "own")  # type: ignore[operator]
    with pytest.raises(InputError) as caught:
        prompts.run(settings("own", 4), "m1")
    assert str(caught.value) == expected
    assert {path: path.read_bytes() for path in paths.prompts("m1").iterdir()} == before


def test_source_that_is_no_folder(root: Path) -> None:
    assert root.is_dir()
    with pytest.raises(InputError) as caught:
        prompts.run(settings("nowhere"), "m1")
    assert str(caught.value) == "nowhere/en.jsonl: no prompts in 'en'; one JSONL file for each language is expected"
