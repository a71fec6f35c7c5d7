"""TRL's DPOTrainer on tokenised rows, with the paper's likelihood term and less to compute.

TRL makes the loss. What differs from its own trainer is how it gets the log-probabilities:
- rows stand one after the other, without padding, where the model allows it (packing.py);
- logits are made only where a token is scored, a part of them at a time (head.py);
- the pairs of one optimizer step are sorted by length, so that those of a micro-batch are of similar length.
None of it changes a step's pairs, or its gradient beyond rounding.

The likelihood term is a mean over each answer, as in the paper, or over all tokens of a micro-batch, in which long
answers weigh more, as TRL's own `sft` term. The two agree at one pair a micro-batch.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence, Sized
from functools import partial
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import Any
from uuid import uuid4

import torch
from accelerate.data_loader import SeedableRandomSampler
from datasets import Dataset, disable_progress_bars
from peft import PeftModel
from peft.helpers import disable_input_dtype_casting
from torch.utils.data import Sampler
from transformers import PrinterCallback
from trl.trainer import dpo_trainer
from trl.trainer.dpo_config import DPOConfig
from trl.trainer.dpo_trainer import DPOTrainer

from lidr import config
from lidr.models import targets
from lidr.training.callbacks import FiniteCallback, LogCallback, SaveCallback, check_finite
from lidr.training.checkpoints import CheckpointMixin
from lidr.training.head import ScoredPositions
from lidr.training.history import LogMetrics, first_update
from lidr.training.launcher import ALL_GPUS
from lidr.training.packing import TokenizedPair, length, pack, pad_right, why_padded
from lidr.training.scoring import IGNORED, AnswerScorer, answers

# The columns that TRL adds to the pairs.
REFERENCE = ("ref_chosen_logps", "ref_rejected_logps")


def make(
    model: Any,
    tokenizer: Any,
    pairs: list[TokenizedPair],
    train: config.Train,
    args: DPOConfig,
    scratch: Path,
    log: LogMetrics,
    held_out: Sequence[TokenizedPair] = (),
) -> PreferenceTrainer:
    """A trainer for these pairs; `model` is the base (a new adapter is put on it) or continues training its adapter.

    `args` are those of arguments.py.

    Raises InputError where `train.lora.target_modules` are not the model's. Under several processes each makes its own
    trainer, and `scratch` is the same folder for all. The trainer's `layout` says whether rows are packed or padded.
    """
    _use_one_gpu(args)
    # Since torch 2.11 cuDNN's kernel is torch's first choice on Hopper, and with a mask its gradient is NaN at widths
    # of 64 more than a multiple of 128, where a head's scores are very negative (pytorch/pytorch#196678,
    # huggingface/trl#7181): seen on an H200 with Qwen2.5-Coder-0.5B, in step 40 of 160.
    torch.backends.cuda.enable_cudnn_sdp(False)
    is_continued = isinstance(model, PeftModel)
    causal = model.get_base_model() if is_continued else model
    padded = why_padded(causal)
    lay_out = pad_right if padded else partial(pack, hidden_size=causal.config.get_text_config().hidden_size)
    if padded and args.process_index == 0:
        print(f"rows are padded: {padded}", file=sys.stderr)
    trainer = PreferenceTrainer(
        positions=ScoredPositions(causal),
        layout=f"padded: {padded}" if padded else "packed",
        train=train,
        model=model,
        args=args,
        train_dataset=_dataset(pairs, args, scratch / "rows"),
        eval_dataset=_dataset(held_out, args, scratch / "held_out") if held_out else None,
        data_collator=partial(collate, pad=tokenizer.pad_token_id, lay_out=lay_out),
        processing_class=tokenizer,
        # TRL keeps a frozen copy of an adapter that it is given, as the reference; a new one starts as the base.
        peft_config=None if is_continued else targets.lora_config(model, train.lora),
        callbacks=[LogCallback(log), FiniteCallback()],
    )
    trainer.remove_callback(PrinterCallback)
    # Untested under FSDP and DeepSpeed, whose checkpoints are in shards.
    if train.dpo["save_steps"] and not trainer.is_sharded:
        trainer.add_callback(SaveCallback(train.dpo["save_steps"]))
    keep_in_float32(trainer.model)
    return trainer


def keep_in_float32(model: Any) -> None:
    """Undo TRL's cast of a quantised base's adapter to bfloat16, in which small steps round away.

    An adapter that is trained further takes its exact values from the reference, TRL's copy of it.
    """
    if not getattr(model, "is_loaded_in_4bit", False):
        return
    weights: dict[str, Any] = dict(model.named_parameters())
    for name, weight in weights.items():
        if weight.requires_grad:
            weight.data = weights.get(name.replace(".default.", ".ref."), weight).data.float().clone()


def _use_one_gpu(args: DPOConfig) -> None:
    """Let this process train on its first GPU alone, and say so where more are visible; launched ones have one each.

    Trainer would make the model parallel over all of them (`nn.DataParallel`), which TRL refuses.
    """
    if args.n_gpu > 1:
        print(f"one of {args.n_gpu} visible GPUs trains; `train.accelerate: {ALL_GPUS}` uses all", file=sys.stderr)
        args._n_gpu = 1


def _dataset(pairs: Sequence[TokenizedPair], args: DPOConfig, folder: Path) -> Dataset:
    """The rows in a file that processes share, beside which TRL keeps the reference's values."""
    disable_progress_bars()
    with args.main_process_first(desc="rows"):
        if args.process_index == 0:
            Dataset.from_list([dict(pair) for pair in pairs]).save_to_disk(folder)
    return Dataset.load_from_disk(folder)


