"""params.yaml as typed settings: complete, checked, with the line of whatever is wrong.

    >>> settings = load(Path("params.yaml"))
    >>> settings.train_for("m2").dpo["beta"]
    0.1

A key that is not in the file has the default of its class, and MLflow gets all values. YAML is read as DVC reads it
(YAML 1.2, by ruamel.yaml): `1e-3` is a number and `no` is Norwegian.
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
    Translate,
    TranslationServer,
    flatten,
    iteration_number,
)
from lidr.config.engines import Engine
from lidr.config.evaluation import Alpaca, Baseline, Harness, Judge, LabJudge, LocalJudge, Mgsm, OpenAIJudge
from lidr.config.reading import load
from lidr.config.section import DATE, GENERATOR, HUB, LAB, RULE
from lidr.config.training import Train

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
