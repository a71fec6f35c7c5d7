"""A command for each benchmark, made from its declaration, and those of `alpaca`, which has a baseline and options.

$ lidr mgsm m1
mgsm m1: accuracy 0.812 on average over 7 languages
  en 0.94 [0.90, 0.96] · es 0.84 [0.79, 0.88] · ...
$ lidr alpaca m2 --against m1
alpaca m2 against m1: win rate 53.1 on average over 7 languages, length-controlled 53.0
  ...
"""

from __future__ import annotations

from pathlib import Path

import click

from lidr import config, paths
from lidr.cli.main import Command, main
from lidr.cli.results import by_language
from lidr.cli.runs import tracked, tracked_job
from lidr.evaluation.registry import AVERAGE, Benchmark, Metrics, benchmarks
from lidr.tracking import Job, StageRun


def add_commands() -> None:
    """Add the benchmarks' commands to the group, in the order of tables."""
    for benchmark in benchmarks():
        if benchmark.name == "alpaca":
            main.add_command(baseline)
            main.add_command(alpaca)
        else:
            main.add_command(_command(benchmark))


def _command(benchmark: Benchmark) -> click.Command:
    @click.command(benchmark.name, cls=Command, help=benchmark.purpose)
    @click.argument("model")
    def measure(model: str) -> None:
        _measure(benchmark, model)

    return measure


def _measure(benchmark: Benchmark, model: str) -> None:
    """Run the stage of a benchmark, and print its figures."""
    settings = config.load()
    with tracked(settings, benchmark.name, settings.model(model)):
        metrics = benchmark.run(settings, model)
    if not metrics:
        click.echo(f"{benchmark.name} {model}: no {benchmark.by} is asked for ({benchmark.name}.{benchmark.by}s)")
        return
    name, average = benchmark.level_name, metrics[AVERAGE]
    # A share has two digits more than a value in points.
    digits = 1 if benchmark.unit == 1 else 3
    against = "" if benchmark.baseline_level is None else f" against {settings.baseline.model}"
    controlled = f", length-controlled {average['lc_win_rate']:.1f}" if "lc_win_rate" in average else ""
    click.echo(
        f"{benchmark.name} {model}{against}: {benchmark.measure} {average[name]:.{digits}f} on average over "
        f"{len(metrics) - 1} {benchmark.by}s{controlled}"
    )
    form = f".{max(1, digits - 1)}f"
    click.echo("  " + " · ".join(_with_interval(place, figures, name, form) for place, figures in metrics.items()))
    for note in benchmark.notes(settings):
        click.echo(f"  {note}")


@click.command(cls=Command)
def baseline() -> None:
    """Answer the instructions with the model that the win rate is against."""
    from lidr.evaluation.alpaca import baseline as stage

    settings = config.load()
    name = settings.baseline.model
    with tracked(settings, "baseline", name):
        responses = stage.run(settings)
    languages = {response.lang for response in responses}
    click.echo(f"baseline: {len(responses):,} answers by {name} in {len(languages)} languages")


@click.command(cls=Command)
@click.argument("model")
@click.option("--against", metavar="OTHER", help="Another model, whose kept answers are judged in both orders.")
@click.option("--outputs", metavar="FOLDER", type=Path, help="MODEL is a generator with published outputs there.")
def alpaca(model: str, against: str | None, outputs: Path | None) -> None:
    """Measure a model's win rate on instructions against the baseline.

    The options judge outside the pipeline: models that are there already, or published outputs.
    """
    from lidr.evaluation.alpaca import BENCHMARK

    if against or outputs:
        _judge_outside(config.load(), model, against, outputs)
    else:
        _measure(BENCHMARK, model)


def _judge_outside(settings: config.Settings, model: str, against: str | None, outputs: Path | None) -> None:
    from lidr.compare import head_to_head

    if against and outputs:
        raise click.UsageError("--against and --outputs exclude each other")
    if outputs:
        match = head_to_head.of_published(settings, model, outputs)
        options = f"--outputs {outputs}"
    else:
        match = head_to_head.of_models(settings, model, str(against))
        options = f"--against {match.other}"
    target, metrics = paths.judged(model, match.other), Metrics()

    def log_to(run: StageRun) -> None:
        run.log_metrics(by_language(metrics))
        rows = {lang: int(figures["n"]) for lang, figures in metrics.items() if lang != AVERAGE}
        run.use_dataset(target / paths.VERDICTS, "verdicts", "evaluation", rows)
        run.log_table(target / paths.VERDICTS, "verdicts.json")
        run.log_artifact(target / paths.PAGE)

    job = Job(
        stage="alpaca",
        model=model,
        inputs=match.inputs,
        outputs=(target,),
        log_to=log_to,
        against=match.other,
        options=options,
    )
    with tracked_job(match.settings, job, at_once=True):
        metrics |= head_to_head.run(match)
    average = metrics[AVERAGE]
    click.echo(
        f"alpaca {model} against {match.other}: win rate {average['win_rate']:.1f} on average over {len(metrics) - 1} "
        f"languages, length-controlled {average['lc_win_rate']:.1f}"
    )
    for lang, figures in metrics.items():
        shares = " · ".join(f"{name} {100 * figures[name]:.1f}%" for name in ("wins", "ties", "losses"))
        click.echo(f"  {_with_interval(lang, figures, 'win_rate', '.1f')} · {shares} · n = {figures['n']}")
    click.echo(f"The page: {target / paths.PAGE} · the verdicts: {target / paths.VERDICTS}")


def _with_interval(lang: str, figures: dict[str, float], name: str, form: str) -> str:
    """'es 0.70 [0.64, 0.75]'"""
    interval = f" [{figures['low']:{form}}, {figures['high']:{form}}]" if "low" in figures else ""
    return f"{lang} {figures[name]:{form}}{interval}"
