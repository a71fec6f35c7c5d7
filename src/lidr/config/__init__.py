"""params.yaml as typed settings: complete, checked, with the line of whatever is wrong.

    >>> settings = load(Path("params.yaml"))
    >>> settings.train_for("m2").beta
    0.1

There are no defaults: a profile is a complete file, so that what a run used is what its params.yaml says. YAML is read
as DVC reads it (YAML 1.2, by ruamel.yaml): `1e-3` is a number and `no` is Norwegian.
"""

from lidr.config.blocks import (
    DATE,
    GENERATOR,
    HUB,
    LAB,
    RULE,
    Alpaca,
    Audit,
    Base,
    Baseline,
    Compare,
    Engine,
    Fields,
    Generate,
    Harness,
    Hub,
    Iteration,
    Judge,
    LabJudge,
    LocalJudge,
    Mgsm,
    OpenAIJudge,
    Pairs,
    Prompts,
    Ray,
    Server,
    Settings,
    Tracking,
    Train,
    Translate,
    Vllm,
    flatten,
    iteration_number,
)
from lidr.config.reading import load

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
    "Ray",
    "Server",
    "Settings",
    "Tracking",
    "Train",
    "Translate",
    "Vllm",
    "flatten",
    "iteration_number",
    "load",
]
