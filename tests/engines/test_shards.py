"""Generation in shards: finished shards are kept, and reused for the same work only."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from factories import FakeEngine

from lidr.engines import shards
from lidr.engines.base import Completion, Progress, Request, Sampling, TokenIds
from lidr.engines.shards import Shards
from lidr.errors import InputError

REQUESTS = [Request(f"p{i}:es", [{"role": "user", "content": f"question {i}"}]) for i in range(7)]
SAMPLING = Sampling(max_new_tokens=8)


def engine(fingerprint: str = "a" * 64) -> FakeEngine:
    return FakeEngine(lambda request: f"answer to {request.id}", fingerprint)


def generate(
    with_engine: FakeEngine, folder: Path, requests: list[Request] = REQUESTS, sampling: Sampling = SAMPLING
) -> dict[str, Completion]:
    return Shards(folder, 3).generate(with_engine, requests, sampling, "test")


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("killed_at", [0, 4, 6])
def test_resumed_run_ends_as_an_uninterrupted_one(tmp_path: Path, killed_at: int) -> None:
    whole = generate(engine(), tmp_path / "whole")
    assert [(row.id, row.text) for row in whole.values()] == [(r.id, f"answer to {r.id}") for r in REQUESTS]
    assert [content.count(b"\n") for content in files(tmp_path / "whole").values()] == [3, 3, 1]
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
        Shards(tmp_path, 3).score(scoring, answers, "test")
    assert Shards(tmp_path, 3).score(scoring, answers, "test") == [0.0, -0.5, -1.0, None, -2.0, -2.5, -3.0]
    assert asked == [0, 1, 2, 3, 4, 5, 3, 4, 5, 6]
    Shards(tmp_path, 3).score(scoring, answers[::-1], "test")
    assert asked[10:] == [6, 5, 4, 3, 2, 1, 0], "other work"
    assert len(Shards(tmp_path, 4).score(scoring, answers, "test")) == 7 and len(asked) == 24, "another size"


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
    for rows in (3, 2, 4):
        Shards(tmp_path, rows).generate(other, requests, sampling, "test")
    assert other.asked == 3 * [request.id for request in requests]


def test_other_software_does_not_take_up_these_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generate(engine(), tmp_path)
    monkeypatch.setattr(shards, "software", lambda *packages: "another version")
    other = engine()
    generate(other, tmp_path)
    assert other.asked == [request.id for request in REQUESTS]


def test_shards_of_other_work_are_discarded(tmp_path: Path) -> None:
    generate(engine("b" * 64), tmp_path)
    kept = Shards(tmp_path, 3)
    kept.generate(engine(), REQUESTS, SAMPLING, "test")
    kept.generate(engine(), REQUESTS[:3], Sampling(max_new_tokens=8, stop=("\n",)), "test")
    assert len(list(tmp_path.iterdir())) == 3
    kept.discard_others()
    assert len(list(tmp_path.iterdir())) == 2
    again = engine()
    generate(again, tmp_path)
    assert again.asked == []


def test_spoilt_shard_is_named(tmp_path: Path) -> None:
    generate(engine(), tmp_path)
    shard = next(tmp_path.rglob("00001.jsonl"))
    shard.write_bytes(shard.read_bytes()[:-10])
    with pytest.raises(InputError, match=r"00001\.jsonl:3: not one JSON object on a line"):
        generate(engine(), tmp_path)
