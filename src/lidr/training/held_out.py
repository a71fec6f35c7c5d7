"""Held-out pairs: a share of the prompts whose pairs are never trained on, for an evaluation beside training.

The draw is by a hash of the prompt's id (`records.draw`), so all pairs of a prompt are on one side, whatever the order,
the seed and the other prompts. Below `FEWEST` pairs nothing is held out: the reward accuracy of so few has a standard
error above 0.1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from lidr import config
from lidr.records import Pair
from lidr.records.draw import is_held_out

FEWEST = 20


def split(pairs: Sequence[Pair], share: float) -> tuple[list[Pair], list[Pair]]:
    """The pairs to train on and the held-out ones, each in their order; of the second, none or `FEWEST` or more."""
    held_out = [pair for pair in pairs if is_held_out(pair.prompt_id, share)]
    if len(held_out) < FEWEST:
        return list(pairs), []
    return [pair for pair in pairs if not is_held_out(pair.prompt_id, share)], held_out


def steps_between(train: config.Train, pairs: int) -> int:
    """How many steps lie between two evaluations: a share of all steps as their number, as a checkpoint has it."""
    every = train.dpo["eval_steps"]
    if every >= 1:
        return int(every)
    steps = math.ceil(train.dpo["num_train_epochs"] * math.ceil(pairs / train.pairs_per_step))
    return math.ceil(every * steps)
