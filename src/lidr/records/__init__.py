"""The records that the stages exchange, one JSON object a line, keys in the order of the fields below.

    prompt       {"id":"lab-17","lang":"es","text":"¿Qué número ...","source":{"name":"lab","row":17},"kind":"task",
                  "answer":"61"}
    response     {"id":"lab-17","lang":"es","text":"El número mayor es 61 ...","finish_reason":"stop",
                  "prompt_tokens":14,"completion_tokens":19}
    score        {"id":"lab-17","lang":"es","sample":3,"policy":-4.81,"reference":-9.37,"tokens":19}
    translation  {"id":"lab-17","source_lang":"en","target_lang":"es","text":"El número ...","finish_reason":"stop",
                  "raw":"El número ...</translated>"}
    pair         {"id":"lab-17:es:en","prompt":[{"role":"user","content":"..."}],"chosen":[{"role":"assistant",...}],
                  "rejected":[...],"prompt_id":"lab-17","lang":"es","other_lang":"en","rule":"translated_dominant",
                  "chosen_from":"translation:lab-17:en-es","rejected_from":"response:lab-17:es"}
    drop         {"prompt_id":"lab-17","lang":"es","other_lang":"en","stage":"pairs","reason":"truncated",
                  "detail":"chosen",
                  "chosen_from":"translation:lab-17:en-es","rejected_from":"response:lab-17:es"}

    answer       {"id":"lab-3","lang":"es","prompt":"Anna tiene ...","completion":"En total hay ... 59.",
                  "finish_reason":"stop","gold":"59","right":true,"strict":true,"flexible":true,"parsed":true,
                  "off_target":false,"sentences":2}
    verdict      {"id":"lab-4","lang":"es","prompt":"...","completion":"...","baseline":"...","preference":2.0,
                  "off_target":false,"baseline_off_target":false,"finish_reason":"stop"}

An `id` is stable, says where the row comes from, and is the same in every language: rows are joined by it, never by
position. A pair is TRL's conversational preference format plus provenance, so it trains in plain TRL as it is. It names
the rows that its texts are taken from: "response:ID:LANG" is the row ID of responses/LANG.jsonl, "response:ID:LANG:3"
its sample 3 where there are several, and "translation:ID:SOURCE-TARGET" the row of translations/SOURCE-TARGET.jsonl.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import UNSET, Struct, UnsetType


class Record(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Base of all records: unknown fields are refused, fields at their default are left out of the line."""


class PromptKind(StrEnum):
    """What a prompt asks for, as far as the method treats it differently."""

    TASK = "task"
    TRANSLATION = "translation"  # asks for a translation itself: translating its answer would destroy it


class FinishReason(StrEnum):
    """Why a completion ended."""

    STOP = "stop"
    LENGTH = "length"  # cut off at the token limit
    REFUSED = "refused"  # not answered: the prompt does not fit the model's context, or a server's filter withholds it
    OUT_OF_MEMORY = "out_of_memory"  # not answered: the request does not fit the device's memory, even alone


class DropReason(StrEnum):
    """Why a row did not become a pair, beside the filters, which have reasons of their own (pairs/filters.py)."""

    MISSING = "missing"  # no row with this id in a language or file where one was expected
    REFUSED = "refused"  # the prompt does not fit the model's context, or the server withholds the answer
    OUT_OF_MEMORY = "out_of_memory"  # the request alone does not fit the device's memory
    TRUNCATED = "truncated"  # an answer or translation was cut off at the token limit
    UNPARSED = "unparsed"  # a translation that cannot be read from its tags (generation/translate.py: parse)
    EMPTY = "empty"  # an answer or translation without any text
    UNSCORED = "unscored"  # an answer that could not be scored, where the rule compares scores
    NOT_DRAWN = "not_drawn"  # left out by `pairs.dominant_per_prompt`
    TOO_LONG = "too_long"  # prompt and answer exceed `train.dpo.max_length`: left out of training


class Source(Record, frozen=True):
    """Where a prompt comes from: the source's name and the row in it, from 0."""

    name: str
    row: int


class Prompt(Record, frozen=True):
    """What a model is asked. `answer` is the gold answer where the source has one."""

    id: str
    lang: str
    text: str
    source: Source
    kind: PromptKind
    answer: str | UnsetType = UNSET


class Response(Record, frozen=True, kw_only=True):
    """A model's own answer to the prompt of the same id and language. `text` is without the end-of-turn token.

    `sample` numbers the answers to one prompt, from 0, where several are asked for (`generate.samples`). `reasoning` is
    what the model wrote before its answer, where it did; nothing but this record has it.
    """

    id: str
    lang: str
    sample: int = 0
    text: str
    reasoning: str = ""
    finish_reason: FinishReason
    prompt_tokens: int
    completion_tokens: int


