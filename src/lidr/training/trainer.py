"""TRL's DPOTrainer on rows that are token ids already, with the paper's likelihood term and less to compute.

TRL makes the loss. What differs from its own trainer is how it gets the log-probabilities:
- what chosen and rejected share is computed once (packing.py), logits only where a token is scored (scoring.py);
- the rows of one optimizer step go through the device sorted by length and share lines (lines.py), so that little of a
  batch is padding;
- in float32, LoRA's layers compute by one product (lora.py).
None of it changes the gradient of a step but for rounding, nor which pairs it is made of.

And the likelihood term can be the paper's: TRL's own `sft` term is a mean over all tokens of a micro-batch, in which
long answers weigh more; the paper's is a mean over each answer. The two agree at one pair a micro-batch.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sized
from contextlib import nullcontext
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import Any

import torch
from accelerate.data_loader import SeedableRandomSampler
from datasets import Dataset
from peft import LoraConfig, PeftModel
from torch.utils.data import Sampler
from transformers import PrinterCallback, TrainerCallback
from trl.trainer.dpo_config import DPOConfig
from trl.trainer.dpo_trainer import DPOTrainer

from lidr import config, policy
from lidr.errors import InputError
from lidr.progress import bar
from lidr.training.lora import merged_products
from lidr.training.packing import ScoredPositions, TokenizedPair, check_sharing, pack
from lidr.training.scoring import PackedModel, answers, fit_at_once

# The columns that TRL adds to the pairs.
REFERENCE = ("ref_chosen_logps", "ref_rejected_logps")
LogMetrics = Callable[[dict[str, float], int], None]

# TRL's names on the left; the names that MLflow, metrics.json and log.csv carry on the right.
METRIC_NAMES = {
    "loss": "loss",
    "loss/preference": "loss_preference",
    "loss/likelihood": "loss_likelihood",
    "rewards/chosen": "reward_chosen",
    "rewards/rejected": "reward_rejected",
    "rewards/margins": "reward_margin",
    "rewards/accuracies": "reward_accuracy",
    "logps/chosen": "log_probability_chosen",
    "logps/rejected": "log_probability_rejected",
    "entropy": "entropy",
    "learning_rate": "learning_rate",
    "grad_norm": "gradient_norm",
}


def make(
    model: Any,
    tokenizer: Any,
    pairs: list[TokenizedPair],
    train: config.Train,
    settings: config.Settings,
    scratch: Path,
    log: LogMetrics,
) -> PreferenceTrainer:
    """A trainer for these pairs; `model` is the base (a new adapter is put on it) or goes on training its adapter.

    Raises InputError where the model cannot share prompts and `train.shared_prompt` is true. Under several processes
    each makes its own trainer, and `scratch` is the same folder for all.
    """
    ScoredPositions(_causal_model(model).base_model)
    if train.shared_prompt:
        check_sharing(model, sorted(pairs, key=_length)[:2], tokenizer.pad_token_id)
    args = arguments(train, settings, scratch)
    trainer = PreferenceTrainer(
        shared_prompt=train.shared_prompt,
        at_once=fit_at_once(pairs, train.pairs_per_device, model.config.get_text_config().vocab_size),
        likelihood_weight=train.alpha if train.likelihood_mean == "sequence" else 0.0,
        model=model,
        args=args,
        train_dataset=_dataset(pairs, args, scratch),
        data_collator=PackedCollator(tokenizer.pad_token_id, train.shared_prompt),
        processing_class=tokenizer,
        # TRL keeps a frozen copy of an adapter that it is given, as the reference; a new one starts as the base.
        peft_config=None if isinstance(model, PeftModel) else _new_adapter(train),
        callbacks=[LogCallback(log)],
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def arguments(train: config.Train, settings: config.Settings, scratch: Path) -> DPOConfig:
    """The `train` block in TRL's words; every value that is not in the block is fixed here."""
    device = policy.pick_device(settings.engine.device)
    token_mean = train.likelihood_mean == "token"
    return DPOConfig(
        output_dir=str(scratch),
        loss_type=["sigmoid", "sft"] if token_mean else ["sigmoid"],
        loss_weights=[1.0, train.alpha] if token_mean else [1.0],
        beta=train.beta,
        # The reference never changes within an iteration, so its log-probabilities are computed once.
        precompute_ref_log_probs=True,
        # Without gradients a batch needs a fraction of the memory of one that trains.
        precompute_ref_batch_size=4 * train.pairs_per_device,
        learning_rate=train.learning_rate,
        lr_scheduler_type=train.schedule,
        warmup_steps=train.warmup_share,
        num_train_epochs=train.epochs,
        per_device_train_batch_size=train.pairs_per_device,
        gradient_accumulation_steps=_batches_per_step(train),
        max_length=train.max_tokens,
        max_grad_norm=train.max_gradient_norm,
        weight_decay=train.weight_decay,
        gradient_checkpointing=train.gradient_checkpointing,
        # All that is trained takes part in every loss.
        ddp_find_unused_parameters=False,
        bf16=train.dtype == "bfloat16",
        use_cpu=device == "cpu",
        dataloader_pin_memory=device == "cuda",
        logging_steps=train.log_every_steps,
        logging_first_step=True,
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        seed=settings.seed,
        data_seed=settings.seed,
    )


