"""Commands around the pipeline: choose a profile, look at the runs, build the lab.

$ lidr profile list
* lab     the lab's world and base model, minutes on two cores
"""

from __future__ import annotations

from pathlib import Path

import click

from lidr.cli.main import main
from lidr.errors import LidrError


@main.group()
def profile() -> None:
    """Complete configurations: list them, or make one the active params.yaml."""


@profile.command("list")
def profile_list() -> None:
    """List the profiles; the active one is marked."""
    from lidr import profiles

    for name in profiles.names():
        click.echo(f"{'*' if profiles.is_active(name) else ' '} {name}")


@profile.command("use")
@click.argument("name")
@click.option("--force", is_flag=True, help="Replace a params.yaml that holds edits of your own.")
def profile_use(name: str, force: bool) -> None:
    """Copy a profile over params.yaml, after checking it; shows what changes."""
    from lidr import profiles

    difference = profiles.use(name, force)
    click.echo(difference or f"params.yaml is the profile {name} already")


@main.command()
@click.option("--port", type=int, default=None, help="Port to listen on; the first free one from 5000 by default.")
@click.option("--open", "open_browser", is_flag=True, help="Open the browser as well.")
def ui(port: int | None, open_browser: bool) -> None:
    """Open MLflow on this project's runs, on 127.0.0.1 only."""
    from lidr.tracking import serve

    serve(port, open_browser)


@main.command()
def track() -> None:
    """Log to MLflow what it has not taken yet; nothing is logged twice."""
    from lidr.tracking import publish_pending

    report = publish_pending()
    for name in report.published:
        click.echo(f"logged: {name}")
    if report.waiting:
        raise LidrError(f"{len(report.waiting)} runs wait for MLflow at {report.address}: {report.reason}")
    click.echo(f"MLflow at {report.address} has all runs")


@main.command()
@click.argument("model")
@click.option("--anyway", is_flag=True, help="Also where the comparison shows no gain over m0.")
def promote(model: str, anyway: bool) -> None:
    """Register a model in MLflow's registry and call its version `best`.

    A gain is an average over languages that is significantly above m0's on one benchmark and below on none.
    """
    from lidr import config
    from lidr.evals.comparison import compare_models
    from lidr.evals.promotion import evidence
    from lidr.tracking import promote as register

    settings = config.load()
    found = evidence(compare_models(settings), settings.model(model))
    for sentence in found.findings:
        click.echo(sentence)
    if found.objection and not anyway:
        raise LidrError(f"{found.objection}; --anyway promotes it nevertheless")
    promoted = register(settings, model, "\n".join(found.findings))
    click.echo(f"{model} is {promoted.name} version {promoted.version}, alias {promoted.alias}, in {promoted.address}")


@main.group()
def lab() -> None:
    """The embedded world: look at it, or build its base model again."""


@lab.command("sample")
@click.option("--lang", default="en", show_default=True, help="Language of the rows.")
@click.option("--count", default=10, show_default=True, help="How many rows.")
def lab_sample(lang: str, count: int) -> None:
    """Print tasks of the world with their worked answers."""
    from lidr.lab import world

    for task in world.tasks("base", world.KINDS, count, seed=0):
        click.echo(f"{task.prompt(lang)}\n  {task.answer(lang)}\n  gold: {task.gold(lang)}")


@lab.command("build")
@click.option("--to", "folder", type=click.Path(path_type=Path, file_okay=False), required=True, help="Where to.")
@click.option("--steps", type=int, default=None, help="Training steps, where they should differ from the shipped ones.")
@click.option("--threads", default=2, show_default=True, help="CPU threads; other numbers may give other last bits.")
def lab_build(folder: Path, steps: int | None, threads: int) -> None:
    """Train the lab's tokenizer and base model from nothing, then measure it and write its card."""
    from lidr.lab import build, card

    build.build(folder, build.Settings() if steps is None else build.Settings(steps=steps), threads)
    click.echo(card.write(folder))


@lab.command("card")
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
def lab_card(folder: Path) -> None:
    """Measure a base model of the lab with the product's own engine and scorers, and write its model card."""
    from lidr.lab import card

    click.echo(card.write(folder))
