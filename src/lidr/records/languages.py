"""Languages by BCP-47 code: names and number conventions from babel's CLDR data, for any language that it knows.

>>> english_name("es"), english_name("zh-Hant"), decimal_mark("de")
('Spanish', 'Chinese (Traditional)', ',')
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from lidr.errors import InputError

if TYPE_CHECKING:
    from babel import Locale


@cache
def locale(code: str) -> Locale:
    """babel's locale of a BCP-47 code; raises InputError where CLDR has none."""
    from babel import Locale, UnknownLocaleError

    try:
        # babel itself ignores what follows a dot or an @; a code becomes part of file names.
        if re.fullmatch(r"[A-Za-z0-9]+(-[A-Za-z0-9]+)*", code, re.ASCII):
            return Locale.parse(code, sep="-")
    except (ValueError, UnknownLocaleError):
        pass
    raise InputError(f"{code!r} is no language that CLDR knows; a BCP-47 code such as 'de' is expected")


def primary(code: str) -> str:
    """The language of a code that may name a script or a region as well: zh of zh-Hant."""
    return code.split("-")[0].lower()


def english_name(code: str) -> str:
    """The language's name in English, as the wordings use it."""
    name = locale(code).get_display_name("en")
    if not name:
        raise InputError(f"CLDR has no English name for the language {code!r}")
    return name


def native_name(code: str) -> str:
    """The language's name in itself."""
    return locale(code).get_display_name() or english_name(code)


def decimal_mark(code: str) -> str:
    """The mark between whole and fraction: '.' or ','."""
    from babel.numbers import get_decimal_symbol

    return get_decimal_symbol(locale(code))


def language_names(code: str) -> set[str]:
    """What all languages are called in this one, by their ISO 639-1 codes."""
    return {name for tag, name in locale(code).languages.items() if len(tag) == 2}
