"""The engine on Hugging Face transformers: any causal model, on CPU, CUDA or MPS.

Requests are answered by continuous batching (lidr/engines/continuous.py), and answers are scored in batches of similar
length (lidr/engines/batches.py), both within a token budget. A request that does not fit the device alone is refused.
On a CPU, worker processes may take a group of requests each.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property, partial
from typing import Any

from lidr.chat import Chat, open_chat
from lidr.engines import likelihood
from lidr.engines.base import (
    Completion,
    Progress,
    Request,
    Sampling,
    TokenIds,
    choice_rows,
    fingerprint_of,
    refused,
)
from lidr.engines.batches import Batches
from lidr.engines.continuous import ROUND, ContinuousBatching, Result
from lidr.engines.running_batch import SequenceState, keeps_cache
from lidr.engines.settings.transformers import Transformers
from lidr.models import policy
from lidr.pool import WorkerPool
from lidr.records.prompt_templates import Conversation

# Full batches per worker task: more of them amortise the shrinking last one.
GROUP = 4
# Most logits of a batch that is scored: 2 GiB in float32.
LOGITS = 2**29


Scored = list[tuple[int, float | None]]


class TransformersEngine:
    """See `lidr.engines.base.Engine` for the contract."""

    def __init__(self, settings: Transformers, model: policy.Policy) -> None:
        self.settings, self.policy = settings, model
        # A sample depends on the batch that it is in, and in half precision so does every answer.
        self.fingerprint = fingerprint_of(model, "transformers", settings.dtype, str(settings.tokens_per_batch))

    def generate(self, requests: Sequence[Request], sampling: Sampling, progress: Progress) -> list[Completion]:
        """Complete all requests, in their order."""
        prompts = [self._chat.prompt_ids(request.conversation) for request in requests]
        states = [SequenceState(i, requests[i].id, prompt, []) for i, prompt in enumerate(prompts)]
        completions = {request.index: refused(request.id, len(request.prompt)) for request in states}
        waiting = [r for r in states if len(r.prompt) + sampling.max_new_tokens <= self._context] if states else []
        progress(len(states) - len(waiting))
        for results in self._answered(waiting, sampling) if waiting else ():
            completions |= dict(results)
            progress(len(results))
        return [completions[index] for index in range(len(requests))]

    def score(self, conversations: Sequence[Conversation], choices: Sequence[str]) -> list[list[float | None]]:
        """Log-probability of each choice as the beginning of the next turn.

        A batch is one conversation's choices, so that a verdict does not depend on other conversations.
        """
        found = []
        for rows in choice_rows(self._chat, conversations, choices):
            fitting = self._fitting(rows)
            scores = dict(self._score(fitting)) if fitting else {}
            found.append([scores.get(place) for place in range(len(rows))])
        return found

    def log_probabilities(self, rows: Sequence[TokenIds], progress: Progress) -> list[float | None]:
        """Log-probability of each answer after its prompt; rows of similar length share a batch."""
        fitting = self._fitting(rows)
        progress(len(rows) - len(fitting))
        found: dict[int, float | None] = {}
        for scores in self._results("_score", ((batch,) for batch in self._reading.filled(fitting, _len_of))):
            found.update(scores)
            progress(len(scores))
        return [found.get(place) for place in range(len(rows))]

    def close(self) -> None:
        """Unload the model and free the device's memory."""
        import torch

        pool = self.__dict__.pop("_workers", None)
        if pool is not None:
            pool.close()
        self.__dict__.pop("_continuous", None)
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
        """The context of model and tokenizer in tokens; infinite where neither has a limit."""
        return policy.context_length(self._model.config, self._chat.tokenizer) or math.inf

    @cached_property
    def _model_context(self) -> float:
        """The context by the model's config alone: a reference may lack a tokenizer."""
        return policy.context_length(self._model.config) or math.inf

    @cached_property
    def _reading(self) -> Batches:
        """Batches of answers to score: each position has logits of the whole vocabulary."""
        vocabulary = self._model.config.get_text_config().vocab_size
        return Batches(min(self.settings.tokens_per_batch, LOGITS // vocabulary))

    @cached_property
    def _continuous(self) -> ContinuousBatching:
        from transformers import GenerationConfig

        # Requests set the sampling; the model's published defaults would be added silently.
        self._model.generation_config = GenerationConfig(
            eos_token_id=sorted(self._chat.end_ids), pad_token_id=self._chat.pad_id
        )
        return ContinuousBatching(
            self._model, self._chat, self._context, self.settings.tokens_per_batch, keeps_cache(self._model)
        )

    @cached_property
    def _workers(self) -> WorkerPool | None:
        """The worker processes, if asked for, on a CPU; the model is loaded before the fork."""
        import torch

        count = self.settings.workers_on(self._model.device.type)
        if not count:
            return None
        advice = "lower engine.processes or engine.tokens_per_batch"
        return WorkerPool(count, self._call, begin=partial(torch.set_num_threads, 1), advice=advice)

    def _call(self, method: str, *arguments: Any) -> Any:
        return getattr(self, method)(*arguments)

    def _results(self, method: str, calls: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
        """Yield the method's result of each batch as it finishes, from worker processes if there are any."""
        if self._workers is None:
            # One by one, as the budget may shrink on the way.
            yield from (self._call(method, *arguments) for arguments in calls)
        else:
            # The longest first, so that the last ones to run are short.
            yield from self._workers.as_completed((method, *arguments) for arguments in reversed(list(calls)))

    def _groups(self, waiting: Sequence[SequenceState]) -> list[list[SequenceState]]:
        """Groups of requests, the shortest first; the same ones with and without worker processes."""
        ordered = sorted(waiting, key=lambda request: (len(request.prompt), request.index))
        tokens = sum(len(request.prompt) + ROUND for request in ordered)
        count = math.ceil(tokens / (GROUP * self.settings.tokens_per_batch))
        return [ordered[start::count] for start in range(min(count, len(ordered)))]

    def _answered(self, waiting: Sequence[SequenceState], sampling: Sampling) -> Iterator[list[Result]]:
        """Completions by index, as they come: of a round in this process, of a group from another one."""
        groups = self._groups(waiting)
        if self._workers is None:
            for group in groups:
                yield from self._continuous.answer(group, sampling)
        else:
            yield from self._results("_answer", ((group, sampling) for group in groups))

    def _answer(self, group: list[SequenceState], sampling: Sampling) -> list[Result]:
        return [result for results in self._continuous.answer(group, sampling) for result in results]

    def _fitting(self, rows: Sequence[TokenIds]) -> list[tuple[int, TokenIds]]:
        """The rows that fit the model's context, each with its place among all."""
        return [(place, row) for place, row in enumerate(rows) if likelihood.len_of(row) <= self._model_context]

    def _score(self, batch: list[tuple[int, TokenIds]]) -> Scored:
        """Log-probabilities of a batch of rows, each with its place among all."""
        scores = self._reading.worked(batch, _len_of, lambda part: self._likelihoods([row for _, row in part]))
        return [(place, found) for (place, _), found in scores]

    def _likelihoods(self, rows: Sequence[TokenIds]) -> list[float]:
        return likelihood.log_probabilities(self._model, rows)


def _len_of(placed: tuple[int, TokenIds]) -> int:
    return likelihood.len_of(placed[1])
