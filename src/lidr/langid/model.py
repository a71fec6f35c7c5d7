"""py3langid's model, open at once, asked about one text or thousands together; its decisions, by its own tables.

    >>> model = load()
    >>> model.best(["The ducks lay eggs.", "Die Enten legen Eier."], ("de", "en", "nl"), sure={"nl": 0.6})
    ['en', 'de']

The package's identifier unpacks 68 MB in each process and takes a text at a time, byte by byte. Here the tables lie
unpacked in the user's cache and are mapped into memory, and texts walk through the automaton side by side: a step of
all of them is one step of an array. Tests hold both to the same answers.

What the tables are (py3langid.modelio): an automaton over UTF-8 bytes whose states may stand for a feature, and for
each feature the logarithm of its weight in each language. A language's score is the sum of log(1 + count) x weight over
the features, plus a prior; scores become probabilities at the temperature sqrt(bytes).
"""

from __future__ import annotations

import os
import shutil
import tempfile
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

# A step takes as long for a few texts as for hundreds: fewer texts, and the long ends of a few, walk alone.
FEWEST_TOGETHER = 24
# Texts that are scored at once, so that memory does not grow with their number.
AT_ONCE = 1_024

_TABLES = ("moves", "row", "feature", "weights", "prior", "labels")


class Model:
    """The tables. `moves` (rows, 256) is the next state, `row` each state's row of it, `feature` each state's or -1."""

    def __init__(self, tables: Mapping[str, NDArray[Any]]) -> None:
        self._moves, self._feature = tables["moves"].reshape(-1), tables["feature"]
        # Where each state's row begins among all moves.
        self._begin = tables["row"].astype("int64") << 8
        self._weights, self._prior = tables["weights"], tables["prior"]
        self.labels: tuple[str, ...] = tuple(tables["labels"].tolist())
        self._chosen: dict[tuple[str, ...], tuple[list[int], NDArray[Any]]] = {}
        # Element by element, memory views are several times as fast as arrays.
        self._views: tuple[memoryview[int], memoryview[int]] = self._moves.data, self._begin.data

    def best(self, texts: Sequence[str], languages: Sequence[str], sure: Mapping[str, float]) -> list[str]:
        """The likeliest of `languages` for each text; one in `sure` only where it is as likely as that.

        Each of `languages` is one of `labels`, and at least one is not in `sure`.
        """
        found: list[str] = []
        for start in range(0, len(texts), AT_ONCE):
            found += self._best(texts[start : start + AT_ONCE], sorted(set(languages)), sure)
        return found

    def _best(self, texts: Sequence[str], languages: list[str], sure: Mapping[str, float]) -> list[str]:
        import numpy

        likely = self._likely([_encoded(text) for text in texts], languages)
        unsure = likely < numpy.array([sure.get(lang, 0.0) for lang in languages])
        return [languages[column] for column in numpy.where(unsure, -1.0, likely).argmax(axis=1)]

    def _likely(self, texts: list[bytes], languages: list[str]) -> NDArray[Any]:
        """The probability of each language, (texts, languages)."""
        import numpy

        columns, weights = self._weights_of(tuple(languages))
        number, feature = self._visits(texts)
        # A text and a feature as one key: sorted, a text's features stand together, in the same order in any company.
        keys, counts = numpy.unique(number * len(self._weights) + feature, return_counts=True)
        number, feature = numpy.divmod(keys, len(self._weights))
        shares = numpy.log1p(counts)[:, None] * weights.take(feature, axis=0)
        scores = numpy.zeros((len(texts), len(columns)))
        present, starts = numpy.unique(number, return_index=True)
        if len(present):  # a text without any feature is as likely in each language
            scores[present] = numpy.add.reduceat(shares, starts, axis=0) + self._prior[columns]
        scores /= numpy.sqrt([[len(text) or 1] for text in texts])
        likely = numpy.exp(scores - scores.max(axis=1, keepdims=True))
        likely /= likely.sum(axis=1, keepdims=True)
        # A language can have several columns, one for each script.
        return numpy.stack(
            [likely[:, [self.labels[c] == lang for c in columns]].sum(axis=1) for lang in languages], axis=1
        )

    def _weights_of(self, languages: tuple[str, ...]) -> tuple[list[int], NDArray[Any]]:
        """The columns of these languages, and their weights beside each other: a tenth of the table is found faster."""
        import numpy

        if languages not in self._chosen:
            columns = [index for index, label in enumerate(self.labels) if label in languages]
            self._chosen[languages] = columns, numpy.ascontiguousarray(self._weights[:, columns], numpy.float32)
        return self._chosen[languages]

    def _visits(self, texts: list[bytes]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Each visit of a state with a feature: the text's number and the feature, in any order."""
        import numpy

        order = sorted(range(len(texts)), key=lambda number: len(texts[number]), reverse=True)
        none = numpy.empty(0, numpy.int64), numpy.empty(0, numpy.int64)
        places, states = zip(none, *self._walk([texts[number] for number in order]), strict=True)
        found = self._feature.take(numpy.concatenate(states))
        with_feature = numpy.flatnonzero(found >= 0)
        number = numpy.array(order, numpy.int64).take(numpy.concatenate(places).take(with_feature))
        return number, found.take(with_feature)

    def _walk(self, texts: list[bytes]) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
        """The states that texts, the longest first, pass through: step by step the places of texts and their states."""
        import numpy

        lengths = numpy.array([len(text) for text in texts])
        # As long as enough texts have a byte left; after that, one at a time.
        steps = int(lengths[FEWEST_TOGETHER - 1]) if len(texts) >= FEWEST_TOGETHER else 0
        letters = numpy.frombuffer(b"".join(text[:steps].ljust(steps, b"\0") for text in texts), numpy.uint8)
        letters = letters.reshape(len(texts), steps).T
        longer = len(texts) - numpy.searchsorted(lengths[::-1], numpy.arange(steps), side="right")
        state = numpy.zeros(len(texts), numpy.int64)
        places = numpy.arange(len(texts))
        for step in range(steps):
            count = longer[step]
            state[:count] = self._moves.take(self._begin.take(state[:count]) + letters[step, :count])
            yield places[:count], state[:count].copy()
        for place, text in enumerate(texts):
            if len(text) <= steps:
                return
            alone = numpy.fromiter(self._walk_alone(int(state[place]), text[steps:]), numpy.int64, len(text) - steps)
            yield numpy.full(len(alone), place), alone

    def _walk_alone(self, state: int, text: bytes) -> Iterator[int]:
        moves, begin = self._views
        for letter in text:
            state = moves[begin[state] + letter]
            yield state


@cache
def load() -> Model:
    """The model of the installed py3langid; unpacked once into the user's cache, if that can be written."""
    import numpy
    from numpy.lib.format import open_memmap
    from py3langid import __version__

    try:
        folder = cache_folder() / f"py3langid-{__version__}"
    except RuntimeError:  # a user without a home
        return Model(_unpacked())
    try:
        tables = {name: numpy.asarray(open_memmap(folder / f"{name}.npy", mode="r")) for name in _TABLES}
    except (OSError, ValueError):  # not there, or not whole
        tables = _unpacked()
        _keep(folder, tables)
    return Model(tables)


def cache_folder() -> Path:
    """Where what every project of a user needs is kept: $XDG_CACHE_HOME/lidr, or ~/.cache/lidr.

    Raises RuntimeError where there is neither, as for a container's user without a home.
    """
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lidr"


def _unpacked() -> dict[str, NDArray[Any]]:
    import numpy
    from py3langid.langid import MODEL_DIR, MODEL_FILE
    from py3langid.modelio import load_model

    weights, prior, labels, moves, row, feature = load_model(MODEL_DIR / MODEL_FILE)
    return {
        "moves": numpy.asarray(moves).reshape(-1, 256),
        "row": numpy.asarray(row),
        "feature": numpy.asarray(feature, numpy.int32),
        "weights": numpy.asarray(weights),
        "prior": numpy.asarray(prior),
        "labels": numpy.asarray(labels),
    }


def _keep(folder: Path, tables: Mapping[str, NDArray[Any]]) -> None:
    """All tables or none appear in the folder; where another process is faster, or nothing can be written, so be it."""
    import numpy

    temporary = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=folder.parent))
        for name, table in tables.items():
            numpy.save(temporary / f"{name}.npy", table)
        shutil.rmtree(folder, ignore_errors=True)
        temporary.replace(folder)
    except OSError:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def _encoded(text: str) -> bytes:
    """As py3langid prepares a text: capitals alone are no language's habit, and a letter has one spelling."""
    text = text.lower() if text.isupper() else text
    return unicodedata.normalize("NFC", text).encode("utf-8", errors="surrogatepass")
