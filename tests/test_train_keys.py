"""`train` in the libraries' own keys, and iterations with values of their own: accepted values and errors."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from factories import ROOT, edited

from lidr import config
from lidr.errors import InputError

LAST_ITERATION = "  m2:\n    previous: m1\n    data: m2"


def load(folder: Path, text: str) -> config.Settings:
    path = folder / "params.yaml"
    path.write_text(text, encoding="utf-8")
    return config.load(path)


# (text in params.yaml, its replacement, beginning of the line in the error, message)
WRONG = {
    "iteration's train: no such choice": (
        LAST_ITERATION,
        "  m2:\n    previous: m1\n    data: m2\n    train: {dpo: {lr_scheduler_type: step}}",
        "    train",
        "iterations.m2.train.dpo.lr_scheduler_type: 'step' is none of constant, linear, cosine, cosine_with_restarts, "
        "polynomial, constant_with_warmup, inverse_sqrt, cosine_with_min_lr, cosine_warmup_with_min_lr, "
        "warmup_stable_decay",
    ),
    "key that DPOConfig does not have": (
        "    beta:",
        "    beta: 0.1\n    bata: 0.2",
        "    bata",
        "train.dpo.bata: DPOConfig has no such key",
    ),
    "value that DPOConfig does not take": (
        "    beta:",
        "    beta: 0.1\n    adam_beta2: high",
        "    adam_beta2",
        "train.dpo.adam_beta2: Expected `float`, got `str`",
    ),
    "value that DPOConfig itself refuses": (
        "    beta:",
        "    beta: 0.1\n    debug: everything",
        "  dpo",
        "train.dpo: everything is not a valid DebugOption, please select one of "
        "['underflow_overflow', 'tpu_metrics_debug']",
    ),
    "key that LoraConfig does not have": (
        "    r: 16",
        "    r: 16\n    rank: 8",
        "    rank",
        "train.lora.rank: LoraConfig has no such key",
    ),
    "value that LoraConfig does not take": (
        "    r: 16",
        "    r: 16\n    use_rslora: maybe",
        "    use_rslora",
        "train.lora.use_rslora: Expected `bool`, got `str`",
    ),
    "key that lidr derives": (
        "    beta:",
        "    beta: 0.1\n    gradient_accumulation_steps: 4",
        "    gradient_accumulation_steps",
        "train.dpo.gradient_accumulation_steps: it follows from `train.pairs_per_step`, so that a step is the same on "
        "any number of devices",
    ),
    "key that lidr sets": (
        "    beta:",
        "    beta: 0.1\n    seed: 4",
        "    seed: 4",
        "train.dpo.seed: `seed` at the top of the file is the one for everything",
    ),
    "key that would compile the model": (
        "    beta:",
        "    beta: 0.1\n    torch_compile_mode: default",
        "    torch_compile_mode",
        "train.dpo.torch_compile_mode: lidr lays out and orders the rows of a batch itself",
    ),
    "smoothing of another loss": (
        "    beta:",
        "    beta: 0.1\n    label_smoothing_factor: 0.1",
        "    label_smoothing_factor",
        "train.dpo.label_smoothing_factor: DPO's losses do not read it; theirs is `label_smoothing`",
    ),
    "another place to log to": (
        "    beta:",
        "    beta: 0.1\n    trackio_space_id: me/space",
        "    trackio_space_id",
        "train.dpo.trackio_space_id: lidr logs to MLflow itself",
    ),
    "more than LoRA weights": (
        "    r: 16",
        "    r: 16\n    use_dora: true",
        "    use_dora",
        "train.lora.use_dora: an adapter is LoRA weights of linear layers and nothing else",
    ),
    "values of another beginning": (
        "    r: 16",
        "    r: 16\n    eva_config: {rho: 2.0}",
        "    eva_config",
        "train.lora.eva_config: the ways of `init_lora_weights` that read it are refused",
    ),
    "part of the base in the adapter": (
        "    r: 16",
        "    r: 16\n    bias: all",
        "    bias",
        "train.lora.bias: an adapter is LoRA weights of linear layers and nothing else",
    ),
    "weights that change the base": (
        "    r: 16",
        "    r: 16\n    init_lora_weights: pissa",
        "    init_lora_weights",
        "train.lora.init_lora_weights: gaussian, orthogonal, true or false is expected; others change the base",
    ),
    "dropout that TRL turns off": (
        "    lora_dropout: 0.0",
        "    lora_dropout: 0.1",
        "    lora_dropout",
        "train.lora.lora_dropout: train.dpo.disable_dropout: false is expected; TRL would turn this one off too",
    ),
    "no such loss": (
        "    loss_type: sigmoid",
        "    loss_type: [sigmoid, square]",
        "    loss_type",
        "train.dpo.loss_type.1: 'square' is none of sigmoid, hinge, ipo, exo_pair, nca_pair, robust, bco_pair, "
        "sppo_hard, apo_zero, apo_down, discopop, sigmoid_norm",
    ),
    "loss of a batch": (
        "    loss_type: sigmoid",
        "    loss_type: aot",
        "    loss_type",
        "train.dpo.loss_type: aot: it sorts the pairs of a micro-batch, so that the result would depend on the number "
        "of devices",
    ),
    "the likelihood term as a loss": (
        "    loss_type: sigmoid",
        "    loss_type: [sigmoid, sft]",
        "    loss_type",
        "train.dpo.loss_type: sft: it is the likelihood term, whose weight is `train.alpha` (`likelihood_mean: token` "
        "for TRL's mean)",
    ),
    "loss without its smoothing": (
        "    loss_type: sigmoid",
        "    loss_type: exo_pair",
        "    label_smoothing",
        "train.dpo.label_smoothing: more than 0 is expected by exo_pair; its paper recommends 1e-3",
    ),
    "losses and weights": (
        "    loss_weights: null",
        "    loss_weights: [1.0, 0.5]",
        "    loss_weights",
        "train.dpo.loss_weights: a weight for each of the 1 losses is expected",
    ),
    "loss without another divergence": (
        "    loss_type: sigmoid",
        "    loss_type: sppo_hard\n    f_divergence_type: forward_kl",
        "    f_divergence_type",
        "train.dpo.f_divergence_type: only discopop, exo_pair, hinge, ipo, robust, sigmoid, sigmoid_norm can have "
        "another than reverse_kl",
    ),
    "iteration's train: shape of an adapter that is there": (
        LAST_ITERATION,
        "  m2:\n    previous: m1\n    data: m2\n    train:\n      lora: {r: 8}",
        "      lora",
        "iterations.m2.train.lora: m2 goes on training the adapter of m1, which is made already",
    ),
    "iteration's train: key of the library": (
        LAST_ITERATION,
        "  m2:\n    previous: m1\n    data: m2\n    train:\n      dpo:\n        bata: 1",
        "        bata",
        "iterations.m2.train.dpo.bata: DPOConfig has no such key",
    ),
    "iteration's pairs: another rule": (
        LAST_ITERATION,
        "  m2:\n    previous: m1\n    data: m2\n    pairs:\n      rule: implicit",
        "      rule",
        "iterations.m2.pairs.rule: stages before `pairs` ask it: data.m2.rule is its place",
    ),
    "iteration's pairs: no such key": (
        LAST_ITERATION,
        "  m2:\n    previous: m1\n    data: m2\n    pairs:\n      drop_all: true",
        "      drop_all",
        "iterations.m2.pairs.drop_all: there is no such key",
    ),
}


@pytest.mark.parametrize(("old", "new", "line", "expected"), WRONG.values(), ids=WRONG.keys())
def test_mistake_is_named_with_its_line(tmp_path: Path, old: str, new: str, line: str, expected: str) -> None:
    text = edited((old, new))
    number = next(number for number, found in enumerate(text.splitlines(), start=1) if found.startswith(line))
    with pytest.raises(InputError) as caught:
        load(tmp_path, text)
    assert str(caught.value) == f"{tmp_path}/params.yaml:{number}: {expected}"


def test_iteration_may_differ_in_training_and_pairs(tmp_path: Path) -> None:
    own = "    train: {alpha: 2, dpo: {beta: 0.5, adam_beta2: 0.95}}\n    pairs: {filters: [identical]}"
    settings = load(tmp_path, edited((LAST_ITERATION, f"{LAST_ITERATION}\n{own}")))
    assert settings.of_iteration("m1").train == settings.train
    assert settings.of_iteration("m1").pairs == settings.pairs
    train = settings.of_iteration("m2").train
    assert (train.alpha, train.lora) == (2, settings.train.lora)
    assert train.dpo == settings.train.dpo | {"beta": 0.5, "adam_beta2": 0.95}
    pairs = settings.of_iteration("m2").pairs
    assert (pairs.filters, pairs.rule) == (("identical",), settings.pairs.rule)


def test_defaults_of_the_libraries_keys_are_values_that_take_effect(tmp_path: Path) -> None:
    whole = edited()
    start, end = whole.index("  dpo: "), whole.index("mgsm:\n")
    dpo = "  dpo: {beta: 0.1, learning_rate: 1e-5, max_length: 512}\n  lora: {}\n"
    flat = config.flatten(load(tmp_path, f"{whole[:start]}{dpo}{whole[end:]}"))
    assert {name: value for name, value in flat.items() if name.startswith(("train.dpo", "train.lora"))} == {
        "train.dpo.beta": 0.1,
        "train.dpo.learning_rate": 1e-5,
        "train.dpo.max_length": 512,
        "train.dpo.loss_type": "sigmoid",
        "train.dpo.loss_weights": None,
        "train.dpo.label_smoothing": 0.0,
        "train.dpo.num_train_epochs": 1.0,
        "train.dpo.per_device_train_batch_size": 1,
        "train.dpo.lr_scheduler_type": "cosine",
        "train.dpo.warmup_steps": 0.1,
        "train.dpo.max_grad_norm": 1.0,
        "train.dpo.weight_decay": 0.0,
        "train.dpo.gradient_checkpointing": False,
        "train.dpo.disable_dropout": True,
        "train.dpo.logging_steps": 10,
        "train.dpo.eval_steps": 0.25,
        "train.dpo.save_steps": 50,
        "train.lora.r": 16,
        "train.lora.lora_alpha": 32,
        "train.lora.lora_dropout": 0.0,
        "train.lora.target_modules": "all-linear",
    }


def test_keys_that_lidr_reads_itself_import_no_library() -> None:
    code = "import sys; from lidr import config; config.load(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
