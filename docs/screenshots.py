"""Opens MLflow on a project in a headless Chromium, and takes the pictures of the README and docs/mlflow.md.

    python docs/screenshots.py                  docs/img/mlflow-*.png, from the project in the working folder

The pipeline has to have run there. For the picture of two pipelines the project needs a second one, such as
`dvc exp run -S train.dpo.beta=0.2` leaves, and for that of the study's arms `make study`. What the pages show is also
what tests/pipeline/test_browser.py looks at.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
IMAGES = Path(__file__).resolve().parent / "img"
PATIENCE = 180_000  # milliseconds, for a machine that has much else to do
SIZE = {"width": 1440, "height": 900}
# MLflow opens a panel over its pages on the first visit.
QUIET = "localStorage.setItem('mlflow.assistant.fab.autoOpenedOnFirstLoad_v1', 'true');"
QUIET += "localStorage.setItem('mlflow.assistant.panelOpen_v1', 'false');"
CHARTS = ".js-plotly-plot .scatterlayer .trace"
# A chart's legend names the run and the metric; each line is drawn twice, as it is and smoothed.
TRACES = """() => [...document.querySelectorAll('.js-plotly-plot')].map(chart => ({
    legend: chart.closest('[data-testid$="card"]')?.innerText ?? '',
    lines: (chart.data ?? []).filter(line => line.x?.length).map(line => [line.x, line.y]),
}))"""


class Pages:
    """MLflow's pages of one project, in one browser; `errors` are those of the console, by the page's address."""

    def __init__(self, address: str, latest: str, page: Any) -> None:
        self._address, self._latest, self._page = address, latest, page
        self.errors: list[tuple[str, str]] = []
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.errors.append((page.url, str(error))))

    def choose_training(self) -> None:
        """MLflow's pages begin with what is for agents; this shows what is for models, from here on."""
        self._open("/experiments", "text=Model training")
        self._page.get_by_text("Model training", exact=True).first.click(timeout=PATIENCE)
        self._settle()

    def latest_curves(self) -> str:
        """What stands at the address of the latest curves that `lidr ui` printed, in a browser that was never here."""
        context = self._page.context.browser.new_context(viewport=SIZE)
        page = context.new_page()
        page.goto(self._latest, timeout=PATIENCE)
        page.locator(CHARTS).first.wait_for(timeout=PATIENCE)
        text = str(page.inner_text("body"))
        context.close()
        return text

    def runs(self, experiment: str, parent: str) -> str:
        """The list of runs, with the children of a parent."""
        self._open(f"/experiments/{experiment}/runs", "text=matching runs")
        self._page.locator(f'[row-id="{parent}"] button').first.click(timeout=PATIENCE)
        self._settle()
        return self._text()

    def models(self, experiment: str) -> str:
        """The logged models with their metrics."""
        self._open(f"/experiments/{experiment}/models", "text=Model name")
        return self._text()

    def run(self, experiment: str, run: str, tab: str = "") -> str:
        """One run: its overview, or a tab of it."""
        self._open(f"/experiments/{experiment}/runs/{run}{tab}", "text=About this run" if not tab else "body")
        return self._text()

    def curves(self, experiment: str, run: str, names: str) -> list[dict[str, Any]]:
        """The charts of a run's own metrics with such names: what stands at each, and of its lines x and y."""
        self._open(f"/experiments/{experiment}/runs/{run}/model-metrics", CHARTS)
        self._page.get_by_placeholder("Search metric charts").fill(names)
        # A chart is drawn when it comes into sight.
        self._page.set_viewport_size({"width": 1440, "height": 2400})
        self._settle()
        charts = list(self._page.evaluate(TRACES))
        self._page.set_viewport_size(SIZE)
        self._settle()
        return charts

    def chart(self, experiment: str, runs: list[str], metrics: list[str]) -> list[dict[str, Any]]:
        """Metrics of one run or several in one chart."""
        chosen = {"runs": runs, "metric": metrics[0], "experiments": [experiment], "plot_metric_keys": metrics}
        query = "&".join(f"{name}={quote(json.dumps(value))}" for name, value in chosen.items())
        self._open(f"/metric?{query}&x_axis=step", CHARTS)
        return list(self._page.evaluate(TRACES))

    def compared(self, experiment: str, runs: list[str]) -> str:
        """Two runs side by side: settings and metrics."""
        chosen = f"runs={quote(json.dumps(runs))}&experiments={quote(json.dumps([experiment]))}"
        self._open(f"/compare-runs?{chosen}", "text=Run details")
        return self._text()

    def artifact(self, experiment: str, run: str, path: str) -> str:
        """A page that a run logged, as MLflow shows it: in a frame of its own."""
        self._open(f"/experiments/{experiment}/runs/{run}/artifacts/{path}", "iframe")
        frame = self._page.frame_locator("iframe").first
        frame.locator("h1").first.wait_for(timeout=PATIENCE)
        return str(frame.locator("body").inner_text())

    def picture(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._page.screenshot(path=str(path), timeout=PATIENCE)

    def _open(self, path: str, wait_for: str) -> None:
        # Its pages are one document: only a fresh start shows another place for certain.
        self._page.goto("about:blank")
        self._page.goto(f"{self._address}/#{path}", timeout=PATIENCE)
        self._page.locator(wait_for).first.wait_for(timeout=PATIENCE)
        self._settle()

    def _settle(self) -> None:
        """Wait until two looks at the page, some seconds apart, see the same; it never stops asking its server."""
        before = None
        for _ in range(PATIENCE // 2_000):
            now = self._text(), len(self._page.evaluate(TRACES))
            if now == before:
                return
            before = now
            self._page.wait_for_timeout(2_000)

    def _text(self) -> str:
        return str(self._page.inner_text("body"))

    def _note(self, message: Any) -> None:
        if message.type == "error":
            self.errors.append((str((message.location or {}).get("url", "")), message.text))


@contextmanager
def opened(project: Path) -> Iterator[Pages]:
    """The project's pages, served by `lidr ui` until the block ends."""
    from playwright.sync_api import sync_playwright

    lidr = [sys.executable, "-c", "from lidr.cli import main; main()", "ui"]
    with subprocess.Popen(lidr, cwd=project, stdout=subprocess.PIPE, text=True, env={**os.environ}) as server:
        try:
            assert server.stdout
            address = server.stdout.readline().split()[1]
            latest = server.stdout.readline().split()[-1]
            with sync_playwright() as playwright:
                # A container's root has no sandbox to give; the pages are the project's own.
                browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
                context = browser.new_context(viewport=SIZE)
                context.add_init_script(f"try {{ {QUIET} }} catch {{}}")
                pages = Pages(address, latest, context.new_page())
                pages.choose_training()
                yield pages
                browser.close()
        finally:
            server.send_signal(signal.SIGINT)


def main() -> int:
    """Take all pictures; returns the exit code."""
    from mlflow import MlflowClient

    from lidr import config
    from lidr.tracking import store

    project = Path.cwd()
    client = MlflowClient(store.tracking_uri(project))
    experiment = client.get_experiment_by_name(config.load().tracking.experiment).experiment_id
    parents = client.search_runs([experiment], "tags.`lidr.pipeline` LIKE '%'", order_by=["start_time DESC"])
    whole = [run for run in parents if "mgsm accuracy/average" in run.data.metrics]
    if not whole:
        print("no pipeline in MLflow whose `compare` has run; run `dvc repro` first", file=sys.stderr)
        return 1
    # The project's own, rather than an experiment on it.
    own = next((run for run in whole if "dvc.experiment" not in run.data.tags), whole[0])
    other = next((run for run in whole if run.data.params != own.data.params), None)
    with opened(project) as pages:
        pages.runs(experiment, own.info.run_id)
        pages.picture(IMAGES / "mlflow-runs.png")
        pages.curves(experiment, own.info.run_id, "mgsm accuracy")
        pages.picture(IMAGES / "mlflow-curve.png")
        if other:
            pages.chart(experiment, [own.info.run_id, other.info.run_id], ["mgsm accuracy/average"])
            pages.picture(IMAGES / "mlflow-pipelines.png")
        if arms := [run.info.run_id for run in whole if run.data.tags.get("dvc.experiment", "").startswith("study-")]:
            pages.chart(experiment, arms, ["mgsm accuracy/trained"])
            pages.picture(IMAGES / "mlflow-study.png")
        if not other:
            print("no second pipeline in MLflow: docs/img/mlflow-pipelines.png stays as it is")
    return 0


if __name__ == "__main__":
    sys.exit(main())
