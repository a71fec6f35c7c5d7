"""The figures of stage `alpaca`, from answers and a judge's opinions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from factories import FakeEngine, prompt, response
from msgspec.structs import replace

from lidr import config
from lidr.errors import InputError
from lidr.evaluation import answers
from lidr.evaluation.alpaca import BENCHMARK, Alpaca
from lidr.evaluation.alpaca.stage import figures, judge_items
from lidr.evaluation.answers import key
from lidr.evaluation.judges import Opinion, Pairwise
from lidr.evaluation.registry import Metrics
from lidr.records import Verdict


class Fake:
    """A judge with these opinions; records the number of comparisons of each call."""

    def __init__(self, opinion: Callable[[Pairwise], Opinion]) -> None:
        self.opinion = opinion
        self.asked: list[int] = []

    def opinions(self, comparisons: Sequence[Pairwise]) -> list[Opinion]:
        self.asked.append(len(comparisons))
        return [self.opinion(comparison) for comparison in comparisons]


def verdicts(settings: config.Settings, judge: Fake, same: dict[str, int], different: dict[str, int]) -> list[Verdict]:
    """The judge's verdicts on given numbers of identical and different answers in each language."""
    items, own, baseline = [], {}, {}
    for lang in settings.block(Alpaca).languages:
        for number in range(same[lang] + different[lang]):
            item = prompt(f"i-{number}", lang)
            items.append(item)
            baseline[key(item)] = response(item.id, lang, "the same")
            own[key(item)] = response(item.id, lang, "the same" if number < same[lang] else "another")
    return judge_items(settings, judge, items, own, baseline)


def with_judge(settings: config.Settings, judge: Any, *languages: str) -> config.Settings:
    return replace(settings, alpaca=replace(settings.block(Alpaca), judge=judge, languages=languages))


def measured(settings: config.Settings, judge: Fake, same: dict[str, int], different: dict[str, int]) -> Metrics:
    return figures(settings, verdicts(settings, judge, same, different))


def test_another_judge_or_scorer_asks_the_model_nothing_again(
    project_settings: config.Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(answers.policy, "resolve", lambda name: name)
    items = [prompt(f"i-{number}", lang) for lang in ("en", "es") for number in range(3)]

    def asked(fingerprint: str, tokens: int) -> list[str]:
        engine = FakeEngine(lambda request: f"answer to {request.id}", fingerprint)
        monkeypatch.setattr(answers, "open_engine", lambda settings, model: engine)
        block = replace(project_settings.block(Alpaca), max_new_tokens=tokens)
        completions = answers.ask(project_settings, block, "alpaca", "m1", items, lambda item: [item.lang])
        assert [one.text for one in completions.values()] == [f"answer to {key(item)}" for item in items]
        return engine.asked

    every = [key(item) for item in items]
    assert asked("a" * 64, 8) == every
    assert asked("a" * 64, 8) == []
    assert asked("a" * 64, 9) == every
    assert asked("b" * 64, 8) == every, "another model"
    assert asked("a" * 64, 8) == every, "only the last run's answers are kept"


def test_all_languages_are_judged_at_once_and_one_missing_verdict_is_a_row_less(
    project_settings: config.Settings,
) -> None:
    settings = with_judge(project_settings, config.LabJudge(), "en", "es")
    judge = Fake(lambda comparison: Opinion(None if comparison.instruction.lang == "es" else 2.0))
    found = measured(settings, judge, {"en": 0, "es": 9}, {"en": 20, "es": 1})
    assert judge.asked == [21]
    assert (found["es"]["win_rate"], found["es"]["unjudged"], found["en"]["win_rate"]) == (50.0, 0.1, 100.0)


def test_a_language_without_any_verdict_is_named(project_settings: config.Settings) -> None:
    settings = with_judge(project_settings, config.LabJudge(), "en", "es")
    judge = Fake(lambda comparison: Opinion(None if comparison.instruction.lang == "es" else 2.0))
    with pytest.raises(InputError, match="not one answer in 'es' is judged"):
        measured(settings, judge, {"en": 0, "es": 0}, {"en": 3, "es": 3})


def test_faults_and_flips_are_shares_of_what_was_asked(project_settings: config.Settings) -> None:
    paid = config.OpenAIJudge(model="judge", endpoint="http://127.0.0.1", reply="text")
    settings = with_judge(project_settings, paid, "en", "es", "de")
    opinions = {
        "en": Opinion(None, orders=(None, None), judge_faults=("cut_off", "cut_off")),
        "es": Opinion(1.5, orders=(1.0, 2.0)),
    }
    judge = Fake(lambda comparison: opinions[comparison.instruction.lang])
    found = measured(settings, judge, {"en": 90, "es": 9, "de": 5}, {"en": 10, "es": 1, "de": 0})
    shares = ("judge_empty", "judge_cut_off", "judge_no_label", "flips")
    assert [found["en"].get(name) for name in shares] == [0.0, 1.0, 0.0, None]
    assert [found["es"].get(name) for name in shares] == [0.0, 0.0, 0.0, 1.0]
    assert [found["de"].get(name) for name in shares] == [None] * 4
    assert [found["average"].get(name) for name in shares] == [0.0, 0.5, 0.0, 1.0]


@pytest.mark.parametrize(
    ("preference", "orders", "said", "counted"),
    [
        (1.65, (1.9, 1.4), ("ties with the baseline", None), "ties"),
        (1.65, (1.7, 1.6), ("beats the baseline (1.65)", True), "wins"),
        (1.25, (1.0, 1.5), ("ties with the baseline", None), "ties"),
        (1.1, (), ("loses to the baseline (1.10)", False), "losses"),
        (1.5, (), ("ties with the baseline", None), "ties"),
        (None, (1.9, None), ("not judged", None), "unjudged"),
    ],
)
def test_what_is_said_of_a_verdict_is_what_is_counted(
    project_settings: config.Settings,
    preference: float | None,
    orders: tuple[float | None, ...],
    said: tuple[str, bool | None],
    counted: str,
) -> None:
    settings = with_judge(project_settings, config.LabJudge(both_orders=True), "en")
    judge = Fake(lambda comparison: Opinion(preference, orders=orders))
    same, row = verdicts(settings, judge, {"en": 1}, {"en": 1})
    assert BENCHMARK.outcome(row) == said
    found = figures(settings, [same, row])["en"]
    shares = {"wins": 0.0, "ties": 0.5, "losses": 0.0, "unjudged": 0.0}
    shares[counted] += 0.5
    assert {name: found[name] for name in shares} == shares
