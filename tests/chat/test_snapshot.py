"""`lidr base` and chat templates: models/m0 has one fixed template, which its fingerprint covers."""

from __future__ import annotations

import json
import shutil
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest

from lidr import config, paths
from lidr.chat import open_chat
from lidr.errors import InputError
from lidr.models import base, policy
from lidr.models import folder as model

LAB = model.locate(config.Base(model="lab"))
THINKS = (
    "{{ bos_token }}{{ strftime_now('%Y') }}"
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}{{ eos_token }}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% if effort is defined %}{{ effort }}{% endif %}{% endif %}"
)
ASKED = [{"role": "user", "content": "7 + 5?"}]


@pytest.fixture
def own(root: Path) -> Path:
    """The lab's base with a chat template that asks for the date and has an argument."""
    folder = root / "own"
    shutil.copytree(LAB, folder)
    (folder / "chat_template.jinja").write_text(THINKS, "utf-8")
    return folder


def snapshot(folder: Path, **values: Any) -> policy.Policy:
    whole = config.load()
    block = msgspec.structs.replace(whole.base, model=str(folder), **values)
    base.run(msgspec.structs.replace(whole, base=block))
    return policy.resolve("m0")


def test_the_template_of_m0_has_the_date_and_the_arguments(own: Path) -> None:
    found = snapshot(own, date=date(2026, 3, 5))
    record = json.loads((paths.model("m0") / "lidr.json").read_text("utf-8"))
    assert (record["template"], record["date"], record["end_ids"]) == ({}, "2026-03-05", [2])
    assert "2026" in open_chat(found).render(ASKED)
    assert (own / "chat_template.jinja").read_text("utf-8") == THINKS


def test_arguments_and_date_are_in_the_fingerprint(own: Path) -> None:
    plain = snapshot(own).fingerprint
    assert snapshot(own).fingerprint == plain
    assert snapshot(own, date=date(2026, 3, 5)).fingerprint != plain


def test_a_template_in_the_tokenizer_s_config_is_replaced(own: Path) -> None:
    (own / "chat_template.jinja").unlink()
    path = own / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | {"chat_template": THINKS}), "utf-8")
    found = snapshot(own)
    assert "2024" in open_chat(found).render(ASKED)
    assert "chat_template" not in json.loads((paths.model("m0") / "tokenizer_config.json").read_text("utf-8"))


def test_an_argument_that_hides_the_answer_s_beginning_is_refused(own: Path) -> None:
    with pytest.raises(InputError, match="writes an answer in another turn than the one it prompts for"):
        snapshot(own, template={"effort": "low"})


def test_several_templates_without_a_default_are_refused(own: Path) -> None:
    (own / "chat_template.jinja").unlink()
    path = own / "tokenizer_config.json"
    named = [{"name": "tool_use", "template": THINKS}, {"name": "rag", "template": THINKS}]
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | {"chat_template": named}), "utf-8")
    with pytest.raises(InputError, match="several chat templates, and none is named 'default'"):
        snapshot(own)


@pytest.mark.parametrize("template", ["{% if %}", "{% for m in messages %}{{ m.content.parts }}{% endfor %}"])
def test_a_template_that_does_not_work_is_refused_before_the_weights_are_read(own: Path, template: str) -> None:
    (own / "chat_template.jinja").write_text(template, "utf-8")
    (own / "model.safetensors").unlink()
    with pytest.raises(InputError, match="chat template"):
        snapshot(own)
