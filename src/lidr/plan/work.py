"""Rows and tokens of every stage, counted from params.yaml alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from lidr import config
from lidr.evaluation.alpaca import BENCHMARK as ALPACA
from lidr.evaluation.alpaca import Alpaca
from lidr.evaluation.harness import Harness
from lidr.evaluation.registry import benchmark_of
from lidr.pairs import rules

Kind = Literal["files", "generate", "train", "judge", "score"]

# A translation out of English takes more tokens than the English; a rough guess for European languages.
TRANSLATION_GROWTH = 1.5
# What a judge reads beside instruction and answers: its own instructions.
JUDGE_PROMPT_TOKENS = 400
# What a request to translate has beside the text.
TRANSLATION_PROMPT_TOKENS = 60
# Items of lm-evaluation-harness's tasks, about, by a part of the task's name; the first match counts.
HARNESS_ITEMS = {
    "lab_sums": 175,
    "lab_translation": 100,
    "global_mmlu_full": 14_000,
    "global_mmlu": 400,
    "mmlu": 14_000,
    "hellaswag": 10_000,
    "truthfulqa": 800,
    "arc": 1_200,
}
OTHER_ITEMS = 1_000
# An item's choices are read one by one, each behind the question.
CHOICES = 4


@dataclass(frozen=True)
class Lengths:
    """Mean tokens that are assumed of an answer and of a prompt."""

    answer: int
    prompt: int


@dataclass(frozen=True)
class Work:
    """One stage: rows that it makes, new tokens (trained-on tokens for `train`) as assumed, and at most.

    `read_tokens` are read and not written: prompts in generation, held-out pairs in training. `longest` are the tokens
    that one answer may have. What only scores texts has the tokens that it reads.
    """

    stage: str
    kind: Kind
    rows: int
    tokens: int = 0
    max_tokens: int = 0
    read_tokens: int = 0
    longest: int = 0


def of(settings: config.Settings, lengths: Lengths) -> list[Work]:
    """All stages with work worth planning, in the pipeline's order."""
    stages: list[Work] = []
    made: set[str] = set()  # iterations may share data
    for name, iteration in settings.iterations.items():
        own, data = settings.of_iteration(name), iteration.data
        stages += [] if data in made else _data(own, data, lengths)
        stages += _iteration(own, name, lengths)
        made.add(data)
    for name, block in settings.generative.items():
        rows = block.items * len(block.languages)
        asked = [f"{name}@{model}" for model in benchmark_of(name).asked_models(settings)]
        if isinstance(block, Alpaca) and not settings.baseline.is_published:
            asked.insert(0, f"baseline ({settings.baseline.model})")
        stages += [_generation(stage, rows, lengths, block.max_new_tokens) for stage in asked]
    return [*stages, *(asked.work for asked in judges(settings, lengths)), *_harness(settings, lengths)]


@dataclass(frozen=True)
class Asked:
    """The questions to a judge of params.yaml: their number and tokens."""

    title: str
    block: str
    judge: config.Judge
    questions: int
    tokens_each: int

    @property
    def work(self) -> Work:
        """The same as a stage; only a judge that runs here takes time."""
        kind: Kind = "score" if isinstance(self.judge, config.LocalJudge) else "judge"
        return Work(self.title, kind, self.questions, self.questions * self.tokens_each)

    @property
    def reply_tokens(self) -> int:
        """Tokens of a server's reply: the label alone, or at most those of a text."""
        judge = self.judge
        return judge.max_completion_tokens if isinstance(judge, config.OpenAIJudge) and judge.reply == "text" else 1

    @property
    def cost(self) -> float | None:
        """The price at a server, at most for replies in text; None where prices are unknown."""
        judge = self.judge
        if not isinstance(judge, config.OpenAIJudge) or judge.prompt_price is None or judge.completion_price is None:
            return None
        each = self.tokens_each * judge.prompt_price + self.reply_tokens * judge.completion_price
        return self.questions * each / 1e6


def judges(settings: config.Settings, lengths: Lengths) -> list[Asked]:
    """The judge of answers, and that of pairs where there is one. A question has the instruction and both answers.

    It is asked about every model's answers but those of the baseline, which are the same text as its own.
    """
    alpaca, pairs = settings.block(Alpaca), settings.audit.judge
    items = len(ALPACA.asked_models(settings)) * len(alpaca.languages) * alpaca.items
    orders = 2 if alpaca.judge.in_both_orders else 1
    beside = JUDGE_PROMPT_TOKENS + lengths.prompt
    each = beside + 2 * min(lengths.answer, alpaca.max_new_tokens)
    found = [Asked("judge", "alpaca.judge", alpaca.judge, items * orders, each)]
    if pairs is not None:
        made = [settings.of_iteration(name) for name in settings.iterations]
        most = min(settings.audit.judged_pairs, settings.prompts.per_iteration)
        drawn = sum(most * len(_directions(own)) for own in made)
        longest = max((own.generate.max_new_tokens for own in made), default=0)
        each = beside + 2 * min(lengths.answer, longest)
        found.append(Asked("judge of pairs", "audit.judge", pairs, 2 * drawn, each))
    return found


