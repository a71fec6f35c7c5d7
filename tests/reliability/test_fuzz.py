"""Fuzzing: any content of a file, a model or an endpoint gives a valid result or an error line.

    LIDR_FUZZ_EXAMPLES=20000    examples of each test (`make fuzz`)
    LIDR_FUZZ_SECONDS=60        duration of tests that read a file, a model or an endpoint (`make chaos`)

Findings become cases of the tables beside it.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable
from decimal import Decimal
from functools import wraps
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lidr.errors import InputError, one_line
from lidr.evaluation.alpaca.formats import load_prompts
from lidr.evaluation.judges import openai as endpoint
from lidr.evaluation.mgsm.items import load_items
from lidr.evaluation.mgsm.scorers import extract_answer, score
from lidr.generation.translate import parse
from lidr.records import FinishReason, Prompt
from lidr.records.jsonl import read_by_key, read_rows, write_rows
from lidr.records.prompt_templates import CLOSING_TAG, OPENING_TAG

SECONDS = float(os.environ.get("LIDR_FUZZ_SECONDS", "0"))
# By time, rounds are longer: each begins with the same explicit examples, some of them large.
EXAMPLES = int(os.environ.get("LIDR_FUZZ_EXAMPLES", "500" if SECONDS else "30"))


def fuzz(test: Any) -> Any:
    """Run a number of examples."""
    unhealthy = [HealthCheck.function_scoped_fixture]
    return settings(deadline=None, max_examples=EXAMPLES, suppress_health_check=unhealthy)(test)


def fuzz_for_seconds(test: Any) -> Callable[..., None]:
    """Run rounds of examples for the given time."""
    some = fuzz(test)

    @wraps(some)
    def rounds(*args: Any, **kwargs: Any) -> None:
        until = time.monotonic() + SECONDS
        some(*args, **kwargs)
        while time.monotonic() < until:
            some(*args, **kwargs)

    return rounds


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
PROMPT = {"id": "a", "lang": "es", "text": "¿a?", "source": {"name": "t", "row": 0}, "kind": "task"}
# Nearly valid lines: one value changed, or a piece of the text.
nearly = st.builds(
    lambda key, value, cut, noise: (
        (line := json.dumps(PROMPT | {key: value}, ensure_ascii=False).encode("utf-8", "surrogatepass"))[:cut]
        + noise
        + line[cut:]
    ),
    st.sampled_from([*PROMPT, "stranger"]),
    values,
    st.integers(0, 120),
    st.binary(max_size=3),
)


@fuzz_for_seconds
@given(content=st.lists(nearly | st.binary(max_size=60), max_size=4).map(b"\n".join))
@example(content=b'{"id":"a","id":"b"}')
@example(content=b"[" * 100_000)
def test_any_lines_are_rows_or_refused_with_their_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(content)
    try:
        rows = list(read_by_key(path, Prompt).values())
    except InputError as error:
        assert one_line(error).startswith(f"{path}:") and one_line(error).isprintable()
    else:
        assert len(rows) == len(content.splitlines()) == len({row.id for row in rows})
        # A record that was read is written unchanged.
        write_rows(path, rows)
        assert list(read_rows(path, Prompt)) == rows


@fuzz
@given(content=st.binary(max_size=80) | values.map(lambda value: json.dumps(value).encode()))
@example(content=b"[" * 200_000)
def test_any_published_file_is_read_or_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "es.json"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        load_prompts(tmp_path, "es", 1)
    assert one_line(caught.value).startswith(str(path))


@fuzz
@given(content=st.binary(max_size=80), suffix=st.sampled_from([".jsonl", ".tsv"]))
def test_any_problems_are_read_or_refused(tmp_path: Path, content: bytes, suffix: str) -> None:
    path = tmp_path / f"mgsm{suffix}"
    path.write_bytes(content)
    try:
        items = load_items(path, "es")
    except InputError as error:
        assert str(path) in one_line(error)
    else:
        assert all(item.text.strip() for item in items)


tags = st.sampled_from([OPENING_TAG, CLOSING_TAG, OPENING_TAG[:-1], "</", "\n", " ", "\0", "\u202e", ""])
written = st.lists(st.text(max_size=10) | tags, max_size=8).map("".join)


@fuzz_for_seconds
@given(raw=written, reason=st.sampled_from(FinishReason))
def test_a_translation_is_text_without_its_tags_or_none(raw: str, reason: FinishReason) -> None:
    text, tolerated = parse(raw, reason)
    if text is None:
        assert tolerated == () and (CLOSING_TAG not in raw or OPENING_TAG in raw)
    else:
        assert text == text.strip() and text in raw and CLOSING_TAG not in text
        assert CLOSING_TAG in raw or (reason is FinishReason.STOP and "no_closing_tag" in tolerated)


pieces = st.sampled_from(
    ["####", "\\boxed{", "}", "{", "The answer is", "答案是", "La respuesta es", ",", ".", "-", "−"]
)
numerals = st.text("0123456789٠१௧万,. '\u202f\u00a0$%", max_size=8)
LANGUAGES = ("bn", "de", "en", "es", "fr", "ja", "ru", "sw", "te", "th", "zh", "it", "pt")
answers = st.lists(st.text(max_size=12) | pieces | numerals, max_size=12).map(" ".join)


@fuzz_for_seconds
@given(text=answers | answers.map(lambda text: text.replace(" ", "")), lang=st.sampled_from(LANGUAGES))
@example(text="\\boxed{" * 2_000, lang="en")
@example(text="1," * 5_000, lang="en")
@example(text="9" * 10_000, lang="en")
def test_any_answer_has_a_finite_number_or_none(text: str, lang: str) -> None:
    number = extract_answer(text, lang)
    assert number is None or (isinstance(number, Decimal) and number.is_finite())
    scores = score(text, 7, lang)
    assert scores["parsed"] == (number is not None) and scores["right"] == (number == 7)


BODY = {"choices": [{"logprobs": {"content": [{"top_logprobs": [{"token": "m", "logprob": -0.1}]}]}}]}


@fuzz_for_seconds
@given(body=st.binary(max_size=60) | values.map(lambda v: json.dumps(v).encode()) | st.builds(
    lambda tokens: json.dumps({"choices": [{"logprobs": {"content": [{"top_logprobs": tokens}]}}]}).encode(),
    st.lists(st.fixed_dictionaries({"token": st.sampled_from(["m", "M", "x"]), "logprob": st.floats() | values})),
))  # fmt: skip
@example(body=json.dumps(BODY).encode())
@example(body=b"[" * 100_000)
@example(body=b'{"choices":' + b"[" * 100_000)
def test_any_body_of_an_endpoint_is_a_reply_or_worth_another_try(body: bytes) -> None:
    try:
        read = msgspec.json.decode(body, type=endpoint.Body[endpoint.Weighed])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return  # asked again
    else:
        found = endpoint._weighed(read.choices[0])
        assert all(value is None or math.isfinite(value) for value in found.values())
