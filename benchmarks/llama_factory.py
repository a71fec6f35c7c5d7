"""LLaMA-Factory's side of `training.py`: DPO with `pref_ftx` on the same pairs, in an environment of its own.

    $ .lidr/bench/llama-factory/bin/python benchmarks/llama_factory.py FOLDER     # FOLDER as training.py writes it
    {"pairs": 480, "tokens": 39712, "losses": [1.83, ...], "seconds": 21.7, "cpu_seconds": 41.9, "peak_bytes": ...}

FOLDER holds `arguments.json` (what `llamafactory-cli train` takes), and in `data/` the pairs with prompts as the chat
template renders them. What runs is LLaMA-Factory's own trainer. Two things are added to it: the adapter's first weights
are drawn from the seed at the moment at which ours draws them, and the clock leaves out what it leaves out with us:
imports, the loading of the model, and the saving.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

# LLaMA-Factory imports it wherever it runs, and its binaries ask for the CUDA build of torch. No pair here is audio.
if find_spec("torchaudio") is None:
    sys.modules["torchaudio"] = ModuleType("torchaudio")
    sys.modules["torchaudio"].__spec__ = ModuleSpec("torchaudio", None)

from llamafactory.data.template import register_template
from llamafactory.hparams import get_train_args
from llamafactory.model import adapter
from llamafactory.train.dpo import trainer as dpo
from llamafactory.train.dpo import workflow
from measuring import cost

TEMPLATE = "rendered"  # LLaMA-Factory's defaults: the prompt as it stands, the answer, the end of the turn
IGNORED = -100


class Done(Exception):
    """The training is over; what would come after it is not measured."""


def main(folder: Path) -> dict[str, Any]:
    arguments = json.loads((folder / "arguments.json").read_text("utf-8"))
    register_template(name=TEMPLATE)
    loading: dict[str, float] = {}
    _within(workflow, "load_model", lambda: _into(loading))
    _within(adapter, "get_peft_model", lambda: nullcontext(torch.manual_seed(arguments["seed"])))
    trainers: list[Any] = []

    class Trainer(dpo.CustomDPOTrainer):
        def train(self, *args: Any, **values: Any) -> None:
            trainers.append(self)
            super().train(*args, **values)
            raise Done

    dpo.CustomDPOTrainer = Trainer
    model, data, training, finetuning, _ = get_train_args(arguments)
    with cost() as spent, suppress(Done):
        workflow.run_dpo(model, data, training, finetuning, callbacks=[])
    rows, log = trainers[0].train_dataset, trainers[0].state.log_history
    return {
        "pairs": len(rows),
        "tokens": sum(map(_tokens, rows)),
        "losses": [entry["loss"] for entry in log if "loss" in entry],
        "seconds": round(spent["seconds"] - loading["seconds"], 4),
        "cpu_seconds": round(spent["cpu_seconds"] - loading["cpu_seconds"], 4),
        "peak_bytes": spent["peak_bytes"],
    }


def _tokens(row: dict[str, Any]) -> int:
    """Tokens of the prompt, once, and of both answers."""
    return len(row["chosen_input_ids"]) + sum(label != IGNORED for label in row["rejected_labels"])


@contextmanager
def _into(spent: dict[str, float]) -> Iterator[None]:
    """Keep what the block took."""
    with cost() as found:
        yield
    spent |= found


def _within(module: Any, name: str, context: Callable[[], AbstractContextManager[None]]) -> None:
    """Let each call of this function run within a new context."""
    function = getattr(module, name)

    def call(*args: Any, **values: Any) -> Any:
        with context():
            return function(*args, **values)

    setattr(module, name, call)


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))
