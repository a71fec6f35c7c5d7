"""git, asked in one place."""

from __future__ import annotations

import subprocess
from pathlib import Path

from lidr.errors import LidrError

_SECONDS = 300


def git(*arguments: str, folder: Path | None = None) -> str:
    """What `git` prints, without the last line end; raises LidrError with git's own first line where it fails."""
    try:
        done = subprocess.run(
            # Not even a refreshed index: what is asked here must not be in the way of what runs beside it.
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
