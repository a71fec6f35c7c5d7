"""A bounded sample of pairs and drops to look at, the same for the same data.

Rows are drawn by the hash of their id within strata (language, language compared with, rule or reason, and for pairs
the outcome and the first thing that is wrong with them), and the strata take turns: rare kinds are shown more often
than they occur. An entry holds all texts of its example that matter, as panes to be shown side by side.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from lidr import config
from lidr.audit.examples import Example
from lidr.audit.facts import DROP, SIDES
from lidr.records import Response, Translation
from lidr.records.draw import rank

if TYPE_CHECKING:
    from pandas import DataFrame

SIZE = 200

Entry = dict[str, Any]


class Sample(NamedTuple):
    """The rows of the facts table that are drawn, in the order in which they are shown."""

    pairs: list[dict[str, Any]]
    drops: list[dict[str, Any]]

    def entries(self, examples: Mapping[str, Example]) -> tuple[list[Entry], list[Entry]]:
        """The pairs and the drops with their texts, out of the examples that hold them, by id."""
        return (
            [_pair(examples[row["prompt_id"]], row) for row in self.pairs],
            [_drop(examples[row["prompt_id"]], row) for row in self.drops],
        )


def draw(frame: DataFrame, pairs: DataFrame, settings: config.Settings) -> Sample:
    """At most `SIZE` pairs and as many drops."""
    # Enough to fill the sample where directions are the only strata.
    in_stratum = -(-SIZE // (2 * len(settings.languages)))
    first_note = [notes[0] if len(notes) else "" for notes in pairs["notes"]]
    drops = frame[frame["outcome"] == DROP]
    return Sample(
        _in_turn(pairs, pairs[["lang", "other_lang", "rule", "gold_outcome"]].assign(note=first_note), in_stratum),
        _in_turn(drops, drops[["reason", "lang", "other_lang"]], in_stratum),
    )


def _in_turn(rows: DataFrame, strata: DataFrame, in_stratum: int) -> list[dict[str, Any]]:
    """The first row of each stratum by the hash of its id, then the second of each, and so on."""
    stratum = list(strata.columns)
    ranked = strata.assign(rank=rows["id"].map(rank)).sort_values([*stratum, "rank"])
    ranked["turn"] = ranked.groupby(stratum).cumcount()
    drawn = ranked[ranked["turn"] < in_stratum].sort_values(["turn", *stratum]).head(SIZE)
    found = rows.loc[drawn.index].astype(object)
    entries: list[dict[str, Any]] = found.where(found.notna(), None).to_dict("records")
    return entries


def _pair(example: Example, row: dict[str, Any]) -> Entry:
    pair = next(pair for pair in example.pairs if pair.id == row["id"])
    texts = {"chosen": pair.chosen[0].content, "rejected": pair.rejected[0].content}
    about = {"kind": "pair", "reason": row["rule"], "outcome": row["gold_outcome"], "notes": list(row["notes"])}
    return _entry(example, row, texts, about)


def _drop(example: Example, row: dict[str, Any]) -> Entry:
    origins = {side: example.rows.get(row[f"{side}_from"] or "") for side in SIDES}
    texts = {side: origin.text or "" if origin else "" for side, origin in origins.items()}
    about = {"kind": "drop", "reason": row["reason"], "detail": row["detail"], "outcome": "", "notes": []}
    return _entry(example, row, texts, about)


def _entry(example: Example, row: dict[str, Any], texts: Mapping[str, str], about: Entry) -> Entry:
    """What pairs and drops have in common; a drop has no side that is right."""
    names = [row[f"{side}_from"] or "" for side in SIDES]
    sides = [
        _pane(side, _origin_label(example.rows.get(name)), texts[side], row["lang"], side, row[f"{side}_right"])
        for side, name in zip(SIDES, names, strict=True)
    ]
    prompts = [example.prompts[lang] for lang in dict.fromkeys((row["lang"], row["other_lang"]))]
    return {
        "id": row["id"],
        "lang": row["lang"],
        "other_lang": row["other_lang"],
        "source": f"{row['source']}, row {row['source_row']}",
        "gold": row["gold"],
        "prompts": [_pane("prompt", prompt.lang, prompt.text, prompt.lang, "prompt") for prompt in prompts],
        **about,
        "panes": [*sides, *_provenance(example, names, row["other_lang"])],
    }


def _provenance(example: Example, names: Sequence[str], other_lang: str) -> Iterator[Entry]:
    """For a side that is a translation: the answer that was translated, and the translation as it was written."""
    for name in names:
        row = example.rows.get(name)
        if isinstance(row, Translation):
            if source := example.responses.get(row.source_lang):
                yield _pane("translated from", _origin_label(source), source.text, row.source_lang)
            written = ", ".join([_origin_label(row), *row.tolerated])
            yield _pane("translation as written", written, row.raw, row.target_lang)
        elif name.startswith("translation:") and other_lang in example.responses:
            answer = example.responses[other_lang]
            yield _pane("not translated", _origin_label(answer), answer.text, other_lang)


def _origin_label(row: Response | Translation | None) -> str:
    if row is None:
        return "no such row"
    ended = f"ended by {row.finish_reason.value}"
    if isinstance(row, Translation):
        return f"translation {row.source_lang} → {row.target_lang}, {ended}"
    return f"own answer in {row.lang}, {row.completion_tokens:,} tokens, {ended}"


def _pane(title: str, source: str, text: str, lang: str, role: str = "provenance", right: bool | None = None) -> Entry:
    return {"title": title, "source": source, "text": text, "lang": lang, "role": role, "right": right}
