"""The only module that runs git."""

from __future__ import annotations

import subprocess
from pathlib import Path

from lidr.errors import LidrError

_SECONDS = 300


def git(*arguments: str, folder: Path | None = None) -> str:
    """The output of `git`, without the last line end; raises LidrError with its first line of errors if it fails."""
    try:
        done = subprocess.run(
            # Without optional locks, such as for refreshing the index, it does not block git commands of others.
            ["git", "--no-optional-locks", *arguments],
            cwd=folder,
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
            timeout=_SECONDS,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise LidrError(f"git {arguments[0]}: {error}") from error
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise LidrError(f"git {arguments[0]}: {lines[0]}")
    return done.stdout.rstrip("\n")
