"""The command line; `lidr --help` lists the commands, docs/commands.md describes them."""

import os
import sys
from pathlib import Path

from lidr.cli import provenance, stages, tools, warm
from lidr.cli.ending import end_at_once
from lidr.cli.main import main

__all__ = ["main", "provenance", "run", "stages", "tools"]


def run() -> None:
    """What the command `lidr` is: hands itself to a warm process where there is one, or runs here."""
    _open_standard_files()
    status = warm.elsewhere(sys.argv[1:])
    if status is None:
        end_at_once(lambda: status)
        try:
            main(prog_name="lidr")
        except SystemExit as ended:
            status = ended.code if isinstance(ended.code, int) else None
            raise
    sys.exit(status)


def _open_standard_files() -> None:
    """Open to the end: one that was closed before would be the next file to be opened, and printed into."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115
