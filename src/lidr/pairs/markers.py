"""Markers: what the pipeline itself may leave in a text.

    >>> markers("Son 59.</translated>")
    ('</translated>',)

Tags of the translation request and of reasoning, special tokens of chat templates (`<|im_end|>`, or with DeepSeek's
full-width bars), and sentences about the translation.
"""

from __future__ import annotations

import re

MARKERS = (
    r"</?translated>",
    r"</?translation>",
    r"</?sentence>",
    r"Translation Error",
    r"Here is the translation",
    r"</?think>",
    r"<[|\uff5c][\w\u2581-]{2,40}[|\uff5c]>",
    r"</?s>",
    r"<(?:start|end)_of_turn>",
    r"\[/?INST\]",
)

_MARKER = re.compile("|".join(MARKERS), re.IGNORECASE)


def markers(text: str) -> tuple[str, ...]:
    """The distinct markers in a text, in lower case."""
    # Each marker has one of these, and most texts have none: the search would take 50 times as long.
    if not ("<" in text or "[" in text or "transl" in text.casefold()):
        return ()
    return tuple(dict.fromkeys(match[0].lower() for match in _MARKER.finditer(text)))
