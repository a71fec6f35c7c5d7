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
from lidr.engines.batches import Likelihoods, Placed
from lidr.engines.continuous import ROUND, ContinuousBatching, Result
from lidr.engines.running_batch import SequenceState, keeps_cache
from lidr.engines.settings import Transformers
from lidr.models import policy
from lidr.pool import WorkerPool
from lidr.records.prompt_templates import Conversation

# Full batches per worker task: more of them amortise the shrinking last one.
GROUP = 4
# Most logits of a batch that is scored: 2 GiB in float32.
LOGITS = 2**29


class TransformersEngine:
    """See `lidr.engines.base.Engine` for the contract."""

    def __init__(self, settings: Transformers, model: policy.Policy) -> None:
        self.settings, self.policy = settings, model
        # A sample depends on the batch that it is in, and in half precision so does every answer.
        self.fingerprint = fingerprint_of(model, "transformers", settings.dtype, str(settings.tokens_per_batch))

    def generate(self, requests: Sequence[Request], sampling: Sampling, progress: Progress) -> list[Completion]:
        if not requests:
            return []
        prompts = [self._chat.prompt_ids(request.conversation) for request in requests]
        states = [SequenceState(i, requests[i].id, prompt, []) for i, prompt in enumerate(prompts)]
        waiting = [state for state in states if len(state.prompt) + sampling.max_new_tokens <= self._context]
        progress(len(states) - len(waiting))
        completions = {state.index: refused(state.id, len(state.prompt)) for state in states}
        for results in self._results("_answer", ((group, sampling) for group in self._groups(waiting))):
            completions |= dict(results)
            progress(len(results))
        return list(completions.values())

    def score(self, conversations: Sequence[Conversation], choices: Sequence[str]) -> list[list[float | None]]:
        # A batch is one conversation's choices, so that a verdict does not depend on other conversations.
        found = []
        for rows in choice_rows(self._chat, conversations, choices):
            fitting = self._fitting(rows)
            scores = dict(self._likelihoods.of(fitting)) if fitting else {}
            found.append([scores.get(place) for place in range(len(rows))])
        return found

    def log_probabilities(self, rows: Sequence[TokenIds], progress: Progress) -> list[float | None]:
        if not rows:
            return []
        fitting = self._fitting(rows)
        progress(len(rows) - len(fitting))
        found: dict[int, float | None] = {}
        for scores in self._results("_score", ((batch,) for batch in self._likelihoods.batches(fitting))):
            found |= dict(scores)
            progress(len(scores))
        return [found.get(place) for place in range(len(rows))]

    def close(self) -> None:
        import torch

        if (pool := self.__dict__.pop("_workers", None)) is not None:
            pool.close()
        for name in ("_continuous", "_likelihoods", "_model"):
            self.__dict__.pop(name, None)
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
    def _likelihoods(self) -> Likelihoods:
        # Each position has logits of the whole vocabulary.
        vocabulary = self._model.config.get_text_config().vocab_size
        return Likelihoods(self._model, min(self.settings.tokens_per_batch, LOGITS // vocabulary))

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

        def work(method: str, *arguments: Any) -> list[Any]:
            return [result for results in getattr(self, method)(*arguments) for result in results]

        advice = "lower engine.processes or engine.tokens_per_batch"
        return WorkerPool(count, work, begin=partial(torch.set_num_threads, 1), advice=advice)

    def _results(self, method: str, calls: Iterable[tuple[Any, ...]]) -> Iterator[list[Any]]:
        """Yield what the method yields for all calls, as it comes; a worker process gives all of a call at once."""
        if self._workers is None:
            # One by one, as the budget may shrink on the way.
            for arguments in calls:
                yield from getattr(self, method)(*arguments)
        else:
            # The longest first, so that the last ones to run are short.
            yield from self._workers.as_completed((method, *arguments) for arguments in reversed(list(calls)))

    def _groups(self, waiting: Sequence[SequenceState]) -> list[list[SequenceState]]:
        """Groups of requests, the shortest first; the same ones with and without worker processes."""
        ordered = sorted(waiting, key=lambda request: (len(request.prompt), request.index))
        tokens = sum(len(request.prompt) + ROUND for request in ordered)
        count = math.ceil(tokens / (GROUP * self.settings.tokens_per_batch))
        return [ordered[start::count] for start in range(min(count, len(ordered)))]

    def _answer(self, group: list[SequenceState], sampling: Sampling) -> Iterator[list[Result]]:
        return self._continuous.answer(group, sampling)

    def _score(self, batch: list[Placed]) -> Iterator[list[tuple[int, float | None]]]:
        yield self._likelihoods.of(batch)

    def _fitting(self, rows: Sequence[TokenIds]) -> list[Placed]:
        """The rows that fit the model's context, each with its place among all; a reference may lack a tokenizer."""
        context = policy.context_length(self._model.config) or math.inf
        return [(place, row) for place, row in enumerate(rows) if row.length <= context]
