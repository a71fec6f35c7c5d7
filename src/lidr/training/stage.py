"""Stage `train`: one iteration of preference optimisation on LoRA weights, with TRL's DPOTrainer and PEFT.

    $ lidr train m1
    train m1: 2,117 pairs, 67 steps; loss 1.52 -> 0.61, reward accuracy 0.60 -> 0.93; 97 held out: loss 1.6 -> 0.7, ...

The loss of a pair (the paper, section 2.3; y_w chosen, y_l rejected, pi the policy, ref the model before), where
`train.dpo.loss_type` may put another of TRL's losses in the first term's place:

    -log sigmoid(beta * [log pi(y_w|x)/ref(y_w|x) - log pi(y_l|x)/ref(y_l|x)]) - alpha * log pi(y_w|x) / |y_w|

`train.objective: sft` is the last term alone, without alpha: it needs no rejected answer and no reference.

The first iteration puts a new adapter on the base. A later one continues training the previous adapter, with a frozen
copy of it as the reference, so that M_t is always the base plus the one folder models/m<t>:

    models/m1/adapter_model.safetensors  adapter_config.json  lidr.json  metrics.json  log.csv  drops.jsonl
    models/m1/first_pair.txt             a pair as the model saw it, with all special tokens

With `train.accelerate` the same runs in several processes (lidr/training/launcher.py), of which the first one writes.
A killed run resumes from its last checkpoint (training/checkpoints.py) and gives the same bytes.
"""

from __future__ import annotations

import math
import shutil
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from lidr import config, paths
from lidr.chat import Chat, open_chat
from lidr.errors import InputError
from lidr.models import policy
from lidr.models.policy import AdapterRecord, Policy
from lidr.records import Drop, DropReason, Pair
from lidr.records.draw import is_held_out
from lidr.records.jsonl import atomic_folder, read_by_key, read_json, read_rows, write_json, write_rows, write_text
from lidr.records.rounding import rounded
from lidr.training import checkpoints, launcher
from lidr.training.history import LogMetrics, csv, ends, history
from lidr.training.packing import TokenizedPair, sides

STAGE = "train"
# Fewer pairs are not held out: their reward accuracy would have a standard error above 0.1.
FEWEST_HELD_OUT = 20


@dataclass(frozen=True)
class Trained:
    """What training did: pairs trained on and held out, those left out, and the metrics at both ends (`history.ends`).

    `layout` says whether rows were packed, or padded and why, `entries` how often the loss was logged.
    """

    pairs: int
    eval_pairs: int
    drops: list[Drop]
    steps: int
    first: dict[str, float]
    last: dict[str, float]
    layout: str
    entries: int


def run(settings: config.Settings, iteration: str, log: LogMetrics = lambda metrics, step: None) -> Trained:
    """Train the iteration's adapter and save it to models/<iteration>; `log` gets the metrics by step, live.

    Raises InputError where no pair fits `train.dpo.max_length` and the model's context, or a step's pairs cannot be
    shared out evenly among processes; LidrError where training diverges.
    """
    wanted = settings.of_iteration(iteration).train.accelerate
    file = Path(wanted) if wanted else None
    count = launcher.processes(file, settings.engine.device) if file else 1
    scratch = paths.scratch(STAGE, iteration)
    scratch.mkdir(parents=True, exist_ok=True)
    for left_over in scratch.iterdir():
        if left_over.is_file():
            left_over.unlink()
        elif left_over.name != checkpoints.FOLDER:
            shutil.rmtree(left_over)
    if file is None or launcher.is_one_process(file, count):
        trained = compute(settings, iteration, scratch, log)
    else:
        done = launcher.launch(__spec__.name, iteration, file, count, scratch, log)
        trained = msgspec.json.decode(done, type=Trained)
    shutil.rmtree(scratch, ignore_errors=True)
    return trained


