"""Gives a page its first runs: into the queue where somebody looks on, carried out on the spot where nobody does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from widgets.headless import is_headless
from widgets.watch import WatchStudy
from workbench import queue
from workbench.store import Store
from workbench.study import carry_out_study, check_study, expand


def begin(study: Mapping[str, Any], store_folder: str | Path) -> None:
    """Ask for every job of a study that isn't done yet; returns at once unless the page is executed headless.

    `study` has the keys of a study file. Raises InvalidInput with every problem.
    """
    checked, store = check_study(study), Store(store_folder)
    if is_headless():
        carry_out_study(checked, store, on_event=WatchStudy())
    else:
        queue.put(expand(checked), store)
