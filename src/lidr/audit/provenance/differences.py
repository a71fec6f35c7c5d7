"""Differences between two runs of a pipeline: outputs with other bytes, why, and whether the figures agree.

On another processor, or with another number of threads, floating-point sums are rounded in another order. A stage with
a model may then give other bytes from the same inputs, and what is made from them differs as well. `why` is empty where
nothing but the processor is left as the reason.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import msgspec

from lidr import paths
from lidr.audit.provenance.state import Stage
from lidr.errors import LidrError
from lidr.evaluation.registry import benchmarks
from lidr.git import git

LISTED = 20


@dataclass(frozen=True)
class Difference:
    """An output that is not the same: its hashes, None where it is not there, and what explains it."""

    path: str
    stage: str
    before: str | None
    after: str | None
    why: str
    is_consequence: bool = False


@dataclass(frozen=True)
class Figure:
    """One level of `compare`, before with its interval and now."""

    name: str
    before: float
    low: float
    high: float
    after: float

    @property
    def agrees(self) -> bool:
        """Whether the figure lies in the interval of the one before."""
        return self.low <= self.after <= self.high


def between(before: dict[str, Stage], after: dict[str, Stage]) -> list[Difference]:
    """Every output whose hash differs, or that only one of the two has, in the pipeline's order."""
    found: list[Difference] = []
    other: set[str] = set()
    for name in [*before, *(name for name in after if name not in before)]:
        old, new = before.get(name), after.get(name)
        outs = [old.outs if old else {}, new.outs if new else {}]
        changed = [path for path in {**outs[0], **outs[1]} if outs[0].get(path) != outs[1].get(path)]
        if changed:
            why, is_consequence = _why(old, new, other)
            found += [
                Difference(path, name, outs[0].get(path), outs[1].get(path), why, is_consequence) for path in changed
            ]
        other |= set(changed)
    return found


def _why(old: Stage | None, new: Stage | None, other: set[str]) -> tuple[str, bool]:
    """The stage's first input that differs, and whether it is an output of an earlier stage."""
    if old is None or new is None:
        return "a stage of one of them only", False
    if old.cmd != new.cmd:
        return f"command {new.cmd!r}", False
    if params := [place for place in {**old.params, **new.params} if old.params.get(place) != new.params.get(place)]:
        return f"parameter {params[0]}", False
    deps = [path for path in {**old.deps, **new.deps} if old.deps.get(path) != new.deps.get(path)]
    made = [path for path in deps if any(contains_or_is_inside(Path(path), Path(output)) for output in other)]
    if len(made) < len(deps):
        return f"input {next(path for path in deps if path not in made)}", False
    return (f"made from {made[0]}", True) if made else ("", False)


def contains_or_is_inside(one: PurePath, other: PurePath) -> bool:
    """Whether one of the two is, or lies in, the other."""
    return one.is_relative_to(other) or other.is_relative_to(one)


def objection(found: Sequence[Difference], figures: Sequence[Figure]) -> str | None:
    """Why another processor alone is no explanation; None where it is one."""
    for one in found:
        if one.why and not one.is_consequence:
            return f"{one.stage} ran with another {one.why}"
    outside = [figure for figure in figures if not figure.agrees]
    return f"{outside[0].name} is outside of its interval" if outside else None


def lines(found: Sequence[Difference], figures: Sequence[Figure]) -> Iterator[str]:
    """The table of outputs, then that of the figures that are not the same."""
    width = max((len(one.path) for one in found), default=0)
    for one in found[:LISTED]:
        hashes = f"{(one.before or 'not there')[:12]:<12}  {(one.after or 'not there')[:12]:<12}"
        yield f"{one.path:<{width}}  {hashes}  {one.why or f'{one.stage}, from the same inputs: another processor'}"
    if len(found) > LISTED:
        yield f"and {len(found) - LISTED} more"
    changed = [figure for figure in figures if figure.before != figure.after]
    for figure in changed:
        interval = f"{figure.before:.4g} [{figure.low:.4g}, {figure.high:.4g}]"
        yield f"{figure.name}: {interval}, here {figure.after:.4g}, {'inside' if figure.agrees else 'OUTSIDE'}"
    if figures:
        yield f"{len(figures) - len(changed)} of {len(figures)} figures of the comparison are the same"


def figures(before: dict[str, Any] | None, after: Path) -> list[Figure]:
    """The levels that both comparisons have; none where one is missing."""
    if before is None or not after.is_file():
        return []
    now: dict[str, Any] = msgspec.json.decode(after.read_bytes())
    found = []
    for model, of_model in before.items():
        for benchmark in benchmarks():
            level = benchmark.level_name
            for place, old in of_model.get(benchmark.name, {}).items():
                new = now.get(model, {}).get(benchmark.name, {}).get(place, {})
                if level in old and level in new:
                    name = f"{benchmark.name} {benchmark.measure} of {model}, {place}"
                    found.append(Figure(name, old[level], old["low"], old["high"], new[level]))
    return found


def committed_figures() -> dict[str, Any] | None:
    """The metrics of `compare` at HEAD, which are in git; None where they are not."""
    try:
        text = git("show", f"HEAD:./{paths.compare() / paths.METRICS}")
    except LidrError:
        return None
    found: dict[str, Any] = msgspec.json.decode(text)
    return found
