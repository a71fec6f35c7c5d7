"""The publisher's process: follows one journal until its stage has ended.

    $ python -m lidr.tracking .lidr/journals/train-m2-9f0c....jsonl

Exit code 0: MLflow has the whole run. 1: it has not, and standard output says why in one line.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from lidr.tracking.publish import follow


def main() -> int:
    # The stage's own work goes first where there are few cores; at its end the publisher has them to itself.
    os.nice(5)
    reason = follow(Path(sys.argv[1]))
    if reason:
        print(reason, flush=True)
    return 1 if reason else 0


if __name__ == "__main__":
    # All is said and flushed; taking MLflow's modules apart would keep the stage waiting for nothing.
    os._exit(main())
