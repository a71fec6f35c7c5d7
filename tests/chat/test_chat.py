"""Conversations as token ids: training and generation get the same ones, for the templates of many families.

The templates are those that TRL ships for its own tests, and small ones of the same kinds.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
import trl
from tokenizers import Tokenizer, models
from tokenizers_at_hand import by_bytes, by_words, chat_of
from transformers import PreTrainedTokenizerFast

from lidr.chat import AssistantTurn, Chat, fixed_template, probe
from lidr.errors import InputError

PUBLISHED = Path(trl.__file__).parent / "chat_templates"
DAY = date(2024, 7, 26)
ASKED = [{"role": "user", "content": "How many?"}]
ZEPHYR = (
    "{% for m in messages %}<|{{ m['role'] }}|>\n{{ m['content'] }}{{ eos_token }}\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)


def published(name: str, **arguments: Any) -> Chat:
    template = (PUBLISHED / f"{name}.jinja").read_text("utf-8")
    return chat_of(by_bytes(fixed_template(template, arguments, DAY)))


def written(chat: Chat, text: str = "It is 59.") -> str:
    return chat.tokenizer.decode(chat.answer_ids(ASKED, text))


@pytest.mark.parametrize(("name", "mark"), [("qwen3", "</think>"), ("gptoss", "<|message|>"), ("llama3", None)])
def test_reasoning_ends_at_a_mark_or_at_its_last_special_token(name: str, mark: str | None) -> None:
    chat = published(name)
    special = chat.tokenizer.convert_tokens_to_ids("<|message|>") if mark == "<|message|>" else None
    assert chat.reasoning_end == (special if special is not None else mark)


def test_spaces_before_punctuation_stay() -> None:
    """A tokenizer that is not byte-level BPE may be set to take them out when it decodes."""
    words = ["Comment", "ça", "va", "?", "Bien", "!"]
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="?")),
        eos_token="</s>",
        clean_up_tokenization_spaces=True,
    )
    tokenizer.chat_template = ZEPHYR
    assert tokenizer.decode([0, 1, 2, 3]) == "Comment ça va?"
    assert chat_of(tokenizer).read([0, 1, 2, 3, 4, 5]).text == "Comment ça va ? Bien !"


# ---- what an answer is, by family


@pytest.mark.parametrize(
    ("name", "arguments", "answer"),
    [
        ("qwen2_5", {}, "It is 59.<|im_end|>"),
        ("qwen3", {"enable_thinking": False}, "It is 59.<|im_end|>"),
        ("qwen3", {}, "<think>\n\n</think>\n\nIt is 59.<|im_end|>"),
        ("qwen3_5_think", {"enable_thinking": False}, "It is 59.<|im_end|>"),
        ("nemotron_3_nano", {"enable_thinking": False}, "It is 59.<|im_end|>"),
        ("llama3", {}, "It is 59.<|eot_id|>"),
        ("gemma3", {}, "It is 59.<end_of_turn>"),
        ("gemma4", {}, "It is 59.<turn|>"),
        ("phi3", {}, "It is 59.<|end|>"),
        ("gptoss", {}, "<|channel|>final<|message|>It is 59.<|return|>"),
        ("cohere", {}, "It is 59.<|END_OF_TURN_TOKEN|>"),
        ("lfm2", {}, "It is 59.<|im_end|>"),
        ("muse_glimmer", {}, " to=user<|message|>It is 59.<|eot|>"),
    ],
)
def test_an_answer_ends_where_its_template_ends_the_turn(name: str, arguments: dict[str, Any], answer: str) -> None:
    chat = published(name, **arguments)
    probe(chat)
    assert written(chat) == answer
    assert chat.answer_ids(ASKED, "It is 59.")[-1] in chat.end_ids
    # Training's sequence begins with generation's prompt, and its text is the rendered turn's.
    whole = [*chat.prompt_ids(ASKED), *chat.answer_ids(ASKED, "It is 59.")]
    turn = chat.render([*ASKED, {"role": "assistant", "content": "It is 59."}])
    assert turn.startswith(chat.tokenizer.decode(whole))
    assert chat.read(chat.answer_ids(ASKED, "It is 59.")[:-1]) == AssistantTurn("It is 59.")
    # Answers that share a part with the end token, or contain a part of it, or all.
    end = chat.tokenizer.convert_ids_to_tokens(chat.end_id)
    for text in ("", "en", "t", "of", "return", f"It is {end[:-1]}", f"It is {end} 59."):
        assert written(chat, text) == answer.replace("It is 59.", text)


def test_the_first_end_token_after_the_content_counts_not_the_last() -> None:
    """Phi-3 writes <|end|> after an answer and <|endoftext|> after the conversation."""
    template = (
        "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}<|end|>{% endfor %}"
        "{% if add_generation_prompt %}<|assistant|>{% else %}{{ eos_token }}{% endif %}"
    )
    chat = chat_of(by_bytes(template, eos="<|endoftext|>"), "<|end|>", "<|endoftext|>")
    assert written(chat) == "It is 59.<|end|>"
    assert chat.added_end is None
    assert written(chat_of(by_bytes(template, eos="<|end|>"))) == "It is 59.<|end|>", "one that stands twice, once"


def test_an_end_token_that_the_model_does_not_list_is_added_and_said() -> None:
    """The first files of Llama 3 list <|end_of_text|> alone."""
    chat = chat_of(by_bytes((PUBLISHED / "llama3.jinja").read_text("utf-8"), eos="<|end_of_text|>"))
    assert chat.added_end == "<|eot_id|>"
    assert chat.end_ids == set(chat.tokenizer.convert_tokens_to_ids(["<|eot_id|>", "<|end_of_text|>"]))
    assert probe(chat) == ["generation also ends at <|eot_id|>: it ends a turn, and the model's files do not list it"]


def test_a_template_that_ends_no_turn_ends_where_the_next_one_begins() -> None:
    """GLM's template ends no answer; its model stops at the next turn's <|user|>, which its files list."""
    template = fixed_template((PUBLISHED / "glm4moe.jinja").read_text("utf-8"), {"enable_thinking": False}, DAY)
    chat = chat_of(by_bytes(template), "<|user|>")
    assert written(chat) == "\nIt is 59.<|user|>"


def test_an_answer_begins_as_in_the_rendered_turn() -> None:
    """SentencePiece adds a space before a text on its own; after the prompt's line break there is none."""
    chat = chat_of(by_words(ZEPHYR, ["The", "answer"]))
    probe(chat)
    tokens = chat.tokenizer.convert_ids_to_tokens(chat.answer_ids(ASKED, "The answer"))
    assert tokens[0] == "The"
    assert tokens[-1] == "</s>"
    assert chat.tokenizer.tokenize("The answer")[:2] == ["▁", "The"]


