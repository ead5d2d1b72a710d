"""A report opened from disk draws every chart, sorts and filters its table, and asks nothing of the network."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from playwright.sync_api import Page

sys.path.insert(0, str(Path(__file__).parents[1] / "charts"))  # the crafted runs live with the tests of the charts

from crafted_runs import crafted_run

from workbench.report import write_report

SIZES = "() => [...document.querySelectorAll('#runs-table tbody tr')].map(row => Number(row.cells[4].dataset.value))"
AXES = "() => [...document.querySelectorAll('.plot')].slice(0, 2).map(plot => plot.layout.xaxis.title.text)"


@pytest.fixture
def report(tmp_path: Path) -> str:
    train = {"use": "train"}
    base = crafted_run("lenet_5-base000000-01", steps=(train,))
    small = crafted_run("lenet_5-int8000000-01", steps=(train, {"use": "int8_dynamic"}), size=70_000, p50=0.03,
                        ratio=(0.6, 0.55, 0.65), parent=base.run_id)  # fmt: skip
    failed = crafted_run("lenet_5-failed0000-01", status="failed")
    return write_report([base, small, failed], tmp_path / "report.html").as_uri()


def test_a_report_works_from_disk(page: Page, outside_requests: list[str], report: str) -> None:
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.goto(report)
    page.wait_for_function("() => [...document.querySelectorAll('.plot')].every(plot => plot.data?.length)")

    assert "fp32 ONNX" in page.evaluate(AXES)[1]
    page.check("input[value=ms]")
    assert "(ms)" in page.evaluate(AXES)[1]

    head = page.locator("#runs-table thead th", has_text="Size").locator("button")
    head.click()
    assert page.evaluate(SIZES)[:2] == [70_000, 250_000]
    head.click()
    assert page.evaluate(SIZES)[:2] == [250_000, 70_000]

    page.fill("#runs-search", "int8")
    assert page.inner_text("#runs-count") == "1 of 3 runs"
    for width in (1280, 800):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_function(f"() => document.documentElement.scrollWidth <= {width}")  # charts follow a little later
    assert not errors and not outside_requests
