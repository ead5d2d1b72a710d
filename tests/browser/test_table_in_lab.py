"""A table of ten thousand rows in JupyterLab: searched, sorted, selected by id, with mouse and keyboard, in both themes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from lab_page import CELLS_WITH_ERRORS, command, run_all
from nbformat import v4
from own_lab import Lab
from playwright.sync_api import Page, expect

PYTHON = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
CELL = """
import ipywidgets
from widgets.table_view import Column, TableView
columns = [Column("run_id", "run"), Column("half", "half of it (1)", "in full", True)]
rows = [{"run_id": f"run-{n:05}", "half": (n / 2, f"{n / 2} units") if n % 10 else None} for n in range(10_000)]
said, table = ipywidgets.Label("nothing").add_class("said"), TableView()
more, pick = (ipywidgets.Button(description=name).add_class(name) for name in ("more", "pick"))
table.on_select(lambda ids: setattr(said, "value", " ".join(ids) or "none"))
more.on_click(lambda _: table.show([{"run_id": "new", "half": -1.0}, *rows], columns))
pick.on_click(lambda _: table.select(["run-09001"]))
table.show(rows, columns)
ipywidgets.VBox([said, more, pick, table.view])"""


def listed(page: Page, column: int = 0) -> list[str]:
    return page.locator(f".wb-table tbody tr[data-position] td:nth-child({column + 1})").all_inner_texts()


@pytest.fixture
def told(page: Page) -> Callable[[str], None]:
    """Return a check of what Python heard last."""
    return lambda text: expect(page.locator(".said")).to_have_text(text)


@pytest.mark.slow
def test_ten_thousand_rows_are_searched_sorted_and_selected_by_id(
    page: Page, lab: Lab, outside_requests: list[str], told: Callable[[str], None], output_path: str
) -> None:
    notebook = v4.new_notebook(cells=[v4.new_code_cell(CELL)], metadata=PYTHON)
    nbformat.write(notebook, Path(lab.root) / "table.ipynb")
    run_all(page, lab, "table.ipynb")
    assert page.evaluate(CELLS_WITH_ERRORS) == []
    expect(page.locator(".wb-table-count")).to_have_text("10,000 runs")
    assert listed(page)[0] == "run-00000" and len(listed(page)) < 100, "only what is visible is in the page"

    page.get_by_role("searchbox").fill("run-0000")
    expect(page.locator(".wb-table-count")).to_have_text("10 of 10,000 runs")
    page.get_by_text("run-00003", exact=True).click()
    told("run-00003")
    page.get_by_text("run-00005", exact=True).click(modifiers=["Control"])
    told("run-00003 run-00005")

    _rows_are_added(page)
    _sorting_keeps_missing_values_last(page)
    _python_selects(page, told)
    _keys_select(page, told)
    command(page, "apputils:change-theme", theme="JupyterLab Dark")
    page.wait_for_function("() => document.body.dataset.jpThemeLight === 'false'")
    page.screenshot(path=f"{output_path}/table-dark.png")
    assert outside_requests == []


def _rows_are_added(page: Page) -> None:
    """Search and selection stay, though every row has moved."""
    page.click(".more")
    expect(page.locator(".wb-table-count")).to_have_text("10 of 10,001 runs · 2 selected")
    chosen = page.locator(".wb-table tr[aria-selected=true] td:first-child")
    assert chosen.all_inner_texts() == ["run-00003", "run-00005"]


def _sorting_keeps_missing_values_last(page: Page) -> None:
    head = page.get_by_role("columnheader", name="half of it")
    for order, first in (("ascending", "0.5 units"), ("descending", "4.5 units")):
        head.get_by_role("button").click()
        expect(head).to_have_attribute("aria-sort", order)
        assert listed(page, 1)[0] == first and listed(page, 1)[-1] == ""


def _python_selects(page: Page, told: Callable[[str], None]) -> None:
    """The row comes into sight, and nobody is told what they asked for."""
    page.get_by_role("searchbox").fill("")
    page.click(".pick")
    expect(page.locator(".wb-table tr[aria-selected=true]")).to_contain_text("run-09001")
    expect(page.locator(".wb-table tr[aria-selected=true]")).to_be_visible()
    told("run-00003 run-00005")


def _keys_select(page: Page, told: Callable[[str], None]) -> None:
    """Sorted downwards by now, so the next row is a smaller one."""
    page.locator(".wb-table-scroller").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    told("run-08999")
    page.keyboard.press("Shift+ArrowDown")
    told("run-08999 run-08998")
    page.keyboard.press("Escape")
    told("none")
    page.keyboard.press("End")
    page.keyboard.press("Space")
    told("run-09990")
