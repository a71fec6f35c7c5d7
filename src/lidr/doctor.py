"""Checks that this machine has what the active profile needs; changes nothing and loads no weights.

$ lidr doctor
ok    python        3.11.7
ok    packages      24 at the versions of this project
...
miss  mgsm          data/sources/mgsm is not here: `dvc pull data/sources/mgsm.dvc`
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import requests
import torch
from packaging.requirements import Requirement

from lidr import config, machine, paths, profiles
from lidr.config import quantization
from lidr.engines.endpoint import NO_KEY, read_key
from lidr.engines.settings import OpenAI
from lidr.errors import LidrError
from lidr.evaluation.alpaca import Alpaca
from lidr.evaluation.registry import benchmark_of, benchmarks
from lidr.git import git
from lidr.models import folder as model
from lidr.models import policy
from lidr.prompts import sources
from lidr.tracking import is_off, store
from lidr.training import launcher

GIB = 1024**3
# Space for data, reports and the tracking store, without the model.
FREE_DISK = 5 * GIB


@dataclass(frozen=True)
class Finding:
    """The result of one check; `is_there` is None for information only."""

    name: str
    is_there: bool | None
    detail: str

    def line(self) -> str:
        mark = {True: "ok", False: "miss", None: "note"}[self.is_there]
        return f"{mark:<6}{self.name:<13} {self.detail}"


def examine(settings: config.Settings) -> Iterator[Finding]:
    """Yield the findings of all checks."""
    checks = (_python, _packages, _device, _training, _memory, _disk, _git, _dvc, _mlflow, _engine, _base)
    yield from (look(settings) for look in checks)
    yield from _data(settings)
    yield from _keys(settings)


def _python(_: config.Settings) -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding("python", (3, 11) <= sys.version_info[:2] < (3, 13), f"{version}; 3.11 or 3.12 is expected")


def _packages(_: config.Settings) -> Finding:
    wanted = [Requirement(text) for text in metadata.requires("lidr") or []]
    needed = [one for one in wanted if one.marker is None or one.marker.evaluate({"extra": ""})]
    wrong = []
    for one in needed:
        try:
            version = metadata.version(one.name)
        except metadata.PackageNotFoundError:
            wrong.append(f"{one.name} is not installed")
        else:
            if not one.specifier.contains(version, prereleases=True):
                wrong.append(f"{one.name} is {version}, {one.specifier} is expected")
    return Finding("packages", not wrong, "; ".join(wrong) or f"{len(needed)} at the versions of this project")


def _device(settings: config.Settings) -> Finding:
    wanted = settings.engine.device
    there = policy.pick_device(wanted)
    names = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    detail = f"{there} (engine.device: {wanted}), torch {torch.__version__}"
    return Finding("device", names[there], detail if names[there] else f"{detail}; no such device is here")


def _training(settings: config.Settings) -> Finding:
    """The number of devices that training uses, and how to use idle ones."""
    files = [settings.of_iteration(iteration).train.accelerate for iteration in settings.iterations]
    if file := next(filter(None, files), None):
        try:
            count = launcher.processes(Path(file), settings.engine.device)
            return Finding("training", True, f"{count} processes ({file})")
        except LidrError as error:
            return Finding("training", False, str(error))
    on_gpu = policy.pick_device(settings.engine.device).startswith("cuda")
    found = torch.cuda.device_count() if on_gpu else 0
    if found > 1:
        detail = f"one of {found} visible GPUs (train.accelerate: null); {launcher.ALL_GPUS} uses all"
        return Finding("training", None, detail)
    return Finding("training", True, "one process (train.accelerate: null)")


def _memory(_: config.Settings) -> Finding:
    return Finding("memory", None, f"{machine.memory() / GIB:.1f} GiB; `lidr plan` says what is needed")


def _disk(_: config.Settings) -> Finding:
    free = shutil.disk_usage(Path.cwd()).free
    detail = f"{free / GIB:.1f} GiB free; {FREE_DISK / GIB:.0f} GiB are expected, and three times the base's weights"
    return Finding("disk", free >= FREE_DISK, detail)


def _git(_: config.Settings) -> Finding:
    try:
        return Finding("git", True, f"at {git('rev-parse', '--short', 'HEAD')}")
    except LidrError:
        return Finding("git", False, "no repository with a commit; DVC's experiments and the records of runs need one")


def _dvc(_: config.Settings) -> Finding:
    if shutil.which("dvc") is None:
        return Finding("dvc", False, "the command is not on the PATH")
    if not (Path(".dvc").is_dir() and paths.PIPELINE.exists()):
        return Finding("dvc", False, "no .dvc and dvc.yaml; run lidr in its root")
    root, version = str(Path.cwd()), metadata.version("dvc")
    if not root.isascii() or set(root) & set("?#"):
        needed = "DVC's queued and temporary experiments need a path without ?, # and letters beyond ASCII"
        return Finding("dvc", None, f"{version}; {needed}; all else works")
    return Finding("dvc", True, version)


def _mlflow(_: config.Settings) -> Finding:
    if is_off():
        return Finding("mlflow", None, "off (LIDR_TRACKING)")
    uri = store.tracking_uri(store.project_root())
    place = store.without_secrets(uri)
    if not store.is_server(uri):
        return Finding("mlflow", os.access(store.project_root(), os.W_OK), place)
    try:
        answers = requests.get(f"{uri.rstrip('/')}/health", timeout=5).ok
    except requests.RequestException:
        answers = False
    return Finding("mlflow", answers, f"{place} (`lidr track` logs later what it does not take)")


def _engine(settings: config.Settings) -> Finding:
    engine = settings.engine
    for library, extra in (used.library for used in (engine, engine.local) if used and used.library):
        if importlib.util.find_spec(library) is None:
            return Finding("engine", False, f"{library} is not installed: `pip install 'lidr[{extra}]'`")
    if settings.base.quantization is not None and not quantization.is_installed():
        return Finding("engine", False, quantization.INSTALL)
    return Finding("engine", True, engine.name)


def _base(settings: config.Settings) -> Finding:
    base = settings.base
    try:
        # If the model is gated, missing or unreachable, so is its configuration.
        model.config_folder(base)
    except LidrError as error:
        return Finding("base", False, str(error))
    return Finding("base", True, base.model if base.revision is None else f"{base.model} at {base.revision}")


def _data(settings: config.Settings) -> Iterator[Finding]:
    """The input files of stages, by their keys in params.yaml."""
    if settings.prompts.is_on_hub:
        yield Finding("prompts", None, f"{settings.prompts.source}: fetched by the stage")
    for place, path in settings.sources().items():
        if not Path(path).is_relative_to(paths.MODELS):  # made by the pipeline
            name = ".".join(place).removesuffix(".source")
            wrong = _what_is_wrong(settings, name) if Path(path).exists() else _how_to_get(settings, path)
            note = "" if _is_shared(Path(path)) else f"; clones and queued experiments lack it until `dvc add {path}`"
            yield Finding(name, not wrong, wrong or path + note)


def _what_is_wrong(settings: config.Settings, block: str) -> str:
    """What the stage that reads this block's files would say of them, or nothing."""
    try:
        if block == "prompts":
            sources.load(settings.prompts, settings.all_languages)
        elif block in {benchmark.name for benchmark in benchmarks()}:
            benchmark_of(block).prompts(settings)
    except LidrError as error:
        return str(error)
    return ""


