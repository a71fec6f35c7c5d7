"""Pairs made from answers, and the reason of each drop."""

from __future__ import annotations

import random
from pathlib import Path

import msgspec
import pytest
from factories import pair_settings as settings
from factories import prompt, response, translation
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from lidr import paths
from lidr.pairs import stage as pairs
from lidr.records import Drop, FinishReason, Pair, Prompt, Response, Translation
from lidr.records.jsonl import read_rows, write_rows

DOMINANT, OTHERS = "en", ("es", "de")
IDS = ("p1", "p2")


def texts(
    prompts: list[Prompt] | None = None,
    responses: list[Response] | None = None,
    translations: list[Translation] | None = None,
    ids: tuple[str, ...] = IDS,
) -> pairs.Texts:
    """A valid iteration, in which the given rows replace those with the same key."""
    languages = (DOMINANT, *OTHERS)
    directions = [d for lang in OTHERS for d in ((DOMINANT, lang), (lang, DOMINANT))]
    made = pairs.Texts(
        prompts={lang: {id: prompt(id, lang) for id in ids} for lang in languages},
        responses={lang: {id: response(id, lang) for id in ids} for lang in languages},
        translations={(a, b): {id: translation(id, a, b) for id in ids} for a, b in directions},
    )
    for row in prompts or []:
        made.prompts[row.lang][row.id] = row
    for row in responses or []:
        made.responses[row.lang][row.id] = row
    for row in translations or []:
        made.translations[row.source_lang, row.target_lang][row.id] = row
    return made


def table(made: list[Pair]) -> dict[str, tuple[str, str, str, str]]:
    """Pairs by id: (prompt, chosen, rejected, rule)."""
    return {p.id: (p.prompt[0].content, p.chosen[0].content, p.rejected[0].content, p.rule) for p in made}


def reasons(drops: list[Drop]) -> dict[str, tuple[str, str]]:
    """Drops by id: (reason, detail)."""
    return {f"{d.prompt_id}:{d.lang}:{d.other_lang}": (str(d.reason), d.detail) for d in drops}


def test_each_prompt_makes_a_pair_in_both_directions_for_each_language() -> None:
    made, drops = pairs.make(settings(), texts(ids=("p1",)))
    assert drops == []
    assert table(made) == {
        "p1:es:en": ("ask p1 es", "p1 from en to es", "answer p1 es", "translated_dominant"),
        "p1:en:es": ("ask p1 en", "answer p1 en", "p1 from es to en", "own_dominant"),
        "p1:de:en": ("ask p1 de", "p1 from en to de", "answer p1 de", "translated_dominant"),
        "p1:en:de": ("ask p1 en", "answer p1 en", "p1 from de to en", "own_dominant"),
    }


def test_a_pair_is_a_conversation_with_its_provenance() -> None:
    made, _ = pairs.make(settings(), texts(ids=("p1",)))
    assert msgspec.json.decode(msgspec.json.encode(made[0])) == {
        "id": "p1:es:en",
        "prompt": [{"role": "user", "content": "ask p1 es"}],
        "chosen": [{"role": "assistant", "content": "p1 from en to es"}],
        "rejected": [{"role": "assistant", "content": "answer p1 es"}],
        "prompt_id": "p1",
        "lang": "es",
        "other_lang": "en",
        "rule": "translated_dominant",
        "chosen_from": "translation:p1:en-es",
        "rejected_from": "response:p1:es",
    }


def test_translation_requests_are_not_translated() -> None:
    """Their dominant answer is the chosen one in the other language as well (method.md)."""
    asked = [prompt("p1", lang, kind="translation") for lang in (DOMINANT, *OTHERS)]
    made, drops = pairs.make(settings(), texts(prompts=asked, ids=("p1",)))
    assert drops == []
    assert table(made) == {
        "p1:es:en": ("ask p1 es", "answer p1 en", "answer p1 es", "untranslated"),
        "p1:en:es": ("ask p1 en", "answer p1 en", "answer p1 es", "untranslated"),
        "p1:de:en": ("ask p1 de", "answer p1 en", "answer p1 de", "untranslated"),
        "p1:en:de": ("ask p1 en", "answer p1 en", "answer p1 de", "untranslated"),
    }


