"""The click group: what is the same for all commands.

    $ lidr train m7
    Error: no iteration 'm7' in params.yaml: it has m1, m2

Errors that a user can act on end in one line and exit code 1; with --debug they show their traceback. Anything else is
a bug and always shows it.
"""

from __future__ import annotations

import os
from typing import Any

import click

from lidr import __version__
from lidr.errors import LidrError, one_line


class Command(click.Command):
    """A command whose domain errors become one line."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (LidrError, OSError) as error:
            # click ends silently on a closed pipe.
            if ctx.find_root().params.get("debug") or isinstance(error, BrokenPipeError):
                raise
            raise click.ClickException(one_line(error)) from error


class Group(click.Group):
    """A group of such commands, listed in the order in which they were added: the pipeline's."""

    command_class = Command
    group_class = type

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


class StageGroup(Group):
    """A group that is also a stage: an unknown command is the stage's argument."""

    STAGE = "stage"

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for name in super().list_commands(ctx) if name != self.STAGE]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        return super().resolve_command(ctx, args if args[0] in self.commands else [self.STAGE, *args])


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="lidr")
@click.option("--debug", is_flag=True, help="Show tracebacks of errors.")
def main(debug: bool) -> None:
    """Language Imbalance Driven Rewarding: a model better in many languages, with no human labels.

    Each stage of dvc.yaml is a command here; `dvc repro` runs them all, in order, as far as they are out of date.
    """
    # TRL would report each training to the Hub.
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
