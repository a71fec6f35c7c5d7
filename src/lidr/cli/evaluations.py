"""A command for each benchmark, made from its declaration, and those of `alpaca`, which has a baseline and options.

$ lidr mgsm m1
mgsm m1: accuracy 0.812 on average over 7 languages
  en 0.94 [0.90, 0.96] · es 0.84 [0.79, 0.88] · ...
"""

from __future__ import annotations

from pathlib import Path

import click

from lidr import config
from lidr.cli.main import Command, main
from lidr.cli.pairwise import judge_outside
from lidr.cli.running import tracked, with_interval
from lidr.evaluation.registry import AVERAGE, Benchmark, benchmarks


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
    click.echo("  " + " · ".join(with_interval(place, figures, name, form) for place, figures in metrics.items()))
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
        judge_outside(config.load(), model, against, outputs)
    else:
        _measure(BENCHMARK, model)
