"""One process that has torch and transformers imported, for all stages of a run: `lidr warm` and what it starts.

    $ lidr warm dvc repro        # what `make repro` runs; `dvc repro` alone gives the same, later

A stage with a model begins by importing for seconds. Under this command each `lidr` (the caller) finds the address of a
socket in its environment, and hands over its arguments, environment, folder and files 0 to 2. The warm process
(warm_server.py) forks; the fork runs the command as the caller would have, and says how it ended:

    caller -> fork    its files and the length of what follows; {"arguments": ["train", "m1"], "folder": ..., ...}
    fork -> caller    4711 (its process), then 0 (its exit status), a line each

A caller passes on the signals that it gets, and takes its fork with it where it is killed. Where nobody answers, it
runs the command itself.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

ADDRESS = "LIDR_WARM"
# What ends a command from outside.
PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
HEAD = 8  # bytes: the length of what follows
SERVER = (sys.executable, "-P", "-m", "lidr.cli.warm_server")


def run(command: Sequence[str], server: Sequence[str] = SERVER) -> int:
    """Run the command beside a warm process, and return its exit status; raises OSError where it cannot be run."""
    with ExitStack() as stack:
        # Elsewhere, what these libraries hold of the system does not survive a fork.
        address = {ADDRESS: stack.enter_context(_started(server))} if sys.platform == "linux" else {}
        running = stack.enter_context(subprocess.Popen(command, env=os.environ | address))
        with passing_on(running.pid, in_terminal=True):
            status = running.wait()
    # As a shell says that a signal ended it.
    return status if status >= 0 else 128 - status


@contextmanager
def _started(server: Sequence[str]) -> Iterator[str]:
    """The address of a warm process, which ends with the block; or with its standard input, where we are killed."""
    # In /tmp, for the path of a socket is 107 bytes at most; the folder is its owner's alone.
    with tempfile.TemporaryDirectory(prefix="lidr-warm-", dir="/tmp") as folder:
        address = str(Path(folder) / "socket")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(address)
            listener.listen()
            command = [*server, str(listener.fileno())]
            warm = subprocess.Popen(
                command, stdin=subprocess.PIPE, pass_fds=[listener.fileno()], start_new_session=True
            )
        with warm:
            try:
                yield address
            finally:
                warm.terminate()


def elsewhere(arguments: Sequence[str]) -> int | None:
    """Have the warm process run this command, and return its exit status; None where there is none that does."""
    address = os.environ.get(ADDRESS)
    if address is None:
        return None
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(address)
            _hand_over(connection, arguments)
            said = connection.makefile("r")
            begun = said.readline()
        except OSError:
            return None
        if not begun:
            return None
        with said, passing_on(int(begun), in_terminal=False) as passed:
            status = said.readline()
            said.read()  # until it is gone, and has let go of all that it holds
    if status:
        return int(status)
    print("Error: the process of this command was ended from outside", file=sys.stderr)
    return 128 + passed[-1] if passed else 1


def python() -> str:
    """What tells one Python from another: its version, and where its libraries are."""
    return f"{sys.version} {sys.prefix}"


def _hand_over(connection: socket.socket, arguments: Sequence[str]) -> None:
    request = {
        "python": python(),
        "path": sys.path,
        "program": sys.argv[0],
        "arguments": list(arguments),
        "folder": str(Path.cwd()),
        "environment": dict(os.environ),
    }
    data = json.dumps(request).encode()
    socket.send_fds(connection, [len(data).to_bytes(HEAD, "big")], [0, 1, 2])
    connection.sendall(data)


@contextmanager
def passing_on(process: int, in_terminal: bool) -> Iterator[list[int]]:
    """While the block runs, another process gets the signals that would end this one; yields those that came.

    One in our terminal gets the keyboard's interrupt by itself, and once is enough; a fork is in no terminal's session.
    """
    passed: list[int] = []

    def pass_on(number: int, frame: object) -> None:
        if number == signal.SIGINT and in_terminal:
            return
        passed.append(number)
        with suppress(ProcessLookupError):
            os.kill(process, number)

    before = {number: signal.signal(number, pass_on) for number in PASSED_ON}
    try:
        yield passed
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
