"""The blocks `mgsm`, `baseline`, `alpaca` and `harness` of params.yaml: what models are measured by.

alpaca: {source: lab, languages: [en, es], max_new_tokens: 64, judge: {name: lab}}
"""

from __future__ import annotations

import re
from typing import Literal

from lidr import paths
from lidr.config.section import MODEL_NAME, Count, Languages, NotNegative, Positive, Section, WholeNumber


class Mgsm(Section, frozen=True):
    """Accuracy on grade-school problems."""

    source: str
    languages: Languages
    max_new_tokens: Count
    items: Count = 250
    style: Literal["paper", "paper_instructed", "native_cot", "en_cot"] = "paper"
    examples: WholeNumber = 0
    repetition_penalty: Positive = 1.0


class Baseline(Section, frozen=True):
    """Whose answers a model is compared with in `alpaca`, and where they come from.

    A model of this pipeline answers itself, from `models/<model>`; any other name is that of a generator whose
    published outputs lie in the folder `source`. It is never null, so that dvc.yaml can depend on it.
    """

    model: str = paths.BASE
    source: str = f"{paths.MODELS}/{paths.BASE}"

    @property
    def is_published(self) -> bool:
        """Whether the answers are read, not generated."""
        return not re.search(MODEL_NAME, self.model)


class AnyJudge(Section, frozen=True, kw_only=True, tag_field="name"):
    """What all judges have: whether each comparison is judged in both orders of the two answers."""

    both_orders: bool | None = None

    @property
    def name(self) -> str:
        """`lab`, `openai` or `local`, as params.yaml has it."""
        return str(self.__struct_config__.tag)

    @property
    def in_both_orders(self) -> bool:
        """`both_orders`, or what is usual for this judge."""
        return bool(self.both_orders)


class LabJudge(AnyJudge, frozen=True, kw_only=True, tag="lab"):
    """The lab's own checker, for its own instructions only."""


class LocalJudge(AnyJudge, frozen=True, kw_only=True, tag="local"):
    """A model in a folder, by the log-probabilities of the two labels."""

    model: str


class OpenAIJudge(AnyJudge, frozen=True, kw_only=True, tag="openai"):
    """A model behind any OpenAI-compatible endpoint.

    `reply: logprobs` asks for one token and weighs the two labels by their log-probabilities, as AlpacaEval 2 does.
    `text` reads the label at the end of a reply of at most `max_completion_tokens`, for models that reason or give no
    log-probabilities; both orders are then the default. Prices are per million tokens.
    """

    model: str
    endpoint: str
    reply: Literal["logprobs", "text"] = "logprobs"
    max_completion_tokens: Count = 2048
    reasoning_effort: str | None = None
    concurrency: Count = 8
    retries: WholeNumber = 5
    timeout_seconds: Positive = 60.0
    max_requests: Count | None = None
    max_tokens: Count | None = None
    prompt_price: NotNegative | None = None
    completion_price: NotNegative | None = None

    @property
    def in_both_orders(self) -> bool:
        return self.reply == "text" if self.both_orders is None else self.both_orders


Judge = LabJudge | LocalJudge | OpenAIJudge


class Alpaca(Section, frozen=True):
    """Win rate on instructions, as a judge sees it."""

    source: str
    languages: Languages
    judge: Judge
    max_new_tokens: Count
    items: Count = 250
    repetition_penalty: Positive = 1.0


class Harness(Section, frozen=True):
    """Other abilities, by tasks of lm-evaluation-harness; the keys are those of `lm_eval.simple_evaluate`.

    `tasks` are its tasks, groups or tags, or those of the YAML files in the folder `include_path`: one within
    data/sources, or `lab`. Without tasks the stage has nothing to do.
    """

    tasks: tuple[str, ...] = ()
    num_fewshot: WholeNumber | None = None
    limit: Count | None = None
    batch_size: Count | Literal["auto"] = 16
    apply_chat_template: bool = False
    fewshot_as_multiturn: bool = True
    system_instruction: str | None = None
    include_path: str | None = None
