"""Which changes support promotion, on the small comparison of test_compare."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import Mock

import msgspec
import pytest
from click.testing import CliRunner
from compared_project import make_project, write_verdicts
from msgspec.structs import replace

from lidr import config
from lidr.cli import main
from lidr.compare.comparison import compare_models
from lidr.compare.promotion import evidence


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> config.Settings:
    monkeypatch.chdir(tmp_path)
    return make_project()


def test_gain_is_described_by_benchmark(settings: config.Settings) -> None:
    found = evidence(compare_models(settings), "m2")
    assert found.objection is None
    mgsm, alpaca = found.findings
    # es gains 10 of 12, it 3 and loses one, en nothing: 12 of 36. An item counts once, over its languages.
    assert mgsm == "MGSM accuracy: +33.3 points [15.3, 51.4], p = 0.002, n = 12 (10 gained, 1 lost)"
    assert alpaca == "AlpacaEval win rate: +16.7 points [8.8, 24.5], p < 0.001, n = 12 (10 gained, 0 lost)"


def test_no_gain_without_significance(settings: config.Settings) -> None:
    write_verdicts("m1", lambda row: replace(row, preference=1.5))
    found = evidence(compare_models(settings), "m1")
    assert found.objection == "the comparison shows no gain of m1 over m0"
    assert all("no significant difference" in sentence for sentence in found.findings)


def test_loss_on_one_benchmark_outweighs_a_gain_on_the_other(settings: config.Settings) -> None:
    write_verdicts("m2", lambda row: replace(row, preference=1.0))
    assert evidence(compare_models(settings), "m2").objection == "m2 is worse than m0 in AlpacaEval"


@pytest.mark.parametrize(
    ("arguments", "titles", "error"),
    [
        (
            ["m1"],
            ["MGSM accuracy", "AlpacaEval win rate"],
            "the comparison shows no gain of m1 over m0; --anyway promotes it nevertheless",
        ),
        (["m0", "--anyway"], [], "m0 is the base: nothing was trained"),
    ],
)
def test_command_refuses_before_it_asks_mlflow(
    settings: config.Settings, arguments: list[str], titles: list[str], error: str
) -> None:
    Path("params.yaml").write_bytes(msgspec.json.encode(settings))
    write_verdicts("m1", lambda row: replace(row, preference=1.5))
    result = CliRunner().invoke(main, ["promote", *arguments])
    assert result.exit_code == 1
    *findings, said = result.output.splitlines()
    assert [finding.partition(":")[0] for finding in findings] == titles
    assert said == f"Error: {error}"
    assert sorted(path.name for path in Path().iterdir()) == ["params.yaml", "reports"]


def test_a_promotion_that_overrules_says_so(settings: config.Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("params.yaml").write_bytes(msgspec.json.encode(settings))
    write_verdicts("m2", lambda row: replace(row, preference=1.0))
    monkeypatch.setattr("lidr.cli.runs.up_to_date", lambda settings: ([], []))
    monkeypatch.setattr("lidr.tracking.sync", Mock())
    register = Mock()
    monkeypatch.setattr("lidr.tracking.promote", register)
    result = CliRunner().invoke(main, ["promote", "m2", "--anyway"])
    assert result.exit_code == 0, result.output
    first, *findings = register.call_args.args[2].splitlines()
    assert first == "Promoted with --anyway: m2 is worse than m0 in AlpacaEval."
    assert findings == result.output.splitlines()[:2]
