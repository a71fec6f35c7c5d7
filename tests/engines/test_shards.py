"""Generation in shards: finished shards are kept, and reused for the same work only."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from factories import FakeEngine

from lidr.engines.base import Completion, Progress, Request, Sampling, TokenIds
from lidr.engines.shards import discard, generate_in_shards, score_in_shards
from lidr.errors import InputError

REQUESTS = [Request(f"p{i}:es", [{"role": "user", "content": f"question {i}"}]) for i in range(7)]
SAMPLING = Sampling(max_new_tokens=8)


def engine(fingerprint: str = "a" * 64) -> FakeEngine:
    return FakeEngine(lambda request: f"answer to {request.id}", fingerprint)


def generate(
    with_engine: FakeEngine, folder: Path, requests: list[Request] = REQUESTS, sampling: Sampling = SAMPLING
) -> dict[str, Completion]:
    return generate_in_shards(with_engine, requests, sampling, folder, 3, "test")


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_completions_come_by_request_id_in_their_order(tmp_path: Path) -> None:
    completions = generate(engine(), tmp_path)
    assert list(completions) == [request.id for request in REQUESTS]
    assert completions["p4:es"].text == "answer to p4:es"
    assert list(files(tmp_path)) == ["00000.jsonl", "00001.jsonl", "00002.jsonl"]
    assert [content.count(b"\n") for content in files(tmp_path).values()] == [3, 3, 1]


@pytest.mark.parametrize("killed_at", range(len(REQUESTS)))
def test_resumed_run_ends_as_an_uninterrupted_one(tmp_path: Path, killed_at: int) -> None:
    whole = generate(engine(), tmp_path / "whole")
    dying = engine()

    def answer(request: Request) -> str:
        if request.id == REQUESTS[killed_at].id:
            raise RuntimeError("killed")
        return f"answer to {request.id}"

    dying.answer = answer
    with pytest.raises(RuntimeError, match="killed"):
        generate(dying, tmp_path / "killed")
    resumed = engine()
    assert generate(resumed, tmp_path / "killed") == whole
    done = killed_at // 3 * 3
    assert resumed.asked == [request.id for request in REQUESTS[done:]]
    assert files(tmp_path / "killed") == files(tmp_path / "whole")


def test_scores_are_resumed_from_the_last_whole_shard(tmp_path: Path) -> None:
    answers = [TokenIds([1, 2], [token]) for token in range(7)]
    asked = list[int]()

    class Scoring(FakeEngine):
        def log_probabilities(self, rows: Sequence[TokenIds], progress: Progress) -> list[float | None]:
            asked.extend(row.answer[0] for row in rows)
            if asked[-1] == 5 and len(asked) == 6:
                raise RuntimeError("killed")
            return [None if row.answer == [3] else -0.5 * row.answer[0] for row in rows]

    scoring = Scoring(lambda request: "")
    with pytest.raises(RuntimeError, match="killed"):
        score_in_shards(scoring, answers, tmp_path, 3, "test")
    assert score_in_shards(scoring, answers, tmp_path, 3, "test") == [0.0, -0.5, -1.0, None, -2.0, -2.5, -3.0]
    assert asked == [0, 1, 2, 3, 4, 5, 3, 4, 5, 6]
    score_in_shards(scoring, answers[::-1], tmp_path, 3, "test")
    assert asked[10:] == [6, 5, 4, 3, 2, 1, 0], "other work"


def test_finished_work_is_not_done_again(tmp_path: Path) -> None:
    first = generate(engine(), tmp_path)
    again = engine()
    assert generate(again, tmp_path) == first
    assert again.asked == []


CHANGED = [REQUESTS[0], Request("p1:es", [{"role": "user", "content": "another question"}]), *REQUESTS[2:]]
RENAMED = [Request("p0:de", REQUESTS[0].conversation), *REQUESTS[1:]]


@pytest.mark.parametrize(
    ("fingerprint", "requests", "sampling"),
    [
        ("b" * 64, REQUESTS, SAMPLING),
        ("a" * 64, CHANGED, SAMPLING),
        ("a" * 64, RENAMED, SAMPLING),
        ("a" * 64, REQUESTS[::-1], SAMPLING),
        ("a" * 64, REQUESTS[:6], SAMPLING),
        ("a" * 64, REQUESTS, Sampling(max_new_tokens=9)),
        ("a" * 64, REQUESTS, Sampling(max_new_tokens=8, temperature=0.5)),
        ("a" * 64, REQUESTS, Sampling(max_new_tokens=8, seed=1)),
        ("a" * 64, REQUESTS, Sampling(max_new_tokens=8, repetition_penalty=1.1)),
        ("a" * 64, REQUESTS, Sampling(max_new_tokens=8, stop=("\n",))),
    ],
    ids=["model", "text", "id", "order", "number", "max_new_tokens", "temperature", "seed", "penalty", "stop"],
)
def test_other_work_does_not_take_up_these_shards(
    tmp_path: Path, fingerprint: str, requests: list[Request], sampling: Sampling
) -> None:
    generate(engine(), tmp_path)
    other = engine(fingerprint)
    generate(other, tmp_path, requests, sampling)
    assert other.asked == [request.id for request in requests]


@pytest.mark.parametrize("rows", [2, 4])
def test_shards_of_another_size_are_not_taken_up(tmp_path: Path, rows: int) -> None:
    whole = generate(engine(), tmp_path)
    assert generate_in_shards(engine(), REQUESTS, SAMPLING, tmp_path, rows, "test") == whole


@pytest.mark.parametrize("rows", [2, 4])
def test_shards_of_scores_of_another_size_are_not_taken_up(tmp_path: Path, rows: int) -> None:
    class Scoring(FakeEngine):
        def log_probabilities(self, rows: Sequence[TokenIds], progress: Progress) -> list[float | None]:
            return [-0.5 * row.answer[0] for row in rows]

    answers, scoring = [TokenIds([1, 2], [token]) for token in range(7)], Scoring(lambda request: "")
    for size in (3, rows):
        found = score_in_shards(scoring, answers, tmp_path, size, "test")
        assert found == [0.0, -0.5, -1.0, -1.5, -2.0, -2.5, -3.0]


def test_half_written_shard_is_not_taken_for_a_whole_one(tmp_path: Path) -> None:
    whole = generate(engine(), tmp_path)
    shard = next(tmp_path.rglob("00001.jsonl"))
    shard.rename(shard.with_name("00001.jsonl.part"))
    again = engine()
    assert generate(again, tmp_path) == whole
    assert again.asked == ["p3:es", "p4:es", "p5:es"]


def test_spoilt_shard_is_named(tmp_path: Path) -> None:
    generate(engine(), tmp_path)
    shard = next(tmp_path.rglob("00001.jsonl"))
    shard.write_bytes(shard.read_bytes()[:-10])
    with pytest.raises(InputError, match=r"00001\.jsonl:3: not one JSON object on a line"):
        generate(engine(), tmp_path)


def test_discard_removes_the_work_and_forgives_its_absence(tmp_path: Path) -> None:
    generate(engine(), tmp_path / "shards")
    discard(tmp_path / "shards")
    discard(tmp_path / "shards")
    assert list(tmp_path.iterdir()) == []
