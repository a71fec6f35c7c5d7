"""Runs lm-evaluation-harness's tasks on a model of the pipeline.

    >>> ask(settings, "m1")["samples"]["lab_sums_en"][0]["acc"]
    1.0

What `lm_eval.simple_evaluate` does with these arguments, item for item, but for its report on the machine, which takes
seconds and is no part of the results. The model is loaded as for generation and answers through transformers, whatever
the engine; its tokenizer renders chats as everywhere else.
"""

from __future__ import annotations

import logging
import os
import random
import sys
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from lidr import config
from lidr.chat import open_chat
from lidr.errors import InputError, LidrError
from lidr.evaluation.harness import Harness
from lidr.models import policy

if TYPE_CHECKING:
    from lm_eval.tasks import TaskManager

# The seeds of `simple_evaluate`: with them examples are drawn, and some tasks shuffle their choices.
SEED, OTHER_SEED = 0, 1234


def ask(settings: config.Settings, model: str) -> dict[str, Any]:
    """lm_eval's results with each item's sample.

    Raises InputError for tasks that are not there or cannot be run, LidrError where their data cannot be fetched.
    """
    if not sys.stderr.isatty():
        os.environ.setdefault("TQDM_MININTERVAL", "10")  # lm_eval's bars in a log: read when tqdm is imported
    import numpy
    import torch
    from lm_eval.evaluator import evaluate
    from transformers.utils import logging as transformers_logging

    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    harness = settings.block(Harness)
    random.seed(SEED)
    numpy.random.seed(OTHER_SEED)
    torch.manual_seed(OTHER_SEED)
    tasks = _load(harness)
    transformers_logging.set_verbosity_error()  # a prompt's length is the task's own affair
    results = evaluate(
        lm=_language_model(settings, model),
        task_dict=tasks,
        limit=harness.limit,
        bootstrap_iters=0,
        system_instruction=harness.system_instruction,
        apply_chat_template=harness.apply_chat_template,
        fewshot_as_multiturn=harness.fewshot_as_multiturn,
    )
    if results is None:
        raise LidrError("lm-evaluation-harness gave no results: this process is not the first of several")
    return dict(results)


def _load(harness: Harness) -> Any:
    manager = _task_manager(harness)
    if unknown := [task for task in harness.tasks if task not in manager.all_tasks]:
        near = get_close_matches(unknown[0], manager.all_tasks)
        hint = f"; near to it: {', '.join(near)}" if near else ""
        raise InputError(f"harness.tasks: lm-evaluation-harness has no task {unknown[0]!r}{hint}")
    try:
        loaded = manager.load(list(harness.tasks))
    except OSError as error:
        raise LidrError(f"the data of harness.tasks cannot be read or fetched: {_line(error)}") from error
    except ValueError as error:
        raise InputError(f"harness.tasks: {_line(error)}") from error
    for name, task in loaded["tasks"].items():
        if getattr(task, "UNSAFE_CODE", False) or getattr(task, "MULTIMODAL", False):
            raise InputError(f"harness.tasks: {name!r} runs a model's code or shows images; lidr asks for text alone")
        own = task.get_config("num_fewshot")
        # As `simple_evaluate`: a task that says 0 means it.
        task.set_config(key="num_fewshot", value=_fewshot(own, harness.num_fewshot))
        task.set_fewshot_seed(seed=OTHER_SEED)
    return loaded


def _fewshot(own: int | None, wanted: int | None) -> int:
    if wanted is not None and own != 0:
        return wanted
    return own or 0


def _task_manager(harness: Harness) -> TaskManager:
    """Its own tasks are indexed only where the folder has not all that are asked for: that takes most of a minute."""
    from lm_eval.tasks import TaskManager

    folder = harness.include_path
    if folder == config.LAB:
        from lidr.lab.harness import items

        folder = str(items.FOLDER)
    if folder:
        manager = TaskManager(include_defaults=False, include_path=folder)
        if set(harness.tasks) <= set(manager.all_tasks):
            return manager
    return TaskManager(include_path=folder)


def _language_model(settings: config.Settings, model: str) -> Any:
    import torch
    from lm_eval.models.huggingface import HFLM

    own_policy = policy.resolve(model)
    chat = open_chat(own_policy)
    device = policy.pick_device(settings.engine.device)
    dtype = getattr(torch, settings.engine.precision)
    loaded = policy.load_for_generation(own_policy, dtype, device)
    loaded.generation_config.eos_token_id = sorted(chat.end_ids)
    return HFLM(pretrained=loaded, tokenizer=chat.tokenizer, batch_size=settings.block(Harness).batch_size)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
