"""params.yaml: what is accepted, and the exact line that each mistake ends in."""

from __future__ import annotations

import difflib
from pathlib import Path

import pytest
from factories import ROOT, edited

from lidr import config
from lidr.engines.settings.openai import OpenAI
from lidr.engines.settings.vllm import _known_keys
from lidr.errors import InputError

PROFILES = sorted((ROOT / "profiles").glob("*.yaml"))
LANGUAGES = "languages: [es, de, fr, ru]"
LAST_ITERATION = "  m2:\n    previous: m1"


def load(folder: Path, text: str) -> config.Settings:
    path = folder / "params.yaml"
    path.write_text(text, encoding="utf-8")
    return config.load(path)


def message(folder: Path, text: str) -> str:
    """The error of loading `text`, with the file named params.yaml."""
    with pytest.raises(InputError) as caught:
        load(folder, text)
    return str(caught.value).replace(f"{folder}/", "")


def line_of(text: str, start: str) -> int:
    return next(number for number, line in enumerate(text.splitlines(), start=1) if line.startswith(start))


def test_committed_params_are_the_lab_profile() -> None:
    assert (ROOT / "params.yaml").read_bytes() == (ROOT / "profiles/lab.yaml").read_bytes()


def test_the_params_that_tests_edit_are_the_lab_s_with_all_keys() -> None:
    assert config.load(ROOT / "tests/params.yaml") == config.load(ROOT / "params.yaml")


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.stem)
def test_every_profile_loads_and_says_its_name(path: Path) -> None:
    assert config.load(path).profile == path.stem


