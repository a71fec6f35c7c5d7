"""The block `train` of params.yaml: TRL's keys in `dpo`, PEFT's in `lora`, and beside them what is lidr's own.

    train:
      alpha: 20.0
      dpo: {beta: 0.02, learning_rate: 7.0e-4, max_length: 256, loss_type: robust, label_smoothing: 0.1}
      lora: {r: 16, target_modules: all-linear}

`dpo` takes every key of DPOConfig and `lora` every key of LoraConfig but for those that lidr sets (training_keys.py).
The classes Dpo and Lora below are the keys that lidr reads itself, with lidr's defaults and limits.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from lidr.config.section import Count, NotNegative, Positive, Section, Share, WholeNumber

# TRL's losses of a pair. Those that compare the pairs of a micro-batch are left out: see training_keys.LOSSES_LEFT_OUT.
LossType = Literal[
    "sigmoid",
    "hinge",
    "ipo",
    "exo_pair",
    "nca_pair",
    "robust",
    "bco_pair",
    "sppo_hard",
    "apo_zero",
    "apo_down",
    "discopop",
    "sigmoid_norm",
]
# transformers' schedules, without those that wait for an evaluation.
Schedule = Literal[
    "constant",
    "linear",
    "cosine",
    "cosine_with_restarts",
    "polynomial",
    "constant_with_warmup",
    "inverse_sqrt",
    "cosine_with_min_lr",
    "cosine_warmup_with_min_lr",
    "warmup_stable_decay",
]


class Dpo(Struct, frozen=True, kw_only=True):
    """Keys of TRL's DPOConfig; any other that lidr does not set itself may stand here too, with TRL's default.

    `max_length` are the tokens of a prompt with its longer answer; a longer pair is left out. A warm-up below 1 is a
    share of all steps, and so is `eval_steps`, between the evaluations of held-out pairs. A checkpoint is made every
    `save_steps` steps, 0: none. Several losses are added up with their `loss_weights`.
    """

    beta: Positive
    learning_rate: Positive
    max_length: Count
    loss_type: LossType | tuple[LossType, ...] = "sigmoid"
    loss_weights: tuple[NotNegative, ...] | None = None
    label_smoothing: Annotated[float, Meta(ge=0, lt=0.5)] = 0.0
    num_train_epochs: Positive = 1.0
    per_device_train_batch_size: Count = 1
    lr_scheduler_type: Schedule = "cosine"
    warmup_steps: NotNegative = 0.1
    max_grad_norm: Positive = 1.0
    weight_decay: NotNegative = 0.0
    gradient_checkpointing: bool = False
    disable_dropout: bool = True
    logging_steps: Count = 10
    eval_steps: Count | Annotated[float, Meta(gt=0, lt=1)] = 0.25
    save_steps: WholeNumber = 50


class Lora(Struct, frozen=True, kw_only=True):
    """Keys of PEFT's LoraConfig; any other that lidr does not set itself may stand here too, with PEFT's default.

    `target_modules` are names of linear layers of the language model, or `all-linear` for all of them but its head.
    """

    r: Count = 16
    lora_alpha: Count = 32
    lora_dropout: Share = 0.0
    target_modules: tuple[str, ...] | Literal["all-linear"] = "all-linear"


class Train(Section, frozen=True):
    """Preference optimisation with a likelihood term, or supervised fine-tuning, on LoRA weights.

    `objective: dpo` is the loss of `train.dpo` plus `alpha` times the likelihood term of the paper's equation 4;
    `sft` is the likelihood term alone, on the chosen answers. Its mean is over each answer (`sequence`) or over all
    tokens of a micro-batch (`token`, as TRL's own `sft` loss). `pairs_per_step` is the batch of one optimizer step on
    all devices together. `accelerate` is a file of accelerate's own settings, or null for one process. `eval_share` of
    the prompts are held out.
    """

    alpha: NotNegative
    dpo: dict[str, Any]
    lora: dict[str, Any] = msgspec.field(default_factory=dict)
    objective: Literal["dpo", "sft"] = "dpo"
    likelihood_mean: Literal["sequence", "token"] = "sequence"
    pairs_per_step: Count = 8
    dtype: Literal["float32", "bfloat16"] = "float32"
    accelerate: str | None = None
    eval_share: Annotated[float, Meta(ge=0, le=0.5)] = 0.05

    def __post_init__(self) -> None:
        """Fill in lidr's defaults, so that the block has the values that take effect."""
        msgspec.structs.force_setattr(self, "dpo", _defaults(Dpo) | self.dpo)
        msgspec.structs.force_setattr(self, "lora", _defaults(Lora) | self.lora)

    @property
    def loss_types(self) -> list[str]:
        """`train.dpo.loss_type` as the list that TRL has."""
        given = self.dpo["loss_type"]
        return [given] if isinstance(given, str) else list(given)

    def steps(self, pairs: int) -> int:
        """Optimizer steps of training on so many pairs; the last one of an epoch may have fewer."""
        return math.ceil(self.dpo["num_train_epochs"] * math.ceil(pairs / self.pairs_per_step))


def _defaults(kind: type[Struct]) -> dict[str, Any]:
    return {field.name: field.default for field in msgspec.structs.fields(kind) if not field.required}
