"""The loss against a manual formula, the reference at the first step, and adapters: chained, and reproducible."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from factories import with_train
from small_training import log_probabilities, made_pair

from lidr import config, paths
from lidr.chat import open_chat
from lidr.errors import InputError
from lidr.models import policy
from lidr.records import Drop, DropReason
from lidr.records.jsonl import write_rows
from lidr.training import stage as train

pytestmark = pytest.mark.pipeline


PAIRS = [
    made_pair(10, "El número mayor es 61, porque 61 es más que 10.", "El número mayor es 10."),
    made_pair(20, "61.", "The larger number is 61, because 61 is more than 20."),
    made_pair(30, "El número mayor es 61, porque 61 es más que 30.", "30"),
    made_pair(40, "El número mayor es 61.", "En total hay 40 + 61 = 101 manzanas. La respuesta es 101."),
]


@pytest.fixture
def settings(configure: Any) -> config.Settings:
    """Settings of a tiny training, in a folder with a base and four pairs for both iterations."""
    for iteration in ("m1", "m2"):
        write_rows(paths.pairs(iteration) / paths.PAIRS, PAIRS)
    batch = {"pairs_per_step": 4, "per_device_train_batch_size": 4}
    return configure(num_train_epochs=2, eval_share=0.0, save_steps=0, **batch)


@pytest.mark.parametrize("mean", ["sequence", "token"])
def test_first_step_equals_the_formula(settings: config.Settings, mean: str) -> None:
    import torch

    torch.backends.cuda.enable_cudnn_sdp(True)
    trained = train.run(with_train(settings, likelihood_mean=mean), "m1")
    # Its gradient is NaN at some widths on Hopper, as tests/training/test_devices.py shows on a GPU.
    assert not torch.backends.cuda.cudnn_sdp_enabled()
    chosen = [chosen for chosen, _ in log_probabilities(PAIRS, "m0")]
    weighed = [sum(c) / len(c) for c in chosen] if mean == "sequence" else [p for c in chosen for p in c]
    likelihood = -sum(weighed) / len(weighed)
    assert trained.first["loss_preference"] == pytest.approx(math.log(2), abs=1e-5)
    assert trained.first["loss_likelihood"] == pytest.approx(likelihood, rel=1e-4)
    assert trained.first["loss"] == pytest.approx(math.log(2) + 3.0 * likelihood, rel=1e-4)


def test_margin_is_zero_at_the_first_step_of_both_iterations_and_grows(settings: config.Settings) -> None:
    settings = with_train(settings, lr_scheduler_type="constant", warmup_steps=0)
    for iteration in ("m1", "m2"):
        # A single step has no other log.
        once = train.run(with_train(settings, num_train_epochs=1), iteration)
        assert once.steps == 1
        assert once.first["reward_margin"] == pytest.approx(0.0, abs=1e-4)
        assert once.first["reward_chosen"] == pytest.approx(0.0, abs=1e-4)
        trained = train.run(settings, iteration)
        assert trained.last["reward_margin"] > 0.001


def test_a_training_of_one_step_trains_without_a_warm_up(
    settings: config.Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    once = train.run(with_train(settings, num_train_epochs=1), "m1")
    assert (once.steps, once.last["learning_rate"]) == (1, 2e-3)
    assert log_probabilities(PAIRS, "m1")[0][0] != log_probabilities(PAIRS, "m0")[0][0]
    said = "training has one step, in which a warm-up's learning rate is 0; train.dpo.warmup_steps is left out\n"
    assert said in capfd.readouterr().err
    train.run(with_train(settings, num_train_epochs=2), "m1")
    assert said not in capfd.readouterr().err


def test_an_adapter_that_does_not_fit_the_base_is_refused(settings: config.Settings) -> None:
    train.run(with_train(settings, num_train_epochs=1), "m1")
    weights = paths.model("m1") / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-8])
    with pytest.raises(InputError, match=r"models/m1: no adapter that fits the base: .*; train it again"):
        train.run(settings, "m2")


def test_second_iteration_measures_rewards_against_the_first_ones_adapter(settings: config.Settings) -> None:
    train.run(settings, "m1")
    trained = train.run(with_train(settings, num_train_epochs=1, learning_rate=1e-12), "m2")
    sums = [(sum(c), sum(r)) for c, r in log_probabilities(PAIRS, "m1")]
    assert trained.first["log_probability_chosen"] == pytest.approx(sum(c for c, _ in sums) / len(sums), rel=1e-4)
    assert trained.first["log_probability_rejected"] == pytest.approx(sum(r for _, r in sums) / len(sums), rel=1e-4)


def test_rewards_of_the_second_step_equal_the_formula_by_hand(settings: config.Settings) -> None:
    before = [(sum(c), sum(r)) for c, r in log_probabilities(PAIRS, "m0")]
    one_step = with_train(settings, lr_scheduler_type="constant", warmup_steps=0, num_train_epochs=1)
    train.run(one_step, "m1")
    after = [(sum(c), sum(r)) for c, r in log_probabilities(PAIRS, "m1")]
    rewards = [(0.1 * (a[0] - b[0]), 0.1 * (a[1] - b[1])) for a, b in zip(after, before, strict=True)]
    trained = train.run(with_train(one_step, num_train_epochs=2), "m1")
    preference = [math.log(1 + math.exp(-(chosen - rejected))) for chosen, rejected in rewards]
    assert trained.steps == 2
    assert trained.last["reward_chosen"] == pytest.approx(sum(c for c, _ in rewards) / len(rewards), rel=1e-3)
    assert trained.last["reward_rejected"] == pytest.approx(sum(r for _, r in rewards) / len(rewards), rel=1e-3)
    assert trained.last["loss_preference"] == pytest.approx(sum(preference) / len(preference), rel=1e-3)


def test_supervised_training_is_on_chosen_answers_alone(settings: config.Settings) -> None:
    chosen = [sum(c) / len(c) for c, _ in log_probabilities(PAIRS, "m0")]
    supervised = with_train(settings, objective="sft", lr_scheduler_type="constant", warmup_steps=0)
    once = train.run(with_train(supervised, num_train_epochs=1), "m1")
    assert once.first["loss"] == pytest.approx(-sum(chosen) / len(chosen), rel=1e-4)
    trained = train.run(with_train(supervised, num_train_epochs=3), "m1")
    after = [sum(c) for c, _ in log_probabilities(PAIRS, "m1")]
    assert set(trained.last) == {"loss", "log_probability_chosen", "entropy", "learning_rate", "gradient_norm"}
    assert trained.last["loss"] < once.first["loss"]
    # The second iteration continues from the first one's adapter.
    second = train.run(with_train(supervised, num_train_epochs=1), "m2")
    assert second.first["log_probability_chosen"] == pytest.approx(sum(after) / len(after), rel=1e-4)
    assert (paths.model("m1") / "first_pair.txt").read_text().count("----") == 1


def test_supervised_training_measures_chosen_answers_alone(settings: config.Settings) -> None:
    given = rows()
    limit = len(given[3]["prompt_ids"]) + len(given[3]["rejected_ids"]) - 1
    kept = [row for row in given if len(row["prompt_ids"]) + len(row["chosen_ids"]) <= limit]
    assert kept[-1] == given[3]
    pairs, drops = train.tokenize(PAIRS, open_chat(policy.resolve("m0")), limit, supervised=True)
    assert [row["chosen_ids"] for row in pairs] == [row["chosen_ids"] for row in kept]
    assert len(drops) == len(PAIRS) - len(kept)


def rows() -> list[Any]:
    return train.tokenize(PAIRS, open_chat(policy.resolve("m0")), 4096)[0]


def test_reference_is_without_the_dropout_of_training(settings: config.Settings, tmp_path: Path) -> None:
    import torch
    from peft import PeftModel

    from lidr.training.arguments import arguments
    from lidr.training.trainer import make

    given = with_train(settings, lora_dropout=0.5, disable_dropout=False, lr_scheduler_type="constant")
    train.run(given, "m1")
    reference = policy.resolve("m1")
    model = PeftModel.from_pretrained(
        policy.load_base(policy.resolve("m0"), torch.float32), paths.model("m1"), is_trainable=True
    )
    tokenizer = policy.load_tokenizer(reference)
    args = arguments(given.train, given, tmp_path / "x")
    trainer = make(model, tokenizer, rows(), given.train, args, tmp_path / "x", lambda metrics, step: None)
    found = [row["ref_chosen_logps"] for row in trainer.train_dataset]
    assert found == pytest.approx([sum(chosen) for chosen, _ in log_probabilities(PAIRS, "m1")], rel=1e-4)
    assert any(module.p == 0.5 for module in trainer.model.modules() if isinstance(module, torch.nn.Dropout))


def test_files_are_these_and_name_no_path_of_this_machine(settings: config.Settings, tmp_path: Path) -> None:
    train.run(settings, "m1")
    written = {path.name: path.read_bytes() for path in paths.model("m1").iterdir()}
    assert not any(str(tmp_path).encode() in content for content in written.values())
    assert set(written) == {
        "adapter_config.json",
        "adapter_model.safetensors",
        "drops.jsonl",
        "first_pair.txt",
        "lidr.json",
        "log.csv",
        "metrics.json",
    }


@pytest.mark.parametrize(("max_length", "context"), [(40, 2048), (256, 40)])
def test_pairs_too_long_for_the_limit_or_the_model_are_dropped_with_their_reason(
    settings: config.Settings, monkeypatch: pytest.MonkeyPatch, max_length: int, context: int
) -> None:
    """A row beyond LongRoPE's first table would change the positions of all rows of its batch."""
    monkeypatch.setattr(policy, "context_length", lambda config: context)
    trained = train.run(with_train(settings, max_length=max_length, num_train_epochs=1), "m1")
    assert trained.pairs + len(trained.drops) == len(PAIRS)
    assert {d.reason for d in trained.drops} == {DropReason.TOO_LONG}
    assert trained.drops[0].detail.endswith(" tokens, where 40 fit train.dpo.max_length and the model")


