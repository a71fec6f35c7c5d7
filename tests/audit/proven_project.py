"""A small project with valid provenance: git, dvc.yaml and dvc.lock, two iterations, a base and two adapters.

Nothing runs: the data are synthetic (`audit_project`), the models are files, and `dvc commit` writes the lock.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
from audit_project import Made, in_lab
from clones import git
from factories import edited

from lidr import config, paths
from lidr.audit import stage as audit
from lidr.models import policy
from lidr.models.policy import AdapterRecord, BaseRecord
from lidr.records.jsonl import write_json, write_rows

CODE = Path("src/code/rules.py")
PIPELINE = """
stages:
  base:
    cmd: lidr base
    deps: [src/code/rules.py]
    params: [base]
    outs: [models/m0]
  prompts:
    foreach: ${data}
    do:
      cmd: lidr prompts ${key}
      params: [seed, prompts]
      outs: ['data/prompts/${key}']
  generate:
    foreach: ${data}
    do:
      cmd: lidr generate ${key}
      deps: ['data/prompts/${key}', models/m0, 'models/${item.by}']
      params: [seed, engine, generate, 'data.${key}']
      outs: ['data/${key}/responses']
  translate:
    foreach: ${data}
    do:
      cmd: lidr translate ${key}
      deps: ['data/${key}/responses', 'models/${item.by}']
      params: [translate]
      outs:
        - data/${key}/translations
        - data/${key}/round_trip.jsonl:
            desc: a sample
  pairs:
    foreach: ${iterations}
    do:
      cmd: lidr pairs ${key}
      deps:
        [src/code/rules.py,
         'data/prompts/${item.data}', 'data/${item.data}/responses', 'data/${item.data}/translations']
      params: [pairs]
      outs: ['data/${key}/pairs']
  train:
    foreach: ${iterations}
    do:
      cmd: lidr train ${key}
      deps: ['data/${key}/pairs', models/m0, 'models/${item.previous}']
      params: [seed, train]
      outs: ['models/${key}']
"""


def build(prompts: int = 12) -> config.Settings:
    """Create the project in the working folder and commit it."""
    git("init", "-q", "-b", "main")
    subprocess.run([sys.executable, "-m", "dvc", "init", "-q"], check=True)
    paths.PARAMS.write_text(edited(("languages: [es, de, fr, ru]", "languages: [es]")), "utf-8")
    paths.PIPELINE.write_text(PIPELINE, "utf-8")
    CODE.parent.mkdir(parents=True)
    CODE.write_text("RULE = 1\n", "utf-8")
    Path(".gitignore").write_text("/data/\n/models/\n/.dvc/\n/.lidr/\n", "utf-8")
    settings = config.load()
    _model("m0", b"weights of the base")
    write_json(paths.model("m0") / paths.RECORD, _base_record())
    for number, iteration in enumerate(settings.iterations, start=1):
        made = in_lab(settings, prompts, seed=number)
        _rename(made, f"lab-{number}0")
        made.write(settings, iteration)
        write_json(paths.audit(iteration) / paths.METRICS, audit.measure(settings, iteration, None, {}).figures)
        train(settings, iteration)
    relock()
    return settings


def train(settings: config.Settings, iteration: str, weights: bytes | None = None, **fields: Any) -> None:
    """An adapter and its record, as `lidr train` leaves them; `fields` replace those of the record."""
    _model(iteration, weights or f"adapter {iteration}".encode())
    pairs_file, previous = paths.pairs(iteration) / paths.PAIRS, settings.iterations[iteration].previous
    record = AdapterRecord(
        model=iteration,
        previous=previous,
        base=_base_record().fingerprint,
        reference=policy.resolve(previous).fingerprint,
        pairs=policy.file_hash(pairs_file),
        rows=len(pairs_file.read_bytes().splitlines()),
    )
    write_json(paths.model(iteration) / paths.RECORD, msgspec.structs.replace(record, **fields))
    write_rows(paths.model(iteration) / paths.DROPS, [])


def relock(commit: bool = True) -> None:
    """Record all stages in dvc.lock as if they had just run, and commit."""
    from dvc.repo import Repo

    with Repo() as repo:
        repo.commit(force=True)
    if commit:
        git("add", "--all")
        git("commit", "-qm", "State", "--allow-empty")


def _rename(made: Made, start: str) -> None:
    """Give iterations disjoint prompts: lab-3 becomes lab-103 in the first, lab-203 in the second."""
    for rows in (*made.prompts.values(), *made.responses.values(), *made.translations.values()):
        rows[:] = [msgspec.structs.replace(row, id=start + row.id.removeprefix("lab-")) for row in rows]  # type: ignore


def _base_record() -> BaseRecord:
    folder = paths.model("m0")
    return BaseRecord(
        source="lab",
        revision=None,
        trust_remote_code=False,
        fingerprint=policy.fingerprint(folder),
        pad_token=None,
        template={},
        date="2024-07-26",
        end_ids=(),
    )


def _model(name: str, weights: bytes) -> None:
    paths.model(name).mkdir(parents=True, exist_ok=True)
    (paths.model(name) / "model.safetensors").write_bytes(weights)
