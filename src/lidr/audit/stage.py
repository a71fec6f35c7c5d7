"""Stage `audit`: what the data of one iteration is, and whether its pairs still teach anything.

    $ lidr audit m1
    audit m1: 2,214 pairs + 186 drops = 300 prompts x 8 directions
      reward accuracy 0.962 [0.950, 0.971] · en 0.951 · es 0.973 · de 0.958 · fr 0.967 · ru 0.969
      Go on: counting each prompt once, the chosen side is better for 241 prompts and worse for 12.
      The page: reports/m1/audit/index.html

Written, the same bytes for the same data: the table of everything found, data/m1/audit/facts.parquet (`facts`), and to
reports/m1/audit/ what is made from it: metrics.json (all figures), report.md, index.html (to look at, with a sample of
pairs and drops), contamination.jsonl, and the plots. The data are read once, an example at a time (`examples`); workers
look at the texts (`examine`); each module then makes its figures by group-bys, and `sections` puts them into words.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from lidr import config, paths
from lidr.audit import (
    contamination,
    counts,
    drift,
    examples,
    facts,
    fidelity,
    language,
    lengths,
    markdown,
    page,
    plots,
    reward,
    round_trip,
    sample,
    text_quality,
)
from lidr.audit.examine import Examiner
from lidr.audit.report import Report, rounded, warnings
from lidr.pool import WorkerPool, forkable_cores
from lidr.progress import bar
from lidr.records.jsonl import write_json, write_rows, write_text

__all__ = ["Report", "headline", "measure", "run", "summary", "write"]

STAGE = "audit"
REPORT, OVERLAPS = "report.md", "contamination.jsonl"
# Examples that are looked at together, and so many chunks that a pool of workers is worth its start.
CHUNK, WORTH_A_POOL = 200, 5


def run(settings: config.Settings, iteration: str) -> Report:
    """Measure and write; raises InputError where the iteration's files contradict each other."""
    settings = msgspec.structs.replace(settings, pairs=settings.pairs_for(iteration))
    previous = drift.previous_metrics(settings, iteration)
    report = measure(settings, iteration, previous, contamination.evaluation_items(settings))
    write(report, paths.audit(iteration))
    return report


def headline(report: Report) -> dict[str, float]:
    """The figures that go to MLflow: 'pairs', 'drops/truncated', 'reward accuracy/es' ..."""
    return {name: float(value) for name, value in drift.key_figures(report.figures).items()}


def summary(report: Report) -> list[str]:
    """The lines for the terminal."""
    totals, by_language = report.figures["counts"], report.figures["reward"]["by_language"]
    whole = report.figures["reward"]["all"]
    lines = [
        f"audit {report.iteration}: {totals['pairs']:,} pairs + {totals['drops']:,} drops = "
        f"{totals['prompts']:,} prompts x {totals['directions']} directions"
    ]
    if "accuracy" in whole:
        each = [f"{lang} {row['accuracy']:.3f}" for lang, row in by_language.items() if "accuracy" in row]
        overall = f"reward accuracy {whole['accuracy']:.3f} [{whole['low']:.3f}, {whole['high']:.3f}]"
        lines.append("  " + " · ".join([overall, *each]))
    lines += [f"  {report.recommendation}"] + [f"  warning: {warning}" for warning in report.warnings]
    return [*lines, f"  The page: {paths.audit(report.iteration) / paths.PAGE}"]


def measure(
    settings: config.Settings, iteration: str, previous_metrics: Path | None, evaluations: contamination.Evaluations
) -> Report:
    """Read the iteration and look at all of it; nothing is written."""
    previous = drift.read(previous_metrics)
    index, back = contamination.Index(evaluations), round_trip.sent(iteration)
    examiner = Examiner(settings, index, back)
    tables, matches = [], []
    prompts = _line_count(paths.prompt_file(iteration, settings.dominant))
    processes = forkable_cores() if prompts >= WORTH_A_POOL * CHUNK else 1
    with bar(f"audit {iteration}", prompts, "prompt") as advance:
        for table, of_chunk in _examined(examiner, _chunks(settings, iteration, back), processes):
            tables.append(table)
            matches += of_chunk
            advance(table.num_rows // len(examples.pair_directions(settings)))
    found = facts.joined(tables)
    frame = facts.frame(found)
    pairs = frame[frame["outcome"] == facts.PAIR]
    nearest = contamination.nearest(matches)
    figures: dict[str, Any] = {
        "iteration": iteration,
        "counts": counts.figures(frame, settings),
        "reward": reward.figures(pairs, settings),
        "lengths": lengths.figures(frame, pairs, settings),
        "languages": language.figures(pairs, settings.all_languages),
        "quality": text_quality.figures(pairs, settings.all_languages),
        "fidelity": fidelity.figures(frame, settings),
        "round_trip": round_trip.figures(frame, settings),
        "contamination": contamination.figures(index, nearest),
    }
    figures["history"] = drift.history(iteration, figures["reward"], previous)
    figures = rounded(figures)
    drawn = sample.draw(frame, pairs, settings)
    pair_entries, drop_entries = drawn.entries(examples.read(settings, iteration))
    return Report(
        iteration=iteration,
        settings=settings,
        figures=figures,
        previous=previous,
        recommendation=reward.recommendation(figures["reward"], settings),
        warnings=warnings(settings, figures, examiner.unsupported),
        overlaps=contamination.overlaps(index, nearest),
        histograms=lengths.histograms(pairs, settings.all_languages),
        pairs=pair_entries,
        drops=drop_entries,
        facts=found,
    )


def write(report: Report, folder: Path) -> None:
    """Write the facts table and all files of the report, each whole or not at all."""
    facts.write(paths.facts(report.iteration), report.facts)
    drawn = plots.draw(report)
    for name, content in drawn.items():
        write_text(folder / f"{name}.svg", content)
    write_rows(folder / OVERLAPS, report.overlaps)
    write_text(folder / paths.PAGE, page.html(report, drawn))
    write_text(folder / REPORT, markdown.markdown(report))
    write_json(folder / paths.METRICS, report.figures)


def _examined(examiner: Examiner, chunks: Iterator[tuple[list[examples.Example]]], processes: int) -> Iterator[Any]:
    """What the examiner finds in each chunk of examples, in order."""
    if processes < 2:
        yield from (examiner.chunk(*chunk) for chunk in chunks)
        return
    with closing(WorkerPool(processes, examiner.chunk)) as pool:
        yield from pool.in_order(chunks)


def _chunks(
    settings: config.Settings, iteration: str, back: round_trip.Sent
) -> Iterator[tuple[list[examples.Example]]]:
    """The examples, some at a time; the end checks that each answer that came back had been translated."""
    read, translated = examples.read(settings, iteration), set()
    while chunk := list(islice(read, CHUNK)):
        translated |= back.keys() & {(one.id, direction) for one in chunk for direction in one.translations}
        yield (chunk,)
    round_trip.check(iteration, back, translated)


def _line_count(path: Path) -> int:
    if not path.is_file():
        return 0
    with path.open("rb") as file:
        return sum(1 for _ in file)
