"""How the time of each stage that needs no model grows from 1,000 to 100,000 prompts, fitted and plotted.

    $ python benchmarks/growth.py
    stage     seconds at 1,000 / 3,000 / 10,000 / 30,000 / 100,000 prompts     exponent   last step
    prompts   ...

Sizes are run one after the other, all stages at each, every stage in a process of its own. The exponent is the slope of
seconds over prompts, both as logarithms, by least squares over all sizes. What a stage costs at any size makes it
smaller, so the slope between the two largest sizes is given as well. The plot is docs/img/growth.png.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import msgspec
from made import ITERATION, write_iteration
from measuring import PARAMS, ROOT, child, cost, growth_exponent, machine, save, take_turns

from lidr import audit, config, paths
from lidr.audit.contamination import evaluation_items
from lidr.stages import pairs, prompts

SIZES = (1_000, 3_000, 10_000, 30_000, 100_000)
STAGES = ("prompts", "pairs", "audit")
SOURCE = Path("data/sources/made")
PLOT = ROOT / "docs" / "img" / "growth.png"


def write(count: int) -> None:
    """An iteration of so many prompts, and the same prompts as a source of its own."""
    write_iteration(config.load(PARAMS), count)
    shutil.copytree(paths.prompts(ITERATION), SOURCE)


def work(stage: str, count: int) -> dict[str, float]:
    """The cost of one stage in the working folder."""
    values = msgspec.to_builtins(config.load(PARAMS))
    values["prompts"] |= {"source": str(SOURCE), "per_iteration": count}
    settings = msgspec.convert(values, config.Settings)
    with cost() as spent:
        if stage == "prompts":
            prompts.run(settings, ITERATION)
        elif stage == "pairs":
            pairs.run(settings, ITERATION)
        else:
            audit.write(audit.measure(settings, ITERATION, None, evaluation_items(settings)), paths.audit(ITERATION))
    return spent


def measure(count: int, repetitions: int) -> dict[str, list[dict[str, float]]]:
    """What each stage costs with so many prompts, by repetition."""
    with tempfile.TemporaryDirectory(prefix="lidr-benchmark-") as folder:
        here = Path(folder)
        child(__file__, "--write", str(count), cwd=here)
        return take_turns(
            {stage: lambda stage=stage: child(__file__, "--work", stage, str(count), cwd=here) for stage in STAGES},
            repetitions,
        )


def row(stage: str, sizes: list[int], runs: list[list[dict[str, float]]]) -> dict[str, Any]:
    """Seconds of a stage by size, and the exponents of their growth."""
    seconds = [median(run["seconds"] for run in found) for found in runs]
    processor = [median(run["cpu_seconds"] for run in found) for found in runs]
    found = {
        "stage": stage,
        "prompts": sizes,
        "seconds": seconds,
        "cpu_seconds": processor,
        "peak_bytes": [max(run["peak_bytes"] for run in runs_of_size) for runs_of_size in runs],
    }
    if len(sizes) > 1:
        # Of processor time: what else the machine does is not the stage's growth.
        found["exponent"] = round(growth_exponent(sizes, processor), 3)
        found["last_exponent"] = round(growth_exponent(sizes[-2:], processor[-2:]), 3)
    return found


def plot(rows: list[dict[str, Any]], path: Path) -> None:
    """Seconds over prompts on logarithmic axes, beside a line that grows as the prompts do."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4.5), layout="constrained")
    for found in rows:
        axes.loglog(found["prompts"], found["cpu_seconds"], marker="o", label=f"{found['stage']} ({found['exponent']})")
    sizes, first = rows[0]["prompts"], min(found["cpu_seconds"][0] for found in rows)
    axes.loglog(sizes, [first * size / sizes[0] for size in sizes], "--", color="gray", label="linear")
    axes.set(xlabel="prompts", ylabel="processor seconds")
    axes.legend(title="stage (exponent)")
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120, metadata={"Software": None})


def told(rows: list[dict[str, Any]]) -> str:
    """The table for the terminal."""
    sizes = " / ".join(f"{count:,}" for count in rows[0]["prompts"])
    lines = [f"stage     {f'seconds at {sizes} prompts':<62} exponent   last step"]
    for found in rows:
        seconds = " / ".join(f"{value:,.1f}" for value in found["seconds"])
        lines.append(f"{found['stage']:<9} {seconds:<62} {found['exponent']:<10.2f} {found['last_exponent']:.2f}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--prompts", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--repetitions", type=int, default=1)
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
    described, sizes = machine("msgspec", "numpy", "matplotlib"), sorted(chosen.prompts)
    found = [measure(count, chosen.repetitions) for count in sizes]
    rows = [row(stage, sizes, [runs[stage] for runs in found]) for stage in STAGES]
    print(told(rows))
    if not chosen.no_save:
        save("growth", {"machine": described, "rows": rows})
        plot(rows, PLOT)


if __name__ == "__main__":
    main()
