"""Rows that share a prompt and more: their layout to the letter, the same log-probabilities, TRL's own loss on them."""

from __future__ import annotations

import random
from typing import Any

import pytest

from lidr import config
from lidr.errors import InputError
from lidr.training.packing import CHOSEN, PADDING, REJECTED, TokenizedPair, apart, attention_mask, joined, pack

PAIR: TokenizedPair = {"prompt_ids": [11, 12, 13], "chosen_ids": [21, 22], "rejected_ids": [31, 32, 33]}
SHORT: TokenizedPair = {"prompt_ids": [11], "chosen_ids": [21], "rejected_ids": [31]}


def test_a_joined_row_begins_each_branch_with_the_prompts_last_token() -> None:
    (row,) = joined(PAIR)
    assert row.input_ids == [11, 12, 13, 21, 13, 31, 32]
    assert row.branches == [0, 0, 1, 1, 2, 2, 2]
    assert row.positions == [0, 1, 2, 3, 2, 3, 4]
    assert row.scored == ([2, 3], [4, 5, 6])


def test_the_words_with_which_both_answers_begin_are_shared_as_the_prompt_is() -> None:
    (row,) = joined({"prompt_ids": [11, 12], "chosen_ids": [21, 22, 23, 9], "rejected_ids": [21, 22, 33, 34, 9]})
    assert row.input_ids == [11, 12, 21, 22, 23, 22, 33, 34]
    assert row.branches == [0, 0, 0, 1, 1, 2, 2, 2]
    assert row.positions == [0, 1, 2, 3, 4, 3, 4, 5]
    assert row.scored == ([1, 2, 3, 4], [1, 2, 5, 6, 7])


@pytest.mark.parametrize("rejected", [[21, 9], [21, 22, 9], [21]])
def test_an_answer_that_begins_as_the_other_ends_keeps_a_branch_of_its_own(rejected: list[int]) -> None:
    (row,) = joined({"prompt_ids": [11], "chosen_ids": [21, 22, 9], "rejected_ids": rejected})
    assert [len(side) for side in row.scored] == [3, len(rejected)]
    assert {row.branches[side[-1]] for side in row.scored} == {CHOSEN, REJECTED}


def test_rows_apart_are_the_prompt_with_each_answer() -> None:
    chosen, rejected = apart(PAIR)
    assert (chosen.input_ids, chosen.scored) == ([11, 12, 13, 21], ([2, 3], []))
    assert (rejected.input_ids, rejected.scored) == ([11, 12, 13, 31, 32], ([], [2, 3, 4]))


def test_pairs_stand_one_after_the_other_on_a_line() -> None:
    batch = pack([SHORT, PAIR, SHORT], pad=0, shared_prompt=True)
    assert batch["packed_ids"].tolist() == [[11, 12, 13, 21, 13, 31, 32, 11, 11, 11, 11]]
    assert batch["packed_positions"].tolist() == [[0, 1, 2, 3, 2, 3, 4, 0, 0, 0, 0]]
    assert batch["packed_branches"].tolist() == [[3, 3, 4, 4, 5, 5, 5, 1, 2, 7, 8]]


def test_a_shorter_line_ends_in_padding() -> None:
    batch = pack([SHORT, PAIR], pad=0, shared_prompt=False)
    assert batch["packed_ids"].tolist() == [
        [11, 0, 0, 0, 0],
        [11, 0, 0, 0, 0],
        [11, 12, 13, 21, 0],
        [11, 12, 13, 31, 32],
    ]
    assert batch["packed_branches"][0].tolist() == [0, *[PADDING] * 4]


def test_scored_positions_are_all_chosen_ones_and_then_all_rejected_ones() -> None:
    batch = pack([SHORT, PAIR], pad=0, shared_prompt=True)
    assert batch["packed_ids"].tolist() == [[11, 12, 13, 21, 13, 31, 32, 11, 11]]
    assert batch["packed_scored"][batch["packed_order"]].tolist() == [7, 2, 3, 8, 4, 5, 6]


def test_what_is_shared_is_scored_once_and_told_to_both_answers() -> None:
    pair: TokenizedPair = {"prompt_ids": [11], "chosen_ids": [21, 22, 9], "rejected_ids": [21, 32, 9]}
    batch = pack([pair], pad=0, shared_prompt=True)
    assert batch["packed_ids"].tolist() == [[11, 21, 22, 21, 32]]
    assert batch["packed_scored"].tolist() == [0, 1, 2, 3, 4]
    assert batch["packed_order"].tolist() == [0, 1, 2, 0, 3, 4]


def test_pairs_on_one_line_do_not_see_each_other() -> None:
    import torch

    seen = attention_mask(torch.tensor([[0, 1, 2, 3, 4, 5]]))[0, 0].int().tolist()
    assert seen == [
        [1, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0],
        [1, 0, 1, 0, 0, 0],
        [0, 0, 0, 1, 0, 0],
        [0, 0, 0, 1, 1, 0],
        [0, 0, 0, 1, 0, 1],
    ]


def test_a_token_sees_what_is_shared_and_its_own_branch_up_to_itself() -> None:
    pair: TokenizedPair = {"prompt_ids": [1, 2], "chosen_ids": [3, 9], "rejected_ids": [4, 9]}
    seen = attention_mask(pack([pair], pad=0, shared_prompt=True)["packed_branches"])[0, 0].int().tolist()
    assert seen == [
        [1, 0, 0, 0, 0],
        [1, 1, 0, 0, 0],
        [1, 1, 1, 0, 0],
        [1, 0, 0, 1, 0],
        [1, 0, 0, 1, 1],
    ]


def test_padding_sees_itself_only() -> None:
    import torch

    seen = attention_mask(torch.tensor([[0, 1, 2, PADDING, PADDING]]))[0, 0].int()
    assert seen[3:].tolist() == [[0, 0, 0, 1, 0], [0, 0, 0, 0, 1]]
    assert seen[:3, 3:].sum() == 0


def random_pairs(count: int, vocabulary: int, seed: int) -> list[TokenizedPair]:
    """Pairs of mixed lengths; the first prompt is a single token, and every third pair's answers begin alike."""
    rng = random.Random(seed)

    def ids(most: int) -> list[int]:
        return [rng.randrange(5, vocabulary) for _ in range(rng.randint(1, most))]

    pairs: list[TokenizedPair] = []
    for number in range(count):
        both = ids(10) if number % 3 == 1 else []
        prompt, chosen, rejected = ids(1 if number == 0 else 30), ids(20), ids(40)
        pairs.append({"prompt_ids": prompt, "chosen_ids": both + chosen, "rejected_ids": both + rejected})
    return pairs


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


@pytest.mark.pipeline
def test_the_curve_is_the_same_where_logits_are_too_many_to_be_there_at_once(
    model: Any, tmp_path: Any, project_settings: config.Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lidr.training import scoring

    at_once = curve(model, project_settings, tmp_path / "at-once", True, True, "sequence")
    monkeypatch.setattr(scoring, "AT_ONCE", 0)
    in_tiles = curve(model, project_settings, tmp_path / "in-tiles", True, True, "sequence")
    assert at_once == [pytest.approx(metrics, abs=1e-4) for metrics in in_tiles]


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
