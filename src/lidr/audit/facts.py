"""The facts table: one row for each pair or drop, with everything that the audit finds out about it.

    import pandas
    facts = pandas.read_parquet("data/m1/audit/facts.parquet")
    facts.query("outcome == 'pair' and not chosen_right").groupby("lang").size()

`lidr audit` writes it, and makes its report, figures and plots from it by group-bys. `COLUMNS` documents it, and so
does docs/audit.md. Rows stand in the order of the dominant language's prompts; texts are not in it, `id` leads to them
in pairs.jsonl. The same data give the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from lidr import config
from lidr.audit.examples import pair_directions
from lidr.records.jsonl import atomic_file

if TYPE_CHECKING:
    from pandas import DataFrame, Series
    from pyarrow import Schema, Table

SIDES = ("chosen", "rejected")
FLAGS = ("truncated", "repeated", "markers", "refusal")
PAIR, DROP = "pair", "drop"

# Which of the two answers are right, by the prompt's gold answer, and which one a judge prefers.
UNJUDGED = "unjudged"  # no gold answer that can be compared; a judge without a verdict
OUTCOMES = ("chosen_only", "both", "neither", "rejected_only", UNJUDGED)
JUDGED_OUTCOMES = ("chosen", "tie", "rejected", UNJUDGED)


class Column(NamedTuple):
    """One column: its name, its Arrow type, and what stands there. All may be null."""

    name: str
    kind: str
    meaning: str


def _side(side: str) -> tuple[Column, ...]:
    return (
        Column(f"{side}_from", "string", f"the row that the {side} text is taken from, or of a drop would have been"),
        Column(f"{side}_characters", "int32", f"length of the {side} text; of a drop's, where both are whole"),
        Column(f"{side}_words", "int32", "its words; single characters in scripts without spaces"),
        Column(f"{side}_tokens", "int32", "its tokens, where it is the model's own answer"),
        Column(f"{side}_lang", "string", "the language that it is identified as; null where it is not judged"),
        Column(f"{side}_off_target", "bool", "whether that is another language than `lang`"),
        Column(f"{side}_sentences", "int32", "its sentences whose language could be judged, each by itself"),
        Column(f"{side}_other_sentences", "int32", "those among them that are in another language than `lang`"),
        Column(f"{side}_right", "bool", "whether it says the gold answer; null where nothing can tell"),
        Column(f"{side}_truncated", "bool", "whether the row that it is taken from was cut off at the token limit"),
        Column(f"{side}_repeated", "bool", "whether it repeats itself"),
        Column(f"{side}_markers", "list<string>", "leftovers of the translation request or of a chat template in it"),
        Column(f"{side}_refusal", "bool", "whether it declines to answer and says little else"),
    )


def _listed(values: Iterable[str]) -> str:
    return ", ".join(f"`{value}`" for value in values)


COLUMNS = (
    Column("id", "string", "of the pair, or of the pair that a drop would have been"),
    Column("prompt_id", "string", "of the prompt, the same in every language"),
    Column("lang", "string", "language of the pair"),
    Column("other_lang", "string", "language that it compares with"),
    Column("outcome", "string", "`pair` or `drop`"),
    Column("rule", "string", "rule that chose the chosen answer; null for a drop"),
    Column("stage", "string", "stage that dropped it; null for a pair, as are the next two"),
    Column("reason", "string", "why it was dropped"),
    Column("detail", "string", "the same in words"),
    Column("source", "string", "source of the prompt"),
    Column("source_row", "int64", "its row in the source, from 0"),
    Column("kind", "string", "`task`, or `translation` for a prompt that asks for one"),
    Column("gold", "string", "gold answer of the prompt in `lang`"),
    Column("prompt_characters", "int32", "length of the prompt in `lang`"),
    Column("prompt_overlap", "float64", "greatest share of an evaluation item's n-grams that the prompt holds"),
    Column("prompt_overlap_item", "string", "the first such item, as benchmark:id:language"),
    Column("answer_finish_reason", "string", "how the own answer in `lang` ended; null where there is none"),
    Column("answer_characters", "int32", "length of the own answer in `lang`"),
    Column("answer_tokens", "int32", "its tokens"),
    Column("answer_empty", "bool", "whether it ended by itself without any text"),
    Column("answer_reasoning_characters", "int32", "length of the reasoning before it, which is in no pair"),
    Column(
        "dominant_characters", "int32", "length of the own answer in the dominant language; null where there is none"
    ),
    Column("translation_finish_reason", "string", "how the translation from `other_lang` ended; null where none is"),
    Column("translation_parsed", "bool", "whether its text could be read"),
    Column("translation_empty", "bool", "whether its text is empty"),
    Column("translation_tolerated", "bool", "whether a departure from the format was accepted"),
    Column("translation_compared", "bool", "whether there is an answer to compare its text with"),
    Column("translation_numbers_kept", "bool", "whether it holds the answer's numbers; null where there are none"),
    Column("translation_answer_kept", "bool", "whether it arrives at the answer's number; null where none can tell"),
    Column("translation_exact", "bool", "whether it is the lab's exact translation; null outside of the lab's world"),
    Column("round_trip_parsed", "bool", "whether its way back could be read; null where it was not sent back"),
    Column("round_trip_same", "bool", "whether the same text came back"),
    Column("round_trip_chrf", "float64", "chrF of what came back against the answer, 0 to 100"),
    *_side("chosen"),
    Column("chosen_overlap", "float64", "greatest share of an evaluation item's n-grams that the chosen text holds"),
    Column("chosen_overlap_item", "string", "the first such item, as benchmark:id:language"),
    *_side("rejected"),
    Column("near_identical", "bool", "whether the two texts are all but the same"),
    Column("gold_outcome", "string", f"which of the two is right: {_listed(OUTCOMES)}"),
    Column("judged_preference", "float64", "a judge's preference, from 1 for rejected to 2 for chosen; null without"),
    Column("judged_outcome", "string", f"which the judge prefers in both orders: {_listed(JUDGED_OUTCOMES)}"),
    Column("notes", "list<string>", "what is worth a look, in words"),
)


def schema() -> Schema:
    """The table's Arrow schema, each field with its description."""
    import pyarrow

    listed = {"list<string>": pyarrow.list_(pyarrow.string())}
    return pyarrow.schema(
        pyarrow.field(name, listed.get(kind, kind), metadata={"description": meaning})
        for name, kind, meaning in COLUMNS
    )