class Score(Record, frozen=True, kw_only=True):
    """The log-probabilities of one sample under the model and its reference, summed over its tokens.

    None where a request does not fit a model's context or the device's memory.
    """

    id: str
    lang: str
    sample: int = 0
    policy: float | None
    reference: float | None
    tokens: int

    @property
    def reward(self) -> float | None:
        """The implicit reward: log pi_t(y|x') - log pi_ref(y|x')."""
        return None if self.policy is None or self.reference is None else self.policy - self.reference


class Translation(Record, frozen=True):
    """A model's translation of its own answer; `text` is None where `raw` does not hold one.

    `tolerated` names each departure from the wording's format that was accepted.
    """

    id: str
    source_lang: str
    target_lang: str
    text: str | None
    finish_reason: FinishReason
    raw: str
    tolerated: tuple[str, ...] = ()


class Message(Record, frozen=True):
    """One turn of a conversation."""

    role: str
    content: str


class Pair(Record, frozen=True):
    """One preference: for `prompt` in `lang`, `chosen` over `rejected`; `other_lang` is the language compared with.

    `chosen_from` and `rejected_from` name the rows of these texts, `rule` what chose them (pairs/rules.py).
    """

    id: str
    prompt: tuple[Message, ...]
    chosen: tuple[Message, ...]
    rejected: tuple[Message, ...]
    prompt_id: str
    lang: str
    other_lang: str
    rule: str
    chosen_from: str
    rejected_from: str


class Drop(Record, frozen=True):
    """A pair that was not made, or a prompt that was not used, and why.

    Of a pair, `chosen_from` and `rejected_from` name the rows that it would have been made of, where there are such.
    """

    prompt_id: str
    lang: str
    other_lang: str
    stage: str
    reason: str
    detail: str
    chosen_from: str = ""
    rejected_from: str = ""

    @property
    def id(self) -> str:
        """Of the pair that was not made."""
        return pair_id(self.prompt_id, self.lang, self.other_lang)


class Answer(Record, frozen=True, kw_only=True):
    """A model's answer to one problem, as MGSM's scorers see it; `right` is the headline scorer's word.

    `off_target` is None where the language cannot be identified.
    """

    id: str
    lang: str
    prompt: str
    completion: str
    reasoning: str = ""
    finish_reason: FinishReason
    gold: str
    right: bool
    strict: bool
    flexible: bool
    parsed: bool
    off_target: bool | None
    sentences: int = 0  # those whose language was judged
    other_sentences: int = 0  # those among them that are in another language


TIE = 1.5


class Verdict(Record, frozen=True, kw_only=True):
    """A model's answer to one instruction beside the baseline's; `preference` lies in [1, 2], None where not judged.

    2 means that the model beats the baseline, 1 that it loses, `TIE` neither (AlpacaEval 2's scale). `swapped` tells
    that the judge saw the model's answer first; `orders` holds both orders' preferences, the drawn one first, where
    both were asked.
    """

    id: str
    lang: str
    prompt: str
    completion: str
    reasoning: str = ""
    baseline: str
    preference: float | None
    finish_reason: FinishReason
    off_target: bool
    baseline_off_target: bool
    sentences: int = 0  # as an `Answer` has them
    other_sentences: int = 0
    baseline_sentences: int = 0
    baseline_other_sentences: int = 0
    swapped: bool = False
    orders: tuple[float | None, ...] = ()
    judge_faults: tuple[str, ...] = ()
    judge_prompt_tokens: int = 0
    judge_completion_tokens: int = 0


UNDETERMINED = "und"  # BCP 47's code


class HarnessItem(Record, frozen=True, kw_only=True):
    """A model's answer to one item of a task of lm-evaluation-harness.

    `id` is the task's family and the item's number: `m_mmlu_LANG:7` of both `m_mmlu_es` and `m_mmlu_de`. `gold` and
    `completion` are the right and the likeliest choice, or texts. `score` is the value of `metric`, `scores` has those
    of all of the task's metrics; all are between 0 and 1. `lang` is `UNDETERMINED` where the task's name tells none.
    """

    id: str
    task: str
    lang: str
    prompt: str
    gold: str
    completion: str
    metric: str
    score: float
    scores: dict[str, float]
    version: str


def response_name(prompt_id: str, lang: str, sample: int = 0) -> str:
    """The row of `prompt_id` in responses/`lang`.jsonl, as pairs name it."""
    return f"response:{prompt_id}:{lang}" + (f":{sample}" if sample else "")


def translation_name(prompt_id: str, source: str, target: str) -> str:
    """The row of `prompt_id` in translations/`source`-`target`.jsonl, as pairs name it."""
    return f"translation:{prompt_id}:{source}-{target}"


def pair_id(prompt_id: str, lang: str, other_lang: str) -> str:
    """The id of the pair, or of the drop, in `lang` that compares with `other_lang`."""
    return f"{prompt_id}:{lang}:{other_lang}"
