"""The bar that vLLM moves; it needs no vLLM."""

from __future__ import annotations

import os
import subprocess
import sys

# What vLLM does with the bar that it is given: it divides by the time that the bar has counted.
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
    """tqdm reads its variable where it is imported, hence the process."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env={**os.environ, "TQDM_DISABLE": "1"}, capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("[1, 1]\n", "")
