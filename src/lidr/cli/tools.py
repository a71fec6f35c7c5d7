"""Commands around the pipeline: choose a profile, look at the runs, build the lab.

$ lidr profile list
* lab
  paper
  paper-reasoning
  small
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import click

from lidr import config, paths, profiles, tracking
from lidr.cli import runs
from lidr.cli.main import main
from lidr.errors import LidrError


class _Amount(click.FloatRange):
    """A finite number above 0."""

    def __init__(self) -> None:
        super().__init__(min=0, min_open=True)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number = float(super().convert(value, param, ctx))
        return number if math.isfinite(number) else self.fail(f"{value} is not a finite number.", param, ctx)


AMOUNT = _Amount()
AT_LEAST_ONE = click.IntRange(min=1)


@main.group()
def profile() -> None:
    """Complete configurations: list them, or make one the active params.yaml."""


@profile.command("list")
def profile_list() -> None:
    """List the profiles; the active one is marked."""
    for name in profiles.names():
        click.echo(f"{'*' if profiles.is_active(name) else ' '} {name}")


@profile.command("use")
@click.argument("name")
@click.option("--force", is_flag=True, help="Replace a params.yaml that holds edits of your own.")
def profile_use(name: str, force: bool) -> None:
    """Copy a profile over params.yaml, after checking it; shows what changes."""
    difference = profiles.use(name, force)
    click.echo(difference or f"params.yaml is the profile {name} already")
    missing = [str(pointer) for pointer in profiles.pointers(config.load()) if not pointer.with_suffix("").exists()]
    if missing:
        click.echo(f"Its data is not here yet; fetch it before `dvc repro`:\n  dvc pull {' '.join(missing)}")


@main.command()
@click.option(
    "--answer-tokens",
    type=AT_LEAST_ONE,
    default=300,
    show_default=True,
    help="Mean length of an answer that is assumed.",
)
@click.option(
    "--prompt-tokens",
    type=AT_LEAST_ONE,
    default=150,
    show_default=True,
    help="Mean length of a prompt that is assumed.",
)
@click.option("--memory", type=AMOUNT, help="Plan for another device, with so many GiB.")
@click.option("--generation-rate", type=AMOUNT, help="New tokens a second, where you know better than the estimate.")
@click.option("--training-rate", type=AMOUNT, help="Tokens a second in training, likewise.")
@click.option("--anyway", is_flag=True, help="Do not fail where the plan does not fit the device.")
def plan(
    answer_tokens: int,
    prompt_tokens: int,
    memory: float | None,
    generation_rate: float | None,
    training_rate: float | None,
    anyway: bool,
) -> None:
    """Say what the pipeline will take: rows, tokens, memory, time and cost; nothing runs, no weight is loaded."""
    from lidr import plan as planning
    from lidr.plan import report
    from lidr.plan.work import Lengths

    lengths = Lengths(answer_tokens, prompt_tokens)
    made = planning.make(config.load(), lengths, memory, generation_rate, training_rate)
    for line in report.lines(made):
        click.echo(line)
    for problem in made.problems:
        click.echo(f"does not fit: {problem}")
    if made.problems and not anyway:
        raise LidrError("this plan does not fit the device (--anyway says so and goes on)")


@main.command()
def doctor() -> None:
    """Check that this machine has what the active profile needs."""
    from lidr import doctor as examination

    missing = 0
    for finding in examination.examine(config.load()):
        click.echo(finding.line())
        missing += finding.is_there is False
    if missing:
        raise LidrError(f"{missing} missing; see the lines that begin with `miss`")


@main.command()
@click.option("--model", required=True, help="A model of params.yaml, such as m2.")
@click.option(
    "--to", "folder", type=click.Path(path_type=Path), required=True, help="Where to: an empty or new folder."
)
@click.option("--dtype", type=click.Choice(get_args(config.Precision)), help="The base's own by default.")
@click.option("--force", is_flag=True, help="Replace what is there.")
def export(model: str, folder: Path, dtype: str | None, force: bool) -> None:
    """Write a model with its adapter merged, and a model card, as an ordinary model folder."""
    from lidr import export as exporting
    from lidr.models import policy

    settings = config.load()
    fingerprint = exporting.run(settings, model, folder, dtype, force)
    how = ", the quantised base dequantised" if policy.resolve(model).quantization is not None else ""
    click.echo(f"export: {model} -> {folder}{how} (fingerprint {fingerprint[:12]})")


@main.command()
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=None,
    help="Port to listen on; the first free one from 5000 by default.",
)
@click.option("--open", "open_browser", is_flag=True, help="Open the browser as well.")
def ui(port: int | None, open_browser: bool) -> None:
    """Open MLflow on this project's runs, on 127.0.0.1 only."""
    from lidr.tracking.server import serve

    serve(port, open_browser, meanwhile=_track_what_is_missing)


