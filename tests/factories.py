"""Records and configurations in one line each, and an engine that needs no model."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from lidr import config, paths
from lidr.config.training import Lora
from lidr.engines.base import Completion, Conversation, Progress, Request, Sampling, TokenIds
from lidr.models import policy
from lidr.records import FinishReason, Prompt, PromptKind, Response, Source, Translation
from lidr.records.jsonl import write_json

ROOT = Path(__file__).parents[1]


# The keys of an iteration in the committed params.yaml, beside `previous`.
_OWN_VALUES = re.compile(r"    train:\n      dpo:\n        learning_rate: .*\n")


def edited(*replacements: tuple[str, str]) -> str:
    """tests/params.yaml with replacements, each of which must match; `key:` replaces the whole line.

    Its iterations have no values of their own, so that tests can add some.
    """
    text, count = _OWN_VALUES.subn("", (ROOT / "tests" / "params.yaml").read_text("utf-8"))
    assert count == 1, "params.yaml has one iteration with values of its own"
    for old, new in replacements:
        line = re.search(rf"^{old}.*$", text, re.MULTILINE) if old.endswith(":") else None
        old = line[0] if line else old
        assert old in text, f"params.yaml has no {old!r}"
        text = text.replace(old, new, 1)
    return text


@cache
def _committed() -> config.Settings:
    return config.load(ROOT / "params.yaml")


def pair_settings(**pairs: object) -> config.Settings:
    """The project's settings with English as the dominant language, Spanish and German beside it, and these pairs."""
    whole = _committed()
    return msgspec.structs.replace(whole, languages=("es", "de"), pairs=msgspec.structs.replace(whole.pairs, **pairs))


def put_train(document: dict[str, Any], **values: Any) -> dict[str, Any]:
    """The configuration with these values of `train`, each in its key's block."""
    for key, value in values.items():
        block = document["train"]
        if key not in config.Train.__struct_fields__:
            block = block["lora" if key in Lora.__struct_fields__ else "dpo"]
        block[key] = value
    return document


def with_train(settings: config.Settings, **values: Any) -> config.Settings:
    """The settings with these values of `train`."""
    return msgspec.convert(put_train(msgspec.to_builtins(settings), **values), config.Settings)


def own_prompts(folder: Path | str) -> tuple[str, str]:
    """The replacements of `edited` for prompts from a folder."""
    return "  source: lab                 # `lab`, a folder", f"  source: {folder}  # `lab`, a folder"


def prompt(id: str, lang: str, text: str = "", kind: str = "task", row: int = 0) -> Prompt:
    return Prompt(
        id=id, lang=lang, text=text or f"ask {id} {lang}", source=Source(name="test", row=row), kind=PromptKind(kind)
    )


def response(id: str, lang: str, text: str | None = None, finish: str = "stop") -> Response:
    return Response(
        id=id,
        lang=lang,
        text=f"answer {id} {lang}" if text is None else text,
        finish_reason=FinishReason(finish),
        prompt_tokens=3,
        completion_tokens=4,
    )


def translation(
    id: str, source: str, target: str, text: str | None = "", finish: str = "stop", raw: str = ""
) -> Translation:
    """A translation, by default a parsed one; None is an unparsed one."""
    return Translation(
        id=id,
        source_lang=source,
        target_lang=target,
        text=f"{id} from {source} to {target}" if text == "" else text,
        finish_reason=FinishReason(finish),
        raw=raw,
    )


def random_adapter(models: Path, std: float, modules: list[str], r: int = 4, rows: int = 1) -> None:
    """m1: a random adapter on the base, with a record of training on `rows` pairs."""
    import torch
    from peft import LoraConfig, get_peft_model

    base = policy.resolve("m0", models)
    torch.manual_seed(0)
    wanted = LoraConfig(r=r, lora_alpha=2 * r, target_modules=modules, task_type="CAUSAL_LM")
    model = get_peft_model(policy.load_base(base, torch.float32), wanted)
    for name, weights in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weights, std=std)
    model.save_pretrained(models / "m1")
    record = policy.AdapterRecord(
        model="m1", previous="m0", base=base.fingerprint, reference=base.fingerprint, pairs="a1" * 32, rows=rows
    )
    write_json(models / "m1" / paths.RECORD, record)


class FakeEngine:
    """An engine that answers by a function of the request, and records its requests."""

    def __init__(self, answer: Callable[[Request], str | Completion], fingerprint: str = "f" * 64) -> None:
        self.answer = answer
        self.fingerprint = fingerprint
        self.asked: list[str] = []
        self.conversations: dict[str, Conversation] = {}
        self.sampling: Sampling | None = None
        self.closed = False

    def generate(self, requests: Sequence[Request], sampling: Sampling, progress: Progress) -> list[Completion]:
        self.sampling = sampling
        completions = []
        for request in requests:
            self.asked.append(request.id)
            self.conversations[request.id] = request.conversation
            completions.append(self._completion(request))
            progress(1)
        return completions

    def score(self, conversations: Sequence[Conversation], choices: Sequence[str]) -> list[list[float | None]]:
        raise NotImplementedError

    def log_probabilities(self, rows: Sequence[TokenIds], progress: Progress) -> list[float | None]:
        raise NotImplementedError

    def close(self) -> None:
        self.closed = True

    def _completion(self, request: Request) -> Completion:
        answer = self.answer(request)
        if isinstance(answer, Completion):
            return answer
        return completion(request.id, answer)


def completion(id: str, text: str, finish: str = "stop") -> Completion:
    return Completion(
        id=id, text=text, finish_reason=FinishReason(finish), prompt_tokens=1, completion_tokens=len(text.split())
    )
