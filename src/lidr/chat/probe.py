"""Checks of a model's chat template on a few conversations, before `lidr base` accepts the model.

    generation also ends at <|eot_id|>: it ends a turn, and the model's files do not list it

Each check names what is wrong in one line and, where there is one, the argument of `base.template` that fixes it.
"""

from __future__ import annotations

from lidr.chat import reasoning
from lidr.chat.conversation import QUESTION, Chat
from lidr.chat.template import reads
from lidr.errors import InputError
from lidr.records.prompt_templates import OPENING_TAG

# Answers that begin with a digit, a letter of three scripts, markdown and white space.
ANSWERS = (
    "59",
    "The answer is 59.",
    "La respuesta es 59.\n\n- uno\n- dos",
    "Ответ: 59.",
    "答えは59です。",
    "## 1\ntext",
)


def probe(chat: Chat) -> list[str]:
    """Remarks on this chat template for the user; raises InputError where it cannot be used."""
    _check_text_appears(chat)
    _check_no_open_thinking(chat)
    for answer in ANSWERS:
        # A small vocabulary need not have all scripts.
        if str(chat.tokenizer.decode(chat.encode(answer))).strip() == answer:
            _check_answer(chat, answer)
    _check_continuation(chat)
    return _notes(chat)


def _check_text_appears(chat: Chat) -> None:
    """Templates for images expect parts, and write nothing for plain text."""
    mark = "lidr-probe-59"
    if mark not in chat.render([{"role": "user", "content": mark}], open_turn=True):
        raise InputError("the chat template leaves a user's text out; one for plain text is expected", chat.place)


def _check_no_open_thinking(chat: Chat) -> None:
    opened = reasoning.is_open(chat.render(QUESTION, open_turn=True))
    if opened is None:
        return
    advice = "none of its arguments switches this off, so another model is expected"
    if switch := _switch(chat):
        advice = f"set base.template: {{{switch}: false}}"
    raise InputError(
        f"the chat template opens a thinking block ({opened}) in each prompt, within which answers would be trained: "
        + advice,
        chat.place,
    )


def _check_answer(chat: Chat, answer: str) -> None:
    """What training sees is, token for token, the prompt of generation and what the model would write after it."""
    prompt, written = chat.prompt_ids(QUESTION), chat.answer_ids(QUESTION, answer)
    if written[-1] not in chat.end_ids:
        raise InputError("an answer's turn does not end in a token at which generation ends", chat.place)
    text = chat.tokenizer.decode([*prompt, *written[:-1]], skip_special_tokens=False)
    whole = chat.encode(chat.prompt_and_answered(QUESTION, answer)[1])
    found = chat.read(written[:-1])
    if (
        text != chat.tokenizer.decode(whole, skip_special_tokens=False)
        or found.text.strip() != answer.strip()
        or found.reasoning
    ):
        raise InputError(
            f"the answer {answer!r} does not come back from its token ids: {found.text!r}; "
            "the tokenizer and its chat template do not fit each other",
            chat.place,
        )


def _check_continuation(chat: Chat) -> None:
    """A translation is asked for with the assistant's turn begun; the prompt must end in exactly that."""
    begun = chat.render([*QUESTION, {"role": "assistant", "content": OPENING_TAG}], open_turn=True)
    if not begun.endswith(OPENING_TAG):
        raise InputError(f"the chat template cannot continue a begun turn: it ends in {begun[-20:]!r}", chat.place)


def _notes(chat: Chat) -> list[str]:
    notes = []
    if chat.added_end is not None:
        notes.append(f"generation also ends at {chat.added_end}: it ends a turn, and the model's files do not list it")
    if reasoning.split(chat.answer_header) is not None and (switch := _switch(chat)):
        notes.append(
            "the model may think before it answers, and only its answers become pairs; "
            f"base.template: {{{switch}: false}} asks it not to think"
        )
    return notes


def _switch(chat: Chat) -> str | None:
    """The argument of the chat template that switches thinking off, found by setting each to false."""
    usual = chat.render(QUESTION, open_turn=True)
    for name in sorted(reads(chat.tokenizer.get_chat_template())):
        try:
            text = chat.render(QUESTION, open_turn=True, **{name: False})
        except InputError:
            continue
        if text != usual and reasoning.is_closed(text):
            return name
    return None
