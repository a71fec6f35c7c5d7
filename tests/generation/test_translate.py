"""Parsing translations, and which answers are translated."""

from __future__ import annotations

import shutil
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import pytest
from factories import ROOT, FakeEngine, completion, prompt, response, translation
from fake_endpoint import KEY, running
from fake_endpoint import completion as fake_completion

from lidr import config, paths
from lidr.engines.base import Request, open_engine
from lidr.engines.settings import OpenAI
from lidr.errors import InputError
from lidr.generation import translate
from lidr.models import policy
from lidr.records import FinishReason, Response, Translation
from lidr.records.jsonl import read_json, read_rows, write_rows

LAB_BASE = ROOT / "src" / "lidr" / "lab" / "base"

REPEATED, NO_TAG, BEFORE = ("repeated_opening_tag",), ("no_closing_tag",), ("text_before_opening_tag",)
AFTER, FENCE = ("text_after_closing_tag",), ("code_fence",)

# (raw text, finish reason, translation, tolerated deviations)
PARSED = {
    "closing tag": ("Son 25.</translated>", "stop", "Son 25.", ()),
    "closing tag, then cut off": ("Son 25.</translated> More", "length", "Son 25.", AFTER),
    "spaces around": (" \nSon 25. </translated>\n", "stop", "Son 25.", ()),
    "more lines": ("Son\n25.</translated>", "stop", "Son\n25.", ()),
    "text after the closing tag": ("Son 25.</translated> I hope this helps!", "stop", "Son 25.", AFTER),
    "second closing tag": ("Son 25.</translated> 26</translated>", "stop", "Son 25.", AFTER),
    "answered twice": ("Son 25.</translated>\n<translated>Son 26.</translated>", "stop", "Son 25.", AFTER),
    "no closing tag, turn ended": ("Son 25.", "stop", "Son 25.", NO_TAG),
    "no closing tag, cut off": ("Son 25.", "length", None, ()),
    "closing tag cut off": ("Son 25.</transl", "length", None, ()),
    "repeated opening tag": ("<translated>Son 25.</translated>", "stop", "Son 25.", REPEATED),
    "repeated after a space": ("\n <translated> Son 25.</translated>", "stop", "Son 25.", REPEATED),
    "repeated twice": ("<translated>\n<translated>Son 25.</translated>", "stop", "Son 25.", REPEATED),
    "announced": ("Here it is:\n<translated>Son 25.</translated>", "stop", "Son 25.", BEFORE),
    "announced by a colon": ("Translation: <translated>Son 25.</translated>", "stop", "Son 25.", BEFORE),
    "tag inside the text": ("Son <translated>25.</translated>", "stop", None, ()),
    "tag inside the repeated": ("<translated>Son <translated>25.</translated>", "stop", None, ()),
    "fenced": ("```\nSon 25.\n```</translated>", "stop", "Son 25.", FENCE),
    "fenced, of a kind": ("\n```text\nSon\n25.\n```\n</translated>", "stop", "Son\n25.", FENCE),
    "fenced with the tags": ("```xml\n<translated>Son 25.</translated>\n```", "stop", "Son 25.", (*BEFORE, *AFTER)),
    "fence in the text": ("Son:\n```\n25\n```</translated>", "stop", "Son:\n```\n25\n```", ()),
    "repeated, never closed": ("<translated>Son 25.", "stop", "Son 25.", (*REPEATED, *NO_TAG)),
    "repeated, cut off": ("<translated>Son 25.", "length", None, ()),
    "nothing": ("", "stop", None, ()),
    "only spaces": (" \n", "stop", None, ()),
    "only the opening tag": ("<translated>", "stop", None, ()),
    "nothing between the tags": ("</translated>", "stop", "", ()),
    "repeated, nothing between": ("<translated></translated>", "stop", "", REPEATED),
    "refused": ("", "refused", None, ()),
    "sentence tags are text": ("<sentence>Son 25.</sentence></translated>", "stop", "<sentence>Son 25.</sentence>", ()),
    "capitals are no tag": ("Son 25.</TRANSLATED>", "length", None, ()),
}


