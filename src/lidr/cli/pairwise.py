"""`lidr alpaca` outside the pipeline: two models that are there already, or published outputs.

$ lidr alpaca m2 --against m1
alpaca m2 against m1: win rate 53.1 on average over 7 languages, length-controlled 53.0
"""

from __future__ import annotations

from pathlib import Path

import click

from lidr import config, paths
from lidr.cli.running import tracked_job, with_interval
from lidr.cli.runs import by_language
from lidr.evaluation.registry import Metrics


def judge_outside(settings: config.Settings, model: str, against: str | None, outputs: Path | None) -> None:
    from lidr.compare import head_to_head
    from lidr.tracking import Job, StageRun

    if against and outputs:
        raise click.UsageError("--against and --outputs exclude each other")
    if outputs:
        match = head_to_head.of_published(settings, model, outputs)
        options = f"--outputs {outputs}"
    else:
        match = head_to_head.of_models(settings, model, str(against))
        options = f"--against {match.other}"
    target, metrics = paths.judged(model, match.other), Metrics()

    def log_to(run: StageRun) -> None:
        run.log_metrics(by_language(metrics))
        rows = {lang: int(figures["n"]) for lang, figures in metrics.items()}
        run.use_dataset(target / paths.VERDICTS, "verdicts", "evaluation", rows)
        run.log_table(target / paths.VERDICTS, "verdicts.json")
        run.log_artifact(target / paths.PAGE)

    job = Job(
        stage="alpaca",
        model=model,
        inputs=tuple(match.inputs),
        outputs=(target,),
        log_to=log_to,
        against=match.other,
        options=options,
    )
    with tracked_job(match.settings, job, at_once=True):
        metrics |= head_to_head.run(match)
    average = metrics["average"]
    click.echo(
        f"alpaca {model} against {match.other}: win rate {average['win_rate']:.1f} on average over {len(metrics) - 1} "
        f"languages, length-controlled {average['lc_win_rate']:.1f}"
    )
    for lang, figures in metrics.items():
        shares = " · ".join(f"{name} {100 * figures[name]:.1f}%" for name in ("wins", "ties", "losses"))
        click.echo(f"  {with_interval(lang, figures, 'win_rate', '.1f')} · {shares} · n = {figures['n']}")
    click.echo(f"The page: {target / paths.PAGE} · the verdicts: {target / paths.VERDICTS}")
