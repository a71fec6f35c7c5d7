"""A plan's counts, against real counts and manual formulas, and its refusals."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner
from factories import ROOT, edited, with_train

from lidr import config
from lidr import plan as planning
from lidr.cli import main
from lidr.config.engines import EngineSettings
from lidr.engines.settings import OpenAI
from lidr.errors import LidrError
from lidr.evaluation.alpaca import Alpaca
from lidr.models import folder
from lidr.models.base import without_weights
from lidr.plan import device, memory, report, shape, work
from lidr.plan.shape import Shape
from lidr.plan.work import Lengths

LLAMA_8B = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
    "max_position_embeddings": 8192,
    "tie_word_embeddings": False,
}
QWEN_05B = {
    "architectures": ["Qwen2ForCausalLM"],
    "model_type": "qwen2",
    "hidden_size": 896,
    "intermediate_size": 4864,
    "num_hidden_layers": 24,
    "num_attention_heads": 14,
    "num_key_value_heads": 2,
    "vocab_size": 151936,
    "max_position_embeddings": 32768,
    "tie_word_embeddings": True,
}


LENGTHS = Lengths(answer=300, prompt=150)
PAPER, SMALL = (config.load(ROOT / f"profiles/{name}.yaml") for name in ("paper", "small"))


def measured(folder: Path, values: dict[str, Any]) -> Shape:
    return shape.measure(built(folder, values), "it")


def built(folder: Path, values: dict[str, Any]) -> Any:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(values))
    return without_weights(folder, config.Base(model="it"))


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Shape:
    """Llama-3-8B with the paper's adapter."""
    return replace(measured(tmp_path_factory.mktemp("llama"), LLAMA_8B), adapter=20_971_520)


@pytest.fixture(scope="module")
def qwen(tmp_path_factory: pytest.TempPathFactory) -> Shape:
    return measured(tmp_path_factory.mktemp("qwen"), QWEN_05B)


def parts(budget: memory.MemoryBudget) -> dict[str, int]:
    return {part.name: part.bytes for part in budget.parts}


def stage(settings: config.Settings, name: str) -> work.Work:
    return next(w for w in work.of(settings, LENGTHS) if w.stage == name)


# ---- measures


def test_parameters_are_those_that_were_published(llama: Shape, qwen: Shape) -> None:
    assert llama.parameters == 8_030_261_248
    assert qwen.parameters == 494_032_768
    assert (llama.embedding, qwen.embedding) == (128256 * 4096, 0)  # tied weights are used in a multiplication too
    assert (llama.layers, llama.key_value_heads, llama.head, llama.context) == (32, 8, 128, 8192)