# A model whose turn was not begun writes the opening tag itself.
UNPRIMED = {
    "as asked": ("<translated>Son 25.</translated>", "stop", "Son 25.", ()),
    "not closed": ("<translated>Son 25.", "stop", "Son 25.", NO_TAG),
    "repeated": ("<translated><translated>Son 25.</translated>", "stop", "Son 25.", REPEATED),
    "announced": ("Sure:\n<translated>Son 25.</translated>", "stop", "Son 25.", BEFORE),
    "never opened": ("Son 25.</translated>", "stop", None, ()),
    "no tags": ("I cannot translate this.", "stop", None, ()),
    "cut off": ("<translated>Son 25", "length", None, ()),
}


@pytest.mark.parametrize("case", PARSED)
def test_parse(case: str) -> None:
    raw, finish, text, tolerated = PARSED[case]
    assert translate.parse(raw, FinishReason(finish)) == (text, tolerated)


@pytest.mark.parametrize("case", UNPRIMED)
def test_parse_of_a_turn_that_was_not_begun(case: str) -> None:
    raw, finish, text, tolerated = UNPRIMED[case]
    assert translate.parse(raw, FinishReason(finish), primed=False) == (text, tolerated)


def test_a_fence_that_the_original_has_stays() -> None:
    raw = "```\nprint(1)\n```</translated>"
    fenced = "```\nprint(1)\n```"
    assert translate.parse(raw, FinishReason.STOP, original=fenced) == (fenced, ())
    assert translate.parse(raw, FinishReason.STOP, original="print(1)") == ("print(1)", FENCE)


def write(responses: list[Response], kinds: dict[str, str] | None = None) -> None:
    """Write prompts and answers of m1; languages without an answer get one, so that every file has a row."""
    ids = list(dict.fromkeys(row.id for row in responses))
    for lang in ("en", "es", "de"):
        asked = [prompt(id, lang, kind=(kinds or {}).get(id, "task")) for id in ids]
        answers = {id: response(id, lang) for id in ids} | {row.id: row for row in responses if row.lang == lang}
        write_rows(paths.prompt_file("m1", lang), asked)
        write_rows(paths.response_file("m1", lang), answers.values())


@pytest.fixture
def two_languages(two_languages: config.Settings) -> config.Settings:
    """Without round trips, which have tests of their own."""
    return with_round_trip(two_languages, 0)


def with_round_trip(settings: config.Settings, count: int) -> config.Settings:
    return msgspec.structs.replace(settings, translate=msgspec.structs.replace(settings.translate, round_trip=count))


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    """A fake engine; the stage's files are real."""
    fake = FakeEngine(lambda request: f"{request.id}</translated>")
    base = policy.Policy("m0", Path("models/m0"), None, False, fake.fingerprint)
    monkeypatch.setattr(translate, "open_engine", lambda settings, model: fake)
    monkeypatch.setattr(policy, "resolve", lambda name: base)
    return fake


def test_every_answer_is_translated_from_the_dominant_language_and_back(
    two_languages: config.Settings, engine: FakeEngine
) -> None:
    write([response("p1", "en"), response("p2", "en")])
    made = translate.run(two_languages, "m1")
    assert list(made) == [("en", "es"), ("en", "de"), ("es", "en"), ("de", "en")]
    assert engine.asked == [
        f"{id}:{a}:{b}" for a, b in [("en", "es"), ("en", "de"), ("es", "en"), ("de", "en")] for id in ("p1", "p2")
    ]
    file = paths.translation_file("m1", "es", "en")
    assert list(read_rows(file, Translation)) == made["es", "en"]
    assert made["es", "en"][1] == translation("p2", "es", "en", "p2:es:en", raw="p2:es:en</translated>")
    assert paths.round_trip("m1").read_bytes() == b""
    assert not (paths.translations("m1") / "translator.json").exists(), "the model itself needs no record"


def test_request_is_the_wording_with_the_turn_begun(two_languages: config.Settings, engine: FakeEngine) -> None:
    write([response("p1", "en", "It is 25.")])
    translate.run(two_languages, "m1")
    assert engine.conversations["p1:en:de"] == [
        {
            "role": "user",
            "content": "Translate from English to German. Keep all names, numbers and formulas. "
            "Write the translation between <translated> tags.\n<sentence>It is 25.</sentence>",
        },
        {"role": "assistant", "content": "<translated>"},
    ]
    assert engine.sampling is not None
    limit, seed = two_languages.translate.max_new_tokens, two_languages.seed
    assert (engine.sampling.temperature, engine.sampling.max_new_tokens, engine.sampling.seed) == (0.0, limit, seed)