def _batches_per_step(train: config.Train) -> int:
    """Micro-batches of one process in an optimizer step; `pairs_per_step` is what all processes do together."""
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    batches, rest = divmod(train.pairs_per_step, train.pairs_per_device * processes)
    if rest:
        raise InputError(
            f"train.pairs_per_step is {train.pairs_per_step}: a multiple of train.pairs_per_device "
            f"({train.pairs_per_device}) x {processes} processes is expected"
        )
    return batches


def _dataset(pairs: list[TokenizedPair], args: DPOConfig, scratch: Path) -> Dataset:
    """The rows in memory, or in a file where processes share them: TRL keeps the reference's values beside it."""
    rows, folder = Dataset.from_list([dict(pair) for pair in pairs]), scratch / "rows"
    if args.world_size == 1:
        return rows
    with args.main_process_first(desc="rows"):
        if args.process_index == 0:
            rows.save_to_disk(folder)
    return Dataset.load_from_disk(folder)


class PackedCollator:
    """TRL's batch (two rows a pair: what the loss is laid out in) beside the packed one (what is computed)."""

    def __init__(self, pad: int, shared_prompt: bool) -> None:
        self.pad = pad
        self.shared_prompt = shared_prompt

    def __call__(self, pairs: list[Any]) -> dict[str, torch.Tensor]:
        values = {name: torch.tensor([pair[name] for pair in pairs]) for name in REFERENCE if name in pairs[0]}
        return answers(pairs, self.pad) | pack(pairs, self.pad, self.shared_prompt) | values


class PreferenceTrainer(DPOTrainer):
    """DPOTrainer on packed batches, plus alpha x the mean over chosen answers of -log pi(y_w|x) / |y_w|."""

    def __init__(self, *, shared_prompt: bool, at_once: bool, likelihood_weight: float, **arguments: Any) -> None:
        # Before TRL's own set-up, which computes the reference's log-probabilities.
        self.shared_prompt = shared_prompt
        self.at_once = at_once
        self.likelihood_weight = likelihood_weight
        super().__init__(**arguments)

    def train(self, *arguments: Any, **values: Any) -> Any:
        """Train, with LoRA's products merged where this process holds whole weights."""
        sharded = self.is_fsdp_enabled or self.is_deepspeed_enabled
        with nullcontext() if sharded else merged_products(self.model):
            return super().train(*arguments, **values)

    def floating_point_ops(self, inputs: dict[str, torch.Tensor]) -> int:
        """None: Trainer's estimate goes through the parameters of all modules in each step, and no one reads it."""
        return 0

    def _prepare_dataset(self, dataset: Dataset, *_: Any) -> Dataset:
        return dataset

    def _precompute_ref_logps(self, dataset: Dataset, name: str, batch_size: int) -> list[dict[str, Any]]:
        """The pairs with the reference's log-probabilities, as Python's own rows: training asks for them one by one."""
        if self.is_fsdp_enabled:
            # The model is not in its shards yet, nor on the device.
            assert self.model is not None, "it goes only when training has ended"
            self.model.to(self.accelerator.device)
        lengths = [_length(pair) for pair in dataset.to_list()]
        order = sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True)
        rows = super()._precompute_ref_logps(dataset.select(order), name, batch_size).to_list()
        return [row for _, row in sorted(zip(order, rows, strict=True), key=itemgetter(0))]

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[int]:
        arguments = self.args
        pairs: Any = train_dataset or self.train_dataset
        assert arguments.data_seed is not None, "the settings have a seed"
        per_step = arguments.train_batch_size * arguments.gradient_accumulation_steps * arguments.world_size
        return SortedWithinSteps(pairs, [_length(pair) for pair in pairs], per_step, arguments.data_seed)

    def compute_ref_log_probs(self, model: Any, inputs: dict[str, torch.Tensor]) -> Any:
        return super().compute_ref_log_probs(PackedModel(model, self.shared_prompt, self.at_once), inputs)

    def _compute_loss(self, model: Any, inputs: dict[str, torch.Tensor], return_outputs: bool) -> Any:
        packed = PackedModel(model, self.shared_prompt, self.at_once)
        result = super()._compute_loss(packed, inputs, return_outputs)
        preference = result[0] if return_outputs else result
        likelihood = likelihood_loss(packed.log_probs, inputs["completion_mask"])
        metrics = self._metrics["train" if model.training else "eval"]
        metrics["loss/likelihood"].append(self._mean_of_processes(likelihood))
        if self.likelihood_weight:
            metrics["loss/preference"].append(self._mean_of_processes(preference))
        loss = preference + self.likelihood_weight * likelihood
        return (loss, result[1]) if return_outputs else loss

    def _mean_of_processes(self, value: torch.Tensor) -> float:
        return float(self.accelerator.gather(value.detach()).mean())

    def adapter_weights(self) -> dict[str, torch.Tensor] | None:
        """The model's whole weights where processes hold shards of them, None elsewhere; all processes must ask."""
        if not (self.is_fsdp_enabled or self.is_deepspeed_enabled):
            return None
        return dict(self.accelerator.get_state_dict(self.model_wrapped))


