"""Models of real families under real chat templates, from `lidr base` to the first training row.

Each is a tiny random model in a folder, with a tokenizer without a padding token. Training gets the same tokens of a
pair as generation gets and would write. Answers do not depend on the batch.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trl
from factories import ROOT

from lidr import config
from lidr.chat import open_chat
from lidr.engines.base import Request, Sampling
from lidr.engines.transformers import TransformersEngine
from lidr.models import base, policy
from lidr.records import Message
from lidr.training import stage as train

sys.path += [str(ROOT / "tests" / "training"), str(ROOT / "tests" / "chat")]
import families
from small_training import made_pair
from tokenizers_at_hand import by_bytes, by_words

TEMPLATES = Path(trl.__file__).parent / "chat_templates"
ZEPHYR = (
    "{% for m in messages %}<|{{ m['role'] }}|>\n{{ m['content'] }}{{ eos_token }}\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)
NO_THINKING = {"enable_thinking": False}
SPEAKS: dict[str, tuple[str, dict[str, Any]]] = {
    "Llama": ("llama3_2", {}),
    "Llama, tied": ("llama3", {}),
    "Qwen 2": ("qwen2_5", {}),
    "Qwen 2, window": ("qwen2_5", {}),
    "Qwen 3": ("qwen3", NO_THINKING),
    "Qwen 3.5": ("qwen3_5_think", NO_THINKING),
    "Qwen3-MoE": ("qwen3", {}),
    "Gemma 2": ("gemma", {}),
    "Gemma 3, text": ("gemma3", {}),
    "Gemma 3, multimodal": ("gemma3", {}),
    "Mistral": ("zephyr", {}),
    "Mistral, window": ("zephyr", {}),
    "Phi-3": ("phi3", {}),
    "OLMo 2": ("qwen2_5", {}),
    "SmolLM 3": ("qwen3", NO_THINKING),
    "GPT-OSS": ("gptoss", {}),
    "Bloom": ("lfm2", {}),
    "GPT-2": ("zephyr", {}),
    "OPT": ("qwen2_5", {}),
}
PROMPTS = ["¿Y?", "How many apples are there in the basket now?", "7 + 5?", "Name two."]
SAMPLING = Sampling(max_new_tokens=12, repetition_penalty=1.1)


def folder_of(family: str, folder: Path) -> Path:
    """A folder with a model of the family, its tokenizer and its chat template."""
    import torch

    name, _ = SPEAKS[family]
    if name == "zephyr" and family != "GPT-2":
        tokenizer: Any = by_words(ZEPHYR, ["The", "answer", "How", "many"])
    else:
        tokenizer = by_bytes(ZEPHYR if name == "zephyr" else (TEMPLATES / f"{name}.jinja").read_text("utf-8"))
    tokenizer.save_pretrained(folder)
    size = {"vocab_size": 512, "eos_token_id": tokenizer.eos_token_id, "bos_token_id": tokenizer.bos_token_id}
    size |= {"pad_token_id": None, "max_position_embeddings": 4096}
    if family == "Gemma 3, multimodal":
        text = families.FAMILIES[family][1]["text_config"] | size
        size = {"text_config": text, "image_token_index": 500, "boi_token_index": 501, "eoi_token_index": 502}
    if family == "GPT-2":
        size["n_positions"] = size.pop("max_position_embeddings")
    torch.manual_seed(0)
    families.build(family, **size).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("family", families.FAMILIES)
def test_what_is_trained_on_is_what_generation_is_given(family: str, root: Path) -> None:
    values = msgspec.to_builtins(config.load())
    values["base"] = {"model": str(folder_of(family, root / "own")), "template": SPEAKS[family][1]}
    values["engine"] = {"name": "transformers", "device": "cpu", "dtype": "float32", "tokens_per_batch": 4096}
    settings = msgspec.convert(values, config.Settings)
    base.run(settings)
    model = policy.resolve("m0")

    requests = [Request(str(n), [{"role": "user", "content": text}]) for n, text in enumerate(PROMPTS)]
    engine = TransformersEngine(settings.engine, model)
    together = engine.generate(requests, SAMPLING, lambda count: None)
    alone = [engine.generate([request], SAMPLING, lambda count: None)[0] for request in requests]
    assert together == alone

    chat, answer = open_chat(model), "The answer is 12."
    asked = (Message(role="user", content=PROMPTS[1]),)
    pair = msgspec.structs.replace(made_pair(1, answer, "12"), prompt=asked)
    [row], drops = train.tokenize([pair], chat, 4096)
    assert not drops
    assert row["prompt_ids"] == engine._chat.prompt_ids(requests[1].conversation)
    # SentencePiece decodes its word markers as spaces.
    shown, rendered = chat.tokenizer.decode(row["prompt_ids"]), chat.render(requests[1].conversation, open_turn=True)
    assert shown.replace(" ", "") == rendered.replace(" ", "")
    assert row["chosen_ids"][-1] in chat.end_ids
    assert chat.read(row["chosen_ids"][:-1]).text == answer
    chosen, rejected = train.as_seen(chat, row).removeprefix("---- chosen\n").split("\n---- rejected\n")
    assert chosen.startswith(shown) and rejected.startswith(shown) and answer in chosen
