"""Retakes README's pictures of the workbench and of a lesson in JupyterLab: `python docs/take_pictures.py [RUNS]`, after `make run` made the runs.

They show a copy of the store: what is picked there isn't kept. One run is made in it, the measurement of each layer's sensitivity.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "browser"))

from ensure_browser import find_browser  # noqa: E402
from lab_page import command, open_notebook  # noqa: E402
from own_lab import Lab, running_lab  # noqa: E402
from playwright.sync_api import Page, sync_playwright  # noqa: E402
from test_lesson import EXERCISE, answer, run_up_to  # noqa: E402
from workbench_page import CHART, NOTEBOOK, open_workbench, tab  # noqa: E402

from workbench.lessons import build, catalog  # noqa: E402

SETTLE_MS, COMPUTE_MS = 4000, 300_000
BUDGET_KB = "160"
HEIGHT, STATUS_BAR = 1400, 30  # pixels


def main(store: Path) -> None:
    with tempfile.TemporaryDirectory() as folder, running_lab(Path(folder)) as lab, sync_playwright() as playwright:
        (lab.root / NOTEBOOK).write_text(json.dumps(_without_beginning()))
        shutil.copytree(store, Path(folder) / "runs", ignore=shutil.ignore_patterns(".*"))
        browser = playwright.chromium.launch(executable_path=find_browser(), args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        page.set_default_timeout(60_000)
        open_workbench(page, lab)
        page.set_viewport_size({"width": 1500, "height": HEIGHT})
        _workbench(page)
        _of_tab(page, "Compare", ".wb-compare-runs .js-plotly-plot")
        _of_tab(page, "Examples", ".wb-gallery img")
        _compute_sensitivity(page)
        command(page, "apputils:change-theme", theme="JupyterLab Dark")
        _of_tab(page, "Sensitivity", ".wb-sensitivity .js-plotly-plot")
        browser.close()
    with tempfile.TemporaryDirectory() as folder, running_lab(Path(folder)) as lab, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=["--no-sandbox", "--disable-gpu"])
        _lesson(browser.new_page(), lab)  # in a server of its own: JupyterLab would open both notebooks again
        browser.close()


def _without_beginning() -> dict:
    """Return the notebook without the cell that queues runs."""
    record = json.loads((ROOT / "notebooks" / NOTEBOOK).read_text())
    for cell in record["cells"]:
        if cell["id"] == "begin":
            cell["source"] = [line for line in cell["source"] if not line.startswith("begin(")]
    return record


def _lesson(page: Page, lab: Lab) -> None:
    """Take a wrong answer to the first exercise, with what is said of it and a hint."""
    (lab.root / "lesson.ipynb").write_text(build.text_of(catalog.lesson("01"), "student"))
    page.set_viewport_size({"width": 1100, "height": 900})
    open_notebook(page, lab, "lesson.ipynb")
    page.evaluate("() => window.jupyterapp.shell.collapseLeft()")
    run_up_to(page, f'lesson.check("{EXERCISE.id}", {EXERCISE.answer})')
    answer(page, EXERCISE.wrong["parameters_only"])
    page.get_by_role("button", name="A hint").click()
    page.locator(".wb-lesson-hint").wait_for()
    page.locator(".wb-ask").evaluate("each => each.scrollIntoView()")
    _picture(page, "lesson")


def _workbench(page: Page) -> None:
    page.locator(".wb-presets button", has_text="channels 50 % + int8").click()
    budget = page.locator(".wb-budget-max_bytes")
    budget.locator("input[type=checkbox]").click()
    readout = budget.locator(".widget-readout[contenteditable=true]")
    readout.fill(BUDGET_KB)
    readout.press("Enter")
    page.wait_for_function(
        f"() => document.querySelector('{CHART}')._fullData.some(each => /estimated/.test(each.name))"
    )
    page.locator(".wb-workbench").evaluate("each => each.scrollIntoView()")
    _picture(page, "workbench")


def _of_tab(page: Page, title: str, awaited: str) -> None:
    """Take what is in sight of a tab, the page's status bar left out."""
    tab(page, title)
    page.wait_for_selector(awaited)
    page.wait_for_timeout(SETTLE_MS)
    page.locator(".wb-main").evaluate("each => each.scrollIntoView()")
    page.wait_for_timeout(SETTLE_MS)
    place = page.locator(".wb-main").bounding_box()
    assert place is not None
    seen = {**place, "height": min(place["height"], HEIGHT - STATUS_BAR - place["y"])}
    page.screenshot(path=ROOT / "docs" / f"{title.lower()}.png", clip=seen)


def _compute_sensitivity(page: Page) -> None:
    tab(page, "Sensitivity")
    page.locator(".wb-sensitivity button", has_text="Compute").click()
    page.get_by_text("Measured in").wait_for(timeout=COMPUTE_MS)


def _picture(page: Page, name: str) -> None:
    page.wait_for_timeout(SETTLE_MS)
    page.screenshot(path=ROOT / "docs" / f"{name}.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "runs")