def _track_what_is_missing() -> None:
    if tracking.is_off() or not paths.PARAMS.exists():
        return
    try:
        runs.track_all(config.load())
    except LidrError as error:
        tracking.warn(error, "`lidr track` logs it later")


@main.command()
def track() -> None:
    """MLflow sync: log the results of up-to-date stages that it lacks, from their files."""
    settings = config.load()
    if tracking.is_off():
        raise LidrError("LIDR_TRACKING=off: nothing is logged")
    jobs, left_out = runs.up_to_date(settings)
    for name in tracking.sync(settings, jobs):
        click.echo(f"logged: {name}")
    if not left_out:
        click.echo(f"MLflow at {tracking.address()} has all runs")
        return
    click.echo(
        f"MLflow at {tracking.address()} has {len(jobs)} of {len(jobs) + len(left_out)} stages; not up to date, so not "
        f"logged: {', '.join(left_out)}; run `dvc repro` or `dvc checkout`"
    )


@main.command()
@click.argument("model")
@click.option("--anyway", is_flag=True, help="Also where the comparison shows no gain over m0.")
def promote(model: str, anyway: bool) -> None:
    """Register a model in MLflow's registry and call its version `best`.

    A gain is an average over languages that is significantly above m0's on one benchmark and below on none.
    """
    from lidr.compare.comparison import compare_models
    from lidr.compare.report import evidence

    settings = config.load()
    findings, objection = evidence(compare_models(settings), settings.model(model))
    for sentence in findings:
        click.echo(sentence)
    if objection and not anyway:
        raise LidrError(f"{objection}; --anyway promotes it nevertheless")
    runs.track_all(settings)
    overruled = [f"Promoted with --anyway: {objection}."] if objection else []
    made = tracking.promote(settings, model, "\n".join([*overruled, *findings]))
    click.echo(f"{model} is {made.name} version {made.version}, alias {tracking.ALIAS}, in {tracking.address()}")


@main.group()
def lab() -> None:
    """The embedded world: look at it, or build its base model again."""


@lab.command("sample")
@click.option("--lang", default="en", show_default=True, help="Language of the rows.")
@click.option("--count", type=AT_LEAST_ONE, default=10, show_default=True, help="How many rows.")
def lab_sample(lang: str, count: int) -> None:
    """Print tasks of the world with their worked answers."""
    from lidr.lab import world

    for task in world.tasks("base", world.KINDS, count, seed=0):
        click.echo(f"{task.prompt(lang)}\n  {task.answer(lang)}\n  gold: {task.gold(lang)}")


@lab.command("build")
@click.option("--to", "folder", type=click.Path(path_type=Path, file_okay=False), required=True, help="Where to.")
@click.option("--steps", type=AT_LEAST_ONE, default=None, help="Steps of each pass at most; the shipped base had all.")
@click.option(
    "--threads",
    type=AT_LEAST_ONE,
    default=2,
    show_default=True,
    help="CPU threads; other numbers may give other last bits.",
)
def lab_build(folder: Path, steps: int | None, threads: int) -> None:
    """Train the lab's tokenizer and base model from nothing."""
    from lidr.lab import build

    passes = build.PASSES
    if steps is not None:
        passes = tuple(replace(one, steps=min(steps, one.steps)) for one in passes)
    build.build(folder, build.Recipe(passes=passes), threads)
