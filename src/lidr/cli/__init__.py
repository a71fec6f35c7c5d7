"""The command line; `lidr --help` lists the commands, docs/commands.md describes them."""

import os
import sys
from pathlib import Path

from lidr.cli import provenance, stages, tools
from lidr.cli.main import main

__all__ = ["main", "provenance", "run", "stages", "tools"]


def run() -> None:
    """The command `lidr`."""
    _open_standard_files()
    main(prog_name="lidr")


def _open_standard_files() -> None:
    """Open to the end: one that was closed before would be the next file to be opened, and printed into."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115
