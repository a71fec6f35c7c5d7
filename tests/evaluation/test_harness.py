"""Tasks of lm-evaluation-harness: their items, how models compare on them, and equality with the harness itself."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from compared_project import make_project
from factories import random_adapter
from msgspec.structs import replace

from lidr import config, export, paths
from lidr.compare import stage as compare
from lidr.compare.comparison import BenchmarkResult, compare_models
from lidr.compare.report import evidence, table
from lidr.errors import InputError
from lidr.evaluation.harness import Harness
from lidr.evaluation.harness import stage as harness
from lidr.evaluation.harness.items import items, language_and_family
from lidr.lab import world
from lidr.lab.harness.items import FOLDER, ITEMS, exactness, sums, translations
from lidr.models import base
from lidr.records import HarnessItem
from lidr.records.jsonl import read_rows

# --- items -----------------------------------------------------------------------------------------------------------

OTHERS = ("truthfulqa_es_mc2", "global_mmlu_full_es_anatomy", "blimp_wh_vs_that_with_gap", "truthfulqa_es_mc1")


@pytest.mark.parametrize(
    ("task", "lang", "name"),
    [
        ("m_mmlu_es", "es", "m_mmlu_LANG"),
        ("truthfulqa_de_mc2", "de", "truthfulqa_LANG_mc2"),
        ("global_mmlu_full_fr_anatomy", "fr", "global_mmlu_full_LANG_anatomy"),
        ("wmt_mt_de", "de", "wmt_mt_LANG"),
        ("arc_easy", "und", "arc_easy"),
        ("hellaswag", "und", "hellaswag"),
        ("truthfulqa_es_mc1", "und", "truthfulqa_es_mc1"),  # requested in one language only
        ("blimp_wh_vs_that_no_gap", "und", "blimp_wh_vs_that_no_gap"),
        ("agieval_lsat_ar", "und", "agieval_lsat_ar"),
        ("lm_syneval_sing_ES", "und", "lm_syneval_sing_ES"),
    ],
)
def test_language_and_family_are_read_from_a_tasks_name(task: str, lang: str, name: str) -> None:
    assert language_and_family(task, [task, *OTHERS]) == (lang, name)


def sample(doc_id: int, arguments: Sequence[Any], responses: Sequence[Any], target: Any, **values: Any) -> Any:
    about = {"doc_id": doc_id, "filter": "none", "arguments": arguments, "filtered_resps": responses, "target": target}
    return about | {"resps": [[response] for response in responses], "metrics": list(values)} | values


def results(task: str, samples: Sequence[Any], **higher_is_better: bool) -> dict[str, Any]:
    return {"samples": {task: samples}, "versions": {task: 2.0}, "higher_is_better": {task: higher_is_better}}


def test_choice_by_likelihood() -> None:
    choices = [("2 + 2?", " 3"), ("2 + 2?", " 4")]
    asked = [
        sample(1, choices, [(-1.0, True), (-2.0, False)], 1, acc=0.0, acc_norm=1.0),
        sample(0, choices, [(-2.0, False), (-1.0, True)], 1, acc=1.0, acc_norm=1.0),
    ]
    first, second = items(results("sums_es", asked, acc=True, acc_norm=True))
    assert first == HarnessItem(
        id="sums_LANG:0",
        task="sums_es",
        lang="es",
        prompt="2 + 2?",
        gold=" 4",
        completion=" 4",
        metric="acc",
        score=1.0,
        scores={"acc": 1.0, "acc_norm": 1.0},
        version="2.0",
    )
    assert (second.id, second.completion, second.score) == ("sums_LANG:1", " 3", 0.0)


def test_written_answers_are_read_by_the_first_filter() -> None:
    one = sample(0, [("2 + 2?", {"until": ["."]})], ["So 4"], "4", exact_match=0.0)
    other = sample(0, [("2 + 2?", {"until": ["."]})], ["So 4"], "4", exact_match=1.0) | {"filter": "flexible"}
    (item,) = items(results("sums", [one, other], exact_match=True))
    assert (item.completion, item.gold, item.score, item.lang) == ("So 4", "4", 0.0, "und")


def test_choices_in_the_beginning() -> None:
    asked = sample(0, [("Ann", " left"), ("Bob", " left")], [(-3.0, False), (-1.0, False)], 0, acc=0.0)
    (item,) = items(results("winogrande", [asked], acc=True))
    assert (item.completion, item.gold) == ("Bob", "Ann")


@pytest.mark.parametrize(
    ("values", "higher_is_better"),
    [({"perplexity": -3.2}, {"perplexity": False}), ({"f1": (0, 1)}, {"f1": True}), ({"bleu": 31.0}, {"bleu": True})],
)
def test_a_task_without_a_metric_of_items_is_refused(values: dict[str, Any], higher_is_better: dict[str, bool]) -> None:
    asked = sample(0, [("a", " b")], [(-3.0, False)], " b", **values)
    with pytest.raises(InputError, match="'odd' has no metric from 0 to 1 for each item, only "):
        items(results("odd", [asked], **higher_is_better))


# --- the lab's tasks -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lang", world.languages())
def test_one_of_four_answers_is_right(lang: str) -> None:
    rows = sums(lang)["test"]
    assert len(rows) == ITEMS
    for row, task in zip(rows, world.tasks("evaluation", ("add", "subtract", "twice"), ITEMS, 42), strict=True):
        assert row["prompt"] == task.prompt(lang)
        assert len(set(row["choices"])) == 4
        assert [choice for choice in row["choices"] if choice == task.answer(lang)] == [row["choices"][row["gold"]]]
    assert len({row["gold"] for row in rows}) == 4


def test_only_the_exact_translation_is_right() -> None:
    row = translations("es")["test"][0]
    assert row["prompt"].startswith("Translate from English to Spanish.")
    assert world.translate_answer(row["target"], "es", "en") in row["prompt"]
    assert exactness(row, [f" {row['target']}\n"]) == {"exact_match": 1.0}
    assert exactness(row, [row["target"][:-2]]) == {"exact_match": 0.0}


def test_every_task_has_its_items() -> None:
    from lm_eval.tasks import TaskManager

    loaded = TaskManager(include_defaults=False, include_path=str(FOLDER)).load(["lab_sums", "lab_translation"])
    into = sorted(path.stem for path in FOLDER.glob("*.yaml"))
    assert sorted(loaded["tasks"]) == into
    assert {len(task.test_docs()) for task in loaded["tasks"].values()} == {ITEMS}


# --- the comparison --------------------------------------------------------------------------------------------------

SIZES = {"sums_en": 12, "sums_es": 12, "sums": 20}
RIGHT = {
    "m0": {"sums_en": 12, "sums_es": 4, "sums": 10},
    "m1": {"sums_en": 12, "sums_es": 6, "sums": 10},
    "m2": {"sums_en": 12, "sums_es": 12, "sums": 10},
}


def rows(model: str, right: dict[str, dict[str, int]] = RIGHT) -> list[HarnessItem]:
    return [
        HarnessItem(
            id=f"{language_and_family(task, SIZES)[1]}:{n}",
            task=task,
            lang=language_and_family(task, SIZES)[0],
            prompt=f"ask {n}",
            gold="yes",
            completion="yes" if n < right[model][task] else "no",
            metric="acc",
            score=float(n < right[model][task]),
            scores={"acc": float(n < right[model][task])},
            version="1.0",
        )
        for task, size in SIZES.items()
        for n in range(size)
    ]


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> config.Settings:
    monkeypatch.chdir(tmp_path)
    made = replace(make_project(), harness=Harness(tasks=("sums_en", "sums_es", "sums")))
    for model in made.models:
        harness.write(made, model, rows(model))
    return made


def measured(settings: config.Settings) -> BenchmarkResult:
    return {results.benchmark.name: results for results in compare_models(settings).results}["harness"]


def test_tasks_are_compared_item_by_item(settings: config.Settings) -> None:
    benchmark = measured(settings)
    assert benchmark.places == ("sums_en", "sums_es", "sums")
    assert benchmark.groups == {"average": benchmark.places, "sums_LANG": ("sums_en", "sums_es")}
    change = benchmark.figures["m2"]["sums_es"].changes["m0"]
    assert (change.gained, change.lost, change.n) == (8, 0, 12)
    assert change.p_value == pytest.approx(2 / 2**8)
    assert change.p_holm == pytest.approx(3 * 2 / 2**8)
    average = benchmark.figures["m2"]["average"]
    assert average.level.estimate == pytest.approx((1 + 1 + 0.5) / 3)
    assert (average.level.n, average.items) == (32, 44)  # an item in two languages is one
    assert average.changes["m0"].difference == pytest.approx(8 / 12 / 3)


def test_page_report_table_and_figure_show_it(settings: config.Settings) -> None:
    comparison = compare.run(settings)
    lines = table(comparison).splitlines()
    assert lines[9] == "           lm-evaluation-harness score, %"
    assert lines[12].split() == ["sums_es", "33.3", "50.0", "100.0*"]
    assert lines[14].split() == ["average", "61.1", "66.7", "83.3*†"]
    assert (paths.compare() / "harness.csv").read_text().splitlines()[1] == "m0,0,sums_en,1.0,0.757506,1.0"
    page = (paths.compare() / paths.PAGE).read_text("utf-8")
    assert "sums_LANG, average of 2" in page and "Answers with a defect: </h3>" not in page
    assert ">sums 50.0" in (paths.compare() / "harness.svg").read_text("utf-8")
    assert compare.headline(compare.metrics(comparison)["m2"])["harness score/sums_es"] == 1.0


@pytest.mark.parametrize(("field", "value"), [("version", "2.0"), ("metric", "acc_norm"), ("prompt", "another")])
def test_another_version_of_a_task_is_refused(settings: config.Settings, field: str, value: str) -> None:
    *others, last = rows("m2")
    harness.write(settings, "m2", [*others, replace(last, **{field: value})])
    with pytest.raises(InputError, match=f"has another {field} than in reports/harness/m0/items.jsonl"):
        compare_models(settings)


def test_a_significant_loss_stands_against_promotion(settings: config.Settings) -> None:
    assert evidence(compare_models(settings), "m2")[1] is None
    worse = RIGHT | {"m2": {"sums_en": 1, "sums_es": 0, "sums": 0}}
    harness.write(settings, "m2", rows("m2", worse))
    assert evidence(compare_models(settings), "m2")[1] == "m2 is worse than m0 in lm-evaluation-harness"


# --- the stage -------------------------------------------------------------------------------------------------------


def test_without_tasks_there_is_nothing_to_measure(settings: config.Settings) -> None:
    alone = replace(settings, harness=Harness())
    assert harness.run(alone, "m1") == {}
    assert (paths.evaluation("harness", "m1") / paths.ITEMS).read_bytes() == b""
    assert json.loads((paths.evaluation("harness", "m1") / paths.METRICS).read_bytes())["tasks"] == {}
    assert [results.benchmark.name for results in compare_models(alone).results] == ["mgsm", "alpaca"]


def test_a_models_reasoning_is_cut_off_by_the_harness(
    settings: config.Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    from types import SimpleNamespace

    from lm_eval.models import huggingface

    from lidr.evaluation.harness import asking

    given = []
    loaded = SimpleNamespace(generation_config=SimpleNamespace())
    chat = SimpleNamespace(end_ids={0}, tokenizer=None, reasoning_end="</think>")
    monkeypatch.setattr(huggingface, "HFLM", lambda **values: given.append(values["think_end_token"]))
    monkeypatch.setattr(asking.policy, "resolve", lambda model: None)
    monkeypatch.setattr(asking.policy, "load_for_generation", lambda *arguments: loaded)
    monkeypatch.setattr(asking, "open_chat", lambda of: chat)
    asking._language_model(settings, "m0")
    assert given == ["</think>"]


def test_an_unknown_task_is_named(settings: config.Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    from lm_eval.tasks import TaskManager

    from lidr.evaluation.harness import asking

    lab = TaskManager(include_defaults=False, include_path=str(FOLDER))
    monkeypatch.setattr(asking, "_task_manager", lambda harness: lab)
    asked = replace(settings, harness=Harness(tasks=("lab_sum_es",), include_path="lab"))
    with pytest.raises(InputError, match="has no task 'lab_sum_es'; near to it: lab_sums_es"):
        asking.ask(asked, "m0")


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ("harness:\n  tasks: [a, a]\n", "harness.tasks: each task once is expected"),
        ("harness:\n  include_path: elsewhere\n", "harness.include_path: 'elsewhere' lies outside of data/sources"),
        ("harness:\n  batch_sizes: 3\n", "harness.batch_sizes: there is no such key"),
    ],
)
def test_settings_that_cannot_be(root: Path, block: str, message: str) -> None:
    text = (root / "params.yaml").read_text("utf-8")
    before, _, rest = text.partition("harness:\n")
    (root / "params.yaml").write_text(before + block + "\n" + rest[rest.index("audit:") :], "utf-8")
    with pytest.raises(InputError, match=message):
        config.load()


OWN_TASK = """\
task: own_es
dataset_path: json
dataset_kwargs: {data_files: {train: data/sources/own/train.jsonl, test: data/sources/own/test.jsonl}, cache_dir: cache}
test_split: test
fewshot_split: train
output_type: multiple_choice
doc_to_text: "{{prompt}}\\nA:"
doc_to_choice: choices
doc_to_target: gold
metric_list:
  - {metric: acc, aggregation: mean, higher_is_better: true}
  - {metric: acc_norm, aggregation: mean, higher_is_better: true}
