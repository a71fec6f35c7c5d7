"""Errors that a user can act on. Commands print them as one line; anything else is a bug and keeps its traceback."""

from __future__ import annotations

from pathlib import Path


class LidrError(Exception):
    """Base of all errors whose message is meant for the user."""


class InputError(LidrError):
    """Something that the user gave is not as expected: names the place, what stands there and what was expected."""

    def __init__(self, message: str, path: str | Path | None = None, line: int | None = None) -> None:
        self.path, self.line = path, line
        place = "" if path is None else f"{path}: " if line is None else f"{path}:{line}: "
        super().__init__(place + message)