def collate(pairs: list[Any], pad: int, lay_out: Callable[..., dict[str, torch.Tensor]]) -> dict[str, Any]:
    """TRL's batch (two rows a pair: what the loss is laid out in), and the model's as `model_inputs` (packing.py)."""
    values = {name: torch.tensor([pair[name] for pair in pairs]) for name in REFERENCE if name in pairs[0]}
    return answers(pairs, pad) | {"model_inputs": lay_out(pairs, pad=pad)} | values


class PreferenceTrainer(CheckpointMixin, DPOTrainer):
    """DPOTrainer on rows of packing.py, plus alpha x the mean over chosen answers of -log pi(y_w|x) / |y_w|.

    For the objective `sft` this mean is the whole loss.
    """

    def __init__(self, *, layout: str, positions: ScoredPositions, train: config.Train, **arguments: Any) -> None:
        # Before TRL's own set-up, which computes the reference's log-probabilities.
        self.layout = layout
        self.positions = positions
        self.is_supervised = train.objective == "sft"
        self.alpha = train.alpha
        self.token_mean = train.likelihood_mean == "token"
        # TRL would hash all weights in float32 to name a cache that is not read again.
        dpo_trainer.hash_module = lambda module: uuid4().hex  # type: ignore[attr-defined]
        super().__init__(**arguments)

    @property
    def is_sharded(self) -> bool:
        """Whether this process holds a part of the weights only."""
        return bool(self.is_fsdp_enabled or self.is_deepspeed_enabled)

    @property
    def in_tiles(self) -> bool:
        """Whether TRL computes the log-probabilities (scoring.py)."""
        return self.is_sharded or self.accelerator.device.type == "cuda"

    def train(self, *arguments: Any, **values: Any) -> Any:
        """Train. Under autocast, PEFT's copy of each layer's input in float32 is left out: no value depends on it."""
        assert self.model is not None, "it goes only when training has ended"
        with disable_input_dtype_casting(self.model, active=self.accelerator.native_amp):
            return super().train(*arguments, **values)

    def floating_point_ops(self, inputs: dict[str, torch.Tensor]) -> int:
        """0: Trainer's estimate visits all parameters in each step, and is not read."""
        return 0

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """The learning rate's schedule; a run of one step has no warm-up, whose learning rate would be 0."""
        if first_update(self.args, num_training_steps) > num_training_steps:
            if self.is_world_process_zero():
                reason = "training has one step, in which a warm-up's learning rate is 0"
                print(f"{reason}; train.dpo.warmup_steps is left out", file=sys.stderr)
            self.args.warmup_steps = 0
        return super().create_scheduler(num_training_steps, optimizer)

    def _prepare_dataset(self, dataset: Dataset, *_: Any) -> Dataset:
        return dataset

    def _precompute_ref_logps(self, dataset: Dataset, name: str, batch_size: int) -> list[dict[str, Any]]:
        """The pairs with the reference's log-probabilities, as Python's own rows: training asks for them one by one."""
        assert self.model is not None, "it goes only when training has ended"
        # PEFT creates an adapter's layers in training mode, with dropout.
        self.model.eval()
        if self.is_fsdp_enabled:
            # The model is not in its shards yet, nor on the device.
            self.model.to(self.accelerator.device)
        lengths = [length(pair) for pair in dataset.to_list()]
        order = sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True)
        rows = super()._precompute_ref_logps(dataset.select(order), name, batch_size).to_list()
        return [row for _, row in sorted(zip(order, rows, strict=True), key=itemgetter(0))]

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[int]:
        arguments = self.args
        pairs: Any = train_dataset or self.train_dataset
        assert arguments.data_seed is not None, "the settings have a seed"
        per_step = arguments.train_batch_size * arguments.gradient_accumulation_steps * arguments.world_size
        return SortedWithinSteps(pairs, [length(pair) for pair in pairs], per_step, arguments.data_seed)

    def compute_ref_log_probs(self, model: Any, inputs: dict[str, torch.Tensor]) -> Any:
        return super().compute_ref_log_probs(AnswerScorer(model, self.positions, self.in_tiles), inputs)

    def _compute_loss(self, model: Any, inputs: dict[str, torch.Tensor], return_outputs: bool) -> torch.Tensor:
        assert not return_outputs, "an evaluation asks for the loss alone"
        scorer = AnswerScorer(model, self.positions, self.in_tiles)
        metrics = self._metrics["train" if model.training else "eval"]
        if self.is_supervised:
            loss = self._supervised_loss(scorer, inputs, metrics)
        else:
            preference = super()._compute_loss(scorer, inputs, return_outputs)
            loss = self._with_likelihood(preference, scorer, inputs, metrics)
        step, steps = self.state.global_step, self.state.max_steps
        if model.training:
            check_finite("the loss", loss.detach(), step + 1, steps)
        else:
            check_finite("the held-out loss", loss.detach(), step, steps)
            # An evaluation's figures are means over batches, of which the last may be smaller: let each pair count.
            pairs = len(inputs["completion_mask"]) // (1 if self.is_supervised else 2)
            for values in metrics.values():
                values += values[-1:] * (pairs - 1)
        return loss

    def _get_grad_norm(self, model: Any, grad_norm: Any = None) -> Any:
        norm = super()._get_grad_norm(model, grad_norm=grad_norm)
        if norm is not None:
            # Clipping turns an infinite norm into gradients of 0.
            check_finite("the gradient's norm", norm, self.state.global_step + 1, self.state.max_steps)
        return norm

    def _with_likelihood(
        self, preference: torch.Tensor, scorer: AnswerScorer, inputs: dict[str, torch.Tensor], metrics: Any
    ) -> torch.Tensor:
        mask = inputs["completion_mask"][:, 1:].chunk(2)[0]
        likelihood = likelihood_loss(scorer.log_probs.chunk(2)[0], mask, self.token_mean)
        metrics["loss/likelihood"].append(self._mean_of_processes(likelihood))
        metrics["loss/preference"].append(self._mean_of_processes(preference))
        return preference + self.alpha * likelihood

    def _supervised_loss(self, scorer: AnswerScorer, inputs: dict[str, Any], metrics: Any) -> torch.Tensor:
        """The likelihood term of chosen answers, which are all that the batch has."""
        mask = inputs["completion_mask"]
        labels = inputs["input_ids"].masked_fill(mask == 0, IGNORED)
        outputs = scorer(model_inputs=inputs["model_inputs"], labels=labels, fused_lm_head=True, use_cache=False)
        scored = mask[:, 1:].bool()
        metrics["logps/chosen"].append(self._mean_of_processes(outputs.log_probs.sum(1).mean()))
        metrics["entropy"].append(self._mean_of_processes(outputs.entropy[scored].mean()))
        return likelihood_loss(outputs.log_probs, scored, self.token_mean)

    def _mean_of_processes(self, value: torch.Tensor) -> float:
        return float(self.accelerator.gather(value.detach()).mean())

    def adapter_weights(self) -> dict[str, torch.Tensor] | None:
        """The model's whole weights where processes hold shards of them, None elsewhere; all processes must ask."""
        if not self.is_sharded:
            return None
        return dict(self.accelerator.get_state_dict(self.model_wrapped))


def likelihood_loss(log_probs: torch.Tensor, mask: torch.Tensor, token_mean: bool) -> torch.Tensor:
    """Mean over the chosen answers of -log pi(y_w|x) / |y_w|, or over all their tokens; a row an answer."""
    if token_mean:
        return -log_probs[mask.bool()].mean()
    return -((log_probs * mask).sum(1) / mask.sum(1)).mean()


class SortedWithinSteps(Sampler[int]):
    """TRL's order of the pairs, but with those of one optimizer step sorted, the longest first.

    Steps keep their pairs, and the pairs of a micro-batch have similar lengths. Out-of-memory errors come at the start.
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
