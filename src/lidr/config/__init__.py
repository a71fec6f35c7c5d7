"""params.yaml as typed settings: complete, checked, with the line of whatever is wrong.

A key that is not in the file has the default of its class, and MLflow gets all values. YAML is read as DVC reads it
(YAML 1.2, by ruamel.yaml): `1e-3` is a number and `no` is Norwegian.

`Settings` has the blocks of all benchmarks. Their packages import this one, so it is made when it is first asked for.
"""

from typing import TYPE_CHECKING, Any

from lidr.config.blocks import (
    Audit,
    Base,
    Compare,
    Data,
    Fields,
    Generate,
    Hub,
    Iteration,
    Pairs,
    Prompts,
    Scoring,
    Tracking,
    Translate,
    TranslationServer,
)
from lidr.config.engines import Engine, Precision
from lidr.config.evaluation import Baseline, Generative, Judge, LabJudge, LocalJudge, OpenAIJudge
from lidr.config.reading import load, settings_type
from lidr.config.section import DATE, GENERATOR, HUB, LAB, RULE
from lidr.config.settings import flatten, iteration_number
from lidr.config.training import Train

if TYPE_CHECKING:
    from lidr.config.settings import Settings


def __getattr__(name: str) -> Any:
    if name == "Settings":
        return settings_type()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
