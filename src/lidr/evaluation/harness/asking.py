"""Runs lm-evaluation-harness's tasks on a model of the pipeline, by its `simple_evaluate`.

The model is loaded as for generation and runs on transformers, whatever the engine. Its tokenizer renders chats as
everywhere else.
"""

from __future__ import annotations

import logging
import os
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


def ask(settings: config.Settings, model: str) -> dict[str, Any]:
    """lm_eval's results with each item's sample.

    Raises InputError for tasks that do not exist or cannot run, LidrError if their data cannot be fetched.
    """
    if not sys.stderr.isatty():
        os.environ.setdefault("TQDM_MININTERVAL", "10")  # for lm_eval's bars in a log; tqdm reads it on import
    from lm_eval import evaluator
    from transformers.utils import logging as transformers_logging

    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    harness = settings.block(Harness)
    manager = _task_manager(harness)
    if unknown := [task for task in harness.tasks if task not in manager.all_tasks]:
        near = get_close_matches(unknown[0], manager.all_tasks)
        hint = f"; near to it: {', '.join(near)}" if near else ""
        raise InputError(f"harness.tasks: lm-evaluation-harness has no task {unknown[0]!r}{hint}")
    evaluator.add_env_info = lambda results: None  # the report on the machine takes seconds and is not used
    loaded = _language_model(settings, model)
    transformers_logging.set_verbosity_error()  # no warnings on prompt lengths, which are the task's choice
    try:
        results = evaluator.simple_evaluate(
            loaded,
            tasks=list(harness.tasks),
            task_manager=manager,
            num_fewshot=harness.num_fewshot,
            limit=harness.limit,
            bootstrap_iters=0,
            system_instruction=harness.system_instruction,
            apply_chat_template=harness.apply_chat_template,
            fewshot_as_multiturn=harness.fewshot_as_multiturn,
        )
    except OSError as error:
        raise LidrError(f"the data of harness.tasks cannot be read or fetched: {_line(error)}") from error
    except ValueError as error:
        raise InputError(f"harness.tasks: {_line(error)}") from error
    assert results is not None, "only the first of several processes has results, and this one is alone"
    return dict(results)


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
    return HFLM(
        pretrained=loaded,
        tokenizer=chat.tokenizer,
        batch_size=settings.block(Harness).batch_size,
        think_end_token=chat.reasoning_end,
    )


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
