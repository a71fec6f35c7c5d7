"""Implicit Cross-Lingual Rewarding: the chosen and rejected samples, and the length penalty per character."""

from __future__ import annotations

import random

import msgspec
import pytest
from factories import pair_settings, prompt, response
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from lidr.errors import LidrError
from lidr.pairs import stage as pairs
from lidr.pairs.rules import RULES, RewardedAnswer, Rule, Sides, best_and_worst, within_each_language
from lidr.pairs.texts import Origin
from lidr.records import FinishReason, Response, Score

IMPLICIT = pair_settings(rule="implicit")


def sample(lang: str, number: int, text: str, finish: str = "stop") -> Response:
    return msgspec.structs.replace(response("p1", lang, text, finish), sample=number)


def score(lang: str, number: int, reward: float | None) -> Score:
    return Score(id="p1", lang=lang, sample=number, policy=reward, reference=0.0, tokens=3)


def texts(es: list[tuple[str, float | None]], finish: str = "stop") -> pairs.Texts:
    """One prompt: its samples in Spanish with their rewards; two samples in each other language."""
    samples = {lang: [(f"{lang} good", 1.0), (f"{lang} poor", 0.0)] for lang in ("en", "de")} | {"es": es}
    rows = {
        lang: tuple(sample(lang, k, text, finish if lang == "es" else "stop") for k, (text, _) in enumerate(found))
        for lang, found in samples.items()
    }
    return pairs.Texts(
        prompts={lang: {"p1": prompt("p1", lang)} for lang in samples},
        responses={lang: {"p1": found[0]} for lang, found in rows.items() if found},
        translations={},
        samples={lang: {"p1": found} if found else {} for lang, found in rows.items()},
        scores={
            lang: {"p1": tuple(score(lang, k, reward) for k, (_, reward) in enumerate(found))}
            for lang, found in samples.items()
        },
    )


def test_the_best_sample_is_chosen_over_the_worst_in_each_language() -> None:
    made, drops = pairs.make(IMPLICIT, texts([("uno", 0.5), ("dos", 2.0), ("tre", -1.0)]))
    assert drops == []
    assert [(p.id, p.chosen[0].content, p.rejected[0].content, p.rule) for p in made] == [
        ("p1:en:en", "en good", "en poor", "implicit"),
        ("p1:es:es", "dos", "tre", "implicit"),
        ("p1:de:de", "de good", "de poor", "implicit"),
    ]
    assert (made[1].chosen_from, made[1].rejected_from) == ("response:p1:es:1", "response:p1:es:2")
    assert (made[0].chosen_from, made[0].rejected_from) == ("response:p1:en", "response:p1:en:1")
    assert made[1].prompt[0].content == "ask p1 es"


@pytest.mark.parametrize(
    ("es", "finish", "expected"),
    [
        ([("uno", 1.0)], "stop", ("missing", "1 answers in es; two or more are expected")),
        ([], "stop", ("missing", "0 answers in es; two or more are expected")),
        (
            [("uno", 1.0), ("dos", 2.0)],
            "length",
            ("truncated", "fewer than two whole answers: sample 0 in es was cut off at the token limit"),
        ),
        (
            [("uno", 1.0), ("dos", None)],
            "stop",
            ("unscored", "fewer than two answers with a score: sample 1 in es"),
        ),
        ([("uno", 1.0), ("uno", 1.0)], "stop", ("identical", "chosen and rejected are the same text")),
    ],
)
def test_a_language_without_two_answers_to_compare_is_a_drop(es: list, finish: str, expected: tuple) -> None:
    made, (drop,) = pairs.make(IMPLICIT, texts(es, finish))
    assert (str(drop.reason), drop.detail) == expected
    assert (drop.lang, drop.other_lang, len(made)) == ("es", "es", 2)


ENDS = st.tuples(st.sampled_from(["", "uno", "dos", "dos mil"]), st.none() | st.floats(-5, 5))


@hypothesis_settings(deadline=None, max_examples=10)
@given(es=st.lists(ENDS, max_size=4), finish=st.sampled_from(sorted(FinishReason)))
def test_pairs_and_drops_are_prompts_times_languages(es: list, finish: str) -> None:
    made, drops = pairs.make(IMPLICIT, texts(es, finish))
    assert sorted(row.lang for row in [*made, *drops]) == ["de", "en", "es"]


def test_length_control_is_the_grid_of_the_paper() -> None:
    """As the authors compute it, one penalty after the other, in plain Python."""
    draw = random.Random(3)
    lengths = [[draw.randrange(5, 400) for _ in range(draw.randrange(2, 6))] for _ in range(30)]
    rewards = [[length * 0.05 + draw.gauss(0, 4) for length in row] for row in lengths]

    def ends(price: float) -> list[tuple[int, int]]:
        found = []
        for reward, length in zip(rewards, lengths, strict=True):
            controlled = [r - price * n for r, n in zip(reward, length, strict=True)]
            found.append((controlled.index(max(controlled)), controlled.index(min(controlled))))
        return found

    def difference(price: float) -> float:
        rows = zip(ends(price), lengths, strict=True)
        return abs(sum(length[best] - length[worst] for (best, worst), length in rows) / len(lengths))

    price = min((step / 1000 for step in range(1001)), key=difference)
    answers = [
        [RewardedAnswer(Origin("es", sample=place), *both) for place, both in enumerate(zip(*row, strict=True))]
        for row in zip(rewards, lengths, strict=True)
    ]
    assert best_and_worst(answers) == [
        (row[best], row[worst]) for row, (best, worst) in zip(answers, ends(price), strict=True)
    ]
    assert difference(price) < difference(0.0) / 4


@pytest.mark.parametrize(
    ("chosen", "asked"),
    [(Origin("es", source="en"), "translation:p1:en-es"), (Origin("es", sample=2), "response:p1:es:2")],
)
def test_a_rule_that_asks_for_what_was_not_made_is_told_so(
    chosen: Origin, asked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = Rule(lambda texts, dominant: lambda *of: Sides(chosen, Origin("es")), within_each_language, reads=())
    monkeypatch.setitem(RULES, "own", own)
    with pytest.raises(LidrError) as caught:
        pairs.make(pair_settings(rule="own"), texts([("uno", 0.0), ("dos", 1.0)]))
    assert str(caught.value) == (
        f"the rule 'own' asks for {asked}, which was not made; a rule that takes translations has "
        'reads=("translations",), and samples are 0 to generate.samples - 1'
    )
