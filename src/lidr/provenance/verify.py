"""The proof that what is on disk is what the record says, link by link.

    $ lidr audit verify
    ok  pipeline    23 stages of dvc.yaml are in dvc.lock, with the same commands, inputs and outputs
    ok  parameters  68 values of params.yaml are those that the stages ran with
    ok  code        167 modules and folders are those that the stages ran with
    ok  commit      dvc.yaml, dvc.lock, params.yaml and the code are those of commit d53fce3
    ok  data        44 outputs and 52 inputs have the hashes of dvc.lock
    ok  pairs       m1: 2,214 pairs and 186 drops follow from answers and translations, byte by byte · m2: ...
    ok  models      m1 on m0 from 2,214 pairs · m2 on m1 from 2,196 pairs; base 3f1c9a04b7d2

The checks go from what all else rests on to what is made last, and end at the first broken link. Hashes alone prove
that nothing changed since the stages ran; that the pairs are the ones that the rule gives, and that an adapter is from
these pairs, is proven by making the pairs again and by the record that `lidr train` left in the adapter's folder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any

import msgspec

from lidr import config, paths, policy
from lidr.errors import InputError, LidrError
from lidr.git import git
from lidr.jsonl import read_by_key, read_json
from lidr.policy import AdapterRecord, BaseRecord
from lidr.provenance import lock
from lidr.records import Drop, Prompt, Record, Response, Translation, pair_id
from lidr.stages import pairs as pairs_stage
from lidr.stages import translate as translate_stage
from lidr.tracking.hashes import dvc_hash

_CACHE = Path(".dvc/cache/files/md5")
_CODE = "src/"


class BrokenLink(LidrError):
    """The first thing that is not as the record says."""


@dataclass(frozen=True)
class Passed:
    """One kind of link, all of which hold."""

    name: str
    found: str


@dataclass
class _Project:
    """The working folder's record, read once."""

    settings: config.Settings
    locked: dict[str, lock.LockedStage]
    wanted: dict[str, lock.WantedStage]
    # What DVC keeps of stages that dvc.yaml has no more: of another profile, or of an iteration that was taken out.
    left: list[str]
    hashes: dict[str, str] = field(default_factory=dict)

    def hash(self, path: str) -> str:
        """DVC's hash of a file or folder; of code, without what git ignores."""
        if path not in self.hashes:
            self.hashes[path] = dvc_hash(Path(path), _tracked(path) if path.startswith(_CODE) else None)
        return self.hashes[path]


def verify(settings: config.Settings) -> Iterator[Passed]:
    """Yield each check that holds; raises BrokenLink, with the name of the check, at the first that does not."""
    checks: dict[str, Callable[[_Project], str]] = {
        "pipeline": _pipeline,
        "parameters": _parameters,
        "code": _code,
        "commit": _commit,
        "data": _data,
        "pairs": _pairs,
        "models": _models,
    }
    try:
        recorded, wanted = lock.load_lock(), lock.load_pipeline()
    except LidrError as error:
        raise BrokenLink(f"pipeline: {error}") from error
    locked = {name: stage for name, stage in recorded.items() if name in wanted}
    project = _Project(settings, locked, wanted, sorted(recorded.keys() - wanted.keys()))
    for name, check in checks.items():
        try:
            found = check(project)
        except LidrError as error:
            raise BrokenLink(f"{name}: {error}") from error
        yield Passed(name, found)


def _pipeline(project: _Project) -> str:
    for name, wanted in project.wanted.items():
        locked = project.locked.get(name)
        if locked is None:
            raise InputError(f"the stage {name} has not run; run `dvc repro`", paths.LOCK)
        if locked.cmd != wanted.cmd:
            raise InputError(f"{name} ran {locked.cmd!r}, {paths.PIPELINE} says {wanted.cmd!r}", paths.LOCK)
        for kind, recorded, asked in (("inputs", locked.deps, wanted.deps), ("outputs", locked.outs, wanted.outs)):
            if different := sorted(set(recorded) ^ set(asked)):
                raise InputError(f"{name} ran with other {kind}: {different[0]} is in one of them only", paths.LOCK)
    found = (
        f"{len(project.wanted)} stages of {paths.PIPELINE} are in {paths.LOCK}, with the same commands, inputs and "
        "outputs"
    )
    return f"{found}; not looked at, of another pipeline: {', '.join(project.left)}" if project.left else found


