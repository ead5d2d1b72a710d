"""Runs that the commands are tried on."""

from __future__ import annotations

import pytest

from tests.cli.calling import ARGUMENTS, call
from workbench.store import Store


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store with a trained model and the same one with int8 weights."""
    folder = tmp_path_factory.mktemp("cli") / "runs"
    call("run", *ARGUMENTS, "--step", "int8_dynamic", "--store", folder)
    return Store(folder)
