"""One thin command for each stage of dvc.yaml, in its order.

    $ lidr train m1
    train m1: 2,214 pairs, 70 steps; loss 1.52 -> 0.61, reward accuracy 0.50 -> 0.93; 0 pairs too long

A command reads params.yaml in the working folder, calls its stage, reports in a line or two and logs to MLflow.
"""

from __future__ import annotations

from collections import Counter

import click

from lidr import config, paths
from lidr.cli import evaluations
from lidr.cli.main import StageGroup, main
from lidr.cli.runs import tracked
from lidr.evaluation.registry import benchmarks
from lidr.records import FinishReason
from lidr.tracking import lookup


@main.command()
def base() -> None:
    """Take a snapshot of the model that the iterations start from."""
    from lidr.models import base as stage

    settings = config.load()
    if settings.base.trust_remote_code:
        click.echo("Warning: base.trust_remote_code is on: Python files that come with the model will be run", err=True)
    notes: list[str] = []
    with tracked(settings, "base", paths.BASE):
        record = stage.run(settings, note=notes.append)
        stage.write_empty_audit()
    click.echo(f"base: {record.source} -> {paths.model(paths.BASE)} (fingerprint {record.fingerprint[:12]})")
    if record.pad_token is None:
        click.echo("  the tokenizer has no padding token: the end-of-sequence token pads, and is masked")
    for note in notes:
        click.echo(f"  {note}")


@main.command()
@click.argument("data")
def prompts(data: str) -> None:
    """Take the prompts of an iteration, in every language."""
    from lidr.prompts import stage

    settings = config.load()
    with tracked(settings, "prompts", data):
        taken = stage.run(settings, data)
    languages, wanted = len(settings.all_languages), settings.prompts.per_iteration
    of = f" of {wanted:,}" if taken.count < wanted else ""
    repeated = len({duplicate.id for duplicate in taken.duplicates})
    click.echo(
        f"prompts {data}: {taken.count:,}{of} prompts in {languages} languages, {taken.dropped:,} dropped; "
        f"{taken.translation_requests:,} ask for a translation, {repeated:,} say what another one says"
    )


@main.command()
@click.argument("data")
def generate(data: str) -> None:
    """Answer every prompt in its own language, with the model that the data are by."""
    from lidr.generation import generate as stage

    settings = config.load()
    author = settings.named_data(data).by
    with tracked(settings, "generate", data):
        ended = stage.run(settings, data)
    total: Counter[FinishReason] = sum(ended.values(), Counter())
    click.echo(
        f"generate {data}: {total.total():,} answers by {author} in {len(ended)} languages, "
        f"{total[FinishReason.LENGTH]:,} truncated, {total[FinishReason.REFUSED]:,} refused"
    )
    if total[FinishReason.OUT_OF_MEMORY]:
        click.echo(f"  {total[FinishReason.OUT_OF_MEMORY]:,} do not fit the device's memory, even alone")


@main.command()
@click.argument("data")
def score(data: str) -> None:
    """Score the samples by the log-ratio of the model and its reference, where `pairs.rule` compares scores."""
    from lidr.generation import score as stage

    settings = config.load()
    with tracked(settings, "score", data):
        scored = stage.run(settings, data)
    if scored is None:
        click.echo(f"score {data}: the rule {settings.of_data(data).pairs.rule!r} compares no scores")
        return
    click.echo(f"score {data}: {scored.rows:,} answers by {scored.policy} against {scored.reference}")
    if scored.unscored:
        click.echo(f"  {scored.unscored:,} do not fit a model's context or the device's memory, and have no score")


@main.command()
@click.argument("data")
def translate(data: str) -> None:
    """Translate the model's own answers, from the dominant language and back."""
    from lidr.generation import translate as stage

    settings = config.load()
    with tracked(settings, "translate", data):
        translations = stage.run(settings, data)
    total = sum(len(rows) for rows in translations.values())
    unparsed = sum(row.text is None for rows in translations.values() for row in rows)
    click.echo(
        f"translate {data}: {total:,} translations in {len(translations)} directions, "
        f"{unparsed:,} without a readable translation"
    )


