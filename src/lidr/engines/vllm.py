"""The engine on vLLM, for one or more GPUs of a machine.

    engine: {name: vllm, vllm: {dtype: bfloat16, tensor_parallel_size: 2, ...}, ...}

vLLM gets the same token ids as the transformers engine. The adapter is sent as a LoRA, not merged, so half precision
loses nothing. `vllm` is imported here only, once a model is needed.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache, cached_property, partial
from io import StringIO
from pathlib import Path
from typing import Any

from lidr.chat import Chat, open_chat
from lidr.engines.base import (
    Completion,
    Progress,
    Request,
    Sampling,
    TokenIds,
    choice_rows,
    fingerprint_of,
    ignore,
    refused,
    request_seed,
    stop_at,
)
from lidr.engines.settings import Vllm
from lidr.errors import InputError, LidrError
from lidr.models import policy
from lidr.records import FinishReason
from lidr.records.jsonl import read_json
from lidr.records.prompt_templates import Conversation

# The values that vLLM's max_lora_rank may have.
RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)

# Token ids, from 1 on, of the text on which an adapter must change something.
_PROBE = 17

# Defaults that the environment may override.
ENVIRONMENT = {
    # In a process of its own, vLLM's scheduler outlives a stage that is killed, and keeps the GPU's memory.
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_LOGGING_LEVEL": "WARNING",
    "VLLM_NO_USAGE_STATS": "1",
}


class VllmEngine:
    """See `lidr.engines.base.Engine` for the contract."""

    def __init__(self, settings: Vllm, model: policy.Policy) -> None:
        self.settings, self.policy = settings, model
        self.fingerprint = fingerprint_of(model, "vllm", settings.fingerprint())
        self._loaded: _Loaded | None = None

    def generate(self, requests: Sequence[Request], sampling: Sampling, progress: Progress) -> list[Completion]:
        if not requests:
            return []
        prompts = [self._chat.prompt_ids(request.conversation) for request in requests]
        model = self._model()
        room = model.context - sampling.max_new_tokens
        fitting = [i for i, ids in enumerate(prompts) if len(ids) <= room]
        completions = {i: refused(requests[i].id, len(ids)) for i, ids in enumerate(prompts) if len(ids) > room}
        progress(len(completions))
        parameters = [self._parameters(requests[i].id, sampling) for i in fitting]
        outputs = model.run([prompts[i] for i in fitting], parameters, progress)
        for index, output in zip(fitting, outputs, strict=True):
            completions[index] = _completion(requests[index].id, output, self._chat, sampling.stop)
        return [completions[i] for i in range(len(requests))]

    def score(self, conversations: Sequence[Conversation], choices: Sequence[str]) -> list[list[float | None]]:
        rows = [row for group in choice_rows(self._chat, conversations, choices) for row in group]
        scores = self.log_probabilities(rows, ignore)
        return [scores[i : i + len(choices)] for i in range(0, len(scores), len(choices))]

    def log_probabilities(self, rows: Sequence[TokenIds], progress: Progress) -> list[float | None]:
        if not rows:
            return []
        from vllm import SamplingParams

        model = self._model()
        # Only the prompt's own tokens are scored, but vLLM must generate at least one.
        parameters = SamplingParams(temperature=0.0, max_tokens=1, prompt_logprobs=0)
        fitting = [i for i, row in enumerate(rows) if len(row.prompt) + len(row.answer) < model.context]
        progress(len(rows) - len(fitting))
        asked = [rows[i].prompt + rows[i].answer for i in fitting]
        outputs = model.run(asked, [parameters] * len(asked), progress)
        found = {i: _ending_score(output, rows[i].answer) for i, output in zip(fitting, outputs, strict=True)}
        return [found.get(i) for i in range(len(rows))]

    def close(self) -> None:
        if self._loaded is not None:
            self._loaded.shut_down()
            self._loaded = None

    @cached_property
    def _chat(self) -> Chat:
        return open_chat(self.policy)

    def _model(self) -> _Loaded:
        if self._loaded is None:
            self._loaded = _Loaded(self.settings, self.policy)
        return self._loaded

    def _parameters(self, request_id: str, sampling: Sampling) -> Any:
        from vllm import SamplingParams

        return SamplingParams(
            max_tokens=sampling.max_new_tokens,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            top_k=sampling.top_k,
            repetition_penalty=sampling.repetition_penalty,
            # In the reasoning it ends nothing; the answer is cut at it (_completion).
            stop=[] if self._chat.reasoning_end else list(sampling.stop),
            stop_token_ids=sorted(self._chat.end_ids),
            seed=request_seed(sampling.seed, request_id) if sampling.temperature > 0 else None,
        )


class _Loaded:
    """A model in vLLM, with what is needed to talk to it."""

    def __init__(self, settings: Vllm, model: policy.Policy) -> None:
        _check_precision(settings, model)
        for name, value in ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        if settings.batch_invariant:
            os.environ["VLLM_BATCH_INVARIANT"] = "1"
        try:
            from vllm import LLM
        except ImportError as error:
            raise LidrError(
                f"vLLM cannot be imported ({error}); `pip install 'lidr[gpu]'` installs it, "
                "and `engine.name: transformers` does without"
            ) from error

        try:
            self.llm = LLM(
                model=str(model.base),
                trust_remote_code=model.trust_remote_code,
                load_format="safetensors",
                # Requests set the sampling, not the model's generation config.
                generation_config="vllm",
                **(_length_of(model) | settings.options | _room_for(model)),
            )
        except (TypeError, ValueError) as error:  # pydantic's errors of single values are ValueErrors
            raise LidrError(f"vLLM does not start with engine.vllm as it is: {' '.join(str(error).split())}") from error
        from vllm.lora.request import LoRARequest

        self.context = int(self.llm.model_config.max_model_len)
        self.adapter = None if model.adapter is None else LoRARequest(model.name, 1, str(model.adapter))
        if model.adapter is not None:
            self._check_adapter(model.adapter)

    def _check_adapter(self, folder: Path) -> None:
        """Raise LidrError where the adapter changes nothing: vLLM passes over layers that it calls by other names."""
        if not policy.changes_the_base(folder):
            return
        from vllm import SamplingParams

        prompt = {"prompt_token_ids": list(range(1, _PROBE))}
        scored = SamplingParams(temperature=0.0, max_tokens=1, prompt_logprobs=0)
        likely = [
            self.llm.generate([prompt], scored, lora_request=adapter, use_tqdm=False)[0].prompt_logprobs
            for adapter in (None, self.adapter)
        ]
        if likely[0] == likely[1]:
            raise LidrError(
                f"vLLM applies none of the adapter's weights in {folder}: it calls this model's layers by other names; "
                "`engine.name: transformers` applies them"
            )

    def run(self, prompts: list[list[int]], parameters: list[Any], progress: Progress) -> list[Any]:
        if not prompts:
            return []
        asked = [{"prompt_token_ids": ids} for ids in prompts]
        self.llm.enqueue(asked, parameters, lora_request=self.adapter, use_tqdm=False)
        return list(self.llm.wait_for_completion(use_tqdm=partial(_bar_class(), progress)))

    def shut_down(self) -> None:
        from vllm.distributed.parallel_state import cleanup_dist_env_and_memory

        self.llm.llm_engine.engine_core.shutdown()
        del self.llm
        cleanup_dist_env_and_memory()


def _check_precision(settings: Vllm, model: policy.Policy) -> None:
    """vLLM's kernels for LoRA on CUDA compute in half precision only."""
    on_cuda = settings.device != "cpu" and policy.pick_device(settings.device) == "cuda"
    if model.adapter is not None and settings.precision == "float32" and on_cuda:
        raise LidrError(
            "vLLM cannot put an adapter on a float32 model on CUDA; set dtype in engine.vllm to bfloat16, "
            "or engine.name to transformers"
        )


