"""The judge's prompt template: our own text, with the slots and labels of AlpacaEval 2's classifier prompt.

    >>> conversation("Tell me a joke.", "No.", "A horse walks into a bar ...")
    [{'role': 'system', 'content': 'You compare answers ...'}, {'role': 'user', 'content': 'Below are ...'}]

The slots are `{instruction}`, `{output_1}` (labelled m) and `{output_2}` (labelled M). One sentence is not in
AlpacaEval's: a good answer is in the instruction's language.
"""

from __future__ import annotations

import re

from lidr.records.prompt_templates import Conversation

SYSTEM = (
    "You compare answers that language models gave to the same instruction and name the better one. "
    "Your choices become a ranking of the models that should agree with what people prefer."
)

USER = '''Below are an instruction and the answers of two models to it. Decide, as an attentive human reader would, \
which answer is better.

## Instruction

{
    "instruction": """{instruction}""",
}

## Answers

The answers stand in no particular order. Each comes from a model that is known here by its label only.

{
    {
        "label": "m",
        "answer": """{output_1}"""
    },
    {
        "label": "M",
        "answer": """{output_2}"""
    }
}

## Task

A good answer is in the language of the instruction, unless the instruction itself asks for another language. Weigh \
how helpful, correct and fitting the two answers are and choose the better one. {reply}'''

# The reply: the label alone, whose log-probability is read, or a text that ends in it.
REPLIES = {
    "logprobs": """A program reads your reply: give the \
bare label of the better answer, m or M, with no quotes, spaces or any other text around it.

## Label of the better answer""",
    "text": """You may weigh the answers in a \
few sentences first. A program reads the last line of your reply: it must be the bare label of the better answer, \
m or M, and nothing else.""",
}


def conversation(instruction: str, first: str, second: str, reply: str = "logprobs") -> Conversation:
    """The conversation about two answers, the first labelled `m`; `reply` is a key of `REPLIES`."""
    texts = {"{instruction}": instruction, "{output_1}": first, "{output_2}": second}
    # In one pass: an answer may contain a slot's name.
    content = re.sub("|".join(map(re.escape, texts)), lambda slot: texts[slot[0]], template(reply))
    return [{"role": "system", "content": SYSTEM}, {"role": "user", "content": content}]


def template(reply: str) -> str:
    """The user turn with its slots, for this kind of reply."""
    return USER.replace("{reply}", REPLIES[reply])
