"""Stage `audit`: what the data of one iteration is, and whether its pairs still teach anything.

    $ lidr audit m1
    audit m1: 2,214 pairs + 186 drops = 300 prompts x 8 directions
      reward accuracy 0.962 [0.950, 0.971] · en 0.951 · es 0.973 · de 0.958 · fr 0.967 · ru 0.969
      Go on: counting each prompt once, the chosen side is better for 241 prompts and worse for 12.
      The page: reports/m1/audit/index.html

Written to reports/m1/audit/, the same bytes for the same data: metrics.json (all figures), report.md, index.html (to
look at, with a sample of pairs and drops), contamination.jsonl, and the plots. The data are read once, a block of
prompts at a time (`story_blocks`); each text is looked at once (`examine`), on all cores where there are many
(`blocks`); what is found is counted by one room each (`tallies` names them) and put into words in `sections`.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from lidr import config, paths
from lidr.audit import blocks, drift, markdown, page, plots, reward
from lidr.audit.contamination import Evaluations, Index, evaluation_items
from lidr.audit.examine import Examiner
from lidr.audit.report import Report, rounded, warnings
from lidr.audit.round_trip import sent
from lidr.audit.tallies import Tallies
from lidr.jsonl import write_json, write_rows, write_text
from lidr.progress import bar
from lidr.side_by_side import NotInOrderError

__all__ = ["Report", "headline", "measure", "run", "summary", "write"]

STAGE = "audit"
REPORT, OVERLAPS = "report.md", "contamination.jsonl"


def run(settings: config.Settings, iteration: str) -> Report:
    """Measure and write; raises InputError where the iteration's files contradict each other."""
    previous = drift.previous_metrics(settings, iteration)
    report = measure(settings, iteration, previous, evaluation_items(settings))
    write(report, paths.audit(iteration))
    return report


def headline(report: Report) -> dict[str, float]:
    """The figures that go to MLflow: 'pairs', 'drops/truncated', 'reward accuracy/es' ..."""
    return {name: float(value) for name, value in drift.key_figures(report.figures).items()}


def summary(report: Report) -> list[str]:
    """The lines for the terminal."""
    counts, by_language = report.figures["counts"], report.figures["reward"]["by_language"]
    whole = report.figures["reward"]["all"]
    lines = [
        f"audit {report.iteration}: {counts['pairs']:,} pairs + {counts['drops']:,} drops = "
        f"{counts['prompts']:,} prompts x {counts['directions']} directions"
    ]
    if "accuracy" in whole:
        each = [f"{lang} {row['accuracy']:.3f}" for lang, row in by_language.items() if "accuracy" in row]
        overall = f"reward accuracy {whole['accuracy']:.3f} [{whole['low']:.3f}, {whole['high']:.3f}]"
        lines.append("  " + " · ".join([overall, *each]))
    lines += [f"  {report.recommendation}"] + [f"  warning: {warning}" for warning in report.warnings]
    return [*lines, f"  The page: {paths.audit(report.iteration) / paths.PAGE}"]


def measure(
    settings: config.Settings, iteration: str, previous_metrics: Path | None, evaluations: Evaluations
) -> Report:
    """Read the iteration once and count; nothing is written."""
    previous = drift.read(previous_metrics)
    examiner, index, sample = Examiner(settings), Index(evaluations), sent(iteration)
    try:
        tallies = _total(settings, iteration, blocks.side_by_side(settings, iteration, examiner, index, sample))
    except NotInOrderError:
        tallies = _total(settings, iteration, blocks.one_by_one(settings, iteration, examiner, index, sample))
    figures = {"iteration": iteration} | tallies.figures(settings)
    figures["round_trip"] = tallies.round_trip.figures(settings, iteration, sample)
    figures["contamination"] = tallies.contamination.figures(index)
    figures["history"] = drift.history(iteration, figures["reward"], previous)
    figures = rounded(figures)
    return Report(
        iteration=iteration,
        settings=settings,
        figures=figures,
        previous=previous,
        recommendation=reward.recommendation(figures["reward"], settings),
        warnings=warnings(settings, figures, examiner.unsupported),
        overlaps=tallies.contamination.overlaps(index),
        histograms=tallies.lengths.characters,
        pairs=tallies.sample.pairs(),
        drops=tallies.sample.drops(),
    )


def write(report: Report, folder: Path) -> None:
    """Write all files of the report, each whole or not at all."""
    drawn = plots.draw(report)
    for name, content in drawn.items():
        write_text(folder / f"{name}.svg", content)
    write_rows(folder / OVERLAPS, report.overlaps)
    write_text(folder / paths.PAGE, page.html(report, drawn))
    write_text(folder / REPORT, markdown.markdown(report))
    write_json(folder / paths.METRICS, report.figures)


def _total(settings: config.Settings, iteration: str, parts: Iterable[Tallies]) -> Tallies:
    """All parts together, with a bar of the prompts that are counted."""
    tallies, prompts = Tallies(settings), _line_count(paths.prompt_file(iteration, settings.dominant))
    with bar(f"audit {iteration}", prompts, "prompt") as advance:
        for part in parts:
            tallies.merge(part)
            advance(part.counts.prompts)
    return tallies


def _line_count(path: Path) -> int:
    if not path.is_file():
        return 0
    with path.open("rb") as file:
        return sum(1 for _ in file)
