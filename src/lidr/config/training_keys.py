"""What is wrong with `train.dpo` and `train.lora`: keys and values that TRL, PEFT or lidr cannot use.

    params.yaml:42: train.dpo.bata: DPOConfig has no such key
    params.yaml:43: train.dpo.seed: `seed` at the top of the file is the one for everything

Keys that lidr reads itself are checked by its own schema. For any other the library's class is imported, and checks its
name and value: this takes seconds, but only for a file with such a key.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any, get_type_hints

import msgspec
from msgspec import Struct

from lidr.config.explanations import explain
from lidr.config.section import Problem
from lidr.config.training import Dpo, Lora, Train
from lidr.errors import one_line

Problems = Iterator[Problem]

# Keys that lidr sets itself, by the reason.
_DPO_LEFT_OUT = {
    "it follows from `train.pairs_per_step`, so that a step is the same on any number of devices": (
        "gradient_accumulation_steps",
    ),
    "`seed` at the top of the file is the one for everything": ("seed", "data_seed"),
    "`train.dtype` is the precision": ("bf16", "fp16", "bf16_full_eval", "fp16_full_eval", "tf32"),
    "`engine.device` says where training runs": ("use_cpu", "local_rank", "dataloader_pin_memory"),
    "`train.accelerate` names a file of accelerate's settings": (
        *("fsdp", "fsdp_config", "deepspeed", "accelerator_config", "parallelism_config"),
        *("ddp_find_unused_parameters", "auto_find_batch_size"),
    ),
    "`base` says how the model is loaded": ("model_init_kwargs", "trust_remote_code"),
    "`num_train_epochs` says how long training takes": ("max_steps",),
    "lidr says where files lie and when they are written": (
        *("output_dir", "save_strategy", "save_total_limit", "save_only_model", "save_on_each_node"),
        *("resume_from_checkpoint", "ignore_data_skip", "load_best_model_at_end"),
    ),
    "lidr logs to MLflow itself": (
        *("report_to", "run_name", "project", "logging_strategy", "logging_nan_inf_filter", "disable_tqdm"),
        *("trackio_space_id", "trackio_bucket_id", "trackio_static_space_id"),
    ),
    "lidr evaluates what `train.eval_share` holds out": (
        *("eval_strategy", "eval_on_start", "do_train", "do_eval", "do_predict"),
    ),
    "lidr lays out and orders the rows of a batch itself": (
        *("padding_free", "pad_to_multiple_of", "pad_token", "truncation_mode", "dataset_num_proc"),
        *("train_sampling_strategy", "length_column_name", "remove_unused_columns", "label_names"),
        *("dataloader_drop_last", "include_for_metrics", "batch_eval_metrics"),
        *("torch_compile", "torch_compile_backend", "torch_compile_mode"),
    ),
    "DPO's losses do not read it; theirs is `label_smoothing`": ("label_smoothing_factor",),
    "the reference is the model before, whose values are computed once": (
        *("precompute_ref_log_probs", "sync_ref_model", "ref_model_mixup_alpha", "ref_model_sync_steps"),
    ),
    "nothing is uploaded": (
        *("push_to_hub", "hub_model_id", "hub_strategy", "hub_token", "hub_private_repo", "hub_always_push"),
        "hub_revision",
    ),
    "it weighs by values of the whole vocabulary, which lidr does not keep": ("use_weighting",),
    "the experts' load-balancing loss is no part of the method": ("router_aux_loss_coef",),
}
_LORA_LEFT_OUT = {
    "lidr sets it": ("task_type", "peft_type", "peft_version", "inference_mode", "auto_mapping"),
    "`base` says which model it is": ("base_model_name_or_path", "revision"),
    "it follows from the model and `target_modules`": ("exclude_modules", "fan_in_fan_out"),
    "an adapter is LoRA weights of linear layers and nothing else": (
        *("modules_to_save", "trainable_token_indices", "bias", "target_parameters", "layer_replication"),
        *("lora_bias", "use_dora", "use_qalora", "qalora_group_size", "use_bdlora", "arrow_config", "kasa_config"),
        *("monteclora_config", "alora_invocation_tokens"),
    ),
    "the ways of `init_lora_weights` that read it are refused": (
        *("loftq_config", "eva_config", "corda_config", "lora_ga_config"),
    ),
}
LOSSES_LEFT_OUT = {
    **dict.fromkeys(
        ("aot", "aot_unpaired"),
        "it sorts the pairs of a micro-batch, so that the result would depend on the number of devices",
    ),
    "sft": "it is the likelihood term, whose weight is `train.alpha` (`likelihood_mean: token` for TRL's mean)",
}
# For these alone TRL has another divergence than the reverse KL.
_ANY_DIVERGENCE = {"sigmoid", "sigmoid_norm", "hinge", "ipo", "exo_pair", "robust", "discopop"}
# These begin at the base's own weights; others change the base, of which M_t is the sum with its adapter.
_INITIALISATIONS = (True, False, "gaussian", "orthogonal")


def problems(train: Train) -> Problems:
    """What is wrong with `train.dpo` and `train.lora`, and where. Later checks rely on what earlier ones refuse."""
    yield from ((("train", "dpo", *place), reason) for place, reason in _dpo_problems(train))
    yield from ((("train", "lora", *place), reason) for place, reason in _lora_problems(train))


def _dpo_problems(train: Train) -> Problems:
    given = train.dpo
    yield from _refused(given, _DPO_LEFT_OUT)
    types = given["loss_type"] if isinstance(given["loss_type"], list | tuple) else [given["loss_type"]]
    for kind in types:
        if kind in list(LOSSES_LEFT_OUT):  # a list: what stands there may have no hash
            yield ("loss_type",), f"{kind}: {LOSSES_LEFT_OUT[kind]}"
    yield from _of_schema(given, Dpo)
    yield from _loss_problems(train)
    if _passed_through(given, Dpo):
        from trl.trainer.dpo_config import DPOConfig

        # By default TRL wants bfloat16, which not every device has.
        yield from _of_library(given, Dpo, DPOConfig, bf16=False)


def _lora_problems(train: Train) -> Problems:
    lora = train.lora
    yield from _refused(lora, _LORA_LEFT_OUT)
    yield from _of_schema(lora, Lora)
    if not lora["target_modules"]:
        yield ("target_modules",), "one module or more are expected"
    if lora["lora_dropout"] and train.dpo["disable_dropout"]:
        yield ("lora_dropout",), "train.dpo.disable_dropout: false is expected; TRL would turn this one off too"
    if lora.get("init_lora_weights", True) not in _INITIALISATIONS:
        reason = f"{_INITIALISATIONS[2]}, {_INITIALISATIONS[3]}, true or false is expected; others change the base"
        yield ("init_lora_weights",), reason
    if _passed_through(lora, Lora):
        from peft import LoraConfig

        yield from _of_library(lora, Lora, LoraConfig)


def _refused(given: dict[str, Any], left_out: dict[str, tuple[str, ...]]) -> Problems:
    return (((key,), reason) for key in given for reason, keys in left_out.items() if key in keys)


def _of_schema(given: dict[str, Any], kind: type[Struct]) -> Problems:
    try:
        msgspec.convert(given, kind)
    except msgspec.ValidationError as error:
        place, reason = explain(error, given, kind)
        # A misspelt key is also one that is missing.
        near = get_close_matches(place[-1], _passed_through(given, kind)) if place and place[-1] not in given else []
        yield place, f"{reason}; {near[0]!r} is there" if near else reason


def _passed_through(given: dict[str, Any], kind: type[Struct]) -> dict[str, Any]:
    """The keys that lidr does not read itself."""
    return {key: value for key, value in given.items() if key not in kind.__struct_fields__}


def _loss_problems(train: Train) -> Problems:
    """Values that do not go with the losses."""
    given, types, weights = train.dpo, train.loss_types, train.dpo["loss_weights"]
    if not types:
        yield ("loss_type",), "one loss or more are expected"
    if weights is not None and len(weights) != len(types):
        yield ("loss_weights",), f"a weight for each of the {len(types)} losses is expected"
    if "exo_pair" in types and not given["label_smoothing"]:
        yield ("label_smoothing",), "more than 0 is expected by exo_pair; its paper recommends 1e-3"
    if given.get("f_divergence_type", "reverse_kl") != "reverse_kl" and not set(types) <= _ANY_DIVERGENCE:
        yield ("f_divergence_type",), f"only {', '.join(sorted(_ANY_DIVERGENCE))} can have another than reverse_kl"


def _of_library(given: dict[str, Any], ours: type[Struct], kind: type, **others: Any) -> Problems:
    """Each key against the class's fields, then all of them together by the class itself."""
    hints = get_type_hints(kind)
    known = {field.name for field in dataclasses.fields(kind) if field.init}
    for key, value in _passed_through(given, ours).items():
        if key not in known:
            yield (str(key),), f"{kind.__name__} has no such key"
            continue
        try:
            msgspec.convert(value, hints[key])
        except msgspec.ValidationError as error:
            yield (key,), explain(error, value, ours)[1]
        except TypeError:
            continue  # of a class of the library, which checks it below
    try:
        kind(**given | others)
    except (TypeError, ValueError, NotImplementedError, AttributeError, KeyError) as error:
        yield (), one_line(error)
