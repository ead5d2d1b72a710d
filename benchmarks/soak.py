"""The workbench used for half an hour on end: runs, reloads and re-opened cells. Memory must not grow without bound.

    .venv/bin/python benchmarks/soak.py [MINUTES]        (default 30)

Bar: over the second half, a straight line through the kernel's memory and one through the page's grows by less than 20 %.
"""

from __future__ import annotations

import sys
import tempfile
import time

from _results import finish, growth
from _workbench_page import CHART, Place, place
from lab_page import command, wait_for_kernel
from playwright.sync_api import TimeoutError

MINUTES = 30.0
CELLS = [
    """
import os
os.environ["WORKBENCH_VIEW"] = "live"
from widgets.app import open_workbench
metrics = [{{"use": "size"}}, {{"use": "quality"}}]
steps = [{{"use": "train", "epochs": 1}}]
""",
    "open_workbench({store!r}, model='lenet_300_100', data='digits', steps=steps, metrics=metrics)",
]
TABS = ("Compare", "Examples", "Latency", "Copy as", "Trade-off")


def one_turn(here: Place, number: int) -> None:
    """Run a recipe that was never run, look at every tab, and come back by a reload or by running the cells again."""
    page = here.page
    seed = page.locator(".wb-build-recipe input[type=text], .wb-build-recipe input[type=number]").last
    seed.fill(str(number))
    seed.press("Tab")
    page.wait_for_timeout(800)
    page.locator(".wb-watch-runs button").first.click()
    page.wait_for_function(
        "number => new RegExp(`${number} runs of the store`).test(document.querySelector('.wb-runs-table').innerText)",
        arg=number, timeout=120_000,
    )  # fmt: skip
    for title in TABS:
        page.locator(".wb-main .lm-TabBar-tab", has_text=title).first.click()
        page.wait_for_timeout(400)
    page.locator(".wb-watch-runs button", has_text="Clear finished").click()
    if number % 3 == 0:
        command(page, "docmanager:save")
        page.reload()
        wait_for_kernel(page)
    elif number % 3 == 1:
        here.run_all()
    page.wait_for_function(f"() => document.querySelector('{CHART}')?.data?.length", timeout=120_000)


def page_mb(here: Place) -> float:
    """Return what the page's script holds after collecting garbage."""
    session = here.page.context.new_cdp_session(here.page)
    session.send("HeapProfiler.collectGarbage")
    session.send("Performance.enable")
    metrics = {each["name"]: each["value"] for each in session.send("Performance.getMetrics")["metrics"]}
    session.detach()
    return float(metrics["JSHeapUsedSize"]) / 1e6


def main() -> None:
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else MINUTES
    kernel, held = [], []
    with (
        tempfile.TemporaryDirectory() as folder,
        place([cell.format(store=f"{folder}/runs") for cell in CELLS]) as here,
    ):
        here.run_all()
        here.page.wait_for_selector(".wb-watch-runs button")
        here.page.wait_for_timeout(3000)
        until, number = time.monotonic() + 60 * minutes, 0
        while time.monotonic() < until:
            number += 1
            try:
                one_turn(here, number)
            except TimeoutError:
                print(f"turn {number} did not end; the page says:")
                print(here.page.locator("body").inner_text()[:6000])
                raise
            kernel.append(here.kernel().memory_info().rss / 1e6)
            held.append(page_mb(here))
            print(f"{number:4d} turns  kernel {kernel[-1]:.0f} MB  page {held[-1]:.0f} MB", flush=True)
    claims = {
        f"kernel grows by {growth(kernel):+.1%} over the second half, < 20 %": growth(kernel) < 0.2,
        f"page grows by {growth(held):+.1%} over the second half, < 20 %": growth(held) < 0.2,
    }
    figures = {
        "turns": number,
        "minutes": minutes,
        "kernel_mb": [kernel[0], kernel[-1]],
        "page_mb": [held[0], held[-1]],
    }
    summary = f"{number} turns in {minutes:g} min, kernel {kernel[0]:.0f} → {kernel[-1]:.0f} MB, page {held[0]:.0f} → {held[-1]:.0f} MB"
    finish("soak", claims, summary=summary, figures=figures, samples={"kernel_mb": kernel, "page_mb": held}, threads=2)


if __name__ == "__main__":
    main()
