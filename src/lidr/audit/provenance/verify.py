"""The checks of `lidr audit verify`: that what is on disk is what the record says.

    $ lidr audit verify
    ok  pipeline    23 stages of dvc.yaml are in dvc.lock, with the same commands
    ok  parameters  68 values and blocks of params.yaml are those that the stages ran with
    ok  code        167 modules and folders of code are those that the stages ran with
    ok  data        44 outputs and 52 inputs have the hashes of dvc.lock
    ok  commit      dvc.yaml, dvc.lock, params.yaml and the code are those of commit d53fce3
    ok  pairs       m1: 2,214 pairs and 186 drops follow from answers and translations, byte by byte · m2: ...
    ok  models      m1 on m0 from 2,214 pairs · m2 on m1 from 2,196 pairs; base 3f1c9a04b7d2

The checks follow the order of the pipeline, and end at the first mismatch. Hashes alone show
that nothing changed since the stages ran; that the pairs are the ones that the rule gives, and that an adapter is from
these pairs, is checked by making the pairs again and by the record that `lidr train` left in the adapter's folder.

Where the stages ran again on another machine, dvc.lock is not the commit's, and that is no mismatch: `commit` then
tells which outputs have other bytes, why, and whether the figures agree (differences.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import msgspec

from lidr import config, paths
from lidr.audit.examples import Examples
from lidr.audit.provenance import differences, state
from lidr.errors import InputError, LidrError
from lidr.generation import translate as translate_stage
from lidr.git import git
from lidr.models import policy
from lidr.models.policy import AdapterRecord, BaseRecord
from lidr.pairs import stage as pairs_stage
from lidr.pairs.texts import Texts
from lidr.records import Drop, Pair
from lidr.records.jsonl import read_by_key, read_json


@dataclass(frozen=True)
class Passed:
    """A check that holds, with what it found; `table` is what is to be said beside that."""

    name: str
    found: str
    table: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Project:
    """The working folder's record, and what is not as it says."""

    settings: config.Settings
    stages: dict[str, state.Stage]
    mismatches: list[state.Mismatch]

    def first(self, kind: state.Kind, code: bool = False) -> state.Mismatch | None:
        """The first mismatch of a kind; of inputs, of those that are code, or of all others."""
        found = (one for one in self.mismatches if one.kind == kind)
        return next((one for one in found if kind != "deps" or one.path.startswith(state.CODE) is code), None)


def verify(settings: config.Settings) -> Iterator[Passed]:
    """Yield each check that holds; raises LidrError, with the name of the check, at the first that does not."""
    name = "pipeline"
    try:
        project = _Project(settings, state.load(), state.mismatches())
        for check in (_pipeline, _parameters, _code, _data, _commit, _pairs, _models):
            name = check.__name__.removeprefix("_")
            found = check(project)
            yield found if isinstance(found, Passed) else Passed(name, found)
    except LidrError as error:
        raise LidrError(f"{name}: {error}") from error


def _pipeline(project: _Project) -> str:
    for name, stage in project.stages.items():
        if not stage.has_run:
            raise InputError(f"the stage {name} has not run; run `dvc repro`", paths.LOCK)
        for kind, recorded in (("inputs", stage.deps), ("outputs", stage.outs)):
            if missing := [path for path, md5 in recorded.items() if md5 is None]:
                raise InputError(f"{name} ran with other {kind}: it has no {missing[0]}", paths.LOCK)
    if one := project.first("cmd"):
        raise InputError(f"{one.stage} ran another command than {one.path!r}", paths.LOCK)
    found = f"{len(project.stages)} stages of {paths.PIPELINE} are in {paths.LOCK}, with the same commands"
    left = state.left_over()
    return f"{found}; not looked at, of another pipeline: {', '.join(left)}" if left else found


def _parameters(project: _Project) -> str:
    if one := project.first("params"):
        raise LidrError(f"{one.path} is {one.how}; {one.stage} ran with another value")
    places = {place for stage in project.stages.values() for place in stage.params}
    return f"{len(places)} values and blocks of {paths.PARAMS} are those that the stages ran with"


def _code(project: _Project) -> str:
    if one := project.first("deps", code=True):
        raise InputError(f"not what {one.stage} ran with: {one.how}", one.path)
    code = {path for stage in project.stages.values() for path in stage.code}
    return f"{len(code)} modules and folders of code are those that the stages ran with"


def _data(project: _Project) -> str:
    # What a stage wrote comes first: a later stage that reads it has only its consequences.
    one = project.first("outs") or project.first("deps")
    if one and one.how == "deleted" and not Path(one.path).exists():
        raise InputError("missing; `dvc checkout` or `dvc pull` bring data back, `git checkout` code", one.path)
    if one:
        whose = f"{one.stage} {'wrote' if one.kind == 'outs' else 'read'}"
        raise InputError(f"not what {whose}{_changed_inside(one.path)}", one.path)
    outputs = {path for stage in project.stages.values() for path in stage.outs}
    inputs = {path for stage in project.stages.values() for path in stage.deps if path not in stage.code}
    return f"{len(outputs)} outputs and {len(inputs)} inputs have the hashes of {paths.LOCK}"


