"""How long the audit takes and how much memory it needs, by the number of pairs and drops, beside the least possible.

    $ python benchmarks/audit.py --rows 10000 100000 1000000 --out benchmarks/results/audit.json
         rows   audit s    cpu s   peak MiB   floor s   rows/s   times the floor
       10,000      ...

For each size a made-up iteration is written: five languages, eight directions, answers of the lab's tasks with other
numbers, one in ten wrong, one in fifty cut off. Then, each in a process of its own and in turn: the *floor*, which
reads every line of the same files with the json library and writes them again, and the audit, which writes its whole
report. Peak memory is the largest resident size of the process, the imports included.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec

from lidr import audit, config, paths
from lidr.audit.contamination import evaluation_items
from lidr.lab import world
from lidr.records import (
    FinishReason,
    Prompt,
    PromptKind,
    Record,
    Response,
    Source,
    Translation,
)
from lidr.stages import pairs

PARAMS = Path(__file__).resolve().parents[1] / "profiles" / "lab.yaml"
ITERATION = "m1"
TASKS = 500  # distinct ones; numbers make every prompt another text
CHUNK = 1_000  # prompts made and written at a time
PACKAGES = ("msgspec", "numpy", "py3langid", "scipy", "matplotlib", "sacrebleu")


def write_project(settings: config.Settings, rows: int) -> int:
    """Write an iteration of at least `rows` pairs and drops to the working folder; returns how many it has."""
    count = -(-rows // (2 * len(settings.languages)))
    with ExitStack() as stack:
        files: dict[Path, Any] = {}
        for start in range(0, count, CHUNK):
            texts = _texts(settings, range(start, min(start + CHUNK, count)))
            for path, record in _records(settings, texts):
                if path not in files:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    files[path] = stack.enter_context(path.open("wb"))
                files[path].write(msgspec.json.encode(record) + b"\n")
    paths.round_trip(ITERATION).touch()
    return count * 2 * len(settings.languages)


def _texts(settings: config.Settings, numbers: range) -> pairs.Texts:
    tasks, dominant = _tasks(), settings.dominant
    texts = pairs.Texts(prompts={}, responses={}, translations={})
    for number in numbers:
        name, task = f"made-{number}", tasks[number % TASKS]
        for lang in settings.all_languages:
            prompt = Prompt(
                id=name,
                lang=lang,
                text=f"{task.prompt(lang)} + {number}",
                source=Source(name="made", row=number),
                kind=PromptKind.TASK,
                answer=str(number),
            )
            wrong = lang != dominant and (number + len(lang) + ord(lang[0])) % 10 == 0
            cut = number % 50 == 0 and lang == settings.languages[0]
            text = f"{task.answer(lang)} {number + wrong}"
            response = Response(
                id=name,
                lang=lang,
                text=text,
                finish_reason=FinishReason.LENGTH if cut else FinishReason.STOP,
                prompt_tokens=20,
                completion_tokens=len(text.split()),
            )
            texts.prompts.setdefault(lang, {})[name] = prompt
            texts.responses.setdefault(lang, {})[name] = response
        for lang in settings.languages:
            for a, b in ((dominant, lang), (lang, dominant)):
                answer = texts.responses[a][name]
                if answer.finish_reason is FinishReason.STOP:
                    text = f"{task.answer(b)} {answer.text.rpartition(' ')[2]}."
                    texts.translations.setdefault((a, b), {})[name] = _translation(name, a, b, text)
    return texts


def _translation(name: str, source: str, target: str, text: str) -> Translation:
    raw = f"{text}</translated>"
    return Translation(
        id=name, source_lang=source, target_lang=target, text=text, finish_reason=FinishReason.STOP, raw=raw
    )


def _tasks() -> list[world.Task]:
    return list(world.tasks("iterations", world.KINDS, TASKS, 0))


def _records(settings: config.Settings, texts: pairs.Texts) -> Iterator[tuple[Path, Record]]:
    for lang in settings.all_languages:
        yield from ((paths.prompt_file(ITERATION, lang), row) for row in texts.prompts[lang].values())
        yield from ((paths.response_file(ITERATION, lang), row) for row in texts.responses[lang].values())
    for (a, b), rows in texts.translations.items():
        yield from ((paths.translation_file(ITERATION, a, b), row) for row in rows.values())
    made, drops = pairs.make(settings, texts)
    yield from ((paths.pairs(ITERATION) / paths.PAIRS, row) for row in made)
    yield from ((paths.pairs(ITERATION) / paths.DROPS, row) for row in drops)


def floor() -> None:
    """Read all lines of all files with the json library, and write them again."""
    with tempfile.TemporaryFile("w", encoding="utf-8") as out:
        for path in sorted(paths.DATA.rglob("*.jsonl")):
            with path.open(encoding="utf-8") as lines:
                for line in lines:
                    out.write(json.dumps(json.loads(line), ensure_ascii=False) + "\n")


def work(what: str) -> None:
    """What a child process does: the work in the working folder, then its cost as one line of JSON."""
    settings = config.load(PARAMS)
    start, cpu = time.perf_counter(), time.process_time()
    if what == "floor":
        floor()
    else:
        audit.write(audit.measure(settings, ITERATION, None, evaluation_items(settings)), paths.audit(ITERATION))
    cost = {"seconds": time.perf_counter() - start, "cpu_seconds": time.process_time() - cpu}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    print(json.dumps({name: round(value, 3) for name, value in cost.items()} | {"peak_bytes": peak}))


def child(what: str, folder: Path) -> dict[str, float]:
    """Run `work` in a process of its own."""
    command = [sys.executable, str(Path(__file__).resolve()), "--work", what]
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, check=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def measure(rows: int) -> dict[str, Any]:
    """Cost of the floor and of the audit for one size."""
    here = Path.cwd()
    with tempfile.TemporaryDirectory(prefix="lidr-benchmark-") as name:
        os.chdir(name)
        try:
            written = write_project(config.load(PARAMS), rows)
            size = sum(path.stat().st_size for path in paths.DATA.rglob("*.jsonl"))
            costs = {what: child(what, Path(name)) for what in ("floor", "audit")}
        finally:
            os.chdir(here)
    return {"rows": written, "bytes": size} | costs


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    cpuinfo = Path("/proc/cpuinfo")
    models = [line for line in cpuinfo.read_text().splitlines() if "model name" in line] if cpuinfo.exists() else []
    return {
        "processor": models[0].partition(": ")[2] if models else platform.processor(),
        "cores": os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "load_average": round(os.getloadavg()[0], 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
    }


def _line(result: dict[str, Any]) -> str:
    cost, least = result["audit"], result["floor"]
    speed, times = result["rows"] / cost["seconds"], cost["seconds"] / least["seconds"]
    return (
        f"{result['rows']:>12,} {cost['seconds']:>9.1f} {cost['cpu_seconds']:>8.1f} {cost['peak_bytes'] / 2**20:>10.0f}"
        f" {least['seconds']:>9.1f} {speed:>8.0f} {times:>17.1f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--out", type=Path, help="Where the results go as JSON; rewritten after each size.")
    parser.add_argument("--work", choices=("floor", "audit"), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.work:
        work(chosen.work)
        return
    print("        rows   audit s    cpu s   peak MiB   floor s   rows/s   times the floor")
    report: dict[str, Any] = {"machine": machine(), "sizes": []}
    for rows in chosen.rows:
        report["sizes"].append(measure(rows))
        print(_line(report["sizes"][-1]), flush=True)
        if chosen.out:
            chosen.out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
