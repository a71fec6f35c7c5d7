"""The tables of docs/performance.md, made from benchmarks/results/*.json by `python docs/generate.py`.

    >>> blocks(RESULTS)["training"]
    '| set | peer | pairs | ours, pairs/s | peer, pairs/s | ...'

A benchmark prints its own table too. One without results gives a line that names its command.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from measuring import RESULTS, figure, ratios, save

Report = dict[str, Any]
PEERS = {"trl": "TRL", "llama_factory": "LLaMA-Factory"}


def blocks(results: Path) -> dict[str, str]:
    """Markdown of each block of the document, by its name."""
    paths = {name: results / f"{name}.json" for name in TABLES}
    return {
        name: block(name, json.loads(path.read_text("utf-8")) if path.exists() else None)
        for name, path in paths.items()
    }


def tell(name: str, report: Report, keep: bool) -> None:
    """Print a benchmark's table; with `keep`, write its results for the document."""
    print(TABLES[name](report), flush=True)
    if keep:
        save(name, report)


def others(name: str, rows: Sequence[Report], setting: Sequence[str]) -> list[Report]:
    """Rows of a benchmark's last results that are of other settings than these: they stay in the table."""
    last = RESULTS / f"{name}.json"
    known = json.loads(last.read_text("utf-8"))["rows"] if last.exists() else []
    new = [[row[key] for key in setting] for row in rows]
    return [row for row in known if [row[key] for key in setting] not in new]


def block(name: str, report: Report | None) -> str:
    """A benchmark's table, and what it was measured on."""
    if report is None:
        return f"Not measured yet with this code: `python benchmarks/{name}.py` does."
    machines = [row["machine"] for row in report["rows"] if "machine" in row] or [report["machine"]]
    lines = dict.fromkeys(_conditions(report["command"], machine) for machine in machines)
    return "\n\n".join([TABLES[name](report), *lines])


def _conditions(command: str, machine: Report) -> str:
    """What something was measured on, and with which packages."""
    packages = ", ".join(f"{package} {number}" for package, number in machine["packages"].items())
    return (
        f"`{command}` on {machine['cores']} cores ({machine['processor']}), torch's threads: {machine['threads']}, "
        f"{machine['memory_bytes'] / 2**30:.0f} GiB, load average {machine['load_average'][0]} at the start; "
        f"Python {machine['python']}, {packages}."
    )


def table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table; every column but the first is aligned to the right."""
    rule = ["---"] + ["--:"] * (len(head) - 1)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, rule, *lines))


def training(report: Report) -> str:
    lines = [
        [
            row["set"],
            PEERS[row["peer"]],
            f"{row['pairs']:,}",
            figure(row["pairs_per_second"]["ours"]),
            figure(row["pairs_per_second"]["peer"]),
            figure(ratios(row["pairs_per_second"]["ours"], row["pairs_per_second"]["peer"]), 2),
            figure(ratios(row["cpu_seconds"]["peer"], row["cpu_seconds"]["ours"]), 2),
            f"{row['loss_difference']:.0e} over {row['steps_compared']} steps",
        ]
        for row in report["rows"]
    ]
    head = ["set", "peer", "pairs", "ours, pairs/s", "peer, pairs/s", "times", "times, by CPU time"]
    return table([*head, "losses differ by"], lines)


def training_shapes(report: Report) -> str:
    lines = []
    for row in report["rows"]:
        speed = row["tokens_per_second"]
        memory = row["gpu_bytes"] if any(row["gpu_bytes"].values()) else row["peak_bytes"]
        peaks = [f"{memory[side] / 2**30:.1f}" for side in ("ours", "peer")]
        rates = [figure(speed[side], 0) for side in ("ours", "peer")]
        share = figure([share * 100 for share in row["share"]], 0)
        rows = f"{row['rows']}, recomputed" if row["recompute"] else row["rows"]
        what = [f"{row['device']}, {row['dtype']}", row["shape"], rows, str(row["pairs_at_once"]), f"{row['tokens']:,}"]
        lines.append([*what, *rates, figure(ratios(speed["ours"], speed["peer"]), 2), *peaks, share])
    head = ["device", "shape", "rows", "pairs at once", "tokens", "ours, tokens/s", "TRL, tokens/s", "times"]
    return table([*head, "ours, GiB", "TRL, GiB", "% of the matrix rate"], lines)


def generation(report: Report) -> str:
    lines = []
    for row in report["rows"]:
        speed = row["tokens_per_second"]
        peers = {"same rows": row.get("rows_per_batch"), "best fixed": row["best_fixed_rows"]}
        for name, rows in ((name, rows) for name, rows in peers.items() if rows):
            times = figure(ratios(speed["ours"], speed[name]), 2)
            lines.append([f"plain loop, {name} ({rows})", figure(speed["ours"]), figure(speed[name]), times])
    return table(["peer", "ours, tokens/s", "peer, tokens/s", "times"], lines)


def generation_vllm(report: Report) -> str:
    speeds = [(row["prompts"], row["tokens_per_second"]) for row in report["rows"]]
    lines = [
        [f"{count:,}", figure(speed["ours"]), figure(speed["vllm"]), figure(ratios(speed["ours"], speed["vllm"]), 3)]
        for count, speed in speeds
    ]
    return table(["prompts", "ours, tokens/s", "`vllm.LLM`, tokens/s", "times"], lines)


def rows(report: Report) -> str:
    lines = []
    for row in report["rows"]:
        seconds = row["seconds"]
        script = ["", ""]
        if "script" in seconds:
            script = [figure(seconds["script"], 2), figure(ratios(seconds["script"], seconds["ours"]), 2)]
        lines.append(
            [
                row["stage"],
                f"{row['rows']:,}",
                figure(seconds["ours"], 2),
                figure(row["cpu_seconds"]["ours"], 2),
                f"{row['peak_bytes']['ours'] / 2**20:,.0f}",
                *script,
            ]
        )
    return table(["stage", "rows", "seconds", "CPU seconds", "peak MiB", "script, seconds", "times ours"], lines)


TABLES: dict[str, Callable[[Report], str]] = {
    "training": training,
    "training_shapes": training_shapes,
    "generation": generation,
    "generation_half": generation,
    "generation_vllm": generation_vllm,
    "rows": rows,
}
