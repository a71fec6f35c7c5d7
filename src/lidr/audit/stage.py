"""Stage `audit`: what the data of one iteration is, and whether its pairs still teach anything.

    $ lidr audit m1
    audit m1: 2,214 pairs + 186 drops = 300 prompts x 8 directions
      reward accuracy 0.962 [0.950, 0.971] · en 0.951 · es 0.973 · de 0.958 · fr 0.967 · ru 0.969
      Go on: counting each prompt once, the chosen side is better for 241 prompts and worse for 12.
      The page: reports/m1/audit/index.html

Written, the same bytes for the same data: the table of everything found, data/m1/audit/facts.parquet, and beside it
verdicts.jsonl, what a judge says of a sample of pairs (`judged`); to reports/m1/audit/ what is made from the table:
metrics.json (all figures), report.md, index.html (to look at, with a sample of pairs and drops), contamination.jsonl,
and the plots. `examples` joins the data by id; workers look at the texts (`examine`); `figures`, `reward`, `lengths`
and `contamination` are group-bys, and `page` puts them into words.
"""

from __future__ import annotations

from contextlib import closing, nullcontext
from itertools import starmap
from pathlib import Path
from typing import TYPE_CHECKING

from lidr import config, paths
from lidr.audit import (
    contamination,
    drift,
    facts,
    figures,
    judged,
    lengths,
    page,
    plots,
    reward,
    sample,
)
from lidr.audit.contamination import Match
from lidr.audit.examine import Examiner
from lidr.audit.examples import Examples, pair_directions
from lidr.audit.report import Report, warnings
from lidr.evaluation.judges import Judge
from lidr.pool import WorkerPool, forkable_cores
from lidr.progress import bar
from lidr.records.jsonl import write_json, write_rows, write_text
from lidr.records.rounding import rounded

if TYPE_CHECKING:
    from pyarrow import Table

STAGE = "audit"
OVERLAPS = "contamination.jsonl"
# Examples per chunk, and the least number of chunks for which a worker pool pays.
CHUNK, WORTH_A_POOL = 200, 5


def run(settings: config.Settings, iteration: str) -> Report:
    """Measure and write; raises InputError where the iteration's files contradict each other."""
    settings = settings.of_iteration(iteration)
    report = measure(settings, iteration, drift.previous(settings, iteration), contamination.evaluation_items(settings))
    write(report, paths.audit(iteration))
    return report


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
    settings: config.Settings,
    iteration: str,
    previous: drift.Figures | None,
    evaluations: contamination.Evaluations,
    judge: Judge | None = None,
) -> Report:
    """Read the iteration, look at all of it, and ask the judge about some pairs; nothing is written."""
    examiner = Examiner(settings, contamination.Index(evaluations))
    examples = Examples(settings, iteration)
    table, matches = _facts_and_matches(settings, iteration, examples, examiner)
    frame = facts.frame(table)
    pairs = facts.groups(frame[frame["outcome"] == facts.PAIR], settings)
    drawn, asked = sample.draw(frame, pairs.all, settings), judged.draw(pairs, settings)
    shown = {row["prompt_id"]: examples[row["prompt_id"]] for row in (*drawn.pairs, *drawn.drops, *asked)}
    verdicts = judged.ask(judge or judged.open_for_pairs(settings), asked, shown) if asked else []
    if verdicts:
        table = facts.with_values_by_id(table, judged.columns(verdicts))
        frame = facts.frame(table)
        pairs = facts.groups(frame[frame["outcome"] == facts.PAIR], settings)
    nearest = contamination.nearest(matches)
    rows = facts.groups(frame, settings)
    found: drift.Figures = {
        "iteration": iteration,
        "counts": figures.counts(rows, settings),
        "reward": reward.figures(pairs, reward.GOLD, settings.audit.confidence),
        **judged.figures(pairs, verdicts, settings),
        "lengths": lengths.figures(rows, pairs, settings),
        "languages": figures.languages(pairs),
        "quality": figures.quality(pairs),
        "fidelity": figures.fidelity(rows, settings),
        "round_trip": figures.round_trip(rows, settings),
        "contamination": contamination.figures(examiner.index, nearest),
    }
    found = rounded(found | {"history": drift.history(iteration, reward.deciding(found), previous)})
    pair_entries, drop_entries = drawn.entries(shown)
    return Report(
        iteration=iteration,
        settings=settings,
        figures=found,
        previous=previous,
        recommendation=reward.recommendation(found, settings),
        warnings=warnings(settings, found, examiner.unsupported),
        overlaps=contamination.overlaps(examiner.index, nearest),
        pairs=pair_entries,
        drops=drop_entries,
        verdicts=verdicts,
        facts=table,
    )


def write(report: Report, folder: Path) -> None:
    """Write the facts table, the verdicts and all files of the report, each whole or not at all."""
    facts.write(paths.facts(report.iteration), report.facts)
    write_rows(paths.audit_verdicts(report.iteration), report.verdicts)
    drawn = plots.draw(report)
    for name, content in drawn.items():
        write_text(folder / f"{name}.svg", content)
    write_rows(folder / OVERLAPS, report.overlaps)
    write_text(folder / paths.PAGE, page.html(report, drawn))
    write_text(folder / paths.REPORT, page.markdown(report))
    write_json(folder / paths.METRICS, report.figures)


def _facts_and_matches(
    settings: config.Settings, iteration: str, examples: Examples, examiner: Examiner
) -> tuple[Table, list[Match]]:
    """The rows of all examples, and the texts most like evaluation items; workers look at some examples at a time."""
    ids = examples.ids
    chunks = [(start,) for start in range(0, len(ids), CHUNK)]

    def examined(start: int) -> tuple[Table, list[Match]]:
        return examiner.chunk([examples[prompt_id] for prompt_id in ids[start : start + CHUNK]])

    tables: list[Table] = []
    matches: list[Match] = []
    processes = forkable_cores() if len(ids) >= WORTH_A_POOL * CHUNK else 1
    with (
        bar(f"audit {iteration}", len(ids), "prompt") as advance,
        closing(WorkerPool(processes, examined)) if processes > 1 else nullcontext() as pool,
    ):
        for table, of_chunk in pool.in_order(chunks) if pool else starmap(examined, chunks):
            tables.append(table)
            matches += of_chunk
            advance(table.num_rows // len(pair_directions(settings)))
    return facts.joined(tables), matches
