"""Two tokenizers without files: byte-level like GPT-2's, and with word markers like SentencePiece's."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from lidr.chat import Chat

# Special tokens of published templates: <|im_end|>, <start_of_turn>, <turn|>, [INST], </s> and the like.
MARKS = re.compile(
    r"</?s>|<[|｜][^<>\s']*[|｜]>|<[a-z_]+_of_turn>|<turn\|>|<\|turn>|<sop>|\[[a-zA-Z]*MASK\]|\[/?INST\]"
)


def by_bytes(template: Any, eos: str = "<eos>", pad: str | None = None) -> PreTrainedTokenizerFast:
    """Each byte is a token, and so is each special token of the template."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={letter: i for i, letter in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return _fast(tokenizer, template, eos, pad)


def by_words(template: Any, words: list[str], eos: str = "</s>") -> PreTrainedTokenizerFast:
    """Letters and words; a word after a space is another token than after a line break."""
    letters = [chr(code) for code in range(32, 127)] + ["\n", "▁", *"ОтветñÁá答えは。"]
    vocab = {token: i for i, token in enumerate(dict.fromkeys([*letters, *words, *(f"▁{word}" for word in words)]))}
    merges = [(token[:i], token[i]) for token in vocab if len(token) > 1 for i in range(1, len(token))]
    prefixes = dict.fromkeys(part for left, right in merges for part in (left, right, left + right))
    vocab = {token: i for i, token in enumerate(dict.fromkeys([*vocab, *prefixes]))}
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=list(dict.fromkeys(merges)), unk_token=" "))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=False)
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="always", split=False)
    return _fast(tokenizer, template, eos, None)


def chat_of(tokenizer: PreTrainedTokenizerFast, *listed: str) -> Chat:
    """A chat whose model lists these end tokens beside the tokenizer's own."""
    return Chat(tokenizer, [int(tokenizer.convert_tokens_to_ids(token)) for token in listed], Path("model"))


def _fast(tokenizer: Tokenizer, template: Any, eos: str, pad: str | None) -> PreTrainedTokenizerFast:
    found = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token=eos,
        pad_token=pad,
        additional_special_tokens=sorted(set(MARKS.findall(str(template)))),
    )
    found.chat_template = template
    return found