# (what stands in params.yaml, what stands there instead, beginning of the line that is named, message)
WRONG = {
    "unknown block": ("seed:", "seed: 42\nsede: 1", "sede", "sede: there is no such key"),
    "unknown key": ("  beta:", "  beta: 0.1\n  gamma: 1", "  gamma", "train.gamma: there is no such key"),
    "unknown key of an iteration": (
        LAST_ITERATION,
        "  m2:\n    previous: m1\n    beta: 1",
        "    beta",
        "iterations.m2.beta: there is no such key",
    ),
    "key that is no text": ("profile: lab", "1: lab", None, "keys are expected to be text"),
    "missing block": ("seed:", "", None, "seed: this key is missing"),
    "missing key": ("  beta:", "", "train:", "train.beta: this key is missing"),
    "missing key of an iteration": (LAST_ITERATION, "  m2: {}", "  m2", "iterations.m2.previous: this key is missing"),
    "text for a number": ("  beta:", "  beta: high", "  beta", "train.beta: Expected `float`, got `str`"),
    "number as text": ("seed:", "seed: '42'", "seed", "seed: Expected `int`, got `str`"),
    "bool for a number": ("seed:", "seed: true", "seed", "seed: Expected `int`, got `bool`"),
    "fraction for a count": ("seed:", "seed: 1e20", "seed", "seed: Expected `int`, got `float`"),
    "number for a name": ("profile: lab", "profile: 3", "profile", "profile: Expected `str`, got `int`"),
    "nothing for a name": ("profile: lab", "profile:", "profile", "profile: Expected `str`, got `null`"),
    "text for a list": (LANGUAGES, "languages: es", "languages", "languages: Expected a list, got `str`"),
    "number in a list": (
        LANGUAGES,
        "languages:\n  - es\n  - 5",
        "  - 5",
        "languages.1: Expected `str`, got `int`",
    ),
    "text for a block": ("train:", "train: 1\nold:", "train", "train: Expected a mapping, got `int`"),
    "text for an iteration": (LAST_ITERATION, "  m2: m1", "  m2", "iterations.m2: Expected a mapping, got `str`"),
    "no such choice": (
        "  device:",
        "  device: tpu ",
        "  device",
        "engine.device: 'tpu' is none of auto, cpu, cuda, mps",
    ),
    "zero": ("  beta:", "  beta: 0", "  beta", "train.beta: Expected `float` > 0.0"),
    "negative": ("  alpha:", "  alpha: -0.1", "  alpha", "train.alpha: Expected `float` >= 0.0"),
    "zero of a count": ("  epochs:", "  epochs: 0", "  epochs", "train.epochs: Expected `float` > 0.0"),
    "no items": ("  items:", "  items: 0", "  items", "mgsm.items: Expected `int` >= 1"),
    "not a number": ("  beta:", "  beta: .nan", "  beta", "train.beta: Expected `float` > 0.0"),
    "infinite": ("  beta:", "  beta: .inf", "  beta", "train.beta: Expected `float` <= 1000000000.0"),
    "more than a share": (
        "  warmup_share:",
        "  warmup_share: 1.5",
        "  warmup_share",
        "train.warmup_share: Expected `float` <= 1.0",
    ),
    "certain confidence": (
        "audit:\n  confidence: 0.95",
        "audit:\n  confidence: 1.0",
        "  confidence",
        "audit.confidence: Expected `float` < 1.0",
    ),
    "no such engine": (
        "  name: transformers",
        "  name: llama",
        "  name: llama",
        "engine.name: 'llama' is none of openai, ray, transformers, vllm",
    ),
    "ray without its workers": (
        "  name: transformers",
        "  name: ray",
        "  dtype",
        "engine.dtype: there is no such key",
    ),
    "accelerate's settings out of DVC's sight": (
        "  accelerate: null",
        "  accelerate: elsewhere/cpu.yaml",
        "  accelerate",
        "train.accelerate: a file in profiles/accelerate is expected, or null; DVC would miss changes elsewhere",
    ),
    "no such precision": (
        "  dtype:",
        "  dtype: int8",
        "  dtype",
        "engine.dtype: 'int8' is none of float32, bfloat16, float16",
    ),
    "engine with another's block": (
        "  rows_per_shard:",
        "  rows_per_shard: 10\n  vllm: {tensor_parallel_size: 1}",
        "  vllm",
        "engine.vllm: there is no such key",
    ),
    "no processes": (
        "  processes:",
        "  processes: 0",
        "  processes",
        "engine.processes: Expected `int` >= 1",
    ),
    "processes by another word": (
        "  processes:",
        "  processes: cores",
        "  processes",
        "engine.processes: 'cores' is none of auto",
    ),
    "unknown wording": (
        "wording: v1",
        "wording: v9",
        "  wording",
        "translate.wording: 'v9' is no version of the wording; there are v1",
    ),
    "revision of the lab": (
        "  revision: null",
        "  revision: 0123abc",
        "  revision",
        "base.revision: the lab's base comes with the package; null is expected",
    ),
    "fields of the lab's prompts": (
        "  fields:",
        "  fields: {text: a, id: b, answer: null}",
        "  fields",
        "prompts.fields: the lab's prompts are taken as they are; null is expected",
    ),
    "dataset without its place": (
        "  source: lab                 #",
        "  source: hub:me/data #",
        "  fields",
        "prompts.fields: a dataset's fields are expected: text, id and answer",
    ),
    "unknown wording of the answer's language": (
        "  answer_language:",
        "  answer_language: v9",
        "  answer_language",
        "prompts.answer_language: the lab's prompts are taken as they are; null is expected",
    ),
    "prompts where DVC does not look": (
        "  source: lab                 #",
        "  source: data/mine #",
        "  source: data/mine",
        "prompts.source: 'data/mine' lies outside of data/sources, where DVC would miss changes",
    ),
    "previous missing": (
        LAST_ITERATION,
        "  m2:\n    previous: m7",
        "    previous: m7",
        "iterations.m2.previous: 'm7' is no model of this file",
    ),
    "previous is itself": (
        LAST_ITERATION,
        "  m2:\n    previous: m2",
        "    previous: m2",
        "iterations.m2.previous: a model before 'm2' is expected, not 'm2'",
    ),
    "previous is later": (
        "    previous: m0",
        "    previous: m2",
        "    previous: m2",
        "iterations.m1.previous: a model before 'm1' is expected, not 'm2'",
    ),
    "previous is no name": (
        LAST_ITERATION,
        "  m2:\n    previous: ../m1",
        "    previous: ../m1",
        "iterations.m2.previous: the name of a model is expected: m0, m1, m2, ...",
    ),
    "iteration is no name": (
        LAST_ITERATION,
        "  second:\n    previous: m1",
        "  second",
        "iterations.second: iterations are named m1, m2, ...",
    ),
    "iteration with a leading zero": (
        LAST_ITERATION,
        "  m02:\n    previous: m1",
        "  m02",
        "iterations.m02: iterations are named m1, m2, ...",
    ),
    "iteration named as the base": (
        "  m1:\n    previous: m0",
        "  m0:\n    previous: m0\n  m1:\n    previous: m0",
        "  m0",
        "iterations.m0: this is the base; iterations are named m1, m2, ...",
    ),
    "model is no name": (
        "  - m2\n",
        "  - second\n",
        "  - second",
        "models.2: the name of a model is expected: m0, m1, m2, ...",
    ),
    "model missing": ("  - m2\n", "", "models", "models: m0 and each iteration are expected, once each: m0, m1, m2"),
    "model twice": (
        "  - m2\n",
        "  - m2\n  - m2\n",
        "models",
        "models: m0 and each iteration are expected, once each: m0, m1, m2",
    ),
    "model without an iteration": (
        "  - m2\n",
        "  - m2\n  - m3\n",
        "models",
        "models: m0 and each iteration are expected, once each: m0, m1, m2",
    ),
    "unknown baseline": (
        "  model: m0 ",
        "  model: m5 ",
        "  model: m5",
        "baseline.model: 'm5' is no model of this file",
    ),
    "baseline in another folder": (
        "  model: m0                   # whose answers the win rate is against: a model of this file, or a published "
        "generator\n  source: models/m0 ",
        "  model: org/../gpt-4\n  source: data/sources ",
        "  model: org",
        "baseline.model: the name of a model of this file or of a generator is expected",
    ),
    "dominant among the others": (
        LANGUAGES,
        "languages: [es, en]",
        "languages",
        "languages: the dominant language 'en' must not stand here as well",
    ),
    "language twice": (
        LANGUAGES,
        "languages: [es, de, es]",
        "languages",
        "languages: one or more languages, each once, are expected",
    ),
    "language twice, in capitals": (
        LANGUAGES,
        "languages: [es, ES]",
        "languages",
        "languages: one or more languages, each once, are expected",
    ),
    "no language": (
        LANGUAGES,
        "languages: []",
        "languages",
        "languages: one or more languages, each once, are expected",
    ),
    "unknown language": (
        LANGUAGES,
        "languages: [es, xx]",
        "languages",
        "languages: 'xx' is no language that CLDR knows; a BCP-47 code such as 'de' is expected",
    ),
    "unknown dominant language": (
        "dominant: en",
        "dominant: english",
        "dominant",
        "dominant: 'english' is no language that CLDR knows; a BCP-47 code such as 'de' is expected",
    ),
    "path as a language": (
        LANGUAGES,
        "languages: [../es]",
        "languages",
        "languages: '../es' is no language that CLDR knows; a BCP-47 code such as 'de' is expected",
    ),
    "NUL in a language": (
        LANGUAGES,
        'languages: ["es\\0"]',
        "languages",
        "languages: 'es\\x00' is no language that CLDR knows; a BCP-47 code such as 'de' is expected",
    ),
    "unknown language of a benchmark": (
        "  languages: [en, es, de, fr, ru, it, pt]\n",
        "  languages: [en, xx]\n",
        "  languages: [en, xx]",
        "alpaca.languages: 'xx' is no language that CLDR knows; a BCP-47 code such as 'de' is expected",
    ),
    "iteration's train: unknown key": (
        LAST_ITERATION,
        "  m2:\n    previous: m1\n    train:\n      gamma: 1",
        "      gamma",
        "iterations.m2.train.gamma: there is no such key",
    ),
    "iteration's train: out of range": (
        LAST_ITERATION,
        "  m2:\n    previous: m1\n    train: {beta: -1}",
        "    train",
        "iterations.m2.train.beta: Expected `float` > 0.0",
    ),
    "iteration's train: no such choice": (
        LAST_ITERATION,
        "  m2:\n    previous: m1\n    train: {schedule: step}",
        "    train",
        "iterations.m2.train.schedule: 'step' is none of constant, linear, cosine",
    ),
    "iteration's train: no block": (
        LAST_ITERATION,
        "  m2:\n    previous: m1\n    train: 3",
        "    train",
        "iterations.m2.train: Expected a mapping, got `int`",
    ),
    "iteration's train: not a multiple": (
        LAST_ITERATION,
        "  m2:\n    previous: m1\n    train:\n      pairs_per_step: 33",
        "      pairs_per_step",
        "iterations.m2.train.pairs_per_step: a multiple of pairs_per_device is expected",
    ),
    "step is not a multiple": (
        "  pairs_per_device:",
        "  pairs_per_device: 5",
        "  pairs_per_step",
        "train.pairs_per_step: a multiple of pairs_per_device is expected",
    ),
    "nothing to train": (
        "lora_modules: all-linear",
        "lora_modules: []",
        "  lora_modules",
        "train.lora_modules: one module or more are expected",
    ),
    "key twice": (
        "seed:",
        "seed: 42\nseed: 43",
        "seed: 43",
        'not valid YAML: found duplicate key "seed" with value "43" (original value: "42")',
    ),
    "tab": (
        "seed:",
        "seed: 42\n\tx: 1",
        "\tx",
        "not valid YAML: found character '\\t' that cannot start any token",
    ),
    "python object": (
        "seed:",
        "seed: !!python/object/apply:os.system ['true']",
        "seed",
        "not valid YAML: could not determine a constructor for the tag "
        "'tag:yaml.org,2002:python/object/apply:os.system'",
    ),
}


