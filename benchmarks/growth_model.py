"""How the time of each stage that runs a model grows from 1,000 to 100,000 prompts, fitted and plotted.

    $ python benchmarks/growth_model.py
    stage     seconds at 1,000 / 3,000 / 10,000 / 30,000 / 100,000 prompts     exponent   last step
    generate  ...

The model is as small as one can be (one layer of 32, random weights, the lab's tokenizer) and writes 16 tokens at most,
so that what grows is what lidr does for each row, which a larger model would hide behind its own products, linear in
the rows. Two languages: with 100,000 prompts that is 200,000 answers, 200,000 translations and 200,000 pairs. What a
stage reads is made up (`made.py`), so that each is measured on the same rows whatever the one before it wrote. Every
stage is a process of its own. `growth.py` has the stages without a model. The plot is docs/img/growth_model.png.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import msgspec
from growth import SIZES, plot, row, told
from made import ITERATION, RANDOM, write_iteration, write_random_model
from measuring import PARAMS, ROOT, child, cost, machine, save

from lidr import config
from lidr.stages import base, generate, train, translate

STAGES = {"generate": generate, "translate": translate, "train": train}
PLOT = ROOT / "docs" / "img" / "growth_model.png"
SHAPE: dict[str, Any] = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1}
HEADS: dict[str, Any] = {"num_attention_heads": 2, "num_key_value_heads": 1}
LANGUAGES, NEW_TOKENS, PAIRS_PER_STEP = ["es"], 16, 64


def settings() -> config.Settings:
    """The default profile with one language beside the dominant one, short answers and large steps, on a CPU."""
    values = msgspec.to_builtins(config.load(PARAMS))
    values["languages"] = LANGUAGES
    values["engine"] |= {"device": "cpu"}
    values["base"] |= {"model": RANDOM}
    for stage in ("generate", "translate"):
        values[stage] |= {"max_new_tokens": NEW_TOKENS}
    values["train"] |= {"pairs_per_step": PAIRS_PER_STEP, "pairs_per_device": PAIRS_PER_STEP}
    return msgspec.convert(values, config.Settings)


def write(count: int) -> None:
    """The base, and an iteration of so many prompts."""
    write_random_model(config.load(PARAMS), SHAPE | HEADS, "float32")
    base.run(settings())
    write_iteration(settings(), count)


def work(stage: str) -> dict[str, float]:
    """The cost of one stage in the working folder, what it reads being there."""
    with cost() as spent:
        STAGES[stage].run(settings(), ITERATION)
    return spent


def measure(count: int) -> dict[str, list[dict[str, float]]]:
    """What each stage costs with so many prompts, measured once."""
    with tempfile.TemporaryDirectory(prefix="lidr-benchmark-") as folder:
        here = Path(folder)
        child(__file__, "--write", str(count), cwd=here)
        # The last one first: what `generate` writes here is cut at the limit, and a cut answer is not translated.
        spent = {stage: [child(__file__, "--work", stage, cwd=here)] for stage in reversed(STAGES)}
        return {stage: spent[stage] for stage in STAGES}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--prompts", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--no-save", action="store_true", help="Print only.")
    parser.add_argument("--write", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--work", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.write:
        write(chosen.write)
        print("{}")
        return
    if chosen.work:
        print(json.dumps(work(chosen.work)))
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
