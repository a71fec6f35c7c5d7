"""Stage `base`: takes a snapshot of the model that the iterations start from.

    $ lidr base
    base: lab -> models/m0 (fingerprint 3f1c9a04b7d2)

Checks config, tokenizer and chat template before any weight is fetched or copied, then puts them with generation config
and safetensors weights into models/m0, and adds lidr.json with the fingerprint that every later record refers to.
The chat template's arguments and date are written into the snapshot's template (see `lidr.chat.template`).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lidr import config, paths
from lidr.chat import Chat, fixed_template, listed_end_ids, probe
from lidr.errors import InputError
from lidr.jsonl import atomic_folder, read_json, write_json, write_text
from lidr.policy import BaseRecord, fingerprint, import_transformers
from lidr.sources import model

_UNWANTED = (*model.PICKLED, "training_args*", "optimizer*", paths.RECORD, ".*")


def run(
    settings: config.Settings, target: Path | None = None, note: Callable[[str], None] = lambda line: None
) -> BaseRecord:
    """Snapshot the base model; `note` gets what a user should know of it, a line each.

    Raises InputError where it is missing, unreadable or lacks what lidr needs.
    """
    base = settings.base
    source = model.locate(base)
    tokenizer = check(source, base)
    published = tokenizer.chat_template
    chat = fixed_chat(tokenizer, source, base)
    for line in probe(chat):
        note(line)
    # The Hub's cache is never edited in place, so its files can be shared by links; a user's own can not.
    on_hub = base.revision is not None
    if on_hub:
        source = model.from_hub(base, (*model.wanted(base), model.WEIGHTS))
    check_weights(source, base)
    with atomic_folder(target or paths.model(paths.BASE)) as folder:
        _copy(source, folder, (*model.wanted(base), model.WEIGHTS), link=on_hub)
        if tokenizer.chat_template != published:
            _write_template(folder, tokenizer.chat_template)
        record = BaseRecord(
            source=base.model,
            revision=base.revision,
            trust_remote_code=base.trust_remote_code,
            fingerprint=fingerprint(folder),
            pad_token=tokenizer.pad_token,
            template=base.template,
            date=base.date.isoformat(),
            end_ids=tuple(sorted(chat.end_ids)),
        )
        write_json(folder / paths.RECORD, record)
    return record


def write_empty_audit() -> None:
    """What the first iteration's audit goes on from: no data was made for m0."""
    write_json(paths.audit(paths.BASE) / paths.METRICS, {"iteration": paths.BASE, "pairs": 0})


def check(folder: Path, base: config.Base) -> Any:
    """Load config and tokenizer, say what is missing, and return the tokenizer."""
    import_transformers()
    from transformers import AutoConfig, AutoTokenizer

    _check_code(folder, base)
    try:
        AutoConfig.from_pretrained(folder, trust_remote_code=base.trust_remote_code)
        tokenizer: Any = AutoTokenizer.from_pretrained(folder, trust_remote_code=base.trust_remote_code)
    except (OSError, ValueError, KeyError) as error:
        if not base.trust_remote_code and _auto_map(folder / "config.json"):
            reason = "it needs Python code of its own; read that, then set base.trust_remote_code to true"
            raise InputError(reason, base.model) from error
        raise InputError(f"not a model that transformers can load: {str(error).splitlines()[0]}", base.model) from error
    if not tokenizer.chat_template:
        raise InputError("the tokenizer has no chat template; a chat (instruct) model is expected", base.model)
    if tokenizer.eos_token_id is None:
        raise InputError("the tokenizer has no end-of-sequence token; a chat (instruct) model is expected", base.model)
    return tokenizer


def fixed_chat(tokenizer: Any, folder: Path, base: config.Base) -> Chat:
    """The model's chat with the template's arguments and date in it; raises InputError where they do not fit."""
    import jinja2

    try:
        template = fixed_template(tokenizer.get_chat_template(), base.template, base.date)
    except jinja2.TemplateSyntaxError as error:
        raise InputError(
            f"the chat template has a syntax error in its line {error.lineno}: {error}", base.model
        ) from error
    except ValueError as error:
        reason = "the tokenizer has several chat templates, and none is named 'default'; one is expected"
        raise InputError(reason, base.model) from error
    tokenizer.chat_template = template
    return Chat(tokenizer, listed_end_ids(folder, base.trust_remote_code), Path(base.model))


def _write_template(folder: Path, template: str) -> None:
    """Put this chat template in the place of the one that the model was published with."""
    write_text(folder / "chat_template.jinja", template)
    path = folder / "tokenizer_config.json"
    values = read_json(path)
    assert isinstance(values, dict)
    if values.pop("chat_template", None) is not None:
        write_json(path, values)


def check_weights(folder: Path, base: config.Base) -> None:
    """Raise InputError unless all weights are there, as safetensors."""
    present = {path.name for path in folder.glob(model.WEIGHTS)}
    if not present:
        raise InputError("no *.safetensors weights in this model; other formats are not loaded", base.model)
    index = folder / "model.safetensors.index.json"
    if index.exists():
        listed = read_json(index)
        assert isinstance(listed, dict)
        missing = sorted(set(listed.get("weight_map", {}).values()) - present)
        if missing:
            raise InputError(f"weights are missing: {', '.join(missing)}", index)


def _check_code(folder: Path, base: config.Base) -> None:
    """A model that brings its own Python may bring it from its own folder only: no revision pins another place."""
    maps = [_auto_map(folder / name) for name in ("config.json", "tokenizer_config.json")]
    if base.trust_remote_code and any("--" in str(place) for places in maps for place in places.values()):
        raise InputError("its code lies in another repository, which no revision here pins (auto_map)", base.model)


def _auto_map(path: Path) -> dict[str, Any]:
    """Which of transformers' classes a model replaces by its own; transformers tells what is wrong with the file."""
    try:
        values = read_json(path)
    except InputError:
        return {}
    return values.get("auto_map") or {} if isinstance(values, dict) else {}


def _copy(source: Path, folder: Path, names: tuple[str, ...], link: bool) -> None:
    unwanted = {path for pattern in _UNWANTED for path in source.glob(pattern)}
    for path in sorted({path for pattern in names for path in source.glob(pattern)} - unwanted):
        if path.is_file():
            _take(path, folder / path.name, link)


def _take(path: Path, target: Path, link: bool) -> None:
    if link:
        try:
            os.link(path.resolve(), target)
        except OSError:
            pass  # another file system, or one without links
        else:
            return
    shutil.copyfile(path, target)