def _directions(settings: config.Settings) -> list[rules.Direction]:
    return rules.directions(settings.pairs, settings.dominant, settings.languages)


def _data(settings: config.Settings, name: str, lengths: Lengths) -> list[Work]:
    """What iterations make their pairs of."""
    count, options = settings.prompts.per_iteration, settings.pairs
    asked = count * len(settings.all_languages)
    answers = asked * settings.generate.samples
    answer, translated = _tokens(settings, lengths)
    stages = [
        Work(f"prompts@{name}", "files", asked),
        _generation(f"generate@{name}", answers, lengths, settings.generate.max_new_tokens),
    ]
    if options.reads("scores"):
        # Each by the model and by its reference.
        stages.append(Work(f"score@{name}", "score", answers, 2 * answers * (lengths.prompt + answer)))
    if options.reads("translations"):
        # In each direction all answers, and those that are sent back.
        texts = 2 * len(settings.languages) * (count + min(settings.translate.round_trip, count))
        own = Lengths(translated, TRANSLATION_PROMPT_TOKENS + answer)
        stages.append(_generation(f"translate@{name}", texts, own, settings.translate.max_new_tokens))
    return stages


def _tokens(settings: config.Settings, lengths: Lengths) -> tuple[int, int]:
    """Of an answer and of its translation."""
    answer = min(lengths.answer, settings.generate.max_new_tokens)
    return answer, min(round(TRANSLATION_GROWTH * answer), settings.translate.max_new_tokens)


def _iteration(settings: config.Settings, name: str, lengths: Lengths) -> list[Work]:
    """Pairs, and training on them."""
    count, train, options = settings.prompts.per_iteration, settings.train, settings.pairs
    answer, translated = _tokens(settings, lengths)
    directions = _directions(settings)
    of_dominant = sum(lang == settings.dominant for lang, _ in directions)
    most = of_dominant if options.dominant_per_prompt is None else min(of_dominant, options.dominant_per_prompt)
    pairs = count * (len(directions) - of_dominant + most)
    passes = pairs * train.dpo["num_train_epochs"]
    # Where a rule reads translations, one side of a pair is one; each side is computed with its prompt.
    reads = translated if options.reads("translations") else answer
    of_pair = sides(train) * min(lengths.prompt + (answer + reads) / 2, train.dpo["max_length"])
    # Held-out pairs: at each evaluation, and once for the reference.
    times_read = _evaluations(train, pairs) + (train.objective != "sft")
    return [
        Work(f"pairs@{name}", "files", pairs),
        Work(
            f"train@{name}",
            "train",
            pairs,
            tokens=round(passes * of_pair),
            max_tokens=round(passes * sides(train) * train.dpo["max_length"]),
            read_tokens=round(pairs * train.eval_share * of_pair * times_read) if train.eval_share else 0,
        ),
    ]


def sides(train: config.Train) -> int:
    """How many answers of a pair training computes: chosen and rejected, or the chosen one alone."""
    return 1 if train.objective == "sft" else 2


def _evaluations(train: config.Train, pairs: int) -> int:
    """How often the held-out pairs are evaluated, before training and at its end as well."""
    every = train.dpo["eval_steps"]
    if every < 1:
        return 1 + math.ceil(1 / every)
    return 1 + math.ceil(train.steps(pairs) / every)


def _harness(settings: config.Settings, lengths: Lengths) -> list[Work]:
    harness = settings.block(Harness)
    counts = [next((n for name, n in HARNESS_ITEMS.items() if name in task), OTHER_ITEMS) for task in harness.tasks]
    items = sum(min(count, harness.limit or count) for count in counts)
    tokens = items * CHOICES * (1 + (harness.num_fewshot or 0)) * lengths.prompt
    return [Work(f"harness@{model}", "score", items, tokens) for model in settings.models if items]


def _generation(stage: str, rows: int, lengths: Lengths, most: int) -> Work:
    return Work(
        stage,
        "generate",
        rows,
        tokens=rows * min(lengths.answer, most),
        max_tokens=rows * most,
        read_tokens=rows * lengths.prompt,
        longest=most,
    )
