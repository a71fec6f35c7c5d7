"""params.yaml: what is accepted, and the exact error line of each mistake."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from factories import ROOT, edited

from lidr import config
from lidr.config.engines import KINDS
from lidr.engines.settings import OpenAI, _known_keys
from lidr.errors import InputError

ENGINES = [str(kind.__struct_config__.tag) for kind in KINDS]
LANGUAGES = "languages: [es, de, fr, ru]"
LAST_ITERATION = "  m2:\n    previous: m1\n    data: m2"
BASELINE = re.search(r"  model: m0 .*\n  source: models/m0", edited())[0]  # type: ignore[index]
LORA = re.search(r"  lora:.*\n(    .*\n)+", edited())[0]  # type: ignore[index]


LEFT_OUT = "expected in the file, since dvc.yaml names it; its default is"


def load(folder: Path, text: str) -> config.Settings:
    path = folder / "params.yaml"
    path.write_text(text, encoding="utf-8")
    return config.load(path)


def message(folder: Path, text: str) -> str:
    """The error of loading `text` as params.yaml."""
    with pytest.raises(InputError) as caught:
        load(folder, text)
    return str(caught.value).replace(f"{folder}/", "")


def line_of(text: str, start: str) -> int:
    return next(number for number, line in enumerate(text.splitlines(), start=1) if line.startswith(start))


def test_committed_params_are_the_lab_profile() -> None:
    assert (ROOT / "params.yaml").read_bytes() == (ROOT / "profiles/lab.yaml").read_bytes()


def test_the_params_that_tests_edit_are_the_lab_s_with_all_keys() -> None:
    assert config.load(ROOT / "tests/params.yaml") == config.load(ROOT / "params.yaml")


# (replacements of the lines with the same keys, error of the last of these lines)
IN_A_LINE = [
    ("seed: 42\nsede: 1", "sede: there is no such key"),
    ("seed: true", "seed: Expected `int`, got `bool`"),
    ("profile:", "profile: Expected `str`, got `null`"),
    ("languages:\n  - es\n  - 5", "languages.1: Expected `str`, got `int`"),
    ("  device: tpu ", "engine.device: 'tpu' is none of auto, cpu, cuda, mps"),
    ("    beta: 0", "train.dpo.beta: Expected `float` > 0.0"),
    ("    beta: .inf", "train.dpo.beta: Expected `float` <= 1000000000.0"),
    ("  name: llama", f"engine.name: 'llama' is none of {', '.join(ENGINES)}"),
    (
        "  accelerate: elsewhere/cpu.yaml",
        "train.accelerate: a file in profiles/accelerate is expected, or null; DVC would miss changes elsewhere",
    ),
    ("  rows_per_shard: 10\n  vllm: {tensor_parallel_size: 1}", "engine.vllm: there is no such key"),
    ("  processes: cores", "engine.processes: 'cores' is none of auto"),
    ("  revision: 0123abc", "base.revision: the lab's base comes with the package; null is expected"),
    (
        "  fields: {text: a, id: b, answer: null}",
        "prompts.fields: the lab's prompts are taken as they are; null is expected",
    ),
    ("  answer_language: v9", "prompts.answer_language: the lab's prompts are taken as they are; null is expected"),
    ("  source: data/mine #", "prompts.source: 'data/mine' lies outside of data/sources, where DVC would miss changes"),
    ("    previous: m2", "iterations.m1.previous: a model before 'm1' is expected, not 'm2'"),
    ("languages: []", "languages: one or more languages, each once, are expected"),
    ("languages: [es, en]", "languages: the dominant language 'en' must not stand here as well"),
    ("languages: [es, de, es]", "languages: one or more languages, each once, are expected"),
    ("languages: [es, xx]", "languages: 'xx' is no language that CLDR knows; a BCP-47 code such as 'de' is expected"),
    ("  examples: 2", "mgsm.examples: the style 'paper' takes no examples; native_cot and en_cot do"),
    ("seed: 42\nseed: 43", 'not valid YAML: found duplicate key "seed" with value "43" (original value: "42")'),
    (
        "seed: !!python/object/apply:os.system ['true']",
        "not valid YAML: could not determine a constructor for the tag "
        "'tag:yaml.org,2002:python/object/apply:os.system'",
    ),
]
# The same for replacements of the iteration m2.
IN_M2 = [
    ("  m2: {previous: m1}", "iterations.m2.data: this key is missing"),
    ("  m2: m1", "iterations.m2: Expected a mapping, got `str`"),
    ("  m2:\n    previous: m1\n    data: ../m2", "iterations.m2.data: the name of data is expected: m1, m2, ..."),
    ("  m2:\n    previous: m1\n    data: m7", "iterations.m2.data: no data 'm7': there are m1, m2"),
    (
        "  m2:\n    previous: m1\n    data: m1 # again",
        "iterations.m2.data: 'm1' is written by m0; answers of m1 are expected, which is trained on",
    ),
    ("  m2:\n    data: m2\n    previous: m7", "iterations.m2.previous: 'm7' is no model of this file"),
    ("  m2:\n    data: m2\n    previous: m2", "iterations.m2.previous: a model before 'm2' is expected, not 'm2'"),
    (
        "  m2:\n    data: m2\n    previous: ../m1",
        "iterations.m2.previous: the name of a model is expected: m0, m1, m2, ...",
    ),
    (f"{LAST_ITERATION}\n    train:\n      gamma: 1", "iterations.m2.train.gamma: there is no such key"),
    (f"{LAST_ITERATION}\n    train: {{dpo: {{beta: -1}}}}", "iterations.m2.train.dpo.beta: Expected `float` > 0.0"),
    (
        f"{LAST_ITERATION}\n    train:\n      pairs_per_step: 33",
        "iterations.m2.train.pairs_per_step: a multiple of train.dpo.per_device_train_batch_size (8) is expected",
    ),
]
# (text in params.yaml, its replacement, beginning of the line in the error, message)
ELSEWHERE = [
    ("profile: lab", "1: lab", None, "keys are expected to be text"),
    ("    beta:", "", "  dpo:", "train.dpo.beta: this key is missing"),
    ("    beta:", "    betta:", "  dpo:", "train.dpo.beta: this key is missing; 'betta' is there"),
    ("  device:", "", "engine", f"engine.device: {LEFT_OUT} auto"),
    ("pairs:\n  rule: imbalance", "pairs:", "pairs", f"pairs.rule: {LEFT_OUT} imbalance"),
    ("compare:\n  confidence: 0.95", "compare:", "compare", f"compare.confidence: {LEFT_OUT} 0.95"),
    (BASELINE, "  model: m0", "baseline", f"baseline.source: {LEFT_OUT} models/m0"),
    (LORA, "", "train", f"train.lora: {LEFT_OUT} {{}}"),
    ("audit:\n  confidence: 0.95\n", "", None, f"audit: {LEFT_OUT} {{}}"),
    (
        "audit:\n  confidence: 0.95",
        "audit:\n  confidence: 1.0",
        "  confidence",
        "audit.confidence: Expected `float` < 1.0",
    ),
    (
        "  languages: [en, es, de, fr, ru, it, pt]\n",
        "  languages: [en, xx]\n",
        "  languages: [en, xx]",
        "alpaca.languages: 'xx' is no language that CLDR knows; a BCP-47 code such as 'de' is expected",
    ),
    ("  name: transformers", "  name: ray", "  dtype", "engine.dtype: there is no such key"),
    (
        "prompt_template: v1",
        "prompt_template: v9",
        "  prompt_template",
        "translate.prompt_template: 'v9' is no version; there are v1",
    ),
    (
        "  source: lab                 #",
        "  source: hub:me/data #",
        "  fields",
        "prompts.fields: a dataset's fields are expected: text, id and answer",
    ),
    (
        "  m1:\n    previous: m0",
        "  m0:\n    previous: m0\n    data: m1\n  m1:\n    previous: m0",
        "  m0",
        "iterations.m0: this is the base; iterations are named m1, m2, ...",
    ),
    ("  - m2\n", "  - second\n", "  - second", "models.2: the name of a model is expected: m0, m1, m2, ..."),
    ("  - m2\n", "", "models", "models: m0 and each iteration are expected, once each: m0, m1, m2"),
    ("  - m2\n", "  - m2\n  - m2\n", "models", "models: m0 and each iteration are expected, once each: m0, m1, m2"),
    ("  - m2\n", "  - m2\n  - m3\n", "models", "models: m0 and each iteration are expected, once each: m0, m1, m2"),
    ("  model: m0 ", "  model: m5 ", "  model: m5", "baseline.model: 'm5' is no model of this file"),
    (
        BASELINE,
        "  model: org/../gpt-4\n  source: data/sources",
        "  model: org",
        "baseline.model: the name of a model of this file or of a generator is expected",
    ),
    (
        "    per_device_train_batch_size:",
        "    per_device_train_batch_size: 5",
        "  pairs_per_step",
        "train.pairs_per_step: a multiple of train.dpo.per_device_train_batch_size (5) is expected",
    ),
    (
        "target_modules: all-linear",
        "target_modules: []",
        "    target_modules",
        "train.lora.target_modules: one module or more are expected",
    ),
]


def key_of(written: str) -> str:
    return f"{written.partition(':')[0]}:"


CHANGES = [
    *((key_of(written), written, written.splitlines()[-1], expected) for written, expected in IN_A_LINE),
    *((LAST_ITERATION, written, written.splitlines()[-1], expected) for written, expected in IN_M2),
    *ELSEWHERE,
]


@pytest.mark.parametrize(("old", "new", "line", "expected"), CHANGES)
def test_mistake_is_named_with_its_line(tmp_path: Path, old: str, new: str, line: str | None, expected: str) -> None:
    text = edited((old, new))
    place = "params.yaml" if line is None else f"params.yaml:{line_of(text, line)}"
    assert message(tmp_path, text) == f"{place}: {expected}"


NAMES = [
    *((name, "iterations", LAST_ITERATION, "iterations are named m1, m2, ...") for name in ("second", "m02", "m١")),
    *(
        (name, "data", "  m2:\n    by: m1", "data are named m1, m2, ..., or with a word behind: m1-sampled")
        for name in ("m0", "m1-", "m1_b", "../m1")
    ),
]


@pytest.mark.parametrize(("name", "mapping", "old", "expected"), NAMES)
def test_iterations_and_data_have_other_names(tmp_path: Path, name: str, mapping: str, old: str, expected: str) -> None:
    text = edited((old, old.replace("  m2:", f"  {name}:")))
    assert message(tmp_path, text) == f"params.yaml:{line_of(text, f'  {name}')}: {mapping}.{name}: {expected}"


def test_missing_file_says_where_to_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"^params\.yaml: no such file; run lidr in the project's root$"):
        config.load()


def test_yaml_is_read_as_dvc_reads_it(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        edited(("    beta:", "    beta: 1e-3"), ("dominant: en", "dominant: no"), ("profile: lab", "profile: yes")),
    )
    assert settings.train.dpo["beta"] == 0.001
    assert settings.dominant == "no"
    assert settings.profile == "yes"
    assert load(tmp_path, edited(("seed:", "seed: 010"))).seed == 10
    assert message(tmp_path, edited(("seed:", "seed: 1:30"))).endswith(": seed: Expected `int`, got `str`")


def test_adding_an_iteration_takes_its_name_its_data_and_what_it_goes_on_from(tmp_path: Path) -> None:
    new = edited(
        ("  - m2\n", "  - m2\n  - m3\n"),
        ("iterations:", "  m3: {by: m2}\niterations:"),
        (LAST_ITERATION, f"{LAST_ITERATION}\n  m3: {{previous: m2, data: m3}}"),
    )
    settings = load(tmp_path, new)
    assert settings.lineage("m3") == ("m0", "m1", "m2", "m3")
    assert settings.of_iteration("m3") == settings


def test_iterations_may_branch_and_share_data(tmp_path: Path) -> None:
    text = edited((LAST_ITERATION, "  m2:\n    previous: m0\n    data: m1"), ("  m2:\n    by: m1\n", ""))
    settings = load(tmp_path, text)
    assert settings.lineage("m2") == ("m0", "m2")
    assert settings.iterations["m2"].data == "m1"


SAMPLED = "generate: {samples: 4, temperature: 0.9}"


def test_data_may_differ_in_how_they_are_made(tmp_path: Path) -> None:
    text = edited(
        ("  m2:\n    by: m1", f"  m2-sampled:\n    by: m1\n    rule: implicit\n    {SAMPLED}"),
        ("    data: m2", "    data: m2-sampled\n    pairs: {filters: [identical]}"),
        ("  trust_remote_code: false", "  trust_remote_code: false\n  reference: lab"),
    )
    settings = load(tmp_path, text)
    first, second = settings.of_iteration("m1"), settings.of_iteration("m2")
    assert (first.pairs, first.generate) == (settings.pairs, settings.generate)
    assert (second.pairs.rule, second.pairs.filters) == ("implicit", ("identical",))
    assert (second.generate.samples, second.generate.temperature) == (4, 0.9)
    assert second.generate.max_new_tokens == settings.generate.max_new_tokens
    assert settings.of_data("m2-sampled").pairs.filters == settings.pairs.filters


def test_a_rule_that_all_data_overrule_needs_no_samples(tmp_path: Path) -> None:
    implicit, own = ("  rule: imbalance", "  rule: implicit"), "\n    rule: imbalance"
    both = ("  m1:\n    by: m0", f"  m1:\n    by: m0{own}"), ("  m2:\n    by: m1", f"  m2:\n    by: m1{own}")
    assert load(tmp_path, edited(implicit, *both)).of_iteration("m2").pairs.rule == "imbalance"
    text = edited(implicit, both[0])
    found = "generate.samples: 2 or more are expected: 'implicit' compares them"
    assert message(tmp_path, text) == f"params.yaml:{line_of(text, 'generate:')}: {found}"


@pytest.mark.parametrize(
    ("own", "line", "expected"),
    [
        ("rule: best", "    rule", "data.m2.rule: 'best' is no rule; there are imbalance, implicit"),
        ("rule: implicit", "generate:", "generate.samples: 2 or more are expected: 'implicit' compares them"),
        (
            "generate: {samples: 3}",
            "    generate",
            "data.m2.generate.temperature: above 0 is expected: greedy samples are all the same answer",
        ),
        ("generate: {sample: 3}", "    generate", "data.m2.generate.sample: there is no such key"),
        (
            "translate: {prompt_template: v9}",
            "    translate",
            "data.m2.translate.prompt_template: 'v9' is no version",
        ),
        ("prompts: 3", "    prompts", "data.m2.prompts: there is no such key"),
    ],
)
def test_a_mistake_in_data_is_named_with_its_line(tmp_path: Path, own: str, line: str, expected: str) -> None:
    text = edited(("  m2:\n    by: m1", f"  m2:\n    by: m1\n    {own}"))
    assert message(tmp_path, text).startswith(f"params.yaml:{line_of(text, line)}: {expected}")


def test_the_engine_checks_the_values_of_data_as_well(tmp_path: Path) -> None:
    text = with_engine(SERVER.replace("takes: vllm", "takes: openai"))
    own_values = {"generate.top_k": "generate: {top_k: 5}", "translate.": "translate: {repetition_penalty: 1.1}"}
    for key, own in own_values.items():
        changed = text.replace("  m2:\n    by: m1", f"  m2:\n    by: m1\n    {own}")
        assert f": data.m2.{key}" in message(tmp_path, changed)
        assert "only a server that takes what vLLM's does knows it (engine.takes)" in message(tmp_path, changed)


def test_data_that_no_iteration_is_trained_on_are_refused(tmp_path: Path) -> None:
    text = edited(("iterations:", "  m2-more: {by: m1}\niterations:"))
    found = f"params.yaml:{line_of(text, '  m2-more')}: data.m2-more: no iteration is trained on these"
    assert message(tmp_path, text) == found


def test_flatten_names_values_as_the_file_does() -> None:
    settings = config.load(ROOT / "params.yaml")
    flat = config.flatten(settings)
    assert flat["train.dpo.beta"] == settings.train.dpo["beta"]
    assert (flat["seed"], flat["iterations.m2.previous"], flat["base.revision"]) == (42, "m1", None)
    assert list(flat["languages"]) == ["es", "de", "fr", "ru"]
    assert not any(isinstance(value, dict) for value in flat.values())


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
    """The committed params.yaml with another engine block, on any device."""
    text = edited()
    start = text.index("engine:\n") + len("engine:\n")
    return text[:start] + "  device: auto\n" + block + text[text.index("\nprompts:\n") :]


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
    engine = load(tmp_path, text).engine
    assert isinstance(engine, OpenAI) and engine.models["m1"] == "one"
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
    text = with_engine(SERVER).replace("translate:\n", "translate:\n  model: data/sources/translator\n")
    assert "translate.model: a folder needs an engine on this machine, not 'openai'" in message(tmp_path, text)


# ---- what DVC sees change

OUTSIDE = "lies outside of data/sources, where DVC would miss changes"


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("    name: lab  ", "    name: local\n    model: /opt/judge  ", "alpaca.judge.model: '/opt/judge'"),
        ("    name: lab  ", "    name: local\n    model: models/m1  ", "alpaca.judge.model: 'models/m1'"),
        (
            "audit:\n",
            "audit:\n  judge: {name: local, model: data/sources/../judge}\n",
            "audit.judge.model: 'data/sources/../judge'",
        ),
        ("  include_path: lab", "  include_path: data/sources/../x", "harness.include_path: 'data/sources/../x'"),
        ("    by: m1", "    by: m1\n    translate: {model: models/m0}", "data.m2.translate.model: 'models/m0'"),
    ],
)
def test_files_lie_where_dvc_sees_them_change(tmp_path: Path, old: str, new: str, place: str) -> None:
    assert message(tmp_path, edited((old, new))).endswith(f": {place} {OUTSIDE}")


def test_sources_are_all_files_of_the_user_s(tmp_path: Path) -> None:
    assert config.load(ROOT / "params.yaml").sources() == {}
    text = edited(
        ("    name: lab  ", "    name: local\n    model: models/m0  "),
        ("audit:\n", "audit:\n  judge: {name: local, model: data/sources/judge}\n"),
        ("    by: m1", "    by: m1\n    translate: {model: data/sources/other}"),
        ("translate:\n", "translate:\n  model: data/sources/translator\n"),
    )
    assert load(tmp_path, text).sources() == {
        ("translate", "model"): "data/sources/translator",
        ("alpaca", "judge", "model"): "models/m0",
        ("audit", "judge", "model"): "data/sources/judge",
        ("data", "m2", "translate", "model"): "data/sources/other",
    }
    assert config.load(ROOT / "profiles/paper.yaml").sources() == {
        ("prompts", "source"): "data/sources/alpagasus",
        ("prompts", "translation_requests"): "data/sources/translation_instructions.jsonl",
        ("baseline", "source"): "data/sources/x-alpacaeval-outputs",
        ("mgsm", "source"): "data/sources/mgsm",
        ("alpaca", "source"): "data/sources/x-alpacaeval-prompts",
    }
