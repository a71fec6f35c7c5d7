"""The progress bar that vLLM updates; needs no vLLM."""

from __future__ import annotations

import os
import subprocess
import sys

# Like vLLM, which divides by the bar's elapsed time.
SCRIPT = """
from lidr.engines.vllm import _bar_class

done = []
bar = _bar_class()(done.append, total=2, desc="Processed prompts", dynamic_ncols=True)
for _ in range(2):
    bar.update(1)
assert bar.format_dict["elapsed"] > 0
print(done)
"""


def test_progress_is_counted_where_bars_are_switched_off() -> None:
    """In a process of its own, since tqdm reads its variable on import."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env={**os.environ, "TQDM_DISABLE": "1"}, capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("[1, 1]\n", "")
