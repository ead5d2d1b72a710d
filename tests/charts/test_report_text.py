"""The report in a terminal says what the page says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from crafted_runs import crafted_run, with_predictions

from workbench.report import report_text

PRUNED = ({"use": "train"}, {"use": "magnitude_prune", "sparsity": 0.8})


def test_it_has_a_line_per_run_the_causes_of_failures_and_a_recommendation(tmp_path: Path) -> None:
    targets = np.arange(900) % 10
    same = [with_predictions(tmp_path / name, targets, targets) for name in ("a", "b")]
    base = crafted_run("lenet_5-aa-01", folder=same[0], accuracy=1.0)
    small = crafted_run(
        "lenet_5-bb-01", steps=PRUNED, parent="lenet_5-aa-01", size=25_000, folder=same[1], accuracy=1.0, p50=0.02
    )
    failed = crafted_run("lenet_5-cc-01", steps=PRUNED, status="failed")
    lines = report_text([base, small, failed]).splitlines()
    assert lines[0].split()[:4] == ["model", "recipe", "format", "size"]
    assert [line.split()[0] for line in lines[1:3]] == ["lenet_5", "lenet_5"]
    assert "25 kB" in lines[2]
    assert lines[3].startswith("✕ lenet_5, ") and lines[3].endswith("failed: raised: no space <left> here")
    assert "10.0 × smaller" in " ".join(lines[4:]) and not any("<" in line for line in lines[4:])