# Values that a layer of Llama-3-8B keeps of a token.
LAYER = 6 * 4096 + 2 * (4096 + 2 * 1024) + 4 * 14336
GPT2 = {"architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "n_embd": 768, "n_layer": 12, "n_head": 12}


# Inputs and outputs of all seven projections of Llama-3-8B.
PROJECTIONS = 2 * (4096 + 4096) + 2 * (4096 + 1024) + 3 * (4096 + 14336)


@pytest.mark.parametrize(
    ("values", "modules", "r", "count", "linear"),
    [
        (LLAMA_8B, "all-linear", 8, 20_971_520, 32 * (2 * 4096 * 4096 + 2 * 4096 * 1024 + 3 * 4096 * 14336)),
        (LLAMA_8B, "all-linear", 4, 32 * 4 * PROJECTIONS, None),
        # GPT-2's layers are not nn.Linear, and a name may be the end of a path.
        (GPT2, ["c_attn"], 16, 12 * 16 * 4 * 768, 12 * (4 + 8) * 768 * 768),
        (GPT2, ["attn.c_attn"], 16, 12 * 16 * 4 * 768, None),
        (GPT2, "all-linear", 16, 12 * 16 * (4 + 2 + 5 + 5) * 768, None),
    ],
)
def test_adapters_are_counted_as_peft_makes_them(
    tmp_path: Path, values: dict[str, Any], modules: Any, r: int, count: int, linear: int | None
) -> None:
    model = built(tmp_path, values)
    before = shape.measure(model, "it")
    assert shape.adapter_parameters(model, with_train(PAPER, r=r, target_modules=modules).train) == count
    assert shape.measure(model, "it") == before, "counting leaves no adapter on the model"
    assert linear in (None, before.linear)


def test_layers_that_are_not_there_are_a_problem_of_the_plan(root: Path) -> None:
    (root / "params.yaml").write_text(edited(("target_modules: all-linear", "target_modules: [c_attn]")), "utf-8")
    code, output = lidr_plan("--memory", "4")
    assert code == 1
    reason = "train.lora.target_modules: c_attn is no linear layer of the language model in LlamaForCausalLM, which has"
    assert f"does not fit: {reason}" in output
    assert "memory for training: " in output


# What a config says of its layers, each 64 wide.
LAYERS = {"vocab_size": 1000, "hidden_size": 64, "num_hidden_layers": 2}
HEADS = {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16}


def test_the_largest_layer_counts_where_layers_differ(tmp_path: Path) -> None:
    listed = {"model_type": "gemma3n_text", "intermediate_size": [128, 256], "num_kv_shared_layers": 0}
    found = measured(tmp_path / "listed", LAYERS | HEADS | listed)
    assert (found.layers, found.intermediate, found.key_value_heads, found.head) == (2, 256, 2, 16)
    own = {"layer_types": ["sliding_attention", "full_attention"], "global_head_dim": 32, "intermediate_size": 128}
    found = measured(tmp_path / "own", LAYERS | HEADS | {"model_type": "gemma4_text"} | own)
    assert (found.layers, found.intermediate, found.key_value_heads, found.head) == (2, 128, 2, 32)


def own_base(root: Path, values: dict[str, Any]) -> config.Settings:
    """The lab's settings with a base of this config.json."""
    (root / "own").mkdir()
    (root / "own/config.json").write_text(json.dumps(values))
    return with_base(config.load(), model="own")


def with_base(settings: config.Settings, **values: Any) -> config.Settings:
    return msgspec.structs.replace(settings, base=msgspec.structs.replace(settings.base, **values))


@pytest.mark.parametrize("family", ["mamba", "mamba2", "falcon_mamba"])
def test_a_family_without_attention_has_no_measures(root: Path, family: str) -> None:
    heads = {"num_heads": 8, "head_dim": 16} if family == "mamba2" else {}
    settings = own_base(root, LAYERS | {"model_type": family, "n_groups": 1} | heads)
    reason = "own: its measures cannot be read: its config has no num_attention_heads"
    assert shape.read(settings) == (None, reason)


def test_an_adapter_that_peft_refuses_is_a_problem_of_the_plan(root: Path) -> None:
    mamba = {"mamba_d_ssm": 64, "mamba_n_heads": 4, "mamba_d_head": 16, "mamba_n_groups": 1}
    settings = own_base(root, LAYERS | HEADS | {"model_type": "falcon_h1", "intermediate_size": 128} | mamba)
    found, problem = shape.read(settings)
    assert found is not None and found.intermediate == 128
    assert problem.startswith("train.lora: PEFT puts no such adapter on FalconH1ForCausalLM: [PEFT:PeftType.LORA] Mod")


# ---- a model's own code

OWN_CODE = """
from transformers import LlamaConfig, LlamaForCausalLM

class OwnConfig(LlamaConfig):
    model_type = "lidr_plan_own"

class OwnModel(LlamaForCausalLM):
    config_class = OwnConfig
"""
OWN = LAYERS | HEADS | {"model_type": "lidr_plan_own", "intermediate_size": 128}
MAP = {"AutoConfig": "own_model.OwnConfig", "AutoModelForCausalLM": "own_model.OwnModel"}


@pytest.fixture
def with_code(root: Path, monkeypatch: pytest.MonkeyPatch) -> config.Settings:
    """Settings with a base that has code of its own."""
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(root / "modules"))
    settings = own_base(root, OWN | {"auto_map": MAP})
    (root / "own/own_model.py").write_text(OWN_CODE)
    return settings


