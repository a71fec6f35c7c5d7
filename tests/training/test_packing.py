"""Rows of a batch: their exact layout, and the same training curve as TRL's."""

from __future__ import annotations

import copy
import random
from typing import Any

import families
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lidr import config
from lidr.training import packing
from lidr.training.packing import InputRow, TokenizedPair, are_alone, length, pack, pad_right, rows, share_out

PAIR: TokenizedPair = {"prompt_ids": [11, 12], "chosen_ids": [21, 22, 9], "rejected_ids": [31, 9]}
OTHER: TokenizedPair = {"prompt_ids": [13], "chosen_ids": [23, 9], "rejected_ids": [33, 34, 9]}
SHORT: TokenizedPair = {"prompt_ids": [13], "chosen_ids": [9], "rejected_ids": [9]}


def test_rows_are_the_prompt_with_each_answer_but_for_its_end() -> None:
    assert rows([PAIR, OTHER]) == [
        InputRow([11, 12, 21, 22], 1),
        InputRow([13, 23], 0),
        InputRow([11, 12, 31], 1),
        InputRow([13, 33, 34], 0),
    ]
    assert length(PAIR) == 9


def test_packed_rows_stand_one_after_the_other_and_their_positions_begin_again() -> None:
    batch = pack([PAIR, OTHER], pad=0, hidden_size=4)
    assert batch["input_ids"].tolist() == [[11, 12, 21, 22, 13, 23], [11, 12, 31, 13, 33, 34]]
    assert batch["position_ids"].tolist() == [[0, 1, 2, 3, 0, 1], [0, 1, 2, 0, 1, 2]]
    assert batch["scored"].tolist() == [1, 2, 3, 4, 5, 7, 8, 9, 10, 11]


def test_padding_at_the_end_of_a_line_is_rows_of_one_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "share_out", lambda *_: [(0, 0), (1, 3), (1, 0), (1, 4)])
    batch = pack([PAIR, SHORT], pad=0, hidden_size=4)
    assert batch["input_ids"].tolist() == [[11, 12, 21, 22, 0], [11, 12, 31, 13, 13]]
    assert batch["position_ids"].tolist() == [[0, 1, 2, 3, 0], [0, 1, 2, 0, 0]]


def test_rows_alone_on_their_lines_have_no_positions(monkeypatch: pytest.MonkeyPatch) -> None:
    """No row attends to the padding after it, so no mask is needed."""
    monkeypatch.setattr(packing, "share_out", lambda *_: [(0, 0), (3, 0), (1, 0), (2, 0)])
    batch = pack([PAIR, SHORT], pad=0, hidden_size=4)
    assert set(batch) == {"input_ids", "scored"}
    assert batch["input_ids"].tolist() == [[11, 12, 21, 22], [11, 12, 31, 0], [13, 0, 0, 0], [13, 0, 0, 0]]


def test_padded_rows_have_a_line_each() -> None:
    batch = pad_right([PAIR, OTHER], pad=0)
    assert batch["input_ids"].tolist() == [[11, 12, 21, 22], [13, 23, 0, 0], [11, 12, 31, 0], [13, 33, 34, 0]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 1], [1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 1, 0]]
    assert batch["scored"].tolist() == [1, 2, 3, 4, 5, 9, 10, 12, 13, 14]


@given(st.lists(st.integers(1, 3000), min_size=1, max_size=40), st.sampled_from([32, 128, 4096]))
def test_rows_stand_one_after_the_other_and_none_on_another(lengths: list[int], hidden_size: int) -> None:
    spots = share_out(lengths, hidden_size)
    ends: dict[int, int] = {}
    for (line, start), tokens in sorted(zip(spots, lengths, strict=True)):
        assert start == ends.get(line, 0)
        ends[line] = start + tokens
    assert sorted(ends) == list(range(len(ends)))
    assert are_alone(spots) == (len(ends) == len(lengths))


