"""The warm process: imports what stages import, and forks for each caller of warm.py.

    $ python -m lidr.cli.warm_server 5        # the listening socket is file 5; `lidr warm` starts it

Nothing is imported before the first caller comes: a run with nothing to do costs nothing. Nothing of lidr's own is kept
from one command to the next: its code may have been edited in between, and DVC takes a stage's code as it is then.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import socket
import sys
import threading
import traceback
import warnings
from collections.abc import Iterable, Iterator
from importlib import import_module
from io import TextIOWrapper
from pathlib import Path
from typing import Any, cast

from lidr.cli.ending import end_at_once
from lidr.cli.warm import HEAD, python


def libraries() -> Iterator[None]:
    """Import what stages import, in the order in which a run first needs it; whoever waits is served in between."""
    from lidr import policy

    policy.import_transformers()
    for name in ("peft", "trl.trainer.dpo_trainer"):
        yield
        import_module(name)


def serve(listener: socket.socket, imports: Iterable[None]) -> None:
    """Fork for each caller until standard input ends; in a fork, ends by SystemExit when its command has ended."""
    # A fork tells its caller how it ended: nobody waits for it here.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    server = os.getpid()
    # A fork's caller waits until it is gone, and has been told its status.
    end_at_once(lambda: None if os.getpid() == server else 0)
    select.select([listener, sys.stdin], [], [])
    for _ in imports:
        if not _serve_next(listener, 0):
            return
    # What is imported stays: forks need not look for garbage in it.
    gc.freeze()
    while _serve_next(listener, None):
        pass


def _serve_next(listener: socket.socket, seconds: float | None) -> bool:
    """Fork for a caller if one comes within so many seconds; False once standard input has ended."""
    ready, _, _ = select.select([listener, sys.stdin], [], [], seconds)
    if listener in ready:
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            sys.exit(_stand_in(connection))
        connection.close()
    return sys.stdin not in ready


def _stand_in(connection: socket.socket) -> int:
    """Run the caller's command as if this process were the caller's; returns the exit status, which it is told."""
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    request = _take_over(connection)
    if request["python"] != python():
        return 0  # without a word: another Python's command is not for this one
    connection.sendall(f"{os.getpid()}\n".encode())
    threading.Thread(target=_end_with, args=(connection,), daemon=True).start()
    status = _run(request)
    connection.sendall(f"{status}\n".encode())
    return status


def _take_over(connection: socket.socket) -> dict[str, Any]:
    """What the caller sends, with its files as this process's own 0, 1 and 2."""
    head, files, _, _ = socket.recv_fds(connection, HEAD, 3)
    with connection.makefile("rb") as sent:
        request: dict[str, Any] = json.loads(sent.read(int.from_bytes(head, "big")))
    for target, file in enumerate(files):
        os.dup2(file, target)
        os.close(file)
    return request


def _end_with(caller: socket.socket) -> None:
    """Nobody waits for what a caller that was killed had asked for; the processes that it started end as well."""
    caller.recv(1)
    os.killpg(0, signal.SIGKILL)


def _run(request: dict[str, Any]) -> int:
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(Path(request["folder"]))
    sys.argv = [request["program"], *request["arguments"]]
    sys.path[:] = request["path"]
    # As Python opens it: by lines where somebody looks on.
    cast(TextIOWrapper, sys.stdout).reconfigure(line_buffering=sys.stdout.isatty())
    for name in [name for name in sys.modules if name.partition(".")[0] == "lidr"]:
        del sys.modules[name]
    try:
        import_module("lidr.cli").main(prog_name="lidr")
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
    return 0


def main() -> None:
    """Serve the socket whose number is the first argument."""
    gc.set_threshold(100_000, 20, 100)  # see `lidr.cli.main`
    # Python 3.12 warns of threads: those of OpenBLAS and of Arrow's allocator, which see to forks themselves.
    warnings.filterwarnings("ignore", "This process .* is multi-threaded, use of fork", DeprecationWarning)
    with socket.socket(fileno=int(sys.argv[1])) as listener:
        serve(listener, libraries())


if __name__ == "__main__":
    main()
