"""The engine on Hugging Face transformers: any causal model, on CPU, CUDA or MPS.

Requests are sorted by length and cut into batches by a budget of tokens, so that little of a batch is padding and its
memory is bounded. They are answered in rounds: the first of 32 new tokens, each of the next until twice as many are
written. Between rounds, answers that have ended leave, and the others close ranks: a batch does not run as long as its
longest answer. A batch that does not fit the device is halved and tried again, and a request that does not fit it alone
is left unanswered, with that reason. On a CPU, several processes may take a batch each.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

from lidr.chat import Chat, open_chat
from lidr.engines import workers
from lidr.engines.base import Completion, Progress, Request, Sampling, fingerprint_of, refused, request_seed
from lidr.engines.settings.transformers import Transformers
from lidr.models import policy
from lidr.records import FinishReason
from lidr.records.prompt_templates import Conversation

Found = TypeVar("Found")


FIRST_ROUND = 32  # new tokens: a sentence, and few enough that a batch may be large


@dataclass(frozen=True)
class Begun:
    """A request as the model gets it, its place among all, and what is written of its answer so far."""

    index: int
    id: str
    prompt: list[int]
    answer: list[int]

    @property
    def ids(self) -> list[int]:
        """What the model goes on from."""
        return self.prompt + self.answer


Batch = list[Begun]
Result = tuple[int, Completion | Begun]


class TransformersEngine:
    """See `lidr.engines.base.Engine` for the contract."""

    continues_turns = True

    def __init__(self, settings: Transformers, model: policy.Policy) -> None:
        self.settings, self.policy = settings, model
        # A sample depends on the batch that it is in, and in half precision so does every answer.
        self.fingerprint = fingerprint_of(model, "transformers", settings.dtype, str(settings.tokens_per_batch))
        # Lowered for good where the device's memory turns out to be too small.
        self._budget = settings.tokens_per_batch

    def generate(self, requests: Sequence[Request], sampling: Sampling, progress: Progress) -> list[Completion]:
        """Complete all requests, in their order."""
        begun = [Begun(i, request.id, self._encode(request.conversation), []) for i, request in enumerate(requests)]
        completions = {request.index: refused(request.id, len(request.prompt)) for request in begun}
        waiting = [r for r in begun if len(r.prompt) + sampling.max_new_tokens <= self._context] if begun else []
        progress(len(begun) - len(waiting))
        until = FIRST_ROUND
        while waiting:
            going_on: Batch = []
            for results in self._round(waiting, min(until, sampling.max_new_tokens), sampling):
                ended = {index: result for index, result in results if isinstance(result, Completion)}
                completions |= ended
                progress(len(ended))
                going_on += [result for _, result in results if isinstance(result, Begun)]
            waiting, until = going_on, 2 * until
        return [completions[index] for index in range(len(requests))]

    def score(self, conversations: Sequence[Conversation], choices: Sequence[str]) -> list[list[float]]:
        """Log-probability of each choice's tokens as the beginning of the next turn, one conversation at a time."""
        return [
            [self._log_probability_if_it_fits(conversation, choice) for choice in choices]
            for conversation in conversations
        ]

    def close(self) -> None:
        """Forget the model; the device's memory is free again."""
        import torch

        copies = self.__dict__.pop("_workers", None)
        if copies is not None:
            copies.close()
        self.__dict__.pop("_model", None)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    @cached_property
    def _chat(self) -> Chat:
        return open_chat(self.policy)

    @cached_property
    def _model(self) -> Any:
        import torch
        from transformers import GenerationConfig

        dtype = getattr(torch, self.settings.dtype)
        model = policy.load_for_generation(self.policy, dtype, policy.pick_device(self.settings.device))
        # A request says how it is sampled; defaults that the model was published with would be added in silence.
        model.generation_config = GenerationConfig(
            eos_token_id=sorted(self._chat.end_ids), pad_token_id=self._chat.pad_id
        )
        return model

    @cached_property
    def _context(self) -> float:
        """Tokens that the model takes at most: infinite where nothing says so."""
        return policy.context_length(self._model.config, self._chat.tokenizer) or math.inf

    def _encode(self, conversation: Conversation) -> list[int]:
        return self._chat.prompt_ids(conversation)

    @cached_property
    def _workers(self) -> workers.Workers | None:
        """Several processes, where they are asked for and computed on a CPU; the model is loaded before they part."""
        count = workers.count(self.settings.processes, self._model.device.type)
        return workers.Workers(count, self._write) if count else None

    def _round(self, waiting: Batch, until: int, sampling: Sampling) -> Iterator[list[Result]]:
        """All that wait, written on until their answers end or have so many tokens; batch by batch, as they come."""
        if self._workers is not None:
            # The longest first: what is begun last is short, and nobody waits long for it.
            batches = list(self._batches(waiting, until))
            yield from self._workers.results((batch, until, sampling) for batch in reversed(batches))
        else:
            # One by one, as the budget may shrink on the way.
            yield from (self._write(batch, until, sampling) for batch in self._batches(waiting, until))

    def _batches(self, waiting: Batch, until: int) -> Iterator[Batch]:
        """Requests of similar length together, within the token budget."""
        batch: Batch = []
        for request in sorted(waiting, key=lambda request: (len(request.ids), request.index)):
            length = len(request.prompt) + until
            if batch and length * (len(batch) + 1) > self._budget:
                yield batch
                batch = []
            batch.append(request)
        if batch:
            yield batch

    def _write(self, batch: Batch, until: int, sampling: Sampling) -> list[Result]:
        """One round of a batch. A sample depends on the batch alone, whoever computes it."""
        import torch

        torch.manual_seed(request_seed(sampling.seed, f"{batch[0].id} {until}"))
        return list(self._write_what_fits(batch, until, sampling))

    def _write_what_fits(self, batch: Batch, until: int, sampling: Sampling) -> Iterator[Result]:
        new_tokens = until - len(batch[0].answer)
        written = self._if_it_fits(lambda: self._generate([request.ids for request in batch], new_tokens, sampling))
        if written is not None:
            for request, ids in zip(batch, written, strict=True):
                yield request.index, self._ended(request, ids, new_tokens, sampling)
        elif len(batch) == 1:
            alone = batch[0]
            yield alone.index, refused(alone.id, len(alone.prompt), FinishReason.OUT_OF_MEMORY)
        else:
            self._budget = min(self._budget, _tokens(batch, until) // 2)
            middle = len(batch) // 2
            for half in (batch[:middle], batch[middle:]):
                yield from self._write_what_fits(half, until, sampling)

    def _if_it_fits(self, work: Callable[[], Found]) -> Found | None:
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

    def _generate(self, prompts: list[list[int]], new_tokens: int, sampling: Sampling) -> list[list[int]]:
        """At most so many new token ids of each prompt, padding included."""
        import torch

        inputs = self._chat.tokenizer.pad({"input_ids": prompts}, return_tensors="pt").to(self._model.device)
        sampled = sampling.temperature > 0
        options: dict[str, Any] = {}
        if sampled:
            options = {"temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": sampling.top_k}
        if sampling.repetition_penalty != 1:
            options["logits_processor"] = [penalty_without_padding(sampling.repetition_penalty, inputs)]
        if sampling.stop:
            options |= {"stop_strings": list(sampling.stop), "tokenizer": self._chat.tokenizer}
        with torch.inference_mode():
            output = self._model.generate(**inputs, max_new_tokens=new_tokens, do_sample=sampled, **options)
        new_ids: list[list[int]] = output[:, inputs["input_ids"].shape[1] :].tolist()
        return new_ids

    def _ended(self, request: Begun, ids: list[int], new_tokens: int, sampling: Sampling) -> Completion | Begun:
        """The answer up to the end of the turn, or up to the padding that follows a stop string; or what there is."""
        ends = self._chat.end_ids | {self._chat.pad_id}
        kept = ids[: next((i for i, token in enumerate(ids) if token in ends), len(ids))]
        answer = request.answer + kept
        found = self._chat.read(answer)
        # A stop string may end inside a token: what the token holds beyond it is not part of the answer either.
        begins = [found.text.index(stop) for stop in sampling.stop if stop in found.text]
        # Whatever ends before the limit ended by itself; a stop string may end just at it.
        stopped = len(kept) < new_tokens or bool(begins)
        if not stopped and len(answer) < sampling.max_new_tokens:
            return Begun(request.index, request.id, request.prompt, answer)
        return Completion(
            id=request.id,
            text=found.text[: min(begins, default=None)],
            reasoning=found.reasoning,
            finish_reason=FinishReason.STOP if stopped else FinishReason.LENGTH,
            prompt_tokens=len(request.prompt),
            completion_tokens=len(answer),
        )

    def _log_probability_if_it_fits(self, conversation: Conversation, choice: str) -> float:
        found = self._if_it_fits(lambda: self._log_probability(conversation, choice))
        return math.nan if found is None else found

    def _log_probability(self, conversation: Conversation, choice: str) -> float:
        import torch

        prompt = self._encode(conversation)
        continuation = self._chat.continuation_ids(choice)
        ids = torch.tensor([prompt + continuation], device=self._model.device)
        with torch.inference_mode():
            logits = self._model(input_ids=ids).logits[0, len(prompt) - 1 : -1].float()
        return float(logits.log_softmax(-1).gather(1, ids[0, len(prompt) :, None]).sum())


def penalty_without_padding(penalty: float, inputs: Any) -> Any:
    """transformers' repetition penalty, for which padding was never written.

    Left padding is made of a token that a row may well write, often the one that ends it; the processor would take it
    for a token that the row has used. Here each padded place repeats the row's first token, which counts once.
    """
    from transformers import RepetitionPenaltyLogitsProcessor

    prompts, mask = inputs["input_ids"], inputs["attention_mask"].bool()
    first = prompts.gather(1, mask.int().argmax(1, keepdim=True))
    width = prompts.shape[1]

    class Penalty(RepetitionPenaltyLogitsProcessor):
        def __call__(self, input_ids: Any, scores: Any) -> Any:
            seen = input_ids.clone()
            seen[:, :width] = seen[:, :width].where(mask, first)
            return super().__call__(seen, scores)

    return Penalty(penalty)


def _tokens(batch: Batch, until: int) -> int:
    """What a batch takes of the budget: rows times the longest one's length at the end of the round, padded."""
    return len(batch) * max(len(request.prompt) + until for request in batch)


def _is_out_of_memory(error: Exception) -> bool:
    """Whether a device had too little memory; a processor's has no error class of its own in torch."""
    import torch

    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "DefaultCPUAllocator" in str(error)
