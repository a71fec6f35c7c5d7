"""Made-up data of any size for the benchmarks, from the lab's tasks, by the product's own functions where it has any.

>>> write_iteration(settings, 10_000)                       # prompts, answers, translations, pairs, drops in data/
>>> write_rows(path, lab_pairs(settings, 480))              # pairs as the stage `pairs` makes them
>>> write_rows(path, mixed_pairs(400, tokenizer))           # 10 to 1,000 tokens each
>>> write_random_model(settings, {"hidden_size": 32, ...}, "float32")  # a model in the folder RANDOM
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from math import exp, log
from pathlib import Path
from typing import Any

import msgspec

from lidr import config, paths
from lidr.lab import world
from lidr.models.folder import locate
from lidr.pairs import stage as pairs
from lidr.pairs.texts import Texts
from lidr.records import (
    FinishReason,
    Message,
    Pair,
    Prompt,
    PromptKind,
    Record,
    Response,
    Source,
    Translation,
)

ITERATION = "m1"
RANDOM = "random"  # the folder of a model with random weights
TASKS = 500  # distinct ones; numbers make every prompt another text
CHUNK = 1_000  # prompts made and written at a time
SHORTEST, LONGEST = 10, 1_000  # tokens of a mixed pair's prompt and longer answer
# Measures of models: of Qwen2.5-0.5B, of Llama-3-8B, and of a small one for tests.
SHAPES: dict[str, dict[str, Any]] = {
    name: {
        "hidden_size": hidden,
        "intermediate_size": intermediate,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": key_value_heads,
        "vocab_size": vocabulary,
        "tie_word_embeddings": name != "8b",
    }
    for name, hidden, intermediate, layers, heads, key_value_heads, vocabulary in (
        ("0.5b", 896, 4864, 24, 14, 2, 151_936),
        ("8b", 4096, 14336, 32, 32, 8, 128_256),
        ("tiny", 64, 96, 2, 4, 2, 512),
    )
}


def write_iteration(settings: config.Settings, prompts: int) -> int:
    """Write an iteration of so many prompts to the working folder; returns how many pairs and drops belong to it.

    Five languages and eight directions for the lab's profile, answers with other numbers, one in ten wrong, one in
    fifty cut off.
    """
    with ExitStack() as stack:
        files: dict[Path, Any] = {}
        for start in range(0, prompts, CHUNK):
            made = texts(settings, range(start, min(start + CHUNK, prompts)))
            for path, record in _records(settings, made):
                if path not in files:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    files[path] = stack.enter_context(path.open("wb"))
                files[path].write(msgspec.json.encode(record) + b"\n")
    paths.round_trip(ITERATION).touch()
    return prompts * 2 * len(settings.languages)


def texts(settings: config.Settings, numbers: Sequence[int]) -> Texts:
    """What a model might have written on the prompts of these numbers."""
    tasks, dominant = _tasks(), settings.dominant
    made = Texts(prompts={}, responses={}, translations={})
    for number in numbers:
        name, task = f"made-{number}", tasks[number % TASKS]
        for lang in settings.all_languages:
            wrong = lang != dominant and (number + len(lang) + ord(lang[0])) % 10 == 0
            cut = number % 50 == 0 and lang == settings.languages[0]
            answer = f"{task.answer(lang)} {number + wrong}"
            made.prompts.setdefault(lang, {})[name] = Prompt(
                id=name,
                lang=lang,
                text=f"{task.prompt(lang)} + {number}",
                source=Source(name="made", row=number),
                kind=PromptKind.TASK,
                answer=str(number),
            )
            made.responses.setdefault(lang, {})[name] = Response(
                id=name,
                lang=lang,
                text=answer,
                finish_reason=FinishReason.LENGTH if cut else FinishReason.STOP,
                prompt_tokens=20,
                completion_tokens=len(answer.split()),
            )
        for lang in settings.languages:
            for a, b in ((dominant, lang), (lang, dominant)):
                own = made.responses[a][name]
                if own.finish_reason is FinishReason.STOP:
                    text = f"{task.answer(b)} {own.text.rpartition(' ')[2]}."
                    made.translations.setdefault((a, b), {})[name] = _translation(name, a, b, text)
    return made


def lab_pairs(settings: config.Settings, count: int) -> list[Pair]:
    """Pairs of the lab's tasks; where the model was right, chosen and rejected differ in wording alone."""
    made, _ = pairs.make(settings, texts(settings, range(count)))
    return made[:count]


