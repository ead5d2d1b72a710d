"""A lesson in a real JupyterLab: predict, get it wrong, take a hint, pass; 900 pixels wide, in both themes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from lab_page import CELLS_WITH_ERRORS, command, open_notebook
from own_lab import Lab
from playwright.sync_api import Page, expect

from workbench.lessons import build, catalog, texts
from workbench.lessons.progress import Progress

PICTURES = Path(__file__).parents[2] / "reports" / "pictures"  # git-ignored
EXERCISE = catalog.exercise("01.1")
SET_CELL = """([before, text]) => {
  const panel = window.jupyterapp.shell.currentWidget, cells = panel.content.model.sharedModel.cells;
  const index = cells.findIndex(cell => cell.source.includes(before));
  cells[index].setSource(text);
  panel.content.activeCellIndex = index;
}"""
ACTIVE = "() => window.jupyterapp.shell.currentWidget.content.activeCellIndex"
pytestmark = pytest.mark.slow


def run_up_to(page: Page, text: str) -> None:
    """Run every cell up to and with the one that holds `text`."""
    page.evaluate(SET_CELL, [text, text])
    command(page, "notebook:run-all-above")
    command(page, "notebook:run-cell")


def answer(page: Page, text: str) -> None:
    """Write an answer into its cell, run that cell and the check below it."""
    page.evaluate(SET_CELL, [f"def {EXERCISE.answer}", text])
    command(page, "notebook:run-cell-and-select-next")
    command(page, "notebook:run-cell-and-select-next")


def picture(page: Page, name: str) -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=str(PICTURES / f"{name}.png"))


def test_a_lesson_from_its_first_prediction_to_a_passed_check(
    page: Page, lab: Lab, outside_requests: list[str]
) -> None:
    lesson, said = catalog.lesson("01"), texts.of("measure_first", "en")["exercises"]["01.1"]
    record = json.loads(build.text_of(lesson, "student"))
    (lab.root / "lesson.ipynb").write_text(json.dumps(record))
    page.set_viewport_size({"width": 900, "height": 1100})
    open_notebook(page, lab, "lesson.ipynb")
    page.evaluate("() => window.jupyterapp.shell.collapseLeft()")
    run_up_to(page, f'lesson.check("01.1", {EXERCISE.answer})')
    found = page.locator(".wb-found")
    expect(found).to_contain_text("NOT ATTEMPTED")

    page.get_by_placeholder("0").fill("37")
    page.get_by_role("button", name="Lock my answer").first.click()
    expect(page.get_by_text("Locked: 37 kB")).to_be_visible()
    before = page.evaluate(ACTIVE)
    page.keyboard.press("Shift+Enter")  # the way on, without another click
    page.wait_for_function(f"before => ({ACTIVE})() === before + 1", arg=before)

    answer(page, EXERCISE.wrong["parameters_only"])
    expect(found).to_contain_text(said["misconceptions"]["parameters_only"]["next"].replace("`", ""))
    expect(found.locator("tr.wb-wrong")).to_have_count(1)
    page.get_by_role("button", name="A hint").click()
    expect(page.locator(".wb-lesson-hint")).to_have_count(1)
    found.scroll_into_view_if_needed()
    picture(page, "lesson-wrong-light-900")
    command(page, "apputils:change-theme", theme="JupyterLab Dark")
    page.wait_for_function("() => document.body.dataset.jpThemeLight === 'false'")
    picture(page, "lesson-wrong-dark-900")

    answer(page, EXERCISE.solution)
    expect(found).to_contain_text("OK")
    expect(found.locator("tr.wb-wrong")).to_have_count(0)
    found.scroll_into_view_if_needed()
    picture(page, "lesson-passed-dark-900")
    page.locator(".wb-lesson").first.scroll_into_view_if_needed()
    picture(page, "lesson-top-dark-900")
    wide = "() => [...document.querySelectorAll('.wb-lesson')].every(each => each.scrollWidth <= each.clientWidth + 1)"
    assert page.evaluate(wide), "something is wider than its place"
    assert page.evaluate(CELLS_WITH_ERRORS) == [] and outside_requests == []
    kept = Progress(lab.root / "progress.json")
    assert kept.exercise("01.1")["tries"] == 2 and kept.exercise("01.1")["hints"] == 1
    assert kept.exercise("01.1")["verdict"] == "ok" and kept.question("01.p1")["value"] == 37
