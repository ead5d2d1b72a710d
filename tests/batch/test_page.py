"""An executed notebook becomes one page: charts live, controls said, nothing asked of the network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nbformat
import plotly.graph_objects as go
import pytest
from nbformat import v4
from typer.testing import CliRunner

from workbench.batch.page import POLICY, write_page
from workbench.cli import app
from workbench.errors import InvalidInput

FIGURE = json.loads(go.Figure(go.Scatter(y=[1, 2]), {"meta": {"alt": 'rising "line"'}}).to_json())
CHART, WIDGET = "application/vnd.plotly.v1+json", "application/vnd.jupyter.widget-view+json"
SIZE_OF_PLOTLY = 4_000_000


def executed(folder: Path, *bundles: dict[str, Any]) -> Path:
    cell = v4.new_code_cell("shown()", outputs=[v4.new_output("display_data", data=each) for each in bundles])
    notebook = v4.new_notebook(cells=[cell], metadata={"widgets": {"state": "of controls"}})
    nbformat.write(notebook, folder / "done.ipynb")
    return folder / "done.ipynb"


def test_two_charts_share_one_plotly(tmp_path: Path) -> None:
    one = write_page(executed(tmp_path, {CHART: FIGURE}), tmp_path / "one.html").stat().st_size
    two = write_page(executed(tmp_path, {CHART: FIGURE}, {CHART: FIGURE}), tmp_path / "two.html").stat().st_size
    assert SIZE_OF_PLOTLY < one < two < one + 100_000


def test_the_page_refuses_every_request_and_names_none(tmp_path: Path) -> None:
    text = write_page(executed(tmp_path, {CHART: FIGURE}), tmp_path / "page.html").read_text()
    assert f'http-equiv="Content-Security-Policy" content="{POLICY}"' in text and "default-src 'none'" in POLICY
    assert '<script src="http' not in text and "cdnjs.cloudflare" not in text and "unpkg.com" not in text


def test_a_control_is_said_instead_of_shown(tmp_path: Path) -> None:
    text = write_page(executed(tmp_path, {WIDGET: {"model_id": "gone"}}), tmp_path / "page.html").read_text()
    assert "open the notebook to use it" in text and "of controls" not in text


def test_a_chart_keeps_its_words(tmp_path: Path) -> None:
    text = write_page(executed(tmp_path, {CHART: FIGURE}), tmp_path / "page.html").read_text()
    assert 'aria-label="rising &quot;line&quot;"' in text or "aria-label='rising \"line\"'" in text


def test_a_notebook_that_was_not_executed_is_refused_with_every_problem(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as caught:
        write_page(executed(tmp_path), tmp_path / "page.txt")
    assert len(caught.value.problems) == 2 and not (tmp_path / "page.txt").exists()


def test_the_command_writes_beside_the_notebook(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["html", str(executed(tmp_path, {CHART: FIGURE}))])
    assert done.exit_code == 0 and Path(done.output.strip()) == tmp_path / "done.html"
    assert (tmp_path / "done.html").is_file()