def _is_shared(path: Path) -> bool:
    """Whether git or DVC has it for other checkouts."""
    if any(place.with_name(f"{place.name}.dvc").exists() for place in (path, *path.parents) if place.name):
        return True
    try:
        return bool(git("ls-files", "--", str(path)))
    except LidrError:  # outside of git there are none
        return True


def _how_to_get(settings: config.Settings, path: str) -> str:
    for pointer in profiles.pointers(settings):
        if Path(path).is_relative_to(pointer.with_suffix("")):
            return f"{path} is not here: `dvc pull {pointer}`"
    return f"{path} is not here"


def _keys(settings: config.Settings) -> Iterator[Finding]:
    """Whether the environment has the key of each server."""
    for title, address, variable in dict.fromkeys(_servers(settings)):
        try:
            is_set = read_key(address, variable) != NO_KEY
        except LidrError as error:
            yield Finding(title, False, f"{address}; {error}")
        else:
            yield Finding(title, is_set or None, f"{address}; {'its key is' if is_set else f'{variable} is not'} set")


def _servers(settings: config.Settings) -> Iterator[tuple[str, str, str]]:
    """Each server's role, address and key variable."""
    engine = settings.engine
    if isinstance(engine, OpenAI):
        yield "server", engine.endpoint, engine.key_variable
    for made in (settings, *(settings.of_data(name) for name in settings.data)):
        if isinstance(model := made.translate.model, config.TranslationServer):
            yield "translator", model.endpoint, model.key_variable
    for title, judge in (("judge", settings.block(Alpaca).judge), ("audit's judge", settings.audit.judge)):
        if isinstance(judge, config.OpenAIJudge):
            yield title, judge.endpoint, judge.key_variable