def table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Rows as a table; what a row does not have is null."""
    import pyarrow

    return pyarrow.Table.from_pylist(rows, schema=schema())


def joined(tables: Iterable[Table]) -> Table:
    """One table of all rows, whose bytes do not depend on how they came."""
    import pyarrow

    return pyarrow.concat_tables([schema().empty_table(), *tables]).combine_chunks()


def with_values_by_id(facts: Table, values: Mapping[str, Mapping[str, Any]]) -> Table:
    """The table with these values in some rows of some columns: by id, then by column."""
    ids = facts["id"].to_pylist()
    for name in dict.fromkeys(name for row in values.values() for name in row):
        column = [values.get(row_id, {}).get(name) for row_id in ids]
        facts = facts.set_column(facts.schema.get_field_index(name), facts.schema.field(name), [column])
    return facts


def write(path: Path, facts: Table) -> None:
    """Write the table as Parquet, whole or not at all."""
    from pyarrow import parquet

    with atomic_file(path) as file:
        parquet.write_table(facts, file, compression="zstd", row_group_size=100_000)


def frame(facts: Table) -> DataFrame:
    """The table for group-bys; a null is a null in every column."""
    import pandas

    return facts.to_pandas(types_mapper=pandas.ArrowDtype)


class Groups(NamedTuple):
    """Rows of the table: all, those in each language, those in each direction (language, language compared with)."""

    all: DataFrame
    by_language: dict[str, DataFrame]
    by_direction: dict[tuple[str, str], DataFrame]

    def translated(self, source: str, target: str) -> DataFrame:
        """The rows whose `translation_` columns are of this direction, which is the reverse of the pair's."""
        return self.by_direction.get((target, source), self.all.iloc[:0])


def groups(rows: DataFrame, settings: config.Settings) -> Groups:
    """The rows by language and direction, cut once for all figures."""
    by_language = {lang: rows[rows["lang"] == lang] for lang in settings.all_languages}
    by_direction = {(a, b): by_language[a][by_language[a]["other_lang"] == b] for a, b in pair_directions(settings)}
    return Groups(rows, by_language, by_direction)


def total(column: Series) -> int:
    """The sum of a column, or how many of it are true; null does not count."""
    return int(column.sum())
