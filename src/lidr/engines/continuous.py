"""Continuous batching: finished sequences leave the batch, and waiting requests join it.

    batching = ContinuousBatching(model, chat, context=4096, budget=16384, keeps_cache=True)
    for results in batching.answer(rows, sampling):      # [(index, completion), ...] of each round
        ...

The budget is padded tokens per batch: rows times tokens. A round generates 32 tokens for all running sequences. Then
finished sequences are retired and waiting ones admitted: they get a first round of their own (prefill) and are merged.
The key-value cache is kept (running_batch.py), so that no token is computed twice. Where a model's cache holds more
than keys and values, a round recomputes its sequences, and doubles their answers' length. Sequences that outgrow the
budget or the device are preempted: they wait again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from lidr.chat import Chat
from lidr.engines.base import Completion, Sampling, refused, request_seed, stop_at
from lidr.engines.batches import TokenBudget, if_it_fits
from lidr.engines.running_batch import RunningBatch, SequenceState
from lidr.records import FinishReason

ROUND = 32  # new tokens between two checks for finished sequences

Result = tuple[int, Completion]


class ContinuousBatching:
    """One model's batch; `budget` is padded tokens."""

    def __init__(self, model: Any, chat: Chat, context: float, budget: int, keeps_cache: bool) -> None:
        self.model, self.chat, self.context = model, chat, context
        self.budget, self.keeps_cache = TokenBudget(budget), keeps_cache

    def answer(self, group: list[SequenceState], sampling: Sampling) -> Iterator[list[Result]]:
        """Answer a group, round by round: a prefill of newly admitted sequences, or a decode of the running batch.

        A sample depends on the group alone, not on the process.
        """
        import torch

        torch.manual_seed(request_seed(sampling.seed, group[0].id))
        waiting, running = deque(group), None
        while waiting or running:
            admitted = [waiting.popleft() for _ in range(self._admissible(waiting, running))]
            step, paused = (self._begin(admitted), running) if admitted else (running, None)
            assert step is not None
            # Merging copies the caches, so it may run out of memory too. It changes the rows, so take them before.
            rows = [*step.rows, *(paused.rows if paused else ())]
            done = if_it_fits(partial(self._round, step, paused, sampling))
            if done is None:
                running = None
                yield self._preempt(rows, waiting)
                continue
            ended, running, left_out = done
            waiting.extendleft(reversed(left_out))
            yield ended

    def _round(
        self, step: RunningBatch, paused: RunningBatch | None, sampling: Sampling
    ) -> tuple[list[Result], RunningBatch | None, list[SequenceState]]:
        """Run one round of `step` and merge its unfinished rows into the paused batch.

        Returns the answers that have ended, the running batch, and the rows that have grown out of the budget.
        """
        output = self.generate(step, sampling)
        ended, staying = self._read(step, output, sampling)
        if not staying:
            return ended, paused, []
        step.grow(output)
        step.keep(staying)
        if paused is not None:
            paused.merge(step)
        running = paused or step
        fits = max(1, self.budget.tokens // (running.width + ROUND))
        left_out = running.rows[fits:]
        if left_out:
            running.keep(dict(enumerate(running.rows[:fits])))
        return ended, running, left_out

    def _begin(self, rows: list[SequenceState]) -> RunningBatch:
        return RunningBatch.begin(rows, self.chat.pad_id, self.model.device, self.keeps_cache)

    def _admissible(self, waiting: Iterable[SequenceState], batch: RunningBatch | None) -> int:
        """How many waiting sequences fit the token budget; 0 if they are too few for a prefill to pay."""
        rows, width, count = (len(batch.rows), batch.width, 0) if batch else (0, 0, 0)
        for request in waiting:
            width = max(width, len(request.ids))
            if rows + count and (rows + count + 1) * (width + ROUND) > self.budget.tokens:
                return count if 4 * count >= rows else 0
            count += 1
        return count

    def _preempt(self, rows: list[SequenceState], waiting: deque[SequenceState]) -> list[Result]:
        """Requeue rows that do not fit the device together, and lower the budget; a single row is refused."""
        if len(rows) == 1:
            return [(rows[0].index, refused(rows[0].id, len(rows[0].prompt), FinishReason.OUT_OF_MEMORY))]
        self.budget.halve(len(rows), max(len(row.ids) for row in rows) + ROUND)
        waiting.extendleft(reversed(rows))
        return []

    def _new_tokens(self, batch: RunningBatch, sampling: Sampling) -> int:
        """Tokens of the next round, within the longest row's limit and the model's context."""
        longest = max(len(row.answer) for row in batch.rows)
        limit = sampling.max_new_tokens - min(len(row.answer) for row in batch.rows)
        room = self.context - max(len(row.ids) for row in batch.rows)
        return int(min(ROUND if batch.cache is not None else max(ROUND, longest), limit, room))

    def generate(self, batch: RunningBatch, sampling: Sampling) -> Any:
        """The batch's token ids after a round, padding included: (rows, tokens)."""
        import torch

        inputs = {"input_ids": batch.ids, "attention_mask": batch.mask}
        options: dict[str, Any] = {} if batch.cache is None else {"past_key_values": batch.cache}
        sampled = sampling.temperature > 0
        if sampled:
            options |= {"temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": sampling.top_k}
        if sampling.repetition_penalty != 1:
            options["logits_processor"] = [penalty_without_padding(sampling.repetition_penalty, inputs)]
        with torch.inference_mode():
            return self.model.generate(
                **inputs, max_new_tokens=self._new_tokens(batch, sampling), do_sample=sampled, **options
            )

    def _read(
        self, batch: RunningBatch, output: Any, sampling: Sampling
    ) -> tuple[list[Result], dict[int, SequenceState]]:
        """The finished answers by index, and the unfinished rows by place in the batch."""
        ended, staying = [], {}
        for place, (row, ids) in enumerate(zip(batch.rows, output[:, batch.width :].tolist(), strict=True)):
            result = self._ended(row, ids, sampling)
            if isinstance(result, SequenceState):
                staying[place] = result
            else:
                ended.append((row.index, result))
        return ended, staying

    def _ended(self, row: SequenceState, ids: list[int], sampling: Sampling) -> Completion | SequenceState:
        """The completion, up to the end of its turn or its stop string; or the row with its new tokens."""
        left = sampling.max_new_tokens - len(row.answer)
        end = next((i for i, token in enumerate(ids[:left]) if token in self.chat.end_ids), None)
        before = len(row.answer)
        row = replace(row, answer=row.answer + ids[: left if end is None else end])
        goes_on = end is None and len(row.answer) < sampling.max_new_tokens
        # Decoding starts at the answer's beginning each time, so only do it if a stop string may be in it.
        if goes_on and not sampling.stop:
            return row
        found = self.chat.read(row.answer)
        begins = stop_at(found.text, sampling.stop)
        if goes_on and begins is None:
            return row
        # A stop string may end just at the limit.
        stopped = end is not None or begins is not None
        tokens = len(row.answer) if begins is None else self._tokens_until(row.answer, before, sampling.stop)
        return Completion(
            id=row.id,
            text=found.text[:begins],
            reasoning=found.reasoning,
            finish_reason=FinishReason.STOP if stopped else FinishReason.LENGTH,
            prompt_tokens=len(row.prompt),
            completion_tokens=tokens,
        )

    def _tokens_until(self, answer: list[int], before: int, stop: Sequence[str]) -> int:
        """How many tokens there are up to the first stop string, which the `before` first do not hold."""
        return next(
            n for n in range(before, len(answer) + 1) if stop_at(self.chat.read(answer[:n]).text, stop) is not None
        )


def penalty_without_padding(penalty: float, inputs: Any) -> Any:
    """transformers' repetition penalty, without padding.

    The processor would penalise the padding token, often the end token, as one that the row has used. Here padding
    repeats the row's first token, which counts once.
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
