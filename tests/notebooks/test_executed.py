"""Notebooks run: by papermill with changed parameters, then by nbval, which finds every run there already.

Outputs are stripped in git, so what nbval holds checked cells (tag `nbval-check-output`) against is in
`reference_outputs.json`: figures and sentences that no change may alter unnoticed.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import pytest
import yaml

from workbench.batch.execute import Executed, execute
from workbench.store import Store

HERE = Path(__file__).parent
NOTEBOOKS = HERE.parents[1] / "notebooks"
REFERENCE = json.loads((HERE / "reference_outputs.json").read_text())
CHECKED = "nbval-check-output"
MAX_EXECUTED_BYTES = 2_000_000
TIMEOUT_SECONDS = 900  # a test machine may be busy; timing waits until it is alone
PLOTLY = "application/vnd.plotly.v1+json"
WIDGET = "application/vnd.jupyter.widget-view+json"

STUDY = {
    "name": "small",
    "title": "A small study",
    "data": "digits",
    "metrics": ["size", "quality", "latency pairs=6 restarts=1 singles=30"],
    "train": ["train epochs=2"],
    "models": {"LeNet-300-100": "lenet_300_100"},
    "recipes": {"as trained": {}, "half zero": {"steps": ["magnitude_prune sparsity=0.5"]}, "int8": {"steps": ["int8_static"]}},
}  # fmt: skip
PARAMETERS: dict[str, dict[str, Any]] = {
    "00_tour.ipynb": {"epochs": 2, "fine_tune_epochs": 1, "max_drop": 5.0},
    "10_workbench.ipynb": {
        "model": "lenet_300_100",
        "epochs": 2,
        "fine_tune_epochs": 1,
        "metrics": [{"use": "size"}, {"use": "quality"}, {"use": "latency", "pairs": 6, "restarts": 1, "singles": 30}],
    },
    "20_compare.ipynb": {"study_file": "../small.yaml", "name": "small", "workers": 1, "max_drop": None},
}
pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Place:
    """A folder with one notebook beside its runs and reports, and what executing it gave."""

    folder: Path
    notebook: Path
    done: Executed

    @property
    def cells(self) -> list[Any]:
        return nbformat.read(self.done.path, as_version=4).cells

    def run_ids(self) -> list[str]:
        return [run.run_id for run in Store(self.folder / "runs").runs()]


@pytest.fixture(scope="module", params=sorted(PARAMETERS))
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Execute a notebook with other parameters than its own, in a folder of its own."""
    folder = tmp_path_factory.mktemp("place")
    notebook = folder / "notebooks" / request.param
    notebook.parent.mkdir()
    shutil.copyfile(NOTEBOOKS / request.param, notebook)
    (folder / "small.yaml").write_text(yaml.safe_dump(STUDY, sort_keys=False))
    done = execute(
        notebook, folder / "executed.ipynb", parameters=PARAMETERS[request.param], timeout_seconds=TIMEOUT_SECONDS
    )
    return Place(folder, notebook, done)


def test_it_runs_with_changed_parameters_and_stays_small(place: Place) -> None:
    assert all(run.status == "done" for run in Store(place.folder / "runs").runs())
    assert (
        len(place.run_ids())
        == {"00_tour.ipynb": 4, "10_workbench.ipynb": 4, "20_compare.ipynb": 3}[place.notebook.name]
    )
    injected = next(cell for cell in place.cells if "injected-parameters" in cell.metadata.tags)
    assert all(name in injected.source for name in PARAMETERS[place.notebook.name])
    assert place.done.path.stat().st_size < MAX_EXECUTED_BYTES


def test_its_charts_hold_data(place: Place) -> None:
    outputs = [output for cell in place.cells for output in cell.get("outputs", [])]
    charts = [output.data[PLOTLY] for output in outputs if PLOTLY in output.get("data", {})]
    assert len(charts) == 2 or (place.notebook.name == "10_workbench.ipynb" and len(charts) >= 6)
    trade_offs = [chart for chart in charts if len(charts) == 2 or "Pareto front" in json.dumps(chart["data"])]
    assert trade_offs
    for chart in trade_offs:
        assert any(len(trace.get("customdata", [])) for trace in chart["data"]), "a chart without points"
        assert chart["layout"]["xaxis"]["title"]["text"] and chart["layout"]["yaxis"]["title"]["text"]
    assert all(chart["layout"]["meta"]["alt"] for chart in charts)
    assert len([chart for chart in charts if chart["data"]]) >= min(len(charts), 6)


def test_nbval_runs_it_again_finds_the_same_and_repeats_no_run(place: Place) -> None:
    before = place.run_ids()
    copy = place.notebook.with_name(f"checked_{place.notebook.name}")
    nbformat.write(_with_reference_outputs(place), copy)
    arguments = ["--nbval-lax", "--nbval-current-env", "-p", "no:cacheprovider", "-p", "no:xdist", "-q"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *arguments, f"--rootdir={place.folder}", "-c", os.devnull, str(copy)],
        cwd=copy.parent,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert place.run_ids() == before


def test_no_widget_is_left_where_nobody_can_touch_it(place: Place) -> None:
    views = [output for cell in place.cells for output in cell.get("outputs", []) if WIDGET in output.get("data", {})]
    assert len(views) == (1 if place.notebook.name == "00_tour.ipynb" else 0), "only the tour's slider"
    assert "widgets" not in nbformat.read(place.done.path, as_version=4).metadata


def test_the_study_leaves_its_report_and_table_the_others_nothing(place: Place) -> None:
    if place.notebook.name != "20_compare.ipynb":
        assert not (place.folder / "reports").exists()
        return
    page = (place.folder / "reports" / "small.html").read_text()
    assert "A small study" in page
    with (place.folder / "reports" / "small.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["run_id"] for row in rows] and {row["run_id"] for row in rows} == set(place.run_ids())
    assert "LeNet-300-100" in place.done.echo and "small.html" in place.done.echo


def test_every_checked_cell_has_a_reference() -> None:
    checked = {
        path.name: {cell.id for cell in nbformat.read(path, as_version=4).cells if CHECKED in cell.metadata.get("tags", [])}
        for path in sorted(NOTEBOOKS.glob("*.ipynb"))
    }  # fmt: skip
    assert {name: set(cells) for name, cells in REFERENCE.items()} == {
        name: ids for name, ids in checked.items() if ids
    }


def _with_reference_outputs(place: Place) -> Any:
    """Return the notebook with its changed parameters, and in each checked cell the output that it must have."""
    executed = nbformat.read(place.done.path, as_version=4)
    for cell in executed.cells:
        if cell.cell_type == "code":
            cell.outputs = [
                nbformat.from_dict(each) for each in REFERENCE.get(place.notebook.name, {}).get(cell.id, [])
            ]
    return executed
