"""A model's chat template and tokenizer, used in one way by all stages.

Every id sequence comes from the rendered text of whole turns, never from an answer by itself: a tokenizer such as
SentencePiece writes a word differently at a text's beginning.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from lidr import config, paths
from lidr.chat import reasoning
from lidr.chat.template import fixed_template
from lidr.errors import InputError
from lidr.models.policy import Policy, load_tokenizer
from lidr.records.prompt_templates import Conversation

QUESTION: Conversation = [{"role": "user", "content": "Question"}]
REPLY = {"role": "assistant", "content": "Reply"}


@dataclass(frozen=True)
class AssistantTurn:
    """A model's answer, and the reasoning before it (empty where there is none)."""

    text: str
    reasoning: str = ""


class Chat:
    """Converts conversations to token ids and back, for one tokenizer.

    `listed` are the token ids that end generation according to the model's own files.
    """

    def __init__(self, tokenizer: Any, listed: Iterable[int], place: Path) -> None:
        self.tokenizer = tokenizer
        self.place = place
        self.listed = frozenset(listed) | {tokenizer.eos_token_id}

    @property
    def pad_id(self) -> int:
        """The padding token; the end-of-sequence token where the tokenizer has none of its own."""
        pad = self.tokenizer.pad_token_id
        return int(self.tokenizer.eos_token_id if pad is None else pad)

    @cached_property
    def end_id(self) -> int:
        """The token that ends an assistant's turn: the first special one that the template writes after the content.

        Where the template writes none, it is the end token with which the next turn begins (GLM), or the
        tokenizer's own.
        """
        special = self._special_tokens
        listed = {token: number for token, number in special.items() if number in self.listed}
        next_turn = self.render([*QUESTION, REPLY, *QUESTION]).rpartition(REPLY["content"])[2]
        found = _first(special, self._tail) or _first(listed, next_turn)
        return special[found] if found else int(self.tokenizer.eos_token_id)

    @cached_property
    def _tail(self) -> str:
        """The template's text after the last answer's content."""
        return self.render([*QUESTION, REPLY]).rpartition(REPLY["content"])[2]

    @cached_property
    def end_ids(self) -> frozenset[int]:
        """All tokens that end generation: those that the model lists, and the one that the template writes."""
        return self.listed | {self.end_id}

    @property
    def added_end(self) -> str | None:
        """The end token that the template writes and the model does not list, if any."""
        return None if self.end_id in self.listed else str(self.tokenizer.convert_ids_to_tokens(self.end_id))

    def render(self, conversation: Conversation, open_turn: bool = False, **arguments: Any) -> str:
        """The conversation as text, with the opening of the assistant's turn where `open_turn`.

        A conversation whose last message is the assistant's is continued: that message stays open.
        Raises InputError where the chat template refuses it.
        """
        import jinja2

        continued = open_turn and conversation[-1]["role"] == "assistant"
        try:
            text = self.tokenizer.apply_chat_template(
                conversation,
                add_generation_prompt=open_turn and not continued,
                continue_final_message=continued,
                tokenize=False,
                **arguments,
            )
        except (jinja2.TemplateError, ValueError, TypeError, KeyError) as error:
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            raise InputError(f"the chat template cannot render a conversation: {reason}", self.place) from error
        return str(text)

    def prompt_ids(self, conversation: Conversation) -> list[int]:
        """Token ids up to where the assistant's turn begins, or up to where its begun turn is to be continued."""
        return self.encode(self.render(conversation, open_turn=True))

    def prompt_and_answered(self, conversation: Conversation, text: str) -> tuple[str, str]:
        """(the prompt, the prompt with the answer): rendered text up to, and without, the token that ends the turn.

        Raises InputError where a rendered turn does not begin as the prompt does: what is trained on would not be
        what generation continues. Also where the end of the turn depends on the answer.
        """
        prompt = self.render(conversation, open_turn=True)
        whole = self.render([*conversation, {"role": "assistant", "content": text}])
        if not whole.startswith(prompt):
            raise InputError(
                "the chat template writes an answer in another turn than the one it prompts for", self.place
            )
        # Searching for the content would find a short one within the end token.
        if not whole.endswith(self._tail):
            raise InputError("the chat template does not end every answer in the same way", self.place)
        before, end, _ = self._tail.partition(str(self.tokenizer.convert_ids_to_tokens(self.end_id)))
        return prompt, whole.removesuffix(self._tail) + (before if end else "")

    def answer_ids(self, conversation: Conversation, text: str) -> list[int]:
        """Token ids of an answer in the rendered turn, after those of `prompt_ids`, and of the turn's end.

        Raises InputError as `prompt_and_answered` does.
        """
        prompt, whole = self.prompt_and_answered(conversation, text)
        before, ids = self.encode(prompt), self.encode(whole)
        if ids[: len(before)] != before:
            # A token of the whole turn spans the prompt's end, where generation starts a new token.
            return [*self.encode(whole[len(prompt) :]), self.end_id]
        return [*ids[len(before) :], self.end_id]

    def continuation_ids(self, text: str) -> list[int]:
        """Token ids of a short text with which the next turn may begin, as a judge's verdict."""
        prompt = self.render(QUESTION, open_turn=True)
        before, ids = self.encode(prompt), self.encode(prompt + text)
        return ids[len(before) :] if ids[: len(before)] == before else self.encode(text)

    def read(self, ids: Sequence[int]) -> AssistantTurn:
        """The answer in a completion's token ids, which end before the end of the turn, and its reasoning."""
        # A tokenizer may be set to take out the spaces before punctuation, which French has.
        decode = partial(self.tokenizer.decode, ids, clean_up_tokenization_spaces=False)
        text = decode(skip_special_tokens=False)
        if self.answer_header and self.answer_header in text:
            before, _, answer = text.rpartition(self.answer_header)
            split = reasoning.split(before)
            thought = split[0] if split else reasoning.messages(before)
        elif found := reasoning.split(text):
            thought, answer = found
        else:
            return AssistantTurn(str(decode(skip_special_tokens=True)))
        return AssistantTurn(self._without_special(answer).lstrip("\n"), self._without_special(thought).strip())

    @cached_property
    def answer_header(self) -> str:
        """What the template writes between the opened turn and the content, as GPT-OSS's channel; often nothing."""
        prompt = self.render(QUESTION, open_turn=True)
        turn = self.render([*QUESTION, REPLY]).removeprefix(prompt)
        return turn[: turn.rfind(REPLY["content"])].strip()

    @cached_property
    def reasoning_end(self) -> int | str | None:
        """The closing mark of the model's reasoning; None where its template has none.

        A mark that is or ends in a special token is given by its id: decoding may leave it out.
        """
        mark = reasoning.closing_mark(self.tokenizer.get_chat_template())
        if mark is None:
            return None
        ids = [number for token, number in self._special_tokens.items() if token and mark.endswith(token)]
        return ids[0] if ids else mark

    @cached_property
    def _special_tokens(self) -> dict[str, int]:
        """The ids of special tokens by their text."""
        ids = (*self.tokenizer.all_special_ids, *self.listed)
        listed = {token: i for i in ids if (token := self.tokenizer.convert_ids_to_tokens(i))}
        return dict(self.tokenizer.get_added_vocab()) | listed

    def _without_special(self, text: str) -> str:
        for token in self.tokenizer.all_special_tokens:
            text = text.replace(token, "")
        return text

    def encode(self, text: str) -> list[int]:
        """Token ids of rendered text; the tokenizer adds no special tokens, since the template has written them."""
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])


