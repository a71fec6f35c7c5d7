"""Work on all cores whose results are too large to be sent: each stays with the process that made it.

    >>> in_turns(2, blocks, encode, write, 0)   # encode(block) on two cores, write(written, lines) in the blocks' order
    1_250

To send a result to another process takes about as long as to write it to a file (`lidr.copies` sends them). Here
nothing is sent but a small state: all processes go through the same blocks, each works on every so-manieth, and whose
turn it is takes its own result and hands the state on.
"""

from __future__ import annotations

import signal
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import chain
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, Generic, TypeVar

from lidr.copies import CopyLostError, frozen

BlockT = TypeVar("BlockT")
ResultT = TypeVar("ResultT")
StateT = TypeVar("StateT")


def in_turns(
    processes: int,
    blocks: Iterable[BlockT],
    work: Callable[[BlockT], ResultT],
    take: Callable[[StateT, ResultT], StateT],
    state: StateT,
    progress: Callable[[StateT], None] = lambda state: None,
) -> StateT:
    """The state after `take` was called with what `work` returns for each block, in the order of the blocks.

    Each process goes through all the blocks by itself. Raises what any of these raise, in whatever process, and
    CopyLostError. `progress` is called here alone.
    """
    if processes < 2:
        for block in blocks:
            state = take(state, work(block))
            progress(state)
        return state

    context = get_context("fork")
    pipes = [context.Pipe(duplex=False) for _ in range(processes)]
    ring = _Ring(pipes, blocks, work, take)
    copies = [context.Process(target=ring.be_copy, args=(place,)) for place in range(processes - 1)]
    try:
        with frozen():
            for copy in copies:
                copy.start()
            return ring.go_round(state, progress)
    finally:
        ring.close()
        for copy in copies:
            copy.join()


class _Raised:
    """Stands for the state where there is none, as `error` was raised."""

    def __init__(self, error: Exception) -> None:
        self.error = error


class _Ring(Generic[BlockT, ResultT, StateT]):
    """Processes that have their turns one after the other; each receives by a pipe and sends by the next one.

    Where a process ends, however it does, its pipes close, and so the others end.
    """

    def __init__(
        self,
        pipes: Sequence[tuple[Connection, Connection]],
        blocks: Iterable[BlockT],
        work: Callable[[BlockT], ResultT],
        take: Callable[[StateT, ResultT], StateT],
    ) -> None:
        self._pipes, self._blocks, self._work, self._take = pipes, blocks, work, take

    def go_round(self, state: StateT, progress: Callable[[StateT], None]) -> StateT:
        """What this process does, which is the last one: it had to make the others first."""
        receive, send = self._ends(len(self._pipes) - 1)
        try:
            _hand_on(state, send)
            for result in self._results(len(self._pipes) - 1):
                state = _received(receive)
                if result is not None:
                    state = self._take(state, result)
                _hand_on(state, send)
                progress(state)
        except EOFError as error:
            raise CopyLostError from error
        return state

    def be_copy(self, place: int) -> None:
        """What a copy does. An error goes on to the next process, until it comes to the last one."""
        # An interrupt reaches all processes of a terminal; the last one ends the others.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        receive, send = self._ends(place)
        try:
            for result in self._results(place):
                state = _received(receive)
                _hand_on(state if result is None else self._take(state, result), send)
        except EOFError:
            return
        except Exception as error:
            error.add_note(traceback.format_exc())
            _hand_on(_Raised(error), send)

    def close(self) -> None:
        for end in chain(*self._pipes):
            end.close()

    def _ends(self, place: int) -> tuple[Connection, Connection]:
        """Where the process receives and sends. It closes all others, or they would not be closed with their owner."""
        receive, send = self._pipes[place][0], self._pipes[(place + 1) % len(self._pipes)][1]
        for end in chain(*self._pipes):
            if end not in (receive, send):
                end.close()
        return receive, send

    def _results(self, place: int) -> Iterator[ResultT | None]:
        """The process's own result in each round; None where the last round has no block for it."""
        processes, count = len(self._pipes), 0
        for count, block in enumerate(self._blocks, start=1):
            if count % processes == (place + 1) % processes:
                yield self._work(block)
        if 0 < count % processes <= place:
            yield None


def _hand_on(state: Any, send: Connection) -> None:
    # Whoever has raised, or is done, is gone; what was raised comes round by the other pipe.
    with suppress(BrokenPipeError):
        send.send(state)


def _received(receive: Connection) -> Any:
    message = receive.recv()
    if isinstance(message, _Raised):
        raise message.error
    return message
