"""Files whose rows stand in one order, cut at the same ids: each block can be joined by id on its own.

    >>> files = SideBySide(Path("prompts/en.jsonl"), [Path("responses/en.jsonl"), Path("translations/en-es.jsonl")])
    >>> for prompts, responses, translations in files:
    ...     answers = rows_by_id(responses, Response)

The first file leads: it has all ids, and the others some of them, in its order. So their rows of a block's ids come
before all of their other rows, and the end of a block is found by halving, without reading what lies between.

A file that is not so is not read here: `NotInOrderError` says no more than that its rows are to be joined in another
way, which also finds out what is wrong with them. To find where to cut, a few bytes are looked at. Whether a block
holds what it should is seen when it is read: `rows_by_id` checks each row, and whoever joins them has to refuse a block
with a row whose id its leader does not have.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from copy import copy
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, NamedTuple

from lidr.jsonl import RecordT, rows_as_written

# Bytes of the leader in a block: some hundred short rows. All that is made of them stays in the processor's cache.
BLOCK = 3 << 13
# Bytes before and behind the place where a block's rows should end, in which they mostly do.
_NEAR = 1 << 11


class NotInOrderError(Exception):
    """The files do not hold rows as lidr writes them, in the order of the first one."""


class Stretch(NamedTuple):
    """Whole lines of a file, from one byte to another; `file` where it is open while blocks are gone through."""

    path: Path
    file: IO[bytes] | None
    begin: int
    end: int

    def alone(self) -> Stretch:
        """The same for later, or for another process."""
        return self._replace(file=None)

    def read(self) -> bytes:
        """The lines."""
        if self.file is None:
            with self.path.open("rb") as file:
                return self._replace(file=file).read()
        self.file.seek(self.begin)
        return self.file.read(self.end - self.begin)


class SideBySide:
    """For each block a stretch of each file, the leader's first; may be gone through more than once.

    A block has so many bytes of the leader, `BLOCK` if none are named. Where lines of another file begin with something
    else than the leader's id, `id_in` finds in them what the leader's line has before its second field.
    """

    def __init__(
        self,
        leader: Path,
        others: Sequence[Path],
        id_in: Mapping[Path, Callable[[bytes], bytes]] = MappingProxyType({}),
        block: int | None = None,
    ) -> None:
        self._paths, self._block = (leader, *others), block or BLOCK
        self._id_in = [id_in.get(path, id_in_line) for path in self._paths]
        try:
            self._sizes = [path.stat().st_size for path in self._paths]
        except OSError as error:
            raise NotInOrderError from error
        if not all(self._sizes):
            raise NotInOrderError  # of some files it is an error to have no row

    @property
    def size(self) -> int:
        """The leader's bytes."""
        return self._sizes[0]

    @property
    def count(self) -> int:
        """About how many blocks there are."""
        return -(-self.size // self._block)

    def evenly(self, processes: int) -> SideBySide:
        """The same files in blocks that are a little smaller: as many for each of so many processes."""
        rounds, even = -(-self.count // processes), copy(self)
        even._block = -(-self.size // (rounds * processes))
        return even

    def __iter__(self) -> Iterator[list[Stretch]]:
        try:
            with ExitStack() as stack:
                yield from self._blocks([stack.enter_context(path.open("rb")) for path in self._paths])
        except OSError as error:
            raise NotInOrderError from error

    def _blocks(self, files: Sequence[IO[bytes]]) -> Iterator[list[Stretch]]:
        seen, begins = _Seen(), [0] * len(files)
        while begins[0] < self.size:
            ids, end = _leading(files[0], begins[0], self._block)
            seen.add(ids)
            share, names = (end - begins[0]) / (self.size - begins[0]), frozenset(ids)
            ends = [end]
            for file, begin, size, id_in in list(zip(files, begins, self._sizes, self._id_in, strict=True))[1:]:
                guess = begin + round(share * (size - begin))
                ends.append(_end(file, begin, size, partial(_is_behind, names, id_in), guess))
            yield list(map(Stretch, self._paths, files, begins, ends))
            begins = ends
        if begins != self._sizes or not seen.once_each():
            raise NotInOrderError


def rows_by_id(stretch: Stretch, record: type[RecordT]) -> dict[str, RecordT]:
    """The rows of a stretch by their ids."""
    found: list[Any] = rows(stretch, record)
    by_id: dict[str, RecordT] = {row.id: row for row in found}
    if len(by_id) < len(found):
        raise NotInOrderError
    return by_id


def rows(stretch: Stretch, record: type[RecordT]) -> list[RecordT]:
    """The rows of a stretch."""
    found = rows_as_written(stretch.read(), record)
    if found is None:
        raise NotInOrderError
    return found


def id_in_line(line: bytes) -> bytes:
    """The id of a row as it stands in its line: first of all fields, and before another one that is text."""
    return line.partition(b'","')[0]


def _leading(file: IO[bytes], begin: int, size: int) -> tuple[list[bytes], int]:
    """The ids in the leader's next stretch of about this size, and its end."""
    file.seek(begin)
    lines = file.readlines(size)
    return list(map(id_in_line, lines)), begin + sum(map(len, lines))


def _is_behind(ids: Collection[bytes], id_in: Callable[[bytes], bytes], line: bytes) -> bool:
    return id_in(line) not in ids


def _end(file: IO[bytes], begin: int, size: int, is_behind: Callable[[bytes], bool], guess: int) -> int:
    """Where the rows of a block end, which begin at `begin` if there are any: the next line is behind it."""
    _go_to_line(file, max(begin, guess - _NEAR))
    place, lines = file.tell(), file.readlines(2 * _NEAR)
    count = bisect_left(lines, True, key=is_behind)
    if (count or place == begin) and (count < len(lines) or file.tell() == size):
        return place + sum(map(len, lines[:count]))

    def is_behind_at(place: int) -> bool:
        _go_to_line(file, place)
        line = file.readline()
        return not line or is_behind(line)

    _go_to_line(file, bisect_left(range(size), True, lo=begin, key=is_behind_at))
    return file.tell()


def _go_to_line(file: IO[bytes], place: int) -> None:
    """To the first line that begins at this byte or behind it."""
    if place:
        file.seek(place - 1)
        file.readline()
    else:
        file.seek(0)


class _Seen:
    """Which ids have been seen: eight bytes for each, so that memory stays flat where there are millions.

    Two ids of one hash are taken for one, which costs no more than the other way of joining.
    """

    _PARTS = 64

    def __init__(self) -> None:
        self._hashes = [array("q") for _ in range(self._PARTS)]

    def add(self, ids: Sequence[bytes]) -> None:
        for number in map(hash, ids):
            self._hashes[number % self._PARTS].append(number)

    def once_each(self) -> bool:
        return all(len(set(part)) == len(part) for part in self._hashes)