def test_engine_that_cannot_continue_a_turn_is_asked_without_one(
    two_languages: config.Settings, engine: FakeEngine
) -> None:
    server = OpenAI(endpoint="http://127.0.0.1:1/v1", models={"m0": "m0"}, takes="openai")
    engine.answer = lambda request: "<translated>Son 25.</translated>" if ":es:" in request.id else "Son 25."
    write([response("p1", "en")])
    made = translate.run(msgspec.structs.replace(two_languages, engine=server), "m1")
    assert [turn["role"] for turn in engine.conversations["p1:en:de"]] == ["user"]
    assert (made["es", "en"][0].text, made["es", "en"][0].tolerated) == ("Son 25.", ())
    assert made["en", "de"][0].text is None
    assert engine.closed


@pytest.mark.parametrize(
    ("row", "kind", "asked"),
    [
        (response("p1", "es"), "task", 4),
        (response("p1", "es", finish="length"), "task", 3),
        (response("p1", "es", "", "refused"), "task", 3),
        (response("p1", "es", " \n"), "task", 3),
        (response("p1", "en", finish="length"), "task", 2),
        (response("p1", "es"), "translation", 0),
    ],
    ids=["whole", "truncated", "refused", "empty", "dominant truncated", "translation request"],
)
def test_only_whole_answers_to_tasks_are_translated(
    two_languages: config.Settings, engine: FakeEngine, row: Response, kind: str, asked: int
) -> None:
    write([row], {"p1": kind})
    translate.run(two_languages, "m1")
    assert len(engine.asked) == asked
    for source, target in [("en", "es"), ("es", "en"), ("en", "de"), ("de", "en")]:
        rows = paths.translation_file("m1", source, target).read_text().splitlines()
        assert len(rows) == engine.asked.count(f"p1:{source}:{target}")


def test_what_cannot_be_read_is_kept_as_it_came(two_languages: config.Settings, engine: FakeEngine) -> None:
    def answer(request: Request) -> object:
        if request.id == "p1:en:de":
            return completion(request.id, "<translated>Son 25.")
        return completion(request.id, "half of it", "length")

    engine.answer = answer  # type: ignore[assignment]
    write([response("p1", "en")])
    made = translate.run(two_languages, "m1")
    assert made["en", "es"] == [translation("p1", "en", "es", None, "length", "half of it")]
    [row] = read_rows(paths.translation_file("m1", "en", "de"), Translation)
    assert (row.text, row.tolerated) == ("Son 25.", ("repeated_opening_tag", "no_closing_tag"))


def test_stage_that_failed_goes_on_from_its_last_shard(two_languages: config.Settings, engine: FakeEngine) -> None:
    small = msgspec.structs.replace(
        two_languages, engine=msgspec.structs.replace(two_languages.engine, rows_per_shard=1)
    )
    write([response("p1", "en")])
    good = engine.answer

    def fails_at_german(request: Request) -> str:
        if request.id == "p1:en:de":
            raise RuntimeError("killed")
        return f"{request.id}</translated>"

    engine.answer = fails_at_german
    with pytest.raises(RuntimeError, match="killed"):
        translate.run(small, "m1")
    assert not paths.translations("m1").exists()
    engine.answer = good
    engine.asked.clear()
    translate.run(small, "m1")
    assert engine.asked == ["p1:en:de", "p1:es:en", "p1:de:en"]
    translate.run(small, "m1")
    assert len(engine.asked) == 3, "another run asks nothing again"


@pytest.mark.usefixtures("engine")
def test_answer_without_its_prompt_is_refused(two_languages: config.Settings) -> None:
    write([response("p1", "en")])
    write_rows(paths.response_file("m1", "es"), [response("p1", "es"), response("p9", "es")])
    with pytest.raises(InputError) as caught:
        translate.run(two_languages, "m1")
    assert str(caught.value) == "data/m1/responses/es.jsonl:2: no prompt with the id 'p9' in data/prompts/m1/es.jsonl"


