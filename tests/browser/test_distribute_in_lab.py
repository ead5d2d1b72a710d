"""The tab Distribute in a real page: a layout is picked, its ways and memory are drawn, two processes train and are followed."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from own_lab import running_voila
from playwright.sync_api import Page, expect

PICTURES = Path(__file__).parents[2] / "reports" / "pictures"  # git-ignored
CELL = """from widgets.app import open_workbench
open_workbench({store!r}, model="lenet_300_100", steps=[{{"use": "train", "epochs": 150}}], metrics=["size"], resume=False)"""
STARTS_MS = 240_000  # a busy machine takes a minute to start processes
CHIPS = "(word) => [...document.querySelectorAll('.wb-distribute .wb-chip')].filter(c => c.textContent.includes(word)).length >= 2"


@pytest.mark.slow
def test_two_processes_are_started_and_followed_from_the_tab(
    page: Page, tmp_path: Path, outside_requests: list[str]
) -> None:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL.format(store=str(tmp_path / "runs")))])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, tmp_path / "panel.ipynb")
    page.set_viewport_size({"width": 1400, "height": 2200})
    with running_voila(tmp_path, tmp_path / "panel.ipynb") as address:
        page.goto(address, timeout=STARTS_MS)
        page.wait_for_selector(".wb-workbench", timeout=STARTS_MS)
        page.locator(".wb-main .lm-TabBar-tab", has_text="Distribute").first.click()
        panel = page.locator(".wb-distribute")
        layouts = panel.locator("select").first
        expect(layouts.locator("option", has_text="data_parallel")).to_have_count(1, timeout=60_000)
        layouts.select_option(label="Data parallel (data_parallel)")
        expect(panel.locator("table", has_text="replicate 2")).to_contain_text(
            "how to split the layers", timeout=60_000
        )
        expect(layouts.locator("option", has_text="✗ Tensor parallel")).to_have_count(1, timeout=30_000)
        page.wait_for_function("() => document.querySelector('.wb-distribute .js-plotly-plot .point')", timeout=60_000)
        panel.locator("button", has_text="Run").first.click()
        page.wait_for_function(CHIPS, arg="working", timeout=STARTS_MS)
        expect(panel).to_contain_text("examples/s")
        PICTURES.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=str(PICTURES / "distribute.png"))
        page.wait_for_function(CHIPS, arg="done", timeout=STARTS_MS)
    assert not outside_requests
