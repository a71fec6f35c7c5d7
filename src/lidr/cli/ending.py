"""How the process of a command ends: as soon as all is done that is done at its end, and no later.

>>> end_at_once(lambda: 0)  # before any library is imported

Python goes on to take apart what was imported, object by object: half a second where that was torch and transformers,
after every stage, while DVC waits. The system takes all of it back at once.
"""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Callable


def end_at_once(status: Callable[[], int | None]) -> None:
    """Have the process end with this status once its threads have ended and what libraries do at exit is done.

    Where the status is None then, it ends as Python does by itself. What is registered first is called last, so this is
    for the beginning.
    """

    def leave() -> None:
        code = status()
        if code is not None:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    atexit.register(leave)
