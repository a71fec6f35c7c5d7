"""Judges: the weighted preference, an endpoint with all kinds of failures, a local model, the lab's checker."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from factories import FakeEngine, edited, prompt
from fake_endpoint import KEY, PROMPT_TOKENS, Endpoint, completion, content, logprobs, running
from msgspec.structs import replace

from lidr import config, paths
from lidr.errors import InputError, LidrError
from lidr.evaluation.judges import Pairwise, judge_all
from lidr.evaluation.judges.base import Reply, is_swapped, opinion
from lidr.evaluation.judges.cache import JudgmentCache
from lidr.evaluation.judges.lab import OracleJudge
from lidr.evaluation.judges.local import LocalModelJudge, local_judge
from lidr.evaluation.judges.openai import EndpointJudge
from lidr.evaluation.judges.prompt import conversation
from lidr.models import base, policy
from lidr.records import TIE
from lidr.records.jsonl import read_json, write_json
from lidr.records.prompt_templates import Conversation


@pytest.fixture
def endpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIDR_JUDGE_KEY", KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.01)
    with running() as found:
        yield found


def settings(server: Endpoint, **values: Any) -> config.OpenAIJudge:
    usual = {"model": "judge-1", "endpoint": server.url, "concurrency": 4, "retries": 2, "timeout_seconds": 20.0}
    return config.OpenAIJudge(**(usual | values))


def comparisons(count: int) -> list[Pairwise]:
    return [Pairwise(prompt(f"i-{n}", "es"), f"ours {n}", f"theirs {n}") for n in range(count)]


def judge(endpoint: Endpoint, both_orders: bool = False, **values: object) -> EndpointJudge:
    return EndpointJudge(settings(endpoint, **values), both_orders)


# --- the preference --------------------------------------------------------------------------------------------------


def reply(lower: float | None, upper: float | None) -> Reply:
    return Reply(key="k", lower=lower, upper=upper, prompt_tokens=1, completion_tokens=1)


@pytest.mark.parametrize(
    ("lower", "upper", "preference"),
    [
        (math.log(0.9), math.log(0.1), 1.1),
        (math.log(0.2), math.log(0.2), 1.5),
        (math.log(0.03), math.log(0.01), 1.25),  # normalised over the two labels
        (None, -3.0, 2.0),
        (-3.0, None, 1.0),
        (-9999.0, -9998.0, 2 - 1 / (1 + math.e)),
        (None, None, None),
    ],
)
def test_weighted_preference(lower: float | None, upper: float | None, preference: float | None) -> None:
    found = opinion(reply(lower, upper), swapped=False)
    assert found == (None if preference is None else pytest.approx(preference, abs=1e-12))
    turned = opinion(reply(lower, upper), swapped=True)
    assert turned == (None if preference is None else pytest.approx(3 - preference, abs=1e-12))


def test_texts_that_name_a_slot_stay_as_they_are() -> None:
    said = conversation("write {output_1}", "{output_2}", "{instruction}")[1]["content"]
    assert '"""write {output_1}"""' in said and '"""{output_2}"""' in said and '"""{instruction}"""' in said


def test_identical_answers_are_a_tie_and_cost_nothing(endpoint: Endpoint) -> None:
    same = Pairwise(prompt("same", "es"), "yes", "yes")
    opinions = judge_all(judge(endpoint), [same, *comparisons(2), same])
    assert [opinions[0].preference, opinions[3].preference] == [TIE, TIE]
    assert len(endpoint.bodies) == 2


# --- an endpoint -----------------------------------------------------------------------------------------------------


def expected(comparison: Pairwise, swapped: bool) -> float | None:
    """The preference by the formula, from the server's reply to the question."""
    first, second = (
        (comparison.completion, comparison.baseline) if swapped else (comparison.baseline, comparison.completion)
    )
    turns = conversation(comparison.instruction.text, first, second)
    likely = {row["token"]: row["logprob"] for row in logprobs("\n".join(turn["content"] for turn in turns))}
    if not likely.keys() & {"m", "M"}:
        return None
    m, M = (math.exp(likely.get(label, -math.inf)) for label in ("m", "M"))
    return 3 - (2 - m / (m + M)) if swapped else 2 - m / (m + M)


