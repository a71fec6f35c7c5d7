"""Commands that answer where the data comes from: `lidr audit show`, `trace`, `verify` and `card`.

$ lidr audit verify
ok  pipeline    23 stages of dvc.yaml are in dvc.lock, with the same commands, inputs and outputs
...
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from lidr import config
from lidr.cli.stages import audit

if TYPE_CHECKING:
    from lidr.audit.provenance.verify import Passed


@audit.command()
@click.argument("row", metavar="ID")
@click.option("--iteration", metavar="NAME", help="Of several that share data and so have the same ids.")
def show(row: str, iteration: str | None) -> None:
    """Show a pair or drop with its whole history, or list those of a prompt.

    ID is a pair's, such as lab-0:es:en, or a prompt's, such as lab-0.
    """
    from lidr.audit.provenance.show import show

    click.echo(show(config.load(), row, iteration), nl=False)


@audit.command()
@click.argument("run", metavar="RUN")
def trace(run: str) -> None:
    """Go from an MLflow run to its data, and the commands that bring it back.

    RUN is a run's id, or a registered model: models:/NAME/VERSION or models:/NAME@ALIAS.
    """
    from lidr.audit.provenance.trace import trace

    for line in trace(run):
        click.echo(line)


@audit.command()
@click.option("--rebuild", "again", is_flag=True, help="Also run everything again in a clone, and compare the bytes.")
def verify(again: bool) -> None:
    """Check that data, code, parameters and models are those of the record.

    Ends with the first mismatch and exit code 1 where they are not.
    """
    from lidr.audit.provenance.rebuild import rebuild
    from lidr.audit.provenance.verify import verify

    for passed in verify(config.load()):
        _say(passed)
    if again:
        _say(rebuild())


@audit.command()
@click.option("--to", "folder", type=click.Path(path_type=Path, file_okay=False), required=True, help="Where to.")
@click.option("--licence", metavar="NAME", help="The pairs' licence, where prompts or model are not the lab's.")
def card(folder: Path, licence: str | None) -> None:
    """Write the pairs as a Hugging Face dataset with its card."""
    from lidr.audit.provenance.card import write

    settings = config.load()
    pairs, drops = write(settings, folder, licence)
    click.echo(
        f"{folder}: {pairs:,} pairs and {drops:,} drops of {', '.join(settings.iterations)}; "
        f"share it with: hf upload NAME {folder} --repo-type dataset"
    )


def _say(passed: Passed) -> None:
    click.echo(f"ok  {passed.name:<10}  {passed.found}")
    for line in passed.table:
        click.echo(f"      {line}")
