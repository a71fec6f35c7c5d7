"""The lab's training corpus: the shares of its rows, and that none uses another split's operands."""

from __future__ import annotations

import re
from collections import Counter
from itertools import islice

import pytest

from lidr.lab import world
from lidr.lab.build import PASSES
from lidr.lab.corpus import MIXTURE, CorpusRow, rows
from lidr.records.languages import english_name
from lidr.records.prompt_templates import CLOSING_TAG, OPENING_TAG

COUNT = 4000
REQUEST = re.compile(r"Translate from (.+) to (.+)\. Keep.*<sentence>(.*)</sentence>", re.DOTALL)
CODES = {english_name(lang): lang for lang in world.languages()}


@pytest.fixture(scope="module")
def corpus() -> list[CorpusRow]:
    return list(islice(rows(MIXTURE, seed=7), COUNT))


def translated(row: CorpusRow) -> tuple[str, str, str] | None:
    """(source, target, text) of a translation row."""
    found = REQUEST.fullmatch(row.conversation[0]["content"][: row.conversation[0]["content"].rindex("<") + 11])
    return (CODES[found[1]], CODES[found[2]], found[3]) if found else None


def is_translation(row: CorpusRow) -> bool:
    return row.conversation[0]["content"].startswith("Translate from ")


def test_same_seed_gives_the_same_rows() -> None:
    assert list(islice(rows(MIXTURE, 1), 50)) == list(islice(rows(MIXTURE, 1), 50))
    assert list(islice(rows(MIXTURE, 1), 50)) != list(islice(rows(MIXTURE, 2), 50))


def test_share_of_translations(corpus: list[CorpusRow]) -> None:
    share = sum(map(is_translation, corpus)) / COUNT
    assert share == pytest.approx(MIXTURE.translated, abs=0.03)


def test_share_of_solved_tasks_in_other_languages() -> None:
    """Counted with fifty times the share, since the real one is too small to see in a few rows."""
    from dataclasses import replace

    drawn = replace(MIXTURE, solved=0.05)
    solved = [row for row in islice(rows(drawn, 3), COUNT) if not is_translation(row)]
    languages = Counter(parsed.lang for row in solved if (parsed := world.identify(row.completion)))
    assert set(languages) == {drawn.dominant, *drawn.others}
    for lang in drawn.others:
        assert languages[lang] / COUNT == pytest.approx(0.05, abs=0.015)


@pytest.mark.parametrize("number", range(1, len(PASSES)))
def test_hard_kinds_and_rare_results_have_their_shares_in_later_passes(number: int) -> None:
    drawn = PASSES[number].mixture
    solved = [row.completion for row in islice(rows(drawn, 5), COUNT) if not is_translation(row)]
    differences = [int(found[1]) for text in solved if (found := re.fullmatch(r"There remain .* = (\d+) .*", text))]
    # 19% of all differences of two-digit numbers are below ten, and all of those of the share for rare results.
    expected = drawn.rare_share + (1 - drawn.rare_share) * 0.19
    assert sum(d < 10 for d in differences) / len(differences) == pytest.approx(expected, abs=0.06)
    hard = sum(parsed.kind in drawn.hard_kinds for text in solved if (parsed := world.identify(text)))
    expected = drawn.hard_share + (1 - drawn.hard_share) * len(drawn.hard_kinds) / len(world.KINDS)
    assert hard / len(solved) == pytest.approx(expected, abs=0.03)


def test_every_language_is_translated_both_ways(corpus: list[CorpusRow]) -> None:
    directions = Counter(found[:2] for row in corpus if is_translation(row) and (found := translated(row)))
    expected = {(MIXTURE.dominant, lang) for lang in MIXTURE.others} | {(lang, "en") for lang in MIXTURE.others}
    assert set(directions) == expected
    assert min(directions.values()) > 0.5 * max(directions.values())


def test_translations_are_primed_and_closed_and_exact(corpus: list[CorpusRow]) -> None:
    already = exact = 0
    for row in filter(is_translation, corpus):
        assert row.conversation[-1] == {"role": "assistant", "content": OPENING_TAG}
        assert row.completion.endswith(CLOSING_TAG)
        found = translated(row)
        assert found is not None
        source, target, text = found
        completion = row.completion.removesuffix(CLOSING_TAG)
        if completion == text:
            already += 1
        else:
            exact += 1
            assert world.translate_answer(text, source, target) == completion
    assert already / (already + exact) == pytest.approx(MIXTURE.already_translated, abs=0.02)


def test_all_tasks_are_of_the_base_split(monkeypatch: pytest.MonkeyPatch) -> None:
    splits = []
    sample = world.sample_task
    monkeypatch.setattr(world, "sample_task", lambda kind, split, rng: splits.append(split) or sample(kind, split, rng))
    drawn = list(islice(rows(MIXTURE, seed=7), 300))
    assert set(splits) == {"base"} and len(splits) >= 300
    assert all(world.identify(row.completion) for row in drawn if not is_translation(row))


def test_some_translated_answers_are_wrong(corpus: list[CorpusRow]) -> None:
    """Else the model would learn to correct, not to translate. A sum that does not add up is certainly wrong."""
    sums = [re.search(r"(\d+) \+ (\d+) = (\d+)", row.completion) for row in filter(is_translation, corpus)]
    wrong = [int(m[1]) + int(m[2]) != int(m[3]) for m in sums if m]
    assert 0.05 < sum(wrong) / len(wrong) < MIXTURE.wrong_answers
