"""The tables of docs/performance.md, made from benchmarks/results/*.json by `python docs/generate.py`.

    >>> blocks(RESULTS)["training"]
    '| set | peer | pairs | ours, pairs/s | peer, pairs/s | ...'

A benchmark that has no results yet gives a line that says so and names its command; nothing is filled in by hand.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from measuring import figure, ratios

Report = dict[str, Any]
PEERS = {"trl": "TRL", "llama_factory": "LLaMA-Factory"}


class Outcome(NamedTuple):
    """One target of the summary: what was found beside what was to be reached."""

    what: str
    target: str
    found: str
    reached: bool


def blocks(results: Path) -> dict[str, str]:
    """Markdown of each block of the document, by its name; `summary` holds every target."""
    reports = {name: _read(results / f"{name}.json") for name in TABLES}
    made = {name: _block(name, report) for name, report in reports.items()}
    return {"summary": summary(reports), **made}


def summary(reports: dict[str, Report | None]) -> str:
    """All targets with what was found; benchmarks without results are named."""
    lines = []
    for name, report in reports.items():
        if report is None:
            lines.append(["`benchmarks/" + name + ".py`", "", "not measured yet", ""])
        else:
            lines += [
                [one.what, one.target, one.found, "reached" if one.reached else "**not reached**"]
                for one in OUTCOMES[name](report)
            ]
    return table(["what", "target", "found", ""], lines)


def table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table; every column but the first is aligned to the right."""
    rule = ["---"] + ["--:"] * (len(head) - 1)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, rule, *lines))


def at_least(what: str, values: Sequence[float], limit: float) -> Outcome:
    """Whether the median of these ratios is as large as the limit."""
    return Outcome(what, f">= {limit:g} times", figure(values, 2), median(values) >= limit)


def at_most(what: str, values: Sequence[float], limit: float, unit: str = "times") -> Outcome:
    """Whether the median of these values is as small as the limit."""
    return Outcome(what, f"<= {limit:g} {unit}".rstrip(), figure(values, 2), median(values) <= limit)


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
    head = ["set", "peer", "pairs", "ours, pairs/s", "peer, pairs/s", "times", "times, by processor time"]
    return table([*head, "losses differ by"], lines)


def generation(report: Report) -> str:
    lines = []
    for row in report["rows"]:
        speed = row["tokens_per_second"]
        for name, rows in (("same rows", row["rows_per_batch"]), ("best fixed", row["best_fixed_rows"])):
            times = figure(ratios(speed["ours"], speed[name]), 2)
            lines.append([f"plain loop, {name} ({rows})", figure(speed["ours"]), figure(speed[name]), times])
    return table(["peer", "ours, tokens/s", "peer, tokens/s", "times"], lines)


def generation_vllm(report: Report) -> str:
    lines = []
    for row in report["rows"]:
        speed = row["tokens_per_second"]
        times = figure(ratios(speed["ours"], speed["vllm"]), 3)
        lines.append([f"{row['prompts']:,}", figure(speed["ours"]), figure(speed["vllm"]), times])
    return table(["prompts", "ours, tokens/s", "`vllm.LLM`, tokens/s", "times"], lines)


def generation_ray(report: Report) -> str:
    lines = []
    for row in report["rows"]:
        speed = row["tokens_per_second"]
        line = [f"{row['prompts']:,}", figure(speed["alone"])]
        for side in ("ray", "processes"):
            line += [figure(speed[side]), figure(ratios(speed[side], speed["alone"]), 2)]
        lines.append(line)
    workers = report["rows"][0]["workers"]
    peers = [f"{workers} workers, tokens/s", "times", f"{workers} processes, tokens/s", "times"]
    return table(["prompts", "one process, tokens/s", *peers], lines)


def rows(report: Report) -> str:
    lines = []
    for row in report["rows"]:
        seconds, peak = row["seconds"], row["peak_bytes"]["ours"]
        script = figure(ratios(seconds["script"], seconds["ours"]), 2) if "script" in seconds else ""
        lines.append(
            [
                row["stage"],
                f"{row['rows']:,}",
                figure(seconds["ours"], 2),
                figure(seconds["floor"], 2),
                figure(ratios(seconds["ours"], seconds["floor"]), 2),
                script,
                f"{peak / 2**20:,.0f}",
            ]
        )
    head = ["stage", "rows", "ours, s", "floor, s", "times the floor", "the script takes times ours", "peak MiB"]
    return table(head, lines)


OVERHEAD_PEERS = {
    "click": "importing click",
    "data": "these stages, were the code no dependency",
    "empty": "as many empty stages",
}


def overhead(report: Report) -> str:
    lines = []
    for row in report["rows"]:
        what = f"{row['what']}, {row['stages']} stages, nothing to do" if "stages" in row else f"`{row['what']}`"
        ours = figure(row["seconds"]["ours"], 2)
        lines += [
            [what, ours, OVERHEAD_PEERS[peer], figure(seconds, 2)]
            for peer, seconds in row["seconds"].items()
            if peer != "ours"
        ]
    return table(["what", "ours, s", "peer", "peer, s"], lines)


def growth(report: Report) -> str:
    sizes = report["rows"][0]["prompts"]
    lines = [
        [
            row["stage"],
            *(f"{seconds:,.1f}" for seconds in row["cpu_seconds"]),
            f"{row['exponent']:.2f}",
            f"{row['last_exponent']:.2f}",
            f"{row['peak_bytes'][-1] / 2**20:,.0f}",
        ]
        for row in report["rows"]
    ]
    head = ["processor seconds", *(f"{size:,} prompts" for size in sizes), "exponent", "last step", "peak MiB"]
    return table(head, lines)


