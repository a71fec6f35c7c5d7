"""Differences between two runs of a pipeline: outputs with other bytes, why, and whether the figures agree.

On another processor, or with another number of threads, floating-point sums are rounded in another order. A stage with
a model may then give other bytes from the same inputs, and what is made from them differs as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath
from typing import NamedTuple

import msgspec

from lidr import paths
from lidr.audit.provenance.state import Stage
from lidr.errors import LidrError
from lidr.evaluation.registry import benchmarks
from lidr.git import git

LISTED = 20
METRICS = paths.compare() / paths.METRICS


class Difference(NamedTuple):
    """An output that is not the same, with its hashes; `why` is empty where only the processor is left as the reason.

    It is a consequence where the stage differs only in what earlier stages made.
    """

    path: str
    stage: str
    before: str | None
    after: str | None
    why: str
    is_consequence: bool


class Figure(NamedTuple):
    """One level of `compare`, before with its interval and now."""

    name: str
    before: float
    low: float
    high: float
    after: float

    @property
    def agrees(self) -> bool:
        return self.low <= self.after <= self.high


def explained(
    before: dict[str, Stage], after: dict[str, Stage], metrics: Path, what: str
) -> tuple[list[Difference], tuple[str, ...]]:
    """The outputs that differ, and the table of them and of the figures of `compare`, those at HEAD against `metrics`.

    Raises LidrError, which says `what` and has the table, where another processor is no explanation.
    """
    found, figures = between(before, after), _figures(metrics)
    table = tuple(_lines(found, figures))
    if objection := _objection(found, figures):
        raise LidrError("\n  ".join([f"{what}: {objection}", *table]))
    return found, table


def between(before: dict[str, Stage], after: dict[str, Stage]) -> list[Difference]:
    """Every output whose hash differs, or that only one of the two has, in the pipeline's order."""
    found: list[Difference] = []
    for name in before | after:
        old, new = before.get(name), after.get(name)
        olds, news = old.outs if old else {}, new.outs if new else {}
        if changed := _changed(olds, news):
            why, is_consequence = _why(old, new, [one.path for one in found])
            found += [Difference(path, name, olds.get(path), news.get(path), why, is_consequence) for path in changed]
    return found


def _changed(before: dict[str, str | None], after: dict[str, str | None]) -> list[str]:
    return [path for path in before | after if before.get(path) != after.get(path)]


def _why(old: Stage | None, new: Stage | None, others: Sequence[str]) -> tuple[str, bool]:
    """The stage's first input that differs, and whether it is one of these outputs of earlier stages."""
    if old is None or new is None:
        return "a stage of one of them only", False
    if old.cmd != new.cmd:
        return f"command {new.cmd!r}", False
    if params := _changed(old.params, new.params):
        return f"parameter {params[0]}", False
    deps = _changed(old.deps, new.deps)
    made = [path for path in deps if any(contains_or_is_inside(Path(path), Path(other)) for other in others)]
    if len(made) < len(deps):
        return f"input {next(path for path in deps if path not in made)}", False
    return (f"made from {made[0]}", True) if made else ("", False)


def contains_or_is_inside(one: PurePath, other: PurePath) -> bool:
    """Whether one of the two is, or lies in, the other."""
    return one.is_relative_to(other) or other.is_relative_to(one)


def _objection(found: Sequence[Difference], figures: Sequence[Figure]) -> str | None:
    for one in found:
        if one.why and not one.is_consequence:
            return f"{one.stage} ran with another {one.why}"
    return next((f"{figure.name} is outside of its interval" for figure in figures if not figure.agrees), None)


def _lines(found: Sequence[Difference], figures: Sequence[Figure]) -> Iterator[str]:
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


def _figures(file: Path) -> list[Figure]:
    """The levels that the comparison at HEAD and this one have; none where one of the two is missing."""
    try:
        before = msgspec.json.decode(git("show", f"HEAD:./{METRICS}"))
        after = msgspec.json.decode(file.read_bytes())
    except (LidrError, FileNotFoundError):
        return []
    found = []
    for model, of_model in before.items():
        for benchmark in benchmarks():
            level = benchmark.level_name
            for place, old in of_model.get(benchmark.name, {}).items():
                new = after.get(model, {}).get(benchmark.name, {}).get(place, {})
                if level in old and level in new:
                    name = f"{benchmark.name} {benchmark.measure} of {model}, {place}"
                    found.append(Figure(name, old[level], old["low"], old["high"], new[level]))
    return found
