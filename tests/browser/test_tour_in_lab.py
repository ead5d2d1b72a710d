"""JupyterLab opens the tour, runs all of it, and its charts hold data."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from own_lab import Lab
from playwright.sync_api import Page

ROOT = Path(__file__).parents[2]
READY_MS, RUN_MS = 60_000, 300_000

WAIT_FOR_KERNEL = """async () => {
  const app = window.jupyterapp;
  await app.restored;
  const panel = app.shell.currentWidget;
  await panel.context.ready;
  await panel.sessionContext.ready;
  const idle = () => {
    const kernel = panel.sessionContext.session?.kernel;
    return kernel && kernel.connectionStatus === 'connected' && kernel.status === 'idle';
  };
  while (!idle()) await new Promise(resolve => setTimeout(resolve, 100));
}"""

CELLS_WITH_ERRORS = """() => window.jupyterapp.shell.currentWidget.content.model.sharedModel.cells
  .filter(cell => cell.cell_type === 'code')
  .flatMap(cell => cell.getOutputs().filter(output => output.output_type === 'error').map(output => output.evalue))"""


# A blank plot has an .main-svg too, so data and titles are asked for. Typed arrays keep their length in `x`.
CHARTS = """() => [...document.querySelectorAll('.js-plotly-plot')].map(chart => ({
  points: (chart._fullData ?? chart.data).reduce((sum, trace) => sum + (trace.x?.length ?? 0), 0),
  x: chart.layout.xaxis?.title?.text ?? '',
  y: chart.layout.yaxis?.title?.text ?? '',
  drawn: chart.querySelectorAll('.point').length,
}))"""


def run_all(page: Page, lab: Lab, notebook: str) -> None:
    """Open a notebook and run every cell, by command id: menus differ, and a click before the kernel is idle hangs."""
    page.set_default_timeout(READY_MS)
    page.goto(lab.address(notebook))
    page.wait_for_function("window.jupyterapp?.shell?.currentWidget?.sessionContext")
    page.evaluate(WAIT_FOR_KERNEL)
    page.evaluate(
        "() => { window.ran = window.jupyterapp.commands.execute('notebook:run-all-cells').then(() => 'done') }"
    )
    page.set_default_timeout(RUN_MS)
    assert page.evaluate("() => window.ran") == "done"


@pytest.mark.slow
def test_the_tour_runs_in_jupyterlab_and_its_charts_have_data(
    page: Page, lab: Lab, outside_requests: list[str]
) -> None:
    shutil.copyfile(ROOT / "notebooks" / "00_tour.ipynb", lab.root / "00_tour.ipynb")
    run_all(page, lab, "00_tour.ipynb")
    assert page.evaluate(CELLS_WITH_ERRORS) == []
    page.wait_for_selector(".js-plotly-plot .main-svg")
    charts = page.evaluate(CHARTS)
    assert len(charts) == 2
    assert all(chart["points"] and chart["drawn"] and chart["x"] and chart["y"] for chart in charts), charts
    assert outside_requests == []
