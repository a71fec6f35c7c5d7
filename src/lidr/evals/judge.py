"""Judges: which of two answers to the same instruction is better.

    >>> open_judge("lab").preference(item, "El número mayor es 61 ...", "The larger number is 34 ...")
    2.0

A preference lies in [1, 2] as in AlpacaEval 2: 2 where the model beats the baseline, 1 where it loses. Answers that are
the same text are a tie, 1.5, and are not put before the judge.
"""

from __future__ import annotations

from typing import Protocol

from lidr.records import Prompt

TIE = 1.5


class Judge(Protocol):
    """Something that compares two answers."""

    def preference(self, instruction: Prompt, completion: str, baseline: str) -> float | None:
        """2 if `completion` is better, 1 if `baseline` is, between them if unsure; None where there is no verdict."""
        ...


class LabJudge:
    """The lab's own checker: the better answer is the one that is right, in the language of the instruction."""

    def preference(self, instruction: Prompt, completion: str, baseline: str) -> float:
        from lidr.lab.source import quality

        ours, theirs = (quality(text, str(instruction.answer), instruction.lang) for text in (completion, baseline))
        return TIE + (ours > theirs) * 0.5 - (ours < theirs) * 0.5


def open_judge(name: str) -> Judge:
    """The judge that params.yaml names."""
    return {"lab": LabJudge}[name]()


def compare_answers(judge: Judge, instruction: Prompt, completion: str, baseline: str) -> float | None:
    """The judge's preference, or a tie where there is nothing to judge."""
    return TIE if completion == baseline else judge.preference(instruction, completion, baseline)
