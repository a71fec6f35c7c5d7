"""Published prompts and outputs, and a params.yaml with a judge at an endpoint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from factories import edited

Rows = list[dict[str, Any]]


def prompt_rows(count: int = 3) -> Rows:
    return [{"id": n, "dataset": "d", "instruction": f"haz {n}"} for n in range(1, count + 1)]


def output_rows(count: int = 3, generator: str = "gpt") -> Rows:
    return [
        {"generator": generator, "dataset": "d", **row, "output": f"hecho {row['id']}"} for row in prompt_rows(count)
    ]


def write(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return path


ENDPOINT = """name: openai
    model: judge-1
    endpoint: {}
    retries: 3
    prompt_price: 10
    completion_price: 30"""


def configure(
    prompts: Path, outputs: Path, generator: str, items: int, judge: str = ENDPOINT.format("http://127.0.0.1:1/v1")
) -> None:
    """Write params.yaml to the working folder: published prompts and baseline, es only, and this judge."""
    text = edited(
        ("baseline:\n  model: m0  ", f"baseline:\n  model: {generator}  "),
        ("  source: models/m0 ", f"  source: {outputs} "),
        (
            "alpaca:\n  source: lab\n  languages: [en, es, de, fr, ru, it, pt]\n  items: 250",
            f"alpaca:\n  source: {prompts}\n  languages: [es]\n  items: {items}",
        ),
        ("    name: lab  ", f"    {judge}  "),
    )
    Path("params.yaml").write_text(text, "utf-8")
