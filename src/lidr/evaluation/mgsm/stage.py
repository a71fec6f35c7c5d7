"""Stage `mgsm`: a model's accuracy on grade-school problems, by language.

    $ lidr mgsm m1
    mgsm m1: accuracy 0.81 [0.79, 0.83] over 7 languages, n = 1,750
      en 0.94 [0.90, 0.96] · es 0.84 [0.79, 0.88] · ...

Answers are generated greedily and kept with each scorer's verdict in reports/mgsm/m1/answers.jsonl; metrics.json beside
it holds the figures of each language and their plain average, with the number of languages `without_wording`: their
answers are read by English's phrases and by the last number alone. `off_target` is the paper's rate, of whole answers,
and left out for a language that cannot be identified; `code_switching` is the share of sentences in another language
(docs/language.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import fmean

from lidr import config
from lidr.engines.base import Completion
from lidr.errors import InputError
from lidr.evaluation.answers import ask, code_switching, key, summarise, write
from lidr.evaluation.mgsm import BENCHMARK, Mgsm, without_words
from lidr.evaluation.mgsm.items import Item, check_parallel, load_items, render_prompt, stop_strings
from lidr.evaluation.mgsm.scorers import score
from lidr.evaluation.registry import AVERAGE, Metrics
from lidr.models import policy
from lidr.records import Answer, Prompt, PromptKind, Source
from lidr.records.code_switching import Sentences, count
from lidr.records.langid import is_off_target, is_supported

# A source's folder holds one of these for each language; the first that is there is taken.
FILE_NAMES = ("mgsm_{lang}.jsonl", "mgsm_{lang}.tsv", "{lang}.jsonl", "{lang}.tsv")
EXAMPLE_NAMES = ("mgsm_{lang}_train.jsonl", "mgsm_{lang}_train.tsv", "{lang}_train.jsonl", "{lang}_train.tsv")


def run(settings: config.Settings, model: str) -> Metrics:
    """Ask, score and write; returns the figures by language, and their average under `average`."""
    problems = prompts(settings)
    mgsm, own_policy = settings.block(Mgsm), policy.resolve(model)
    completions = ask(
        settings,
        own_policy,
        BENCHMARK.name,
        problems,
        mgsm.max_new_tokens,
        mgsm.repetition_penalty,
        lambda problem: stop_strings(problem.lang, mgsm.style),
    )
    answers = [judge(mgsm, problem, completions[key(problem)]) for problem in problems]
    metrics = figures(settings, answers)
    write(BENCHMARK, model, answers, metrics)
    return metrics


def prompts(settings: config.Settings) -> list[Prompt]:
    """The problems in all languages, worded in the style of params.yaml; the same ids and golds in each language."""
    mgsm = settings.block(Mgsm)
    items = {lang: _items(settings, lang) for lang in mgsm.languages}
    check_parallel(items)
    examples = {lang: _examples(settings, lang) for lang in mgsm.languages}
    name = mgsm.source if mgsm.source == "lab" else Path(mgsm.source).name
    return [
        Prompt(
            id=item.id,
            lang=lang,
            text=render_prompt(item, mgsm.style, examples[lang]),
            source=Source(name=f"{name}/{mgsm.style}", row=row),
            kind=PromptKind.TASK,
            answer=str(item.gold),
        )
        for lang in mgsm.languages
        for row, item in enumerate(items[lang])
    ]


def judge(settings: Mgsm, problem: Prompt, completion: Completion) -> Answer:
    """One answer with the verdicts of all scorers and of language identification."""
    asked_in = "en" if settings.style == "en_cot" else problem.lang
    scores = score(completion.text, int(str(problem.answer)), problem.lang, phrase_lang=asked_in)
    candidates = [lang for lang in settings.languages if is_supported(lang)]
    sentences = count(completion.text, asked_in, candidates) if is_supported(asked_in) else Sentences(0, 0)
    return Answer(
        id=problem.id,
        lang=problem.lang,
        prompt=problem.text,
        completion=completion.text,
        reasoning=completion.reasoning,
        finish_reason=completion.finish_reason,
        gold=str(problem.answer),
        **asdict(scores),
        off_target=is_off_target(completion.text, asked_in, candidates) if is_supported(asked_in) else None,
        sentences=sentences.judged,
        other_sentences=sentences.other,
    )


def _items(settings: config.Settings, lang: str) -> list[Item]:
    mgsm = settings.block(Mgsm)
    if mgsm.source == "lab":
        return _lab_items("evaluation", lang, mgsm.items, settings.seed)
    path = _file(Path(mgsm.source), lang, FILE_NAMES)
    items = load_items(path, lang)
    if len(items) < mgsm.items:
        raise InputError(f"{len(items)} problems; mgsm.items asks for {mgsm.items}", path)
    return items[: mgsm.items]


def _examples(settings: config.Settings, lang: str) -> list[Item]:
    """Solved problems that stand before each question in the styles that take them."""
    mgsm = settings.block(Mgsm)
    if not mgsm.examples:
        return []
    if mgsm.source == "lab":
        return _lab_items("base", lang, mgsm.examples, settings.seed)
    return load_items(_file(Path(mgsm.source), lang, EXAMPLE_NAMES), lang)[: mgsm.examples]


def _lab_items(split: str, lang: str, count: int, seed: int) -> list[Item]:
    from lidr.lab import source

    problems = source.prompts(split, lang, count, seed, kinds=source.PROBLEMS).values()
    return [Item(id=p.id, lang=lang, question=p.text, gold=int(str(p.answer))) for p in problems]


def _file(folder: Path, lang: str, names: Sequence[str]) -> Path:
    candidates = [folder / name.format(lang=lang) for name in names]
    for path in candidates:
        if path.exists():
            return path
    expected = ", ".join(path.name for path in candidates)
    raise InputError(f"no problems in {lang!r}; one of {expected} is expected", folder)


def figures(settings: config.Settings, answers: Sequence[Answer]) -> Metrics:
    """Accuracy with its interval, the other scorers, code-switching and the counts, by language and on average."""
    metrics = summarise(BENCHMARK, settings, answers, _more)
    metrics[AVERAGE]["without_wording"] = len(without_words(settings.block(Mgsm)))
    return metrics


def _more(answers: Sequence[Answer]) -> dict[str, float]:
    """The other scorers' accuracies, and what is in another language sentence by sentence."""
    return {
        "accuracy_strict": fmean(answer.strict for answer in answers),
        "accuracy_flexible": fmean(answer.flexible for answer in answers),
        **code_switching(Sentences(answer.sentences, answer.other_sentences) for answer in answers),
    }
