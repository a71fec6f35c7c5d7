"""Invalid benchmark files, published outputs and models, through the commands that read them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from factories import ROOT, edited, response
from published import configure, output_rows, prompt_rows, write
from refusal import done, refused

from lidr import paths
from lidr.models.policy import AdapterRecord, BaseRecord, fingerprint
from lidr.records.jsonl import write_json, write_rows

# --- benchmarks ------------------------------------------------------------------------------------------------------

MGSM = Path("data/sources/mgsm")


@pytest.fixture
def own_mgsm(root: Path) -> Path:
    lines = (
        "mgsm:\n  source: {}\n  languages: {}   # it and pt are never trained on: they measure transfer\n  items: {}"
    )
    old = lines.format("lab", "[en, es, de, fr, ru, it, pt]", 250)
    new = f"mgsm:\n  source: {MGSM}\n  languages: [en, es]\n  items: 2"
    (root / "params.yaml").write_text(edited((old, new)), "utf-8")
    for lang in ("en", "es"):
        rows = [{"query": f"{n} {lang}?", "response": str(n)} for n in (1, 2)]
        problems(lang, *map(json.dumps, rows))
    return MGSM / "mgsm_es.jsonl"


def problems(lang: str, *lines: str) -> None:
    MGSM.mkdir(parents=True, exist_ok=True)
    (MGSM / f"mgsm_{lang}.jsonl").write_text("".join(f"{line}\n" for line in lines), "utf-8")


ONE = '{"query": "uno?", "response": "1"}'


def test_bad_problems(own_mgsm: Path) -> None:
    problems("es", ONE, '{"query": "dos?", "response": "two"}')
    assert refused("mgsm", "m0").startswith(f"{own_mgsm}:2: the gold answer 'two' is no whole number")
    problems("es", ONE)
    assert refused("mgsm", "m0").startswith(f"{own_mgsm}: 1 problems; mgsm.items asks for 2")


def test_problems_whose_golds_differ(own_mgsm: Path) -> None:
    problems("es", ONE, '{"query": "dos?", "response": "3"}')
    assert refused("mgsm", "m0") == "en and es differ in the gold answer of mgsm-1: 2 and 3"


# --- published outputs -----------------------------------------------------------------------------------------------

PROMPTS = Path("data/sources/p/es.json")
OUTPUTS = Path("data/sources/o/es/gpt-4/model_outputs.json")
OTHER = Path("data/sources/o/es/gpt-3/model_outputs.json")


@pytest.fixture
def published(root: Path) -> Path:
    """A project whose baseline is published outputs, after one successful run of the stage."""
    configure(PROMPTS.parent, Path("data/sources/o"), "gpt-4", 3, "name: local\n    model: data/sources/judge")
    write(PROMPTS, prompt_rows())
    write(OUTPUTS, output_rows(generator="gpt-4"))
    done("baseline")
    return OUTPUTS


def test_outputs_that_are_no_list(published: Path) -> None:
    write(published, '[{"generator": "gpt-4"')
    assert refused("baseline") == (
        f"{published}:1: not one JSON list: Expecting ',' delimiter at character 22; "
        "JSON lines or one list of objects are expected"
    )


def test_an_empty_baseline(published: Path) -> None:
    answers = paths.baseline() / paths.ANSWERS
    answers.write_bytes(b"")
    write(OTHER, output_rows(generator="gpt-3"))
    assert refused("alpaca", "gpt-3", "--outputs", "data/sources/o").startswith(f"{answers}: the file is empty")


def test_a_baseline_that_lacks_an_answer(published: Path) -> None:
    answers = paths.baseline() / paths.ANSWERS
    write_rows(answers, [response("alpaca-1", "es"), response("alpaca-2", "es")])
    write(OTHER, output_rows(generator="gpt-3"))
    assert (
        refused("alpaca", "gpt-3", "--outputs", "data/sources/o")
        == f"{answers}: no answer to 'alpaca-3' in 'es'; run `lidr baseline`"
    )


@pytest.mark.usefixtures("published")
@pytest.mark.parametrize("name", ["../x", "/x", "a/b/c", "", "..", "x\ny", "-x", ".x"])
def test_names_of_generators_that_would_be_paths(name: str) -> None:
    assert "cannot be the name of a folder" in refused("alpaca", "--outputs", "data/sources/o", "--", name)


@pytest.mark.usefixtures("published")
def test_a_judge_that_is_not_there() -> None:
    write(OTHER, [row | {"output": "x"} for row in output_rows(generator="gpt-3")])
    said = refused("alpaca", "gpt-3", "--outputs", "data/sources/o")
    assert said.startswith("data/sources/judge: no model here (no config.json)")


# --- models ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def base(root: Path) -> Path:
    """models/m0 as `lidr base` writes it, and the record of an adapter that was trained on another base."""
    folder = paths.model("m0")
    shutil.copytree(ROOT / "src/lidr/lab/base", folder)
    record = BaseRecord(
        source="lab",
        revision=None,
        trust_remote_code=False,
        fingerprint=fingerprint(folder),
        pad_token=None,
        template={},
        date="2024-07-26",
        end_ids=(0,),
    )
    write_json(folder / paths.RECORD, record)
    adapter = AdapterRecord(model="m1", previous="m0", base="0" * 64, reference="0" * 64, pairs="0" * 64, rows=1)
    write_json(paths.model("m1") / paths.RECORD, adapter)
    return folder


def test_an_adapter_of_another_base(base: Path) -> None:
    said = refused("mgsm", "m1")
    assert said.startswith("models/m1/lidr.json: this adapter was trained on the base 000000000000, but models/m0 is ")


def test_bad_record_of_the_base(base: Path) -> None:
    path = base / paths.RECORD
    path.write_bytes(b"{}")
    assert refused("mgsm", "m0").startswith(f"{path}: not the JSON that is expected")
    path.unlink()
    assert refused("mgsm", "m0").startswith(f"{path}: no such file")


@pytest.mark.pipeline
def test_weights_that_are_not_what_the_record_says(base: Path) -> None:
    path = base / "model.safetensors"
    content = path.read_bytes()
    for damaged in (content[: len(content) // 2], content[:-1] + bytes([content[-1] ^ 1])):
        path.write_bytes(damaged)
        assert refused("mgsm", "m0").startswith("models/m0: the files are not those that `lidr base` recorded")