LOOP = "ja " * 8
UNFIT = "the request does not fit the model's context, or the server withholds the answer"

# (defects, their drops); all else of the prompt p1 makes pairs.
DROPPED: dict[str, tuple[dict[str, list], dict[str, tuple[str, str]]]] = {
    "answer truncated": (
        {"responses": [response("p1", "es", finish="length")]},
        {
            "p1:es:en": ("truncated", "rejected: the answer in es was cut off at the token limit"),
            "p1:en:es": ("truncated", "rejected: the answer in es was cut off at the token limit"),
        },
    ),
    "dominant answer truncated": (
        {"responses": [response("p1", "en", finish="length")]},
        {
            f"p1:{pair}": ("truncated", "chosen: the answer in en was cut off at the token limit")
            for pair in ("es:en", "en:es", "de:en", "en:de")
        },
    ),
    "answer refused": (
        {"responses": [response("p1", "es", "", "refused")]},
        dict.fromkeys(
            ("p1:es:en", "p1:en:es"),
            ("refused", f"rejected: the answer in es: {UNFIT}"),
        ),
    ),
    "translation too large for the device": (
        {"translations": [translation("p1", "en", "es", None, "out_of_memory")]},
        {
            "p1:es:en": (
                "out_of_memory",
                "chosen: the translation from en to es: the request does not fit the device's memory",
            )
        },
    ),
    "translation unparsed": (
        {"translations": [translation("p1", "en", "es", None)]},
        {"p1:es:en": ("unparsed", "chosen: the translation from en to es cannot be read from its tags")},
    ),
    "translation empty": (
        {"translations": [translation("p1", "es", "en", " ")]},
        {"p1:en:es": ("empty", "rejected: the translation from es to en is empty")},
    ),
    "translation there is the own answer": (
        {"translations": [translation("p1", "en", "es", " answer p1 es\n")]},
        {"p1:es:en": ("identical", "chosen and rejected are the same text")},
    ),
    "chosen in a loop": (
        {"translations": [translation("p1", "en", "es", f"Respuesta: {LOOP}")]},
        {"p1:es:en": ("repeated", "chosen: the answer ends in a loop")},
    ),
    "both sides not well: the chosen one is named": (
        {
            "responses": [response("p1", "es", finish="length")],
            "translations": [translation("p1", "en", "es", None)],
        },
        {
            "p1:es:en": ("unparsed", "chosen: the translation from en to es cannot be read from its tags"),
            "p1:en:es": ("truncated", "rejected: the answer in es was cut off at the token limit"),
        },
    ),
}


@pytest.mark.parametrize(("rows", "expected"), DROPPED.values(), ids=DROPPED.keys())
def test_drop_has_its_reason(rows: dict[str, list], expected: dict[str, tuple[str, str]]) -> None:
    made, drops = pairs.make(settings(), texts(**rows, ids=("p1",)))
    assert reasons(drops) == expected
    assert {p.id for p in made} == {"p1:es:en", "p1:en:es", "p1:de:en", "p1:en:de"} - set(expected)


@pytest.mark.parametrize(
    ("table_of_rows", "key", "expected"),
    [
        ("responses", "es", {"p1:es:en": "rejected: no answer in es", "p1:en:es": "rejected: no answer in es"}),
        ("translations", ("en", "es"), {"p1:es:en": "chosen: no translation from en to es"}),
        ("prompts", "es", {"p1:es:en": "rejected: no prompt in es", "p1:en:es": "rejected: no prompt in es"}),
    ],
)
def test_missing_row_is_a_drop(table_of_rows: str, key: object, expected: dict[str, str]) -> None:
    whole = texts(ids=("p1",))
    del getattr(whole, table_of_rows)[key]["p1"]
    _, drops = pairs.make(settings(), whole)
    found = reasons(drops)
    assert {id: found.get(id) for id in expected} == {id: ("missing", detail) for id, detail in expected.items()}


ENGLISH = "The ducks lay sixteen eggs every day, and she sells the rest of them."