def test_a_sample_of_readable_translations_goes_back(two_languages: config.Settings, engine: FakeEngine) -> None:
    def answer(request: Request) -> object:
        if request.id == "p3:en:es":
            return completion(request.id, "half of it", "length")
        return completion(request.id, f"{request.conversation[0]['content'][-30:-11]} again</translated>")

    engine.answer = answer  # type: ignore[assignment]
    names = [f"p{number}" for number in range(1, 6)]
    write([response(name, "en") for name in names])
    made = translate.run(with_round_trip(two_languages, 2), "m1")

    back = list(read_rows(paths.round_trip("m1"), Translation))
    # p3 would be drawn, but its translation into Spanish cannot be parsed.
    drawn = sorted(names, key=lambda name: sha256(name.encode()).digest())
    first = {"es": [n for n in drawn if n != "p3"][:2], "de": drawn[:2]}
    assert [(row.id, row.source_lang, row.target_lang) for row in back] == [
        *((name, "es", "en") for name in names if name in first["es"]),
        *((name, "de", "en") for name in names if name in first["de"]),
        *((name, "en", "es") for name in names if name in drawn[:2]),
        *((name, "en", "de") for name in names if name in drawn[:2]),
    ]
    there = {row.id: row.text for row in made["en", "es"]}
    assert there[back[0].id] in engine.conversations[f"{back[0].id}:es:en"][0]["content"]


def test_the_sample_is_drawn_by_id_alone() -> None:
    rows = [translation(f"p{number}", "en", "es") for number in range(50)]
    drawn = {row.id for row in translate.sampled(rows, 5)}
    assert len(drawn) == 5
    assert {row.id for row in translate.sampled(rows[::-1], 5)} == drawn
    assert [row.id for row in translate.sampled(rows, 5)] == [row.id for row in rows if row.id in drawn]
    assert translate.sampled(rows[:3], 5) == rows[:3]
    assert translate.sampled([translation("p1", "en", "es", None)], 5) == []


# ---- another translator than the model itself


def by_another(settings: config.Settings, model: object) -> config.Settings:
    translate = msgspec.structs.replace(settings.translate, model=model, max_new_tokens=24)
    return msgspec.structs.replace(settings, translate=translate)


def recorded() -> dict[str, str]:
    return read_json(paths.translations("m1") / "translator.json")


def test_a_folder_of_weights_translates_there_and_back(two_languages: config.Settings) -> None:
    folder = Path("data/sources/translator")
    shutil.copytree(LAB_BASE, folder)
    write([response("p1", "en", "The larger number is 61."), response("p1", "es", "El número mayor es 61.")])
    settings = by_another(with_round_trip(two_languages, 1), str(folder))
    made = translate.run(settings, "m1")
    assert str(made["en", "es"][0].text).startswith("El número mayor es 6")
    assert {(row.source_lang, row.target_lang) for row in read_rows(paths.round_trip("m1"), Translation)} >= {
        ("es", "en")
    }
    model = policy.Policy(folder.name, folder, None, False, policy.fingerprint(folder))
    first = {"model": str(folder), "fingerprint": open_engine(settings.engine, model).fingerprint}
    assert recorded() == first
    (folder / "chat_template.jinja").open("a", encoding="utf-8").write(" ")
    translate.run(settings, "m1")
    assert recorded()["fingerprint"] != first["fingerprint"]


def test_a_folder_without_a_model_is_refused(two_languages: config.Settings) -> None:
    with pytest.raises(InputError, match=r"^data/sources/none: no model here .*`translate.model`"):
        translate.run(by_another(two_languages, "data/sources/none"), "m1")


def test_a_server_translates_there_and_back(two_languages: config.Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIDR_TRANSLATOR_KEY", KEY)
    monkeypatch.setenv("LIDR_ENGINE_KEY", "sk-of-the-engine")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    def model(body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        found = fake_completion(body, None)
        message = {"role": "assistant", "content": "<translated>traducido</translated>"}
        return 200, found | {"choices": [found["choices"][0] | {"message": message, "finish_reason": "stop"}]}

    write([response("p1", "en"), response("p2", "en", finish="length")])
    with running() as server:
        server.model = model
        wanted = config.TranslationServer(endpoint=server.url, model="translator-1")
        made = translate.run(by_another(with_round_trip(two_languages, 1), wanted), "m1")
    assert [(row.id, row.text, row.tolerated) for row in made["en", "es"]] == [("p1", "traducido", ())]
    assert server.keys == {f"Bearer {KEY}"} and {body["model"] for body in server.bodies} == {"translator-1"}
    assert all(body["messages"][-1]["role"] == "user" for body in server.bodies)
    there, back = sum(len(rows) for rows in made.values()), len(list(read_rows(paths.round_trip("m1"), Translation)))
    assert (there, back, len(server.bodies)) == (6, 4, 10)
    assert recorded()["model"] == f"translator-1 at {server.url}"
