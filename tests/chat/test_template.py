"""Arguments and the date of a chat template: written into it once, and fixed."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
import trl
from tokenizers_at_hand import by_bytes, chat_of
from transformers.utils import chat_template_utils

from lidr.chat import fixed_template
from lidr.errors import InputError

PUBLISHED = Path(trl.__file__).parent / "chat_templates"
DAY = date(2024, 7, 26)
ASKED = [{"role": "user", "content": "How many?"}]
GRANITE = "{{ 'Today\\'s Date: ' + strftime_now('%B %d, %Y') }}{% for m in messages %}{{ m['content'] }}{% endfor %}"


def rendered(template: str) -> str:
    return chat_of(by_bytes(template)).render(ASKED, open_turn=True)


@pytest.fixture(params=["2025-01-02", "2031-12-31"])
def today(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the clock of chat templates to another day."""

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime.fromisoformat(request.param)

    monkeypatch.setattr(chat_template_utils, "datetime", Clock)
    chat_template_utils._compile_jinja_template.cache_clear()


@pytest.mark.parametrize(
    ("template", "line"),
    [
        ((PUBLISHED / "llama3_2.jinja").read_text("utf-8"), "Today Date: 26 Jul 2024"),
        ((PUBLISHED / "gptoss.jinja").read_text("utf-8"), "Current date: 2024-07-26"),
        (GRANITE, "Today's Date: July 26, 2024"),
    ],
    ids=["Llama 3.2", "GPT-OSS", "Granite"],
)
@pytest.mark.usefixtures("today")
def test_the_date_is_the_same_on_every_day(template: str, line: str) -> None:
    assert line not in rendered(template)
    assert line in rendered(fixed_template(template, {}, DAY))


def test_a_template_without_arguments_and_date_stays_as_it_is() -> None:
    template = (PUBLISHED / "qwen2_5.jinja").read_text("utf-8")
    assert fixed_template(template, {}, DAY) == template


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("a'b\"ñ", "a'b\"ñ"),
        (["x", False, None, 3], "['x', False, None, 3]"),
        ({"😀": "ñ"}, "{'😀': 'ñ'}"),
    ],
)
def test_an_argument_has_its_value(value: Any, shown: str) -> None:
    assert rendered(fixed_template("\n {{ option }}{% if x %}{% endif %}", {"option": value}, DAY)) == f"\n {shown}"


def test_an_argument_reaches_macros_and_loops() -> None:
    template = "{% macro m() %}{{ option }}{% endmacro %}{% for _ in messages %}{{ m() }}{{ option }}{% endfor %}"
    assert rendered(fixed_template(template, {"option": 7}, DAY)) == "77"


@pytest.mark.parametrize("name", ["messages", "add_generation_prompt", "strftime_now", "not a name"])
def test_what_the_renderer_passes_cannot_be_set(name: str) -> None:
    with pytest.raises(InputError, match="is no argument that can be set"):
        fixed_template("{{ messages }}", {name: 1}, DAY)


def test_an_argument_that_is_never_read_is_refused() -> None:
    template = (PUBLISHED / "qwen3.jinja").read_text("utf-8")
    with pytest.raises(InputError, match=r"never reads 'enable_thinkin'; its arguments: .*enable_thinking"):
        fixed_template(template, {"enable_thinkin": False}, DAY)