def device(report: Report) -> str:
    lines = []
    for row in report["rows"]:
        where = f"{row['device']}, {row['dtype']}"
        reached = [rate / row["roofline"] * 100 for rate in row["tokens_per_second"]]
        lines.append([where, f"{row['parameters'] / 1e6:,.0f} M", row["what"], figure(row["tokens_per_second"])])
        lines[-1] += [f"{row['roofline']:,.0f}", figure(reached, 0)]
        lines[-1] += [f"{row['flops'] / 1e9:,.0f}", f"{row['bandwidth'] / 1e9:,.0f}"]
    head = ["device", "parameters", "what", "tokens/s", "roofline, tokens/s", "% of it", "GFLOP/s", "GB/s"]
    return table(head, lines)


def pipeline(report: Report) -> str:
    lines = [[row["stage"], f"{row['seconds']:.1f}"] for row in report["stages"]]
    lines.append(["in all", f"{report['seconds']:.1f}"])
    return table(["stage", "seconds"], lines)


def _training_outcomes(report: Report) -> list[Outcome]:
    return [
        at_least(
            f"training against {PEERS[row['peer']]}, {row['set']} pairs",
            ratios(row["pairs_per_second"]["ours"], row["pairs_per_second"]["peer"]),
            {"trl": 1.5, "llama_factory": 2.0}[row["peer"]],
        )
        for row in report["rows"]
    ]


def _generation_outcomes(report: Report) -> list[Outcome]:
    found = []
    for row in report["rows"]:
        speed = row["tokens_per_second"]
        for name, limit in (("same rows", 3.0), ("best fixed", 1.2)):
            found.append(
                at_least(f"generation against a plain loop, {name}", ratios(speed["ours"], speed[name]), limit)
            )
    return found


def _generation_vllm_outcomes(report: Report) -> list[Outcome]:
    speeds = [row["tokens_per_second"] for row in report["rows"]]
    return [
        at_least("generation with vLLM, against vLLM itself", ratios(speed["ours"], speed["vllm"]), 0.97)
        for speed in speeds
    ]


def _generation_ray_outcomes(report: Report) -> list[Outcome]:
    """Near-linear: at most a tenth of the workers' time is lost."""
    return [
        at_least(
            f"generation by {row['workers']} workers of Ray, against one process",
            ratios(row["tokens_per_second"]["ray"], row["tokens_per_second"]["alone"]),
            0.9 * row["workers"],
        )
        for row in report["rows"]
    ]


def _rows_outcomes(report: Report) -> list[Outcome]:
    found = []
    for row in report["rows"]:
        what, seconds = f"{row['stage']} of {row['rows']:,} rows", row["seconds"]
        found.append(at_most(f"{what}, over the floor", ratios(seconds["ours"], seconds["floor"]), 2.0))
        if "script" in seconds:
            found.append(at_least(f"{what}, against the script", ratios(seconds["script"], seconds["ours"]), 3.0))
    largest = max(row["rows"] for row in report["rows"])
    for row in report["rows"]:
        if row["rows"] == largest:
            gigabytes = row["peak_bytes"]["ours"] / 1e9
            found.append(at_most(f"memory of {row['stage']} at {largest:,} rows", [gigabytes], 2.0, "GB"))
    return found


def _overhead_outcomes(report: Report) -> list[Outcome]:
    found = []
    for row in report["rows"]:
        seconds = row["seconds"]
        if "empty" in seconds:
            times = ratios(seconds["ours"], seconds["empty"])
            found.append(at_most("dvc repro with nothing to do, over empty stages", times, 1.15))
        else:
            more = [ours - click for ours, click in zip(seconds["ours"], seconds["click"], strict=True)]
            found.append(at_most(f"`{row['what']}`, over importing click", more, 0.5, "s"))
    return found


def _growth_outcomes(report: Report) -> list[Outcome]:
    return [at_most(f"growth of {row['stage']}, exponent", [row["exponent"]], 1.05, "") for row in report["rows"]]


def _pipeline_outcomes(report: Report) -> list[Outcome]:
    return [at_most("the whole default pipeline", [report["seconds"] / 60], 5.0, "min")]


TABLES: dict[str, Callable[[Report], str]] = {
    "training": training,
    "generation": generation,
    "generation_vllm": generation_vllm,
    "generation_ray": generation_ray,
    "rows": rows,
    "overhead": overhead,
    "growth": growth,
    "growth_model": growth,
    "device": device,
    "pipeline": pipeline,
}
OUTCOMES: dict[str, Callable[[Report], list[Outcome]]] = {
    "training": _training_outcomes,
    "generation": _generation_outcomes,
    "generation_vllm": _generation_vllm_outcomes,
    "generation_ray": _generation_ray_outcomes,
    "rows": _rows_outcomes,
    "overhead": _overhead_outcomes,
    "growth": _growth_outcomes,
    "growth_model": _growth_outcomes,
    "device": lambda _: [],  # figures of their own: there is no target
    "pipeline": _pipeline_outcomes,
}


def _block(name: str, report: Report | None) -> str:
    if report is None:
        return f"Not measured yet: `python benchmarks/{name}.py` does."
    return f"{TABLES[name](report)}\n\n{_measured_on(report)}"


def _measured_on(report: Report) -> str:
    machine = report["machine"]
    packages = ", ".join(f"{name} {number}" for name, number in machine["packages"].items())
    load = machine["load_average"][0]
    return (
        f"`{report['command']}` on {machine['cores']} cores ({machine['processor']}), torch's threads: "
        f"{machine['threads']}, {machine['memory_bytes'] / 2**30:.0f} GiB, load average {load} at the start; "
        f"Python {machine['python']}, {packages}."
    )


def _read(path: Path) -> Report | None:
    return json.loads(path.read_text("utf-8")) if path.exists() else None
