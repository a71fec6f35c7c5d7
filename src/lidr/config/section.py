"""What all blocks of params.yaml are made of: their base class and the kinds of numbers and names.

class Compare(Section, frozen=True):
    confidence: Annotated[float, Meta(gt=0, lt=1)] = 0.95
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date
from typing import TYPE_CHECKING, Annotated, ClassVar

from msgspec import Meta, Struct

if TYPE_CHECKING:
    from lidr.config.settings import Settings

# The upper limits keep out what no library takes for a size or a seed.
Count = Annotated[int, Meta(ge=1, le=10**12)]
WholeNumber = Annotated[int, Meta(ge=0, le=2**32 - 1)]
# The upper limit keeps `.inf` out.
Positive = Annotated[float, Meta(gt=0, le=1e9)]
NotNegative = Annotated[float, Meta(ge=0, le=1e9)]
Share = Annotated[float, Meta(ge=0, le=1)]
MODEL_NAME = r"^m(0|[1-9][0-9]{0,3})$"
ModelName = Annotated[str, Meta(pattern=MODEL_NAME)]
DATA_NAME = r"^m[1-9][0-9]{0,3}(-[a-z0-9]+)*$"
DataName = Annotated[str, Meta(pattern=DATA_NAME)]
# Whose outputs are published: a name, or OWNER/MODEL. It becomes part of paths.
GENERATOR = r"\w[\w.+-]*(/\w[\w.+-]*)?"
Languages = tuple[str, ...]
# Words in params.yaml that are no paths.
LAB, HUB, RULE = "lab", "hub:", "rule"
# What stands for today in chat templates that ask for the date: the day that Llama 3.2's own template falls back to.
DATE = date(2024, 7, 26)

# The keys that lead to a value in params.yaml, and what is wrong with it.
Place = tuple[str, ...]
Problem = tuple[Place, str]


class Section(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Base of all blocks of params.yaml: a key without a default must be there, and no key that is not here may."""

    # Keys whose texts may have several lines; all other texts are names, paths or choices.
    free_texts: ClassVar[tuple[str, ...]] = ()

    def sources(self) -> Mapping[Place, str | None]:
        """Files and folders of the user's that are read because of the block, by their places within it."""
        return {}

    def problems(self, settings: Settings) -> Iterable[Problem]:
        """What contradicts itself in the block, or other blocks."""
        return []


class Tagged(Section, frozen=True, kw_only=True, tag_field="name"):
    """Base of blocks of several kinds, which `name` tells apart."""

    @property
    def name(self) -> str:
        """The kind's name, as params.yaml has it."""
        return str(self.__struct_config__.tag)


def address_problems(where: Place, address: str) -> list[Problem]:
    """What is wrong with a server's address, which the message does not repeat: it may hold a password."""
    if re.fullmatch(r"https?://[^\s@?#]+", address):
        return []
    return [(where, "an address such as 'https://api.openai.com/v1' is expected, without user, key or query")]