def preferences(rows: list[Pairwise]) -> list[Any]:
    """The preferences of the drawn orders, each None or approximately the formula's."""
    found = [expected(row, is_swapped(row.instruction.text)) for row in rows]
    return [None if p is None else pytest.approx(p, abs=1e-12) for p in found]


@pytest.mark.parametrize("both_orders", [False, True])
def test_verdicts_in_order_with_tokens_and_no_more_at_once_than_allowed(endpoint: Endpoint, both_orders: bool) -> None:
    def slow(body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        time.sleep(0.005)
        return 200, completion(body, logprobs(content(body)))

    endpoint.model, rows = slow, comparisons(40)
    opinions = judge_all(judge(endpoint, both_orders), rows)
    assert len(endpoint.bodies) == 40 * (1 + both_orders) and 2 <= endpoint.most_at_once <= 4
    assert {o.judge_prompt_tokens for o in opinions} == {PROMPT_TOKENS * (1 + both_orders)}
    if not both_orders:
        assert [o.preference for o in opinions] == preferences(rows)
        return
    for row, found, drawn in zip(rows, opinions, preferences(rows), strict=True):
        other = expected(row, not is_swapped(row.instruction.text))
        assert found.orders == (drawn, None if other is None else pytest.approx(other, abs=1e-12))
        assert (found.preference is None) == (None in found.orders)


PASSING = ["429", "429 0", "408", "409", "500", "503 0", "hang", "truncated", "breaks off", "reset"]
PASSING += ["no logprobs", "no choices", "wrong schema"]


@pytest.mark.fault
def test_all_faults_at_once_and_every_row_is_judged_once(endpoint: Endpoint) -> None:
    """Each question first meets its own fault; a run that its budget stops in the middle resumes exactly."""
    rows, met = comparisons(45), set[str]()

    def faults(number: int, body: dict[str, Any]) -> str | None:
        question = content(body)
        if question in met:
            return None
        met.add(question)
        return PASSING[len(met) % len(PASSING)]

    endpoint.faults = faults
    patient = {"concurrency": 8, "timeout_seconds": 2.0, "retries": 6}
    with pytest.raises(LidrError, match="budget of 50 requests"):
        judge_all(judge(endpoint, max_requests=50, **patient), rows)
    assert len(endpoint.bodies) == 50
    cache = next(Path(".lidr/judge").iterdir())
    with cache.open("a", encoding="utf-8") as file:
        file.write('{"key":"torn')  # killed while it wrote
    opinions = judge_all(judge(endpoint, **patient), rows)
    assert [o.preference for o in opinions] == preferences(rows)
    asked = len(endpoint.bodies)
    assert len({content(body) for body in endpoint.bodies}) == 45
    kept = [line for line in cache.read_text("utf-8").splitlines() if line != '{"key":"torn']
    assert len({json.loads(line)["key"] for line in kept}) == len(kept) == 45
    judge_all(judge(endpoint, **patient), rows)
    assert len(endpoint.bodies) == asked, "the third run pays for nothing"


@pytest.mark.fault
@pytest.mark.parametrize(
    ("fault", "message", "requests"),
    [
        ("500", "failed, tried up to 3 times: status 500", 3),
        ("truncated", "failed 3 times: not a chat completion: Input data was truncated", 3),
        ("no logprobs", "(log-probabilities are expected; alpaca.judge.reply: text needs none)", 3),
        ("401", "refuses: status 401", 1),
        ("404", "no such model there, or it is retired: name another one in alpaca.judge.model", 1),
        ("429 3600", "(Retry-After: 3600)", 1),
    ],
)
def test_a_fault_that_stays_ends_the_run_without_the_key(
    endpoint: Endpoint, fault: str, message: str, requests: int
) -> None:
    endpoint.faults = lambda number, body: fault
    with pytest.raises(LidrError) as caught:
        judge_all(judge(endpoint, concurrency=1), comparisons(1))
    assert message in str(caught.value) and "0 verdicts of these are kept in .lidr/judge/" in str(caught.value)
    assert KEY not in str(caught.value) and KEY not in repr(caught.value.__cause__)
    assert len(endpoint.bodies) == requests


def test_another_judge_has_another_cache(endpoint: Endpoint) -> None:
    judge_all(judge(endpoint), comparisons(2))
    judge_all(judge(endpoint, model="judge-2"), comparisons(2))
    assert len(endpoint.bodies) == 4 and len(list(Path(".lidr/judge").iterdir())) == 2


@pytest.mark.fault
def test_a_budget_of_requests_stops_and_the_next_run_goes_on(endpoint: Endpoint) -> None:
    rows = comparisons(10)
    with pytest.raises(LidrError) as caught:
        judge_all(judge(endpoint, max_requests=6), rows)
    assert str(caught.value).startswith("the budget of 6 requests (alpaca.judge.max_requests) is spent; 6 verdicts")
    assert len(judge_all(judge(endpoint, max_requests=6), rows)) == len(endpoint.bodies) == 10
    endpoint.faults = lambda number, body: "500"
    of_pairs = EndpointJudge(settings(endpoint, max_requests=2, retries=9, concurrency=1), False, "audit.judge")
    with pytest.raises(LidrError, match=r"the budget of 2 requests \(audit.judge.max_requests\) is spent"):
        judge_all(of_pairs, comparisons(11)[10:])  # retries count


@pytest.mark.fault
def test_a_budget_of_tokens_stops(endpoint: Endpoint) -> None:
    with pytest.raises(LidrError, match=r"budget of 303 tokens \(alpaca\.judge\.max_tokens\) is spent"):
        judge_all(judge(endpoint, max_tokens=3 * (PROMPT_TOKENS + 1), concurrency=1), comparisons(10))
    assert len(endpoint.bodies) == 3
    endpoint.faults = lambda number, body: "no usage"
    with pytest.raises(LidrError, match="no token counts"):
        judge_all(judge(endpoint, max_tokens=1_000), comparisons(10))


def test_a_judge_without_labels_is_not_asked_on_but_a_few_such_replies_are_no_error(endpoint: Endpoint) -> None:
    endpoint.faults = lambda number, body: "mute"
    for _ in range(2):  # the second time from the cache
        assert [found.preference for found in judge_all(judge(endpoint), comparisons(19))] == [None] * 19
    assert len(endpoint.bodies) == 19
    with pytest.raises(LidrError, match="gives neither 'm' nor 'M', in 20 of 20 answers"):
        judge_all(judge(endpoint, model="another"), comparisons(200))
    assert len(endpoint.bodies) < 19 + 40
    with pytest.raises(LidrError, match=r"neither 'm' nor 'M', in 20 of 20 answers \(20 empty\)"):
        judge_all(in_text(endpoint, ""), comparisons(200))


def test_the_key_is_in_no_file_and_openais_goes_nowhere_else(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-openai")
    judge_all(judge(endpoint), comparisons(3))
    assert endpoint.keys == {f"Bearer {KEY}"}
    written = b"".join(file.read_bytes() for file in Path().rglob("*") if file.is_file())
    assert KEY.encode() not in written and b"sk-of-openai" not in written
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(LidrError, match="OPENAI_API_KEY is not set"):
        EndpointJudge(settings(endpoint, endpoint="https://api.openai.com/v1"), False)


# --- replies in text -------------------------------------------------------------------------------------------------


def in_text(endpoint: Endpoint, *texts: str | None, finish: str = "stop", **values: Any) -> EndpointJudge:
    """A judge whose server replies with these texts in turn."""
    said = iter(texts * 100)

    def model(body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        message = {"role": "assistant", "content": next(said)}
        usage = {"prompt_tokens": PROMPT_TOKENS, "completion_tokens": 7, "total_tokens": PROMPT_TOKENS + 7}
        return 200, {"choices": [{"index": 0, "finish_reason": finish, "message": message}], "usage": usage}

    endpoint.model = model
    return judge(endpoint, reply="text", **values)


@pytest.mark.parametrize(
    ("text", "label", "fault"),
    [
        ("m", "m", ""),
        ("M", "M", ""),
        ("The first one is in Spanish.\n\n**M**", "M", ""),
        ("`m`.", "m", ""),
        ('Better: the first.\n"m"', "m", ""),
        ("<think>M? No.</think>\nm", "m", ""),
        ("m is better", None, "no_label"),
        ("m\nbecause it is correct", None, "no_label"),
        ("Label: m", None, "no_label"),
        ("n", None, "no_label"),
        ("", None, "empty"),
        (None, None, "empty"),
        ("<think>M? No.</think>", None, "empty"),
        ("m", None, "cut_off"),
    ],
)
def test_the_last_line_of_a_reply_is_its_verdict(
    endpoint: Endpoint, text: str | None, label: str | None, fault: str
) -> None:
    finish = "length" if fault == "cut_off" else "stop"
    [found] = in_text(endpoint, text, finish=finish).ask([conversation("i", "a", "b", "text")])
    assert (found.lower, found.upper) == (0.0 if label == "m" else None, 0.0 if label == "M" else None)
    assert found.fault == fault


def test_verdicts_in_text_are_1_or_2_and_faults_are_counted(endpoint: Endpoint) -> None:
    rows = comparisons(4)
    found = judge_all(in_text(endpoint, "m", "M", "", "both", concurrency=1), rows)
    swaps = [is_swapped(row.instruction.text) for row in rows]
    assert [o.preference for o in found] == [2.0 if swaps[0] else 1.0, 1.0 if swaps[1] else 2.0, None, None]
    assert [o.judge_faults for o in found] == [(), (), ("empty",), ("no_label",)]


def test_what_a_judge_that_replies_in_text_is_sent(endpoint: Endpoint) -> None:
    judge_all(in_text(endpoint, "m", reasoning_effort="low", max_completion_tokens=500), comparisons(1))
    [body] = endpoint.bodies
    assert body.pop("messages")[1]["content"].endswith("m or M, and nothing else.")
    assert body == {"model": "judge-1", "max_completion_tokens": 500, "reasoning_effort": "low"}


def refusing(endpoint: Endpoint, word: str, message: str, status: int = 400) -> None:
    """A server that refuses requests with this key."""

    def model(body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if word in body:
            return status, {"error": {"message": message}}
        return 200, completion(body, logprobs(content(body)))

    endpoint.model = model


def test_a_model_that_wants_the_newer_name_of_the_limit_gets_it(endpoint: Endpoint) -> None:
    refusing(endpoint, "max_tokens", "Unsupported parameter: use 'max_completion_tokens' instead")
    assert len(judge_all(judge(endpoint), comparisons(10))) == 10
    limits = [(body.get("max_tokens"), body.get("max_completion_tokens")) for body in endpoint.bodies]
    assert limits == [(1, None), *[(None, 1)] * 10]


@pytest.mark.parametrize(
    ("word", "said", "status", "advice"),
    [
        ("logprobs", "'logprobs' is not supported with this model", 400, "it gives no log-probabilities: set alpaca.j"),
        ("model", "The model has been deprecated", 404, "or it is retired: name another one in alpaca.judge.model"),
    ],
)
def test_a_model_that_cannot_judge_is_found_out_by_one_request(
    endpoint: Endpoint, word: str, said: str, status: int, advice: str
) -> None:
    refusing(endpoint, word, said, status)
    with pytest.raises(LidrError, match=advice):
        judge_all(judge(endpoint), comparisons(10))
    assert len(endpoint.bodies) == 1


# --- a model on this machine, and the lab's checker ------------------------------------------------------------------


class ScoringEngine(FakeEngine):
    """Gives m and M fixed log-probabilities."""

    def __init__(self, *scores: float) -> None:
        super().__init__(lambda request: "")
        self.scores = scores
        self.calls = 0

    def score(self, conversations: Sequence[Conversation], choices: Sequence[str]) -> list[list[float | None]]:
        assert tuple(choices) == ("m", "M")
        assert all([turn["role"] for turn in turns] == ["user"] for turns in conversations)
        self.calls += len(conversations)
        return [list(self.scores) for _ in conversations]


def local(engine: ScoringEngine, folder: Path) -> LocalModelJudge:
    return LocalModelJudge("judge", engine, JudgmentCache(folder / "j.jsonl"), both_orders=False)


def test_local_judge_by_log_probabilities_kept_in_the_cache(tmp_path: Path) -> None:
    engine, rows = ScoringEngine(math.log(0.6), math.log(0.2)), comparisons(40)
    opinions = local(engine, tmp_path).opinions(rows)
    assert {(o.swapped, round(o.preference or 0, 9)) for o in opinions} == {(False, 1.25), (True, 1.75)}
    assert engine.calls == 40
    local(engine, tmp_path).opinions(rows)
    assert engine.calls == 40


@pytest.mark.usefixtures("root")
def test_local_judge_that_is_the_base_is_loaded_as_the_base_is(project_settings: config.Settings) -> None:
    base.run(project_settings)
    record = read_json(paths.model("m0") / paths.RECORD)
    write_json(paths.model("m0") / paths.RECORD, record | {"quantization": {"load_in_4bit": True}})
    judge = local_judge(config.LocalJudge(model="models/m0"), project_settings.engine, False, "alpaca.judge")
    assert judge.engine.policy == policy.resolve("m0")  # type: ignore[attr-defined]
    assert policy.resolve("m0").quantization == {"load_in_4bit": True}


def test_local_judge_that_cannot_name_a_label(tmp_path: Path) -> None:
    with pytest.raises(LidrError, match="its tokenizer does not tell them apart"):
        local(ScoringEngine(-2.0, -2.0), tmp_path / "a").opinions(comparisons(3))
    with pytest.raises(LidrError, match="neither 'm' nor 'M'"):
        local(ScoringEngine(-math.inf, -math.inf), tmp_path / "b").opinions(comparisons(20))


def test_lab_judge_prefers_the_right_answer() -> None:
    from lidr.lab import world

    task, other = world.tasks("evaluation", world.PROBLEMS, count=2, seed=42)
    item = replace(prompt("lab-1", "es"), answer=task.gold("es"))
    right, wrong, english = task.answer("es"), other.answer("es"), task.answer("en")
    pairs = [(right, wrong), (wrong, right), (right, english), ("?", wrong)]
    found = judge_all(OracleJudge(both_orders=True), [Pairwise(item, ours, theirs) for ours, theirs in pairs])
    assert [o.preference for o in found] == [2.0, 1.0, 2.0, 1.5]
    assert found[0].orders == (2.0, 2.0)


# --- params.yaml -----------------------------------------------------------------------------------------------------

LAB_JUDGE = "    name: lab  "
OPENAI = "    name: openai\n    model: x\n    endpoint: https://api.openai.com/v1"


def openai(*lines: str) -> tuple[str, str]:
    return LAB_JUDGE, "\n    ".join([OPENAI, *lines]) + "  "


def baseline(model: str, source: str) -> list[tuple[str, str]]:
    return [("model: m0  ", f"model: {model}  "), ("source: models/m0", f"source: {source}")]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ([(LAB_JUDGE, "    name: lab\n    model: x  ")], "alpaca.judge.model: there is no such key"),
        ([(LAB_JUDGE, "    name: openai\n    endpoint: http://x  ")], "alpaca.judge.model: this key is missing"),
        ([(LAB_JUDGE, "    name: gpt  ")], "alpaca.judge.name: 'gpt' is none of lab, local, openai"),
        (
            [(LAB_JUDGE, "    name: openai\n    model: x\n    endpoint: https://me:secret@x.org/v1  ")],
            "alpaca.judge.endpoint: an address such as",
        ),
        ([openai("prompt_price: 1.0")], "alpaca.judge.prompt_price: both prices are expected"),
        ([openai("reasoning_effort: low")], "alpaca.judge.reasoning_effort: a judge that reasons replies in text"),
        ([openai("reply: words")], "alpaca.judge.reply: 'words' is none of logprobs, text"),
        (
            [("alpaca:\n  source: lab", "alpaca:\n  source: data/sources/x")],
            "alpaca.judge.name: the lab's checker judges its own",
        ),
        (
            baseline("m0", "data/x"),
            "baseline.source: 'm0' is a model of this file, whose answers come from 'models/m0'",
        ),
        (
            baseline("gpt-4", "models/m0"),
            "baseline.source: 'models/m0' lies outside of data/sources, where DVC would miss changes",
        ),
        (
            baseline("../x", "data/sources/x"),
            "baseline.model: the name of a model of this file or of a generator is expected",
        ),
    ],
)
def test_contradictions_of_judge_and_baseline(tmp_path: Path, changes: list[tuple[str, str]], message: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(edited(*changes), "utf-8")
    with pytest.raises(InputError) as caught:
        config.load(path)
    assert message in str(caught.value) and "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("lines", "both"), [((), False), (("reply: text",), True), (("reply: text", "both_orders: false"), False)]
)
def test_a_judge_that_replies_in_text_is_asked_in_both_orders_unless_told_otherwise(
    tmp_path: Path, lines: tuple[str, ...], both: bool
) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(edited(openai(*lines)), "utf-8")
    assert config.load(path).alpaca.judge.in_both_orders is both
