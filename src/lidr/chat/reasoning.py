"""Reasoning: what a model writes before its answer, between marks that depend on its family.

    >>> split("<think>The answer is 12? No.</think> She has 18.")
    ('The answer is 12? No.', ' She has 18.')

Reasoning is kept beside an answer. It is never part of a pair, translated, judged or scored.
"""

from __future__ import annotations

import re

# (opening, closing) as the families write them. A completion that begins with the opening mark is reasoning up to the
# closing one.
MARKS = (
    ("<think>", "</think>"),  # Qwen 3, DeepSeek R1, Nemotron, GLM, SmolLM 3, Granite
    ("<thinking>", "</thinking>"),
    ("<|channel|>analysis<|message|>", "<|channel|>final<|message|>"),  # GPT-OSS
    ("<|channel>thought", "<channel|>"),  # Gemma 4
    ("<|START_THINKING|>", "<|END_THINKING|>"),  # Command A
    ("[THINK]", "[/THINK]"),  # Magistral
    ("<seed:think>", "</seed:think>"),  # Seed-OSS
)
# GPT-OSS writes each thought as a message of its own, on the channel `analysis` or `commentary`, before the answer's.
_CHANNEL, _FINAL = "<|channel|>", "<|channel|>final<|message|>"
_MESSAGE = re.compile(r"<\|message\|>(.*?)(?=<\|(?:end|eom|call|start|channel)\|>|\Z)", re.DOTALL)


def split(text: str) -> tuple[str, str] | None:
    """(reasoning, answer) of a completion; None where it holds no reasoning.

    A completion that was cut off within its reasoning has no answer. A closing mark without an opening one ends
    reasoning that the prompt had begun.
    """
    if text.lstrip().startswith(_CHANNEL):
        before, final, answer = text.rpartition(_FINAL)
        return (messages(before), answer) if final else (messages(text), "")
    for opening, closing in MARKS:
        if text.lstrip().startswith(opening):
            block = re.compile(rf"{re.escape(opening)}(.*?)(?:{re.escape(closing)}|\Z)", re.DOTALL)
            return "\n\n".join(found.strip() for found in block.findall(text)), block.sub("", text)
        if closing in text and opening not in text:
            before, _, after = text.partition(closing)
            return before.strip(), after
    return None


def closing_mark(template: str) -> str | None:
    """What ends reasoning in a chat template, None where it knows none."""
    return next((closing for _, closing in MARKS if closing in template), None)


def messages(text: str) -> str:
    """What the messages of a text say, without their headers; the text itself where it has no headers."""
    found = _MESSAGE.findall(text)
    return "\n\n".join(content.strip() for content in found) if found else text.strip()


def is_open(prompt: str) -> str | None:
    """The mark of a thinking block that a prompt opens and does not close, None where there is none."""
    for opening, closing in MARKS:
        if prompt.rfind(opening) > prompt.rfind(closing) and prompt.rstrip().endswith(opening):
            return opening
    return None


def is_closed(prompt: str) -> bool:
    """Whether a prompt ends in a thinking block that is closed already, so that the model begins with its answer."""
    return any(prompt.rstrip().endswith(closing) for _, closing in MARKS)
