"""Finds a Chromium for the browser tests, or installs one: `python tests/browser/ensure_browser.py` (called by `make test`)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from workbench.doctor import BROWSERS

NONE_POSSIBLE = """
No browser could be found or installed, so the tests that need one will be skipped. To have them run, either
  - install Chromium or Chrome with your system's package manager, or
  - where a download is possible: .venv/bin/playwright install chromium, or
  - set WORKBENCH_BROWSER to the path of a Chromium.
"""


def find_browser() -> str | None:
    """Return the path of a Chromium: WORKBENCH_BROWSER, the system's, or Playwright's own; None when there is none."""
    chosen = os.environ.get("WORKBENCH_BROWSER")
    system = chosen or next((path for name in BROWSERS if (path := shutil.which(name))), None)
    return system or _playwrights_own()


def _playwrights_own() -> str | None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = Path(playwright.chromium.executable_path)
    return str(path) if path.exists() else None


def _install() -> None:
    """Try the platform's package manager where it needs no password, then Playwright's own download."""
    root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if shutil.which("apt-get") and (not root or shutil.which("sudo")):
        subprocess.run([*root, "apt-get", "update", "-q"], check=False)
        subprocess.run([*root, "apt-get", "install", "-y", "-q", "--no-install-recommends", "chromium"], check=False)
    if not find_browser():
        subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=False)


if __name__ == "__main__":
    if not find_browser():
        print("no Chromium here: installing one", flush=True)
        _install()
    print(f"browser: {find_browser() or NONE_POSSIBLE}")
