"""The parts of the vLLM engine that need no vLLM: reading its outputs, and its arguments."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lidr.chat import AssistantTurn
from lidr.engines.vllm import _bar_class, _completion, _length_of, _room_for
from lidr.errors import InputError
from lidr.models.policy import Policy
from lidr.records import FinishReason
from lidr.records.jsonl import write_json


class Chat:
    """Token ids are code points; the text before a slash is reasoning."""

    end_ids = frozenset({0})

    def read(self, ids: list[int]) -> AssistantTurn:
        thought, _, text = "".join(map(chr, ids)).rpartition("/")
        return AssistantTurn(text, thought)


def output(written: str) -> Any:
    """vLLM's output for a stop string, at which its text is cut."""
    one = SimpleNamespace(token_ids=[ord(letter) for letter in written], text="", finish_reason="stop")
    return SimpleNamespace(outputs=[one], prompt_token_ids=[1, 2])


@pytest.mark.parametrize(
    ("written", "text", "thought"),
    [
        ("It is 59. Q: x", "It is 59. ", ""),
        ("why/It is 59. Q: x", "It is 59. ", "why"),
        ("It is\nQ:", "It is", ""),
        ("It is 59.", "It is 59.", ""),
    ],
)
def test_a_stop_string_is_no_part_of_the_text(written: str, text: str, thought: str) -> None:
    found = _completion("p", output(written), Chat(), ("Q:", "\n"))  # type: ignore[arg-type]
    assert (found.text, found.reasoning, found.finish_reason) == (text, thought, FinishReason.STOP)
    assert (found.prompt_tokens, found.completion_tokens) == (2, len(written))


def test_an_answer_that_goes_on_after_its_stop_string_is_not_cut_off() -> None:
    """Where the model may reason, vLLM is not told of stop strings."""
    written = output("It is 59. Q: x")
    written.outputs[0].finish_reason = "length"
    assert _completion("p", written, Chat(), ("Q:",)).finish_reason is FinishReason.STOP  # type: ignore[arg-type]
    assert _completion("p", written, Chat(), ("A:",)).finish_reason is FinishReason.LENGTH  # type: ignore[arg-type]


def test_room_for_an_adapter(tmp_path: Path) -> None:
    model = Policy("m1", tmp_path, tmp_path, False, "a" * 64)
    layers = ["self_attn.o_proj", "model.layers.0.mlp.down_proj", "model.layers.1.mlp.down_proj"]
    write_json(tmp_path / "adapter_config.json", {"r": 8, "rank_pattern": {"o_proj": 24}, "target_modules": layers})
    room = {"enable_lora": True, "max_loras": 1, "max_lora_rank": 32, "lora_target_modules": ["down_proj", "o_proj"]}
    assert _room_for(model) == room
    write_json(tmp_path / "adapter_config.json", {"r": 1024, "target_modules": layers})
    with pytest.raises(InputError, match="a LoRA of a rank up to 512 is expected, not 1024"):
        _room_for(model)


def test_a_longrope_model_has_its_original_length(tmp_path: Path) -> None:
    from transformers import LlamaConfig, Phi3Config

    model = Policy("m0", tmp_path, None, False, "a" * 64)
    factors = {"long_factor": [2.0] * 48, "short_factor": [1.0] * 48}
    Phi3Config(rope_scaling={"type": "longrope", **factors}, max_position_embeddings=131072).save_pretrained(tmp_path)
    assert _length_of(model) == {"max_model_len": 4096}
    LlamaConfig().save_pretrained(tmp_path)
    assert _length_of(model) == {}


def test_progress_is_counted_where_bars_are_switched_off() -> None:
    """vLLM divides by the bar's elapsed time, which a disabled one does not have."""
    done: list[int] = []
    bar = _bar_class()(done.append, total=2, desc="Processed prompts", disable=True)
    for _ in range(2):
        bar.update(1)
    assert done == [1, 1] and bar.format_dict["elapsed"] > 0
