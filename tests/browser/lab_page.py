"""A JupyterLab page as tests drive it: by command id, since menus differ, and never before the kernel is idle."""

from __future__ import annotations

from typing import Any

from own_lab import Lab
from playwright.sync_api import Page

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


def open_notebook(page: Page, lab: Lab, notebook: str) -> None:
    """Open a notebook and wait until its kernel is idle."""
    page.set_default_timeout(READY_MS)
    page.goto(lab.address(notebook))
    wait_for_kernel(page)


def wait_for_kernel(page: Page) -> None:
    page.wait_for_function("window.jupyterapp?.shell?.currentWidget?.sessionContext")
    page.evaluate(WAIT_FOR_KERNEL)


def command(page: Page, name: str, **arguments: Any) -> None:
    """Carry out a command of JupyterLab and wait for its end."""
    page.evaluate(
        "([name, args]) => window.jupyterapp.commands.execute(name, args).then(() => null)", [name, arguments]
    )


def run_cells(page: Page) -> None:
    """Run every cell of the open notebook and wait until the last one has ended."""
    page.set_default_timeout(RUN_MS)
    command(page, "notebook:run-all-cells")


def run_all(page: Page, lab: Lab, notebook: str) -> None:
    """Open a notebook and run every cell: a run before the kernel is idle would hang on "Select Kernel"."""
    open_notebook(page, lab, notebook)
    run_cells(page)
