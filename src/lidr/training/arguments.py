"""TRL's arguments: `train.dpo` of params.yaml, and what lidr sets itself (config/training_keys.py says why)."""

from __future__ import annotations

from pathlib import Path

from trl.trainer.dpo_config import DPOConfig

from lidr import config
from lidr.errors import InputError
from lidr.models import policy
from lidr.training import launcher
from lidr.training.checkpoints import KEPT


def arguments(train: config.Train, settings: config.Settings, folder: Path, eval_steps: int | None = None) -> DPOConfig:
    """The arguments of a training whose checkpoints go to `folder`.

    Create them before the model is loaded, and keep them: under ZeRO-3, from_pretrained shards the model by them.
    Without `eval_steps` nothing is evaluated. Raises InputError where processes cannot share out a step's pairs evenly.
    """
    device = policy.pick_device(settings.engine.device)
    per_device, is_supervised = train.dpo["per_device_train_batch_size"], train.objective == "sft"
    processes = launcher.world_size()
    batches, rest = divmod(train.pairs_per_step, per_device * processes)
    if rest:
        raise InputError(
            f"train.pairs_per_step is {train.pairs_per_step}: a multiple of train.dpo.per_device_train_batch_size "
            f"({per_device}) x {processes} processes is expected"
        )
    # Without gradients a batch needs a fraction of the memory of one that trains.
    defaults = dict.fromkeys(("per_device_eval_batch_size", "precompute_ref_batch_size"), 4 * per_device)
    fixed = {
        "output_dir": str(folder),
        # The likelihood term is ours (trainer.py).
        "loss_type": ["sft"] if is_supervised else train.loss_types,
        "loss_weights": None if is_supervised else train.dpo["loss_weights"],
        # The reference never changes within an iteration, so its log-probabilities are computed once.
        "precompute_ref_log_probs": not is_supervised,
        "gradient_accumulation_steps": batches,
        "eval_strategy": "steps" if eval_steps else "no",
        "eval_steps": eval_steps,
        # Mixtures of experts: their load-balancing loss is not part of the method, and off in transformers as well.
        "router_aux_loss_coef": 0.0,
        # Every trained parameter takes part in every loss.
        "ddp_find_unused_parameters": False,
        "bf16": train.dtype == "bfloat16",
        "use_cpu": device == "cpu",
        "dataloader_pin_memory": device == "cuda",
        # Keep losses visible that are not finite (callbacks.py).
        "logging_nan_inf_filter": False,
        # Our own callback says when to save.
        "save_strategy": "no",
        "save_total_limit": KEPT,
        "report_to": [],
        "disable_tqdm": True,
        "seed": settings.seed,
        "data_seed": settings.seed,
    }
    return DPOConfig(**(defaults | train.dpo | fixed))
