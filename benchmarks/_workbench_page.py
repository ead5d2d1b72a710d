"""A JupyterLab with the workbench in it, for the benchmarks that look at it as a person does: server, page, kernel."""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "browser"))

from ensure_browser import find_browser  # noqa: E402
from lab_page import CELLS_WITH_ERRORS, open_notebook, run_cells  # noqa: E402
from own_lab import Lab, running_lab  # noqa: E402
from playwright.sync_api import Page, sync_playwright  # noqa: E402

NOTEBOOK = "bench.ipynb"
CHART = ".wb-trade-off .js-plotly-plot"
DRAWN = f"() => document.querySelector('{CHART}')?.data?.length && / of the store/.test(document.querySelector('.wb-runs-table').innerText)"


@dataclass
class Place:
    """What a benchmark measures on."""

    lab: Lab
    page: Page
    received: list[int] = field(default_factory=list)  # bytes of each websocket frame that came to the page

    def kernel(self) -> psutil.Process:
        """Return the process of the one kernel that runs."""
        server = next(
            each
            for each in psutil.Process().children(recursive=True)
            if "jupyterlab" in _command(each) and self.lab.token in _command(each)
        )
        return [each for each in server.children(recursive=True) if "ipykernel_launcher" in _command(each)][-1]

    def run_all(self) -> None:
        run_cells(self.page)
        assert self.page.evaluate(CELLS_WITH_ERRORS) == []


def _command(process: psutil.Process) -> str:
    """Return its command line; empty for one that has ended meanwhile."""
    try:
        return " ".join(process.cmdline())
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return ""


@contextlib.contextmanager
def place(cells: list[str]) -> Iterator[Place]:
    """Yield an open notebook of these cells, its kernel idle; paths in it start at the folder above `notebooks`."""
    with tempfile.TemporaryDirectory() as folder, running_lab(Path(folder)) as lab, sync_playwright() as playwright:
        (lab.root / NOTEBOOK).write_text(json.dumps(_notebook(cells)))
        browser = playwright.chromium.launch(executable_path=find_browser(), args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1400, "height": 1200})
        found = Place(lab, page)
        page.on("websocket", lambda socket: socket.on("framereceived", lambda data: found.received.append(len(data))))
        open_notebook(page, lab, NOTEBOOK)
        yield found
        browser.close()


def _notebook(cells: list[str]) -> dict[str, Any]:
    code = [
        {
            "cell_type": "code",
            "id": f"cell-{index}",
            "metadata": {},
            "outputs": [],
            "execution_count": None,
            "source": text,
        }
        for index, text in enumerate(cells)
    ]
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    return {"cells": code, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}
