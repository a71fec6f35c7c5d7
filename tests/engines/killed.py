"""Generates in shards and dies as by `kill -9` after a number of completions. The argument is the task as JSON."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

sys.path.insert(0, str(Path(__file__).parents[1]))

from at_hand import requests

from lidr import config
from lidr.engines.base import Completion, Progress, Request, Sampling, open_engine
from lidr.engines.shards import generate_in_shards
from lidr.models import policy


class Dying:
    """An engine that dies after the task's number of completions."""

    def __init__(self, engine: Any, last: int) -> None:
        self.engine, self.fingerprint = engine, engine.fingerprint
        self.last, self.done = last, 0

    def generate(self, asked: Sequence[Request], sampling: Sampling, progress: Progress) -> list[Completion]:
        def count(more: int) -> None:
            self.done += more
            if self.done >= self.last:
                os.kill(os.getpid(), signal.SIGKILL)

        return self.engine.generate(asked, sampling, count)


def main(task: dict[str, Any]) -> None:
    settings = msgspec.convert(task["settings"], config.Engine)
    engine = open_engine(settings, policy.resolve("m0", Path(task["models"])))
    sampling = Sampling(task["tokens"], temperature=task["temperature"], seed=task["seed"])
    wanted = requests("en", task["requests"])
    generate_in_shards(Dying(engine, task["last"]), wanted, sampling, Path(task["folder"]), task["rows"], "dying")


if __name__ == "__main__":
    main(msgspec.json.decode(sys.argv[1]))
