"""The study as docs/study/arms.yaml describes it: arms, and claims about their models.

>>> study().values("sft")[-1]
'train.objective=sft'
"""

from __future__ import annotations

from pathlib import Path

import msgspec

ONE_ITERATION = "one_iteration"


class Arm(msgspec.Struct, forbid_unknown_fields=True):
    """Values of params.yaml, as `dvc exp run -S` takes them; the name `one_iteration` stands for that list."""

    what: str
    set: list[str]


class Claim(msgspec.Struct, forbid_unknown_fields=True):
    """`better` is expected to be above `than`, each an arm and a model, on the average over the languages."""

    says: str
    paper: str
    benchmark: str
    better: tuple[str, str]
    than: tuple[str, str]
    languages: str


class Study(msgspec.Struct, forbid_unknown_fields=True):
    profile: str
    all: list[str]
    one_iteration: list[str]
    languages: dict[str, list[str]]
    arms: dict[str, Arm]
    seeds: list[str]
    claims: list[Claim]

    def values(self, arm: str) -> list[str]:
        """All that the arm sets."""
        own = (self.one_iteration if value == ONE_ITERATION else [value] for value in self.arms[arm].set)
        return [*self.all, *(value for part in own for value in part)]

    def differs(self, arm: str) -> list[str]:
        """What makes the arm another one, without how many iterations it has."""
        return [value for value in self.arms[arm].set if value != ONE_ITERATION]


def study() -> Study:
    return msgspec.yaml.decode((Path(__file__).parent / "arms.yaml").read_bytes(), type=Study)
