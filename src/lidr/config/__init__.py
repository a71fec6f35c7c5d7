"""params.yaml as typed settings: complete, checked, with the line of whatever is wrong.

    >>> settings = load(Path("params.yaml"))
    >>> settings.train_for("m2").beta
    0.1

There are no defaults: a profile is a complete file, so that what a run used is what its params.yaml says. YAML is read
as DVC reads it (YAML 1.2, by ruamel.yaml): `1e-3` is a number and `no` is Norwegian.
"""

from lidr.config.blocks import (
    Audit,
    Base,
    Compare,
    Fields,
    Generate,
    Hub,
    Iteration,
    Pairs,
    Prompts,
    Score,
    Settings,
    Tracking,
    Train,
    Translate,
    TranslationServer,
    flatten,
    iteration_number,
)
from lidr.config.engines import Engine
from lidr.config.evaluation import Alpaca, Baseline, Harness, Judge, LabJudge, LocalJudge, Mgsm, OpenAIJudge
from lidr.config.reading import load
from lidr.config.section import DATE, GENERATOR, HUB, LAB, RULE

__all__ = [
    "DATE",
    "GENERATOR",
    "HUB",
    "LAB",
    "RULE",
    "Alpaca",
    "Audit",
    "Base",
    "Baseline",
    "Compare",
    "Engine",
    "Fields",
    "Generate",
    "Harness",
    "Hub",
    "Iteration",
    "Judge",
    "LabJudge",
    "LocalJudge",
    "Mgsm",
    "OpenAIJudge",
    "Pairs",
    "Prompts",
    "Score",
    "Settings",
    "Tracking",
    "Train",
    "Translate",
    "TranslationServer",
    "flatten",
    "iteration_number",
    "load",
]
