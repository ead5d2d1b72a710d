"""The notebook that plans and shrinks without a device: tables, charts, a real simulation, a real shrinking."""

from __future__ import annotations

import shutil
from pathlib import Path

import nbformat
import pytest

from workbench.batch.execute import execute

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "31_will_it_fit.ipynb"
PLOTLY = "application/vnd.plotly.v1+json"
QUICK = {"checked_model": "qwen2.5-0.5b", "checked_devices": 2, "length": 512, "layers": 2, "width": 256}

pytestmark = pytest.mark.slow


def test_a_model_is_planned_checked_and_a_checkpoint_shrunk(tmp_path: Path) -> None:
    (tmp_path / "notebooks").mkdir()
    shutil.copyfile(NOTEBOOK, tmp_path / "notebooks" / NOTEBOOK.name)
    done = execute(
        tmp_path / "notebooks" / NOTEBOOK.name, tmp_path / "done.ipynb", parameters=QUICK, timeout_seconds=600
    )
    outputs = [each for cell in nbformat.read(done.path, as_version=4).cells for each in cell.get("outputs", [])]
    said = "\n".join(str(each.get("text") or each.get("data")) for each in outputs)
    charts = [each.data[PLOTLY] for each in outputs if PLOTLY in each.get("data", {})]
    assert len(charts) == 5 and all(chart["data"] for chart in charts)
    assert charts[2]["data"][0]["y"] == ["planned", "simulated"]
    assert "s of one core" in said and "GB too much" in said and "qubits" in said
    assert "× smaller" in said and "bytes_before=" in said
