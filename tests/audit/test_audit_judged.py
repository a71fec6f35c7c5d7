"""A judge's verdicts on pairs: the lab's checker gives the figures of gold answers; other judges."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from audit_project import Made, in_lab, settings, two_sided
from fake_endpoint import KEY, PROMPT_TOKENS, running

from lidr import config, paths
from lidr.audit import stage as audit
from lidr.audit.drift import key_figures
from lidr.errors import InputError, LidrError
from lidr.evaluation.judges import Opinion, Pairwise
from lidr.records import PromptKind, Verdict
from lidr.records.jsonl import read_rows

LANGUAGES = ("es", "ru")
PER_DIRECTION = 15


def judged(count: int = 1_000, **judge: Any) -> config.Settings:
    """The lab's settings with its checker as the audit's judge."""
    return settings(LANGUAGES, audit=config.Audit(judge=config.LabJudge(**judge), judged_pairs=count))


class Fake:
    """A judge with given preferences for an instruction and two texts, in the drawn order and the reverse."""

    def __init__(self, preferences: Callable[[Pairwise], tuple[float | None, float | None]]) -> None:
        self.preferences = preferences
        self.asked: list[Pairwise] = []

    def opinions(self, comparisons: Sequence[Pairwise]) -> list[Opinion]:
        self.asked += comparisons
        found = [self.preferences(comparison) for comparison in comparisons]
        return [Opinion(None if None in orders else sum(orders) / 2, orders) for orders in found]


@pytest.fixture
def lab(folder: Path) -> None:
    in_lab(settings(LANGUAGES), 60).write(settings(LANGUAGES))


def by_swapped(comparison: Pairwise) -> tuple[float, float]:
    """The lab's checker with chosen and rejected swapped."""
    from lidr.evaluation.judges.lab import OracleJudge

    swapped = Pairwise(comparison.instruction, comparison.baseline, comparison.completion)
    preference = OracleJudge(both_orders=True, half_marks=False).opinions([swapped])[0].preference
    assert preference is not None
    return preference, preference


def by_coin(comparison: Pairwise) -> tuple[float, float]:
    heads = sha256(f"{comparison.completion}{comparison.baseline}".encode()).digest()[0] % 2
    return 1.0 + heads, 1.0 + heads


def test_the_labs_checker_gives_the_figures_of_gold_answers(lab: None) -> None:
    report = audit.measure(judged(), "m1", None, {})
    gold, found = report.figures["reward"], report.figures["judged"]
    assert found["judge"] == {"flips": 0.0, "unjudged": 0.0}
    assert gold["all"]["accuracy"] > 0.8 and gold["all"]["rejected_only"] > 0

    def same(by_gold: dict[str, Any], by_judge: dict[str, Any]) -> None:
        for name in ("pairs", "judged", "unjudged", "accuracy", "low", "high", "prompts_better", "verdict", "p"):
            assert by_gold.get(name) == by_judge.get(name), name
        assert by_gold["chosen_only"] == by_judge["chosen"]
        assert by_gold["rejected_only"] == by_judge["rejected"]
        assert by_gold["both"] + by_gold["neither"] == by_judge["tie"]

    same(gold["all"], found["all"])
    for block in ("by_language", "by_direction"):
        assert gold[block].keys() == found[block].keys()
        for name in gold[block]:
            same(gold[block][name], found[block][name])


@pytest.mark.parametrize(("preferences", "verdict"), [(by_coin, "stop"), (by_swapped, "stop: reversed")])
def test_a_coin_gives_stop_and_swapped_pairs_reversed(lab: None, preferences: Any, verdict: str) -> None:
    report = audit.measure(judged(), "m1", None, {}, Fake(preferences))
    assert report.figures["judged"]["all"]["verdict"] == verdict
    assert report.recommendation.startswith("Go on"), "gold answers come first"
    assert f"gold answers and the judge disagree: 'go on' by gold answers, {verdict!r} by the judge" in report.warnings


def test_a_coin_on_open_prompts_advises_to_stop(folder: Path) -> None:
    open_prompts().write(settings())
    chosen = settings(audit=config.Audit(judge=config.LabJudge()))
    heads = iter([1.0, 2.0] * 20)

    def coin(comparison: Pairwise) -> tuple[float, float]:
        preference = next(heads)
        return preference, preference

    report = audit.measure(chosen, "m1", None, {}, Fake(coin))
    assert report.figures["reward"]["all"]["verdict"] == "no gold answers"
    assert report.recommendation.startswith("By the judge's verdicts: Stop: the signal is saturated")
    assert report.figures["history"]["m1"].keys() == {"en", "es"}
    headline = key_figures(report.figures)
    assert headline["judged accuracy"] == 0.5 and "reward accuracy" not in headline


