"""Checks that all refusals of bad input share."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from lidr import paths
from lidr.cli import main


def files(folder: Path = Path()) -> dict[str, bytes]:
    """All files below the folder with their contents, without lock files, which stay after use."""
    held = paths.lock(Path("x")).parent
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.is_relative_to(folder / held)
    }


def refused(*command: str) -> str:
    """Run a command that must fail with one line, no traceback and no changed file; returns the line."""
    before = files()
    done = CliRunner().invoke(main, list(command))
    lines = done.output.splitlines()
    assert done.exit_code == 1, (done.exit_code, done.output, done.exception)
    assert isinstance(done.exception, SystemExit), done.exception
    assert len(lines) == 1 and lines[0].startswith("Error: "), done.output
    assert len(lines[0]) < 1_200 and lines[0].isprintable()
    assert files() == before
    return lines[0].removeprefix("Error: ")


def done(*command: str) -> str:
    """Run a command that must succeed; returns its output."""
    result = CliRunner().invoke(main, list(command))
    assert result.exit_code == 0, (result.output, result.exception)
    return result.output
