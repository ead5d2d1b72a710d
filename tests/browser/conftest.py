"""A Chromium that reaches nothing but this machine, and a JupyterLab with settings of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import pytest
from ensure_browser import find_browser
from own_lab import Lab, running_lab
from playwright.sync_api import Page, Route


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    """Launch the Chromium that `ensure_browser.py` finds; no sandbox, since containers run as root."""
    path = find_browser()
    if path is None:
        pytest.skip("no Chromium: python tests/browser/ensure_browser.py says what to do")
    return browser_type_launch_args | {"executable_path": path, "args": ["--no-sandbox"]}


@pytest.fixture
def outside_requests(page: Page) -> list[str]:
    """Block every request that leaves this machine; the list names those that were tried."""
    tried: list[str] = []

    def judge(route: Route) -> None:
        if urlparse(route.request.url).hostname in (None, "127.0.0.1", "localhost"):
            route.continue_()
            return
        tried.append(route.request.url)
        route.abort()

    page.route("**/*", judge)
    return tried


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """A JupyterLab whose root is `tmp_path/notebooks`."""
    with running_lab(tmp_path) as started:
        yield started
