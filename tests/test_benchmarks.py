"""The pure parts of the benchmarks: ratios, the fitted exponent, stage times, and tables made from results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import device
import generation
import growth
import made
import measuring
import pipeline
import pytest
import rows
import tables
import training

from lidr import config
from lidr.evals.comparison import compare_models
from lidr.plan import device as plan_device
from lidr.plan.shape import Shape


def test_sides_take_turns() -> None:
    order: list[str] = []

    def side(name: str) -> int:
        order.append(name)
        return len(order)

    assert measuring.take_turns({"a": lambda: side("a"), "b": lambda: side("b")}, 2) == {"a": [1, 3], "b": [2, 4]}
    assert order == ["a", "b", "a", "b"]


def test_a_figure_is_the_median_and_the_range() -> None:
    assert measuring.figure([9.3, 9.0, 9.14]) == "9.1 [9.0, 9.3]"
    assert measuring.figure([1200.0], 2) == "1,200.00 [1,200.00, 1,200.00]"
    assert measuring.ratios([2.0, 9.0], [1.0, 3.0]) == [2.0, 3.0]


@pytest.mark.parametrize("exponent", [0.5, 1.0, 1.7])
def test_the_fitted_exponent_is_that_of_the_growth(exponent: float) -> None:
    sizes = [1_000, 3_000, 10_000, 100_000]
    assert measuring.growth_exponent(sizes, [0.01 * n**exponent for n in sizes]) == pytest.approx(exponent)


def test_growth_is_fitted_to_processor_time() -> None:
    runs = [[{"seconds": 9.0, "cpu_seconds": seconds, "peak_bytes": 5}] for seconds in (1.0, 10.0, 200.0)]
    row = growth.row("pairs", [10, 100, 1_000], runs)
    assert row["cpu_seconds"] == [1.0, 10.0, 200.0]
    assert (row["exponent"], row["last_exponent"]) == (1.151, 1.301)


def test_growth_is_told_by_stage() -> None:
    runs = [[{"seconds": seconds, "cpu_seconds": seconds, "peak_bytes": 2**21}] for seconds in (1.0, 10.0)]
    rows = [growth.row("generate", [300, 3_000], runs)]
    assert growth.told(rows).splitlines() == [
        f"{'stage':<9} {'seconds at 300 / 3,000 prompts':<62} exponent   last step",
        f"{'generate':<9} {'1.0 / 10.0':<62} {'1.00':<10} 1.00",
    ]
    assert tables.growth(report("growth_model", *rows)).splitlines()[-1] == (
        "| generate | 1.0 | 10.0 | 1.00 | 1.00 | 2 |"
    )


def test_a_device_is_told_beside_its_roofline() -> None:
    row = {
        "device": "D",
        "dtype": "bfloat16",
        "parameters": 494_000_000,
        "flops": 6e14,
        "bandwidth": 3e12,
        "what": "training",
        "tokens_per_second": [50.0, 40.0, 60.0],
        "roofline": 200.0,
    }
    assert tables.device(report("device", row)).splitlines()[-1] == (
        "| D, bfloat16 | 494 M | training | 50.0 [40.0, 60.0] | 200 | 25 [20, 30] | 600,000 | 3,000 |"
    )
    assert tables.OUTCOMES["device"](report("device", row)) == []


def test_the_roofline_of_generation_has_the_rows_that_there_were() -> None:
    speed = plan_device.Speed(flops=1e12, bandwidth=1e9)
    shape = Shape("S", 1_000, 0, 0, 8, 8, 1, 1, 8, 10, 100, ())
    one, two = (device.roofline("cpu", "generation", shape, speed, {"rows": rows}) for rows in (1, 2))
    # Reading 1,000 weights of 4 bytes limits both: twice the rows, twice the tokens.
    assert (one, two) == (pytest.approx(1e9 / 4_000), pytest.approx(2e9 / 4_000))
    assert device.roofline("cpu", "training", shape, speed, {}) == pytest.approx(1e12 / 6_000)


def test_made_evaluations_can_be_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = config.load(measuring.PARAMS)
    monkeypatch.chdir(tmp_path)
    made.write_evaluations(settings, 4)
    levels = {
        benchmark.name: [
            benchmark.figures[model][benchmark.places[1 % len(benchmark.places)]].level.estimate
            for model in settings.models
        ]
        for benchmark in compare_models(settings).benchmarks
    }
    assert levels == {"mgsm": [0.25, 0.5, 0.75], "alpaca": [50.0, 62.5, 75.0], "harness": [0.25, 0.5, 0.75]}


def test_a_stage_takes_until_the_next_is_announced() -> None:
    lines = [(1.0, "Running stage 'base':\n"), (2.5, "> lidr base\n"), (4.0, "Running stage 'prompts@m1':\n")]
    assert pipeline.stage_times(lines, start=0.25, end=9.0) == [
        {"stage": "dvc", "seconds": 0.75},
        {"stage": "base", "seconds": 3.0},
        {"stage": "prompts@m1", "seconds": 5.0},
    ]


def run_of(tokens: int, losses: list[float]) -> dict[str, Any]:
    return {"pairs": 8, "tokens": tokens, "losses": losses, "seconds": 2.0, "cpu_seconds": 1.0, "peak_bytes": 7}


def test_training_is_compared_where_it_is_the_same() -> None:
    compared = training.compared([run_of(90, [2.0, 1.0])], [run_of(90, [2.0, 1.0005])])
    assert compared["loss_difference"] == pytest.approx(0.0005 / 1.0005)
    assert compared["pairs_per_second"] == {"ours": [4.0], "peer": [4.0]}


@pytest.mark.parametrize(
    ("theirs", "message"),
    [(run_of(91, [2.0, 1.0]), "not the same work"), (run_of(90, [2.0, 1.01]), "not the same training")],
)
def test_training_that_is_not_the_same_has_no_result(theirs: dict[str, Any], message: str) -> None:
    with pytest.raises(SystemExit, match=message):
        training.compared([run_of(90, [2.0, 1.0])], [theirs])


MACHINE = {
    "processor": "P",
    "cores": 2,
    "threads": "1",
    "memory_bytes": 2**33,
    "load_average": [0.5, 0.4, 0.3],
    "python": "3.11.7",
    "packages": {"click": "8.5.1"},
}
REPRO = {"ours": [3.0, 3.0, 3.0], "data": [2.8, 2.9, 3.0], "empty": [2.0, 2.5, 3.0]}
OVERHEAD = {
    "command": "python benchmarks/overhead.py",
    "machine": MACHINE,
    "rows": [
        {"what": "lidr --help", "seconds": {"ours": [0.5, 0.7, 0.6], "click": [0.2, 0.1, 0.15]}},
        {"what": "dvc repro", "stages": 20, "seconds": REPRO},
    ],
}


def test_a_table_is_made_from_the_results(tmp_path: Path) -> None:
    (tmp_path / "overhead.json").write_text(json.dumps(OVERHEAD), "utf-8")
    blocks = tables.blocks(tmp_path)
    assert blocks["overhead"] == (
        "| what | ours, s | peer | peer, s |\n"
        "| --- | --: | --: | --: |\n"
        "| `lidr --help` | 0.60 [0.50, 0.70] | importing click | 0.15 [0.10, 0.20] |\n"
        "| dvc repro, 20 stages, nothing to do | 3.00 [3.00, 3.00] | these stages, were the code no dependency "
        "| 2.90 [2.80, 3.00] |\n"
        "| dvc repro, 20 stages, nothing to do | 3.00 [3.00, 3.00] | as many empty stages | 2.50 [2.00, 3.00] |\n"
        "\n"
        "`python benchmarks/overhead.py` on 2 cores (P), torch's threads: 1, 8 GiB, load average 0.5 at the start; "
        "Python 3.11.7, click 8.5.1."
    )
    assert blocks["training"] == "Not measured yet: `python benchmarks/training.py` does."


def test_the_summary_says_what_is_reached(tmp_path: Path) -> None:
    (tmp_path / "overhead.json").write_text(json.dumps(OVERHEAD), "utf-8")
    lines = tables.blocks(tmp_path)["summary"].splitlines()
    assert "| `lidr --help`, over importing click | <= 0.5 s | 0.45 [0.30, 0.60] | reached |" in lines
    assert (
        "| dvc repro with nothing to do, over empty stages | <= 1.15 times | 1.20 [1.00, 1.50] | **not reached** |"
    ) in lines
    assert "| `benchmarks/training.py` |  | not measured yet |  |" in lines


def report(name: str, *found: dict[str, Any], **values: Any) -> dict[str, Any]:
    return {"command": f"python benchmarks/{name}.py", "machine": MACHINE, "rows": list(found), **values}


def test_training_is_told_as_it_was_compared() -> None:
    theirs = run_of(90, [2.0]) | {"seconds": 4.0, "cpu_seconds": 2.5}
    rows = [{"set": "lab", "peer": peer, **training.compared([run_of(90, [2.0])], [theirs])} for peer in tables.PEERS]
    found = report("training", *rows)
    assert tables.training(found).splitlines()[-1] == (
        "| lab | LLaMA-Factory | 8 | 4.0 [4.0, 4.0] | 2.0 [2.0, 2.0] | 2.00 [2.00, 2.00] | 2.50 [2.50, 2.50] "
        "| 0e+00 over 1 steps |"
    )
    outcomes = tables.OUTCOMES["training"](found)
    assert [(one.target, one.reached) for one in outcomes] == [(">= 1.5 times", True), (">= 2 times", True)]


def test_the_best_fixed_batch_is_that_of_the_highest_median() -> None:
    speed = {
        "ours": [9.0, 9.0, 9.0],
        "same rows": [3.0, 3.0, 3.0],
        "fixed 8": [4.0, 9.0, 4.0],
        "fixed 32": [5.0, 1.0, 5.0],
    }
    best = generation.best_fixed(speed)
    assert best["best_fixed_rows"] == 32
    assert best["tokens_per_second"]["best fixed"] == [5.0, 1.0, 5.0]
    found = report("generation", {"rows_per_batch": 70, **best})
    assert tables.generation(found).splitlines()[2:] == [
        "| plain loop, same rows (70) | 9.0 [9.0, 9.0] | 3.0 [3.0, 3.0] | 3.00 [3.00, 3.00] |",
        "| plain loop, best fixed (32) | 9.0 [9.0, 9.0] | 5.0 [1.0, 5.0] | 1.80 [1.80, 9.00] |",
    ]
    assert [outcome.reached for outcome in tables.OUTCOMES["generation"](found)] == [True, True]


def test_the_floor_the_script_and_memory_are_targets_of_the_rows() -> None:
    def run(seconds: float, peak: int) -> dict[str, float]:
        return {"seconds": seconds, "cpu_seconds": seconds, "peak_bytes": peak}

    runs = {"floor": [run(1.0, 1)], "ours": [run(2.5, 3 * 10**9)], "script": [run(10.0, 1)]}
    found = report("rows", {"stage": "pairs", "rows": 1_000, "bytes": 9, **rows.costs(runs)})
    assert [(one.what, one.found, one.reached) for one in tables.OUTCOMES["rows"](found)] == [
        ("pairs of 1,000 rows, over the floor", "2.50 [2.50, 2.50]", False),
        ("pairs of 1,000 rows, against the script", "4.00 [4.00, 4.00]", True),
        ("memory of pairs at 1,000 rows", "3.00 [3.00, 3.00]", False),
    ]


def test_workers_may_lose_a_tenth_of_their_time() -> None:
    def outcome(ray: float) -> tables.Outcome:
        speed = {"alone": [100.0], "ray": [ray]}
        (found,) = tables.OUTCOMES["generation_ray"](
            report("generation_ray", {"workers": 2, "prompts": 400, "tokens_per_second": speed})
        )
        return found

    assert (outcome(180.0).found, outcome(180.0).reached) == ("1.80 [1.80, 1.80]", True)
    assert not outcome(179.0).reached


def test_the_pipeline_stands_stage_by_stage() -> None:
    found = report("pipeline", seconds=100.0, stages=[{"stage": "base", "seconds": 25.0}])
    assert tables.pipeline(found).splitlines()[2:] == ["| base | 25.0 |", "| in all | 100.0 |"]
    (outcome,) = tables.OUTCOMES["pipeline"](found)
    assert (outcome.found, outcome.reached) == ("1.67 [1.67, 1.67]", True)
