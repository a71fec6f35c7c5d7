"""Logged models with their attachments, the registry, and pipelines read back from MLflow."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest
from factories import with_train
from refusal import done
from tracking_project import Project, job

from lidr.errors import InputError, LidrError
from lidr.tracking import Job, StageRun, live_run, promote, sync
from lidr.tracking.hashes import dvc_hash
from lidr.tracking.lookup import SCORES, latest_curves, read

ITEMS = [{"id": f"i-{n}", "lang": lang, "prompt": "?", "gold": "1"} for lang in ("en", "es") for n in range(3)]


def _adapter(project: Project, model: str = "m1") -> Path:
    project.file(f"models/{model}/lidr.json", '{"base": "3f1c", "reference": "9a04", "pairs": "b7d2"}')
    return project.file(f"models/{model}/adapter_model.safetensors", f"weights of {model}").parent


def _train(project: Project, adapter: Path) -> None:
    project.log(job("train", adapter.name, [], [adapter], lambda run: run.log_model(adapter, "adapter", upload=True)))


def _files(project: Project, model: Any) -> set[str]:
    return {item.path for item in project.client.list_logged_model_artifacts(model.model_id)}


def _evaluate(project: Project, adapter: Path, accuracy: float = 0.5) -> None:
    answers = project.file(f"reports/{adapter.name}.json", str(accuracy))

    def log_to(run: StageRun) -> None:
        run.log_evaluation({"accuracy/es": accuracy, "missing": None}, adapter, "mgsm lab", "lab", ITEMS)

    project.log(job("mgsm", adapter.name, [adapter], [answers], log_to))


def _models(project: Project) -> list[Any]:
    return list(project.client.search_logged_models([e.experiment_id for e in project.client.search_experiments()]))


def test_evaluation_attaches_to_the_model_that_training_logged(project: Project) -> None:
    adapter = _adapter(project)
    _train(project, adapter)
    _evaluate(project, adapter)
    (model,) = _models(project)
    assert (model.name, model.model_type, model.status.name) == ("m1", "adapter", "READY")
    assert model.tags == {
        "dvc.md5": dvc_hash(adapter),
        "dvc.path": "models/m1",
        "lidr.model": "m1",
        "lidr.iteration": "1",
        "lidr.base": "3f1c",
        "lidr.reference": "9a04",
        "lidr.pairs": "b7d2",
    }
    train, mgsm = project.children()
    assert model.source_run_id == train.info.run_id
    assert _files(project, model) == {"MLmodel", "adapter_model.safetensors", "lidr.json"}
    (metric,) = model.metrics
    assert (metric.key, metric.value, metric.step, metric.dataset_name) == ("accuracy/es", 0.5, 1, "mgsm lab")
    assert metric.run_id == mgsm.info.run_id
    assert project.history(mgsm.info.run_id, "accuracy/es") == [(1, 0.5)]

    client = project.client
    assert [o.model_id for o in client.get_run(train.info.run_id).outputs.model_outputs] == [model.model_id]
    inputs = client.get_run(mgsm.info.run_id).inputs
    assert [used.model_id for used in inputs.model_inputs] == [model.model_id]
    (items,) = inputs.dataset_inputs
    assert items.dataset.digest == metric.dataset_digest
    assert msgspec.json.decode(items.dataset.profile) == {"num_rows": 6, "rows": {"en": 3, "es": 3}}
    assert {tag.key: tag.value for tag in items.tags} == {"mlflow.data.context": "evaluation"}


def test_one_model_for_the_same_data_and_one_dataset_for_all(project: Project) -> None:
    """As where a model was trained elsewhere: no training of it is logged here."""
    adapter = _adapter(project)
    for accuracy in (0.5, 0.75):
        _evaluate(project, adapter, accuracy)
    (model,) = _models(project)
    assert (model.name, model.status.name, model.source_run_id) == ("m1", "READY", None)
    assert sorted(metric.value for metric in model.metrics) == [0.5, 0.75]
    project.file("models/m1/adapter_model.safetensors", "trained again, otherwise")
    _evaluate(project, adapter)
    _evaluate(project, _adapter(project, "m2"))
    assert sorted(model.name for model in _models(project)) == ["m1", "m1", "m2"]
    assert len({metric.dataset_digest for model in _models(project) for metric in model.metrics}) == 1


def test_base_stays_with_dvc(project: Project) -> None:
    base = project.file("models/m0/lidr.json", '{"fingerprint": "3f1c"}').parent
    project.file("models/m0/model.safetensors", "gigabytes")
    project.log(job("base", "m0", [], [base], lambda run: run.log_model(base, "base", upload=False)))
    (model,) = _models(project)
    assert (model.name, model.model_type, model.tags["lidr.base"]) == ("m0", "base", "3f1c")
    assert _files(project, model) == {"MLmodel"}


# ---- the registry


def test_promoted_twice_is_one_version_and_the_alias_moves(
    project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import mlflow

    adapter = _adapter(project)
    _train(project, adapter)
    first, second = promote(project.settings, "m1", "better"), promote(project.settings, "m1", "still better")
    assert (first.name, str(first.version), first.aliases) == ("lidr-lab", "1", ["best"])
    assert (second.version, second.description) == (first.version, "still better")
    assert second.tags["dvc.md5"] == dvc_hash(adapter)
    (child,) = project.children()
    assert second.run_id == child.info.run_id
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{project.root}/mlflow.db")
    folder = mlflow.artifacts.download_artifacts(artifact_uri="models:/lidr-lab@best", dst_path=str(tmp_path / "best"))
    assert (Path(folder) / "adapter_model.safetensors").read_text() == "weights of m1"

    # Trained elsewhere, it gets its files when it is promoted.
    _evaluate(project, _adapter(project, "m2"))
    assert str(promote(project.settings, "m2", "better").version) == "2"
    assert str(project.client.get_model_version_by_alias("lidr-lab", "best").version) == "2"
    (model,) = [model for model in _models(project) if model.name == "m2"]
    assert _files(project, model) == {"MLmodel", "adapter_model.safetensors", "lidr.json"}


def test_model_that_mlflow_does_not_know_is_refused(project: Project) -> None:
    _adapter(project)
    with pytest.raises(LidrError, match=r"knows no model with the data of models/m1 \([0-9a-f]{32}\.dir\)"):
        promote(project.settings, "m1", "better")


# ---- pipelines


def _compare(project: Project, beta: float, right: float) -> None:
    """The stage `compare` of a pipeline with another beta, on two items per benchmark."""
    settings = with_train(project.settings, beta=beta)
    rows = [
        {"benchmark": name, "lang": "es", "id": str(n), "prompt": f"ask {n}", "m0": 0.0, "m1": right}
        for name in ("mgsm", "alpaca")
        for n in range(2)
    ]

    def log_to(run: StageRun) -> None:
        run.log_rows(rows, SCORES)
        run.log_to_parent({"mgsm accuracy/average": right}, step=1)

    report = project.file("reports/compare/metrics.json", f"{beta} {right} {project.settings.seed}")
    sync(settings, [job("compare", None, [], [report], log_to)])


def test_pipelines_are_found_by_id_and_by_name_and_compared_from_mlflow_alone(project: Project) -> None:
    _train(project, _adapter(project))
    (parent,) = project.parents()
    assert latest_curves() is None
    with pytest.raises(LidrError, match="has no comparison in MLflow: `compare` has not run"):
        read(parent.info.run_id)

    _compare(project, 0.1, 0.0)
    _compare(project, 0.2, 1.0)
    first, second = project.parents()
    assert latest_curves() == f"#/experiments/{second.info.experiment_id}/runs/{second.info.run_id}/model-metrics"
    assert read("lab · beta 0.2 · 300 prompts").run_id == second.info.run_id
    found = read(first.info.run_id[:8])
    assert (found.run_id, found.params["train.dpo.beta"]) == (first.info.run_id, "0.1")
    assert found.rows[0] == {"benchmark": "mgsm", "lang": "es", "id": "0", "prompt": "ask 0", "m0": 0.0, "m1": 0.0}
    with pytest.raises(
        InputError, match=r"no pipeline 'nothing' in MLflow.* there are lab · beta 0\.2 .*\([0-9a-f]{8}\), lab"
    ):
        read("nothing")

    Path("params.yaml").unlink()
    said = done("compare", "--runs", *(f"lab · beta {beta} · 300 prompts" for beta in (0.1, 0.2)))
    assert "   train.dpo.beta  0.1 | 0.2\n" in said
    (es, _) = [line for line in said.splitlines() if line.startswith("es ")]
    assert es.split()[:6] == ["es", "0.0", "0.0", "0.0", "100.0", "+100.0"]

    project.settings = msgspec.structs.replace(project.settings, seed=43)
    _compare(project, 0.1, 0.0)
    with pytest.raises(InputError, match="2 pipelines in MLflow are called 'lab · "):
        read("lab · beta 0.1 · 300 prompts")


def test_a_comparison_that_another_state_leaves_as_it_is_belongs_to_that_state_as_well(project: Project) -> None:
    def measured() -> list[Job]:
        audit = project.file("reports/m1/audit/metrics.json", str(project.settings.audit.confidence))
        report, baseline = project.file("reports/compare/metrics.json", "{}"), project.file("baseline.jsonl", "{}")
        return [job("audit", "m1", [], [audit]), job("compare", None, [baseline], [report], log_to)]

    def log_to(run: StageRun) -> None:
        run.log_rows([{"benchmark": "mgsm", "lang": "es", "id": "0", "prompt": "ask 0", "m0": 0.0}], SCORES)
        run.log_to_parent({"mgsm accuracy/average": 0.5}, step=0)

    project.log(*measured())
    audit = msgspec.structs.replace(project.settings.audit, confidence=0.8)
    project.settings = msgspec.structs.replace(project.settings, audit=audit)
    assert project.log(*measured()) == ["audit m1", "compare"]
    assert project.log(*measured()) == []
    for parent in project.parents():
        assert project.history(parent.info.run_id, "mgsm accuracy/average") == [(0, 0.5)]
        found = read(parent.info.run_id)
        assert (found.rows[0]["m0"], found.tags["lidr.stage"]) == (0.0, "pipeline")
        assert found.tags["dvc.in.baseline.jsonl"] == dvc_hash(Path("baseline.jsonl"))
    assert len(project.parents()) == 2


def test_a_project_that_was_moved_says_so_and_logs_nothing_elsewhere(
    project: Project, empty_store: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    _compare(project, 0.1, 0.0)
    moved = project.root.rename(project.root.with_name("moved ü#?"))
    monkeypatch.chdir(moved)
    message = (
        f"artifacts of the experiment 'lidr' are expected in {project.root}/mlartifacts: the project was moved or "
        "copied from there; move it back, or remove mlflow.db and mlartifacts and run `lidr track`, "
        "which logs from the files"
    )
    for ask in (lambda: _compare(project, 0.2, 0.0), lambda: read("lab · beta 0.1 · 300 prompts")):
        with pytest.raises(LidrError) as raised:
            ask()
        assert str(raised.value) == message
    with live_run(project.settings, job("train", "m1"), None):
        pass
    (warning,) = capfd.readouterr().err.splitlines()
    assert warning.endswith(f" does not take the run live: {message}; nothing is lost: `lidr track` logs it later")
    assert not project.root.exists()

    shutil.copyfile(empty_store, "mlflow.db")
    shutil.rmtree("mlartifacts")
    project.root = moved
    _compare(project, 0.1, 0.0)
    assert len(read("lab · beta 0.1 · 300 prompts").rows) == 4
    # Its place is an address here, for # and ? mean something in one.
    project.root = moved.rename(moved.with_name("moved again"))
    monkeypatch.chdir(project.root)
    with pytest.raises(LidrError, match=r"are expected in .*/moved ü#\?/mlartifacts: the project was moved"):
        _compare(project, 0.2, 0.0)