@pytest.mark.parametrize(
    ("lengths", "hidden_size", "spots"),
    [
        ([5], 128, [(0, 0)]),
        ([100, 100], 128, [(0, 0), (1, 0)]),
        ([9, 7, 5, 4, 3], 128, [(0, 0), (0, 9), (0, 16), (0, 21), (0, 25)]),
        ([300, 200, 100, 310], 128, [(1, 0), (2, 0), (2, 200), (0, 0)]),
        # No wider than the longest, since attention under a mask costs the square.
        ([2000, 1900, 1000, 900, 600, 300], 128, [(line, 0) for line in range(6)]),
        ([2000, 1900, 1950], 128, [(0, 0), (2, 0), (1, 0)]),
        ([90, 40, 40, 10], 128, [(0, 0), (1, 0), (1, 40), (1, 80)]),
        # A wide line costs a large model less.
        ([100, 60, 60, 60], 32, [(0, 0), (1, 0), (2, 0), (3, 0)]),
        ([100, 60, 60, 60], 4096, [(0, 0), (0, 100), (0, 160), (0, 220)]),
    ],
)
def test_the_number_of_lines_is_the_one_that_costs_least(
    lengths: list[int], hidden_size: int, spots: list[tuple[int, int]]
) -> None:
    assert share_out(lengths, hidden_size) == spots


def random_pairs(count: int, vocabulary: int, seed: int) -> list[TokenizedPair]:
    """Pairs of mixed lengths; the first prompt is a single token."""
    rng = random.Random(seed)

    def ids(most: int) -> list[int]:
        return [rng.randrange(5, vocabulary) for _ in range(rng.randint(1, most))]

    return [
        {"prompt_ids": ids(1 if number == 0 else 30), "chosen_ids": ids(30), "rejected_ids": ids(50)}
        for number in range(count)
    ]


# Metrics that TRL's trainer does not log.
OURS_ALONE = {"loss_preference", "loss_likelihood"}


@pytest.fixture(scope="module")
def model() -> Any:
    torch = pytest.importorskip("torch")
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    shape = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
    shape |= {"vocab_size": families.VOCABULARY, "max_position_embeddings": 128}
    return LlamaForCausalLM(LlamaConfig(initializer_range=0.3, **shape))


def curve(
    make: Any, model: Any, settings: config.Settings, scratch: Any, likelihood_mean: str = "token"
) -> list[dict[str, float]]:
    """The logs of each step after the first, by our trainer or TRL's with the same arguments."""
    values = {"alpha": 2.0, "learning_rate": 1e-2, "num_train_epochs": 2, "logging_steps": 1}
    values |= {"pairs_per_step": 4, "per_device_train_batch_size": 1, "likelihood_mean": likelihood_mean}
    history: list[dict[str, float]] = []

    def log(metrics: dict[str, float], step: int) -> None:
        history.append({name: value for name, value in metrics.items() if name not in OURS_ALONE})

    given = families._settings(settings, "float32", **values)
    make(copy.deepcopy(model), random_pairs(12, 90, seed=3), given, scratch, log).train()
    return history


@pytest.fixture(scope="module")
def trls_curve(
    model: Any, project_settings: config.Settings, tmp_path_factory: pytest.TempPathFactory
) -> list[dict[str, float]]:
    """With one pair per micro-batch, TRL's token mean is also the mean over each answer."""
    found = curve(families._plain, model, project_settings, tmp_path_factory.mktemp("trl"))
    assert len(found) == 4  # warm-up makes the first step a no-op; the second one learns
    return found


@pytest.mark.pipeline
@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("likelihood_mean", ["token", "sequence"])
def test_the_curve_is_that_of_trls_own_trainer(
    model: Any,
    trls_curve: list[dict[str, float]],
    packed: bool,
    likelihood_mean: str,
    tmp_path: Any,
    project_settings: config.Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Same pairs, order and values."""
    from lidr.training import trainer

    if not packed:
        monkeypatch.setattr(trainer, "why_padded", lambda model: "told so")
    ours = curve(families._trainer, model, project_settings, tmp_path, likelihood_mean)
    assert ours == [pytest.approx(metrics, abs=1e-4) for metrics in trls_curve]


@pytest.mark.pipeline
@pytest.mark.parametrize("in_tiles", [False, True])  # True as on a GPU
def test_the_curve_is_the_same_where_logits_are_too_many_to_be_there_at_once(
    model: Any,
    trls_curve: list[dict[str, float]],
    in_tiles: bool,
    tmp_path: Any,
    project_settings: config.Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from lidr.training import head, trainer

    monkeypatch.setattr(head, "AT_ONCE", families.FEW)
    monkeypatch.setattr(trainer.PreferenceTrainer, "in_tiles", in_tiles)
    ours = curve(families._trainer, model, project_settings, tmp_path, "sequence")
    assert ours == [pytest.approx(metrics, abs=1e-4) for metrics in trls_curve]
