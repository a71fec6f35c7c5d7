"""Rows that share a prompt: their layout to the letter, the same log-probabilities, and TRL's own loss on them."""

from __future__ import annotations

import random
from typing import Any

import pytest

from lidr import config
from lidr.errors import InputError
from lidr.training.packing import PADDING, TokenizedPair, apart, attention_mask, first_fit, joined, pack

PAIR: TokenizedPair = {"prompt_ids": [11, 12, 13], "chosen_ids": [21, 22], "rejected_ids": [31, 32, 33]}
SHORT: TokenizedPair = {"prompt_ids": [11], "chosen_ids": [21], "rejected_ids": [31]}


def test_a_joined_row_begins_each_branch_with_the_prompts_last_token() -> None:
    (row,) = joined(PAIR)
    assert row.input_ids == [11, 12, 13, 21, 22, 13, 31, 32, 33]
    assert row.branches == [0, 0, 1, 1, 1, 2, 2, 2, 2]
    assert row.positions == [0, 1, 2, 3, 4, 2, 3, 4, 5]
    assert row.scored == ([2, 3], [5, 6, 7])


def test_rows_apart_are_the_prompt_with_each_answer() -> None:
    chosen, rejected = apart(PAIR)
    assert (chosen.input_ids, chosen.scored) == ([11, 12, 13, 21, 22], ([2, 3], []))
    assert (rejected.input_ids, rejected.scored) == ([11, 12, 13, 31, 32, 33], ([], [2, 3, 4]))


def test_scored_positions_are_all_chosen_ones_and_then_all_rejected_ones() -> None:
    batch = pack([SHORT, PAIR], pad=0, shared_prompt=True)
    assert batch["packed_ids"].tolist() == [[11, 12, 13, 21, 22, 13, 31, 32, 33], [11, 21, 11, 31, 0, 0, 0, 0, 0]]
    assert batch["packed_branches"][1].tolist() == [1, 1, 2, 2, *[PADDING] * 5]
    assert batch["packed_scored"].tolist() == [9 + 0, 2, 3, 9 + 2, 5, 6, 7]


def test_short_pairs_stand_in_one_row_beside_a_longer_one() -> None:
    batch = pack([SHORT, PAIR, SHORT], pad=0, shared_prompt=True)
    assert batch["packed_ids"].tolist() == [[11, 12, 13, 21, 22, 13, 31, 32, 33], [11, 21, 11, 31, 11, 21, 11, 31, 0]]
    assert batch["packed_positions"][1].tolist() == [0, 1, 0, 1, 0, 1, 0, 1, 0]
    assert batch["packed_branches"][1].tolist() == [1, 1, 2, 2, 7, 7, 8, 8, PADDING]
    assert batch["packed_scored"].tolist() == [9 + 0, 2, 3, 9 + 4, 9 + 2, 5, 6, 7, 9 + 6]


def test_pairs_in_one_row_do_not_see_each_other() -> None:
    long: TokenizedPair = {"prompt_ids": [1, 2, 3], "chosen_ids": [4, 5], "rejected_ids": [6, 7, 8]}
    short: TokenizedPair = {"prompt_ids": [1, 2], "chosen_ids": [], "rejected_ids": []}
    batch = pack([long, short, short], pad=0, shared_prompt=True)
    seen = attention_mask(batch["packed_branches"])[1, 0, :6, :6].int().tolist()
    assert seen == [
        [1, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0],
        [1, 0, 1, 0, 0, 0],
        [0, 0, 0, 1, 0, 0],
        [0, 0, 0, 1, 1, 0],
        [0, 0, 0, 1, 0, 1],
    ]


@pytest.mark.parametrize(
    ("lengths", "spots"),
    [
        ([5], [(0, 0)]),
        ([4, 4], [(0, 0), (1, 0)]),
        ([2, 9, 3, 4], [(1, 7), (0, 0), (1, 4), (1, 0)]),
        ([3, 3, 3, 9, 1], [(1, 0), (1, 3), (1, 6), (0, 0), (2, 0)]),
    ],
)
def test_first_fit_puts_the_longest_first(lengths: list[int], spots: list[tuple[int, int]]) -> None:
    assert first_fit(lengths) == spots


def test_a_token_sees_the_shared_prompt_and_its_own_branch_up_to_itself() -> None:
    batch = pack([{"prompt_ids": [1, 2], "chosen_ids": [3], "rejected_ids": [4]}], pad=0, shared_prompt=True)
    seen = attention_mask(batch["packed_branches"])[0, 0].int().tolist()
    assert seen == [
        [1, 0, 0, 0, 0],
        [1, 1, 0, 0, 0],
        [1, 1, 1, 0, 0],
        [1, 0, 0, 1, 0],
        [1, 0, 0, 1, 1],
    ]


def test_padding_sees_itself_only() -> None:
    batch = pack([SHORT, PAIR], pad=0, shared_prompt=True)
    seen = attention_mask(batch["packed_branches"])[1, 0].int()
    assert seen[8].tolist() == [0] * 8 + [1]
    assert seen[:4, 4:].sum() == 0


def random_pairs(count: int, vocabulary: int, seed: int) -> list[TokenizedPair]:
    """Pairs of mixed lengths, a prompt of a single token among them."""
    rng = random.Random(seed)

    def ids(most: int) -> list[int]:
        return [rng.randrange(5, vocabulary) for _ in range(rng.randint(1, most))]

    return [
        {"prompt_ids": ids(1 if n == 0 else 30), "chosen_ids": ids(20), "rejected_ids": ids(40)} for n in range(count)
    ]


