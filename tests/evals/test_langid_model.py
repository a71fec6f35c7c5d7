"""py3langid's tables, asked here: its own answers for any text, alone or in company, whatever the cache is like."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from copy import copy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from lidr.langid import identify, identify_all
from lidr.langid.model import FEWEST_TOGETHER, Model, cache_folder, load

LANGUAGES = ("bn", "de", "en", "es", "fr", "ja", "ru", "sr", "sw", "te", "th", "zh")
# Letters and marks of many scripts: most strings of them are in no language, where the decision is a close one.
LETTERS = "abcdefghij klmnop qrstuvwxyz äöüßéèñçœ ABC .,'- абвгд ежз いろは 漢字 กขค অআই లో \u0301\u200b1٣"


@pytest.fixture(scope="module")
def theirs() -> Any:
    """The package's own identifier of `LANGUAGES`."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = copy(LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True))
    identifier.set_languages(list(LANGUAGES))
    return identifier


@hypothesis_settings(deadline=None)
@given(st.lists(st.text(LETTERS, min_size=1), min_size=1, max_size=2 * FEWEST_TOGETHER))
def test_the_likeliest_is_the_packages(theirs: Any, texts: list[str]) -> None:
    assert load().best(texts, LANGUAGES, sure={}) == [theirs.classify(text)[0] for text in texts]


@hypothesis_settings(deadline=None)
@given(st.lists(st.text(LETTERS + "\ud800", max_size=80), min_size=FEWEST_TOGETHER, max_size=3 * FEWEST_TOGETHER))
def test_a_text_in_company_is_told_as_alone(texts: list[str]) -> None:
    assert identify_all(texts, LANGUAGES) == [identify(text, LANGUAGES) for text in texts]


def test_a_language_that_must_be_sure_gives_way(theirs: Any) -> None:
    text = "la casa"
    likely = dict(theirs.rank(text))
    first, second = [lang for lang, _ in theirs.rank(text)][:2]
    assert likely[first] < 1
    assert load().best([text], LANGUAGES, sure={first: likely[first] - 0.01}) == [first]
    assert load().best([text], LANGUAGES, sure={first: likely[first] + 0.01}) == [second]


def test_languages_of_several_columns_are_one(theirs: Any) -> None:
    assert load().labels.count("sr") > 1
    text = "Dobar dan svima"
    assert load().best([text], ("sr", "sl", "sk"), sure={}) == load().best([text], ("sk", "sl", "sr"), sure={})
    assert theirs.classify("Добар дан свима, како сте данас?")[0] == "sr"
    assert load().best(["Добар дан свима, како сте данас?"], LANGUAGES, sure={}) == ["sr"]


def test_published_questions_are_told_as_the_package_tells_them(theirs: Any) -> None:
    folder = os.environ.get("LIDR_PAPER_DATA")
    if not folder:
        pytest.skip("LIDR_PAPER_DATA names no folder with MGSM's published problems")
    files = sorted(Path(folder, "mgsm").glob("mgsm_*.jsonl"))
    whole = [json.loads(line)["query"] for path in files for line in path.read_text("utf-8").splitlines()]
    texts = [text[:length] for text in whole for length in (20, 60, None)]
    assert load().best(texts, LANGUAGES, sure={}) == [theirs.classify(text)[0] for text in texts]


# --- the cache -------------------------------------------------------------------------------------------------------


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty cache, and no model in memory before or after."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    load.cache_clear()
    yield cache_folder()
    load.cache_clear()


def german(model: Model) -> bool:
    return model.best(["Die Enten legen Eier."], LANGUAGES, sure={}) == ["de"]


def test_the_tables_are_unpacked_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert german(load())
    (folder,) = cache.iterdir()
    assert folder.name.startswith("py3langid-")
    load.cache_clear()
    monkeypatch.setattr("lidr.langid.model._unpacked", lambda: pytest.fail("unpacked again"))
    assert german(load())


def test_a_cut_table_is_made_anew(cache: Path) -> None:
    load()
    (folder,) = cache.iterdir()
    table = folder / "moves.npy"
    whole = table.read_bytes()
    table.write_bytes(whole[: len(whole) // 2])
    load.cache_clear()
    assert german(load())
    assert table.read_bytes() == whole
    assert list(cache.iterdir()) == [folder]


def test_without_a_place_to_keep_them_the_tables_are_held(cache: Path) -> None:
    cache.write_text("a file where a folder would be", "utf-8")
    assert german(load())
    assert cache.is_file()


def test_a_user_without_a_home_has_no_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", no_home)
    assert german(load())
    assert not cache.exists()
