"""The command line; `lidr --help` lists the commands, docs/commands.md describes them."""

from lidr.cli import provenance, stages, tools
from lidr.cli.main import main


def run() -> None:
    """The command `lidr`."""
    main(prog_name="lidr")
