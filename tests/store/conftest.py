"""Exported runs, and a store that takes them in."""

from __future__ import annotations

from pathlib import Path

import pytest
from stored import made

from workbench import exchange, marks
from workbench.store import Store


@pytest.fixture
def other(tmp_path: Path) -> Store:
    return Store(tmp_path / "elsewhere")


@pytest.fixture
def packed(store: Store, tmp_path: Path) -> Path:
    """An export of a base and its child, which is tagged."""
    made(store, "base-01")
    made(store, "child-01", parent="base-01")
    marks.mark(store, "child-01", add_tags=["good"], note="take", pinned=True)
    return exchange.export(store, ["child-01"], tmp_path / "runs.zip")
