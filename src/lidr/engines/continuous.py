"""Continuous batching: answers that have ended leave a batch, and the next requests come in.

    batching = ContinuousBatching(model, chat, context=4096, budget=16384, keeps_cache=True)
    for results in batching.answer(rows, sampling):      # [(index, completion), ...] of each round
        ...

Requests are answered together, as many as the budget has room for: rows times tokens, padded. Every 32 tokens those
that have ended leave, the next ones have a first round of their own, and join. Nobody waits for the longest answer, and
the cache of keys and values is kept (flight.py), so that no token is computed twice. Where a model's cache carries more
than tokens, all that goes on is computed anew, each time for twice as many tokens. Rows that grow out of the budget, or
do not fit the device, wait for less company.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

from lidr.chat import Chat
from lidr.engines.base import Completion, Sampling, refused, request_seed, stop_at
from lidr.engines.batches import Budget, if_it_fits
from lidr.engines.flight import Begun, Flight
from lidr.records import FinishReason

ROUND = 32  # new tokens between two looks at who has ended

Result = tuple[int, Completion]


class ContinuousBatching:
    """`budget` is tokens of a batch, padded."""

    def __init__(self, model: Any, chat: Chat, context: float, budget: int, keeps_cache: bool) -> None:
        self.model, self.chat, self.context = model, chat, context
        self.budget, self.keeps_cache = Budget(budget), keeps_cache
        self._ends = chat.end_ids | {chat.pad_id}

    def answer(self, group: list[Begun], sampling: Sampling) -> Iterator[list[Result]]:
        """Answer a group, round by round. A sample depends on the group alone, whoever computes it."""
        import torch

        torch.manual_seed(request_seed(sampling.seed, group[0].id))
        waiting, flight = deque(group), None
        while waiting or flight:
            coming = [waiting.popleft() for _ in range(self._room(waiting, flight))]
            part, aside = (self._begin(coming), flight) if coming else (flight, None)
            assert part is not None
            # Joining copies the caches, so it may lack memory as well. The rows are taken before either changes them.
            rows = [*part.rows, *(aside.rows if aside else ())]
            done = if_it_fits(partial(self._round, part, aside, sampling))
            if done is None:
                flight = None
                yield self._put_back(rows, waiting)
                continue
            ended, flight, left_out = done
            waiting.extendleft(reversed(left_out))
            yield ended

    def _round(
        self, part: Flight, aside: Flight | None, sampling: Sampling
    ) -> tuple[list[Result], Flight | None, list[Begun]]:
        """The answers that a round ends, the rows that go on together, and those that have grown out of the budget."""
        output = self.generate(part, sampling)
        ended, staying = self._read(part, output, sampling)
        if not staying:
            return ended, aside, []
        part.grow(output)
        part.keep(staying)
        if aside is not None:
            aside.join(part)
        flight = aside or part
        fits = max(1, self.budget.tokens // (flight.width + ROUND))
        left_out = flight.rows[fits:]
        if left_out:
            flight.keep(dict(enumerate(flight.rows[:fits])))
        return ended, flight, left_out

    def _begin(self, rows: list[Begun]) -> Flight:
        return Flight.begin(rows, self.chat.pad_id, self.model.device, self.keeps_cache)

    def _room(self, waiting: Iterable[Begun], flight: Flight | None) -> int:
        """How many of those that wait have room in the token budget; none where so few are no round of their own."""
        rows, width, count = (len(flight.rows), flight.width, 0) if flight else (0, 0, 0)
        for request in waiting:
            width = max(width, len(request.ids))
            if rows + count and (rows + count + 1) * (width + ROUND) > self.budget.tokens:
                return count if 4 * count >= rows else 0
            count += 1
        return count

    def _put_back(self, rows: list[Begun], waiting: deque[Begun]) -> list[Result]:
        """Have rows that do not fit the device together wait for less company; one that is alone is refused."""
        if len(rows) == 1:
            return [(rows[0].index, refused(rows[0].id, len(rows[0].prompt), FinishReason.OUT_OF_MEMORY))]
        self.budget.halve(len(rows), max(len(row.ids) for row in rows) + ROUND)
        waiting.extendleft(reversed(rows))
        return []

    def _new_tokens(self, flight: Flight, sampling: Sampling) -> int:
        """The length of a round: to the longest row's limit at most, and never beyond the model's context."""
        longest = max(len(row.answer) for row in flight.rows)
        limit = sampling.max_new_tokens - min(len(row.answer) for row in flight.rows)
        room = self.context - max(len(row.ids) for row in flight.rows)
        return int(min(ROUND if flight.cache is not None else max(ROUND, longest), limit, room))

    def generate(self, flight: Flight, sampling: Sampling) -> Any:
        """The flight's token ids with a round of new ones, padding included: (rows, tokens)."""
        import torch

        inputs = {"input_ids": flight.ids, "attention_mask": flight.mask}
        options: dict[str, Any] = {} if flight.cache is None else {"past_key_values": flight.cache}
        sampled = sampling.temperature > 0
        if sampled:
            options |= {"temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": sampling.top_k}
        if sampling.repetition_penalty != 1:
            options["logits_processor"] = [penalty_without_padding(sampling.repetition_penalty, inputs)]
        if sampling.stop:
            options |= {"stop_strings": list(sampling.stop), "tokenizer": self.chat.tokenizer}
        with torch.inference_mode():
            return self.model.generate(
                **inputs, max_new_tokens=self._new_tokens(flight, sampling), do_sample=sampled, **options
            )

    def _read(self, flight: Flight, output: Any, sampling: Sampling) -> tuple[list[Result], dict[int, Begun]]:
        """The answers that a round has ended, by index, and the rows that go on, by place in the flight."""
        ended, staying = [], {}
        for place, (row, ids) in enumerate(zip(flight.rows, output[:, flight.width :].tolist(), strict=True)):
            result = self._ended(row, ids, sampling)
            if isinstance(result, Begun):
                staying[place] = result
            else:
                ended.append((row.index, result))
        return ended, staying

    def _ended(self, row: Begun, ids: list[int], sampling: Sampling) -> Completion | Begun:
        """The answer up to the end of the turn, or up to the padding that follows a stop string; or what there is."""
        left = sampling.max_new_tokens - len(row.answer)
        end = next((i for i, token in enumerate(ids[:left]) if token in self._ends), None)
        answer = row.answer + ids[: left if end is None else end]
        goes_on = end is None and len(answer) < sampling.max_new_tokens
        # Nothing to read yet, unless a stop string may be in it: each round would decode the answer from its beginning.
        if goes_on and not sampling.stop:
            return Begun(row.index, row.id, row.prompt, answer)
        found = self.chat.read(answer)
        begins = stop_at(found.text, sampling.stop)
        if goes_on and begins is None:
            return Begun(row.index, row.id, row.prompt, answer)
        # A stop string may end just at the limit.
        stopped = end is not None or begins is not None
        return Completion(
            id=row.id,
            text=found.text[:begins],
            reasoning=found.reasoning,
            finish_reason=FinishReason.STOP if stopped else FinishReason.LENGTH,
            prompt_tokens=len(row.prompt),
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
