"""params.yaml: what is accepted, and the exact line that each mistake ends in."""

from __future__ import annotations

import difflib
import subprocess
import sys
from pathlib import Path

import pytest
from factories import ROOT, edited

from lidr import config
from lidr.errors import InputError

PROFILES = sorted((ROOT / "profiles").glob("*.yaml"))
LANGUAGES = "languages: [es, de, fr, ru]"
EPOCHS = "    num_train_epochs:"
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
    "unknown key": ("  alpha:", "  alpha: 0.1\n  gamma: 1", "  gamma", "train.gamma: there is no such key"),
    "unknown key of an iteration": (
        LAST_ITERATION,
        "  m2:\n    previous: m1\n    beta: 1",
        "    beta",
        "iterations.m2.beta: there is no such key",
    ),
    "key that is no text": ("profile: lab", "1: lab", None, "keys are expected to be text"),
    "missing block": ("seed:", "", None, "seed: this key is missing"),
    "missing key": ("    beta:", "", "  dpo:", "train.dpo.beta: this key is missing"),
    "missing key of an iteration": (LAST_ITERATION, "  m2: {}", "  m2", "iterations.m2.previous: this key is missing"),
    "text for a number": ("    beta:", "    beta: high", "    beta", "train.dpo.beta: Expected `float`, got `str`"),
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
    "zero": ("    beta:", "    beta: 0", "    beta", "train.dpo.beta: Expected `float` > 0.0"),
    "negative": ("  alpha:", "  alpha: -0.1", "  alpha", "train.alpha: Expected `float` >= 0.0"),
    "zero of a count": (EPOCHS, f"{EPOCHS} 0 #", EPOCHS, "train.dpo.num_train_epochs: Expected `float` > 0.0"),
    "no items": ("  items:", "  items: 0", "  items", "mgsm.items: Expected `int` >= 1"),
    "not a number": ("    beta:", "    beta: .nan", "    beta", "train.dpo.beta: Expected `float` > 0.0"),
    "infinite": ("    beta:", "    beta: .inf", "    beta", "train.dpo.beta: Expected `float` <= 1000000000.0"),
    "more than a share": (
        "    lora_dropout:",
        "    lora_dropout: 1.5",
        "    lora_dropout",
        "train.lora.lora_dropout: Expected `float` <= 1.0",
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
        "engine.name: 'llama' is none of transformers, vllm, openai, ray",
    ),
    "ray without its block": (
        "  name: transformers",
        "  name: ray",
        "engine:",
        "engine.ray: the engine 'ray' needs it",
    ),
    "ray's vllm without its block": (
        "  name: transformers",
        "  name: ray\n  ray: {engine: vllm, address: null, workers: 2, gpus_per_worker: 1, rows_per_task: 100}",
        "engine:",
        "engine.vllm: the engine 'ray' needs it",
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
    "engine without what it needs": (
        "  dtype:",
        "  dtype: null",
        "  dtype",
        "engine.dtype: the engine 'transformers' needs it",
    ),
    "engine with another's block": (
        "  rows_per_shard:",
        "  rows_per_shard: 10\n  vllm: {tensor_parallel: 1, memory_share: 0.9, sequences: 8, context: null, "
        "prefix_caching: true, eager: false}",
        "  vllm",
        "engine.vllm: the engine 'transformers' has no use for it",
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
    "unknown option of an engine": (
        "  rows_per_shard:",
        "  rows_per_shard: 10\n  vllm:\n    tensor_parallel: 1\n    gpus: 2",
        "    gpus",
        "engine.vllm.gpus: there is no such key",
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
        "  m2:\n    previous: m1\n    train: {dpo: {beta: -1}}",
        "    train",
        "iterations.m2.train.dpo.beta: Expected `float` > 0.0",
    ),
    "iteration's train: no such choice": (
        LAST_ITERATION,
        "  m2:\n    previous: m1\n    train: {dpo: {lr_scheduler_type: step}}",
        "    train",
        "iterations.m2.train.dpo.lr_scheduler_type: 'step' is none of constant, linear, cosine, cosine_with_restarts, "
        "polynomial, constant_with_warmup, inverse_sqrt, cosine_with_min_lr, cosine_warmup_with_min_lr, "
        "warmup_stable_decay",
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
        "iterations.m2.train.pairs_per_step: a multiple of train.dpo.per_device_train_batch_size (8) is expected",
    ),
    "step is not a multiple": (
        "    per_device_train_batch_size:",
        "    per_device_train_batch_size: 5",
        "  pairs_per_step",
        "train.pairs_per_step: a multiple of train.dpo.per_device_train_batch_size (5) is expected",
    ),
    "nothing to train": (
        "target_modules: all-linear",
        "target_modules: []",
        "    target_modules",
        "train.lora.target_modules: one module or more are expected",
    ),
    "key that DPOConfig does not have": (
        "    beta:",
        "    beta: 0.1\n    bata: 0.2",
        "    bata",
        "train.dpo.bata: DPOConfig has no such key",
    ),
    "value that DPOConfig does not take": (
        "    beta:",
        "    beta: 0.1\n    adam_beta2: high",
        "    adam_beta2",
        "train.dpo.adam_beta2: Expected `float`, got `str`",
    ),
    "value that DPOConfig itself refuses": (
        "    beta:",
        "    beta: 0.1\n    debug: everything",
        "  dpo",
        "train.dpo: everything is not a valid DebugOption, please select one of "
        "['underflow_overflow', 'tpu_metrics_debug']",
    ),
    "key that LoraConfig does not have": (
        "    r: 16",
        "    r: 16\n    rank: 8",
        "    rank",
        "train.lora.rank: LoraConfig has no such key",
    ),
    "value that LoraConfig does not take": (
        "    r: 16",
        "    r: 16\n    use_rslora: maybe",
        "    use_rslora",
        "train.lora.use_rslora: Expected `bool`, got `str`",
    ),
    "key that lidr derives": (
        "    beta:",
        "    beta: 0.1\n    gradient_accumulation_steps: 4",
        "    gradient_accumulation_steps",
        "train.dpo.gradient_accumulation_steps: it follows from `train.pairs_per_step`, so that a step is the same on "
        "any number of devices",
    ),
    "key that lidr sets": (
        "    beta:",
        "    beta: 0.1\n    seed: 4",
        "    seed: 4",
        "train.dpo.seed: `seed` at the top of the file is the one for everything",
    ),
    "part of the base in the adapter": (
        "    r: 16",
        "    r: 16\n    bias: all",
        "    bias",
        "train.lora.bias: an adapter is LoRA weights of linear layers and nothing else",
    ),
    "weights that change the base": (
        "    r: 16",
        "    r: 16\n    init_lora_weights: pissa",
        "    init_lora_weights",
        "train.lora.init_lora_weights: gaussian, orthogonal, true or false is expected; others change the base",
    ),
    "dropout that TRL turns off": (
        "    lora_dropout: 0.0",
        "    lora_dropout: 0.1",
        "    lora_dropout",
        "train.lora.lora_dropout: train.dpo.disable_dropout: false is expected; TRL would turn this one off too",
    ),
    "no such loss": (
        "    loss_type: sigmoid",
        "    loss_type: [sigmoid, square]",
        "    loss_type",
        "train.dpo.loss_type.1: 'square' is none of sigmoid, hinge, ipo, exo_pair, nca_pair, robust, bco_pair, "
        "sppo_hard, apo_zero, apo_down, discopop, sigmoid_norm",
    ),
    "loss of a batch": (
        "    loss_type: sigmoid",
        "    loss_type: aot",
        "    loss_type",
        "train.dpo.loss_type: aot: it sorts the pairs of a micro-batch, so that the result would depend on the number "
        "of devices",
    ),
    "the likelihood term as a loss": (
        "    loss_type: sigmoid",
        "    loss_type: [sigmoid, sft]",
        "    loss_type",
        "train.dpo.loss_type: sft: it is the likelihood term, whose weight is `train.alpha` (`likelihood_mean: token` "
        "for TRL's mean)",
    ),
    "loss without its smoothing": (
        "    loss_type: sigmoid",
        "    loss_type: exo_pair",
        "    label_smoothing",
        "train.dpo.label_smoothing: more than 0 is expected by exo_pair; its paper recommends 1e-3",
    ),
    "losses and weights": (
        "    loss_weights: null",
        "    loss_weights: [1.0, 0.5]",
        "    loss_weights",
        "train.dpo.loss_weights: a weight for each of the 1 losses is expected",
    ),
    "loss without another divergence": (
        "    loss_type: sigmoid",
        "    loss_type: sppo_hard\n    f_divergence_type: forward_kl",
        "    f_divergence_type",
        "train.dpo.f_divergence_type: only discopop, exo_pair, hinge, ipo, robust, sigmoid, sigmoid_norm can have "
        "another than reverse_kl",
    ),
    "iteration's train: shape of an adapter that is there": (
        LAST_ITERATION,
        "  m2:\n    previous: m1\n    train:\n      lora: {r: 8}",
        "      lora",
        "iterations.m2.train.lora: m2 goes on training the adapter of m1, which is made already",
    ),
    "iteration's train: key of the library": (
        LAST_ITERATION,
        "  m2:\n    previous: m1\n    train:\n      dpo:\n        bata: 1",
        "        bata",
        "iterations.m2.train.dpo.bata: DPOConfig has no such key",
    ),
    "iteration's pairs: no such key": (
        LAST_ITERATION,
        "  m2:\n    previous: m1\n    pairs:\n      drop_all: true",
        "      drop_all",
        "iterations.m2.pairs.drop_all: there is no such key",
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
        edited(("    beta:", "    beta: 1e-3"), ("dominant: en", "dominant: no"), ("profile: lab", "profile: yes")),
    )
    assert settings.train.dpo["beta"] == 0.001
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


def test_iteration_may_differ_in_training_and_pairs(tmp_path: Path) -> None:
    own = "    train: {alpha: 2, dpo: {beta: 0.5, adam_beta2: 0.95}}\n    pairs: {drop_off_target: true}"
    settings = load(tmp_path, edited((LAST_ITERATION, f"{LAST_ITERATION}\n{own}")))
    assert settings.train_for("m1") == settings.train
    assert settings.pairs_for("m1") == settings.pairs
    train = settings.train_for("m2")
    assert (train.alpha, train.lora) == (2, settings.train.lora)
    assert train.dpo == settings.train.dpo | {"beta": 0.5, "adam_beta2": 0.95}
    pairs = settings.pairs_for("m2")
    assert (pairs.drop_off_target, pairs.drop_repeated) == (True, settings.pairs.drop_repeated)


def test_defaults_of_the_libraries_keys_are_values_that_take_effect(tmp_path: Path) -> None:
    whole = edited()
    start, end = whole.index("  dpo: "), whole.index("mgsm:\n")
    dpo = "  dpo: {beta: 0.1, learning_rate: 1e-5, max_length: 512}\n"
    flat = config.flatten(load(tmp_path, f"{whole[:start]}{dpo}{whole[end:]}"))
    assert {name: value for name, value in flat.items() if name.startswith(("train.dpo", "train.lora"))} == {
        "train.dpo.beta": 0.1,
        "train.dpo.learning_rate": 1e-5,
        "train.dpo.max_length": 512,
        "train.dpo.loss_type": "sigmoid",
        "train.dpo.loss_weights": None,
        "train.dpo.label_smoothing": 0.0,
        "train.dpo.num_train_epochs": 1.0,
        "train.dpo.per_device_train_batch_size": 1,
        "train.dpo.lr_scheduler_type": "cosine",
        "train.dpo.warmup_steps": 0.1,
        "train.dpo.max_grad_norm": 1.0,
        "train.dpo.weight_decay": 0.0,
        "train.dpo.gradient_checkpointing": False,
        "train.dpo.disable_dropout": True,
        "train.dpo.logging_steps": 10,
        "train.dpo.eval_steps": 0.25,
        "train.dpo.save_steps": 50,
        "train.lora.r": 16,
        "train.lora.lora_alpha": 32,
        "train.lora.lora_dropout": 0.0,
        "train.lora.target_modules": "all-linear",
    }


def test_keys_that_lidr_reads_itself_import_no_library() -> None:
    code = "import sys; from lidr import config; config.load(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


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
    assert flat["train.dpo.beta"] == config.load(ROOT / "params.yaml").train.dpo["beta"]
    assert flat["iterations.m2.previous"] == "m1"
    assert list(flat["languages"]) == ["es", "de", "fr", "ru"]
    assert flat["base.revision"] is None
    assert not any(isinstance(value, dict) for value in flat.values())


@pytest.mark.parametrize(("name", "number"), [("m0", 0), ("m1", 1), ("m12", 12)])
def test_iteration_number(name: str, number: int) -> None:
    assert config.iteration_number(name) == number


# ---- an engine behind a server

SERVER = """  name: openai
  device: auto
  dtype: null
  tokens_per_batch: null
  rows_per_shard: 100
  openai:
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


def test_ray_has_as_many_gpus_as_its_vllm(tmp_path: Path) -> None:
    block = (
        "  name: ray\n  device: auto\n  dtype: bfloat16\n  tokens_per_batch: 1000\n  rows_per_shard: 100\n"
        "  ray: {engine: vllm, address: null, workers: 2, gpus_per_worker: 1, rows_per_task: 9}\n"
        "  vllm: {tensor_parallel: 4, memory_share: 0.9, sequences: 8, context: null, prefix_caching: true, "
        "eager: false}\n"
    )
    reason = "engine.ray.gpus_per_worker: engine.vllm.tensor_parallel is 4; as many are expected, or 0 without GPUs"
    assert message(tmp_path, with_engine(block)).endswith(reason)


def test_an_engine_behind_a_server_is_accepted(tmp_path: Path) -> None:
    server = load(tmp_path, with_engine(SERVER)).engine.openai
    assert server is not None and server.models["m1"] == "one"


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("  dtype: null", "  dtype: float32", "engine.dtype: the engine 'openai' has no use for it"),
        ("m2: two", "m3: two", "engine.openai.models: the server's name of each model of this file is expected: of m0"),
        ("m2: two", "mx: two", "engine.openai.models: models are named m0, m1, ..."),
        ("m2: two", "m2: 2", "engine.openai.models: Expected `str`, got `int`"),
        ("  rows_per_shard: 100", "  rows_per_shard: 100\n  processes: 2", "engine.processes: the engine 'openai'"),
        ("takes: vllm", "takes: all", "engine.openai.takes: 'all' is none of openai, vllm"),
        ("http://", "http://me:secret@", "engine.openai.endpoint: an address such as"),
        ("concurrency: 8", "concurrency: 0", "engine.openai.concurrency: Expected `int` >= 1"),
        ("    endpoint: http://127.0.0.1:8000/v1\n", "", "engine.openai.endpoint: this key is missing"),
    ],
)
def test_contradictions_of_a_server(tmp_path: Path, old: str, new: str, reason: str) -> None:
    assert old in SERVER
    found = message(tmp_path, with_engine(SERVER.replace(old, new)))
    assert reason in found and "secret" not in found


def test_a_server_of_the_plain_kind_takes_no_repetition_penalty(tmp_path: Path) -> None:
    text = with_engine(SERVER.replace("takes: vllm", "takes: openai"))
    assert load(tmp_path, text).engine.openai is not None
    penalised = text.replace("mgsm:\n", "mgsm:\n  #\n").replace("repetition_penalty: 1.0", "repetition_penalty: 1.1", 1)
    assert "generate.repetition_penalty: only a server that takes what vLLM's does" in message(tmp_path, penalised)
