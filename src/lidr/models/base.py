"""Stage `base`: takes a snapshot of the model that the iterations start from.

    $ lidr base
    base: lab -> models/m0 (fingerprint 3f1c9a04b7d2)

Checks config, tokenizer and chat template before any weight is fetched, and that the weights match the config before
any is copied. Then copies all to models/m0, and adds lidr.json with the fingerprint that every later record refers to.
The chat template's arguments and date are written into the snapshot's template (see `lidr.chat.template`).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from glob import escape
from json import JSONDecodeError
from pathlib import Path
from typing import Any

from lidr import config, paths
from lidr.chat import Chat, fixed_template, listed_end_ids, probe
from lidr.errors import InputError, LidrError
from lidr.models import folder as model
from lidr.models import targets, weights
from lidr.models.policy import BaseRecord, check_padding, fingerprint
from lidr.records.jsonl import atomic_folder, read_json, write_json, write_text

_UNWANTED = (*model.PICKLED, "training_args*", "optimizer*", paths.RECORD, ".*")
_ADAPTER = "adapter_config.json"
_TOKENIZER = ("tokenizer.json", "vocab*", "*.model", "*.tiktoken", "tekken.json")


def run(
    settings: config.Settings, target: Path | None = None, note: Callable[[str], None] = lambda line: None
) -> BaseRecord:
    """Snapshot the base model; `note` gets each remark for the user.

    Raises InputError where it is missing, unreadable or lacks what lidr needs.
    """
    base = settings.base
    source = model.locate(base)
    tokenizer = check(source, base)
    published = tokenizer.chat_template
    chat = fixed_chat(tokenizer, source, base)
    for line in probe(chat):
        note(line)
    names = weights.names(source)
    # The Hub's cache is never edited in place, so its files can be shared by links; a user's own can not.
    on_hub = base.revision is not None
    if on_hub:
        source = model.from_hub(base, (*model.wanted(base), *(escape(name) for name in names)))
    built = check_weights(source, base, tokenizer)
    for name in settings.iterations:
        targets.target_modules(built, settings.of_iteration(name).train.lora["target_modules"])
    with atomic_folder(target or paths.model(paths.BASE)) as folder:
        for path in (*_files(source, base), *(source / name for name in names)):
            _take(path, folder / path.name, link=on_hub)
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
            quantization=base.quantization,
        )
        write_json(folder / paths.RECORD, record)
    return record


def write_empty_audit() -> None:
    """The previous metrics of the first iteration's audit: empty, since no data was made for m0."""
    write_json(paths.audit(paths.BASE) / paths.METRICS, {"iteration": paths.BASE, "pairs": 0})


def check(folder: Path, base: config.Base) -> Any:
    """Load config and tokenizer, say what is missing, and return the tokenizer."""
    from transformers import AutoTokenizer

    _check_code(folder, base)
    if (folder / _ADAPTER).exists():
        raise InputError(f"it has an adapter ({_ADAPTER}); merge that into the weights first", base.model)
    weights.check_pointers(_files(folder, base))
    values = _load_config(folder, base)
    _check_family(values, base)
    # Without its files, some tokenizers load with an empty vocabulary.
    if not any(path for pattern in _TOKENIZER for path in folder.glob(pattern)) and not base.trust_remote_code:
        raise InputError("it has no tokenizer; tokenizer.json is expected beside config.json", base.model)
    with _loading(folder, base):
        tokenizer: Any = AutoTokenizer.from_pretrained(folder, trust_remote_code=base.trust_remote_code)
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
    with _loading(folder, base):
        listed = listed_end_ids(folder, base.trust_remote_code)
    return Chat(tokenizer, listed, Path(base.model))


def _write_template(folder: Path, template: str) -> None:
    """Replace the published chat template by this one."""
    write_text(folder / "chat_template.jinja", template)
    path = folder / "tokenizer_config.json"
    if not path.exists():
        return
    values = read_json(path)
    if values.pop("chat_template", None) is not None:
        write_json(path, values)


def check_weights(folder: Path, base: config.Base, tokenizer: Any) -> Any:
    """The model on the meta device; raises InputError unless all weights are there, whole, and fit the config."""
    weights.check_files(folder, base.model)
    with _loading(folder, base):
        built = weights.build(folder, base.model, _load_config(folder, base), base.trust_remote_code)
        rows = built.get_input_embeddings().weight.shape[0]
    # Gemma 3 of 1 B has such a special token, for images: a prompt would have to spell it out.
    special = {id for id, token in tokenizer.added_tokens_decoder.items() if token.special}
    allowed = special - {tokenizer.eos_token_id, tokenizer.bos_token_id, tokenizer.pad_token_id}
    beyond = sorted((id, token) for token, id in tokenizer.get_vocab().items() if id >= rows and id not in allowed)
    if beyond:
        id, token = beyond[0]
        reason = f"the tokenizer has more tokens than the model has embeddings ({rows:,}): {token!r} is {id:,}"
        raise InputError(f"{reason}; take the tokenizer that belongs to the weights", base.model)
    return built