metadata: {version: 3}
"""


@pytest.mark.pipeline
@pytest.mark.parametrize("own", [False, True], ids=["lab", "own folder"])
def test_items_are_those_of_the_harness_on_the_exported_model(root: Path, own: bool) -> None:
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    settings = config.load()
    asked = replace(settings.harness, tasks=("lab_sums_es", "lab_translation_es"), limit=12, batch_size=5)
    folder, arguments = FOLDER, {"apply_chat_template": True}
    if own:
        folder, arguments = paths.SOURCES / "own", {"num_fewshot": 2}
        asked = Harness(tasks=("own_es",), limit=12, batch_size=5, num_fewshot=2, include_path=str(folder))
        folder.mkdir(parents=True)
        (folder / "own.yaml").write_text(OWN_TASK)
        for split, lang in (("train", "en"), ("test", "es")):
            lines = [json.dumps(row) for row in sums(lang)["test"]]
            (folder / f"{split}.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    settings = replace(settings, harness=asked, engine=replace(settings.engine, device="cpu"))
    base.run(settings)
    random_adapter(paths.MODELS, 0.3, ["q_proj", "down_proj"])
    harness.run(settings, "m1")
    written = list(read_rows(paths.evaluation("harness", "m1") / paths.ITEMS, HarnessItem))
    export.run(settings, "m1", root / "exported")
    theirs = simple_evaluate(
        model="hf",
        model_args={"pretrained": str(root / "exported")},
        tasks=list(asked.tasks),
        limit=12,
        batch_size=3,
        device="cpu",
        bootstrap_iters=0,
        task_manager=TaskManager(include_defaults=False, include_path=str(folder)),
        **arguments,
    )
    assert theirs is not None
    assert written == items(theirs)
    assert len(written) == 12 * len(asked.tasks)
    if not own:
        assert 0 < sum(row.score for row in written) < len(written)
    report = json.loads((paths.evaluation("harness", "m1") / paths.METRICS).read_bytes())["tasks"]
    for task, figures in report.items():
        metric = figures["metric"]
        assert figures["score"] == pytest.approx(theirs["results"][task][f"{metric},none"], abs=1e-6)
        assert figures["version"] == str(theirs["versions"][task])
