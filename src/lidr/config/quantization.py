"""`base.quantization`: BitsAndBytesConfig's keys, checked by this class of transformers.

    base: {..., quantization: {load_in_4bit: true, bnb_4bit_quant_type: nf4, bnb_4bit_use_double_quant: true}}

Other keys have the class's defaults, but for `bnb_4bit_compute_dtype`: it is the precision that the stage computes in
(`train.dtype`, the engine's).
"""

from __future__ import annotations

import importlib.util
import inspect
from typing import TYPE_CHECKING, Any

from lidr.config.section import Problem
from lidr.errors import LidrError

if TYPE_CHECKING:
    from transformers import BitsAndBytesConfig

INSTALL = "bitsandbytes is not installed: `pip install 'lidr[quantization]'`"
_TYPES = ("nf4", "fp4")


def problems(values: dict[str, Any]) -> list[Problem]:
    """What is wrong, and where in the block."""
    from transformers import BitsAndBytesConfig

    known = set(inspect.signature(BitsAndBytesConfig.__init__).parameters) - {"self", "kwargs"}
    unknown: list[Problem] = [((str(key),), "BitsAndBytesConfig has no such key") for key in values if key not in known]
    if unknown:
        return unknown
    if values.get("load_in_8bit"):
        # Its products round the activations too, so that no unquantised model is equal to it: it could not be exported.
        return [(("load_in_8bit",), "only load_in_4bit is supported")]
    if values.get("load_in_4bit") is not True:
        return [((), "load_in_4bit: true is expected")]
    if values.get("bnb_4bit_quant_type", _TYPES[0]) not in _TYPES:
        return [(("bnb_4bit_quant_type",), f"{' or '.join(_TYPES)} is expected")]
    try:
        BitsAndBytesConfig(**values)
    except (TypeError, ValueError, AttributeError) as error:
        return [((), str(error))]
    return []


def bits_and_bytes(values: dict[str, Any], dtype: Any) -> BitsAndBytesConfig:
    """The library's own object; raises LidrError where bitsandbytes is not installed."""
    from transformers import BitsAndBytesConfig

    if not is_installed():
        raise LidrError(INSTALL)
    return BitsAndBytesConfig(**{"bnb_4bit_compute_dtype": dtype} | values)


def is_installed() -> bool:
    """Whether the library that quantises is here; checking params.yaml does not need it."""
    return importlib.util.find_spec("bitsandbytes") is not None
