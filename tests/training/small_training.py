"""Pairs and settings for a training of seconds, and manual log-probabilities of its pairs."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import msgspec
from factories import ROOT, put_train
from ruamel.yaml import YAML

from lidr import config, paths
from lidr.chat import open_chat
from lidr.models import base, policy
from lidr.records import Message, Pair
from lidr.training import stage as train


def made_pair(number: int, chosen: str, rejected: str) -> Pair:
    """A pair in Spanish with these two answers."""
    return Pair(
        id=f"p{number}:es:en",
        prompt=(Message(role="user", content=f"¿Qué número es mayor, {number} o 61?"),),
        chosen=(Message(role="assistant", content=chosen),),
        rejected=(Message(role="assistant", content=rejected),),
        prompt_id=f"p{number}",
        lang="es",
        other_lang="en",
        rule="translated_dominant",
        chosen_from=f"translation:p{number}:en-es",
        rejected_from=f"response:p{number}:es",
    )


def pair(number: int) -> Pair:
    chosen, rejected = f"El número mayor es 61, porque 61 es más que {number}.", "The larger number is 61."
    return made_pair(number, chosen, rejected[: 4 + number % 20])


def configured(quantization: dict[str, Any] | None = None, **values: Any) -> config.Settings:
    """Write params.yaml with other values of `train`, since other processes read the file."""
    document: dict[str, Any] = msgspec.to_builtins(config.load(ROOT / "params.yaml"))
    document["engine"]["device"] = "cpu"
    document["base"]["quantization"] = quantization
    document["iterations"]["m2"]["train"] = {}
    small = {"beta": 0.1, "alpha": 3.0, "learning_rate": 2e-3, "logging_steps": 1, "eval_share": 0.4}
    small |= {"pairs_per_step": 4, "per_device_train_batch_size": 2, "save_steps": 2}
    put_train(document, **(small | values))
    with paths.PARAMS.open("w") as file:
        YAML(typ="safe", pure=True).dump(msgspec.json.decode(msgspec.json.encode(document)), file)
    return config.load()


def take_base() -> None:
    """models/m0: the first layer of the lab's base, which computes in a third of the time."""
    from transformers import AutoModelForCausalLM

    lab, small = ROOT / "src/lidr/lab/base", Path("base")
    shutil.copytree(lab, small)
    AutoModelForCausalLM.from_pretrained(lab, num_hidden_layers=1).save_pretrained(small)
    settings = configured()
    base.run(msgspec.structs.replace(settings, base=msgspec.structs.replace(settings.base, model=str(small))))
    shutil.rmtree(small)


def log_probabilities(pairs: list[Pair], model_name: str) -> list[tuple[list[float], list[float]]]:
    """Per-token log-probabilities of chosen and rejected, one sequence at a time, without TRL."""
    import torch

    model_policy = policy.resolve(model_name)
    model = policy.load_for_generation(model_policy, torch.float32, "cpu")
    rows, _ = train.tokenize(pairs, open_chat(model_policy), 256)

    def of(prompt: list[int], answer: list[int]) -> list[float]:
        with torch.inference_mode():
            logits = model(input_ids=torch.tensor([prompt + answer])).logits[0].log_softmax(-1)
        return [float(logits[len(prompt) + i - 1, token]) for i, token in enumerate(answer)]

    return [(of(r["prompt_ids"], r["chosen_ids"]), of(r["prompt_ids"], r["rejected_ids"])) for r in rows]
