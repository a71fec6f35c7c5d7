"""Runs stages of the pipeline in the working folder, in the order of DVC's graph, in this one process.

    $ python tests/pipeline/one_process.py && dvc commit --force    # all of them
    $ python tests/pipeline/one_process.py mgsm@m1                  # one, and those that it needs

`dvc repro` starts a process for each stage, and most of these import torch and transformers for longer than they work
on a few prompts. The stages see the same environment variable as under DVC.
"""

from __future__ import annotations

import os
import sys

import networkx
from dvc.repo import Repo

from lidr.cli import main


def commands(target: str | None) -> list[str]:
    """The commands of all stages, or of one and those that it needs, in a valid order, the same at each call."""
    with Repo() as repo:
        graph = repo.index.graph
        if target is not None:
            (stage,) = repo.stage.collect(target)
            graph = graph.subgraph({stage, *networkx.descendants(graph, stage)})
        stages = networkx.lexicographical_topological_sort(graph.reverse(), lambda stage: stage.addressing)
        return [stage.cmd for stage in stages]


if __name__ == "__main__":
    os.environ["DVC_STAGE"] = "all"
    for command in commands(*sys.argv[1:] or [None]):
        main(command.split()[1:], standalone_mode=False)
