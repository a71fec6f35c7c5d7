"""`train` in the libraries' own keys, and iterations with values of their own: accepted values and errors."""

from __future__ import annotations

import re
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


NOTHING_ELSE = "an adapter is LoRA weights of linear layers and nothing else"
LR_SCHEDULERS = (
    "constant, linear, cosine, cosine_with_restarts, polynomial, constant_with_warmup, inverse_sqrt, "
    "cosine_with_min_lr, cosine_warmup_with_min_lr, warmup_stable_decay"
)
LOSSES = (
    "sigmoid, hinge, ipo, exo_pair, nca_pair, robust, bco_pair, sppo_hard, apo_zero, apo_down, discopop, sigmoid_norm"
)

# A line that is added to `train.dpo` or `train.lora`, or that replaces the one of its key; and the error at this line.
WRONG_DPO = {
    "bata: 0.2": "bata: DPOConfig has no such key",
    "adam_beta2: high": "adam_beta2: Expected `float`, got `str`",
    "gradient_accumulation_steps: 4": "gradient_accumulation_steps: it follows from `train.pairs_per_step`, so that a "
    "step is the same on any number of devices",
    "seed: 4": "seed: `seed` at the top of the file is the one for everything",
    "torch_compile_mode: default": "torch_compile_mode: lidr lays out and orders the rows of a batch itself",
    "label_smoothing_factor: 0.1": "label_smoothing_factor: DPO's losses do not read it; theirs is `label_smoothing`",
    "trackio_space_id: me/space": "trackio_space_id: lidr logs to MLflow itself",
    "loss_type: [sigmoid, square]": f"loss_type.1: 'square' is none of {LOSSES}",
    "loss_type: aot": "loss_type: aot: it sorts the pairs of a micro-batch, so that the result would depend on the "
    "number of devices",
    "loss_type: [sigmoid, sft]": "loss_type: sft: it is the likelihood term, whose weight is `train.alpha` "
    "(`likelihood_mean: token` for TRL's mean)",
    "loss_weights: [1.0, 0.5]": "loss_weights: a weight for each of the 1 losses is expected",
}
WRONG_LORA = {
    "rank: 8": "rank: LoraConfig has no such key",
    "use_rslora: maybe": "use_rslora: Expected `bool`, got `str`",
    "use_dora: true": f"use_dora: {NOTHING_ELSE}",
    "bias: all": f"bias: {NOTHING_ELSE}",
    "eva_config: {rho: 2.0}": "eva_config: the ways of `init_lora_weights` that read it are refused",
    "init_lora_weights: pissa": "init_lora_weights: gaussian, orthogonal, true or false is expected; others change the "
    "base",
    "lora_dropout: 0.1": "lora_dropout: train.dpo.disable_dropout: false is expected; TRL would turn this one off too",
}
# Lines that are added to m2, and the error at the last of them.
WRONG_ITERATION = {
    "    train: {dpo: {lr_scheduler_type: step}}": f"train.dpo.lr_scheduler_type: 'step' is none of {LR_SCHEDULERS}",
    "    train:\n      lora: {r: 8}": "train.lora: m2 goes on training the adapter of m1, which is made already",
    "    train:\n      dpo:\n        bata: 1": "train.dpo.bata: DPOConfig has no such key",
    "    pairs:\n      rule: implicit": "pairs.rule: stages before `pairs` ask it: data.m2.rule is its place",
    "    pairs:\n      drop_all: true": "pairs.drop_all: there is no such key",
}
# Errors at a line that is not the one added: (added to `train.dpo`, the beginning of the line, the error).
WRONG_ELSEWHERE = {
    "the library's own check": (
        "debug: everything",
        "  dpo:",
        "train.dpo: everything is not a valid DebugOption, please select one of "
        "['underflow_overflow', 'tpu_metrics_debug']",
    ),
    "loss without its smoothing": (
        "loss_type: exo_pair",
        "    label_smoothing:",
        "train.dpo.label_smoothing: more than 0 is expected by exo_pair; its paper recommends 1e-3",
    ),
    "loss without another divergence": (
        "loss_type: sppo_hard\n    f_divergence_type: forward_kl",
        "    f_divergence_type:",
        "train.dpo.f_divergence_type: only discopop, exo_pair, hinge, ipo, robust, sigmoid, sigmoid_norm can have "
        "another than reverse_kl",
    ),
}


def with_line(line: str, block: str) -> str:
    """params.yaml with the line in this block of `train`, in place of one with the same key."""
    key = f"    {line.partition(':')[0]}:"
    if re.search(f"^{key}", edited(), re.MULTILINE):
        return edited((key, f"    {line}"))
    return edited((f"  {block}:", f"  {block}:\n    {line}"))


@pytest.mark.parametrize(
    ("text", "line", "expected"),
    [
        *((with_line(line, "dpo"), f"    {line}", f"train.dpo.{e}") for line, e in WRONG_DPO.items()),
        *((with_line(line, "lora"), f"    {line}", f"train.lora.{e}") for line, e in WRONG_LORA.items()),
        *((with_line(line, "dpo"), at, e) for line, at, e in WRONG_ELSEWHERE.values()),
        *(
            (edited((LAST_ITERATION, f"{LAST_ITERATION}\n{lines}")), lines.splitlines()[-1], f"iterations.m2.{e}")
            for lines, e in WRONG_ITERATION.items()
        ),
    ],
    ids=[*WRONG_DPO, *WRONG_LORA, *WRONG_ELSEWHERE, *WRONG_ITERATION],
)
def test_mistake_is_named_with_its_line(tmp_path: Path, text: str, line: str, expected: str) -> None:
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
