"""The tabs Plan and Shrink as a person uses them: a layout picked in the table, hardware, a checkpoint shrunk and reported."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, expect
from workbench_page import picture, tab

WAIT_MS = 120_000
POINTS = "() => document.querySelectorAll('.wb-plan .js-plotly-plot .point').length > 20"


def plan_and_shrink(page: Page, source: Path, destination: Path) -> None:
    """Use both tabs of an open workbench; `source` is a small checkpoint."""
    page.set_default_timeout(WAIT_MS)
    tab(page, "Plan")
    panel = page.locator(".wb-plan")
    expect(panel).to_contain_text("legal layouts")
    page.wait_for_function(POINTS)
    expect(panel).to_contain_text("to spare. Limited by")
    picture(page, "plan")
    panel.locator("button", has_text="Choose hardware").click()
    expect(panel).to_contain_text("Roofline of the chosen device")
    expect(panel).to_contain_text("operations per byte on arithmetic limits")
    tab(page, "Shrink")
    panel = page.locator(".wb-shrink")
    for label, value in (("Source", source), ("Destination", destination)):
        field = panel.locator(".widget-text", has_text=label).locator("input").first
        field.fill(str(value))
        field.press("Enter")
    expect(panel).to_contain_text("× smaller")
    start = panel.locator("button", has_text="Shrink").first
    expect(start).to_be_enabled()
    start.click()
    expect(panel).to_contain_text("Moved most")
    page.wait_for_function("() => document.querySelector('.wb-shrink .js-plotly-plot .point')")
    picture(page, "shrink")