def _changed_inside(path: str) -> str:
    """Which file of a folder differs, where DVC's cache still has the folder's list."""
    words = {"modified": "differs", "deleted": "is missing", "added": "was not there"}
    for how, files in state.changed_files().items():
        inside = [file for file in files if file.startswith(f"{path}/") and file != f"{path}/"]
        if inside:
            return f" ({inside[0]} {words[how]})"
    return ""


def _commit(project: _Project) -> str | Passed:
    code = sorted({path for stage in project.stages.values() for path in stage.code})
    names = [str(paths.PIPELINE), str(paths.PARAMS), *code]
    if changed := _changed_since_commit(*names):
        raise InputError("not as it was committed; commit it, or `git checkout` it", changed[0])
    for name in [*names, str(paths.LOCK)]:
        if not git("ls-files", "--", name):
            raise InputError("not in git", name)
    head = git("rev-parse", "HEAD")[:12]
    if not _changed_since_commit(str(paths.LOCK)):
        return f"{paths.PIPELINE}, {paths.LOCK}, {paths.PARAMS} and the code are those of commit {head}"
    what = f"{paths.LOCK} is not that of commit {head}"
    before = state.load(revision="HEAD")
    found, table = differences.explained(before, project.stages, differences.METRICS, what)
    same = f"{paths.PIPELINE}, {paths.PARAMS} and the code are those of commit {head}"
    return Passed("commit", f"{same}; {len(found)} outputs have other bytes, as on another processor", table)


def _changed_since_commit(*names: str) -> list[str]:
    """Those files that are not as in HEAD, by their names from the root of the git repository."""
    status = git("status", "--porcelain", "--untracked-files=all", "--", *names)
    return [line[3:] for line in status.splitlines()]


def _pairs(project: _Project) -> str:
    found = []
    for iteration in project.settings.iterations:
        own = project.settings.of_iteration(iteration)
        texts = Examples(own, iteration).texts
        _read_again(own, own.iteration(iteration).data, texts)
        made, drops = pairs_stage.make(own, texts)
        folder = paths.pairs(iteration)
        _compare(folder / paths.PAIRS, made)
        _compare(folder / paths.DROPS, drops)
        found.append(f"{iteration}: {len(made):,} pairs and {len(drops):,} drops")
    return " · ".join(found) + "; all follow from answers and translations, byte by byte"


def _read_again(settings: config.Settings, data: str, texts: Texts) -> None:
    """Each translation's text is what its raw text gives."""
    for (source, target), rows in texts.translations.items():
        path = paths.translation_file(data, source, target)
        for line, row in enumerate(rows.values(), start=1):
            if row.id not in texts.responses[source]:
                raise InputError(f"there is no answer {row.id!r} in {source} that this translates", path, line)
            answer = texts.responses[source][row.id].text
            read = translate_stage.parse(row.raw, row.finish_reason, settings.translation_is_begun, answer)
            if (row.text, row.tolerated) != read:
                raise InputError(f"the text of {row.id!r} is not what its raw text gives", path, line)


def _compare(path: Path, rows: Sequence[Pair | Drop]) -> None:
    """Raise at the first line of a file that differs from the recomputed row."""
    encode = msgspec.json.Encoder().encode
    try:
        written = path.read_bytes().splitlines(keepends=True)
    except FileNotFoundError as error:
        raise InputError("missing", path) from error
    for line, (old, row) in enumerate(zip_longest(written, rows), start=1):
        if row is None:
            raise InputError("a row more than answers and translations give", path, line)
        if old != encode(row) + b"\n":
            raise InputError(f"answers and translations give {row.id!r} here, and other bytes stand here", path, line)


def _models(project: _Project) -> str:
    base, place = policy.resolve(paths.BASE), paths.model(paths.BASE)
    recorded = read_json(place / paths.RECORD, BaseRecord)
    found = policy.fingerprint(place)
    if found != recorded.fingerprint:
        raise InputError(f"the base is {found[:12]}, its record says {recorded.fingerprint[:12]}", place / paths.RECORD)
    told = [_model(project.settings, iteration, base.fingerprint) for iteration in project.settings.iterations]
    return " · ".join(told) + f"; base {base.fingerprint[:12]}"


def _model(settings: config.Settings, name: str, base: str) -> str:
    place, pairs_file = paths.model(name) / paths.RECORD, paths.pairs(name) / paths.PAIRS
    record = read_json(place, AdapterRecord)
    previous = settings.iteration(name).previous
    expected = {
        "model": (record.model, name),
        "model before": (record.previous, previous),
        "base": (record.base, base),
        "pairs": (record.pairs, policy.file_hash(pairs_file)),
        "reference": (record.reference, policy.resolve(previous).fingerprint),
    }
    for what, (recorded, now) in expected.items():
        if recorded != now:
            raise InputError(f"trained with another {what}: {recorded[:12]} is recorded, {now[:12]} is here", place)
    with pairs_file.open("rb") as file:
        rows = sum(1 for _ in file)
    left_out = len(read_by_key(paths.model(name) / paths.DROPS, Drop, may_be_empty=True))
    used = record.rows + record.eval_rows
    if used + left_out != rows:
        raise InputError(f"{used:,} pairs trained on or held out and {left_out:,} left out are not {rows:,}", place)
    return f"{name} on {previous} from {record.rows:,} pairs"
