"""How the time of each stage that runs a model grows with the prompts, fitted and plotted: as far as two cores go.

    $ python benchmarks/growth_model.py
    stage     seconds at 300 / 1,000 / 3,000 prompts     exponent   last step
    generate  ...

The lab's own prompts and base, the default profile, each stage a process of its own after the one before it, as in the
pipeline: answers in five languages, translations in eight directions, one epoch on the pairs made of them. `growth.py`
has the stages without a model, which go to 100,000 prompts in a quarter of an hour, as long as these take to 3,000. The
plot is docs/img/growth_model.png.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import msgspec
from growth import plot, row, told
from made import ITERATION
from measuring import PARAMS, ROOT, child, cost, machine, save

from lidr import config
from lidr.stages import base, generate, pairs, prompts, train, translate

SIZES = (300, 1_000, 3_000)
STAGES = {"generate": generate, "translate": translate, "train": train}
PLOT = ROOT / "docs" / "img" / "growth_model.png"


def settings(count: int) -> config.Settings:
    """The default profile with so many prompts in an iteration, on a CPU."""
    values = msgspec.to_builtins(config.load(PARAMS))
    values["prompts"] |= {"per_iteration": count}
    values["engine"] |= {"device": "cpu"}
    return msgspec.convert(values, config.Settings)


def write(count: int) -> None:
    """The base and the prompts."""
    base.run(settings(count))
    prompts.run(settings(count), ITERATION)


def work(stage: str, count: int) -> dict[str, float]:
    """The cost of one stage in the working folder, what it reads being there."""
    given = settings(count)
    if stage == "train":
        pairs.run(given, ITERATION)
    with cost() as spent:
        STAGES[stage].run(given, ITERATION)
    return spent


def measure(count: int) -> dict[str, list[dict[str, float]]]:
    """What each stage costs with so many prompts, measured once."""
    with tempfile.TemporaryDirectory(prefix="lidr-benchmark-") as folder:
        here = Path(folder)
        child(__file__, "--write", str(count), cwd=here)
        return {stage: [child(__file__, "--work", stage, str(count), cwd=here)] for stage in STAGES}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--prompts", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--no-save", action="store_true", help="Print only.")
    parser.add_argument("--write", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--work", nargs=2, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.write:
        write(chosen.write)
        print("{}")
        return
    if chosen.work:
        print(json.dumps(work(chosen.work[0], int(chosen.work[1]))))
        return
    described, sizes = machine("torch", "transformers", "trl", "peft"), sorted(chosen.prompts)
    found = [measure(count) for count in sizes]
    rows = [row(stage, sizes, [runs[stage] for runs in found]) for stage in STAGES]
    print(told(rows))
    if not chosen.no_save:
        save("growth_model", {"machine": described, "rows": rows})
        plot(rows, PLOT)


if __name__ == "__main__":
    main()
