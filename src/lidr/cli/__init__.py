"""The command line; `lidr --help` lists the commands, docs/commands.md describes them."""

from lidr.cli import stages, tools
from lidr.cli.main import main

__all__ = ["main", "stages", "tools"]