def test_translation_cut_off_after_its_closing_tag_is_whole() -> None:
    made, drops = pairs.make(
        settings(), texts(translations=[translation("p1", "en", "es", "Son 25.", "length")], ids=("p1",))
    )
    assert drops == []
    assert table(made)["p1:es:en"][1] == "Son 25."


def test_equal_prompts_do_not_collapse() -> None:
    same = [prompt(id, lang, "the same") for id in IDS for lang in (DOMINANT, *OTHERS)]
    made, drops = pairs.make(settings(), texts(prompts=same))
    assert drops == []
    assert len({pair.id for pair in made}) == len(made) == 8
    assert table(made)["p2:es:en"] == ("the same", "p2 from en to es", "answer p2 es", "translated_dominant")


# ---- counts, always


@st.composite
def iterations(draw: st.DrawFn) -> pairs.Texts:
    """Any valid content of an iteration's files: missing rows, all kinds of rows, all finish reasons."""
    contents = st.sampled_from(["", " ", "one", "two", LOOP, ENGLISH])
    finishes = st.sampled_from([reason.value for reason in FinishReason])
    ids = draw(st.lists(st.sampled_from(["a", "b", "c"]), unique=True))
    made = texts(ids=())
    kinds = {id: draw(st.sampled_from(["task", "translation"])) for id in ids}
    for lang, rows in made.prompts.items():
        kept = ids if lang == DOMINANT else draw(st.permutations(ids))[: draw(st.integers(0, len(ids)))]
        rows.update({id: prompt(id, lang, kind=kinds[id]) for id in kept})
    for lang, rows in made.responses.items():
        for id in draw(st.lists(st.sampled_from(["a", "b", "c", "unknown"]), unique=True)):
            rows[id] = response(id, lang, draw(contents), draw(finishes))
    for (source, target), rows in made.translations.items():
        for id in draw(st.lists(st.sampled_from(["a", "b", "c", "unknown"]), unique=True)):
            rows[id] = translation(id, source, target, draw(st.none() | contents.filter(bool)), draw(finishes))
    return made


WAYS = {"both": 2, "dominant": 1, "others": 1}


@hypothesis_settings(deadline=None, max_examples=150)
@given(made_texts=iterations(), ways=st.sampled_from(sorted(WAYS)), most=st.none() | st.integers(1, 3))
def test_pairs_and_drops_are_prompts_times_directions(made_texts: pairs.Texts, ways: str, most: int | None) -> None:
    made, drops = pairs.make(settings(directions=ways, dominant_per_prompt=most), made_texts)
    assert len(made) + len(drops) == len(made_texts.prompts[DOMINANT]) * WAYS[ways] * len(OTHERS)
    keys = [pair.id for pair in made] + list(reasons(drops))
    assert len(set(keys)) == len(keys) == len(made) + len(drops)
    for pair in made:
        assert pair.chosen[0].content.strip() != pair.rejected[0].content.strip() != ""


@pytest.mark.parametrize(
    ("ways", "expected"),
    [
        ("both", {"p1:es:en", "p1:en:es", "p1:de:en", "p1:en:de"}),
        ("dominant", {"p1:en:es", "p1:en:de"}),
        ("others", {"p1:es:en", "p1:de:en"}),
    ],
)
def test_directions(ways: str, expected: set[str]) -> None:
    made, drops = pairs.make(settings(directions=ways), texts(ids=("p1",)))
    assert ({pair.id for pair in made}, drops) == (expected, [])


def test_a_prompt_gives_so_many_pairs_in_the_dominant_language_drawn_by_their_hash() -> None:
    ids = tuple(f"p{number}" for number in range(40))
    made, drops = pairs.make(settings(dominant_per_prompt=1), texts(ids=ids))
    drawn = [pair for pair in made if pair.lang == DOMINANT]
    assert [pair.prompt_id for pair in drawn] == list(ids)
    assert {pair.other_lang for pair in drawn} == set(OTHERS)
    assert {drop.reason for drop in drops} == {"not_drawn"}
    assert len(made) + len(drops) == 4 * len(ids)
    turned, _ = pairs.make(settings(dominant_per_prompt=1), texts(ids=ids[::-1]))
    assert {pair.id for pair in turned} == {pair.id for pair in made}