def test_code_is_run_where_params_yaml_says_so_and_nobody_is_asked(
    with_code: config.Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr("builtins.input", asked.append)
    reason = "own: it needs Python code of its own; read that, then set base.trust_remote_code to true"
    assert shape.read(with_code) == (None, reason)
    found, problem = shape.read(with_base(with_code, trust_remote_code=True))
    assert found is not None and not problem
    assert (found.layers, found.hidden, found.intermediate) == (2, 64, 128)
    assert asked == []


def test_code_of_a_hub_model_is_fetched_where_it_may_be_run(
    with_code: config.Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched: list[tuple[str, ...]] = []

    def from_hub(base: config.Base, names: tuple[str, ...]) -> Path:
        fetched.append(names)
        return Path("own")

    monkeypatch.setattr(folder, "from_hub", from_hub)
    for trust in (False, True):
        shape.read(with_base(with_code, revision="0123abc", trust_remote_code=trust))
    assert fetched == [("config.json",), (*folder.TALK, "*.py")]


def test_code_in_another_repository_is_not_run(with_code: config.Settings) -> None:
    elsewhere = {name: f"someone/else--{place}" for name, place in MAP.items()}
    Path("own/config.json").write_text(json.dumps(OWN | {"auto_map": elsewhere}))
    reason = "own: its code lies in another repository, which no revision here pins (auto_map)"
    assert shape.read(with_base(with_code, trust_remote_code=True)) == (None, reason)


# ---- rows and tokens


def test_rows_of_the_paper() -> None:
    rows = {w.stage: (w.rows, w.tokens, w.max_tokens) for w in work.of(PAPER, LENGTHS)}
    assert rows["generate@m1"] == (5000, 1_500_000, 12_000_000)
    # Eight directions with all answers and 25 on their way back.
    assert rows["translate@m2"] == (8200, 8200 * 450, 8200 * 4096)
    assert rows["pairs@m1"] == (8000, 0, 0)
    # Two sides of a pair with the prompt each: 2 x 150, an answer of 300 and a translation of 450.
    assert rows["train@m1"] == (8000, 8_400_000, 32_768_000)
    assert rows["mgsm@m0"] == (2500, 750_000, 5_120_000)
    assert rows["alpaca@m2"][0] == 4025
    assert rows["judge"] == (12075, 12075 * (400 + 150 + 2 * 300), 0)
    assert [name for name in rows if name.startswith("baseline")] == []
    # Twenty tasks with 200 items each; four choices behind a question.
    assert rows["harness@m1"] == (4000, 4000 * 4 * 150, 0)


def test_no_more_translations_are_sent_back_than_there_are() -> None:
    for round_trip, rows in ((0, 8000), (1000, 16_000), (5000, 16_000)):
        translate = msgspec.structs.replace(PAPER.translate, round_trip=round_trip)
        assert stage(msgspec.structs.replace(PAPER, translate=translate), "translate@m1").rows == rows


def test_rows_of_the_harness_without_a_limit() -> None:
    harness = msgspec.structs.replace(PAPER.harness, limit=None, num_fewshot=5)
    found = stage(msgspec.structs.replace(PAPER, harness=harness), "harness@m1")
    # MMLU, HellaSwag, ARC and TruthfulQA in four languages each, and Global-MMLU's short form.
    assert found.rows == 4 * (14_000 + 10_000 + 1_200 + 800) + 4 * 400
    assert found.tokens == found.rows * 4 * 6 * 150


def test_held_out_pairs_are_read_at_each_evaluation() -> None:
    # One in twenty of 8,000 pairs: once for the reference, once before training and four times in it.
    assert (PAPER.train.eval_share, PAPER.train.dpo["eval_steps"]) == (0.05, 0.25)
    assert stage(PAPER, "train@m1").read_tokens == 400 * 1050 * 6
    # Eight pairs a step: 1,000 steps an epoch. Every 300 steps and after the last one are nine times in two and a half.
    assert [PAPER.train.steps(pairs) for pairs in (8000, 8001)] == [1000, 1001]
    longer = with_train(PAPER, eval_steps=300, num_train_epochs=2.5)
    assert longer.train.steps(8000) == 2500
    assert stage(longer, "train@m1").read_tokens == 400 * 1050 * (2 + 9)


def test_supervised_training_is_of_chosen_answers_without_a_reference(llama: Shape) -> None:
    supervised = with_train(PAPER, objective="sft")
    train = stage(supervised, "train@m1")
    # 150 tokens of the prompt, and as many answers of 300 as translations of 450.
    assert (train.rows, train.tokens, train.max_tokens) == (8000, 8000 * 525, 8000 * 2048)
    assert train.read_tokens == 400 * 525 * 5
    budget = memory.training(supervised, "m2", llama)
    assert budget.parts[1].formula == "1 x 21.0 M parameters x 4 bytes (policy)"
    assert parts(budget)["activations"] == 2048 * (32 * 4096 + LAYER) * 2
    cores, multiplied = device.Speed(flops=1e12, bandwidth=1e20), 8_030_261_248 - 128256 * 4096
    for settings, operations in ((PAPER, 8), (supervised, 6)):
        rate = device.training_rate(settings, llama, cores, LENGTHS)
        assert rate == pytest.approx(0.4 * 1e12 / (operations * multiplied))


def test_items_of_the_labs_tasks_are_those_that_there_are() -> None:
    from lidr.lab.harness import items

    files = [path.stem for path in items.FOLDER.glob("lab_*.yaml")]
    for group in ("lab_sums", "lab_translation"):
        assert work.HARNESS_ITEMS[group] == items.ITEMS * sum(name.startswith(group) for name in files)


def test_baseline_of_the_pipeline_is_asked_and_not_judged() -> None:
    rows = {w.stage: w.rows for w in work.of(SMALL, LENGTHS)}
    assert rows["baseline (m0)"] == 400
    assert "alpaca@m0" not in rows
    assert rows["judge"] == 2 * 400 * 2  # m1 and m2, both orders


def test_rows_of_a_rule_that_scores_samples(root: Path) -> None:
    lab = config.load()
    rule = msgspec.structs.replace(lab.pairs, rule="implicit")
    generate = msgspec.structs.replace(lab.generate, samples=10)
    implicit = msgspec.structs.replace(lab, pairs=rule, generate=generate)
    rows = {w.stage: (w.rows, w.tokens) for w in work.of(implicit, Lengths(60, 40)) if w.stage.endswith("@m1")}
    # 500 prompts in five languages; each sample is read by two models, behind a prompt.
    assert rows["generate@m1"] == (25_000, 25_000 * 60)
    assert rows["score@m1"] == (25_000, 2 * 25_000 * 100)
    assert "translate@m1" not in rows
    assert rows["pairs@m1"] == (2_500, 0)
    assert rows["train@m1"] == (2_500, 2_500 * 200 * lab.train.dpo["num_train_epochs"])
    fewer = msgspec.structs.replace(lab, pairs=msgspec.structs.replace(lab.pairs, dominant_per_prompt=1))
    assert {w.stage: w.rows for w in work.of(fewer, Lengths(60, 40))}["pairs@m1"] == 500 * (4 + 1)


@pytest.mark.usefixtures("root")
def test_requests_of_the_audit_s_judge() -> None:
    lab, judge = config.load(), PAPER.block(Alpaca).judge
    audit = msgspec.structs.replace(lab.audit, judge=judge, judged_pairs=100)
    found = work.judges(msgspec.structs.replace(lab, audit=audit), LENGTHS)
    # Two iterations, eight directions, both orders; an answer has 64 tokens at most.
    assert [(asked.title, asked.questions, asked.tokens_each) for asked in found] == [
        ("judge", 3_500, 400 + 150 + 2 * 64),
        ("judge of pairs", 2 * 8 * 100 * 2, 400 + 150 + 2 * 64),
    ]
    assert list(report._judge(found[1])) == [
        "judge of pairs: gpt-4-1106-preview at an endpoint, 3,200 requests of about 678 tokens: about 21.79 at 10 a "
        "million"
    ]


def test_a_reply_in_text_is_paid_for_at_most() -> None:
    judge = msgspec.structs.replace(PAPER.block(Alpaca).judge, reply="text", max_completion_tokens=1000)
    alpaca = msgspec.structs.replace(PAPER.block(Alpaca), judge=judge)
    (asked,) = work.judges(msgspec.structs.replace(PAPER, alpaca=alpaca), LENGTHS)
    assert asked.cost == pytest.approx(24_150 * (1150 * 10 + 1000 * 30) / 1e6)
    # In both orders, the default for replies in text.
    assert list(report._judge(asked)) == [
        "judge: gpt-4-1106-preview at an endpoint, 24,150 requests of about 1,150 tokens, replies of at most 1,000: "
        "at most 1,002.23 at 10 a million"
    ]


# ---- memory


def test_memory_of_training_part_by_part(llama: Shape) -> None:
    budget, adapter, tokens = memory.training(PAPER, "m2", llama), 20_971_520, 2 * 1 * 2048
    assert parts(budget) == {
        "weights": 8_030_261_248 * 2,
        "adapter": 2 * adapter * 4,
        "gradient": adapter * 4,
        "optimizer": 2 * adapter * 4,
        "activations": tokens * (32 * 4096 + LAYER) * 2,
        "logits": 3 * 2**25 * 4,  # in parts: all at once would be 6.3 GB
    }
    assert budget.total == round(1.1 * sum(parts(budget).values()))
    # The reference of the first iteration's new adapter is the base.
    assert memory.training(PAPER, "m1", llama).total == budget.total - round(1.1 * adapter * 4)


@pytest.mark.usefixtures("root")
def test_memory_is_that_of_the_largest_data_and_iteration() -> None:
    lab = config.load()
    one, lengths = planning.make(lab, Lengths(60, 40), memory_gib=4), Lengths(60, 40)
    data = lab.data | {"m2": msgspec.structs.replace(lab.data["m2"], generate={"max_new_tokens": 100_000})}
    train = {"dpo": {"per_device_train_batch_size": 80}, "pairs_per_step": 80}
    iterations = lab.iterations | {"m1": msgspec.structs.replace(lab.iterations["m1"], train=train)}
    found = planning.make(msgspec.structs.replace(lab, data=data, iterations=iterations), lengths, memory_gib=4)
    assert one.generation and one.training and found.generation and found.training
    assert parts(found.generation)["cache"] / parts(one.generation)["cache"] == 200_000 / 16384
    assert parts(found.training)["activations"] == 10 * parts(one.training)["activations"]


def test_advice_names_only_what_is_not_done_yet(llama: Shape, qwen: Shape) -> None:
    dpo = PAPER.train.dpo
    assert dpo["gradient_checkpointing"] and dpo["per_device_train_batch_size"] == 1
    assert memory.training(PAPER, "m2", llama).advice == "lower train.dpo.max_length"
    # vLLM does not support a quantised base.
    local = msgspec.structs.replace(PAPER, engine=SMALL.engine)
    advice = memory.training(local, "m2", llama).advice
    assert advice == "lower train.dpo.max_length, or quantise the base (base.quantization)"
    more = with_train(PAPER, gradient_checkpointing=False, per_device_train_batch_size=2)
    assert memory.training(more, "m2", llama).advice == (
        "lower train.dpo.per_device_train_batch_size or train.dpo.max_length, "
        "or turn train.dpo.gradient_checkpointing on"
    )
    # One request fills a batch: a smaller budget would change nothing.
    assert memory.generation(SMALL, qwen, 0).advice.startswith("lower engine.tokens_per_batch or max_new_tokens, or ")
    engine = msgspec.structs.replace(SMALL.engine, tokens_per_batch=512 + 768, dtype="bfloat16")
    one = msgspec.structs.replace(SMALL, engine=engine)
    assert memory.generation(one, qwen, 0).advice == "lower max_new_tokens, or quantise the base (base.quantization)"


def test_quantised_base_keeps_its_linear_layers_in_four_bits(llama: Shape) -> None:
    for own, scale in (({}, 4), ({"bnb_4bit_use_double_quant": True}, 1 + 4 / 256)):
        base = msgspec.structs.replace(PAPER.base, quantization={"load_in_4bit": True, **own})
        budget = memory.training(msgspec.structs.replace(PAPER, base=base), "m2", llama)
        expected = round(llama.linear * (0.5 + scale / 64)) + (8_030_261_248 - llama.linear) * 2
        assert budget.parts[0].bytes == expected < 6 * memory.GIB
        assert budget.advice == "lower train.dpo.max_length"


def test_memory_of_generation_part_by_part(qwen: Shape) -> None:
    found = parts(memory.generation(SMALL, qwen, 0))
    assert found["weights"] == 494_032_768 * 4
    assert found["adapter"] == 0  # merged in float32
    assert found["cache"] == 16384 * (2 * 24 * 2 * 64) * 4
    assert found["logits"] == 3 * (16384 // (512 + 768)) * 151936 * 4


def test_room_for_larger_batches_on_a_gpu(qwen: Shape) -> None:
    """The largest power of two with which the same count still fits, and no such advice for vLLM."""
    for gib, tokens in ((8, 32768), (80, 2**19)):
        assert memory.room(SMALL, qwen, gib * memory.GIB) == tokens
        for times, fits in ((1, True), (2, False)):
            engine = msgspec.structs.replace(SMALL.engine, tokens_per_batch=times * tokens)
            budget = memory.generation(msgspec.structs.replace(SMALL, engine=engine), qwen, 0)
            assert (budget.total <= gib * memory.GIB) == fits
    assert memory.room(SMALL, qwen, 2 * memory.GIB) is None  # not even one request
    assert memory.room(PAPER, qwen, 80 * memory.GIB) is None


def test_vllm_needs_weights_and_one_request_within_its_share(llama: Shape) -> None:
    on_80, on_16 = (memory.generation(PAPER, llama, gib * memory.GIB) for gib in (80, 16))
    assert on_80.total < 80 * memory.GIB
    assert on_16.total > 16 * memory.GIB
    assert parts(on_80)["cache"] == 8192 * (2 * 32 * 8 * 128) * 2


# ---- time


def test_generation_is_as_fast_as_the_slower_of_reading_and_computing(qwen: Shape) -> None:
    rows = 16384 // 1280
    slow_memory = device.Speed(flops=1e20, bandwidth=1e9)
    bytes_a_step = 494_032_768 * 4 + rows * 2 * 24 * 2 * 64 * 4 * 300
    assert device.generation_rate(SMALL, qwen, slow_memory, 300) == pytest.approx(0.4 * rows / (bytes_a_step / 1e9))
    slow_cores = device.Speed(flops=1e9, bandwidth=1e20)
    assert device.generation_rate(SMALL, qwen, slow_cores, 300) == pytest.approx(0.4 * 1e9 / (2 * 494_032_768))
    assert device.training_rate(SMALL, qwen, slow_cores, LENGTHS) == pytest.approx(0.4 * 1e9 / (8 * 494_032_768))


def test_an_engine_that_does_not_say_its_batch_is_planned_row_by_row(qwen: Shape) -> None:
    class Own(EngineSettings, frozen=True, kw_only=True, tag="own"):
        """An engine with only a name."""

    rate = device.generation_rate(
        msgspec.structs.replace(SMALL, engine=Own()), qwen, device.Speed(flops=1e20, bandwidth=1e9), 300
    )
    assert rate == pytest.approx(0.4 / ((494_032_768 * 4 + 2 * 24 * 2 * 64 * 4 * 300) / 1e9))


def test_training_is_measured_in_its_own_precision(qwen: Shape, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def measure(kind: str, dtype: str) -> device.Speed:
        asked.append(dtype)
        return device.Speed(flops={"float32": 1e12, "bfloat16": 8e12}[dtype], bandwidth=1e20)

    monkeypatch.setattr(device, "measure", measure)
    there = device.Device("cpu", "it", 2**34)
    for dtype, flops in (("float32", 1e12), ("bfloat16", 8e12)):
        asked.clear()
        found = device.rates(with_train(SMALL, dtype=dtype), qwen, there, LENGTHS, None, None)
        assert found.training == pytest.approx(0.4 * flops / (8 * 494_032_768))
        assert found.scoring == pytest.approx(0.4 * 1e12 / (2 * 494_032_768))
        assert asked == list(dict.fromkeys(["float32", dtype]))
    assert "in float32: 1,000 GFLOP/s" in found.why and " and in bfloat16: 8,000 GFLOP/s" in found.why


def test_a_gpu_s_step_takes_its_launches_at_least(qwen: Shape) -> None:
    """However fast it is, but not with vLLM."""
    fast = device.Speed(flops=1e20, bandwidth=1e20, launches=True)
    assert device.generation_rate(SMALL, qwen, fast, 300) == pytest.approx(12 / (24 * 0.0037))
    tokens = 2 * SMALL.train.dpo["per_device_train_batch_size"] * 450
    rate = device.training_rate(SMALL, qwen, fast, LENGTHS)
    assert rate == pytest.approx(tokens / (24 * 0.0075))
    assert device.generation_rate(PAPER, qwen, fast, 300) > 1e6


def test_a_stage_s_time_has_its_start_its_prompts_and_its_shards_ends(project_settings: config.Settings) -> None:
    stage = work.Work("generate@m1", "generate", rows=100, tokens=1000, max_tokens=6400, read_tokens=500, longest=64)
    rates = device.Rates(generation=10, training=1, why="", start_up=30, reading=100, single_row_seconds=0.5)
    engine = msgspec.structs.replace(project_settings.engine, rows_per_shard=40)
    settings = msgspec.structs.replace(project_settings, engine=engine)
    made = SimpleNamespace(settings=settings, rates=rates)
    # 3 shards, each with one answer that generates half of 64 - 10 tokens alone.
    assert report._seconds(made, stage) == 30 + 1000 / 10 + 500 / 100 + 3 * 0.5 * 54 * 0.5
    assert report._seconds(made, work.Work("train@m1", "train", rows=1, tokens=1000)) == 30 + 1000
    rates = device.Rates(generation=10, training=1, why="", start_up=30, scoring=50)
    made = SimpleNamespace(settings=settings, rates=rates)
    assert report._seconds(made, work.Work("train@m1", "train", rows=1, tokens=1000, read_tokens=100)) == 30 + 1000 + 2
    assert report._seconds(made, work.Work("harness@m1", "score", rows=1, tokens=1000)) == 30 + 20


@pytest.mark.usefixtures("root")
@pytest.mark.parametrize(
    ("server", "gib", "given", "expected"),
    [
        (False, None, (None, None), "measured"),
        (False, None, (7, None), "measured"),
        (True, None, (None, None), None),
        (True, None, (None, 9), None),
        (True, None, (7, None), "measured"),
        (False, 4, (7, None), None),
        (False, 4, (None, 9), None),
        (False, 4, (7, 9), "given"),
        (True, 4, (7, 9), "given"),
    ],
)
def test_time_is_estimated_where_each_rate_is_given_or_can_be_measured(
    monkeypatch: pytest.MonkeyPatch,
    server: bool,
    gib: float | None,
    given: tuple[float | None, float | None],
    expected: str | None,
) -> None:
    monkeypatch.setattr(device, "measure", lambda *_: device.Speed(flops=1e12, bandwidth=1e12))
    settings = config.load()
    if server:
        engine = OpenAI(endpoint="http://127.0.0.1:1/v1", models={})
        settings = msgspec.structs.replace(settings, engine=engine)
    found = planning.make(settings, LENGTHS, gib, *given).rates
    origin = None if found is None else "given" if found.why == "as given" else "measured"
    assert origin == expected


# ---- the command


def lidr_plan(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["plan", *arguments])
    return result.exit_code, result.output


@pytest.mark.usefixtures("root")
def test_plan_of_the_lab_fits_and_runs_nothing() -> None:
    code, output = lidr_plan("--generation-rate", "1000", "--training-rate", "500", "--memory", "4")
    assert code == 0, output
    assert output.startswith("profile lab: lab, 0.8 M parameters, on another device with 4.0 GiB\n")
    assert "generate@m1          2,500         160,000         160,000         3 min" in output
    assert "judge: lab, 3,500 questions, no cost" in output
    assert list(Path().iterdir()) == [Path("params.yaml")]


@pytest.mark.usefixtures("root")
def test_plan_that_does_not_fit_is_refused_unless_told_otherwise() -> None:
    code, output = lidr_plan("--memory", "0.01")
    assert code == 1
    assert "does not fit: generation needs " in output
    assert "does not fit: training needs " in output
    assert output.endswith("Error: this plan does not fit the device (--anyway says so and goes on)\n")
    assert "time: not estimated; give --generation-rate and --training-rate in tokens/s" in output
    assert lidr_plan("--memory", "0.01", "--anyway")[0] == 0


def test_plan_without_the_model_says_what_it_does_not_know(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: Any) -> Path:
        raise LidrError("me/model at 0123abc could not be fetched: no network")

    monkeypatch.setattr(folder, "from_hub", unreachable)
    (root / "params.yaml").write_text(
        edited(("  model: lab", "  model: me/model"), ("  revision: null", "  revision: 0123abc")), "utf-8"
    )
    code, output = lidr_plan()
    assert code == 0
    assert "not known: parameters, memory and time, for me/model at 0123abc could not be fetched" in output
    assert "memory for training: not known without the model's config.json" in output
    assert "generate@m1          2,500" in output


@pytest.mark.usefixtures("root")
def test_bill_of_the_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    paper = msgspec.structs.replace(PAPER, base=config.load().base)
    monkeypatch.setattr(config, "load", lambda: paper)
    _, output = lidr_plan("--anyway", "--memory", "80")
    # 12,075 requests of 400 + 150 + 2 x 300 tokens at 10 a million, one token of answer each at 30.
    assert "judge: gpt-4-1106-preview at an endpoint, 12,075 requests of about 1,150 tokens: about 139.22" in output