def test_no_pair_left_is_an_error_that_names_the_file(settings: config.Settings) -> None:
    with pytest.raises(InputError, match=r"pairs.jsonl: all 4 pairs are too long, the first with 34 tokens"):
        train.run(with_train(settings, max_length=5), "m1")
    assert not paths.model("m1").exists()


@pytest.mark.parametrize(
    ("reasons", "said"),
    [
        ([], "0 were dropped (no reasons)"),
        (["unparsed", "identical", "unparsed"], "3 were dropped (unparsed 2, identical 1)"),
    ],
)
def test_no_pair_made_is_an_error_that_says_why(settings: config.Settings, reasons: list[str], said: str) -> None:
    folder = paths.pairs("m1")
    (folder / paths.PAIRS).write_bytes(b"")
    kept = {"stage": "pairs", "lang": "es", "other_lang": "en", "detail": ""}
    drops = [Drop(prompt_id=f"p{number}", reason=reason, **kept) for number, reason in enumerate(reasons)]
    write_rows(folder / paths.DROPS, drops)
    with pytest.raises(InputError) as caught:
        train.run(settings, "m1")
    assert str(caught.value) == (
        f"data/m1/pairs/pairs.jsonl: no pair was made; {said}, each with its reason in data/m1/pairs/drops.jsonl"
    )
