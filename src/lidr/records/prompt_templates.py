"""The texts that a model is given, each under a version that stands in params.yaml.

    >>> translation_conversation("v1", "La respuesta es 59.", "Spanish", "English")
    [{'role': 'user', 'content': 'Translate from Spanish to English. ...'},
     {'role': 'assistant', 'content': '<translated>'}]

A wording is never edited once released: a change is a new version, so that old iterations can be rebuilt.
"""

from __future__ import annotations

Conversation = list[dict[str, str]]

OPENING_TAG, CLOSING_TAG = "<translated>", "</translated>"

# The paper gives the text between <sentence> tags, asks for the answer between <translated> tags and primes the
# assistant's turn with the opening tag (section 2.2 and its published code); the wording itself is ours.
TRANSLATION = {
    "v1": (
        "Translate from {source} to {target}. Keep all names, numbers and formulas. "
        "Write the translation between <translated> tags.\n<sentence>{text}</sentence>"
    ),
}

# The paper asks GSM8K's questions with a prefix that names the answer's language; this wording is ours.
ANSWER_LANGUAGE = {"v1": "Think step by step and answer in {language}.\n\n{text}"}

# Implicit Cross-Lingual Rewarding scores an answer under the dominant language's prompt, after a request for the
# answer's language; this wording is ours.
UNDER_DOMINANT = {"v1": "Please give your answer in {language}.\n\n{text}"}


def translation_conversation(version: str, text: str, source: str, target: str, primed: bool = True) -> Conversation:
    """The request to translate `text`; source and target are language names as `languages.english_name` gives them.

    Primed, the last message is the assistant's, already begun, for an engine that can continue it.
    """
    request = {"role": "user", "content": TRANSLATION[version].format(source=source, target=target, text=text)}
    return [request, {"role": "assistant", "content": OPENING_TAG}] if primed else [request]


def prompt_conversation(text: str) -> Conversation:
    """A prompt asked as it is, in one user turn."""
    return [{"role": "user", "content": text}]


def with_answer_language(version: str, text: str, language: str) -> str:
    """A prompt that says in which language to answer; `language` is a name as `languages.english_name` gives it."""
    return ANSWER_LANGUAGE[version].format(language=language, text=text)


def without_answer_language(version: str, text: str, language: str) -> str:
    """What `with_answer_language` was given; a text that it has not worded is left as it is."""
    return text.removeprefix(with_answer_language(version, "", language))


def under_dominant(version: str, text: str, dominant: str, language: str, answer_language: str | None = None) -> str:
    """The dominant language's prompt `text` with a request to answer in `language`; both are English names.

    A prompt that asks for the dominant language itself (`with_answer_language`) asks for the other one instead.
    """
    if language == dominant:
        return text
    if answer_language is not None:
        bare = without_answer_language(answer_language, text, dominant)
        return with_answer_language(answer_language, bare, language)
    return UNDER_DOMINANT[version].format(language=language, text=text)
