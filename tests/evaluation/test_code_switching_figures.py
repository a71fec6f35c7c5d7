"""Code-switching in the metrics of MGSM and AlpacaEval: shares of sentences, beside the off-target rate of answers."""

from __future__ import annotations

import pytest
from factories import completion, prompt
from msgspec import structs

from lidr import config
from lidr.evaluation.answers import code_switching
from lidr.evaluation.mgsm import Mgsm
from lidr.evaluation.mgsm.stage import figures, judge
from lidr.records import Answer
from lidr.records.code_switching import Sentences

SPANISH = "Los patos ponen dieciséis huevos todos los días. Ella vende los huevos que quedan. La respuesta es 18."
ENGLISH_AT_THE_END = (
    "Los patos ponen dieciséis huevos todos los días. She sells the rest of the eggs. The answer is 18."
)
SETTINGS = Mgsm(source="lab", languages=("en", "es", "de"), max_new_tokens=64)


def answers(lang: str, *texts: str) -> list[Answer]:
    problem = structs.replace(prompt("p1", lang), answer="18")
    return [judge(SETTINGS, problem, completion("p1", text)) for text in texts]


def test_the_sentence_in_english_is_counted_and_the_off_target_rate_is_what_it_was(
    project_settings: config.Settings,
) -> None:
    spanish = answers("es", SPANISH, ENGLISH_AT_THE_END, "18")
    assert [(a.off_target, a.sentences, a.other_sentences) for a in spanish] == [
        (False, 3, 0),
        (False, 3, 2),
        (False, 0, 0),
    ]
    found = figures(project_settings, [*spanish, *answers("de", "18")])
    assert found["es"]["off_target"] == 0
    assert found["es"]["code_switching"] == 0.333333
    assert (found["es"]["code_switching_sentences"], found["es"]["code_switching_abstained"]) == (6, 1)
    assert "code_switching" not in found["de"]
    assert found["average"]["code_switching"] == 0.333333
    assert (found["average"]["code_switching_sentences"], found["average"]["code_switching_abstained"]) == (6, 2)


def test_a_language_that_cannot_be_identified_has_no_off_target_rate(project_settings: config.Settings) -> None:
    (wolof,) = answers("wo", ENGLISH_AT_THE_END)
    assert (wolof.off_target, wolof.sentences, wolof.other_sentences) == (None, 0, 0)
    english = structs.replace(wolof, lang="es", off_target=True)
    found = figures(project_settings, [wolof, english])
    assert [found[place].get("off_target") for place in ("wo", "es", "average")] == [None, 1.0, 1.0]
    assert "off_target" not in figures(project_settings, [wolof])["average"]


def test_an_answer_asked_for_in_english_is_measured_against_english() -> None:
    settings = structs.replace(SETTINGS, style="en_cot")
    problem = structs.replace(prompt("p1", "es"), answer="18")
    answer = judge(settings, problem, completion("p1", "She sells the rest of the eggs. The answer is 18."))
    assert (answer.sentences, answer.other_sentences) == (2, 0)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ([], {"code_switching_sentences": 0, "code_switching_abstained": 0}),
        ([Sentences(0, 0)], {"code_switching_sentences": 0, "code_switching_abstained": 1}),
        (
            [Sentences(3, 1), Sentences(1, 1)],
            {"code_switching": 0.5, "code_switching_sentences": 4, "code_switching_abstained": 0},
        ),
    ],
)
def test_shares_are_of_judged_sentences(counts: list[Sentences], expected: dict[str, float]) -> None:
    assert code_switching(counts) == expected
