"""Says whether somebody can touch what a cell shows: JupyterLab and Voila, but not papermill, nbval or nbconvert."""

from __future__ import annotations

import os

VARIABLE = "WORKBENCH_VIEW"  # "live" or "static" decides; anything else lets the kernel's client decide


def is_headless() -> bool:
    """Return True where a notebook is only executed: its client takes no input, and it isn't Voila that shows the page."""
    wanted = os.environ.get(VARIABLE, "")
    if wanted in ("live", "static"):
        return wanted == "static"
    if os.environ.get("SERVER_SOFTWARE", "").startswith("voila"):
        return False
    return not _takes_input()


def _takes_input() -> bool:
    """Say whether the running cell may ask for input: a browser's kernel client always lets it."""
    from IPython import get_ipython

    kernel = getattr(get_ipython(), "kernel", None)
    return bool(kernel is not None and getattr(kernel, "_allow_stdin", False))
