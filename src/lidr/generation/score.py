"""Stage `score`: each sample's log-probability under the model that wrote it and under a reference model.

    $ lidr score m1
    score m1: 12,000 answers by m0 against data/sources/sft

    data/m1/scores/es.jsonl:
    {"id":"lab-0","lang":"es","sample":3,"policy":-4.81,"reference":-9.37,"tokens":19}

Their difference is the implicit reward of Implicit Cross-Lingual Rewarding (arXiv 2503.04647). An answer in any
language is scored under the dominant language's prompt, preceded by a request for the answer's language
(`score.prompt_template`), and with the end of its turn. Answers that are cut off or empty are not scored. Where the
rule compares no scores, the files are written empty at once.

The reference of m1 is `base.reference`. Both models run on the engine of params.yaml, one after the other; results are
kept shard by shard.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from lidr import config, paths
from lidr.chat import Chat, open_chat
from lidr.engines.base import TokenIds, open_engine
from lidr.engines.shards import Shards
from lidr.errors import InputError
from lidr.models import policy
from lidr.models.policy import Policy
from lidr.records import FinishReason, Prompt, Response, Score
from lidr.records.jsonl import atomic_folder, read_by_key, read_samples, write_rows
from lidr.records.languages import english_name
from lidr.records.prompt_templates import prompt_conversation, under_dominant

STAGE = "score"
TOKENIZERS = ("tokenizer.json", "tokenizer_config.json", "tokenizer.model")


@dataclass(frozen=True)
class Scored:
    """How many answers were scored, by which models, and how many could not be."""

    rows: int
    unscored: int
    policy: str
    reference: str


def run(settings: config.Settings, data: str) -> Scored | None:
    """Score all whole samples; None where the rule compares no scores, and the files are empty."""
    settings = settings.of_data(data)
    if not settings.pairs.reads("scores"):
        _write(settings, data, [])
        return None
    model = policy.resolve(settings.data[data].by)
    against = reference(settings, model)
    chat = open_chat(model)
    answers = list(_answers(settings, data))
    rows = [_row(settings, chat, prompt, answer) for prompt, answer in answers]
    _check_tokenizer(chat, rows, model, against)
    shards = Shards(paths.shards(STAGE, data), settings.engine.rows_per_shard)
    of_policy, of_reference = (_log_probabilities(settings, one, rows, shards) for one in (model, against))
    scores = [
        Score(
            id=answer.id, lang=answer.lang, sample=answer.sample, policy=mine, reference=other, tokens=len(row.answer)
        )
        for (_, answer), row, mine, other in zip(answers, rows, of_policy, of_reference, strict=True)
    ]
    _write(settings, data, scores)
    shards.discard_others()
    return Scored(len(scores), sum(score.reward is None for score in scores), model.name, against.name)


def reference(settings: config.Settings, model: Policy) -> Policy:
    """What the model is scored against: `base.reference`, or after m1, where `score.reference` asks for it, M_t-1."""
    if settings.score.reference == "previous" and model.name != paths.BASE:
        return policy.resolve(settings.iteration(model.name).previous)
    named = settings.base.reference
    if named is None:
        raise InputError("base.reference: the model that m0 is scored against is expected", paths.PARAMS)
    folder = Path(named)
    if named == config.LAB:
        from lidr.lab import reference as lab_reference

        folder = paths.scratch(STAGE, config.LAB)
        lab_reference.write(folder)
    return policy.of_folder(folder, "base.reference", named, model.trust_remote_code, model.quantization)


def _answers(settings: config.Settings, data: str) -> Iterator[tuple[Prompt, Response]]:
    """All whole answers with the dominant language's prompt, by language, in their files' order."""
    prompt_file = paths.prompt_file(data, settings.dominant)
    prompts = read_by_key(prompt_file, Prompt)
    for lang in settings.all_languages:
        file = paths.response_file(data, lang)
        for name, samples in read_samples(file).items():
            if name not in prompts:
                raise InputError(f"an answer to {name!r}, which is no prompt in {prompt_file}", file)
            for answer in samples:
                if answer.finish_reason is FinishReason.STOP and answer.text.strip():
                    yield prompts[name], answer


def _row(settings: config.Settings, chat: Chat, prompt: Prompt, answer: Response) -> TokenIds:
    request = under_dominant(
        settings.score.prompt_template,
        prompt.text,
        english_name(settings.dominant),
        english_name(answer.lang),
        settings.prompts.answer_language,
    )
    conversation = prompt_conversation(request)
    return TokenIds(chat.prompt_ids(conversation), chat.answer_ids(conversation, answer.text))


def _check_tokenizer(chat: Chat, rows: Sequence[TokenIds], model: Policy, against: Policy) -> None:
    """Both models are given the same token ids; raises InputError where they stand for other tokens in the reference.

    A reference without a tokenizer, as the lab's, is not checked.
    """
    if not any((against.base / name).is_file() for name in TOKENIZERS):
        return
    tokenizer = policy.load_tokenizer(against)
    for token_id in sorted({token_id for row in rows for ids in row for token_id in ids}):
        mine = chat.tokenizer.convert_ids_to_tokens(token_id)
        other = tokenizer.convert_ids_to_tokens(token_id) if token_id < len(tokenizer) else None
        if mine != other:
            raise InputError(
                f"the token {token_id} is {other!r} here and {mine!r} in {model.name}; "
                "a reference with the same tokenizer is expected",
                against.base,
            )


def _log_probabilities(
    settings: config.Settings, model: Policy, rows: Sequence[TokenIds], shards: Shards
) -> list[float | None]:
    with closing(open_engine(settings.engine, model)) as engine:
        return shards.score(engine, rows, f"scores by {model.name}")


def _write(settings: config.Settings, data: str, scores: Sequence[Score]) -> None:
    with atomic_folder(paths.scores(data)) as folder:
        for lang in settings.all_languages:
            write_rows(folder / f"{lang}.jsonl", (score for score in scores if score.lang == lang))