@pytest.mark.parametrize(("old", "new", "line", "expected"), WRONG.values(), ids=WRONG.keys())
def test_mistake_is_named_with_its_line(tmp_path: Path, old: str, new: str, line: str | None, expected: str) -> None:
    text = edited((old, new))
    place = "params.yaml" if line is None else f"params.yaml:{line_of(text, line)}"
    assert message(tmp_path, text) == f"{place}: {expected}"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "params.yaml:1: a mapping of the configuration's blocks is expected"),
        (b"- 1\n", "params.yaml:1: a mapping of the configuration's blocks is expected"),
        (b"profile: \xff\n", "params.yaml: not UTF-8 at byte 9"),
    ],
    ids=["empty", "list", "not UTF-8"],
)
def test_file_that_is_no_configuration(tmp_path: Path, content: bytes, expected: str) -> None:
    (tmp_path / "params.yaml").write_bytes(content)
    with pytest.raises(InputError) as caught:
        config.load(tmp_path / "params.yaml")
    assert str(caught.value).replace(f"{tmp_path}/", "") == expected


def test_missing_file_says_where_to_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"^params\.yaml: no such file; run lidr in the project's root$"):
        config.load()


def test_yaml_is_read_as_dvc_reads_it(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        edited(("  beta:", "  beta: 1e-3"), ("dominant: en", "dominant: no"), ("profile: lab", "profile: yes")),
    )
    assert settings.train.beta == 0.001
    assert settings.dominant == "no"
    assert settings.profile == "yes"


