"""Stage `mgsm`: a model's accuracy on grade-school problems, by language.

    $ lidr mgsm m1
    mgsm m1: accuracy 0.810 on average over 7 languages
      en 0.94 [0.90, 0.96] · es 0.84 [0.79, 0.88] · ...

Answers are generated greedily and kept with each scorer's verdict in reports/mgsm/m1/answers.jsonl; metrics.json beside
it holds the figures of each language and their plain average, with the number of languages `without_wording`: their
answers are read by English's phrases and by the last number alone. `off_target` is the paper's rate, of whole answers,
and left out for a language that cannot be identified; `code_switching` is the share of sentences in another language
(docs/language.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from msgspec.structs import replace

from lidr import config
from lidr.config import LAB
from lidr.engines.base import Completion
from lidr.errors import InputError
from lidr.evaluation.answers import ask, code_switching, key, lab_items, write
from lidr.evaluation.mgsm import BENCHMARK, Mgsm, without_words
from lidr.evaluation.mgsm.items import Solved, check_parallel, load_examples, load_items, render_prompt, stop_strings
from lidr.evaluation.mgsm.scorers import score
from lidr.evaluation.registry import AVERAGE, Metrics
from lidr.evaluation.summary import summarise
from lidr.records import Answer, Prompt, Source
from lidr.records.code_switching import Sentences, count
from lidr.records.langid import is_off_target, is_supported
from lidr.records.published import files

# A source's folder holds one of these for each language, in any format of `records.published`; the first is taken.
FILE_NAMES = ("mgsm_{lang}", "{lang}")
EXAMPLE_NAMES = ("mgsm_{lang}_train", "{lang}_train")


def run(settings: config.Settings, model: str) -> Metrics:
    """Ask, score and write; returns the figures by language, and their average under `average`."""
    problems, mgsm = prompts(settings), settings.block(Mgsm)
    completions = ask(
        settings, mgsm, BENCHMARK.name, model, problems, lambda problem: stop_strings(problem.lang, mgsm.style)
    )
    answers = [judge(mgsm, problem, completions[key(problem)]) for problem in problems]
    metrics = figures(settings, answers)
    write(BENCHMARK, model, answers, metrics)
    return metrics


def prompts(settings: config.Settings) -> list[Prompt]:
    """The problems in all languages, worded in the style of params.yaml; the same ids and golds in each language."""
    mgsm = settings.block(Mgsm)
    items = {lang: _items(mgsm, lang, settings.seed) for lang in mgsm.languages}
    check_parallel(items)
    name = f"{mgsm.source if mgsm.source == LAB else Path(mgsm.source).name}/{mgsm.style}"
    asked = []
    for lang, own in items.items():
        examples = _examples(mgsm, lang, settings.seed)
        asked += [
            replace(item, text=render_prompt(item, mgsm.style, examples), source=Source(name=name, row=row))
            for row, item in enumerate(own)
        ]
    return asked


def _items(mgsm: Mgsm, lang: str, seed: int) -> list[Prompt]:
    if mgsm.source == LAB:
        return lab_items("problems", [lang], mgsm.items, seed)
    path = _file(Path(mgsm.source), lang, FILE_NAMES)
    items = load_items(path, lang)
    if len(items) < mgsm.items:
        raise InputError(f"{len(items)} problems; mgsm.items asks for {mgsm.items}", path)
    return items[: mgsm.items]


def _examples(mgsm: Mgsm, lang: str, seed: int) -> list[Solved]:
    """Solved problems that stand before each question in the styles that take them."""
    if not mgsm.examples:
        return []
    if mgsm.source == LAB:
        return [Solved(problem) for problem in lab_items("problems", [lang], mgsm.examples, seed, split="base")]
    return load_examples(_file(Path(mgsm.source), lang, EXAMPLE_NAMES), lang)[: mgsm.examples]


def _file(folder: Path, lang: str, names: Sequence[str]) -> Path:
    stems = [name.format(lang=lang) for name in names]
    if found := files(folder, *stems):
        return found[0]
    expected = ", ".join(f"{stem}.jsonl" for stem in stems)
    raise InputError(f"no problems in {lang!r}; one of {expected} is expected, or as .tsv, .csv or .parquet", folder)


def judge(settings: Mgsm, problem: Prompt, completion: Completion) -> Answer:
    """One answer with the verdicts of all scorers and of language identification."""
    asked_in = "en" if settings.style == "en_cot" else problem.lang
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
        **score(completion.text, int(str(problem.answer)), problem.lang, phrase_lang=asked_in),
        off_target=is_off_target(completion.text, asked_in, candidates) if is_supported(asked_in) else None,
        sentences=sentences.judged,
        other_sentences=sentences.other,
    )


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