def test_a_begun_turn_is_continued() -> None:
    chat = published("qwen3", enable_thinking=False)
    begun = chat.prompt_ids([*ASKED, {"role": "assistant", "content": "<translated>"}])
    assert begun[: len(chat.prompt_ids(ASKED))] == chat.prompt_ids(ASKED)
    assert chat.tokenizer.decode(begun).endswith("</think>\n\n<translated>")


# ---- reasoning


@pytest.mark.parametrize(
    ("name", "text", "answer", "reasoning"),
    [
        ("qwen3", "<think>The answer is 12? No</think>\n\nShe has 18", "She has 18", "The answer is 12? No"),
        ("qwen3", "<think>\n\n</think>\n\nShe has 18", "She has 18", ""),
        ("qwen3", "<think>Cut off", "", "Cut off"),
        ("qwen3", "She has 18", "She has 18", ""),
        ("qwen3", "Write <think> in HTML", "Write <think> in HTML", ""),
        ("qwen3", "rest of a thought</think>She has 18", "She has 18", "rest of a thought"),
        (
            "gptoss",
            "<|channel|>analysis<|message|>12? No<|end|><|start|>assistant<|channel|>final<|message|>She has 18",
            "She has 18",
            "12? No",
        ),
        (
            "gptoss",
            "<|channel|>analysis<|message|>one<|end|><|start|>assistant<|channel|>analysis<|message|>two<|end|>"
            "<|start|>assistant<|channel|>final<|message|>She has 18",
            "She has 18",
            "one\n\ntwo",
        ),
        ("gptoss", "<|channel|>commentary<|message|>hm<|end|><|start|>assistant<|channel|>anal", "", "hm"),
        ("gptoss", "<|channel|>final<|message|>She has 18", "She has 18", ""),
        ("gptoss", "<|channel|>analysis<|message|>Cut off", "", "Cut off"),
        (
            "muse_glimmer",
            " to=self<|message|>12? No<|eom|><|start|>assistant to=user<|message|>She has 18",
            "She has 18",
            "12? No",
        ),
        ("gemma4", "<|channel>thought\n12? No<channel|>She has 18", "She has 18", "12? No"),
    ],
)
def test_reasoning_is_kept_apart(name: str, text: str, answer: str, reasoning: str) -> None:
    chat = published(name)
    ids = chat.tokenizer(text, add_special_tokens=False)["input_ids"]
    assert chat.read(ids) == AssistantTurn(answer, reasoning)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("qwen3_5_think", r"opens a thinking block \(<think>\).*base.template: \{enable_thinking: false\}"),
        ("deepseek_r1_distill", "none of its arguments switches this off"),
    ],
)
def test_a_prompt_that_opens_a_thinking_block_is_refused(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        probe(published(name))


def test_a_model_that_thinks_unasked_is_said() -> None:
    assert any("base.template: {enable_thinking: false}" in note for note in probe(published("qwen3")))
    assert not any("think" in note for note in probe(published("qwen3", enable_thinking=False)))


# ---- templates that cannot be used


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{ raise_exception('roles must alternate') }}", "cannot render a conversation: roles must alternate"),
        ("{{ messages[0]['content']['text'] }}", "a user's text out|cannot render"),
        ("{% for m in messages %}{% for p in m.content if p.type %}{{ p.text }}{% endfor %}{% endfor %}", "text out"),
        ("{% if %}", "cannot render a conversation"),
        (
            "{% for m in messages %}{{ m['content'] }}{{ eos_token }}{% endfor %}"
            "{% if add_generation_prompt %}Assistant:{% endif %}",
            "writes an answer in another turn",
        ),
        (
            ZEPHYR.replace("{{ eos_token }}", "{{ eos_token }}{{ '!' if m['content'] == '59' }}"),
            "does not end every answer in the same way",
        ),
    ],
)
def test_a_template_that_cannot_be_used_is_refused_in_one_line(template: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        probe(chat_of(by_bytes(template)))
    assert "\n" not in str(error.value)
