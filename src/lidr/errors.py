"""Errors that a user can act on. Commands print them in one line; any other error is a bug and keeps its traceback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Longer messages quote a text, whose beginning is enough.
_LONGEST = 1000
_LONGEST_VALUE = 80


class LidrError(Exception):
    """Base class of errors whose message is for the user."""


class InputError(LidrError):
    """An error in the user's input; the message names the place, what is there and what was expected."""

    def __init__(self, message: str, path: str | Path | None = None, line: int | None = None) -> None:
        self.path, self.line = path, line
        place = "" if path is None else f"{path}: " if line is None else f"{path}:{line}: "
        super().__init__(place + message)


def one_line(error: BaseException) -> str:
    """The error's message in one printable line, cut if it is very long."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        text = f"{error.filename}: {error.strerror}"
    else:
        text = str(error) or type(error).__name__
    shown = text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ... ({len(text):,} characters)"
    return "".join(c if c.isprintable() else " " if c == "\n" else repr(c)[1:-1] for c in shown)


def short(value: object) -> str:
    """A value as an error shows it."""
    text = repr(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 3]}..."


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Add this path to an OSError that names no file, such as one of a full disk."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise
