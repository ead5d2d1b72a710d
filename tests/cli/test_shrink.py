"""`workbench shrink` says how far it is, what moved most, and what stayed; exit code 2 for what can't be done."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from workbench.cli import _shrink, app
from workbench.shrink import synthetic as made


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made.llama(tmp_path_factory.mktemp("shrink") / "in", layers=2, width=256, vocabulary=256)


def test_a_checkpoint_is_shrunk_and_told_of(source: Path, tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    said = CliRunner().invoke(
        app, ["shrink", str(source), out, "--step", "n_m_prune", "--step", "weight_only skip=*.q_proj"]
    )
    assert said.exit_code == 0, said.output
    assert (
        "× smaller" in said.output
        and "q_proj.weight was left alone by a step: skipped" in said.output
        and "of 0.00 GB" in said.stderr
    )
    again = CliRunner().invoke(
        app, ["shrink", str(source), out, "--step", "n_m_prune", "--step", "weight_only skip=*.q_proj", "--json"]
    )
    assert json.loads(again.stdout)["finished"]


def test_what_cannot_be_done_ends_with_two_and_the_reason(source: Path, tmp_path: Path) -> None:
    said = CliRunner().invoke(app, ["shrink", str(source), str(tmp_path / "out"), "--step", "weight_only method=hqq"])
    assert said.exit_code == 2 and "method=hqq" in said.stderr


def test_what_calibrated_steps_tell_is_of_blocks_and_perplexities_are_printed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    layers = [{"name": "q_proj", "bytes_before": 4, "bytes": 1}, {"name": "model.layers.0", "output_error": 0.0123}]
    record = {
        "shards": {"a": {"layers": layers}},
        "bytes_before": 4000,
        "bytes": 1000,
        "perplexity": {"source": 8.0, "result": 9.0},
    }
    _shrink._say(record, Path("OUT"))
    told = capsys.readouterr().out
    assert "1.23%" in told and "perplexity 8 → 9" in told and "1 tensors changed" in told