def _parameters(project: _Project) -> str:
    document, places = lock.recorded_params(), set()
    for name, stage in project.locked.items():
        if missing := sorted(set(project.wanted[name].params) ^ set(stage.params)):
            raise InputError(f"{name} ran with other parameters: {missing[0]} is in one of them only", paths.LOCK)
        for place, recorded in stage.params.items():
            places.add(place)
            try:
                now = lock.value_at(document, place)
            except (KeyError, TypeError):
                raise InputError(f"{place} is missing; {name} ran with it", paths.PARAMS) from None
            if difference := _difference(place, recorded, now):
                where, then, value = difference
                raise InputError(f"{where} is {value!r} here, but {name} ran with {then!r}", paths.PARAMS)
    return f"{len(places)} values and blocks of {paths.PARAMS} are those that the stages ran with"


def _difference(place: str, recorded: Any, now: Any) -> tuple[str, Any, Any] | None:
    """The first place in which two values differ, with both values there."""
    if isinstance(recorded, dict) and isinstance(now, dict):
        for key in [*recorded, *(key for key in now if key not in recorded)]:
            if found := _difference(f"{place}.{key}", recorded.get(key), now.get(key)):
                return found
        return None
    return None if recorded == now else (place, recorded, now)


def _code(project: _Project) -> str:
    seen = set()
    for name, stage in project.locked.items():
        for path, recorded in stage.deps.items():
            if path.startswith(_CODE):
                _expect(project, path, recorded, f"{name} ran with")
                seen.add(path)
    return f"{len(seen)} modules and folders of code are those that the stages ran with"


def _commit(project: _Project) -> str:
    code = sorted({path for stage in project.locked.values() for path in stage.deps if path.startswith(_CODE)})
    names = [str(paths.PIPELINE), str(paths.LOCK), str(paths.PARAMS), *code]
    changed = git("status", "--porcelain", "--untracked-files=all", "--", *names).splitlines()
    if changed:
        raise InputError("not as it was committed; commit it, or `git checkout` it", changed[0][3:])
    for name in names:
        if not git("ls-files", "--", name):
            raise InputError("not in git", name)
    return f"{paths.PIPELINE}, {paths.LOCK}, {paths.PARAMS} and the code are those of commit {git_head()[:12]}"


def git_head() -> str:
    """The commit that is checked out."""
    return git("rev-parse", "HEAD")


def _data(project: _Project) -> str:
    outputs: set[str] = set()
    inputs: set[str] = set()
    for name, stage in project.locked.items():
        for path, recorded in stage.deps.items():
            if not path.startswith(_CODE):
                _expect(project, path, recorded, f"{name} read")
                inputs.add(path)
        for path, recorded in stage.outs.items():
            _expect(project, path, recorded, f"{name} wrote")
            outputs.add(path)
    return f"{len(outputs)} outputs and {len(inputs)} inputs have the hashes of {paths.LOCK}"


def _expect(project: _Project, path: str, recorded: str, whose: str) -> None:
    """Raise where a file or folder is missing, or not the one that the stage had."""
    if not Path(path).exists():
        raise InputError("missing; `dvc checkout` or `dvc pull` bring data back, `git checkout` code", path)
    found = project.hash(path)
    if found != recorded:
        inner = _changed_inside(path, recorded)
        raise InputError(f"not what {whose}: its MD5 is {found}, {paths.LOCK} has {recorded}{inner}", path)


def _changed_inside(path: str, recorded: str) -> str:
    """Which file of a folder differs, where DVC's cache still has the folder's list."""
    listing = _CACHE / recorded[:2] / recorded[2:]
    if not recorded.endswith(".dir") or not listing.is_file():
        return ""
    then = {row["relpath"]: row["md5"] for row in msgspec.json.decode(listing.read_bytes())}
    for name, md5 in sorted(then.items()):
        file = Path(path, name)
        if not file.is_file():
            return f" ({file} is missing)"
        if dvc_hash(file) != md5:
            return f" ({file} differs)"
    extra = sorted(f.relative_to(path).as_posix() for f in Path(path).rglob("*") if f.is_file())
    return "".join(f" ({Path(path, name)} was not there)" for name in extra if name not in then)


def _tracked(path: str) -> list[Path] | None:
    """The files of a folder that git does not ignore: what DVC counts there, by .dvcignore; None for a file."""
    if not Path(path).is_dir():
        return None
    names = git("ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", path).split("\0")
    return [Path(name) for name in names if name and Path(name).is_file()]