def test_octal_looking_and_sexagesimal_numbers_are_plain_ones(tmp_path: Path) -> None:
    assert load(tmp_path, edited(("seed:", "seed: 010"))).seed == 10
    assert message(tmp_path, edited(("seed:", "seed: 1:30"))).endswith(": seed: Expected `int`, got `str`")


def test_adding_an_iteration_takes_three_lines(tmp_path: Path) -> None:
    old = edited()
    new = edited(("  - m2\n", "  - m2\n  - m3\n"), (LAST_ITERATION, f"{LAST_ITERATION}\n  m3:\n    previous: m2"))
    changed = [line for line in difflib.ndiff(old.splitlines(), new.splitlines()) if line[0] in "+-"]
    assert changed == ["+   - m3", "+   m3:", "+     previous: m2"]
    settings = load(tmp_path, new)
    assert settings.lineage("m3") == ("m0", "m1", "m2", "m3")
    assert settings.train_for("m3") == settings.train


def test_iteration_may_differ_in_training(tmp_path: Path) -> None:
    settings = load(tmp_path, edited((LAST_ITERATION, f"{LAST_ITERATION}\n    train: {{beta: 0.5, epochs: 2}}")))
    assert settings.train_for("m1") == settings.train
    assert (settings.train_for("m2").beta, settings.train_for("m2").epochs) == (0.5, 2)
    assert settings.train_for("m2").learning_rate == settings.train.learning_rate