def open_prompts() -> Made:
    """Ten prompts without gold answers, and a translation request, which is not judged."""
    made = Made()
    for number in range(10):
        name = f"p{number}"
        made.prompt(name, {"en": f"Tell me about {number}.", "es": f"Cuéntame de {number}."})
        two_sided(made, name, (f"One {number}.", f"Uno {number}."), (f"Una {number}.", f"Only {number}."))
    made.prompt("t", {"en": "Translate: blue", "es": "Traduce: azul"}, kind=PromptKind.TRANSLATION)
    made.answer("t", "en", "azul")
    made.answer("t", "es", "blue")
    return made


def test_orders_that_disagree_are_a_tie_and_no_verdict_is_none(folder: Path) -> None:
    open_prompts().write(settings())
    chosen = settings(audit=config.Audit(judge=config.LabJudge(), judged_pairs=4))
    answers = iter([(2.0, 1.0), (2.0, None), (2.0, 2.0), (1.5, 2.0)] * 2)
    fake = Fake(lambda comparison: next(answers))
    report = audit.measure(chosen, "m1", None, {}, fake)
    whole = report.figures["judged"]["all"]
    assert len(fake.asked) == 8 and all(one.instruction.kind is PromptKind.TASK for one in fake.asked)
    assert [whole[name] for name in ("pairs", "judged", "chosen", "tie", "rejected", "unjudged")] == [8, 6, 2, 4, 0, 2]
    assert report.figures["judged"]["judge"] == {"flips": round(2 / 6, 6), "unjudged": 0.25}
    rows = [row for row in report.facts.to_pylist() if row["judged_outcome"] is not None]
    assert sorted(row["judged_outcome"] for row in rows) == sorted(["tie", "unjudged", "chosen", "tie"] * 2)


def test_verdicts_are_kept_by_id_and_the_same_pairs_are_drawn_again(lab: None) -> None:
    chosen = judged(PER_DIRECTION)
    audit.run(chosen, "m1")
    verdicts = list(read_rows(paths.audit_verdicts("m1"), Verdict))
    by_direction: dict[str, int] = {}
    for row in verdicts:
        by_direction[row.id.partition(":")[2]] = by_direction.get(row.id.partition(":")[2], 0) + 1
    assert by_direction == {"es:en": 15, "ru:en": 15, "en:es": 15, "en:ru": 15}
    assert all(row.orders == (row.preference, row.preference) for row in verdicts)
    more = audit.measure(judged(PER_DIRECTION + 1), "m1", None, {}).verdicts
    assert {row.id for row in verdicts} < {row.id for row in more}
    for text in ((paths.audit("m1") / name).read_text("utf-8") for name in ("report.md", "index.html")):
        assert "By a judge" in text and "was asked about 60 pairs" in text


def test_without_a_judge_there_are_no_verdicts(lab: None) -> None:
    report = audit.run(settings(LANGUAGES), "m1")
    assert "judged" not in report.figures
    assert paths.audit_verdicts("m1").read_bytes() == b""
    assert "By a judge" not in (paths.audit("m1") / "report.md").read_text("utf-8")


@pytest.mark.parametrize(
    ("judge", "source", "problem"),
    [
        ("{name: lab, both_orders: false}", "lab", "audit.judge.both_orders: the audit asks in both orders"),
        ("{name: lab}", "data/sources/prompts.jsonl", "audit.judge.name: the lab's checker judges its own"),
        ("{name: openai, model: a, endpoint: nowhere}", "lab", "audit.judge.endpoint: an address such as"),
    ],
)
def test_a_judge_that_cannot_be_asked_is_an_error(tmp_path: Path, judge: str, source: str, problem: str) -> None:
    text = (Path(__file__).parents[2] / "profiles" / "lab.yaml").read_text("utf-8")
    text = text.replace("audit: {", f"audit: {{judge: {judge}, ").replace("source: lab", f"source: {source}", 1)
    path = tmp_path / "params.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=problem):
        config.load(path)


def test_a_paid_judge_goes_on_after_its_budget_is_asked_once_and_its_cost_is_told(
    lab: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIDR_JUDGE_KEY", KEY)
    with running() as endpoint:
        paid = config.OpenAIJudge(
            model="judge", endpoint=endpoint.url, prompt_price=2.0, completion_price=4.0, max_requests=20
        )
        chosen = settings(LANGUAGES, audit=config.Audit(judge=paid, judged_pairs=5))
        with pytest.raises(LidrError, match="the budget of 20 requests"):
            audit.run(chosen, "m1")
        assert len(endpoint.bodies) == 20 and not paths.audit("m1").exists()
        audit.run(chosen, "m1")
        assert len(endpoint.bodies) == 40  # 4 directions x 5 pairs x 2 orders
        first = paths.audit_verdicts("m1").read_bytes()
        headline = key_figures(audit.run(chosen, "m1").figures)
        assert len(endpoint.bodies) == 40 and paths.audit_verdicts("m1").read_bytes() == first
    assert (headline["judge/prompt_tokens"], headline["judge/completion_tokens"]) == (40 * PROMPT_TOKENS, 40)
    assert headline["judge/cost"] == round((40 * PROMPT_TOKENS * 2.0 + 40 * 4.0) / 1e6, 6)
