"""The page of a batch opened from disk: points lead to rows, columns come and go, and without script it is a table."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

sys.path.insert(0, str(Path(__file__).parents[1] / "batch"))  # folders are crafted as the tests of batches craft them

from batch_folders import crafted

from workbench.batch.index import write_index
from workbench.batch.views import look

CLICK = """() => { const plot = document.querySelector(".plot"); const point = plot.data[1];
  plot.emit("plotly_click", {points: [{customdata: point.customdata[0]}]}); return point.customdata[0]; }"""


@pytest.fixture
def index(tmp_path: Path) -> str:
    return write_index(look(crafted(tmp_path, 9, failing=2))).as_uri()


def test_a_batch_page_works_from_disk(page: Page, outside_requests: list[str], index: str) -> None:
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.goto(index)
    page.wait_for_function("() => document.querySelector('.plot').data?.length")

    row_id = page.evaluate(CLICK)
    assert page.evaluate("() => document.querySelector('tr:target').id") == f"row-{row_id}"

    page.fill("#runs-search", "failed")
    assert page.inner_text("#runs-count") == "2 of 9 rows"
    page.fill("#runs-search", "")
    page.locator("#runs-table thead th", has_text="accuracy").locator("button").click()
    first = page.evaluate("() => document.querySelector('#runs-table tbody tr td[data-name=accuracy]').dataset.value")
    assert float(first) == pytest.approx(0.52)

    page.locator("summary", has_text="Columns").click()
    page.uncheck("[data-column=accuracy]")
    assert page.locator("#runs-table th[data-name=accuracy]").is_hidden()
    for width in (1280, 800):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_function(f"() => document.documentElement.scrollWidth <= {width}")
    assert not errors and not outside_requests


def test_without_script_everything_can_be_read(browser: Browser, index: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(index)
    assert page.locator("#runs-table tbody tr").count() == 9
    assert page.locator("#runs-table tbody tr").first.is_visible()
    assert "The chart needs JavaScript" in page.inner_text("body") and "2 rows share this error" in page.inner_text(
        "body"
    )
    context.close()
