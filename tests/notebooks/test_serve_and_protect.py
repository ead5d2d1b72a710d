"""The notebooks that serve and protect a run do it, over both protocols, and leave no server behind."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest

from workbench.batch.execute import execute
from workbench.store import Store

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("serve_and_protect")
    (folder / "notebooks").mkdir()
    return folder


def outputs_of(name: str, place: Path, **parameters: Any) -> str:
    """Execute a notebook in `place` and return all that it says."""
    shutil.copyfile(NOTEBOOKS / name, place / "notebooks" / name)
    done = execute(place / "notebooks" / name, place / name, parameters=parameters, timeout_seconds=600)
    cells = nbformat.read(done.path, as_version=4).cells
    found = [output for cell in cells for output in cell.get("outputs", [])]
    assert all(run.status == "done" for run in Store(place / "runs").runs())
    return "\n".join(str(each.get("text") or each.get("data")) for each in found)


def servers() -> set[int]:
    """Return the servers that this process and its children have; another file's may go on for the whole session."""
    found = set()
    for each in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):  # a zombie is one of these, too
            found |= {each.pid} if "serve" in each.cmdline() else set()
    return found


def test_a_run_is_served_asked_loaded_and_handed_over(place: Path) -> None:
    before = servers()
    said = outputs_of("40_serve.ipynb", place, epochs=2, rates=[20.0, 40.0], seconds=1.0)
    assert "REST" in said and "gRPC" in said and "exit code 0" in said
    assert "requests due (per second)" in said and "measure.py" in said
    assert (place / "reports" / "digits.tar").is_file()
    assert servers() <= before


def test_a_model_is_signed_encrypted_scrubbed_marked_and_audited(place: Path) -> None:
    said = outputs_of("50_protect.ipynb", place, epochs=2)
    for words in ("unchanged: True", "refused: ", "artifact.aead", "card.json: run_id", "64 of 64", "was cut off"):
        assert words in said, words
    assert len(list((place / "keys").glob("watermark-*.key"))) == 1