def compute(settings: config.Settings, iteration: str, scratch: Path, log: LogMetrics) -> Trained:
    """What `run` does in one process, or in each of several that share the folder `scratch`."""
    import torch

    from lidr.training.arguments import arguments
    from lidr.training.callbacks import ThroughputCallback
    from lidr.training.trainer import make

    train = settings.of_iteration(iteration).train
    reference = policy.resolve(settings.iteration(iteration).previous)
    pairs_file = paths.pairs(iteration) / paths.PAIRS
    chat = open_chat(reference)
    rows, held_out, drops = _rows(pairs_file, chat, train, _most_tokens(train, reference))
    record = AdapterRecord(
        model=iteration,
        previous=reference.name,
        base=policy.resolve(paths.BASE).fingerprint,
        reference=reference.fingerprint,
        pairs=policy.file_hash(pairs_file),
        rows=len(rows),
        eval_rows=len(held_out),
    )
    folder = scratch / checkpoints.FOLDER / checkpoints.key(settings, train, record, [*rows, *held_out])
    checkpoint = checkpoints.newest(folder)
    args = arguments(train, settings, folder, _eval_steps(train, len(rows)) if held_out else None)
    # A resumed run has already logged the initial evaluation.
    args.eval_on_start = bool(held_out) and checkpoint is None
    model = policy.load_base(reference, getattr(torch, train.dtype), str(args.device))
    if reference.adapter is not None:
        model = policy.with_adapter(model, reference.adapter, is_trainable=True)
    trainer = make(model, chat.tokenizer, rows, train, args, scratch, log, held_out)
    trainer.add_callback(ThroughputCallback(rows, log))
    trainer.train(resume_from_checkpoint=checkpoint)
    weights = trainer.adapter_weights()
    log_rows = history(trainer.args, trainer.state)
    first, last = ends(log_rows)
    if launcher.is_first():
        with atomic_folder(paths.model(iteration)) as target:
            trainer.model.save_pretrained(target, selected_adapters=["default"], state_dict=weights)
            (target / "README.md").unlink(missing_ok=True)
            _normalise_adapter_config(target / "adapter_config.json")
            write_json(target / paths.RECORD, record)
            write_rows(target / paths.DROPS, drops)
            write_json(target / "metrics.json", rounded(last))
            write_text(target / "log.csv", csv(log_rows))
            write_text(target / "first_pair.txt", as_seen(chat, rows[0]))
    entries = sum("loss" in metrics for _, metrics in log_rows)
    return Trained(len(rows), len(held_out), drops, trainer.state.global_step, first, last, trainer.layout, entries)


def _most_tokens(train: config.Train, reference: Policy) -> int:
    """Most tokens of a row: `train.dpo.max_length`, or the model's context if that is shorter."""
    from transformers import AutoConfig

    found = AutoConfig.from_pretrained(reference.base, trust_remote_code=reference.trust_remote_code)
    wanted = int(train.dpo["max_length"])
    return min(wanted, policy.context_length(found) or wanted)


def _rows(
    pairs_file: Path, chat: Chat, train: config.Train, most_tokens: int
) -> tuple[list[TokenizedPair], list[TokenizedPair], list[Drop]]:
    """Token ids of the pairs to train on and of the held-out ones, and those of either that are too long."""
    pairs = list(read_by_key(pairs_file, Pair, may_be_empty=True).values())
    if not pairs:
        raise InputError(_no_pairs(pairs_file.with_name(paths.DROPS)), pairs_file)
    trained, kept = split(pairs, train.eval_share)
    supervised = train.objective == "sft"
    rows, drops = tokenize(trained, chat, most_tokens, supervised)
    held_out, too_long = tokenize(kept, chat, most_tokens, supervised)
    if not rows and drops:
        raise InputError(f"all {len(drops):,} pairs are too long, the first with {drops[0].detail}", pairs_file)
    if not rows:
        raise InputError("no pair is left to train on; `lidr audit` says why they were dropped", pairs_file)
    return rows, held_out, [*drops, *too_long]