def _pairs(project: _Project) -> str:
    found = []
    for iteration in project.settings.iterations:
        _in_order(project.settings, iteration)
        _read_again(project.settings, iteration)
        texts = pairs_stage.read_texts(project.settings, iteration)
        made, drops = pairs_stage.make(project.settings, texts)
        folder = paths.pairs(iteration)
        _compare(folder / paths.PAIRS, made, lambda row: row.id)
        _compare(folder / paths.DROPS, drops, lambda row: pair_id(row.prompt_id, row.lang, row.other_lang))
        found.append(f"{iteration}: {len(made):,} pairs and {len(drops):,} drops")
    return " · ".join(found) + "; all follow from answers and translations, byte by byte"


def _in_order(settings: config.Settings, iteration: str) -> None:
    """The rows of every file are those of prompts, in the prompts' order."""
    prompts = read_by_key(paths.prompt_file(iteration, settings.dominant), Prompt)
    places = {name: place for place, name in enumerate(prompts)}
    files: list[tuple[Path, type[Record]]] = []
    for lang in settings.all_languages:
        files += [(paths.prompt_file(iteration, lang), Prompt), (paths.response_file(iteration, lang), Response)]
    for direction in translate_stage.directions(settings):
        files.append((paths.translation_file(iteration, *direction), Translation))
    for path, record in files:
        last = -1
        for line, name in enumerate(read_by_key(path, record, may_be_empty=True), start=1):
            if name not in places:
                raise InputError(f"there is no prompt {name!r}", path, line)
            if places[name] < last:
                raise InputError(f"{name!r} stands too late; rows are expected in the order of the prompts", path, line)
            last = places[name]


def _read_again(settings: config.Settings, iteration: str) -> None:
    """Each translation's text is what its raw text gives."""
    for source, target in translate_stage.directions(settings):
        answers = read_by_key(paths.response_file(iteration, source), Response)
        path = paths.translation_file(iteration, source, target)
        for line, row in enumerate(read_by_key(path, Translation, may_be_empty=True).values(), start=1):
            if row.id not in answers:
                raise InputError(f"there is no answer {row.id!r} in {source} that this translates", path, line)
            read = translate_stage.parse(
                row.raw, row.finish_reason, settings.engine.continues_turns, answers[row.id].text
            )
            if (row.text, row.tolerated) != read:
                raise InputError(f"the text of {row.id!r} is not what its raw text gives", path, line)


def _compare(path: Path, rows: list[Any], name_of: Callable[[Any], str]) -> None:
    """Raise at the first line of a file that is not the row made anew."""
    encode = msgspec.json.Encoder().encode
    try:
        written = path.read_bytes().splitlines(keepends=True)
    except FileNotFoundError as error:
        raise InputError("missing", path) from error
    for line, (old, row) in enumerate(zip_longest(written, rows), start=1):
        if row is None:
            raise InputError("a row more than answers and translations give", path, line)
        if old != encode(row) + b"\n":
            raise InputError(
                f"answers and translations give {name_of(row)!r} here, and other bytes stand here", path, line
            )


def _models(project: _Project) -> str:
    base, place = policy.resolve(paths.BASE), paths.model(paths.BASE)
    recorded = read_json(place / paths.RECORD, BaseRecord)
    assert isinstance(recorded, BaseRecord)
    found = policy.fingerprint(place)
    if found != recorded.fingerprint:
        raise InputError(f"the base is {found[:12]}, its record says {recorded.fingerprint[:12]}", place / paths.RECORD)
    told = [_model(project.settings, iteration, base.fingerprint) for iteration in project.settings.iterations]
    return " · ".join(told) + f"; base {base.fingerprint[:12]}"


def _model(settings: config.Settings, name: str, base: str) -> str:
    """One adapter against its record: the pairs, the base and the reference that it was trained with."""
    place, pairs_file = paths.model(name) / paths.RECORD, paths.pairs(name) / paths.PAIRS
    record = read_json(place, AdapterRecord)
    assert isinstance(record, AdapterRecord)
    previous = settings.iteration(name).previous
    expected: dict[str, tuple[str, str]] = {
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
    left_out = len(read_by_key(paths.model(name) / paths.DROPS, Drop, _drop_id, may_be_empty=True))
    used = record.rows + record.eval_rows
    if used + left_out != rows:
        raise InputError(f"{used:,} pairs trained on or held out and {left_out:,} left out are not {rows:,}", place)
    return f"{name} on {previous} from {record.rows:,} pairs"


def _drop_id(row: Record) -> str:
    assert isinstance(row, Drop)
    return pair_id(row.prompt_id, row.lang, row.other_lang)
