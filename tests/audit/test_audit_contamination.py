"""Planted overlaps between training texts and evaluation items are found, classified and listed by id."""

from __future__ import annotations

from pathlib import Path

import msgspec
from audit_project import Made, settings, two_sided

from lidr.audit import stage as audit
from lidr.audit.contamination import Index, evaluation_items
from lidr.records import Prompt, PromptKind, Source
from lidr.records.languages import english_name
from lidr.records.prompt_templates import with_answer_language

QUESTION = "A robe takes two bolts of blue fiber and half that much white fiber, so how many bolts does it take in all?"
STORY = "Write a short story about a lighthouse keeper who finds a map of the stars in an old bottle."
CHINESE = "一件长袍需要两匹蓝色纤维和一半数量的白色纤维一共需要多少匹"


def item(item_id: str, text: str, lang: str = "en") -> Prompt:
    return Prompt(id=item_id, lang=lang, text=text, source=Source(name="eval", row=0), kind=PromptKind.TASK)


def planted() -> Made:
    made = Made()
    texts = [
        QUESTION.upper().replace(",", " -"),  # exact once folded
        STORY.replace("old bottle", "old chest") + " Make it sad.",  # near: one word of nineteen differs at the end
        "Write a short story about a cat.",  # a common template
        "Name a colour.",
    ]
    for number, text in enumerate(texts):
        made.prompt(f"p{number}", {"en": text, "es": f"Una frase cualquiera número {number}."})
        two_sided(
            made, f"p{number}", (f"Blue, of course {number}.", "Rojo."), (f"Azul, claro {number}.", f"Red {number}.")
        )
    made.responses["en"][3] = msgspec.structs.replace(made.responses["en"][3], text=f"As they say: {CHINESE}!")
    return made


def test_planted_overlaps_are_found(folder: Path) -> None:
    planted().write(settings())
    items = [item("robe", QUESTION), item("light", STORY), item("free", "Explain why the sky looks blue at noon.")]
    items += [item("zh", CHINESE, "zh"), item("short", "Red 1.")]
    report = audit.measure(settings(), "m1", None, {"tests": items})
    found = {(o.item, o.kind): o for o in report.overlaps}
    assert set(found) == {("robe", "prompt"), ("light", "prompt"), ("zh", "chosen")}
    assert (found["robe", "prompt"].exact, found["robe", "prompt"].id) == (True, "p0")
    light = found["light", "prompt"]
    assert (light.exact, light.id, light.texts) == (False, "p1", 1)
    assert 0.9 <= light.share < 1
    assert (found["zh", "chosen"].share, found["zh", "chosen"].id) == (1.0, "p3:en:es")
    figures = report.figures["contamination"]["tests"]
    assert (figures["prompt"]["exact"], figures["prompt"]["near"], figures["prompt"]["any"]) == (1, 2, 2)
    assert (figures["chosen"]["exact"], figures["chosen"]["near"], figures["chosen"]["too_short"]) == (0, 1, 1)
    assert "2 items of tests are nearly or exactly among the training prompts" in report.warnings


def test_a_short_item_counts_only_where_it_is_the_whole_text(folder: Path) -> None:
    planted().write(settings())
    report = audit.measure(settings(), "m1", None, {"tests": [item("a", "name a colour"), item("b", "a colour")]})
    assert [(o.item, o.exact) for o in report.overlaps] == [("a", True)]


def test_the_request_for_a_language_hides_no_item(folder: Path) -> None:
    """The stored prompt names the language to answer in (prompts.answer_language); the evaluation item does not."""
    made = planted()
    made.prompts = {
        lang: [
            msgspec.structs.replace(prompt, text=with_answer_language("v1", prompt.text, english_name(lang)))
            for prompt in prompts
        ]
        for lang, prompts in made.prompts.items()
    }
    chosen = settings()
    chosen = msgspec.structs.replace(chosen, prompts=msgspec.structs.replace(chosen.prompts, answer_language="v1"))
    made.write(chosen)
    items = [item("robe", QUESTION), item("es", "Una frase cualquiera número 2.", "es")]
    report = audit.measure(chosen, "m1", None, {"tests": items})
    assert report.figures["contamination"]["tests"]["prompt"]["exact"] == 2
    assert [(o.item, o.exact, o.share, o.id) for o in report.overlaps] == [
        ("robe", True, 1.0, "p0"),
        ("es", True, 1.0, "p2"),
    ]


def test_of_items_that_are_as_near_the_first_is_named() -> None:
    words = QUESTION.replace(",", "").split()
    alike = [item(str(start), " ".join([*words[start : start + 5], "ever so often"])) for start in range(12)]
    lower = [word.lower() for word in words]
    assert Index({"tests": alike}).compare(lower, "prompt", "p0", {}) == (0.25, "tests:0:en")


def test_the_items_are_those_that_the_benchmarks_ask() -> None:
    chosen = settings()
    worded = msgspec.structs.replace(chosen.mgsm, style="paper_instructed")
    items = evaluation_items(msgspec.structs.replace(chosen, mgsm=worded))
    assert {name: len(prompts) for name, prompts in items.items()} == {"mgsm": 40, "alpaca": 40}
    assert items == evaluation_items(chosen), "without the wording of a style"