def split(pairs: Sequence[Pair], share: float) -> tuple[list[Pair], list[Pair]]:
    """The pairs to train on, and those that are held out for an evaluation beside training; each in their order.

    All pairs of a prompt are on one side, whatever the order, the seed and the other prompts (`records.draw`).
    """
    held_out = [pair for pair in pairs if is_held_out(pair.prompt_id, share)]
    if len(held_out) < FEWEST_HELD_OUT:
        return list(pairs), []
    return [pair for pair in pairs if not is_held_out(pair.prompt_id, share)], held_out


def _eval_steps(train: config.Train, pairs: int) -> int:
    """How many steps lie between two evaluations: a share of all steps as their number, as a checkpoint has it."""
    every = train.dpo["eval_steps"]
    return int(every if every >= 1 else math.ceil(every * train.steps(pairs)))


def _no_pairs(drops_file: Path) -> str:
    """Why there are no pairs, in a line: the most frequent reasons of drops."""
    drops = list(read_rows(drops_file, Drop, may_be_empty=True))
    reasons = Counter(row.reason for row in drops).most_common(3)
    frequent = ", ".join(f"{reason} {count:,}" for reason, count in reasons) or "no reasons"
    return f"no pair was made; {len(drops):,} were dropped ({frequent}), each with its reason in {drops_file}"


def as_seen(chat: Chat, row: TokenizedPair) -> str:
    """A pair as the model sees it, from its token ids: what generation is given, then each answer with its end."""
    return "".join(
        f"---- {name}\n{chat.tokenizer.decode([*prompt, *answer], skip_special_tokens=False)}\n"
        for name, (prompt, answer) in zip(("chosen", "rejected"), sides([row]), strict=False)
    )


def tokenize(
    pairs: list[Pair], chat: Chat, most_tokens: int, supervised: bool = False
) -> tuple[list[TokenizedPair], list[Drop]]:
    """Token ids of prompt and answers, as generation sees and ends them; pairs too long are dropped.

    Supervised training has the chosen answer alone.
    """
    rows: list[TokenizedPair] = []
    drops: list[Drop] = []
    for pair in pairs:
        prompt = [{"role": m.role, "content": m.content} for m in pair.prompt]
        row = TokenizedPair(
            prompt_ids=chat.prompt_ids(prompt), chosen_ids=chat.answer_ids(prompt, pair.chosen[-1].content)
        )
        if not supervised:
            row["rejected_ids"] = chat.answer_ids(prompt, pair.rejected[-1].content)
        longest = max(len(prompt_ids) + len(answer) for prompt_ids, answer in sides([row]))
        if longest <= most_tokens:
            rows.append(row)
        else:
            drops.append(
                Drop(
                    prompt_id=pair.prompt_id,
                    lang=pair.lang,
                    other_lang=pair.other_lang,
                    stage=STAGE,
                    reason=DropReason.TOO_LONG,
                    detail=f"{longest} tokens, where {most_tokens} fit train.dpo.max_length and the model",
                )
            )
    return rows, drops


def _normalise_adapter_config(path: Path) -> None:
    """Sets are written in a random order, and the base under the path that it was loaded from: fix both."""
    values = read_json(path)
    values["target_modules"] = sorted(values["target_modules"])
    values["base_model_name_or_path"] = paths.model(paths.BASE).as_posix()
    write_json(path, dict(sorted(values.items())))


def main(iteration: str, folder: Path) -> None:
    """One of the processes that `accelerate launch` starts."""
    launcher.end_with_stage()
    folder.mkdir(parents=True, exist_ok=True)
    log = launcher.logger(folder) if launcher.is_first() else lambda metrics, step: None
    with launcher.errors_to_file(folder):
        trained = compute(config.load(), iteration, folder, log)
    if launcher.is_first():
        (folder / launcher.DONE).write_bytes(msgspec.json.encode(trained))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
