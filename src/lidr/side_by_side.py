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
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, NamedTuple

from lidr.jsonl import RecordT, rows_as_written

# Bytes of the leader in a block: some hundred short rows. All that is made of them stays in the processor's cache.
BLOCK = 1 << 15
# Bytes before and behind the place where a block's rows should end, in which they mostly do.
_NEAR = 1 << 11


class NotInOrderError(Exception):
    """The files do not hold rows as lidr writes them, in the order of the first one."""


class Stretch(NamedTuple):
    """Whole lines of a file, from one byte to another."""

    path: Path
    begin: int
    end: int


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
        self._leader, self._others, self._id_in, self._block = leader, others, id_in, block or BLOCK
        try:
            self._sizes = [path.stat().st_size for path in (leader, *others)]
        except OSError as error:
            raise NotInOrderError from error
        if not all(self._sizes):
            raise NotInOrderError  # of some files it is an error to have no row

    @property
    def size(self) -> int:
        """The leader's bytes."""
        return self._sizes[0]

    def __iter__(self) -> Iterator[list[Stretch]]:
        try:
            yield from self._blocks()
        except OSError as error:
            raise NotInOrderError from error

    def _blocks(self) -> Iterator[list[Stretch]]:
        seen, begins = _Seen(), [0] * len(self._sizes)
        while begins[0] < self.size:
            stretch, ids = _leading(self._leader, begins[0], self._block)
            seen.add(ids)
            names = frozenset(ids)
            share = (stretch.end - stretch.begin) / (self.size - stretch.begin)
            ends = [stretch.end]
            for path, begin, size in zip(self._others, begins[1:], self._sizes[1:], strict=True):
                is_behind = self._is_behind(path, names)
                ends.append(_end(path, begin, size, is_behind, guess=begin + round(share * (size - begin))))
            yield list(map(Stretch, (self._leader, *self._others), begins, ends))
            begins = ends
        if begins != self._sizes or not seen.once_each():
            raise NotInOrderError

    def _is_behind(self, path: Path, ids: Collection[bytes]) -> Callable[[bytes], bool]:
        id_in = self._id_in.get(path, id_in_line)
        return lambda line: id_in(line) not in ids


def rows_by_id(stretch: Stretch, record: type[RecordT]) -> dict[str, RecordT]:
    """The rows of a stretch by their ids."""
    found: list[Any] = rows(stretch, record)
    by_id: dict[str, RecordT] = {row.id: row for row in found}
    if len(by_id) < len(found):
        raise NotInOrderError
    return by_id


def rows(stretch: Stretch, record: type[RecordT]) -> list[RecordT]:
    """The rows of a stretch."""
    with stretch.path.open("rb") as file:
        file.seek(stretch.begin)
        found = rows_as_written(file.read(stretch.end - stretch.begin), record)
    if found is None:
        raise NotInOrderError
    return found


def id_in_line(line: bytes) -> bytes:
    """The id of a row as it stands in its line: first of all fields, and before another one that is text."""
    return line.partition(b'","')[0]


def _leading(path: Path, begin: int, size: int) -> tuple[Stretch, list[bytes]]:
    """The leader's next stretch, and the ids in it."""
    with path.open("rb") as file:
        file.seek(begin)
        lines = file.readlines(size)
        return Stretch(path, begin, file.tell()), list(map(id_in_line, lines))


def _end(path: Path, begin: int, size: int, is_behind: Callable[[bytes], bool], guess: int) -> int:
    """Where the first line begins that is behind the block, whose lines begin at `begin` if there are any."""
    with path.open("rb") as file:
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
