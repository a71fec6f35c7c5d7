"""Stage `train`: one iteration of DPO with a likelihood term, on LoRA weights, with TRL's DPOTrainer and PEFT.

    $ lidr train m1
    train m1: 2,214 pairs, 70 steps; reward accuracy 0.50 -> 0.93, loss 1.52 -> 0.61

The loss of a pair (the paper, section 2.3; y_w chosen, y_l rejected, pi the policy, ref the model before):

    -log sigmoid(beta * [log pi(y_w|x)/ref(y_w|x) - log pi(y_l|x)/ref(y_l|x)]) - alpha * log pi(y_w|x) / |y_w|

The first iteration puts a new adapter on the base. A later one goes on training the adapter before it, against a frozen
copy of that adapter as the reference, so that M_t is always the base plus the one folder models/m<t>:

    models/m1/adapter_model.safetensors  adapter_config.json  lidr.json  metrics.json  log.csv  drops.jsonl
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lidr import config, paths, policy
from lidr.jsonl import atomic_folder, read_by_key, read_json, write_json, write_rows, write_text
from lidr.policy import AdapterRecord, Policy
from lidr.records import Drop, DropReason, Pair

if TYPE_CHECKING:
    from datasets import Dataset

STAGE = "train"

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


@dataclass(frozen=True)
class Trained:
    """What training did: the number of pairs, the pairs left out, and the metrics of the first and last log."""

    pairs: int
    drops: list[Drop]
    steps: int
    first: dict[str, float]
    last: dict[str, float]


def run(settings: config.Settings, iteration: str, log: LogMetrics = lambda metrics, step: None) -> Trained:
    """Train the iteration's adapter and save it to models/<iteration>; `log` gets the metrics by step, live."""
    train = settings.train_for(iteration)
    reference = policy.resolve(settings.iteration(iteration).previous)
    pairs_file = paths.pairs(iteration) / paths.PAIRS
    pairs = list(read_by_key(pairs_file, Pair).values())
    tokenizer = policy.load_tokenizer(reference)
    model = _trainable_model(reference, train)
    rows, drops = tokenize(pairs, tokenizer, policy.end_ids(model, tokenizer), train.max_tokens)

    history: list[tuple[int, dict[str, float]]] = []

    def keep(metrics: dict[str, float], step: int) -> None:
        history.append((step, metrics))
        log(metrics, step)

    with tempfile.TemporaryDirectory(prefix="lidr-train-") as scratch:
        trainer = _trainer(model, tokenizer, rows, train, settings, Path(scratch), keep)
        trainer.train()
    record = AdapterRecord(
        model=iteration,
        previous=reference.name,
        base=policy.resolve(paths.BASE).fingerprint,
        reference=reference.fingerprint,
        pairs=policy.file_hash(pairs_file),
        rows=len(rows),
    )
    _save(trainer.model, paths.model(iteration), record, drops, history)
    return Trained(len(rows), drops, trainer.state.global_step, history[0][1], history[-1][1])


def tokenize(
    pairs: list[Pair], tokenizer: Any, end_ids: set[int], max_tokens: int
) -> tuple[list[dict[str, Any]], list[Drop]]:
    """Token ids of prompt, chosen and rejected, exactly as generation sees and ends them; pairs too long are dropped.

    The prompt is rendered by the chat template with the opening of the assistant's turn; an answer is its own tokens
    and the end of turn, without what a template may write after it.
    """
    rows: list[dict[str, Any]] = []
    drops: list[Drop] = []
    end = end_of_turn(tokenizer, end_ids)
    for pair in pairs:
        prompt = [{"role": m.role, "content": m.content} for m in pair.prompt]
        encoded = tokenizer.apply_chat_template(prompt, add_generation_prompt=True, return_dict=True)
        prompt_ids = list(encoded["input_ids"])
        chosen, rejected = (
            [*tokenizer(side[-1].content, add_special_tokens=False)["input_ids"], end]
            for side in (pair.chosen, pair.rejected)
        )
        longest = len(prompt_ids) + max(len(chosen), len(rejected))
        if longest > max_tokens:
            drops.append(
                Drop(
                    prompt_id=pair.prompt_id,
                    lang=pair.lang,
                    other_lang=pair.other_lang,
                    stage=STAGE,
                    reason=DropReason.TOO_LONG,
                    detail=f"{longest} tokens, train.max_tokens is {max_tokens}",
                )
            )
            continue
        rows.append({"prompt_ids": prompt_ids, "chosen_ids": chosen, "rejected_ids": rejected})
    return rows, drops


def end_of_turn(tokenizer: Any, end_ids: set[int]) -> int:
    """The token with which the chat template ends an assistant's turn, among those that end generation."""
    conversation = [{"role": "user", "content": "x"}, {"role": "assistant", "content": "x"}]
    rendered = list(tokenizer.apply_chat_template(conversation, return_dict=True)["input_ids"])
    return next((token for token in reversed(rendered) if token in end_ids), tokenizer.eos_token_id)


def _trainable_model(reference: Policy, train: config.Train) -> Any:
    import torch

    model = policy.load_base(reference, getattr(torch, train.dtype))
    if reference.adapter is None:
        return model
    from peft import PeftModel

    return PeftModel.from_pretrained(model, reference.adapter, is_trainable=True)


def _new_adapter(train: config.Train) -> Any:
    from peft import LoraConfig

    return LoraConfig(
        r=train.lora_rank,
        lora_alpha=train.lora_alpha,
        lora_dropout=train.lora_dropout,
        target_modules=list(train.lora_modules),
        task_type="CAUSAL_LM",
    )


