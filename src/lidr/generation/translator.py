"""Who translates: the model itself, as in the paper, or what `translate.model` names.

    translate: {model: null, ...}                                          M_t
    translate: {model: data/sources/translator, ...}                       a folder of weights, by the block `engine`
    translate: {model: {endpoint: "https://...", model: some-name}, ...}   a server

data/m1/translations/translator.json records another translator than M_t:
{"model":"data/sources/translator","fingerprint":"3f1c..."}
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import msgspec

from lidr import config
from lidr.config.engines import EngineSettings
from lidr.engines.settings import OpenAI
from lidr.models import policy
from lidr.records import Record

RECORD = "translator.json"


class Server(OpenAI, frozen=True, kw_only=True, tag="openai"):
    """A server that only translates: it never gets the key of `engine`."""

    key_variable: ClassVar[str] = config.TranslationServer.key_variable


class TranslatorRecord(Record, frozen=True):
    """Which model translated, where it is not M_t; the fingerprint is the engine's with this model."""

    model: str
    fingerprint: str


@dataclass(frozen=True)
class Translator:
    """A model and the engine that it translates by."""

    name: str
    engine: EngineSettings
    model: policy.Policy
    is_own: bool


def translator(settings: config.Settings, author: str) -> Translator:
    """The one that params.yaml names, or the `author` of the answers; raises InputError where a folder has no model."""
    wanted = settings.translate.model
    if wanted is None:
        model = policy.resolve(author)
        return Translator(model.name, settings.engine, model, is_own=True)
    if isinstance(wanted, str):
        model = policy.of_folder(Path(wanted), "translate.model")
        return Translator(wanted, settings.engine, model, is_own=False)
    # A server's model has no files here: only its name is known.
    model = policy.Policy(wanted.model, Path(), None, False, "")
    keys = msgspec.structs.asdict(wanted)
    name = keys.pop("model")
    server = Server(rows_per_shard=settings.engine.rows_per_shard, models={name: name}, **keys)
    return Translator(f"{name} at {wanted.endpoint}", server, model, is_own=False)
