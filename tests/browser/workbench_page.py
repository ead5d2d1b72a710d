"""The workbench's page as tests use it: tabs, steps, the run button, and pictures for people to look at."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from lab_page import CELLS_WITH_ERRORS, open_notebook, run_cells
from own_lab import Lab
from playwright.sync_api import Page, expect

from workbench.store import Store

ROOT = Path(__file__).parents[2]
NOTEBOOK = "10_workbench.ipynb"
PICTURES = ROOT / "reports" / "pictures"  # git-ignored; pytest-playwright empties its own folder
CHART = ".wb-trade-off .js-plotly-plot"


def store_of(lab: Lab) -> Store:
    return Store(lab.root.parent / "runs")


def wait_until(condition: Any, seconds: float, what: str) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"{what} didn't happen in {seconds} s"
        time.sleep(0.1)


def picture(page: Page, name: str) -> None:
    """Keep what is seen: these are test artifacts to look at."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=str(PICTURES / f"{name}.png"))


def open_workbench(page: Page, lab: Lab) -> None:
    page.set_viewport_size({"width": 1400, "height": 1300})
    open_notebook(page, lab, NOTEBOOK)
    page.evaluate("() => window.jupyterapp.shell.collapseLeft()")
    start(page)


def start(page: Page) -> None:
    """Run all cells and wait until the chart holds points."""
    run_cells(page)
    assert page.evaluate(CELLS_WITH_ERRORS) == []
    page.wait_for_function(f"() => document.querySelector('{CHART}')?.data?.length", timeout=120_000)
    page.locator(".wb-workbench").scroll_into_view_if_needed()


def tab(page: Page, title: str) -> None:
    page.locator(".wb-main .lm-TabBar-tab", has_text=title).first.click()


def add_step(page: Page, name: str) -> None:
    page.locator(".wb-add-step select").select_option(label=name)
    page.locator(".wb-add-step .wb-add").click()


def run_button(page: Page) -> Any:
    return page.locator(".wb-watch-runs button").first


def plain_training(page: Page) -> Any:
    """Press `as trained` and return the field of its epochs, once the steps of the recipe before are gone."""
    page.locator(".wb-presets button", has_text="as trained").click()
    expect(page.locator(".wb-steps .wb-step")).to_have_count(1, timeout=30_000)
    return page.locator(".wb-step-train .wb-param-epochs input").last


def train_for(page: Page, epochs: int) -> Any:
    """Run plain training so long that it doesn't end by itself; returns its card once it runs."""
    field = plain_training(page)
    field.fill(str(epochs))
    field.press("Tab")
    expect(run_button(page)).to_be_enabled(timeout=30_000)
    run_button(page).click()
    card = page.locator(".wb-run-card", has_text=str(epochs)).first
    expect(card).to_contain_text("running", timeout=120_000)
    return card