@main.command()
@click.argument("iteration")
def pairs(iteration: str) -> None:
    """Make preference pairs, and list each pair that could not be made with its reason."""
    from lidr.pairs import stage

    settings = config.load()
    with tracked(settings, "pairs", iteration):
        counts = stage.run(settings, iteration)
    made, drops, directions = counts.pairs, counts.drops.total(), counts.directions
    count = (made + drops) // directions
    click.echo(f"pairs {iteration}: {made:,} pairs + {drops:,} drops = {count:,} prompts x {directions} directions")
    if drops:
        click.echo("  " + " · ".join(f"{reason} {n:,}" for reason, n in counts.drops.most_common()))


@main.command()
@click.argument("iteration")
def train(iteration: str) -> None:
    """Train the iteration's adapter on its pairs: by preference with a likelihood term, or on the chosen answers."""
    from lidr.training import stage

    settings = config.load()
    with tracked(settings, "train", iteration) as live:
        trained = stage.run(settings, iteration, live.log)
        live.tag("lidr.rows", trained.layout)
    first, last = trained.first, trained.last
    began = {} if trained.entries == 1 else first
    figures, held_out = f"loss {_course(began, last, 'loss')}", "none held out"
    if trained.eval_pairs:
        held_out = f"{trained.eval_pairs:,} held out: loss {_course(first, last, 'eval_loss')}"
    steps = "1 step" if trained.steps == 1 else f"{trained.steps:,} steps"
    # Supervised training has no rewards.
    if "reward_accuracy" in last:
        figures += f", reward accuracy {_course(began, last, 'reward_accuracy')}"
        if trained.eval_pairs:
            held_out += f", reward accuracy {last['eval_reward_accuracy']:.2f}"
    if not began:
        every = settings.of_iteration(iteration).train.dpo["logging_steps"]
        figures += f" (one entry: train.dpo.logging_steps is {every})"
    click.echo(
        f"train {iteration}: {trained.pairs:,} pairs, {steps}; {figures}; {held_out}; "
        f"{len(trained.drops):,} pairs too long"
    )


def _course(began: dict[str, float], ended: dict[str, float], name: str) -> str:
    """A figure at the beginning of training, where it is known, and at the end."""
    return f"{began[name]:.2f} -> {ended[name]:.2f}" if began else f"{ended[name]:.2f}"


@main.group(cls=StageGroup, subcommand_metavar="ITERATION | COMMAND [ARGS]...")
def audit() -> None:
    """Say what the data is, where it came from, and check it.

    \b
    lidr audit m1      measures one iteration: the stage of dvc.yaml
    lidr audit verify  and the other commands below answer for all of them
    """


@audit.command(StageGroup.STAGE)
@click.argument("iteration")
def audit_iteration(iteration: str) -> None:
    """Count what the iteration's data is, and measure the reward signal."""
    from lidr.audit import stage

    settings = config.load()
    with tracked(settings, "audit", iteration):
        report = stage.run(settings, iteration)
    for line in stage.summary(report):
        click.echo(line)


evaluations.add_commands()


@main.command()
@click.option("--show", is_flag=True, help="Print the table of what is measured, and write nothing.")
@click.option(
    "--only",
    multiple=True,
    type=click.Choice([benchmark.name for benchmark in benchmarks()]),
    help="With --show: this benchmark alone, where others are not measured.",
)
@click.option(
    "--runs",
    type=(str, str),
    metavar="A B",
    help="Compare two pipelines from MLflow alone: ids or names of parent runs, or DVC experiments.",
)
def compare(show: bool, only: tuple[str, ...], runs: tuple[str, str] | None) -> None:
    """Compare all models of the pipeline: tables, plots and a page, with intervals and tests."""
    if only and not show:
        raise click.UsageError("--only goes with --show: what is written compares all benchmarks")
    if runs:
        from lidr.compare import pipelines

        click.echo(pipelines.text(*(lookup.read(name) for name in runs)))
        return
    from lidr.compare import report, stage
    from lidr.compare.comparison import compare_models

    settings = config.load()
    if show:
        comparison = compare_models(settings, only)
        where = [] if only else [_where_to_look()]
        click.echo("\n\n".join([report.table(comparison), *report.headlines(comparison), *where]))
        return
    with tracked(settings, "compare", None):
        stage.run(settings)
    click.echo(f"compare: {', '.join(settings.models)}; `lidr compare --show` prints the table. {_where_to_look()}")


def _where_to_look() -> str:
    return f"The page: {paths.compare() / paths.PAGE} · the runs in MLflow: make ui"