def without_weights(folder: Path, base: config.Base) -> Any:
    """The model that config.json describes, on the meta device; raises InputError where it cannot be made.

    Its own code is run only with `base.trust_remote_code`; transformers would ask on the terminal.
    """
    import torch
    from transformers import AutoModelForCausalLM

    _check_code(folder, base)
    values = _load_config(folder, base)
    with _loading(folder, base), torch.device("meta"):
        return AutoModelForCausalLM.from_config(values, trust_remote_code=base.trust_remote_code)


def _load_config(folder: Path, base: config.Base) -> Any:
    from transformers import AutoConfig

    with _loading(folder, base):
        return AutoConfig.from_pretrained(folder, trust_remote_code=base.trust_remote_code)


def _check_family(values: Any, base: config.Base) -> None:
    """Raise InputError for quantised weights, and where transformers has no language model that can be batched."""
    from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING

    for part in (values, values.get_text_config()):
        quantised = getattr(part, "quantization_config", None)
        if quantised:
            method = quantised.get("quant_method") if isinstance(quantised, dict) else quantised.quant_method
            reason = f"its weights are quantised ({method or 'quantization_config in config.json'})"
            expected = "an unquantised checkpoint is expected, which base.quantization quantises at loading"
            raise InputError(f"{reason}; {expected}", base.model)
    own = "AutoModelForCausalLM" in (getattr(values, "auto_map", None) or {})
    if type(values) not in MODEL_FOR_CAUSAL_LM_MAPPING and not (own and base.trust_remote_code):
        images = " but one of images and text" if type(values) in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING else ""
        reason = f"{values.model_type} is no causal language model for transformers{images}"
        raise InputError(f"{reason}; a model that AutoModelForCausalLM loads is expected", base.model)
    check_padding(values, base.model)


@contextmanager
def _loading(folder: Path, base: config.Base) -> Iterator[None]:
    """Say in one line why transformers cannot load something."""
    from transformers.utils import logging

    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    except LidrError:
        raise
    # tokenizers raises plain Exceptions, and a model's own code anything.
    except Exception as error:
        if not base.trust_remote_code and _auto_map(folder / "config.json"):
            reason = "it needs Python code of its own; read that, then set base.trust_remote_code to true"
        else:
            reason = f"not a model that transformers can load: {_reason(error)}"
        raise InputError(reason, base.model) from error
    finally:
        logging.set_verbosity(verbosity)


def _reason(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    # Some messages continue after a colon.
    text = " ".join(lines if lines[:1] and lines[0].endswith(":") else lines[:1]) or type(error).__name__
    if isinstance(error, JSONDecodeError):
        return f"one of its JSON files is broken or cut off: {text}"
    if type(error) is Exception:
        from tokenizers import __version__

        return f"tokenizers {__version__} does not understand its tokenizer.json, which may be newer: {text}"
    return f"{type(error).__name__} {text}" if isinstance(error, KeyError | AttributeError | TypeError) else text


def _check_code(folder: Path, base: config.Base) -> None:
    """Raise InputError for a model's own Python outside its folder: no revision pins it."""
    maps = [_auto_map(folder / name) for name in ("config.json", "tokenizer_config.json")]
    if base.trust_remote_code and any("--" in str(place) for places in maps for place in places.values()):
        raise InputError("its code lies in another repository, which no revision here pins (auto_map)", base.model)


def _auto_map(path: Path) -> dict[str, Any]:
    """The transformers classes that a model replaces by its own; transformers reports a broken file."""
    try:
        return read_json(path).get("auto_map") or {}
    except InputError:
        return {}


def _files(folder: Path, base: config.Base) -> Iterable[Path]:
    """All files of the model but its weights, in order of their names."""
    unwanted = {path for pattern in _UNWANTED for path in folder.glob(pattern)}
    wanted = {path for pattern in model.wanted(base) for path in folder.glob(pattern)}
    return sorted(path for path in wanted - unwanted if path.is_file())


def _take(path: Path, target: Path, link: bool) -> None:
    if link:
        # Else it is another file system, or one without links.
        with suppress(OSError):
            os.link(path.resolve(), target)
            return
    shutil.copyfile(path, target)
