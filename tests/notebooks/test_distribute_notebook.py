"""The notebook that spreads a training does it, and shows ways, timetable, losses, times and scaling."""

from __future__ import annotations

import shutil
from pathlib import Path

import nbformat
import pytest

from workbench import scale
from workbench.batch.execute import execute
from workbench.store import Store

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "30_distribute.ipynb"
PLOTLY = "application/vnd.plotly.v1+json"
QUICK = {"epochs": 1, "layers": 2, "rounds": 1, "disturbed": 1000.0}


@pytest.mark.slow
def test_a_training_is_spread_compared_and_scaled(tmp_path: Path) -> None:
    (tmp_path / "notebooks").mkdir()
    shutil.copyfile(NOTEBOOK, tmp_path / "notebooks" / NOTEBOOK.name)
    done = execute(
        tmp_path / "notebooks" / NOTEBOOK.name, tmp_path / "done.ipynb", parameters=QUICK, timeout_seconds=600
    )
    runs = Store(tmp_path / "runs").runs()
    assert [run.status for run in runs] == ["done", "done"] and runs[1].job["layout"]["shard"] == 2
    outputs = [each for cell in nbformat.read(done.path, as_version=4).cells for each in cell.get("outputs", [])]
    said = "\n".join(str(each.get("text") or each.get("data")) for each in outputs)
    charts = [each.data[PLOTLY] for each in outputs if PLOTLY in each.get("data", {})]
    assert len(charts) == 6 and all(chart["data"] for chart in charts)
    assert "use shard=4, which is exact" in said and "Largest difference of the loss to one process" in said
    gap = float(said.split("Largest difference of the loss to one process: hybrid shard=2 ")[1].split(" ")[0])
    assert gap < 1e-3
    (record,) = scale.kept(Store(tmp_path / "runs"))
    (point,) = record["points"]
    (round_,) = point["rounds"]
    assert point["processes"] == 2 and round_["kept"] and min(round_["solo_s"], round_["independent_s"]) > 0
    assert point["together"] == [pytest.approx(2 * round_["solo_s"] / round_["together_s"])]
