"""Any text as a page and a figure can hold it.

>>> shown("a\x00b")
'a\ufffdb'
"""

import re

# Characters that neither HTML nor XML can hold.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


def shown(text: str) -> str:
    """The text with the replacement character for each that cannot be shown."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)