def test_iterations_may_branch(tmp_path: Path) -> None:
    settings = load(tmp_path, edited((LAST_ITERATION, "  m2:\n    previous: m0")))
    assert settings.lineage("m2") == ("m0", "m2")


@pytest.mark.parametrize("name", ["m7", "m0", "", "../m1", "m1/..", "/m1", "m1\0", "M1", "m1 ", "m01"])
def test_only_iterations_of_the_file_are_iterations(name: str) -> None:
    with pytest.raises(InputError) as caught:
        config.load(ROOT / "params.yaml").iteration(name)
    assert str(caught.value) == f"no iteration {name!r} in params.yaml: it has m1, m2"


@pytest.mark.parametrize("name", ["m7", "", "../m1", "m0/..", "/m0", "m1\0", "M1"])
def test_only_models_of_the_file_are_models(name: str) -> None:
    with pytest.raises(InputError) as caught:
        config.load(ROOT / "params.yaml").model(name)
    assert str(caught.value) == f"no model {name!r} in params.yaml: it has m0, m1, m2"


def test_flatten_names_values_as_the_file_does() -> None:
    flat = config.flatten(config.load(ROOT / "params.yaml"))
    assert flat["seed"] == 42
    assert flat["train.beta"] == config.load(ROOT / "params.yaml").train.beta
    assert flat["iterations.m2.previous"] == "m1"
    assert list(flat["languages"]) == ["es", "de", "fr", "ru"]
    assert flat["base.revision"] is None
    assert not any(isinstance(value, dict) for value in flat.values())


@pytest.mark.parametrize(("name", "number"), [("m0", 0), ("m1", 1), ("m12", 12)])
def test_iteration_number(name: str, number: int) -> None:
    assert config.iteration_number(name) == number


# ---- an engine behind a server

SERVER = """  name: openai
  rows_per_shard: 100
  endpoint: http://127.0.0.1:8000/v1
  models: {m0: base, m1: one, m2: two}
  takes: vllm
  concurrency: 8
  retries: 3
  timeout_seconds: 60
"""


def with_engine(block: str) -> str:
    """The committed params.yaml with another engine block."""
    text = edited()
    start = text.index("engine:\n") + len("engine:\n")
    return text[:start] + block + text[text.index("\nprompts:\n") :]


@pytest.mark.parametrize(
    ("block", "reason"),
    [
        (
            "  name: ray\n  workers: 2\n  engine: {name: vllm, vllm: {tensor_parallel_size: 4}}\n",
            "engine.gpus_per_worker: tensor_parallel_size is 4; as many are expected, or 0 without GPUs",
        ),
        (
            "  name: ray\n  workers: 2\n  engine: {name: transformers, device: cuda}\n",
            "engine.engine.device: engine.device says it for the workers as well",
        ),
        (
            "  name: ray\n  workers: 2\n  engine: {name: openai}\n",
            "engine.engine.name: 'openai' is none of transformers, vllm",
        ),
        ("  name: ray\n  engine: {name: transformers}\n", "engine.workers: this key is missing"),
        (
            "  name: vllm\n  vllm: {model: m}\n",
            "engine.vllm.model: base.model says which model it is; it is not set here",
        ),
        ("  name: vllm\n  vllm: {dtype: auto}\n", "engine.vllm.dtype: 'auto' is none of float32, bfloat16, float16"),
        ("  name: vllm\n  dtype: bfloat16\n", "engine.dtype: there is no such key"),
    ],
)
def test_contradictions_of_engines(tmp_path: Path, block: str, reason: str) -> None:
    assert message(tmp_path, with_engine(block)).endswith(reason)


