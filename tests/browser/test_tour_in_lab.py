"""JupyterLab opens the tour, runs all of it, and its charts hold data."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from lab_page import CELLS_WITH_ERRORS, CHARTS, run_all
from own_lab import Lab
from playwright.sync_api import Page

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_tour_runs_in_jupyterlab_and_its_charts_have_data(
    page: Page, lab: Lab, outside_requests: list[str]
) -> None:
    shutil.copyfile(ROOT / "notebooks" / "00_tour.ipynb", lab.root / "00_tour.ipynb")
    run_all(page, lab, "00_tour.ipynb")
    assert page.evaluate(CELLS_WITH_ERRORS) == []
    page.wait_for_selector(".js-plotly-plot .main-svg")
    charts = page.evaluate(CHARTS)
    assert len(charts) == 2
    assert all(chart["points"] and chart["drawn"] and chart["x"] and chart["y"] for chart in charts), charts
    assert outside_requests == []