@pytest.fixture(scope="module")
def model() -> Any:
    torch = pytest.importorskip("torch")
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    shape = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
    return LlamaForCausalLM(LlamaConfig(vocab_size=90, max_position_embeddings=128, initializer_range=0.3, **shape))


def with_scored_positions(model: Any) -> Any:
    """A copy, so that the module's model keeps no hooks."""
    import copy

    from lidr.training.packing import ScoredPositions

    copied = copy.deepcopy(model)
    ScoredPositions(copied.base_model)
    return copied


@pytest.mark.pipeline
@pytest.mark.parametrize("shared_prompt", [True, False])
def test_packed_log_probabilities_are_those_of_one_sequence_at_a_time(model: Any, shared_prompt: bool) -> None:
    import torch

    from lidr.training.packing import _log_probabilities

    pairs = random_pairs(6, 90, seed=1)
    packed = _log_probabilities(with_scored_positions(model), pairs, 0, shared_prompt)
    alone = []
    for side in ("chosen_ids", "rejected_ids"):
        for pair in pairs:
            prompt, answer = pair["prompt_ids"], pair[side]  # type: ignore[literal-required]
            with torch.inference_mode():
                logits = model(input_ids=torch.tensor([prompt + answer])).logits[0].log_softmax(-1)
            alone += [float(logits[len(prompt) + i - 1, token]) for i, token in enumerate(answer)]
    assert packed.tolist() == pytest.approx(alone, abs=1e-4)


@pytest.mark.pipeline
def test_a_model_that_cannot_share_is_refused_by_name(model: Any) -> None:
    """Attention that ignores the mask it is given: chosen is then seen from rejected."""
    from lidr.training.packing import check_sharing

    pairs = random_pairs(2, 90, seed=2)
    check_sharing(with_scored_positions(model), pairs, 0)
    blind = with_scored_positions(model)
    blind.base_model.register_forward_pre_hook(
        lambda module, arguments, kwargs: (arguments, kwargs | {"attention_mask": None}), with_kwargs=True
    )
    with pytest.raises(InputError, match=r"LlamaForCausalLM cannot share .* set train.shared_prompt to false"):
        check_sharing(blind, pairs, 0)


@pytest.mark.pipeline
@pytest.mark.parametrize("shared_prompt", [True, False])
@pytest.mark.parametrize("likelihood_mean", ["token", "sequence"])
def test_the_curve_is_that_of_trls_own_trainer(
    model: Any, shared_prompt: bool, likelihood_mean: str, tmp_path: Any, project_settings: config.Settings
) -> None:
    """Same pairs, order and values; with one pair a micro-batch, TRL's token mean is the mean over each answer."""
    ours = curve(model, project_settings, tmp_path, True, shared_prompt, likelihood_mean)
    trls = curve(model, project_settings, tmp_path, False, shared_prompt, likelihood_mean)
    assert len(ours) == len(trls) == 6
    assert ours == [pytest.approx(metrics, abs=1e-4) for metrics in trls]


def curve(
    model: Any, settings: config.Settings, scratch: Any, packed: bool, shared_prompt: bool, likelihood_mean: str
) -> list[dict[str, float]]:
    """What each step logs, from our trainer or from TRL's own with the same arguments."""
    import copy

    import msgspec
    from datasets import Dataset
    from transformers import PreTrainedTokenizerFast
    from trl.trainer.dpo_trainer import DPOTrainer

    from lidr.training import trainer

    values = msgspec.to_builtins(settings)
    values["engine"]["device"] = "cpu"
    values["train"] |= {"alpha": 2.0, "beta": 0.1, "learning_rate": 1e-2, "epochs": 2, "log_every_steps": 1}
    values["train"] |= {"pairs_per_step": 4, "pairs_per_device": 1, "likelihood_mean": likelihood_mean}
    values["train"] |= {"shared_prompt": shared_prompt}
    train = msgspec.convert(values, config.Settings).train
    pairs = random_pairs(12, 90, seed=3)
    history: list[dict[str, float]] = []
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=_tokenizer(), pad_token="<0>", eos_token="<1>")

    class Plain(DPOTrainer):
        def _prepare_dataset(self, dataset: Dataset, *_: Any) -> Dataset:
            return dataset

    def log(metrics: dict[str, float], step: int) -> None:
        # Whether a margin of zero counts as right is a matter of rounding.
        undecided = {"reward_accuracy"} if abs(metrics["reward_margin"]) < 1e-4 else set()
        history.append({name: value for name, value in metrics.items() if name not in OURS_ALONE | undecided})

    model = copy.deepcopy(model)
    if packed:
        trainer.make(model, tokenizer, pairs, train, settings, scratch, log).train()
    else:
        with_sft = msgspec.structs.replace(train, likelihood_mean="token")
        Plain(
            model=model,
            args=trainer.arguments(with_sft, msgspec.convert(values, config.Settings), scratch),
            train_dataset=Dataset.from_list([dict(pair) for pair in pairs]),
            processing_class=tokenizer,
            peft_config=trainer._new_adapter(train),
            callbacks=[trainer.LogCallback(log)],
        ).train()
    return history


# Metrics that TRL's trainer does not log.
OURS_ALONE = {"loss_preference", "loss_likelihood"}


def _tokenizer() -> Any:
    from tokenizers import Tokenizer, models

    return Tokenizer(models.WordLevel({f"<{i}>": i for i in range(90)}, unk_token="<2>"))