def _trainer(
    model: Any,
    tokenizer: Any,
    rows: list[dict[str, Any]],
    train: config.Train,
    settings: config.Settings,
    scratch: Path,
    log: LogMetrics,
) -> Any:
    from datasets import Dataset
    from peft import PeftModel
    from transformers import PrinterCallback

    continued = isinstance(model, PeftModel)
    trainer = trainer_class()(
        model=model,
        args=_arguments(train, settings, scratch),
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
        # TRL keeps a frozen copy of an adapter that it is given, as the reference; a new one starts as the base.
        peft_config=None if continued else _new_adapter(train),
        callbacks=[_log_callback(log)],
    )
    trainer.remove_callback(PrinterCallback)
    trainer.likelihood_weight = train.alpha if train.likelihood_mean == "sequence" else 0.0
    return trainer


def _arguments(train: config.Train, settings: config.Settings, scratch: Path) -> Any:
    from trl.trainer.dpo_config import DPOConfig

    device = policy.pick_device(settings.engine.device)
    token_mean = train.likelihood_mean == "token"
    return DPOConfig(
        output_dir=str(scratch),
        loss_type=["sigmoid", "sft"] if token_mean else ["sigmoid"],
        loss_weights=[1.0, train.alpha] if token_mean else [1.0],
        beta=train.beta,
        # The reference never changes within an iteration, so its log-probabilities are computed once.
        precompute_ref_log_probs=True,
        learning_rate=train.learning_rate,
        lr_scheduler_type=train.schedule,
        warmup_steps=train.warmup_share,
        num_train_epochs=train.epochs,
        per_device_train_batch_size=train.pairs_per_device,
        gradient_accumulation_steps=train.pairs_per_step // train.pairs_per_device,
        max_length=train.max_tokens,
        max_grad_norm=train.max_gradient_norm,
        weight_decay=train.weight_decay,
        gradient_checkpointing=train.gradient_checkpointing,
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


@cache
def trainer_class() -> type:
    """TRL's DPOTrainer with our tokens and the paper's likelihood term, built on demand: its import is slow."""
    import torch
    from trl.trainer.dpo_trainer import DPOTrainer

    class PreferenceTrainer(DPOTrainer):
        """DPOTrainer on rows that are token ids already, plus alpha x the mean over answers of -log pi(y_w|x)/|y_w|.

        TRL's own `sft` term is a mean over all tokens of a micro-batch, in which long answers weigh more; the two agree
        at one pair a micro-batch.
        """

        likelihood_weight = 0.0

        def _prepare_dataset(self, dataset: Dataset, *_: Any) -> Dataset:
            return dataset

        def _compute_loss(self, model: Any, inputs: dict[str, torch.Tensor], return_outputs: bool) -> Any:
            seen: list[Any] = []
            hook = model.register_forward_hook(lambda module, arguments, outputs: seen.append(outputs))
            try:
                result = super()._compute_loss(model, inputs, return_outputs)
            finally:
                hook.remove()
            preference = result[0] if return_outputs else result
            likelihood = likelihood_loss(seen[0].log_probs, inputs["completion_mask"])
            metrics = self._metrics["train" if model.training else "eval"]
            metrics["loss/likelihood"].append(likelihood.item())
            if self.likelihood_weight:
                metrics["loss/preference"].append(preference.item())
            loss = preference + self.likelihood_weight * likelihood
            return (loss, result[1]) if return_outputs else loss

    return PreferenceTrainer


def likelihood_loss(log_probs: Any, completion_mask: Any) -> Any:
    """Mean over the chosen answers of -log pi(y_w|x) / |y_w|; shapes (2n, tokens) with the n chosen rows first."""
    mask = completion_mask[:, 1:].chunk(2)[0]
    chosen = log_probs[:, -mask.shape[1] :].chunk(2)[0]
    return -((chosen * mask).sum(1) / mask.sum(1)).mean()


def _log_callback(log: LogMetrics) -> Any:
    from transformers import TrainerCallback

    from lidr.progress import bar

    class LogCallback(TrainerCallback):
        """Passes each log on under our names, and shows the progress."""

        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.bar = bar("training", total=state.max_steps, unit="step")
            self.advance = self.bar.__enter__()

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.advance(1)

        def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.bar.__exit__(None, None, None)

        def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
            metrics = {METRIC_NAMES[key]: float(value) for key, value in (logs or {}).items() if key in METRIC_NAMES}
            if "loss" in metrics:
                log(metrics, state.global_step)

    return LogCallback()


def _save(
    model: Any, target: Path, record: AdapterRecord, drops: list[Drop], history: list[tuple[int, dict[str, float]]]
) -> None:
    with atomic_folder(target) as folder:
        model.save_pretrained(folder, selected_adapters=["default"])
        (folder / "README.md").unlink(missing_ok=True)
        _normalise_adapter_config(folder / "adapter_config.json")
        write_json(folder / paths.RECORD, record)
        write_rows(folder / paths.DROPS, drops)
        lines = [
            {"step": step} | {name: round(value, 6) for name, value in metrics.items()} for step, metrics in history
        ]
        write_json(folder / "metrics.json", lines[-1])
        write_text(folder / "log.csv", _csv(lines))


def _csv(lines: list[dict[str, float]]) -> str:
    columns = list(lines[0])
    rows = [",".join(str(line.get(column, "")) for column in columns) for line in lines]
    return "\n".join([",".join(columns), *rows]) + "\n"


def _normalise_adapter_config(path: Path) -> None:
    """Sets are written in a random order, and the base under the path that it was loaded from: fix both."""
    values = read_json(path)
    assert isinstance(values, dict)
    values["target_modules"] = sorted(values["target_modules"])
    values["base_model_name_or_path"] = paths.model(paths.BASE).as_posix()
    write_json(path, dict(sorted(values.items())))
