"""One trained artifact of ONNX and one folder of transformers, and keys, made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import small_job
from workbench.bench import carry_out
from workbench.protect import keys
from workbench.store import Store


@pytest.fixture(scope="session")
def onnx_folder(shared_store: Store) -> Path:
    return Path(carry_out(small_job(), shared_store).folder) / "artifact"


@pytest.fixture(scope="session")
def keys_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys") / "keys"
    keys.create(folder)
    return folder
