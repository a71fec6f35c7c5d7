"""The engine on Hugging Face transformers: any causal model, on CPU, CUDA or MPS.

Requests are sorted by length and cut into batches by a budget of tokens, so that little of a batch is padding and its
memory is bounded; a batch that does not fit the device is halved and tried again, and a request that does not fit it
alone is left unanswered, with that reason.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any, TypeVar

from lidr import config, policy
from lidr.engines.base import Completion, Progress, Request, Sampling, fingerprint_of, refused
from lidr.records import FinishReason
from lidr.wording import Conversation

Result = TypeVar("Result")


class TransformersEngine:
    """See `lidr.engines.base.Engine` for the contract."""

    continues_turns = True

    def __init__(self, settings: config.Engine, model: policy.Policy) -> None:
        assert settings.dtype and settings.tokens_per_batch
        self.settings, self.dtype, self.tokens_per_batch = settings, settings.dtype, settings.tokens_per_batch
        self.policy = model
        self.fingerprint = fingerprint_of(model, "transformers", settings.dtype)

    def generate(self, requests: Sequence[Request], sampling: Sampling, progress: Progress) -> list[Completion]:
        """Complete all requests, in their order."""
        import torch

        torch.manual_seed(sampling.seed)
        prompts = [self._encode(request.conversation) for request in requests]
        completions: list[Completion | None] = [None] * len(requests)
        for batch in self._batches(prompts, sampling.max_new_tokens):
            for index, completion in self._complete_batch(batch, requests, prompts, sampling):
                completions[index] = completion
            progress(len(batch))
        too_long = [i for i, completion in enumerate(completions) if completion is None]
        for index in too_long:
            completions[index] = refused(requests[index].id, len(prompts[index]))
        progress(len(too_long))
        return [completion for completion in completions if completion is not None]

    def score(self, conversations: Sequence[Conversation], choices: Sequence[str]) -> list[list[float]]:
        """Log-probability of each choice's tokens as the beginning of the next turn, one conversation at a time."""
        return [
            [self._log_probability_if_it_fits(conversation, choice) for choice in choices]
            for conversation in conversations
        ]

    def close(self) -> None:
        """Forget the model; the device's memory is free again."""
        import torch

        self.__dict__.pop("_model", None)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    @cached_property
    def _tokenizer(self) -> Any:
        return policy.load_tokenizer(self.policy)

    @cached_property
    def _model(self) -> Any:
        import torch

        dtype = getattr(torch, self.dtype)
        return policy.load_for_generation(self.policy, dtype, policy.pick_device(self.settings.device))

    @cached_property
    def _context(self) -> int:
        return int(self._model.config.max_position_embeddings)

    def _encode(self, conversation: Conversation) -> list[int]:
        return policy.encode(self._tokenizer, conversation)

    def _batches(self, prompts: list[list[int]], max_new_tokens: int) -> Iterator[list[int]]:
        """Indices of the prompts that fit the context, in batches of similar length within the token budget."""
        batch: list[int] = []
        for index in sorted(range(len(prompts)), key=lambda i: len(prompts[i])):
            length = len(prompts[index]) + max_new_tokens
            if length > self._context:
                continue
            if batch and length * (len(batch) + 1) > self.tokens_per_batch:
                yield batch
                batch = []
            batch.append(index)
        if batch:
            yield batch

    def _complete_batch(
        self, batch: list[int], requests: Sequence[Request], prompts: list[list[int]], sampling: Sampling
    ) -> Iterator[tuple[int, Completion]]:
        generated = self._if_it_fits(lambda: self._generate([prompts[i] for i in batch], sampling))
        if generated is not None:
            for index, ids in zip(batch, generated, strict=True):
                yield index, self._completion(requests[index].id, len(prompts[index]), ids, sampling)
        elif len(batch) == 1:
            alone = batch[0]
            yield alone, refused(requests[alone].id, len(prompts[alone]), FinishReason.OUT_OF_MEMORY)
        else:
            middle = len(batch) // 2
            for half in (batch[:middle], batch[middle:]):
                yield from self._complete_batch(half, requests, prompts, sampling)

    def _if_it_fits(self, work: Callable[[], Result]) -> Result | None:
        """What the model makes, or None where the device's memory is too small for it.

        Once this has returned, nothing holds what the failed try had taken: the error's traceback would.
        """
        self._model  # noqa: B018 - a model that does not fit itself is no request's affair
        try:
            return work()
        except (RuntimeError, MemoryError) as error:
            if not _is_out_of_memory(error):
                raise
        import torch

        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return None

    def _generate(self, prompts: list[list[int]], sampling: Sampling) -> list[list[int]]:
        """New token ids of each prompt, padding included."""
        import torch

        inputs = self._tokenizer.pad({"input_ids": prompts}, return_tensors="pt").to(self._model.device)
        sampled = sampling.temperature > 0
        options: dict[str, Any] = {"temperature": sampling.temperature, "top_p": sampling.top_p} if sampled else {}
        if sampling.stop:
            options |= {"stop_strings": list(sampling.stop), "tokenizer": self._tokenizer}
        with torch.inference_mode():
            output = self._model.generate(
                input_ids=inputs["input_ids"],
                attention_mask=inputs["attention_mask"],
                max_new_tokens=sampling.max_new_tokens,
                do_sample=sampled,
                repetition_penalty=sampling.repetition_penalty,
                pad_token_id=self._tokenizer.pad_token_id,
                **options,
            )
        new_ids: list[list[int]] = output[:, inputs["input_ids"].shape[1] :].tolist()
        return new_ids

    @cached_property
    def _end_ids(self) -> set[int]:
        return policy.end_ids(self._model, self._tokenizer)

    def _completion(self, request_id: str, prompt_tokens: int, ids: list[int], sampling: Sampling) -> Completion:
        """The new tokens up to the end of the turn, or up to the padding that follows a stop string."""
        ends = self._end_ids | {self._tokenizer.pad_token_id}
        kept = ids[: next((i for i, token in enumerate(ids) if token in ends), len(ids))]
        text = self._tokenizer.decode(kept, skip_special_tokens=True)
        # A stop string may end inside a token: what the token holds beyond it is not part of the answer either.
        begins = [text.index(stop) for stop in sampling.stop if stop in text]
        # Whatever ends before the limit ended by itself; a stop string may end just at it.
        stopped = len(kept) < sampling.max_new_tokens or bool(begins)
        return Completion(
            id=request_id,
            text=text[: min(begins, default=None)],
            finish_reason=FinishReason.STOP if stopped else FinishReason.LENGTH,
            prompt_tokens=prompt_tokens,
            completion_tokens=len(kept),
        )

    def _log_probability_if_it_fits(self, conversation: Conversation, choice: str) -> float:
        found = self._if_it_fits(lambda: self._log_probability(conversation, choice))
        return math.nan if found is None else found

    def _log_probability(self, conversation: Conversation, choice: str) -> float:
        import torch

        prompt = self._encode(conversation)
        continuation = self._tokenizer(choice, add_special_tokens=False)["input_ids"]
        ids = torch.tensor([prompt + continuation], device=self._model.device)
        with torch.inference_mode():
            logits = self._model(input_ids=ids).logits[0, len(prompt) - 1 : -1].float()
        return float(logits.log_softmax(-1).gather(1, ids[0, len(prompt) :, None]).sum())


def _is_out_of_memory(error: Exception) -> bool:
    """Whether a device had too little memory; a processor's has no error class of its own in torch."""
    import torch

    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "DefaultCPUAllocator" in str(error)