def _length_of(model: policy.Policy) -> dict[str, Any]:
    """vLLM's option for the length of a LongRoPE model, where params.yaml gives none; of others vLLM takes its own.

    vLLM uses LongRoPE's table for long texts, for short ones as well, once the model may go beyond the original length.
    """
    from transformers import AutoConfig

    length = policy.longrope_length(AutoConfig.from_pretrained(model.base, trust_remote_code=model.trust_remote_code))
    return {} if length is None else {"max_model_len": length}


def _room_for(model: policy.Policy) -> dict[str, Any]:
    """vLLM's options for one adapter of the policy's rank; none for the base alone."""
    if model.adapter is None:
        return {}
    path = model.adapter / "adapter_config.json"
    described = read_json(path)
    rank = max([described.get("r", 0), *described.get("rank_pattern", {}).values()])
    room = next((most for most in RANKS if 0 < rank <= most), None)
    if room is None:
        raise InputError(f"a LoRA of a rank up to {RANKS[-1]} is expected, not {rank!r}", path)
    # Without a list vLLM wraps the output layer too, which takes memory, and fails where a prompt is scored on a CPU.
    modules = described.get("target_modules")
    # PEFT takes the end of a module's path, vLLM its last name alone, and passes over any other in silence.
    targets = sorted({name.rpartition(".")[2] for name in modules}) if isinstance(modules, list) else None
    return {"enable_lora": True, "max_loras": 1, "max_lora_rank": room, "lora_target_modules": targets}


@cache
def _bar_class() -> type:
    """A progress bar for vLLM that only reports its progress."""
    from tqdm import tqdm

    class AnswersBar(tqdm):
        def __init__(self, progress: Progress, **options: Any) -> None:
            self.progress = progress
            # vLLM divides by the bar's elapsed time, which is 0 where TQDM_DISABLE is set.
            super().__init__(file=StringIO(), **{**options, "disable": False})

        def update(self, n: float | None = 1) -> bool | None:
            self.progress(int(n or 0))
            return super().update(n)

    return AnswersBar


def _ending_score(output: Any, ending: list[int]) -> float:
    """Log-probability of the prompt's last tokens, which are the ending's."""
    likely = output.prompt_logprobs[-len(ending) :]
    return sum(float(found[token].logprob) for token, found in zip(ending, likely, strict=True))


def _completion(request_id: str, output: Any, chat: Chat, stop: Sequence[str]) -> Completion:
    written = output.outputs[0]
    ids = list(written.token_ids)
    if ids and ids[-1] in chat.end_ids:
        ids.pop()
    if written.finish_reason not in ("stop", "length"):
        raise LidrError(f"vLLM ended the request {request_id!r} with {written.finish_reason!r}")
    answer = chat.read(ids)
    begins = stop_at(answer.text, stop)
    return Completion(
        id=request_id,
        text=answer.text[:begins],
        reasoning=answer.reasoning,
        finish_reason=FinishReason(written.finish_reason) if begins is None else FinishReason.STOP,
        prompt_tokens=len(output.prompt_token_ids),
        completion_tokens=len(ids),
    )