def test_keys_of_vllm_are_those_of_its_engine_args(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "vllm"
    (package / "engine").mkdir(parents=True)
    (package / "__init__.py").touch()
    source = "class Other:\n    gpus: int = 1\n\n\nclass EngineArgs:\n    model: str\n    max_num_seqs: int = 256\n"
    (package / "engine" / "arg_utils.py").write_text(source, "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    _known_keys.cache_clear()
    text = with_engine("  name: vllm\n  vllm: {max_num_seqs: 8, dtype: float32, gpus: 2}\n")
    found = message(tmp_path, text.replace(", dtype: float32", ""))
    monkeypatch.undo()
    _known_keys.cache_clear()
    assert found.endswith("engine.vllm.gpus: vLLM's EngineArgs has no such key")


def test_an_engine_behind_a_server_is_accepted(tmp_path: Path) -> None:
    server = load(tmp_path, with_engine(SERVER)).engine
    assert isinstance(server, OpenAI) and server.models["m1"] == "one"


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("  takes", "  dtype: float32\n  takes", "engine.dtype: there is no such key"),
        ("m2: two", "m3: two", "engine.models: the server's name of each model of this file is expected: of m0"),
        ("m2: two", "mx: two", "engine.models: models are named m0, m1, ..."),
        ("m2: two", "m2: 2", "engine.models: Expected `str`, got `int`"),
        ("takes: vllm", "takes: all", "engine.takes: 'all' is none of openai, vllm"),
        ("http://", "http://me:secret@", "engine.endpoint: an address such as"),
        ("concurrency: 8", "concurrency: 0", "engine.concurrency: Expected `int` >= 1"),
        ("  endpoint: http://127.0.0.1:8000/v1\n", "", "engine.endpoint: this key is missing"),
    ],
)
def test_contradictions_of_a_server(tmp_path: Path, old: str, new: str, reason: str) -> None:
    assert old in SERVER
    found = message(tmp_path, with_engine(SERVER.replace(old, new)))
    assert reason in found and "secret" not in found


def test_a_server_of_the_plain_kind_takes_no_repetition_penalty(tmp_path: Path) -> None:
    text = with_engine(SERVER.replace("takes: vllm", "takes: openai"))
    assert isinstance(load(tmp_path, text).engine, OpenAI)
    penalised = text.replace("mgsm:\n", "mgsm:\n  #\n").replace("repetition_penalty: 1.0", "repetition_penalty: 1.1", 1)
    assert "generate.repetition_penalty: only a server that takes what vLLM's does" in message(tmp_path, penalised)


# ---- who translates


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ("models/other", "translate.model: 'models/other' lies outside of data/sources, where DVC would miss changes"),
        ("{endpoint: ftp://me@there, model: t}", "translate.model.endpoint: an address such as"),
        ("{endpoint: http://127.0.0.1/v1}", "translate.model.model: this key is missing"),
    ],
)
def test_contradictions_of_a_translator(tmp_path: Path, model: str, reason: str) -> None:
    found = message(tmp_path, edited(("translate:\n", f"translate:\n  model: {model}\n")))
    assert reason in found and "me@" not in found


def test_a_translator_is_a_folder_of_sources_or_a_server(tmp_path: Path) -> None:
    server = "{endpoint: http://127.0.0.1/v1, model: t}"
    folder, served = (
        load(tmp_path, edited(("translate:\n", f"translate:\n  model: {model}\n")))
        for model in ("data/sources/translator", server)
    )
    assert folder.translate.model == "data/sources/translator" and folder.translation_is_begun
    assert served.translate.model == config.TranslationServer(endpoint="http://127.0.0.1/v1", model="t")
    assert not served.translation_is_begun


def test_a_folder_is_no_translator_where_a_server_answers(tmp_path: Path) -> None:
    text = with_engine(SERVER).replace("translate:\n", "translate:\n  model: data/sources/translator\n")
    assert "translate.model: a folder needs an engine on this machine, not 'openai'" in message(tmp_path, text)