def mixed_pairs(count: int, tokenizer: Any, seed: int = 0) -> list[Pair]:
    """Pairs of the lab's words whose prompt and longer answer have 10 to 1,000 tokens, evenly on a log scale."""
    rng = random.Random(seed)
    words = [word for task in _tasks() for word in f"{task.prompt('en')} {task.answer('en')}".split()]
    made = []
    for number in range(count):
        length = exp(rng.uniform(log(SHORTEST), log(LONGEST)))
        longer = max(2, round(length * rng.uniform(0.2, 0.8)))
        lengths = [longer, max(1, round(longer * rng.uniform(0.3, 1.0)))]
        rng.shuffle(lengths)
        prompt = _text(rng, words, tokenizer, max(1, round(length) - longer))
        chosen, rejected = (_text(rng, words, tokenizer, tokens) for tokens in lengths)
        made.append(_pair(number, prompt, chosen, rejected))
    return made


def write_random_model(settings: config.Settings, measures: dict[str, Any], dtype: str) -> None:
    """A Llama of these measures and random weights with the tokenizer of the settings' base, in the working folder."""
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(locate(settings.base))
    ends = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    measures = {"vocab_size": len(tokenizer)} | measures | ends
    made = LlamaConfig(**{"tie_word_embeddings": True} | measures, max_position_embeddings=4096)
    LlamaForCausalLM(made).to(getattr(torch, dtype)).save_pretrained(RANDOM)
    tokenizer.save_pretrained(RANDOM)


def _text(rng: random.Random, words: list[str], tokenizer: Any, tokens: int) -> str:
    """Words in their order from somewhere on, cut at so many tokens."""
    start = rng.randrange(len(words))
    text = " ".join(words[(start + i) % len(words)] for i in range(tokens))
    ids = tokenizer(text, add_special_tokens=False)["input_ids"][:tokens]
    return str(tokenizer.decode(ids)).strip() or words[start]


def _pair(number: int, prompt: str, chosen: str, rejected: str) -> Pair:
    return Pair(
        id=f"made-{number}:es:en",
        prompt=(Message(role="user", content=prompt),),
        chosen=(Message(role="assistant", content=chosen),),
        rejected=(Message(role="assistant", content=rejected),),
        prompt_id=f"made-{number}",
        lang="es",
        other_lang="en",
        rule="translated_dominant",
        chosen_from=f"translation:made-{number}:en-es",
        rejected_from=f"response:made-{number}:es",
    )


def _translation(name: str, source: str, target: str, text: str) -> Translation:
    raw = f"{text}</translated>"
    return Translation(
        id=name, source_lang=source, target_lang=target, text=text, finish_reason=FinishReason.STOP, raw=raw
    )


def _tasks() -> list[world.Task]:
    return list(world.tasks("iterations", world.KINDS, TASKS, 0))


def _records(settings: config.Settings, made: Texts) -> Iterator[tuple[Path, Record]]:
    for lang in settings.all_languages:
        yield from ((paths.prompt_file(ITERATION, lang), row) for row in made.prompts[lang].values())
        yield from ((paths.response_file(ITERATION, lang), row) for row in made.responses[lang].values())
    for (a, b), rows in made.translations.items():
        yield from ((paths.translation_file(ITERATION, a, b), row) for row in rows.values())
    kept, drops = pairs.make(settings, made)
    yield from ((paths.pairs(ITERATION) / paths.PAIRS, row) for row in kept)
    yield from ((paths.pairs(ITERATION) / paths.DROPS, row) for row in drops)
