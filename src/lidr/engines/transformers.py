"""The engine on Hugging Face transformers: any causal model, on CPU, CUDA or MPS.

Requests of similar length share a batch (lidr/engines/batches.py), and are answered in rounds: the first of 32 new
tokens, each of the next until twice as many are written. Between rounds, answers that have ended leave, and the others
close ranks: a batch does not run as long as its longest answer. A request that does not fit the device alone is left
unanswered, with that reason. Log-probabilities take one round. On a CPU, several processes may take a batch each.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from lidr.chat import Chat, open_chat
from lidr.engines import likelihood, workers
from lidr.engines.base import (
    Completion,
    Progress,
    Request,
    Sampling,
    TokenIds,
    choice_rows,
    fingerprint_of,
    refused,
    request_seed,
)
from lidr.engines.batches import Batches
from lidr.engines.settings.transformers import Transformers
from lidr.models import policy
from lidr.records import FinishReason
from lidr.records.prompt_templates import Conversation

FIRST_ROUND = 32  # new tokens: a sentence, and few enough that a batch may be large
# Logits that a batch of answers may have, as far as params.yaml leaves it open: 2 GiB in float32.
LOGITS = 2**29


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
Scored = list[tuple[int, float | None]]


class TransformersEngine:
    """See `lidr.engines.base.Engine` for the contract."""

    continues_turns = True

    def __init__(self, settings: Transformers, model: policy.Policy) -> None:
        self.settings, self.policy = settings, model
        # A sample depends on the batch that it is in, and in half precision so does every answer.
        self.fingerprint = fingerprint_of(model, "transformers", settings.dtype, str(settings.tokens_per_batch))
        self._batches = Batches(settings.tokens_per_batch)

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
            waiting, until = sorted(going_on, key=lambda request: request.index), 2 * until
        return [completions[index] for index in range(len(requests))]

    def score(self, conversations: Sequence[Conversation], choices: Sequence[str]) -> list[list[float | None]]:
        """Log-probability of each choice as the beginning of the next turn.

        A batch is one conversation's choices, so that a verdict does not depend on what is asked beside it.
        """
        found = []
        for rows in choice_rows(self._chat, conversations, choices):
            scores = dict(self._score(list(enumerate(rows))))
            found.append([scores[place] for place in range(len(rows))])
        return found

    def log_probabilities(self, rows: Sequence[TokenIds], progress: Progress) -> list[float | None]:
        """Log-probability of each answer after its prompt; rows of similar length share a batch."""
        fitting = [(place, row) for place, row in enumerate(rows) if likelihood.len_of(row) <= self._model_context]
        progress(len(rows) - len(fitting))
        found: dict[int, float | None] = {}
        for scores in self._results("_score", ((batch,) for batch in self._reading.filled(fitting, _len_of))):
            found.update(scores)
            progress(len(scores))
        return [found.get(place) for place in range(len(rows))]

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

        dtype = getattr(torch, self.settings.dtype)
        return policy.load_for_generation(self.policy, dtype, policy.pick_device(self.settings.device))

    @cached_property
    def _context(self) -> float:
        """Tokens that the model takes at most: infinite where nothing says so."""
        return policy.context_length(self._model.config, self._chat.tokenizer) or math.inf

    @cached_property
    def _model_context(self) -> float:
        """The same by the model alone: a reference that is only scored need have no chat template."""
        return policy.context_length(self._model.config) or math.inf

    @cached_property
    def _reading(self) -> Batches:
        """Batches of answers to score: each position has logits of the whole vocabulary."""
        vocabulary = self._model.config.get_text_config().vocab_size
        return Batches(min(self.settings.tokens_per_batch, LOGITS // vocabulary))

    def _encode(self, conversation: Conversation) -> list[int]:
        return self._chat.prompt_ids(conversation)

    @cached_property
    def _workers(self) -> workers.Workers | None:
        """Several processes, where they are asked for and computed on a CPU; the model is loaded before they part."""
        count = workers.count(self.settings.processes, self._model.device.type)
        return workers.Workers(count, self._call) if count else None

    def _call(self, method: str, *arguments: Any) -> Any:
        return getattr(self, method)(*arguments)

    def _results(self, method: str, calls: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
        """What the method gives for each batch, as they come, by the worker processes where there are some."""
        if self._workers is None:
            # One by one, as the budget may shrink on the way.
            yield from (self._call(method, *arguments) for arguments in calls)
        else:
            # The longest first: what is begun last is short, and nobody waits long for it.
            yield from self._workers.results((method, *arguments) for arguments in reversed(list(calls)))

    def _round(self, waiting: Batch, until: int, sampling: Sampling) -> Iterator[list[Result]]:
        """All that wait, written on until their answers end or have so many tokens; batch by batch, as they come."""
        batches = self._batches.filled(waiting, lambda request: len(request.prompt) + until)
        return self._results("_write", ((batch, until, sampling) for batch in batches))

    def _write(self, batch: Batch, until: int, sampling: Sampling) -> list[Result]:
        """One round of a batch. A sample depends on the batch alone, whoever computes it."""
        import torch

        torch.manual_seed(request_seed(sampling.seed, f"{batch[0].id} {until}"))
        new_tokens = until - len(batch[0].answer)
        self._model  # noqa: B018 - a model that does not fit itself is no request's affair
        written = self._batches.worked(
            batch,
            lambda request: len(request.prompt) + until,
            lambda part: self._generate([request.ids for request in part], new_tokens, sampling),
        )
        return [
            (
                request.index,
                refused(request.id, len(request.prompt), FinishReason.OUT_OF_MEMORY)
                if ids is None
                else self._ended(request, ids, new_tokens, sampling),
            )
            for request, ids in written
        ]

    def _score(self, batch: list[tuple[int, TokenIds]]) -> Scored:
        """Log-probabilities of a batch of rows, each with its place among all."""
        scores = self._reading.worked(batch, _len_of, lambda part: self._likelihoods([row for _, row in part]))
        return [(place, found) for (place, _), found in scores]

    def _likelihoods(self, rows: Sequence[TokenIds]) -> list[float]:
        return likelihood.log_probabilities(self._model, rows)

    def _generate(self, prompts: list[list[int]], new_tokens: int, sampling: Sampling) -> list[list[int]]:
        """At most so many new token ids of each prompt, padding included."""
        import torch
        from transformers import GenerationConfig

        # A request says how it is sampled; defaults that the model was published with would be added in silence.
        self._model.generation_config = GenerationConfig(
            eos_token_id=sorted(self._chat.end_ids), pad_token_id=self._chat.pad_id
        )
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


def _len_of(placed: tuple[int, TokenIds]) -> int:
    return likelihood.len_of(placed[1])
