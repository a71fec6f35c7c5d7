"""Stages `pairs` and `audit` by the number of rows; `pairs` beside the authors' pairing script.

    $ python benchmarks/rows.py --rows 10000 100000 1000000
    | stage | rows   | seconds | CPU seconds | peak MiB | script, seconds | times ours |
    | pairs | 10,000 | ...

Budget: 100,000 rows in 60 seconds and 2 GB, for each stage.

For each size a made-up iteration is written: five languages, eight directions, answers of the lab's tasks with other
numbers, one in ten wrong, one in fifty cut off; a row is a pair or a drop. Each side is a process of its own:

- *ours*: the stage's own function, with the libraries that it imports as it comes to need them;
- *script*: the authors' pairing, rebuilt from the description of what it does (docs/method.md): whole files read with
  the json library and joined by position, results keyed by prompt text, the English pairs written again for every
  language. Unlike it, ours joins by id, checks every row, and counts every drop.

Peak memory is the largest resident size of one process; a stage on several cores has several. A million rows are
measured once.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from made import ITERATION, write_iteration
from measuring import PARAMS, cost, costs, in_new_process, machine, options, take_turns
from tables import tell

from lidr import config, paths
from lidr.audit import stage as audit
from lidr.audit.contamination import evaluation_items
from lidr.pairs import stage as pairs

SIZES = (10_000, 100_000, 1_000_000)
REPETITIONS = {10_000: 5, 100_000: 3, 1_000_000: 1}
FAILED = "Translation Error"  # what the authors' files hold where a translation could not be read


def pairs_script() -> dict[str, float]:
    """The authors' pairing: for each language, lists joined by position, and the English file written again."""
    settings = config.load(PARAMS)
    dominant = settings.dominant
    with cost() as spent:
        for lang in settings.languages:
            asked, own = (_by_text(lang), _by_text(dominant))
            there = [row["text"] or FAILED for row in _read(paths.translation_file(ITERATION, dominant, lang))]
            back = [row["text"] or FAILED for row in _read(paths.translation_file(ITERATION, lang, dominant))]
            in_lang, in_dominant = [], []
            for (prompt, answer), (question, well), text, reverse in zip(
                asked.items(), own.items(), there, back, strict=False
            ):
                if FAILED in (text, reverse):
                    continue
                in_lang.append(_preference(prompt, text, answer))
                in_dominant.append(_preference(question, well, reverse))
            _dump(Path(f"{lang}.json"), in_lang)
            _dump(Path(f"{dominant}.json"), in_dominant)
    return spent


def pairs_ours() -> dict[str, float]:
    """Stage `pairs`."""
    settings = config.load(PARAMS)
    with cost() as spent:
        pairs.run(settings, ITERATION)
    return spent


def audit_ours() -> dict[str, float]:
    """Stage `audit`, its report and plots included."""
    settings = config.load(PARAMS)
    with cost() as spent:
        audit.write(audit.measure(settings, ITERATION, None, evaluation_items(settings)), paths.audit(ITERATION))
    return spent


WORK: dict[str, dict[str, Callable[[], dict[str, float]]]] = {
    "pairs": {"ours": pairs_ours, "script": pairs_script},
    "audit": {"ours": audit_ours},
}


def work(stage: str, side: str) -> dict[str, float]:
    """One side of a stage, once the files that another one has left to be written are on the disk."""
    os.sync()
    return WORK[stage][side]()


def measure(rows: int, stages: Sequence[str], repetitions: int) -> list[dict[str, Any]]:
    """All sides of these stages in turn, for one size."""
    settings = config.load(PARAMS)
    prompts = -(-rows // (2 * len(settings.languages)))
    with tempfile.TemporaryDirectory(prefix="lidr-benchmark-") as folder:
        here = Path(folder)
        in_new_process(write_iteration, settings, prompts, here=here)
        found = []
        for stage in stages:
            sides = {side: partial(in_new_process, work, stage, side, here=here) for side in WORK[stage]}
            runs = take_turns(sides, repetitions)
            found.append({"stage": stage, "rows": prompts * 2 * len(settings.languages), **costs(runs)})
    return found


def _by_text(lang: str) -> dict[str, str]:
    asked, answers = _read(paths.prompt_file(ITERATION, lang)), _read(paths.response_file(ITERATION, lang))
    return {prompt["text"]: answer["text"] for prompt, answer in zip(asked, answers, strict=False)}


def _preference(prompt: str, chosen: str, rejected: str) -> dict[str, Any]:
    return {"instruction": prompt, "input": "", "chosen": chosen, "rejected": rejected}


def _read(path: Path) -> Iterator[Any]:
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def _dump(path: Path, rows: list[Any]) -> None:
    with path.open("w", encoding="utf-8") as out:
        json.dump(rows, out, ensure_ascii=False)


def main() -> None:
    parser = options(__doc__, repetitions=None)
    parser.add_argument("--rows", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--stages", nargs="+", choices=WORK, default=list(WORK))
    chosen = parser.parse_args()
    packages = ("msgspec", "pandas", "pyarrow", "sacrebleu", "py3langid")
    report: dict[str, Any] = {"machine": machine(*packages), "rows": []}
    for size in chosen.rows:
        report["rows"] += measure(size, chosen.stages, chosen.repetitions or REPETITIONS.get(size, 3))
        tell("rows", report, not chosen.no_save)


if __name__ == "__main__":
    main()