def likelihood_loss(log_probs: torch.Tensor, completion_mask: torch.Tensor) -> torch.Tensor:
    """Mean over the chosen answers of -log pi(y_w|x) / |y_w|; shapes (2n, tokens) with the n chosen rows first."""
    mask = completion_mask[:, 1:].chunk(2)[0]
    chosen = log_probs.chunk(2)[0]
    return -((chosen * mask).sum(1) / mask.sum(1)).mean()


class SortedWithinSteps(Sampler[int]):
    """The order in which TRL would draw the pairs, but with those of one optimizer step sorted, the longest first.

    A step is the same pairs; its micro-batches are of similar length. An out-of-memory error comes at the start.
    """

    def __init__(self, pairs: Sized, lengths: list[int], pairs_per_step: int, seed: int) -> None:
        self._order = SeedableRandomSampler(pairs, generator=torch.Generator(), data_seed=seed)
        self._lengths = lengths
        self._pairs_per_step = pairs_per_step

    def __iter__(self) -> Iterator[int]:
        order = iter(self._order)
        while step := list(islice(order, self._pairs_per_step)):
            yield from sorted(step, key=self._lengths.__getitem__, reverse=True)

    def __len__(self) -> int:
        return len(self._lengths)

    def set_epoch(self, epoch: int) -> None:
        """Accelerate's hook: each epoch has its own order."""
        self._order.set_epoch(epoch)


class LogCallback(TrainerCallback):
    """Passes each log on under our names, the last step's always among them, and shows the progress."""

    def __init__(self, log: LogMetrics) -> None:
        self._log = log

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._bar = bar("training", total=state.max_steps, unit="step") if state.is_world_process_zero else None
        self._advance = self._bar.__enter__() if self._bar else None

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self._advance:
            self._advance(1)
        control.should_log = control.should_log or state.global_step == state.max_steps

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self._bar:
            self._bar.__exit__(None, None, None)

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
        metrics = {METRIC_NAMES[key]: float(value) for key, value in (logs or {}).items() if key in METRIC_NAMES}
        if "loss" in metrics:
            self._log(metrics, state.global_step)


def _causal_model(model: Any) -> Any:
    return model.get_base_model() if isinstance(model, PeftModel) else model


def _new_adapter(train: config.Train) -> LoraConfig:
    return LoraConfig(
        r=train.lora_rank,
        lora_alpha=train.lora_alpha,
        lora_dropout=train.lora_dropout,
        target_modules=list(train.lora_modules),
        task_type="CAUSAL_LM",
    )


def _length(pair: TokenizedPair) -> int:
    return len(pair["prompt_ids"]) + len(pair["chosen_ids"]) + len(pair["rejected_ids"])