def open_chat(policy: Policy) -> Chat:
    """The chat of a model's folder. A judge's folder is used as it is, but for the date and open thinking blocks."""
    tokenizer = load_tokenizer(policy)
    template = tokenizer.get_chat_template()
    is_snapshot = (policy.base / paths.RECORD).exists()
    if not is_snapshot:
        tokenizer.chat_template = fixed_template(template, {}, config.DATE)
    chat = Chat(tokenizer, listed_end_ids(policy.base, policy.trust_remote_code), policy.base)
    if not is_snapshot and (opened := reasoning.is_open(chat.render(QUESTION, open_turn=True))):
        reason = f"its chat template opens a thinking block ({opened}); a model that answers at once is expected"
        raise InputError(reason, policy.base)
    return chat


def listed_end_ids(folder: Path, trust_remote_code: bool) -> set[int]:
    """The end-of-sequence tokens that a model's files list: none, one or several."""
    from transformers import AutoConfig, GenerationConfig

    if (folder / "generation_config.json").exists():
        generation = GenerationConfig.from_pretrained(folder)
    else:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=trust_remote_code)
        generation = GenerationConfig.from_model_config(config)
    listed = generation.eos_token_id
    return set(listed) if isinstance(listed, list) else {listed} - {None}


def _first(tokens: Iterable[str], text: str) -> str | None:
    """The token that stands first in the text, the longest where several begin there."""
    places = [(text.find(token), -len(token), token) for token in tokens if token and token in text]
    return min(places)[2] if places else None