def test_a_pair_that_is_dropped_leaves_its_place_to_another() -> None:
    ids = tuple(f"p{number}" for number in range(10))
    unread = [translation(id, "es", DOMINANT, None) for id in ids]
    made, drops = pairs.make(settings(dominant_per_prompt=1), texts(ids=ids, translations=unread))
    assert [pair.other_lang for pair in made if pair.lang == DOMINANT] == ["de"] * 10
    assert {drop.reason for drop in drops} == {"unparsed"}


# ---- files


def write(made: pairs.Texts, shuffled: random.Random | None = None) -> None:
    """Write the iteration m1; `shuffled` changes the order of all rows but the dominant prompts."""

    def rows(by_id: dict) -> list:
        listed = list(by_id.values())
        if shuffled:
            shuffled.shuffle(listed)
        return listed

    for lang, prompts in made.prompts.items():
        write_rows(paths.prompt_file("m1", lang), prompts.values() if lang == DOMINANT else rows(prompts))
    for lang, responses in made.responses.items():
        write_rows(paths.response_file("m1", lang), rows(responses))
    for (source, target), translations in made.translations.items():
        write_rows(paths.translation_file("m1", source, target), rows(translations))


@pytest.mark.usefixtures("root")
def test_rows_are_joined_by_id_whatever_their_order() -> None:
    odd = ('"', "\\", 'a","b', "ß\u2028", "\n", "", " ", "{", "a:b:c")
    many = texts(ids=(*odd, *(f"p{i}" for i in range(20))))
    write(many)
    pairs.run(settings(), "m1")
    in_order = (paths.pairs("m1") / paths.PAIRS).read_bytes()
    made = read_rows(paths.pairs("m1") / paths.PAIRS, Pair)
    assert list(dict.fromkeys(pair.prompt_id for pair in made)) == list(many.prompts[DOMINANT])
    write(many, random.Random(0))
    pairs.run(settings(), "m1")
    assert (paths.pairs("m1") / paths.PAIRS).read_bytes() == in_order


@pytest.mark.usefixtures("root")
def test_run_writes_what_it_counts() -> None:
    write(texts(responses=[response("p1", "es", finish="length")]))
    counts = pairs.run(settings(), "m1")
    made, drops = pairs.make(settings(), pairs.read_texts(settings(), "m1"))
    assert list(read_rows(paths.pairs("m1") / paths.PAIRS, Pair)) == made
    assert list(read_rows(paths.pairs("m1") / paths.DROPS, Drop)) == drops
    assert (counts.pairs, counts.drops) == (len(made), {"truncated": 2}) == (6, {"truncated": 2})


@pytest.mark.usefixtures("root")
def test_an_iteration_may_have_filters_of_its_own() -> None:
    write(texts(translations=[translation("p1", "en", "es", LOOP)], ids=("p1",)))
    given = settings()
    own = msgspec.structs.replace(given.iterations["m1"], pairs={"filters": ["identical"]})
    assert pairs.run(given, "m1").drops == {"repeated": 1}
    assert pairs.run(msgspec.structs.replace(given, iterations=given.iterations | {"m1": own}), "m1").drops == {}


def test_pairs_load_as_trl_expects_them(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    write(texts())
    pairs.run(settings(), "m1")
    file = paths.pairs("m1") / paths.PAIRS
    data = datasets.load_dataset("json", data_files=str(file), split="train", cache_dir=str(root / "cache"))
    assert data.column_names == [
        "id", "prompt", "chosen", "rejected", "prompt_id", "lang", "other_lang", "rule", "chosen_from", "rejected_from",
    ]  # fmt: skip
    assert data.num_rows == 8
    assert data[0]["prompt"] == [{"role": "user", "content": "ask p1 es"}]
    assert data[0]["chosen"] == [{"role": "assistant", "content": "p1 from en to es"}]
    assert data[0]["rejected"] == [{"role": "assistant", "content": "answer p1 es"}]
